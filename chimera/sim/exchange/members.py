"""The members of the exchange: their orders, fills and money, kept in step with the floor.

A member's order is a row here and an order in a book there; the floor's prints and cancels change both in one step. Whoever listens hears
of each change when it is whole: the order, the fill and the holding agree.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import attrs

from chimera.conventions import Count, Money, Price, Side
from chimera.fees import fee_rate
from chimera.markets import FeeTerms
from chimera.sim.exchange.engine import Change
from chimera.sim.exchange.floor import Contract, Floor, Life, Print
from chimera.sim.exchange.history import Dated
from chimera.sim.exchange.ledger import Claim, Holding, Ledger, requirement
from chimera.sim.exchange.orders import Fill, Own, Settlement


class MemberListener(Protocol):
    """Hears of a member's affairs, in the step in which they change. Must not raise."""

    def on_order(self, member: Member, order: Own, kind: str, at: float) -> None:
        """An order was `accepted`, `filled`, `canceled`, `amended` or `decreased`; it is shown as it is afterwards."""

    def on_fill(self, member: Member, fill: Fill, at: float) -> None: ...

    def on_holding(self, member: Member, holding: Holding, at: float) -> None: ...


@attrs.define(eq=False)
class Member:
    """One account: a name on the floor, an id, money, orders, fills and settlements. Client ids are used up for ever."""

    name: str
    user_id: str
    ledger: Ledger
    orders: Dated[str, Own] = attrs.field(factory=Dated)
    holdings: Dated[str, Holding] = attrs.field(factory=Dated)
    client_ids: set[str] = attrs.field(factory=set)
    fills: list[Fill] = attrs.field(factory=list)
    settlements: list[Settlement] = attrs.field(factory=list)
    resting: dict[str, dict[str, None]] = attrs.field(factory=dict)
    tail_until: float = float("-inf")

    def live(self, ticker: str | None = None) -> list[Own]:
        """The member's resting orders, of one market or all, oldest first."""
        rows = self.resting.get(ticker, {}) if ticker is not None else [key for rows in self.resting.values() for key in rows]
        return [self.orders.now[order_id] for order_id in rows]

    @property
    def open_orders(self) -> int:
        return sum(map(len, self.resting.values()))

    def _keep(self, order: Own, at: float) -> None:
        self.orders.put(order.order_id, order, at)
        rows = self.resting.setdefault(order.ticker, {})
        if order.live and order.remaining:
            rows[order.order_id] = None
        else:
            rows.pop(order.order_id, None)


