"""Stream B: one connection to Kalshi's WebSocket, owned whole, from which every book is fed.

A book is only ever told what certainly follows its snapshot. Where anything may be missing (a gap, an unreadable frame, a connection that
ended) the markets concerned are killed in the same step, before their books hear of it; then the books are fetched anew. The outside
failing is a state of this actor, never its crash.

    idle         no market is listed: nothing to connect for
    connecting   no connection, or not yet subscribed
    ready        subscribed; each book is believed from its snapshot on
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Final, assert_never

import trio

from actors.book import GAP_HOLD_S
from actors.messages import BookDelta, BookLost, BookSnapshot, Listing, Resend, Standing
from actors.runtime import Address, TrioActor, handles
from chimera.clock import WorldClock
from chimera.errors import FeedError, VenueError
from chimera.intake import Connection, Door, Frame
from chimera.kalshi.notices import Notice
from chimera.kalshi.session import ExchangeSession
from chimera.kalshi.stream import (
    BOOK,
    TRADES,
    CommandFailed,
    Delta,
    Event,
    Gap,
    Malformed,
    Resubscribe,
    Snapshot,
    StreamProtocol,
    Subscribed,
    Trade,
    Unsubscribed,
    Whole,
    connect_stream,
)
from chimera.trading import kill
from chimera.trading.kill import KillRegister
from chimera.trading.reasons import Reason

BACKOFF_MIN_S: Final = 0.5
BACKOFF_MAX_S: Final = 30.0
"""The n-th reconnection in a row waits a random part of min * 2**n, at most max (full jitter): many clients never come back together."""
PATIENCE_S: Final = 10.0
"""World seconds between looks at what is unanswered: a subscription still so at the second look ends the connection, a missing book is
asked for again."""
CHANNELS: Final = (BOOK, TRADES)
_OUTBOX = 1024


class _Link:
    """One connection's protocol, what was asked of it, and the commands that wait to be sent. It ends with the connection."""

    def __init__(self) -> None:
        self.protocol = StreamProtocol()
        self.asked: dict[str, dict[str, None]] = {}
        """Channel -> the markets subscribed to by the commands so far."""
        self.leaving: set[str] = set()
        """Channels whose end is asked for and not yet acknowledged."""
        self.live: dict[str, None] = {}
        """Markets whose book this connection has given."""
        self.commands, self.outbox = trio.open_memory_channel[str](_OUTBOX)

    def send(self, command: str) -> None:
        """Queue a command; FeedError where the exchange has stopped reading them."""
        try:
            self.commands.send_nowait(command)
        except (trio.WouldBlock, trio.ClosedResourceError):
            raise FeedError("kalshi.ws: the connection takes no more commands") from None

    def align(self, wanted: Iterable[str]) -> None:
        """Make the subscriptions those of `wanted`. A channel not yet acknowledged is aligned when it is."""
        target = dict.fromkeys(wanted)
        self.live = {market: None for market in self.live if market in target}
        fresh = [channel for channel in CHANNELS if channel not in self.asked]
        if fresh and target:
            self.send(self.protocol.subscribe(fresh, target))
            self.asked.update({channel: dict(target) for channel in fresh})
        for channel, markets in list(self.asked.items()):
            sid = self.protocol.sid(channel)
            if sid is None or channel in self.leaving or markets.keys() == target.keys():
                continue
            if not target:
                # A trade subscription without markets would be one for all of them.
                self.send(self.protocol.unsubscribe([sid]))
                self.leaving.add(channel)
                continue
            if added := [market for market in target if market not in markets]:
                self.send(self.protocol.add_markets(added, channel))
            if left := [market for market in markets if market not in target]:
                self.send(self.protocol.delete_markets(left, channel))
            self.asked[channel] = dict(target)

    def left(self, channel: str) -> None:
        """The channel is off."""
        self.asked.pop(channel, None)
        self.leaving.discard(channel)

    def refresh(self, markets: Iterable[str]) -> None:
        """Ask for the books of those of `markets` that are subscribed."""
        asked = self.asked.get(BOOK, {})
        names = [market for market in markets if market in asked]
        if names and self.protocol.sid(BOOK) is not None:
            self.send(self.protocol.get_snapshot(names))


