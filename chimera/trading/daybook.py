"""The loss of the day: what was made or lost since 00:00 in New York, by unit and in all.

Profit is cash plus positions marked at the bid if long and at the ask if short, less fees; never at p_true. The day begins with what was
held when its first figures came.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import attrs

from chimera.conventions import Money

EXCHANGE_DAY = ZoneInfo("America/New_York")


@attrs.frozen(slots=True)
class DayLoss:
    """Losses since 00:00 ET in 1e-6 $, negative for a profit."""

    total: Money = 0
    units: Mapping[str, Money] = attrs.Factory(dict)


class DayBook:
    """Remembers what each unit had made when the day began."""

    def __init__(self) -> None:
        self._day: dt.date | None = None
        self._opening: dict[str, Money] = {}

    def loss(self, profits: Mapping[str, Money], at: float) -> DayLoss:
        """The day's losses, from the profit of each unit so far (1e-6 $) at world time `at` (unix s)."""
        day = dt.datetime.fromtimestamp(at, EXCHANGE_DAY).date()
        if day != self._day:
            self._day, self._opening = day, dict(profits)
        lost = {unit: self._opening.get(unit, 0) - profit for unit, profit in profits.items()}
        return DayLoss(sum(lost.values()), lost)
