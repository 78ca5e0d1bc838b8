"""How old messages are when they come: since the exchange did what they tell, and since it sent them.

The first is what a quote's age is made of; the second is the wire and our own lateness alone. Both are as true as the measured offset of
the exchange's clock, and below zero where that is off. A few hundred nanoseconds a message; the sorting waits for who asks.
"""

from __future__ import annotations

from collections import deque
from statistics import median_high
from typing import Final

_KEPT: Final = 256
"""Messages of each kind that the median and the worst are taken over."""


class MessageAges:
    """Ages by kind of message, milliseconds. All times are unix milliseconds of the exchange's clock; 0 stands for one not told."""

    def __init__(self) -> None:
        self._since_done: dict[str, deque[int]] = {}
        self._since_sent: dict[str, deque[int]] = {}

    def note(self, kind: str, done_ms: int, sent_ms: int, received_ms: int) -> None:
        """One message."""
        for told, ages in ((done_ms, self._since_done), (sent_ms, self._since_sent)):
            if told:
                recent = ages.get(kind)
                if recent is None:
                    recent = ages[kind] = deque(maxlen=_KEPT)
                recent.append(received_ms - told)

    def latest(self, kind: str) -> int | None:
        """How long ago what the last message of this kind tells was done when it came; None before the first."""
        recent = self._since_done.get(kind)
        return recent[-1] if recent else None

    def statistics(self) -> dict[str, int]:
        """Median and worst of the last few hundred of each kind: `age_ms` since it was done, `wire_ms` since it was sent."""
        told: dict[str, int] = {}
        for name, ages in (("age_ms", self._since_done), ("wire_ms", self._since_sent)):
            for kind, recent in sorted(ages.items()):
                told |= {f"{name}.{kind}.median": median_high(recent), f"{name}.{kind}.worst": max(recent)}
        return told
