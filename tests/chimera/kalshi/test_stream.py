"""The stream's promise: no delta with anything missing before it, whatever the connection does."""

from __future__ import annotations

import copy
import gzip
import itertools
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from chimera.clock import WorldClock
from chimera.conventions import ONE, Side, complement, format_count, format_price
from chimera.errors import FeedError, LocalError, VenueError
from chimera.intake_live import LiveDoor
from chimera.kalshi.auth import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, Signer, verify
from chimera.kalshi.session import ExchangeSession
from chimera.kalshi.stream import (
    BOOK,
    TRADES,
    CommandFailed,
    Delta,
    Gap,
    Malformed,
    Resubscribe,
    Snapshot,
    StreamProtocol,
    Subscribed,
    Trade,
    Unsubscribed,
    Whole,
    connect_stream,
)


def frame(kind: str, sid: int = 0, seq: int = 0, **fields: Any) -> bytes:
    envelope: dict[str, Any] = {"type": kind, "future_field": {"a": 1}}
    envelope |= {"sid": sid} if sid else {}
    envelope |= {"seq": seq} if seq else {}
    return json.dumps(envelope | fields).encode()


def subscribed(sid: int = 1, channel: str = BOOK, number: int = 1) -> bytes:
    return frame("subscribed", id=number, msg={"channel": channel, "sid": sid})


def snapshot(market: str, seq: int, yes=(), no=(), clock: int | None = None, sid: int = 1) -> bytes:
    body: dict[str, Any] = {"market_ticker": market, "market_id": "x"}
    body |= {"yes_dollars_fp": yes} if yes else {}
    body |= {"no_dollars_fp": no} if no else {}
    body |= {} if clock is None else {"clock": clock}
    return frame("orderbook_snapshot", sid, seq, msg=body)


def delta(market: str, seq: int, price: str = "0.4000", change: str = "1.00", side: str = "yes", sid: int = 1, **extra) -> bytes:
    body = {"market_ticker": market, "price_dollars": price, "delta_fp": change, "side": side}
    return frame("orderbook_delta", sid, seq, msg=body | extra)


def following(*markets: str, **options: Any) -> StreamProtocol:
    """A protocol whose book channel is on for these markets, each with an empty book, at sequence number len(markets)."""
    protocol = StreamProtocol(**options)
    protocol.subscribe([BOOK], markets)
    protocol.feed(subscribed())
    for seq, market in enumerate(markets, 1):
        (event,) = protocol.feed(snapshot(market, seq))
        assert isinstance(event, Snapshot)
    return protocol


class TestCommands:
    """The text that goes out."""

    def test_subscribing_to_books_always_says_in_which_prices(self) -> None:
        text = StreamProtocol().subscribe([BOOK, TRADES], ["A", "B"])
        assert json.loads(text) == {
            "id": 1,
            "cmd": "subscribe",
            "params": {"channels": [BOOK, TRADES], "market_tickers": ["A", "B"], "use_yes_price": True},
        }

    def test_an_index_is_subscribed_to_without_markets(self) -> None:
        params = json.loads(StreamProtocol().subscribe(["cfbenchmarks_value"], index_ids=["BRTI"]))["params"]
        assert params == {"channels": ["cfbenchmarks_value"], "index_ids": ["BRTI"]}

    def test_updates_name_the_subscription_and_ids_are_never_used_twice(self) -> None:
        protocol = following("A")
        commands = [
            json.loads(text)
            for text in (protocol.add_markets(["B"]), protocol.get_snapshot(["A"]), protocol.delete_markets(["A"]))
        ]
        assert [command["id"] for command in commands] == [2, 3, 4]
        assert [command["params"]["action"] for command in commands] == ["add_markets", "get_snapshot", "delete_markets"]
        assert all(command["params"]["sids"] == [1] for command in commands)
        assert json.loads(protocol.unsubscribe([1]))["params"] == {"sids": [1]}

    def test_updating_a_channel_that_is_not_on_is_our_own_mistake(self) -> None:
        with pytest.raises(LocalError, match="not subscribed"):
            StreamProtocol().add_markets(["A"])


