"""The stash: what is put aside comes back in its order, is bounded, and outlives the incarnation that put it aside."""

from __future__ import annotations

import attrs
import pykka
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime import ActorSystem, ChildSpec, Lane, Message, Refusal, StashFull, TrioActor, handles
from actors.runtime.testing import drive, settle


@attrs.frozen(slots=True)
class Job(Message):
    n: int


@attrs.frozen(slots=True)
class Quote(Message):
    LANE = Lane.CONFLATED
    market: str
    n: int

    @property
    def conflation_key(self) -> str:
        return self.market


class Closed(TrioActor):
    """Puts everything aside until it is told "open"; then handles it."""

    STASH_BOUND = 3

    def __init__(self, seen: list[object]) -> None:
        super().__init__()
        self.seen = seen
        self.is_open = False

    @handles(Job, Quote)
    def on_job(self, message: Job | Quote) -> object:
        if not self.is_open:
            self.stash()
            return None
        self.seen.append(message)
        return message.n

    @handles(str)
    def on_text(self, text: str) -> object:
        if text == "boom":
            raise RuntimeError
        self.is_open = text == "open"
        return self.unstash()


@pytest.fixture
async def room(stage):
    seen: list[object] = []
    await stage.up(ChildSpec("a", lambda: Closed(seen), purge=frozenset()), intensity=9)
    return stage.system.address("a"), seen


@pytest.mark.conformance(53)
async def test_what_is_put_aside_comes_back_in_order_and_before_what_came_later(room):
    address, seen = room
    for n in range(3):
        address.tell(Job(n))
    address.tell("open")
    address.tell(Job(3))
    await settle()
    assert seen == [Job(n) for n in range(4)]


@pytest.mark.conformance(53)
async def test_the_stash_is_bounded_and_says_so(room, stage):
    address, _ = room
    for n in range(3):
        address.tell(Job(n))
    await settle()
    assert address.statistics().stashed == 3
    address.tell(Job(3))
    await settle()
    assert stage.reasons("a") == [StashFull]


@pytest.mark.conformance(53)
async def test_an_asker_is_answered_when_its_message_is_handled(room):
    address, _ = room
    answers = []

    async def ask(n: int) -> None:
        answers.append(await address.call(Job(n)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, 7)
        await settle()
        assert answers == []
        address.tell("open")
    assert answers == [7]


@pytest.mark.conformance(53)
async def test_a_crash_loses_nothing_that_was_put_aside(room, stage):
    address, seen = room
    address.tell(Job(1))
    address.tell(Quote("m", 2))
    await settle()
    for message in ("boom", Job(3), "open"):
        address.tell(message)
    await settle()
    assert stage.incarnations("a") == [2]
    assert seen == [Job(1), Job(3), Quote("m", 2)] or seen == [Job(1), Quote("m", 2), Job(3)]


@pytest.mark.conformance(53)
async def test_what_was_put_aside_when_an_actor_goes_for_good_is_a_dead_letter_and_its_asker_is_told(stage):
    seen: list[object] = []
    address = await stage.system.start(ChildSpec("a", lambda: Closed(seen)))

    async def ask() -> None:
        with pytest.raises(pykka.ActorDeadError):
            await address.call(Job(2))

    address.tell(Job(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await settle()
        await stage.system.stop(address)
    assert [letter.message for letter in stage.system.dead_letters.ring] == [Job(1), Job(2)]


@pytest.mark.conformance(53)
async def test_an_older_message_of_a_key_does_not_come_back_over_a_newer_one(room):
    address, seen = room

    async def ask() -> None:
        with pytest.raises(Refusal, match="same key"):
            await address.call(Quote("m", 1))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await settle()
        address.mailbox.suspended = True
        address.tell(Quote("m", 2))
        address.actor._stash.give_back(address.mailbox)
        address.mailbox.suspended = False
    address.tell("open")
    await settle()
    assert seen == [Quote("m", 2)]


async def test_a_message_that_is_put_aside_and_then_crashes_its_actor_does_not_come_back(stage):
    seen: list[int] = []

    class Clumsy(TrioActor):
        @handles(Job)
        def on_job(self, job: Job) -> None:
            seen.append(job.n)
            self.stash()
            if job.n == 2:
                raise RuntimeError

    await stage.up(ChildSpec("a", Clumsy))
    stage.system.address("a").tell(Job(1))
    stage.system.address("a").tell(Job(2))
    await settle()
    assert stage.incarnations("a") == [2]
    assert seen == [1, 2, 1]


async def test_there_must_be_a_message_to_put_aside(stage):
    class Eager(TrioActor):
        def on_start(self) -> None:
            self.stash()

    with pytest.raises(Exception, match="no message in hand"):
        await stage.system.start(ChildSpec("a", Eager))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["job", "open", "shut"]), max_size=25))
def test_every_job_is_handled_once_and_in_order_whenever_the_actor_opens(steps):
    seen: list[object] = []

    async def main() -> int:
        kind = type("Roomy", (Closed,), {"STASH_BOUND": 100})
        async with ActorSystem(virtual=True) as system:
            address = await system.start(ChildSpec("a", lambda: kind(seen)))
            for n, step in enumerate([*steps, "open"]):
                address.tell(Job(n) if step == "job" else step)
            await settle()
            return address.statistics().stashed

    assert drive(main) == 0
    assert seen == [Job(n) for n, step in enumerate(steps) if step == "job"]
