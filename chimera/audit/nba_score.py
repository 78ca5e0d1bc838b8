"""The NBA model against recorded games: every event of every game priced from what was known then, and scored by how the game ended.

Columns of `sports/nba_events.parquet`: one row an event, with score, clock, ball, free throws to come, the closing price and the result;
`p_b135` is the baseline, score and line pro rata with a margin's sd of 13.5, which is level with ESPN's own live model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from chimera.audit.columns import read_columns
from chimera.audit.scores import Said, Score, score
from chimera.models.nba import PARAMS, NbaParams, Season, evaluate

EVENTS: Final = Path("sports") / "nba_events.parquet"
_COLUMNS: Final = (
    "game_id", "season", "period", "sec_remaining", "home_lead", "poss", "pending_ft", "p0_home", "home_won", "p_b135",
)  # fmt: skip
_SEASON_TYPES: Final = {"001": Season.PRESEASON, "002": Season.REGULAR, "004": Season.PLAYOFFS, "005": Season.PLAY_IN}
"""The league's game ids begin with the kind of game."""
LATE_S, CLOSE_POINTS = 120.0, 6


@attrs.frozen(slots=True)
class Event:
    """One recorded moment; a `chimera.models.nba.Situation`. `p0` is the closing price's P(home), `baseline` what p_b135 gave it."""

    game: str
    season: str
    season_type: int
    period: int
    seconds_left: float
    home_lead: int
    possession: float
    pending_ft: int
    p0: float
    won: bool
    baseline: float

    @property
    def overtime(self) -> bool:
        return self.period > 4

    @property
    def live(self) -> bool:
        return True

    @property
    def clock_running(self) -> bool:
        return True

    @property
    def final(self) -> bool:
        return False


Refit: TypeAlias = Callable[[Sequence[Event]], NbaParams]

PHASES: Final[dict[str, Callable[[Event], bool]]] = {
    "all": lambda event: True,
    "last_2min": lambda event: event.period == 4 and event.seconds_left <= LATE_S,
    "last_2min_close": lambda event: event.period == 4 and event.seconds_left <= LATE_S and abs(event.home_lead) <= CLOSE_POINTS,
    "overtime": lambda event: event.overtime,
}
"""The parts that are scored by themselves. The last two minutes are those of regulation; close is within six points."""


def read_events(data: Path) -> list[Event]:
    """Every event under `data`. ConfigError where the file lacks a column or cannot be read."""
    columns = read_columns(data / EVENTS, _COLUMNS)
    return [
        Event(game, season, _SEASON_TYPES.get(game[:3], Season.REGULAR), period, left, lead, ball, pending, p0, bool(won), baseline)
        for game, season, period, left, lead, ball, pending, p0, won, baseline in zip(*columns, strict=True)
        if None not in (p0, won, baseline) and 0.0 <= p0 <= 1.0
    ]


def price(events: Sequence[Event], params: NbaParams = PARAMS) -> list[Said]:
    """What the model says of each event."""
    return [
        Said(event.game, evaluate(event, event.p0, event.season_type, params).p, event.baseline, event.won) for event in events
    ]


def leave_one_season_out(events: Sequence[Event], refit: Refit) -> list[Said]:
    """What the model says of each event where its parameters are fitted to every season but the event's own. Keeps the order."""
    said: dict[int, Said] = {}
    for season in sorted({event.season for event in events}):
        own = [index for index, event in enumerate(events) if event.season == season]
        params = refit([event for event in events if event.season != season])
        said |= dict(zip(own, price([events[index] for index in own], params), strict=True))
    return [said[index] for index in range(len(events))]


def score_phases(events: Sequence[Event], said: Sequence[Said]) -> dict[str, Score]:
    """A score for each of PHASES that has events."""
    parts = {name: [s for event, s in zip(events, said, strict=True) if inside(event)] for name, inside in PHASES.items()}
    return {name: score(rows) for name, rows in parts.items() if rows}


def score_seasons(events: Sequence[Event], said: Sequence[Said]) -> dict[str, Score]:
    """A score over all of each season."""
    by_season: dict[str, list[Said]] = {}
    for event, row in zip(events, said, strict=True):
        by_season.setdefault(event.season, []).append(row)
    return {season: score(rows) for season, rows in sorted(by_season.items())}
