"""What can be read of an actor and of the whole, without sending it anything: every field says what it promises."""

from __future__ import annotations

import sys
from pathlib import Path

import attrs
import pytest
import trio

from actors.runtime import ActorSystem, Backoff, ChildSpec, Crash, Lane, Message, Restart, Shutdown, Supervisor, TrioActor, handles
from actors.runtime.testing import Probe, settle


@attrs.frozen(slots=True)
class Tick(Message):
    n: int
    trace: int = 0


@attrs.frozen(slots=True)
class Top(Message):
    LANE = Lane.CONFLATED
    n: int


class Fragile(TrioActor):
    @handles(Tick)
    def on_tick(self, tick: Tick) -> None:
        self.fall(tick)

    def fall(self, tick: Tick) -> None:
        raise ValueError(f"tick {tick.n}")

    @handles(str)
    def on_text(self, text: str) -> None:
        self.spawn(self.fail)

    async def fail(self) -> None:
        raise ValueError("in a task")


@pytest.mark.conformance(60)
@pytest.mark.parametrize("read", [lambda s: s.address("a").statistics(), lambda s: s.address("a").traced(), lambda s: s.snapshot()])
async def test_nothing_that_is_read_is_a_message(stage, read):
    probe = await Probe.watch(stage.system, "a")
    probe.address.tell("hi")
    await settle()
    before = [lane.puts for lane in probe.address.statistics().lanes.values()]
    read(stage.system)
    await settle()
    assert probe.seen == ["hi"]
    assert [lane.puts for lane in probe.address.statistics().lanes.values()] == before


async def test_the_path_names_the_supervisors_from_the_top(stage):
    inner = ChildSpec("inner", lambda: Supervisor([stage.spec("a")]))
    await stage.up(ChildSpec("outer", lambda: Supervisor([inner])))
    assert stage.system.address("a").statistics().path == ("top", "outer", "inner")
    assert stage.system.address("top").statistics().path == ()


@pytest.mark.parametrize(
    ("phase", "reach"),
    [
        ("waiting", lambda stage: settle()),
        ("running", lambda stage: stage.up(stage.spec("a"))),
        ("done", lambda stage: ended(stage)),
        ("backoff", lambda stage: crashed(stage)),
    ],
)
async def test_the_state_is_the_phase(stage, phase, reach):
    address = stage.system.address("a")
    await reach(stage)
    assert address.statistics().state == phase


async def ended(stage) -> None:
    await stage.up(stage.spec("a", restart=Restart.TRANSIENT))
    await stage.tell("a", "bye")


async def crashed(stage) -> None:
    await stage.up(stage.spec("a", backoff=Backoff(min=5.0, jitter=0.0)))
    await stage.tell("a", "boom")


async def test_a_pending_restart_says_when(stage):
    await crashed(stage)
    await trio.sleep(2)
    status = stage.system.address("a").statistics()
    assert (status.retry_in, status.uptime, status.restarts) == (pytest.approx(3.0), None, 0)


async def test_restarts_are_counted_for_good_and_within_the_supervisors_window(stage):
    await stage.up(stage.spec("a"), intensity=10, period=30.0)
    for _ in range(3):
        await stage.tell("a", "boom")
        await trio.sleep(12)
    status = stage.system.address("a").statistics()
    assert (status.restarts, status.restarts_in_window, status.window) == (3, 2, 30.0)


async def test_lanes_say_what_waits_how_much_waited_at_most_and_how_long(stage):
    address = stage.system.address("a")
    for message in (Tick(1), Tick(2), Top(1), Top(2)):
        address.tell(message)
    lanes = address.statistics().lanes
    assert [(lane.depth, lane.high_water, lane.puts, lane.conflated) for lane in lanes.values()] == [
        (0, 0, 0, 0), (2, 2, 2, 0), (1, 1, 2, 1),
    ]  # fmt: skip
    assert lanes[Lane.CONTROL].oldest_age == 0.0
    assert lanes[Lane.LOSSLESS].oldest_age > lanes[Lane.CONFLATED].oldest_age > 0.0


async def test_a_crash_is_remembered_with_its_place_its_message_and_its_trace(stage):
    await stage.up(ChildSpec("a", Fragile))
    await trio.sleep(3)
    await stage.tell("a", Tick(7, trace=99))
    crash = stage.system.address("a").statistics().crash
    assert (crash.kind, crash.text, crash.message, crash.trace) == ("ValueError", "tick 7", "Tick", 99)
    assert crash.at == stage.system.now()
    assert crash.where[-1].startswith(str(Path(__file__)))
    assert crash.where[-1].endswith(" Fragile.fall")
    assert any(frame.endswith(" Fragile.on_tick") for frame in crash.where)


async def test_a_crash_outside_any_message_names_none(stage):
    await stage.up(ChildSpec("a", Fragile))
    await stage.tell("a", "go")
    crash = stage.system.address("a").statistics().crash
    assert (crash.kind, crash.text, crash.message, crash.trace) == ("ValueError", "in a task", "", 0)


async def test_a_normal_end_is_no_crash(stage):
    await stage.up(stage.spec("a"))
    await stage.tell("a", "bye")
    assert stage.reasons("a") != [Shutdown]
    status = stage.system.address("a").statistics()
    assert (status.crash, status.last_error) == (None, "")


async def test_a_crash_keeps_no_frame_alive(stage):
    await stage.up(ChildSpec("a", Fragile))
    await stage.tell("a", Tick(1))
    assert all(isinstance(value, str | int | float | tuple) for value in attrs.astuple(stage.system.address("a").ledger.crash))
    assert isinstance(stage.system.address("a").ledger.crash, Crash)


async def test_what_was_handled_is_counted_by_type_and_timed(stage):
    probe = await Probe.watch(stage.system, "a")
    for n in range(3):
        probe.address.tell(Tick(n))
    probe.address.tell(Top(1))
    await settle()
    status = probe.address.statistics()
    assert status.processed == {"Tick": 3, "Top": 1}
    assert status.waits.count == status.handling.count == 4
    assert 0 < status.handling.p50 <= status.handling.p99 <= status.handling.max <= status.handling.total


async def test_the_trace_tells_each_message_with_its_lane_and_times(stage):
    probe = await Probe.watch(stage.system, "a")
    probe.address.tell(Tick(1, trace=5))
    probe.address.tell(Top(1))
    await settle()
    assert [(step.kind, step.lane, step.trace) for step in probe.address.traced()] == [
        ("Tick", Lane.LOSSLESS, 5), ("Top", Lane.CONFLATED, 0),
    ]  # fmt: skip


@pytest.mark.trio(run=trio.run)
async def test_shares_of_the_loop_are_known_where_time_is_real():
    async with ActorSystem() as system:
        probe = await Probe.watch(system, "a")
        probe.address.tell("hi")
        await settle()
        status = probe.address.statistics()
        assert 0.0 < status.loop_share < 1.0
        assert status.loop > 0.0
        picture = system.snapshot()
    assert picture.switch_interval == sys.getswitchinterval()
    assert (picture.held, picture.last_held, picture.calls_waiting) == (0, None, 0)


async def test_shares_of_the_loop_are_unknown_in_a_virtual_world(stage):
    await stage.up(stage.spec("a"))
    assert stage.system.address("a").statistics().loop_share is None


async def test_calls_from_threads_that_wait_are_counted(stage):
    trio.lowlevel.current_trio_token().run_sync_soon(lambda: None)
    assert stage.system.snapshot().calls_waiting == 1
