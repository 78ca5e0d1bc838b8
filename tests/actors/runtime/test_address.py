"""Addresses: calls and how they fail, what waits and what dies, monitors."""

from __future__ import annotations

import pykka
import pytest
import trio

from actors.runtime import (
    ActorCrashed,
    Backoff,
    CallToSelf,
    ChildSpec,
    Down,
    Exit,
    Phase,
    Refusal,
    Restart,
    Supervisor,
    TerminateChild,
    TrioActor,
    Undelivered,
    Unhandled,
)
from actors.runtime.testing import Probe, settle


async def outcome_of(address, message, timeout=50.0):
    """(what a call came to, after how many seconds)."""
    began = trio.current_time()
    try:
        result = await address.call(message, timeout)
    except Exception as error:
        result = type(error)
    return result, trio.current_time() - began


async def test_an_address_is_the_same_object_for_ever(stage):
    before = stage.system.address("a")
    await stage.up(stage.spec("a"))
    await stage.tell("a", "boom")
    assert stage.system.address("a") is before
    assert await before.call("hi") == ("echo", "a", "hi")


async def test_what_is_told_before_the_first_incarnation_waits_for_it(stage):
    stage.system.address("a").tell("early")
    await stage.up(stage.spec("a"))
    await settle()
    assert stage.seen["a"] == ["early"]


@pytest.mark.conformance(42)
async def test_a_call_times_out_with_pykkas_timeout(stage):
    await stage.up(stage.spec("a"))
    assert await outcome_of(stage.system.address("a"), "hang", 0.5) == (pykka.Timeout, 0.5)


@pytest.mark.conformance(42)
async def test_a_late_reply_is_dropped_and_counted_and_never_answers_a_later_call(stage):
    class Slow(TrioActor):
        async def on_receive(self, message: object) -> object:
            await trio.sleep(3)
            return message

    address = await stage.system.start(ChildSpec("slow", Slow))
    assert await outcome_of(address, 1, 1.0) == (pykka.Timeout, 1.0)
    assert await address.call(2, 50.0) == 2
    assert address.statistics().late_replies == 1


@pytest.mark.conformance(43)
@pytest.mark.parametrize(
    ("end", "expected"),
    [("boom", ActorCrashed), ("shutdown", pykka.ActorDeadError), ("killed", pykka.ActorDeadError)],
)
async def test_a_callee_that_ends_during_the_call_fails_it_at_once(stage, end, expected):
    top = await stage.up(stage.spec("a", shutdown=0))
    address = stage.system.address("a")
    results = []

    async def ask() -> None:
        results.append(await outcome_of(address, "hang" if end == "killed" else end))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await settle()
        if end == "killed":
            await stage.system.stop(top)
    assert results == [(expected, 0.0)]


@pytest.mark.conformance(43)
async def test_a_crash_in_a_spawned_task_fails_the_call_in_hand(stage):
    await stage.up(stage.spec("a"))
    await stage.tell("a", "task boom")
    assert await outcome_of(stage.system.address("a"), "hang") == (pykka.ActorDeadError, 1.0)


@pytest.mark.conformance(43)
@pytest.mark.parametrize("how", ["transient ended", "temporary ended", "terminated", "never there any more"])
async def test_a_call_to_whom_nobody_will_restart_fails_at_once(stage, how):
    restart = Restart.TEMPORARY if how == "temporary ended" else Restart.TRANSIENT
    top = await stage.up(stage.spec("a", restart=restart), stage.spec("b"))
    if how == "terminated":
        await top.call(TerminateChild("a"))
    elif how == "never there any more":
        await stage.system.stop(top)
    else:
        await stage.tell("a", "bye")
    assert await outcome_of(stage.system.address("a"), "hi") == (pykka.ActorDeadError, 0.0)


@pytest.mark.conformance(43)
async def test_a_call_that_waits_when_its_callee_is_given_up_fails_then(stage):
    await stage.up(stage.spec("a", restart=Restart.TRANSIENT))
    stage.system.address("a").tell("bye")
    stage.system.address("a").tell("x")
    stage.system.address("a").actor.stop()
    assert await outcome_of(stage.system.address("a"), "hi") == (pykka.ActorDeadError, 0.0)


@pytest.mark.conformance(37)
async def test_a_call_during_a_backoff_waits_for_the_next_incarnation(stage):
    await stage.up(stage.spec("a", backoff=Backoff(3, 3)))
    await stage.tell("a", "boom")
    assert await outcome_of(stage.system.address("a"), "hi") == (("echo", "a", "hi"), 3.0)


@pytest.mark.conformance(44)
async def test_an_actor_that_calls_itself_gets_an_error_at_once(stage):
    class Narcissus(TrioActor):
        async def on_receive(self, message: object) -> object:
            if message == "call":
                return await outcome_of(self.address, "me")
            if message == "call from a task":
                promise = self.promise()
                self.spawn(self.answer, promise)
                return promise
            return "you"

        async def answer(self, promise) -> None:
            promise.set(await self.address.call("me"))

    address = await stage.system.start(ChildSpec("n", Narcissus))
    assert await address.call("call") == (CallToSelf, 0.0)
    assert await address.call("call from a task") == "you"


@pytest.mark.parametrize(("message", "error"), [("no", Refusal), (object(), None)])
async def test_a_refusal_answers_an_ask_and_the_actor_lives(stage, message, error):
    await stage.up(stage.spec("a"))
    result, _ = await outcome_of(stage.system.address("a"), message)
    assert result is error or error is None
    assert stage.incarnations("a") == [1]


