"""A supervisor under any sequence of crashes, failing starts and operator's orders comes back to what it owes."""

from __future__ import annotations

import math

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime import (
    ActorSystem,
    Backoff,
    ChildSpec,
    Refusal,
    Restart,
    RestartChild,
    Strategy,
    Supervisor,
    TerminateChild,
    TrioActor,
    WhichChildren,
)
from actors.runtime.testing import drive

NAMES = "abcd"
STEPS = st.one_of(
    st.tuples(st.sampled_from(["boom", "bye", "terminate", "restart", "bad start"]), st.sampled_from(NAMES)),
    st.tuples(st.just("sleep"), st.sampled_from([0.1, 1.0, 7.0])),
)


class World:
    """What the model knows: who lives, who was told to stay down, whose next start will fail."""

    def __init__(self) -> None:
        self.living: dict[str, int] = {}
        self.down: set[str] = set()
        self.bad_starts: set[str] = set()
        self.twice: list[str] = []  # names of which two incarnations lived at once

    def spec(self, name: str, restart: Restart, backoff: float) -> ChildSpec:
        return ChildSpec(name, lambda: Member(self), restart, backoff=Backoff(backoff, 4 * backoff))


class Member(TrioActor):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    async def on_start(self) -> None:
        name = self.address.name
        if name in self.world.living:
            self.world.twice.append(name)
        self.world.living[name] = self.address.incarnation
        self.spawn(self.linger)
        await trio.sleep(0.5)
        if name in self.world.bad_starts:
            self.world.bad_starts.remove(name)
            raise RuntimeError("bad start")

    async def linger(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            del self.world.living[self.address.name]

    def on_receive(self, message: object) -> None:
        if message == "boom":
            raise RuntimeError("boom")
        self.stop()


async def play(strategy: Strategy, kinds: list[Restart], backoff: float, steps: list[tuple[str, object]]) -> None:
    world = World()
    specs = [world.spec(name, kind, backoff) for name, kind in zip(NAMES, kinds, strict=True)]
    async with ActorSystem(virtual=True) as system:
        top = await system.start(ChildSpec("top", lambda: Supervisor(specs, strategy, intensity=math.inf)))

        async def order(request: object) -> bool:
            try:
                await top.call(request, timeout=1_000)
            except Refusal:
                return False
            return True

        for what, whom in steps:
            if what == "sleep":
                await trio.sleep(whom)
            elif what == "bad start":
                world.bad_starts.add(whom)
            elif what == "terminate":
                if await order(TerminateChild(whom)):
                    world.down.add(whom)
            elif what == "restart":
                if await order(RestartChild(whom)):
                    world.down.discard(whom)
            else:
                system.address(whom).tell(what)
        await trio.sleep(1_000)
        children = {child.id: child for child in await top.call(WhichChildren())}
        for name, kind in zip(NAMES, kinds, strict=True):
            if kind is Restart.PERMANENT:
                assert (name in world.living) == (name not in world.down), (name, children[name])
            assert system.address(name).alive == (name in world.living)
        assert top.alive
        assert {name for name, child in children.items() if child.phase == "running"} == set(world.living)
    assert world.living == {}
    assert world.twice == []


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(Strategy),
    st.lists(st.sampled_from([Restart.PERMANENT, Restart.PERMANENT, *Restart]), min_size=4, max_size=4),
    st.sampled_from([0.0, 1.0]),
    st.lists(STEPS, max_size=20),
    st.integers(0, 3),
)
def test_every_child_ends_up_where_it_should(strategy, kinds, backoff, steps, seed):
    drive(play, strategy, kinds, backoff, steps, seed=seed)