class TestBooks:
    """Snapshots, then deltas, in YES space."""

    def test_each_channel_of_a_command_is_acknowledged_with_its_markets(self) -> None:
        protocol = StreamProtocol()
        protocol.subscribe([BOOK, TRADES], ["A"])
        assert protocol.feed(subscribed(1, BOOK)) == [Subscribed(BOOK, 1, ("A",))]
        assert protocol.feed(subscribed(2, TRADES)) == [Subscribed(TRADES, 2, ("A",))]
        assert (protocol.sid(BOOK), protocol.sid(TRADES), protocol.sid("fill")) == (1, 2, None)

    def test_a_delta_before_its_snapshot_is_withheld(self) -> None:
        protocol = StreamProtocol()
        protocol.subscribe([BOOK], ["A"])
        protocol.feed(subscribed())
        assert protocol.feed(delta("A", 1)) == []
        assert not protocol.synced("A")
        assert protocol.feed(snapshot("A", 2, yes=[["0.4000", "2.00"]])) == [Snapshot("A", ((4000, 200),), (), 2, 0)]
        assert protocol.feed(delta("A", 3, ts_ms=9)) == [Delta("A", Side.BID, 4000, 100, 3, 0, 9)]

    @pytest.mark.parametrize(("yes_price", "sent"), [(True, "0.5200"), (False, "0.4800")])
    def test_a_no_level_is_an_ask_in_yes_space_either_way(self, yes_price: bool, sent: str) -> None:
        protocol = following("A", yes_price=yes_price)
        (book,) = protocol.feed(snapshot("A", 2, no=[[sent, "2.00"]]))
        (change,) = protocol.feed(delta("A", 3, sent, "-2.00", "no"))
        assert book == Snapshot("A", (), ((5200, 200),), 2, 0)
        assert change == Delta("A", Side.ASK, 5200, -200, 3, 0, 0)

    def test_a_delta_that_the_snapshot_already_holds_is_dropped_by_its_clock(self) -> None:
        protocol = following("A")
        protocol.feed(snapshot("A", 2, clock=100))
        assert protocol.feed(delta("A", 3, clock=99)) == []
        assert protocol.feed(delta("A", 4, clock=100)) == []
        assert [type(event) for event in protocol.feed(delta("A", 5, clock=101))] == [Delta]

    def test_a_market_added_later_is_followed_from_its_snapshot(self) -> None:
        protocol = following("A")
        number = json.loads(protocol.add_markets(["B"]))["id"]
        assert protocol.feed(frame("ok", 1, 2, id=number, msg={"market_tickers": ["A", "B"]})) == []
        assert protocol.feed(delta("B", 3)) == []
        assert [type(event) for event in protocol.feed(snapshot("B", 4))] == [Snapshot]
        assert [type(event) for event in protocol.feed(delta("B", 5))] == [Delta]

    def test_nothing_of_a_market_given_up_gets_through(self) -> None:
        protocol = following("A", "B")
        protocol.delete_markets(["A"])
        assert protocol.feed(delta("A", 3)) == []
        assert protocol.feed(snapshot("A", 4)) == []
        assert [type(event) for event in protocol.feed(delta("B", 5))] == [Delta]
        (gap,) = protocol.feed(delta("B", 9))
        assert gap.markets == ("B",)

    def test_asking_for_a_snapshot_withholds_the_deltas_until_it_comes(self) -> None:
        protocol = following("A")
        protocol.get_snapshot(["A"])
        assert protocol.feed(delta("A", 2)) == []
        assert [type(event) for event in protocol.feed(snapshot("A", 3))] == [Snapshot]


