"""Reads of Kalshi's REST interface: typed values in, integer money, one tree of errors out.

Every read goes through the door under a name of its own, `kalshi.rest /markets?series_ticker=KXNBAGAME&status=open`: the path
without its prefix, and the query sorted, so that a recording can answer it. Reads change nothing at the exchange and are therefore
tried again, twice at most, where the answer is missing, is the exchange's own fault, or asks for patience. Whatever fails is a
`KalshiError` that names the call. What is ours on the exchange is read by `account.py`, through this.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import trio

from chimera.errors import FeedError, VenueError
from chimera.intake import Door, Frame, NotSent
from chimera.kalshi import decode, decode_history, failures
from chimera.kalshi.failures import AuthError, DefinitelyNotExecuted, KalshiError, OutcomeUnknown, RateLimited
from chimera.kalshi.ratelimit import Call
from chimera.kalshi.schema import (
    Candle,
    EventFeeChange,
    ExchangeStatus,
    KalshiEvent,
    KalshiMarket,
    KalshiSeries,
    OrderBook,
    PublicTrade,
    Schedule,
    SeriesFeeChange,
)
from chimera.kalshi.session import ExchangeSession

__all__ = ["AuthError", "KalshiError", "KalshiRest", "Query", "RateLimited", "by_hundred", "decoded", "filters", "quoted", "url_query"]

T = TypeVar("T")
Query: TypeAlias = Sequence[tuple[str, str]]

STREAM_PREFIX: Final = "kalshi.rest "
RETRIES: Final = 2
_BACKOFF = 0.25
"""World seconds before the first retry; doubled for the second, each spread over half to one and a half of it."""
_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_TICKERS_A_CALL = 100
_MAX_PAGES = 1000
_ITEMS_A_STEP = 8
"""Items decoded between checkpoints: a page of a hundred markets would hold the loop for milliseconds."""
_A_PAGE = ("limit", "1000")


class KalshiRest:
    """The reading side of the exchange. `rng` spreads retries; `timeout` is in machine seconds, one try."""

    def __init__(self, door: Door, session: ExchangeSession, rng: random.Random, *, timeout: float = 5.0) -> None:
        self._door, self.session, self._rng, self._timeout = door, session, rng, timeout

    # The exchange

    async def exchange_status(self) -> ExchangeStatus:
        """Whether the exchange and its shards trade; it answers this even while it is down, with 503 or 504."""
        path = "/exchange/status"
        frame = await self._ask(path, (), Call.READ, also=frozenset({503, 504}))
        if frame.status == 200:
            return decoded(f"GET {path}", frame, decode.exchange_status)
        try:
            return decode.exchange_status(frame.body)
        except decode.UNREADABLE:
            raise failures.from_answer(f"GET {path}", frame.status, frame.body) from None

    async def exchange_schedule(self) -> Schedule:
        """Regular hours and announced maintenance."""
        return await self.read("/exchange/schedule", (), decode_history.schedule)

    async def user_data_timestamp(self) -> float:
        """As of when (unix seconds) balance, orders, fills and positions are told."""
        return await self.read("/exchange/user_data_timestamp", (), decode_history.user_data_timestamp)

    # What is traded

    async def markets(
        self,
        *,
        series_ticker: str | None = None,
        event_ticker: str | None = None,
        status: str | None = None,
        tickers: Iterable[str] | None = None,
    ) -> tuple[KalshiMarket, ...]:
        """Every market that fits, over all pages. `status` is the query's vocabulary: unopened, open, paused, closed, settled."""
        query = filters(series_ticker=series_ticker, event_ticker=event_ticker, status=status)
        found: list[KalshiMarket] = []
        for some in [None] if tickers is None else by_hundred(tickers):
            asked = query if some is None else [*query, ("tickers", ",".join(some))]
            found += await self.pages("/markets", asked, decode.market, "markets")
        return tuple({market.ticker: market for market in found}.values())

    async def market(self, ticker: str) -> KalshiMarket:
        """One market. A market just created may be a 404 for a moment."""
        return await self.read(f"/markets/{quoted(ticker)}", (), decode.single_market)

    async def series(self, ticker: str) -> KalshiSeries:
        """One series, with its fees."""
        return await self.read(f"/series/{quoted(ticker)}", (), decode.series)

    async def all_series(self, *, category: str | None = None) -> tuple[KalshiSeries, ...]:
        """Every series of a category, or of all."""
        return tuple(await self.pages("/series", filters(category=category), decode.listed_series, "series"))

    async def event(self, ticker: str) -> KalshiEvent:
        """One event, with its markets."""
        return await self.read(f"/events/{quoted(ticker)}", [("with_nested_markets", "true")], decode.event)

    async def events(self, *, series_ticker: str | None = None, status: str | None = None) -> tuple[KalshiEvent, ...]:
        """Every event that fits, combinations excepted, each with its markets. `status`: unopened, open, closed, settled."""
        query = [*filters(series_ticker=series_ticker, status=status), ("with_nested_markets", "true")]
        found = await self.pages("/events", query, decode.listed_event, "events")
        return tuple({event.event_ticker: event for event in found}.values())

    # What it trades at

    async def orderbook(self, ticker: str, depth: int = 0) -> OrderBook:
        """One book, the best `depth` levels of each side; 0 for all (at most 100 otherwise)."""
        query = [("depth", str(depth))] if depth else []
        return await self.read(f"/markets/{quoted(ticker)}/orderbook", query, lambda body: decode.orderbook(body, ticker))

    async def orderbooks(self, tickers: Iterable[str]) -> tuple[OrderBook, ...]:
        """Many books, a hundred a request. VenueError where one that was asked for is not in the answer."""
        books: list[OrderBook] = []
        for some in by_hundred(tickers):
            answer = await self.read("/markets/orderbooks", [("tickers", ticker) for ticker in some], decode.orderbooks)
            if absent := set(some) - {book.ticker for book in answer}:
                raise VenueError(f"GET /markets/orderbooks: no book for {', '.join(sorted(absent))}")
            books += answer
        return tuple(books)

    async def trades(self, ticker: str | None = None, *, since: float | None = None, until: float | None = None) -> tuple[PublicTrade, ...]:
        """Every public trade in a span (unix seconds, cut to whole ones), newest first."""
        query = [*filters(ticker=ticker, min_ts=since, max_ts=until), _A_PAGE]
        found = await self.pages("/markets/trades", query, decode_history.trade, "trades")
        return tuple({trade.trade_id: trade for trade in found}.values())

    async def candlesticks(self, series: str, ticker: str, since: float, until: float, minutes: int) -> tuple[Candle, ...]:
        """Candles of one market that end in a span (unix seconds); `minutes` is 1, 60 or 1440."""
        path = f"/series/{quoted(series)}/markets/{quoted(ticker)}/candlesticks"
        return await self.read(path, _span(since, until, minutes), decode_history.candles)

    async def candlestick_lists(
        self, tickers: Iterable[str], since: float, until: float, minutes: int
    ) -> dict[str, tuple[Candle, ...]]:
        """Candles of many markets, a hundred a request; ten thousand candles a request is Kalshi's own limit."""
        lists: dict[str, tuple[Candle, ...]] = {}
        for some in by_hundred(tickers):
            query = [("market_tickers", ",".join(some)), *_span(since, until, minutes)]
            lists |= await self.read("/markets/candlesticks", query, decode_history.candle_lists)
        return lists

    # What it costs

    async def series_fee_changes(self, series_ticker: str | None = None, *, historical: bool = False) -> tuple[SeriesFeeChange, ...]:
        """Changes to come in what series charge, and with `historical` the past ones."""
        query = [*filters(series_ticker=series_ticker), *([("show_historical", "true")] if historical else ())]
        return await self.read("/series/fee_changes", query, decode_history.series_fee_changes)

    async def event_fee_changes(self, event_ticker: str | None = None) -> tuple[EventFeeChange, ...]:
        """Changes in what single events charge in place of their series."""
        query = filters(event_ticker=event_ticker)
        return tuple(await self.pages("/events/fee_changes", query, decode_history.event_fee_change, "event_fee_changes"))

    # Any read

    async def read(self, path: str, query: Query, convert: Callable[[bytes], T], call: Call = Call.READ) -> T:
        """GET `path` (without prefix) and convert its body. KalshiError where no good answer came."""
        return decoded(f"GET {path}", await self._ask(path, query, call), convert)

    async def pages(self, path: str, query: Query, convert: Callable[[bytes], T], *fields: str) -> list[T]:
        """Every item of a list, or of several that share a cursor, over all pages: whole, or an error.

        A cursor that comes again would lead round for ever: Kalshi answers a bad one with page one.
        """
        found: list[T] = []
        cursors: set[str] = set()
        cursor = ""
        while len(cursors) < _MAX_PAGES:
            frame = await self._ask(path, [*query, ("cursor", cursor)] if cursor else query, Call.READ)
            items, cursor = decoded(f"GET {path}", frame, lambda body: decode.page(body, *fields))
            for index, raw in enumerate(items):
                if index % _ITEMS_A_STEP == 0:
                    await trio.lowlevel.checkpoint()
                found.append(decoded(f"GET {path}", raw, convert))
            if not cursor:
                return found
            if cursor in cursors:
                raise VenueError(f"GET {path}: the cursor comes round again; the list is not complete")
            cursors.add(cursor)
        raise VenueError(f"GET {path}: more than {_MAX_PAGES} pages; narrow the query")

    async def _ask(self, path: str, query: Query, call: Call, also: frozenset[int] = frozenset()) -> Frame:
        """The answer with status 200, or one of `also`; tried again where trying again can help."""
        name, session = f"GET {path}", self.session
        failure = KalshiError(name, 0, "", "was not asked")
        for attempt in range(RETRIES + 1):
            if attempt:
                await session.clock.sleep(_BACKOFF * 2 ** (attempt - 1) * (0.5 + self._rng.random()))
            await session.admit(call)
            try:
                frame = await self._get(path, query)
            except FeedError as error:
                kind = DefinitelyNotExecuted if isinstance(error, NotSent) else OutcomeUnknown
                failure = kind(name, 0, "", f"no answer: {error}")
                failure.__cause__ = error
                continue
            session.answered(call, 0, frame.status, self._rng.random())
            if frame.status == 200 or frame.status in also:
                return frame
            failure = failures.from_answer(name, frame.status, frame.body)
            if not (failure.status in _TRANSIENT or failure.code == failures.EXPIRED):
                break
        raise failure

    async def _get(self, path: str, query: Query) -> Frame:
        session, pairs = self.session, sorted(query)
        name, url = STREAM_PREFIX + path, session.rest_url + path + url_query(pairs)
        if pairs:
            name += "?" + "&".join(f"{key}={value}" for key, value in pairs)
        headers = session.headers("GET", session.rest_prefix + path)
        return await self._door.get(name, url, headers=headers, timeout=self._timeout)


