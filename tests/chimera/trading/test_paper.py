"""The paper exchange: never kinder than a live one."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from fractions import Fraction

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import DOLLAR, ONE, Side, cost
from chimera.errors import ConfigError
from chimera.markets import CENT_GRID, FeeTerms, Market, Status, TeamWins
from chimera.teams import NBA
from chimera.trading import paper
from chimera.trading.paper import PaperExchange
from chimera.trading.paper_queue import PAIRING_S
from chimera.trading.venue import Done, Fill, Gone, Order, Rejected
from chimera.trading.venue_log import Line, Sent, VenueLog

M = "KXNBAGAME-25MAY31NYKIND-IND"
FOREVER = 1e9
_ids = itertools.count()


def order(side: Side = Side.BID, price: int = 4600, count: int = 100, client_id: str = "", expires_at: float = FOREVER) -> Order:
    return Order(client_id or f"c{next(_ids)}", M, side, price, count, expires_at, 1, 0.5, 3.0)


def market(fee_type: str = "quadratic", close_at: float = FOREVER, status: Status = Status.ACTIVE) -> Market:
    knicks, pacers = NBA.by_name("New York Knicks"), NBA.by_name("Indiana Pacers")
    assert knicks is not None
    assert pacers is not None
    return Market(
        M, "KXNBAGAME-25MAY31NYKIND", "KXNBAGAME", "nba", "KXNBAGAME-25MAY31NYKIND", CENT_GRID,
        TeamWins(pacers, knicks, True, dt.date(2025, 5, 31)), status, 0.0, close_at, None, 0,
        FeeTerms(fee_type, Fraction(1)), "", None, "Game 6",
    )  # fmt: skip


class Paper:
    """An exchange with what it said and what it logged."""

    def __init__(self, cash: int = paper.STARTING_CASH, lines: tuple[Line, ...] = (), at: float = 0.0) -> None:
        self.lines: list[Line] = list(lines)
        self.said: list[Fill | Gone] = []
        self.log = VenueLog(self.lines.append, len(lines))
        self.exchange = PaperExchange(self.log, cash)
        self.exchange.tell = self.said.append
        self.exchange.open(at, lines)
        self.exchange.list_markets([market()], at)

    def book(self, bids: dict[int, int], asks: dict[int, int], at: float = 0.0) -> None:
        self.exchange.on_book(M, bids.items(), asks.items(), at)

    def send(self, wanted: Order, at: float = 1.0) -> Done | Rejected:
        """As the venue does: logged when sent, then arriving."""
        self.log.add(
            Sent(
                at=at, client_id=wanted.client_id, market=wanted.market, side=wanted.side, price=wanted.price, count=wanted.count,
                expires_at=wanted.expires_at, fence=wanted.fence, p_true=wanted.p_true, required_edge=wanted.required_edge,
            )
        )  # fmt: skip
        outcome = self.exchange.place(wanted, at)
        assert isinstance(outcome, Done | Rejected)
        return outcome

    def place(self, wanted: Order, at: float = 1.0) -> str:
        outcome = self.send(wanted, at)
        assert isinstance(outcome, Done), outcome
        return outcome.order_id

    def refusal(self, wanted: Order, at: float = 1.0) -> str:
        outcome = self.send(wanted, at)
        assert isinstance(outcome, Rejected), outcome
        return outcome.code

    @property
    def filled(self) -> int:
        return sum(event.count for event in self.said if isinstance(event, Fill))

    def trade(self, price: int, count: int, taker: Side = Side.ASK, at: float = 2.0) -> int:
        """How much a trade fills."""
        before = self.filled
        self.exchange.on_trade(M, price, count, taker, at)
        return self.filled - before


@pytest.fixture
def book() -> Paper:
    """46 bid for 10, 48 asked for 5."""
    made = Paper()
    made.book({4600: 1000, 4500: 2000}, {4800: 500, 4900: 2000})
    return made


class TestQueue:
    def test_it_joins_behind_everything_visible_and_is_filled_by_what_gets_past(self, book: Paper) -> None:
        name = book.place(order())
        assert book.exchange.queue(name) == 1000
        assert book.trade(4600, 1000) == 0
        assert book.trade(4600, 40) == 40
        assert book.trade(4600, 500) == 60

    def test_what_joins_later_stands_behind_and_its_cancel_moves_nobody(self, book: Paper) -> None:
        name = book.place(order())
        book.exchange.on_delta(M, Side.BID, 4600, +500, 1.5)
        book.exchange.on_delta(M, Side.BID, 4600, -500, 1.6)
        assert book.exchange.queue(name) == 1000

    def test_the_queue_is_never_longer_than_the_level(self, book: Paper) -> None:
        name = book.place(order())
        book.exchange.on_delta(M, Side.BID, 4600, -700, 1.5)
        assert book.exchange.queue(name) == 300
        book.book({4600: 200}, {4800: 500}, 1.6)
        assert book.exchange.queue(name) == 200

    @pytest.mark.parametrize("trade_first", [True, False])
    def test_a_trade_and_its_book_change_shorten_the_queue_once(self, book: Paper, trade_first: bool) -> None:
        name = book.place(order())
        steps = [lambda: book.trade(4600, 400, at=1.5), lambda: book.exchange.on_delta(M, Side.BID, 4600, -400, 1.5)]
        for step in steps if trade_first else reversed(steps):
            step()
        assert book.exchange.queue(name) == 600

    def test_a_cancel_long_ago_does_not_swallow_a_later_trade(self, book: Paper) -> None:
        name = book.place(order())
        book.exchange.on_delta(M, Side.BID, 4600, -400, 1.5)
        book.trade(4600, 400, at=1.5 + PAIRING_S + 0.1)
        assert book.exchange.queue(name) == 200

    def test_without_a_book_nothing_at_its_price_fills_it(self) -> None:
        made = Paper()
        made.place(order())
        assert made.trade(4600, 5000) == 0
        made.book({4600: 300}, {4800: 100}, 2.0)
        assert made.trade(4600, 350) == 50

    def test_our_orders_share_a_trade_and_the_better_price_takes_first(self, book: Paper) -> None:
        level, better = order(count=100), order(price=4700, count=100)
        book.place(level)
        book.place(better)
        # 130 reach the order at 47; of the 1000 + 30 that are left, the queue at 46 eats 1000.
        book.trade(4600, 1130)
        fills = {event.client_id: event.count for event in book.said if isinstance(event, Fill)}
        assert fills == {better.client_id: 100, level.client_id: 30}

    def test_a_taker_on_our_own_side_does_not_move_our_queue(self, book: Paper) -> None:
        name = book.place(order(Side.ASK, 4800))
        book.trade(4900, 300, Side.BID)
        assert book.filled == 100
        name = book.place(order(Side.BID, 4600), at=3.0)
        book.trade(4800, 300, Side.BID, at=3.5)
        assert book.exchange.queue(name) == 1000


class TestAdverseMoves:
    @pytest.mark.parametrize(("side", "price", "through"), [(Side.BID, 4600, 4500), (Side.ASK, 4800, 4900)])
    def test_a_trade_through_the_price_fills_whatever_the_queue_at_our_price(
        self, book: Paper, side: Side, price: int, through: int
    ) -> None:
        book.place(order(side, price))
        assert book.trade(through, 60, side.other) == 60
        assert book.trade(through, 60, side.other) == 40
        assert all(event.price == price for event in book.said if isinstance(event, Fill))

    @pytest.mark.parametrize(("side", "price", "other"), [(Side.BID, 4600, 4600), (Side.BID, 4600, 4400), (Side.ASK, 4800, 4800)])
    def test_when_the_other_side_reaches_the_price_it_is_filled_in_full(
        self, book: Paper, side: Side, price: int, other: int
    ) -> None:
        book.place(order(side, price))
        book.exchange.on_delta(M, side.other, other, +1, 2.0)
        assert book.filled == 100

    def test_also_when_that_happened_unseen_in_a_gap(self, book: Paper) -> None:
        book.place(order())
        book.exchange.on_lost(M, 2.0)
        book.exchange.on_delta(M, Side.ASK, 4500, +100, 2.1)
        assert book.filled == 0
        book.book({4300: 100}, {4500: 100}, 3.0)
        assert book.filled == 100

    def test_somebody_buying_at_our_bid_price_means_that_our_bid_was_met(self, book: Paper) -> None:
        book.place(order())
        assert book.trade(4600, 70, Side.BID) == 70

    def test_it_may_fill_until_its_cancel_arrives_and_not_after(self, book: Paper) -> None:
        first, second = order(), order()
        gone = book.place(first)
        book.place(second)
        outcome = book.exchange.cancel(gone, first.client_id, M, 2.0)
        assert isinstance(outcome, Done)
        assert outcome.reduced == 100
        book.trade(4500, 5000)
        assert [event.client_id for event in book.said] == [second.client_id]
        again = book.exchange.cancel(gone, first.client_id, M, 3.0)
        assert isinstance(again, Rejected)
        assert again.code == paper.NOT_FOUND


class TestRejections:
    @pytest.mark.parametrize(("side", "price"), [(Side.BID, 4800), (Side.BID, 5500), (Side.ASK, 4600), (Side.ASK, 4000)])
    def test_an_order_that_would_take_is_rejected(self, book: Paper, side: Side, price: int) -> None:
        assert book.refusal(order(side, price)) == paper.POST_ONLY_CROSS

    def test_our_own_orders_count_as_the_book(self, book: Paper) -> None:
        book.place(order(Side.ASK, 4700))
        assert book.refusal(order(Side.BID, 4700)) == paper.POST_ONLY_CROSS

    def test_a_client_id_is_never_free_again(self, book: Paper) -> None:
        name = book.place(order(client_id="once"))
        book.exchange.cancel(name, "once", M, 2.0)
        assert book.refusal(order(client_id="once")) == paper.ID_USED
        assert book.refusal(order(price=4800, client_id="crossed")) == paper.POST_ONLY_CROSS
        assert book.refusal(order(client_id="crossed")) == paper.ID_USED

    @pytest.mark.parametrize(
        ("wanted", "code"),
        [
            (order(price=0), paper.BAD_PRICE),
            (order(price=ONE), paper.BAD_PRICE),
            (order(price=4650), paper.BAD_PRICE),
            (order(count=0), paper.BAD_ORDER),
            (order(expires_at=1.0), paper.BAD_ORDER),
        ],
    )
    def test_an_order_that_makes_no_sense_is_rejected(self, book: Paper, wanted: Order, code: str) -> None:
        book.exchange.list_markets([market()], 0.0)
        assert book.refusal(wanted) == code

    def test_a_closed_market_takes_no_order(self, book: Paper) -> None:
        book.exchange.list_markets([market(close_at=5.0)], 0.0)
        assert book.refusal(order(), at=5.0) == paper.MARKET_CLOSED

    def test_cash_covers_the_worst_of_everything_that_rests(self) -> None:
        made = Paper(cash=DOLLAR)
        made.place(order(Side.BID, 4600, 100))
        assert made.refusal(order(Side.ASK, 4700, 200)) == paper.NO_CASH
        made.place(order(Side.ASK, 4700, 100))
        assert made.exchange.free_cash == DOLLAR - cost(4600, 100) - cost(5300, 100)

    def test_closing_a_position_needs_no_cash(self) -> None:
        made = Paper(cash=cost(4600, 100))
        made.place(order(Side.BID, 4600, 100))
        made.trade(4500, 100)
        assert made.exchange.free_cash == 0
        made.place(order(Side.ASK, 4700, 100))
        assert made.refusal(order(Side.ASK, 4700, 100)) == paper.NO_CASH

    def test_a_short_locks_its_collateral(self) -> None:
        made = Paper(cash=cost(5400, 100))
        made.place(order(Side.ASK, 4600, 100))
        made.trade(4700, 100, Side.BID)
        assert made.exchange.free_cash == 0
        assert made.refusal(order(Side.ASK, 4800, 1)) == paper.NO_CASH
        made.place(order(Side.BID, 4400, 100))


class TestTimeAndEnds:
    def test_an_order_expires_at_its_time_unless_renewed_and_keeps_its_place(self, book: Paper) -> None:
        wanted = order(expires_at=20.0)
        name = book.place(wanted)
        book.trade(4600, 900)
        assert isinstance(book.exchange.amend(name, wanted.client_id, M, 40.0, 10.0), Done)
        assert book.exchange.queue(name) == 100
        book.exchange.expire(39.9)
        assert book.said == []
        book.exchange.expire(40.0)
        assert book.said == [Gone(wanted.client_id, name, M, paper.EXPIRED, 40.0, 100)]

    def test_a_renewal_of_what_is_gone_or_into_the_past_is_refused(self, book: Paper) -> None:
        wanted = order()
        name = book.place(wanted)
        for renewal in (book.exchange.amend(name, wanted.client_id, M, 2.0, 3.0), book.exchange.amend("P9", "x", M, 9.0, 3.0)):
            assert isinstance(renewal, Rejected)

    def test_a_market_that_closes_sweeps_what_rests(self, book: Paper) -> None:
        book.exchange.list_markets([market(close_at=30.0)], 0.0)
        book.place(order())
        assert book.exchange.next_expiry() == 30.0
        book.exchange.expire(30.0)
        assert [event.reason for event in book.said if isinstance(event, Gone)] == [paper.CLOSED]

    def test_a_market_that_is_halted_sweeps_what_rests(self, book: Paper) -> None:
        book.place(order())
        book.exchange.list_markets([market(status=Status.INACTIVE)], 2.0)
        assert [event.reason for event in book.said if isinstance(event, Gone)] == [paper.CLOSED]

    def test_a_trip_takes_off_its_markets_alone(self, book: Paper) -> None:
        book.place(order())
        book.exchange.fire({"OTHER"}, 2.0)
        assert len(book.exchange.resting()) == 1
        book.exchange.fire({M}, 2.0)
        assert [event.reason for event in book.said if isinstance(event, Gone)] == [paper.FIRED]
        book.place(order())
        book.exchange.fire(None, 3.0)
        assert book.exchange.resting() == ()

    def test_settlement_pays_once_sweeps_and_closes(self, book: Paper) -> None:
        book.place(order())
        book.trade(4500, 40)
        assert book.exchange.settle(M, ONE, 5.0) == cost(ONE, 40)
        assert book.exchange.settle(M, ONE, 6.0) == 0
        assert book.exchange.resting() == ()
        assert book.exchange.portfolio.cash == paper.STARTING_CASH + cost(5400, 40)
        assert book.refusal(order(), at=7.0) == paper.MARKET_CLOSED

    @pytest.mark.parametrize(("fee_type", "fee"), [("quadratic", 0), ("quadratic_with_maker_fees", 4400), ("flat", 17_400)])
    def test_fees_are_the_makers_and_the_takers_where_they_are_unknown(self, book: Paper, fee_type: str, fee: int) -> None:
        book.exchange.list_markets([market(fee_type)], 0.0)
        book.place(order())
        book.trade(4500, 100)
        assert [event.fee for event in book.said if isinstance(event, Fill)] == [pytest.approx(fee, abs=100)]
        assert book.exchange.portfolio.fees == book.said[0].fee  # type: ignore[union-attr]


class TestBars:
    def bar(self, made: Paper, low: int = 4500, high: int = 4700, volume: int = 1000, start: float = 60.0) -> None:
        made.exchange.on_bar(M, start, start + 60.0, low, high, volume, start + 60.0)

    def test_only_a_bar_that_began_after_the_order_rested_fills_it(self) -> None:
        made = Paper()
        made.place(order(), at=61.0)
        self.bar(made)
        assert made.filled == 0
        self.bar(made, start=120.0)
        assert made.filled == 100
        assert all(event.derived for event in made.said if isinstance(event, Fill))

    @pytest.mark.parametrize(("side", "price"), [(Side.BID, 4500), (Side.ASK, 4700)])
    def test_touching_the_price_is_not_through_it(self, side: Side, price: int) -> None:
        made = Paper()
        made.place(order(side, price))
        self.bar(made)
        assert made.filled == 0

    def test_all_orders_together_get_at_most_the_volume(self) -> None:
        made = Paper()
        made.place(order(Side.BID, 4600))
        made.place(order(Side.ASK, 4700))
        self.bar(made, high=4800, volume=150)
        assert made.filled == 150

    def test_a_derived_book_fills_nothing_but_stops_what_would_cross(self) -> None:
        made = Paper()
        made.place(order())
        made.exchange.on_book(M, [(4300, 100)], [(4500, 100)], 2.0, derived=True)
        assert made.filled == 0
        assert made.refusal(order(price=4500)) == paper.POST_ONLY_CROSS


class TestRestoring:
    def test_a_new_process_goes_on_where_the_log_ends(self, book: Paper) -> None:
        book.place(order(client_id="half", expires_at=100.0))
        book.place(order(Side.ASK, 4800, client_id="gone", expires_at=50.0))
        renewed = order(price=4400, client_id="renewed", expires_at=40.0)
        name = book.place(renewed)
        book.exchange.amend(name, "renewed", M, 200.0, 20.0)
        book.trade(4500, 40)
        later = Paper(lines=tuple(book.lines), at=60.0)
        assert {(r.client_id, r.count, r.filled) for r in later.exchange.resting()} == {("half", 60, 40), ("renewed", 100, 0)}
        assert later.exchange.portfolio.cash == book.exchange.portfolio.cash
        assert later.exchange.portfolio.count(M) == 40
        assert later.exchange.fills(0.0) == book.exchange.fills(0.0)
        assert [event.client_id for event in later.said] == ["gone"]
        assert later.refusal(order(client_id="gone"), at=61.0) == paper.ID_USED
        assert later.exchange.next_expiry() == 100.0
        assert later.place(order(price=4300), at=61.0) == "P4"

    def test_settlements_are_not_paid_twice(self, book: Paper) -> None:
        book.place(order())
        book.trade(4500, 100)
        book.exchange.settle(M, ONE, 5.0)
        later = Paper(lines=tuple(book.lines), at=60.0)
        assert later.exchange.settle(M, ONE, 61.0) == 0
        assert later.exchange.portfolio.cash == book.exchange.portfolio.cash
        assert later.refusal(order(), at=62.0) == paper.MARKET_CLOSED

    def test_a_restored_order_does_not_know_its_place(self, book: Paper) -> None:
        name = book.place(order())
        book.trade(4600, 900)
        later = Paper(lines=tuple(book.lines), at=60.0)
        assert later.exchange.queue(name) is None
        later.book({4600: 700}, {4800: 100}, 61.0)
        assert later.exchange.queue(name) == 700

    def test_a_log_that_does_not_hang_together_is_refused(self, book: Paper) -> None:
        book.place(order())
        with pytest.raises(ConfigError, match="venue log"):
            Paper(lines=tuple(line for line in book.lines if not isinstance(line, Sent)))

    def test_every_line_has_the_next_number(self, book: Paper) -> None:
        book.place(order())
        book.trade(4500, 40)
        book.exchange.fire(None, 3.0)
        assert [line.seq for line in book.lines] == list(range(1, len(book.lines) + 1))


# A book of real orders, in which ours has a place that is known exactly


@attrs.define(eq=False)
class _Other:
    side: Side
    price: int
    size: int


class Reference:
    """A price-time exchange of other people's orders. Our bid at `price` is virtual: it fills as the rules of the queue say, and is seen by
    nobody, so the tape stays what it was."""

    def __init__(self, made: Paper, rng: random.Random, price: int) -> None:
        self.made, self.rng, self.price = made, rng, price
        self.orders: list[_Other] = []
        self.ahead: list[_Other] | None = None
        self.filled, self.crossed, self.at = 0, False, 1.0

    def level(self, side: Side, price: int) -> list[_Other]:
        return [each for each in self.orders if each.side is side and each.price == price]

    def best(self, side: Side) -> int | None:
        prices = [each.price for each in self.orders if each.side is side]
        return (max if side is Side.BID else min)(prices, default=None)

    def place(self) -> None:
        best = self.best(Side.ASK)
        if best is not None and best <= self.price:
            return
        self.ahead = list(self.level(Side.BID, self.price))
        self.made.place(order(price=self.price), self.at)

    def add(self, side: Side, price: int, size: int) -> None:
        opposite = self.best(side.other)
        if opposite is not None and side.sign * (price - opposite) >= 0:
            return
        if self.ahead is not None and side is Side.ASK and price <= self.price:
            self.crossed = True
        self.orders.append(_Other(side, price, size))
        self.made.exchange.on_delta(M, side, price, size, self.at)

    def cancel(self, index: int, size: int) -> None:
        if self.orders:
            self.shrink(self.orders[index % len(self.orders)], size)

    def shrink(self, other: _Other, size: int) -> None:
        size = min(size, other.size)
        other.size -= size
        if other.size == 0:
            self.orders.remove(other)
        self.made.exchange.on_delta(M, other.side, other.price, -size, self.at)

    def take(self, taker: Side, size: int) -> None:
        """A market order: each level it eats is one trade and one book change, in either order."""
        while size and (price := self.best(taker.other)) is not None:
            level = self.level(taker.other, price)
            volume = min(size, sum(each.size for each in level))
            size -= volume
            if taker is Side.ASK:
                self.fill_ours(price, volume)
            left, eaten = volume, []
            for each in level:
                part = min(left, each.size)
                each.size -= part
                left -= part
                eaten.append(each)
            self.orders = [each for each in self.orders if each.size]
            tell = [
                lambda p=price, v=volume: self.made.exchange.on_trade(M, p, v, taker, self.at),
                lambda p=price, v=volume: self.made.exchange.on_delta(M, taker.other, p, -v, self.at),
            ]
            self.rng.shuffle(tell)
            for each_told in tell:
                each_told()

    def fill_ours(self, price: int, volume: int) -> None:
        if self.ahead is None or price > self.price:
            return
        queue = sum(each.size for each in self.ahead) if price == self.price else 0
        self.filled += min(100 - self.filled, max(0, volume - queue))


steps = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(Side), st.sampled_from([4400, 4500, 4600, 4700, 4800, 4900]), st.integers(1, 150)),
    st.tuples(st.just("cancel"), st.integers(0, 30), st.integers(1, 150)),
    st.tuples(st.just("take"), st.sampled_from(Side), st.integers(1, 300)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.2, 1.5])),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(steps, min_size=1, max_size=8), st.lists(steps, max_size=25), st.integers(0, 2**16))
def test_it_never_fills_sooner_than_a_true_place_in_the_queue_would(
    before: list[tuple[object, ...]], after: list[tuple[object, ...]], seed: int
) -> None:
    made = Paper()
    made.book({}, {})
    true = Reference(made, random.Random(seed), 4600)
    true.add(Side.BID, 4600, 80)
    true.add(Side.ASK, 4900, 80)
    for number, (what, *details) in enumerate([*before, ("place",), *after]):
        true.at += 0.01
        if what == "wait":
            true.at += float(details[0])  # type: ignore[arg-type]
        else:
            getattr(true, str(what))(*details)
        if true.crossed:
            # An offer at our price met us: filled in full, which is at least what any taker could have.
            assert made.filled == 100
            return
        assert made.filled <= true.filled, f"step {number}"
        assert all(event.price == 4600 for event in made.said if isinstance(event, Fill))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([4400, 4500]), st.integers(1, 80)), min_size=1, max_size=6), st.integers(0, 500))
def test_no_trade_through_the_price_is_ever_missed(trades: list[tuple[int, int]], queue: int) -> None:
    made = Paper()
    made.book({4600: queue}, {4900: 80})
    made.place(order())
    for price, count in trades:
        made.trade(price, count)
    assert made.filled == min(100, sum(count for _, count in trades))
