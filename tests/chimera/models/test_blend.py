"""Pooling model and market in log-odds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import Side
from chimera.models.blend import ALONE, POOL_PRIORS, Weights, anchor, pool, weights

NBA = POOL_PRIORS["nba"]
probabilities = st.floats(0.001, 0.999)
ages = st.floats(0.0, 1_000.0)
spreads = st.floats(0.1, 98.0)
phases = st.sampled_from(["pregame", "live", "break", "endgame", "overtime"])


@pytest.mark.parametrize(("phase", "market"), [("pregame", 0.7), ("live", 0.5), ("break", 0.5), ("endgame", 0.3), ("overtime", 0.3)])
def test_a_fresh_feed_and_a_tight_market_share_by_the_schedule(phase: str, market: float) -> None:
    assert weights(NBA, phase, age=0.0, spread_cents=3.0) == Weights(model=pytest.approx(1.0 - market), market=pytest.approx(market))


def test_an_old_feed_leaves_the_word_to_the_market() -> None:
    assert weights(NBA, "live", age=8.0, spread_cents=2.0).model == pytest.approx(0.5 * 0.36788, abs=1e-5)
    assert pool(0.9, 0.5, 2.0, prior=NBA, phase="live", age=1_000.0)[0] == pytest.approx(0.5)


def test_a_wide_market_counts_for_less() -> None:
    assert weights(NBA, "live", 0.0, 10.0).market < 0.2 < weights(NBA, "live", 0.0, 3.0).market


def test_without_a_mid_the_model_stands_alone_to_the_last_bit() -> None:
    assert pool(0.123456789, None, float("inf"), prior=NBA, phase="live", age=3.0) == (0.123456789, ALONE)


def test_equal_weights_meet_in_the_middle_of_the_log_odds() -> None:
    pooled, _ = pool(0.8, 0.2, 1.0, prior=NBA, phase="live", age=0.0)
    assert pooled == pytest.approx(0.5)


@settings(max_examples=100, deadline=None)
@given(p=probabilities, mid=probabilities, spread=spreads, age=ages, phase=phases, domain=st.sampled_from(sorted(POOL_PRIORS)))
def test_the_pool_lies_between_model_and_market(p: float, mid: float, spread: float, age: float, phase: str, domain: str) -> None:
    pooled, shares = pool(p, mid, spread, prior=POOL_PRIORS[domain], phase=phase, age=age)
    assert min(p, mid) - 1e-9 <= pooled <= max(p, mid) + 1e-9
    assert shares.model + shares.market == pytest.approx(1.0)
    assert 0.0 <= shares.model <= 1.0


@settings(max_examples=100, deadline=None)
@given(p=probabilities, mid=probabilities, spread=spreads, age=ages, phase=phases)
def test_the_pool_of_the_other_leg_is_the_complement(p: float, mid: float, spread: float, age: float, phase: str) -> None:
    yes, _ = pool(p, mid, spread, prior=NBA, phase=phase, age=age)
    no, _ = pool(1.0 - p, 1.0 - mid, spread, prior=NBA, phase=phase, age=age)
    assert yes + no == pytest.approx(1.0)


@given(p=probabilities, pooled=probabilities)
@settings(max_examples=30, deadline=None)
def test_the_anchor_is_never_bolder_than_the_model(p: float, pooled: float) -> None:
    assert anchor(Side.BID, p, pooled) == min(p, pooled)
    assert anchor(Side.ASK, p, pooled) == max(p, pooled)


def test_every_prior_says_where_it_is_from() -> None:
    assert all(prior.provenance and prior.tau > 0 for prior in POOL_PRIORS.values())
