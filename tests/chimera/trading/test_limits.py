"""Hard limits: each control by itself, and that no accepted set of orders can break a cap whichever of them fill."""

from __future__ import annotations

from itertools import product

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import ONE, Side, cost
from chimera.trading.limits import (
    CONTROLS,
    Caps,
    DomainCaps,
    Holding,
    LimitsState,
    Place,
    Proposal,
    Working,
    check,
    event_loss,
    market_notional,
    notionals,
    one_of,
    tokens_suffice,
)
from chimera.trading.reasons import Reason

DOLLAR = 1_000_000
HOME, AWAY, COIN = "GAME-HOME", "GAME-AWAY", "COIN-UP"
PLACES = {
    HOME: Place("nba", "GAME", "GAME"),
    AWAY: Place("nba", "GAME", "GAME"),
    COIN: Place("crypto", "BTC", "COIN"),
}
NBA_CAPS = DomainCaps(size=100, event_loss=2 * DOLLAR, notional=3 * DOLLAR, quote_age=5.0)
EMPTY = LimitsState(
    caps=Caps(
        domains={"nba": NBA_CAPS, "crypto": attrs.evolve(NBA_CAPS, size=200)},
        notional=4 * DOLLAR,
        open_orders=6,
        daily_loss=5 * DOLLAR,
        unit_loss=2 * DOLLAR,
    ),
    places=PLACES,
    holdings={},
    working={},
    outcomes={"GAME": one_of((HOME, AWAY), exhaustive=True)},
    day_loss=0,
    unit_losses={},
    write_capacity=1_000,
)
BID = Proposal(market=HOME, side=Side.BID, price=4000, count=100, quoted_at=100.0, now=101.0)


def with_caps(state: LimitsState, **changes: object) -> LimitsState:
    return attrs.evolve(state, caps=attrs.evolve(state.caps, **changes))


def with_nba(state: LimitsState, **changes: object) -> LimitsState:
    return with_caps(state, domains={**state.caps.domains, "nba": attrs.evolve(NBA_CAPS, **changes)})


def test_an_order_within_every_limit_may_be_written() -> None:
    assert check(BID, EMPTY) is None


@pytest.mark.parametrize(
    ("order", "state", "reason"),
    [
        (attrs.evolve(BID, market="NOBODY"), EMPTY, Reason.NOT_LISTED),
        (BID, with_caps(EMPTY, domains={}), Reason.NOT_LISTED),
        (attrs.evolve(BID, count=99), EMPTY, Reason.ORDER_SIZE),
        (attrs.evolve(BID, count=200), EMPTY, Reason.ORDER_SIZE),
        (attrs.evolve(BID, now=105.1), EMPTY, Reason.QUOTE_STALE),
        (BID, attrs.evolve(EMPTY, day_loss=5 * DOLLAR), Reason.DAILY_LOSS),
        (BID, attrs.evolve(EMPTY, unit_losses={"GAME": 2 * DOLLAR}), Reason.DAILY_LOSS),
        (BID, attrs.evolve(EMPTY, holdings={HOME: Holding(1, -4000)}), Reason.MARKET_POSITION),
        (BID, attrs.evolve(EMPTY, working={HOME: (Working(Side.BID, 100, 1),)}), Reason.MARKET_POSITION),
        (BID, with_caps(EMPTY, open_orders=0), Reason.OPEN_ORDERS),
        (BID, attrs.evolve(EMPTY, write_capacity=26), Reason.WRITE_TOKENS),
        (BID, with_nba(EMPTY, event_loss=399_999), Reason.EVENT_LOSS),
        (BID, with_nba(EMPTY, notional=399_999), Reason.DOMAIN_NOTIONAL),
        (BID, with_caps(EMPTY, notional=399_999), Reason.TOTAL_NOTIONAL),
    ],
)
def test_each_control_refuses_with_its_own_reason(order: Proposal, state: LimitsState, reason: Reason) -> None:
    assert check(order, state) is reason


