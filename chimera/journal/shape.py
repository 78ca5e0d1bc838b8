"""How the values of trading lie flat in a `Record`, and back.

The names of a record's fields are written down here and nowhere else; the views of schema.sql, the boot of the kill register and the audit
read by them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

from chimera.conventions import Side
from chimera.errors import LocalError
from chimera.journal.records import Kind, Pregame, Record, Value
from chimera.trading.kill import Level, Scope, Trip
from chimera.trading.reasons import Reason
from chimera.trading.venue import Done, Fill, Gone, Outcome, Rejected

_V = TypeVar("_V", str, int, float, bool)


def fill_record(fill: Fill, trace: int = 0) -> Record:
    """One execution. Price in 1e-4 $, count in 1e-2 contracts, fee in 1e-6 $."""
    fields: dict[str, Value] = {
        "fill_id": fill.fill_id,
        "client_id": fill.client_id,
        "order_id": fill.order_id,
        "side": fill.side.value,
        "price": fill.price,
        "count": fill.count,
        "fee": fill.fee,
        "is_taker": fill.is_taker,
        "derived": fill.derived,
    }
    return Record(Kind.FILL, fill.at, fill.market, trace, fields)


def fill_of(record: Record) -> Fill:
    """The fill that `fill_record` laid flat; LocalError where a field is missing or of another type."""
    f = record.fields
    ids = (_field(f, "fill_id", str), _field(f, "client_id", str), _field(f, "order_id", str))
    numbers = (_field(f, "price", int), _field(f, "count", int), _field(f, "fee", int))
    flags = (_field(f, "is_taker", bool), record.at, _field(f, "derived", bool))
    return Fill(*ids, record.market, Side(_field(f, "side", str)), *numbers, *flags)


def trip_record(trip: Trip) -> Record:
    """A pull or a kill. `hold_s` is null for a latch, which has no end; `streak` keeps the doubling of holds across a restart."""
    fields: dict[str, Value] = {
        "scope": str(trip.scope),
        "counter": trip.counter,
        "reason": trip.reason.value,
        "source": trip.source,
        "hold_s": None if trip.latched else trip.hold_s,
        "streak": trip.streak,
    }
    market = trip.scope.name if trip.scope.level is Level.MARKET else ""
    return Record(Kind.PULL if trip.pull else Kind.KILL, trip.at, market, trip.trace, fields)


def trip_of(record: Record) -> Trip:
    """The trip that `trip_record` laid flat; LocalError where a field is missing or of another type."""
    f = record.fields
    hold_s = math.inf if f.get("hold_s") is None else _field(f, "hold_s", float)
    scope, reason = Scope.parse(_field(f, "scope", str)), Reason(_field(f, "reason", str))
    pull = record.kind is Kind.PULL
    streak = int(f.get("streak") or 1)
    return Trip(scope, reason, _field(f, "source", str), record.at, hold_s, _field(f, "counter", int), pull, record.trace, streak)


def armed_record(scope: Scope, counter: int, at: float) -> Record:
    """A scope is armed at this counter: at the end of a hold, of a latch, and for every scope at boot."""
    market = scope.name if scope.level is Level.MARKET else ""
    return Record(Kind.ARMED, at, market, 0, {"scope": str(scope), "counter": counter})


def pregame_record(pregame: Pregame) -> Record:
    """What bookmakers thought of a game before it began."""
    fields: dict[str, Value] = {
        "league": pregame.league,
        "unit": pregame.unit,
        "p_home": pregame.p_home,
        "source": pregame.source,
        "starts_at": pregame.starts_at,
    }
    return Record(Kind.PRIOR, pregame.at, fields=fields)


def pregame_of(record: Record) -> Pregame:
    """The pregame price that `pregame_record` laid flat; LocalError where a field is missing or of another type."""
    f = record.fields
    names = _field(f, "league", str), _field(f, "unit", str), _field(f, "p_home", float), _field(f, "source", str)
    return Pregame(*names, _field(f, "starts_at", float), record.at)


def outcome_record(outcome: Outcome) -> Record:
    """What became of one request. `result` is done, rejected or unknown; `detail` the venue's own word."""
    match outcome:
        case Done():
            result, detail, reduced = "done", "", outcome.reduced
        case Rejected():
            result, detail, reduced = "rejected", outcome.code, 0
        case _:
            result, detail, reduced = "unknown", outcome.detail, 0
    fields: dict[str, Value] = {
        "client_id": outcome.client_id,
        "order_id": outcome.order_id,
        "action": outcome.action.value,
        "result": result,
        "detail": detail,
        "reduced": reduced,
    }
    return Record(Kind.OUTCOME, outcome.at, outcome.market, outcome.trace, fields)


def gone_record(gone: Gone) -> Record:
    """An order left the book without our asking for it by id."""
    fields: dict[str, Value] = {
        "client_id": gone.client_id,
        "order_id": gone.order_id,
        "action": "",
        "result": "gone",
        "detail": gone.reason,
        "reduced": gone.reduced,
    }
    return Record(Kind.GONE, gone.at, gone.market, 0, fields)


def _field(fields: Mapping[str, Value], name: str, kind: type[_V]) -> _V:
    value = fields.get(name)
    if kind is float and isinstance(value, int):
        return kind(value)
    if not isinstance(value, kind):
        raise LocalError(f"a journal record's field {name!r} is {value!r}, not {kind.__name__}")
    return value
