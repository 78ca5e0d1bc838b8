"""ESPN's scoreboard and game summary as values: what is decoded, what is refused, and a client that says when nothing changed.

The documents are undocumented and large (a summary reaches 840 KB), so only the fields that are used are decoded, and a body equal to the
last good one is not decoded at all. A document that does not mean what it should is a `FeedError` naming it; one odd game inside a sound
scoreboard is set aside in `Scoreboard.refused`, so a charity match never blinds the rest of the night.
"""

from __future__ import annotations

import enum
from typing import Final

import attrs
import msgspec

from chimera.errors import FeedError
from chimera.feeds import espn_wire as wire
from chimera.feeds.espn_hockey import OnIce, Strength, at_empty_net, strength_of, who_is_on_ice
from chimera.intake import Door
from chimera.models.value import Season

BASE_URL: Final = "https://site.api.espn.com"
HOME: Final = 1
AWAY: Final = -1


@attrs.frozen(slots=True)
class LeagueFeed:
    """A league ESPN serves in this shape. `path` is its place in the URL; lengths are seconds of game clock.

    A scoreboard clock counts down; so does a play's, except where `plays_count_up`.
    """

    name: str
    path: str
    periods: int
    period_s: float
    overtime_s: float
    playoff_overtime_s: float
    plays_count_up: bool = False

    def length(self, period: int, season_type: int) -> float:
        """Seconds of game clock in a period."""
        if period <= self.periods:
            return self.period_s
        return self.playoff_overtime_s if season_type == Season.PLAYOFFS else self.overtime_s


LEAGUES: Final = {
    league.name: league
    for league in (
        LeagueFeed("nba", "basketball/nba", 4, 720.0, 300.0, 300.0),
        LeagueFeed("wnba", "basketball/wnba", 4, 600.0, 300.0, 300.0),
        LeagueFeed("nhl", "hockey/nhl", 3, 1200.0, 300.0, 1200.0, plays_count_up=True),
    )
}


class GameStatus(enum.Enum):
    """Where a game stands. OFF is postponed, cancelled, suspended or forfeited: nothing more is to be expected of it today."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    BREAK = "break"
    DELAYED = "delayed"
    FINAL = "final"
    OFF = "off"


@attrs.frozen(slots=True)
class Competitor:
    """`code` is ESPN's abbreviation ("NY", "GS"); `score` is 0 before the game."""

    id: str
    code: str
    score: int


@attrs.frozen(slots=True)
class Odds:
    """One book's line: American moneylines (None where it gives none) and the points the home team gives (-3.5: favoured by 3.5).

    `total` is the points or goals of both teams that are bet over and under at the moneylines `over` and `under`.
    """

    book: str
    home_moneyline: float | None
    away_moneyline: float | None
    home_spread: float | None
    total: float | None = None
    over: float | None = None
    under: float | None = None


@attrs.frozen(slots=True)
class Game:
    """One game's line. `starts_at` is unix s; `clock_s` the seconds left in `period`.

    `period` is 0 before the first and where no clock is given. `season_type` is ESPN's: 1 preseason, 2 regular season, 3 playoffs,
    5 play-in.
    """

    league: str
    id: str
    starts_at: float
    season_type: int
    status: GameStatus
    status_name: str
    period: int
    clock_s: float
    home: Competitor
    away: Competitor
    odds: tuple[Odds, ...] = ()


@attrs.frozen(slots=True)
class Scoreboard:
    """The day's games. `refused` says, per game set aside, which and why. `received_at` is world unix s."""

    league: str
    games: tuple[Game, ...]
    refused: tuple[str, ...]
    received_at: float


@attrs.frozen(slots=True)
class Play:
    """One row of the play-by-play. `side` is +1 home, -1 away, 0 where ESPN names no team; `clock_s` seconds left in the period.

    `wallclock` is when it was captured (unix s; 0 where absent), not when it was published. Scores are those after the play.
    `strength` is hockey's, as the acting team has it, a penalty's own row as it was before; `empty_net` a shot at one.
    """

    id: str
    sequence: int
    kind: str
    text: str
    period: int
    clock_s: float
    side: int
    home_score: int
    away_score: int
    scoring: bool
    shooting: bool
    wallclock: float
    strength: Strength | None = None
    empty_net: bool = False


@attrs.frozen(slots=True)
class Summary:
    """One game in full. `projection` is ESPN's pregame home probability, `curve` its live one by play id; either may be missing.

    `game.period` is 0 where the header has no clock of its own, as before and after a game; `game.odds` are the closing lines.
    `on_ice` is hockey's alone: both teams, or nothing where a player's position is not known.
    """

    game: Game
    plays: tuple[Play, ...]
    curve: tuple[tuple[str, float], ...]
    projection: float | None
    received_at: float
    on_ice: tuple[OnIce, ...] = ()


