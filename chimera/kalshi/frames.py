"""Frames of Kalshi's WebSocket, as sent.

One decoder for every frame type, a union tagged by `type`, made once. Only the fields the stream needs are read; the rest is
skipped by the decoder, which is why a delta costs half a microsecond. A frame of a type not listed here is read as its `Envelope`.
Amounts stay strings: `stream.py` and `channels.py` read them.
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec


class _Form(msgspec.Struct, gc=False):
    """Base of the bodies."""


class _Frame(msgspec.Struct, gc=False, kw_only=True, tag_field="type"):
    """Base of the frames. `sid`, `seq` and `sending_ts_ms` (when the exchange sent it) are 0 where the frame carries none."""

    sid: int = 0
    seq: int = 0
    sending_ts_ms: int = 0


class _Sequenced(msgspec.Struct, gc=False, kw_only=True, tag_field="type"):
    """Base of the frames that mean nothing without their place in the sequence."""

    sid: int
    seq: Annotated[int, msgspec.Meta(ge=1)]
    sending_ts_ms: int = 0


class Channel(_Form):
    channel: str
    sid: int


class SubscribedFrame(_Frame, tag="subscribed"):
    """One channel of a `subscribe` command is on."""

    msg: Channel
    id: int = 0


class OkFrame(_Frame, tag="ok"):
    """A command was carried out."""

    id: int = 0


class UnsubscribedFrame(_Frame, tag="unsubscribed"):
    """A subscription has ended."""

    id: int = 0


class Fault(_Form):
    code: int = 0
    msg: str = ""


class ErrorFrame(_Frame, tag="error"):
    """A command failed, or, without an `id`, a subscription did."""

    msg: Fault = msgspec.field(default_factory=Fault)
    id: int = 0


class BookBody(_Form):
    """`clock` is 0 where the exchange sends none. A side that is empty is left out."""

    market_ticker: str
    clock: int = 0
    yes_dollars_fp: list[tuple[str, str]] | None = None
    no_dollars_fp: list[tuple[str, str]] | None = None


class SnapshotFrame(_Sequenced, tag="orderbook_snapshot"):
    msg: BookBody


class ChangeBody(_Form):
    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: Literal["yes", "no"]
    clock: int = 0
    ts_ms: int = 0


class DeltaFrame(_Sequenced, tag="orderbook_delta"):
    msg: ChangeBody


class TradeBody(_Form):
    """The taker's direction is sent in three vocabularies, of which the first is the one that stays."""

    trade_id: str
    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    taker_book_side: Literal["bid", "ask"] | None = None
    taker_outcome_side: Literal["yes", "no"] | None = None
    taker_side: Literal["yes", "no"] | None = None
    ts_ms: int = 0
    is_block_trade: bool = False


class TradeFrame(_Sequenced, tag="trade"):
    msg: TradeBody


class TickerBody(_Form):
    market_ticker: str
    yes_bid_dollars: str
    yes_ask_dollars: str
    price_dollars: str = "0"
    yes_bid_size_fp: str = "0"
    yes_ask_size_fp: str = "0"
    volume_fp: str = "0"
    open_interest_fp: str = "0"
    ts_ms: int = 0


class TickerFrame(_Frame, tag="ticker"):
    msg: TickerBody


class FillBody(_Form):
    trade_id: str
    order_id: str
    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    fee_cost: str
    is_taker: bool
    client_order_id: str | None = None
    book_side: str | None = None
    outcome_side: str | None = None
    post_position_fp: str | None = None
    exchange_index: int = 0
    subaccount: int | None = None
    ts_ms: int = 0


class FillFrame(_Frame, tag="fill"):
    msg: FillBody


