"""The matching engine: named cases, and a state machine against the plainest model there is."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from chimera.conventions import CENT, Side
from chimera.markets import PriceGrid
from chimera.sim.exchange.engine import Book, Change, Execution, Refused, SelfTrade, replay

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


def test_the_grid_says_which_prices_are_valid() -> None:
    made = Book(PriceGrid(((0, 1_000, 10), (1_000, 10_000, 100))))
    assert made.submit("anyone", BID, 110, 100).rested == 100
    with pytest.raises(Refused, match="invalid_price"):
        made.submit("anyone", BID, 1_110, 100)


@pytest.mark.parametrize(("stp", "filled", "left"), [(SelfTrade.TAKER_AT_CROSS, 100, [(46 * CENT, 100), (47 * CENT, 100)]),
                                                     (SelfTrade.MAKER, 200, []), (None, 300, [])])  # fmt: skip
def test_self_trades_are_prevented_as_asked(stp: SelfTrade | None, filled: int, left: list[tuple[int, int]]) -> None:
    made = Book()
    for cents, owner in ((45, "other"), (46, "me"), (47, "other")):
        made.submit(owner, ASK, cents * CENT, 100)
    done = made.submit("me", BID, 47 * CENT, 300, stp=stp, immediate=True)
    assert (done.filled, made.levels(ASK)) == (filled, left)
    assert done.stopped is (stp is SelfTrade.TAKER_AT_CROSS)
    assert len(done.prevented) == (stp is SelfTrade.MAKER)


def test_an_order_that_must_fill_whole_counts_volume_up_to_its_own_order() -> None:
    made = Book()
    for cents, owner in ((45, "other"), (46, "me"), (47, "other")):
        made.submit(owner, ASK, cents * CENT, 100)
    for stp in SelfTrade:
        with pytest.raises(Refused, match="fill_or_kill"):
            made.submit("me", BID, 47 * CENT, 201, whole=True, stp=stp)
    with pytest.raises(Refused, match="fill_or_kill"):
        made.submit("me", BID, 47 * CENT, 101, whole=True, stp=SelfTrade.TAKER_AT_CROSS)
    assert len(made.resting) == 3
    assert made.submit("me", BID, 47 * CENT, 200, whole=True, stp=SelfTrade.MAKER).filled == 200


@pytest.mark.parametrize(("cents", "count", "ahead"), [(40, 50, 0), (40, 100, 0), (40, 101, 100), (41, 100, 0), (39, 100, 100)])
def test_only_less_at_the_same_price_keeps_its_place(cents: int, count: int, ahead: int) -> None:
    made = book((BID, 40, 100), (BID, 40, 100))
    first = made.resting[0].order_id
    made.replace(first, cents * CENT, count)
    assert made.ahead(first) == ahead


def test_a_replaced_order_may_trade_and_keeps_its_id() -> None:
    made = book((BID, 40, 300), (ASK, 45, 100))
    mine = made.resting[0].order_id
    done = made.replace(mine, 45 * CENT, 300)
    assert [(trade.taker_order, trade.count) for trade in done.trades] == [(mine, 100)]
    assert (done.rested, made.depth_at(BID, 45 * CENT), made.levels(ASK)) == (200, 200, [])
    with pytest.raises(Refused, match="not_found"):
        made.replace(999, 45 * CENT, 1)


def test_what_cannot_have_happened_is_not_replayed() -> None:
    with pytest.raises(Refused, match="not_found"):
        replay([Change(BID, 40 * CENT, 100, 1), Change(BID, 40 * CENT, -101, 1)])


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
        self.changes: list[Change] = []
        self.positions: dict[str, int] = {}
        self.submitted = self.filled_twice = self.cancelled = self.dropped = 0

    def _hear(self, done: Execution) -> None:
        self.changes += done.changes
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

    @rule(order=orders, by=st.integers(1, 100))
    def reduce(self, order: int, by: int) -> None:
        row = next((row for row in self.model if row.order == order), None)
        done = self.book.reduce(order, by)
        assert (done is None) == (row is None)
        if done is None or row is None:
            return
        self._hear(done)
        self.cancelled += min(by, row.count)
        row.count = done.rested
        self.model = [row for row in self.model if row.count]

    @rule(order=orders, cents=st.integers(45, 55), count=st.integers(1, 500))
    def replace(self, order: int, cents: int, count: int) -> None:
        row = next((row for row in self.model if row.order == order), None)
        if row is None:
            return
        self.submitted += count - row.count
        keeps = cents * CENT == row.price and count <= row.count
        done = self.book.replace(order, cents * CENT, count)
        self._hear(done)
        if keeps:
            row.count = count
            return
        self.model.remove(row)
        assert [(trade.maker_order, trade.price, trade.count) for trade in done.trades] == self._expected(row.side, cents * CENT, count)
        self.filled_twice += 2 * done.filled
        if done.rested:
            self.model.append(Row(order, row.side, cents * CENT, done.rested))

    @invariant()
    def the_queues_are_first_come_first_served(self) -> None:
        for side in Side:
            for price, _ in self.book.levels(side):
                waiting = [(row.order, row.count) for row in self.model if row.side is side and row.price == price]
                assert [(order.order_id, order.count) for order in self.book.queue(side, price)] == waiting

    @invariant()
    def replaying_the_changes_gives_the_same_book(self) -> None:
        again = replay(self.changes)
        for side in Side:
            assert again.levels(side) == self.book.levels(side)
            for price, _ in again.levels(side):
                ours = [(order.order_id, order.count) for order in self.book.queue(side, price)]
                assert [(order.order_id, order.count) for order in again.queue(side, price)] == ours

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
