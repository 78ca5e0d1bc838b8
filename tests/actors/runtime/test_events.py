"""The event stream: what happened is told to whoever asked, and telling never disturbs what happened."""

from __future__ import annotations

import pytest

from actors.runtime import ActorEnded, ActorStarted, ActorSystem, ChildSpec, DeadLetter, Exit, LanePolicy, Overflowed, Phase
from actors.runtime.testing import Probe, settle


def gone(stage):
    address = stage.system.address("gone")
    address.settle(Phase.GONE)
    return address


@pytest.mark.conformance(55)
async def test_a_dead_letter_is_told_to_its_subscribers(stage):
    probe = await Probe.watch(stage.system)
    stage.system.events.subscribe(probe.address, DeadLetter)
    gone(stage).tell("hello")
    await settle()
    assert [(letter.name, letter.message) for letter in probe.of(DeadLetter)] == [("gone", "hello")]


@pytest.mark.conformance(55)
async def test_an_event_that_becomes_a_dead_letter_is_not_told_again(stage):
    class Deaf(Probe):
        def on_receive(self, message: object) -> object:
            self.seen.append(message)
            return super(Probe, self).on_receive(message)

    probe = await Deaf.watch(stage.system)
    stage.system.events.subscribe(probe.address)
    gone(stage).tell("hello")
    await settle()
    assert len(probe.seen) == 1
    assert len(stage.system.dead_letters) == 2


async def test_starts_and_ends_are_events(stage):
    probe = await Probe.watch(stage.system)
    stage.system.events.subscribe(probe.address, ActorStarted, ActorEnded)
    await stage.up(stage.spec("a"))
    await stage.tell("a", "boom")
    started = [(event.name, event.incarnation) for event in probe.of(ActorStarted)]
    assert started == [("a", 1), ("top", 1), ("a", 2)]
    ended = [(event.name, event.incarnation, type(event.reason)) for event in probe.of(ActorEnded)]
    assert ended == [("a", 1, RuntimeError)]


async def test_a_subscriber_may_take_it_back(stage):
    probe = await Probe.watch(stage.system)
    stage.system.events.subscribe(probe.address)
    stage.system.events.unsubscribe(probe.address)
    gone(stage).tell("hello")
    await settle()
    assert probe.seen == []


async def test_a_full_subscriber_misses_events_and_harms_nobody(stage):
    class Narrow(Probe):
        LANE_POLICY = LanePolicy(bound=2)

    probe = await Narrow.watch(stage.system)
    stage.system.events.subscribe(probe.address)
    for n in range(5):
        gone(stage).tell(n)
    await settle()
    assert len(probe.seen) == 2
    assert stage.system.snapshot().events_missed == 3
    assert stage.overflows == []


async def test_a_subscriber_that_is_gone_is_forgotten(stage):
    probe = await Probe.watch(stage.system)
    stage.system.events.subscribe(probe.address)
    await stage.system.stop(probe.address)
    before = len(stage.system.dead_letters)
    gone(stage).tell("hello")
    assert len(stage.system.dead_letters) == before + 1


async def test_the_tail_keeps_the_latest(stage):
    for n in range(1_500):
        gone(stage).tell(n)
    tail = stage.system.events.tail
    assert (len(tail), tail[-1].message) == (1_000, 1_499)


async def test_an_overflow_is_an_event(stage):
    address = stage.system.address("box")
    address.mailbox.policy = LanePolicy(bound=1)
    address.tell(1)
    with pytest.raises(Exception, match="box has 1 messages waiting"):
        address.tell(2)
    assert Overflowed in {type(event) for event in stage.system.events.tail}


async def test_the_end_of_a_system_is_told_like_any_other(stage):
    async with ActorSystem(virtual=True) as inner:
        await inner.start(ChildSpec("a", Probe))
    assert [(event.name, event.reason) for event in inner.events.tail if isinstance(event, ActorEnded)] == [("a", Exit.SHUTDOWN)]
