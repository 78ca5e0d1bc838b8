"""Risk: it ends holds, latches on the day's loss, and writes down kills, pulls, deaths and re-arms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
from trio.testing import MockClock

from actors.messages import Exposure, ExposureRequest, Note, Resend, Tripped
from actors.messages import Probe as Prove
from actors.risk import REARM_EVERY_S, Risk
from actors.runtime import ActorSystem, Address, ChildSpec, Supervisor, TrioActor
from actors.runtime.testing import Probe, settle
from chimera.clock import VirtualClock
from chimera.conventions import DOLLAR
from chimera.journal.records import Kind, Record
from chimera.trading.kill import GLOBAL, KillRegister, Scope, State, Trip, domain, unit
from chimera.trading.reasons import Reason

NOW = 1_764_000_000.0
DAILY = 50 * DOLLAR


class Mortal(TrioActor):
    """Dies of any message."""

    def on_receive(self, message: object) -> object:
        raise RuntimeError(f"{message}")


@attrs.frozen
class Rig:
    clock: VirtualClock
    register: KillRegister
    risk: Address
    mortal: Address
    journal: Probe
    gateway: Probe
    fired: list[Trip]

    async def tell(self, *messages: object) -> None:
        for message in messages:
            self.risk.tell(message)
            await settle()

    async def pass_time(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        await settle()

    def kill(self, scope: Scope = GLOBAL, hold_s: float = 5.0, *, confirmed: bool = True) -> Trip:
        trip = self.register.trip(scope, Reason.OPERATOR, source="test", at=self.clock.now(), hold_s=hold_s)
        if confirmed:
            assert self.register.confirm(trip)
        return trip

    def lost(self, day_loss: int) -> Exposure:
        return Exposure(-day_loss, 0, 0, day_loss, 0, self.clock.now())

    def records(self, *kinds: Kind) -> list[Record]:
        return [note.record for note in self.journal.of(Note) if note.record.kind in kinds]


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    clock, fired = VirtualClock(origin_unix=NOW), list[Trip]()
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        journal, gateway, telemetry = [await Probe.watch(system, name) for name in ("journal", "gateway", "telemetry")]
        risk = system.address("risk")
        register = KillRegister(on_trip=fired.append, listeners=(lambda trip: risk.tell(Tripped(trip)),))
        register.enroll("M", "U", "nba")
        mortal = ChildSpec("mortal", Mortal)
        watcher = ChildSpec("risk", lambda: Risk(
            register=register, journal=journal.address, gateway=gateway.address, telemetry=telemetry.address,
            watched=(system.address("mortal"),), clock=clock, daily_loss=DAILY,
        ))  # fmt: skip
        await system.start(ChildSpec("top", lambda: Supervisor((mortal, watcher), intensity=50, period=60.0)))
        await settle()
        yield Rig(clock, register, risk, system.address("mortal"), journal, gateway, fired)


class TestHolds:
    """`risk` alone ends a hold, when it is due and the venue has proved that nothing rests."""

    async def test_a_hold_ends_when_it_is_due_and_not_before(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.kill(hold_s=5.0)
            await r.pass_time(5.0 - REARM_EVERY_S)
            assert r.register.state(GLOBAL) is State.HELD
            await r.pass_time(3 * REARM_EVERY_S)
            assert r.register.state(GLOBAL) is State.ARMED

    async def test_a_kill_that_is_not_confirmed_is_held_however_long(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.kill(hold_s=1.0, confirmed=False)
            await r.pass_time(600.0)
            assert r.register.state(GLOBAL) is State.TRIPPED

    async def test_a_latch_is_never_ended(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            trip = r.register.trip(GLOBAL, Reason.OPERATOR, source="test", at=NOW, hold_s=0.0, latch=True)
            r.register.confirm(trip)
            await r.pass_time(900.0)
            assert r.register.state(GLOBAL) is State.LATCHED

    async def test_each_scope_is_armed_at_its_own_time(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.kill(unit("U"), 2.0)
            r.kill(domain("nba"), 9.0)
            await r.pass_time(4.0)
            assert (r.register.state(unit("U")), r.register.state(domain("nba"))) == (State.ARMED, State.HELD)

    async def test_a_hold_outlives_risk_itself_and_is_ended_by_its_next_incarnation(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.kill(hold_s=5.0)
            await r.tell(Tripped("no trip"))
            assert r.risk.incarnation == 2
            assert r.register.state(GLOBAL) is State.HELD
            await r.pass_time(6.0)
            assert r.register.state(GLOBAL) is State.ARMED


class TestDayLoss:
    """A day's loss at its limit latches everything, once."""

    async def test_a_loss_at_the_limit_latches_global(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.lost(DAILY - 1))
            assert r.fired == []
            await r.tell(r.lost(DAILY))
            (trip,) = r.fired
            assert (trip.scope, trip.reason, trip.latched) == (GLOBAL, Reason.DAILY_LOSS, True)

    @pytest.mark.parametrize("confirmed", [False, True])
    async def test_it_is_latched_once_however_often_the_loss_is_told(self, confirmed: bool, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.lost(DAILY))
            if confirmed:
                r.register.confirm(r.fired[0])
            await r.tell(*(r.lost(DAILY + more) for more in range(10)))
            assert len(r.fired) == 1

    async def test_a_kill_with_a_hold_that_stands_already_does_not_keep_it_from_latching(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.kill(hold_s=5.0, confirmed=False)
            await r.tell(r.lost(DAILY))
            assert [trip.latched for trip in r.fired] == [False, True]

    async def test_after_the_operator_unlatched_a_loss_that_still_stands_latches_again(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.lost(DAILY))
            r.register.confirm(r.fired[0])
            assert r.register.unlatch(GLOBAL)
            await r.tell(r.lost(DAILY))
            assert len(r.fired) == 2

    async def test_a_fresh_incarnation_asks_for_the_totals(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            assert len(r.gateway.of(Resend)) == 1

    async def test_the_latest_totals_are_answered_and_none_before_the_first(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            assert await r.risk.call(ExposureRequest()) is None
            await r.tell(r.lost(1), r.lost(2))
            assert await r.risk.call(ExposureRequest()) == r.lost(2)


class TestRecords:
    """What happened to the register and to the actors is in the journal."""

    async def test_a_kill_is_recorded_with_its_cause(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.kill(unit("U"), 60.0)
            await settle()
            (record,) = r.records(Kind.KILL)
            assert {key: record.fields[key] for key in ("scope", "reason", "source", "hold_s")} == {
                "scope": "UNIT:U", "reason": "operator", "source": "test", "hold_s": 60.0,
            }  # fmt: skip

    async def test_a_pull_is_recorded_as_a_pull(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.register.pull("M", Reason.EDGE_GONE, source="nba", at=NOW)
            await settle()
            assert [record.market for record in r.records(Kind.PULL)] == ["M"]

    async def test_a_re_arming_is_recorded_with_the_counter_it_ended_at(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            trip = r.kill(hold_s=1.0)
            await r.pass_time(2.0)
            (record,) = r.records(Kind.ARMED)
            assert (record.fields["scope"], record.fields["counter"]) == ("GLOBAL", trip.counter)

    async def test_every_death_of_a_watched_actor_is_recorded_with_its_reason(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            for number in range(3):
                r.mortal.tell(f"cause {number}")
                await settle()
            deaths = [(record.fields["actor"], record.fields["incarnation"], record.fields["reason"]) for record in r.records(Kind.RESTART)]
            assert deaths == [("mortal", number + 1, f"RuntimeError: cause {number}") for number in range(3)]

    async def test_deaths_are_recorded_by_a_later_incarnation_of_risk_too(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(Tripped("no trip"))
            r.mortal.tell("later")
            await settle()
            assert [record.fields["reason"] for record in r.records(Kind.RESTART)] == ["RuntimeError: later"]

    async def test_a_kill_while_risk_is_down_is_recorded_when_it_is_back(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.risk.tell(Tripped("no trip"))
            r.kill()
            await settle()
            assert len(r.records(Kind.KILL)) == 1


async def test_a_probe_is_answered_with_its_number(autojump_clock: MockClock) -> None:
    async with rig() as r:
        assert await r.risk.call(Prove(41)) == 41
