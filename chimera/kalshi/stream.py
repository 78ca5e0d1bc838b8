"""Stream B as a protocol without I/O: commands out as text, frames in as bytes, events back.

A `StreamProtocol` belongs to one connection and ends with it. Its promise is that no delta leaves it with anything missing before it: the
sequence of a subscription is checked across all its markets, a market's deltas are withheld until its snapshot is there, and whatever
breaks that (a number left out, a frame that cannot be read) withholds the markets concerned again and says so with a `Gap`.

    sequence of a subscription      what happens
    last + 1                        taken
    last                            the same frame again: dropped
    further on                      Gap; the frame is taken, but only a snapshot in it helps
    further back                    Gap; the frame is dropped, and counting goes on from there
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Any, Final

import attrs
import msgspec

from chimera.conventions import Side
from chimera.errors import LocalError, VenueError
from chimera.intake import Connection, Door
from chimera.kalshi import channels, frames
from chimera.kalshi.ages import MessageAges
from chimera.kalshi.channels import BOOK, TICKER, TRADES
from chimera.kalshi.decode import UNREADABLE
from chimera.kalshi.events import (
    CommandFailed,
    Delta,
    Event,
    Gap,
    Malformed,
    Resubscribe,
    Snapshot,
    Subscribed,
    Trade,
    Unsubscribed,
    Whole,
)
from chimera.kalshi.schema import SIDES, read_asks, read_bids, read_count, read_level_price, read_price, read_side
from chimera.kalshi.session import ExchangeSession

__all__ = [
    "BOOK",
    "STREAM",
    "TRADES",
    "CommandFailed",
    "Delta",
    "Event",
    "Gap",
    "Malformed",
    "Resubscribe",
    "Snapshot",
    "StreamProtocol",
    "Subscribed",
    "Trade",
    "Unsubscribed",
    "Whole",
    "connect_stream",
]

STREAM: Final = "kalshi.ws"

TERMINAL: Final = frozenset({10, 25})
"""Error codes after which a subscription is dead: channel error, buffer overflow."""

_MAX_PENDING = 1024
"""Commands remembered for their answers; Kalshi acknowledges snapshot requests only by the snapshots."""


@attrs.define(slots=True)
class _Subscription:
    channel: str
    sid: int
    markets: dict[str, None]
    last: int = 0
    """The last sequence number taken; below 0 where the next is not known."""
    synced: dict[str, int] = attrs.Factory(dict)
    """Markets whose deltas may pass, with the clock of their snapshot."""
    left: set[str] = attrs.Factory(set)
    """Markets given up, of which frames may still be under way."""


@attrs.frozen(slots=True)
class _Command:
    action: str
    markets: tuple[str, ...]
    channel: str = ""


class StreamProtocol:
    """One connection's commands, subscriptions and sequence.

    `whole` names frame types, of those that no event is made of, to hand on undecoded; others that are not known are ignored. `yes_price`
    False is for recordings made in NO-leg prices: events are in YES space either way.
    """

    def __init__(self, *, yes_price: bool = True, whole: Iterable[str] = ()) -> None:
        self._yes_price = yes_price
        self._whole = frozenset(whole)
        self._ids = itertools.count(1)
        self._pending: dict[int, _Command] = {}
        self._subscriptions: dict[int, _Subscription] = {}
        self.ages = MessageAges()
        self._handlers: dict[type, Callable[[Any, _Subscription | None, list[Event]], None]] = {
            frames.DeltaFrame: self._on_delta,
            frames.SnapshotFrame: self._on_snapshot,
            frames.TradeFrame: self._on_trade,
            frames.SubscribedFrame: self._on_subscribed,
            frames.UnsubscribedFrame: self._on_unsubscribed,
            frames.OkFrame: self._on_ok,
            frames.ErrorFrame: self._on_error,
        }

    # Commands: each returns the text to send

    def subscribe(self, channels: Iterable[str], markets: Iterable[str] = (), index_ids: Iterable[str] = ()) -> str:
        """Switch channels on. The book channel needs markets; it is always told in which prices to speak, for the default will change."""
        wanted = list(channels)
        command = _Command("subscribe", tuple(markets))
        params: dict[str, object] = {"channels": wanted}
        if command.markets:
            params["market_tickers"] = command.markets
        if indices := tuple(index_ids):
            params["index_ids"] = indices
        if BOOK in wanted:
            params["use_yes_price"] = self._yes_price
        if TICKER in wanted:
            params["send_initial_snapshot"] = True
        return self._command("subscribe", params, command)

    def unsubscribe(self, sids: Iterable[int]) -> str:
        """Switch subscriptions off."""
        return self._command("unsubscribe", {"sids": list(sids)}, _Command("unsubscribe", ()))

    def add_markets(self, markets: Iterable[str], channel: str = BOOK) -> str:
        """Follow more markets on a channel that is on; LocalError where it is not."""
        subscription, names = self._on_channel(channel), tuple(markets)
        subscription.markets.update(dict.fromkeys(names))
        subscription.left.difference_update(names)
        return self._update(subscription, "add_markets", names)

    def delete_markets(self, markets: Iterable[str], channel: str = BOOK) -> str:
        """Follow these markets no more; nothing of theirs is let through from here on."""
        subscription, names = self._on_channel(channel), tuple(markets)
        for name in names:
            subscription.markets.pop(name, None)
            subscription.synced.pop(name, None)
        subscription.left.update(names)
        return self._update(subscription, "delete_markets", names)

    def get_snapshot(self, markets: Iterable[str]) -> str:
        """Ask for the books of these markets; their deltas are withheld until they come."""
        subscription, names = self._on_channel(BOOK), tuple(markets)
        for name in names:
            subscription.synced.pop(name, None)
        return self._update(subscription, "get_snapshot", names)

    # State

    def sid(self, channel: str) -> int | None:
        """The subscription of a channel, None where it is not on."""
        subscription = self._of_channel(channel)
        return None if subscription is None else subscription.sid

    def synced(self, market: str) -> bool:
        """Whether deltas of this market pass."""
        return any(market in each.synced for each in self._subscriptions.values())

    def statistics(self) -> dict[str, int]:
        """For the console."""
        books = [each for each in self._subscriptions.values() if each.channel == BOOK]
        return {
            "subscriptions": len(self._subscriptions),
            "markets": sum(len(each.markets) for each in books),
            "synced": sum(len(each.synced) for each in books),
            "pending": len(self._pending),
            **self.ages.statistics(),
        }

    # Frames

    def feed(self, body: bytes, received_ms: int = 0) -> list[Event]:
        """The events of one frame, in order. Never raises for what the exchange sends.

        `received_ms`: when it came, unix milliseconds of the exchange's clock, to know how old it was; 0 where that is of no interest.
        """
        events: list[Event] = []
        try:
            frame = frames.decode_frame(body)
        except UNREADABLE as error:
            self._on_unread(body, error, events)
            return events
        if received_ms and (kind := type(frame)) in _TIMES:
            self.ages.note(frames.TAGS[kind], _TIMES[kind](frame), frame.sending_ts_ms, received_ms)
        subscription = self._in_sequence(frame.sid, frame.seq, events) if frame.seq else None
        if frame.seq and subscription is None and frame.sid in self._subscriptions:
            return events
        try:
            handler = self._handlers.get(type(frame), self._on_notice)
            handler(frame, subscription, events)
        except UNREADABLE as error:
            self._on_unmeant(frame, subscription, error, events)
        return events

    def _in_sequence(self, sid: int, seq: int, events: list[Event]) -> _Subscription | None:
        """The subscription whose turn this frame is, None where the frame is nobody's, old, or a repetition."""
        subscription = self._subscriptions.get(sid)
        if subscription is None:
            return None
        last, subscription.last = subscription.last, seq
        if seq == last + 1 or last < 0:
            return subscription
        if seq == last:
            return None
        events.append(self._lost(subscription, tuple(subscription.markets), last + 1, seq))
        return subscription if seq > last else None

    def _lost(self, subscription: _Subscription, markets: tuple[str, ...], expected: int, got: int) -> Gap:
        for market in markets:
            subscription.synced.pop(market, None)
        ask = subscription.channel == BOOK and markets
        command = self._update(subscription, "get_snapshot", markets) if ask else ""
        return Gap(subscription.channel, subscription.sid, markets, expected, got, command)

    def _on_delta(self, frame: frames.DeltaFrame, subscription: _Subscription | None, events: list[Event]) -> None:
        body = frame.msg
        snapshot_clock = None if subscription is None else subscription.synced.get(body.market_ticker)
        if snapshot_clock is None or 0 < body.clock <= snapshot_clock:
            return
        side = SIDES[body.side]
        price = read_level_price(body.price_dollars, no_leg=side is Side.ASK and not self._yes_price)
        change = read_count(body.delta_fp)
        events.append(Delta(body.market_ticker, side, price, change, frame.seq, body.clock, body.ts_ms))

    def _on_snapshot(self, frame: frames.SnapshotFrame, subscription: _Subscription | None, events: list[Event]) -> None:
        body = frame.msg
        if subscription is None or body.market_ticker in subscription.left:
            return
        bids = read_bids(body.yes_dollars_fp or ())
        asks = read_asks(body.no_dollars_fp or (), yes_price=self._yes_price)
        subscription.markets[body.market_ticker] = None
        subscription.synced[body.market_ticker] = body.clock
        events.append(Snapshot(body.market_ticker, bids, asks, frame.seq, body.clock))

    def _on_trade(self, frame: frames.TradeFrame, subscription: _Subscription | None, events: list[Event]) -> None:
        body = frame.msg
        if subscription is None or body.market_ticker in subscription.left:
            return
        side = read_side(body.taker_book_side, body.taker_outcome_side, body.taker_side)
        price, count = read_price(body.yes_price_dollars), read_count(body.count_fp)
        events.append(Trade(body.market_ticker, price, count, side, body.trade_id, body.ts_ms, body.is_block_trade))

    def _on_notice(self, frame: frames.NoticeFrame, subscription: _Subscription | None, events: list[Event]) -> None:
        """What is about our own account is taken whatever its subscription; the rest is somebody else's without one."""
        if subscription is None and frame.seq and channels.CHANNELS[frames.TAGS[type(frame)]] not in channels.PRIVATE:
            return
        events.append(channels.notice(frame))

    def _on_subscribed(self, frame: frames.SubscribedFrame, _: _Subscription | None, events: list[Event]) -> None:
        command = self._pending.get(frame.id)
        markets = command.markets if command else ()
        # Subscribing to a channel that is on adds markets to the subscription there is.
        subscription = self._subscriptions.get(frame.msg.sid)
        if subscription is None:
            subscription = _Subscription(frame.msg.channel, frame.msg.sid, {})
            self._subscriptions[frame.msg.sid] = subscription
        subscription.markets.update(dict.fromkeys(markets))
        subscription.left.difference_update(markets)
        events.append(Subscribed(frame.msg.channel, frame.msg.sid, markets))

    def _on_unsubscribed(self, frame: frames.UnsubscribedFrame, _: _Subscription | None, events: list[Event]) -> None:
        ended = self._subscriptions.pop(frame.sid, None)
        if ended is not None:
            events.append(Unsubscribed(ended.channel, ended.sid, tuple(ended.markets)))

    def _on_ok(self, frame: frames.OkFrame, _: _Subscription | None, events: list[Event]) -> None:
        self._pending.pop(frame.id, None)

    def _on_error(self, frame: frames.ErrorFrame, _: _Subscription | None, events: list[Event]) -> None:
        code, message = frame.msg.code, frame.msg.msg
        if code in TERMINAL:
            for sid in [frame.sid] if frame.sid else list(self._subscriptions):
                if ended := self._subscriptions.pop(sid, None):
                    events.append(Resubscribe(ended.channel, sid, tuple(ended.markets), code, message))
            return
        command = self._pending.pop(frame.id, _Command("", ()))
        if command.action == "add_markets" and (added := self._of_channel(command.channel)):
            for market in command.markets:
                if market not in added.synced:
                    added.markets.pop(market, None)
        events.append(CommandFailed(code, message, frame.id, command.action, command.markets))

    def _on_unmeant(
        self, frame: frames.AnyFrame, subscription: _Subscription | None, error: Exception, events: list[Event]
    ) -> None:
        """A frame that was read and means nothing: its place in the sequence is known, and so is its market, where it has one."""
        kind = frames.TAGS[type(frame)]
        market = channels.market_of(frame)
        markets = (market,) if market else ()
        events.append(_malformed(kind, error))
        if subscription is not None:
            events.append(self._lost(subscription, markets, frame.seq, frame.seq))
        elif (channel := channels.CHANNELS.get(kind, "")) in channels.PRIVATE:
            events.append(Gap(channel, frame.sid, markets, 0, 0, ""))

    def _on_unread(self, body: bytes, error: Exception, events: list[Event]) -> None:
        """A frame of another type keeps its place in the sequence; one that is broken casts doubt on all it may have belonged to."""
        try:
            envelope = frames.decode_envelope(body)
        except UNREADABLE:
            events.append(_malformed("", error))
            self._doubt(list(self._subscriptions.values()), 0, events)
            return
        if envelope.type not in frames.TYPES:
            taken = not envelope.seq or self._in_sequence(envelope.sid, envelope.seq, events) is not None
            if taken and envelope.type in self._whole:
                events.append(Whole(envelope.type, envelope.sid, envelope.seq, body))
            return
        events.append(_malformed(envelope.type, error))
        if envelope.type in channels.UNSEQUENCED:
            if (channel := channels.CHANNELS[envelope.type]) in channels.PRIVATE:
                events.append(Gap(channel, envelope.sid, (), 0, 0, ""))
            return
        known = self._subscriptions.get(envelope.sid)
        self._doubt(list(self._subscriptions.values()) if known is None else [known], envelope.seq if known else 0, events)

    def _doubt(self, subscriptions: list[_Subscription], seq: int, events: list[Event]) -> None:
        for each in subscriptions:
            events.append(self._lost(each, tuple(each.markets), each.last + 1, seq))
            each.last = seq or -1

    # Commands

    def _of_channel(self, channel: str) -> _Subscription | None:
        return next((each for each in self._subscriptions.values() if each.channel == channel), None)

    def _on_channel(self, channel: str) -> _Subscription:
        subscription = self._of_channel(channel)
        if subscription is None:
            raise LocalError(f"{channel} is not subscribed on this connection: subscribe and wait for `Subscribed` first")
        return subscription

    def _update(self, subscription: _Subscription, action: str, markets: tuple[str, ...]) -> str:
        params = {"sids": [subscription.sid], "market_tickers": markets, "action": action}
        return self._command("update_subscription", params, _Command(action, markets, subscription.channel))

    def _command(self, cmd: str, params: Mapping[str, object], command: _Command) -> str:
        number = next(self._ids)
        self._pending[number] = command
        if len(self._pending) > _MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        return msgspec.json.encode({"id": number, "cmd": cmd, "params": params}).decode()


