"""The NHL model against recorded games, as far as results and closing prices go: who led after regulation, and by how much.

`sports/nhl_games.parquet` has the results, `sports/nhl_moneylines.csv.gz` the prices. A game has a price where both tell of the same teams,
within a day, with the same winner; how far apart regulation ended is counted over the games without one too. The baseline is a Poisson
game from the same price: constant rates, no pulled goalies, no slowing down.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from chimera.audit.columns import read_columns
from chimera.errors import ConfigError
from chimera.models.nhl import solved
from chimera.models.nhl_params import LEAGUE_TOTAL, PARAMS, NhlParams
from chimera.models.odds import shin

RESULTS: Final = Path("sports") / "nhl_games.parquet"
PRICES: Final = Path("sports") / "nhl_moneylines.csv.gz"
MARGINS: Final = 5
"""Regulation margins 0 to 4 are looked at."""
_COLUMNS: Final = ("season_end", "type", "date", "home", "away", "home_goals", "away_goals", "went_ot", "home_won")
_SPELLINGS: Final = {"LAK": "LA", "NJD": "NJ", "SJS": "SJ", "TBL": "TB", "UTA": "UTAH"}
"""The league's codes where the prices have ESPN's."""
_GRID: Final = tuple(round(0.1 + 0.1 * n, 1) for n in range(9))
"""Prices at which games are solved; straight between them (the shares bend by less than .001)."""
MOST_DAMPING: Final = 0.9
_HALVINGS: Final = 6

POISSON: Final = attrs.evolve(
    PARAMS, tie_damping=0.0, score_effect=0.0, overtime_tilt=0.0, pulled=dict.fromkeys((1, 2, 3), ((0.0, 0.0), (1.0, 0.0)))
)


@attrs.frozen(slots=True)
class Result:
    """One game: `lead` is home's after regulation (0: it went on), `p0` the closing price's P(home), `goals` are both teams' in all."""

    season: int
    p0: float | None
    lead: int
    goals: int


Row: TypeAlias = tuple[float, ...]
"""P(home ahead), P(level), P(away ahead) after regulation, then P(regulation ends k goals apart) for k from 0."""


@attrs.frozen(slots=True)
class NhlScore:
    """Means over `games` games with a price. A log loss is over home ahead, level and away ahead after regulation.

    The shares seen are over all games, the shares said over those with a price.
    """

    games: int
    log_loss: float
    poisson_log_loss: float
    tie_share: float
    tie_share_model: float
    margin_shares: tuple[float, ...]
    margin_shares_model: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        """The contract's keys; margins are lists from 0 to 4 goals."""
        return {
            "games": self.games, "log_loss_3way": self.log_loss, "poisson_log_loss_3way": self.poisson_log_loss,
            "tie_share": self.tie_share, "tie_share_model": self.tie_share_model,
            "margin_shares": list(self.margin_shares), "margin_shares_model": list(self.margin_shares_model),
        }  # fmt: skip


def read_results(data: Path) -> list[Result]:
    """The regular-season games of `data`. ConfigError where a file cannot be read or lacks a column."""
    lines = _prices(data / PRICES)
    found = []
    for season, kind, date, home, away, home_goals, away_goals, overtime, won in zip(*read_columns(data / RESULTS, _COLUMNS), strict=True):
        if kind == "R":
            lead = 0 if overtime else home_goals - away_goals
            found.append(Result(season, _price(lines, date, home, away, bool(won)), lead, home_goals + away_goals))
    return found


_Lines: TypeAlias = dict[tuple[str, str, str], tuple[bool, float | None]]


