"""Kalshi's WebSocket: sessions, their commands, and the frames they are sent.

A snapshot is taken and queued in one step with the subscription, so what follows it continues it. A client that does not read is told error
25 and cut off; nobody else notices. Faults strike frames here, on their way out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import cast

import structlog
import trio

from chimera.sim.exchange import messages
from chimera.sim.exchange.members import Member
from chimera.sim.exchange.mischief import Active
from chimera.sim.exchange.switchboard import BOOK, CHANNELS, TICKER, UNFILTERED, Subscription, Switchboard
from chimera.sim.websocket import WebSocket

HEARTBEAT_SECONDS = 10.0
COMMANDS_A_SECOND = 10_000
MOST_MARKETS = 500_000
_MAX_ID = 2**53

ERRORS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    10: "Channel error",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    25: "Subscription buffer overflow",
    26: "Market subscription limit exceeded",
    27: "Too many requests",
}

_log = structlog.get_logger("chimera.sim.stream")


class _Fault(Exception):
    """A command that is refused: `code` is one of ERRORS; `about` the subscription it was about, where that is known."""

    def __init__(self, code: int, tickers: Iterable[str] = (), about: Subscription | None = None) -> None:
        super().__init__(ERRORS[code])
        self.code = code
        self.tickers = sorted(tickers)
        self.about = about


class Session:
    """One client's connection."""

    def __init__(self, switchboard: Switchboard, socket: WebSocket, member: Member) -> None:
        self.member = member
        self._switchboard = switchboard
        self._exchange = switchboard.exchange
        self._socket = socket
        self._subscriptions: dict[int, Subscription] = {}
        self._last_sid = 0
        self._stalled: list[str] | None = None
        self._second = (0, 0)
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
        if self._stalled is not None:
            self._stalled.append(text)
        elif not self._socket.say(text) and not self._socket.closing:
            _log.warning("a client does not read and is cut off", backlog_bytes=self._socket.backlog)
            self._cut_off()

    def send_on(self, subscription: Subscription, text: str) -> None:
        """Queue one frame of a subscription, unless a fault has other plans for it."""
        for active in self._exchange.mischief.frames:
            if self._struck(active, subscription, text):
                return
        self.send(text)

    @property
    def backlog(self) -> int:
        """Bytes that wait to leave."""
        return self._socket.backlog

    # Faults

    def _struck(self, active: Active, subscription: Subscription, text: str) -> bool:
        """Let a fault strike this frame if it will; True where the frame is not to be sent any more."""
        name, now = active.fault.name, self._exchange.now()
        sequenced_only = name == "drop_seq"
        concerned = active.fault.word("channel", subscription.channel) == subscription.channel
        if not concerned or (sequenced_only and not subscription.sequenced) or not active.strikes(now):
            return False
        match name:
            case "duplicate":
                self.send(text)
                return False
            case "stall":
                self._stall(now + active.fault.seconds("for"))
                return False
            case "reset":
                self._switchboard.refused_until = now + active.fault.seconds("refuse")
                self._socket.reset()
                self._forget()
            case "channel_error":
                self._end(subscription, 10)
            case "overflow":
                self._cut_off()
        return True

    def _stall(self, until: float) -> None:
        """Send nothing until then, and then everything."""
        if self._stalled is None:
            self._stalled = []
            self._exchange.crowd.enter(until, self._resume)

    def _resume(self, _at: float) -> None:
        waiting, self._stalled = self._stalled or [], None
        for text in waiting:
            self.send(text)

    def _end(self, subscription: Subscription, code: int) -> None:
        """The exchange ends a subscription by itself."""
        if self._subscriptions.pop(subscription.sid, None) is not None:
            self._switchboard.remove(subscription)
            self.send(_error(0, code, about=subscription))

    def _cut_off(self) -> None:
        self._socket.close(1008, ERRORS[25], last=_error(0, 25))
        self._forget()

    # The connection

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
            self._pace()
            self._obey(number, message.get("cmd"), message.get("params"))
        except _Fault as fault:
            self.send(_error(number, fault.code, fault.tickers, fault.about))

    def _pace(self) -> None:
        second, commands = self._second
        now = int(self._exchange.now())
        self._second = (now, commands + 1 if now == second else 1)
        if self._second[1] > COMMANDS_A_SECOND:
            raise _Fault(27)

    def _obey(self, number: int, name: object, params: object) -> None:
        if name == "list_subscriptions":
            rows = [{"channel": row.channel, "sid": row.sid} for row in self._subscriptions.values()]
            self.send(messages.compact({"id": number, "type": "ok", "msg": rows}))
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
        tickers = self._tickers(params, by_id=all(channel == TICKER for channel in channels))
        if not tickers and BOOK in channels:
            raise _Fault(14)
        if sum(len(row.tickers) for row in self._subscriptions.values()) + len(tickers) * len(channels) > MOST_MARKETS:
            raise _Fault(26)
        fresh: list[tuple[Subscription, list[str]]] = []
        for channel in dict.fromkeys(channels):
            everything = not tickers or channel in UNFILTERED
            subscription = self._subscription(channel, yes_price=params.get("use_yes_price") is True, everything=everything)
            body = messages.compact({"channel": channel, "sid": subscription.sid})
            self.send(f'{{"type":"subscribed","id":{number},"msg":{body}}}')
            fresh.append((subscription, [ticker for ticker in tickers if ticker not in subscription.tickers]))
            subscription.tickers.update(dict.fromkeys(tickers))
        for subscription, added in fresh:
            self._snapshots(subscription, added)
            if subscription.channel == TICKER and params.get("send_initial_snapshot") is True:
                self._tickers_now(subscription, added or list(self._exchange.floor.contracts))

    def _subscription(self, channel: str, *, yes_price: bool, everything: bool) -> Subscription:
        for subscription in self._subscriptions.values():
            if subscription.channel == channel:
                return subscription
        self._last_sid += 1
        subscription = Subscription(self._last_sid, channel, self, {}, yes_price, everything, self._exchange.now)
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
            self.send(messages.compact({"id": number, "type": "unsubscribed", "sid": subscription.sid, "seq": subscription.seq + 1}))

    def _update(self, number: int, params: dict[str, object]) -> None:
        sids = params.get("sids", [params["sid"]] if "sid" in params else [])
        if not isinstance(sids, list) or len(sids) != 1 or ("sid" in params and "sids" in params):
            raise _Fault(12)
        subscription = self._known(sids[0])
        try:
            self._update_known(number, subscription, params)
        except _Fault as fault:
            fault.about = subscription
            raise

    def _update_known(self, number: int, subscription: Subscription, params: dict[str, object]) -> None:
        action = params.get("action")
        if not action:
            raise _Fault(15)
        if action not in ("add_markets", "delete_markets", "get_snapshot"):
            raise _Fault(13)
        tickers = self._tickers(params, by_id=subscription.channel == TICKER)
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
        body = messages.compact({"market_tickers": list(subscription.tickers)})
        self.send(f'{{"id":{number},"type":"ok","sid":{subscription.sid},{subscription.place()}"msg":{body}}}')

    def _known(self, sid: object) -> Subscription:
        subscription = self._subscriptions.get(sid) if isinstance(sid, int) and not isinstance(sid, bool) else None
        if subscription is None:
            raise _Fault(7)
        return subscription

    def _tickers(self, params: dict[str, object], *, by_id: bool) -> list[str]:
        """The markets a command names, each once. Error 11 for one that does not exist or for a list that is none."""
        contracts = self._exchange.floor.contracts
        named = _names(params, "market_ticker")
        if by_id:
            ids = {contract.market_id: ticker for ticker, contract in contracts.items()}
            named += [ids.get(market_id, market_id) for market_id in _names(params, "market_id")]
        unknown = set(named) - set(contracts)
        if unknown:
            raise _Fault(11, unknown)
        return list(dict.fromkeys(named))

    def _snapshots(self, subscription: Subscription, tickers: list[str], command: int = 0) -> None:
        if subscription.channel != BOOK:
            return
        for ticker in tickers:
            contract = self._exchange.floor.contracts[ticker]
            subscription.send("orderbook_snapshot", messages.snapshot(contract, yes_price=subscription.yes_price), command)

    def _tickers_now(self, subscription: Subscription, tickers: list[str]) -> None:
        for ticker in tickers:
            subscription.send(TICKER, messages.ticker(self._exchange.floor.contracts[ticker], self._exchange.now()))


def _names(params: dict[str, object], name: str) -> list[str]:
    """`name` or the list of the same name in the plural."""
    several = params.get(f"{name}s", [params[name]] if name in params else [])
    if not isinstance(several, list) or not all(isinstance(ticker, str) for ticker in several):
        raise _Fault(11)
    return cast("list[str]", several)


def _error(number: int, code: int, tickers: Iterable[str] = (), about: Subscription | None = None) -> str:
    """An error frame. One about a subscription is in its sequence."""
    msg: dict[str, object] = {"code": code, "msg": ERRORS[code]}
    if named := list(tickers):
        msg["market_tickers"] = named
    scope = "" if about is None else f'"sid":{about.sid},{about.place()}'
    return f'{{"id":{number},"type":"error",{scope}"msg":{messages.compact(msg)}}}'
