"""OTP's `sys` verbs: what every actor obeys without its class knowing of it. All are CONTROL, so they overtake, and work while suspended.

Counts, histograms and the trace ring can be read without any message (`Address.statistics`, `Address.traced`); these are for what only the
actor can do, and for asking from where there is no address but only a `call`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import attrs

from actors.runtime.lanes import Lane, Message
from actors.runtime.statistics import TRACE_KEEP

if TYPE_CHECKING:
    from actors.runtime.address import Address


@attrs.frozen(slots=True)
class Verb(Message):
    """Base of the verbs."""

    LANE: ClassVar[Lane] = Lane.CONTROL


@attrs.frozen(slots=True)
class GetState(Verb):
    """Answers the actor's `state_summary()`."""


@attrs.frozen(slots=True)
class GetStatus(Verb):
    """Answers its ActorStatus."""


@attrs.frozen(slots=True)
class GetStatistics(Verb):
    """Answers its Work: what it has handled so far, and how long that took."""


@attrs.frozen(slots=True)
class Suspend(Verb):
    """Handle CONTROL only until Resume. Answers True. A suspended actor that is told to stop stops at once, its queue untouched.

    It is of the incarnation: the next one is not suspended.
    """


@attrs.frozen(slots=True)
class Resume(Verb):
    """Handle everything again. Answers True."""


@attrs.frozen(slots=True)
class TraceOn(Verb):
    """Keep the last `keep` messages handled, which an actor does from the start (256 of them). Answers True."""

    keep: int = attrs.field(default=TRACE_KEEP, validator=attrs.validators.ge(1))


@attrs.frozen(slots=True)
class TraceOff(Verb):
    """Keep none, and forget those kept. Answers True."""


def obey(address: Address, verb: Verb) -> object:
    """Do what a verb says to the actor that lives at `address`. Call it in the loop."""
    return _OBEY[type(verb)](address, verb)


def _state(address: Address, _: Verb) -> object:
    return {} if address.actor is None else address.actor.state_summary()


def _suspend(address: Address, verb: Verb) -> object:
    address.mailbox.suspended = isinstance(verb, Suspend)
    return True


def _trace(address: Address, verb: Verb) -> object:
    kept = address.ledger.trace or ()
    address.ledger.trace = deque(kept, maxlen=verb.keep) if isinstance(verb, TraceOn) else None
    return True


_OBEY: dict[type[Verb], Callable[[Address, Verb], object]] = {
    GetState: _state,
    GetStatus: lambda address, _: address.statistics(),
    GetStatistics: lambda address, _: address.ledger.work(),
    Suspend: _suspend,
    Resume: _suspend,
    TraceOn: _trace,
    TraceOff: _trace,
}
VERBS: tuple[type[Verb], ...] = tuple(_OBEY)
