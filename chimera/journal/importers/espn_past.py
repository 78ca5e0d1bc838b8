"""A finished game's ESPN documents as they stood at each moment of the game, cut from the final play-by-play.

A play is shown `delay_s` after its own `wallclock` and never before the play above it in the file: wallclocks step back by seconds here and
there, and ESPN appends rows, so the running maximum is the earliest moment consistent with both. Only what was known then is in a version:
score, clock and status follow from the last play shown, the win probabilities are those of plays shown, and nothing of the final document
that was written after the game (records, series, box score, winner) is carried over.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import attrs
import msgspec

from chimera.errors import ConfigError
from chimera.feeds.espn import LEAGUES

_ORDINALS = {1: "1st", 2: "2nd", 3: "3rd", 4: "4th"}


@attrs.frozen(slots=True)
class _Sport:
    """How a league's rows end things: play types by id, what a period is called, after which one there is half time."""

    end_period: str
    end_game: str
    period: str
    half: int | None


_SPORTS = {"nba": _Sport("412", "402", "Quarter", 2), "nhl": _Sport("519", "522", "Period", None)}


class _Wire(msgspec.Struct, rename="camel", omit_defaults=True):
    pass


class _Type(_Wire):
    id: str
    text: str = ""


class _Period(_Wire):
    number: int
    display_value: str = ""


class _Clock(_Wire):
    display_value: str


class _TeamId(_Wire):
    id: str


class _Play(_Wire, omit_defaults=False):
    id: str
    sequence_number: str
    type: _Type
    text: str
    away_score: int
    home_score: int
    period: _Period
    clock: _Clock
    scoring_play: bool
    score_value: int
    wallclock: str
    shooting_play: bool = False
    team: _TeamId | None = None
    strength: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    shot_info: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class _Row(_Wire, omit_defaults=False):
    home_win_percentage: float
    play_id: str
    tie_percentage: float = 0.0


class _Team(_Wire):
    id: str
    location: str
    name: str
    abbreviation: str
    display_name: str
    uid: str = ""


class _Competitor(_Wire):
    id: str
    home_away: str
    team: _Team
    score: str = ""
    order: int = 0
    uid: str = ""


class _Competition(_Wire):
    id: str
    date: str
    competitors: list[_Competitor]
    uid: str = ""


class _League(_Wire):
    id: str = ""
    name: str = ""
    abbreviation: str = ""
    slug: str = ""


class _Season(_Wire, omit_defaults=False):
    year: int
    type: int


class _Header(_Wire):
    id: str
    season: _Season
    competitions: list[_Competition]
    league: _League
    uid: str = ""


class _Summary(_Wire):
    header: _Header
    plays: list[_Play]
    winprobability: list[_Row] = []
    predictor: msgspec.Raw | None = None
    pickcenter: msgspec.Raw = msgspec.Raw(b"[]")
    odds: msgspec.Raw = msgspec.Raw(b"[]")


class _StatusType(_Wire, omit_defaults=False):
    id: str
    name: str
    state: str
    completed: bool
    description: str
    detail: str
    short_detail: str


class _Status(_Wire, omit_defaults=False):
    clock: float
    display_clock: str
    period: int
    type: _StatusType


@attrs.frozen(slots=True)
class Version:
    """Both documents as they stood from `visible_at` (unix s) on, with `plays` plays shown."""

    visible_at: float
    plays: int
    scoreboard: bytes
    summary: bytes


