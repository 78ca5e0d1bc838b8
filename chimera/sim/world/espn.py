"""ESPN's scoreboard and game summary, as of a moment: what has been published by then, and nothing that happened later.

Documents have the keys, types and odd spellings of recorded ones (scores are strings, clocks under a minute lose their colon, the end of a
period has no team). Rows are encoded once, so that a poll costs a join.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Sequence

import attrs

from chimera.sim.streams import stream
from chimera.sim.world.game import Game
from chimera.sim.world.league import Club
from chimera.sim.world.plays import (
    END_GAME,
    END_PERIOD,
    PERIOD_SECONDS,
    Play,
    display_clock,
    end_of_period_text,
    period_name,
    period_short,
)

SCOREBOARD_PATH = "/apis/site/v2/sports/basketball/nba/scoreboard"
SUMMARY_PATH = "/apis/site/v2/sports/basketball/nba/summary"

_OVERROUND = 1.04
"""Two-way moneylines sum to about this: the mean vig of NBA closing lines is 4 %."""
_WIN_NOISE = 0.012
_LEAGUE = {"id": "46", "uid": "s:40~l:46", "name": "National Basketball Association", "abbreviation": "NBA", "slug": "nba"}
_NO_COORDINATE = {"x": -214748340, "y": -214748365}


@attrs.frozen(slots=True)
class _State:
    """How a game stands: ESPN's status, the last row shown, and how many rows there are."""

    id: str
    name: str
    state: str
    description: str
    detail: str
    short: str
    play: Play | None
    shown: int

    @property
    def type(self) -> dict[str, object]:
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "completed": self.state == "post",
            "description": self.description,
            "detail": self.detail,
            "shortDetail": self.short,
        }

    @property
    def status(self) -> dict[str, object]:
        """The scoreboard's status object; the clock is in seconds and counts down."""
        clock, period = (self.play.clock, self.play.period) if self.play else (0.0, 0)
        return {"clock": clock, "displayClock": display_clock(clock), "period": period, "type": self.type}

    def score(self, club: Club, game: Game) -> str:
        if self.play is None:
            return "0"
        return str(self.play.home if club is game.home else self.play.away)


def _minute(unix: float) -> str:
    return dt.datetime.fromtimestamp(unix, dt.UTC).strftime("%Y-%m-%dT%H:%MZ")


