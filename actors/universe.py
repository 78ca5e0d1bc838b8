"""Which markets exist, what they mean, and how they end: the listing that everything else follows.

Every poll reads the open markets of each series, proves what each means (or refuses it, saying why once), and tells the whole listing when
it has changed. A market is followed from the day before its game until the exchange has paid it. Books are started and stopped here. Where
the exchange does not answer, what was listed last stays listed, and the actor stands `stale`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import structlog
import trio

from actors.messages import Listing, Resend, Settled, Standing
from actors.runtime import Address, ChildSpec, Down, StartChild, TerminateChild, TrioActor, handles
from chimera.clock import WorldClock
from chimera.conventions import ONE, Price
from chimera.errors import VenueError
from chimera.kalshi.rest import KalshiRest
from chimera.kalshi.schema import KalshiEvent, KalshiMarket, KalshiSeries
from chimera.markets import Market, Refused, Status, parse_market
from chimera.trading.kill import GLOBAL, KillRegister

_LOG = structlog.get_logger("chimera")

POLL_S: Final = 30.0
RETRY_S: Final = 5.0
"""World seconds until an exchange that did not answer is asked again."""
TERMS_S: Final = 3600.0
"""World seconds for which a series' and an event's fee terms are taken as read; Kalshi changes them on a schedule."""
HORIZON_S: Final = 36 * 3600.0
"""A market that starts later than this (world seconds from now) is not followed yet."""
_DECIDED: Final = frozenset({Status.DETERMINED, Status.DISPUTED, Status.AMENDED, Status.FINALIZED})
_RESULTS: Final[dict[str, Price]] = {"yes": ONE, "no": 0}


class UniverseActor(TrioActor):
    """Follows the markets of `series`: a poll at once, every `poll_s` world seconds, and when told `Resend`.

    `books` is the dynamic supervisor of the books, `book_spec` makes the child of one market. `Listing` goes to `listings`, `Settled` to
    `settlements`.
    """

    def __init__(
        self,
        *,
        rest: KalshiRest,
        clock: WorldClock,
        register: KillRegister,
        series: tuple[str, ...],
        listings: tuple[Address, ...],
        settlements: tuple[Address, ...],
        books: Address,
        book_spec: Callable[[Market], ChildSpec],
        telemetry: Address,
        poll_s: float = POLL_S,
        horizon_s: float = HORIZON_S,
    ) -> None:
        super().__init__()
        self._rest, self._clock, self._register = rest, clock, register
        self._series, self._telemetry = series, telemetry
        self._listings, self._settlements = listings, settlements
        self._books, self._book_spec = books, book_spec
        self._poll_s, self._horizon_s = poll_s, horizon_s
        self._series_terms: dict[str, tuple[float, KalshiSeries]] = {}
        self._event_terms: dict[str, tuple[float, KalshiEvent]] = {}
        self._listed: dict[str, Market] = {}
        self._books_of: dict[str, str] = {}
        self._results: dict[str, Price] = {}
        self._paid: set[str] = set()
        self._refused: dict[str, str] = {}
        self._listing: Listing | None = None
        self._wake = trio.Event()

    def on_start(self) -> None:
        self._stand("connecting", "the first poll is under way")
        self._books.monitor(self.address, sticky=True)
        self.spawn(self._run)

    @handles(Resend)
    def on_resend(self, message: Resend) -> None:
        """Tell the listing as it is and every result so far, and look for news at once."""
        if self._listing is not None:
            self._tell_all(self._listing)
        for ticker, value in self._results.items():
            self._tell_result(ticker, value)
        self._wake.set()

    @handles(Down)
    def on_down(self, message: Down) -> None:
        """The books' supervisor has died, and no book survives that: the next one is asked for all of them again."""
        if message.name == self._books.name:
            for market in self._listed.values():
                self._books.tell(StartChild(self._book_spec(market)))

    # Polling

    async def _run(self) -> None:
        while True:
            faults = []
            for series in self._series:
                try:
                    await self._poll(series)
                except VenueError as fault:
                    faults.append(f"{series}: {fault}")
            # That nothing is listed is known only from an answer.
            if self._listed or not faults:
                self._tell_listing()
            self._stand("stale" if faults else "ready", "; ".join(faults))
            await self._nap(min(RETRY_S, self._poll_s) if faults else self._poll_s)

    async def _nap(self, seconds: float) -> None:
        """World seconds until the next poll, or less when told. Whoever asked during a poll has been answered by it."""
        wake = self._wake = trio.Event()

        async def alarm() -> None:
            await self._clock.sleep(seconds)
            wake.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(alarm)
            await wake.wait()
            nursery.cancel_scope.cancel()

    async def _poll(self, ticker: str) -> None:
        """Take in a series' open markets, and those followed that are open no more. VenueError where any read failed."""
        series = await self._series_of(ticker)
        raws = await self._rest.markets(series_ticker=ticker, status="open")
        for raw in raws:
            await self._take(raw, series)
        # Enrolled markets outlive an incarnation of this actor, so no result is missed over a restart.
        shown = self._paid.union(raw.ticker for raw in raws)
        for followed in self._register.markets(GLOBAL):
            if followed.startswith(f"{ticker}-") and followed not in shown:
                await self._take(await self._rest.market(followed), series)

    async def _series_of(self, ticker: str) -> KalshiSeries:
        read_at, series = self._series_terms.get(ticker, (-math.inf, None))
        now = self._clock.now()
        if series is None or now - read_at >= TERMS_S:
            series = await self._rest.series(ticker)
            self._series_terms[ticker] = now, series
        return series

    async def _event_of(self, ticker: str) -> KalshiEvent:
        read_at, event = self._event_terms.get(ticker, (-math.inf, None))
        now = self._clock.now()
        if event is None or now - read_at >= TERMS_S:
            event = await self._rest.event(ticker)
            self._event_terms[ticker] = now, event
        return event

    # One market

    async def _take(self, raw: KalshiMarket, series: KalshiSeries) -> None:
        await trio.lowlevel.checkpoint()
        if raw.status in _DECIDED:
            self._decided(raw)
            return
        market = parse_market(raw, series)
        if isinstance(market, Market) and self._near(market):
            market = parse_market(raw, series, await self._event_of(raw.event_ticker))
        if isinstance(market, Refused):
            self._refuse(market)
        elif self._near(market):
            self._follow(market)

    def _near(self, market: Market) -> bool:
        """Whether it starts soon enough to be followed; once followed it stays so."""
        start = market.start_at
        return market.ticker in self._listed or start is None or start - self._clock.now() <= self._horizon_s

    def _follow(self, market: Market) -> None:
        before = self._listed.get(market.ticker)
        self._listed[market.ticker] = market
        if before is None:
            self._register.enroll(market.ticker, market.unit, market.domain)
        elif before.grid == market.grid:
            return
        else:
            self._stop_book(market.ticker)  # what it folded was on another grid
        spec = self._book_spec(market)
        self._books_of[market.ticker] = spec.id
        self._books.tell(StartChild(spec))

    def _stop_book(self, ticker: str) -> None:
        book = self._books_of.pop(ticker, None)
        if book is not None:
            self._books.tell(TerminateChild(book))

    def _refuse(self, refused: Refused) -> None:
        """Say why, once; what was listed under another record is so no more."""
        self._listed.pop(refused.ticker, None)
        if self._refused.get(refused.ticker) != refused.why:
            self._refused[refused.ticker] = refused.why
            _LOG.warning("market refused", market=refused.ticker, why=refused.why)

    def _decided(self, raw: KalshiMarket) -> None:
        """A result is told when it is known, and told again only if it is amended. A market that never was followed has none to tell."""
        if raw.ticker not in self._listed and raw.ticker not in self._register.markets(GLOBAL):
            return
        self._listed.pop(raw.ticker, None)
        value = raw.settlement_value if raw.settlement_value is not None else _RESULTS.get(raw.result)
        if value is None:
            return
        if self._results.get(raw.ticker) != value:
            self._results[raw.ticker] = value
            self._tell_result(raw.ticker, value)
        if raw.status == Status.FINALIZED:
            self._paid.add(raw.ticker)

    # Telling

    def _tell_listing(self) -> None:
        """The whole listing if it differs from the one told last; the books of markets that left it end after everybody knows."""
        markets = tuple(self._listed[ticker] for ticker in sorted(self._listed))
        if self._listing is None or markets != self._listing.markets:
            self._listing = Listing(markets, self._clock.now())
            self._tell_all(self._listing)
        for ticker in [ticker for ticker in self._books_of if ticker not in self._listed]:
            self._stop_book(ticker)

    def _tell_result(self, ticker: str, value: Price) -> None:
        for consumer in self._settlements:
            consumer.tell(Settled(ticker, value, self._clock.now()))

    def _tell_all(self, listing: Listing) -> None:
        for consumer in self._listings:
            consumer.tell(listing)

    def _stand(self, state: str, why: str) -> None:
        self._telemetry.tell(Standing(self.address.name, state, why, self._clock.now()))

    def state_summary(self) -> dict[str, object]:
        return {"listed": sorted(self._listed), "results": dict(self._results), "refused": dict(self._refused)}
