"""REST documents about what has traded, what is scheduled, and what will be charged, into the values of `schema.py`."""

from __future__ import annotations

import datetime as dt

import msgspec

from chimera.kalshi.decode import instant
from chimera.kalshi.schema import (
    Bar,
    Candle,
    EventFeeChange,
    Hours,
    PublicTrade,
    Schedule,
    SeriesFeeChange,
    Week,
    read_count,
    read_price,
    read_side,
)


def trade(body: bytes) -> PublicTrade:
    """One trade object of a page of `/markets/trades`."""
    wire = _trades.decode(body)
    return PublicTrade(
        trade_id=wire.trade_id,
        ticker=wire.ticker,
        price=read_price(wire.yes_price_dollars),
        count=read_count(wire.count_fp),
        taker_side=read_side(wire.taker_book_side, wire.taker_outcome_side, wire.taker_side),
        at=instant(wire.created_time),
        block=wire.is_block_trade,
    )


def candles(body: bytes) -> tuple[Candle, ...]:
    """The answer of `/series/{s}/markets/{t}/candlesticks`."""
    return tuple(_candle(each) for each in _candles.decode(body).candlesticks)


def candle_lists(body: bytes) -> dict[str, tuple[Candle, ...]]:
    """The answer of `/markets/candlesticks`, by market."""
    lists = _candle_lists.decode(body).markets
    return {each.market_ticker: tuple(_candle(candle) for candle in each.candlesticks) for each in lists}


def series_fee_changes(body: bytes) -> tuple[SeriesFeeChange, ...]:
    """The answer of `/series/fee_changes`."""
    return tuple(
        SeriesFeeChange(each.id, each.series_ticker, each.fee_type, each.fee_multiplier, instant(each.scheduled_ts))
        for each in _series_changes.decode(body).series_fee_change_arr or ()
    )


def event_fee_change(body: bytes) -> EventFeeChange:
    """One object of a page of `/events/fee_changes`."""
    wire = _event_changes.decode(body)
    return EventFeeChange(
        change_id=wire.id,
        event_ticker=wire.event_ticker,
        series_ticker=wire.series_ticker,
        fee_type=wire.fee_type_override,
        fee_multiplier=wire.fee_multiplier_override,
        at=instant(wire.scheduled_ts),
    )


def schedule(body: bytes) -> Schedule:
    """The answer of `/exchange/schedule`."""
    wire = _schedules.decode(body).schedule
    return Schedule(
        weeks=tuple(_week(each) for each in wire.standard_hours or ()),
        maintenance=tuple((instant(each.start_datetime), instant(each.end_datetime)) for each in wire.maintenance_windows or ()),
    )


def user_data_timestamp(body: bytes) -> float:
    """The answer of `/exchange/user_data_timestamp`: unix seconds."""
    return instant(_as_of.decode(body).as_of_time)


class _Form(msgspec.Struct, gc=False):
    """Base of the wire's forms."""


class _Trade(_Form):
    trade_id: str
    ticker: str
    yes_price_dollars: str
    count_fp: str
    created_time: dt.datetime
    taker_book_side: str | None = None
    taker_outcome_side: str | None = None
    taker_side: str | None = None
    is_block_trade: bool = False


class _Bar(_Form):
    open_dollars: str | None = None
    low_dollars: str | None = None
    high_dollars: str | None = None
    close_dollars: str | None = None


class _Candle(_Form):
    end_period_ts: int
    yes_bid: _Bar
    yes_ask: _Bar
    price: _Bar
    volume_fp: str = "0.00"
    open_interest_fp: str = "0.00"


class _Candles(_Form):
    candlesticks: list[_Candle]


class _MarketCandles(_Form):
    market_ticker: str
    candlesticks: list[_Candle]


class _CandleLists(_Form):
    markets: list[_MarketCandles]


class _SeriesChange(_Form):
    id: str
    series_ticker: str
    fee_type: str
    fee_multiplier: float
    scheduled_ts: dt.datetime


class _SeriesChanges(_Form):
    series_fee_change_arr: list[_SeriesChange] | None


class _EventChange(_Form):
    id: str
    event_ticker: str
    series_ticker: str
    scheduled_ts: dt.datetime
    fee_type_override: str | None = None
    fee_multiplier_override: float | None = None


class _Hours(_Form):
    open_time: str
    close_time: str


class _Week(_Form):
    start_time: dt.datetime
    end_time: dt.datetime
    monday: list[_Hours] | None = None
    tuesday: list[_Hours] | None = None
    wednesday: list[_Hours] | None = None
    thursday: list[_Hours] | None = None
    friday: list[_Hours] | None = None
    saturday: list[_Hours] | None = None
    sunday: list[_Hours] | None = None


class _Window(_Form):
    start_datetime: dt.datetime
    end_datetime: dt.datetime


class _ScheduleBody(_Form):
    standard_hours: list[_Week] | None = None
    maintenance_windows: list[_Window] | None = None


class _Schedule(_Form):
    schedule: _ScheduleBody


class _AsOf(_Form):
    as_of_time: dt.datetime


_trades = msgspec.json.Decoder(_Trade)
_candles = msgspec.json.Decoder(_Candles)
_candle_lists = msgspec.json.Decoder(_CandleLists)
_series_changes = msgspec.json.Decoder(_SeriesChanges)
_event_changes = msgspec.json.Decoder(_EventChange)
_schedules = msgspec.json.Decoder(_Schedule)
_as_of = msgspec.json.Decoder(_AsOf)


def _candle(wire: _Candle) -> Candle:
    return Candle(
        end=float(wire.end_period_ts),
        bid=_bar(wire.yes_bid),
        ask=_bar(wire.yes_ask),
        trades=_bar(wire.price),
        volume=read_count(wire.volume_fp),
        open_interest=read_count(wire.open_interest_fp),
    )


def _bar(wire: _Bar) -> Bar:
    told = (wire.open_dollars, wire.low_dollars, wire.high_dollars, wire.close_dollars)
    return Bar(*(read_price(each) if each else None for each in told))


def _week(wire: _Week) -> Week:
    days = (wire.monday, wire.tuesday, wire.wednesday, wire.thursday, wire.friday, wire.saturday, wire.sunday)
    hours = tuple(tuple(Hours(_minutes(each.open_time), _minutes(each.close_time)) for each in day or ()) for day in days)
    return Week(instant(wire.start_time), instant(wire.end_time), hours)


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    if not (hours.isdigit() and minutes[:2].isdigit() and int(hours) <= 24 and int(minutes[:2]) < 60):
        raise ValueError(f"{clock!r} is no time of day")
    return int(hours) * 60 + int(minutes[:2])
