"""Our orders: every one that may still rest or fill, and what a venue's lists prove about them.

The life of one order is in `order_life`; here are all of them, by client id, by the venue's id and by market, what they reserve, and the
rules by which a list proves an order gone. Unknown is not gone: only the venue's own word or complete lists end an order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from chimera.conventions import Count, Side
from chimera.errors import LocalError
from chimera.trading.order_life import Input, Proof, State, Working
from chimera.trading.venue import Action, Done, Event, Fill, Gone, Order, Rejected, Resting, Unknown

__all__ = ["MAX_FLIGHT_S", "READ_LAG_S", "Change", "Findings", "OrderTable", "Proof", "State", "Working"]

_DONE = {Action.AMEND: Input.AMENDED, Action.CANCEL: Input.CANCELLED}
_REJECTED = {Action.PLACE: Input.PLACE_REJECTED, Action.AMEND: Input.AMEND_REJECTED, Action.CANCEL: Input.CANCEL_REJECTED}
_UNKNOWN = {Action.PLACE: Input.PLACE_UNKNOWN, Action.AMEND: Input.AMEND_UNKNOWN, Action.CANCEL: Input.CANCEL_UNKNOWN}

READ_LAG_S = 2.0
"""How long the venue's lists may lag behind its acks. An acked cancel was seen listed as resting 0.36 s later (Kalshi demo, 2026-06)."""
MAX_FLIGHT_S = 10.0
"""How long a create without an answer may still arrive. Past that, or past its expiry, an order that is not listed never came."""


@attrs.frozen(slots=True)
class Change:
    """What one event did. `order` is None where the table does not know the order. `fresh` is False where the event was told before."""

    order: Working | None
    before: State | None
    after: State | None
    fresh: bool


@attrs.frozen(slots=True)
class Findings:
    """What a complete list of the venue showed against the table.

    `orphans` rest and should not: unknown to the table, or gone from it with proof longer ago than lists lag; they are to be cancelled.
    `missing` are in the table and not listed, and not yet proved gone. `gone` were proved gone by this list. `fills` are fills in the list
    that the table had not seen, its own and strangers' alike.
    """

    orphans: tuple[Resting, ...]
    missing: tuple[Working, ...]
    gone: tuple[Working, ...]
    fills: tuple[Fill, ...]


