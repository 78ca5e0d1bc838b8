"""The two times: what world time is in each kind of world, and that machine time is left alone."""

from __future__ import annotations

import math
import time

import pytest
import trio
from trio.testing import MockClock

from chimera.clock import MAX_SPEED, VirtualClock, WorldClock


class TestScaled:
    """World time is an origin and a speed."""

    def test_without_more_it_is_the_machine_s_own_time(self) -> None:
        before = time.time()
        assert before - 0.1 <= WorldClock().now() <= time.time() + 0.1

    def test_it_runs_from_its_origin_at_its_speed(self) -> None:
        clock = WorldClock(origin_unix=1_000.0, origin_ns=time.monotonic_ns() - 3_000_000_000, speed=5.0)
        assert 1_015.0 <= clock.now() < 1_020.0

    def test_a_child_that_is_given_the_origin_reads_the_same_time(self) -> None:
        parent = WorldClock(origin_unix=1_000.0, speed=7.0)
        origin_ns, origin_unix, speed = parent.origin
        child = WorldClock(origin_ns=origin_ns, origin_unix=origin_unix, speed=speed)
        first = parent.now()
        between = child.now()
        assert first <= between <= parent.now()

    @pytest.mark.parametrize("speed", [0.0, -1.0, MAX_SPEED * 1.001, math.inf, math.nan])
    def test_a_speed_it_cannot_keep_is_refused(self, speed: float) -> None:
        with pytest.raises(ValueError, match="at most 10 times"):
            WorldClock(speed=speed)

    async def test_a_sleep_lasts_world_seconds(self, autojump_clock: MockClock) -> None:
        clock = WorldClock(speed=10.0)
        began = trio.current_time()
        await clock.sleep(50.0)
        assert trio.current_time() - began == pytest.approx(5.0)

    async def test_sleeping_until_a_time_that_has_passed_is_a_checkpoint_and_no_more(self, autojump_clock: MockClock) -> None:
        clock = WorldClock(origin_unix=1_000.0)
        began = trio.current_time()
        with trio.CancelScope() as scope:
            scope.cancel()
            await clock.sleep_until(0.0)
        assert scope.cancelled_caught
        await clock.sleep(-5.0)
        assert trio.current_time() == began

    def test_a_deadline_for_io_is_in_machine_seconds_whatever_the_speed(self) -> None:
        assert WorldClock(speed=10.0).real(5.0) == 5.0


class TestVirtual:
    """Time moves only when every task is blocked."""

    async def test_it_begins_where_it_is_told_and_stands_still_while_work_is_done(self, autojump_clock: MockClock) -> None:
        clock = VirtualClock(origin_unix=1_000.0)
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        assert clock.now() == 1_000.0

    async def test_a_sleep_moves_it_by_exactly_its_length(self, autojump_clock: MockClock) -> None:
        clock = VirtualClock(origin_unix=1_000.0)
        await clock.sleep(3_600.0)
        assert clock.now() == 4_600.0
        await clock.sleep_until(5_000.0)
        assert clock.now() == 5_000.0

    async def test_io_has_no_deadline_there(self, autojump_clock: MockClock) -> None:
        clock = VirtualClock(origin_unix=1_000.0)
        assert (clock.real(5.0), clock.virtual, WorldClock().virtual) == (math.inf, True, False)
