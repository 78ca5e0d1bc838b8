"""The NBA model's laws, its score against recorded results, and what it says about the next seconds."""

from __future__ import annotations

import functools
import timeit
from pathlib import Path

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chimera.models.nba import (
    FLOOR,
    Season,
    brownian,
    evaluate,
    from_moneylines,
    from_spread,
    implied,
    probit,
    reaction,
    sd_over,
)


@attrs.frozen
class At:
    """A situation by hand."""

    seconds_left: float = 2880.0
    home_lead: int = 0
    possession: float = 0.0
    pending_ft: int = 0
    overtime: bool = False
    live: bool = True
    clock_running: bool = True
    final: bool = False

    def mirrored(self) -> At:
        return attrs.evolve(self, home_lead=-self.home_lead, possession=-self.possession, pending_ft=-self.pending_ft)


SITUATIONS = st.builds(
    At,
    seconds_left=st.floats(0.0, 2880.0),
    home_lead=st.integers(-40, 40),
    possession=st.sampled_from([0.0, 1.0, -1.0, 0.46, -0.46, 0.9, -0.9]),
    pending_ft=st.sampled_from([0, 0, 0, 1, -1, 2, -2, 3]),
    overtime=st.just(False),
    clock_running=st.booleans(),
) | st.builds(At, seconds_left=st.floats(0.0, 300.0), home_lead=st.integers(-20, 20), overtime=st.just(True))
PRIORS = st.floats(0.02, 0.98)
SEASONS = st.sampled_from([Season.REGULAR, Season.PLAYOFFS])


def p(state: At, p0: float = 0.6, season: int = Season.REGULAR) -> float:
    return evaluate(state, p0, season).p


@given(SITUATIONS, PRIORS, SEASONS)
@settings(max_examples=100, deadline=None)
def test_swapping_home_and_away_swaps_the_probabilities(state: At, p0: float, season: int) -> None:
    assert p(state, p0, season) == pytest.approx(1.0 - p(state.mirrored(), 1.0 - p0, season), abs=1e-9)


@given(SITUATIONS, PRIORS, SEASONS)
@settings(max_examples=100, deadline=None)
def test_more_points_the_ball_or_a_free_throw_never_hurt(state: At, p0: float, season: int) -> None:
    base = p(state, p0, season)
    assert p(attrs.evolve(state, home_lead=state.home_lead + 1), p0, season) >= base
    assert p(attrs.evolve(state, possession=1.0), p0, season) >= base
    assume(state.seconds_left > 0.0)
    assert p(attrs.evolve(state, pending_ft=state.pending_ft + 1), p0, season) >= base


@given(PRIORS, SEASONS)
@settings(max_examples=50, deadline=None)
def test_at_the_tip_the_price_is_the_prior(p0: float, season: int) -> None:
    assert p(At(), p0, season) == pytest.approx(p0, abs=1e-6)
    assert brownian(0, 2880.0, p0) == pytest.approx(p0, abs=2e-3)


def test_with_no_time_left_the_leader_has_won_and_a_tie_is_a_fresh_overtime() -> None:
    assert (p(At(0.0, 1)), p(At(0.0, -1))) == (1.0 - FLOOR, FLOOR)
    assert p(At(0.0, 0), 0.7) == pytest.approx(p(At(300.0, 0, overtime=True), 0.7))
    assert 0.5 < p(At(0.0, 0), 0.7) < 0.6
    assert p(At(0.0, 0, overtime=True), 0.7) == pytest.approx(p(At(300.0, 0, overtime=True), 0.7))


def test_free_throws_after_the_buzzer_still_count() -> None:
    assert FLOOR < p(At(0.0, -1, pending_ft=2)) < 1.0 - FLOOR


def test_only_a_final_game_is_certain() -> None:
    assert p(At(1.0, 60)) == 1.0 - FLOOR
    assert [p(At(0.0, lead, final=True)) for lead in (3, -3)] == [1.0, 0.0]


