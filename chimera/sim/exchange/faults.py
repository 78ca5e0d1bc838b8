"""The grammar of faults: what can be made to go wrong, and how a specification is read.

    SPEC   = ITEM (";" ITEM)*           e.g. drop_seq:every=500;ack_lost:p=0.02;hold:for=3,n=1;halt:after=30,for=20
    ITEM   = NAME [":" KEY "=" VALUE ("," KEY "=" VALUE)*]

Every item takes `after` and `until` (seconds of world time from its installation: when it is armed). Items that strike on occasions (a
request, a frame) also take `p` (chance of each), `every` (each N-th) and `n` (at most so often); without `p` and `every` they strike at
each. Items that are a change of the venue happen once, `after` seconds from now, and are undone `for` seconds later where they can be.
A mistake is a `FaultSpecError` that names the item and the part of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import attrs

from chimera.errors import ConfigError
from chimera.fees import MAKER_FACTORS
from chimera.sim.exchange.lifecycle import GRIDS
from chimera.sim.exchange.limits import TIERS
from chimera.sim.exchange.rules import Rules


class FaultSpecError(ConfigError):
    """A fault specification that cannot be read; the message names the part."""


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 1e7:
        raise ValueError("is not a number of seconds of at least 0")
    return value


def _signed(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("is not a number of seconds")
    return value


def _chance(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise ValueError("is not a chance within 0 and 1")
    return value


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**9):
        raise ValueError("is not a whole number of at least 1")
    return int(text)


def _index(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError("is not the number of a shard")
    return int(text)


def _word(text: str) -> str:
    if not text:
        raise ValueError("is empty")
    return text


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"is none of {', '.join(words)}")
        return text

    return read


Reader = Callable[[str], object]
_ARMED: Mapping[str, Reader] = {"after": _seconds, "until": _seconds}
_OCCASION: Mapping[str, Reader] = {**_ARMED, "p": _chance, "every": _whole, "n": _whole}
_FOR: Mapping[str, Reader] = {"for": _seconds}
_REQUEST: Mapping[str, Reader] = {
    **_OCCASION,
    "on": _one_of("create", "cancel", "cancel_all", "amend", "decrease", "batch", "group", "write", "read", "any"),
    "ticker": _word,
}
_MARKET: Mapping[str, Reader] = {**_ARMED, **_FOR, "market": _word}


@attrs.frozen(slots=True)
class Kind:
    """One sort of fault: the keys it takes, those it needs, and its values where the item leaves them out."""

    keys: Mapping[str, Reader]
    needs: tuple[str, ...] = ()
    defaults: Mapping[str, object] = attrs.field(factory=dict)
    venue: bool = False
    """Whether it is a change of the venue, which happens once, rather than something that strikes on occasions."""


FEE_TYPES = (*MAKER_FACTORS, "flat", "margin_market_maker_program_fees")
"""Every fee type Kalshi names."""
_ONCE = {"after": 0.0}
KINDS: Mapping[str, Kind] = {
    # Requests: what strikes the answer, or the request before it is carried out.
    "ack_lost": Kind({**_REQUEST, **_FOR, "how": _one_of("hang", "close")}, defaults={"on": "write", "for": 60.0, "how": "hang"}),
    "slow_ack": Kind({**_REQUEST, **_FOR}, ("for",), {"on": "write"}),
    "hold": Kind({**_REQUEST, **_FOR}, ("for",), {"on": "create", "n": 1}),
    "unavailable": Kind({**_REQUEST, "applied": _chance}, defaults={"on": "write", "applied": 0.5}),
    "storm": Kind({**_REQUEST}, defaults={"on": "any"}),
    "read_lag": Kind({**_ARMED, **_FOR}, ("for",)),
    "skew": Kind({**_ARMED, "by": _signed}, ("by",)),
    # Frames.
    "drop_seq": Kind({**_OCCASION, "channel": _word}),
    "duplicate": Kind({**_OCCASION, "channel": _word}),
    "stall": Kind({**_OCCASION, **_FOR}, ("for",)),
    "reset": Kind({**_OCCASION, "refuse": _seconds}, defaults={"refuse": 2.0}),
    "channel_error": Kind({**_OCCASION, "channel": _word}),
    "overflow": Kind({**_OCCASION}),
    "lag_fills": Kind({**_ARMED, **_FOR}, ("for",)),
    "lag_positions": Kind({**_ARMED, **_FOR}, ("for",)),
    # The venue.
    "pause": Kind({**_ARMED, **_FOR, "shard": _index}, defaults=_ONCE, venue=True),
    # A trading pause that the schedule announces as maintenance from its installation on.
    "maintenance": Kind({**_ARMED, **_FOR, "shard": _index}, ("for",), _ONCE, venue=True),
    "exchange_pause": Kind(
        {**_ARMED, **_FOR, "shard": _index, "status": _one_of("200", "503", "504")}, defaults={**_ONCE, "status": "200"}, venue=True
    ),
    "halt": Kind(_MARKET, defaults=_ONCE, venue=True),
    "unopened": Kind(_MARKET, ("market", "for"), _ONCE, venue=True),
    "close": Kind({**_MARKET, "in": _seconds}, ("market",), {**_ONCE, "in": 0.0}, venue=True),
    "determine": Kind({**_ARMED, "market": _word}, ("market",), _ONCE, venue=True),
    "dispute": Kind(_MARKET, ("market", "for"), _ONCE, venue=True),
    "grid": Kind({**_MARKET, "structure": _one_of(*GRIDS)}, ("structure",), _ONCE, venue=True),
    "fee": Kind(
        {**_ARMED, **_FOR, "event": _word, "type": _one_of(*FEE_TYPES), "multiplier": _seconds}, ("event",), _ONCE, venue=True
    ),
    "region": Kind({**_ARMED, "in": _seconds}, defaults={**_ONCE, "in": 0.0}, venue=True),
    "tier": Kind({**_ARMED, "name": _one_of(*TIERS)}, ("name",), _ONCE, venue=True),
    "cancel_all": Kind({**_ARMED}, defaults=_ONCE, venue=True),
    "rules": Kind({**_ARMED, **{field.name: str for field in attrs.fields(Rules)}}, defaults=_ONCE, venue=True),
}
"""Every fault there is, by name."""


@attrs.frozen(slots=True)
class Fault:
    """One item of a specification: its name, its text as given, and its values, the defaults filled in."""

    name: str
    text: str
    values: Mapping[str, object]

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    def seconds(self, key: str, default: float = 0.0) -> float:
        value = self.values.get(key, default)
        assert isinstance(value, (int, float))
        return float(value)

    def word(self, key: str, default: str = "") -> str:
        return str(self.values.get(key, default))

    def whole(self, key: str) -> int | None:
        value = self.values.get(key)
        return value if isinstance(value, int) else None


def parse_faults(spec: str) -> tuple[Fault, ...]:
    """Read a specification; the empty one has no faults. FaultSpecError names the item and the part that cannot be read."""
    items = [item.strip() for item in spec.split(";")]
    return tuple(_item(number, text) for number, text in enumerate(items, start=1) if text)


def _item(number: int, text: str) -> Fault:
    where = f"fault {number}, {text!r}"
    name, colon, rest = text.partition(":")
    kind = KINDS.get(name)
    if kind is None:
        raise FaultSpecError(f"{where}: there is no fault {name!r} (there are: {', '.join(KINDS)})")
    given: dict[str, object] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = part.partition("=")
        reader = kind.keys.get(key)
        if reader is None or not equals:
            takes = ", ".join(kind.keys)
            raise FaultSpecError(f"{where}: {part!r} is not a KEY=VALUE that {name} takes (it takes: {takes})")
        if key in given:
            raise FaultSpecError(f"{where}: {key!r} is given twice")
        try:
            given[key] = reader(value)
        except ValueError as error:
            why = str(error) if "is " in str(error) else "is not a number"
            raise FaultSpecError(f"{where}: {key}={value!r} {why}") from None
    if missing := [key for key in kind.needs if key not in given]:
        raise FaultSpecError(f"{where}: {name} needs {' and '.join(missing)}")
    if name == "rules":
        _check_rules(where, given)
    return Fault(name, text, {**kind.defaults, **given})


def _check_rules(where: str, given: Mapping[str, object]) -> None:
    try:
        Rules().changed({key: str(value) for key, value in given.items() if key not in _ARMED})
    except ValueError as error:
        raise FaultSpecError(f"{where}: {error}") from None
