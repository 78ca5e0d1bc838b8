"""The matching engine of one market: price, then time, in YES space, in integers.

A bid buys YES, an ask sells it. A trade happens at the price of the order that rested. Every change comes back as an `Execution`: the
trades and the level changes, in order, so that whoever folds the changes over an empty book always holds this book, and `replay` makes it
again to the last place in the queue. Nothing here reads a clock, draws a random number or does I/O.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Iterable

import attrs

from chimera.conventions import Count, Price, Side
from chimera.markets import CENT_GRID, PriceGrid


class Refused(Exception):
    """The engine will not take this order; the message is the exchange's own word for it."""


class SelfTrade(enum.Enum):
    """What happens when an order meets its owner's own: the newcomer stops there, or what rested is cancelled and it goes on."""

    TAKER_AT_CROSS = "taker_at_cross"
    MAKER = "maker"


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
    taker_order: int = 0


@attrs.frozen(slots=True)
class Change:
    """A price level gained (or lost, if negative) `count` contracts, by one order."""

    side: Side
    price: Price
    count: Count
    order: int = attrs.field(default=0, eq=False)


@attrs.frozen(slots=True)
class Execution:
    """What one request did. What was asked for and neither filled nor rests was dropped.

    `prevented` are resting orders of the same owner that self-trade prevention took off; `stopped` tells that it stopped the newcomer.
    """

    order_id: int
    filled: Count
    rested: Count
    trades: tuple[Trade, ...] = ()
    changes: tuple[Change, ...] = ()
    prevented: tuple[int, ...] = ()
    stopped: bool = False


@attrs.define(slots=True)
class _Run:
    """One order on its way through the other side of the book."""

    order_id: int
    owner: str
    side: Side
    price: Price
    left: Count
    stp: SelfTrade | None
    trades: list[Trade] = attrs.field(factory=list)
    changes: list[Change] = attrs.field(factory=list)
    prevented: list[int] = attrs.field(factory=list)
    stopped: bool = False