def test_the_last_amount_within_a_cap_is_still_allowed() -> None:
    edge = with_caps(with_nba(EMPTY, event_loss=400_000, notional=400_000), notional=400_000, open_orders=1)
    assert check(attrs.evolve(BID, now=105.0), attrs.evolve(edge, write_capacity=27)) is None


def test_the_first_broken_control_is_the_reason() -> None:
    broken = attrs.evolve(with_nba(EMPTY, event_loss=0, notional=0), write_capacity=0)
    assert check(BID, broken) is Reason.WRITE_TOKENS
    assert next(reason for reason, _ in CONTROLS) is Reason.ORDER_SIZE


def test_the_reducing_side_of_a_full_position_stays_open() -> None:
    full = attrs.evolve(EMPTY, holdings={HOME: Holding(100, -400_000)})
    assert check(BID, full) is Reason.MARKET_POSITION
    assert check(attrs.evolve(BID, side=Side.ASK, price=6000), full) is None


def test_a_reducing_order_may_not_be_doubled_to_turn_the_position_around() -> None:
    short = attrs.evolve(EMPTY, holdings={HOME: Holding(-100, 400_000)}, working={HOME: (Working(Side.BID, 3000, 100),)})
    assert check(BID, short) is Reason.MARKET_POSITION


def test_both_teams_cannot_lose_the_same_game() -> None:
    """A bid on each team: one of them pays, so the event loses the dearer one, while each market alone could lose its own."""
    both = attrs.evolve(EMPTY, holdings={HOME: Holding(100, -400_000), AWAY: Holding(100, -700_000)})
    assert event_loss(both, "GAME") == 100_000
    assert notionals(both)["nba"] == 1_100_000


def test_an_order_that_would_win_is_not_counted_on_to_fill() -> None:
    hedged = attrs.evolve(
        EMPTY, holdings={HOME: Holding(100, -400_000)}, working={AWAY: (Working(Side.BID, 5000, 100),)}
    )
    # Home loses: 40 cents are gone, and the bid on away, which would have won 50, may not have filled.
    assert event_loss(hedged, "GAME") == 400_000


def test_markets_whose_outcomes_are_not_known_to_exclude_each_other_lose_together() -> None:
    both = attrs.evolve(
        EMPTY, holdings={HOME: Holding(100, -400_000), AWAY: Holding(100, -700_000)}, outcomes={}
    )
    assert event_loss(both, "GAME") == 1_100_000


def test_where_the_markets_are_not_all_there_is_none_of_them_may_pay() -> None:
    both = attrs.evolve(
        EMPTY,
        holdings={HOME: Holding(100, -400_000), AWAY: Holding(100, -700_000)},
        outcomes={"GAME": one_of((HOME, AWAY), exhaustive=False)},
    )
    assert event_loss(both, "GAME") == 1_100_000


def test_a_profit_in_one_market_pays_for_no_order_in_another() -> None:
    won = attrs.evolve(EMPTY, holdings={COIN: Holding(0, 3 * DOLLAR)})
    assert market_notional(won, COIN) == 0
    assert check(BID, with_caps(won, notional=399_999)) is Reason.TOTAL_NOTIONAL


@pytest.mark.parametrize(("units", "orders", "capacity", "fine"), [(2, 7, 64, True), (2, 8, 64, False), (2, 8, 67, True), (0, 0, 6, False)])
def test_tokens_are_kept_for_killing_what_rests(units: int, orders: int, capacity: int, fine: bool) -> None:
    assert tokens_suffice(units, orders, capacity) is fine


# Any history of proposals, fills and cancels

steps = st.lists(
    st.tuples(
        st.sampled_from(["place", "place", "fill", "cancel"]),
        st.sampled_from([HOME, AWAY, COIN]),
        st.sampled_from(Side),
        st.integers(1, 99).map(lambda cent: cent * 100),
        st.integers(0, 5),
    ),
    max_size=25,
)


