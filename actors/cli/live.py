"""chimera-live: trade for real, or in a world where everything but the money is real."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from actors.app import Plan, run_plan
from actors.cli.common import EPILOG, configure_logging, fail, guarded, load_settings, run_options
from actors.cli.progress import show_progress
from actors.outcome import ExitCode
from actors.summary import render
from actors.worlds import Kind, Place, guard_key
from chimera.settings import Environment, Registry

SUFFIX: Final = 6
_REAL: Final = (Kind.LIVE, Kind.DEMO)
"""Worlds with an account of our own, whose keys must be set and whose owner must confirm."""


@click.command(epilog=EPILOG, context_settings={"auto_envvar_prefix": "CHIMERA", "help_option_names": ["-h", "--help"]})
@click.option("--world", default="live", show_default=True, metavar="W",
              help="live, demo, embedded or sim:READY_FILE. It never becomes another.")
@click.option("--size-contracts", type=click.IntRange(1, 10_000), metavar="N", help="Every order is exactly N contracts, or is not placed.")
@click.option("--force-size-contracts", is_flag=True, help="Say again that N is meant: it replaces every signal's own size.")
@click.option("--confirm-live", metavar="SUFFIX", help="The last six characters of the Kalshi key id; asked for on a terminal.")
@click.option("--dry-run", is_flag=True, help="Say what is missing, and end.")
@click.option("--poll-seconds", type=click.FloatRange(0.2, 120), help="World seconds between polls of a feed; overrides the registry.")
@click.option("--journal", type=click.Path(path_type=Path, dir_okay=False), help="Where to keep the journal; an existing one is "
              "carried on. Default: a new file under journal/.")
@click.option("--record", type=click.Path(path_type=Path, file_okay=False), help="Record every frame into this directory.")
@run_options
@guarded
def main(
    world: str,
    size_contracts: int | None,
    force_size_contracts: bool,
    confirm_live: str | None,
    dry_run: bool,
    poll_seconds: float | None,
    journal: Path | None,
    record: Path | None,
    config: Path,
    env_file: Path | None,
    speed: float | None,
    seed: int,
    duration: float | None,
    as_json: bool,
    log_level: str,
) -> None:
    """Trade on Kalshi under a guard. What is not said is not assumed: anything missing makes a dry run that names it.

    \b
    Examples:
      chimera-live --world embedded --size-contracts 5 --force-size-contracts --speed 10 --duration 300
      chimera-live --world demo --size-contracts 1 --force-size-contracts --confirm-live 3f9c2e
    """
    configure_logging(log_level)
    registry, environment = load_settings(config, env_file)
    place = Place.parse(world, environment)
    if place.kind is Kind.RECORDING:
        raise click.UsageError("--world: a recording takes no orders; use chimera-shadow or chimera-replay")
    if size_contracts is not None:
        registry = _sized(registry, size_contracts)
    errors = Console(stderr=True)
    errors.print(_limits(place, registry))
    missing = _missing(place, environment, size_contracts, force_size_contracts, dry_run)
    if place.kind in _REAL and environment.kalshi_key_id and not missing:
        missing = _unconfirmed(environment.kalshi_key_id, confirm_live)
    if missing:
        _say_dry(place, missing, as_json)
        return
    plan = Plan(
        place, registry, environment, seed=seed, speed=speed, duration=duration, poll_seconds=poll_seconds, journal=journal, record=record,
        live=True,
    )  # fmt: skip
    with show_progress(enabled=not as_json) as progress:
        result = run_plan(plan, progress)
    if as_json:
        click.echo(json.dumps(result.summary.to_dict(), sort_keys=True))
    else:
        render(result.summary, Console())
    if result.code is not ExitCode.OK:
        raise SystemExit(int(result.code))


def _sized(registry: Registry, contracts: int) -> Registry:
    """The registry with one size for every order."""
    signals = [
        signal.model_copy(update={"limits": signal.limits.model_copy(update={"size_contracts": contracts})}) for signal in registry.signals
    ]
    return registry.model_copy(update={"signals": signals})


def _missing(place: Place, environment: Environment, size: int | None, forced: bool, dry_run: bool) -> list[str]:
    """What keeps this from being a live run, but for the confirmation."""
    missing = ["--dry-run was given"] if dry_run else []
    if size is None:
        missing.append("--size-contracts N")
    if not forced:
        missing.append("--force-size-contracts")
    if place.kind in _REAL:
        if not environment.has_kalshi_key:
            missing.append("KALSHI_KEY_ID and KALSHI_PRIVATE_KEY_PATH")
        if guard_key(environment) is None:
            missing.append("KALSHI_GUARD_KEY_ID and KALSHI_GUARD_PRIVATE_KEY_PATH: nothing is traded without a guard")
    if place.kind is Kind.LIVE:
        missing.append("a series whose recorded shadow score has passed the live gate: none has")
    return missing


def _unconfirmed(key_id: str, given: str | None) -> list[str]:
    """Nothing where the owner has confirmed the account; ends with 5 where the confirmation is another's."""
    if given is None and sys.stdin.isatty():
        given = str(click.prompt(f"Last {SUFFIX} characters of the Kalshi key id", err=True))
    if given is None:
        return [f"--confirm-live SUFFIX (the last {SUFFIX} characters of the Kalshi key id)"]
    if given != key_id[-SUFFIX:]:
        fail(ExitCode.CREDENTIALS, f"--confirm-live {given}: the Kalshi key id does not end so; check which account this is")
    return []


def _say_dry(place: Place, missing: Sequence[str], as_json: bool) -> None:
    click.echo(f"Dry run in the world {place}; nothing was started. Missing:", err=True)
    for what in missing:
        click.echo(f"  {what}", err=True)
    if as_json:
        click.echo(json.dumps({"dry_run": list(missing), "world": str(place)}, sort_keys=True))


def _limits(place: Place, registry: Registry) -> Table:
    """The limits as they will be checked."""
    total = registry.limits
    table = Table(title=f"Effective limits, world {place}", title_justify="left")
    for name in ("signal", "contracts an order and a market", "event's worst loss $", "domain's cost $"):
        table.add_column(name, justify="left" if name == "signal" else "right")
    for signal in registry.enabled:
        own = signal.limits
        table.add_row(
            signal.name, str(own.size_contracts), f"{own.event_loss_dollars:g}", f"{own.domain_notional_dollars:g}"
        )
    table.caption = (
        f"all together: cost ${total.total_notional_dollars:g}, {total.open_orders} orders, "
        f"loss of a day ${total.daily_loss_dollars:g}, of a game ${total.unit_loss_dollars:g}"
    )
    return table


if __name__ == "__main__":
    main()