@pytest.mark.parametrize("break_at", [2160.0, 1440.0, 720.0])
def test_the_price_is_continuous_over_the_breaks(break_at: float) -> None:
    before, after = p(At(break_at + 0.01, 7)), p(At(break_at - 0.01, 7))
    assert before == pytest.approx(after, abs=1e-4)


def test_leads_revert_in_the_regular_season_only() -> None:
    assert p(At(1440.0, 10), 0.5, Season.PLAYOFFS) - p(At(1440.0, 10), 0.5) > 0.05


def test_late_the_ball_is_worth_what_the_study_says() -> None:
    """A change of possession is 16 to 18 cents when tied and about 8 at three points, 30 to 60 s before the end."""
    tied = p(At(45.0, 0, 1.0), 0.5) - p(At(45.0, 0, -1.0), 0.5)
    ahead = p(At(45.0, 3, 1.0), 0.5) - p(At(45.0, 3, -1.0), 0.5)
    assert tied == pytest.approx(0.17, abs=0.015)
    assert ahead == pytest.approx(0.08, abs=0.02)


@given(SITUATIONS, PRIORS)
@settings(max_examples=50, deadline=None)
def test_the_terms_account_for_the_price_in_cents(state: At, p0: float) -> None:
    found = evaluate(state, p0)
    assert 50.0 + sum(cents for _, cents in found.terms) == pytest.approx(100.0 * found.p, abs=1e-6)


# The next seconds


@given(SITUATIONS, PRIORS, st.floats(0.0, 25.0), SEASONS)
@settings(max_examples=100, deadline=None)
def test_a_reaction_is_a_distribution_around_the_price(state: At, p0: float, horizon: float, season: int) -> None:
    atoms = reaction(state, p0, horizon, season)
    assert len(atoms) <= 15
    assert sum(weight for _, weight in atoms) == pytest.approx(1.0, abs=1e-9)
    assert all(0.0 <= q <= 1.0 and weight >= 0.0 for q, weight in atoms)
    assert sum(q * weight for q, weight in atoms) == pytest.approx(p(state, p0, season), abs=0.01)


@given(SITUATIONS, PRIORS, st.floats(0.5, 20.0))
@settings(max_examples=50, deadline=None)
def test_a_reaction_is_symmetric_between_the_teams(state: At, p0: float, horizon: float) -> None:
    here = sorted((q, weight) for q, weight in reaction(state, p0, horizon))
    there = sorted((1.0 - q, weight) for q, weight in reaction(state.mirrored(), 1.0 - p0, horizon))
    assert sd_over(tuple(here)) == pytest.approx(sd_over(tuple(there)), abs=1e-9)


def test_a_three_by_the_side_with_the_ball_is_among_the_jumps() -> None:
    state = At(60.0, -1, 1.0)
    after = p(At(57.0, 2, -1.0), 0.5)
    assert min(abs(q - after) for q, _ in reaction(state, 0.5, 3.0)) < 0.02


def test_pending_free_throws_are_what_comes_next() -> None:
    found = sorted(reaction(At(20.0, -1, -0.9, pending_ft=1, clock_running=False), 0.5, 10.0))
    made, missed = p(At(20.0, 0, -1.0), 0.5), p(At(20.0, -1, -0.72), 0.5)
    assert found[0][0] == pytest.approx(missed, abs=0.04)
    assert found[-1][0] == pytest.approx(made, abs=0.04)


def test_longer_horizons_and_closer_games_move_more() -> None:
    def sd(state: At, horizon: float) -> float:
        return sd_over(reaction(state, 0.5, horizon))

    assert sd(At(600.0, 2, 1.0), 1.0) < sd(At(600.0, 2, 1.0), 5.0) < sd(At(600.0, 2, 1.0), 15.0)
    assert sd(At(60.0, 20, 1.0), 5.0) < sd(At(600.0, 2, 1.0), 5.0) < sd(At(60.0, 0, 1.0), 5.0)


