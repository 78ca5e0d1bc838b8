"""The audit of orders: were the rules kept, by the venue's own log and the journal alone?

The gateway's table is never asked: a gateway that is wrong about its orders would be wrong about its mistakes. Each violation is an order
(or a renewal) that the venue's log shows, judged by what that log and the journal say of the same moment:

    stale_fence    accepted or renewed under a fence that a trip, logged before it was sent, had already moved; or still resting
                   `T_CANCEL_S` after a trip that covers it (or after it was accepted, if that trip overtook it)
    orphan         accepted without an intent in the journal of the same market, side, price and count; or resting at the end of the log
                   although the last trip of its process was the shutdown
    above_anchor   sent or renewed above 100 p_true - required_edge (bids) or below 100 p_true + required_edge (asks), in cents
    over_limit     larger than the market's size; or, with everything of its side that rests filled, a position beyond that size
    negative_ev    sent, or resting for more than `T_CANCEL_S` on end, at a price worse than the p_true decided under, by the journal
"""

from __future__ import annotations

import enum
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import attrs

from chimera.conventions import Count, Price, Side, cents, format_count
from chimera.errors import ConfigError
from chimera.journal.records import Intent, Kind, Record, Value
from chimera.journal.store import JournalReader
from chimera.journal.venue_log import read_venue_log, venue_log_path
from chimera.trading import venue_log as log
from chimera.trading.reasons import Reason

T_CANCEL_S = 2.0
"""World seconds a cancel may take to be done: after that a kill cancels again by other means (architecture, section 8)."""
_EPSILON = 1e-6
"""Cents: below what a price can differ by, above what rounding in a float can."""


class Violation(enum.Enum):
    """The kinds, in the order of a summary."""

    STALE_FENCE = "stale_fence"
    ORPHAN = "orphan"
    ABOVE_ANCHOR = "above_anchor"
    OVER_LIMIT = "over_limit"
    NEGATIVE_EV = "negative_ev"


@attrs.frozen(slots=True)
class Offence:
    """One order that broke one rule, once. `at` is world unix s."""

    violation: Violation
    client_id: str
    market: str
    at: float
    why: str

    def __str__(self) -> str:
        return f"{self.at:.3f} {self.violation.value}: {self.client_id} in {self.market}: {self.why}"


@attrs.frozen(slots=True)
class OrderAudit:
    """What was looked at, and every offence in the order of the venue's log.

    `unaffirmed` counts renewals whose log does not say under what they were re-affirmed, so that no anchor could be checked; `unjournalled`
    fills of the venue that the journal does not hold (those on the way when the run ended).
    """

    sent: int
    accepted: int
    renewed: int
    fills: int
    trips: int
    unaffirmed: int
    unjournalled: int
    offences: tuple[Offence, ...]

    @property
    def violations(self) -> dict[str, int]:
        """How many offences of each kind; every kind is there."""
        return {kind.value: sum(offence.violation is kind for offence in self.offences) for kind in Violation}

    @property
    def clean(self) -> bool:
        return not self.offences

    def to_json(self) -> dict[str, object]:
        """Plain values for `--json`."""
        counts = attrs.asdict(self, filter=lambda attribute, _: attribute.name != "offences")
        offences = [{**attrs.asdict(offence), "violation": offence.violation.value} for offence in self.offences]
        return {**counts, "violations": self.violations, "offences": offences}


Points: TypeAlias = dict[str, tuple[list[float], list[float]]]
"""By market: the times of its decisions, ascending, and the p_true of each."""


def audit_orders(journal: Path, run: str | None = None) -> OrderAudit:
    """Audit the run or runs of a journal, with the venue's log beside it; `run` narrows what is read of the journal, not of the log.

    A market's size is the last `size_record` of it in the journal before the end; where there is none, the smallest order of its process,
    for every order has exactly the size. ConfigError where a file is missing, damaged, or incomplete.
    """
    with JournalReader(journal, run) as reader:
        intents = {intent.client_id: intent for intent in reader.intents()}
        points: Points = defaultdict(lambda: ([], []))
        for decision in reader.decisions():
            times, values = points[decision.market]
            times.append(max(decision.at, times[-1] if times else decision.at))
            values.append(decision.p_true)
        sizes = _sizes(reader.records(Kind.CONFIG))
        journalled = {fill.fill_id for fill in reader.fills()}
    path = venue_log_path(journal)
    lines = list(read_venue_log(path))
    if any(line.seq != number for number, line in enumerate(lines, start=1)):
        raise ConfigError(f"{path}: lines are missing or out of order, so it proves nothing")
    trial = _Trial(intents, points, sizes, _smallest(lines))
    for line in lines:
        trial.take(line)
    return trial.verdict(journalled)


