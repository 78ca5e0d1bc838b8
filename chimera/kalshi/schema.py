"""Kalshi's records of its markets as typed values, and the readers that turn its strings into integers.

Prices, counts and money are integers, times unix seconds, and NO-leg prices become YES prices here and nowhere else. `decode.py` reads
REST documents into these values and `frames.py` the frames of the WebSocket, both with the readers below; so a number of the NO
leg never gets past this file.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs

from chimera.conventions import ONE, Count, Price, Side, complement, format_price, parse_count, parse_price

Level: TypeAlias = tuple[Price, Count]
WireLevels: TypeAlias = Sequence[tuple[str, str]]

SIDES: Final[Mapping[str, Side]] = MappingProxyType({"bid": Side.BID, "ask": Side.ASK, "yes": Side.BID, "no": Side.ASK})
"""Kalshi's two vocabularies of direction: the side of the one book, and the outcome that is wished for."""

# A table of every price as Kalshi writes it is some thirty times faster than reading the digits.
_PRICES: dict[str, Price] = {format_price(price): price for price in range(ONE + 1)}

read_count = functools.lru_cache(maxsize=8192)(parse_count)
"""`parse_count`, remembering the sizes that come again and again."""


def read_price(dollars: str) -> Price:
    """A price in [0, ONE] from a dollar string; ValueError for any other."""
    price = _PRICES.get(dollars)
    if price is None:
        price = parse_price(dollars)
        if not 0 <= price <= ONE:
            raise ValueError(f"price {dollars!r} is outside 0 to 1 dollar")
    return price


def read_bids(levels: WireLevels) -> tuple[Level, ...]:
    """YES levels as bids, best (highest) first."""
    return tuple(sorted(((_inside(price), read_count(size)) for price, size in levels), reverse=True))


def read_asks(levels: WireLevels, *, yes_price: bool) -> tuple[Level, ...]:
    """NO levels as asks in YES space, best (lowest) first. `yes_price`: whether they were sent at YES prices already."""
    convert = _inside if yes_price else _mirrored
    return tuple(sorted((convert(price), read_count(size)) for price, size in levels))


def read_level_price(dollars: str, *, no_leg: bool) -> Price:
    """The price of one level in YES space. `no_leg`: whether it was sent as the price of the NO leg."""
    return _mirrored(dollars) if no_leg else _inside(dollars)


def _inside(dollars: str) -> Price:
    price = read_price(dollars)
    if not 0 < price < ONE:
        raise ValueError(f"no order can rest at {dollars!r}")
    return price


def _mirrored(dollars: str) -> Price:
    return complement(_inside(dollars))


def read_side(*directions: str | None) -> Side:
    """The side that the first of these names; ValueError where none does."""
    named = next((direction for direction in directions if direction), None)
    if named is None:
        raise ValueError("no field names the side")
    if named not in SIDES:
        raise ValueError(f"side {named!r} is neither bid, ask, yes nor no")
    return SIDES[named]


def read_grid(ranges: Iterable[tuple[str, str, str]]) -> tuple[tuple[Price, Price, Price], ...]:
    """`price_ranges`, (start, end, step) each; ValueError where they name no grid."""
    grid = tuple((read_price(start), read_price(end), read_price(step)) for start, end, step in ranges)
    if not grid or any(start >= end or step <= 0 for start, end, step in grid):
        raise ValueError(f"price_ranges {grid} name no grid")
    return grid


# What the client hands out


@attrs.frozen(slots=True)
class KalshiMarket:
    """One market as Kalshi describes it.

    `yes_bid` is 0 and `yes_ask` is ONE (or 0 before the market first opened) where nothing is quoted. `price_ranges` is
    (start, end, step) each and is the authority on valid prices. `status` is the response vocabulary (active, inactive, closed,
    determined, ...), `result` is "yes", "no", "scalar" or "". Times are unix seconds, None where Kalshi states none; in sports
    `close_time` is days after the game.
    """

    ticker: str
    event_ticker: str
    status: str
    open_time: float
    close_time: float
    price_ranges: tuple[tuple[Price, Price, Price], ...]
    title: str = ""
    yes_sub_title: str = ""
    no_sub_title: str = ""
    market_type: str = "binary"
    rules_primary: str = ""
    rules_secondary: str = ""
    result: str = ""
    expiration_value: str = ""
    settlement_value: Price | None = None
    settlement_timer_seconds: int = 0
    created_time: float | None = None
    updated_time: float | None = None
    expected_expiration_time: float | None = None
    latest_expiration_time: float | None = None
    occurrence_time: float | None = None
    settlement_time: float | None = None
    fee_waiver_expiration_time: float | None = None
    can_close_early: bool = False
    early_close_condition: str = ""
    strike_type: str = ""
    floor_strike: float | None = None
    cap_strike: float | None = None
    custom_strike: tuple[tuple[str, str], ...] = ()
    primary_participant_key: str = ""
    exchange_index: int = 0
    price_level_structure: str = ""
    yes_bid: Price = 0
    yes_ask: Price = ONE
    yes_bid_size: Count = 0
    yes_ask_size: Count = 0
    last_price: Price = 0
    volume: Count = 0
    volume_24h: Count = 0
    open_interest: Count = 0
    mve_collection_ticker: str = ""
    is_provisional: bool = False


