"""Settings at the file boundary: `config/signal_registry.json`, `env.list` and the process environment.

Everything is checked before anything starts, and every fault is reported at once, each with its path. Secrets are held as `SecretStr`, and
no message of this module ever prints a value that came from the environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chimera.envfile import read_env_file
from chimera.errors import ConfigError

REGISTRY = Path("config") / "signal_registry.json"
ENV_FILE = Path("env.list")

Cents = Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]
Dollars = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Edges(_Strict):
    """Required edge in cents: the base of every quote, and what a state of play adds to it."""

    base_cents: Cents = Field(description="the edge every quote asks for before anything else")
    endgame_cents: Cents = Field(
        default=1.0, description="added in a close end: basketball's last two minutes within six points, hockey's last five within two"
    )
    overtime_cents: Cents = Field(default=1.5, description="added in overtime")
    power_play_cents: Cents = Field(default=1.0, description="added in hockey for each skater that one side has more")
    empty_net_cents: Cents = Field(default=2.0, description="added in hockey while a goalie is, or by now probably is, off the ice")


class SignalLimits(_Strict):
    """Hard limits of one signal; the gateway checks them in the step that writes an order."""

    size_contracts: Annotated[int, Field(ge=1, le=10_000)] = Field(description="contracts an order, and the cap on a market's position")
    event_loss_dollars: Dollars = Field(description="cap on an event's worst loss over its outcomes, all orders filled")
    domain_notional_dollars: Dollars = Field(description="cap on what all positions and orders of the domain can cost")


class Thresholds(_Strict):
    """When a signal is pulled, killed or halted."""

    kill_multiple: Annotated[float, Field(ge=1, le=20, allow_inf_nan=False)] = Field(
        default=3.0, description="a move of p_true of this many base edges within a second kills the unit"
    )
    stale_seconds: Seconds = Field(default=45.0, description="a feed silent for longer than this voids its probabilities")
    max_disagreement_cents: Cents = Field(default=12.0, description="a wider gap between p_true and Kalshi's mid is taken for our fault")
    disagreement_polls: Annotated[int, Field(ge=1, le=1000)] = Field(default=3, description="for this many polls in a row")
    quote_age_seconds: Seconds = Field(default=5.0, description="a quote older than this places and renews nothing")


def _ticker(value: str) -> str:
    if not value.isascii() or not value.replace("-", "").isalnum() or value != value.upper():
        raise ValueError("a series ticker is upper-case letters and digits, such as KXNBAGAME")
    return value


class Signal(_Strict):
    """One oracle and the Kalshi series it prices."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")] = Field(description="also the domain's name in kill scopes and reports")
    oracle: Literal["nba", "nhl"] = Field(description="which oracle prices it")
    series: Annotated[list[Annotated[str, AfterValidator(_ticker)]], Field(min_length=1)] = Field(description="Kalshi series tickers")
    enabled: bool = True
    poll_seconds: Annotated[float, Field(ge=0.2, le=120, allow_inf_nan=False)] = Field(default=1.5, description="world time between polls")
    expiry_seconds: Annotated[float, Field(ge=5, le=600, allow_inf_nan=False)] = Field(
        default=20.0, description="every order dies by itself after this; it is renewed at half life while it still earns its place"
    )
    kelly_fraction: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.25
    edges: Edges
    limits: SignalLimits
    thresholds: Thresholds = Thresholds()

    @model_validator(mode="after")
    def _named_for_its_domain(self) -> Signal:
        # Markets, priors and kill scopes are all found by the domain's name.
        if self.name != self.oracle:
            raise ValueError(f"a signal bears the name of its oracle: {self.oracle}, not {self.name}")
        return self


class TotalLimits(_Strict):
    """Hard limits over everything."""

    total_notional_dollars: Dollars = Field(description="cap on what all positions and orders can cost")
    open_orders: Annotated[int, Field(ge=1, le=10_000)] = Field(description="orders resting or on their way")
    daily_loss_dollars: Dollars = Field(description="a loss of this much since 00:00 ET latches the global kill")
    unit_loss_dollars: Dollars = Field(description="a loss of this much since 00:00 ET in one game stops new orders in it")


class Bookmakers(_Strict):
    """Pregame prices of The Odds API."""

    enabled: bool = Field(default=True, description="whether they are asked for, where ODDS_API_KEY is set")