class Members:
    """Every member, and the floor's listener that keeps them true. `terms` says what a market charges; `rng` draws ids."""

    def __init__(self, floor: Floor, rng: random.Random, terms: Callable[[Contract], FeeTerms]) -> None:
        self._floor = floor
        self._rng = rng
        self._terms = terms
        self._listeners: list[MemberListener] = []
        self._book: dict[str, dict[int, tuple[Member, str]]] = {ticker: {} for ticker in floor.contracts}
        self.all: dict[str, Member] = {}
        floor.listen(self)

    def listen(self, listener: MemberListener) -> None:
        self._listeners.append(listener)

    def join(self, name: str, cash: dict[int, Money]) -> Member:
        """A new member with this cash on these shards."""
        member = Member(name, self.new_id(), Ledger(dict(cash)))
        member.holdings.now = member.ledger.holdings
        self.all[name] = member
        return member

    def new_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def owner(self, ticker: str, engine_id: int) -> tuple[Member, Own] | None:
        """Whose order this is or was; None for the public's."""
        found = self._book[ticker].get(engine_id)
        return None if found is None else (found[0], found[0].orders.now[found[1]])

    # What changes an order

    def accept(self, member: Member, order: Own, at: float) -> None:
        """A new order is on the floor (or went through it)."""
        self._book[order.ticker][order.engine_id] = (member, order.order_id)
        self.change(member, order, "accepted", at)

    def change(self, member: Member, order: Own, kind: str, at: float) -> None:
        """An order is now this."""
        member._keep(order, at)
        self.settle_reserve(member, order.ticker, order.shard, at)
        for listener in self._listeners:
            listener.on_order(member, order, kind, at)

    def drop(self, contract: Contract, engine_id: int, reason: str, at: float) -> None:
        """Take a resting order off the floor, whoever owns it."""
        found = self.owner(contract.ticker, engine_id)
        if found is not None and found[1].live:
            member, order = found
            # Before the floor tells of it, so that nobody who hears the level shrink still sees the order resting.
            self.change(member, order.gone(reason, at), "canceled", at)
        self._floor.cancel(contract.ticker, engine_id, at)

    # Money

    def rate(self, contract: Contract, *, is_taker: bool, at: float) -> Fraction:
        """Dollars of fee per contract and unit of P(1 - P). A type whose fee nobody knows charges nothing here."""
        return fee_rate(self._terms(contract), is_taker=is_taker, at=at) or Fraction(0)

    def claims(self, member: Member, ticker: str, at: float, without: str = "") -> list[Claim]:
        """What the member's resting orders of a market may cost."""
        rate = self.rate(self._floor.contracts[ticker], is_taker=False, at=at)
        return [Claim(row.side, row.price, row.remaining, rate) for row in member.live(ticker) if row.order_id != without]

    def settle_reserve(self, member: Member, ticker: str, shard: int, at: float) -> None:
        """Reserve what the resting orders of a market need now."""
        needed = requirement(self.claims(member, ticker, at), member.ledger.position(ticker))
        member.ledger.reserve(ticker, shard, needed)

    def pay(self, contract: Contract, at: float) -> None:
        """Pay every position in a market."""
        for member in self.all.values():
            holding = member.ledger.holdings.get(contract.ticker)
            if holding is None or holding.settled:
                continue
            after, paid = holding.after_settlement(contract.settles_at, at)
            member.ledger.cash[contract.shard] = member.ledger.cash.get(contract.shard, 0) + paid
            if holding.position:
                row = Settlement(
                    contract.ticker, holding.event_ticker, contract.shard, contract.result, holding.position, holding.basis,
                    holding.fees, paid, contract.settles_at, at,
                )  # fmt: skip
                member.settlements.append(row)
            self._hold(member, after, at)

    # What the floor says

    def on_print(self, contract: Contract, printed: Print, at: float) -> None:
        trade = printed.trade
        book = self._book[contract.ticker]
        for engine_id, side, is_taker in ((trade.maker_order, trade.taker.other, False), (trade.taker_order, trade.taker, True)):
            found = book.get(engine_id)
            if found is not None:
                member, order_id = found
                self._fill(member, member.orders.now[order_id], contract, printed, side, is_taker=is_taker, at=at)

    def on_changes(self, contract: Contract, changes: tuple[Change, ...], at: float) -> None: ...

    def on_life(self, contract: Contract, life: Life, at: float) -> None: ...

    def _fill(
        self, member: Member, order: Own, contract: Contract, printed: Print, side: Side, *, is_taker: bool, at: float
    ) -> None:
        price, count = printed.trade.price, printed.trade.count
        fee = self._charge(order, contract, price, count, is_taker=is_taker, at=at)
        held = member.ledger.holdings.get(contract.ticker) or Holding(contract.ticker, order.event_ticker, order.shard)
        holding, cash = held.after_fill(side, price, count, fee, at)
        member.ledger.cash[order.shard] = member.ledger.cash.get(order.shard, 0) + cash
        fill = Fill(
            printed.trade_id, order.order_id, order.client_id, order.ticker, order.event_ticker, order.shard, side, price, count, fee,
            is_taker, holding.position, at,
        )  # fmt: skip
        member.fills.append(fill)
        member.holdings.put(holding.ticker, holding, at)
        self.change(member, order.after_fill(price, count, fee, taker=is_taker, at=at), "filled", at)
        for listener in self._listeners:
            listener.on_fill(member, fill, at)
        self._tell_holding(member, holding, at)

    def _charge(self, order: Own, contract: Contract, price: Price, count: Count, *, is_taker: bool, at: float) -> Money:
        rate = self.rate(contract, is_taker=is_taker, at=at)
        return order.fees.charge(rate, order.side, price, count) if rate else 0

    def _hold(self, member: Member, holding: Holding, at: float) -> None:
        member.holdings.put(holding.ticker, holding, at)
        self._tell_holding(member, holding, at)

    def _tell_holding(self, member: Member, holding: Holding, at: float) -> None:
        for listener in self._listeners:
            listener.on_holding(member, holding, at)
