"""Where a paper order stands in the real queue, and what a market event does to it.

An order joins behind everything visible at its price. Trades at its price eat the queue first. Cancels are taken to come from behind it:
the queue shrinks for them only when less is left of the level than was ahead. A trade and the book change it causes come in either order,
and are counted once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from chimera.conventions import Count, Price, Side
from chimera.fees import FeeAccount
from chimera.trading.venue import Order

PAIRING_S = 1.0
"""A trade and the book change it causes are one execution if they come within this. Kalshi stamps both with the same millisecond."""


@attrs.define(slots=True, eq=False)
class Queued:
    """One order of ours on the book. `ahead` is the queue before it, None while no book shows it; `clipped` is what the queue lost to book
    changes whose trade may still come."""

    order: Order
    order_id: str
    remaining: Count
    expires_at: float
    rested_at: float
    ahead: Count | None = None
    clipped: Count = 0
    clipped_at: float = 0.0
    fills: int = 0
    fees: FeeAccount = attrs.Factory(FeeAccount)

    def level_is(self, size: Count, at: float) -> None:
        """The level it rests on is `size` now: no more than that can be ahead of it."""
        if self.ahead is None:
            self.ahead = size
        elif self.ahead > size:
            self.clipped = self.ahead - size + (self.clipped if at <= self.clipped_at + PAIRING_S else 0)
            self.clipped_at, self.ahead = at, size

    def passes(self, count: Count, at: float) -> Count:
        """`count` traded at its price: what of it gets past the queue."""
        if self.ahead is None:
            return 0
        if at <= self.clipped_at + PAIRING_S:
            counted = min(count, self.clipped)
            self.clipped -= counted
            count -= counted
        eaten = min(self.ahead, count)
        self.ahead -= eaten
        return count - eaten

    def reached(self, price: Price | None) -> bool:
        """Whether a price of the other side meets this order, or lies beyond it."""
        return reaches(self.order.side, self.order.price, price)


def reaches(side: Side, price: Price, other: Price | None) -> bool:
    """Whether an order at `price` meets a price of the other side, or one beyond it."""
    return other is not None and (price >= other if side is Side.BID else price <= other)


@attrs.define(slots=True, eq=False)
class View:
    """One market as the exchange shows it, and our orders in it, in order of arrival. `derived`: the book was made from bars."""

    levels: dict[Side, dict[Price, Count]] = attrs.Factory(lambda: {Side.BID: {}, Side.ASK: {}})
    synced: bool = False
    derived: bool = False
    closed: bool = False
    own: list[Queued] = attrs.Factory(list)

    def best(self, side: Side) -> Price | None:
        """The best visible price of a side, our own orders not counted."""
        prices = self.levels[side]
        if not prices:
            return None
        return max(prices) if side is Side.BID else min(prices)

    def join(self, own: Queued) -> None:
        """A new order takes its place behind what is visible at its price."""
        self.own.append(own)
        if self.synced:
            own.ahead = self.levels[own.order.side].get(own.order.price, 0)

    def replace(self, bids: Iterable[tuple[Price, Count]], asks: Iterable[tuple[Price, Count]], at: float) -> None:
        """A whole book."""
        self.synced = True
        self.levels = {Side.BID: _sizes(bids), Side.ASK: _sizes(asks)}
        for own in self.own:
            own.level_is(self.levels[own.order.side].get(own.order.price, 0), at)

    def change(self, side: Side, price: Price, change: Count, at: float) -> None:
        """One level changes."""
        levels = self.levels[side]
        size = levels.get(price, 0) + change
        if size > 0:
            levels[price] = size
        else:
            levels.pop(price, None)
        for own in self.own:
            if own.order.price == price and own.order.side is side:
                own.level_is(max(0, size), at)

    def crossed(self) -> list[Queued]:
        """Our orders that the other side of the book has come to meet. A book made from bars meets none: there only bars fill."""
        if self.derived or not self.own:
            return []
        best = {side: self.best(side) for side in Side}
        return [own for own in self.own if own.reached(best[own.order.side.other])]

    def traded(self, price: Price, count: Count, taker: Side, at: float) -> Iterator[tuple[Queued, Count]]:
        """Our orders that a trade of `count` at `price` fills, and how far: those it went through, best-priced first, then its own level.

        What orders at better prices take of it never reached the level, and does not shorten the queue there.
        """
        for side in Side:
            left, here = count, 0
            for own in sorted((own for own in self.own if own.order.side is side), key=lambda own: -own.order.side.sign * own.order.price):
                # Where the taker was on our own side, somebody rested across from us at our price or better: that is through, too.
                if own.reached(price) and (own.order.price != price or taker is side):
                    filled = min(own.remaining, left)
                    left -= filled
                elif own.order.price == price:
                    filled = min(own.remaining, own.passes(left, at) - here)
                    here += max(0, filled)
                else:
                    continue
                if filled > 0:
                    yield own, filled


def _sizes(levels: Iterable[tuple[Price, Count]]) -> dict[Price, Count]:
    return {price: size for price, size in levels if size > 0}
