"""An NBA game's state from ESPN's whole list of plays, and what changed between two states that should not have.

The list is reduced from its beginning every time: plays are corrected, reordered and withdrawn after the fact, so nothing is ever carried
over from an earlier list. Rows are ordered by (period, clock, sequence), for wallclocks step back and sequence numbers swap places.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import attrs

from chimera.feeds.espn import Game, GameStatus, Play, Summary
from chimera.feeds.nba_possession import Ball
from chimera.models.nba import OVERTIME_S, REGULATION_S

PERIOD_S = REGULATION_S / 4


@attrs.frozen(slots=True)
class NbaState:
    """A game as the model sees it; a `chimera.models.nba.Situation`. Signs are home minus away.

    `seconds_left` is to the end of regulation, or of the present overtime. `newest_wallclock` is when the newest play was captured (unix s;
    0 where none says). `plays` are the ids seen. `review` is a review or challenge not resolved yet. `disagreement` says where the sources
    contradict each other about the score; it is empty where they agree.
    """

    event_id: str
    status: GameStatus
    period: int
    seconds_left: float
    home_score: int
    away_score: int
    possession: float = 0.0
    pending_ft: int = 0
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
    def overtime(self) -> bool:
        return self.period > 4

    @property
    def live(self) -> bool:
        return self.status is GameStatus.LIVE

    @property
    def final(self) -> bool:
        return self.status is GameStatus.FINAL


class IncidentKind(enum.Enum):
    """What a feed must never do unless something happened that our price does not know of."""

    SCORE_REVERSAL = "score reversal"
    PLAY_VANISHED = "play vanished"
    REVIEW = "review"
    DISAGREEMENT = "disagreement"


@attrs.frozen(slots=True)
class Incident:
    """One thing found by `compare`, and what exactly."""

    kind: IncidentKind
    why: str


def seconds_left(period: int, clock_s: float) -> float:
    """Seconds to the end of regulation, or of the present overtime; continuous over breaks, and the whole game before the first period."""
    if period > 4:
        return min(clock_s, OVERTIME_S)
    return REGULATION_S if period < 1 else PERIOD_S * (4 - period) + min(clock_s, PERIOD_S)


def in_order(plays: Iterable[Play]) -> list[Play]:
    """The plays as they happened, one row per id (the last given wins)."""
    unique = {play.id: play for play in plays}
    return sorted(unique.values(), key=lambda play: (play.period, -play.clock_s, play.sequence))


_STAGE = {GameStatus.SCHEDULED: 0, GameStatus.LIVE: 1, GameStatus.BREAK: 1, GameStatus.DELAYED: 1, GameStatus.FINAL: 2, GameStatus.OFF: 2}


def reduce(summary: Summary, line: Game | None = None) -> NbaState:
    """The state that `summary` shows, helped by the scoreboard's `line` where that is further on.

    The score is that of the play with the highest sequence number. It must agree with the summary's own header, and with the scoreboard
    unless that is merely behind.
    """
    header = summary.game
    newest = header if line is None or _STAGE[line.status] < _STAGE[header.status] else line
    if not summary.plays:
        return from_line(newest)
    plays = in_order(summary.plays)
    ball = Ball()
    for play in plays:
        ball.see(play)
    last, scored = plays[-1], max(plays, key=lambda play: play.sequence)
    period, clock_s = last.period, last.clock_s
    disagreement = _disagreement(scored, header, line, (period, -clock_s))
    possession, pending = ball.possession, ball.pending_ft
    if line is not None and not disagreement and line.period and (line.period, -line.clock_s) > (period, -clock_s):
        if line.period > period:
            possession, pending = 0.0, 0
        period, clock_s = line.period, line.clock_s
    return NbaState(
        event_id=header.id,
        status=newest.status,
        period=period,
        seconds_left=seconds_left(period, clock_s),
        home_score=scored.home_score,
        away_score=scored.away_score,
        possession=possession,
        pending_ft=pending,
        clock_running=ball.running and newest.status is GameStatus.LIVE,
        review=ball.review and newest.status is not GameStatus.FINAL,
        disagreement=disagreement or _unfinished(newest.status, scored.home_score, scored.away_score),
        newest_wallclock=max(play.wallclock for play in plays),
        newest_text=last.text,
        plays=frozenset(play.id for play in plays),
    )


def from_line(line: Game) -> NbaState:
    """The state that a scoreboard line alone shows: score and clock, nothing of the ball."""
    home, away = line.home.score, line.away.score
    return NbaState(
        event_id=line.id,
        status=line.status,
        period=line.period,
        seconds_left=seconds_left(line.period, line.clock_s),
        home_score=home,
        away_score=away,
        disagreement=_unfinished(line.status, home, away),
    )


def _unfinished(status: GameStatus, home: int, away: int) -> str:
    return f"called final at {home}-{away}" if status is GameStatus.FINAL and home == away else ""


def _disagreement(play: Play, header: Game, line: Game | None, at: tuple[int, float]) -> str:
    """Where the header or the scoreboard contradicts the plays' score. A scoreboard that is earlier in the game is no contradiction."""
    home, away = play.home_score, play.away_score
    if header.status is not GameStatus.SCHEDULED and (header.home.score, header.away.score) != (home, away):
        return f"plays say {home}-{away}, the header {header.home.score}-{header.away.score}"
    if line is None or (line.home.score, line.away.score) == (home, away) or line.status is GameStatus.SCHEDULED:
        return ""
    ahead = line.home.score + line.away.score > home + away
    later = line.period > 0 and (line.period, -line.clock_s) > at
    if ahead or later or line.status is GameStatus.FINAL:
        return f"plays say {home}-{away}, the scoreboard {line.home.score}-{line.away.score}"
    return ""


def compare(previous: NbaState, current: NbaState) -> list[Incident]:
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


def standing(state: NbaState) -> list[Incident]:
    """What makes a state unfit to quote by itself: an unresolved review, or sources that contradict each other."""
    found = []
    if state.review:
        found.append(Incident(IncidentKind.REVIEW, state.newest_text))
    if state.disagreement:
        found.append(Incident(IncidentKind.DISAGREEMENT, state.disagreement))
    return found
