"""The home team's probability and the goals expected before puck drop, from the best source an NHL game's ESPN documents offer.

Moneylines lose their vig by Shin's model. A puck line is no measure of strength and is left alone. The total is each book's line, moved by
what its own over and under ask for; without one it is the league's.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import attrs

from chimera.feeds.espn import Game, GameStatus, Odds, Summary
from chimera.feeds.prior import Prior, Source, from_odds
from chimera.models.nhl_params import LEAGUE_HOME, LEAGUE_TOTAL, PARAMS
from chimera.models.odds import Fair, proportional, shin


def from_moneylines(lines: Sequence[tuple[float, float]]) -> Fair | None:
    """(P(home), books used) from (home, away) moneylines. None where no book is usable, as where three outcomes were offered."""
    return shin(lines, PARAMS.max_vig)


def best_prior(line: Game, summary: Summary | None) -> Prior:
    """The best prior these documents give. The scoreboard's odds count only before the game, for later ones may be live."""
    found = [Prior(LEAGUE_HOME, Source.LEAGUE, "the league's home advantage")]
    totals: list[float] = []
    if summary is not None:
        found += from_odds(summary.game.odds, Source.CLOSING, "moneylines", from_moneylines)
        totals += _totals(summary.game.odds)
    if line.status is GameStatus.SCHEDULED:
        found += from_odds(line.odds, Source.SCOREBOARD, "the scoreboard's moneylines", from_moneylines)
        totals = totals or _totals(line.odds)
    best = max(found, key=lambda prior: prior.source)
    if not totals:
        return attrs.evolve(best, total=LEAGUE_TOTAL)
    total = sum(totals) / len(totals)
    return attrs.evolve(best, total=total, why=f"{best.why}, {total:.2f} goals")


def _totals(odds: Sequence[Odds]) -> list[float]:
    """The goals each book expects: P(more than its line) as a normal deviate of a game's goals."""
    found = []
    for line in odds:
        if line.total is None or not 3.0 <= line.total <= 10.0:
            continue
        fair = None if line.over is None or line.under is None else proportional([(line.over, line.under)], PARAMS.max_vig)
        moved = 0.0 if fair is None else PARAMS.total_sd * NormalDist().inv_cdf(min(0.8, max(0.2, fair[0])))
        found.append(line.total + moved)
    return found