class Book:
    """Resting orders of one market. Never crossed: the best bid is below the best ask whenever a method has returned."""

    def __init__(self, grid: PriceGrid = CENT_GRID) -> None:
        self.grid = grid
        self._levels: dict[Side, dict[Price, OrderedDict[int, Resting]]] = {Side.BID: {}, Side.ASK: {}}
        self._depth: dict[Side, dict[Price, Count]] = {Side.BID: {}, Side.ASK: {}}
        self._best: dict[Side, Price | None] = {Side.BID: None, Side.ASK: None}
        self._orders: dict[int, Resting] = {}
        self._last_id = 0

    def submit(
        self,
        owner: str,
        side: Side,
        price: Price,
        count: Count,
        *,
        post_only: bool = False,
        immediate: bool = False,
        whole: bool = False,
        stp: SelfTrade | None = None,
    ) -> Execution:
        """Match an order and rest what remains, unless `immediate` or stopped by self-trade prevention (none without `stp`).

        `whole` orders fill entirely at once or not at all. Refused: `invalid_price`, `invalid_count`, `post only cross`,
        `fill_or_kill_insufficient_resting_volume`; a refused order changes nothing.
        """
        self._check(owner, side, price, count, post_only=post_only, whole=whole, stp=stp)
        self._last_id += 1
        return self._enter(_Run(self._last_id, owner, side, price, count, stp), rest=not (immediate or whole))

    def replace(self, order_id: int, price: Price, count: Count, *, post_only: bool = False, stp: SelfTrade | None = None) -> Execution:
        """Give a resting order another price or remaining count.

        A smaller count at the same price keeps its place; anything else goes to the back, matching first. Refused as in `submit`, or
        `not_found`; then nothing changes.
        """
        order = self._orders.get(order_id)
        if order is None:
            raise Refused("not_found")
        if price == order.price and 0 < count <= order.count:
            done = self.reduce(order_id, order.count - count)
            assert done is not None
            return done
        self._check(order.owner, order.side, price, count, post_only=post_only, whole=False, stp=stp)
        gone = Change(order.side, order.price, -order.count, order_id)
        self._take(order, order.count)
        run = _Run(order_id, order.owner, order.side, price, count, stp)
        run.changes.append(gone)
        return self._enter(run, rest=True)

    def reduce(self, order_id: int, by: Count) -> Execution | None:
        """Take `by` contracts (at most all) from an order, which keeps its place; None where no such order rests."""
        order = self._orders.get(order_id)
        if order is None:
            return None
        by = min(by, order.count)
        left = order.count - by
        if by:
            self._take(order, by)
        changes = (Change(order.side, order.price, -by, order_id),) if by else ()
        return Execution(order_id, 0, left, changes=changes)

    def cancel(self, order_id: int) -> Execution | None:
        """Take an order off the book; None where no such order rests."""
        order = self._orders.get(order_id)
        return None if order is None else self.reduce(order_id, order.count)

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
        return self._best[side]

    def depth_at(self, side: Side, price: Price) -> Count:
        """How much rests at a price."""
        return self._depth[side].get(price, 0)

    def queue(self, side: Side, price: Price) -> tuple[Resting, ...]:
        """The orders at a price, first to be filled first."""
        return tuple(self._levels[side].get(price, OrderedDict()).values())

    def ahead(self, order_id: int) -> Count | None:
        """Contracts that trade before this order does: better prices and earlier orders; None where it does not rest."""
        order = self._orders.get(order_id)
        if order is None:
            return None
        better = sum(count for price, count in self._depth[order.side].items() if (price - order.price) * order.side.sign > 0)
        for earlier in self._levels[order.side][order.price].values():
            if earlier.order_id == order_id:
                return better
            better += earlier.count
        return None

    def crosses(self, side: Side, price: Price) -> bool:
        """Whether an order here would meet another."""
        other = self._best[side.other]
        return other is not None and (price >= other if side is Side.BID else price <= other)

    def _check(
        self, owner: str, side: Side, price: Price, count: Count, *, post_only: bool, whole: bool, stp: SelfTrade | None
    ) -> None:
        if not self.grid.valid(price):
            raise Refused("invalid_price")
        if count <= 0:
            raise Refused("invalid_count")
        if post_only and self.crosses(side, price):
            raise Refused("post only cross")
        if whole and self._fillable(owner, side, price, count, stp) < count:
            raise Refused("fill_or_kill_insufficient_resting_volume")

    def _fillable(self, owner: str, side: Side, price: Price, enough: Count, stp: SelfTrade | None) -> Count:
        """What an order could trade at once, counted up to `enough`."""
        found = 0
        for at in sorted(self._levels[side.other], reverse=side.other is Side.BID):
            if (price - at) * side.sign < 0:
                break
            for maker in self._levels[side.other][at].values():
                own = stp is not None and maker.owner == owner
                if own and stp is SelfTrade.TAKER_AT_CROSS:
                    return found
                found += 0 if own else maker.count
                if found >= enough:
                    return found
        return found

    def _enter(self, run: _Run, *, rest: bool) -> Execution:
        asked = run.left
        self._match(run)
        filled = asked - run.left
        rested = run.left if rest and not run.stopped else 0
        if rested:
            self._rest(Resting(run.order_id, run.owner, run.side, run.price, rested))
            run.changes.append(Change(run.side, run.price, rested, run.order_id))
        return Execution(
            run.order_id, filled, rested, tuple(run.trades), tuple(run.changes), tuple(run.prevented), run.stopped and run.left > 0
        )

    def _match(self, run: _Run) -> None:
        other = run.side.other
        while run.left and self.crosses(run.side, run.price):
            best = self._best[other]
            assert best is not None
            maker = next(iter(self._levels[other][best].values()))
            if run.stp is not None and maker.owner == run.owner:
                if run.stp is SelfTrade.TAKER_AT_CROSS:
                    run.stopped = True
                    return
                run.changes.append(Change(other, best, -maker.count, maker.order_id))
                run.prevented.append(maker.order_id)
                self._take(maker, maker.count)
                continue
            size = min(run.left, maker.count)
            run.trades.append(Trade(best, size, run.side, maker.owner, run.owner, maker.order_id, run.order_id))
            run.changes.append(Change(other, best, -size, maker.order_id))
            self._take(maker, size)
            run.left -= size

    def _rest(self, order: Resting) -> None:
        side, price = order.side, order.price
        self._orders[order.order_id] = order
        self._levels[side].setdefault(price, OrderedDict())[order.order_id] = order
        depth = self._depth[side]
        depth[price] = depth.get(price, 0) + order.count
        best = self._best[side]
        if best is None or (price - best) * side.sign > 0:
            self._best[side] = price

    def _take(self, order: Resting, count: Count) -> None:
        """Take `count` from an order, and the order and its level from the book where nothing is left of them."""
        order.count -= count
        side, price = order.side, order.price
        depth = self._depth[side]
        depth[price] -= count
        if order.count:
            return
        del self._orders[order.order_id]
        level = self._levels[side][price]
        del level[order.order_id]
        if not level:
            del self._levels[side][price], depth[price]
            if price == self._best[side]:
                self._best[side] = (max if side is Side.BID else min)(depth, default=None)

    def _apply(self, change: Change) -> None:
        order = self._orders.get(change.order)
        if change.count > 0:
            self._rest(Resting(change.order, "", change.side, change.price, change.count))
            self._last_id = max(self._last_id, change.order)
        elif order is None or order.count + change.count < 0:
            raise Refused("not_found")
        else:
            self._take(order, -change.count)


def replay(changes: Iterable[Change], grid: PriceGrid = CENT_GRID) -> Book:
    """The book that these changes, in order, leave behind: levels, queues and order ids, no owners. Refused where they cannot be."""
    book = Book(grid)
    for change in changes:
        book._apply(change)
    return book
