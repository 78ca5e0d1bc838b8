"""What the rest of the runtime knows of an actor, and where the code that runs now belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pykka
import trio

from actors.runtime.lanes import LanePolicy

if TYPE_CHECKING:
    from actors.runtime.address import Address
    from actors.runtime.system import ActorSystem


class Incarnation(Protocol):
    """One life of an actor; TrioActor and BlockingActor are such."""

    LANE_POLICY: ClassVar[LanePolicy]
    SUPERVISES: ClassVar[bool]
    TRAP_EXITS: ClassVar[bool]
    address: Address

    @property
    def actor_ref(self) -> pykka.ActorRef[Any]: ...

    @property
    def spawned(self) -> int:
        """Tasks running beside the main one."""
        ...

    @property
    def stashed(self) -> int:
        """Messages put aside."""
        ...

    def state_summary(self) -> dict[str, object]:
        """A few plain values for people."""
        ...

    @property
    def abandoned(self) -> bool:
        """True if something of it still runs and cannot be ended."""
        ...

    def at_work_in(self, task: trio.lowlevel.Task) -> bool:
        """True if `task` is the one that handles messages."""
        ...

    async def live(self, started: Callable[[], None]) -> None:
        """Run to the end; raise what ended it, if anything did."""
        ...

    def crash(self, error: Exception) -> bool:
        """End this incarnation with `error`; False if it has ended already."""
        ...

    def ended(self, crash: BaseException | None) -> None:
        """The last step: nothing may wait for this incarnation any more."""
        ...


current_actor: ContextVar[Incarnation | None] = ContextVar("current_actor", default=None)
system_here: ContextVar[ActorSystem | None] = ContextVar("actor_system", default=None)
_birthplace: ContextVar[Address | None] = ContextVar("birthplace", default=None)


def current_system() -> ActorSystem:
    """The system whose `async with` block this code runs in. Raises RuntimeError outside any."""
    system = system_here.get()
    if system is None:
        raise RuntimeError("no actor system runs here; make actors inside `async with ActorSystem(...)`")
    return system


@contextmanager
def born_at(address: Address) -> Iterator[None]:
    """Within this block the first actor constructed lives at `address`."""
    token = _birthplace.set(address)
    try:
        yield
    finally:
        _birthplace.reset(token)


def claim_birthplace(kind: str) -> Address:
    """Where the actor under construction is to live: what `born_at` says, once, and else a nameless address in the current system."""
    address = _birthplace.get()
    if address is None:
        return current_system().anonymous(kind)
    _birthplace.set(None)
    return address
