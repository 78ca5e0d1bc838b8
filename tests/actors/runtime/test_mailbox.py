"""Lanes: what overtakes, what is bounded, what is conflated, who may starve whom, and that nothing disappears in silence."""

from __future__ import annotations

import threading
import time
from collections import Counter

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime import (
    ActorSystem,
    Address,
    ChildSpec,
    Lane,
    LanePolicy,
    MailboxFull,
    Message,
    Overflow,
    Phase,
    Refusal,
    TrioActor,
    Undelivered,
    handles,
)
from actors.runtime.testing import Probe, settle


@attrs.frozen(slots=True)
class Urgent(Message):
    LANE = Lane.CONTROL
    n: int


@attrs.frozen(slots=True)
class Fill(Message):
    n: int
    sender: str = ""


@attrs.frozen(slots=True)
class Top(Message):
    LANE = Lane.CONFLATED
    market: str
    n: int

    @property
    def conflation_key(self) -> str:
        return self.market


def box_of(system: ActorSystem, **policy: object) -> Address:
    """An address where nobody lives yet: its mailbox can be filled and read by hand."""
    address = system.address("box")
    address.mailbox.policy = LanePolicy(**policy)
    return address


def drain(address: Address) -> list[object]:
    return [letter.message for letter in iter(address.mailbox.take, None)]


@pytest.mark.conformance(45)
@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers()), max_size=100))
def test_messages_of_one_sender_keep_their_order_within_a_lane(sent):
    address = box_of(ActorSystem(clock_now=lambda: 0.0))
    for sender, n in sent:
        address.tell(Fill(n, sender))
    assert [(message.sender, message.n) for message in drain(address)] == sent


@pytest.mark.conformance(46)
async def test_control_overtakes_everything_queued(stage):
    address = box_of(stage.system)
    for n in range(3):
        address.tell(Fill(n))
        address.tell(Top("m", n))
        address.tell(Urgent(n))
    assert drain(address)[:3] == [Urgent(0), Urgent(1), Urgent(2)]


@pytest.mark.conformance(47)
async def test_conflated_keeps_the_latest_per_key_where_the_first_stood(stage):
    address = box_of(stage.system)
    for market, n in [("a", 1), ("b", 1), ("a", 2), ("c", 1), ("b", 2), ("a", 3)]:
        address.tell(Top(market, n))
    lane = address.statistics().lanes[Lane.CONFLATED]
    assert (lane.depth, lane.puts, lane.conflated, lane.high_water) == (3, 6, 3, 3)
    assert drain(address) == [Top("a", 3), Top("b", 2), Top("c", 1)]


@pytest.mark.conformance(47)
@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.tuples(st.sampled_from("abcd"), st.integers(0, 9)), st.none()), max_size=60))
def test_conflation_agrees_with_a_model_whatever_is_taken_between(steps):
    address = box_of(ActorSystem(clock_now=lambda: 0.0))
    model: dict[str, int] = {}
    for step in steps:
        if step is not None:
            address.tell(Top(*step))
            model[step[0]] = step[1]
        else:
            letter = address.mailbox.take()
            expected = Top(market, model.pop(market)) if (market := next(iter(model), None)) else None
            assert (letter.message if letter else None) == expected
    assert drain(address) == [Top(*item) for item in model.items()]


@pytest.mark.conformance(47)
async def test_two_types_with_one_key_do_not_conflate_each_other(stage):
    @attrs.frozen(slots=True)
    class Other(Top):
        pass

    address = box_of(stage.system)
    address.tell(Top("m", 1))
    address.tell(Other("m", 2))
    assert drain(address) == [Top("m", 1), Other("m", 2)]


async def test_an_ask_whose_message_is_conflated_away_is_refused(stage):
    address = box_of(stage.system)
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            with pytest.raises(Refusal, match="same key"):
                await address.call(Top("m", 1))

        nursery.start_soon(ask)
        await settle()
        address.tell(Top("m", 2))


@pytest.mark.conformance(48)
@pytest.mark.conformance(49)
@pytest.mark.parametrize(
    ("overflow", "raises", "left", "overflows", "why", "letter"),
    [
        (Overflow.LOUD, True, [0, 1], [("box", "LOSSLESS")], Undelivered.OVERFLOW, Fill(2)),
        (Overflow.REJECT, True, [0, 1], [], Undelivered.REJECTED, Fill(2)),
        (Overflow.DROP_OLDEST, False, [1, 2], [], Undelivered.DROPPED, Fill(0)),
    ],
)
async def test_a_full_lossless_lane_does_what_its_policy_says(stage, overflow, raises, left, overflows, why, letter):
    address = box_of(stage.system, bound=2, overflow=overflow)
    address.tell(Fill(0))
    address.tell(Fill(1))
    if raises:
        with pytest.raises(MailboxFull, match="box has 2 messages waiting"):
            address.tell(Fill(2))
    else:
        address.tell(Fill(2))
    assert stage.overflows == overflows
    assert [(dead.message, dead.why) for dead in stage.system.dead_letters.ring] == [(letter, why)]
    assert address.statistics().lanes[Lane.LOSSLESS].dropped == 1
    assert drain(address) == [Fill(n) for n in left]


