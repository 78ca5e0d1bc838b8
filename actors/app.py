"""The application: settings and a world in, a summary out. Shadow, replay and the tests all run this.

    boot    read what an earlier run left in the journal; open the world; start the tree
    run     until the duration is over, the recording ends, a signal comes or trading gives up
    drain   latch GLOBAL, cancel, prove that nothing rests, within 10 s of machine time
    end     stop the tree in reverse, and sum up from the journal and the venue's own log
"""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import attrs
import pykka
import structlog
import trio
from trio.testing import MockClock

from actors.boot import Ledger, open_ledger
from actors.guardian import Guardian
from actors.live import open_live, run_files
from actors.messages import Drain, Exposure, ExposureRequest, Note, ScoreRequest, Standing, StandingsRequest, Tripped
from actors.outcome import ExitCode, Progress, Report
from actors.rehearsal import rehearsal
from actors.rules import Rulebook
from actors.runtime import ActorCrashed, ActorSystem, Address, ChildSpec, Hold, Reason, explain, is_normal, settle_in
from actors.runtime.seeding import seeded
from actors.summary import Summary, summarize
from actors.telemetry import QUIET
from actors.tree import BUDGET, Parts, build, death_scope
from actors.worlds import Place, World, open_world
from chimera.journal.shape import armed_record
from chimera.settings import Environment, Registry
from chimera.trading.kill import GLOBAL, KillRegister, Scope, Trip
from chimera.trading.reasons import Reason as TripReason

_LOG = structlog.get_logger("chimera")
DRAIN_WITHIN_S = 10.0
CANCEL_AGAIN_S = 0.25
PROGRESS_EVERY_S = 0.25
OVERFLOW_HOLD_S = 0.0
STALL_HOLD_S = 10.0
KILL_FILE_AFTER_S = 0.5
"""Longer than a pause that passes, and half of what the guard would end this process for."""
DEAF_HOLD_S = 5.0


@attrs.frozen(slots=True)
class Plan:
    """What to run. `duration` in world seconds; `journal` None means a new file under journal/."""

    place: Place
    registry: Registry
    environment: Environment
    seed: int = 0
    speed: float | None = None
    duration: float | None = None
    poll_seconds: float | None = None
    journal: Path | None = None
    record: Path | None = None
    live: bool = False
    """Orders go to the world's exchange, under a guard; otherwise they rest on paper."""


@attrs.frozen(slots=True)
class Result:
    """How a run ended."""

    code: ExitCode
    summary: Summary


def run_plan(plan: Plan, report: Report) -> Result:
    """Run a plan to its end. ConfigError, CredentialError or ChimeraError where it cannot start."""
    if not plan.place.virtual:
        sys.setswitchinterval(0.0005)
        return trio.run(_run, plan, report)
    # Same seed, same recording, same decisions, on any machine: the schedule itself is seeded.
    with seeded(plan.seed):
        return trio.run(_run, plan, report, clock=MockClock(autojump_threshold=0))


async def _run(plan: Plan, report: Report) -> Result:
    rules = Rulebook(plan.registry, plan.poll_seconds)
    async with open_world(plan.place, plan.environment, speed=plan.speed, seed=plan.seed) as world:
        if not plan.live:
            with open_ledger(world, rules, journal=plan.journal, record=plan.record, seed=plan.seed) as ledger:
                return await Run(plan, rules, world, ledger, report).run()
        async with open_live(world, rules, plan.journal, plan.seed) as live:
            with open_ledger(world, rules, journal=live.journal, record=plan.record, seed=plan.seed, house=live.house) as ledger:
                return await Run(plan, rules, world, ledger, report, live.guardian).run()


