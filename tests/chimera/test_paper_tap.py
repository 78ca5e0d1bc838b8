"""What the paper exchange sees at the door."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from chimera.conventions import Side
from chimera.intake import Frame
from chimera.paper_tap import PaperTap
from chimera.trading.paper import PaperExchange
from chimera.trading.paper_venue import Latency, PaperVenue
from chimera.trading.venue import Event, Fill, Order
from chimera.trading.venue_log import VenueLog

M = "KXNBAGAME-25MAY31NYKIND-IND"


class Hands:
    def now(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


class Stage:
    """A tap on a venue without latency, fed as one connection would feed it."""

    def __init__(self, *, yes_price: bool = True) -> None:
        log = VenueLog(lambda _: None)
        self.exchange = PaperExchange(log)
        self.venue = PaperVenue(self.exchange, log, clock=Hands(), rng=random.Random(1), latency=Latency(0.0, 0.0))
        self.heard: list[Event] = []
        self.venue.sink = self.heard.append
        self.tap = PaperTap(self.venue, yes_price=yes_price)
        self.seq: dict[int, int] = {}
        self.number = 0
        self.connect()

    def connect(self) -> None:
        self.seq = {1: 0, 2: 0}
        for sid, channel in ((1, "orderbook_delta"), (2, "trade")):
            self.raw({"id": 1, "type": "subscribed", "msg": {"channel": channel, "sid": sid}})

    def raw(self, frame: object, at: float = 0.0, stream: str = "kalshi.ws") -> None:
        body = frame if isinstance(frame, bytes) else json.dumps(frame, separators=(",", ":")).encode()
        self.tap(Frame(stream, 0, at, body))

    def tell(self, kind: str, at: float = 0.0, sid: int = 1, skip: int = 0, **msg: object) -> None:
        self.seq[sid] += 1 + skip
        self.raw({"type": kind, "sid": sid, "seq": self.seq[sid], "msg": {"market_ticker": M, **msg}}, at)

    def book(self, bids: dict[str, str], asks: dict[str, str], at: float = 0.0, **more: object) -> None:
        self.tell("orderbook_snapshot", at, yes_dollars_fp=list(bids.items()), no_dollars_fp=list(asks.items()), **more)

    def trade(self, price: str, count: str, at: float, **more: object) -> None:
        self.tell("trade", at, 2, trade_id="t", yes_price_dollars=price, count_fp=count, taker_book_side="ask", **more)

    def place(self, price: int = 4600, at: float = 1.0, count: int = 100) -> None:
        self.number += 1
        self.venue.place(Order(f"c{self.number}", M, Side.BID, price, count, 1e12, 1, 0.5, 3.0), at)
        self.venue.advance(at)

    @property
    def fills(self) -> list[tuple[int, bool]]:
        self.venue.advance(1e11)
        return [(event.count, event.derived) for event in self.heard if isinstance(event, Fill)]


def test_books_changes_and_trades_reach_the_exchange_in_yes_prices() -> None:
    stage = Stage()
    stage.book({"0.4600": "10.00"}, {"0.4800": "5.00"})
    stage.tell("orderbook_delta", price_dollars="0.4700", delta_fp="5.00", side="no")
    stage.place()
    assert stage.exchange.queue("P1") == 1000
    stage.place(4700)
    assert [type(event).__name__ for event in stage.heard] == ["Done", "Rejected"]
    stage.trade("0.4600", "10.40", 2.0)
    assert stage.fills == [(40, False)]


def test_prices_of_the_no_leg_are_turned_where_the_connection_speaks_them() -> None:
    stage = Stage(yes_price=False)
    stage.book({"0.4600": "10.00"}, {"0.5200": "5.00"})
    stage.place(4800)
    assert [type(event).__name__ for event in stage.heard] == ["Rejected"]


def test_a_trade_off_the_book_fills_nothing() -> None:
    stage = Stage()
    stage.book({}, {})
    stage.place()
    stage.trade("0.4500", "10.00", 2.0, is_block_trade=True)
    assert stage.fills == []


def test_after_a_gap_nothing_but_a_new_book_is_believed() -> None:
    stage = Stage()
    stage.book({"0.4600": "10.00"}, {"0.4800": "5.00"})
    stage.place()
    stage.tell("orderbook_delta", 2.0, skip=1, price_dollars="0.4400", delta_fp="5.00", side="no")
    assert stage.fills == []
    stage.book({"0.4300": "1.00"}, {"0.4400": "5.00"}, 3.0)
    assert stage.fills == [(100, False)]


def test_a_new_connection_counts_from_the_start_and_shows_its_books_anew() -> None:
    stage = Stage()
    stage.book({"0.4600": "10.00"}, {"0.4800": "5.00"})
    stage.place()
    stage.connect()
    stage.tell("orderbook_delta", 2.0, price_dollars="0.4400", delta_fp="5.00", side="no")
    assert stage.fills == []
    stage.connect()
    stage.book({"0.4600": "3.00"}, {"0.4800": "5.00"}, 3.0)
    assert stage.exchange.queue("P1") == 300


def test_bars_fill_derived_and_a_derived_book_fills_nothing() -> None:
    stage = Stage()
    stage.book({"0.4600": "10.00"}, {"0.4800": "5.00"}, derived=True)
    stage.place(at=1.0)
    stage.book({"0.4300": "10.00"}, {"0.4500": "5.00"}, 60.0, derived=True)
    bar = {"start_ts": 60, "end_ts": 120, "open": "0.4700", "high": "0.4700", "low": "0.4500", "close": "0.4600", "derived": True}
    stage.tell("bar", 120.0, 2, volume_fp="0.70", **bar)
    assert stage.fills == [(70, True)]


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b'{"type":"bar","sid":2,"seq":1,"msg":{}}', b'{"type":"subscribed"}', b'{"type":"trade","sid":2,"seq":1,"msg":{}}'],
)
def test_what_cannot_be_read_is_counted_and_never_raised(body: bytes) -> None:
    stage = Stage()
    stage.raw(body)
    assert stage.tap.statistics()["malformed"] == 1


def test_frames_of_other_streams_are_not_looked_at() -> None:
    stage = Stage()
    stage.raw(b"nonsense", stream="espn.summary.nba.1")
    assert "malformed" not in stage.tap.statistics()


@pytest.mark.data
def test_on_a_recorded_market_every_fill_has_a_print_or_a_crossing_book_behind_it(shared_data: Path) -> None:
    path = sorted((shared_data / "kalshi" / "gold15m" / "events").glob("*.ndjson.gz"))[0]
    stage, by_print, by_cross = Stage(yes_price=False), 0, 0
    sizes: dict[str, dict[int, float]] = {"yes": {}, "no": {}}
    with gzip.open(path, "rt") as file:
        for number, line in enumerate(itertools.islice(file, 8000)):
            record = json.loads(line)
            frame, at = record["event"], record["recv_ms"] / 1000.0
            msg, known = frame["msg"], len(stage.exchange.fills(0.0))
            sid = 2 if frame["type"] == "trade" else 1
            stage.seq[sid] += 1
            stage.raw({**frame, "sid": sid, "seq": stage.seq[sid], "msg": {**msg, "market_ticker": M}}, at)
            fold(sizes, frame)
            ask = min((10_000 - price for price in sizes["no"]), default=10_000)
            for fill in stage.exchange.fills(0.0)[known:]:
                printed = frame["type"] == "trade" and round(float(msg["yes_price_dollars"]) * 10_000) <= fill.price
                assert printed or ask <= fill.price
                by_print, by_cross = by_print + printed, by_cross + (not printed)
            if number % 200 == 50 and sizes["yes"]:
                stage.place(max(sizes["yes"]), at)
    assert "malformed" not in stage.tap.statistics()
    assert by_print > 0
    assert by_cross > 0


def fold(sizes: dict[str, dict[int, float]], frame: dict[str, Any]) -> None:
    """The book, folded without care."""
    msg = frame["msg"]
    if frame["type"] == "orderbook_snapshot":
        for side in sizes:
            sizes[side] = {round(float(price) * 10_000): float(size) for price, size in msg.get(f"{side}_dollars_fp", ())}
    elif frame["type"] == "orderbook_delta":
        level, price = sizes[msg["side"]], round(float(msg["price_dollars"]) * 10_000)
        level[price] = level.get(price, 0.0) + float(msg["delta_fp"])
        if level[price] < 0.005:
            del level[price]
