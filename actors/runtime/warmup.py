"""What a program does once, between its start and its first decision, so that no later step pays for it.

The interpreter makes code fast by running it, and the garbage collector walks over everything the start has made each time it looks for
garbage. So the message path is run a few hundred times, and what lives now is taken out of the collector's sight.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

import attrs
import trio

from actors.runtime.actor import TrioActor
from actors.runtime.handlers import handles
from actors.runtime.lanes import Lane, Message
from actors.runtime.ref import TrioActorRef
from actors.runtime.system import ActorSystem

ROUNDS = 100
REHEARSALS = 20
YOUNG = 20_000
"""Allocations between two collections of the youngest objects; a decision makes some hundred."""


@attrs.frozen(slots=True)
class _Lossless(Message):
    n: int


@attrs.frozen(slots=True)
class _Control(_Lossless):
    LANE: ClassVar[Lane] = Lane.CONTROL


@attrs.frozen(slots=True)
class _Conflated(_Lossless):
    LANE: ClassVar[Lane] = Lane.CONFLATED


class _Echo(TrioActor):
    @handles(_Lossless)
    def on_any(self, message: _Lossless) -> int:
        return message.n


async def settle_in(system: ActorSystem, rehearse: Callable[[], object] = lambda: None) -> None:
    """Warm up, and settle the heap for as long as the system runs: the last step of a start.

    Nothing in a virtual world, where no decision depends on speed.
    """
    if not system.virtual:
        await warm_up(rehearse)
        system.enter_context(settled_heap())


async def warm_up(rehearse: Callable[[], object] = lambda: None) -> None:
    """Run every lane, tells and calls, with an actor of the current system that is gone afterwards; it takes some 10 ms.

    `rehearse` is run REHEARSALS times, each in a step of its own: the program's own decision, made for nobody.
    """
    for _ in range(REHEARSALS):
        rehearse()
        await trio.lowlevel.checkpoint()
    ref = _Echo.start()
    assert isinstance(ref, TrioActorRef)
    for n in range(ROUNDS):
        for kind in (_Lossless, _Control, _Conflated):
            ref.tell(kind(n))
        await ref.call(_Lossless(n))
    await ref.stop(block=False)


@contextmanager
def settled_heap() -> Iterator[None]:
    """Within this block the collector leaves alone what lived at its beginning, and looks for garbage less often.

    It collects nothing first: that would hold the loop. What is garbage already stays until the end of the block; it is little at a start.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(YOUNG, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
