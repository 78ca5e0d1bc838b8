"""What we own: positions, cash, fees and profit, in exact integers.

Cash is linear: buying YES takes price x count, selling YES brings it, and a settled market pays value x position, which is negative where
we are short. The collateral a venue locks behind a short is the venue's affair (`collateral`). Every change is applied once: fills by their
id, settlements by their market, in whatever order they come; a fill told after its market settled is settled with it.
"""

from __future__ import annotations

import attrs

from chimera.conventions import ONE, Count, Money, Price, cost
from chimera.trading.venue import Fill


@attrs.define(slots=True, eq=False)
class Position:
    """One market. `count` is signed, + for YES (1e-2 contracts). `flow` is all the cash its fills and settlement brought, fees not taken.

    `basis` is the part of what was paid that belongs to the open count (average cost; negative for a short, which was paid for).
    """

    count: Count = 0
    flow: Money = 0
    fees: Money = 0
    basis: Money = 0
    top: tuple[Price | None, Price | None] | None = None
    settled: Price | None = None

    @property
    def realised(self) -> Money:
        """Profit of what was closed or settled, before fees."""
        return self.flow + self.basis

    @property
    def mark(self) -> Money:
        """What the open count is worth: at the bid if long, at the ask if short, at 0 or 1 $ where that side is empty.

        A market that was never marked is worth its basis: a book that has not come yet is neither a profit nor a loss.
        """
        if not self.count or self.top is None:
            return self.basis
        bid, ask = self.top
        price = (bid or 0) if self.count > 0 else (ONE if ask is None else ask)
        return cost(price, self.count)

    def take(self, count: Count, price: Price) -> None:
        """Add a signed count at a price. What it closes leaves the basis at average cost; the remainder of the division stays open."""
        closing = min(abs(count), abs(self.count)) if count * self.count < 0 else 0
        if closing:
            # Toward zero on either side, so that a long and its mirror short are booked alike.
            part = abs(self.basis) * closing // abs(self.count)
            self.basis -= part if self.basis > 0 else -part
        sign = 1 if count > 0 else -1
        self.basis += cost(price, sign * (abs(count) - closing))
        self.count += count
        self.flow -= cost(price, count)


@attrs.frozen(slots=True)
class Pnl:
    """Profit and loss in 1e-6 $, fees taken: of settled markets, and of open ones with positions marked."""

    settled: Money
    marked: Money
    fees: Money

    @property
    def total(self) -> Money:
        return self.settled + self.marked


class Portfolio:
    """All positions and the cash behind them. `cash` is the balance as if shorts needed no collateral."""

    def __init__(self, cash: Money = 0) -> None:
        self.cash = cash
        self.fees: Money = 0
        self.positions: dict[str, Position] = {}
        self._fills: set[str] = set()

    def apply(self, fill: Fill) -> bool:
        """Take in a fill; False where it was taken in before. Its fee goes off the cash at once."""
        if fill.fill_id in self._fills:
            return False
        self._fills.add(fill.fill_id)
        position = self.positions.setdefault(fill.market, Position())
        count = fill.side.sign * fill.count
        position.take(count, fill.price)
        position.fees += fill.fee
        self.fees += fill.fee
        self.cash -= cost(fill.price, count) + fill.fee
        if position.settled is not None:
            self._pay(position, position.settled)
        return True

    def settle(self, market: str, value: Price) -> Money:
        """Pay a market out at `value` per YES contract (0..ONE); the cash it brought. Settling again at the same value changes nothing.

        ValueError where it was settled at another value: a paid result is final.
        """
        if not 0 <= value <= ONE:
            raise ValueError(f"{market} cannot settle at {value}: a contract pays between 0 and {ONE}")
        position = self.positions.setdefault(market, Position())
        if position.settled is not None and position.settled != value:
            raise ValueError(f"{market} was settled at {position.settled}, and cannot be settled again at {value}")
        position.settled = value
        return self._pay(position, value)

    def _pay(self, position: Position, value: Price) -> Money:
        paid = cost(value, position.count)
        self.cash += paid
        position.flow += paid
        position.count, position.basis = 0, 0
        return paid

    def count(self, market: str) -> Count:
        """The signed position of a market; 0 where there is none."""
        position = self.positions.get(market)
        return 0 if position is None else position.count

    def mark(self, market: str, bid: Price | None, ask: Price | None) -> None:
        """Remember the top of a book that is to be believed; None is an empty side. Kept until the next."""
        position = self.positions.get(market)
        if position is not None:
            position.top = (bid, ask)

    @property
    def marked(self) -> Money:
        """What every open position is worth; negative where shorts outweigh."""
        return sum(position.mark for position in self.positions.values())

    @property
    def equity(self) -> Money:
        """Cash and marked positions; fees are already off the cash."""
        return self.cash + self.marked

    @property
    def collateral(self) -> Money:
        """What a venue without margin locks behind shorts: one dollar a contract."""
        return sum(cost(ONE, -position.count) for position in self.positions.values() if position.count < 0)

    def pnl(self) -> Pnl:
        """Profit and loss so far, after fees, split by whether the market has settled."""
        settled = marked = 0
        for position in self.positions.values():
            if position.settled is not None:
                settled += position.flow - position.fees
            else:
                marked += position.flow - position.fees + position.mark
        return Pnl(settled, marked, self.fees)