class TestSequence:
    """One count over all markets of a subscription."""

    def test_a_gap_is_told_for_all_markets_with_the_command_that_heals_it(self) -> None:
        protocol = following("A", "B")
        (gap,) = protocol.feed(delta("A", 4))
        assert (gap.channel, gap.sid, gap.markets, gap.expected, gap.got) == (BOOK, 1, ("A", "B"), 3, 4)
        params = json.loads(gap.command)["params"]
        assert params == {"sids": [1], "market_tickers": ["A", "B"], "action": "get_snapshot"}
        assert protocol.feed(delta("B", 5)) == []
        assert [type(event) for event in protocol.feed(snapshot("B", 6))] == [Snapshot]
        assert [type(event) for event in protocol.feed(delta("B", 7))] == [Delta]
        assert protocol.feed(delta("A", 8)) == []

    def test_a_first_frame_that_is_not_number_one_is_a_gap(self) -> None:
        protocol = StreamProtocol()
        protocol.subscribe([BOOK], ["A", "B"])
        protocol.feed(subscribed())
        gap, book = protocol.feed(snapshot("B", 2))
        assert isinstance(gap, Gap)
        assert isinstance(book, Snapshot)
        assert not protocol.synced("A")

    def test_answers_and_errors_take_a_number_too(self) -> None:
        protocol = following("A")
        protocol.feed(frame("ok", 1, 2, id=1, msg={}))
        protocol.feed(frame("error", 1, 3, id=9, msg={"code": 8, "msg": "Unknown channel"}))
        assert [type(event) for event in protocol.feed(delta("A", 4))] == [Delta]

    def test_frames_of_types_not_known_are_ignored_but_counted(self) -> None:
        protocol = following("A")
        assert protocol.feed(frame("orderbook_confetti", 1, 2, msg={})) == []
        assert protocol.feed(frame("rfq_created", msg={})) == []
        assert [type(event) for event in protocol.feed(delta("A", 3))] == [Delta]

    def test_the_same_frame_twice_is_taken_once(self) -> None:
        protocol = following("A")
        assert len(protocol.feed(delta("A", 2))) == 1
        assert protocol.feed(delta("A", 2)) == []
        assert len(protocol.feed(delta("A", 3))) == 1

    def test_a_count_that_starts_again_is_a_gap_once_and_then_followed(self) -> None:
        protocol = following("A", "B", "C")
        assert [type(event) for event in protocol.feed(snapshot("A", 1))] == [Gap]
        assert [type(event) for event in protocol.feed(snapshot("A", 2))] == [Snapshot]
        assert [type(event) for event in protocol.feed(delta("A", 3))] == [Delta]

    def test_subscriptions_count_apart_and_lost_trades_have_no_cure(self) -> None:
        protocol = StreamProtocol()
        protocol.subscribe([BOOK, TRADES], ["A"])
        protocol.feed(subscribed(1, BOOK))
        protocol.feed(subscribed(2, TRADES))
        protocol.feed(snapshot("A", 1))
        body = {"trade_id": "t", "market_ticker": "A", "yes_price_dollars": "0.4400", "count_fp": "1.47"}
        gap, trade = protocol.feed(frame("trade", 2, 5, msg=body | {"taker_book_side": "ask", "ts_ms": 8}))
        assert (gap.channel, gap.command) == (TRADES, "")
        assert trade == Trade("A", 4400, 147, Side.ASK, "t", 8)
        assert protocol.synced("A")

    @pytest.mark.parametrize(
        ("fields", "side"),
        [({"taker_outcome_side": "yes"}, Side.BID), ({"taker_side": "no"}, Side.ASK), ({"taker_book_side": "bid"}, Side.BID)],
    )
    def test_the_taker_is_known_from_any_of_the_three_vocabularies(self, fields: dict[str, str], side: Side) -> None:
        protocol = StreamProtocol()
        protocol.subscribe([TRADES])
        protocol.feed(subscribed(1, TRADES))
        body = {"trade_id": "t", "market_ticker": "A", "yes_price_dollars": "0.4400", "count_fp": "1.00"}
        (trade,) = protocol.feed(frame("trade", 1, 1, msg=body | fields | {"is_block_trade": True}))
        assert (trade.taker_side, trade.block) == (side, True)


