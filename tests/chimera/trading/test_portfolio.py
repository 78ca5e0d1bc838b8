"""Positions, cash and profit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import DOLLAR, ONE, Side, cost
from chimera.trading.portfolio import Portfolio
from chimera.trading.venue import Fill

M = "KXNBAGAME-1"
CASH = 1_000 * DOLLAR


def fill(name: str, side: Side, price: int, count: int, fee: int = 0, market: str = M) -> Fill:
    return Fill(name, "c", "o", market, side, price, count, fee, False, 1.0)


fills = st.builds(
    fill,
    st.uuids().map(str),
    st.sampled_from(Side),
    st.integers(1, ONE - 1),
    st.integers(1, 1000),
    st.integers(0, 20_000),
    st.sampled_from(["A", "B"]),
)


def test_a_round_trip_leaves_its_profit_less_fees_in_cash() -> None:
    held = Portfolio(CASH)
    held.apply(fill("1", Side.BID, 4600, 100, fee=4400))
    held.apply(fill("2", Side.ASK, 5000, 100, fee=4400))
    assert held.count(M) == 0
    assert held.cash - CASH == cost(400, 100) - 8800
    assert held.positions[M].realised == cost(400, 100)


def test_a_fill_is_taken_in_once() -> None:
    held = Portfolio(CASH)
    assert held.apply(fill("1", Side.BID, 4600, 100))
    assert not held.apply(fill("1", Side.BID, 4600, 100))
    assert held.count(M) == 100


def test_a_long_is_marked_at_the_bid_and_a_short_at_the_ask() -> None:
    long, short = Portfolio(CASH), Portfolio(CASH)
    long.apply(fill("1", Side.BID, 4600, 100))
    short.apply(fill("1", Side.ASK, 4600, 100))
    for held in (long, short):
        held.mark(M, 4500, 4700)
    assert long.equity - CASH == -cost(100, 100)
    assert short.equity - CASH == -cost(100, 100)
    assert long.pnl().marked == short.pnl().marked == -cost(100, 100)


def test_an_empty_side_is_marked_at_its_worst() -> None:
    long, short = Portfolio(), Portfolio()
    long.apply(fill("1", Side.BID, 4600, 100))
    short.apply(fill("1", Side.ASK, 4600, 100))
    for held in (long, short):
        held.mark(M, None, None)
    assert long.pnl().total == -cost(4600, 100)
    assert short.pnl().total == -cost(5400, 100)


def test_a_market_that_was_never_marked_is_worth_what_it_cost() -> None:
    held = Portfolio(CASH)
    held.apply(fill("1", Side.ASK, 4600, 100))
    assert held.equity == CASH
    assert held.collateral == cost(ONE, 100)


def test_settlement_pays_winners_and_moves_profit_from_marked_to_settled() -> None:
    held = Portfolio(CASH)
    held.apply(fill("1", Side.BID, 4600, 100, fee=1000))
    held.apply(fill("2", Side.ASK, 7000, 300, market="B"))
    held.mark("B", 6000, 6500)
    assert held.settle(M, ONE) == cost(ONE, 100)
    pnl = held.pnl()
    assert pnl.settled == cost(5400, 100) - 1000
    assert pnl.marked == cost(500, 300)
    assert pnl.fees == 1000
    assert held.settle(M, ONE) == 0


def test_a_result_that_was_paid_is_final_and_lies_within_a_dollar() -> None:
    held = Portfolio()
    held.settle(M, ONE)
    with pytest.raises(ValueError, match="was settled"):
        held.settle(M, 0)
    with pytest.raises(ValueError, match="between"):
        held.settle("B", ONE + 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(fills, max_size=12), st.integers(0, ONE), st.integers(0, ONE - 1), st.integers(0, ONE))
def test_money_is_conserved_and_the_split_adds_up(told: list[Fill], value: int, bid: int, ask: int) -> None:
    held = Portfolio(CASH)
    for each in told:
        held.apply(each)
    flows = {m: -sum(f.side.sign * cost(f.price, f.count) for f in told if f.market == m) for m in "AB"}
    counts = {m: sum(f.side.sign * f.count for f in told if f.market == m) for m in "AB"}
    assert {m: held.count(m) for m in "AB"} == counts
    assert held.cash == CASH + sum(flows.values()) - sum(f.fee for f in told)
    for position in held.positions.values():
        # Average cost rounds inside the position, never out of it.
        assert position.realised == position.flow + position.basis
        assert (position.count == 0) <= (position.basis == 0)
        assert position.basis * position.count >= 0
    held.mark("A", bid, ask)
    held.settle("B", value)
    assert held.pnl().total == held.equity - CASH
    assert held.pnl().settled == flows["B"] + cost(value, counts["B"]) - sum(f.fee for f in told if f.market == "B")


@settings(max_examples=50, deadline=None)
@given(st.lists(fills, max_size=8), st.integers(0, 8), st.integers(0, ONE))
def test_a_fill_told_after_its_market_settled_ends_in_the_same_cash(told: list[Fill], place: int, value: int) -> None:
    before, after = Portfolio(CASH), Portfolio(CASH)
    for each in told:
        before.apply(each)
    before.settle("A", value)
    for number, each in enumerate([*told, None]):
        if number == min(place, len(told)):
            after.settle("A", value)
        if each is not None:
            after.apply(each)
    assert (before.cash, before.pnl(), before.count("A")) == (after.cash, after.pnl(), after.count("A"))
