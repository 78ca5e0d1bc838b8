"""The home team's probability before the tip, from the best source an NBA game's ESPN documents offer.

Sources in order: what a recording gives, closing moneylines, ESPN's own projection, the scoreboard's line, the first row of ESPN's live
curve, the league's home advantage.
"""

from __future__ import annotations

from chimera.feeds.espn import Game, GameStatus, Odds, Summary
from chimera.feeds.prior import Prior, Source, from_odds
from chimera.feeds.prior import improve as improve
from chimera.models.nba import LEAGUE_HOME, from_moneylines, from_spread


def best_prior(line: Game, summary: Summary | None) -> Prior:
    """The best prior these documents give. The scoreboard's odds count only before the game, for later ones may be live."""
    found = [Prior(LEAGUE_HOME, Source.LEAGUE, "the league's home advantage")]
    if line.status is GameStatus.SCHEDULED:
        found += from_odds(line.odds, Source.SCOREBOARD, "the scoreboard's moneylines", from_moneylines)
        found += _from_spreads(line.odds)
    if summary is not None:
        found += from_odds(summary.game.odds, Source.CLOSING, "moneylines", from_moneylines)
        found += _from_spreads(summary.game.odds)
        if summary.projection is not None:
            found.append(Prior(summary.projection, Source.PROJECTION, "ESPN's projection"))
        if summary.curve and 0.0 < summary.curve[0][1] < 1.0:
            found.append(Prior(summary.curve[0][1], Source.CURVE, "the first row of ESPN's curve"))
    return max(found, key=lambda prior: prior.source)


def _from_spreads(odds: tuple[Odds, ...]) -> list[Prior]:
    """NBA spreads only: a puck line is no measure of strength."""
    spreads = [line.home_spread for line in odds if line.home_spread is not None and abs(line.home_spread) < 40.0]
    if not spreads:
        return []
    mean = sum(spreads) / len(spreads)
    return [Prior(from_spread(mean), Source.SPREAD, f"a spread of {mean:+g}")]
