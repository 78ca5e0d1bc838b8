"""The possession program: its laws, what every fan knows of the last seconds, and where it makes us doubt."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.models.nba import evaluate
from chimera.models.nba_endgame import APART, HORIZON_S, by_possessions, doubt_cents


@attrs.frozen
class At:
    """A situation by hand."""

    seconds_left: float = 60.0
    home_lead: int = 0
    possession: float = 1.0
    pending_ft: int = 0
    overtime: bool = False
    live: bool = True
    clock_running: bool = True
    final: bool = False

    def mirrored(self) -> At:
        return attrs.evolve(self, home_lead=-self.home_lead, possession=-self.possession, pending_ft=-self.pending_ft)


SITUATIONS = st.builds(
    At,
    seconds_left=st.floats(0.0, float(HORIZON_S)),
    home_lead=st.integers(-15, 15),
    possession=st.sampled_from([1.0, -1.0, 0.0, 0.46]),
    pending_ft=st.sampled_from([0, 0, 1, -2, 3]),
)


def p(state: At) -> float:
    found = by_possessions(state)
    assert found is not None
    return found


@given(SITUATIONS)
@settings(max_examples=100, deadline=None)
def test_it_is_a_probability_and_swapping_the_sides_swaps_it(state: At) -> None:
    assert 0.0 <= p(state) <= 1.0
    assert p(state) == pytest.approx(1.0 - p(state.mirrored()), abs=1e-9)


@given(st.floats(1.0, float(HORIZON_S)), st.integers(-12, 11), st.sampled_from([1.0, -1.0]))
@settings(max_examples=100, deadline=None)
def test_another_point_never_hurts_much(seconds_left: float, lead: int, ball: float) -> None:
    """Fouling begins and ends at fixed leads and times, so a point may cost a little."""
    state = At(seconds_left, lead, ball)
    assert p(attrs.evolve(state, home_lead=lead + 1)) >= p(state) - 0.03


def test_at_the_horn_the_leader_has_won_and_a_tie_is_even() -> None:
    assert [p(At(0.0, lead)) for lead in (2, 0, -2)] == [1.0, 0.5, 0.0]


def test_what_every_fan_knows() -> None:
    assert p(At(5.0, 0, 1.0)) > 0.6  # the last shot is ours
    assert p(At(8.0, 3, 1.0)) > 0.9  # three up with the ball
    assert p(At(20.0, -3, -1.0)) < 0.12  # three down without it
    assert p(At(2.0, -1, -0.9, pending_ft=2)) > 0.55  # one down, two free throws


def test_it_has_no_opinion_of_earlier_or_of_a_game_that_is_over() -> None:
    assert by_possessions(At(HORIZON_S + 1.0)) is None
    assert by_possessions(At(0.0, 3, final=True)) is None
    assert doubt_cents(At(HORIZON_S + 1.0)) == 0.0


@given(SITUATIONS)
@settings(max_examples=100, deadline=None)
def test_doubt_is_half_of_a_disagreement_and_nothing_within_ten_cents(state: At) -> None:
    apart = abs(evaluate(state, 0.5).p - p(state))
    assert doubt_cents(state) == (pytest.approx(50.0 * apart) if apart > APART else 0.0)