class PastGame:
    """One finished game of `league`, "nba" or "nhl". `home` and `away` are ESPN's abbreviations; times are unix seconds.

    ConfigError where `path` is no such game.
    """

    def __init__(self, path: Path, delay_s: float, league: str = "nba") -> None:
        self._page = page = _read(path)
        if page.header.league.slug != league:
            raise ConfigError(f"{path}: the game is of league {page.header.league.slug or '(none)'!r}, not {league!r}")
        self._league, self._sport = LEAGUES[league], _SPORTS[league]
        competition = page.header.competitions[0] if page.header.competitions else None
        sides = {} if competition is None else {side.home_away: side for side in competition.competitors}
        if competition is None or set(sides) != {"home", "away"}:
            raise ConfigError(f"{path}: the game has no home and away side")
        if not page.plays or page.plays[-1].type.id != self._sport.end_game:
            raise ConfigError(f"{path}: its plays do not end with the end of the game; only a finished game can be imported")
        self._competition = competition
        self._home, self._away = sides["home"], sides["away"]
        self.event_id = page.header.id
        self.home, self.away = self._home.team.abbreviation, self._away.team.abbreviation
        self.starts_at = _unix(competition.date)
        walls = [_unix(play.wallclock) for play in page.plays]
        self.first_play, self.last_play = min(walls), max(walls)
        self.final_score = (page.plays[-1].away_score, page.plays[-1].home_score)
        self._shown_at = _running_max([wall + delay_s for wall in walls])
        self._plays = [msgspec.json.encode(play) for play in page.plays]
        rows = {row.play_id: msgspec.json.encode(row) for row in page.winprobability}
        self._rows = [rows.get(play.id) for play in page.plays]

    @property
    def scoreboard_stream(self) -> str:
        return f"espn.scoreboard.{self._league.name}"

    @property
    def summary_stream(self) -> str:
        return f"espn.summary.{self._league.name}.{self.event_id}"

    @property
    def home_won(self) -> bool:
        return self.final_score[1] > self.final_score[0]

    def __len__(self) -> int:
        return len(self._plays)

    def versions(self, begin: float) -> Iterator[Version]:
        """The pregame version at `begin`, then one for each distinct moment at which plays appear."""
        yield self._version(begin, 0)
        shown = 0
        for visible_at, group in groupby(self._shown_at):
            shown += sum(1 for _ in group)
            yield self._version(visible_at, shown)

    def _version(self, visible_at: float, shown: int) -> Version:
        status = self._status(shown)
        competitors = self._competitors(shown)
        return Version(visible_at, shown, self._scoreboard(status, competitors), self._summary(shown, status, competitors))

    def _competitors(self, shown: int) -> list[_Competitor]:
        last = self._page.plays[shown - 1] if shown else None
        away, home = (last.away_score, last.home_score) if last is not None else (0, 0)
        scores = {"home": str(home), "away": str(away)}
        sides = (self._home, self._away)
        return [_Competitor(s.id, s.home_away, s.team, scores[s.home_away], s.order, s.uid) for s in sides]

    def _status(self, shown: int) -> _Status:
        if not shown:
            start = dt.datetime.fromtimestamp(self.starts_at, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
            return _Status(0.0, "0.0", 0, _StatusType("1", "STATUS_SCHEDULED", "pre", False, "Scheduled", start, start))
        play = self._page.plays[shown - 1]
        period, clock = play.period.number, play.clock.display_value
        left = _seconds(clock)
        if self._league.plays_count_up:  # a scoreboard's clock counts down in every sport
            left = max(0.0, self._league.length(period, self._page.header.season.type) - left)
            clock = f"{int(left) // 60}:{int(left) % 60:02}"
        return _Status(left, clock, period, self._status_type(play.type.id, period, clock))

    def _status_type(self, kind: str, period: int, clock: str) -> _StatusType:
        sport, periods = self._sport, self._league.periods
        beyond = "OT" if period == periods + 1 else f"{period - periods}OT"
        name = f"{_ORDINALS[period]} {sport.period}" if period <= periods else beyond
        if kind == sport.end_game:
            return _StatusType("3", "STATUS_FINAL", "post", True, "Final", "Final", "Final")
        if kind == sport.end_period and period == sport.half:
            return _StatusType("23", "STATUS_HALFTIME", "in", False, "Halftime", "Halftime", "Halftime")
        if kind == sport.end_period:
            return _StatusType("22", "STATUS_END_PERIOD", "in", False, "End of Period", f"End of {name}", f"End of {name}")
        return _StatusType("2", "STATUS_IN_PROGRESS", "in", False, "In Progress", f"{clock} - {name}", f"{clock} - {name}")

    def _scoreboard(self, status: _Status, competitors: list[_Competitor]) -> bytes:
        header, competition = self._page.header, self._competition
        game = {
            "id": competition.id,
            "uid": competition.uid,
            "date": competition.date,
            "competitors": competitors,
            "status": status,
        }
        event = {
            "id": header.id,
            "uid": header.uid,
            "date": competition.date,
            "name": f"{self._away.team.display_name} at {self._home.team.display_name}",
            "shortName": f"{self.away} @ {self.home}",
            "season": header.season,
            "competitions": [game],
            "status": status,
        }
        return msgspec.json.encode({"leagues": [header.league], "season": header.season, "events": [event]})

    def _summary(self, shown: int, status: _Status, competitors: list[_Competitor]) -> bytes:
        page, competition = self._page, self._competition
        now = {"id": competition.id, "uid": competition.uid, "date": competition.date, "competitors": competitors, "status": status}
        header = {
            "id": page.header.id,
            "uid": page.header.uid,
            "season": page.header.season,
            "competitions": [now],
            "league": page.header.league,
        }
        parts = {"header": header, "pickcenter": page.pickcenter, "odds": page.odds}
        if page.predictor is not None:
            parts["predictor"] = page.predictor
        rows = b",".join(row for row in self._rows[:shown] if row is not None)
        # The plays are encoded once and joined: a version is the whole list up to a play.
        return (
            msgspec.json.encode(parts)[:-1]
            + b',"plays":[' + b",".join(self._plays[:shown]) + b'],"winprobability":[' + rows + b"]}"
        )  # fmt: skip


def _read(path: Path) -> _Summary:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Summary)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: not an ESPN game summary: {error}") from error


def _running_max(values: list[float]) -> list[float]:
    highest = values[0]
    return [highest := max(highest, value) for value in values]


def _unix(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def _seconds(clock: str) -> float:
    """Seconds left from "11:43", or "59.1" under a minute."""
    minutes, colon, seconds = clock.rpartition(":")
    return float(seconds) + (60.0 * int(minutes) if colon else 0.0)