def size_record(market: str, size: Count, at: float) -> Record:
    """For the journal: from now on every order of `market` ("" for all) is `size`, and so is the largest position."""
    return Record(Kind.CONFIG, at, market, fields={"size": size})


def _sizes(records: Iterable[Record]) -> dict[str, Count]:
    found: dict[str, Count] = {}
    for record in records:
        size: Value = record.fields.get("size")
        if isinstance(size, int):
            found[record.market] = size
    return found


def _smallest(lines: Iterable[log.Line]) -> dict[tuple[int, str], Count]:
    """The smallest order by process (counted by `Opened`) and market."""
    process, smallest = 0, dict[tuple[int, str], Count]()
    for line in lines:
        if isinstance(line, log.Opened):
            process += 1
        elif isinstance(line, log.Sent):
            key = (process, line.market)
            smallest[key] = min(line.count, smallest.get(key, line.count))
    return smallest


@attrs.define(slots=True, eq=False)
class _Order:
    """An order as the log shows it. `void_at` is when a trip made it void while it rested."""

    sent: log.Sent
    fence: int
    stale: bool
    order_id: str = ""
    left: Count = 0
    rested_at: float = 0.0
    void_at: float | None = None
    renewal_stale: bool = False


class _Trial:
    """The log, replayed line by line."""

    def __init__(
        self, intents: Mapping[str, Intent], points: Points, sizes: Mapping[str, Count], smallest: Mapping[tuple[int, str], Count]
    ) -> None:
        self._intents, self._points, self._sizes, self._smallest = intents, points, sizes, smallest
        self._orders: dict[str, _Order] = {}
        self._resting: dict[str, _Order] = {}
        self._positions: dict[str, Count] = defaultdict(int)
        self._fences: dict[str, int] = {}
        self._process = 0
        self._shut = False
        self._end = 0.0
        self._fills: set[str] = set()
        self._counts = dict.fromkeys(("sent", "accepted", "renewed", "trips", "unaffirmed"), 0)
        self._offences: dict[tuple[Violation, str], Offence] = {}

    def take(self, line: log.Line) -> None:
        self._end = max(self._end, line.at)
        match line:
            case log.Opened():
                self._process, self._shut = self._process + 1, False
            case log.Sent():
                self._sent(line)
            case log.Accepted():
                self._accepted(line)
            case log.Renewing():
                self._renewing(line)
            case log.Renewed():
                self._renewed(line)
            case log.Left():
                self._gone(line.order_id, line.at)
            case log.Filled():
                self._filled(line)
            case log.Fired():
                self._fired(line)
            case log.Settled():
                self._positions[line.market] = 0
            case log.Refused() | log.Cancelling():
                pass

    def verdict(self, journalled: set[str]) -> OrderAudit:
        for order in list(self._resting.values()):
            if self._shut:
                self._blame(Violation.ORPHAN, order, self._end, "it rests although its process shut down")
            self._judge_stay(order, self._end)
        offences = tuple(sorted(self._offences.values(), key=lambda offence: offence.at))
        return OrderAudit(
            **self._counts, fills=len(self._fills), unjournalled=len(self._fills - journalled), offences=offences
        )

    def _blame(self, violation: Violation, order: _Order, at: float, why: str) -> None:
        name = order.sent.client_id
        self._offences.setdefault((violation, name), Offence(violation, name, order.sent.market, at, why))

    # One line each

    def _sent(self, line: log.Sent) -> None:
        self._counts["sent"] += 1
        order = _Order(line, line.fence, line.fence < self._fences.get(line.market, line.fence), left=line.count)
        self._orders[line.client_id] = order
        p_true = math.nan if line.p_true is None else line.p_true
        self._judge_price(order, p_true, math.nan if line.required_edge is None else line.required_edge, line.at)
        if _ev(line.side, line.price, p_true) < -_EPSILON:
            self._blame(Violation.NEGATIVE_EV, order, line.at, f"sent at {cents(line.price):g} c with p_true {p_true:.4f}")

    def _accepted(self, line: log.Accepted) -> None:
        self._counts["accepted"] += 1
        order = self._of(line.client_id, line)
        order.order_id, order.rested_at = line.order_id, line.at
        self._resting[line.order_id] = order
        fence = self._fences.get(order.sent.market, order.fence)
        if order.stale:
            self._blame(Violation.STALE_FENCE, order, line.at, f"sent under fence {order.fence}, which a trip had voided")
        elif order.fence < fence:
            order.void_at = line.at
        if not _names(self._intents.get(line.client_id), order.sent):
            self._blame(Violation.ORPHAN, order, line.at, "no intent in the journal names this order")
        self._judge_size(order, line.at)

    def _renewing(self, line: log.Renewing) -> None:
        order = self._of(line.client_id, line)
        if line.p_true is None or line.required_edge is None:
            self._counts["unaffirmed"] += 1
        else:
            self._judge_price(order, line.p_true, line.required_edge, line.at)
        fence = order.fence if line.fence is None else line.fence
        order.renewal_stale = fence < self._fences.get(line.market, fence)

    def _renewed(self, line: log.Renewed) -> None:
        self._counts["renewed"] += 1
        order = self._of(line.client_id, line)
        if order.renewal_stale:
            self._blame(Violation.STALE_FENCE, order, line.at, "renewed under a fence that a trip had voided")

    def _filled(self, line: log.Filled) -> None:
        self._fills.add(line.fill_id)
        self._positions[line.market] += line.side.sign * line.count
        self._of(line.client_id, line).left = line.left
        if line.left == 0:
            self._gone(line.order_id, line.at)

    def _fired(self, line: log.Fired) -> None:
        self._counts["trips"] += 1
        self._shut = self._shut or line.reason == Reason.SHUTDOWN.value
        self._fences.update(line.fences)
        for order in self._resting.values():
            if order.void_at is None and order.fence < line.fences.get(order.sent.market, order.fence):
                order.void_at = line.at

    def _gone(self, order_id: str, at: float) -> None:
        order = self._resting.pop(order_id, None)
        if order is not None:
            self._judge_stay(order, at)

    def _of(self, client_id: str, line: log.Line) -> _Order:
        order = self._orders.get(client_id)
        if order is None:
            raise ConfigError(f"line {line.seq} of the venue's log speaks of {client_id}, which no line before it sent")
        return order

    # Rules

    def _judge_price(self, order: _Order, p_true: float, required_edge: float, at: float) -> None:
        sign, price = order.sent.side.sign, order.sent.price
        anchor = 100.0 * p_true - sign * required_edge
        if not sign * (cents(price) - anchor) <= _EPSILON:
            what = f"{order.sent.side.value} at {cents(price):g} c, anchor {anchor:.3f} c"
            self._blame(Violation.ABOVE_ANCHOR, order, at, what)

    def _judge_size(self, order: _Order, at: float) -> None:
        sent = order.sent
        size = self._sizes.get(sent.market, self._sizes.get("", self._smallest.get((self._process, sent.market), sent.count)))
        same = sum(o.left for o in self._resting.values() if o.sent.market == sent.market and o.sent.side is sent.side)
        reach = sent.side.sign * self._positions[sent.market] + same
        if sent.count > size:
            self._blame(Violation.OVER_LIMIT, order, at, f"{format_count(sent.count)} contracts, the size is {format_count(size)}")
        elif reach > size:
            self._blame(Violation.OVER_LIMIT, order, at, f"position could reach {format_count(reach)}, the size is {format_count(size)}")

    def _judge_stay(self, order: _Order, until: float) -> None:
        """An order has left, or the log has ended: did it rest longer than it should have?"""
        if order.void_at is not None and until - order.void_at > T_CANCEL_S:
            why = f"rested {until - order.void_at:.3f} s after a trip had voided it"
            self._blame(Violation.STALE_FENCE, order, until, why)
        since: float | None = None
        for at, lost in self._edges_lost(order, until):
            if lost:
                since = at if since is None else since
            elif since is not None and at - since > T_CANCEL_S:
                why = f"rested at {cents(order.sent.price):g} c from {since:.3f}, when p_true took its edge, until {at:.3f}"
                self._blame(Violation.NEGATIVE_EV, order, at, why)
                return
            else:
                since = None

    def _edges_lost(self, order: _Order, until: float) -> Iterator[tuple[float, bool]]:
        """Each decision of the market while the order rested: when, and whether its p_true makes the price a loss; then the end."""
        times, values = self._points.get(order.sent.market, ([], []))
        for place in range(bisect_right(times, order.rested_at), bisect_right(times, until)):
            yield times[place], _ev(order.sent.side, order.sent.price, values[place]) < -_EPSILON
        yield until, False


def _ev(side: Side, price: Price, p_true: float) -> float:
    """Cents a contract that a fill at `price` is worth if p_true is right, fees left out."""
    return side.sign * (100.0 * p_true - cents(price))


def _names(intent: Intent | None, sent: log.Sent) -> bool:
    if intent is None:
        return False
    return (intent.market, intent.side, intent.price, intent.count) == (sent.market, sent.side, sent.price, sent.count)
