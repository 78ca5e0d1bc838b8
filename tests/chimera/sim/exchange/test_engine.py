"""The matching engine: named cases, and a state machine against the plainest model there is."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from chimera.conventions import CENT, Side
from chimera.sim.exchange.engine import Book, Change, Execution, Refused

BID, ASK = Side.BID, Side.ASK


def book(*orders: tuple[Side, int, int]) -> Book:
    """A book with these (side, cents, count) orders resting, first to last."""
    made = Book()
    for number, (side, cents, count) in enumerate(orders):
        made.submit(f"maker-{number}", side, cents * CENT, count, post_only=True)
    return made


def test_an_order_trades_at_the_price_that_rested() -> None:
    done = book((ASK, 45, 300)).submit("taker", BID, 50 * CENT, 100)
    assert [(trade.price, trade.count, trade.taker) for trade in done.trades] == [(45 * CENT, 100, BID)]
    assert (done.filled, done.rested) == (100, 0)


def test_the_best_price_goes_first_and_then_the_oldest_order() -> None:
    done = book((BID, 40, 100), (BID, 41, 100), (BID, 41, 100)).submit("taker", ASK, 40 * CENT, 250)
    assert [(trade.maker_owner, trade.count) for trade in done.trades] == [("maker-1", 100), ("maker-2", 100), ("maker-0", 50)]


def test_what_is_left_of_an_order_rests_and_keeps_its_place() -> None:
    made = book((BID, 40, 100), (BID, 40, 100))
    made.submit("taker", ASK, 40 * CENT, 30)
    done = made.submit("taker", ASK, 40 * CENT, 100)
    assert [(trade.maker_owner, trade.count) for trade in done.trades] == [("maker-0", 70), ("maker-1", 30)]


def test_an_immediate_order_never_rests() -> None:
    made = book((ASK, 45, 100))
    done = made.submit("taker", BID, 45 * CENT, 300, immediate=True)
    assert (done.filled, done.rested) == (100, 0)
    assert made.levels(BID) == []


@pytest.mark.parametrize("price", [0, 10_000, -100, 4_550])
def test_a_price_off_the_grid_is_refused(price: int) -> None:
    with pytest.raises(Refused, match="invalid_price"):
        book().submit("anyone", BID, price, 100)


def test_a_post_only_order_that_would_trade_is_refused_and_nothing_happens() -> None:
    made = book((ASK, 45, 100))
    with pytest.raises(Refused, match="post only cross"):
        made.submit("maker", BID, 45 * CENT, 100, post_only=True)
    assert made.levels(ASK) == [(45 * CENT, 100)]


def test_a_cancelled_order_is_gone_and_cannot_be_cancelled_again() -> None:
    made = book((BID, 40, 100))
    order = made.resting[0]
    first = made.cancel(order.order_id)
    assert first is not None
    assert first.changes == (Change(BID, 40 * CENT, -100),)
    assert made.cancel(order.order_id) is None


@attrs.define
class Row:
    order: int
    side: Side
    price: int
    count: int


class AgainstAModel(RuleBasedStateMachine):
    """The model is a list of resting orders in order of arrival; the fold is what a subscriber would hold."""

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.model: list[Row] = []
        self.fold: dict[tuple[Side, int], int] = {}
        self.positions: dict[str, int] = {}
        self.submitted = self.filled_twice = self.cancelled = self.dropped = 0

    def _hear(self, done: Execution) -> None:
        for change in done.changes:
            level = change.side, change.price
            self.fold[level] = self.fold.get(level, 0) + change.count
            assert self.fold[level] >= 0
            if not self.fold[level]:
                del self.fold[level]
        for trade in done.trades:
            signed = trade.count * trade.taker.sign
            self.positions[trade.taker_owner] = self.positions.get(trade.taker_owner, 0) + signed
            self.positions[trade.maker_owner] = self.positions.get(trade.maker_owner, 0) - signed

    def _expected(self, side: Side, price: int, count: int) -> list[tuple[int, int, int]]:
        """(order, price, count) of each fill, by price and then by arrival."""
        fills = []
        across = [row for row in self.model if row.side is side.other and (price - row.price) * side.sign >= 0]
        for row in sorted(across, key=lambda row: row.price * side.sign):
            size = min(count, row.count)
            if size:
                fills.append((row.order, row.price, size))
                row.count -= size
                count -= size
        self.model = [row for row in self.model if row.count]
        return fills

    @rule(
        target=orders,
        owner=st.sampled_from("abc"),
        side=st.sampled_from(Side),
        cents=st.integers(45, 55),
        count=st.integers(1, 500),
        immediate=st.booleans(),
    )
    def submit(self, owner: str, side: Side, cents: int, count: int, immediate: bool) -> int:
        done = self.book.submit(owner, side, cents * CENT, count, immediate=immediate)
        self._hear(done)
        assert [(trade.maker_order, trade.price, trade.count) for trade in done.trades] == self._expected(side, cents * CENT, count)
        assert done.filled == sum(trade.count for trade in done.trades)
        assert done.rested == (0 if immediate else count - done.filled)
        if done.rested:
            self.model.append(Row(done.order_id, side, cents * CENT, done.rested))
        self.submitted += count
        self.filled_twice += 2 * done.filled
        self.dropped += count - done.filled - done.rested
        return done.order_id

    @rule(order=consumes(orders))
    def cancel(self, order: int) -> None:
        resting = self.book.order(order)
        left = resting.count if resting else 0
        done = self.book.cancel(order)
        assert (done is not None) == any(row.order == order for row in self.model)
        if done is not None:
            self._hear(done)
        self.cancelled += left
        self.model = [row for row in self.model if row.order != order]

    @invariant()
    def the_book_is_not_crossed(self) -> None:
        bid, ask = self.book.best(BID), self.book.best(ASK)
        assert bid is None or ask is None or bid < ask

    @invariant()
    def folding_the_changes_gives_the_book(self) -> None:
        held = {(side, price): count for side in Side for price, count in self.book.levels(side)}
        assert held == self.fold

    @invariant()
    def contracts_are_conserved(self) -> None:
        assert sum(self.positions.values()) == 0
        resting = sum(order.count for order in self.book.resting)
        assert self.submitted == self.filled_twice + self.cancelled + self.dropped + resting


TestAgainstAModel = AgainstAModel.TestCase
TestAgainstAModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