def _second(unix: float) -> str:
    return dt.datetime.fromtimestamp(int(unix), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _state(game: Game, now: float) -> _State:
    shown = game.visible(now)
    if shown == 0:
        when = _minute(game.scheduled)
        return _State("1", "STATUS_SCHEDULED", "pre", "Scheduled", when, when, None, 0)
    play = game.plays[shown - 1]
    if play.kind is END_GAME:
        final = "Final" if play.period <= 4 else f"Final/{period_name(play.period)}"
        return _State("3", "STATUS_FINAL", "post", "Final", final, final, play, shown)
    if play.kind is END_PERIOD and play.period == 2:
        return _State("23", "STATUS_HALFTIME", "in", "Halftime", "Halftime", "Halftime", play, shown)
    if play.kind is END_PERIOD:
        words = end_of_period_text(play.period)
        short = f"End of {period_short(play.period)}"
        return _State("22", "STATUS_END_PERIOD", "in", "End of Period", words, short, play, shown)
    clock = display_clock(play.clock)
    detail, short = f"{clock} - {period_name(play.period)}", f"{clock} - {period_short(play.period)}"
    return _State("2", "STATUS_IN_PROGRESS", "in", "In Progress", detail, short, play, shown)


def moneyline(probability: float, overround: float = _OVERROUND) -> int:
    """American odds of a fair probability with a book's vig on it, the usual one unless told."""
    implied = min(0.985, probability * overround)
    if implied >= 0.5:
        return -max(100, round(100 * implied / (1 - implied)))
    return max(100, round(100 * (1 - implied) / implied))


def _odds(game: Game) -> dict[str, object]:
    """The pregame line: ESPN's `pickcenter` and `odds` entry."""
    spread = -round(game.expected_margin * 2) / 2
    favourite = game.home if spread <= 0 else game.away

    def side(club: Club, probability: float) -> dict[str, object]:
        return {
            "favorite": club is favourite,
            "underdog": club is not favourite,
            "moneyLine": moneyline(probability),
            "spreadOdds": -110.0,
            "teamId": club.espn_id,
            "team": {"id": club.espn_id, "abbreviation": club.abbreviation, "displayName": club.full_name},
        }

    return {
        "provider": {"id": "58", "name": "ESPN BET", "priority": 1},
        "details": f"{favourite.abbreviation} -{abs(spread):g}" if spread else "EVEN",
        "overUnder": 225.5,
        "spread": spread,
        "overOdds": -110.0,
        "underOdds": -110.0,
        "awayTeamOdds": side(game.away, 1 - game.pregame),
        "homeTeamOdds": side(game.home, game.pregame),
    }


def _team(club: Club) -> dict[str, object]:
    return {
        "id": club.espn_id,
        "uid": f"s:40~l:46~t:{club.espn_id}",
        "location": club.location,
        "name": club.name,
        "abbreviation": club.abbreviation,
        "displayName": club.full_name,
        "shortDisplayName": club.name,
    }


def _competitors(game: Game, state: _State) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for order, (club, where) in enumerate(((game.home, "home"), (game.away, "away"))):
        row: dict[str, object] = {
            "id": club.espn_id,
            "uid": f"s:40~l:46~t:{club.espn_id}",
            "type": "team",
            "order": order,
            "homeAway": where,
            "team": _team(club),
            "score": state.score(club, game),
        }
        if state.state == "post":
            row["winner"] = (club is game.home) == game.home_won
        rows.append(row)
    return rows


def _row(game: Game, play: Play) -> dict[str, object]:
    row: dict[str, object] = {
        "id": f"{game.event_id}{play.sequence}",
        "sequenceNumber": str(play.sequence),
        "type": {"id": play.kind.id, "text": play.kind.text},
        "text": play.text,
        "awayScore": play.away,
        "homeScore": play.home,
        "period": {"number": play.period, "displayValue": period_name(play.period)},
        "clock": {"displayValue": display_clock(play.clock)},
        "scoringPlay": play.value > 0,
        "scoreValue": play.value,
    }
    if play.team is not None:
        row["team"] = {"id": play.team.espn_id}
    if play.athletes:
        row["participants"] = [{"athlete": {"id": _athlete_id(name)}} for name in play.athletes]
    row["wallclock"] = _second(game.tip + play.at)
    row["shootingPlay"] = play.shooting
    row["coordinate"] = _NO_COORDINATE
    return row


def _athlete_id(name: str) -> str:
    return str(4_000_000 + sum(ord(letter) * (place + 1) for place, letter in enumerate(name)))


@attrs.frozen(slots=True)
class _Rows:
    """A game's rows as they will be sent."""

    plays: list[str]
    wins: list[str]


def _encode(game: Game, rng: random.Random) -> _Rows:
    """All rows of a game; `rng` feeds the small noise of ESPN's own win probability."""
    plays = [json.dumps(_row(game, play)) for play in game.plays]
    wins = []
    for index, play in enumerate(game.plays):
        p = game.p_at_play(index)
        if play.kind is not END_GAME:  # ESPN pins its number inside [.001, .999] until the end
            p = min(0.999, max(0.001, p + rng.gauss(0.0, _WIN_NOISE) * 4 * p * (1 - p)))
        win = {"homeWinPercentage": round(p, 3), "tiePercentage": 0.0, "playId": f"{game.event_id}{play.sequence}"}
        wins.append(json.dumps(win))
    return _Rows(plays, wins)


class Espn:
    """The two documents a trader polls. A game's rows are encoded when it is first asked for."""

    def __init__(self, games: Sequence[Game], seed: int) -> None:
        self._games = {game.event_id: game for game in games}
        self._seed = seed
        self._rows: dict[str, _Rows] = {}

    def scoreboard(self, now: float) -> bytes:
        """The scoreboard at world time `now`."""
        events = [self._event(game, _state(game, now)) for game in self._games.values()]
        day = min(game.day for game in self._games.values()).isoformat()
        document = {
            "leagues": [_LEAGUE],
            "season": {"type": 2, "year": self._season},
            "day": {"date": day},
            "events": events,
        }
        return json.dumps(document).encode()

    def summary(self, event_id: str, now: float) -> bytes | None:
        """One game's summary at world time `now`; None for a game that is not on."""
        game = self._games.get(event_id)
        if game is None:
            return None
        rows = self._rows.get(event_id)
        if rows is None:
            rows = self._rows[event_id] = _encode(game, stream(self._seed, "espn", event_id))
        state = _state(game, now)
        fixed = json.dumps(self._fixed(game, state))
        plays, wins = ",".join(rows.plays[: state.shown]), ",".join(rows.wins[: state.shown])
        return f'{fixed[:-1]}, "winprobability": [{wins}], "plays": [{plays}]}}'.encode()

    @property
    def _season(self) -> int:
        """A season is named for the year it ends in."""
        day = min(game.day for game in self._games.values())
        return day.year + (day.month >= 9)

    def _event(self, game: Game, state: _State) -> dict[str, object]:
        date, status = _minute(game.scheduled), state.status
        competition = {
            "id": game.event_id,
            "uid": f"s:40~l:46~e:{game.event_id}~c:{game.event_id}",
            "date": date,
            "timeValid": True,
            "neutralSite": False,
            "playByPlayAvailable": True,
            "recent": True,
            "competitors": _competitors(game, state),
            "odds": [_odds(game)],
            "status": status,
            "format": {"regulation": {"periods": 4}},
            "startDate": date,
        }
        return {
            "id": game.event_id,
            "uid": f"s:40~l:46~e:{game.event_id}",
            "date": date,
            "name": f"{game.away.full_name} at {game.home.full_name}",
            "shortName": f"{game.away.abbreviation} @ {game.home.abbreviation}",
            "season": {"year": self._season, "type": 2, "slug": "regular-season"},
            "competitions": [competition],
            "status": status,
        }

    def _fixed(self, game: Game, state: _State) -> dict[str, object]:
        """The summary without its rows."""
        header_status: dict[str, object] = {"type": state.type}
        if state.play is not None and state.state == "in":
            header_status |= {"displayClock": display_clock(state.play.clock), "period": state.play.period}
        competition = {
            "id": game.event_id,
            "uid": f"s:40~l:46~e:{game.event_id}~c:{game.event_id}",
            "date": _minute(game.scheduled),
            "neutralSite": False,
            "playByPlaySource": "full",
            "competitors": _competitors(game, state),
            "status": header_status,
        }
        chance = game.pregame * 100
        return {
            "format": {"regulation": {"periods": 4, "slug": "quarter", "clock": PERIOD_SECONDS}, "overtime": {"clock": 300.0}},
            "pickcenter": [_odds(game)],
            "predictor": {
                "header": "Matchup Predictor",
                "homeTeam": {"id": game.home.espn_id, "gameProjection": f"{chance:.1f}", "teamChanceLoss": f"{100 - chance:.1f}"},
                "awayTeam": {"id": game.away.espn_id, "gameProjection": f"{100 - chance:.1f}", "teamChanceLoss": f"{chance:.1f}"},
            },
            "wallclockAvailable": True,
            "meta": {"gameState": state.state},
            "header": {
                "id": game.event_id,
                "uid": f"s:40~l:46~e:{game.event_id}",
                "season": {"year": self._season, "type": 2},
                "timeValid": True,
                "league": _LEAGUE,
                "competitions": [competition],
            },
        }
