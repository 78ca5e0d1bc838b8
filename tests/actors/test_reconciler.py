"""The reconciler: what it asks of the venue, and that an incomplete answer is told as none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
from trio.testing import MockClock

from actors.messages import Reconcile, Standing
from actors.reconciler import EVERY_S, FILLS_OVERLAP_S, Reconciler
from actors.runtime import ActorSystem, Address, ChildSpec, Supervisor
from actors.runtime.testing import Probe, settle
from chimera.clock import VirtualClock
from chimera.conventions import Side
from chimera.errors import VenueError
from chimera.trading.venue import Fill, Resting

NOW = 1_764_000_000.0
RESTING = Resting("o1", "c1", "M", Side.BID, 4600, 100, 0, NOW + 20.0)
FILL = Fill("f1", "c1", "o1", "M", Side.BID, 4600, 100, 0, False, NOW)


class SlowLists:
    """A venue whose lists take a second each, and fail while they are told to."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.no_orders = self.no_fills = False
        self.since: list[float] = []

    async def resting(self) -> tuple[Resting, ...]:
        await self.clock.sleep(1.0)
        if self.no_orders:
            raise VenueError("GET /portfolio/orders: 504")
        return (RESTING,)

    async def fills(self, since: float) -> tuple[Fill, ...]:
        self.since.append(since)
        await self.clock.sleep(1.0)
        if self.no_fills:
            raise VenueError("GET /portfolio/fills: page 2 did not come")
        return (FILL,)


@attrs.frozen
class Rig:
    clock: VirtualClock
    venue: SlowLists
    actor: Address
    gateway: Probe
    telemetry: Probe

    async def pass_time(self, seconds: float) -> list[Reconcile]:
        """What was told meanwhile."""
        before = len(self.gateway.seen)
        await self.clock.sleep(seconds)
        await settle()
        return self.gateway.of(Reconcile)[before:]


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    clock = VirtualClock(origin_unix=NOW)
    venue = SlowLists(clock)
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        gateway, telemetry = await Probe.watch(system, "gateway"), await Probe.watch(system, "telemetry")

        def make() -> Reconciler:
            return Reconciler(venue=venue, gateway=gateway.address, telemetry=telemetry.address, clock=clock)

        await system.start(ChildSpec("safety", lambda: Supervisor((ChildSpec("reconciler", make),))))
        yield Rig(clock, venue, system.address("reconciler"), gateway, telemetry)


async def test_what_rests_and_filled_is_told_with_when_it_was_asked_and_when_it_was_complete(autojump_clock: MockClock) -> None:
    async with rig() as r:
        assert await r.pass_time(2.1) == [Reconcile((RESTING,), (FILL,), NOW, NOW + 2.0)]


async def test_without_a_complete_list_of_orders_nothing_is_claimed(autojump_clock: MockClock) -> None:
    async with rig() as r:
        r.venue.no_orders = True
        assert await r.pass_time(2.1) == [Reconcile(None, None, NOW, NOW + 1.0)]


async def test_orders_without_their_fills_are_no_complete_answer(autojump_clock: MockClock) -> None:
    async with rig() as r:
        r.venue.no_fills = True
        assert await r.pass_time(2.1) == [Reconcile(None, None, NOW, NOW + 2.0)]


async def test_a_venue_that_fails_is_a_state_with_its_word_and_no_crash(autojump_clock: MockClock) -> None:
    async with rig() as r:
        r.venue.no_orders = True
        await r.pass_time(60.0)
        assert (r.telemetry.of(Standing)[-1].state, r.telemetry.of(Standing)[-1].why) == ("stale", "GET /portfolio/orders: 504")
        r.venue.no_orders = False
        await r.pass_time(2 * EVERY_S)
        assert r.telemetry.of(Standing)[-1].state == "ready"
        assert r.actor.incarnation == 1


async def test_it_asks_again_every_few_seconds(autojump_clock: MockClock) -> None:
    async with rig() as r:
        asked = [told.asked_at - NOW for told in await r.pass_time(4 * (EVERY_S + 2.0) - 0.1)]
        assert asked == [number * (EVERY_S + 2.0) for number in range(4)]


async def test_fills_are_asked_for_with_an_overlap_from_the_last_complete_answer(autojump_clock: MockClock) -> None:
    async with rig() as r:
        await r.pass_time(EVERY_S + 4.5)
        r.venue.no_fills = True
        await r.pass_time(2 * (EVERY_S + 2.0))
        step = EVERY_S + 2.0
        assert r.venue.since == [0.0, NOW - FILLS_OVERLAP_S, NOW - FILLS_OVERLAP_S + step, NOW - FILLS_OVERLAP_S + step]
