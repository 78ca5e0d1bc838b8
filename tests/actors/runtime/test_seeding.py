"""Same seed, same interleaving."""

from __future__ import annotations

import random

import attrs
import pytest
import trio
from trio._core import _run

from actors.runtime import ActorSystem, ChildSpec, Message, Supervisor, TrioActor, handles, seeded
from actors.runtime.testing import Probe, drive, settle


@attrs.frozen(slots=True)
class Tick(Message):
    n: int


async def interleaving() -> list[str]:
    """The order in which twelve actors handle twenty rounds, some of them crashing, some starting tasks."""
    order: list[str] = []

    class Member(TrioActor):
        @handles(Tick)
        async def on_tick(self, tick: Tick) -> None:
            order.append(self.address.name)
            if tick.n % 7 == 3 and self.address.name == "m3":
                raise RuntimeError
            await trio.sleep(tick.n % 3)

    async with ActorSystem(virtual=True) as system:
        specs = [ChildSpec(f"m{i}", Member) for i in range(12)]
        await system.start(ChildSpec("top", lambda: Supervisor(specs, intensity=100)))
        for n in range(20):
            for spec in specs:
                system.address(spec.id).tell(Tick(n))
            await trio.sleep(1)
    return order


@pytest.mark.conformance(61)
def test_the_same_seed_gives_the_same_interleaving_and_another_another():
    first, again, other = drive(interleaving, seed=1), drive(interleaving, seed=1), drive(interleaving, seed=2)
    assert first == again
    assert first != other
    assert sorted(first) == sorted(other)


@pytest.mark.conformance(61)
def test_what_ran_before_does_not_matter():
    first = drive(interleaving, seed=1)
    trio.run(trio.sleep, 0)
    random.seed(99)
    assert drive(interleaving, seed=1) == first


def test_seeding_leaves_no_trace():
    before = (_run._r.getstate(), _run._ALLOW_DETERMINISTIC_SCHEDULING)
    with seeded(5):
        _run._r.random()
    assert (_run._r.getstate(), _run._ALLOW_DETERMINISTIC_SCHEDULING) == before


def test_a_trio_that_cannot_be_seeded_is_an_error(monkeypatch):
    monkeypatch.delattr(_run, "_r")
    with pytest.raises(RuntimeError, match="cannot be seeded"), seeded(1):
        pass


def test_virtual_time_takes_no_time():
    async def main() -> float:
        began = trio.current_time()
        await trio.sleep(80_000)
        return trio.current_time() - began

    assert drive(main) == 80_000


async def test_a_probe_remembers_and_answers(stage):
    probe = await Probe.watch(stage.system)
    probe.address.tell(Tick(1))
    assert await probe.address.call("x") == "x"
    await settle()
    assert probe.seen == [Tick(1), "x"]
    assert probe.of(Tick) == [Tick(1)]
