"""Messages that keep killing their receiver are kept from it.

The message an actor crashed on is never delivered again, but its like may be: a source that is asked to tell its latest tells the same. The
third crash on one key within a minute sets that key aside for five minutes; what comes of it meanwhile is a dead letter, and the system is
told. CONTROL is never set aside, for a command to stop must not be lost; a crash on it counts against the supervisor's intensity alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from actors.runtime.lanes import Lane, Message

CRASHES = 3
WITHIN_S = 60.0
LASTS_S = 300.0
KEEP = 32
"""Crashes that are remembered: more within a minute are a matter for the supervisor."""


class Quarantine:
    """One address's crashes by key, and the keys that are set aside. Times are of the trio clock."""

    __slots__ = ("_crashes", "held")

    def __init__(self) -> None:
        self._crashes: deque[tuple[float, tuple[type, Hashable]]] = deque(maxlen=KEEP)
        self.held: dict[tuple[type, Hashable], float] = {}
        """Key to when it is let in again."""

    def crashed(self, message: object, now: float) -> bool:
        """Count one crash; True if it sets the message's key aside."""
        key = key_of(message)
        if key is None:
            return False
        self._crashes.append((now, key))
        if sum(at > now - WITHIN_S and other == key for at, other in self._crashes) < CRASHES:
            return False
        self.held[key] = now + LASTS_S
        return True

    def holds(self, message: object, now: float) -> bool:
        """True if the message is not to be handled now."""
        if not self.held:
            return False
        key = key_of(message)
        if key is None or key not in self.held:
            return False
        if now < self.held[key]:
            return True
        del self.held[key]
        return False

    def kinds(self) -> tuple[str, ...]:
        """The types of which some key is set aside."""
        return tuple(sorted({kind.__name__ for kind, _ in self.held}))


def key_of(message: object) -> tuple[type, Hashable] | None:
    """What a message is taken for the same as: its type and its key, or its value where it has none; None where it is never set aside."""
    if not isinstance(message, Message) or message.LANE is Lane.CONTROL:
        return None
    key = (type(message), message.quarantine_key)
    try:
        hash(key)
    except TypeError:
        return None
    return key
