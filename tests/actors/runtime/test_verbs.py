"""The `sys` verbs: asked of any actor, obeyed without its class knowing of it, also while it is suspended."""

from __future__ import annotations

import inspect

import attrs
import pykka
import pytest
import trio

from actors.runtime import (
    ActorStatus,
    ActorSystem,
    BlockingActor,
    ChildSpec,
    Exit,
    GetState,
    GetStatistics,
    GetStatus,
    Lane,
    Message,
    Resume,
    Suspend,
    TraceOff,
    TraceOn,
    TrioActor,
    handles,
)
from actors.runtime.address import Address
from actors.runtime.testing import settle


@attrs.frozen(slots=True)
class Urgent(Message):
    LANE = Lane.CONTROL
    n: int


@attrs.frozen(slots=True)
class Tick(Message):
    n: int
    trace: int = 0


@attrs.frozen(slots=True)
class Top(Message):
    LANE = Lane.CONFLATED
    n: int


class Counter(TrioActor):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Message] = []

    @handles(Urgent, Tick, Top)
    def on_any(self, message: Message) -> int:
        self.seen.append(message)
        return len(self.seen)

    def state_summary(self) -> dict[str, object]:
        return {"seen": len(self.seen)}


class BlockingCounter(BlockingActor):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Message] = []

    def on_receive(self, message: Message) -> int:
        self.seen.append(message)
        return len(self.seen)

    def state_summary(self) -> dict[str, object]:
        return {"seen": len(self.seen)}


@pytest.fixture(params=[Counter, BlockingCounter], ids=lambda kind: kind.__name__)
async def address(request, stage):
    return await stage.system.start(ChildSpec("a", request.param))


@pytest.mark.conformance(59)
async def test_the_state_is_the_actors_own_summary(address):
    await address.call(Tick(1))
    assert await address.call(GetState()) == {"seen": 1}


@pytest.mark.conformance(59)
async def test_the_status_and_the_statistics_are_those_that_can_be_read(address):
    await address.call(Tick(1))
    status = await address.call(GetStatus())
    assert isinstance(status, ActorStatus)
    assert (status.name, status.state, status.processed["Tick"]) == ("a", "running", 1)
    work = await address.call(GetStatistics())
    assert (work.processed["Tick"], work.refusals, work.late_replies) == (1, 0, 0)


@pytest.mark.conformance(59)
async def test_while_suspended_only_control_is_handled_and_resumed_everything_is(address):
    assert await address.call(Suspend()) is True
    for message in (Tick(1), Top(2), Urgent(3)):
        address.tell(message)
    await settle()
    assert address.actor.seen == [Urgent(3)]
    assert (address.statistics().state, address.alive) == ("suspended", True)
    assert await address.call(GetState()) == {"seen": 1}
    with pytest.raises(pykka.Timeout):
        await address.call(Tick(4), timeout=1)
    assert await address.call(Resume()) is True
    await settle()
    assert address.actor.seen == [Urgent(3), Tick(1), Tick(4), Top(2)]
    assert address.statistics().state == "running"


@pytest.mark.conformance(59)
async def test_a_suspended_actor_sleeps_whatever_waits(address):
    await address.call(Suspend())
    for n in range(100):
        address.tell(Tick(n))
    began = trio.current_time()
    await trio.sleep(10)  # virtual time moves only if every task is blocked
    assert trio.current_time() - began == 10


@pytest.mark.conformance(59)
async def test_a_suspended_actor_stops_at_once_and_leaves_its_queue(address, stage):
    await address.call(Suspend())
    address.tell(Tick(1))
    began = trio.current_time()
    assert await stage.system.stop(address) is Exit.SHUTDOWN
    assert trio.current_time() == began
    assert [letter.message for letter in stage.system.dead_letters.ring] == [Tick(1)]


@pytest.mark.conformance(59)
async def test_the_next_incarnation_is_not_suspended(stage):
    await stage.up(stage.spec("a"))
    address = stage.system.address("a")
    await address.call(Suspend())
    address.tell("hi")
    address.actor.crash(RuntimeError("boom"))
    await settle()
    assert (address.incarnation, address.statistics().state) == (2, "running")
    assert stage.seen["a"] == ["hi"]


@pytest.mark.conformance(59)
async def test_the_trace_keeps_the_last_messages_until_it_is_switched_off(address):
    assert await address.call(TraceOn(3)) is True
    for n in range(5):
        await address.call(Tick(n, trace=n))
    traced = address.traced()
    assert [(step.kind, step.lane, step.trace) for step in traced] == [("Tick", Lane.LOSSLESS, n) for n in (2, 3, 4)]
    assert all(step.ago >= step.took >= 0 and step.waited >= 0 for step in traced)
    assert await address.call(TraceOff()) is True
    await address.call(Tick(9))
    assert address.traced() == ()


@pytest.mark.conformance(59)
async def test_an_actor_traces_256_messages_from_the_start(address):
    for n in range(300):
        address.tell(Tick(n, trace=n + 1))
    await settle()
    assert [step.trace for step in address.traced()] == list(range(45, 301))


@pytest.mark.conformance(59)
def test_a_verb_waits_five_seconds_by_default_as_otps_do():
    assert inspect.signature(Address.call).parameters["timeout"].default == 5.0


@pytest.mark.conformance(59)
async def test_a_verb_to_an_actor_at_work_times_out(stage):
    await stage.up(stage.spec("a", shutdown=0.0))
    address = stage.system.address("a")
    await stage.tell("a", "hang")
    began = trio.current_time()
    with pytest.raises(pykka.Timeout):
        await address.call(GetState())
    assert trio.current_time() - began == 5


@pytest.mark.conformance(59)
@pytest.mark.trio(run=trio.run)
async def test_a_thread_is_suspended_between_two_messages():
    async with ActorSystem() as system:
        address = await system.start(ChildSpec("a", BlockingCounter))
        await address.call(Suspend())
        address.tell(Tick(1))
        assert await address.call(GetState()) == {"seen": 0}
        await address.call(Resume())
        assert await address.call(Tick(2)) == 2
