"""The paper exchange's eyes: Kalshi's public frames, taken at the door.

A real exchange knows its own book whatever becomes of our actors; so paper reads each frame as it enters, before and beside Stream B. It
trusts a book exactly as Stream B does: by the same protocol, and from a snapshot on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from chimera.intake import Frame
from chimera.kalshi.schema import read_count, read_price
from chimera.kalshi.stream import BOOK, STREAM, Delta, Event, Gap, Resubscribe, Snapshot, StreamProtocol, Trade, Unsubscribed, Whole
from chimera.trading.paper_venue import PaperVenue

BAR: Final = "bar"
_DERIVED: Final = b'"derived":true'


class _Bar(msgspec.Struct, gc=False):
    market_ticker: str
    start_ts: float
    end_ts: float
    high: str
    low: str
    volume_fp: str


class _BarFrame(msgspec.Struct, gc=False):
    msg: _Bar


class _Opening(msgspec.Struct, gc=False):
    """As much of a frame as tells a new connection: an acknowledged channel."""

    type: str = ""
    msg: object = None


_decode_bar = msgspec.json.Decoder(_BarFrame).decode
_decode_opening = msgspec.json.Decoder(_Opening).decode


class PaperTap:
    """An observer of the door that shows the paper venue every book, trade and bar. What cannot be read is counted, never raised.

    `yes_price` as for `StreamProtocol`: whether the recording or connection speaks YES prices on both sides of the book.
    """

    def __init__(self, venue: PaperVenue, *, yes_price: bool = True) -> None:
        self._venue = venue
        self._yes_price = yes_price
        self._protocol = self._fresh()
        self._shown: set[str] = set()
        self._counts: Counter[str] = Counter()

    def _fresh(self) -> StreamProtocol:
        return StreamProtocol(yes_price=self._yes_price, whole=(BAR,))

    def __call__(self, frame: Frame) -> None:
        if frame.stream != STREAM:
            return
        at = frame.received_wall
        if b'"subscribed"' in frame.body and self._reconnected(frame.body):
            self._protocol = self._fresh()
            self._lose(self._shown, at)
        for event in self._protocol.feed(frame.body):
            self._counts[type(event).__name__.lower()] += 1
            self._show(event, frame, at)

    def _reconnected(self, body: bytes) -> bool:
        """Whether a channel is acknowledged that was on already: sids and sequences are a new connection's."""
        try:
            opening = _decode_opening(body)
        except ValueError:
            return False
        msg = opening.msg
        channel = msg.get("channel") if isinstance(msg, dict) else None
        return opening.type == "subscribed" and isinstance(channel, str) and self._protocol.sid(channel) is not None

    def _show(self, event: Event, frame: Frame, at: float) -> None:
        match event:
            case Delta():
                self._venue.on_delta(event.market, event.side, event.price, event.change, at)
            case Trade(block=False):
                self._venue.on_trade(event.market, event.price, event.count, event.taker_side, at)
            case Snapshot():
                self._shown.add(event.market)
                self._venue.on_book(event.market, event.bids, event.asks, at, derived=_DERIVED in frame.body)
            # Lost trades stay lost; a lost book can be waited for.
            case Gap(channel=channel) | Resubscribe(channel=channel) | Unsubscribed(channel=channel) if channel == BOOK:
                self._lose(self._shown.intersection(event.markets), at)
            case Whole():
                self._bar(event.body, at)
            case _:
                pass

    def _bar(self, body: bytes, at: float) -> None:
        try:
            bar = _decode_bar(body).msg
            low, high, volume = read_price(bar.low), read_price(bar.high), read_count(bar.volume_fp)
        except ValueError:
            self._counts["malformed"] += 1
            return
        self._venue.on_bar(bar.market_ticker, bar.start_ts, bar.end_ts, low, high, volume, at)

    def _lose(self, markets: set[str], at: float) -> None:
        for market in sorted(markets):
            self._venue.on_lost(market, at)
        self._shown = self._shown - markets

    def statistics(self) -> Mapping[str, int]:
        """For the console: how many of each kind of event were seen, `malformed` among them."""
        return dict(self._counts)
