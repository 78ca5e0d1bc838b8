"""Reads of Kalshi's REST interface: typed values in, integer money, one kind of error out.

Every read goes through the door under a name of its own, `kalshi.rest /markets?series_ticker=KXNBAGAME&status=open`: the path
without its prefix, and the query sorted, so that a recording can answer it. Reads change nothing at the exchange and are therefore
tried again, twice at most, where the answer is missing, is the exchange's own fault, or asks for patience. Whatever fails is a
`VenueError` that names the call.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import trio

from chimera.errors import FeedError, VenueError
from chimera.intake import Door, Frame
from chimera.kalshi import decode
from chimera.kalshi.schema import (
    AccountLimits,
    Balance,
    ExchangeStatus,
    KalshiEvent,
    KalshiMarket,
    KalshiSeries,
    OrderBook,
)
from chimera.kalshi.session import ExchangeSession

T = TypeVar("T")
Query: TypeAlias = Sequence[tuple[str, str]]

STREAM_PREFIX: Final = "kalshi.rest "
RETRIES: Final = 2
_BACKOFF = 0.25
"""World seconds before the first retry; doubled for the second, each spread over half to one and a half of it."""
_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_EXPIRED = "header_timestamp_expired"
"""The signature's time was off: the next has a fresh one and the offset the refusal taught. It never means bad credentials."""
_TICKERS_A_CALL = 100
_MAX_PAGES = 1000
_MARKETS_A_STEP = 8
"""Markets decoded between checkpoints: a page of a hundred would hold the loop for milliseconds."""


class KalshiError(VenueError):
    """An error answer. `status` is HTTP's; `code`, `message`, `details` are Kalshi's words, "" where it gave none."""

    def __init__(self, call: str, status: int, code: str = "", message: str = "", details: str = "") -> None:
        words = ", ".join(dict.fromkeys(word for word in (code, message, details) if word))
        super().__init__(f"{call}: HTTP {status}" + (f" ({words})" if words else ""))
        self.call, self.status, self.code, self.message, self.details = call, status, code, message, details


class RateLimited(KalshiError):
    """429: the bucket was empty, and the request was not carried out."""


class AuthError(KalshiError):
    """401 or 403: the key, the signature, its time, or what the key may do."""


_KINDS: Final[dict[int, type[KalshiError]]] = {401: AuthError, 403: AuthError, 429: RateLimited}


def error_from(call: str, status: int, body: bytes) -> KalshiError:
    """The error that an answer of this status means, whichever of Kalshi's four forms its body has."""
    return _KINDS.get(status, KalshiError)(call, status, *decode.error_body(body))