class TestFailures:
    """Errors and broken frames change what is believed, and never raise."""

    def test_a_refused_command_says_what_it_asked_for(self) -> None:
        protocol = following("A")
        number = json.loads(protocol.add_markets(["B"]))["id"]
        events = protocol.feed(frame("error", id=number, msg={"code": 26, "msg": "market limit"}))
        assert events == [CommandFailed(26, "market limit", number, "add_markets", ("B",))]
        (gap,) = protocol.feed(delta("A", 9))
        assert gap.markets == ("A",)

    def test_a_refusal_sent_twice_is_told_once(self) -> None:
        protocol = following("A")
        refusal = frame("error", 1, 2, id=9, msg={"code": 14, "msg": "market ticker required"})
        assert [type(event) for event in protocol.feed(refusal)] == [CommandFailed]
        assert protocol.feed(refusal) == []

    @pytest.mark.parametrize("code", [10, 25])
    def test_a_subscription_the_exchange_ended_has_to_be_made_again(self, code: int) -> None:
        protocol = following("A")
        assert protocol.feed(frame("error", 1, 2, msg={"code": code, "msg": "over"})) == [
            Resubscribe(BOOK, 1, ("A",), code, "over")
        ]
        assert not protocol.synced("A")
        assert protocol.feed(delta("A", 3)) == []
        number = json.loads(protocol.subscribe([BOOK], ["A"]))["id"]
        protocol.feed(subscribed(2, BOOK, number))
        assert [type(event) for event in protocol.feed(snapshot("A", 1, sid=2))] == [Snapshot]

    def test_a_terminal_error_without_a_subscription_ends_them_all(self) -> None:
        protocol = following("A")
        protocol.feed(subscribed(2, TRADES))
        assert {event.sid for event in protocol.feed(frame("error", msg={"code": 25, "msg": "overflow"}))} == {1, 2}

    def test_unsubscribing_is_acknowledged(self) -> None:
        protocol = following("A")
        protocol.unsubscribe([1])
        assert protocol.feed(frame("unsubscribed", 1, 2, id=2)) == [Unsubscribed(BOOK, 1, ("A",))]
        assert protocol.sid(BOOK) is None

    @pytest.mark.parametrize(
        "body",
        [
            frame("orderbook_delta", 1, 3, msg={"market_ticker": "A"}),
            delta("A", 3, price="1.2000"),
            delta("A", 3, change="lots"),
            delta("A", 3, side="maybe"),
            frame("orderbook_delta", 1, 0, msg={}),
            snapshot("A", 3, yes=[["0.4000", "1.00", "x"]]),
            snapshot("A", 3, no=[["0.0000", "1.00"]]),
        ],
    )
    def test_a_book_frame_that_cannot_be_read_is_named_and_its_market_withheld(self, body: bytes) -> None:
        protocol = following("A", "B")
        malformed, gap = protocol.feed(body)
        assert isinstance(malformed, Malformed)
        assert isinstance(malformed.error, VenueError)
        assert malformed.kind in str(malformed.error)
        assert malformed.kind.startswith("orderbook_")
        assert "A" in gap.markets
        assert not protocol.synced("A")
        assert protocol.feed(delta("A", 4)) == []
        assert [type(event) for event in protocol.feed(snapshot("A", 5))] == [Snapshot]

    def test_a_bad_price_in_one_market_leaves_the_others_alone(self) -> None:
        protocol = following("A", "B")
        _, gap = protocol.feed(delta("A", 3, price="1.2000"))
        assert gap.markets == ("A",)
        assert [type(event) for event in protocol.feed(delta("B", 4))] == [Delta]

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"type":7}', delta("A", 3)[:-9]])
    def test_a_frame_that_tells_nothing_puts_every_book_in_doubt(self, body: bytes) -> None:
        protocol = following("A", "B")
        malformed, gap = protocol.feed(body)
        assert isinstance(malformed, Malformed)
        assert gap.markets == ("A", "B")
        assert json.loads(gap.command)["params"]["action"] == "get_snapshot"
        assert protocol.feed(delta("A", 4)) == []
        assert [type(event) for event in protocol.feed(snapshot("A", 5))] == [Snapshot]

    @settings(deadline=None)
    @given(st.binary(max_size=60) | st.integers(0, 200).map(lambda end: delta("A", 2, clock=5)[:end]))
    def test_no_bytes_whatever_make_it_raise(self, body: bytes) -> None:
        following("A").feed(body)

    def test_a_type_asked_for_by_name_is_handed_on_whole_in_its_place(self) -> None:
        protocol = StreamProtocol(whole=["bar", "rfq_created"])
        bar = frame("bar", 9, msg={"open": "t"})
        assert protocol.feed(bar) == [Whole("bar", 9, 0, bar)]
        protocol.subscribe(["communications"])
        protocol.feed(subscribed(5, "communications"))
        update = frame("rfq_created", 5, 2, msg={})
        gap, whole = protocol.feed(update)
        assert (gap.expected, gap.got) == (1, 2)
        assert whole == Whole("rfq_created", 5, 2, update)
        assert protocol.feed(update) == []

    def test_commands_that_are_never_answered_do_not_pile_up(self) -> None:
        protocol = following("A")
        for _ in range(3000):
            protocol.get_snapshot(["A"])
        assert protocol.statistics()["pending"] <= 1024


MARKETS = ("A", "B", "C")
FAULTS = ("none", "none", "none", "drop", "twice", "cut", "late")
steps = st.lists(
    st.tuples(st.sampled_from(MARKETS), st.sampled_from(Side), st.integers(1, 4), st.integers(-3, 5), st.sampled_from(FAULTS)),
    max_size=40,
)


