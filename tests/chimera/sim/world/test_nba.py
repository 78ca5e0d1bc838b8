"""Generated games look like games."""

from __future__ import annotations

import itertools
import random
import statistics

import pytest

from chimera.sim.world.league import CLUBS
from chimera.sim.world.nba import play_game
from chimera.sim.world.plays import END_GAME, END_PERIOD, JUMP_BALL, Play, display_clock, period_length

GAMES = [play_game(random.Random(seed), CLUBS[0], CLUBS[1], 2.5) for seed in range(120)]


@pytest.fixture(params=range(0, 120, 10))
def game(request: pytest.FixtureRequest) -> tuple[Play, ...]:
    return GAMES[request.param]


def test_scores_never_fall_and_change_by_what_the_play_is_worth(game: tuple[Play, ...]) -> None:
    for before, after in itertools.pairwise(game):
        gained = (after.home - before.home, after.away - before.away)
        assert min(gained) == 0
        assert max(gained) == after.value
        if after.value:
            assert after.team is (CLUBS[0] if gained[0] else CLUBS[1])


def test_the_clock_runs_down_within_a_period_and_time_never_runs_back(game: tuple[Play, ...]) -> None:
    for before, after in itertools.pairwise(game):
        assert after.at >= before.at
        assert after.sequence > before.sequence
        if after.period == before.period:
            assert 0 <= after.clock <= before.clock
            assert before.clock - after.clock <= after.at - before.at + 0.05
        else:
            assert (after.period, before.clock) == (before.period + 1, 0.0)
            assert period_length(after.period) - 30 < after.clock <= period_length(after.period)


def test_a_game_begins_with_a_jump_and_ends_decided(game: tuple[Play, ...]) -> None:
    assert game[0].kind is JUMP_BALL
    assert game[-1].kind is END_GAME
    assert game[-1].home != game[-1].away
    ends = [play for play in game if play.kind is END_PERIOD]
    assert [play.period for play in ends] == list(range(1, game[-1].period + 1))
    assert all(play.team is None and play.clock == 0.0 for play in ends)


def test_overtime_follows_a_tie_and_only_a_tie() -> None:
    ended = [next(play for play in game if play.kind is END_PERIOD and play.period == 4) for game in GAMES]
    tied = [play.home == play.away for play in ended]
    assert tied == [game[-1].period > 4 for game in GAMES]
    assert any(tied)


def test_the_league_averages_are_the_nbas() -> None:
    final = [game[-1] for game in GAMES]
    assert 107 <= statistics.mean((play.home + play.away) / 2 for play in final) <= 117
    assert 10 <= statistics.pstdev(play.home - play.away for play in final) <= 16
    assert 350 <= statistics.mean(map(len, GAMES)) <= 520
    assert 6_000 <= statistics.mean(play.at for play in final) <= 9_000


def test_the_stronger_side_wins_by_about_what_is_expected() -> None:
    margins = [(play := play_game(random.Random(seed), CLUBS[0], CLUBS[1], 10.0)[-1]).home - play.away for seed in range(200)]
    assert 7 <= statistics.mean(margins) <= 13


@pytest.mark.parametrize(
    ("seconds", "shown"), [(720.0, "12:00"), (703.4, "11:43"), (60.0, "1:00"), (59.1, "59.1"), (9.0, "9.0"), (0.0, "0.0")]
)
def test_a_clock_is_shown_as_espn_shows_it(seconds: float, shown: str) -> None:
    assert display_clock(seconds) == shown
