"""Kalshi's WebSocket: sessions, subscriptions, and the frames they are sent.

`seq` starts at 1 on each subscription and counts every message on it, replies included. A snapshot is taken and queued in one step with the
subscription, so what follows it continues it. A client that does not read is told error 25 and cut off; nobody else notices.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import cast

import attrs
import structlog
import trio

from chimera.conventions import ONE, Side, complement, format_count, format_price
from chimera.sim.exchange.engine import Change
from chimera.sim.exchange.floor import Contract, Floor, Print
from chimera.sim.exchange.listing import Status, rfc3339
from chimera.sim.exchange.rest import leg_levels
from chimera.sim.websocket import WebSocket

HEARTBEAT_SECONDS = 10.0
BOOK, TRADE, LIFE = "orderbook_delta", "trade", "market_lifecycle_v2"
CHANNELS = (BOOK, TRADE, LIFE)
_MAX_ID = 2**53

ERRORS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    25: "Subscription buffer overflow",
}

_log = structlog.get_logger("chimera.sim.stream")


class _Fault(Exception):
    """A command that is refused: `code` is one of ERRORS."""

    def __init__(self, code: int, tickers: Iterable[str] = ()) -> None:
        super().__init__(ERRORS[code])
        self.code = code
        self.tickers = sorted(tickers)


@attrs.define(eq=False)
class Subscription:
    """One channel of one session; it hears of `tickers`, or of every market."""

    sid: int
    channel: str
    session: Session
    tickers: dict[str, None]
    yes_price: bool
    everything: bool
    seq: int = 0

    def wants(self, ticker: str) -> bool:
        return self.everything or ticker in self.tickers

    def send(self, kind: str, msg: str, command: int = 0) -> None:
        """Queue one sequenced message; `msg` is its body as JSON."""
        self.seq += 1
        origin = f'"id":{command},' if command else ""
        self.session.send(f'{{"type":"{kind}",{origin}"sid":{self.sid},"seq":{self.seq},"msg":{msg}}}')


class Switchboard:
    """Every subscription of every session, by what it listens to; the floor's listener."""

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.sessions: set[Session] = set()
        self._subscriptions: dict[str, list[Subscription]] = {channel: [] for channel in CHANNELS}
        floor.listen(self)

    def add(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.channel].append(subscription)

    def remove(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.channel].remove(subscription)

    def _audience(self, channel: str, ticker: str) -> list[Subscription]:
        return [subscription for subscription in self._subscriptions[channel] if subscription.wants(ticker)]

    def on_changes(self, contract: Contract, changes: tuple[Change, ...], at: float) -> None:
        audience = self._audience(BOOK, contract.ticker)
        if not audience:
            return
        head = f'{{"market_ticker":"{contract.ticker}","market_id":"{contract.market_id}","clock":{contract.clock}'
        tail = f'"ts_ms":{int(at * 1000)},"ts":"{rfc3339(at)}"}}'
        for change in changes:
            leg = "yes" if change.side is Side.BID else "no"
            for subscription in audience:
                price = change.price if leg == "yes" or subscription.yes_price else complement(change.price)
                level = f'"price_dollars":"{format_price(price)}","delta_fp":"{format_count(change.count)}","side":"{leg}"'
                subscription.send("orderbook_delta", f"{head},{level},{tail}")

    def on_print(self, contract: Contract, printed: Print, at: float) -> None:
        audience = self._audience(TRADE, contract.ticker)
        if not audience:
            return
        trade = printed.trade
        outcome = "yes" if trade.taker is Side.BID else "no"
        msg = (
            f'{{"trade_id":"{printed.trade_id}","market_ticker":"{contract.ticker}",'
            f'"yes_price_dollars":"{format_price(trade.price)}","no_price_dollars":"{format_price(complement(trade.price))}",'
            f'"count_fp":"{format_count(trade.count)}","taker_side":"{outcome}","taker_outcome_side":"{outcome}",'
            f'"taker_book_side":"{trade.taker.value}","is_block_trade":false,"ts":{int(at)},"ts_ms":{int(at * 1000)}}}'
        )
        for subscription in audience:
            subscription.send("trade", msg)

    def on_life(self, contract: Contract, at: float) -> None:
        audience = self._audience(LIFE, contract.ticker)
        msg: dict[str, object] = {"market_ticker": contract.ticker}
        if contract.status is Status.DETERMINED:
            value = format_price(ONE if contract.listing.pays else 0)
            msg |= {"event_type": "determined", "determination_ts": int(at), "result": contract.result, "settlement_value": value}
        else:
            msg |= {"event_type": "settled", "settled_ts": int(at)}
        for subscription in audience:
            subscription.send(LIFE, json.dumps(msg))


