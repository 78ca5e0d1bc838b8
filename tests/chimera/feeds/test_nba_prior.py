"""Which prior is taken from ESPN's documents, and that one that was captured stays."""

from __future__ import annotations

import attrs
import pytest

from chimera.feeds.espn import Competitor, Game, GameStatus, Odds, Summary
from chimera.feeds.nba_prior import Prior, Source, best_prior, improve
from chimera.models.nba import LEAGUE_HOME

MONEYLINES = (Odds("a", -150.0, 130.0, -3.5), Odds("b", -160.0, 140.0, -4.0))
GAME = Game("nba", "7", 0.0, 2, GameStatus.SCHEDULED, "", 0, 0.0, Competitor("1", "IND", 0), Competitor("2", "NY", 0))
BARE = Summary(GAME, (), (), None, 0.0)


def source(line: Game, summary: Summary | None) -> Source:
    return best_prior(line, summary).source


def test_sources_come_in_the_order_of_how_much_they_know() -> None:
    everything = Summary(attrs.evolve(GAME, odds=MONEYLINES), (), (("1", 0.6),), 0.58, 0.0)
    assert source(GAME, everything) is Source.CLOSING
    assert source(attrs.evolve(GAME, odds=MONEYLINES), attrs.evolve(BARE, projection=0.58)) is Source.PROJECTION
    assert source(attrs.evolve(GAME, odds=MONEYLINES), BARE) is Source.SCOREBOARD
    assert source(attrs.evolve(GAME, odds=(Odds("a", None, None, -3.5),)), BARE) is Source.SPREAD
    assert source(GAME, attrs.evolve(BARE, curve=(("1", 0.6),))) is Source.CURVE
    assert best_prior(GAME, None) == Prior(LEAGUE_HOME, Source.LEAGUE, "the league's home advantage")


def test_books_are_averaged_and_the_vig_taken_out_in_proportion() -> None:
    prior = best_prior(GAME, Summary(attrs.evolve(GAME, odds=MONEYLINES), (), (), None, 0.0))
    home, away = (0.6 + 160 / 260) / 2, (100 / 230 + 100 / 240) / 2
    assert prior.p0 == pytest.approx(home / (home + away))
    assert prior.why == "moneylines, 2 books"


def test_a_scoreboards_odds_during_the_game_are_no_prior() -> None:
    assert source(attrs.evolve(GAME, status=GameStatus.LIVE, odds=MONEYLINES), None) is Source.LEAGUE


def test_a_captured_prior_stays_once_the_game_is_under_way() -> None:
    held, newer = Prior(0.6, Source.CLOSING, ""), Prior(0.7, Source.CLOSING, "")
    assert improve(held, newer, started=True) is held
    assert improve(held, newer, started=False) is newer
    assert improve(held, Prior(0.5, Source.CURVE, ""), started=False) is held
    assert improve(Prior(0.5, Source.CURVE, ""), held, started=True) is held
    assert improve(None, held, started=True) is held
