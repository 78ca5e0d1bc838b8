"""What happens in a system, told to whoever subscribed: starts, ends, dead letters, overflows, quarantines, a held loop.

Events are for people and their tools, never for a decision. A subscriber that does not keep up misses events, which are counted; it never
holds up, and never fails, whoever caused one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING

import attrs

from actors.runtime.errors import Reason
from actors.runtime.lanes import Lane, Message

if TYPE_CHECKING:
    from actors.runtime.address import Address

KEEP = 1_000


@attrs.frozen(slots=True)
class Event(Message):
    """Base of every event; `at` is world time, `name` the address it happened to."""

    at: float
    name: str


@attrs.frozen(slots=True)
class ActorStarted(Event):
    """An incarnation is past its on_start."""

    incarnation: int


@attrs.frozen(slots=True)
class ActorEnded(Event):
    """An incarnation has ended."""

    incarnation: int
    reason: Reason


@attrs.frozen(slots=True)
class Overflowed(Event):
    """A lane was full (LOSSLESS), or is suspiciously long (CONTROL)."""

    lane: Lane


@attrs.frozen(slots=True)
class Quarantined(Event):
    """Messages of this type and key have crashed the actor too often, and are dead letters for a while."""

    kind: str
    key: Hashable


@attrs.frozen(slots=True)
class LoopHeld(Event):
    """A step held the loop for `seconds`; `where` is the function that did, where the watchdog saw it."""

    seconds: float
    where: str


class EventStream:
    """`tail` holds the latest events; `missed` counts those that a full subscriber did not get."""

    def __init__(self) -> None:
        self.tail: deque[Event] = deque(maxlen=KEEP)
        self.missed = 0
        self._subscribers: dict[Address, tuple[type[Event], ...]] = {}

    def subscribe(self, watcher: Address, *kinds: type[Event]) -> None:
        """Tell `watcher` every later event of these kinds; of all kinds where none is named. A later call replaces an earlier one."""
        self._subscribers[watcher] = kinds or (Event,)

    def unsubscribe(self, watcher: Address) -> None:
        """Tell `watcher` no more."""
        self._subscribers.pop(watcher, None)

    def publish(self, event: Event) -> None:
        """Keep an event and tell it to its subscribers. Call it in the loop."""
        self.tail.append(event)
        for watcher, kinds in list(self._subscribers.items()):
            if not isinstance(event, kinds):
                continue
            if watcher.gone:
                del self._subscribers[watcher]
            elif watcher.mailbox.has_room:
                watcher.tell(event)
            else:
                self.missed += 1