class Session:
    """One client's connection."""

    def __init__(self, switchboard: Switchboard, socket: WebSocket) -> None:
        self._switchboard = switchboard
        self._socket = socket
        self._subscriptions: dict[int, Subscription] = {}
        self._last_sid = 0
        self._commands: dict[str, Callable[[int, dict[str, object]], None]] = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "update_subscription": self._update,
        }

    async def run(self) -> None:
        """Serve the client until either side ends it."""
        self._switchboard.sessions.add(self)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, nursery.cancel_scope)
                nursery.start_soon(self._heartbeat)
                while (text := await self._socket.receive()) is not None:
                    self._command(text)
                self._socket.close()
        finally:
            self._forget()

    def send(self, text: str) -> None:
        """Queue one frame; a client too far behind is cut off."""
        if self._socket.say(text) or self._socket.closing:
            return
        _log.warning("a client does not read and is cut off", backlog_bytes=self._socket.backlog)
        self._socket.close(1008, ERRORS[25], last=_error(0, 25))
        self._forget()

    async def _write(self, scope: trio.CancelScope) -> None:
        await self._socket.pump()
        scope.cancel()

    async def _heartbeat(self) -> None:
        """Kalshi pings every ten seconds of machine time."""
        while True:
            await trio.sleep(HEARTBEAT_SECONDS)
            self._socket.ping(b"heartbeat")

    def _forget(self) -> None:
        """Leave the switchboard: nothing more is said to this client."""
        self._switchboard.sessions.discard(self)
        for subscription in self._subscriptions.values():
            self._switchboard.remove(subscription)
        self._subscriptions.clear()

    # Commands

    def _command(self, text: str) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            self.send(_error(0, 1))
            return
        number = message.get("id", 0) if isinstance(message, dict) else 0
        if not isinstance(message, dict) or isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < _MAX_ID:
            self.send(_error(0, 1))
            return
        try:
            self._obey(number, message.get("cmd"), message.get("params"))
        except _Fault as fault:
            self.send(_error(number, fault.code, fault.tickers))

    def _obey(self, number: int, name: object, params: object) -> None:
        if name == "list_subscriptions":
            rows = [{"channel": row.channel, "sid": row.sid} for row in self._subscriptions.values()]
            self.send(json.dumps({"id": number, "type": "ok", "msg": rows}))
            return
        command = self._commands.get(name) if isinstance(name, str) else None
        if command is None:
            raise _Fault(5)
        if not isinstance(params, dict):
            raise _Fault(2)
        command(number, params)

    def _subscribe(self, number: int, params: dict[str, object]) -> None:
        """Idempotent: a channel that is subscribed already keeps its sid and gains the markets."""
        channels = params.get("channels")
        if not isinstance(channels, list) or not channels:
            raise _Fault(3)
        if any(channel not in CHANNELS for channel in channels):
            raise _Fault(8)
        tickers = self._tickers(params)
        if not tickers and BOOK in channels:
            raise _Fault(14)
        fresh: list[tuple[Subscription, list[str]]] = []
        for channel in dict.fromkeys(channels):
            subscription = self._subscription(channel, yes_price=params.get("use_yes_price") is True, everything=not tickers)
            body = json.dumps({"channel": channel, "sid": subscription.sid})
            self.send(f'{{"type":"subscribed","id":{number},"msg":{body}}}')
            fresh.append((subscription, [ticker for ticker in tickers if ticker not in subscription.tickers]))
            subscription.tickers.update(dict.fromkeys(tickers))
        for subscription, added in fresh:
            self._snapshots(subscription, added)

    def _subscription(self, channel: str, *, yes_price: bool, everything: bool) -> Subscription:
        for subscription in self._subscriptions.values():
            if subscription.channel == channel:
                return subscription
        self._last_sid += 1
        subscription = Subscription(self._last_sid, channel, self, {}, yes_price, everything)
        self._subscriptions[subscription.sid] = subscription
        self._switchboard.add(subscription)
        return subscription

    def _unsubscribe(self, number: int, params: dict[str, object]) -> None:
        sids = params.get("sids")
        if not isinstance(sids, list) or not sids:
            raise _Fault(4)
        for sid in sids:
            subscription = self._known(sid)
            del self._subscriptions[subscription.sid]
            self._switchboard.remove(subscription)
            self.send(json.dumps({"id": number, "type": "unsubscribed", "sid": subscription.sid, "seq": subscription.seq + 1}))

    def _update(self, number: int, params: dict[str, object]) -> None:
        sids = params.get("sids", [params["sid"]] if "sid" in params else [])
        if not isinstance(sids, list) or len(sids) != 1 or ("sid" in params and "sids" in params):
            raise _Fault(12)
        subscription = self._known(sids[0])
        action = params.get("action")
        if not action:
            raise _Fault(15)
        if action not in ("add_markets", "delete_markets", "get_snapshot"):
            raise _Fault(13)
        tickers = self._tickers(params)
        if not tickers:
            raise _Fault(14)
        if action == "get_snapshot":
            self._snapshots(subscription, tickers, number)
            return
        added = [ticker for ticker in tickers if ticker not in subscription.tickers]
        if action == "add_markets":
            subscription.tickers.update(dict.fromkeys(tickers))
        else:
            for ticker in tickers:
                subscription.tickers.pop(ticker, None)
        self._acknowledge(subscription, number)
        if action == "add_markets":
            self._snapshots(subscription, added)

    def _acknowledge(self, subscription: Subscription, number: int) -> None:
        subscription.seq += 1
        body = json.dumps({"market_tickers": list(subscription.tickers)})
        self.send(f'{{"id":{number},"type":"ok","sid":{subscription.sid},"seq":{subscription.seq},"msg":{body}}}')

    def _known(self, sid: object) -> Subscription:
        subscription = self._subscriptions.get(sid) if isinstance(sid, int) and not isinstance(sid, bool) else None
        if subscription is None:
            raise _Fault(7)
        return subscription

    def _tickers(self, params: dict[str, object]) -> list[str]:
        """The markets a command names, each once. Error 11 for one that does not exist or for a list that is none."""
        several = params.get("market_tickers", [params["market_ticker"]] if "market_ticker" in params else [])
        if not isinstance(several, list) or not all(isinstance(ticker, str) for ticker in several):
            raise _Fault(11)
        tickers = cast("list[str]", several)
        unknown = set(tickers) - set(self._switchboard.floor.contracts)
        if unknown:
            raise _Fault(11, unknown)
        return list(dict.fromkeys(tickers))

    def _snapshots(self, subscription: Subscription, tickers: list[str], command: int = 0) -> None:
        if subscription.channel != BOOK:
            return
        for ticker in tickers:
            contract = self._switchboard.floor.contracts[ticker]
            subscription.send("orderbook_snapshot", _snapshot(contract, yes_price=subscription.yes_price), command)


def _snapshot(contract: Contract, *, yes_price: bool) -> str:
    """The book as one message body; the key of an empty side is left out."""
    msg: dict[str, object] = {"market_ticker": contract.ticker, "market_id": contract.market_id, "clock": contract.clock}
    bids, asks = contract.book.levels(Side.BID), contract.book.levels(Side.ASK)
    if bids:
        msg["yes_dollars_fp"] = leg_levels(bids)
    if asks:
        msg["no_dollars_fp"] = leg_levels(asks if yes_price else [(complement(price), count) for price, count in asks])
    return json.dumps(msg, separators=(",", ":"))


def _error(number: int, code: int, tickers: Iterable[str] = ()) -> str:
    msg: dict[str, object] = {"code": code, "msg": ERRORS[code]}
    if named := list(tickers):
        msg["market_tickers"] = named
    return json.dumps({"id": number, "type": "error", "msg": msg})
