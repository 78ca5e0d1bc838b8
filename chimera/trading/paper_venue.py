"""The paper venue: the paper exchange behind a wire, as the gateway sees it.

Every request, answer, fill and list takes a latency drawn from a seeded stream, each its own: answers come out of order, a fill may come
before the ack, and an order may be filled while its cancel is on the way. It never loses an answer, so no outcome is unknown here.

It starts no task and reads no clock by itself: whoever owns it calls `advance(now)` at `next_due()`, and is called back through `wake` when
that becomes sooner. It outlives every actor; what nobody listens to is kept until `sink` is set.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

import attrs

from chimera.conventions import Count, Price, Side
from chimera.markets import Market
from chimera.trading import venue_log as log
from chimera.trading.kill import Level, Trip
from chimera.trading.paper import PaperExchange
from chimera.trading.reasons import Reason
from chimera.trading.venue import Covers, Event, Fill, Order, Outcome, Resting, Sink


class Clock(Protocol):
    """World time, as `chimera.clock.WorldClock` tells it."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> Awaitable[None]: ...


@attrs.frozen(slots=True)
class Latency:
    """One way over the wire, in world seconds: uniform between the two."""

    low: float = 0.030
    high: float = 0.080

    def draw(self, rng: random.Random) -> float:
        return rng.uniform(self.low, self.high)


