"""The tree: its shape, what each death cancels, and that it stands with the network cut."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import MockClock

from actors.boot import open_ledger
from actors.messages import Standing, StandingsRequest, VenueEvent
from actors.rules import Rulebook
from actors.runtime import ActorSystem, Address, Shutdown, Supervisor
from actors.runtime.testing import settle
from actors.tree import Parts, build, death_scope
from actors.worlds import Kind, Place, World
from chimera.clock import VirtualClock
from chimera.errors import FeedError
from chimera.intake import Connection, Door, Frame
from chimera.kalshi.auth import Signer
from chimera.kalshi.session import ExchangeSession
from chimera.settings import load_registry
from chimera.trading.kill import GLOBAL, KillRegister, Scope, domain, market

NOW = 1_764_000_000.0
SHAPE: Mapping[str, tuple[str, float, tuple[str, ...]]] = {
    "app": ("one_for_one", 1, ("memory", "trading", "ops")),
    "memory": ("one_for_one", math.inf, ("journal", "recorder")),
    "trading": ("rest_for_one", 3, ("safety", "exchange", "strategy", "oracles")),
    "safety": ("rest_for_one", 2, ("venue", "gateway", "risk", "reconciler", "heartbeat")),
    "exchange": ("rest_for_one", 5, ("stream", "universe", "books")),
    "books": ("one_for_one", 20, ()),
    "strategy": ("one_for_one", 10, ("pricer.nba",)),
    "oracles": ("one_for_one", math.inf, ("nba.budget",)),
    "nba.budget": ("one_for_one", 5, ("nba",)),
    "ops": ("one_for_one", math.inf, ("scorekeeper", "telemetry")),
}
"""Every supervisor: its strategy, its intensity and its children in the order in which they start."""
HARMLESS = {"app", "memory", "journal", "recorder", "ops", "scorekeeper", "telemetry", "books", "oracles"}
"""Those on whose life no resting order depends."""


class CutNetwork(Door):
    """Nothing comes through."""

    async def get(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0) -> Frame:
        await trio.lowlevel.checkpoint()
        raise FeedError(f"{stream}: no route to host")

    def connect(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None) -> AbstractAsyncContextManager[Connection]:
        return self._refuse(stream)

    @asynccontextmanager
    async def _refuse(self, stream: str) -> AsyncIterator[Connection]:
        await trio.lowlevel.checkpoint()
        raise FeedError(f"{stream}: no route to host")
        yield


@attrs.frozen
class Grown:
    """A running tree."""

    system: ActorSystem
    top: Address
    exits: list[str]

    def supervisor(self, name: str) -> Supervisor:
        actor = self.system.address(name).actor
        assert isinstance(actor, Supervisor)
        return actor

    @property
    def names(self) -> set[str]:
        """Every address that an actor lives at."""
        return {name for name, actor in self.system.snapshot().actors.items() if actor.kind}


@asynccontextmanager
async def tree(root: Path, tmp_path: Path) -> AsyncIterator[Grown]:
    clock, door, exits = VirtualClock(origin_unix=NOW), CutNetwork(), list[str]()
    rules = Rulebook(load_registry(root / "config" / "signal_registry.json"))
    signer = Signer("key", Ed25519PrivateKey.generate())
    session = ExchangeSession(signer, clock, rest_url="http://cut", ws_url="ws://cut")
    world = World(Place(Kind.RECORDING, tmp_path), clock, door, session, espn_url="http://cut")
    with open_ledger(world, rules, journal=tmp_path / "j.db", record=tmp_path / "frames", seed=1) as ledger:
        register = KillRegister(on_trip=ledger.venue.fire)
        async with ActorSystem(clock.now, clock.sleep, virtual=True, on_exit=lambda spec, _: exits.append(spec.id)) as system:
            recorder = ledger.open_recorder(system, world)
            top = await system.start(build(system, Parts(
                world=world, rules=rules, register=register, venue=ledger.venue, open_journal=ledger.open_journal(system),
                open_recorder=recorder, run=ledger.run, seed=1, cash=ledger.cash,
            )))  # fmt: skip
            await settle()
            yield Grown(system, top, exits)
            await system.stop(top)


class TestShape:
    """The tree is the one that the architecture draws."""

    async def test_every_supervisor_has_its_strategy_intensity_and_children_in_order(
        self, root: Path, tmp_path: Path, autojump_clock: MockClock
    ) -> None:
        async with tree(root, tmp_path) as t:
            found = {}
            for name in sorted(t.names):
                actor = t.system.address(name).actor
                if isinstance(actor, Supervisor):
                    children = actor.state_summary()["children"]
                    assert isinstance(children, dict)
                    found[name] = (actor.strategy.value, actor.intensity, tuple(children))
            assert found == dict(SHAPE)

    async def test_every_name_is_in_the_tree_once(self, root: Path, tmp_path: Path, autojump_clock: MockClock) -> None:
        async with tree(root, tmp_path) as t:
            placed = ["app", *(child for _, _, children in SHAPE.values() for child in children)]
            assert len(placed) == len(set(placed))
            assert t.names == set(placed)

    async def test_it_is_up_within_a_second_with_the_network_cut(self, root: Path, tmp_path: Path, autojump_clock: MockClock) -> None:
        async with tree(root, tmp_path) as t:
            assert all(t.system.address(name).alive for name in t.names)
            await trio.sleep(1.0)
            assert t.exits == []

    async def test_what_waits_for_the_world_says_so(self, root: Path, tmp_path: Path, autojump_clock: MockClock) -> None:
        async with tree(root, tmp_path) as t:
            await trio.sleep(30.0)
            standings = await t.system.address("telemetry").call(StandingsRequest())
            assert isinstance(standings, tuple)
            states = {standing.actor: standing.state for standing in standings if isinstance(standing, Standing)}
            assert states["gateway"] == states["reconciler"] == states["journal"] == "ready"
            assert states["universe"] == "stale"
            assert {states[name] for name in ("stream", "nba", "pricer.nba")} <= {"connecting", "stale", "idle"}
            assert t.exits == []

    async def test_every_worker_s_death_is_watched(self, root: Path, tmp_path: Path, autojump_clock: MockClock) -> None:
        async with tree(root, tmp_path) as t:
            workers = t.names - set(SHAPE) - {"risk"}
            assert {name for name in workers if not t.system.address(name).statistics().monitors} == set()


class TestDeath:
    """A death cancels what depended on the dead, and nothing else."""

    async def test_every_actor_of_the_tree_has_its_verdict(self, root: Path, tmp_path: Path, autojump_clock: MockClock) -> None:
        async with tree(root, tmp_path) as t:
            verdicts = {name: death_scope(name, frozenset({"nba"})) for name in t.names}
        scopes: dict[str, Scope | None] = {name: None if verdict is None else verdict[0] for name, verdict in verdicts.items()}
        safety = ("safety", "venue", "gateway", "risk", "reconciler", "heartbeat")
        everything = ("trading", *safety, "exchange", "stream", "universe", "strategy")
        assert scopes == {
            **dict.fromkeys(HARMLESS),
            **dict.fromkeys(everything, GLOBAL),
            **dict.fromkeys(("nba", "nba.budget", "pricer.nba"), domain("nba")),
        }

    def test_a_book_takes_its_market_alone(self) -> None:
        verdict = death_scope("book.KXNBAGAME-25NOV24BOSNYK-NYK", frozenset({"nba"}))
        assert verdict is not None
        assert verdict[0] == market("KXNBAGAME-25NOV24BOSNYK-NYK")

    @pytest.mark.parametrize("name", ["something.new", "pricers", "console2", "nhl"])
    def test_a_name_that_nobody_thought_of_takes_everything(self, name: str) -> None:
        verdict = death_scope(name, frozenset({"nba"}))
        assert verdict is not None
        assert verdict[0] == GLOBAL

    def test_every_hold_has_an_end_and_is_longer_than_nothing(self) -> None:
        for name in (*SHAPE, "book.X", "nba", "pricer.nba", "gateway"):
            verdict = death_scope(name, frozenset({"nba"}))
            assert verdict is None or 0.0 < verdict[1] <= 60.0


class TestGivingUp:
    """Trading that cannot be kept alive ends the program; memory and ops never do."""

    async def test_a_gateway_that_keeps_dying_ends_the_tree(self, root: Path, tmp_path: Path, autojump_clock: MockClock) -> None:
        async with tree(root, tmp_path) as t:
            with trio.fail_after(60.0):
                while t.system.address("app").alive:
                    # Each another, for a message that keeps killing its receiver may be kept from it.
                    t.system.address("gateway").tell(VenueEvent("no event", trio.current_time()))
                    await trio.sleep(0.5)
            assert "trading" in t.exits
            assert isinstance(await t.system.ended(t.top), Shutdown)

    @pytest.mark.parametrize("name", ["journal", "telemetry"])
    async def test_memory_and_ops_are_restarted_for_ever(
        self, name: str, root: Path, tmp_path: Path, autojump_clock: MockClock
    ) -> None:
        async with tree(root, tmp_path) as t:
            for _ in range(30):
                actor = t.system.address(name).actor
                if actor is not None:
                    actor.crash(RuntimeError("again"))
                await trio.sleep(61.0)
            assert t.system.address(name).alive
            assert set(t.exits) == {name}

    async def test_an_oracle_that_keeps_dying_is_muted_and_tried_again_after_five_minutes(
        self, root: Path, tmp_path: Path, autojump_clock: MockClock
    ) -> None:
        async with tree(root, tmp_path) as t:
            oracle = t.system.address("nba")
            with trio.fail_after(120.0):
                while "nba.budget" not in t.exits:
                    if oracle.actor is not None and oracle.alive:
                        oracle.actor.crash(RuntimeError("again"))
                    await trio.sleep(0.5)
            await trio.sleep(280.0)
            assert not oracle.alive
            await trio.sleep(30.0)
            assert oracle.alive
            assert {"oracles", "trading"}.isdisjoint(t.exits)
