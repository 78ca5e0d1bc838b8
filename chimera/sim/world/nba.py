"""A possession-level NBA game, played ahead of time from a seed.

It yields a complete play-by-play: about a hundred possessions a team, scores near 112, leads that tend to shrink, intentional fouls at the
end, overtime where it must be. Wall time runs with the game clock and through whistles, free throws, timeouts and breaks. Rates are league
averages of the mid 2020s; a rate that is a choice says so.
"""

from __future__ import annotations

import random

import attrs

from chimera.sim.world.league import ON_COURT, Club, roster
from chimera.sim.world.plays import (
    BAD_PASS,
    DEFENSIVE_REBOUND,
    END_GAME,
    END_PERIOD,
    FREE_THROWS,
    JUMP_BALL,
    LOST_BALL,
    OFFENSIVE_FOUL,
    OFFENSIVE_FOUL_TURNOVER,
    OFFENSIVE_REBOUND,
    PERSONAL_FOUL,
    REGULATION_PERIODS,
    REVIEW,
    SHOOTING_FOUL,
    SHOT_CLOCK,
    SUBSTITUTION,
    THREES,
    TIMEOUT,
    TRAVELING,
    TWOS,
    Kind,
    Play,
    end_of_period_text,
    period_length,
)

TURNOVER_RATE = 0.125
FLOOR_FOUL_RATE = 0.075
SHOOTING_FOUL_RATE = 0.085
THREE_SHARE = 0.41
TWO_MADE = 0.535
THREE_MADE = 0.357
FREE_THROW_MADE = 0.78
OFFENSIVE_REBOUND_RATE = 0.26
FREE_THROW_OFFENSIVE_REBOUND_RATE = 0.13
AND_ONE_RATE = 0.045
ASSIST_RATE = 0.6
POINTS_PER_RATE = 340.0
"""Points of margin over a game for a unit shift of both sides' shooting: ~84 shots each at ~2.4 points, less what a rebound saves."""
RUN_ANSWER = 0.0035
RUN_MEMORY = 0.97
"""Runs are answered: a side shoots worse by RUN_ANSWER for each point of its recent run, which fades by RUN_MEMORY a possession.
Leads are an anti-persistent walk (Gabel & Redner 2012); without this the final margin would scatter by 17 points, not by 13 to 14."""
BONUS_FOULS = 4
TIMEOUTS = 7
BREAK_SECONDS = 150.0
HALFTIME_SECONDS = 900.0
_LAST_MINUTES = 120.0


@attrs.define(slots=True)
class _Side:
    """One team during the game."""

    team: Club
    edge: float
    players: list[str]
    score: int = 0
    fouls: int = 0
    late_fouls: int = 0
    timeouts: int = TIMEOUTS

    def player(self, rng: random.Random) -> str:
        return rng.choice(self.players[:ON_COURT])


