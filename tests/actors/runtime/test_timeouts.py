"""Deadlines of calls in real time: each fails its own call, at its time, and nothing of a call that has ended is kept."""

from __future__ import annotations

import gc
import math
import random
import weakref

import outcome
import pykka
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime import ActorSystem, ChildSpec, TrioActor, TrioFuture
from actors.runtime.testing import drive, settle
from actors.runtime.timeouts import TIDY, Timeouts


@pytest.fixture
async def timeouts(nursery) -> Timeouts:
    timeouts = Timeouts()
    nursery.start_soon(timeouts.run)
    return timeouts


async def test_each_future_fails_at_its_own_time(timeouts, autojump_clock):
    began, ended = trio.current_time(), {}

    async def wait(seconds: float) -> None:
        future: TrioFuture[object] = TrioFuture()
        deadline = timeouts.add(future, seconds, "callee", "question")
        with pytest.raises(pykka.Timeout, match=f"callee did not answer str in {seconds} seconds"):
            await future
        deadline.done()
        ended[seconds] = trio.current_time() - began

    async with trio.open_nursery() as nursery:
        for seconds in (5.0, 1.0, 3.0, 0.0):
            nursery.start_soon(wait, seconds)
    assert ended == {seconds: pytest.approx(seconds) for seconds in (0.0, 1.0, 3.0, 5.0)}


async def test_a_call_that_has_ended_is_not_kept(timeouts):
    class Answer:
        pass

    future, answer = TrioFuture(), Answer()
    seen = weakref.ref(answer)
    deadline = timeouts.add(future, 5.0, "callee", "question")
    future.set(answer)
    deadline.done()
    del future, answer
    gc.collect()
    assert seen() is None


async def test_a_long_row_of_calls_leaves_no_heap_behind(timeouts):
    for _ in range(10 * TIDY):
        timeouts.add(TrioFuture(), 3_600.0, "callee", "question").done()
    assert len(timeouts._heap) <= 2 * TIDY + 2
    timeouts.add(TrioFuture(), math.inf, "callee", "question")
    assert timeouts._heap[-1].at < math.inf


async def test_a_tidied_heap_is_still_one(timeouts):
    draw = random.Random(1)
    kept, ended = [], []
    for n in range(4 * TIDY):
        deadline = timeouts.add(TrioFuture(), draw.uniform(100.0, 200.0), "callee", "question")
        (kept if n % 4 == 0 else ended).append(deadline)
    for deadline in ended:
        deadline.done()
    timeouts.add(TrioFuture(), 200.0, "callee", "question")
    heap = timeouts._heap
    assert len(kept) < len(heap) <= len(kept) + TIDY
    assert all(heap[(n - 1) // 2].at <= heap[n].at for n in range(1, len(heap)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 10), st.one_of(st.none(), st.floats(0, 10))), max_size=20))
def test_a_future_fails_if_and_only_if_nobody_answered_in_time(calls):
    async def main() -> list[bool]:
        timeouts, late = Timeouts(), {}

        async def call(n: int, limit: float, answered: float | None) -> None:
            future: TrioFuture[object] = TrioFuture()
            deadline = timeouts.add(future, limit, "callee", "question")
            async with trio.open_nursery() as inner:
                inner.start_soon(answer, future, answered)
                try:
                    await future
                    late[n] = False
                except pykka.Timeout:
                    late[n] = True
                deadline.done()
                inner.cancel_scope.cancel()

        async def answer(future: TrioFuture[object], at: float | None) -> None:
            if at is not None:
                await trio.sleep(at)
                future.offer(outcome.Value(at))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(timeouts.run)
            async with trio.open_nursery() as inner:
                for n, (limit, answered) in enumerate(calls):
                    inner.start_soon(call, n, limit, answered)
            nursery.cancel_scope.cancel()
        return [late[n] for n in range(len(calls))]

    for late, (limit, answered) in zip(drive(main), calls, strict=True):
        if answered is None or answered > limit:
            assert late
        elif answered < limit:
            assert not late


@pytest.mark.conformance(42)
@pytest.mark.trio(run=trio.run)
async def test_a_call_times_out_in_real_time_and_a_late_answer_is_counted_and_dropped():
    class Slow(TrioActor):
        async def on_receive(self, message: object) -> object:
            await trio.sleep(0.05 if message == "slow" else 0.0)
            return message

    async with ActorSystem() as system:
        address = await system.start(ChildSpec("a", Slow))
        with pytest.raises(pykka.Timeout, match=r"a did not answer str in 0\.01 seconds"):
            await address.call("slow", timeout=0.01)
        assert await address.call("quick", timeout=math.inf) == "quick"
        assert address.statistics().late_replies == 1


@pytest.mark.trio(run=trio.run)
async def test_a_call_may_be_cancelled_in_real_time():
    class Silent(TrioActor):
        async def on_receive(self, message: object) -> object:
            await trio.sleep_forever()

    async with ActorSystem() as system:
        address = await system.start(ChildSpec("a", Silent, shutdown=0.0))
        with trio.move_on_after(0.01) as scope:
            await address.call("hello")
        assert scope.cancelled_caught
        await settle()
