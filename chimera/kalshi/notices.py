"""What Kalshi's other channels say: tickers, our own orders, fills and positions, the lives of markets, groups, and reference indices.

Values in YES space, prices, counts and money as integers, `*_ms` unix milliseconds of the exchange's clock, other times unix seconds.
The private ones carry no sequence number except groups: nothing but a REST list proves that none was lost.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from chimera.conventions import Count, Money, Price, Side
from chimera.kalshi.schema_account import OrderStatus

IndexPrice: TypeAlias = int
"""A reference price, 1e-8 $: as fine as CF Benchmarks writes it."""


@attrs.frozen(slots=True)
class Notice:
    """Base of them all: what a stream says beside books and trades."""


@attrs.frozen(slots=True)
class Ticker(Notice):
    """The best of a market's book as the exchange sums it up, and its totals. No sequence; None where nobody quotes or nothing traded."""

    market: str
    bid: Price | None
    bid_size: Count
    ask: Price | None
    ask_size: Count
    last: Price | None
    volume: Count
    open_interest: Count
    ts_ms: int = 0


@attrs.frozen(slots=True)
class OwnFill(Notice):
    """An execution of one of our orders. `position` is what is held in the market after it, authoritative in the order of fills.

    `client_id` is "" where the exchange sends none. The public trade of the same id comes before it or after.
    """

    fill_id: str
    order_id: str
    client_id: str
    market: str
    side: Side
    price: Price
    count: Count
    fee: Money
    is_taker: bool
    position: Count | None
    exchange_index: int = 0
    ts_ms: int = 0
    subaccount: int = 0


@attrs.frozen(slots=True)
class OwnOrder(Notice):
    """What one of our orders has become. `reason` is the exchange's word for the last change ("Trade", "ExpiryCancel", ...), or ""."""

    order_id: str
    client_id: str
    market: str
    side: Side
    price: Price
    status: OrderStatus
    initial: Count
    filled: Count
    remaining: Count
    reason: str = ""
    group_id: str = ""
    exchange_index: int = 0
    taker_cost: Money = 0
    maker_cost: Money = 0
    taker_fees: Money = 0
    maker_fees: Money = 0
    created_ms: int = 0
    updated_ms: int = 0
    expires_ms: int = 0
    """0 where it does not expire."""
    subaccount: int = 0


@attrs.frozen(slots=True)
class OwnPosition(Notice):
    """What is held in one market, positive for YES. It may lag behind fills: a newer `OwnFill.position` counts more."""

    market: str
    position: Count
    cost: Money
    realized: Money
    fees: Money
    volume: Count
    subaccount: int = 0


@attrs.frozen(slots=True)
class MarketLife(Notice):
    """A step in a market's life.

    `kind` is the exchange's word: created, activated, deactivated, close_date_updated, determined, settled, price_level_structure_updated,
    metadata_updated, or one not known yet. The rest is None where the step does not tell it. There is no word for the opening of a market
    or the coming of its close: those are a matter of the clock.
    """

    market: str
    kind: str
    exchange_index: int | None = None
    open_at: float | None = None
    close_at: float | None = None
    determined_at: float | None = None
    settled_at: float | None = None
    result: str | None = None
    settlement_value: Price | None = None
    deactivated: bool | None = None
    price_ranges: tuple[tuple[Price, Price, Price], ...] | None = None
    event: str | None = None
    expected_expiration_at: float | None = None


@attrs.frozen(slots=True)
class EventLife(Notice):
    """An event was created or changed."""

    event: str
    series: str
    exchange_index: int
    title: str = ""
    subtitle: str = ""
    collateral_return_type: str = ""


@attrs.frozen(slots=True)
class EventFees(Notice):
    """From now on an event charges so; None: as its series does."""

    event: str
    fee_type: str | None
    fee_multiplier: float | None


@attrs.frozen(slots=True)
class GroupChange(Notice):
    """What became of an order group. `kind`: created, triggered, reset, deleted, limit_updated; `limit` where it tells one."""

    group_id: str
    kind: str
    limit: Count | None
    ts_ms: int


@attrs.frozen(slots=True)
class IndexAverage:
    """The mean of `ticks` values from `start_ms` up to `end_ms`; which ends belong to it is told where it is used."""

    value: IndexPrice
    ticks: int
    start_ms: int
    end_ms: int


@attrs.frozen(slots=True)
class IndexValue(Notice):
    """One tick of a CF Benchmarks index, about one a second.

    `trailing` is the mean over [tick - 60 s, tick); `quarter`, told in the last minute of each quarter hour alone, that over
    (close - 60 s, close] as far as it has come.
    """

    index_id: str
    value: IndexPrice
    source_ms: int
    received_ms: int
    trailing: IndexAverage
    quarter: IndexAverage | None = None
