"""Who has the ball: ESPN's NBA plays name no possession, so it is derived play by play, with the free throws still to be taken.

Two tables and a fold. The first reads ESPN's play types by their words, for their numbers are undocumented and many. The second says what
each kind does to the ball. Signs are +1 home, -1 away; values between are chances, such as a rebound not yet caught.
"""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Callable
from typing import Final

import attrs

from chimera.feeds.espn import Play

LIVE_REBOUND: Final = -0.46
"""The ball after a missed shot, for the shooter's side: 27 % come back to it."""
LIVE_LAST_FREE_THROW: Final = -0.72
"""The same after a missed last free throw: 14 %."""
SHOOTING: Final = -0.9
"""The same while free throws are pending: the ball will mostly change sides after them."""
TIP_HINT: Final = 0.5
"""After a jump ball, for the side ESPN names: the rows seen name the side that gained the ball, and they are few."""
BONUS: Final = 5
BONUS_OVERTIME: Final = 4
LATE_S: Final = 120.0
"""The fifth team foul of a quarter (fourth of an overtime), or the second of its last two minutes, gives two free throws (NBA rule 12)."""


class Kind(enum.Enum):
    """What a play does, as far as the ball is concerned."""

    SHOT = enum.auto()
    FREE_THROW = enum.auto()
    REBOUND = enum.auto()
    TURNOVER = enum.auto()
    OFFENSIVE_FOUL = enum.auto()
    SHOOTING_FOUL = enum.auto()
    COMMON_FOUL = enum.auto()
    ONE_AND_BALL = enum.auto()
    TWO_AND_BALL = enum.auto()
    TECHNICAL = enum.auto()
    DEFENSIVE_VIOLATION = enum.auto()
    JUMP_BALL = enum.auto()
    TIMEOUT = enum.auto()
    SUBSTITUTION = enum.auto()
    REVIEW = enum.auto()
    PERIOD_END = enum.auto()
    OTHER = enum.auto()


_WORDS: Final = (
    ("substitution", Kind.SUBSTITUTION),
    ("challenge", Kind.REVIEW),
    ("review", Kind.REVIEW),
    ("replay", Kind.REVIEW),
    ("end game", Kind.PERIOD_END),
    ("end period", Kind.PERIOD_END),
    ("free throw", Kind.FREE_THROW),
    ("rebound", Kind.REBOUND),
    ("double", Kind.OTHER),  # double technical, double personal, double lane violation: nothing is shot, nothing changes hands
    ("no turnover", Kind.OTHER),
    ("turnover", Kind.TURNOVER),
    ("technical", Kind.TECHNICAL),
    ("timeout", Kind.TIMEOUT),
    ("offensive foul", Kind.OFFENSIVE_FOUL),
    ("offensive charge", Kind.OFFENSIVE_FOUL),
    ("shooting foul", Kind.SHOOTING_FOUL),
    ("away from play", Kind.ONE_AND_BALL),
    ("transition take", Kind.ONE_AND_BALL),
    ("clear path", Kind.TWO_AND_BALL),
    ("flagrant", Kind.TWO_AND_BALL),
    ("foul", Kind.COMMON_FOUL),
    ("kicked ball", Kind.DEFENSIVE_VIOLATION),
    ("defensive goaltending", Kind.OTHER),
    ("goaltending", Kind.TURNOVER),
    ("shot clock", Kind.TURNOVER),
    ("violation", Kind.OTHER),
    ("jump ball", Kind.JUMP_BALL),
    ("jumpball", Kind.JUMP_BALL),
    ("travel", Kind.TURNOVER),
    ("dribble", Kind.TURNOVER),
    ("palming", Kind.TURNOVER),
    ("illegal assist", Kind.TURNOVER),
)
"""The first of these words found in a play's type names its kind."""
_TURNOVER_VIOLATION = re.compile(r"(3|5|8|10).second|backcourt|double dribble")
_OF = re.compile(r"(\d) of (\d)")


@functools.lru_cache(maxsize=1024)
def kind_of(type_text: str) -> Kind:
    """The kind of an ESPN play type ("Bad Pass\\nTurnover", "Free Throw - 1 of 2"); OTHER for a shot, which its flags tell."""
    words = " ".join(type_text.lower().split())
    if _TURNOVER_VIOLATION.search(words) and "technical" not in words:
        return Kind.TURNOVER
    return next((kind for word, kind in _WORDS if word in words), Kind.OTHER)


@functools.lru_cache(maxsize=1024)
def _number(type_text: str) -> tuple[int, int]:
    found = _OF.search(type_text)
    return (int(found[1]), int(found[2])) if found else (1, 1)


