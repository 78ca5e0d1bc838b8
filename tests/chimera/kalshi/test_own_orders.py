"""Our orders as the exchange tells of them: each word once, and a log that makes sense whoever spoke first."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import CONTRACT, Side
from chimera.kalshi.own_orders import OwnOrders
from chimera.trading import venue_log as log
from chimera.trading.venue import Fill, Order

M = "KXNBAGAME-26NOV22BOSNYK-NYK"


def order(client_id: str = "a", count: int = 3 * CONTRACT) -> Order:
    return Order(client_id, M, Side.BID, 4_000, count, 100.0, 1, 0.5, 1.0)


def fill(fill_id: str, count: int = CONTRACT, client_id: str = "a", order_id: str = "A") -> Fill:
    return Fill(fill_id, client_id, order_id, M, Side.BID, 4_000, count, 0, False, 2.0)


class Book:
    def __init__(self, lines: tuple[log.Line, ...] = ()) -> None:
        self.lines: list[log.Line] = list(lines)
        self.own = OwnOrders(log.VenueLog(self.lines.append, len(lines)), lines)

    def kinds(self) -> list[type[Any]]:
        return [type(line) for line in self.lines]


@pytest.fixture
def book() -> Book:
    return Book()


def test_a_fill_before_the_ack_is_preceded_by_an_acceptance(book: Book) -> None:
    own = book.own.send(order(), 1.0)
    assert book.own.filled(fill("f"))
    assert not book.own.accepted(own, "A", 3.0)
    assert book.kinds() == [log.Sent, log.Accepted, log.Filled]


def test_the_last_fill_ends_an_order(book: Book) -> None:
    own = book.own.send(order(), 1.0)
    book.own.filled(fill("f", 2 * CONTRACT))
    assert own.left == CONTRACT
    book.own.filled(fill("g", CONTRACT))
    assert own.gone
    assert list(book.own.live()) == []
    assert [line.left for line in book.lines if isinstance(line, log.Filled)] == [CONTRACT, 0]


def test_a_fill_of_a_strangers_order_is_news_once_and_is_not_logged(book: Book) -> None:
    assert book.own.filled(fill("f", client_id="", order_id="Z"))
    assert not book.own.filled(fill("f", client_id="", order_id="Z"))
    assert book.lines == []


def test_a_listed_fill_is_known_by_the_exchanges_id(book: Book) -> None:
    own = book.own.send(order(), 1.0)
    book.own.accepted(own, "A", 1.5)
    assert book.own.filled(fill("f", client_id=""))
    assert own.filled == CONTRACT


def test_an_order_leaves_once(book: Book) -> None:
    own = book.own.send(order(), 1.0)
    book.own.accepted(own, "A", 1.5)
    assert book.own.left(own, "Cancel", None, 2.0)
    assert not book.own.left(own, "ExpiryCancel", 0, 3.0)
    assert [(line.why, line.reduced) for line in book.lines if isinstance(line, log.Left)] == [("Cancel", 3 * CONTRACT)]


def test_a_refused_place_is_an_end_and_a_refused_cancel_is_not(book: Book) -> None:
    refused, resting = book.own.send(order("a"), 1.0), book.own.send(order("b"), 1.0)
    book.own.refused(refused, "place", "invalid_order", 2.0)
    book.own.accepted(resting, "B", 2.0)
    book.own.refused(resting, "cancel", "not_found", 3.0)
    assert [own.client_id for own in book.own.live()] == ["b"]


def test_an_order_whose_place_nobody_answered_and_that_is_seen_after_all_rests(book: Book) -> None:
    own = book.own.send(order(), 1.0)
    own.gone = True
    assert book.own.accepted(own, "A", 9.0)
    assert [each.client_id for each in book.own.live()] == ["a"]


@pytest.mark.parametrize(("side", "value", "paid"), [(Side.BID, 10_000, 1_000_000), (Side.BID, 0, 0), (Side.ASK, 0, 1_000_000)])
def test_a_settled_market_pays_what_is_held(book: Book, side: Side, value: int, paid: int) -> None:
    book.own.send(Order("a", M, side, 4_000, CONTRACT, 100.0, 1, 0.5, 1.0), 1.0)
    book.own.filled(fill("f"))
    book.own.settled(M, value, 5.0)
    book.own.settled(M, value, 6.0)
    assert [line.paid for line in book.lines if isinstance(line, log.Settled)] == [paid, 0]


WORDS = st.lists(
    st.one_of(
        st.tuples(st.just("accepted")), st.tuples(st.just("left")), st.tuples(st.just("fill"), st.integers(0, 4)),
        st.tuples(st.just("refused")), st.tuples(st.just("renewed")),
    ),
    max_size=12,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(words=WORDS)
def test_whatever_is_said_in_whatever_order_the_log_restores_to_the_same_orders(words: list[tuple[Any, ...]]) -> None:
    book = Book()
    own = book.own.send(order(count=10 * CONTRACT), 1.0)
    for word in words:
        match word:
            case ("accepted",):
                book.own.accepted(own, "A", 2.0)
            case ("left",):
                book.own.accepted(own, "A", 2.0)
                book.own.left(own, "Cancel", None, 2.0)
            case ("fill", number):
                book.own.filled(fill(f"f{number}"))
            case ("refused",):
                book.own.accepted(own, "A", 2.0)
                book.own.refused(own, "amend", "not_found", 2.0)
            case ("renewed",):
                book.own.accepted(own, "A", 2.0)
                book.own.renewed(own, 200.0, 2.0)
    again = Book(tuple(book.lines)).own.get("a")
    assert again is not None
    assert (again.order_id, again.filled, again.gone, again.left) == (own.order_id, own.filled, own.gone, own.left)
    assert len([line for line in book.lines if isinstance(line, log.Accepted | log.Left)]) <= 2
