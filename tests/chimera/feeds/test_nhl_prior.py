"""What an NHL game was thought to be before it began."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from chimera.feeds.espn import Competitor, Game, GameStatus, Odds, Summary, decode_summary
from chimera.feeds.nhl_prior import best_prior
from chimera.feeds.prior import Source
from chimera.models.nhl_params import LEAGUE_HOME, LEAGUE_TOTAL

LINE = Game("nhl", "7", 0.0, 2, GameStatus.SCHEDULED, "", 0, 0.0, Competitor("1", "CAR", 0), Competitor("2", "BUF", 0))
BOOK = Odds("a book", -150.0, 130.0, -1.5, 6.5, -110.0, -110.0)


def summary(*odds: Odds) -> Summary:
    return Summary(attrs.evolve(LINE, odds=odds), (), (), None, 0.0)


def test_without_odds_it_is_the_leagues() -> None:
    prior = best_prior(LINE, None)
    assert (prior.p0, prior.total, prior.source) == (LEAGUE_HOME, LEAGUE_TOTAL, Source.LEAGUE)


def test_half_the_vig_comes_off_each_side() -> None:
    prior = best_prior(LINE, summary(BOOK))
    assert prior.p0 == pytest.approx(0.6 - 0.5 * (0.6 + 100 / 230 - 1.0))
    assert (prior.source, prior.total) == (Source.CLOSING, 6.5)


def test_what_over_and_under_ask_for_moves_the_total() -> None:
    over = best_prior(LINE, summary(attrs.evolve(BOOK, over=-130.0, under=110.0))).total
    assert over is not None
    assert 6.6 < over < 7.2


def test_the_scoreboards_odds_count_before_the_game_only_and_a_puck_line_never() -> None:
    before, during = attrs.evolve(LINE, odds=(BOOK,)), attrs.evolve(LINE, odds=(BOOK,), status=GameStatus.LIVE)
    assert best_prior(before, None).source is Source.SCOREBOARD
    assert best_prior(during, None).source is Source.LEAGUE
    assert best_prior(LINE, summary(Odds("a book", None, None, -1.5))).source is Source.LEAGUE


@pytest.mark.data
def test_recorded_three_way_prices_are_no_moneyline_but_their_total_counts(shared_data: Path) -> None:
    """Unibet's -143 and +310 leave out the tie after regulation: they sum to .83."""
    full = decode_summary((shared_data / "espn/payloads/hockey_nhl_game_summary_401559593.json").read_bytes())
    prior = best_prior(full.game, full)
    assert prior.source is Source.LEAGUE
    assert prior.total is not None
    assert 5.5 < prior.total < 7.0
