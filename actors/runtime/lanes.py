"""The three lanes of a mailbox, and the base of every message.

CONTROL overtakes whatever is queued. LOSSLESS, the default, is a bounded queue that says so when it is full. CONFLATED keeps only the
latest message per key, where the first of that key stood. A message states its lane once, in its class.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable
from typing import ClassVar

import attrs

from actors.runtime.errors import Reason


class Lane(enum.IntEnum):
    """How a message queues."""

    CONTROL = 0
    LOSSLESS = 1
    CONFLATED = 2


class Overflow(enum.Enum):
    """What a full LOSSLESS lane does with the next message."""

    LOUD = "loud"  # MailboxFull to the sender, and the system's on_overflow
    REJECT = "reject"  # MailboxFull to the sender
    DROP_OLDEST = "drop_oldest"  # the oldest becomes a dead letter


@attrs.frozen(slots=True)
class LanePolicy:
    """The LOSSLESS lane of an actor class: at most `bound` messages wait in it."""

    bound: int = attrs.field(default=10_000, validator=attrs.validators.ge(1))
    overflow: Overflow = Overflow.LOUD


@attrs.frozen(slots=True)
class Message:
    """Base of every message: frozen, slotted, with its lane in its class."""

    LANE: ClassVar[Lane] = Lane.LOSSLESS

    @property
    def conflation_key(self) -> Hashable:
        """What a CONFLATED message is the latest of; by default one slot for the whole class."""
        return None

    @property
    def quarantine_key(self) -> Hashable:
        """Which messages of its type are as good as this one, should it keep crashing its receiver: those of its conflation key if it is
        CONFLATED, and else those equal to it."""
        return self.conflation_key if self.LANE is Lane.CONFLATED else self


@attrs.frozen(slots=True)
class Down(Message):
    """To the watcher of an address: the incarnation `incarnation` of `name` has ended, for `reason`."""

    LANE: ClassVar[Lane] = Lane.CONTROL
    name: str
    incarnation: int
    reason: Reason


@attrs.frozen(slots=True)
class LinkDown(Message):
    """To an actor that traps exits: the incarnation `incarnation` of `name`, to which it was linked, has ended, for `reason`."""

    LANE: ClassVar[Lane] = Lane.CONTROL
    name: str
    incarnation: int
    reason: Reason
