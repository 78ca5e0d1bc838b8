"""The last step of a start: it leaves nobody behind, and the collector as it was."""

from __future__ import annotations

import gc

import pytest
import trio

from actors.runtime import ActorSystem, settle_in, settled_heap, warm_up
from actors.runtime.testing import drive, settle
from actors.runtime.warmup import REHEARSALS


@pytest.mark.trio(run=trio.run)
async def test_it_lasts_as_long_as_the_system_and_leaves_nobody_behind():
    before = gc.get_threshold()
    async with ActorSystem() as system:
        await settle_in(system)
        await settle()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() != before
        assert system.snapshot().actors == {}
        assert len(system.dead_letters) == 0
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before


def test_in_a_virtual_world_it_does_nothing():
    async def main() -> tuple[int, int]:
        async with ActorSystem(virtual=True) as system:
            await settle_in(system)
            return gc.get_freeze_count(), len(system.events.tail)

    assert drive(main) == (0, 0)


def test_a_settled_heap_is_not_walked():
    ballast = [[n] for n in range(1_000)]
    with settled_heap():
        assert gc.get_freeze_count() >= len(ballast)
        assert not any(thing is ballast for thing in gc.get_objects())
    assert any(thing is ballast for thing in gc.get_objects())


@pytest.mark.trio(run=trio.run)
async def test_a_rehearsal_is_run_several_times_each_in_a_step_of_its_own():
    steps: list[int] = []
    step = 0

    class Count(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            nonlocal step
            step += 1

    async with ActorSystem():
        trio.lowlevel.add_instrument(Count())
        await warm_up(lambda: steps.append(step))
    assert len(set(steps)) == len(steps) == REHEARSALS