class StreamActor(TrioActor):
    """Feeds `book_of(market)` for every listed market, and trips each market's scope where its book is lost.

    `rng` spreads reconnections; `universe` is asked for the listing at the start. `Resend(market)` ("" for all) fetches books anew.
    """

    def __init__(
        self,
        *,
        door: Door,
        session: ExchangeSession,
        clock: WorldClock,
        register: KillRegister,
        book_of: Callable[[str], Address],
        telemetry: Address,
        universe: Address,
        rng: random.Random,
    ) -> None:
        super().__init__()
        self._door, self._session, self._clock, self._rng = door, session, clock, rng
        self._register, self._book_of = register, book_of
        self._telemetry, self._universe = telemetry, universe
        self._wanted: dict[str, Address] = {}
        self._listed = trio.Event()
        self._link: _Link | None = None
        self._state = ""
        self._failures = 0
        self._counts = dict.fromkeys(("frames", "deltas", "snapshots", "trades", "malformed", "gaps", "refused", "connections"), 0)

    def on_start(self) -> None:
        self._stand("idle", "no market is listed", self._clock.now())
        self._universe.tell(Resend())
        self.spawn(self._run)

    # What is wanted

    @handles(Listing)
    def on_listing(self, message: Listing) -> None:
        tickers = [market.ticker for market in message.markets]
        self._wanted = {ticker: self._wanted.get(ticker) or self._book_of(ticker) for ticker in tickers}
        if self._wanted:
            self._listed.set()
        else:
            if self._listed.is_set():  # else `_run` waits for this very event
                self._listed = trio.Event()
            self._stand("idle", "no market is listed", message.at)
        self._command(lambda link: link.align(self._wanted))

    @handles(Resend)
    def on_resend(self, message: Resend) -> None:
        self._command(lambda link: link.refresh([message.market] if message.market else self._wanted))

    def _command(self, give: Callable[[_Link], None]) -> None:
        """Command the connection, if there is one; one that takes no more commands ends."""
        if self._link is not None:
            try:
                give(self._link)
            except FeedError:
                self._link.commands.close()

    # The connection

    async def _run(self) -> None:
        """Connect, serve, wait a little longer each time nothing came of it; for ever."""
        while True:
            await self._listed.wait()
            try:
                async with connect_stream(self._door, self._session) as connection:
                    await self._converse(connection)
            except* (FeedError, VenueError) as faults:
                self._disconnected(_first(faults))
            ceiling = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2.0 ** min(self._failures, 16))
            self._failures += 1
            await self._clock.sleep(self._rng.uniform(0.0, ceiling))

    async def _converse(self, connection: Connection) -> None:
        """Serve one connection until it fails. What it fed is lost in that step, before any farewell to the exchange."""
        self._counts["connections"] += 1
        link = self._link = _Link()
        self._stand("connecting", "subscribing", self._clock.now())
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_send_all, connection, link)
                nursery.start_soon(self._watch, link)
                link.align(self._wanted)
                while True:
                    self._take(link, await connection.receive())
        except* (FeedError, VenueError) as faults:
            self._disconnected(_first(faults))

    async def _watch(self, link: _Link) -> None:
        """Nothing asked for stays unanswered: a silent subscription ends the connection, a missing book is asked for again."""
        waiting: set[str] = set()
        while True:
            await self._clock.sleep(PATIENCE_S)
            silent = {channel for channel in link.asked if link.protocol.sid(channel) is None}
            if waiting & silent:
                raise FeedError(f"kalshi.ws: no answer to a subscription in {PATIENCE_S:g} s: {', '.join(sorted(silent))}")
            waiting = silent
            link.refresh([market for market in link.asked.get(BOOK, {}) if not link.protocol.synced(market)])

    def _disconnected(self, why: str) -> None:
        link, self._link = self._link, None
        now = self._clock.now()
        if link is not None:
            self._lose(link, tuple(link.live), why, now)
        self._stand("connecting" if self._wanted else "idle", why, now)

    # Frames

    def _take(self, link: _Link, frame: Frame) -> None:
        self._counts["frames"] += 1
        for event in link.protocol.feed(frame.body, round(1000 * self._session.exchange_time(frame.received_wall))):
            self._on_event(link, event, frame)

    def _on_event(self, link: _Link, event: Event, frame: Frame) -> None:
        at = frame.received_wall
        match event:
            case Delta():
                self._on_delta(event, at, frame.received_mono)
            case Snapshot():
                self._on_snapshot(link, event, at, frame.received_mono)
            case Trade():
                self._counts["trades"] += 1
            case Gap():
                self._on_gap(link, event, at)
            case Subscribed():
                link.align(self._wanted)
                if all(link.protocol.sid(channel) is not None for channel in CHANNELS):
                    self._stand("ready", "", at)
            case Unsubscribed():
                link.left(event.channel)
                link.align(self._wanted)
            case Resubscribe():
                link.left(event.channel)
                self._lose(link, event.markets if event.channel == BOOK else (), event.message, at)
                link.align(self._wanted)
            case CommandFailed():
                self._counts["refused"] += 1
                self._stand(self._state, f"{event.action or 'a command'} was refused: {event.message} ({event.code})", at)
            case Malformed():
                self._counts["malformed"] += 1
                self._stand(self._state, f"{self._counts['malformed']} malformed: {event.error}", at)
            case Whole() | Notice():
                pass  # none is asked for
            case _:
                assert_never(event)

    def _on_delta(self, event: Delta, at: float, trace: int) -> None:
        book = self._wanted.get(event.market)
        if book is not None:
            self._counts["deltas"] += 1
            book.tell(BookDelta(event.market, event.side, event.price, event.change, event.seq, event.clock, at, trace))

    def _on_snapshot(self, link: _Link, event: Snapshot, at: float, trace: int) -> None:
        book = self._wanted.get(event.market)
        if book is not None:
            self._counts["snapshots"] += 1
            self._failures = 0
            link.live[event.market] = None
            book.tell(BookSnapshot(event.market, event.bids, event.asks, event.seq, event.clock, at, trace))

    def _on_gap(self, link: _Link, event: Gap, at: float) -> None:
        self._counts["gaps"] += 1
        if event.channel == BOOK:
            got = event.got or "what nobody can read"
            self._lose(link, event.markets, f"expected {event.expected} on subscription {event.sid}, got {got}", at)
        if event.command:
            link.send(event.command)

    def _lose(self, link: _Link, markets: tuple[str, ...], why: str, at: float) -> None:
        """Cancel first, all of them; then let the books know. A market whose book was never given has nothing to lose."""
        lost = [market for market in markets if market in link.live]
        for market in lost:
            self._register.trip(kill.market(market), Reason.BOOK_GAP, source=self.address.name, at=at, hold_s=GAP_HOLD_S)
            del link.live[market]
        for market in lost:
            if market in self._wanted:
                self._wanted[market].tell(BookLost(market, why, at))

    # What it says of itself

    def _stand(self, state: str, why: str, at: float) -> None:
        self._state = state
        self._telemetry.tell(Standing(self.address.name, state, why, at))

    def state_summary(self) -> dict[str, object]:
        protocol = {} if self._link is None else self._link.protocol.statistics()
        return {"state": self._state, "wanted": len(self._wanted), "failures": self._failures, **self._counts, **protocol}


async def _send_all(connection: Connection, link: _Link) -> None:
    async for command in link.outbox:
        await connection.send(command)
    raise FeedError("kalshi.ws: the connection takes no more commands")


def _first(faults: BaseExceptionGroup[FeedError | VenueError]) -> str:
    fault: BaseException = faults
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return str(fault)
