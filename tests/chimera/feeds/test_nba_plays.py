"""The reducer: the same state from the same plays whatever their order, and nothing that was taken back goes unnoticed."""

from __future__ import annotations

import functools
import random
from itertools import pairwise
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.feeds.espn import Competitor, Game, GameStatus, Play, Summary, decode_summary
from chimera.feeds.nba_plays import IncidentKind, NbaState, compare, reduce, seconds_left, standing
from chimera.models.nba import brownian, evaluate


def play(number: int, kind: str, side: int, clock: float, score: tuple[int, int], *, period: int = 1, points: int = 0) -> Play:
    return Play(str(number), number, kind, kind, period, clock, side, *score, points > 0, points > 0, 1000.0 + number)


def line(home: int, away: int, *, status: GameStatus = GameStatus.LIVE, period: int = 1, clock: float = 600.0) -> Game:
    return Game("nba", "7", 0.0, 2, status, "", period, clock, Competitor("1", "IND", home), Competitor("2", "NY", away))


PLAYS = (
    play(1, "Jumpball", 1, 720.0, (0, 0)),
    play(2, "Jump Shot", 1, 700.0, (2, 0), points=2),
    play(3, "Jump Shot", -1, 680.0, (2, 3), points=3),
    play(4, "Defensive Rebound", 1, 650.0, (2, 3)),
)


def summary(plays: tuple[Play, ...] = PLAYS, header: Game | None = None) -> Summary:
    scored = max(plays, key=lambda one: one.sequence)
    return Summary(header or line(scored.home_score, scored.away_score), plays, (), None, 0.0)


STATE = reduce(summary())


@functools.cache
def recorded(path: Path) -> Summary:
    return decode_summary((path / "espn/payloads/basketball_nba_game_summary_401772994.json").read_bytes())


def kinds(before: NbaState, after: NbaState) -> list[IncidentKind]:
    return [incident.kind for incident in compare(before, after)]


@given(st.permutations(PLAYS), st.lists(st.sampled_from(PLAYS), max_size=3))
@settings(max_examples=50, deadline=None)
def test_order_and_repetition_of_rows_change_nothing(order: list[Play], again: list[Play]) -> None:
    assert reduce(summary((*order, *again))) == STATE


@pytest.mark.data
def test_the_recorded_game_reduces_to_its_result_in_any_order(shared_data: Path) -> None:
    full = recorded(shared_data)
    shuffled = list(full.plays)
    random.Random(1).shuffle(shuffled)
    state = reduce(full)
    assert (state.home_score, state.away_score, state.seconds_left, state.final, state.disagreement) == (125, 108, 0.0, True, "")
    assert reduce(attrs.evolve(full, plays=tuple(shuffled))) == state


@pytest.mark.data
def test_the_recorded_game_grows_without_an_incident_but_its_three_reviews(shared_data: Path) -> None:
    full = recorded(shared_data)
    plays = full.plays
    states = []
    for n in range(1, len(plays)):
        scored = max(plays[:n], key=lambda one: one.sequence)
        states.append(reduce(Summary(line(scored.home_score, scored.away_score), plays[:n], (), None, 0.0)))
    found = [incident for before, after in pairwise(states) for incident in compare(before, after)]
    assert {incident.kind for incident in found} == {IncidentKind.REVIEW}
    assert len({incident.why for incident in found}) == 3
    left = [state.seconds_left for state in states]
    assert all(later <= earlier for earlier, later in pairwise(left))


@pytest.mark.data
def test_on_the_recorded_game_the_model_stays_near_espns_own_curve(shared_data: Path) -> None:
    """Guards orientation, clock and free throws: the mean distance is .009 here, the bound .04."""
    full = recorded(shared_data)
    curve = dict(full.curve)
    apart, rough = [], []
    for n in range(1, len(full.plays) + 1):
        state = reduce(Summary(line(0, 0, status=GameStatus.SCHEDULED), full.plays[:n], (), None, 0.0))
        state = attrs.evolve(state, status=GameStatus.LIVE)
        espn = curve[full.plays[n - 1].id]
        apart.append(abs(evaluate(state, full.curve[0][1], full.game.season_type).p - espn))
        rough.append(abs(brownian(state.home_lead, state.seconds_left, full.curve[0][1]) - espn))
    assert sum(apart) / len(apart) <= 0.015
    assert sum(rough) / len(rough) <= 0.04


def test_the_score_is_that_of_the_highest_sequence_number_wherever_its_clock_stands() -> None:
    late = play(5, "Free Throw - 1 of 1", 1, 690.0, (3, 3), points=1)
    assert (reduce(summary((*PLAYS, late))).home_score, reduce(summary((*PLAYS, late))).seconds_left) == (3, 2160.0 + 650.0)


