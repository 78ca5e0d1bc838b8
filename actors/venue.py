"""Venue: carries what the exchange says to the gateway, and what the universe says to the venue.

The venue itself is no actor: it belongs to the system, and a task of the system's own keeps it going (`pump`, on paper). So while
this actor is down, orders still rest, fill and expire, as on a real exchange; what was said meanwhile waits in the gateway's mailbox.
"""

from __future__ import annotations

import trio

from actors.messages import Listing, Settled, Standing, VenueEvent
from actors.runtime import Address, TrioActor, handles
from chimera.clock import WorldClock
from chimera.trading.paper_venue import PaperVenue
from chimera.trading.venue import Event, OpenVenue


class VenueActor(TrioActor):
    """Binds the venue's sink to the gateway's address."""

    def __init__(self, *, venue: OpenVenue, gateway: Address, clock: WorldClock, telemetry: Address) -> None:
        super().__init__()
        self._venue, self._gateway, self._clock, self._telemetry = venue, gateway, clock, telemetry

    def on_start(self) -> None:
        # Bound to the gateway's address, not to this actor: it stays right when either dies.
        gateway, clock = self._gateway, self._clock

        def hear(event: Event) -> None:
            gateway.tell(VenueEvent(event, clock.now()))

        self._venue.sink = hear
        self._venue.advance(clock.now())
        self._telemetry.tell(Standing(self.address.name, "ready", "", clock.now()))

    @handles(Listing)
    def on_listing(self, message: Listing) -> None:
        self._venue.list_markets(message.markets, message.at)

    @handles(Settled)
    def on_settled(self, message: Settled) -> None:
        self._venue.settle(message.market, message.value, message.at)

    def state_summary(self) -> dict[str, object]:
        return dict(self._venue.statistics())


async def pump(venue: PaperVenue, clock: WorldClock) -> None:
    """Let the paper venue's time pass, for ever. Run it as a task of the system, beside the tree and not in it."""
    try:
        while True:
            venue.advance(clock.now())
            with trio.CancelScope() as nap:
                venue.wake = nap.cancel
                due = venue.next_due()
                if due is None:
                    await trio.sleep_forever()
                await clock.sleep_until(due)
    finally:
        venue.wake = None
