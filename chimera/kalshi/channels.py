"""The frames of Kalshi's other channels into notices: which channel each frame belongs to, and one reader for each.

A reader raises ValueError for a frame that does not mean what it should. Price 0 or 1 on a ticker is no quote; a quote of no size is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from chimera.conventions import ONE, Price, parse_count, parse_money
from chimera.kalshi import frames
from chimera.kalshi.notices import (
    EventFees,
    EventLife,
    GroupChange,
    IndexAverage,
    IndexPrice,
    IndexValue,
    MarketLife,
    Notice,
    OwnFill,
    OwnOrder,
    OwnPosition,
    Ticker,
)
from chimera.kalshi.schema import read_count, read_grid, read_price, read_side
from chimera.kalshi.schema_account import OrderStatus

BOOK: Final = "orderbook_delta"
TRADES: Final = "trade"
TICKER: Final = "ticker"
FILLS: Final = "fill"
ORDERS: Final = "user_orders"
POSITIONS: Final = "market_positions"
LIFECYCLE: Final = "market_lifecycle_v2"
GROUPS: Final = "order_group_updates"
INDEX: Final = "cfbenchmarks_value"

PRIVATE: Final = frozenset({FILLS, ORDERS, POSITIONS, GROUPS})
"""Channels about our own account: nothing of theirs is ever passed over in silence."""

CHANNELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ticker": TICKER,
        "fill": FILLS,
        "user_order": ORDERS,
        "market_position": POSITIONS,
        "market_lifecycle_v2": LIFECYCLE,
        "event_lifecycle": LIFECYCLE,
        "event_fee_update": LIFECYCLE,
        "order_group_updates": GROUPS,
        "cfbenchmarks_value": INDEX,
    }
)
"""The channel of each type of frame that becomes a notice."""

UNSEQUENCED: Final = frozenset({"ticker", "fill", "user_order", "market_position"})


def notice(frame: frames.NoticeFrame) -> Notice:
    """What a frame says; ValueError where it says nothing that can be meant."""
    return _READERS[type(frame)](frame.msg)


def market_of(frame: frames.AnyFrame) -> str:
    """The market a frame is about, "" where it is about none."""
    if isinstance(frame, frames.OrderFrame):
        return frame.msg.ticker
    return str(getattr(getattr(frame, "msg", None), "market_ticker", ""))


def _ticker(body: frames.TickerBody) -> Ticker:
    bid_size, ask_size = read_count(body.yes_bid_size_fp), read_count(body.yes_ask_size_fp)
    bid, ask = _quote(body.yes_bid_dollars, bid_size), _quote(body.yes_ask_dollars, ask_size)
    return Ticker(
        market=body.market_ticker,
        bid=bid,
        bid_size=0 if bid is None else bid_size,
        ask=ask,
        ask_size=0 if ask is None else ask_size,
        last=_inside(body.price_dollars),
        volume=parse_count(body.volume_fp),
        open_interest=parse_count(body.open_interest_fp),
        ts_ms=body.ts_ms,
    )


def _fill(body: frames.FillBody) -> OwnFill:
    return OwnFill(
        fill_id=body.trade_id,
        order_id=body.order_id,
        client_id=body.client_order_id or "",
        market=body.market_ticker,
        side=read_side(body.book_side, body.outcome_side),
        price=read_price(body.yes_price_dollars),
        count=read_count(body.count_fp),
        fee=parse_money(body.fee_cost),
        is_taker=body.is_taker,
        position=None if body.post_position_fp is None else parse_count(body.post_position_fp),
        exchange_index=body.exchange_index,
        ts_ms=body.ts_ms,
        subaccount=body.subaccount or 0,
    )


def _order(body: frames.OrderBody) -> OwnOrder:
    return OwnOrder(
        order_id=body.order_id,
        client_id=body.client_order_id or "",
        market=body.ticker,
        side=read_side(body.book_side, body.outcome_side),
        price=read_price(body.yes_price_dollars),
        status=OrderStatus(body.status),
        initial=read_count(body.initial_count_fp),
        filled=read_count(body.fill_count_fp),
        remaining=read_count(body.remaining_count_fp),
        reason=body.last_update_reason or "",
        group_id=body.order_group_id or "",
        exchange_index=body.exchange_index,
        taker_cost=parse_money(body.taker_fill_cost_dollars),
        maker_cost=parse_money(body.maker_fill_cost_dollars),
        taker_fees=parse_money(body.taker_fees_dollars),
        maker_fees=parse_money(body.maker_fees_dollars),
        created_ms=body.created_ts_ms or 0,
        updated_ms=body.last_updated_ts_ms or body.created_ts_ms or 0,
        expires_ms=body.expiration_ts_ms or 0,
        subaccount=body.subaccount_number or 0,
    )


def _position(body: frames.PositionBody) -> OwnPosition:
    return OwnPosition(
        market=body.market_ticker,
        position=parse_count(body.position_fp),
        cost=parse_money(body.position_cost_dollars),
        realized=parse_money(body.realized_pnl_dollars),
        fees=parse_money(body.fees_paid_dollars),
        volume=parse_count(body.volume_fp),
        subaccount=body.subaccount or 0,
    )


def _life(body: frames.LifeBody) -> MarketLife:
    more = body.additional_metadata or frames.Metadata()
    ranges = read_grid((each.start, each.end, each.step) for each in body.price_ranges) if body.price_ranges else None
    return MarketLife(
        market=body.market_ticker,
        kind=body.event_type,
        exchange_index=body.exchange_index,
        open_at=body.open_ts,
        close_at=body.close_ts,
        determined_at=body.determination_ts,
        settled_at=body.settled_ts,
        result=body.result,
        settlement_value=read_price(body.settlement_value) if body.settlement_value else None,
        deactivated=body.is_deactivated,
        price_ranges=ranges,
        event=more.event_ticker,
        expected_expiration_at=more.expected_expiration_ts,
    )


def _event(body: frames.EventBody) -> EventLife:
    return EventLife(
        body.event_ticker, body.series_ticker, body.exchange_index, body.title, body.subtitle, body.collateral_return_type
    )


def _fees(body: frames.FeeBody) -> EventFees:
    return EventFees(body.event_ticker, body.fee_type_override, body.fee_multiplier_override)


def _group(body: frames.GroupBody) -> GroupChange:
    limit = None if body.contracts_limit_fp is None else parse_count(body.contracts_limit_fp)
    return GroupChange(body.order_group_id, body.event_type, limit, body.ts_ms)


def _index(body: frames.IndexBody) -> IndexValue:
    tick = frames.decode_tick(body.data)
    quarter = body.last_60s_windowed_average_15min
    return IndexValue(
        index_id=body.index_id,
        value=_index_price(tick.value),
        source_ms=tick.time,
        received_ms=body.received_at,
        trailing=_average(body.avg_60s_data),
        quarter=None if quarter is None else _average(quarter),
    )


def _average(body: frames.Average) -> IndexAverage:
    return IndexAverage(_index_price(body.value), body.window_size, body.window_start_ts_ms, body.window_end_ts_exclusive)


def _index_price(text: str) -> IndexPrice:
    whole, _, fraction = text.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (fraction and not (fraction.isascii() and fraction.isdigit())) or len(fraction) > 8:
        raise ValueError(f"index value {text!r} is no plain decimal of at most 8 places")
    return int(whole + fraction.ljust(8, "0"))


def _quote(dollars: str, size: int) -> Price | None:
    return _inside(dollars) if size else None


def _inside(dollars: str) -> Price | None:
    price = read_price(dollars)
    return price if 0 < price < ONE else None


_READERS: Final[Mapping[type, Callable[[Any], Notice]]] = MappingProxyType(
    {
        frames.TickerFrame: _ticker,
        frames.FillFrame: _fill,
        frames.OrderFrame: _order,
        frames.PositionFrame: _position,
        frames.LifeFrame: _life,
        frames.EventFrame: _event,
        frames.FeeFrame: _fees,
        frames.GroupFrame: _group,
        frames.IndexFrame: _index,
    }
)
