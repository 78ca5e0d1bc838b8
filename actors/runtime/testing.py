"""For tests of anything built from actors: virtual time, seeded scheduling, and an actor that remembers what it was told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple, Unpack

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.runtime.actor import TrioActor
from actors.runtime.seeding import seeded
from actors.runtime.spec import ChildSpec, Restart
from actors.runtime.system import ActorSystem

T = TypeVar("T")
M = TypeVar("M")
Ts = TypeVarTuple("Ts")


def drive(fn: Callable[[Unpack[Ts]], Awaitable[T]], *args: *Ts, seed: int = 0) -> T:
    """Run `fn(*args)` to its end in virtual time that moves only when every task is blocked, scheduled by `seed`."""
    with seeded(seed):
        return trio.run(fn, *args, clock=MockClock(autojump_threshold=0))


async def settle() -> None:
    """Wait until every other task is blocked: all messages handled, all restarts without a backoff done."""
    await wait_all_tasks_blocked()


class Probe(TrioActor):
    """Keeps every message in `seen`; an ask is answered with the message itself."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []

    @classmethod
    async def watch(cls, system: ActorSystem, name: str = "probe") -> Probe:
        """Start one at the top of `system`; tell `probe.address`."""
        made: list[Probe] = []

        def make() -> Probe:
            made.append(cls())
            return made[-1]

        await system.start(ChildSpec(name, make, restart=Restart.TEMPORARY))
        return made[0]

    def on_receive(self, message: object) -> object:
        self.seen.append(message)
        return message

    def of(self, kind: type[M]) -> list[M]:
        """The messages of one type, in order."""
        return [message for message in self.seen if isinstance(message, kind)]
