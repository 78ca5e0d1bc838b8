"""Reconciler: asks the venue what rests and what filled, and tells the gateway, which alone changes its table.

An incomplete answer is told as None and proves nothing: unknown is not gone.
"""

from __future__ import annotations

from actors.messages import Reconcile, Standing
from actors.runtime import Address, TrioActor
from chimera.clock import WorldClock
from chimera.errors import VenueError
from chimera.trading.venue import Venue

EVERY_S = 5.0
FILLS_OVERLAP_S = 60.0
"""Fills are asked for from this long before the last complete answer: a fill may be listed late, and applying one twice is one fill."""


class Reconciler(TrioActor):
    """Reads the venue every `EVERY_S` world seconds."""

    def __init__(self, *, venue: Venue, gateway: Address, telemetry: Address, clock: WorldClock) -> None:
        super().__init__()
        self._venue = venue
        self._gateway = gateway
        self._telemetry = telemetry
        self._clock = clock

    def on_start(self) -> None:
        self.spawn(self._watch)

    async def _watch(self) -> None:
        complete_until = 0.0
        while True:
            asked_at = self._clock.now()
            try:
                resting = await self._venue.resting()
                fills = await self._venue.fills(max(0.0, complete_until - FILLS_OVERLAP_S))
            except VenueError as error:
                self._gateway.tell(Reconcile(None, None, asked_at, self._clock.now()))
                self._telemetry.tell(Standing(self.address.name, "stale", str(error), self._clock.now()))
            else:
                complete_until = asked_at
                self._gateway.tell(Reconcile(resting, fills, asked_at, self._clock.now()))
                self._telemetry.tell(Standing(self.address.name, "ready", "", self._clock.now()))
            await self._clock.sleep(EVERY_S)
