"""A TrioActor is a pykka actor: pykka's own promises hold for it, and the private names it stands on exist."""

from __future__ import annotations

import inspect
import threading

import pykka
import pytest
import trio
from pykka.messages import _ActorStop

from actors.runtime import TrioActor, TrioActorRef, TrioFuture, WouldBlockLoop
from actors.runtime.testing import Probe, settle


class Calculator(TrioActor):
    def __init__(self, memory: int = 0) -> None:
        super().__init__()
        self.memory = memory
        self.events: list[str] = []

    def on_start(self) -> None:
        self.events.append("start")

    def on_stop(self) -> None:
        self.events.append("stop")

    def on_failure(self, *exc_info: object) -> None:
        self.events.append(f"failure {exc_info[0].__name__}")

    def on_receive(self, message: object) -> object:
        self.events.append(str(message))
        if message == "boom":
            raise ValueError(message)
        return message

    def add(self, n: int) -> int:
        self.memory += n
        return self.memory

    async def add_slowly(self, n: int) -> int:
        await trio.sleep(1)
        return self.add(n)


@pytest.fixture
async def ref(stage):
    return Calculator.start(memory=1)


async def test_start_gives_a_ref_in_the_registry(ref):
    assert isinstance(ref, TrioActorRef)
    assert isinstance(ref, pykka.ActorRef)
    assert issubclass(Calculator, pykka.Actor)
    assert ref.is_alive()
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is ref
    assert pykka.ActorRegistry.get_by_class(Calculator) == [ref]


async def test_tell_and_ask(ref):
    ref.tell("one")
    assert await ref.ask("two", block=False) == "two"
    assert await ref.call("three") == "three"
    assert ref._actor_weakref().events == ["start", "one", "two", "three"]


async def test_proxies_reach_attributes_and_methods(ref):
    proxy = ref.proxy()
    assert await proxy.memory == 1
    assert await proxy.add(2) == 3
    assert await proxy.add_slowly(4) == 7


async def test_stop_handles_what_was_queued_and_runs_on_stop_once(ref):
    actor = ref._actor_weakref()
    ref.tell("before")
    assert await ref.stop(block=False) is True
    assert actor.events == ["start", "before", "stop"]
    assert not ref.is_alive()
    assert pykka.ActorRegistry.get_by_urn(ref.actor_urn) is None


async def test_stopping_twice_says_that_it_was_dead(ref):
    first, second = ref.stop(block=False), ref.stop(block=False)
    await first
    await second
    assert await ref.stop(block=False) is False


async def test_the_dead_refuse_tell_and_ask(ref):
    await ref.stop(block=False)
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("x")
    with pytest.raises(pykka.ActorDeadError):
        await ref.ask("x", block=False)
    with pytest.raises(pykka.ActorDeadError):
        ref.proxy()


async def test_an_ask_left_in_the_queue_at_the_end_fails(ref):
    stopped, late = ref.stop(block=False), ref.ask("late", block=False)
    assert await stopped
    with pytest.raises(pykka.ActorDeadError):
        await late


async def test_a_crash_calls_on_failure_and_not_on_stop(ref):
    actor = ref._actor_weakref()
    ref.tell("boom")
    await settle()
    assert actor.events == ["start", "boom", "failure ValueError"]
    assert not ref.is_alive()


async def test_stop_all_without_blocking_stops_all(ref):
    Calculator.start()
    await settle()
    for future in pykka.ActorRegistry.stop_all(block=False):
        await future
    assert pykka.ActorRegistry.get_all() == []


async def test_an_actor_can_stop_itself(ref):
    actor = ref._actor_weakref()
    actor.stop()
    await settle()
    assert actor.events == ["start", "stop"]


@pytest.mark.conformance(57)
@pytest.mark.parametrize(
    "how",
    [
        lambda ref: ref.ask("x"),
        lambda ref: ref.stop(),
        lambda ref: ref.proxy().memory.get(),
        lambda ref: setattr(ref.proxy(), "memory", 2),
    ],
)
async def test_blocking_inside_the_loop_is_an_error_not_a_deadlock(ref, how):
    await settle()
    with pytest.raises(WouldBlockLoop):
        how(ref)


@pytest.mark.trio(run=trio.run)
async def test_another_thread_may_block(ref):
    assert await trio.to_thread.run_sync(ref.ask, "x") == "x"
    assert await trio.to_thread.run_sync(lambda: ref.proxy().add(5).get(timeout=1)) == 6
    assert await trio.to_thread.run_sync(ref.stop)


@pytest.mark.trio(run=trio.run)
async def test_an_actor_may_be_started_from_another_thread(stage):
    ref = await trio.to_thread.run_sync(Calculator.start)
    assert await ref.call("x") == "x"


async def test_unsupervised_actors_leave_no_address_behind(stage, ref):
    await settle()
    assert len(stage.system.snapshot().actors) == 1
    await ref.stop(block=False)
    await settle()
    assert stage.system._addresses == {}


async def test_on_receive_by_default_warns_as_pykkas_does(stage, caplog):
    TrioActor.start().tell("hello")
    await settle()
    assert any("Unexpected message received" in record.message for record in caplog.records)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_handle_receive", ["self", "message"]),
        ("_create_actor_inbox", []),
        ("_create_future", []),
        ("_start_actor_loop", ["self"]),
        ("_stop", ["self"]),
    ],
)
def test_the_private_names_of_pykka_that_we_stand_on_exist(name, parameters):
    assert list(inspect.signature(getattr(pykka.Actor, name)).parameters) == parameters
    assert _ActorStop() == ()


# Futures


async def test_a_future_may_be_awaited_by_many_and_read_often():
    future = TrioFuture()
    seen = []

    async def wait() -> None:
        seen.append(await future)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await settle()
        future.set(3)
    assert [*seen, await future, future.get(), future.get()] == [3] * 5


async def test_a_cancelled_wait_leaves_the_future_alone():
    future = TrioFuture()
    with trio.move_on_after(1) as scope:
        await future
    assert scope.cancelled_caught
    future.set(1)
    assert await future == 1


def test_a_future_is_settled_once():
    import queue

    future = TrioFuture()
    future.set(1)
    with pytest.raises(queue.Full):
        future.set(2)
    assert future.fail(RuntimeError()) is False
    assert future.get() == 1


def test_a_future_blocks_outside_a_loop():
    future = TrioFuture()
    with pytest.raises(pykka.Timeout):
        future.get(timeout=0.01)
    threading.Timer(0.01, future.set, [5]).start()
    assert future.get(timeout=5) == 5


def test_set_exception_takes_the_exception_being_handled():
    future = TrioFuture()
    try:
        raise ValueError("x")
    except ValueError:
        future.set_exception()
    with pytest.raises(ValueError, match="x"):
        future.get()
    with pytest.raises(ValueError, match="needs an exception"):
        TrioFuture().set_exception()


@pytest.mark.trio(run=trio.run)
async def test_pykkas_get_hooks_can_be_awaited(stage):
    future = TrioFuture()
    mapped = future.map(lambda n: n + 1)
    future.set(1)
    assert await mapped == 2
    assert await Probe.start().ask(3, block=False).map(str) == "3"