def _prices(path: Path) -> _Lines:
    """(home won, P(home) without vig) by date and teams."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            return {(row["date"], row["home"], row["away"]): _read_price(row) for row in csv.DictReader(file)}
    except (OSError, EOFError, KeyError, ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: it cannot be read as rows of date, teams, scores and moneylines: {error!r}") from error


def _read_price(row: dict[str, str]) -> tuple[bool, float | None]:
    fair = shin([(float(row["ml_home"]), float(row["ml_away"]))], PARAMS.max_vig)
    return float(row["home_score"]) > float(row["away_score"]), None if fair is None else fair[0]


def _price(lines: _Lines, date: str, home: str, away: str, won: bool) -> float | None:
    day = dt.date.fromisoformat(date)
    for apart in (0, -1, 1):
        line = lines.get((str(day + dt.timedelta(apart)), _SPELLINGS.get(home, home), _SPELLINGS.get(away, away)))
        if line is not None and line[0] == won:
            return line[1]
    return None


def score_games(games: Sequence[Result]) -> NhlScore:
    """Score the games that have a price. ValueError where there is none."""
    return _score(games, _price_all(games, _solve(PARAMS), _solve(POISSON)))


def leave_one_season_out(games: Sequence[Result]) -> NhlScore:
    """The same where the league's goals and how much a tied game slows down are taken from every season but the game's own."""
    said: list[_Said] = []
    for season in sorted({game.season for game in games if game.p0 is not None}):
        own, others = ([g for g in games if (g.season == season) is same] for same in (True, False))
        params, total = _refit(others)
        said += _price_all(own, _solve(params, total), _solve(POISSON, total))
    return _score(games, said)


_Said: TypeAlias = tuple[int, Row, Row]
"""A game's lead after regulation, what the model says of it, and what Poisson does."""


def _price_all(games: Sequence[Result], model: Sequence[Row], poisson: Sequence[Row]) -> list[_Said]:
    return [(game.lead, _at(game.p0, model), _at(game.p0, poisson)) for game in games if game.p0 is not None]


def _refit(games: Sequence[Result]) -> tuple[NhlParams, float]:
    """The goals that were scored, and the damping at which as many games are level as were. ValueError where there is no game."""
    if not any(game.p0 is not None for game in games):
        raise ValueError("there is no other season to fit to")
    total = sum(game.goals for game in games) / len(games)
    level = sum(game.lead == 0 for game in games) / len(games)
    low, high = 0.0, MOST_DAMPING
    for _ in range(_HALVINGS):
        params = attrs.evolve(PARAMS, tie_damping=0.5 * (low + high))
        rows = _solve(params, total, margins=0)
        said = [_at(game.p0, rows)[1] for game in games if game.p0 is not None]
        low, high = (params.tie_damping, high) if sum(said) / len(said) < level else (low, params.tie_damping)
    return attrs.evolve(PARAMS, tie_damping=0.5 * (low + high)), total


def _solve(params: NhlParams, total: float = LEAGUE_TOTAL, margins: int = MARGINS) -> list[Row]:
    """A row for each price of the grid."""
    games = [solved(p0, total, params=params) for p0 in _GRID]
    return [(*game.regulation(), *(game.margin(k) for k in range(margins))) for game in games]


def _at(p0: float, grid: Sequence[Row]) -> Row:
    x = (min(max(p0, _GRID[0]), _GRID[-1]) - _GRID[0]) / (_GRID[1] - _GRID[0])
    left = min(len(_GRID) - 2, int(x))
    return tuple(a + (x - left) * (b - a) for a, b in zip(grid[left], grid[left + 1], strict=True))


def _score(games: Sequence[Result], said: Sequence[_Said]) -> NhlScore:
    if not said:
        raise ValueError("there is nothing to score")
    n = len(said)
    losses = [[-math.log(row[_column(lead)]) for row in (model, poisson)] for lead, model, poisson in said]
    return NhlScore(
        games=n,
        log_loss=sum(loss for loss, _ in losses) / n,
        poisson_log_loss=sum(loss for _, loss in losses) / n,
        tie_share=sum(game.lead == 0 for game in games) / len(games),
        tie_share_model=sum(model[1] for _, model, _ in said) / n,
        margin_shares=tuple(sum(abs(game.lead) == k for game in games) / len(games) for k in range(MARGINS)),
        margin_shares_model=tuple(sum(model[3 + k] for _, model, _ in said) / n for k in range(MARGINS)),
    )


def _column(lead: int) -> int:
    return 1 if lead == 0 else 0 if lead > 0 else 2
