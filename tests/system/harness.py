"""A stage for system tests: a simulator in a process of its own, and the tree in this one (or in another), watched while it runs.

Everything is waited for on a condition, within a bound of machine time. Whether orders were safe is judged by the venue: its own log and
what it says rests. The gateway's table is read for one thing only, to hold what it believes against that.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import attrs
import trio

from actors.app import Plan, Result, Run
from actors.boot import Ledger, open_ledger
from actors.messages import Standing, StandingsRequest
from actors.rules import Rulebook
from actors.runtime import ChildSpec, Reason, is_normal
from actors.worlds import Place, open_world
from chimera.audit.orders import T_CANCEL_S
from chimera.clock import WorldClock
from chimera.journal.venue_log import read_venue_log, venue_log_path
from chimera.settings import Environment, Registry, load_registry
from chimera.trading import venue_log as log
from chimera.trading.orders import State
from chimera.trading.venue import Resting

ROOT = Path(__file__).resolve().parents[2]
SEVERAL = 4
"""Quotes that must rest before anything is broken: a fault that finds nothing resting proves nothing."""
WITHIN_S = 20.0
"""Machine seconds for a condition that a healthy tree on an idle machine meets in one or two."""


# Processes


@contextmanager
def simulator(folder: Path, *, seed: int = 7, speed: float = 10.0) -> Iterator[Path]:
    """`chimera-sim` as a process; its ready file. The evening begins when it does."""
    ready = folder / "ready.json"
    origin = f"{time.monotonic_ns()},{time.time():.6f},{speed:g}"
    command = [sys.executable, str(ROOT / "bin" / "chimera-sim"), "--ready-file", str(ready), "--seed", str(seed),
               "--clock-origin", origin, "--exit-with-parent"]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        try:
            deadline = time.monotonic() + WITHIN_S
            while not ready.exists():
                assert child.poll() is None, f"the simulator ended with {child.returncode}"
                assert time.monotonic() < deadline, "the simulator is not ready"
                time.sleep(0.01)
            yield ready
        finally:
            child.terminate()


def moved(ready: Path, copy: Path, **addresses: str) -> Path:
    """A copy of a ready file with other addresses."""
    copy.write_text(json.dumps(json.loads(ready.read_text()) | addresses))
    return copy


def shadow_command(*options: object) -> list[str]:
    """chimera-shadow as a command line; its last line of stdout is the summary."""
    return [sys.executable, str(ROOT / "bin" / "chimera-shadow"), "--json", *map(str, options)]


def registry() -> Registry:
    """The registry as shipped."""
    return load_registry(ROOT / "config" / "signal_registry.json")


def slower_to_expire(given: Registry, seconds: float) -> Registry:
    """The same, with orders that live longer."""
    signals = [signal.model_copy(update={"expiry_seconds": seconds}) for signal in given.signals]
    return given.model_copy(update={"signals": signals})


def over_a_slow_wire(given: Registry) -> Registry:
    """The same, with a venue so far away that a run could end before its last cancels arrive."""
    return given.model_copy(update={"paper": given.paper.model_copy(update={"latency_ms": [800.0, 900.0]})})


# What the venue's log says


def read_log(journal: Path) -> list[log.Line]:
    return list(read_venue_log(venue_log_path(journal))) if venue_log_path(journal).exists() else []


def still_resting(lines: list[log.Line]) -> set[str]:
    """The ids of the orders that rest at the end of these lines."""
    left: set[str] = set()
    for line in lines:
        match line:
            case log.Accepted():
                left.add(line.order_id)
            case log.Left() | log.Filled(left=0):
                left.discard(line.order_id)
    return left


# The tree, in this process


@attrs.frozen(slots=True)
class Death:
    """The end of an incarnation, as the step that saw it found things. `line` is how long the venue's log was, before any trip."""

    actor: str
    at: float
    line: int
    resting: tuple[Resting, ...]


