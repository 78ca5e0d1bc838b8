"""A reader faster than its receiver: books are shed by market and told, our own affairs never are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import Side
from chimera.errors import VenueError
from chimera.kalshi.backlog import Backlog, Shed, Waiting
from chimera.kalshi.channels import BOOK, FILLS
from chimera.kalshi.events import Delta, Gap, Snapshot, Trade
from chimera.kalshi.notices import OwnFill, Ticker


def delta(market: str, seq: int) -> Delta:
    return Delta(market, Side.BID, 4000, 1, seq, seq, 0)


def trade(market: str, number: int = 0) -> Trade:
    return Trade(market, 4000, 100, Side.BID, f"t{number}", 0)


def snapshot(market: str, seq: int = 0) -> Snapshot:
    return Snapshot(market, (), (), seq, seq)


def ticker(market: str, bid: int = 4000) -> Ticker:
    return Ticker(market, bid, 100, None, 0, None, 0, 0)


def fill(number: int) -> OwnFill:
    return OwnFill(f"f{number}", "o", "c", "M", Side.BID, 4000, 100, 0, False, None)


def gap(*markets: str, channel: str = BOOK) -> Gap:
    return Gap(channel, 1, markets, 1, 3, "")


def drained(backlog: Backlog) -> list[Waiting]:
    events = []
    while (event := backlog.pop()) is not None:
        events.append(event)
    assert len(backlog) == 0
    return events


class TestOrder:
    """Our own affairs first; a market's events in order; markets in turn."""

    def test_what_is_ours_overtakes_books_and_keeps_its_order(self) -> None:
        backlog = Backlog()
        for event in (snapshot("A"), fill(1), delta("A", 1), fill(2), gap(channel=FILLS)):
            backlog.push(event)
        assert drained(backlog) == [fill(1), fill(2), gap(channel=FILLS), snapshot("A"), delta("A", 1)]

    def test_a_busy_market_does_not_hold_up_another(self) -> None:
        backlog = Backlog()
        for event in (delta("A", 1), delta("A", 2), delta("A", 3), delta("B", 1)):
            backlog.push(event)
        assert drained(backlog) == [delta("A", 1), delta("B", 1), delta("A", 2), delta("A", 3)]

    def test_of_tickers_the_latest_counts(self) -> None:
        backlog = Backlog()
        for event in (ticker("A", 1), ticker("B", 1), ticker("A", 2)):
            backlog.push(event)
        assert drained(backlog) == [ticker("A", 2), ticker("B", 1)]
        assert backlog.statistics()["conflated_tickers"] == 1

    def test_a_snapshot_replaces_the_changes_that_waited_before_it_but_no_trade(self) -> None:
        backlog = Backlog()
        for event in (delta("A", 1), trade("A"), delta("A", 2), snapshot("A", 3), delta("A", 4)):
            backlog.push(event)
        assert drained(backlog) == [trade("A"), snapshot("A", 3), delta("A", 4)]

    def test_a_gap_takes_with_it_what_it_makes_void(self) -> None:
        """It overtakes: a snapshot from before it must not revive the book after it."""
        backlog = Backlog()
        for event in (snapshot("A", 1), delta("A", 2), trade("A"), delta("B", 1), gap("A")):
            backlog.push(event)
        assert drained(backlog) == [gap("A"), delta("B", 1), trade("A")]


class TestShedding:
    """Past the limit the fullest market goes, and is told of."""

    def test_the_fullest_market_is_thrown_away_whole_and_stays_silent_until_its_snapshot(self) -> None:
        backlog = Backlog(limit=5)
        for event in (delta("B", 1), delta("A", 1), delta("A", 2), trade("A"), delta("A", 3), delta("A", 4)):
            backlog.push(event)
        assert drained(backlog) == [Shed("A", 4, 1), delta("B", 1)]
        backlog.push(delta("A", 5))
        assert drained(backlog) == []
        assert backlog.statistics()["silent_markets"] == 1
        backlog.push(snapshot("A", 6))
        backlog.push(delta("A", 7))
        assert drained(backlog) == [snapshot("A", 6), delta("A", 7)]
        assert backlog.statistics()["shed_deltas"] == 4

    def test_a_silent_market_still_trades(self) -> None:
        backlog = Backlog(limit=1)
        backlog.push(delta("A", 1))
        backlog.push(delta("A", 2))
        backlog.push(trade("A"))
        assert drained(backlog) == [Shed("A", 2, 0), trade("A")]

    def test_too_much_of_what_is_never_shed_is_an_error(self) -> None:
        backlog = Backlog(limit_kept=2)
        backlog.push(fill(1))
        backlog.push(fill(2))
        with pytest.raises(VenueError, match="given up"):
            backlog.push(fill(3))
        assert drained(backlog) == [fill(1), fill(2)]


pushes = st.lists(
    st.tuples(st.sampled_from(["delta", "delta", "delta", "trade", "snapshot", "ticker", "fill", "gap", "pop"]), st.sampled_from("ABC")),
    max_size=120,
)


@settings(max_examples=100, deadline=None)
@given(pushes, st.integers(1, 12))
def test_it_stays_bounded_loses_nothing_of_ours_and_never_hands_on_a_change_with_one_missing_before_it(script, limit: int) -> None:
    backlog = Backlog(limit=limit)
    sent = {"A": 0, "B": 0, "C": 0}
    book: dict[str, int | None] = dict.fromkeys("ABC")
    fills_in: list[str] = []
    fills_out: list[str] = []

    def take(event: Waiting | None) -> None:
        match event:
            case Snapshot(market=market, seq=seq):
                book[market] = seq
            case Delta(market=market, seq=seq) if book[market] is not None:
                assert seq == book[market] + 1
                book[market] = seq
            case Shed(market=market):
                book[market] = None
            case Gap(markets=markets):
                book.update(dict.fromkeys(markets))
            case OwnFill(fill_id=name):
                fills_out.append(name)

    for what, market in script:
        match what:
            case "delta":
                sent[market] += 1
                backlog.push(delta(market, sent[market]))
            case "snapshot":
                backlog.push(snapshot(market, sent[market]))
            case "gap":
                sent[market] += 1
                backlog.push(gap(market))
            case "trade":
                backlog.push(trade(market))
            case "ticker":
                backlog.push(ticker(market))
            case "fill":
                fills_in.append(f"f{len(fills_in)}")
                backlog.push(fill(len(fills_in) - 1))
            case _:
                take(backlog.pop())
        assert backlog.statistics()["held"] <= limit
    for event in drained(backlog):
        take(event)
    assert fills_out == fills_in