class Paper(_Strict):
    """The paper exchange of a shadow run."""

    cash_dollars: Dollars = 1000.0
    latency_ms: Annotated[list[Milliseconds], Field(min_length=2, max_length=2)] = [30.0, 80.0]

    @model_validator(mode="after")
    def _ordered(self) -> Paper:
        if self.latency_ms[0] > self.latency_ms[1]:
            raise ValueError("latency_ms is [lowest, highest]")
        return self


class Registry(_Strict):
    """`config/signal_registry.json`."""

    schema_: str | None = Field(default=None, alias="$schema")
    version: Literal[4]
    signals: Annotated[list[Signal], Field(min_length=1)]
    limits: TotalLimits
    paper: Paper = Paper()
    odds: Bookmakers = Bookmakers()

    @model_validator(mode="after")
    def _distinct(self) -> Registry:
        names = [signal.name for signal in self.signals]
        series = [ticker for signal in self.signals for ticker in signal.series]
        for kind, values in (("name", names), ("series", series)):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"signals share a {kind}: {', '.join(twice)}")
        if not self.enabled:
            raise ValueError("no signal is enabled, so there is nothing to trade")
        return self

    @property
    def enabled(self) -> tuple[Signal, ...]:
        return tuple(signal for signal in self.signals if signal.enabled)


class Environment(BaseSettings):
    """Credentials and addresses. The process environment wins over the file."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    kalshi_key_id: str | None = None
    kalshi_private_key_path: Path | None = None
    kalshi_guard_key_id: str | None = None
    kalshi_guard_private_key_path: Path | None = None
    espn_base_url: str = "https://site.api.espn.com"
    odds_api_key: SecretStr | None = None
    binance_hosts: str | None = None
    binance_api_key: SecretStr | None = None
    noaa_contact: str | None = None
    gcp_project: str | None = None
    gcp_secret_kalshi_key_id: str | None = None
    gcp_secret_kalshi_private_key: str | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The file's values come in through init, beneath the process environment.
        return env_settings, init_settings

    @property
    def has_kalshi_key(self) -> bool:
        return bool(self.kalshi_key_id and self.kalshi_private_key_path)


_TWICE = " (twice)"


def _mark_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keep a repeated key under a name of its own, so that validation refuses it where it stands; JSON would silently keep the last."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        found[key + _TWICE if key in found else key] = value
    return found


def _faults(path: Path, error: ValidationError, *, show_values: bool) -> tuple[str, ...]:
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        where = ".".join(str(part) for part in fault["loc"]) or "(the whole file)"
        if where.endswith(_TWICE):
            lines.append(f"{path}: {where.removesuffix(_TWICE)}: stands twice in one object; JSON would silently keep the last")
            continue
        plain = show_values and fault["type"] != "missing" and not isinstance(fault.get("input"), (dict, list))
        lines.append(f"{path}: {where}: {fault['msg']}" + (f" (got {fault['input']!r})" if plain else ""))
    return tuple(lines)


def load_registry(path: Path) -> Registry:
    """Read and check the registry. ConfigError with one line per fault."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_mark_duplicates)
    except OSError as error:
        fault = f"{path}: cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        fault = f"{path}: is not UTF-8 text"
    except json.JSONDecodeError as error:
        fault = f"{path}: line {error.lineno}, column {error.colno}: {error.msg}"
    else:
        try:
            return Registry.model_validate(raw)
        except ValidationError as error:
            faults = _faults(path, error, show_values=True)
            raise ConfigError(f"{path}: {len(faults)} fault(s)", faults) from None
    raise ConfigError(fault, (fault,)) from None


def load_environment(path: Path | None, process: Mapping[str, str] | None = None) -> Environment:
    """Read credentials and addresses: the file (if any) beneath the process environment.

    ConfigError with one line per fault; no line holds a value.
    """
    known = {name.upper(): name for name in Environment.model_fields}
    values: dict[str, Any] = {}
    if path is not None:
        values = {known[name]: text for name, text in read_env_file(path, frozenset(known)).items() if text}
    source = os.environ if process is None else process
    values |= {field: source[name] for name, field in known.items() if source.get(name)}
    try:
        return Environment(**values)
    except ValidationError as error:
        where = path or Path("environment")
        faults = _faults(where, error, show_values=False)
        raise ConfigError(f"{where}: {len(faults)} fault(s)", faults) from None


def registry_schema() -> str:
    """The registry's JSON Schema, as committed beside it for editors."""
    schema = Registry.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
