"""The heartbeat: what counts as progress, and when the lack of it kills everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.heartbeat import LOST_AFTER_S, Heartbeat
from actors.messages import Probe as Prove
from actors.messages import Standing
from actors.runtime import ActorSystem, Address, ChildSpec, Restart, Supervisor, TrioActor
from actors.runtime.testing import Probe, settle
from chimera.clock import VirtualClock
from chimera.trading.kill import GLOBAL, KillRegister, Trip
from chimera.trading.reasons import Reason

NOW = 1_764_000_000.0


class Answering(TrioActor):
    """Answers probes as it is told to: at once, late, wrongly, or never again."""

    def __init__(self, manner: dict[str, str]) -> None:
        super().__init__()
        self.manner = manner

    async def on_receive(self, message: object) -> object:
        match self.manner.get(self.address.name, "at once"):
            case "never":
                await trio.sleep_forever()
            case "late":
                await trio.sleep(0.6)
            case "wrongly":
                return -1
            case "dies":
                raise RuntimeError("probed to death")
        return message.nonce if isinstance(message, Prove) else None


@attrs.frozen
class Rig:
    clock: VirtualClock
    trips: list[Trip]
    manner: dict[str, str]
    telemetry: Probe
    system: ActorSystem

    async def pass_time(self, seconds: float) -> None:
        await trio.sleep(seconds)
        await settle()


@asynccontextmanager
async def rig(**manner: str) -> AsyncIterator[Rig]:
    clock, trips = VirtualClock(origin_unix=NOW), list[Trip]()
    register = KillRegister(on_trip=trips.append)
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        telemetry = await Probe.watch(system, "telemetry")
        probed: tuple[Address, ...] = (system.address("gateway"), system.address("risk"))
        specs = [
            *(ChildSpec(address.name, lambda: Answering(manner), restart=Restart.PERMANENT) for address in probed),
            ChildSpec("heartbeat", lambda: Heartbeat(probed=probed, register=register, telemetry=telemetry.address, clock=clock)),
        ]
        await system.start(ChildSpec("safety", lambda: Supervisor(specs, intensity=1_000, period=1.0)))
        yield Rig(clock, trips, manner, telemetry, system)


async def test_while_both_answer_nothing_is_killed(autojump_clock: MockClock) -> None:
    async with rig() as r:
        await r.pass_time(600.0)
        assert r.trips == []
        assert r.telemetry.of(Standing)[-1].state == "ready"


@pytest.mark.parametrize("silent", ["gateway", "risk"])
@pytest.mark.parametrize("manner", ["never", "late", "wrongly", "dies"])
async def test_one_that_gives_no_proof_kills_everything(silent: str, manner: str, autojump_clock: MockClock) -> None:
    async with rig(**{silent: manner}) as r:
        await r.pass_time(LOST_AFTER_S - 0.1)
        assert r.trips == []
        await r.pass_time(2.6)
        assert [(trip.scope, trip.reason) for trip in r.trips] == [(GLOBAL, Reason.STALL)]
        assert silent in r.telemetry.of(Standing)[-1].why


async def test_time_is_counted_from_the_last_proof(autojump_clock: MockClock) -> None:
    async with rig() as r:
        await r.pass_time(100.0)
        r.manner["gateway"] = "never"
        await r.pass_time(LOST_AFTER_S - 1.1)
        assert r.trips == []
        await r.pass_time(4.0)
        assert len(r.trips) == 1


async def test_a_short_silence_that_ends_is_forgotten(autojump_clock: MockClock) -> None:
    async with rig(gateway="late") as r:
        for _ in range(10):
            r.manner["gateway"] = "late"
            await r.pass_time(1.0)
            r.manner["gateway"] = "at once"
            await r.pass_time(4.0)
        assert r.trips == []


async def test_a_lasting_silence_kills_again_and_again_but_not_at_every_beat(autojump_clock: MockClock) -> None:
    async with rig(gateway="never") as r:
        await r.pass_time(30.0)
        assert 4 <= len(r.trips) <= 30.0 / LOST_AFTER_S


async def test_an_actor_between_two_incarnations_is_silent_and_crashes_nothing(autojump_clock: MockClock) -> None:
    async with rig(risk="dies") as r:
        await r.pass_time(10.0)
        assert r.system.address("heartbeat").incarnation == 1