_TIMES: Final[Mapping[type, Callable[[Any], int]]] = {
    frames.DeltaFrame: attrgetter("msg.ts_ms"),
    frames.TradeFrame: attrgetter("msg.ts_ms"),
    frames.TickerFrame: attrgetter("msg.ts_ms"),
    frames.FillFrame: attrgetter("msg.ts_ms"),
    frames.GroupFrame: attrgetter("msg.ts_ms"),
    frames.IndexFrame: attrgetter("msg.received_at"),
    frames.OrderFrame: lambda frame: frame.msg.last_updated_ts_ms or 0,
    frames.PositionFrame: lambda _: 0,
    frames.LifeFrame: lambda _: 0,
}
"""When what a frame tells was done, by type of frame; 0 where it does not say. Frames not listed tell of nothing that ages."""


def _malformed(kind: str, error: Exception) -> Malformed:
    return Malformed(kind, VenueError(f"{STREAM}: a {kind or 'nameless'} frame cannot be read: {error}"))


@asynccontextmanager
async def connect_stream(door: Door, session: ExchangeSession) -> AsyncIterator[Connection]:
    """Open Kalshi's WebSocket, signed at the moment of connecting: a signature is good for seconds. FeedError where it is refused."""
    headers = session.headers("GET", session.ws_path)
    async with door.connect(STREAM, session.ws_url, headers=headers) as connection:
        yield connection
