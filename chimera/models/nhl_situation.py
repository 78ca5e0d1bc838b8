"""What the NHL model looks at: score, clock, penalties, nets, shootout; and what a goal or the clock does to the penalties.

Signs are home minus away throughout.
"""

from __future__ import annotations

import math
from typing import Protocol, TypeAlias

import attrs

from chimera.models.nhl_params import MINOR_S, Strength


@attrs.frozen(slots=True, order=True)
class Penalty:
    """One being served. `side` is +1 home, -1 away; `until` is elapsed game seconds.

    `minors` is how many minors are in it: each goal against a team that is short ends one. 0 for a major, which runs its length.
    """

    until: float
    side: int
    minors: int = 1


Box: TypeAlias = tuple[Penalty, ...]
"""The penalties that leave a team short, ordered."""


@attrs.frozen(slots=True)
class Shootout:
    """Goals and attempts so far."""

    home_goals: int = 0
    home_taken: int = 0
    away_goals: int = 0
    away_taken: int = 0


class Situation(Protocol):
    """What the model looks at. Signs are home minus away throughout.

    `seconds_left` is to the end of regulation, or of the present overtime; `elapsed` game seconds since puck drop, overtime included.
    `pulled` is the side whose net is seen to be empty: +1 home, -1 away, 0 neither, None where nobody can tell.
    """

    @property
    def seconds_left(self) -> float: ...
    @property
    def elapsed(self) -> float: ...
    @property
    def overtime(self) -> bool: ...
    @property
    def shootout(self) -> Shootout | None: ...
    @property
    def home_lead(self) -> int: ...
    @property
    def box(self) -> Box: ...
    @property
    def pulled(self) -> int | None: ...
    @property
    def live(self) -> bool: ...
    @property
    def clock_running(self) -> bool: ...
    @property
    def final(self) -> bool: ...


def strength(box: Box, elapsed: float, skaters: int = 5) -> Strength:
    """(home, away) skaters at a moment. `skaters` is 3 in a regular-season overtime, where a penalty adds one to the other side."""
    home = min(2, sum(1 for p in box if p.side > 0 and p.until > elapsed))
    away = min(2, sum(1 for p in box if p.side < 0 and p.until > elapsed))
    if skaters == 5:
        return 5 - home, 5 - away
    both = min(home, away)
    return skaters + away - both, skaters + home - both


def after_goal(box: Box, side: int, elapsed: float) -> Box:
    """The box once `side` has scored: of a team that is short, the minor that would end first ends, or the half of a double one."""
    active = tuple(sorted(p for p in box if p.until > elapsed))
    home, away = strength(active, elapsed)
    if side * (home - away) <= 0:
        return active
    ending = next((p for p in active if p.side == -side and p.minors), None)
    if ending is None:
        return active
    rest = [p for p in active if p is not ending]
    if ending.minors > 1 and ending.until - elapsed > MINOR_S:
        rest.append(attrs.evolve(ending, until=elapsed + MINOR_S, minors=1))
    return tuple(sorted(rest))


def shootout_value(state: Shootout, goal: float) -> float:
    """P(home wins) of a shootout: three attempts each, then one each until one scores and the other does not."""
    rounds = max(3, state.home_taken, state.away_taken)
    home, away = rounds - state.home_taken, rounds - state.away_taken
    value = 0.0
    for made in range(home + 1):
        for theirs in range(away + 1):
            weight = _binomial(made, home, goal) * _binomial(theirs, away, goal)
            lead = state.home_goals + made - state.away_goals - theirs
            value += weight * (0.5 if lead == 0 else float(lead > 0))
    return value


def _binomial(k: int, n: int, p: float) -> float:
    return float(math.comb(n, k) * p**k * (1.0 - p) ** (n - k))