class _Match:
    """The state of play and the rows it has produced."""

    def __init__(self, rng: random.Random, home: Club, away: Club, expected_margin: float) -> None:
        self._rng = rng
        edge = expected_margin / POINTS_PER_RATE
        self.home = _Side(home, edge, roster(rng))
        self.away = _Side(away, -edge, roster(rng))
        self.plays: list[Play] = []
        self._period = 0
        self._clock = 0.0
        self._wall = 0.0
        self._sequence = 3
        self._offence, self._defence = self.home, self.away
        self._jump = self.home
        self._recent = 0.0  # points by which home has outscored its expectation lately
        self._expected = expected_margin / 200.0

    def play(self) -> list[Play]:
        """The whole game."""
        while self._period < REGULATION_PERIODS or self.home.score == self.away.score:
            self._start_period()
            while self._clock > 0:
                self._possession()
            self._row(END_PERIOD, end_of_period_text(self._period))
            self._wall += 3.0
        self._row(END_GAME, "End of Game")
        return self.plays

    # Time

    def _run(self, seconds: float) -> None:
        """Let the clock run, and wall time with it."""
        spent = min(round(seconds, 1), self._clock)
        self._clock = round(self._clock - spent, 1)
        self._wall += spent

    def _start_period(self) -> None:
        self._period += 1
        self._clock = period_length(self._period)
        for side in (self.home, self.away):
            side.fouls = side.late_fouls = 0
        if self._period == 1 or self._period > REGULATION_PERIODS:
            if self._period > 1:
                self._wall += BREAK_SECONDS
            self._offence, self._defence = self._toss()
            if self._period == 1:
                self._jump = self._offence
            return
        self._wall += HALFTIME_SECONDS if self._period == 3 else BREAK_SECONDS
        self._substitutions()
        self._wall += 30.0
        # Who won the jump starts the fourth quarter, who lost it the second and third.
        first = self._jump if self._period == REGULATION_PERIODS else self._other(self._jump)
        self._offence, self._defence = first, self._other(first)

    def _toss(self) -> tuple[_Side, _Side]:
        winner = self.home if self._rng.random() < 0.5 else self.away
        jumpers = f"{self.away.players[0]} vs. {self.home.players[0]}"
        self._row(JUMP_BALL, f"{jumpers} ({winner.player(self._rng)} gains possession)", winner)
        return winner, self._other(winner)

    # Possessions

    def _possession(self) -> None:
        """One possession: chances until the ball is lost, scored or the period is over."""
        self._maybe_timeout()
        offence, fresh = self._offence, True
        before = self.home.score - self.away.score
        while self._clock > 0 and self._offence is offence:
            if fresh and self._fouled_on_purpose():
                break
            self._chance(self._chance_seconds(fresh))
            fresh = False
        gained = self.home.score - self.away.score - before
        self._recent = RUN_MEMORY * self._recent + gained - self._expected

    def _chance_seconds(self, fresh: bool) -> float:
        rng = self._rng
        seconds = rng.gammavariate(6.0, 11.7 / 6.0) if fresh else rng.gammavariate(3.0, 5.5 / 3.0)
        lead = self._offence.score - self._defence.score
        if self._ending and lead > 0:
            seconds = rng.uniform(17.0, 23.5)
        elif self._ending and lead < 0:
            seconds *= 0.55
        elif 24.0 < self._clock < 34.0 and fresh:
            seconds = self._clock - 28.0 if self._clock > 31.0 else seconds
        elif self._clock <= 24.0 and fresh:
            seconds = max(seconds, self._clock - rng.uniform(0.4, 4.0))
        return min(24.0, max(1.2, seconds))

    @property
    def _ending(self) -> bool:
        """The last two minutes of a game that may yet turn."""
        return self._period >= REGULATION_PERIODS and self._clock <= _LAST_MINUTES

    def _fouled_on_purpose(self) -> bool:
        """The side behind stops the clock: within nine points in the last 45 s."""
        lead = self._offence.score - self._defence.score
        if not self._ending or self._clock > 45.0 or self._clock < 1.0 or not 1 <= lead <= 9 or self._rng.random() > 0.85:
            return False
        self._run(self._rng.uniform(0.8, 4.5))
        if self._clock == 0:
            return False
        self._foul(PERSONAL_FOUL, "personal foul")
        self._free_throws(2)
        return True

    def _chance(self, seconds: float) -> None:
        rng = self._rng
        if seconds >= self._clock:  # not enough left: a heave, or nothing
            if rng.random() < 0.45:
                self._run(self._clock)
                return
            seconds = max(0.1, self._clock - rng.uniform(0.3, 1.5))
        self._run(seconds)
        roll = rng.random()
        if roll < TURNOVER_RATE:
            self._turnover(seconds)
        elif roll < TURNOVER_RATE + FLOOR_FOUL_RATE:
            self._foul(PERSONAL_FOUL, "personal foul")
            if self._bonus:
                self._free_throws(2)
            else:
                self._wall += rng.uniform(8.0, 20.0)
        elif roll < TURNOVER_RATE + FLOOR_FOUL_RATE + SHOOTING_FOUL_RATE:
            self._foul(SHOOTING_FOUL, "shooting foul")
            self._free_throws(3 if rng.random() < 0.06 else 2)
        else:
            self._shot()

    def _turnover(self, seconds: float) -> None:
        rng, offence = self._rng, self._offence
        who, thief = offence.player(rng), self._defence.player(rng)
        roll = rng.random()
        if seconds >= 23.9:
            self._row(SHOT_CLOCK, "shot clock turnover ", offence)
        elif roll < 0.45:
            self._row(BAD_PASS, f"{who} bad pass ({thief} steals)", offence, athletes=(who, thief))
        elif roll < 0.75:
            self._row(LOST_BALL, f"{who} lost ball turnover ({thief} steals)", offence, athletes=(who, thief))
        elif roll < 0.88:
            self._row(TRAVELING, f"{who} traveling", offence, athletes=(who,))
            self._wall += rng.uniform(8.0, 18.0)
        else:
            self._row(OFFENSIVE_FOUL, f"{who} offensive foul", offence, athletes=(who,))
            self._row(OFFENSIVE_FOUL_TURNOVER, f"{who} turnover", offence, athletes=(who,))
            self._wall += rng.uniform(10.0, 25.0)
        self._turn_over()

    def _shot(self) -> None:
        rng, offence = self._rng, self._offence
        lead = offence.score - self._defence.score
        three = rng.random() < (0.62 if self._ending and lead <= -3 else THREE_SHARE)
        shot = rng.choice(THREES if three else TWOS)
        made = rng.random() < (THREE_MADE if three else TWO_MADE) + offence.edge - self._answer
        who = offence.player(rng)
        text = f"{who} {'makes' if made else 'misses'} {rng.randint(shot.nearest, shot.farthest)}-foot {shot.words}"
        if not made:
            self._row(shot.kind, text, offence, shooting=True, athletes=(who,))
            self._rebound(OFFENSIVE_REBOUND_RATE)
            return
        passer = offence.player(rng)
        if passer != who and rng.random() < ASSIST_RATE:
            text += f" ({passer} assists)"
        value = 3 if three else 2
        offence.score += value
        self._row(shot.kind, text, offence, value=value, shooting=True, athletes=(who,))
        if rng.random() < AND_ONE_RATE:
            self._foul(SHOOTING_FOUL, "shooting foul")
            self._free_throws(1)
            return
        self._turn_over()
        if self._clock > 0:  # the inbound: the clock stops for it in the last two minutes only
            pause = min(rng.uniform(1.5, 3.0), self._clock)
            if self._ending:
                self._wall += pause
            else:
                self._run(pause)

    @property
    def _answer(self) -> float:
        """What a recent run costs the side with the ball in shooting percentage (negative: what being run against gives it)."""
        return RUN_ANSWER * (self._recent if self._offence is self.home else -self._recent)

    def _rebound(self, offensive_rate: float) -> None:
        rng = self._rng
        if self._clock > 0:
            self._run(min(rng.uniform(0.8, 3.5), self._clock))
        if rng.random() < offensive_rate:
            who = self._offence.player(rng)
            self._row(OFFENSIVE_REBOUND, f"{who} offensive rebound", self._offence, athletes=(who,))
            return
        who = self._defence.player(rng)
        self._row(DEFENSIVE_REBOUND, f"{who} defensive rebound", self._defence, athletes=(who,))
        self._turn_over()

    # Fouls, free throws, stoppages

    @property
    def _bonus(self) -> bool:
        return self._defence.fouls > BONUS_FOULS or self._defence.late_fouls > 1

    def _foul(self, kind: Kind, words: str) -> None:
        who = self._defence.player(self._rng)
        self._defence.fouls += 1
        self._defence.late_fouls += self._clock <= _LAST_MINUTES
        self._row(kind, f"{who} {words}", self._defence, athletes=(who,))
        if self._ending and self._rng.random() < 0.06:
            self._wall += self._rng.uniform(3.0, 8.0)
            self._row(REVIEW, f"(00:00) [{self._defence.team.name}] REF-INITIATED REVIEW (CALL STANDS)")
            self._wall += self._rng.uniform(30.0, 60.0)

    def _free_throws(self, total: int) -> None:
        rng, offence = self._rng, self._offence
        shooter = offence.player(rng)
        self._wall += rng.uniform(18.0, 32.0)
        for number in range(1, total + 1):
            made = rng.random() < FREE_THROW_MADE
            offence.score += made
            text = f"{shooter} {'makes' if made else 'misses'} free throw {number} of {total}"
            self._row(FREE_THROWS[number, total], text, offence, value=int(made), shooting=True, athletes=(shooter,))
            if number < total:
                if not made:
                    self._row(OFFENSIVE_REBOUND, f"{offence.team.name} offensive team rebound", offence)
                self._wall += rng.uniform(12.0, 22.0)
            elif made:
                self._turn_over()
                self._wall += rng.uniform(1.0, 3.0)
            else:
                self._rebound(FREE_THROW_OFFENSIVE_REBOUND_RATE)

    def _maybe_timeout(self) -> None:
        """The side with the ball stops to talk; oftener when the game is close and nearly over."""
        rng, caller = self._rng, self._offence
        close = self._ending and abs(self.home.score - self.away.score) <= 8
        if caller.timeouts == 0 or self._clock in (0.0, period_length(self._period)) or rng.random() > (0.05 if close else 0.03):
            return
        caller.timeouts -= 1
        self._row(TIMEOUT, f"{caller.team.name} Full timeout", caller)
        self._wall += rng.uniform(60.0, 75.0) if close else rng.uniform(75.0, 140.0)
        self._substitutions()
        self._wall += rng.uniform(5.0, 15.0)

    def _substitutions(self) -> None:
        for side in (self.away, self.home):
            if self._rng.random() < 0.6:
                out, come = self._rng.randrange(ON_COURT), self._rng.randrange(ON_COURT, len(side.players))
                side.players[out], side.players[come] = side.players[come], side.players[out]
                names = side.players[out], side.players[come]
                self._row(SUBSTITUTION, f"{names[0]} enters the game for {names[1]}", side, athletes=names)

    # Rows

    def _other(self, side: _Side) -> _Side:
        return self.away if side is self.home else self.home

    def _turn_over(self) -> None:
        self._offence, self._defence = self._defence, self._offence

    def _row(
        self,
        kind: Kind,
        text: str,
        side: _Side | None = None,
        *,
        value: int = 0,
        shooting: bool = False,
        athletes: tuple[str, ...] = (),
    ) -> None:
        self._sequence += 1 if self._rng.random() < 0.7 else 2
        team = side.team if side is not None else None
        scores = self.away.score, self.home.score
        row = Play(self._sequence, kind, text, self._period, self._clock, *scores, self._wall, team, value, shooting, athletes)
        self.plays.append(row)


def play_game(rng: random.Random, home: Club, away: Club, expected_margin: float) -> tuple[Play, ...]:
    """Play one game. `expected_margin` is home minus away in points over regulation; the rows are in the order they happened."""
    return tuple(_Match(rng, home, away, expected_margin).play())