class Run:
    """One run of the tree in an open world. `system`, `register` and `venue` may be looked at while it runs; `stop` ends it."""

    def __init__(
        self, plan: Plan, rules: Rulebook, world: World, ledger: Ledger, report: Report, guardian: Guardian | None = None
    ) -> None:
        self._plan = plan
        self._rules = rules
        self._world = world
        self._ledger = ledger
        self._report = report
        self.venue = ledger.venue
        self.guardian = guardian
        self.register = KillRegister(on_trip=self.venue.fire, listeners=(self._tell_trip,))
        self.register.resume(ledger.past.counters, ledger.past.standing)
        self.venue.covers = self.register.fences
        self.venue.on_deaf = self._on_deaf
        self._draining = False
        self._proved_empty = False
        self._done = trio.Event()
        self._code = ExitCode.OK
        self._scores: Mapping[str, Mapping[str, float | int | None]] = {}
        self._frames = 0
        self._began = world.clock.now()
        self.system = ActorSystem(
            clock_now=world.clock.now,
            sleep=world.clock.sleep,
            virtual=world.clock.virtual,
            seed=plan.seed,
            on_exit=self._on_exit,
            on_overflow=self._on_overflow,
            on_stall=self._on_stall,
            on_blocked=self._on_blocked,
        )

    async def run(self) -> Result:
        self._world.door.tap(self._count)
        for tap in self._ledger.taps:
            self._world.door.tap(tap)
        async with trio.open_nursery() as nursery:
            await nursery.start(self._await_signals)
            async with self.system as system:
                system.start_soon(self._ledger.keep)
                top = await system.start(self._tree(system))
                self._remember_counters()
                await settle_in(system, rehearsal(self._rules))
                for task in (self._await_end, self._await_duration, self._show):
                    nursery.start_soon(task)
                nursery.start_soon(self._await_tree, top)
                await self._done.wait()
                held, waiting = await self._drain()
                if self.guardian is not None and self._proved_empty:
                    self.guardian.closing()
                await system.stop(top)
            nursery.cancel_scope.cancel()
        if self.guardian is not None and self._proved_empty:
            self.guardian.release()
        return Result(self._code, self._sum_up(held, waiting))

    def _tree(self, system: ActorSystem) -> ChildSpec:
        ledger, world = self._ledger, self._world
        return build(
            system,
            Parts(
                world=world,
                rules=self._rules,
                register=self.register,
                venue=self.venue,
                open_journal=ledger.open_journal(system),
                open_recorder=ledger.open_recorder(system, world),
                run=ledger.run,
                seed=self._plan.seed,
                cash=ledger.cash,
                pregames=ledger.past.pregames,
                guardian=self.guardian,
                unready=self._unready,
            ),
        )

    def _remember_counters(self) -> None:
        """Counters begin above where an earlier process left them; that must be known to the next one even if nothing trips in this one."""
        standing = {scope for scope, *_ in self.register.standing()}
        scopes = {Scope.parse(text): count for text, count in self.register.counters().items()}
        for scope, count in scopes.items():
            if count and scope not in standing:
                self.system.address("journal").tell(Note(armed_record(scope, count, self._began)))

    def stop(self) -> None:
        """End the run in good order, as its duration would."""
        self._done.set()

    def _unready(self) -> TripReason | None:
        """Why no order may leave now, for guard's and venue's part."""
        if not self.venue.hears():
            return TripReason.VENUE_DOWN
        return None if self.guardian is None else self.guardian.refusal()

    # Hooks of the venue and of the runtime: synchronous, and before any restart

    def _on_exit(self, spec: ChildSpec, reason: Reason) -> None:
        if self._draining or is_normal(reason):
            return
        found = death_scope(spec.id, self._rules.domains)
        _LOG.error("actor down", actor=spec.id, why=explain(reason))
        if found is not None:
            scope, hold_s = found
            self.register.trip(scope, TripReason.ACTOR_DOWN, source=spec.id, at=self._world.clock.now(), hold_s=hold_s)
        oracle = spec.id.removesuffix(BUDGET)
        if oracle in self._rules.domains:
            # It may be long before it can speak for itself again.
            state = "down" if oracle == spec.id else "muted"
            self.system.address("telemetry").tell(Standing(oracle, state, explain(reason), self._world.clock.now()))

    def _on_deaf(self, why: str) -> None:
        """Fills may come that nobody tells us of: nothing rests until they are told again, and the lists have been read."""
        if not self._draining:
            _LOG.error("the venue has fallen silent", why=why)
            self.register.trip(GLOBAL, TripReason.VENUE_DOWN, source="venue", at=self._world.clock.now(), hold_s=DEAF_HOLD_S)

    def _on_overflow(self, address: Address, lane: object) -> None:
        """A lane that must not lose was full: nobody knows what was lost, so nothing is quoted until the operator has looked."""
        _LOG.error("mailbox overflow", actor=address.name, lane=str(lane))
        self.register.trip(
            GLOBAL, TripReason.OVERFLOW, source=address.name, at=self._world.clock.now(), hold_s=OVERFLOW_HOLD_S, latch=True
        )

    def _on_stall(self, actor: str, seconds: float) -> None:
        _LOG.error("the loop was held", actor=actor, seconds=round(seconds, 3))
        self.register.trip(GLOBAL, TripReason.STALL, source=actor, at=self._world.clock.now(), hold_s=STALL_HOLD_S)

    def _on_blocked(self, hold: Hold) -> None:
        """In the watchdog's thread, while the loop stands still: nothing but what is safe beside whatever the loop is in the middle of.

        The fence moves, so the step that is held sends nothing when it goes on; the trip itself, with its cancels, comes from the loop, at
        the end of that step. If it lasts, the guard is asked to cancel: by its kill file, which is all the two need to share.
        """
        self.register.void()
        if self.guardian is not None and hold.seconds >= KILL_FILE_AFTER_S:
            run_files(self._world, self._ledger.journal)[1].touch()
        _LOG.error("the loop is held", actor=hold.name, where=hold.where, seconds=round(hold.seconds, 3))

    def _tell_trip(self, trip: Trip) -> None:
        """The bytes have left; now the actors hear of it."""
        for name in ("gateway", "risk"):
            self.system.address(name).tell(Tripped(trip))
        log = _LOG.info if trip.pull or trip.reason is TripReason.SHUTDOWN else _LOG.warning
        log("pull" if trip.pull else "kill", scope=str(trip.scope), reason=trip.reason.value, source=trip.source)

    def _count(self, _frame: object) -> None:
        self._frames += 1

    # What ends a run

    async def _await_end(self) -> None:
        await self._world.ended()
        self._done.set()

    async def _await_duration(self) -> None:
        if self._plan.duration is not None:
            await self._world.clock.sleep(self._plan.duration)
            self._done.set()

    async def _await_tree(self, top: Address) -> None:
        await self.system.ended(top)
        if not self._draining:
            _LOG.critical("trading gave up")
            self._code = ExitCode.GAVE_UP
            self._done.set()

    async def _await_signals(self, task_status: trio.TaskStatus[None]) -> None:
        """The first signal drains; the second exits at once, after one attempt to cancel everything."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
            task_status.started()
            async for number in received:
                if self._done.is_set():
                    self._latch_shutdown()
                    os._exit(128 + number)
                self._code = ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED
                self._done.set()

    # The end

    def _latch_shutdown(self) -> None:
        """No order leaves any more. A latch that stood for a cause keeps that cause, so that the next start finds it."""
        self._draining = True
        standing = self._latch()
        reason = TripReason.SHUTDOWN if standing is None else standing.reason
        self.register.trip(GLOBAL, reason, source="app", at=self._world.clock.now(), hold_s=0.0, latch=True)

    async def _drain(self) -> tuple[Exposure | None, dict[str, str]]:
        """Cancel everything and have the venue prove it; what could not be proved in time is said, and is an orphan in the summary."""
        if self._latch() is not None and self._code is ExitCode.OK:
            self._code = ExitCode.KILLED
        waiting = await self._waiting()
        self._latch_shutdown()
        held: Exposure | None = None
        with trio.move_on_after(DRAIN_WITHIN_S):
            if self._code is ExitCode.GAVE_UP:
                await self._see_off()
            while self._code is not ExitCode.GAVE_UP and not self._proved_empty:
                self._proved_empty = await self._ask("gateway", Drain(self._world.clock.now())) is True
                await trio.sleep(0.05)
            answer = await self._ask("risk", ExposureRequest())
            held = answer if isinstance(answer, Exposure) else None
            scores = await self._ask("scorekeeper", ScoreRequest())
            self._scores = scores if isinstance(scores, dict) else {}
        return held, waiting

    async def _see_off(self) -> None:
        """Nobody is left to ask: cancel everything again until nothing rests at the venue and nothing is on its way there."""
        while not self.venue.idle():
            await trio.sleep(CANCEL_AGAIN_S)
            if self.venue.count_resting():
                self._latch_shutdown()

    def _latch(self) -> Trip | None:
        """The latched GLOBAL kill that stands, if one does."""
        return next((trip for scope, _, trip, _ in self.register.standing() if scope == GLOBAL and trip.latched), None)

    async def _ask(self, name: str, message: object) -> object:
        """An actor's answer; None where it is down or does not answer, which the caller takes for no."""
        try:
            return await self.system.address(name).call(message, timeout=1.0)
        except (pykka.Timeout, pykka.ActorDeadError, ActorCrashed):
            return None

    async def _waiting(self) -> dict[str, str]:
        answer = await self._ask("telemetry", StandingsRequest())
        standings = answer if isinstance(answer, tuple) else ()
        return {s.actor: f"{s.state} {s.why}".strip() for s in standings if s.state not in QUIET}

    def _sum_up(self, held: Exposure | None, waiting: dict[str, str]) -> Summary:
        return summarize(
            journal=self._ledger.journal,
            run=self._ledger.run,
            world=str(self._world.place),
            seconds=self._world.clock.now() - self._began,
            frames=self._frames,
            held=held,
            brier=self._scores,
            ended=self._code.name.lower(),
            waiting=waiting,
            notes=self._world.notes,
        )

    async def _show(self) -> None:
        """Progress, on machine time; in a virtual world on world time, for there machine time stands still."""
        total = min(self._plan.duration or math.inf, self._world.seconds)
        step = 30.0 if self._world.clock.virtual else PROGRESS_EVERY_S
        while True:
            now = self._world.clock.now()
            resting = self.venue.count_resting()
            waiting = len(await self._waiting())
            self._report(
                Progress(now, now - self._began, total, self._frames, resting, self.register.pulls, self.register.kills, waiting)
            )
            await trio.sleep(step)
