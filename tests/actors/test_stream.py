"""The stream actor against an exchange in memory that can be told how to fail."""

from __future__ import annotations

import json
import random
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.messages import BookDelta, BookLost, BookSnapshot, Listing, Resend, Standing
from actors.runtime import ActorSystem, ChildSpec
from actors.runtime.testing import settle
from actors.stream import BACKOFF_MAX_S, PATIENCE_S, StreamActor
from chimera.clock import VirtualClock
from chimera.conventions import Side
from chimera.errors import FeedError
from chimera.intake import Connection, Door, Frame
from chimera.kalshi.auth import Signer
from chimera.kalshi.session import ExchangeSession
from chimera.trading.kill import KillRegister, Trip
from chimera.trading.reasons import Reason

BOOK, TRADES = "orderbook_delta", "trade"


@attrs.frozen
class Named:
    """All the stream reads of a market."""

    ticker: str


class Kalshi(Door):
    """Kalshi's WebSocket in memory: acknowledges, sends snapshots, numbers each subscription's frames.

    `refusals` connections are refused; while `deaf`, commands are read and not answered; markets in `mute` have no snapshot.
    """

    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.attempts, self.commands, self.texts = [], [], []
        self.refusals, self.deaf, self.mute = 0, False, set()
        self.wire = None

    async def get(self, stream, url, *, headers=None, timeout=5.0):
        raise AssertionError("no document is read here")

    @asynccontextmanager
    async def connect(self, stream, url, *, headers=None):
        await trio.lowlevel.checkpoint()
        self.attempts.append(self.clock.now())
        if self.refusals:
            self.refusals -= 1
            raise FeedError("connection refused")
        assert "KALSHI-ACCESS-SIGNATURE" in headers
        self.wire = Wire(self)
        yield self.wire


class Wire(Connection):
    """One connection of `Kalshi`, with its sids and sequences."""

    def __init__(self, door):
        self.door = door
        self.put, self.frames = trio.open_memory_channel(1000)
        self.sids, self.seqs, self.next_sid = {}, {}, 1

    async def receive(self):
        try:
            body = await self.frames.receive()
        except trio.EndOfChannel:
            raise FeedError("kalshi.ws: the connection has ended") from None
        return Frame("kalshi.ws", 7, self.door.clock.now(), body)

    async def send(self, text):
        await trio.lowlevel.checkpoint()
        command = json.loads(text)
        self.door.commands.append((command["cmd"], command["params"]))
        if not self.door.deaf:
            self.answer(command)

    def answer(self, command):
        params, kind = command["params"], command["cmd"]
        if kind == "subscribe":
            for channel in params["channels"]:
                sid = self.sids[channel] = self.next_sid
                self.next_sid, self.seqs[sid] = sid + 1, 0
                self.say({"type": "subscribed", "id": command["id"], "msg": {"channel": channel, "sid": sid}})
            self.snapshots(params["market_tickers"])
        elif kind == "unsubscribe":
            for sid in params["sids"]:
                self.numbered(sid, {"type": "unsubscribed", "id": command["id"]})
        elif params["action"] == "get_snapshot" or (params["action"] == "add_markets" and params["sids"] == [self.sids[BOOK]]):
            self.snapshots(params["market_tickers"])

    def snapshots(self, markets):
        for market in markets:
            if market not in self.door.mute:
                msg = {"market_ticker": market, "yes_dollars_fp": [["0.4600", "10.00"]], "no_dollars_fp": [["0.5200", "3.00"]]}
                self.numbered(self.sids[BOOK], {"type": "orderbook_snapshot", "msg": msg})

    def numbered(self, sid, frame):
        self.seqs[sid] += 1
        self.say({**frame, "sid": sid, "seq": self.seqs[sid]})

    def delta(self, market, side="yes", price="0.4700", change="5.00"):
        msg = {"market_ticker": market, "price_dollars": price, "delta_fp": change, "side": side}
        self.numbered(self.sids[BOOK], {"type": "orderbook_delta", "msg": msg})

    def lose_one(self, channel=BOOK):
        """A frame that never arrives."""
        self.seqs[self.sids[channel]] += 1

    def say(self, frame):
        self.raw(json.dumps(frame).encode())

    def raw(self, body):
        self.put.send_nowait(body)

    def cut(self):
        self.put.close()


