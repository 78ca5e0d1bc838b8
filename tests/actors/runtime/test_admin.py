"""Children added, stopped, revived and counted at run time, under both kinds of supervisor."""

from __future__ import annotations

import time

import pytest
import trio

from actors.runtime import (
    Backoff,
    ChildCount,
    ChildSpec,
    CountChildren,
    DeleteChild,
    DynamicSupervisor,
    Exit,
    Phase,
    Refusal,
    Restart,
    RestartChild,
    StartChild,
    Strategy,
    Supervisor,
    SupervisorGaveUp,
    TerminateChild,
    TrioActor,
    Undelivered,
    WhichChildren,
)
from actors.runtime.testing import settle


async def dynamic(stage, **options):
    return await stage.system.start(ChildSpec("dyn", lambda: DynamicSupervisor(**options)))


@pytest.mark.conformance(22)
async def test_dynamic_children_start_by_call_or_tell_and_stop_together(stage):
    top = await dynamic(stage)
    address = await top.call(StartChild(stage.spec("a", shutdown=3)))
    assert address is stage.system.address("a")
    top.tell(StartChild(stage.spec("b", shutdown=3)))
    await settle()
    assert await top.call(CountChildren()) == ChildCount(specs=2, active=2, supervisors=0, workers=2)
    await stage.tell("a", "hang")
    await stage.tell("b", "hang")
    began = trio.current_time()
    await stage.system.stop(top)
    assert trio.current_time() - began == 3


@pytest.mark.conformance(22)
async def test_starting_and_stopping_many_children_is_linear(stage):
    def seconds(n: int) -> float:
        return time.perf_counter() - n

    async def cost(n: int) -> float:
        top = await stage.system.start(ChildSpec(f"dyn{n}", DynamicSupervisor))
        began = time.perf_counter()
        for i in range(n):
            await top.call(StartChild(ChildSpec(f"{n}.{i}", TrioActor)))
        assert (await top.call(CountChildren())).active == n
        await stage.system.stop(top)
        return time.perf_counter() - began

    await cost(100)
    assert await cost(1_000) < 40 * await cost(100)


async def test_a_dynamic_child_restarts_alone_and_a_terminated_one_is_forgotten(stage):
    top = await dynamic(stage, intensity=5)
    for name in "ab":
        await top.call(StartChild(stage.spec(name)))
    await stage.tell("a", "boom")
    assert stage.incarnations("a", "b") == [2, 1]
    await top.call(TerminateChild("a"))
    assert [child.id for child in await top.call(WhichChildren())] == ["b"]
    assert stage.system.address("a").phase is Phase.GONE


async def test_a_name_can_be_used_again(stage):
    top = await dynamic(stage)
    for _ in range(2):
        address = await top.call(StartChild(stage.spec("a")))
        assert await address.call("hi") == ("echo", "a", "hi")
        await top.call(TerminateChild("a"))
    assert address.incarnation == 2


async def test_dynamic_children_do_not_survive_their_supervisor(stage):
    await stage.up(ChildSpec("dyn", lambda: DynamicSupervisor(intensity=0)))
    await stage.system.address("dyn").call(StartChild(stage.spec("a")))
    await stage.tell("a", "boom")
    assert stage.reasons("dyn") == [SupervisorGaveUp]
    assert stage.system.address("a").phase is Phase.GONE
    assert await stage.system.address("dyn").call(WhichChildren()) == ()


async def test_max_children_refuses_one_more(stage):
    top = await dynamic(stage, max_children=1)
    await top.call(StartChild(stage.spec("a")))
    with pytest.raises(Refusal, match="dyn holds 1 children, its limit"):
        await top.call(StartChild(stage.spec("b")))


@pytest.mark.conformance(30)
async def test_children_are_listed_and_counted(stage):
    inner = ChildSpec("in", lambda: Supervisor([]))
    top = await stage.up(stage.spec("a"), inner, stage.spec("t", restart=Restart.TRANSIENT))
    await stage.tell("t", "bye")
    await stage.tell("a", "boom")
    children = await top.call(WhichChildren())
    assert [(child.id, child.phase, child.incarnation, child.is_supervisor, child.restarts) for child in children] == [
        ("a", "running", 2, False, 1),
        ("in", "running", 1, True, 0),
        ("t", "done", 1, False, 0),
    ]
    assert await top.call(CountChildren()) == ChildCount(specs=3, active=2, supervisors=1, workers=2)


