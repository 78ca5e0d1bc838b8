"""REST documents about our account, and the answers to what we write, into the values of `schema_account.py` and `schema_account.py`."""

from __future__ import annotations

import datetime as dt

import msgspec

from chimera.conventions import CENT, CONTRACT, Money, cost, parse_count, parse_money
from chimera.kalshi.decode import instant, unix
from chimera.kalshi.schema import read_count, read_price, read_side
from chimera.kalshi.schema_account import (
    AccountLimits,
    ApiKey,
    ApiKeys,
    Balance,
    EndpointCosts,
    EventPosition,
    KalshiFill,
    KalshiOrder,
    KalshiPosition,
    OrderGroup,
    OrderStatus,
    QueuePosition,
    Settlement,
)


def balance(body: bytes) -> Balance:
    """The answer of `/portfolio/balance`. `balance` has lost its fractions of a cent: `balance_dollars` counts, where sent."""
    wire = _balances.decode(body)
    return Balance(
        cash=_from_cents(wire.balance) if wire.balance_dollars is None else parse_money(wire.balance_dollars),
        portfolio_value=_from_cents(wire.portfolio_value),
        updated_at=wire.updated_ts,
        shards=tuple((shard.exchange_index, parse_money(shard.balance)) for shard in wire.balance_breakdown or ()),
    )


def account_limits(body: bytes) -> AccountLimits:
    """The answer of `/account/limits`."""
    wire = _limits.decode(body)
    buckets = (wire.read.bucket_capacity, wire.read.refill_rate, wire.write.bucket_capacity, wire.write.refill_rate)
    if min(buckets) <= 0:
        raise ValueError(f"token buckets of {buckets} are not all above 0")
    return AccountLimits(wire.usage_tier, *buckets)


def endpoint_costs(body: bytes) -> EndpointCosts:
    """The answer of `/account/endpoint_costs`."""
    wire = _costs.decode(body)
    if wire.default_cost < 0 or any(each.cost < 0 for each in wire.endpoint_costs):
        raise ValueError("a call costs less than nothing")
    return EndpointCosts(wire.default_cost, tuple((each.method, each.path, each.cost) for each in wire.endpoint_costs))


def api_keys(body: bytes) -> ApiKeys:
    """The answer of `/api_keys`."""
    wire = _keys.decode(body)
    keys = tuple(ApiKey(each.api_key_id, each.name, tuple(each.scopes or ()), each.subaccount) for each in wire.api_keys or ())
    return ApiKeys(keys, wire.api_key_region_expiration_ts)


def single_order(body: bytes) -> KalshiOrder:
    """The answer of `/portfolio/orders/{id}`."""
    return _order(_single_orders.decode(body).order)


def order(body: bytes) -> KalshiOrder:
    """One order object of a page."""
    return _order(_orders.decode(body))


def fill(body: bytes) -> KalshiFill:
    """One fill object of a page."""
    wire = _fills.decode(body)
    at = wire.ts if wire.created_time is None else instant(wire.created_time)
    if at is None:
        raise ValueError("a fill says not when it was")
    return KalshiFill(
        fill_id=wire.fill_id,
        order_id=wire.order_id,
        market=wire.ticker or wire.market_ticker,
        side=read_side(wire.book_side, wire.outcome_side),
        price=read_price(wire.yes_price_dollars),
        count=read_count(wire.count_fp),
        fee=parse_money(wire.fee_cost),
        is_taker=wire.is_taker,
        at=at,
        exchange_index=wire.exchange_index,
        subaccount=wire.subaccount_number or 0,
    )


def position(body: bytes) -> KalshiPosition | EventPosition:
    """One position of a page: of a market, or of an event."""
    if not _kinds.decode(body).event_ticker:
        wire = _market_positions.decode(body)
        return KalshiPosition(
            market=wire.ticker,
            position=parse_count(wire.position_fp),
            exposure=parse_money(wire.market_exposure_dollars),
            realized=parse_money(wire.realized_pnl_dollars),
            fees=parse_money(wire.fees_paid_dollars),
            traded=parse_money(wire.total_traded_dollars),
            exchange_index=wire.exchange_index,
            updated_at=unix(wire.last_updated_ts),
        )
    event = _event_positions.decode(body)
    return EventPosition(
        event=event.event_ticker,
        cost=parse_money(event.total_cost_dollars),
        shares=parse_count(event.total_cost_shares_fp),
        exposure=parse_money(event.event_exposure_dollars),
        realized=parse_money(event.realized_pnl_dollars),
        fees=parse_money(event.fees_paid_dollars),
    )


