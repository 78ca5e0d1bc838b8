"""What has come over a stream and has not been dealt with: bounded, and shed by class when it overflows.

    what our account and the connection itself say     never shed, always first; too much of it is an error, for then all is in doubt
    books and trades                                   by market, in order; the fullest market is shed whole, and told as `Shed`
    tickers                                            the latest of each market

A market that was shed is silent until its next snapshot: the receiver stops believing its book and asks for one. Markets take turns, so
that a busy one does not hold up the others. No clock, no I/O.
"""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias

import attrs

from chimera.errors import VenueError
from chimera.kalshi.channels import BOOK
from chimera.kalshi.events import Delta, Event, Gap, Resubscribe, Snapshot, Trade, Unsubscribed
from chimera.kalshi.notices import Ticker

LIMIT: Final = 4096
"""Book changes and trades held over all markets: under a second of the busiest stream."""
LIMIT_KEPT: Final = 4096
"""Events held that are never shed."""


@attrs.frozen(slots=True)
class Shed:
    """What was waiting of a market was thrown away: its book is not to be believed until a snapshot, which has to be asked for."""

    market: str
    deltas: int
    trades: int


Waiting: TypeAlias = Event | Shed


class Backlog:
    """A bounded buffer of a stream's events between the reader and whoever acts on them."""

    def __init__(self, limit: int = LIMIT, limit_kept: int = LIMIT_KEPT) -> None:
        self._limit, self._limit_kept = limit, limit_kept
        self._kept: deque[Waiting] = deque()
        self._markets: dict[str, deque[Delta | Snapshot | Trade]] = {}
        """Markets with something waiting, the next to have its turn first."""
        self._tickers: dict[str, Ticker] = {}
        self._silent: set[str] = set()
        self._held = 0
        self._counts = {"shed_markets": 0, "shed_deltas": 0, "shed_trades": 0, "conflated_tickers": 0}

    def __len__(self) -> int:
        return len(self._kept) + self._held + len(self._tickers)

    def push(self, event: Event) -> None:
        """Take in one event. VenueError where more waits than is ever borne of what must not be shed: end the connection and reconcile."""
        match event:
            case Delta():
                if event.market not in self._silent:
                    self._hold(event.market, event)
            case Trade():
                self._hold(event.market, event)
            case Snapshot():
                self._forget_book(event.market)
                self._silent.discard(event.market)
                self._hold(event.market, event)
            case Ticker():
                self._counts["conflated_tickers"] += event.market in self._tickers
                self._tickers[event.market] = event
            case Gap(channel=channel) | Resubscribe(channel=channel) | Unsubscribed(channel=channel) if channel == BOOK:
                # It overtakes what waits, so what it makes void must not come after it.
                for market in event.markets:
                    self._forget_book(market)
                self._keep(event)
            case _:
                self._keep(event)

    def pop(self) -> Waiting | None:
        """The next to be dealt with; None where nothing waits."""
        if self._kept:
            return self._kept.popleft()
        if self._markets:
            market, waiting = next(iter(self._markets.items()))
            del self._markets[market]
            event = waiting.popleft()
            if waiting:
                self._markets[market] = waiting
            self._held -= 1
            return event
        if self._tickers:
            return self._tickers.pop(next(iter(self._tickers)))
        return None

    def statistics(self) -> dict[str, int]:
        """For the console."""
        return {"waiting": len(self), "held": self._held, "silent_markets": len(self._silent), **self._counts}

    def _keep(self, event: Waiting) -> None:
        if len(self._kept) >= self._limit_kept:
            raise VenueError(f"kalshi.ws: {self._limit_kept} events of our own wait to be dealt with: the connection is given up")
        self._kept.append(event)

    def _hold(self, market: str, event: Delta | Snapshot | Trade) -> None:
        self._markets.setdefault(market, deque()).append(event)
        self._held += 1
        if self._held > self._limit:
            self._shed(max(self._markets, key=lambda each: len(self._markets[each])))

    def _shed(self, market: str) -> None:
        waiting = self._markets.pop(market)
        self._held -= len(waiting)
        trades = sum(isinstance(event, Trade) for event in waiting)
        # A snapshot that waited is gone with the rest.
        deltas = len(waiting) - trades
        self._silent.add(market)
        self._counts["shed_markets"] += 1
        self._counts["shed_deltas"] += deltas
        self._counts["shed_trades"] += trades
        self._keep(Shed(market, deltas, trades))

    def _forget_book(self, market: str) -> None:
        """What waits of a market's book is void; its trades are not."""
        waiting = self._markets.pop(market, None)
        if waiting is None:
            return
        trades: deque[Delta | Snapshot | Trade] = deque(event for event in waiting if isinstance(event, Trade))
        self._held -= len(waiting) - len(trades)
        if trades:
            self._markets[market] = trades
