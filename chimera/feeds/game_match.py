"""Which ESPN game a Kalshi unit is about: the same two teams on the same US Eastern date, or nothing.

Teams meet on consecutive nights, so a date is never rounded to its neighbour: the one tolerance is a start after midnight, which belongs to
the evening before where no game has that date itself. A unit with two candidates, or a game with two units, is not priced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import attrs

from chimera.feeds.espn import Game
from chimera.markets import Market, TeamWins
from chimera.teams import League, Team

EASTERN = ZoneInfo("America/New_York")
NIGHT = timedelta(hours=6)
APART_S = 18 * 3600.0
"""Where the exchange says when the game begins, a game this much apart (s) is another one."""


@attrs.frozen(slots=True)
class Unit:
    """One game as Kalshi lists it. `markets` are (ticker, the team whose win is YES); `start_at` (unix s) as far as the exchange says."""

    name: str
    teams: frozenset[Team]
    home: Team | None
    day: date | None
    start_at: float | None
    markets: tuple[tuple[str, Team], ...]


def units(markets: Iterable[Market], domain: str) -> dict[str, Unit]:
    """The games of a domain in a listing, by unit. ValueError where the markets of one unit are not about the same game."""
    found: dict[str, Unit] = {}
    for market in markets:
        if market.domain != domain or not isinstance(market.meaning, TeamWins):
            continue
        meaning = market.meaning
        home = None if meaning.home is None else meaning.team if meaning.home else meaning.opponent
        teams = frozenset((meaning.team, meaning.opponent))
        new = Unit(market.unit, teams, home, meaning.day, market.start_at, ((market.ticker, meaning.team),))
        old = found.setdefault(market.unit, new)
        if old is not new:
            if (old.teams, old.day) != (teams, meaning.day):
                raise ValueError(f"{market.ticker} is about another game than {old.markets[0][0]}")
            found[market.unit] = attrs.evolve(old, home=old.home or home, markets=old.markets + new.markets)
    return found


def match(listed: Mapping[str, Unit], games: Iterable[Game], league: League) -> tuple[dict[str, Game], dict[str, str]]:
    """(game by unit, reason by unit that has none)."""
    playable = [(game, _teams(game, league)) for game in games]
    matched: dict[str, Game] = {}
    unmatched: dict[str, str] = {}
    for unit in listed.values():
        candidates = [game for game, teams in playable if teams == unit.teams and _possible(unit, game, league)]
        exact = [game for game in candidates if unit.day is None or _day(game) == unit.day]
        late = [game for game in candidates if _day(game, NIGHT) == unit.day]
        found = exact or late
        if len(found) == 1:
            matched[unit.name] = found[0]
        else:
            unmatched[unit.name] = f"{len(found)} ESPN games could be it" if found else "no ESPN game"
    events = [game.id for game in matched.values()]
    for name, game in list(matched.items()):
        if events.count(game.id) > 1:
            unmatched[name] = f"ESPN game {game.id} could be another unit's too"
            del matched[name]
    return matched, unmatched


def _teams(game: Game, league: League) -> frozenset[Team | None]:
    return frozenset((league.by_espn(game.home.code), league.by_espn(game.away.code)))


def _possible(unit: Unit, game: Game, league: League) -> bool:
    if unit.home is not None and unit.home is not league.by_espn(game.home.code):
        return False
    return unit.start_at is None or abs(unit.start_at - game.starts_at) <= APART_S


def _day(game: Game, back: timedelta = timedelta(0)) -> date:
    return (datetime.fromtimestamp(game.starts_at, UTC).astimezone(EASTERN) - back).date()
