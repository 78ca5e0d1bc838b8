"""Money: a reserve is enough whichever orders fill and in whatever order, and never more than everything at its own price."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import CENT, ONE, Side, cost, outlay
from chimera.sim.exchange.history import Dated
from chimera.sim.exchange.ledger import Claim, Holding, requirement

PRICES = st.integers(1, 99).map(lambda cents: cents * CENT)
CLAIMS = st.lists(st.builds(Claim, st.sampled_from(Side), PRICES, st.integers(1, 500)), max_size=6)


@given(CLAIMS, st.integers(-800, 800), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_what_is_reserved_pays_for_every_order_of_filling(claims: list[Claim], position: int, rng) -> None:
    rows = list(claims)
    holding = Holding("T", "E", 3, position=position, basis=cost(ONE // 2, abs(position)))
    cash = requirement(rows, position)
    rng.shuffle(rows)
    while rows:
        claim = rows.pop()
        part = rng.randint(1, claim.count)
        if part < claim.count:
            rows.insert(rng.randint(0, len(rows)), Claim(claim.side, claim.price, claim.count - part))
        holding, change = holding.after_fill(claim.side, claim.price, part, 0, 0.0)
        cash += change
        assert cash >= requirement(rows, holding.position) >= 0


@given(CLAIMS, st.integers(-800, 800))
@settings(max_examples=100, deadline=None)
def test_a_reserve_is_at_most_the_outlay_of_everything(claims: list[Claim], position: int) -> None:
    assert requirement(claims, position) <= sum(outlay(row.side, row.price, row.count) for row in claims)


@given(st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 99), st.integers(1, 300)), max_size=12), st.booleans())
@settings(max_examples=100, deadline=None)
def test_realized_gains_are_the_cash_once_a_market_is_paid(fills: list[tuple[Side, int, int]], yes: bool) -> None:
    holding, cash = Holding("T", "E", 3), 0
    for side, cents, count in fills:
        holding, change = holding.after_fill(side, cents * CENT, count, 7, 0.0)
        cash += change
        assert holding.basis >= 0
    holding, paid = holding.after_settlement(ONE if yes else 0, 1.0)
    assert cash + paid == holding.realized - holding.fees
    assert (holding.position, holding.basis, holding.settled) == (0, 0, True)


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 3), st.integers()), max_size=30), st.floats(0, 9))
@settings(max_examples=100, deadline=None)
def test_a_dated_table_shows_what_it_held_at_any_recent_moment(steps: list[tuple[float, int, int]], back: float) -> None:
    table: Dated[int, int] = Dated()
    now, log = 100.0, []
    for wait, key, value in steps:
        now += wait
        table.put(key, value, now)
        log.append((now, key, value))
    moment = now - back
    expected: dict[int, int] = {}
    for at, key, value in log:
        if at <= moment:
            expected[key] = value
    assert table.at(moment) == expected