_STATUSES: Final = {
    "STATUS_SCHEDULED": GameStatus.SCHEDULED,
    "STATUS_IN_PROGRESS": GameStatus.LIVE,
    "STATUS_END_PERIOD": GameStatus.BREAK,
    "STATUS_HALFTIME": GameStatus.BREAK,
    "STATUS_END_OF_REGULATION": GameStatus.BREAK,
    "STATUS_DELAYED": GameStatus.DELAYED,
    "STATUS_RAIN_DELAY": GameStatus.DELAYED,
    "STATUS_FINAL": GameStatus.FINAL,
    "STATUS_FINAL_PEN": GameStatus.FINAL,
    "STATUS_FORFEIT": GameStatus.OFF,
    "STATUS_POSTPONED": GameStatus.OFF,
    "STATUS_CANCELED": GameStatus.OFF,
    "STATUS_SUSPENDED": GameStatus.OFF,
    "STATUS_ABANDONED": GameStatus.OFF,
}
_BY_STATE: Final = {"pre": GameStatus.SCHEDULED, "in": GameStatus.LIVE, "post": GameStatus.OFF}
"""For a status name not met before: one that merely says the game is over is no proof of a result."""


_UNREADABLE: Final = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)
"""What decoding raises on a body that is no such document."""


def _score(value: str | int | float | None, status: GameStatus) -> int:
    if value is None or value == "":
        if status in (GameStatus.SCHEDULED, GameStatus.OFF):
            return 0
        raise ValueError("it is under way or over and has no score")
    return int(float(value))


def _clock(status: wire.Status) -> tuple[int, float]:
    """(period, seconds left in it); (0, 0) where no clock is given, for a missing clock is not a clock at zero."""
    if status.display_clock:
        return status.period, wire.parse_clock(status.display_clock)
    return (0, 0.0) if status.clock is None else (status.period, status.clock)


def _lines(odds: list[wire.Odds | None] | None) -> tuple[Odds, ...]:
    return tuple(
        Odds(
            o.provider.name,
            o.home_team_odds.money_line if o.home_team_odds else None,
            o.away_team_odds.money_line if o.away_team_odds else None,
            o.spread,
            o.over_under,
            o.over_odds,
            o.under_odds,
        )
        for o in odds or ()
        if o is not None
    )


def _game(league: LeagueFeed, page: wire.Event | wire.Header, odds: list[wire.Odds | None] | None) -> Game:
    """A line from either document; ValueError naming what it lacks."""
    competition = page.competitions[0] if page.competitions else wire.Competition([])
    status = page.status or competition.status
    found = sorted(c.home_away for c in competition.competitors)
    if found != ["away", "home"]:
        raise ValueError(f"its competitors are {found}, not one home and one away")
    if status is None:
        raise ValueError("it has no status")
    known = _STATUSES.get(status.type.name) or _BY_STATE.get(status.type.state)
    if known is None:
        raise ValueError(f"its status {status.type.name!r} with state {status.type.state!r} is unknown")
    if known is GameStatus.FINAL and not status.type.completed:
        raise ValueError("it is called final but not completed")
    period, clock_s = _clock(status)
    teams = {c.home_away: Competitor(c.team.id, c.team.abbreviation, _score(c.score, known)) for c in competition.competitors}
    return Game(
        league=league.name,
        id=page.id,
        starts_at=wire.parse_time(page.date or competition.date),
        season_type=page.season.type,
        status=known,
        status_name=status.type.name,
        period=period,
        clock_s=clock_s,
        home=teams["home"],
        away=teams["away"],
        odds=_lines(odds),
    )


def _league(found: str, expected: str | None, where: str) -> LeagueFeed:
    league = LEAGUES.get(found)
    if league is None:
        raise FeedError(f"{where}: the document is of league {found or '(none)'!r}; this reads {', '.join(LEAGUES)}")
    if expected is not None and found != expected:
        raise FeedError(f"{where}: the document is of league {found!r}, not {expected!r}")
    return league


def decode_scoreboard(body: bytes, *, league: str | None = None, received_at: float = 0.0, where: str = "scoreboard") -> Scoreboard:
    """Read a scoreboard of `league` (any of LEAGUES where None). FeedError beginning with `where` if it is none."""
    try:
        page = wire.scoreboard_page.decode(body)
    except _UNREADABLE as error:
        raise FeedError(f"{where}: {_fault(body, error)}") from error
    name = page.leagues[0].slug or page.leagues[0].abbreviation.lower() if page.leagues else ""
    found = _league(name, league, where)
    games: list[Game] = []
    refused: list[str] = []
    for index, raw in enumerate(page.events):
        try:
            event = wire.event.decode(raw)
            games.append(_game(found, event, event.competitions[0].odds if event.competitions else None))
        except _UNREADABLE as error:
            refused.append(f"event {index}: {error}")
    if refused and not games:
        raise FeedError(f"{where}: no game in it can be read; {refused[0]}")
    return Scoreboard(found.name, tuple(games), tuple(refused), received_at)