class PaperVenue:
    """A `Venue` whose orders rest on paper. `rng` is its own random stream; `journal` the log that its exchange writes to as well."""

    def __init__(
        self, exchange: PaperExchange, journal: log.VenueLog, *, clock: Clock, rng: random.Random, latency: Latency | None = None
    ) -> None:
        self.exchange = exchange
        self.sink: Sink | None = None
        self.wake: Callable[[], None] | None = None
        self.covers: Covers | None = None
        """Until it is set, a trip of any scope cancels everything: too much is safe."""
        self.on_deaf: Callable[[str], None] | None = None
        """Never called: paper hears itself."""
        self._log = journal
        self._clock = clock
        self._rng = rng
        self._latency = latency or Latency()
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._scheduled = 0
        self._unheard: list[Event] = []
        self._now = -math.inf
        exchange.tell = self._answer

    # Requests: logged and on the wire when these return

    def place(self, order: Order, now: float) -> None:
        self._log.add(
            log.Sent(
                at=now, client_id=order.client_id, market=order.market, side=order.side, price=order.price, count=order.count,
                expires_at=order.expires_at, fence=order.fence, p_true=order.p_true, required_edge=order.required_edge, trace=order.trace,
            )
        )  # fmt: skip
        self._send(now, partial(self.exchange.place, order))

    def amend(
        self, order_id: str, client_id: str, market: str, expires_at: float, now: float, *,
        fence: int | None = None, p_true: float | None = None, required_edge: float | None = None,
    ) -> None:  # fmt: skip
        self._log.add(
            log.Renewing(
                at=now, client_id=client_id, order_id=order_id, market=market, expires_at=expires_at,
                fence=fence, p_true=p_true, required_edge=required_edge,
            )
        )  # fmt: skip
        self._send(now, partial(self.exchange.amend, order_id, client_id, market, expires_at))

    def cancel(self, resting: Sequence[tuple[str, str, str]], reason: Reason, now: float) -> None:
        # One request: what is in it arrives together. Sent before it is logged, as everything that takes orders off.
        arrives = now + self._latency.draw(self._rng)
        for one in resting:
            self._at(arrives, partial(self._arrive, partial(self.exchange.cancel, *one)))
        self._log.add(log.Cancelling(at=now, order_ids=tuple(order_id for order_id, _, _ in resting), reason=reason.value))

    def fire(self, trip: Trip) -> None:
        fences = {} if self.covers is None else self.covers(trip.scope)
        markets: Collection[str] | None = fences.keys()
        if self.covers is None or trip.scope.level is Level.GLOBAL:
            markets = None
        self._at(trip.at + self._latency.draw(self._rng), partial(self.exchange.fire, markets))
        self._log.add(
            log.Fired(
                at=trip.at, scope=str(trip.scope), reason=trip.reason.value, source=trip.source, counter=trip.counter, pull=trip.pull,
                fences=dict(fences),
            )
        )  # fmt: skip

    async def resting(self) -> tuple[Resting, ...]:
        await self._travel()
        listed = self.exchange.resting()
        await self._travel()
        return listed

    async def fills(self, since: float) -> tuple[Fill, ...]:
        await self._travel()
        listed = self.exchange.fills(since)
        await self._travel()
        return listed

    async def _travel(self) -> None:
        await self._clock.sleep(self._latency.draw(self._rng))
        self.advance(self._clock.now())

    # The wire

    def _send(self, now: float, request: Callable[[float], Outcome]) -> None:
        self._at(now + self._latency.draw(self._rng), partial(self._arrive, request))

    def _arrive(self, request: Callable[[float], Outcome], at: float) -> None:
        self._answer(request(at))

    def _answer(self, event: Event) -> None:
        """Something the exchange says sets out to us."""
        self._at(event.at + self._latency.draw(self._rng), partial(self._deliver, event))

    def _deliver(self, event: Event, _at: float) -> None:
        if self.sink is None:
            self._unheard.append(event)
        else:
            self.sink(event)

    def _at(self, due: float, action: Callable[[float], None]) -> None:
        self._scheduled += 1
        heapq.heappush(self._due, (due, self._scheduled, action))
        if self.wake is not None and self._due[0][1] == self._scheduled:
            self.wake()

    # Time

    def next_due(self) -> float | None:
        """When `advance` has something to do next (world unix s); None while nothing rests and nothing travels."""
        waiting = [self._due[0][0]] if self._due else []
        expiry = self.exchange.next_expiry()
        return min(waiting if expiry is None else [*waiting, expiry], default=None)

    def advance(self, now: float) -> None:
        """Let everything happen that is due by `now`, each at its own time and in that order."""
        if self.sink is not None and self._unheard:
            unheard, self._unheard = self._unheard, []
            for event in unheard:
                self.sink(event)
        while (due := self.next_due()) is not None and due <= now:
            self._now = max(self._now, due)
            self.exchange.expire(self._now)
            if self._due and self._due[0][0] <= due:
                heapq.heappop(self._due)[2](self._now)

    # The market, as it is shown: what was due before a frame happens before it

    def on_book(
        self, market: str, bids: Iterable[tuple[Price, Count]], asks: Iterable[tuple[Price, Count]], at: float, *, derived: bool = False
    ) -> None:
        self.exchange.on_book(market, bids, asks, self._reach(at), derived=derived)

    def on_delta(self, market: str, side: Side, price: Price, change: Count, at: float) -> None:
        self.exchange.on_delta(market, side, price, change, self._reach(at))

    def on_trade(self, market: str, price: Price, count: Count, taker: Side, at: float) -> None:
        self.exchange.on_trade(market, price, count, taker, self._reach(at))

    def on_bar(self, market: str, start: float, end: float, low: Price, high: Price, volume: Count, at: float) -> None:
        self.exchange.on_bar(market, start, end, low, high, volume, self._reach(at))

    def on_lost(self, market: str, at: float) -> None:
        self.exchange.on_lost(market, self._reach(at))

    def list_markets(self, markets: Iterable[Market], at: float) -> None:
        self.exchange.list_markets(markets, at)

    def settle(self, market: str, value: Price, at: float) -> None:
        self.exchange.settle(market, value, self._reach(at))

    # What is known of it without asking

    def hears(self) -> bool:
        return True

    def count_resting(self) -> int:
        return len(self.exchange.resting())

    def idle(self) -> bool:
        return self.next_due() is None

    def statistics(self) -> Mapping[str, object]:
        return dict(self.exchange.statistics())

    def _reach(self, at: float) -> float:
        self.advance(at)
        self._now = max(self._now, at)
        return self._now
