"""The shape of ESPN's documents on the wire: only the fields that are used, and how its clocks and times are written.

Everything here is as ESPN names it. What it means, and what is refused, is decided in `espn.py`.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime

import msgspec


class _Wire(msgspec.Struct, rename="camel", frozen=True):
    pass


class Abbreviated(_Wire, frozen=True):
    id: str = ""
    abbreviation: str = ""


class Competitor(_Wire, frozen=True):
    home_away: str
    team: Abbreviated
    score: str | int | float | None = None


class StatusType(_Wire, frozen=True):
    name: str
    state: str = ""
    completed: bool = False


class Status(_Wire, frozen=True):
    type: StatusType
    clock: float | None = None
    display_clock: str | None = None
    period: int = 0


class Line(_Wire, frozen=True):
    money_line: float | None = None


class Provider(_Wire, frozen=True):
    name: str = ""


class Odds(_Wire, frozen=True):
    provider: Provider = Provider()
    spread: float | None = None
    over_under: float | None = None
    over_odds: float | None = None
    under_odds: float | None = None
    home_team_odds: Line | None = None
    away_team_odds: Line | None = None


class Competition(_Wire, frozen=True):
    competitors: list[Competitor]
    date: str = ""
    status: Status | None = None
    odds: list[Odds | None] | None = None


class Season(_Wire, frozen=True):
    type: int = 0


class Event(_Wire, frozen=True):
    id: str
    competitions: list[Competition]
    date: str = ""
    status: Status | None = None
    season: Season = Season()


class LeagueName(_Wire, frozen=True):
    slug: str = ""
    abbreviation: str = ""


class ScoreboardPage(_Wire, frozen=True):
    events: list[msgspec.Raw]
    leagues: list[LeagueName] = []


class Kind(_Wire, frozen=True):
    text: str = ""


class Period(_Wire, frozen=True):
    number: int


class Clock(_Wire, frozen=True):
    display_value: str


class TeamId(_Wire, frozen=True):
    id: str = ""


class Mark(_Wire, frozen=True):
    """A small closed set of ESPN's, such as a strength."""

    id: str = ""


class Play(_Wire, frozen=True):
    id: str
    type: Kind
    period: Period
    clock: Clock
    home_score: int
    away_score: int
    sequence_number: str | int = 0
    text: str = ""
    team: TeamId | None = None
    scoring_play: bool = False
    shooting_play: bool = False
    wallclock: str = ""
    strength: Mark | None = None
    shot_info: Mark | None = None


class Probability(_Wire, frozen=True):
    home_win_percentage: float
    play_id: str = ""


class Projected(_Wire, frozen=True):
    game_projection: str | float | None = None


class Predictor(_Wire, frozen=True):
    home_team: Projected = Projected()
    away_team: Projected = Projected()


class Header(_Wire, frozen=True):
    id: str
    competitions: list[Competition]
    date: str = ""
    status: Status | None = None
    season: Season = Season()
    league: LeagueName = LeagueName()


class Skater(_Wire, frozen=True):
    id: str = msgspec.field(name="athleteid", default="")


class OnIce(_Wire, frozen=True):
    team_id: str = ""
    entries: list[Skater] = []


class Position(_Wire, frozen=True):
    abbreviation: str = ""


class Athlete(_Wire, frozen=True):
    id: str = ""
    position: Position = Position()


class Listed(_Wire, frozen=True):
    athlete: Athlete = Athlete()


class Statistics(_Wire, frozen=True):
    athletes: list[Listed] = []


class Lineup(_Wire, frozen=True):
    statistics: list[Statistics] = []


class Boxscore(_Wire, frozen=True):
    players: list[Lineup] = []


class SummaryPage(_Wire, frozen=True):
    header: Header
    plays: list[Play] | None = None
    winprobability: list[Probability] | None = None
    predictor: Predictor | None = None
    pickcenter: list[Odds | None] | None = None
    on_ice: list[OnIce] | None = None
    boxscore: msgspec.Raw = msgspec.Raw(b"{}")


scoreboard_page = msgspec.json.Decoder(ScoreboardPage)
event = msgspec.json.Decoder(Event)
summary_page = msgspec.json.Decoder(SummaryPage)
boxscore = msgspec.json.Decoder(Boxscore)


@functools.lru_cache(maxsize=4096)
def parse_clock(text: str) -> float:
    """Seconds left, from "11:43", "0:00" or, under a minute, "59.1"; ValueError where it is neither."""
    minutes, colon, seconds = text.strip().rpartition(":")
    value = float(seconds) + (60.0 * int(minutes) if colon else 0.0)
    if not 0.0 <= value <= 1200.0:
        raise ValueError(f"clock {text!r} is outside a period")
    return value


@functools.lru_cache(maxsize=16384)
def parse_time(text: str) -> float:
    """Unix seconds of an ISO time with or without seconds ("2025-06-01T00:00Z"), UTC where it names no zone; ValueError if none."""
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