def worst_over_fills(state: LimitsState, event: str, outcomes: tuple[frozenset[str], ...]) -> int:
    """The worst loss found by filling every subset of the event's orders in every outcome, one by one."""
    markets = [market for market in PLACES if PLACES[market].event == event]
    orders = [(market, order) for market in markets for order in state.working.get(market, ())]
    losses = []
    for chosen in product([False, True], repeat=len(orders)):
        for pays in outcomes:
            loss = 0
            for market in markets:
                held = state.holdings.get(market, Holding())
                loss += -held.cash - (cost(ONE, held.position) if market in pays else 0)
            for filled, (market, order) in zip(chosen, orders, strict=True):
                if filled:
                    signed = order.count * order.side.sign
                    loss += cost(order.price, signed) - (cost(ONE, signed) if market in pays else 0)
            losses.append(loss)
    return max(losses)


def positions_over_fills(state: LimitsState, market: str) -> int:
    """The largest position, long or short, that some subset of the market's orders would make."""
    held = state.holdings.get(market, Holding()).position
    changes = [order.count * order.side.sign for order in state.working.get(market, ())]
    subsets = product([0, 1], repeat=len(changes))
    return max(abs(held + sum(change * taken for change, taken in zip(changes, subset, strict=True))) for subset in subsets)


def filled(state: LimitsState, market: str, index: int) -> LimitsState:
    orders = list(state.working[market])
    order = orders.pop(index)
    held = state.holdings.get(market, Holding())
    signed = order.count * order.side.sign
    after = Holding(held.position + signed, held.cash - cost(order.price, signed))
    return attrs.evolve(state, working={**state.working, market: tuple(orders)}, holdings={**state.holdings, market: after})


@settings(max_examples=100, deadline=None)
@given(history=steps)
def test_no_accepted_history_can_break_a_cap_whichever_orders_fill(history: list[tuple[str, str, Side, int, int]]) -> None:
    state = with_nba(EMPTY, event_loss=900_000, notional=1_500_000)
    outcomes = {"GAME": state.outcomes["GAME"], "COIN": (frozenset({COIN}), frozenset[str]())}
    for action, market, side, price, index in history:
        orders = state.working.get(market, ())
        size = state.caps.domains[PLACES[market].domain].size
        if action == "place":
            if check(Proposal(market, side, price, size, 0.0, 0.0), state) is None:
                state = attrs.evolve(state, working={**state.working, market: (*orders, Working(side, price, size))})
        elif orders and action == "fill":
            state = filled(state, market, index % len(orders))
        elif orders:
            kept = [order for n, order in enumerate(orders) if n != index % len(orders)]
            state = attrs.evolve(state, working={**state.working, market: tuple(kept)})
        for event, results in outcomes.items():
            cap = next(state.caps.domains[place.domain] for place in PLACES.values() if place.event == event)
            assert worst_over_fills(state, event, results) <= cap.event_loss
        for ticker, place in PLACES.items():
            assert positions_over_fills(state, ticker) <= state.caps.domains[place.domain].size
        assert notionals(state)["nba"] <= state.caps.domains["nba"].notional
        assert sum(notionals(state).values()) <= state.caps.notional


@settings(max_examples=60, deadline=None)
@given(
    orders=st.lists(
        st.tuples(st.sampled_from([HOME, AWAY]), st.sampled_from(Side), st.integers(1, 99).map(lambda c: c * 100)), max_size=7
    ),
    held=st.tuples(st.integers(-100, 100), st.integers(-100, 100)),
)
def test_the_worst_loss_is_the_worst_over_every_subset_of_fills(orders: list[tuple[str, Side, int]], held: tuple[int, int]) -> None:
    working = {market: tuple(Working(side, price, 100) for of, side, price in orders if of == market) for market in (HOME, AWAY)}
    holdings = {HOME: Holding(held[0], -5000 * held[0]), AWAY: Holding(held[1], -4000 * held[1])}
    state = attrs.evolve(EMPTY, working=working, holdings=holdings)
    assert event_loss(state, "GAME") == worst_over_fills(state, "GAME", state.outcomes["GAME"])