async def test_a_refused_tell_is_a_dead_letter(stage):
    await stage.up(stage.spec("a"), ChildSpec("mute", TrioActor))
    await stage.tell("a", "no")
    await stage.tell("mute", "hello")
    assert [(dead.name, dead.why) for dead in stage.system.dead_letters.ring] == [
        ("a", Undelivered.REFUSED),
        ("mute", Undelivered.UNHANDLED),
    ]
    assert stage.incarnations("a", "mute") == [1, 1]
    assert (await outcome_of(stage.system.address("mute"), "hello"))[0] is Unhandled


async def test_a_crash_says_why_in_the_cause(stage):
    await stage.up(stage.spec("a"))
    with pytest.raises(ActorCrashed, match="a crashed handling str: RuntimeError") as caught:
        await stage.system.address("a").call("boom")
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.conformance(37)
async def test_after_permanent_removal_a_tell_is_a_dead_letter(stage):
    await stage.up(stage.spec("a", restart=Restart.TEMPORARY))
    await stage.tell("a", "bye")
    await stage.tell("a", "anyone?")
    assert stage.system.address("a").phase is Phase.GONE
    assert [(dead.message, dead.why) for dead in stage.system.dead_letters.ring] == [("anyone?", Undelivered.GONE)]


async def test_the_addresses_below_a_removed_supervisor_are_removed_with_it(stage):
    inner = ChildSpec("in", lambda: Supervisor([stage.spec("x")], intensity=0), restart=Restart.TEMPORARY)
    await stage.up(inner)
    await stage.tell("x", "boom")
    assert stage.system.address("x").phase is Phase.GONE
    assert await outcome_of(stage.system.address("x"), "hi") == (pykka.ActorDeadError, 0.0)


async def test_two_actors_cannot_live_at_one_address(stage):
    await stage.up(stage.spec("a"))
    with pytest.raises(Exception, match="an incarnation of that name is alive"):
        await stage.up(stage.spec("a"), name="other")
    assert stage.system.address("a").alive


# Monitors


@pytest.mark.conformance(39)
@pytest.mark.parametrize(
    ("end", "reason"), [("boom", RuntimeError), ("bye", Exit.NORMAL), ("task boom", RuntimeError), ("shutdown", "Shutdown")]
)
async def test_a_monitor_is_told_once_of_one_incarnation(stage, end, reason):
    probe = await Probe.watch(stage.system)
    await stage.up(stage.spec("a"), intensity=5)
    stage.system.address("a").monitor(probe.address)
    for _ in range(2):
        await stage.tell("a", end)
        await trio.sleep(2)
    (down,) = probe.seen
    assert (down.name, down.incarnation) == ("a", 1)
    assert reason in (down.reason, type(down.reason), type(down.reason).__name__)


@pytest.mark.conformance(39)
@pytest.mark.parametrize("sticky", [False, True])
async def test_monitoring_nobody_says_so_at_once_unless_somebody_may_still_come(stage, sticky):
    probe = await Probe.watch(stage.system)
    stage.system.address("ghost").monitor(probe.address, sticky=sticky)
    await settle()
    assert probe.seen == ([] if sticky else [Down("ghost", 0, Exit.NOPROC)])


@pytest.mark.conformance(39)
async def test_monitoring_the_gone_says_so_at_once_however_sticky(stage):
    probe = await Probe.watch(stage.system)
    top = await stage.up(stage.spec("a"))
    await stage.system.stop(top)
    stage.system.address("a").monitor(probe.address, sticky=True)
    await settle()
    assert probe.seen == [Down("a", 1, Exit.NOPROC)]


async def test_a_sticky_monitor_outlasts_the_end_of_a_supervisor(stage):
    probe = await Probe.watch(stage.system)
    stage.system.address("a").monitor(probe.address, sticky=True)
    for _ in range(2):
        await stage.system.stop(await stage.up(stage.spec("a")))
    await settle()
    assert [down.incarnation for down in probe.of(Down)] == [1, 2]


async def test_a_sticky_monitor_is_told_of_every_incarnation(stage):
    probe = await Probe.watch(stage.system)
    stage.system.address("a").monitor(probe.address, sticky=True)
    top = await stage.up(stage.spec("a"), intensity=5)
    await stage.tell("a", "boom")
    await stage.tell("a", "bye")
    await stage.system.stop(top)
    await settle()
    assert [(down.incarnation, type(down.reason)) for down in probe.of(Down)] == [(1, RuntimeError), (2, Exit), (3, Exit)]


@pytest.mark.conformance(39)
@pytest.mark.parametrize(("flush", "told"), [(True, 0), (False, 1)])
async def test_demonitor_takes_back_even_what_waits(stage, flush, told):
    probe = await Probe.watch(stage.system)
    await stage.up(stage.spec("a"))
    address = stage.system.address("a")
    address.monitor(probe.address)
    probe.address.tell(Down("other", 1, Exit.NORMAL))
    address.vacate(Exit.KILLED)
    address.demonitor(probe.address, flush=flush)
    await settle()
    assert len(probe.seen) == 1 + told


@pytest.mark.conformance(40)
async def test_down_overtakes_but_comes_after_what_the_dead_had_sent_in_its_lane(stage):
    probe = await Probe.watch(stage.system)

    class Last(TrioActor):
        def on_receive(self, message: object) -> None:
            probe.address.tell("lossless")
            probe.address.tell(Down("said by the dying", 0, Exit.NORMAL))
            raise RuntimeError

    await stage.up(ChildSpec("a", Last))
    stage.system.address("a").monitor(probe.address)
    await stage.tell("a", "die")
    downs = [down.name for down in probe.of(Down)]
    assert downs == ["said by the dying", "a"]