@pytest.mark.conformance(31)
@pytest.mark.parametrize("strategy", Strategy)
async def test_a_terminated_child_stays_down_until_it_is_restarted(stage, strategy):
    top = await stage.up(stage.spec("a"), stage.spec("b"), strategy=strategy)
    assert await top.call(TerminateChild("b"))
    assert stage.reasons("b") == [Exit.SHUTDOWN]
    await stage.tell("a", "boom")
    assert stage.incarnations("a", "b") == [2, 1]
    await top.call(RestartChild("b"))
    assert stage.incarnations("a", "b") == [2, 2]
    assert stage.system.address("b").alive


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("order", [TerminateChild, RestartChild])
async def test_a_child_in_backoff_can_be_terminated_or_restarted_now(stage, strategy, order):
    top = await stage.up(stage.spec("a", backoff=Backoff(100, 100)), strategy=strategy)
    await stage.tell("a", "boom")
    await top.call(order("a"))
    await trio.sleep(200)
    assert stage.incarnations("a") == [1 if order is TerminateChild else 2]


async def test_terminating_the_child_a_group_waits_for_lets_the_others_start(stage):
    slow = stage.spec("b", backoff=Backoff(100, 100))
    top = await stage.up(stage.spec("a"), slow, stage.spec("c"), strategy=Strategy.REST_FOR_ONE)
    await stage.tell("b", "boom")
    await top.call(TerminateChild("b"))
    await settle()
    assert stage.incarnations(*"abc") == [1, 1, 2]


async def test_a_child_terminated_while_its_group_stops_stays_down(stage):
    top = await stage.up(stage.spec("a"), stage.spec("b"), strategy=Strategy.ONE_FOR_ALL)
    await stage.tell("b", "hang")
    await stage.tell("a", "boom")
    await top.call(TerminateChild("b"), timeout=60.0)
    await trio.sleep(60)
    assert stage.incarnations("a", "b") == [2, 1]
    assert stage.system.address("b").phase is Phase.STOPPED
    assert top.actor._failed | top.actor._owed == set()


async def test_a_child_terminated_during_a_restart_that_fails_stays_down(stage):
    starts = iter([0.0, 5.0, 5.0])

    class Slow(TrioActor):
        async def on_start(self) -> None:
            if pause := next(starts):
                await trio.sleep(pause)
                raise RuntimeError

        def on_receive(self, message: object) -> None:
            raise RuntimeError

    top = await stage.up(ChildSpec("a", Slow), intensity=10)
    await stage.tell("a", "boom")
    await top.call(TerminateChild("a"), timeout=60.0)
    await trio.sleep(60)
    assert stage.incarnations("a") == [2]


@pytest.mark.conformance(31)
@pytest.mark.conformance(32)
@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (RestartChild("a"), "a is already running"),
        (DeleteChild("a"), "a is running; terminate it first"),
        (TerminateChild("ghost"), "top has no child 'ghost'"),
        (RestartChild("ghost"), "top has no child 'ghost'"),
        (DeleteChild("ghost"), "top has no child 'ghost'"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_the_reason(stage, request_, why):
    top = await stage.up(stage.spec("a"))
    with pytest.raises(Refusal, match=why):
        await top.call(request_)
    top.tell(request_)
    await settle()
    assert [dead.why for dead in stage.system.dead_letters.ring] == [Undelivered.REFUSED]
    assert stage.incarnations("a") == [1]


async def test_a_taken_id_is_refused(stage):
    top = await stage.up(stage.spec("a"))
    with pytest.raises(Refusal, match="top already has a child 'a'"):
        await top.call(StartChild(stage.spec("a")))


@pytest.mark.conformance(32)
async def test_a_deleted_child_is_gone(stage):
    top = await stage.up(stage.spec("a"), stage.spec("b"))
    await top.call(TerminateChild("a"))
    await top.call(DeleteChild("a"))
    assert [child.id for child in await top.call(WhichChildren())] == ["b"]
    assert stage.system.address("a").phase is Phase.GONE


async def test_a_child_that_does_not_start_is_refused_and_not_kept(stage):
    def boom() -> None:
        raise RuntimeError("no luck")

    top = await stage.up()
    with pytest.raises(Refusal, match="no luck"):
        await top.call(StartChild(stage.spec("a", boom)))
    assert await top.call(WhichChildren()) == ()
    assert stage.reasons("a") == [RuntimeError]
    assert top.alive
