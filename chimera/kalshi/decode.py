"""REST documents about markets into the values of `schema.py`; `decode_history.py` and `decode_account.py` read the others.

The wire's own forms are private to this file: strings as sent, decoded by msgspec, fields that Kalshi adds ignored. A document
that is cut short, or whose field is missing or of another form, raises one of `UNREADABLE`; `rest.py` turns it into a
`VenueError` that names the call.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec

from chimera.kalshi.schema import (
    ExchangeStatus,
    KalshiEvent,
    KalshiMarket,
    KalshiSeries,
    OrderBook,
    ShardStatus,
    read_asks,
    read_bids,
    read_count,
    read_grid,
    read_price,
)

UNREADABLE = (msgspec.MsgspecError, ValueError)
"""What a document raises that does not mean what it should."""


def page(body: bytes, *fields: str) -> tuple[list[bytes], str]:
    """One page: what stands in the lists `fields`, each item not yet read, and the cursor of the next page or ""."""
    wire = _pages.decode(body)
    if absent := [field for field in fields if field not in wire]:
        raise ValueError(f"it has no {' and no '.join(absent)}")
    cursor = msgspec.json.decode(wire["cursor"], type=str | None) if "cursor" in wire else None
    lists = [msgspec.json.decode(wire[field], type=list[msgspec.Raw] | None) for field in fields]
    return [bytes(raw) for each in lists for raw in each or ()], cursor or ""


def market(body: bytes) -> KalshiMarket:
    """One market object of a page."""
    return _market(_markets.decode(body))


def single_market(body: bytes) -> KalshiMarket:
    """The answer of `/markets/{ticker}`."""
    return _market(_single_markets.decode(body).market)


def orderbook(body: bytes, ticker: str) -> OrderBook:
    """The answer of `/markets/{ticker}/orderbook`, which does not repeat the ticker."""
    return _book(ticker, _books.decode(body).orderbook_fp)


def orderbooks(body: bytes) -> tuple[OrderBook, ...]:
    """The answer of `/markets/orderbooks`."""
    return tuple(_book(book.ticker, book.orderbook_fp) for book in _book_lists.decode(body).orderbooks)


def series(body: bytes) -> KalshiSeries:
    """The answer of `/series/{ticker}`."""
    return _read_series(_single_series.decode(body).series)


def listed_series(body: bytes) -> KalshiSeries:
    """One series object of a list."""
    return _read_series(_series.decode(body))


def _read_series(wire: _Series) -> KalshiSeries:
    return KalshiSeries(
        ticker=wire.ticker,
        fee_type=wire.fee_type,
        fee_multiplier=wire.fee_multiplier,
        title=wire.title,
        frequency=wire.frequency,
        category=wire.category,
        tags=tuple(wire.tags or ()),
        contract_terms_url=wire.contract_terms_url,
        settlement_sources=tuple((source.name, source.url) for source in wire.settlement_sources or ()),
        exchange_index=wire.exchange_index,
    )


def event(body: bytes) -> KalshiEvent:
    """The answer of `/events/{ticker}`, whose markets stand inside the event or beside it."""
    answer = _single_events.decode(body)
    return _read_event(answer.event, answer.event.markets or answer.markets or ())


def listed_event(body: bytes) -> KalshiEvent:
    """One event object of a list, with its markets where they were asked for."""
    wire = _events.decode(body)
    return _read_event(wire, wire.markets or ())


def _read_event(wire: _Event, markets: Iterable[_Market]) -> KalshiEvent:
    return KalshiEvent(
        event_ticker=wire.event_ticker,
        series_ticker=wire.series_ticker,
        title=wire.title,
        sub_title=wire.sub_title,
        collateral_return_type=wire.collateral_return_type,
        mutually_exclusive=wire.mutually_exclusive,
        exchange_index=wire.exchange_index,
        fee_type_override=wire.fee_type_override,
        fee_multiplier_override=wire.fee_multiplier_override,
        strike_time=unix(wire.strike_date),
        strike_period=wire.strike_period or "",
        markets=tuple(_market(each) for each in markets),
    )


def exchange_status(body: bytes) -> ExchangeStatus:
    """The answer of `/exchange/status`."""
    wire = _statuses.decode(body)
    return ExchangeStatus(
        exchange_active=wire.exchange_active,
        trading_active=wire.trading_active,
        resumes_at=unix(wire.exchange_estimated_resume_time),
        shards=tuple(
            ShardStatus(shard.exchange_index, shard.exchange_active, shard.trading_active, shard.description)
            for shard in wire.exchange_index_statuses or ()
        ),
    )


def unix(time: dt.datetime | None) -> float | None:
    """Unix seconds; None where there is no time."""
    return None if time is None else instant(time)


def instant(time: dt.datetime) -> float:
    """Unix seconds; ValueError for a time that does not say where it is so late."""
    if time.tzinfo is None:
        raise ValueError(f"time {time.isoformat()} has no zone")
    return time.timestamp()


class _Wire(msgspec.Struct, gc=False):
    """Base of the wire's forms."""


