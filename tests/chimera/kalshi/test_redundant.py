"""One stream out of several connections: each change once, none missing, and no book that the exchange did not have."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import Side
from chimera.kalshi.events import Delta, Snapshot
from chimera.kalshi.redundant import RedundantBooks, Verdict

TAKE, REPEATED, LOST = Verdict.TAKE, Verdict.REPEATED, Verdict.LOST


def snapshot(clock: int, market: str = "M") -> Snapshot:
    return Snapshot(market, (), (), 1, clock)


def delta(clock: int, ts_ms: int = 0, market: str = "M") -> Delta:
    return Delta(market, Side.BID, 4000, 100, 1, clock, ts_ms)


@pytest.fixture
def books() -> RedundantBooks:
    """Two connections that have both given their snapshot of M, as of clock 10."""
    both = RedundantBooks()
    assert both.snapshot(1, snapshot(10)) is TAKE
    assert both.snapshot(2, snapshot(10)) is TAKE
    return both


class TestOnce:
    """The first to come to a place is taken."""

    def test_the_same_changes_from_two_connections_come_once(self, books: RedundantBooks) -> None:
        assert [books.delta(1, delta(clock)) for clock in (11, 11, 12)] == [TAKE, TAKE, TAKE]
        assert [books.delta(2, delta(clock)) for clock in (11, 11, 12)] == [REPEATED, REPEATED, REPEATED]

    def test_changes_that_share_a_clock_are_told_apart_by_their_count(self, books: RedundantBooks) -> None:
        assert books.delta(1, delta(11)) is TAKE
        assert [books.delta(2, delta(11)) for _ in range(3)] == [REPEATED, TAKE, TAKE]
        assert [books.delta(1, delta(11)) for _ in range(2)] == [REPEATED, REPEATED]
        assert books.delta(1, delta(13)) is TAKE

    def test_a_snapshot_holds_everything_of_its_clock(self, books: RedundantBooks) -> None:
        books.delta(1, delta(11))
        assert books.snapshot(2, snapshot(11)) is TAKE
        assert books.delta(1, delta(11)) is REPEATED
        assert books.delta(1, delta(12)) is TAKE

    def test_a_snapshot_older_than_what_was_taken_is_passed_over(self, books: RedundantBooks) -> None:
        books.delta(1, delta(15))
        assert books.snapshot(2, snapshot(12)) is REPEATED
        assert [books.delta(2, delta(clock)) for clock in (13, 15, 16)] == [REPEATED, REPEATED, TAKE]

    def test_a_connection_without_a_snapshot_is_not_listened_to(self, books: RedundantBooks) -> None:
        assert books.delta(3, delta(11)) is REPEATED
        assert RedundantBooks().delta(1, delta(1)) is REPEATED

    def test_markets_have_nothing_to_do_with_one_another(self, books: RedundantBooks) -> None:
        books.delta(1, delta(50))
        assert books.snapshot(1, snapshot(3, "N")) is TAKE
        assert books.delta(1, delta(4, market="N")) is TAKE


class TestLoss:
    """A market is lost when nobody carries it as far as it has been told."""

    def test_one_connection_lost_is_no_loss_while_another_keeps_up(self, books: RedundantBooks) -> None:
        books.delta(1, delta(11))
        books.delta(2, delta(11))
        assert books.lost(1, ["M"]) == ()
        assert books.carriers("M") == (2,)
        assert books.delta(2, delta(12)) is TAKE
        assert books.ended(2) == ("M",)
        assert books.delta(2, delta(13)) is REPEATED
        assert books.snapshot(2, snapshot(5)) is TAKE

    def test_one_that_is_behind_does_not_carry_it(self, books: RedundantBooks) -> None:
        """It may be late, or count by another clock since a maintenance."""
        books.delta(1, delta(12))
        assert books.ended(1) == ("M",)
        assert books.carriers("M") == ()

    def test_what_is_lost_twice_or_was_never_there_is_told_once(self, books: RedundantBooks) -> None:
        assert books.lost(1, ["M", "N"]) == ()
        assert books.lost(1, ["M"]) == ()
        assert books.lost(2, ["M"]) == ("M",)
        assert books.lost(2, ["M"]) == ()

    def test_a_clock_that_runs_backwards_on_one_connection_loses_the_market(self, books: RedundantBooks) -> None:
        books.delta(1, delta(20))
        assert books.delta(1, delta(19)) is LOST
        assert books.carriers("M") == ()
        assert books.snapshot(2, snapshot(4)) is TAKE

    def test_an_older_clock_that_tells_of_a_later_time_loses_the_market(self, books: RedundantBooks) -> None:
        books.delta(1, delta(20, ts_ms=1000))
        assert books.delta(2, delta(15, ts_ms=900)) is REPEATED
        assert books.delta(2, delta(16, ts_ms=2000)) is LOST

    def test_one_that_a_snapshot_of_another_has_overtaken_is_only_late(self, books: RedundantBooks) -> None:
        books.delta(1, delta(20, ts_ms=1000))
        assert books.snapshot(2, snapshot(30)) is TAKE
        assert [books.delta(1, delta(21, ts_ms=2000)), books.delta(1, delta(31, ts_ms=3000))] == [REPEATED, TAKE]


class TestWithoutClocks:
    """Where the exchange sends none, one connection is believed at a time."""

    def test_the_first_is_believed_alone_until_it_is_lost(self) -> None:
        books = RedundantBooks()
        assert books.snapshot(1, snapshot(0)) is TAKE
        assert books.snapshot(2, snapshot(0)) is REPEATED
        assert [books.delta(1, delta(0)), books.delta(2, delta(0))] == [TAKE, REPEATED]
        assert books.snapshot(1, snapshot(0)) is TAKE
        assert books.lost(2, ["M"]) == ()
        assert books.lost(1, ["M"]) == ("M",)


@attrs.define
class Wire:
    """One connection: what is on its way, how far it has read, and whether it has a snapshot."""

    read: int
    synced: bool = True


steps = st.lists(
    st.one_of(
        st.tuples(st.just("act"), st.integers(1, 3)),
        st.tuples(st.just("hear"), st.sampled_from([1, 2])),
        st.tuples(st.just("lose"), st.sampled_from([1, 2])),
        st.tuples(st.just("sync"), st.sampled_from([1, 2])),
    ),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(steps)
def test_whatever_two_connections_lose_the_merged_book_is_one_the_exchange_had(script) -> None:
    """The book is a number that every change adds one to; the exchange's history holds it after each."""
    history: list[tuple[int, int]] = [(10, 0)]
    wires = {1: Wire(0), 2: Wire(0)}
    books = RedundantBooks()
    book: int | None = None
    for number in wires:
        if books.snapshot(number, snapshot(10)) is TAKE:
            book = 0
    for step, argument in script:
        if step == "act":
            clock = history[-1][0] + argument
            history += [(clock, history[-1][1] + 1 + extra) for extra in range(argument)]
            continue
        wire = wires[argument]
        if step == "hear" and wire.synced and wire.read + 1 < len(history):
            wire.read += 1
            clock, size = history[wire.read]
            if books.delta(argument, delta(clock, ts_ms=clock)) is TAKE:
                assert book is not None
                book += 1
                assert book == size
        elif step == "lose":
            wire.synced = False
            if books.lost(argument, ["M"]):
                book = None
        elif step == "sync":
            # The exchange answers with all of its newest clock.
            wire.read, wire.synced = len(history) - 1, True
            if books.snapshot(argument, snapshot(history[-1][0])) is TAKE:
                book = history[-1][1]
    assert bool(books.carriers("M")) == (book is not None)
    for number in books.carriers("M"):
        while wires[number].read + 1 < len(history):
            wires[number].read += 1
            clock, size = history[wires[number].read]
            if books.delta(number, delta(clock, ts_ms=clock)) is TAKE:
                book = size
    assert book in (None, history[-1][1])