@attrs.frozen(slots=True)
class KalshiSeries:
    """A series: what its events share. `fee_multiplier` scales the fee formula that `fee_type` names."""

    ticker: str
    fee_type: str
    fee_multiplier: float
    title: str = ""
    frequency: str = ""
    category: str = ""
    tags: tuple[str, ...] = ()
    contract_terms_url: str = ""
    settlement_sources: tuple[tuple[str, str], ...] = ()
    """(name, address) each."""
    exchange_index: int = 0


@attrs.frozen(slots=True)
class KalshiEvent:
    """An event and its markets. The overrides, where present, replace the series' fees."""

    event_ticker: str
    series_ticker: str
    title: str = ""
    sub_title: str = ""
    collateral_return_type: str = ""
    mutually_exclusive: bool = False
    exchange_index: int = 0
    fee_type_override: str | None = None
    fee_multiplier_override: float | None = None
    strike_time: float | None = None
    strike_period: str = ""
    markets: tuple[KalshiMarket, ...] = ()


@attrs.frozen(slots=True)
class OrderBook:
    """Both sides in YES space, (price, count) each, best first."""

    ticker: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@attrs.frozen(slots=True)
class ShardStatus:
    """One shard: `exchange_active` False blocks cancels too, `trading_active` False only places and amends."""

    exchange_index: int
    exchange_active: bool
    trading_active: bool
    description: str = ""


@attrs.frozen(slots=True)
class ExchangeStatus:
    """The exchange at large, which is shard 0, and each shard where the exchange says it."""

    exchange_active: bool
    trading_active: bool
    resumes_at: float | None = None
    shards: tuple[ShardStatus, ...] = ()

    def shard(self, index: int) -> ShardStatus:
        """The status of one shard; the exchange's own where it lists none of that index."""
        listed = (shard for shard in self.shards if shard.exchange_index == index)
        return next(listed, ShardStatus(index, self.exchange_active, self.trading_active))


@attrs.frozen(slots=True)
class Hours:
    """Hours of one weekday, minutes after midnight in New York; `close` 0 or 1440 is midnight at the day's end."""

    open: int
    close: int


@attrs.frozen(slots=True)
class Week:
    """Regular hours from `starts_at` to `ends_at` (unix seconds); `days` is Monday first."""

    starts_at: float
    ends_at: float
    days: tuple[tuple[Hours, ...], ...]


@attrs.frozen(slots=True)
class Schedule:
    """When the exchange trades. `maintenance` is (from, to) each, unix seconds."""

    weeks: tuple[Week, ...]
    maintenance: tuple[tuple[float, float], ...]

    def in_maintenance(self, at: float) -> bool:
        return any(start <= at < end for start, end in self.maintenance)


@attrs.frozen(slots=True)
class PublicTrade:
    """One public execution at a YES price. `block`: matched off the book."""

    trade_id: str
    ticker: str
    price: Price
    count: Count
    taker_side: Side
    at: float
    block: bool = False


@attrs.frozen(slots=True)
class Bar:
    """Open, low, high and close of one series of prices; None where there was none."""

    open: Price | None = None
    low: Price | None = None
    high: Price | None = None
    close: Price | None = None


@attrs.frozen(slots=True)
class Candle:
    """One period of a market, ending at `end` (unix seconds): its best YES quotes, the YES prices traded at, and how much."""

    end: float
    bid: Bar
    ask: Bar
    trades: Bar
    volume: Count
    open_interest: Count


@attrs.frozen(slots=True)
class SeriesFeeChange:
    """From `at` (unix seconds) on, a series charges so."""

    change_id: str
    series_ticker: str
    fee_type: str
    fee_multiplier: float
    at: float


@attrs.frozen(slots=True)
class EventFeeChange:
    """From `at` (unix seconds) on, an event charges so in place of what its series does; None: as its series does."""

    change_id: str
    event_ticker: str
    series_ticker: str
    fee_type: str | None
    fee_multiplier: float | None
    at: float
