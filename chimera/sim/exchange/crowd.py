"""When each thing on the floor happens: a heap of agents, run in order of world time.

An agent acts at a time and says when it acts next. The order of actions, and so every book and trade, depends on the seed and on nothing
else: a slow machine runs the same evening later.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TypeAlias

Action: TypeAlias = Callable[[float], float | None]
"""Acts at a world time (unix s); returns when to act next, strictly later, or None to retire."""


class Crowd:
    """Agents waiting for their turn."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Action]] = []
        self._entered = 0

    def enter(self, at: float, action: Action) -> None:
        """Let an agent act at `at`."""
        heapq.heappush(self._heap, (at, self._entered, action))
        self._entered += 1

    @property
    def next_at(self) -> float | None:
        """When the next agent is due; None where nobody is left."""
        return self._heap[0][0] if self._heap else None

    def advance(self, now: float, *, at_most: int) -> int:
        """Let everyone who is due by `now` act, in order, up to `at_most` actions; how many acted."""
        done = 0
        heap = self._heap
        while done < at_most and heap and heap[0][0] <= now:
            # Off the heap first: what an action enters may be due before it is again.
            at, entered, action = heapq.heappop(heap)
            following = action(at)
            if following is not None:
                heapq.heappush(heap, (following, entered, action))
            done += 1
        return done