def decoded(call: str, answer: Frame | bytes, convert: Callable[[bytes], T]) -> T:
    """What an answer, or a part of one, means; OutcomeUnknown where it does not mean what it should."""
    status, body = (answer.status, answer.body) if isinstance(answer, Frame) else (200, answer)
    try:
        return convert(body)
    except decode.UNREADABLE as error:
        raise OutcomeUnknown(call, status, "", f"the answer cannot be read: {error}") from error


def filters(**wanted: str | float | None) -> list[tuple[str, str]]:
    """A query of those that are not None; times are cut to whole seconds."""
    return [(name, value if isinstance(value, str) else str(int(value))) for name, value in wanted.items() if value is not None]


def url_query(pairs: Query) -> str:
    """The query part of an address, "?" included, or ""."""
    return "?" + urlencode(list(pairs)) if pairs else ""


def quoted(ticker: str) -> str:
    """A ticker or id as one path segment, so that what is signed is what is sent."""
    return quote(ticker, safe="")


def by_hundred(tickers: Iterable[str]) -> list[list[str]]:
    """As many as one call takes at a time."""
    every = list(tickers)
    return [every[start : start + _TICKERS_A_CALL] for start in range(0, len(every), _TICKERS_A_CALL)]


def _span(since: float, until: float, minutes: int) -> list[tuple[str, str]]:
    return [("start_ts", str(int(since))), ("end_ts", str(int(until))), ("period_interval", str(minutes))]
