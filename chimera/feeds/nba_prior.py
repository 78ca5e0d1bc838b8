"""The home team's probability before the tip, from the best source a game's ESPN documents offer.

Sources in order: what a recording gives, closing moneylines, ESPN's own projection, the scoreboard's line, the first row of ESPN's live curve, the league's home
advantage. Whoever asks keeps the answer: documents drop their odds once a game is under way, and a price made during it is no prior.
"""

from __future__ import annotations

import enum

import attrs

from chimera.feeds.espn import Game, GameStatus, Odds, Summary
from chimera.models.nba import LEAGUE_HOME, from_moneylines, from_spread


class Source(enum.IntEnum):
    """Where a prior is from; the higher, the better."""

    LEAGUE = 0
    CURVE = 1
    SPREAD = 2
    SCOREBOARD = 3
    PROJECTION = 4
    CLOSING = 5
    GIVEN = 6
    """Handed in with a recording, from before the game."""


@attrs.frozen(slots=True)
class Prior:
    """P(home wins) before the game, where it is from, and that in words."""

    p0: float
    source: Source
    why: str


def best_prior(line: Game, summary: Summary | None) -> Prior:
    """The best prior these documents give. The scoreboard's odds count only before the game, for later ones may be live."""
    found = [Prior(LEAGUE_HOME, Source.LEAGUE, "the league's home advantage")]
    if line.status is GameStatus.SCHEDULED:
        found += _from_odds(line.odds, Source.SCOREBOARD, "the scoreboard's moneylines")
        found += _from_spreads(line.odds)
    if summary is not None:
        found += _from_odds(summary.game.odds, Source.CLOSING, "moneylines")
        found += _from_spreads(summary.game.odds)
        if summary.projection is not None:
            found.append(Prior(summary.projection, Source.PROJECTION, "ESPN's projection"))
        if summary.curve and 0.0 < summary.curve[0][1] < 1.0:
            found.append(Prior(summary.curve[0][1], Source.CURVE, "the first row of ESPN's curve"))
    return max(found, key=lambda prior: prior.source)


def improve(held: Prior | None, offered: Prior, *, started: bool) -> Prior:
    """Which of two priors to hold: before the tip the newer unless it is from a worse source, after it only one from a better source."""
    if held is None or offered.source > held.source:
        return offered
    return offered if offered.source == held.source and not started else held


def _from_odds(odds: tuple[Odds, ...], source: Source, name: str) -> list[Prior]:
    pairs = []
    for line in odds:
        if line.home_moneyline is not None and line.away_moneyline is not None:
            pairs.append((line.home_moneyline, line.away_moneyline))
    found = from_moneylines(pairs)
    return [] if found is None else [Prior(found[0], source, f"{name}, {found[1]} books")]


def _from_spreads(odds: tuple[Odds, ...]) -> list[Prior]:
    """NBA spreads only: a puck line is no measure of strength."""
    spreads = [line.home_spread for line in odds if line.home_spread is not None and abs(line.home_spread) < 40.0]
    if not spreads:
        return []
    mean = sum(spreads) / len(spreads)
    return [Prior(from_spread(mean), Source.SPREAD, f"a spread of {mean:+g}")]