class Shadow:
    """One run of the tree, watched: who died, and which orders rested that the gateway did not know for longer than a cancel takes."""

    def __init__(self, run: Run, clock: WorldClock, journal: Path) -> None:
        self.run = run
        self.clock = clock
        self.journal = journal
        self.deaths: list[Death] = []
        self.strays: dict[str, float] = {}
        self.result: Result | None = None
        self._trip_on_exit = run.system.on_exit
        run.system.on_exit = self._on_exit

    def _on_exit(self, spec: ChildSpec, reason: Reason) -> None:
        if not is_normal(reason):
            self.deaths.append(Death(spec.id, self.clock.now(), self.lines(), self.resting()))
        assert self._trip_on_exit is not None
        self._trip_on_exit(spec, reason)

    async def live(self) -> None:
        self.result = await self.run.run()

    async def watch(self) -> None:
        """Hold what rests against what the gateway knows, for ever."""
        suspects: dict[str, float] = {}
        while True:
            now = self.clock.now()
            suspects = {order: suspects.get(order, now) for order in self._unknown()}
            self.strays |= {order: now for order, since in suspects.items() if now - since > T_CANCEL_S}
            await trio.sleep(0.01)

    def _unknown(self) -> set[str]:
        gateway = self.run.system.address("gateway").actor
        known = set() if gateway is None else {w.order_id for w in gateway._desk.table if w.state is not State.GONE}
        sent = set() if gateway is None else {w.order.client_id for w in gateway._desk.table if w.state is not State.GONE}
        return {r.order_id for r in self.resting() if r.order_id not in known and r.client_id not in sent}

    # What is so now

    def resting(self) -> tuple[Resting, ...]:
        return self.run.venue.exchange.resting()

    def lines(self) -> int:
        """How many lines the venue's log has."""
        with venue_log_path(self.journal).open("rb") as file:
            return sum(1 for _ in file)

    def incarnation(self, actor: str) -> int:
        return self.run.system.address(actor).incarnation

    def says(self, actor: str) -> str:
        """An actor's state and why, as telemetry heard it last."""
        telemetry = self.run.system.address("telemetry").actor
        return "" if telemetry is None else str(telemetry.state_summary().get(actor, ""))

    async def standings(self) -> dict[str, Standing]:
        """What every actor says of itself, as telemetry keeps it."""
        answer = await self.run.system.address("telemetry").call(StandingsRequest())
        assert isinstance(answer, tuple)
        return {standing.actor: standing for standing in answer}

    def sent_since(self, line: int) -> list[log.Sent]:
        return [sent for sent in read_log(self.journal)[line:] if isinstance(sent, log.Sent)]

    # What is done to it, and waited for

    def crash(self, actor: str) -> None:
        """Let an actor die of a bug that is not in it."""
        incarnation = self.run.system.address(actor).actor
        assert incarnation is not None, f"{actor} is not there to be crashed"
        assert incarnation.crash(RuntimeError("planted"))

    async def until(self, what: str, holds: Callable[[], object], within: float = WITHIN_S) -> None:
        """Wait until something holds; AssertionError, saying how things stand, if it does not within machine seconds."""
        with trio.move_on_after(within):
            while not holds():  # noqa: ASYNC110  # there is no event for what only the venue knows
                await trio.sleep(0.005)
            return
        standings = [f"{name}: {s.state} {s.why}" for name, s in (await self.standings()).items()]
        kills = [f"{scope} {state.value} ({trip.reason.value})" for scope, state, trip, _ in self.run.register.standing()]
        raise AssertionError("\n".join([f"not so within {within:g} s: {what}; {len(self.resting())} rest", *standings, *kills]))

    async def quoting(self, at_least: int = SEVERAL) -> None:
        """Wait until several quotes rest."""
        await self.until(f"{at_least} quotes rest", lambda: len(self.resting()) >= at_least)


@asynccontextmanager
async def shadowing(
    ready: Path, journal: Path, *, rules: Registry | None = None, ledger: Callable[[Ledger], Ledger] = lambda opened: opened
) -> AsyncIterator[Shadow]:
    """Shadow-trade the world of a ready file for the length of the block, then drain and stop; `result` is set after it."""
    chosen = rules or registry()
    plan = Plan(Place.parse(f"sim:{ready}", Environment()), chosen, Environment(), journal=journal)
    book = Rulebook(chosen)
    async with open_world(plan.place, plan.environment, speed=None, seed=plan.seed) as world:
        with open_ledger(world, book, journal=journal, record=None, seed=plan.seed) as opened:
            shadow = Shadow(Run(plan, book, world, ledger(opened), lambda _: None), world.clock, journal)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(shadow.watch)
                async with trio.open_nursery() as inner:
                    inner.start_soon(shadow.live)
                    yield shadow
                    shadow.run.stop()
                nursery.cancel_scope.cancel()