@pytest.mark.conformance(48)
async def test_the_default_bound_is_ten_thousand_and_loud(stage):
    await stage.up(stage.spec("a"))
    address = stage.system.address("a")
    for n in range(10_000):
        address.tell(Fill(n))
    with pytest.raises(MailboxFull):
        address.tell(Fill(10_000))
    assert stage.overflows == [("a", "LOSSLESS")]
    await settle()
    assert len(stage.seen["a"]) == 10_000


async def test_a_full_lane_does_not_keep_its_actor_from_being_stopped(stage):
    class Narrow(Probe):
        LANE_POLICY = LanePolicy(bound=1)

        def on_stop(self) -> None:
            stage.trace.append(("stop", "narrow"))

    top = await stage.system.start(ChildSpec("narrow", Narrow))
    top.tell(Fill(0))
    await stage.system.stop(top)
    assert stage.did("stop") == ["narrow"]


async def test_control_is_never_refused_and_says_so_once_when_it_grows(stage):
    address = box_of(stage.system)
    for n in range(2_000):
        address.tell(Urgent(n))
    assert stage.overflows == [("box", "CONTROL")]
    assert len(drain(address)) == 2_000


@pytest.mark.conformance(50)
@pytest.mark.parametrize(("many", "few", "limit"), [(Fill, lambda n: Top(str(n), n), 64), (lambda n: Top(str(n), n), Fill, 64)])
async def test_neither_lossless_nor_conflated_starves_the_other(stage, many, few, limit):
    address = box_of(stage.system)
    for n in range(1_000):
        address.tell(many(n))
    for n in range(3):
        address.tell(few(n))
    kinds = [type(message) for message in drain(address)]
    waited, longest = 0, 0
    left = 3
    for kind in kinds:
        waited += 1
        if kind is type(few(0)):
            longest, waited, left = max(longest, waited), 0, left - 1
        if not left:
            break
    assert longest <= limit


@pytest.mark.conformance(50)
async def test_a_flood_that_never_ends_starves_nobody(stage):
    address = box_of(stage.system)
    for n in range(40):
        address.tell(Fill(n))
    address.tell(Top("m", 0))
    for n in range(64):
        address.tell(Fill(n))
        if isinstance(address.mailbox.take().message, Top):
            return
    pytest.fail("the conflated message was not taken among 64")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["urgent", "fill", "top", "take"]), max_size=200), st.sampled_from(Overflow))
def test_every_put_is_taken_queued_conflated_or_dead_lettered(steps, overflow):
    system = ActorSystem(clock_now=lambda: 0.0)
    address = box_of(system, bound=3, overflow=overflow)
    make = {"urgent": Urgent, "fill": Fill, "top": lambda n: Top(str(n % 3), n)}
    told = Counter()
    taken = 0
    for n, step in enumerate(steps):
        if step == "take":
            taken += address.mailbox.take() is not None
            continue
        told[step] += 1
        try:
            address.tell(make[step](n))
        except MailboxFull:
            assert overflow is not Overflow.DROP_OLDEST
    lanes = address.mailbox.statistics().values()
    queued, conflated = sum(lane.depth for lane in lanes), sum(lane.conflated for lane in lanes)
    assert told.total() == taken + queued + conflated + len(system.dead_letters)
    assert len(drain(address)) == queued


@pytest.mark.conformance(51)
@pytest.mark.conformance(52)
@pytest.mark.parametrize("purge", [frozenset(), frozenset({Lane.CONFLATED}), frozenset(Lane)])
async def test_a_restart_purges_the_lanes_its_spec_names_and_keeps_the_others(stage, purge):
    await stage.up(stage.spec("a", purge=purge))
    address = stage.system.address("a")
    waiting = {Lane.LOSSLESS: Fill(2), Lane.CONFLATED: Top("m", 3)}
    for message in ("boom", *waiting.values()):
        address.tell(message)
    await settle()
    assert stage.seen["a"] == ["boom", *(message for lane, message in waiting.items() if lane not in purge)]
    dead = [(letter.message, letter.why) for letter in stage.system.dead_letters.ring]
    assert dead == [(message, Undelivered.RESTARTED) for lane, message in waiting.items() if lane in purge]


