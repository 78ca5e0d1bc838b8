"""An NBA game's state from ESPN's whole list of plays: score, clock, and who has the ball."""

from __future__ import annotations

import attrs

from chimera.feeds.espn import Game, GameStatus, Summary
from chimera.feeds.game_plays import GameState, ahead, disagreement, newest, unfinished
from chimera.feeds.game_plays import IncidentKind as IncidentKind
from chimera.feeds.game_plays import compare as compare
from chimera.feeds.game_plays import in_order as in_order
from chimera.feeds.game_plays import standing as standing
from chimera.feeds.nba_possession import Ball
from chimera.models.nba import OVERTIME_S, REGULATION_S

PERIOD_S = REGULATION_S / 4


@attrs.frozen(slots=True)
class NbaState(GameState):
    """A game as the model sees it; a `chimera.models.nba.Situation`."""

    possession: float = 0.0
    pending_ft: int = 0

    @property
    def overtime(self) -> bool:
        return self.period > 4


def seconds_left(period: int, clock_s: float) -> float:
    """Seconds to the end of regulation, or of the present overtime; continuous over breaks, and the whole game before the first period."""
    if period > 4:
        return min(clock_s, OVERTIME_S)
    return REGULATION_S if period < 1 else PERIOD_S * (4 - period) + min(clock_s, PERIOD_S)


def reduce(summary: Summary, line: Game | None = None) -> NbaState:
    """The state that `summary` shows, helped by the scoreboard's `line` where that is further on.

    The score is that of the play with the highest sequence number. It must agree with the summary's own header, and with the scoreboard
    unless that is merely behind.
    """
    header = summary.game
    now = newest(header, line)
    if not summary.plays:
        return from_line(now)
    plays = in_order(summary.plays)
    ball = Ball()
    for play in plays:
        ball.see(play)
    last, scored = plays[-1], max(plays, key=lambda play: play.sequence)
    period, clock_s = last.period, last.clock_s
    fault = disagreement(scored, header, line, (period, clock_s))
    possession, pending = ball.possession, ball.pending_ft
    if line is not None and not fault and ahead(line, period, clock_s):
        if line.period > period:
            possession, pending = 0.0, 0
        period, clock_s = line.period, line.clock_s
    return NbaState(
        event_id=header.id,
        status=now.status,
        period=period,
        seconds_left=seconds_left(period, clock_s),
        home_score=scored.home_score,
        away_score=scored.away_score,
        possession=possession,
        pending_ft=pending,
        clock_running=ball.running and now.status is GameStatus.LIVE,
        review=ball.review and now.status is not GameStatus.FINAL,
        disagreement=fault or unfinished(now.status, scored.home_score, scored.away_score),
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
        disagreement=unfinished(line.status, home, away),
    )
