"""The paper exchange: orders that rest in the real book without being there, filled as a live order would be or later, never sooner.

A pure state machine over Kalshi's public frames; no clock, no chance, no I/O. What makes it honest:

- *Queue.* Only what a trade at its price has left after the queue fills an order; `paper_queue` says how the queue is judged.
- *Adverse moves.* A trade through the order's price fills it whatever the queue, as far as the trade goes. When the other side of the book
  reaches its price, also over a gap in the stream, it is filled in full.
- *Price, fees, post-only.* A fill is at the order's own price, at the maker's exact fee, or the taker's where the fee is unknown. An order
  that would cross the book when it arrives, our own orders included, is rejected.
- *Bars* (worlds derived from minute bars): an order fills only from a bar that began after it rested and traded strictly through its price,
  and all orders together from at most the bar's volume. Such fills say `derived`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from chimera.conventions import DOLLAR, ONE, Count, Money, Price, Side, outlay
from chimera.errors import ConfigError
from chimera.fees import RATE, fee_rate
from chimera.markets import Market
from chimera.trading import venue_log as log
from chimera.trading.paper_queue import Queued, View, reaches
from chimera.trading.portfolio import Portfolio
from chimera.trading.venue import Action, Done, Fill, Gone, Order, Outcome, Rejected, Resting

STARTING_CASH: Money = 1_000 * DOLLAR

POST_ONLY_CROSS = "invalid_order: post only cross"
ID_USED = "order_already_exists"
NOT_FOUND = "not_found"
NO_CASH = "insufficient_balance"
BAD_PRICE = "invalid_price"
BAD_ORDER = "invalid_order"
MARKET_CLOSED = "market_inactive"
EXPIRED, CLOSED, FIRED = "ExpiryCancel", "CloseCancel", "Fired"


class PaperExchange:
    """Our orders, positions and cash on paper. It belongs to the system: no actor's death touches it.

    Fills and departures that nobody asked for go to `tell`, at once; outcomes of requests are returned. A market that was never listed has
    no known grid and no known fee: it trades at any price, at the taker's fee. Times are world unix seconds; each call gives its own.
    """

    def __init__(self, journal: log.VenueLog, cash: Money = STARTING_CASH) -> None:
        self._log = journal
        self.tell: Callable[[Fill | Gone], None] = lambda event: None
        self.portfolio = Portfolio(cash)
        self._markets: dict[str, Market] = {}
        self._views: dict[str, View] = {}
        self._own: dict[str, Queued] = {}
        self._used: set[str] = set()
        self._expiries: list[tuple[float, str]] = []
        self._fills: list[Fill] = []
        self._accepted = 0

    def open(self, at: float, lines: Iterable[log.Line] = ()) -> None:
        """Begin, or go on from the log of earlier processes: positions, cash, what still rests, and every client id ever used.

        What rested keeps its order but not its place: the queue before it is the whole level of the next book. ConfigError where the lines
        do not follow from each other.
        """
        sent: dict[str, log.Sent] = {}
        for line in lines:
            try:
                self._replay(line, sent)
            except KeyError as missing:
                raise ConfigError(f"line {line.seq} of the venue log speaks of {missing}, which no line before it names") from None
        self._log.add(log.Opened(at=at, cash=self.portfolio.cash))
        self.expire(at)

    def _replay(self, line: log.Line, sent: dict[str, log.Sent]) -> None:
        match line:
            case log.Opened() if not sent and not self._accepted:
                self.portfolio.cash = line.cash
            case log.Sent():
                sent[line.client_id] = line
                self._used.add(line.client_id)
            case log.Accepted():
                self._rest(_order(sent[line.client_id]), line.order_id, line.at)
            case log.Renewed():
                self._expire_at(self._own[line.order_id], line.expires_at)
            case log.Left():
                self._drop(self._own[line.order_id])
            case log.Filled():
                self._book(self._own[line.order_id], _fill(line))
            case log.Settled():
                self.portfolio.settle(line.market, line.value)
                self._view(line.market).closed = True
            case _:
                pass

    # Requests, as they arrive

    def place(self, order: Order, at: float) -> Outcome:
        """An order arrives. It rests, or is rejected; its client id is used up either way."""
        code = self._refusal(order, at)
        self._used.add(order.client_id)
        if code:
            return self._refused(order.client_id, "", order.market, Action.PLACE, at, code, order.trace)
        own = self._rest(order, f"P{self._accepted + 1}", at)
        view = self._view(order.market)
        self._log.add(
            log.Accepted(
                at=at, client_id=order.client_id, order_id=own.order_id, market=order.market,
                bid=view.best(Side.BID), ask=view.best(Side.ASK), ahead=own.ahead,
            )
        )  # fmt: skip
        return Done(order.client_id, own.order_id, order.market, Action.PLACE, at, 0, order.trace)

    def _refusal(self, order: Order, at: float) -> str:
        view, market = self._view(order.market), self._markets.get(order.market)
        if order.client_id in self._used:
            return ID_USED
        if view.closed or (market is not None and not market.trading(at)):
            return MARKET_CLOSED
        if not (0 < order.price < ONE if market is None else market.grid.valid(order.price)):
            return BAD_PRICE
        if order.count <= 0 or order.expires_at <= at:
            return BAD_ORDER
        others = [view.best(order.side.other), *(own.order.price for own in view.own if own.order.side is order.side.other)]
        if any(reaches(order.side, order.price, price) for price in others):
            return POST_ONLY_CROSS
        return "" if self._affords(order) else NO_CASH

    def amend(self, order_id: str, client_id: str, market: str, expires_at: float, at: float) -> Outcome:
        """A renewal arrives: the order keeps its place and gets a new expiry."""
        own = self._own.get(order_id)
        if own is None or expires_at <= at:
            code = NOT_FOUND if own is None else BAD_ORDER
            return self._refused(client_id, order_id, market, Action.AMEND, at, code)
        self._expire_at(own, expires_at)
        self._log.add(log.Renewed(at=at, client_id=client_id, order_id=order_id, market=market, expires_at=expires_at))
        return Done(client_id, order_id, market, Action.AMEND, at)

    def cancel(self, order_id: str, client_id: str, market: str, at: float) -> Outcome:
        """A cancel arrives. An order that is not there is "not found", whether it was cancelled, filled or never came."""
        own = self._own.get(order_id)
        if own is None:
            return self._refused(client_id, order_id, market, Action.CANCEL, at, NOT_FOUND)
        self._leaves(own, "Cancel", at)
        return Done(client_id, order_id, market, Action.CANCEL, at, own.remaining)

    def fire(self, markets: Collection[str] | None, at: float) -> None:
        """A trip's cancels arrive: everything in these markets leaves, everything at all where None."""
        for own in [own for own in self._own.values() if markets is None or own.order.market in markets]:
            self._gone(own, FIRED, at)

    def _refused(
        self, client_id: str, order_id: str, market: str, action: Action, at: float, code: str, trace: int = 0
    ) -> Rejected:
        self._log.add(log.Refused(at=at, client_id=client_id, market=market, action=action.value, code=code, order_id=order_id))
        return Rejected(client_id, order_id, market, action, at, code, trace)

    # The market, as it is shown

    def list_markets(self, markets: Iterable[Market], at: float) -> None:
        """What the exchange trades: grids, fees, and when each market closes. One that has stopped trading loses what rests in it."""
        for market in markets:
            self._markets[market.ticker] = market
            if not market.trading(at) and market.ticker in self._views:
                self._sweep(market.ticker, at)

    def on_book(
        self, market: str, bids: Iterable[tuple[Price, Count]], asks: Iterable[tuple[Price, Count]], at: float, *, derived: bool = False
    ) -> None:
        """A whole book. `derived`: it was made from bars; then only bars fill, and the book serves the post-only rule alone."""
        view = self._view(market)
        view.derived = derived
        view.replace(bids, asks, at)
        self._cross(view, at)

    def on_delta(self, market: str, side: Side, price: Price, change: Count, at: float) -> None:
        """One level changes. Left out until a book has been shown."""
        view = self._views.get(market)
        if view is not None and view.synced:
            view.change(side, price, change, at)
            self._cross(view, at)

    def _cross(self, view: View, at: float) -> None:
        for own in view.crossed():
            self._execute(own, own.remaining, at)

    def on_lost(self, market: str, at: float) -> None:
        """The market's frames have a gap: its book is not to be believed until the next whole one. Orders rest on."""
        self._view(market).synced = False

    def on_trade(self, market: str, price: Price, count: Count, taker: Side, at: float) -> None:
        """A public trade of `count` at `price`; `taker` is the side of the book the taker's order was on."""
        view = self._views.get(market)
        if view is not None and view.own:
            for own, filled in list(view.traded(price, count, taker, at)):
                self._execute(own, filled, at)

    def on_bar(self, market: str, start: float, end: float, low: Price, high: Price, volume: Count, at: float) -> None:
        """All trades of [start, end): they reached from `low` to `high`, `volume` in total."""
        view = self._views.get(market)
        for own in list(view.own) if view is not None else ():
            through = low < own.order.price if own.order.side is Side.BID else high > own.order.price
            if through and own.rested_at <= start and volume > 0:
                count = min(volume, own.remaining)
                volume -= count
                self._execute(own, count, at, derived=True)

    def settle(self, market: str, value: Price, at: float) -> Money:
        """Pay the market out at `value` per YES contract, and close it; the cash it brought. Settling it again changes nothing."""
        held = self.portfolio.positions.get(market)
        if held is not None and held.settled is not None:
            return 0
        paid = self.portfolio.settle(market, value)
        self._view(market).closed = True
        self._sweep(market, at)
        self._log.add(log.Settled(at=at, market=market, value=value, paid=paid))
        return paid

    def _sweep(self, market: str, at: float) -> None:
        for own in list(self._view(market).own):
            self._gone(own, CLOSED, at)

    # Executions and departures

    def _execute(self, own: Queued, count: Count, at: float, *, derived: bool = False) -> None:
        order = own.order
        market = self._markets.get(order.market)
        rate = None if market is None else fee_rate(market.fee, is_taker=False, at=at)
        fee = own.fees.charge(RATE if rate is None else rate, order.side, order.price, count)
        name = f"{own.order_id}-{own.fills + 1}"
        fill = Fill(name, order.client_id, own.order_id, order.market, order.side, order.price, count, fee, False, at, derived)
        self._book(own, fill)
        self._log.add(
            log.Filled(
                at=at, fill_id=name, client_id=order.client_id, order_id=own.order_id, market=order.market, side=order.side,
                price=order.price, count=count, left=own.remaining, fee=fee, derived=derived,
            )
        )  # fmt: skip
        self.tell(fill)

    def _book(self, own: Queued, fill: Fill) -> None:
        own.remaining -= fill.count
        own.fills += 1
        self.portfolio.apply(fill)
        self._fills.append(fill)
        if own.remaining == 0:
            self._drop(own)

    def _gone(self, own: Queued, why: str, at: float) -> None:
        self._leaves(own, why, at)
        self.tell(Gone(own.order.client_id, own.order_id, own.order.market, why, at, own.remaining))

    def _leaves(self, own: Queued, why: str, at: float) -> None:
        self._drop(own)
        order = own.order
        self._log.add(
            log.Left(at=at, client_id=order.client_id, order_id=own.order_id, market=order.market, why=why, reduced=own.remaining)
        )

    def _rest(self, order: Order, order_id: str, at: float) -> Queued:
        own = Queued(order, order_id, order.count, order.expires_at, at)
        self._accepted += 1
        self._own[order_id] = own
        self._view(order.market).join(own)
        self._expire_at(own, order.expires_at)
        return own

    def _drop(self, own: Queued) -> None:
        del self._own[own.order_id]
        self._views[own.order.market].own.remove(own)

    def _expire_at(self, own: Queued, expires_at: float) -> None:
        own.expires_at = expires_at
        market = self._markets.get(own.order.market)
        heapq.heappush(self._expiries, (expires_at if market is None else min(expires_at, market.close_at), own.order_id))

    def next_expiry(self) -> float | None:
        """When the next order expires or its market closes; None where none rests. May be early where an order was renewed."""
        while self._expiries and self._expiries[0][1] not in self._own:
            heapq.heappop(self._expiries)
        return self._expiries[0][0] if self._expiries else None

    def expire(self, now: float) -> None:
        """Sweep every order whose time, or whose market's, is over."""
        while (due := self.next_expiry()) is not None and due <= now:
            own = self._own[heapq.heappop(self._expiries)[1]]
            market = self._markets.get(own.order.market)
            if market is not None and market.close_at <= now:
                self._gone(own, CLOSED, now)
            elif own.expires_at <= now:
                self._gone(own, EXPIRED, now)

    # What it knows

    def _view(self, market: str) -> View:
        return self._views.setdefault(market, View())

    def resting(self) -> tuple[Resting, ...]:
        """Every order that rests, in order of arrival."""
        return tuple(
            Resting(
                own.order_id, own.order.client_id, own.order.market, own.order.side, own.order.price,
                own.remaining, own.order.count - own.remaining, own.expires_at,
            )
            for own in self._own.values()
        )  # fmt: skip

    def fills(self, since: float) -> tuple[Fill, ...]:
        """Every fill at or after `since`."""
        return tuple(fill for fill in self._fills if fill.at >= since)

    def queue(self, order_id: str) -> Count | None:
        """The queue before an order, for people; None where it does not rest, or no book shows it."""
        own = self._own.get(order_id)
        return None if own is None else own.ahead

    @property
    def free_cash(self) -> Money:
        """Cash that neither a short's collateral nor a resting order holds."""
        held = sum(self._reserved(market, view.own) for market, view in self._views.items() if view.own)
        return self.portfolio.cash - self.portfolio.collateral - held

    def _affords(self, order: Order) -> bool:
        mine = self._views[order.market].own
        more = self._reserved(order.market, [*mine, Queued(order, "", order.count, 0.0, 0.0)]) - self._reserved(order.market, mine)
        return more <= self.free_cash

    def _reserved(self, market: str, orders: Sequence[Queued]) -> Money:
        """What the orders of a market may cost. Closing a position costs nothing; the cheapest orders are taken to be the closing ones."""
        count, total = self.portfolio.count(market), 0
        for side in Side:
            free = max(0, -side.sign * count)
            for own in sorted((o for o in orders if o.order.side is side), key=lambda o: side.sign * o.order.price):
                paid = max(0, own.remaining - free)
                free = max(0, free - own.remaining)
                total += outlay(side, own.order.price, paid)
        return total

    def statistics(self) -> Mapping[str, int]:
        """For the console: orders at rest, fills, cash and fees (1e-6 $)."""
        return {
            "resting": len(self._own), "accepted": self._accepted, "fills": len(self._fills),
            "cash": self.portfolio.cash, "fees": self.portfolio.fees,
        }  # fmt: skip


def _order(sent: log.Sent) -> Order:
    what = (sent.client_id, sent.market, sent.side, sent.price, sent.count, sent.expires_at)
    p_true, edge = (math.nan if number is None else number for number in (sent.p_true, sent.required_edge))
    return Order(*what, sent.fence, p_true, edge, sent.trace)


def _fill(line: log.Filled) -> Fill:
    ids = (line.fill_id, line.client_id, line.order_id, line.market)
    return Fill(*ids, line.side, line.price, line.count, line.fee, line.is_taker, line.at, line.derived)
