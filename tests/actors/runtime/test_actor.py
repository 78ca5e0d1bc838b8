"""What an actor can do: handlers, tasks, timers, promises, and what its end means for each."""

from __future__ import annotations

import attrs
import pykka
import pytest
import trio

from actors.runtime import ChildSpec, Exit, Message, Promise, Shutdown, Supervisor, TrioActor, handles
from actors.runtime.testing import settle


@attrs.frozen(slots=True)
class Ping(Message):
    n: int


@attrs.frozen(slots=True)
class LoudPing(Ping):
    pass


class Base(TrioActor):
    @handles(Ping)
    def on_ping(self, message: Ping) -> str:
        return f"base {message.n}"

    @handles(str, bytes)
    async def on_text(self, message: str) -> str:
        await trio.sleep(1)
        return f"text {message!r}"


class Derived(Base):
    def on_ping(self, message: Ping) -> str:
        return f"derived {message.n}"


class Specific(Base):
    @handles(LoudPing)
    def on_loud(self, message: LoudPing) -> str:
        return f"loud {message.n}"


@pytest.mark.parametrize(
    ("kind", "message", "answer"),
    [
        (Base, Ping(1), "base 1"),
        (Base, LoudPing(2), "base 2"),
        (Base, "x", "text 'x'"),
        (Base, b"x", "text b'x'"),
        (Derived, Ping(1), "derived 1"),
        (Specific, LoudPing(1), "loud 1"),
        (Specific, Ping(1), "base 1"),
    ],
)
async def test_handlers_are_found_by_type_and_may_be_overridden(stage, kind, message, answer):
    address = await stage.system.start(ChildSpec("a", kind))
    assert await address.call(message) == answer
    assert await address.call(message) == answer


def test_two_handlers_of_one_type_are_a_mistake():
    with pytest.raises(TypeError, match="on_a and on_b both handle Ping"):

        class Twice(TrioActor):
            @handles(Ping)
            def on_a(self, _: Ping) -> None: ...

            @handles(Ping)
            def on_b(self, _: Ping) -> None: ...


