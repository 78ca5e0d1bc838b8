"""What could not be delivered, and why: a bounded ring, exact counts, an event each, and a log that does not drown."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable

import attrs

from actors.runtime.events import Event
from actors.runtime.lanes import Lane
from actors.runtime.mailbox import Undelivered

logger = logging.getLogger("actors")


@attrs.frozen(slots=True)
class DeadLetter(Event):
    """A message nobody handled; `name` is whom it was for."""

    lane: Lane
    message: object
    why: Undelivered


class DeadLetters:
    """The latest `keep` dead letters, and counts of all."""

    def __init__(self, publish: Callable[[Event], None], keep: int = 1_000) -> None:
        self.ring: deque[DeadLetter] = deque(maxlen=keep)
        self.counts: Counter[tuple[str, Lane, Undelivered]] = Counter()
        self._publish = publish

    def __len__(self) -> int:
        """How many there have ever been."""
        return self.counts.total()

    def add(self, name: str, lane: Lane, message: object, why: Undelivered, at: float) -> None:
        """Record one. Logged at the 1st, 2nd, 4th, 8th ... of its kind for its receiver."""
        letter = DeadLetter(at, name, lane, message, why)
        self.ring.append(letter)
        key = (name, lane, why)
        self.counts[key] += 1
        n = self.counts[key]
        if n & (n - 1) == 0:
            logger.warning("dead letter to %s (%s, %s, %d so far): %.200r", name, lane.name, why.value, n, message)
        if not isinstance(message, Event):  # an event that nobody took is no event, or the stream would feed itself
            self._publish(letter)
