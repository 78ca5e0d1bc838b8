"""Every ESPN document of a directory, read as the oracles would read it, or refused with a reason.

It answers one question before money does: does the feed still mean what the code takes it to mean? A scoreboard gives a row for each of
its games, a summary one; what is neither, or cannot be read, says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

import attrs
import msgspec

from chimera.errors import ConfigError, FeedError
from chimera.feeds.espn import LEAGUES, Game, GameStatus, Scoreboard, Summary, decode_scoreboard, decode_summary
from chimera.feeds.game_plays import GameState
from chimera.feeds.nba_plays import reduce as reduce_nba
from chimera.feeds.nhl_plays import reduce as reduce_nhl

FOLDER: Final = "espn"


@attrs.frozen(slots=True)
class GameRow:
    """One game as a document shows it. None is "the document does not say".

    `clock_seconds_left` is to the end of `period`, which is 0 before the first. `possession` is +1 for the home team's ball, -1 for the
    away team's, between for a ball that is loose. Skaters include one who stands in for a goalie. Teams are ESPN's abbreviations.
    """

    league: str
    status: str
    clock_seconds_left: float
    period: int
    home: str
    away: str
    home_score: int
    away_score: int
    possession: float | None = None
    home_skaters: int | None = None
    away_skaters: int | None = None
    home_goalie_pulled: bool | None = None
    away_goalie_pulled: bool | None = None


@attrs.frozen(slots=True)
class Reading:
    """A document: its games, or in `refused` why it has none. `set_aside` are single games of a sound scoreboard that cannot be read."""

    games: tuple[GameRow, ...] = ()
    refused: str = ""
    set_aside: tuple[str, ...] = ()


_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_payloads(data: Path) -> dict[str, Reading]:
    """Every file under `data`/espn, by its path from `data`. ConfigError where there is no such directory, or nothing in it."""
    folder = data / FOLDER
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such directory; --data names the directory that holds {FOLDER}/")
    found = {path.relative_to(data).as_posix(): _read_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    if not found:
        raise ConfigError(f"{folder}: it holds no file")
    return found


def to_json(readings: Mapping[str, Reading]) -> dict[str, object]:
    """The contract's form: a list of games by file, or why the file was refused."""
    return {
        name: {"refused": reading.refused} if reading.refused else [attrs.asdict(game) for game in reading.games]
        for name, reading in readings.items()
    }


def read_document(body: bytes) -> Reading:
    """Read one document, whichever it is. Never raises for what the bytes hold."""
    try:
        keys = _object.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return Reading(refused=f"no JSON object: {error} ({len(body)} bytes)" if body.strip() else "the file is empty")
    try:
        if "header" in keys:
            return _of_summary(decode_summary(body))
        if "events" in keys:
            return _of_scoreboard(decode_scoreboard(body))
    except FeedError as error:
        return Reading(refused=str(error))
    return Reading(refused=f"neither a scoreboard nor a game summary: its keys are {_some(list(keys))}")


def _read_file(path: Path) -> Reading:
    try:
        return read_document(path.read_bytes())
    except OSError as error:
        return Reading(refused=f"it cannot be read: {error.strerror}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "") if names else "(none)"


def _of_scoreboard(board: Scoreboard) -> Reading:
    return Reading(tuple(_of_line(game) for game in board.games), set_aside=board.refused)


def _of_line(game: Game) -> GameRow:
    return GameRow(
        league=game.league, status=game.status.value, clock_seconds_left=game.clock_s, period=game.period, home=game.home.code,
        away=game.away.code, home_score=game.home.score, away_score=game.away.score,
    )  # fmt: skip


def _of_summary(summary: Summary) -> Reading:
    reader = _SUMMARIES.get(summary.game.league)
    return Reading((_of_line(summary.game) if reader is None else reader(summary),))


def _of_nba(summary: Summary) -> GameRow:
    state = reduce_nba(summary)
    return attrs.evolve(_of_state(summary, state), possession=state.possession if state.live else None)


def _of_nhl(summary: Summary) -> GameRow:
    state = reduce_nhl(summary)
    row = _of_state(summary, state)
    if state.status is GameStatus.SCHEDULED or not summary.plays:
        return row
    (home, away), pulled = state.skaters, state.pulled
    return attrs.evolve(
        row,
        home_skaters=home + (pulled == 1),
        away_skaters=away + (pulled == -1),
        home_goalie_pulled=None if pulled is None else pulled == 1,
        away_goalie_pulled=None if pulled is None else pulled == -1,
    )


def _of_state(summary: Summary, state: GameState) -> GameRow:
    """The header's row with what the plays say of score and clock. FeedError where they contradict each other."""
    if state.disagreement:
        raise FeedError(f"its parts contradict each other: {state.disagreement}")
    league = LEAGUES[summary.game.league]
    later = league.period_s * max(0, league.periods - state.period)
    return attrs.evolve(
        _of_line(summary.game),
        clock_seconds_left=state.seconds_left - later if state.period else 0.0,
        period=state.period,
        home_score=state.home_score,
        away_score=state.away_score,
    )


_Reader: TypeAlias = Callable[[Summary], GameRow]
_SUMMARIES: Final[dict[str, _Reader]] = {"nba": _of_nba, "nhl": _of_nhl}
"""How each league's play-by-play is reduced; a league without a reducer is read by its header alone."""
