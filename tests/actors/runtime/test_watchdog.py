"""Stuck and stalled: who holds the loop is named while it is held, from a thread that touches nothing. Real threads, real time."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path

import pytest
import trio

from actors.runtime import ActorSystem, ChildSpec, Hold, LoopHeld, Supervisor, TrioActor
from actors.runtime.testing import drive, settle

LIMIT = 0.05


class Hog(TrioActor):
    """Holds the loop until a gate is open, in whatever way it is told to."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__()
        self.gate = gate

    async def on_receive(self, how: str) -> None:
        if how == "handler":
            self.spin()
        elif how == "asleep":
            self.gate.wait(5)
        elif how == "task":
            self.spawn(self.spin_later)

    async def spin_later(self) -> None:
        self.spin()

    def spin(self) -> None:
        while not self.gate.is_set():
            pass


class Post:
    """A system whose hooks write down what they are told, and open the gate once `enough` holds were reported."""

    def __init__(self, enough: int = 1) -> None:
        self.gate = threading.Event()
        self.enough = enough
        self.holds: list[tuple[Hold, int]] = []
        self.stalls: list[tuple[str, float]] = []
        self.system = ActorSystem(stall_limit=LIMIT, on_stall=self.on_stall, on_blocked=self.on_blocked)

    def on_blocked(self, hold: Hold) -> None:
        self.holds.append((hold, threading.get_ident()))
        if len(self.holds) == self.enough:
            self.gate.set()

    def on_stall(self, name: str, seconds: float) -> None:
        self.stalls.append((name, seconds))

    async def held(self, how: str) -> None:
        """Have the loop held until the watchdog has seen it."""
        await self.system.start(ChildSpec("top", lambda: Supervisor([ChildSpec("hog", lambda: Hog(self.gate))])))
        self.system.address("hog").tell(how)
        await settle()
        assert self.gate.is_set()


@pytest.mark.trio(run=trio.run)
@pytest.mark.parametrize(("how", "function"), [("handler", "Hog.spin"), ("task", "Hog.spin"), ("asleep", "Hog.on_receive")])
async def test_it_names_the_actor_and_the_function_while_the_loop_is_held(how, function):
    post = Post()
    async with post.system:
        await post.held(how)
    hold, thread = post.holds[0]
    assert hold.name == "hog"
    assert hold.where.endswith(f" {function}")
    assert any(str(Path(__file__)) in frame for frame in hold.stack)
    assert hold.seconds >= LIMIT
    assert thread != threading.get_ident()


@pytest.mark.trio(run=trio.run)
async def test_the_end_of_a_hold_is_told_in_the_loop_with_the_function_and_kept():
    post = Post()
    async with post.system as system:
        await post.held("handler")
        picture = system.snapshot()
    assert [name for name, _ in post.stalls] == ["hog"]
    assert (picture.held, picture.last_held.name) == (1, "hog")
    assert picture.last_held.where.endswith(" Hog.spin")
    assert picture.last_held.seconds >= post.holds[0][0].seconds
    assert picture.last_held.at == pytest.approx(trio.current_time(), abs=60)
    assert any(isinstance(event, LoopHeld) for event in system.events.tail)


@pytest.mark.trio(run=trio.run)
async def test_a_hold_that_lasts_is_reported_again_each_time_it_doubles():
    post = Post(enough=3)
    async with post.system:
        await post.held("handler")
    lasted = [hold.seconds for hold, _ in post.holds]
    assert len(lasted) == 3
    assert all(later >= 2 * earlier for earlier, later in itertools.pairwise(lasted))


@pytest.mark.trio(run=trio.run)
async def test_a_loop_that_waits_is_not_held():
    post = Post()
    async with post.system as system:
        await system.start(ChildSpec("hog", lambda: Hog(post.gate)))
        await trio.sleep(3 * LIMIT)
    assert post.holds == []
    assert post.stalls == []


@pytest.mark.trio(run=trio.run)
async def test_a_hook_that_fails_ends_the_system():
    gate = threading.Event()

    def fail(_: Hold) -> None:
        gate.set()
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        async with ActorSystem(stall_limit=LIMIT, on_blocked=fail) as system:
            await system.start(ChildSpec("hog", lambda: Hog(gate)))
            system.address("hog").tell("handler")
            await trio.sleep(5)


@pytest.mark.trio(run=trio.run)
async def test_the_thread_ends_with_the_system():
    async with ActorSystem():
        assert any(thread.name == "loop watchdog" for thread in threading.enumerate())
    assert not any(thread.name == "loop watchdog" for thread in threading.enumerate())


def test_a_virtual_world_has_none():
    async def main() -> list[str]:
        async with ActorSystem(virtual=True):
            return [thread.name for thread in threading.enumerate()]

    assert "loop watchdog" not in drive(main)


@pytest.mark.trio(run=trio.run)
async def test_loop_time_is_counted_by_actor():
    gate = threading.Event()
    threading.Timer(0.1, gate.set).start()
    async with ActorSystem(stall_limit=10.0) as system:
        await system.start(ChildSpec("idle", lambda: Hog(gate)))
        await system.start(ChildSpec("hog", lambda: Hog(gate)))
        began = time.perf_counter()
        system.address("hog").tell("task")
        await settle()
        spun = time.perf_counter() - began
        hog, idle = (system.address(name).statistics() for name in ("hog", "idle"))
        assert 0.05 <= hog.loop <= spun
        assert hog.loop_share > 10 * idle.loop_share
        assert sum(actor.loop_share for actor in system.snapshot().actors.values()) <= 1.0
