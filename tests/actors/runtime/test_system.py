"""The system itself: worker threads, stalls, random streams, snapshots, and its end."""

from __future__ import annotations

import threading
import time

import pykka
import pytest
import trio

from actors.runtime import ActorSystem, ChildSpec, Exit, Phase, Supervisor, TrioActor, current_system
from actors.runtime.testing import settle


@pytest.mark.parametrize(("virtual", "inline"), [(True, True), (False, False)])
@pytest.mark.trio(run=trio.run)
async def test_blocking_work_runs_in_a_thread_and_inline_when_virtual(virtual, inline):
    async with ActorSystem(virtual=virtual) as system:
        thread = await system.blocking(threading.get_ident)
        assert (thread == threading.get_ident()) == inline
        assert await system.blocking(divmod, 7, 2) == (3, 1)


@pytest.mark.trio(run=trio.run)
async def test_blocking_work_has_a_limit_of_its_own():
    at_once, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        with lock:
            at_once -= 1

    async with ActorSystem(blocking_threads=2) as system, trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(system.blocking, work)
    assert most == 2


@pytest.mark.trio(run=trio.run)
@pytest.mark.parametrize("by", ["handler", "spawned task", "nursery in a handler"])
async def test_a_step_that_holds_the_loop_is_reported_with_the_actors_name(by):
    stalls = []

    class Hog(TrioActor):
        async def on_receive(self, message: object) -> None:
            if by == "handler":
                self.hold()
            elif by == "spawned task":
                self.spawn(self.hold_soon)
            else:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self.hold_soon)

        async def hold_soon(self) -> None:
            self.hold()

        def hold(self) -> None:
            end = time.perf_counter() + 0.03
            while time.perf_counter() < end:
                pass

    async with ActorSystem(stall_limit=0.025, on_stall=lambda name, seconds: stalls.append((name, seconds))) as system:
        await system.start(ChildSpec("top", lambda: Supervisor([ChildSpec("hog", Hog)])))
        system.address("hog").tell("go")
        await settle()
        assert system.snapshot().steps.max >= 0.03
    assert [(name, seconds >= 0.03) for name, seconds in stalls if name == "hog"] == [("hog", True)]


async def test_steps_are_not_timed_in_a_virtual_world(stage):
    assert stage.system.step_clock is None
    assert stage.system.snapshot().steps.count == 0


def test_random_streams_are_named_and_seeded():
    draw = {(seed, name): ActorSystem(seed=seed).random(name).random() for seed in (1, 2) for name in "ab"}
    assert len(set(draw.values())) == 4
    assert ActorSystem(seed=1).random("a").random() == draw[1, "a"]


async def test_a_snapshot_shows_the_tree(stage):
    await stage.up(stage.spec("a"), ChildSpec("in", lambda: Supervisor([stage.spec("x")])))
    await stage.tell("x", "hi")
    picture = stage.system.snapshot()
    assert {name: actor.supervisor for name, actor in picture.actors.items()} == {"top": "", "a": "top", "in": "top", "x": "in"}
    assert (picture.actors["x"].kind, picture.actors["x"].state, picture.actors["x"].restart) == ("Worker", "running", "permanent")


async def test_a_snapshot_names_the_handler_at_work(stage):
    await stage.up(stage.spec("a", shutdown=0))
    assert stage.system.address("a").statistics().current is None
    await stage.tell("a", "hang")
    name, seconds = stage.system.address("a").statistics().current
    assert (name, seconds > 0) == ("str", True)


async def test_leaving_the_system_stops_every_tree_in_reverse(stage):
    async with ActorSystem(virtual=True, on_exit=stage.on_exit) as inner:
        await inner.start(stage.spec("one"))
        await inner.start(stage.spec("two"))
    assert stage.did("exit") == ["two", "one"]
    assert inner.address("one").phase is Phase.GONE
    assert pykka.ActorRegistry.get_by_class_name("Worker") == []


async def test_a_failed_background_task_that_no_actor_started_ends_the_system(stage):
    async def fail() -> None:
        await trio.sleep(1)
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        async with ActorSystem(virtual=True) as system:
            system.start_soon(fail)
            await trio.sleep(5)


async def test_the_end_of_a_tree_can_be_awaited_with_its_reason(stage):
    address = await stage.system.start(stage.spec("a"))
    address.tell("bye")
    assert await stage.system.ended(address) is Exit.NORMAL


async def test_a_tree_can_be_run_to_its_end(stage):
    async def end() -> None:
        await settle()
        stage.system.address("a").tell("boom")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
        assert isinstance(await stage.system.run(stage.spec("a")), RuntimeError)


async def test_the_current_system_is_the_innermost(stage):
    assert current_system() is stage.system
    async with ActorSystem(virtual=True) as inner:
        assert current_system() is inner
    assert current_system() is stage.system


def test_outside_any_system_there_is_none():
    with pytest.raises(RuntimeError, match="no actor system runs here"):
        current_system()


def test_a_system_that_does_not_run_says_so():
    with pytest.raises(RuntimeError, match="enter it with"):
        ActorSystem().start_soon(trio.sleep, 1)