def settlement(body: bytes) -> Settlement:
    """One settlement of a page; `revenue` and `value` come in whole cents."""
    wire = _settlements.decode(body)
    return Settlement(
        market=wire.ticker,
        event=wire.event_ticker,
        result=wire.market_result,
        yes_count=read_count(wire.yes_count_fp),
        yes_cost=parse_money(wire.yes_total_cost_dollars),
        no_count=read_count(wire.no_count_fp),
        no_cost=parse_money(wire.no_total_cost_dollars),
        revenue=_from_cents(wire.revenue),
        fee=parse_money(wire.fee_cost),
        at=instant(wire.settled_time),
        value=None if wire.value is None else wire.value * CENT,
        exchange_index=wire.exchange_index,
    )


def queue_positions(body: bytes) -> tuple[QueuePosition, ...]:
    """The answer of `/portfolio/orders/queue_positions`."""
    wires = _queues.decode(body).queue_positions or ()
    return tuple(QueuePosition(each.order_id, each.market_ticker, parse_count(each.queue_position_fp)) for each in wires)


def queue_position(body: bytes) -> int:
    """The answer of `/portfolio/orders/{id}/queue_position`: a count."""
    return parse_count(_queue.decode(body).queue_position_fp)


def groups(body: bytes) -> tuple[OrderGroup, ...]:
    """The answer of `/portfolio/order_groups`."""
    return tuple(_read_group(each, each.id) for each in _group_lists.decode(body).order_groups or ())


def group(body: bytes, group_id: str) -> OrderGroup:
    """The answer of `/portfolio/order_groups/{id}`, which does not repeat the id."""
    return _read_group(_groups.decode(body), group_id)


class _Form(msgspec.Struct, gc=False):
    """Base of the wire's forms."""


class _Shard(_Form):
    exchange_index: int
    balance: str


class _Balance(_Form):
    balance: int
    portfolio_value: int
    updated_ts: int
    balance_dollars: str | None = None
    balance_breakdown: list[_Shard] | None = None


class _Bucket(_Form):
    refill_rate: float
    bucket_capacity: float


class _Limits(_Form):
    usage_tier: str
    read: _Bucket
    write: _Bucket


class _Cost(_Form):
    method: str
    path: str
    cost: int


class _Costs(_Form):
    default_cost: int
    endpoint_costs: list[_Cost]


class _Key(_Form):
    api_key_id: str
    name: str = ""
    scopes: list[str] | None = None
    subaccount: int | None = None


class _Keys(_Form):
    api_keys: list[_Key] | None
    api_key_region_expiration_ts: int | None = None


class _Order(_Form):
    order_id: str
    ticker: str
    status: str
    yes_price_dollars: str
    initial_count_fp: str
    fill_count_fp: str
    remaining_count_fp: str
    book_side: str | None = None
    outcome_side: str | None = None
    client_order_id: str | None = None
    taker_fill_cost_dollars: str = "0"
    maker_fill_cost_dollars: str = "0"
    taker_fees_dollars: str = "0"
    maker_fees_dollars: str = "0"
    created_time: dt.datetime | None = None
    last_update_time: dt.datetime | None = None
    expiration_time: dt.datetime | None = None
    order_group_id: str | None = None
    cancel_order_on_pause: bool | None = None
    subaccount_number: int | None = None
    exchange_index: int = 0


class _SingleOrder(_Form):
    order: _Order


class _Fill(_Form):
    fill_id: str
    order_id: str
    yes_price_dollars: str
    count_fp: str
    fee_cost: str
    is_taker: bool
    ticker: str = ""
    market_ticker: str = ""
    book_side: str | None = None
    outcome_side: str | None = None
    created_time: dt.datetime | None = None
    ts: int | None = None
    subaccount_number: int | None = None
    exchange_index: int = 0


