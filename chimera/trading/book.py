"""The order book of one market: a dense ladder with its best levels at hand.

One list of counts a side, a place for each tick of the market's grid; the best place is kept, and searched for only when its level empties:
a few hundred ns a change at any depth. Everything is in YES space: NO bids came in as asks. The book is folded from a snapshot and changes;
what cannot be true (a level below zero, a price between ticks) is a `BookDesync`, and the book is then void until a new snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from chimera.conventions import ONE, Count, Price, Side
from chimera.errors import VenueError
from chimera.markets import PriceGrid

Level: TypeAlias = tuple[Price, Count]


class BookDesync(VenueError):
    """The folded book can no longer be what the exchange holds; a snapshot mends it."""


class OrderBook:
    """Bids and asks of one market in YES price space. No clock and no I/O; not synced until its first snapshot.

    Prices lie strictly inside 0 and ONE, so the first place (price 0) stands for "no bid" and the last (ONE) for "no ask".
    """

    __slots__ = ("_asks", "_best_ask", "_best_bid", "_bids", "_end", "_tick", "changes", "grid", "synced")

    def __init__(self, grid: PriceGrid) -> None:
        self.changes = 0
        """How many snapshots, deltas and losses this book has seen: its own sequence."""
        self.reset(grid)

    def reset(self, grid: PriceGrid) -> None:
        """Empty the book and size it for `grid`, unsynced: under a new grid nothing that was folded is to be believed."""
        self.grid = grid
        self._tick = grid.tick
        self._end = ONE // grid.tick
        self._clear()
        self.lose()

    def lose(self) -> None:
        """The source says the book is not to be believed until a snapshot."""
        self.synced = False
        self.changes += 1

    def _clear(self) -> None:
        self._bids: list[Count] = [0] * (self._end + 1)
        self._asks: list[Count] = [0] * (self._end + 1)
        self._best_bid, self._best_ask = 0, self._end

    # Folding

    def snapshot(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Replace the book. BookDesync, and an unsynced book, where a price is off the ladder, a count negative or a level told twice."""
        self._clear()
        self.lose()
        for counts, levels, side in ((self._bids, bids, Side.BID), (self._asks, asks, Side.ASK)):
            for price, count in levels:
                place = self._place(price)
                if count < 0 or counts[place]:
                    raise BookDesync(f"snapshot holds {count} at {side.value} {price}, on {counts[place]} told before")
                counts[place] = count
        self._best_bid = self._down(self._end - 1)
        self._best_ask = self._up(1)
        self.synced = True

    def delta(self, side: Side, price: Price, change: Count) -> None:
        """Change one level by `change` (signed). BookDesync, and an unsynced book, where it goes below zero or lies off the ladder."""
        place = self._place(price)
        self.changes += 1
        bid = side is Side.BID
        counts = self._bids if bid else self._asks
        left = counts[place] + change
        if left < 0:
            self.synced = False
            raise BookDesync(f"{side.value} {price} holds {counts[place]} and cannot change by {change}")
        counts[place] = left
        if bid:
            if place > self._best_bid:
                self._best_bid = place if left else self._best_bid
            elif not left and place == self._best_bid:
                self._best_bid = self._down(place)
        elif place < self._best_ask:
            self._best_ask = place if left else self._best_ask
        elif not left and place == self._best_ask:
            self._best_ask = self._up(place)

    def _place(self, price: Price) -> int:
        if price % self._tick or not 0 < price < ONE:
            self.synced = False
            raise BookDesync(f"price {price} is not on a tick of {self._tick} inside 0..{ONE}; has the market's grid changed?")
        return price // self._tick

    def _down(self, place: int) -> int:
        bids = self._bids
        while place and not bids[place]:
            place -= 1
        return place

    def _up(self, place: int) -> int:
        asks, end = self._asks, self._end
        while place < end and not asks[place]:
            place += 1
        return place

    # Reading

    @property
    def bid(self) -> Price | None:
        """The best bid; None where nobody bids."""
        return self._best_bid * self._tick or None

    @property
    def ask(self) -> Price | None:
        """The best ask; None where nobody asks."""
        return self._best_ask * self._tick if self._best_ask < self._end else None

    @property
    def bid_size(self) -> Count:
        """What rests at the best bid."""
        return self._bids[self._best_bid]

    @property
    def ask_size(self) -> Count:
        """What rests at the best ask."""
        return self._asks[self._best_ask]

    @property
    def crossed(self) -> bool:
        """Whether a bid is at or above an ask: the exchange never rests so, and such a book is not believed."""
        return self._best_bid >= self._best_ask

    @property
    def believed(self) -> bool:
        """Synced and not crossed."""
        return self.synced and not self.crossed

    def depth(self, side: Side, price: Price) -> Count:
        """What rests at exactly this price; 0 off the ladder."""
        if price % self._tick or not 0 < price < ONE:
            return 0
        return (self._bids if side is Side.BID else self._asks)[price // self._tick]

    def levels(self, side: Side) -> tuple[Level, ...]:
        """Every level that holds something, best first."""
        counts = self._bids if side is Side.BID else self._asks
        rising = [(place * self._tick, count) for place, count in enumerate(counts) if count]
        return tuple(reversed(rising) if side is Side.BID else rising)
