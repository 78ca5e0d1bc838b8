"""Markouts: what a fill looked like 1, 5, 30 and 300 seconds later.

A markout is the move since the fill in our favour, against the market's mid and against p_true, in cents: positive is good for us. It
is the only honest measure of adverse selection, and it is what will replace the flow priors.
"""

from __future__ import annotations

from collections import defaultdict

import attrs

from chimera.conventions import Price, Side, probability
from chimera.trading.venue import Fill

HORIZONS = (1.0, 5.0, 30.0, 300.0)
"""Seconds after the fill."""
SLACK = 1.0
"""A horizon h is marked by the first word after it, if that comes by h + h + SLACK seconds; later it would measure another horizon."""


def markout(side: Side, price: Price, later: float) -> float:
    """Cents a fill at `price` is ahead when the contract is worth `later` (a probability); positive is good for us."""
    return 100.0 * side.sign * (later - probability(price))


@attrs.frozen(slots=True)
class Markout:
    """One fill at one horizon, really taken `after` seconds from the fill; `vs_mid` is None where the book was one-sided."""

    fill: Fill
    horizon: float
    after: float
    vs_mid: float | None
    vs_true: float


@attrs.define(slots=True)
class _Waiting:
    fill: Fill
    horizons: list[float]


class Markouts:
    """Fills waiting for their horizons. A fill is known by its id: adding it twice is adding it once.

    `missed` counts horizons that nobody spoke for in time: they are left out, not guessed.
    """

    def __init__(self, horizons: tuple[float, ...] = HORIZONS) -> None:
        self._horizons = sorted(horizons)
        self._waiting: dict[str, list[_Waiting]] = defaultdict(list)
        self._seen: set[str] = set()
        self.missed = 0

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._waiting.values())

    def add(self, fill: Fill) -> bool:
        """Watch a fill; False where it is watched or was already."""
        if fill.fill_id in self._seen:
            return False
        self._seen.add(fill.fill_id)
        self._waiting[fill.market].append(_Waiting(fill, list(self._horizons)))
        return True

    def observe(self, market: str, p_true: float, mid: float | None, at: float) -> list[Markout]:
        """What was said of a market at world time `at`: the markouts it completes, oldest fill first."""
        taken: list[Markout] = []
        waiting = self._waiting.get(market, [])
        for entry in waiting:
            after = at - entry.fill.at
            while entry.horizons and after >= entry.horizons[0]:
                horizon = entry.horizons.pop(0)
                if after > 2.0 * horizon + SLACK:
                    self.missed += 1
                else:
                    taken.append(_mark(entry.fill, horizon, after, p_true, mid))
        self._waiting[market] = [entry for entry in waiting if entry.horizons]
        if not self._waiting[market]:
            del self._waiting[market]
        return taken

    def close(self, market: str) -> None:
        """A market settled: nothing more will be said of it, and what still waited is missed."""
        self.missed += sum(len(entry.horizons) for entry in self._waiting.pop(market, []))


def _mark(fill: Fill, horizon: float, after: float, p_true: float, mid: float | None) -> Markout:
    vs_mid = None if mid is None else markout(fill.side, fill.price, mid)
    return Markout(fill, horizon, after, vs_mid, markout(fill.side, fill.price, p_true))