class _PositionKind(_Form):
    """Only the position of an event names one."""

    event_ticker: str = ""


class _MarketPosition(_Form):
    ticker: str
    position_fp: str
    market_exposure_dollars: str
    realized_pnl_dollars: str
    fees_paid_dollars: str
    total_traded_dollars: str
    last_updated_ts: dt.datetime | None = None
    exchange_index: int = 0


class _EventPosition(_Form):
    event_ticker: str
    total_cost_dollars: str
    total_cost_shares_fp: str
    event_exposure_dollars: str
    realized_pnl_dollars: str
    fees_paid_dollars: str


class _Settlement(_Form):
    ticker: str
    event_ticker: str
    market_result: str
    yes_count_fp: str
    yes_total_cost_dollars: str
    no_count_fp: str
    no_total_cost_dollars: str
    revenue: int
    settled_time: dt.datetime
    fee_cost: str
    value: int | None = None
    exchange_index: int = 0


class _Queue(_Form):
    queue_position_fp: str


class _QueueItem(_Queue):
    order_id: str = ""
    market_ticker: str = ""


class _Queues(_Form):
    queue_positions: list[_QueueItem] | None


class _Group(_Form):
    is_auto_cancel_enabled: bool
    contracts_limit_fp: str | None = None
    orders: list[str] | None = None
    exchange_index: int = 0
    id: str = ""


class _Groups(_Form):
    order_groups: list[_Group] | None = None


_balances = msgspec.json.Decoder(_Balance)
_limits = msgspec.json.Decoder(_Limits)
_costs = msgspec.json.Decoder(_Costs)
_keys = msgspec.json.Decoder(_Keys)
_orders = msgspec.json.Decoder(_Order)
_single_orders = msgspec.json.Decoder(_SingleOrder)
_fills = msgspec.json.Decoder(_Fill)
_event_positions = msgspec.json.Decoder(_EventPosition)
_market_positions = msgspec.json.Decoder(_MarketPosition)
_kinds = msgspec.json.Decoder(_PositionKind)
_settlements = msgspec.json.Decoder(_Settlement)
_queue = msgspec.json.Decoder(_Queue)
_queues = msgspec.json.Decoder(_Queues)
_groups = msgspec.json.Decoder(_Group)
_group_lists = msgspec.json.Decoder(_Groups)


def _from_cents(amount: int) -> Money:
    return amount * cost(CENT, CONTRACT)


def _order(wire: _Order) -> KalshiOrder:
    return KalshiOrder(
        order_id=wire.order_id,
        client_id=wire.client_order_id or "",
        market=wire.ticker,
        side=read_side(wire.book_side, wire.outcome_side),
        price=read_price(wire.yes_price_dollars),
        status=OrderStatus(wire.status),
        initial=read_count(wire.initial_count_fp),
        filled=read_count(wire.fill_count_fp),
        remaining=read_count(wire.remaining_count_fp),
        exchange_index=wire.exchange_index,
        subaccount=wire.subaccount_number or 0,
        group_id=wire.order_group_id or "",
        cancel_on_pause=bool(wire.cancel_order_on_pause),
        expires_at=unix(wire.expiration_time),
        created_at=unix(wire.created_time),
        updated_at=unix(wire.last_update_time),
        taker_cost=parse_money(wire.taker_fill_cost_dollars),
        maker_cost=parse_money(wire.maker_fill_cost_dollars),
        taker_fees=parse_money(wire.taker_fees_dollars),
        maker_fees=parse_money(wire.maker_fees_dollars),
    )


def _read_group(wire: _Group, group_id: str) -> OrderGroup:
    if not group_id:
        raise ValueError("a group has no id")
    limit = None if wire.contracts_limit_fp is None else parse_count(wire.contracts_limit_fp)
    return OrderGroup(group_id, wire.is_auto_cancel_enabled, limit, wire.exchange_index, tuple(wire.orders or ()))