class FaultyExchange:
    """True books, a sequence over them, and a wire between that drops, repeats, cuts and delays frames."""

    def __init__(self) -> None:
        self.books: dict[str, dict[tuple[Side, int], int]] = {market: {} for market in MARKETS}
        self.history: dict[int, dict[str, dict[tuple[Side, int], int]]] = {}
        self.late: list[bytes] = []
        self.seq = itertools.count(1)

    def number(self) -> int:
        seq = next(self.seq)
        self.history[seq] = copy.deepcopy(self.books)
        return seq

    def snapshot(self, market: str) -> bytes:
        book = self.books[market]
        yes = [(format_price(price), format_count(size)) for (side, price), size in book.items() if side is Side.BID]
        no = [(format_price(price), format_count(size)) for (side, price), size in book.items() if side is Side.ASK]
        return snapshot(market, self.number(), yes, no)

    def change(self, market: str, side: Side, level: int, contracts: int) -> bytes:
        price = level * 1000 if side is Side.BID else ONE - level * 1000
        book = self.books[market]
        size = max(0, book.get((side, price), 0) + contracts * 100)
        change = size - book.get((side, price), 0)
        book[side, price] = size
        if not size:
            del book[side, price]
        wire_side = "yes" if side is Side.BID else "no"
        return delta(market, self.number(), format_price(price), format_count(change), wire_side)

    def through(self, body: bytes, fault: str) -> list[bytes]:
        """What arrives when `body` is sent; whatever was late arrives after it."""
        late, self.late = self.late, []
        if fault == "late":
            self.late = [body]
            return late
        arrived = {"none": [body], "drop": [], "twice": [body, body], "cut": [body[: len(body) // 2]]}[fault]
        return arrived + late


class Follower:
    """A client that folds the events into books and answers gaps."""

    def __init__(self, exchange: FaultyExchange) -> None:
        self.exchange = exchange
        self.protocol = StreamProtocol()
        self.protocol.subscribe([BOOK], MARKETS)
        self.protocol.feed(subscribed())
        self.books: dict[str, dict[tuple[Side, int], int]] = {}
        self.wanted: list[str] = []

    def take(self, body: bytes) -> None:
        for event in self.protocol.feed(body):
            if isinstance(event, Snapshot):
                bids = {(Side.BID, price): size for price, size in event.bids}
                self.books[event.market] = bids | {(Side.ASK, price): size for price, size in event.asks}
            elif isinstance(event, Delta):
                book = self.books[event.market]
                book[event.side, event.price] = book.get((event.side, event.price), 0) + event.change
                if not book[event.side, event.price]:
                    del book[event.side, event.price]
            elif isinstance(event, Gap):
                for market in event.markets:
                    self.books.pop(market, None)
                self.wanted += json.loads(event.command)["params"]["market_tickers"]
                continue
            else:
                continue
            assert self.books[event.market] == self.exchange.history[event.seq][event.market]


@settings(max_examples=150, deadline=None)
@given(steps)
def test_a_faulty_wire_never_makes_a_book_that_the_exchange_did_not_have(script) -> None:
    exchange = FaultyExchange()
    follower = Follower(exchange)
    for market in MARKETS:
        follower.take(exchange.snapshot(market))
    for market, side, level, contracts, fault in script:
        for body in exchange.through(exchange.change(market, side, level, contracts), fault):
            follower.take(body)
        wanted, follower.wanted = follower.wanted, []
        for each in wanted:
            for body in exchange.through(exchange.snapshot(each), fault if fault == "drop" else "none"):
                follower.take(body)
    # Once the wire is whole again, every book is the true one after at most one more change of each market.
    for _ in range(2):
        for market in MARKETS:
            follower.take(exchange.change(market, Side.BID, 1, 1))
        wanted, follower.wanted = follower.wanted, []
        for each in wanted:
            follower.take(exchange.snapshot(each))
    assert follower.books == exchange.books


class TestRecorded:
    """Frames that Kalshi sent."""

    @pytest.mark.data
    def test_the_demo_capture_reads_the_same_in_both_price_modes(self, shared_data: Path) -> None:
        lines = (shared_data / "kalshi/demo_rest_ws/ws__orderbook_trade_noleg.jsonl").read_bytes().split(b"\n")
        recorded = [line for line in lines if line.strip()]
        events: dict[bool, list[object]] = {}
        for yes_price in (False, True):
            protocol = StreamProtocol(yes_price=yes_price)
            protocol.subscribe([BOOK, TRADES], ["KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP"])
            bodies = [in_yes_prices(line) for line in recorded] if yes_price else recorded
            events[yes_price] = [event for body in bodies for event in protocol.feed(body)]
        assert events[True] == events[False]
        market = "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP"
        assert events[False][2:4] == [
            Snapshot(market, ((4700, 300),), ((5200, 200),), 1, 0),
            Delta(market, Side.BID, 4700, -300, 2, 0, 1781159489957),
        ]
        assert events[False][4] == Delta(market, Side.ASK, 5200, -200, 3, 0, 1781159489957)
        assert len(events[False]) == 7

    @pytest.mark.data
    def test_a_production_quarter_hour_folds_without_a_level_below_zero(self, shared_data: Path) -> None:
        """One market's share of a busy subscription: renumbered, for the rest of it was not kept."""
        market = "KXGOLD15M-26AUG050800-00"
        path = shared_data / f"kalshi/gold15m/events/{market}__2026-08-05.ndjson.gz"
        protocol = StreamProtocol(yes_price=False)
        protocol.subscribe([BOOK, TRADES], [market])
        protocol.feed(subscribed(1, BOOK))
        protocol.feed(subscribed(2, TRADES))
        counts = {1: itertools.count(1), 2: itertools.count(1)}
        book: dict[tuple[Side, int], int] = {}
        trades = deltas = 0
        for line in itertools.islice(gzip.decompress(path.read_bytes()).splitlines(), 10_000):
            body = json.loads(line)["event"]
            sid = 2 if body["type"] == "trade" else 1
            (event,) = protocol.feed(json.dumps(body | {"sid": sid, "seq": next(counts[sid])}).encode())
            if isinstance(event, Snapshot):
                book = {(Side.BID, price): size for price, size in event.bids}
                book |= {(Side.ASK, price): size for price, size in event.asks}
            elif isinstance(event, Delta):
                deltas += 1
                book[event.side, event.price] = book.get((event.side, event.price), 0) + event.change
                assert book[event.side, event.price] >= 0
            else:
                assert isinstance(event, Trade)
                trades += 1
        assert deltas > 100
        assert trades > 0


def in_yes_prices(line: bytes) -> bytes:
    """The same frame as a connection with `use_yes_price` would have sent it."""

    def mirrored(price: str) -> str:
        return format_price(complement(round(float(price) * ONE)))

    body = json.loads(line)
    message = body["msg"]
    if message.get("side") == "no":
        message["price_dollars"] = mirrored(message["price_dollars"])
    if "no_dollars_fp" in message:
        message["no_dollars_fp"] = [[mirrored(price), size] for price, size in message["no_dollars_fp"]]
    return json.dumps(body).encode()


class TestConnecting:
    """The upgrade is signed at the moment of connecting."""

    async def test_the_signature_on_the_upgrade_verifies_and_frames_flow(self, key) -> None:
        asked: list[tuple[str, dict[str, str]]] = []

        async def accept(request: WebSocketRequest) -> None:
            asked.append((request.path, {name.decode().upper(): value.decode() for name, value in request.headers}))
            connection = await request.accept()
            try:
                command = json.loads(await connection.get_message())
                await connection.send_message(subscribed(1, command["params"]["channels"][0]).decode())
                await connection.get_message()
            except ConnectionClosed:
                return

        clock = WorldClock()
        async with trio.open_nursery() as nursery, LiveDoor(clock) as door:
            server = await nursery.start(partial(serve_websocket, accept, "127.0.0.1", 0, None))
            address = f"127.0.0.1:{server.port}"
            session = ExchangeSession(Signer("key-id", key), clock, rest_url=f"http://{address}", ws_url=f"ws://{address}")
            protocol = StreamProtocol()
            async with connect_stream(door, session) as connection:
                await connection.send(protocol.subscribe([BOOK], ["A"]))
                answer = await connection.receive()
            assert answer.stream == "kalshi.ws"
            assert protocol.feed(answer.body) == [Subscribed(BOOK, 1, ("A",))]
            nursery.cancel_scope.cancel()
        path, headers = asked[0]
        assert path == "/trade-api/ws/v2"
        assert headers[KEY_HEADER] == "key-id"
        assert verify(
            key.public_key(),
            timestamp=headers[TIMESTAMP_HEADER],
            method="GET",
            path=path,
            signature=headers[SIGNATURE_HEADER],
        )

    async def test_a_refused_key_is_a_feed_error(self, session: ExchangeSession, table_door) -> None:
        with pytest.raises(FeedError, match=r"kalshi\.ws"):
            async with connect_stream(table_door({}), session):
                pytest.fail("it was refused")
