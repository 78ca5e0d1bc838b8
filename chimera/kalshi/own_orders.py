"""What the exchange has said of our own orders, kept beside the requests, and written to the venue's log as it is learnt.

Three sources speak of one order, in any order and more than once: the answer to a request, the private stream, and the lists. Each word is
taken once. The log's lines come in an order that makes sense (an order is accepted before it is filled), whichever source was first; an
order that no line of the log ever sent is somebody else's, and is never written there. No I/O but the log's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from chimera.conventions import Count, Money, Price, Side, complement, cost
from chimera.trading import venue_log as log
from chimera.trading.venue import Fill, Order


@attrs.define(slots=True, eq=False)
class Own:
    """One order. `touched` is when (world s) it was last heard of; `void` means that a trip overtook it before its bytes had left."""

    client_id: str
    market: str
    side: Side
    price: Price
    count: Count
    touched: float
    order_id: str = ""
    filled: Count = 0
    gone: bool = False
    void: bool = False

    @property
    def left(self) -> Count:
        """What may still rest of it."""
        return 0 if self.gone else max(0, self.count - self.filled)


class OwnOrders:
    """Our orders by client id and by the exchange's id. `lines` are what earlier processes wrote to the same log."""

    def __init__(self, journal: log.VenueLog, lines: Iterable[log.Line] = ()) -> None:
        self._log = journal
        self._by_client: dict[str, Own] = {}
        self._by_order: dict[str, Own] = {}
        self._fills: set[str] = set()
        self._positions: dict[str, Count] = {}
        for line in lines:
            self._restore(line)

    def _restore(self, line: log.Line) -> None:
        match line:
            case log.Sent():
                own = Own(line.client_id, line.market, line.side, line.price, line.count, line.at)
                self._by_client[own.client_id] = own
            case log.Accepted():
                self._name(self._by_client[line.client_id], line.order_id)
            case log.Left():
                self._by_client[line.client_id].gone = True
            case log.Filled():
                self._fills.add(line.fill_id)
                self._book(self._by_client[line.client_id], line.count)
            case log.Refused(action="place"):
                self._by_client[line.client_id].gone = True
            case log.Settled():
                self._positions.pop(line.market, None)
            case _:
                pass

    # Who is who

    def get(self, client_id: str, order_id: str = "") -> Own | None:
        """By client id, else by the exchange's id: its lists of fills name no client id."""
        return self._by_client.get(client_id) or self._by_order.get(order_id)

    def live(self) -> Iterator[Own]:
        """What may rest: sent, and not gone."""
        return (own for own in self._by_client.values() if not own.gone)

    # What we do

    def send(self, order: Order, now: float) -> Own:
        """An order is on its way."""
        self._log.add(
            log.Sent(
                at=now, client_id=order.client_id, market=order.market, side=order.side, price=order.price, count=order.count,
                expires_at=order.expires_at, fence=order.fence, p_true=order.p_true, required_edge=order.required_edge, trace=order.trace,
            )
        )  # fmt: skip
        own = Own(order.client_id, order.market, order.side, order.price, order.count, now)
        self._by_client[order.client_id] = own
        return own

    # What the exchange says

    def accepted(self, own: Own, order_id: str, at: float) -> bool:
        """It rests, or has rested. Whether that was news."""
        own.touched = at
        if own.order_id:
            return False
        own.gone = False
        self._name(own, order_id)
        self._log.add(log.Accepted(at=at, client_id=own.client_id, order_id=order_id, market=own.market))
        return True

    def refused(self, own: Own, action: str, code: str, at: float) -> None:
        """A request about it had no effect; a place that was refused is its end."""
        own.touched = at
        own.gone = own.gone or (action == "place" and not own.order_id)
        self._log.add(
            log.Refused(at=at, client_id=own.client_id, market=own.market, action=action, code=code, order_id=own.order_id)
        )

    def renewed(self, own: Own, expires_at: float, at: float) -> None:
        own.touched = at
        self._log.add(
            log.Renewed(at=at, client_id=own.client_id, order_id=own.order_id, market=own.market, expires_at=expires_at)
        )

    def left(self, own: Own, why: str, reduced: Count | None, at: float) -> bool:
        """It is off the book, `reduced` of it unfilled (None: whatever we thought was left). Whether that was news."""
        own.touched = at
        if own.gone:
            return False
        unfilled = own.left if reduced is None else reduced
        own.gone = True
        if own.order_id:
            self._log.add(
                log.Left(at=at, client_id=own.client_id, order_id=own.order_id, market=own.market, why=why, reduced=unfilled)
            )
        return True

    def filled(self, fill: Fill) -> bool:
        """One execution. Whether it was news; one of a stranger's order is news once, and is not logged."""
        if fill.fill_id in self._fills:
            return False
        self._fills.add(fill.fill_id)
        own = self.get(fill.client_id, fill.order_id)
        if own is None:
            return True
        self.accepted(own, fill.order_id, fill.at)
        self._book(own, fill.count)
        self._log.add(
            log.Filled(
                at=fill.at, fill_id=fill.fill_id, client_id=own.client_id, order_id=own.order_id, market=own.market, side=own.side,
                price=fill.price, count=fill.count, left=own.left, fee=fill.fee, is_taker=fill.is_taker,
            )
        )  # fmt: skip
        return True

    def settled(self, market: str, value: Price, at: float) -> None:
        """A market has paid."""
        held = self._positions.pop(market, 0)
        paid: Money = cost(value, held) if held > 0 else cost(complement(value), -held)
        self._log.add(log.Settled(at=at, market=market, value=value, paid=paid))

    def _name(self, own: Own, order_id: str) -> None:
        own.order_id = order_id
        self._by_order[order_id] = own

    def _book(self, own: Own, count: Count) -> None:
        own.filled += count
        own.gone = own.gone or own.filled >= own.count
        self._positions[own.market] = self._positions.get(own.market, 0) + own.side.sign * count
