"""Whether a folded book and the exchange's own ticker tell of the same best prices.

Either may be a little ahead of the other, and in a fast market they hardly ever show the same at the same instant. So they agree whenever
the one comes to a pair of prices that the other has shown a moment ago, and they disagree only where neither has for `patience` seconds.
Sizes are left out: a ticker is not sent for each of their changes.
"""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias

from chimera.conventions import Price

Best: TypeAlias = tuple[Price | None, Price | None]

PATIENCE_S: Final = 2.0
_KEPT: Final = 64
"""Pairs of each side remembered; where more come within the patience, the older ones are as good as gone."""


class TickerCheck:
    """The best bid and ask of one market as folded and as told. `at` is any clock that never runs backwards, in seconds."""

    def __init__(self, patience: float = PATIENCE_S) -> None:
        self._patience = patience
        self._ticker: Best | None = None
        self.lose()

    def lose(self) -> None:
        """The book is not believed anyway; there is nothing to compare until it is again."""
        self._book: Best | None = None
        self._shown: dict[bool, deque[tuple[Best, float]]] = {False: deque(maxlen=_KEPT), True: deque(maxlen=_KEPT)}
        self._agreed_at: float | None = None

    def on_book(self, bid: Price | None, ask: Price | None, at: float) -> None:
        """The folded book's best prices, in YES space."""
        self._show(False, self._book, (bid, ask), self._ticker, at)
        self._book = (bid, ask)

    def on_ticker(self, bid: Price | None, ask: Price | None, at: float) -> None:
        """The ticker's."""
        self._show(True, self._ticker, (bid, ask), self._book, at)
        self._ticker = (bid, ask)

    def disagreeing(self, now: float) -> float:
        """For how long they have not agreed, seconds; 0 where they do, or where there are not two to compare."""
        if self._book is None or self._ticker is None or self._book == self._ticker or self._agreed_at is None:
            return 0.0
        return max(0.0, now - self._agreed_at)

    def broken(self, now: float) -> bool:
        """Whether the book is no longer to be believed."""
        return self.disagreeing(now) >= self._patience

    def _show(self, side: bool, before: Best | None, best: Best, other: Best | None, at: float) -> None:
        """One side moves from `before` to `best`, while the other shows `other`."""
        if before is not None:
            self._shown[side].append((before, at))
        if other is None:
            return
        shown_before = any(pair == best and until + self._patience > at for pair, until in self._shown[not side])
        if best == other or before == other or shown_before or self._agreed_at is None:
            self._agreed_at = at