async def test_a_spawned_task_ends_with_its_actor(stage):
    ended = []

    class Busy(TrioActor):
        def on_start(self) -> None:
            self.spawn(self.work)

        async def work(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                ended.append(self.address.phase.value)

    address = await stage.system.start(ChildSpec("a", Busy))
    assert address.statistics().spawned == 1
    assert await stage.system.stop(address) is Exit.SHUTDOWN
    assert ended == ["stopping"]


async def test_a_stop_that_was_not_reached_is_not_meant_for_the_next_incarnation(stage):
    await stage.up(stage.spec("a"))
    await settle()
    ref = stage.system.address("a").actor.actor_ref
    first, second = ref.stop(block=False), ref.stop(block=False)
    assert (await first, await second) == (True, True)
    await settle()
    assert stage.incarnations("a") == [2]
    assert await stage.system.address("a").call("hi") == ("echo", "a", "hi")


async def test_a_failed_task_crashes_its_actor_with_the_bare_exception(stage):
    await stage.up(stage.spec("a"))
    await stage.tell("a", "task boom")
    await trio.sleep(1.5)
    assert stage.reasons("a") == [RuntimeError]
    assert stage.incarnations("a") == [2]


async def test_two_failures_at_once_end_as_a_group(stage):
    class Twins(TrioActor):
        def on_receive(self, message: object) -> None:
            self.spawn(self.fail)
            self.spawn(self.fail)

        async def fail(self) -> None:
            raise RuntimeError

    await stage.up(ChildSpec("a", Twins))
    await stage.tell("a", "go")
    assert stage.reasons("a") == [ExceptionGroup]


async def test_a_shutdown_raised_by_a_handler_runs_on_stop_and_is_the_reason(stage):
    await stage.up(stage.spec("a"))
    await stage.tell("a", "shutdown")
    assert stage.reasons("a") == [Shutdown]
    assert (stage.did("stop"), stage.did("failure")) == (["a"], [])


@pytest.mark.parametrize("hook", ["on_start", "on_stop"])
async def test_hooks_may_be_async(stage, hook):
    async def pause(_: TrioActor) -> None:
        await trio.sleep(2)

    kind = type("Slow", (TrioActor,), {hook: pause})
    began = trio.current_time()
    await stage.system.stop(await stage.system.start(ChildSpec("a", kind)))
    assert trio.current_time() - began == 2


async def test_a_failing_on_stop_is_a_crash(stage):
    class Sore(TrioActor):
        def on_stop(self) -> None:
            raise RuntimeError

    address = await stage.system.start(ChildSpec("a", Sore))
    await stage.system.stop(address)
    assert stage.reasons("a") == [RuntimeError]


async def test_timers_keep_world_time_and_can_be_cancelled(stage):
    seen = []

    class Clocked(TrioActor):
        def on_start(self) -> None:
            self.tell_after(3, "once")
            self.tell_after(3, "never").cancel()
            self.beat = self.every(2, lambda now: ("beat", now - began))

        def on_receive(self, message: object) -> None:
            seen.append((trio.current_time() - began, message))
            if len(seen) == 4:
                self.beat.cancel()

    began = trio.current_time()
    await stage.system.start(ChildSpec("a", Clocked))
    await trio.sleep(20)
    assert seen == [(2, ("beat", 2)), (3, "once"), (4, ("beat", 4)), (6, ("beat", 6))]


async def test_timers_use_the_systems_sleep_and_clock(stage):
    stage.system.now = lambda: trio.current_time() * 10

    async def sleep(seconds: float) -> None:
        await trio.sleep(seconds / 10)

    stage.system.sleep = sleep
    seen = []

    class Clocked(TrioActor):
        def on_start(self) -> None:
            self.every(10, lambda now: now)

        def on_receive(self, message: object) -> None:
            seen.append(trio.current_time())

    began = trio.current_time()
    await stage.system.start(ChildSpec("a", Clocked))
    await trio.sleep(3.5)
    assert [at - began for at in seen] == [1, 2, 3]


async def test_a_timer_skips_the_beats_that_a_jump_of_the_clock_left_out(stage):
    offset = 0.0
    seen = []
    stage.system.now = lambda: trio.current_time() + offset

    class Clocked(TrioActor):
        def on_start(self) -> None:
            self.every(1, lambda now: now)

        def on_receive(self, message: object) -> None:
            seen.append(message)

    began = trio.current_time()
    await stage.system.start(ChildSpec("a", Clocked))
    await trio.sleep(1.5)
    offset = 10.0
    await trio.sleep(2.0)
    assert [now - began for now in seen] == [1, 12, 13]


async def test_a_timer_needs_a_period(stage):
    class Hasty(TrioActor):
        def on_start(self) -> None:
            self.every(0, str)

    with pytest.raises(Exception, match="period above zero"):
        await stage.system.start(ChildSpec("a", Hasty))


class Deferring(TrioActor):
    """Answers every ask when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Promise[object]] = []

    def on_receive(self, message: object) -> object:
        if message == "answer":
            for promise in self.waiting:
                promise.set("done")
            return None
        if message == "boom":
            raise RuntimeError
        self.waiting.append(self.promise())
        return self.waiting[-1]


@pytest.mark.parametrize(("then", "expected"), [("answer", "done"), ("boom", pykka.ActorDeadError)])
async def test_a_promise_answers_later_or_fails_with_its_actor(stage, then, expected):
    await stage.up(ChildSpec("a", Deferring))
    results = []

    async def ask() -> None:
        try:
            results.append(await stage.system.address("a").call("later"))
        except pykka.ActorDeadError as error:
            results.append(type(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
        await settle()
        assert results == []
        await stage.tell("a", then)
    assert results == [expected] * 2


async def test_what_outlives_an_actor_is_given_to_the_system(stage):
    done = []

    async def deliver() -> None:
        await trio.sleep(5)
        stage.system.address("a").tell("delivered")
        done.append(True)

    class Sender(TrioActor):
        def on_receive(self, message: object) -> None:
            if message == "send":
                self.system.start_soon(deliver)
                raise RuntimeError
            stage.seen["a"].append(message)

    await stage.up(ChildSpec("a", Sender))
    await stage.tell("a", "send")
    await trio.sleep(6)
    assert stage.seen["a"] == ["delivered"]


@pytest.mark.parametrize("still_there", [True, False])
async def test_a_failed_background_task_crashes_its_starter_or_is_counted(stage, still_there):
    async def fail() -> None:
        await trio.sleep(5)
        raise ZeroDivisionError

    class Sender(TrioActor):
        def on_receive(self, message: object) -> None:
            if message == "send":
                self.system.start_soon(fail)
            else:
                raise RuntimeError

    await stage.up(ChildSpec("a", Sender), intensity=5)
    await stage.tell("a", "send")
    if not still_there:
        await stage.tell("a", "die")
    await trio.sleep(6)
    assert stage.reasons("a") == [ZeroDivisionError if still_there else RuntimeError]
    assert stage.system.snapshot().stray_failures == (not still_there)


async def test_a_cancelled_actor_passes_cancellation_on(stage):
    caught = []

    class Watchful(TrioActor):
        async def on_receive(self, message: object) -> None:
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                caught.append(True)
                raise

    top = await stage.system.start(ChildSpec("top", lambda: Supervisor([ChildSpec("a", Watchful, shutdown=1.0)])))
    await stage.tell("a", "wait")
    await stage.system.stop(top)
    assert caught == [True]
    assert stage.reasons("a") == [Exit.KILLED]