class _Range(_Wire):
    start: str
    end: str
    step: str


class _Market(_Wire):
    ticker: str
    event_ticker: str
    status: str
    open_time: dt.datetime
    close_time: dt.datetime
    price_ranges: list[_Range]
    title: str = ""
    yes_sub_title: str = ""
    no_sub_title: str = ""
    market_type: str = "binary"
    rules_primary: str = ""
    rules_secondary: str = ""
    result: str = ""
    expiration_value: str = ""
    settlement_value_dollars: str | None = None
    settlement_timer_seconds: int = 0
    created_time: dt.datetime | None = None
    updated_time: dt.datetime | None = None
    expected_expiration_time: dt.datetime | None = None
    latest_expiration_time: dt.datetime | None = None
    occurrence_datetime: dt.datetime | None = None
    settlement_ts: dt.datetime | None = None
    fee_waiver_expiration_time: dt.datetime | None = None
    can_close_early: bool = False
    early_close_condition: str | None = None
    strike_type: str | None = None
    floor_strike: float | None = None
    cap_strike: float | None = None
    custom_strike: dict[str, msgspec.Raw] | None = None
    primary_participant_key: str | None = None
    exchange_index: int = 0
    price_level_structure: str = ""
    yes_bid_dollars: str = "0.0000"
    yes_ask_dollars: str = "1.0000"
    yes_bid_size_fp: str = "0.00"
    yes_ask_size_fp: str = "0.00"
    last_price_dollars: str = "0.0000"
    volume_fp: str = "0.00"
    volume_24h_fp: str = "0.00"
    open_interest_fp: str = "0.00"
    mve_collection_ticker: str | None = None
    is_provisional: bool = False


class _SingleMarket(_Wire):
    market: _Market


class _Levels(_Wire):
    # Older servers left an empty side out.
    yes_dollars: list[tuple[str, str]] | None = None
    no_dollars: list[tuple[str, str]] | None = None


class _Book(_Wire):
    orderbook_fp: _Levels = msgspec.field(default_factory=_Levels)
    ticker: str = ""


class _BookList(_Wire):
    orderbooks: list[_Book]


class _Source(_Wire):
    name: str = ""
    url: str = ""


class _Series(_Wire):
    ticker: str
    fee_type: str
    fee_multiplier: float
    title: str = ""
    frequency: str = ""
    category: str = ""
    tags: list[str] | None = None
    contract_terms_url: str = ""
    settlement_sources: list[_Source] | None = None
    exchange_index: int = 0


class _SingleSeries(_Wire):
    series: _Series


class _Event(_Wire):
    event_ticker: str
    series_ticker: str
    title: str = ""
    sub_title: str = ""
    collateral_return_type: str = ""
    mutually_exclusive: bool = False
    exchange_index: int = 0
    fee_type_override: str | None = None
    fee_multiplier_override: float | None = None
    strike_date: dt.datetime | None = None
    strike_period: str | None = None
    markets: list[_Market] | None = None