class OrderTable:
    """Every order that may still rest or fill, by client id, by order id and by market, and recently gone ones."""

    def __init__(self) -> None:
        self._orders: dict[str, Working] = {}
        self._by_order_id: dict[str, Working] = {}
        self._by_market: dict[str, dict[str, Working]] = {}

    # What is in it

    def __len__(self) -> int:
        return len(self._orders)

    def __iter__(self) -> Iterator[Working]:
        return iter(self._orders.values())

    def get(self, client_id: str, order_id: str = "") -> Working | None:
        """By client id, else by order id: fills of a venue's list carry no client id."""
        return self._orders.get(client_id) or self._by_order_id.get(order_id)

    def of(self, market: str) -> tuple[Working, ...]:
        """Every order of a market, gone ones included until they are forgotten, in order of entry."""
        return tuple(self._of(market))

    def live(self, market: str | None = None) -> tuple[Working, ...]:
        """Every order that may rest: sent and not proved gone."""
        return tuple(w for w in self._of(market) if w.state not in (State.INTENDED, State.GONE))

    def unresolved(self, market: str | None = None) -> tuple[Working, ...]:
        """Every order with something in flight, unknown or owed."""
        return tuple(w for w in self._of(market) if not w.resolved)

    def reserved(self, market: str, side: Side) -> Count:
        """The most that may yet be filled on one side of a market, orders not yet sent included."""
        return sum(w.reserved for w in self._of(market) if w.order.side is side)

    def _of(self, market: str | None) -> Iterable[Working]:
        return self._orders.values() if market is None else self._by_market.get(market, {}).values()

    # What we do

    def intend(self, order: Order, at: float) -> Working:
        """Enter an order that is about to be made durable. LocalError where its client id was used before: ids are never freed."""
        return self._enter(Working(order, State.INTENDED, at, expires_at=order.expires_at))

    def recover(self, order: Order, at: float) -> Working:
        """Enter an intent of an earlier incarnation, of which nobody knows what became."""
        return self._enter(Working(order, State.UNKNOWN, at, expires_at=order.expires_at, sent_at=at))

    def sent(self, client_id: str, at: float) -> Working:
        """Its bytes are out."""
        working = self._ours(client_id, Input.SEND, at)
        working.sent_at = at
        return working

    def withdrawn(self, client_id: str, at: float) -> Working:
        """It was refused in the step that would have sent it."""
        return self._ours(client_id, Input.WITHDRAW, at)

    def amending(self, client_id: str, expires_at: float, at: float) -> Working:
        """Its renewal is out. The later of both expiries counts until the venue has answered."""
        working = self._ours(client_id, Input.AMEND, at)
        working.expires_at = max(working.expires_at, expires_at)
        return working

    def cancelling(self, client_id: str, at: float) -> Working:
        """Its cancel is out. LocalError where the venue's id is not known: nothing can be cancelled by an id that we do not have."""
        working = self.get(client_id)
        if working is not None and not working.order_id:
            raise LocalError(f"{client_id} cannot be cancelled by id before the venue has told its order id")
        return self._ours(client_id, Input.CANCEL, at)

    def _enter(self, working: Working) -> Working:
        client_id = working.order.client_id
        if client_id in self._orders:
            raise LocalError(f"client id {client_id} was used before; the venue never frees one")
        self._orders[client_id] = working
        self._by_market.setdefault(working.order.market, {})[client_id] = working
        return working

    def _ours(self, client_id: str, what: Input, at: float) -> Working:
        working = self._orders.get(client_id)
        if working is None:
            raise LocalError(f"{what.value}: there is no order {client_id} in the table")
        working.does(what, at)
        return working

    # What the venue says

    def apply(self, event: Event) -> Change:
        """Take in one word of the venue, in any order, however often. A fill is counted once, by its `fill_id`."""
        working = self.get(event.client_id, event.order_id)
        if working is None:
            return Change(None, None, None, True)
        if event.order_id and not working.order_id:
            self._named(working, event.order_id)
        before = working.state
        what, fresh = _read(working, event)
        if fresh:
            working.hears(what, event.at)
            if isinstance(event, Done | Gone) and what in (Input.CANCELLED, Input.TAKEN_OFF):
                working.owed = max(0, working.remaining - event.reduced)
        return Change(working, before, working.state, fresh)

    def _named(self, working: Working, order_id: str) -> None:
        working.order_id = order_id
        self._by_order_id[order_id] = working

    # Reconciliation

    def adopt(self, found: Resting, asked_at: float) -> Working:
        """Enter an order that the venue lists and the table does not know, so that it counts until it is gone; a known one is updated.

        `asked_at` is when the list was asked for: fills up to then are taken to be in what the list says is filled. The order's fence is
        -1, which is never current, as nobody knows under which it was decided. Without a client id it gets a made-up one.
        """
        working = self.get(found.client_id, found.order_id)
        if working is None:
            name, total = found.client_id or f"?{found.order_id}", found.count + found.filled
            order = Order(name, found.market, found.side, found.price, total, found.expires_at, -1, 0.0, 0.0)
            working = self._enter(Working(order, State.RESTING, asked_at, filled=found.filled, filled_until=asked_at))
        self._listed(working, found, asked_at)
        return working

    def _listed(self, working: Working, found: Resting, at: float) -> None:
        working.hears(Input.LISTED, at)
        self._named(working, found.order_id)
        working.acked, working.expires_at = True, found.expires_at

    def reconcile(self, resting: Sequence[Resting], fills: Sequence[Fill] | None, asked_at: float, at: float) -> Findings:
        """Hold the venue's own list against the table. `fills` None means that no complete list of fills came: then nothing is proved gone.

        An order is proved gone by its absence if the list was asked for long enough after our last word about it (`READ_LAG_S`, and
        `MAX_FLIGHT_S` for one that was never acked), if every fill is known, and if it is past its expiry or a second list, asked at least
        `READ_LAG_S` after the first, lacks it too. Listed orders that the table does not know are adopted, and returned as orphans.
        """
        news = [fill for fill in fills or () if self._news(fill)]
        orphans = [found for found in resting if self._orphan(found, asked_at, at)]
        listed = {found.order_id for found in resting}
        missing, gone = [], []
        for working in self.live():
            if working.order_id in listed:
                continue
            if fills is not None and self._absent(working, asked_at):
                working.hears(Input.ABSENT, at)
                gone.append(working)
            else:
                missing.append(working)
        if fills is not None:
            for working in self:
                if working.state is State.GONE and working.at + READ_LAG_S <= asked_at:
                    working.owed = 0
        return Findings(tuple(orphans), tuple(missing), tuple(gone), tuple(news))

    def _news(self, fill: Fill) -> bool:
        return self.apply(fill).fresh

    def _orphan(self, found: Resting, asked_at: float, at: float) -> bool:
        known = self.get(found.client_id, found.order_id)
        if known is None:
            self.adopt(found, asked_at)
            return True
        if known.state is State.GONE and known.proof is not Proof.ABSENT:
            return known.at + READ_LAG_S < asked_at
        if known.at <= asked_at:
            self._listed(known, found, at)
        return False

    def _absent(self, working: Working, asked_at: float) -> bool:
        """Whether this list, the order not being in it, proves the order gone."""
        wait = READ_LAG_S if working.order_id else MAX_FLIGHT_S
        expired = working.expires_at + READ_LAG_S <= asked_at
        if asked_at < working.at + READ_LAG_S or (asked_at < working.sent_at + wait and not expired):
            return False
        if working.absent_at is None:
            working.absent_at = asked_at
        return expired or asked_at >= working.absent_at + READ_LAG_S

    def forget(self, before: float) -> int:
        """Drop orders that were gone before `before` (world unix s) with nothing owed; how many. Nothing that may yet fill is dropped."""
        old = [w for w in self if w.state is State.GONE and not w.owed and w.at < before]
        for working in old:
            client_id, market = working.order.client_id, working.order.market
            del self._orders[client_id]
            self._by_order_id.pop(working.order_id, None)
            del self._by_market[market][client_id]
            if not self._by_market[market]:
                del self._by_market[market]
        return len(old)


def _read(working: Working, event: Event) -> tuple[Input, bool]:
    """The table's name for an event, and whether it is news. A fill is booked here, for what it means depends on what remains."""
    match event:
        case Fill():
            fresh = event.fill_id not in working.fills
            if fresh:
                working.fills.add(event.fill_id)
                working.filled += event.count if event.at > working.filled_until else 0
                working.owed = max(0, working.owed - event.count)
            return (Input.PART_FILLED if working.remaining else Input.FILLED), fresh
        case Done(action=Action.PLACE):
            # The first ack is news whatever came before it: the gateway compares fences on ack.
            fresh, working.acked = not working.acked, True
            return Input.PLACED, fresh
        case Done():
            what = _DONE[event.action]
        case Rejected():
            what = _REJECTED[event.action]
        case Unknown():
            what = _UNKNOWN[event.action]
        case Gone():
            what = Input.TAKEN_OFF
    return what, working.is_news(what)
