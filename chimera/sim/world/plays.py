"""What a play-by-play row is, and ESPN's words for it.

Type ids and texts are those of ESPN's NBA feed (read off a recorded game); the rows themselves are invented.
"""

from __future__ import annotations

import attrs

from chimera.sim.world.league import Club

REGULATION_PERIODS = 4
PERIOD_SECONDS = 720.0
OVERTIME_SECONDS = 300.0
REGULATION_SECONDS = REGULATION_PERIODS * PERIOD_SECONDS


@attrs.frozen(slots=True)
class Kind:
    """ESPN's type of a play."""

    id: str
    text: str


JUMP_BALL = Kind("615", "Jumpball")
DEFENSIVE_REBOUND = Kind("155", "Defensive Rebound")
OFFENSIVE_REBOUND = Kind("156", "Offensive Rebound")
SHOOTING_FOUL = Kind("44", "Shooting Foul")
PERSONAL_FOUL = Kind("45", "Personal Foul")
OFFENSIVE_FOUL = Kind("42", "Offensive Foul")
OFFENSIVE_FOUL_TURNOVER = Kind("84", "Offensive Foul Turnover")
BAD_PASS = Kind("62", "Bad Pass\nTurnover")
LOST_BALL = Kind("63", "Lost Ball Turnover")
TRAVELING = Kind("64", "Traveling")
SHOT_CLOCK = Kind("70", "Shot Clock Turnover")
TIMEOUT = Kind("16", "Full Timeout")
SUBSTITUTION = Kind("584", "Substitution")
REVIEW = Kind("280", "Ref-Initiated Review (Stands)")
END_PERIOD = Kind("412", "End Period")
END_GAME = Kind("402", "End Game")

FREE_THROWS = {
    (number, total): Kind(str(first + number - 1), f"Free Throw - {number} of {total}")
    for total, first in ((1, 97), (2, 98), (3, 100))
    for number in range(1, total + 1)
}
"""By (which, of how many): ESPN numbers 97 the single, 98-99 the pair, 100-102 the three."""


@attrs.frozen(slots=True)
class Shot:
    """A way to shoot: its kind, its words, and the distances (feet) it is taken from."""

    kind: Kind
    words: str
    nearest: int
    farthest: int


TWOS = (
    Shot(Kind("92", "Jump Shot"), "two point shot", 10, 21),
    Shot(Kind("95", "Layup Shot"), "layup", 1, 4),
    Shot(Kind("110", "Driving Layup Shot"), "driving layup", 2, 7),
    Shot(Kind("144", "Driving Floating Jump Shot"), "driving floating jump shot", 5, 12),
    Shot(Kind("132", "Step Back Jump Shot"), "step back jumpshot", 10, 19),
    Shot(Kind("131", "Pullup Jump Shot"), "pullup jump shot", 11, 18),
    Shot(Kind("96", "Dunk Shot"), "dunk", 1, 2),
    Shot(Kind("121", "Fade Away Jump Shot"), "two point shot", 9, 16),
)
THREES = (
    Shot(Kind("92", "Jump Shot"), "three point jumper", 22, 28),
    Shot(Kind("131", "Pullup Jump Shot"), "three point pullup jump shot", 24, 29),
    Shot(Kind("113", "Running Jump Shot"), "three point shot", 24, 26),
    Shot(Kind("132", "Step Back Jump Shot"), "three point step back jumpshot", 23, 27),
)


@attrs.frozen(slots=True)
class Play:
    """One row. Scores are those after it; `clock` is seconds left in the period, `at` seconds of wall time since the tip-off."""

    sequence: int
    kind: Kind
    text: str
    period: int
    clock: float
    away: int
    home: int
    at: float
    team: Club | None = None
    value: int = 0
    shooting: bool = False
    athletes: tuple[str, ...] = ()

    @property
    def seconds_left(self) -> float:
        """Game clock left: of regulation, or of the overtime being played."""
        return self.clock + PERIOD_SECONDS * max(0, REGULATION_PERIODS - self.period)


def period_length(period: int) -> float:
    """Seconds on the clock as a period starts."""
    return PERIOD_SECONDS if period <= REGULATION_PERIODS else OVERTIME_SECONDS


def _ordinal(number: int) -> str:
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number, 'th') }"


def period_name(period: int) -> str:
    """ "1st Quarter", "OT", "2OT"."""
    if period <= REGULATION_PERIODS:
        return f"{_ordinal(period)} Quarter"
    return "OT" if period == REGULATION_PERIODS + 1 else f"{period - REGULATION_PERIODS}OT"


def period_short(period: int) -> str:
    """ "1st", "OT", "2OT": as in "3:41 - 1st"."""
    return _ordinal(period) if period <= REGULATION_PERIODS else period_name(period)


def end_of_period_text(period: int) -> str:
    """ "End of the 1st Quarter", "End of the 1st Overtime"."""
    if period <= REGULATION_PERIODS:
        return f"End of the {period_name(period)}"
    return f"End of the {_ordinal(period - REGULATION_PERIODS)} Overtime"


def display_clock(seconds: float) -> str:
    """ESPN's clock: "11:43", but tenths and no colon under a minute: "59.1", "0.0"."""
    if seconds < 60:
        return f"{seconds:.1f}"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
