"""Scores of probabilities: against hand-worked numbers, and intervals that resample whole games."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.audit.scores import Said, ece, interval, score


def test_the_scores_are_those_of_a_hand() -> None:
    rows = [Said("a", 0.8, 0.5, True), Said("a", 0.6, 0.5, True), Said("b", 0.1, 0.5, False), Said("b", 0.3, 0.5, True)]
    found = score(rows)
    assert (found.n, found.games) == (4, 2)
    assert found.brier == pytest.approx((0.04 + 0.16 + 0.01 + 0.49) / 4)
    assert found.baseline_brier == 0.25
    assert found.log_loss == pytest.approx(-sum(math.log(p) for p in (0.8, 0.6, 0.9, 0.3)) / 4)
    assert found.ece == pytest.approx((0.2 + 0.4 + 0.1 + 0.7) / 4)


def test_a_certain_miss_costs_much_but_not_infinitely_much() -> None:
    assert 10.0 < score([Said("a", 0.0, 0.5, True)]).log_loss < 20.0


def test_nothing_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match="nothing to score"):
        score([])


def test_a_calibrated_bin_costs_nothing_and_p_of_one_has_a_bin() -> None:
    assert ece([(0.5, True), (0.5, False)]) == 0.0
    assert ece([(1.0, True), (1.0, True)]) == 0.0
    assert ece([(1.0, False)]) == 1.0


def test_moments_of_one_game_count_as_one_observation() -> None:
    """A thousand rows of two games say no more of the difference than two games do."""
    many = [Said("a", 0.9, 0.5, True)] * 500 + [Said("b", 0.9, 0.5, False)] * 500
    low, high = score(many).gain
    assert (low, high) == (pytest.approx(0.01 - 0.25), pytest.approx(0.81 - 0.25))


@given(st.lists(st.tuples(st.floats(-1.0, 1.0), st.integers(1, 50)), min_size=2, max_size=20))
@settings(max_examples=30, deadline=None)
def test_an_interval_lies_within_what_the_groups_say(groups: list[tuple[float, int]]) -> None:
    means = [total / count for total, count in groups]
    low, high = interval([(total, float(count)) for total, count in groups], resamples=100)
    assert min(means) - 1e-9 <= low <= high <= max(means) + 1e-9
