"""The truth: a probability that moves with the game and ends certain."""

from __future__ import annotations

import random

import pytest

from chimera.sim.world.game import Game, make_game, place
from chimera.sim.world.league import CLUBS

GAMES = [place(make_game(random.Random(seed), str(seed), CLUBS[0], CLUBS[1]), 1e9) for seed in range(300)]


@pytest.mark.parametrize("game", GAMES[:5], ids=lambda game: game.event_id)
def test_the_truth_is_a_probability_before_and_during_and_certain_after(game: Game) -> None:
    assert game.p_home(game.tip - 1) == game.pregame
    for second in range(0, int(game.end - game.tip), 30):
        assert 0.0 <= game.p_home(game.tip + second) <= 1.0
    assert game.p_home(game.end) == float(game.home_won)


def test_the_truth_rises_when_home_scores() -> None:
    game = GAMES[0]
    for before, after in zip(game.plays, game.plays[1:], strict=False):
        if after.home > before.home and after.period == before.period:
            moment = game.tip + after.at
            assert game.p_home(moment) > game.p_home(moment - 1e-6) - 1e-9


def test_the_truth_is_calibrated_at_halftime() -> None:
    """Mean outcome against mean truth, in two halves of the range; 300 games allow about 0.06."""
    pairs = []
    for game in GAMES:
        half = next(play for play in game.plays if play.period == 2 and play.clock == 0.0)
        pairs.append((game.p_home(game.tip + half.at), game.home_won))
    for low, high in ((0.0, 0.5), (0.5, 1.0)):
        chosen = [pair for pair in pairs if low <= pair[0] < high]
        assert abs(sum(p for p, _ in chosen) - sum(won for _, won in chosen)) / len(chosen) < 0.08


def test_a_game_is_named_by_its_eastern_date() -> None:
    late = place(GAMES[0], 1_795_000_000.0 // 86_400 * 86_400 + 3 * 3_600)  # 03:00 UTC
    assert late.day.isoformat() == "2026-11-17"