class Mailbox:
    """An address that writes down what it is told, in one log with the trips."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def tell(self, message):
        self.log.append((self.name, message))


class Rig:
    """A stream actor, its exchange, and one log of everything it did, in order."""

    def __init__(self, system, clock):
        self.system, self.clock, self.log = system, clock, []
        self.door = Kalshi(clock)
        self.register = KillRegister(lambda trip: self.log.append(("trip", trip)))
        for ticker in "ABC":
            self.register.enroll(ticker, "GAME", "nba")
        self.session = ExchangeSession(
            Signer("key", Ed25519PrivateKey.generate()), clock, rest_url="https://kalshi.test", ws_url="wss://kalshi.test"
        )
        self.address = system.address("stream")

    def make(self):
        return StreamActor(
            door=self.door,
            session=self.session,
            clock=self.clock,
            register=self.register,
            book_of=lambda ticker: Mailbox(ticker, self.log),
            telemetry=Mailbox("telemetry", self.log),
            universe=Mailbox("universe", self.log),
            rng=random.Random(7),
        )

    async def list(self, markets):
        self.address.tell(Listing(tuple(Named(name) for name in markets), self.clock.now()))
        await settle()

    def take(self):
        """The log since the last time, without what was told to telemetry."""
        entries = [(name, message) for name, message in self.log if not isinstance(message, Standing)]
        self.log.clear()
        return entries

    def kinds(self):
        return [(name, type(message)) for name, message in self.take()]

    def states(self):
        return [message.state for _, message in self.log if isinstance(message, Standing)]

    def whys(self):
        return " ".join(message.why for _, message in self.log if isinstance(message, Standing))


@asynccontextmanager
async def running():
    clock = VirtualClock(origin_unix=1_750_000_000.0)
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        made = Rig(system, clock)
        await system.start(ChildSpec("stream", made.make))
        await settle()
        yield made


@asynccontextmanager
async def subscribed():
    """To A and B, both books given."""
    async with running() as rig:
        await rig.list("AB")
        rig.take()
        yield rig


class TestFeeding:
    async def test_nothing_is_connected_while_nothing_is_listed(self, autojump_clock):
        async with running() as rig:
            await trio.sleep(100)
            assert rig.door.attempts == []
            assert rig.states() == ["idle"]
            assert rig.take() == [("universe", Resend())]

    async def test_a_listing_is_subscribed_in_yes_prices_and_its_books_are_given(self, autojump_clock):
        async with running() as rig:
            rig.take()
            await rig.list("AB")
            wanted = {"channels": [BOOK, TRADES], "market_tickers": ["A", "B"], "use_yes_price": True}
            assert rig.door.commands == [("subscribe", wanted)]
            assert rig.states()[-1] == "ready"
            (name, first), (other, _) = rig.take()
            assert (name, other) == ("A", "B")
            assert first == BookSnapshot("A", ((4_600, 1_000),), ((5_200, 300),), 1, 0, rig.clock.now(), 7)

    async def test_a_listing_that_follows_an_empty_one_is_connected_for(self, autojump_clock):
        async with running() as rig:
            await rig.list("")
            await rig.list("AB")
            assert rig.states()[-1] == "ready"
            assert len(rig.door.attempts) == 1

    async def test_deltas_reach_their_own_book_as_bids_and_asks(self, autojump_clock):
        async with subscribed() as live:
            live.door.wire.delta("B", "no", "0.5100", "-2.00")
            await settle()
            assert live.take() == [("B", BookDelta("B", Side.ASK, 5_100, -200, 3, 0, live.clock.now(), 7))]

    async def test_resend_fetches_one_book_or_all(self, autojump_clock):
        async with subscribed() as live:
            live.address.tell(Resend("B"))
            await settle()
            assert live.kinds() == [("B", BookSnapshot)]
            live.address.tell(Resend())
            await settle()
            assert live.kinds() == [("A", BookSnapshot), ("B", BookSnapshot)]

    async def test_resend_for_a_market_that_is_not_subscribed_asks_nothing(self, autojump_clock):
        async with subscribed() as live:
            live.door.commands.clear()
            live.address.tell(Resend("C"))
            await settle()
            assert live.door.commands == []


class TestListing:
    async def test_markets_come_and_go_by_updates_of_the_subscriptions(self, autojump_clock):
        async with subscribed() as live:
            live.door.commands.clear()
            await live.list("BC")
            updates = [(params["action"], params["sids"], params["market_tickers"]) for _, params in live.door.commands]
            changes = (("add_markets", "C"), ("delete_markets", "A"))
            assert updates == [(action, [sid], [ticker]) for sid in (1, 2) for action, ticker in changes]
            assert live.kinds() == [("C", BookSnapshot)]

    async def test_the_same_listing_again_asks_nothing(self, autojump_clock):
        async with subscribed() as live:
            live.door.commands.clear()
            await live.list("AB")
            assert live.door.commands == []

    async def test_an_empty_listing_unsubscribes_rather_than_ask_for_every_trade(self, autojump_clock):
        async with subscribed() as live:
            live.door.commands.clear()
            await live.list("")
            assert live.door.commands == [("unsubscribe", {"sids": [1]}), ("unsubscribe", {"sids": [2]})]
            assert live.states()[-1] == "idle"
            await live.list("C")
            assert live.kinds() == [("C", BookSnapshot)]

    async def test_a_listing_that_changes_before_the_acknowledgement_is_caught_up_with(self, autojump_clock):
        async with running() as rig:
            rig.door.deaf = True
            await rig.list("A")
            await rig.list("AB")
            rig.take()
            rig.door.deaf = False
            rig.door.wire.answer({"id": 1, "cmd": "subscribe", "params": {"channels": [BOOK, TRADES], "market_tickers": ["A"]}})
            await settle()
            assert rig.kinds() == [("A", BookSnapshot), ("B", BookSnapshot)]


class TestGap:
    async def test_a_gap_trips_every_market_of_the_subscription_before_any_book_hears(self, autojump_clock):
        async with subscribed() as live:
            live.door.wire.lose_one()
            live.door.wire.delta("A")
            await settle()
            entries = live.take()
            assert [(name, type(message)) for name, message in entries] == [
                ("trip", Trip), ("trip", Trip), ("A", BookLost), ("B", BookLost), ("A", BookSnapshot), ("B", BookSnapshot),
            ]  # fmt: skip
            trips = [message for name, message in entries if name == "trip"]
            assert [(str(trip.scope), trip.reason, trip.source) for trip in trips] == [
                ("MARKET:A", Reason.BOOK_GAP, "stream"), ("MARKET:B", Reason.BOOK_GAP, "stream"),
            ]  # fmt: skip

    async def test_deltas_are_withheld_until_the_snapshot(self, autojump_clock):
        async with subscribed() as live:
            live.door.mute = {"A", "B"}
            live.door.wire.lose_one()
            live.door.wire.delta("A")
            live.door.wire.delta("B")
            await settle()
            assert [kind for _, kind in live.kinds()] == [Trip, Trip, BookLost, BookLost]

    async def test_a_second_gap_before_the_books_are_back_trips_nothing(self, autojump_clock):
        async with subscribed() as live:
            live.door.mute = {"A", "B"}
            for _ in range(2):
                live.door.wire.lose_one()
                live.door.wire.delta("A")
            await settle()
            assert live.register.kills == 2

    async def test_lost_trades_kill_nothing(self, autojump_clock):
        async with subscribed() as live:
            live.door.wire.lose_one(TRADES)
            msg = {"trade_id": "t", "market_ticker": "A", "yes_price_dollars": "0.4700", "count_fp": "1.00", "taker_book_side": "bid"}
            live.door.wire.numbered(2, {"type": "trade", "msg": msg})
            await settle()
            assert live.take() == []

    async def test_a_book_that_never_comes_is_asked_for_again(self, autojump_clock):
        async with running() as rig:
            rig.door.mute = {"A"}
            await rig.list("AB")
            rig.door.mute = set()
            rig.take()
            await trio.sleep(PATIENCE_S + 1)
            assert rig.kinds() == [("A", BookSnapshot)]


class TestMalformed:
    @pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[]", b'{"type":"orderbook_delta","sid":1,"seq":3,"msg":{}}'])
    async def test_a_broken_frame_is_counted_told_and_mended_and_is_no_crash(self, autojump_clock, body):
        async with subscribed() as live:
            live.door.wire.raw(body)
            await settle()
            assert "1 malformed" in live.whys()
            kinds = live.kinds()
            assert kinds[:4] == [("trip", Trip), ("trip", Trip), ("A", BookLost), ("B", BookLost)]
            assert live.address.incarnation == 1
            assert len(live.door.attempts) == 1

    async def test_an_unknown_frame_is_no_fault(self, autojump_clock):
        async with subscribed() as live:
            live.door.wire.say({"type": "weather_report", "msg": {}})
            await settle()
            assert live.take() == []

    async def test_a_refused_command_is_said(self, autojump_clock):
        async with subscribed() as live:
            live.door.wire.say({"type": "error", "id": 1, "msg": {"code": 26, "msg": "market limit"}})
            await settle()
            assert "market limit (26)" in live.whys()

    async def test_a_subscription_ended_by_the_exchange_is_lost_and_made_anew(self, autojump_clock):
        async with subscribed() as live:
            live.door.wire.say({"type": "error", "sid": 1, "msg": {"code": 25, "msg": "buffer overflow"}})
            await settle()
            assert [kind for _, kind in live.kinds()] == [Trip, Trip, BookLost, BookLost, BookSnapshot, BookSnapshot]
            assert live.door.commands[-1][1]["channels"] == [BOOK]


class TestConnection:
    async def test_a_lost_connection_trips_first_and_then_comes_back_with_new_books(self, autojump_clock):
        async with subscribed() as live:
            live.door.wire.cut()
            await settle()
            assert live.states()[-1] == "connecting"
            assert [kind for _, kind in live.kinds()] == [Trip, Trip, BookLost, BookLost]
            await trio.sleep(1)
            assert live.states()[-1] == "ready"
            assert live.kinds() == [("A", BookSnapshot), ("B", BookSnapshot)]

    async def test_a_market_whose_book_was_never_given_has_nothing_to_lose(self, autojump_clock):
        async with running() as rig:
            rig.door.mute = {"B"}
            await rig.list("AB")
            rig.take()
            rig.door.wire.cut()
            await settle()
            assert rig.kinds() == [("trip", Trip), ("A", BookLost)]

    async def test_refused_connections_are_spread_ever_wider_up_to_the_limit(self, autojump_clock):
        async with running() as rig:
            rig.door.refusals = 40
            await rig.list("A")
            await trio.sleep(3_000)
            waits = [after - before for before, after in zip(rig.door.attempts, rig.door.attempts[1:], strict=False)]
            assert all(wait <= min(BACKOFF_MAX_S, 0.5 * 2**n) for n, wait in enumerate(waits[:40]))
            assert max(waits[:40]) > BACKOFF_MAX_S / 2
            assert len(set(waits[:40])) == 40
            assert rig.states()[-1] == "ready"
            assert rig.register.kills == 0

    async def test_after_a_good_connection_the_first_wait_is_short_again(self, autojump_clock):
        async with running() as rig:
            rig.door.refusals = 12
            await rig.list("A")
            await trio.sleep(400)
            assert rig.states()[-1] == "ready"
            rig.door.wire.cut()
            await settle()
            await trio.sleep(1.01)
            assert rig.states()[-1] == "ready"

    async def test_an_exchange_that_acknowledges_nothing_is_left(self, autojump_clock):
        async with running() as rig:
            rig.door.deaf = True
            await rig.list("A")
            await trio.sleep(3 * PATIENCE_S)
            assert len(rig.door.attempts) > 1
            assert "no answer to a subscription" in rig.whys()
