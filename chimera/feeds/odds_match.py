"""Which Kalshi unit a bookmakers' game is: the matcher of ESPN's games, for The Odds API's. A game that could be two is nobody's prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chimera.feeds.espn import Competitor, Game, GameStatus
from chimera.feeds.game_match import Unit, match
from chimera.feeds.odds_api import SPORTS, OddsEvent


def match_odds(units: Mapping[str, Unit], events: Sequence[OddsEvent], league: str) -> tuple[dict[str, OddsEvent], dict[str, str]]:
    """(event by unit, reason by unit that has none)."""
    by_id = {event.id: event for event in events}
    matched, unmatched = match(units, [_as_game(event, league) for event in events], SPORTS[league].league)
    return (
        {unit: by_id[game.id] for unit, game in matched.items()},
        {unit: why.replace("ESPN", "bookmakers'") for unit, why in unmatched.items()},
    )


def _as_game(event: OddsEvent, league: str) -> Game:
    """The event in the shape that the matcher reads: teams by ESPN's abbreviation, and the start."""
    home, away = (Competitor("", team.espn, 0) for team in (event.home, event.away))
    return Game(league, event.id, event.starts_at, 0, GameStatus.SCHEDULED, "", 0, 0.0, home, away)
