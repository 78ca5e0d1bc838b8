"""What a member owns: cash on each shard, a signed position in each market, and what resting orders have reserved of the cash.

Full collateral: opening costs the price paid (YES) or its complement (NO), closing brings the other leg's complement, and cash never goes
below what the resting orders could still take. All integer. Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

import attrs

from chimera.conventions import Count, Money, Price, Side, complement, cost, outlay
from chimera.fees import DIRECT, trade_fee


@attrs.frozen(slots=True)
class Holding:
    """One market's account of one member. `position` is signed (+YES, -NO); `basis` is what the open position cost, without fees.

    `traded` adds up the outlay of every fill, `realized` the gains of closing and settling (fees apart), `volume` the contracts.
    """

    ticker: str
    event_ticker: str
    shard: int
    position: Count = 0
    basis: Money = 0
    traded: Money = 0
    realized: Money = 0
    fees: Money = 0
    volume: Count = 0
    settled: bool = False
    updated_at: float = 0.0

    def after_fill(self, side: Side, price: Price, count: Count, fee: Money, at: float) -> tuple[Holding, Money]:
        """The holding after a fill, and the cash it brings (negative where it costs), its fee taken off."""
        closing = min(count, max(0, -self.position * side.sign))
        opening = count - closing
        released = self.basis * closing // abs(self.position) if closing else 0
        # Closing a NO position by buying YES pairs the two legs: a dollar less the price comes back. Selling YES brings its price.
        proceeds = cost(price if side is Side.ASK else complement(price), closing)
        spent = outlay(side, price, opening)
        after = attrs.evolve(
            self,
            position=self.position + side.sign * count,
            basis=self.basis - released + spent,
            traded=self.traded + outlay(side, price, count),
            realized=self.realized + proceeds - released,
            fees=self.fees + fee,
            volume=self.volume + count,
            updated_at=at,
        )
        return after, proceeds - spent - fee

    def after_settlement(self, value: Price, at: float) -> tuple[Holding, Money]:
        """The holding after its market was paid at `value` a YES contract, and the cash it brings."""
        paid = cost(value, self.position) if self.position >= 0 else cost(complement(value), -self.position)
        realized = self.realized + paid - self.basis
        return attrs.evolve(self, position=0, basis=0, realized=realized, settled=True, updated_at=at), paid


@attrs.frozen(slots=True)
class Claim:
    """What a resting order may still cost: contracts at a limit price, and the rate its fills are charged at."""

    side: Side
    price: Price
    count: Count
    rate: Fraction = Fraction(0)


def requirement(claims: Iterable[Claim], position: Count) -> Money:
    """The cash that these orders of one market may take, whichever of them fill.

    Contracts that close the position need none: they bring more than their fee. Which orders will close it nobody knows: the cheapest are
    taken to, so that it is never too little.
    """
    needed = 0
    rows = list(claims)
    for side in Side:
        free = max(0, -position * side.sign)
        for claim in sorted((row for row in rows if row.side is side), key=lambda row: outlay(side, row.price, 1)):
            closing = min(free, claim.count)
            free -= closing
            opening = claim.count - closing
            needed += outlay(side, claim.price, opening) + _fee_bound(claim, opening)
    return needed


def _fee_bound(claim: Claim, opening: Count) -> Money:
    if not (claim.rate and opening):
        return 0
    fee = trade_fee(claim.price, opening, claim.rate)
    return fee + -fee % DIRECT


@attrs.define
class Ledger:
    """Cash by shard, holdings by ticker, reserves by ticker. A shard that is not in `cash` is one the member has never been on."""

    cash: dict[int, Money]
    holdings: dict[str, Holding] = attrs.field(factory=dict)
    reserved: dict[str, tuple[int, Money]] = attrs.field(factory=dict)

    def available(self, shard: int) -> Money:
        """Cash that nothing has reserved."""
        return self.cash.get(shard, 0) - sum(amount for index, amount in self.reserved.values() if index == shard)

    def position(self, ticker: str) -> Count:
        holding = self.holdings.get(ticker)
        return holding.position if holding is not None else 0

    def reserve(self, ticker: str, shard: int, amount: Money) -> None:
        """Reserve this much for a market, and no longer what was."""
        if amount:
            self.reserved[ticker] = (shard, amount)
        else:
            self.reserved.pop(ticker, None)

    def affords(self, ticker: str, shard: int, amount: Money) -> bool:
        """Whether the market's reserve could be this much."""
        _, held = self.reserved.get(ticker, (shard, 0))
        return amount <= held or self.available(shard) + held >= amount

    def value(self, marks: Mapping[str, Price]) -> Money:
        """What the open positions are worth at these YES prices."""
        total = 0
        for ticker, holding in self.holdings.items():
            mark = marks.get(ticker, 0)
            total += cost(mark, holding.position) if holding.position >= 0 else cost(complement(mark), -holding.position)
        return total