@pytest.mark.conformance(52)
async def test_a_purged_ask_fails(stage):
    await stage.up(stage.spec("a"))
    address = stage.system.address("a")
    address.tell("boom")
    with pytest.raises(Exception, match="restarted before") as caught:
        await address.call(Top("m", 1))
    assert caught.typename == "ActorDeadError"


@pytest.mark.conformance(54)
async def test_the_message_that_crashed_an_actor_is_not_redelivered(stage):
    await stage.up(stage.spec("a"))
    await stage.tell("a", "boom")
    assert stage.seen["a"] == ["boom"]


@pytest.mark.conformance(55)
async def test_dead_letters_are_counted_for_ever_and_kept_for_a_while(stage):
    letters = stage.system.dead_letters
    address = stage.system.address("a")
    address.settle(Phase.GONE)
    for n in range(1_500):
        address.tell(Fill(n))
    assert len(letters) == 1_500
    assert (len(letters.ring), letters.ring[0].message, letters.ring[-1].message) == (1_000, Fill(500), Fill(1_499))
    assert stage.system.snapshot().dead_letters == {"a LOSSLESS GONE": 1_500}


@pytest.mark.conformance(55)
async def test_the_log_of_dead_letters_thins_out(stage, caplog):
    address = stage.system.address("a")
    address.settle(Phase.GONE)
    for n in range(1_000):
        address.tell(Fill(n))
    assert len(caplog.records) == 10


@pytest.mark.conformance(56)
@pytest.mark.trio(run=trio.run)
async def test_puts_from_another_thread_keep_that_threads_order():
    async with ActorSystem() as system:
        probe = await Probe.watch(system)

        def send(name: str, barrier: threading.Barrier) -> None:
            barrier.wait()
            for n in range(500):
                probe.address.tell(Fill(n, name))

        barrier = threading.Barrier(2)
        async with trio.open_nursery() as nursery:
            for name in ("x", "y"):
                nursery.start_soon(trio.to_thread.run_sync, send, name, barrier)
        await settle()
        for name in ("x", "y"):
            assert [message.n for message in probe.of(Fill) if message.sender == name] == list(range(500))


@pytest.mark.trio(run=trio.run)
async def test_an_overflow_from_another_thread_is_reported_and_fails_the_ask():
    class Narrow(TrioActor):
        LANE_POLICY = LanePolicy(bound=1)

        @handles(Fill)
        async def on_fill(self, _: Fill) -> None:
            await trio.sleep_forever()

    overflows = []
    async with ActorSystem(on_overflow=lambda address, lane: overflows.append((address.name, lane))) as system:
        address = await system.start(ChildSpec("narrow", Narrow, shutdown=0.0))
        ref = address.actor.actor_ref
        address.tell(Fill(0))
        await settle()
        address.tell(Fill(1))
        with pytest.raises(MailboxFull):
            await trio.to_thread.run_sync(ref.ask, Fill(2))
    assert overflows == [("narrow", Lane.LOSSLESS)]


@pytest.mark.conformance(58)
@pytest.mark.parametrize(("virtual", "count", "work", "steps"), [(True, 200, 0.0, 4), (True, 10, 0.001, 1), (False, 10, 0.001, 10)])
@pytest.mark.trio(run=trio.run)
async def test_a_busy_actor_yields_after_64_messages_or_half_a_millisecond(virtual, count, work, steps):
    class Steps(trio.abc.Instrument):
        n = 0

        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            self.n += task.name == "busy" and seen[-1:] != seen_before
            seen_before[:] = seen[-1:]

    seen: list[int] = []
    seen_before: list[int] = []

    class Busy(TrioActor):
        @handles(Fill)
        def on_fill(self, message: Fill) -> None:
            end = time.perf_counter() + work
            while time.perf_counter() < end:
                pass
            seen.append(message.n)

    async with ActorSystem(virtual=virtual) as system:
        address = await system.start(ChildSpec("busy", Busy))
        await settle()
        counter = Steps()
        trio.lowlevel.add_instrument(counter)
        for n in range(count):
            address.tell(Fill(n))
        await settle()
        trio.lowlevel.remove_instrument(counter)
    assert len(seen) == count
    assert counter.n == steps


@pytest.mark.conformance(60)
async def test_reading_statistics_enqueues_nothing(stage):
    await stage.up(stage.spec("a"))
    await stage.tell("a", "hi")
    before = stage.system.address("a").statistics()
    stage.system.snapshot()
    after = stage.system.address("a").statistics()
    assert after.lanes == before.lanes
    assert after.processed == {"str": 1}
    assert after.waits.count == after.handling.count == 1


async def test_the_oldest_age_is_of_whatever_waits_longest(stage):
    address = box_of(stage.system)
    assert address.statistics().oldest_age == 0.0
    address.tell(Top("m", 1))
    first = address.statistics().oldest_age
    address.tell(Top("m", 2))
    assert 0 < first < address.statistics().oldest_age
