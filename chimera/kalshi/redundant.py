"""The same books over several connections, folded into one stream in which each change comes once.

A market's `clock` is the same on every connection; several changes may share one, and come in one order everywhere. So a change has a
place, (clock, how many of that clock have come), and the merged stream takes the first connection to come to a place and passes over the
others. Each connection's own protocol promises that nothing is missing before what it hands on; that is all this leans on.

    a connection loses a market    while another carries it that is not behind what was taken, nothing is lost
    a clock runs backwards         on one connection, or against the time of what it tells: maintenance; the market is lost
    no clocks at all               changes cannot be compared: the connection whose snapshot was taken is believed alone
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import attrs

from chimera.kalshi.events import Delta, Snapshot

_ALL = 1 << 62
"""The count of a clock of which everything has been taken: a snapshot holds all changes of its clock."""


class Verdict(enum.Enum):
    """What to do with an event."""

    TAKE = "take"
    REPEATED = "repeated"
    LOST = "lost"
    """Nothing of this market is to be believed until a snapshot, which every connection should be asked for."""


@attrs.define(slots=True)
class _Market:
    clock: int
    count: int
    ts_ms: int
    owner: int
    carriers: dict[int, tuple[int, int]]
    """Each connection that carries it, and the place it has come to."""


class RedundantBooks:
    """Which events of which connection to take. Connections are numbered by the caller; a new connection has a new number."""

    def __init__(self) -> None:
        self._markets: dict[str, _Market] = {}

    def snapshot(self, connection: int, event: Snapshot) -> Verdict:
        """A snapshot is taken unless it is older than what has been taken already."""
        market = self._markets.get(event.market)
        if market is None:
            carriers = {connection: (event.clock, _ALL)}
            self._markets[event.market] = _Market(event.clock, _ALL, 0, connection, carriers)
            return Verdict.TAKE
        market.carriers[connection] = (event.clock, _ALL)
        if event.clock < market.clock or (not event.clock and connection != market.owner):
            return Verdict.REPEATED
        # A snapshot does not say when its clock was, so until the next change no time speaks against anybody's clock.
        market.clock, market.count, market.owner, market.ts_ms = event.clock, _ALL, connection, 0
        return Verdict.TAKE

    def delta(self, connection: int, event: Delta) -> Verdict:
        """A change is taken from whoever tells it first."""
        market = self._markets.get(event.market)
        if market is None or connection not in market.carriers:
            return Verdict.REPEATED
        if not event.clock:
            return Verdict.TAKE if connection == market.owner else Verdict.REPEATED
        clock, count = market.carriers[connection]
        if event.clock < clock or (event.clock < market.clock and event.ts_ms > market.ts_ms > 0):
            del self._markets[event.market]
            return Verdict.LOST
        count = count + 1 if event.clock == clock else 1
        market.carriers[connection] = (event.clock, count)
        if (event.clock, count) <= (market.clock, market.count):
            return Verdict.REPEATED
        market.clock, market.count, market.owner = event.clock, count, connection
        market.ts_ms = event.ts_ms
        return Verdict.TAKE

    def lost(self, connection: int, markets: Iterable[str]) -> tuple[str, ...]:
        """A connection has lost these. Those of them that nobody else carries as far: they are lost, until a snapshot."""
        gone = []
        for name in markets:
            market = self._markets.get(name)
            if market is None or market.carriers.pop(connection, None) is None:
                continue
            if not self._carried(market, connection):
                del self._markets[name]
                gone.append(name)
        return tuple(gone)

    def ended(self, connection: int) -> tuple[str, ...]:
        """A connection has ended. The markets that are lost with it."""
        return self.lost(connection, [name for name, market in self._markets.items() if connection in market.carriers])

    def carriers(self, market: str) -> tuple[int, ...]:
        """The connections that carry a market."""
        known = self._markets.get(market)
        return () if known is None else tuple(known.carriers)

    @staticmethod
    def _carried(market: _Market, lost: int) -> bool:
        if not market.clock:
            return market.owner != lost and bool(market.carriers)
        # One that is behind may only be late, or of another reckoning of the clock: nobody can say, so it does not count.
        return any(place >= (market.clock, market.count) for place in market.carriers.values())