class _SingleEvent(_Wire):
    event: _Event
    markets: list[_Market] | None = None


class _ShardStatus(_Wire):
    exchange_index: int
    exchange_active: bool
    trading_active: bool
    description: str = ""


class _Status(_Wire):
    exchange_active: bool
    trading_active: bool
    exchange_estimated_resume_time: dt.datetime | None = None
    exchange_index_statuses: list[_ShardStatus] | None = None


_markets = msgspec.json.Decoder(_Market)
_single_markets = msgspec.json.Decoder(_SingleMarket)
_pages = msgspec.json.Decoder(dict[str, msgspec.Raw])
_books = msgspec.json.Decoder(_Book)
_book_lists = msgspec.json.Decoder(_BookList)
_series = msgspec.json.Decoder(_Series)
_single_series = msgspec.json.Decoder(_SingleSeries)
_events = msgspec.json.Decoder(_Event)
_single_events = msgspec.json.Decoder(_SingleEvent)
_statuses = msgspec.json.Decoder(_Status)


def _market(wire: _Market) -> KalshiMarket:
    return KalshiMarket(
        ticker=wire.ticker,
        event_ticker=wire.event_ticker,
        status=wire.status,
        open_time=instant(wire.open_time),
        close_time=instant(wire.close_time),
        price_ranges=read_grid((each.start, each.end, each.step) for each in wire.price_ranges),
        title=wire.title,
        yes_sub_title=wire.yes_sub_title,
        no_sub_title=wire.no_sub_title,
        market_type=wire.market_type,
        rules_primary=wire.rules_primary,
        rules_secondary=wire.rules_secondary,
        result=wire.result,
        expiration_value=wire.expiration_value,
        settlement_value=read_price(wire.settlement_value_dollars) if wire.settlement_value_dollars else None,
        settlement_timer_seconds=wire.settlement_timer_seconds,
        created_time=unix(wire.created_time),
        updated_time=unix(wire.updated_time),
        expected_expiration_time=unix(wire.expected_expiration_time),
        latest_expiration_time=unix(wire.latest_expiration_time),
        occurrence_time=unix(wire.occurrence_datetime),
        settlement_time=unix(wire.settlement_ts),
        fee_waiver_expiration_time=unix(wire.fee_waiver_expiration_time),
        can_close_early=wire.can_close_early,
        early_close_condition=wire.early_close_condition or "",
        strike_type=wire.strike_type or "",
        floor_strike=wire.floor_strike,
        cap_strike=wire.cap_strike,
        custom_strike=_strikes(wire.custom_strike),
        primary_participant_key=wire.primary_participant_key or "",
        exchange_index=wire.exchange_index,
        price_level_structure=wire.price_level_structure,
        yes_bid=read_price(wire.yes_bid_dollars),
        yes_ask=read_price(wire.yes_ask_dollars),
        yes_bid_size=read_count(wire.yes_bid_size_fp),
        yes_ask_size=read_count(wire.yes_ask_size_fp),
        last_price=read_price(wire.last_price_dollars),
        volume=read_count(wire.volume_fp),
        volume_24h=read_count(wire.volume_24h_fp),
        open_interest=read_count(wire.open_interest_fp),
        mve_collection_ticker=wire.mve_collection_ticker or "",
        is_provisional=wire.is_provisional,
    )


def _strikes(wire: dict[str, msgspec.Raw] | None) -> tuple[tuple[str, str], ...]:
    """Custom strikes as sorted pairs; a value that is no string stays as its JSON text."""
    pairs: Iterable[tuple[str, bytes]] = ((name, bytes(raw)) for name, raw in sorted((wire or {}).items()))
    return tuple((name, msgspec.json.decode(raw, type=str) if raw[:1] == b'"' else raw.decode()) for name, raw in pairs)


def _book(ticker: str, levels: _Levels) -> OrderBook:
    return OrderBook(ticker, read_bids(levels.yes_dollars or ()), read_asks(levels.no_dollars or (), yes_price=False))