class KalshiRest:
    """The reading side of the exchange. `rng` spreads retries; `timeout` is in machine seconds, one try."""

    def __init__(self, door: Door, session: ExchangeSession, rng: random.Random, *, timeout: float = 5.0) -> None:
        self._door, self._session, self._rng, self._timeout = door, session, rng, timeout

    # Market data

    async def markets(
        self,
        *,
        series_ticker: str | None = None,
        event_ticker: str | None = None,
        status: str | None = None,
        tickers: Iterable[str] | None = None,
    ) -> tuple[KalshiMarket, ...]:
        """Every market that fits, over all pages. `status` is the query's vocabulary: unopened, open, paused, closed, settled."""
        filters = {"series_ticker": series_ticker, "event_ticker": event_ticker, "status": status}
        query = [(name, value) for name, value in filters.items() if value is not None]
        if tickers is None:
            return await self._market_pages(query)
        found: list[KalshiMarket] = []
        for some in _by_hundred(tickers):
            found += await self._market_pages([*query, ("tickers", ",".join(some))])
        return tuple(found)

    async def market(self, ticker: str) -> KalshiMarket:
        """One market. A market just created may be a 404 for a moment."""
        return await self.read(f"/markets/{_quoted(ticker)}", (), decode.single_market)

    async def orderbook(self, ticker: str, depth: int = 0) -> OrderBook:
        """One book, the best `depth` levels of each side; 0 for all (at most 100 otherwise)."""
        query = [("depth", str(depth))] if depth else []
        return await self.read(f"/markets/{_quoted(ticker)}/orderbook", query, lambda body: decode.orderbook(body, ticker))

    async def orderbooks(self, tickers: Iterable[str]) -> tuple[OrderBook, ...]:
        """Many books, a hundred a request. VenueError where one that was asked for is not in the answer."""
        books: list[OrderBook] = []
        for some in _by_hundred(tickers):
            answer = await self.read("/markets/orderbooks", [("tickers", ticker) for ticker in some], decode.orderbooks)
            if absent := set(some) - {book.ticker for book in answer}:
                raise VenueError(f"GET /markets/orderbooks: no book for {', '.join(sorted(absent))}")
            books += answer
        return tuple(books)

    async def series(self, ticker: str) -> KalshiSeries:
        """One series, with its fees."""
        return await self.read(f"/series/{_quoted(ticker)}", (), decode.series)

    async def event(self, ticker: str) -> KalshiEvent:
        """One event, with its markets."""
        return await self.read(f"/events/{_quoted(ticker)}", [("with_nested_markets", "true")], decode.event)

    # Exchange and account

    async def exchange_status(self) -> ExchangeStatus:
        """Whether the exchange and its shards trade; it answers this even while it is down, with 503 or 504."""
        path = "/exchange/status"
        frame = await self._ask(path, (), self._session.admit_read, also=frozenset({503, 504}))
        if frame.status == 200:
            return _decoded(path, frame.body, decode.exchange_status)
        try:
            return decode.exchange_status(frame.body)
        except decode.UNREADABLE:
            raise error_from(f"GET {path}", frame.status, frame.body) from None

    async def balance(self) -> Balance:
        """Cash over all shards and on each. One a second, by a bucket of its own."""
        path = "/portfolio/balance"
        frame = await self._ask(path, (), self._session.admit_balance)
        return _decoded(path, frame.body, decode.balance)

    async def account_limits(self) -> AccountLimits:
        """The account's token buckets. The session's read budget takes on what is reported."""
        limits = await self.read("/account/limits", (), decode.account_limits)
        self._session.set_read_limits(limits.read_capacity, limits.read_refill)
        return limits

    # Any read

    async def read(self, path: str, query: Query, convert: Callable[[bytes], T]) -> T:
        """GET `path` (without prefix) and convert its body. VenueError where no good answer came."""
        frame = await self._ask(path, query, self._session.admit_read)
        return _decoded(path, frame.body, convert)

    async def _market_pages(self, query: Query) -> tuple[KalshiMarket, ...]:
        """Follow the cursor to its end. A cursor that comes again would lead round for ever: Kalshi answers a bad one with page one."""
        found: dict[str, KalshiMarket] = {}
        cursors: set[str] = set()
        cursor = ""
        while len(cursors) < _MAX_PAGES:
            page_query = [*query, ("cursor", cursor)] if cursor else query
            page, cursor = await self.read("/markets", page_query, decode.market_page)
            for index, raw in enumerate(page):
                if index % _MARKETS_A_STEP == 0:
                    await trio.lowlevel.checkpoint()
                market = _decoded("/markets", raw, decode.market)
                found[market.ticker] = market
            if not cursor:
                return tuple(found.values())
            if cursor in cursors:
                raise VenueError("GET /markets: the cursor comes round again; the list is not complete")
            cursors.add(cursor)
        raise VenueError(f"GET /markets: more than {_MAX_PAGES} pages; narrow the query")

    async def _ask(
        self, path: str, query: Query, admit: Callable[[], Awaitable[None]], also: frozenset[int] = frozenset()
    ) -> Frame:
        """The answer with status 200, or one of `also`; tried again where trying again can help."""
        failure = VenueError(f"GET {path}: was not asked")
        for attempt in range(RETRIES + 1):
            if attempt:
                await self._session.clock.sleep(_BACKOFF * 2 ** (attempt - 1) * (0.5 + self._rng.random()))
            await admit()
            try:
                frame = await self._get(path, query)
            except FeedError as error:
                failure = VenueError(f"GET {path}: no answer: {error}")
                failure.__cause__ = error
                continue
            if frame.status == 200 or frame.status in also:
                return frame
            failure = refusal = error_from(f"GET {path}", frame.status, frame.body)
            if not (refusal.status in _TRANSIENT or refusal.code == _EXPIRED):
                break
        raise failure

    async def _get(self, path: str, query: Query) -> Frame:
        session, pairs = self._session, sorted(query)
        name, url = STREAM_PREFIX + path, session.rest_url + path
        if pairs:
            name += "?" + "&".join(f"{key}={value}" for key, value in pairs)
            url += "?" + urlencode(pairs)
        headers = session.headers("GET", session.rest_prefix + path)
        return await self._door.get(name, url, headers=headers, timeout=self._timeout)


def _decoded(path: str, body: bytes, convert: Callable[[bytes], T]) -> T:
    try:
        return convert(body)
    except decode.UNREADABLE as error:
        raise VenueError(f"GET {path}: the answer cannot be read: {error}") from error


def _quoted(ticker: str) -> str:
    """A ticker as one path segment, so that what is signed is what is sent."""
    return quote(ticker, safe="")


def _by_hundred(tickers: Iterable[str]) -> list[list[str]]:
    every = list(tickers)
    return [every[start : start + _TICKERS_A_CALL] for start in range(0, len(every), _TICKERS_A_CALL)]
