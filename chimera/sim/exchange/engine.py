"""The matching engine of one market: price, then time, in YES space, in integers.

A bid buys YES, an ask sells it. A trade happens at the price of the order that rested. Every change comes back as an `Execution`: the
trades and the level changes, in order, so that whoever folds the changes over an empty book always holds this book. Nothing here reads a
clock, draws a random number or does I/O.
"""

from __future__ import annotations

from collections import OrderedDict

import attrs

from chimera.conventions import ONE, Count, Price, Side


class Refused(Exception):
    """The engine will not take this order; the message is the exchange's own word for it."""


@attrs.define(slots=True)
class Resting:
    """An order on the book. `count` is what remains of it, always positive while it rests."""

    order_id: int
    owner: str
    side: Side
    price: Price
    count: Count


@attrs.frozen(slots=True)
class Trade:
    """`count` contracts changed hands at `price`; `taker` is the side of the order that crossed."""

    price: Price
    count: Count
    taker: Side
    maker_owner: str
    taker_owner: str
    maker_order: int


@attrs.frozen(slots=True)
class Change:
    """A price level gained (or lost, if negative) `count` contracts."""

    side: Side
    price: Price
    count: Count


@attrs.frozen(slots=True)
class Execution:
    """What one submit or cancel did. What was asked for and neither filled nor rests was dropped."""

    order_id: int
    filled: Count
    rested: Count
    trades: tuple[Trade, ...] = ()
    changes: tuple[Change, ...] = ()


class Book:
    """Resting orders of one market. Never crossed: the best bid is below the best ask whenever a method has returned."""

    def __init__(self, step: Price) -> None:
        self._step = step
        self._levels: dict[Side, dict[Price, OrderedDict[int, Resting]]] = {Side.BID: {}, Side.ASK: {}}
        self._depth: dict[Side, dict[Price, Count]] = {Side.BID: {}, Side.ASK: {}}
        self._orders: dict[int, Resting] = {}
        self._last_id = 0

    def submit(
        self, owner: str, side: Side, price: Price, count: Count, *, post_only: bool = False, immediate: bool = False
    ) -> Execution:
        """Match an order and rest what remains, unless `immediate`. Refused: `invalid_price`, `invalid_count`, `post only cross`."""
        if not 0 < price < ONE or price % self._step:
            raise Refused("invalid_price")
        if count <= 0:
            raise Refused("invalid_count")
        if post_only and self._crosses(side, price):
            raise Refused("post only cross")
        self._last_id += 1
        order_id = self._last_id
        trades, changes, left = self._match(owner, side, price, count)
        rested = 0 if immediate else left
        if rested:
            self._rest(Resting(order_id, owner, side, price, rested))
            changes.append(Change(side, price, rested))
        return Execution(order_id, count - left, rested, tuple(trades), tuple(changes))

    def cancel(self, order_id: int) -> Execution | None:
        """Take an order off the book; None where no such order rests."""
        order = self._orders.get(order_id)
        if order is None:
            return None
        gone = Change(order.side, order.price, -order.count)
        self._take(order, order.count)
        return Execution(order_id, 0, 0, changes=(gone,))

    def order(self, order_id: int) -> Resting | None:
        """A resting order; it is the engine's own, not to be changed."""
        return self._orders.get(order_id)

    @property
    def resting(self) -> tuple[Resting, ...]:
        """Every resting order, oldest first."""
        return tuple(self._orders.values())

    def levels(self, side: Side) -> list[tuple[Price, Count]]:
        """(price, count) of one side, best first."""
        return sorted(self._depth[side].items(), reverse=side is Side.BID)

    def best(self, side: Side) -> Price | None:
        """The best price of a side; None where it is empty."""
        prices = self._depth[side]
        if not prices:
            return None
        return max(prices) if side is Side.BID else min(prices)

    def depth_at(self, side: Side, price: Price) -> Count:
        """How much rests at a price."""
        return self._depth[side].get(price, 0)

    def _crosses(self, side: Side, price: Price) -> bool:
        other = self.best(side.other)
        return other is not None and (price >= other if side is Side.BID else price <= other)

    def _match(self, owner: str, side: Side, price: Price, count: Count) -> tuple[list[Trade], list[Change], Count]:
        trades: list[Trade] = []
        changes: list[Change] = []
        while count and self._crosses(side, price):
            best = self.best(side.other)
            assert best is not None  # noqa: S101 - crossing says so
            maker = next(iter(self._levels[side.other][best].values()))
            size = min(count, maker.count)
            trades.append(Trade(best, size, side, maker.owner, owner, maker.order_id))
            changes.append(Change(side.other, best, -size))
            self._take(maker, size)
            count -= size
        return trades, changes, count

    def _rest(self, order: Resting) -> None:
        self._orders[order.order_id] = order
        self._levels[order.side].setdefault(order.price, OrderedDict())[order.order_id] = order
        depth = self._depth[order.side]
        depth[order.price] = depth.get(order.price, 0) + order.count

    def _take(self, order: Resting, count: Count) -> None:
        """Take `count` from an order, and the order and its level from the book where nothing is left of them."""
        order.count -= count
        depth = self._depth[order.side]
        depth[order.price] -= count
        if order.count:
            return
        del self._orders[order.order_id]
        level = self._levels[order.side][order.price]
        del level[order.order_id]
        if not level:
            del self._levels[order.side][order.price], depth[order.price]
