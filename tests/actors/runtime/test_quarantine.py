"""Quarantine: what keeps crashing its receiver is kept from it for a while, loudly; commands never are."""

from __future__ import annotations

import math

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime import (
    ActorSystem,
    BlockingActor,
    ChildSpec,
    Lane,
    Message,
    Quarantined,
    Refusal,
    Supervisor,
    TrioActor,
    Undelivered,
    handles,
)
from actors.runtime.quarantine import CRASHES, LASTS_S, WITHIN_S, Quarantine
from actors.runtime.testing import settle


@attrs.frozen(slots=True)
class Top(Message):
    LANE = Lane.CONFLATED
    market: str
    bad: bool = True

    @property
    def conflation_key(self) -> str:
        return self.market


@attrs.frozen(slots=True)
class Fill(Message):
    order: str


@attrs.frozen(slots=True)
class Stop(Message):
    LANE = Lane.CONTROL


@attrs.frozen(slots=True, hash=False, eq=False)
class Coarse(Message):
    n: int

    @property
    def quarantine_key(self) -> str:
        return "all"


@attrs.frozen(slots=True)
class Unhashable(Message):
    levels: list[int]


class Fragile(TrioActor):
    def __init__(self, seen: list[object]) -> None:
        super().__init__()
        self.seen = seen

    @handles(Top, Fill, Stop, Coarse, Unhashable, str)
    def on_any(self, message: object) -> None:
        self.seen.append(message)
        if getattr(message, "bad", True):
            raise RuntimeError


class FragileThread(BlockingActor):
    def __init__(self, seen: list[object]) -> None:
        super().__init__()
        self.seen = seen

    def on_receive(self, message: object) -> None:
        self.seen.append(message)
        if getattr(message, "bad", True):
            raise RuntimeError


class Ward:
    """One fragile actor under a supervisor that never gives up."""

    def __init__(self, kind: type = Fragile) -> None:
        self.seen: list[object] = []
        self.alarms: list[tuple[str, object]] = []
        self.system = ActorSystem(virtual=True, on_quarantine=lambda address, message: self.alarms.append((address.name, message)))
        self.spec = ChildSpec("a", lambda: kind(self.seen))

    async def tell(self, *messages: object) -> None:
        for message in messages:
            self.system.address("a").tell(message)
            await settle()

    async def up(self) -> None:
        await self.system.start(ChildSpec("top", lambda: Supervisor([self.spec], intensity=math.inf)))


@pytest.fixture(params=[Fragile, FragileThread], ids=lambda kind: kind.__name__)
async def ward(request):
    ward = Ward(request.param)
    async with ward.system:
        await ward.up()
        yield ward


@pytest.mark.conformance(54)
async def test_the_third_crash_on_a_key_sets_it_aside_with_an_alarm(ward):
    await ward.tell(*[Top("m")] * 4)
    assert ward.seen == [Top("m")] * 3
    assert ward.alarms == [("a", Top("m"))]
    assert [event.kind for event in ward.system.events.tail if isinstance(event, Quarantined)] == ["Top"]
    assert [(dead.message, dead.why) for dead in ward.system.dead_letters.ring] == [(Top("m"), Undelivered.QUARANTINED)]
    assert ward.system.address("a").statistics().quarantined == ("Top",)
    assert ward.system.address("a").incarnation == 4


@pytest.mark.conformance(54)
async def test_only_that_key_is_set_aside(ward):
    await ward.tell(*[Top("m")] * 3, Top("n", bad=False), Top("m", bad=False))
    assert ward.seen == [Top("m")] * 3 + [Top("n", bad=False)]


@pytest.mark.conformance(54)
async def test_crashes_far_apart_set_nothing_aside(ward):
    for _ in range(5):
        await ward.tell(Top("m"))
        await trio.sleep(WITHIN_S / 2 + 1)
    assert len(ward.seen) == 5
    assert ward.alarms == []


@pytest.mark.conformance(54)
async def test_a_key_is_let_in_again_after_a_while(ward):
    await ward.tell(*[Top("m")] * 3)
    await trio.sleep(LASTS_S - 1)
    await ward.tell(Top("m", bad=False))
    assert len(ward.seen) == 3
    await trio.sleep(1)
    await ward.tell(Top("m", bad=False))
    assert ward.seen[-1] == Top("m", bad=False)
    assert ward.system.address("a").statistics().quarantined == ()


@pytest.mark.conformance(54)
async def test_an_asker_is_refused_at_once(ward):
    await ward.tell(*[Top("m")] * 3)
    with pytest.raises(Refusal, match="too many crashed it"):
        await ward.system.address("a").call(Top("m"))


@pytest.mark.conformance(54)
@pytest.mark.parametrize(
    ("messages", "handled"),
    [
        ([Fill("x")] * 5, 3),  # a message without a key is as good as its equals
        ([Fill(str(n)) for n in range(5)], 5),
        ([Coarse(n) for n in range(5)], 3),  # unless its class says otherwise
        ([Stop()] * 5, 5),  # a command is never kept from its receiver
        (["text"] * 5, 5),  # nor is what is no Message
        ([Unhashable([1])] * 5, 5),
    ],
)
async def test_what_counts_as_the_same(ward, messages, handled):
    await ward.tell(*messages)
    assert len(ward.seen) == handled


@pytest.mark.conformance(54)
async def test_a_crash_of_a_task_is_no_messages_fault(ward):
    if not isinstance(ward.system.address("a").actor, TrioActor):
        return
    for _ in range(4):
        await ward.tell(Top("m", bad=False))
        ward.system.address("a").actor.crash(RuntimeError())
        await settle()
    assert len(ward.seen) == 4
    assert ward.alarms == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("xy"), st.floats(0.0, 40.0)), max_size=30))
def test_a_key_is_set_aside_exactly_when_its_crashes_come_too_close(steps):
    quarantine, now = Quarantine(), 0.0
    times: dict[str, list[float]] = {"x": [], "y": []}
    for order, pause in steps:
        now += pause
        if quarantine.holds(Fill(order), now):
            continue
        recent = [at for at in times[order] if at > now - WITHIN_S] + [now]
        assert quarantine.crashed(Fill(order), now) == (len(recent) >= CRASHES)
        times[order] = recent
