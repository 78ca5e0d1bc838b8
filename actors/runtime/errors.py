"""Why an actor ended, and what a sender can be told.

`Refusal`, `Ignore` and `Shutdown` are said by actors on purpose. The others are said by the runtime. An exit reason is an `Exit` where
nothing went wrong that has a traceback, and the exception itself where something did.
"""

from __future__ import annotations

import enum
from typing import TypeAlias


class Refusal(Exception):
    """Raised by a handler that will not do what it was asked: a `call` gets it as its error, and the actor lives on."""


class Ignore(Exception):
    """Raised or returned by `on_start`: this actor has nothing to do here. Its slot is kept empty and nothing failed."""


class Shutdown(Exception):
    """Raised by a handler or a spawned task to end the actor on purpose; a TRANSIENT child is not restarted after it."""


class ActorCrashed(Exception):
    """What a `call` raises when its handler crashed; `__cause__` is what the handler raised."""


class MailboxFull(RuntimeError):
    """The LOSSLESS lane of the receiver is at its bound; the message was not delivered."""


class WouldBlockLoop(RuntimeError):
    """A blocking `get()` inside the loop, where nothing could ever settle the future. Await it instead."""


class CallToSelf(RuntimeError):
    """An actor called itself from its own handler: the answer could only come after the handler had ended."""


class StashFull(RuntimeError):
    """An actor put aside more messages than its STASH_BOUND."""


class LinkedEnd(Exception):
    """What crashes an actor when another, to which it was linked, has crashed or was killed; `__cause__` is that one's crash."""

    def __init__(self, name: str, reason: Reason) -> None:
        super().__init__(f"{name!r}, to which it was linked, ended: {explain(reason)}")
        self.name = name
        self.reason = reason
        self.__cause__ = reason if isinstance(reason, BaseException) else None


class StartFailed(Exception):
    """A child did not get past `on_start`; `__cause__` is why."""

    def __init__(self, name: str, reason: Reason) -> None:
        super().__init__(f"child {name!r} did not start: {explain(reason)}")
        self.name = name
        self.reason = reason
        self.__cause__ = reason if isinstance(reason, BaseException) else None


class SupervisorGaveUp(Exception):
    """More restarts within the period than the supervisor's intensity allows; it stopped its children and ended."""


class Exit(enum.Enum):
    """How an incarnation ended when no exception says it."""

    NORMAL = "normal"  # it stopped of its own accord
    SHUTDOWN = "shutdown"  # its supervisor asked it to stop, and it did
    KILLED = "killed"  # it was cancelled
    ABANDONED = "abandoned"  # its thread would not stop; Python cannot kill one
    NOPROC = "noproc"  # there was nobody to monitor


Reason: TypeAlias = Exit | BaseException


def is_normal(reason: Reason) -> bool:
    """True for the ends after which a TRANSIENT child stays down."""
    return reason in (Exit.NORMAL, Exit.SHUTDOWN) or isinstance(reason, Shutdown | Ignore)


def explain(reason: Reason) -> str:
    """One line for logs, tables and messages."""
    if isinstance(reason, Exit):
        return reason.value
    return f"{type(reason).__name__}: {reason}"


def unwrap(error: BaseException) -> BaseException:
    """The exception inside nested groups of one, which is what a nursery makes of a single failure."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def split_crash(error: BaseException) -> tuple[Reason, BaseException | None]:
    """(exit reason, what must still propagate): cancellation and interrupts are never swallowed with a crash."""
    if isinstance(error, Exception):
        return unwrap(error), None
    if not isinstance(error, BaseExceptionGroup):
        return Exit.KILLED, error
    crash, passing = error.split(Exception)
    return (Exit.KILLED if crash is None else unwrap(crash)), passing
