"""The private stream: what the exchange says of our own orders and fills, on a connection that carries nothing else.

Neither channel has sequence numbers, so nothing tells of a lost frame: what is heard here is believed at once, and what is not heard is
found by the lists. A frame that cannot be read ends the connection, for it may have been a fill.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from chimera.errors import FeedError, VenueError
from chimera.intake import Connection, Door, Frame
from chimera.kalshi.channels import FILLS, ORDERS
from chimera.kalshi.events import CommandFailed, Malformed, Resubscribe, Subscribed, Unsubscribed
from chimera.kalshi.notices import OwnFill, OwnOrder
from chimera.kalshi.session import ExchangeSession
from chimera.kalshi.stream import StreamProtocol

STREAM: Final = "kalshi.private"
CHANNELS: Final = (FILLS, ORDERS)
RECONNECT_S: Final = (0.25, 0.5, 1.0, 2.0, 5.0)
"""World seconds between connections that fail in a row."""


class PrivateStream:
    """One connection after another, for ever. `hear` is given every word; `lost(why)` is called when both channels were on and are not."""

    def __init__(
        self, door: Door, session: ExchangeSession, hear: Callable[[OwnFill | OwnOrder], None], lost: Callable[[str], None]
    ) -> None:
        self._door, self._session, self._hear, self._lost = door, session, hear, lost
        self._protocol = StreamProtocol()
        self._on: set[str] = set()
        self._failures = 0
        self.drops = 0
        """How often it was up and is not."""

    @property
    def up(self) -> bool:
        """Whether both channels are on."""
        return self._on.issuperset(CHANNELS)

    async def listen(self) -> None:
        while True:
            try:
                async with self._connected() as connection:
                    while True:
                        self._take(await connection.receive())
            except* (FeedError, VenueError) as faults:
                self._ended(_first(faults))
            await self._session.clock.sleep(RECONNECT_S[min(self._failures, len(RECONNECT_S) - 1)])
            self._failures += 1

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        """Signed at the moment of connecting: a signature is good for seconds."""
        headers = self._session.headers("GET", self._session.ws_path)
        self._protocol = StreamProtocol()
        async with self._door.connect(STREAM, self._session.ws_url, headers=headers) as connection:
            await connection.send(self._protocol.subscribe(CHANNELS))
            yield connection

    def _take(self, frame: Frame) -> None:
        for event in self._protocol.feed(frame.body):
            match event:
                case OwnFill() | OwnOrder():
                    self._hear(event)
                case Subscribed():
                    self._on.add(event.channel)
                    self._failures = 0
                case Malformed():
                    raise VenueError(f"{STREAM}: a frame that cannot be read: {event.error}")
                case CommandFailed() | Resubscribe():
                    raise VenueError(f"{STREAM}: {event.message} ({event.code})")
                case Unsubscribed():
                    raise VenueError(f"{STREAM}: {event.channel} was ended")
                case _:
                    pass

    def _ended(self, why: str) -> None:
        was_up = self.up
        self._on.clear()
        if was_up:
            self.drops += 1
            self._lost(why)


def _first(faults: BaseExceptionGroup[Exception]) -> str:
    fault: BaseException = faults
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return str(fault)
