"""The gateway's desk: what is wanted against what rests, as values; no messages, no wire, no clock.

For each side of a market it answers with one `Move`. It holds the wanted quotes, the order table and the portfolio, and it is where the
anchor, the fence, freshness and the limits are asked, both when an order is first meant and in the step that writes it.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping

import attrs

from actors.messages import Exposure, Quote, TopOfBook
from chimera.conventions import CENT, Count, Money, Price, Side, cents
from chimera.markets import Market
from chimera.trading import limits
from chimera.trading.daybook import DayBook, DayLoss
from chimera.trading.kill import KillRegister
from chimera.trading.limits import Caps, Holding, LimitsState, Place, Proposal
from chimera.trading.orders import OrderTable, State, Working
from chimera.trading.portfolio import Portfolio
from chimera.trading.reasons import Reason
from chimera.trading.venue import Order

WORTH_THE_QUEUE: Price = 2 * CENT
"""A quote that could be this much more aggressive is worth losing its place in the queue; less is not."""
P_NEWS = 0.0025
"""A move of p_true by this much is remembered with the decision to do nothing about it."""
RENEW_AT = 0.5
"""The share of its life after which an order is renewed."""


class Action(enum.StrEnum):
    """What is done about one side of one market; the value is part of the decision hash."""

    REFUSE = "refuse"
    PLACE = "place"
    KEEP = "keep"
    RENEW = "renew"
    CANCEL = "cancel"
    WITHDRAW = "withdraw"


@attrs.frozen(slots=True)
class Move:
    """One step towards what is wanted. `orders` are the ones it is about; `price` and `count` what is to rest, 0 where nothing is."""

    action: Action
    reason: Reason
    market: str
    side: Side
    quote: Quote | None
    price: Price = 0
    count: Count = 0
    orders: tuple[Working, ...] = ()


@attrs.frozen(slots=True)
class Intention:
    """An order that waits for the journal, with the quote it came from and the edge of the keep-band it would hold."""

    order: Order
    quote: Quote
    bound: float
    at: float

    def move(self, action: Action, reason: Reason) -> Move:
        order = self.order
        return Move(action, reason, order.market, order.side, self.quote, order.price, order.count)


def _wanted(quote: Quote, side: Side) -> Price | None:
    return quote.bid if side is Side.BID else quote.ask


def _edge(quote: Quote, side: Side) -> float:
    return quote.bid_edge if side is Side.BID else quote.ask_edge


def _eagerness(side: Side, price: Price) -> int:
    """Prices of one side, ordered so that more is more aggressive."""
    return side.sign * price


def anchored(side: Side, price: Price, p_true: float, required_edge: float) -> bool:
    """The rule that nothing may break: no bid above 100 p_true - required edge, no ask below 100 p_true + required edge, in cents."""
    return side.sign * (cents(price) - 100.0 * p_true) + required_edge <= 1e-9


def within_anchor(order: Order) -> bool:
    """Whether an order keeps the rule by what it was decided under."""
    return anchored(order.side, order.price, order.p_true, order.required_edge)


class Desk:
    """Quotes, orders and positions of every listed market. `cash` is the account's at the start, in 1e-6 dollars.

    `day` knows what each unit had made when the day began; it outlives the desk, so that no restart forgets what was lost today.
    """

    def __init__(
        self, register: KillRegister, caps: Caps, expiry: Mapping[str, float], write_capacity: int, cash: Money, day: DayBook
    ) -> None:
        self._register = register
        self._caps = caps
        self._expiry = expiry
        self._write_capacity = write_capacity
        self.table = OrderTable()
        self.portfolio = Portfolio(cash)
        self._day = day
        self._lost = DayLoss()
        self._markets: dict[str, Market] = {}
        self._places: dict[str, Place] = {}
        self._outcomes: dict[str, limits.Outcomes] = {}
        self._wants: dict[str, Quote] = {}
        self._intentions: dict[str, Intention] = {}
        self._bounds: dict[str, float] = {}
        self._told: dict[tuple[str, Side], tuple[Action, Reason, Price, float]] = {}

    # What is known

    def list_markets(self, markets: Iterable[Market]) -> tuple[tuple[str, Count], ...]:
        """Take the whole listing; the markets that are new in it, with the size of their orders.

        A market that is no longer listed keeps its place, so that what it holds still counts.
        """
        self._markets = {market.ticker: market for market in markets}
        fresh = tuple((m.ticker, self._caps.domains[m.domain].size) for m in self._markets.values() if m.ticker not in self._places)
        self._places |= {m.ticker: Place(m.domain, m.unit, m.event) for m in self._markets.values()}
        events: dict[str, list[str]] = {}
        for market in self._markets.values():
            events.setdefault(market.event, []).append(market.ticker)
        # Two markets of one game are its two teams: exactly one pays.
        self._outcomes |= {event: limits.one_of(tickers, exhaustive=len(tickers) > 1) for event, tickers in events.items()}
        return fresh

    def want(self, quote: Quote) -> None:
        self._wants[quote.market] = quote

    def drop(self, ticker: str) -> None:
        """The market is settled: nothing is wanted in it any more."""
        self._wants.pop(ticker, None)

    def expiry(self, ticker: str) -> float:
        """How long an order of this market lives, in world seconds."""
        return self._expiry[self._places[ticker].domain]

    def busy(self) -> tuple[str, ...]:
        """The markets with an order that may rest or is about to."""
        return tuple(sorted({working.order.market for working in self.table if working.state is not State.GONE}))

    # Deciding

    def decide(self, ticker: str, side: Side, now: float, refusal: Reason | None) -> Move | None:
        """The next step for one side; None where there is nothing to say. `refusal` is the gateway's own, if it may place nothing."""
        quote = self._wants.get(ticker)
        working = [w for w in self.table.of(ticker) if w.order.side is side and w.state is not State.GONE]
        if quote is None and not working:
            return None
        refusal = refusal or self._refusal(quote, now)
        price = None if refusal is not None or quote is None else _wanted(quote, side)
        if price is not None and quote is not None and not anchored(side, price, quote.p_true, _edge(quote, side)):
            price, refusal = None, Reason.ABOVE_ANCHOR
        reason = refusal or (quote.why.reason(side) if quote is not None else None) or Reason.WITHDRAWN
        if not working:
            return self._first(quote, side, price, reason, now)
        return self._change(quote, ticker, side, price, reason, working, now)

    def _refusal(self, quote: Quote | None, now: float) -> Reason | None:
        """Why nothing may rest in a market now; the first part of readiness that fails."""
        if quote is None or quote.market not in self._markets:
            return Reason.NOT_LISTED
        if not self._markets[quote.market].trading(now):
            return Reason.MARKET_CLOSED
        trip = self._register.blocking(quote.market)
        if trip is not None:
            return Reason.LATCHED if trip.latched else Reason.HELD
        if quote.fence != self._register.fence(quote.market):
            return Reason.STALE_FENCE
        if now - quote.fair_at > self._caps.domains[self._places[quote.market].domain].quote_age:
            return Reason.QUOTE_STALE
        return None

    def _first(self, quote: Quote | None, side: Side, price: Price | None, reason: Reason, now: float) -> Move | None:
        if quote is None:
            return None
        if price is None:
            return Move(Action.REFUSE, reason, quote.market, side, quote)
        broken = limits.check(self._proposal(quote, side, price, quote.size, now), self._limits())
        if broken is not None:
            return Move(Action.REFUSE, broken, quote.market, side, quote)
        return Move(Action.PLACE, Reason.PLACED, quote.market, side, quote, price, quote.size)

    def _change(
        self, quote: Quote | None, ticker: str, side: Side, price: Price | None, reason: Reason, working: list[Working], now: float
    ) -> Move:
        """What to do about orders that are there: at most one may rest, and nothing is replaced before it is proved gone."""
        resting = [w for w in working if w.state in (State.RESTING, State.AMEND_SENT) and w.order_id]
        intended = [w for w in working if w.state is State.INTENDED]
        if intended and (price is None or intended[0].order.price != price):
            return Move(Action.WITHDRAW, reason, ticker, side, quote, orders=tuple(intended))
        if price is None and resting:
            return Move(Action.CANCEL, reason, ticker, side, quote, orders=tuple(resting))
        if len(working) > len(resting) or price is None:
            return Move(Action.KEEP, Reason.IN_FLIGHT, ticker, side, quote)
        first, extra = resting[0], tuple(resting[1:])
        if extra:
            return Move(Action.CANCEL, Reason.ORPHAN, ticker, side, quote, orders=extra)
        gain = _eagerness(side, price) - _eagerness(side, first.order.price)
        if gain < 0 or gain >= WORTH_THE_QUEUE or self.overtaken(first):
            return Move(Action.CANCEL, Reason.REPLACED, ticker, side, quote, orders=(first,))
        half = self.expiry(ticker) * RENEW_AT
        if first.state is State.RESTING and first.expires_at - now <= half:
            return Move(Action.RENEW, Reason.RENEWED, ticker, side, quote, first.order.price, first.remaining, (first,))
        return Move(Action.KEEP, Reason.KEPT, ticker, side, quote, first.order.price, first.remaining)

    def overtaken(self, working: Working) -> bool:
        """Whether an order that is not gone may rest no more: a trip has come over its market since it was decided."""
        order = working.order
        if working.state is State.GONE:
            return False
        return order.fence != self._register.fence(order.market) or self._register.blocking(order.market) is not None

    # From intent to wire

    def intend(self, move: Move, client_id: str, now: float) -> Intention:
        """Enter an order that must be durable before it leaves."""
        quote = move.quote
        assert quote is not None
        order = Order(
            client_id, move.market, move.side, move.price, move.count, now + self.expiry(move.market), quote.fence,
            quote.p_true, _edge(quote, move.side), quote.trace,
        )  # fmt: skip
        bound = quote.keep[0] if move.side is Side.BID else quote.keep[1]
        intention = Intention(order, quote, bound, now)
        self.table.intend(order, now)
        self._intentions[client_id] = intention
        return intention

    def intention(self, client_id: str) -> Intention | None:
        """An order that is durable now and still meant; None if it was withdrawn, or meant by an earlier incarnation."""
        return self._intentions.get(client_id)

    def withdraw(self, client_id: str, now: float) -> None:
        if self._intentions.pop(client_id, None) is not None:
            self.table.withdrawn(client_id, now)

    def forbids(self, intention: Intention, now: float) -> Reason | None:
        """What forbids an order in the step that would write it."""
        order, quote = intention.order, self._wants.get(intention.order.market)
        refusal = self._refusal(quote, now)
        if refusal is not None:
            return refusal
        if order.fence != self._register.fence(order.market):
            return Reason.STALE_FENCE
        assert quote is not None
        wanted = _wanted(quote, order.side)
        if wanted is None or _eagerness(order.side, order.price) > _eagerness(order.side, wanted):
            return quote.why.reason(order.side) or Reason.WITHDRAWN
        if not within_anchor(order):
            return Reason.ABOVE_ANCHOR
        proposal = self._proposal(quote, order.side, order.price, order.count, now)
        return limits.check(proposal, self._limits(leaving_out=order.client_id))

    def keep(self, intention: Intention) -> None:
        """The order is on its way: write the band of p_true in which the market keeps its edge."""
        client_id = intention.order.client_id
        self._bounds[client_id] = intention.bound
        self._intentions.pop(client_id, None)
        self.refresh_band(intention.order.market)

    def refresh_band(self, ticker: str) -> None:
        """Narrow the register's band to what may rest now; clear it where nothing may."""
        lowest, highest, found = -math.inf, math.inf, False
        for working in self.table.live(ticker):
            bound = self._bounds.get(working.order.client_id)
            if bound is None or working.state is State.CANCEL_SENT:
                continue
            found = True
            if working.order.side is Side.BID:
                lowest = max(lowest, bound)
            else:
                highest = min(highest, bound)
        if found:
            self._register.keep(ticker, lowest, highest)
        else:
            self._register.clear(ticker)
        if len(self._bounds) > 2 * len(self.table) + 64:
            self._bounds = {w.order.client_id: self._bounds[w.order.client_id] for w in self.table if w.order.client_id in self._bounds}

    def affirmed(self, move: Move) -> tuple[int, float, float]:
        """What a renewal re-affirms its order under: the fence, p_true and the required edge (cents) of the present quote."""
        assert move.quote is not None
        return move.quote.fence, move.quote.p_true, _edge(move.quote, move.side)

    # Cancels

    def cancellable(self, ticker: str) -> tuple[Working, ...]:
        """What rests in a market and has no cancel under way."""
        return tuple(w for w in self.table.live(ticker) if w.order_id and w.state in (State.RESTING, State.AMEND_SENT, State.UNKNOWN))

    def unanswered(self, before: float) -> tuple[Working, ...]:
        """Cancels sent before `before` of which nothing was heard."""
        return tuple(w for w in self.table.live() if w.state is State.CANCEL_SENT and w.at < before and w.order_id)

    # What is told

    def news(self, move: Move) -> bool:
        """Whether a move is worth remembering: everything that acts, and a refusal or a keep only where it or p_true is a new one."""
        key, p_true = (move.market, move.side), 0.0 if move.quote is None else move.quote.p_true
        before = self._told.get(key)
        same = before is not None and before[:3] == (move.action, move.reason, move.price) and abs(before[3] - p_true) < P_NEWS
        if same and move.action in (Action.REFUSE, Action.KEEP):
            return False
        self._told[key] = (move.action, move.reason, move.price, p_true)
        return True

    def tripped(self, ticker: str) -> None:
        """A trip has cancelled the market: whatever is decided next is news."""
        for side in Side:
            self._told.pop((ticker, side), None)

    # Totals and limits

    def mark(self, top: TopOfBook) -> None:
        """Remember what a market's positions fetch. A book that is not to be believed, or is empty, says nothing of it."""
        if top.synced and not (top.bid is None and top.ask is None):
            self.portfolio.mark(top.market, top.bid, top.ask)

    def exposure(self, at: float) -> Exposure:
        """The totals now; also what the limits know of the day's losses from here on."""
        profits: dict[str, Money] = {}
        for ticker, position in self.portfolio.positions.items():
            unit = self._places[ticker].unit if ticker in self._places else ticker
            profits[unit] = profits.get(unit, 0) + position.flow - position.fees + position.mark
        self._lost = self._day.loss(profits, at)
        pnl = self.portfolio.pnl()
        return Exposure(pnl.settled, pnl.marked, pnl.fees, self._lost.total, len(self.table.live()), at)

    def _proposal(self, quote: Quote, side: Side, price: Price, count: Count, now: float) -> Proposal:
        return Proposal(quote.market, side, price, count, quote.fair_at, now)

    def _limits(self, leaving_out: str = "") -> LimitsState:
        """All that limits depend on, as it is in this step."""
        working: dict[str, list[limits.Working]] = {}
        for w in self.table:
            if w.reserved and w.order.client_id != leaving_out:
                working.setdefault(w.order.market, []).append(limits.Working(w.order.side, w.order.price, w.reserved))
        # A stranger's order in a market that was never listed counts as a unit and an event of its own until it is gone.
        places = self._places | {ticker: Place("", ticker, ticker) for ticker in working if ticker not in self._places}
        held = self.portfolio.positions.items()
        holdings = {ticker: Holding(p.count, p.flow - p.fees) for ticker, p in held if p.settled is None and ticker in self._places}
        lost = self._lost
        return LimitsState(self._caps, places, holdings, working, self._outcomes, lost.total, lost.units, self._write_capacity)
