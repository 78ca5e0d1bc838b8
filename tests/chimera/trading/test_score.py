"""Brier score and log loss from sums alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.trading.score import CLAMP, Samples, Score, Scoreboard, Tally

probabilities = st.floats(0.0, 1.0)


@settings(max_examples=100, deadline=None)
@given(samples=st.lists(probabilities, min_size=1, max_size=50), outcome=st.sampled_from([0.0, 1.0, 0.5]))
def test_the_sums_give_the_scores_of_the_samples_one_by_one(samples: list[float], outcome: float) -> None:
    tally = Tally()
    for p in samples:
        tally.add(p)
    kept = [min(1.0 - CLAMP, max(CLAMP, p)) for p in samples]
    assert tally.brier(outcome) == pytest.approx(sum((p - outcome) ** 2 for p in samples), abs=1e-9)
    losses = sum(-(outcome * math.log(p) + (1.0 - outcome) * math.log(1.0 - p)) for p in kept)
    assert tally.log_loss(outcome) == pytest.approx(losses, rel=1e-6)


def samples_of(*pairs: tuple[float, float]) -> Samples:
    samples = Samples()
    for p, mid in pairs:
        samples.add(p, mid)
    return samples


def test_a_board_is_the_mean_over_all_samples_of_its_settled_markets() -> None:
    board = Scoreboard()
    first = board.settle(samples_of((0.8, 0.6), (0.9, 0.6)), 1.0)
    assert (first.n, first.model, first.market) == (2, pytest.approx(0.025), pytest.approx(0.16))
    board.settle(samples_of((0.2, 0.5)), 0.0)
    assert (board.score.n, board.score.markets) == (3, 2)
    assert board.score.model == pytest.approx((0.04 + 0.01 + 0.04) / 3)
    assert board.score.market == pytest.approx((0.16 + 0.16 + 0.25) / 3)
    assert board.score.market_log_loss == pytest.approx((2 * -math.log(0.6) + math.log(2)) / 3)


def test_a_market_without_samples_scores_nothing_and_counts_for_nothing() -> None:
    board = Scoreboard()
    assert board.settle(Samples(), 1.0) == Score()
    assert board.score == Score(n=0, markets=0, model=None, market=None)


@pytest.mark.parametrize("outcome", [-0.01, 1.01, float("nan")])
def test_an_outcome_that_no_contract_pays_is_an_error(outcome: float) -> None:
    with pytest.raises(ValueError, match="pays between"):
        Scoreboard().settle(samples_of((0.5, 0.5)), outcome)
