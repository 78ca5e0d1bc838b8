"""Kalshi's records of our account as typed values: orders, fills, positions, money, and what the account may do.

Prices, counts and money are integers, sides and prices those of the YES book, times unix seconds of the exchange's clock.
"""

from __future__ import annotations

import enum

import attrs

from chimera.conventions import Count, Money, Price, Side


class OrderStatus(enum.Enum):
    """Where an order stands. A partly filled order that is cancelled is CANCELED; UNKNOWN is the exchange's own word, or one not known."""

    RESTING = "resting"
    CANCELED = "canceled"
    EXECUTED = "executed"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> OrderStatus:
        return cls.UNKNOWN


@attrs.frozen(slots=True)
class KalshiOrder:
    """An order as the exchange lists it. `remaining` is what rests: 0 where it was cancelled. The list may lag an ack by half a second."""

    order_id: str
    client_id: str
    market: str
    side: Side
    price: Price
    status: OrderStatus
    initial: Count
    filled: Count
    remaining: Count
    exchange_index: int = 0
    subaccount: int = 0
    group_id: str = ""
    cancel_on_pause: bool = False
    expires_at: float | None = None
    created_at: float | None = None
    updated_at: float | None = None
    taker_cost: Money = 0
    maker_cost: Money = 0
    taker_fees: Money = 0
    maker_fees: Money = 0


@attrs.frozen(slots=True)
class KalshiFill:
    """One execution of one of our orders. The list names no client id; `fill_id` is that of the stream and of the public trade."""

    fill_id: str
    order_id: str
    market: str
    side: Side
    price: Price
    count: Count
    fee: Money
    is_taker: bool
    at: float
    exchange_index: int = 0
    subaccount: int = 0


@attrs.frozen(slots=True)
class KalshiPosition:
    """What is held in one market: `position` is positive for YES and negative for NO."""

    market: str
    position: Count
    exposure: Money
    realized: Money
    fees: Money
    traded: Money
    exchange_index: int = 0
    updated_at: float | None = None


@attrs.frozen(slots=True)
class EventPosition:
    """What is held in one event, over its markets."""

    event: str
    cost: Money
    shares: Count
    exposure: Money
    realized: Money
    fees: Money


@attrs.frozen(slots=True)
class Positions:
    """Everything held."""

    markets: tuple[KalshiPosition, ...]
    events: tuple[EventPosition, ...]


@attrs.frozen(slots=True)
class Settlement:
    """What one market paid. `value` is what one YES contract paid, None where it is not told. Kalshi gives it no id: `key` is one."""

    market: str
    event: str
    result: str
    yes_count: Count
    yes_cost: Money
    no_count: Count
    no_cost: Money
    revenue: Money
    fee: Money
    at: float
    value: Price | None = None
    exchange_index: int = 0

    @property
    def key(self) -> tuple[int, str, float]:
        return self.exchange_index, self.market, self.at


@attrs.frozen(slots=True)
class QueuePosition:
    """How many contracts stand before an order at its price."""

    order_id: str
    market: str
    ahead: Count


@attrs.frozen(slots=True)
class OrderGroup:
    """A group of orders on one shard, with the limit on what they may match in 15 seconds. `orders` is given for a single group only."""

    group_id: str
    auto_cancel: bool
    limit: Count | None = None
    exchange_index: int = 0
    orders: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class Balance:
    """Cash free to trade and the value of positions. `shards` is (exchange_index, cash) each: an order spends its shard's alone."""

    cash: Money
    portfolio_value: Money
    updated_at: float
    shards: tuple[tuple[int, Money], ...] = ()


@attrs.frozen(slots=True)
class AccountLimits:
    """Token buckets of the account: capacity in tokens, refill in tokens per second."""

    tier: str
    read_capacity: float
    read_refill: float
    write_capacity: float
    write_refill: float


@attrs.frozen(slots=True)
class EndpointCosts:
    """Tokens of the calls that do not cost `default`: (method, path with its prefix, tokens) each."""

    default: int
    costs: tuple[tuple[str, str, int], ...]


@attrs.frozen(slots=True)
class ApiKey:
    """One key of the account and what it may do; "write" stands for all "write::..." scopes."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    subaccount: int | None = None

    def may(self, scope: str) -> bool:
        """Whether it has a scope, or the one above it."""
        return scope in self.scopes or scope.partition("::")[0] in self.scopes


@attrs.frozen(slots=True)
class ApiKeys:
    """The account's keys. After `region_expires_at` none may trade sports, elections or entertainment; None: location never attested."""

    keys: tuple[ApiKey, ...]
    region_expires_at: float | None = None