class OrderBody(_Form):
    order_id: str
    ticker: str
    status: str
    yes_price_dollars: str
    initial_count_fp: str
    fill_count_fp: str
    remaining_count_fp: str
    client_order_id: str | None = None
    book_side: str | None = None
    outcome_side: str | None = None
    exchange_index: int = 0
    taker_fill_cost_dollars: str = "0"
    maker_fill_cost_dollars: str = "0"
    taker_fees_dollars: str = "0"
    maker_fees_dollars: str = "0"
    order_group_id: str | None = None
    last_update_reason: str | None = None
    created_ts_ms: int | None = None
    last_updated_ts_ms: int | None = None
    expiration_ts_ms: int | None = None
    subaccount_number: int | None = None


class OrderFrame(_Frame, tag="user_order"):
    msg: OrderBody


class PositionBody(_Form):
    market_ticker: str
    position_fp: str
    position_cost_dollars: str = "0"
    realized_pnl_dollars: str = "0"
    fees_paid_dollars: str = "0"
    volume_fp: str = "0"
    subaccount: int | None = None


class PositionFrame(_Frame, tag="market_position"):
    msg: PositionBody


class Range(_Form):
    start: str
    end: str
    step: str


class Metadata(_Form):
    event_ticker: str | None = None
    expected_expiration_ts: int | None = None


class LifeBody(_Form):
    """Everything but the first two is there only where the step is about it."""

    market_ticker: str
    event_type: str
    exchange_index: int | None = None
    open_ts: int | None = None
    close_ts: int | None = None
    determination_ts: int | None = None
    settled_ts: int | None = None
    result: str | None = None
    settlement_value: str | None = None
    is_deactivated: bool | None = None
    price_ranges: list[Range] | None = None
    additional_metadata: Metadata | None = None


class LifeFrame(_Sequenced, tag="market_lifecycle_v2"):
    msg: LifeBody


class EventBody(_Form):
    event_ticker: str
    series_ticker: str
    exchange_index: int = 0
    title: str = ""
    subtitle: str = ""
    collateral_return_type: str = ""


class EventFrame(_Sequenced, tag="event_lifecycle"):
    msg: EventBody


class FeeBody(_Form):
    event_ticker: str
    fee_type_override: str | None = None
    fee_multiplier_override: float | None = None


class FeeFrame(_Sequenced, tag="event_fee_update"):
    msg: FeeBody


class GroupBody(_Form):
    event_type: str
    order_group_id: str
    contracts_limit_fp: str | None = None
    ts_ms: int = 0


class GroupFrame(_Sequenced, tag="order_group_updates"):
    msg: GroupBody


class Average(_Form):
    value: str
    window_size: int
    window_start_ts_ms: int
    window_end_ts_exclusive: int


class IndexBody(_Form):
    """`data` is the index provider's own frame, a JSON text in a string."""

    index_id: str
    received_at: int
    data: str
    avg_60s_data: Average
    last_60s_windowed_average_15min: Average | None = None


class IndexFrame(_Sequenced, tag="cfbenchmarks_value"):
    msg: IndexBody


class Tick(_Form):
    """What stands in an index frame's `data`."""

    time: int
    value: str


class Envelope(msgspec.Struct, gc=False):
    """What every frame has, whatever its type."""

    type: str = ""
    sid: int = 0
    seq: int = 0


NoticeFrame: TypeAlias = (
    TickerFrame | FillFrame | OrderFrame | PositionFrame | LifeFrame | EventFrame | FeeFrame | GroupFrame | IndexFrame
)
AnyFrame: TypeAlias = (
    SubscribedFrame | OkFrame | UnsubscribedFrame | ErrorFrame | SnapshotFrame | DeltaFrame | TradeFrame | NoticeFrame
)

TAGS: Mapping[type, str] = {each: str(each.__struct_config__.tag) for each in get_args(AnyFrame)}
"""Each frame and the `type` it is sent under."""
TYPES = frozenset(TAGS.values())
"""The types that `decode_frame` reads."""

decode_frame = msgspec.json.Decoder(AnyFrame).decode
decode_envelope = msgspec.json.Decoder(Envelope).decode
decode_tick = msgspec.json.Decoder(Tick).decode
