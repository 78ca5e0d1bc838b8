"""The venue's actor and the task that keeps the paper exchange's time."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import MockClock

from actors.messages import Listing, Settled, Standing, VenueEvent
from actors.runtime import ActorSystem, Address, ChildSpec, Restart, Supervisor
from actors.runtime.testing import Probe, settle
from actors.venue import VenueActor, pump
from chimera.clock import VirtualClock
from chimera.conventions import ONE, Side
from chimera.trading.paper import PaperExchange
from chimera.trading.paper_venue import Latency, PaperVenue
from chimera.trading.venue import Done, Fill, Gone, Order
from chimera.trading.venue_log import VenueLog

M = "M"


@attrs.frozen
class Floor:
    system: ActorSystem
    clock: VirtualClock
    venue: PaperVenue
    gateway: Probe
    telemetry: Probe
    actor: Address

    def place(self, name: str, expires_in: float = 20.0) -> None:
        now = self.clock.now()
        self.venue.place(Order(name, M, Side.BID, 4600, 100, now + expires_in, 1, 0.5, 3.0), now)

    def heard(self) -> list[object]:
        return [message.event for message in self.gateway.of(VenueEvent)]


@asynccontextmanager
async def floor() -> AsyncIterator[Floor]:
    clock = VirtualClock(origin_unix=1_000.0)
    log = VenueLog(lambda _: None)
    exchange = PaperExchange(log)
    venue = PaperVenue(exchange, log, clock=clock, rng=random.Random(1), latency=Latency(0.05, 0.05))
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        gateway, telemetry = await Probe.watch(system, "gateway"), await Probe.watch(system, "telemetry")
        spec = ChildSpec("venue", lambda: VenueActor(venue=venue, gateway=gateway.address, clock=clock, telemetry=telemetry.address))
        await system.start(ChildSpec("safety", lambda: Supervisor((spec,), intensity=5, period=60.0), restart=Restart.TEMPORARY))
        system.start_soon(pump, venue, clock)
        await settle()
        yield Floor(system, clock, venue, gateway, telemetry, system.address("venue"))


async def test_what_the_exchange_says_reaches_the_gateway_at_its_time(autojump_clock: MockClock) -> None:
    async with floor() as f:
        assert [message.state for message in f.telemetry.of(Standing)] == ["ready"]
        f.place("a")
        await f.clock.sleep(0.099)
        assert f.heard() == []
        await f.clock.sleep(0.002)
        assert [type(event) for event in f.heard()] == [Done]
        assert f.gateway.of(VenueEvent)[0].at == pytest.approx(1_000.1)


async def test_orders_expire_on_time_without_anyone_asking(autojump_clock: MockClock) -> None:
    async with floor() as f:
        f.place("a", expires_in=5.0)
        await f.clock.sleep(5.06)
        gone = [event for event in f.heard() if isinstance(event, Gone)]
        assert [(event.at, event.reason) for event in gone] == [(1_005.0, "ExpiryCancel")]


async def test_the_exchange_goes_on_while_the_actor_is_down_and_nothing_it_said_is_lost(autojump_clock: MockClock) -> None:
    async with floor() as f:
        f.place("a")
        f.actor.tell(Listing(None, 0.0))  # type: ignore[arg-type]
        await f.clock.sleep(0.06)
        assert f.actor.incarnation == 2
        f.actor.tell(Listing(None, 0.0))  # type: ignore[arg-type]
        f.venue.on_trade(M, 4500, 40, Side.ASK, f.clock.now())
        await f.clock.sleep(1.0)
        assert f.actor.incarnation == 3
        assert [type(event) for event in f.heard()] == [Done, Fill]


async def test_a_settlement_pays_the_paper_account(autojump_clock: MockClock) -> None:
    async with floor() as f:
        f.place("a")
        await f.clock.sleep(0.2)
        f.venue.on_trade(M, 4500, 100, Side.ASK, f.clock.now())
        before = f.venue.exchange.portfolio.cash
        f.actor.tell(Settled(M, ONE, f.clock.now()))
        await settle()
        assert f.venue.exchange.portfolio.cash == before + ONE * 100


async def test_the_pump_leaves_no_wake_behind_when_it_ends(autojump_clock: MockClock) -> None:
    clock = VirtualClock(origin_unix=0.0)
    log = VenueLog(lambda _: None)
    venue = PaperVenue(PaperExchange(log), log, clock=clock, rng=random.Random(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump, venue, clock)
        await trio.sleep(1.0)
        assert venue.wake is not None
        nursery.cancel_scope.cancel()
    assert venue.wake is None