@pytest.mark.parametrize(
    ("period", "clock", "left"),
    [(0, 0.0, 2880.0), (1, 720.0, 2880.0), (1, 0.0, 2160.0), (2, 720.0, 2160.0), (4, 59.1, 59.1), (5, 300.0, 300.0), (6, 12.0, 12.0)],
)
def test_time_left_is_continuous_over_breaks_and_starts_over_in_each_overtime(period: int, clock: float, left: float) -> None:
    assert seconds_left(period, clock) == left


def test_without_plays_the_line_alone_tells_the_state() -> None:
    state = reduce(Summary(line(0, 0, status=GameStatus.SCHEDULED, period=0, clock=0.0), (), (), None, 0.0))
    assert (state.status, state.seconds_left, state.home_lead, state.live) == (GameStatus.SCHEDULED, 2880.0, 0, False)


def test_the_scoreboards_clock_counts_where_it_is_further_on_and_the_score_agrees() -> None:
    assert reduce(summary(), line(2, 3, clock=641.0)).seconds_left == 2160.0 + 641.0
    assert reduce(summary(), line(2, 3, clock=655.0)).seconds_left == 2160.0 + 650.0
    later = reduce(summary(), line(2, 3, period=2, clock=720.0))
    assert (later.seconds_left, later.possession) == (2160.0, 0.0)


def test_a_line_without_a_clock_does_not_end_the_game() -> None:
    assert reduce(summary(), line(2, 3, period=0, clock=0.0)).seconds_left == 2160.0 + 650.0


@pytest.mark.parametrize(
    ("scoreboard", "disagrees"),
    [
        (line(2, 3, clock=640.0), False),
        (line(2, 0, clock=690.0), False),  # merely behind
        (line(4, 3, clock=640.0), True),
        (line(4, 3, clock=690.0), True),  # ahead in points, whatever its clock
        (line(2, 0, clock=640.0), True),  # later, with less
        (line(2, 0, status=GameStatus.FINAL, clock=0.0), True),
    ],
)
def test_the_scoreboard_disagrees_unless_it_is_merely_behind(scoreboard: Game, disagrees: bool) -> None:
    assert bool(reduce(summary(), scoreboard).disagreement) is disagrees


def test_a_header_that_contradicts_the_plays_disagrees() -> None:
    state = reduce(summary(header=line(2, 2)))
    assert state.disagreement == "plays say 2-3, the header 2-2"
    assert [incident.kind for incident in standing(state)] == [IncidentKind.DISAGREEMENT]


def test_a_level_final_is_a_disagreement_and_no_result() -> None:
    state = reduce(Summary(line(100, 100, status=GameStatus.FINAL), (), (), None, 0.0))
    assert standing(state)


def test_either_source_may_be_the_first_to_say_final() -> None:
    assert reduce(summary(header=line(2, 3, status=GameStatus.FINAL)), line(2, 3)).final
    assert reduce(summary(), line(2, 3, status=GameStatus.FINAL, period=4, clock=0.0)).final


def test_a_score_that_goes_down_is_a_reversal() -> None:
    withdrawn = attrs.evolve(PLAYS[2], home_score=2, away_score=2)
    after = reduce(summary((*PLAYS[:2], withdrawn, attrs.evolve(PLAYS[3], away_score=2))))
    assert kinds(STATE, after) == [IncidentKind.SCORE_REVERSAL]


def test_a_play_that_disappears_is_noticed_even_where_the_score_stays() -> None:
    assert kinds(STATE, reduce(summary(PLAYS[:3]))) == [IncidentKind.PLAY_VANISHED]


def test_a_game_that_was_final_and_is_not_any_more_is_a_reversal() -> None:
    assert kinds(attrs.evolve(STATE, status=GameStatus.FINAL), STATE) == [IncidentKind.SCORE_REVERSAL]


def test_a_review_is_an_incident_until_it_is_resolved() -> None:
    review = play(5, "Coach's Challenge (Stands)", -1, 640.0, (2, 3))
    reviewed = reduce(summary((*PLAYS, review)))
    resolved = reduce(summary((*PLAYS, review, play(6, "Jump Shot", 1, 630.0, (4, 3), points=2))))
    assert kinds(STATE, reviewed) == kinds(reviewed, reviewed) == [IncidentKind.REVIEW]
    assert kinds(reviewed, resolved) == []


def test_an_ordinary_play_is_no_incident() -> None:
    assert kinds(STATE, reduce(summary((*PLAYS, play(5, "Jump Shot", 1, 630.0, (4, 3), points=2))))) == []