def test_between_periods_only_news_moves_the_price_and_after_the_end_nothing_does() -> None:
    assert sd_over(reaction(At(1440.0, 3, live=False), 0.5, 5.0)) < 0.005
    assert reaction(At(0.0, 3, final=True), 0.5, 5.0) == ((1.0, 1.0),)


def test_it_is_fast_enough_for_the_decision_path() -> None:
    """Budgets are 50 and 200 microseconds; the test allows a loaded machine three times as much."""
    state = At(400.0, 3, 0.46)
    assert min(timeit.repeat(lambda: evaluate(state, 0.6), number=50, repeat=5)) / 50 < 150e-6
    assert min(timeit.repeat(lambda: reaction(state, 0.6, 5.0), number=20, repeat=5)) / 20 < 600e-6


# Prices of others


@pytest.mark.parametrize(("moneyline", "probability"), [(-150, 0.6), (130, 100 / 230), (100, 0.5), (-100, 0.5), (0, None), (50, None)])
def test_moneylines_are_read_as_americans_write_them(moneyline: float, probability: float | None) -> None:
    assert implied(moneyline) == (None if probability is None else pytest.approx(probability))
    assert implied(float("nan")) is None


def test_a_book_without_vig_or_with_too_much_is_left_out() -> None:
    assert from_moneylines([(-110, -110), (-300, -300), (200, 200)]) == (0.5, 1)
    assert from_moneylines([(-300, -300)]) is None
    assert from_moneylines([]) is None


def test_a_spread_is_a_probability_through_the_margins_own_deviation() -> None:
    assert from_spread(-13.2) == pytest.approx(0.8413, abs=1e-3)
    assert from_spread(3.5) == pytest.approx(1.0 - from_spread(-3.5))


def test_a_prior_that_is_no_probability_is_refused() -> None:
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="no probability"):
            probit(wrong)


# Against what happened


@functools.cache
def scores(path: Path) -> dict[str, tuple[int, float, float, float]]:
    """(rows, Brier of the model, of the Brownian form, of the baseline) by part of the game, on every fifth event."""
    parquet = pytest.importorskip("pyarrow.parquet")
    names = ["sec_remaining", "period", "home_lead", "poss", "pending_ft", "p0_home", "home_won", "p_b135"]
    columns = parquet.read_table(path / "sports" / "nba_events.parquet", columns=names).to_pydict()
    sums: dict[str, list[float]] = {}
    for left, period, lead, ball, pending, p0, won, baseline in list(zip(*(columns[name] for name in names), strict=True))[::5]:
        state = At(left, lead, ball, pending, overtime=period > 4)
        errors = [(q - won) ** 2 for q in (p(state, p0), brownian(lead, left, p0), baseline)]
        late = period >= 4 and left <= 120.0
        for part in ("all", "last two minutes") if late else ("all",):
            total = sums.setdefault(part, [0, 0.0, 0.0, 0.0])
            total[0] += 1
            for index, error in enumerate(errors):
                total[index + 1] += error
    return {part: (int(n), a / n, b / n, c / n) for part, (n, a, b, c) in sums.items()}


@pytest.mark.data
def test_it_scores_better_than_the_baseline_on_recorded_games(shared_data: Path) -> None:
    """470 games: .1593 against .1650 for score and line pro rata. These games are harder than the 634 of the fit, where it was .1526."""
    rows, model, plain, baseline = scores(shared_data)["all"]
    assert rows > 40_000
    assert model < plain < baseline - 0.004
    assert model <= 0.161


@pytest.mark.data
def test_it_scores_better_than_the_baseline_in_the_last_two_minutes(shared_data: Path) -> None:
    rows, model, plain, baseline = scores(shared_data)["last two minutes"]
    assert rows > 2_000
    assert model < plain < baseline - 0.001
    assert model <= 0.058
