"""Frames of Kalshi's WebSocket, as sent.

One decoder for every frame type, a union tagged by `type`, made once. Only the fields the stream needs are read; the rest is
skipped by the decoder, which is why a delta costs half a microsecond. A frame of a type not listed here is read as its `Envelope`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec


class _Form(msgspec.Struct, gc=False):
    """Base of the bodies."""


class _Frame(msgspec.Struct, gc=False, kw_only=True, tag_field="type"):
    """Base of the frames. `sid` and `seq` are 0 where the frame carries none."""

    sid: int = 0
    seq: int = 0


class _Sequenced(msgspec.Struct, gc=False, kw_only=True, tag_field="type"):
    """Base of the frames that mean nothing without their place in the sequence."""

    sid: int
    seq: Annotated[int, msgspec.Meta(ge=1)]


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


class Envelope(msgspec.Struct, gc=False):
    """What every frame has, whatever its type."""

    type: str = ""
    sid: int = 0
    seq: int = 0


AnyFrame: TypeAlias = SubscribedFrame | OkFrame | UnsubscribedFrame | ErrorFrame | SnapshotFrame | DeltaFrame | TradeFrame

TYPES = frozenset({"subscribed", "ok", "unsubscribed", "error", "orderbook_snapshot", "orderbook_delta", "trade"})
"""The types that `decode_frame` reads."""

decode_frame = msgspec.json.Decoder(AnyFrame).decode
decode_envelope = msgspec.json.Decoder(Envelope).decode
