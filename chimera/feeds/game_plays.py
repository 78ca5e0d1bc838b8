"""What every sport's reducer shares: the order of plays, which source to believe, and what two states of one game must never do.

A list of plays is reduced from its beginning every time: plays are corrected, reordered and withdrawn after the fact, so nothing is ever
carried over from an earlier list. Rows are ordered by (period, clock, sequence), for wallclocks step back and sequence numbers swap places.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

import attrs

from chimera.feeds.espn import Game, GameStatus, Play


@attrs.frozen(slots=True)
class GameState:
    """A game as its documents show it. Signs are home minus away.

    `seconds_left` is to the end of regulation, or of the present overtime. `clock_running` is as far as the plays tell. `newest_wallclock`
    is when the newest play was captured (unix s; 0 where none says). `plays` are the ids seen. `review` is a review or challenge not
    resolved yet. `disagreement` says where the sources contradict each other; it is empty where they agree.
    """

    event_id: str
    status: GameStatus
    period: int
    seconds_left: float
    home_score: int
    away_score: int
    clock_running: bool = False
    review: bool = False
    disagreement: str = ""
    newest_wallclock: float = 0.0
    newest_text: str = ""
    plays: frozenset[str] = attrs.field(factory=frozenset, repr=False)

    @property
    def home_lead(self) -> int:
        return self.home_score - self.away_score

    @property
    def live(self) -> bool:
        return self.status is GameStatus.LIVE

    @property
    def final(self) -> bool:
        return self.status is GameStatus.FINAL


class IncidentKind(enum.Enum):
    """Something that moves the price at once, or that a feed must never do unless something happened that our price does not know of."""

    SCORE_REVERSAL = "score reversal"
    PLAY_VANISHED = "play vanished"
    REVIEW = "review"
    DISAGREEMENT = "disagreement"
    GOAL = "goal"
    PENALTY = "penalty"
    GOALIE_PULLED = "goalie pulled"
    GOALIE_BACK = "goalie back"


@attrs.frozen(slots=True)
class Incident:
    """One thing found in a state or between two, and what exactly."""

    kind: IncidentKind
    why: str


def in_order(plays: Iterable[Play]) -> list[Play]:
    """The plays as they happened, one row per id (the last given wins)."""
    unique = {play.id: play for play in plays}
    return sorted(unique.values(), key=lambda play: (play.period, -play.clock_s, play.sequence))


_STAGE: Final = {
    GameStatus.SCHEDULED: 0, GameStatus.LIVE: 1, GameStatus.BREAK: 1, GameStatus.DELAYED: 1, GameStatus.FINAL: 2, GameStatus.OFF: 2,
}  # fmt: skip


def newest(header: Game, line: Game | None) -> Game:
    """Whichever of the summary's header and the scoreboard's line knows the later stage of the game; the line where they are level."""
    return header if line is None or _STAGE[line.status] < _STAGE[header.status] else line


def ahead(line: Game | None, period: int, clock_s: float) -> bool:
    """Whether the scoreboard's clock stands later in the game than this."""
    return line is not None and line.period > 0 and (line.period, -line.clock_s) > (period, -clock_s)


def unfinished(status: GameStatus, home: int, away: int) -> str:
    """What is wrong with a game called final at a level score."""
    return f"called final at {home}-{away}" if status is GameStatus.FINAL and home == away else ""


def disagreement(play: Play, header: Game, line: Game | None, at: tuple[int, float]) -> str:
    """Where the header or the scoreboard contradicts the plays' score, that of `play`; `at` is (period, clock) of the last one.

    A scoreboard that is earlier in the game is no contradiction.
    """
    home, away = play.home_score, play.away_score
    if header.status is not GameStatus.SCHEDULED and (header.home.score, header.away.score) != (home, away):
        return f"plays say {home}-{away}, the header {header.home.score}-{header.away.score}"
    if line is None or (line.home.score, line.away.score) == (home, away) or line.status is GameStatus.SCHEDULED:
        return ""
    more = line.home.score + line.away.score > home + away
    if more or ahead(line, *at) or line.status is GameStatus.FINAL:
        return f"plays say {home}-{away}, the scoreboard {line.home.score}-{line.away.score}"
    return ""


def compare(previous: GameState, current: GameState) -> list[Incident]:
    """What happened between two states of one game that no ordinary play explains, and what stands in the later one."""
    found = []
    before, after = (previous.home_score, previous.away_score), (current.home_score, current.away_score)
    if after[0] < before[0] or after[1] < before[1]:
        found.append(Incident(IncidentKind.SCORE_REVERSAL, f"{before[0]}-{before[1]} became {after[0]}-{after[1]}"))
    if previous.final and not current.final:
        found.append(Incident(IncidentKind.SCORE_REVERSAL, f"final became {current.status.value}"))
    vanished = previous.plays - current.plays
    if vanished:
        found.append(Incident(IncidentKind.PLAY_VANISHED, f"{len(vanished)} plays, among them {min(vanished)}"))
    return found + standing(current)


def standing(state: GameState) -> list[Incident]:
    """What makes a state unfit to quote by itself: an unresolved review, or sources that contradict each other."""
    found = []
    if state.review:
        found.append(Incident(IncidentKind.REVIEW, state.newest_text))
    if state.disagreement:
        found.append(Incident(IncidentKind.DISAGREEMENT, state.disagreement))
    return found