def decode_summary(body: bytes, *, league: str | None = None, received_at: float = 0.0, where: str = "summary") -> Summary:
    """Read a game summary of `league` (any of LEAGUES where None). FeedError beginning with `where` if it is none."""
    try:
        page = wire.summary_page.decode(body)
        header = page.header
        found = _league(header.league.slug or header.league.abbreviation.lower(), league, where)
        game = _game(found, header, page.pickcenter)
        sides = {game.home.id: HOME, game.away.id: AWAY}
        plays = tuple(_play(play, sides, found, game.season_type) for play in page.plays or ())
        projection = _projection(page.predictor)
        on_ice = who_is_on_ice(page, sides) if found.plays_count_up else ()
    except _UNREADABLE as error:
        raise FeedError(f"{where}: {_fault(body, error)}") from error
    curve = tuple((row.play_id, row.home_win_percentage) for row in page.winprobability or ())
    return Summary(game, plays, curve, projection, received_at, on_ice)


def _play(play: wire.Play, sides: dict[str, int], league: LeagueFeed, season_type: int) -> Play:
    clock_s = wire.parse_clock(play.clock.display_value)
    if league.plays_count_up:
        clock_s = max(0.0, league.length(play.period.number, season_type) - clock_s)
    return Play(
        play.id,
        int(play.sequence_number),
        play.type.text,
        play.text,
        play.period.number,
        clock_s,
        sides.get(play.team.id, 0) if play.team is not None else 0,
        play.home_score,
        play.away_score,
        play.scoring_play,
        play.shooting_play,
        wire.parse_time(play.wallclock) if play.wallclock else 0.0,
        strength_of(play),
        at_empty_net(play),
    )


def _projection(predictor: wire.Predictor | None) -> float | None:
    """ESPN's pregame home probability, from either team's percentage: it has been seen with only the away team's."""
    if predictor is None:
        return None
    home, away = predictor.home_team.game_projection, predictor.away_team.game_projection
    percent = float(home) if home not in (None, "") else 100.0 - float(away) if away not in (None, "") else None
    return percent / 100.0 if percent is not None and 0.0 < percent < 100.0 else None


def _fault(body: bytes, error: Exception) -> str:
    return "the body is empty" if not body.strip() else f"{error} ({len(body)} bytes)"


class EspnClient:
    """Fetches one league's documents through the door and hands on what changed."""

    def __init__(self, door: Door, base_url: str = BASE_URL, *, league: str = "nba") -> None:
        self._door = door
        self.league = LEAGUES[league]
        self._base_url = base_url.rstrip("/")
        self._path = f"/apis/site/v2/sports/{self.league.path}"
        self._last: dict[str, bytes] = {}

    async def scoreboard(self) -> Scoreboard | None:
        """The day's games; None where the document is, byte for byte, the last good one. FeedError where no good document came."""
        path = f"{self._path}/scoreboard"
        stream = f"espn.scoreboard.{self.league.name}"
        fetched = await self._fetch(stream, path)
        if fetched is None:
            return None
        body, at = fetched
        scoreboard = decode_scoreboard(body, league=self.league.name, received_at=at, where=path)
        self._last[stream] = body
        return scoreboard

    async def summary(self, event_id: str) -> Summary | None:
        """One game in full; None where unchanged, as for the scoreboard. FeedError also where the document is of another game."""
        path = f"{self._path}/summary?event={event_id}"
        stream = f"espn.summary.{self.league.name}.{event_id}"
        fetched = await self._fetch(stream, path)
        if fetched is None:
            return None
        body, at = fetched
        summary = decode_summary(body, league=self.league.name, received_at=at, where=path)
        if summary.game.id != event_id:
            raise FeedError(f"{path}: the document is of game {summary.game.id}")
        self._last[stream] = body
        return summary

    def reset(self) -> None:
        """Let go of everything: for a new reader all is new."""
        self._last.clear()

    def forget(self, event_id: str) -> None:
        """Let go of a game's last body, so that its next summary is decoded whatever it is."""
        self._last.pop(f"espn.summary.{self.league.name}.{event_id}", None)

    async def _fetch(self, stream: str, path: str) -> tuple[bytes, float] | None:
        frame = await self._door.get(stream, self._base_url + path)
        if frame.status != 200:
            raise FeedError(f"{path}: HTTP {frame.status}")
        if frame.body == self._last.get(stream):
            return None
        return frame.body, frame.received_wall