@attrs.define(slots=True)
class Ball:
    """The fold. Show it every play in order with `see`; read `possession`, `pending_ft` (positive for home), `running` and `review`.

    `running` is whether the game clock runs as far as the plays tell: it restarts after a dead ball with no play to say so.
    `review` stands from a review or challenge to the next play that resolves it.
    """

    possession: float = 0.0
    pending_ft: int = 0
    running: bool = False
    review: bool = False
    _keeps: bool = False
    _made: tuple[int, int, float] | None = None
    _fouled: tuple[int, int, float] | None = None
    _team_fouls: dict[tuple[int, int], int] = attrs.field(factory=dict)
    _late_fouls: dict[tuple[int, int], int] = attrs.field(factory=dict)

    def see(self, play: Play) -> None:
        """Take the next play."""
        kind = kind_of(play.kind)
        if kind is Kind.OTHER and (play.shooting or play.scoring):
            kind = Kind.SHOT
        if kind in _IDLE:
            self.running = self.running and kind is not Kind.TIMEOUT
            return
        self.review = kind is Kind.REVIEW
        act = _ACTS.get(kind)
        if act is not None:
            act(self, play)

    def _give(self, possession: float, *, running: bool = False) -> None:
        self.possession, self.pending_ft, self.running = possession, 0, running
        self._keeps, self._made, self._fouled = False, None, None

    def _shot(self, play: Play) -> None:
        at = (play.side, play.period, play.clock_s)
        if not play.scoring:
            self._give(play.side * LIVE_REBOUND, running=True)
        elif self._fouled == at:  # the foul was written before the basket it came with
            self._give(play.side * SHOOTING)
            self.pending_ft = play.side
        else:
            stops = play.clock_s <= (60.0 if play.period < 4 else LATE_S)
            self._give(-float(play.side), running=not stops)
            self._made = at

    def _free_throw(self, play: Play) -> None:
        number, of = _number(play.kind)
        left, side = of - number, play.side
        words = play.kind.lower()
        if "technical" in words:  # the ball stays where it was
            self.pending_ft = 0 if self.pending_ft == side else self.pending_ft
            return
        self._keeps = self._keeps or "flagrant" in words or "clear path" in words
        self.pending_ft, self._made, self._fouled = side * left, None, None
        self.running = not left and not self._keeps
        if self._keeps:
            self.possession = float(side)
        elif left:
            self.possession = side * SHOOTING
        else:
            self.possession = -float(side) if play.scoring else side * LIVE_LAST_FREE_THROW
        self._keeps = self._keeps and left > 0

    def _rebound(self, play: Play) -> None:
        if self.pending_ft == 0 and play.side:  # between free throws a "team rebound" is bookkeeping
            self._give(float(play.side), running="team rebound" not in play.text)

    def _turnover(self, play: Play) -> None:
        self._give(-float(play.side), running="steals" in play.text)

    def _dead_to_other(self, play: Play) -> None:
        self._give(-float(play.side))

    def _shooting_foul(self, play: Play) -> None:
        self._count(play)
        shooter = -play.side
        and_one = self._made == (shooter, play.period, play.clock_s)
        self._give(shooter * SHOOTING)
        self.pending_ft = shooter * (1 if and_one else 2)
        self._fouled = (shooter, play.period, play.clock_s)

    def _common_foul(self, play: Play) -> None:
        bonus = self._count(play)
        self._give(-play.side * SHOOTING if bonus else -float(play.side))
        self.pending_ft = -play.side * (2 if bonus else 0)

    def _shots_and_ball(self, play: Play) -> None:
        self._count(play)
        self._give(-float(play.side))
        self.pending_ft = -play.side * (1 if kind_of(play.kind) is Kind.ONE_AND_BALL else 2)
        self._keeps = True

    def _technical(self, play: Play) -> None:
        self.running = False
        if self.pending_ft == 0:
            self.pending_ft = -play.side

    def _jump(self, play: Play) -> None:
        self._give(play.side * TIP_HINT, running=True)

    def _stop(self, play: Play) -> None:
        self.running = False

    def _period_end(self, play: Play) -> None:
        self._give(0.0)

    def _count(self, play: Play) -> bool:
        """Count a team foul; whether it gives the other side the bonus."""
        key = (play.period, play.side)
        fouls = self._team_fouls[key] = self._team_fouls.get(key, 0) + 1
        late = self._late_fouls.get(key, 0) + (play.clock_s <= LATE_S)
        self._late_fouls[key] = late
        return fouls >= (BONUS if play.period <= 4 else BONUS_OVERTIME) or (late >= 2 and play.clock_s <= LATE_S)


_IDLE: Final = frozenset({Kind.SUBSTITUTION, Kind.TIMEOUT, Kind.OTHER})
"""Plays that change nothing about the ball and resolve no review."""
_ACTS: Final[dict[Kind, Callable[[Ball, Play], None]]] = {
    Kind.SHOT: Ball._shot,
    Kind.FREE_THROW: Ball._free_throw,
    Kind.REBOUND: Ball._rebound,
    Kind.TURNOVER: Ball._turnover,
    Kind.OFFENSIVE_FOUL: Ball._dead_to_other,
    Kind.DEFENSIVE_VIOLATION: Ball._dead_to_other,
    Kind.SHOOTING_FOUL: Ball._shooting_foul,
    Kind.COMMON_FOUL: Ball._common_foul,
    Kind.ONE_AND_BALL: Ball._shots_and_ball,
    Kind.TWO_AND_BALL: Ball._shots_and_ball,
    Kind.TECHNICAL: Ball._technical,
    Kind.JUMP_BALL: Ball._jump,
    Kind.REVIEW: Ball._stop,
    Kind.PERIOD_END: Ball._period_end,
}
