"""The numbers of the NHL model, each with where it is from, and the two tables that read them: rates by strength, and when goalies go.

Rates are goals an hour of one team against an average one. A strength is (home skaters, away skaters), goalies not counted.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

import attrs

REGULATION_S: Final = 3600.0
OVERTIME_S: Final = 300.0
PLAYOFF_OVERTIME_S: Final = 1200.0
MINOR_S: Final = 120.0
LEAGUE_HOME: Final = 0.543
"""P(home wins) where nothing is known of the teams: 2,927 regular-season games of 2016-17, 2022-23 and 2024-25."""
LEAGUE_TOTAL: Final = 6.06
"""Goals a game, the one of an overtime or shootout counted: the same games (5.53 in 2016-17, 6.36 and 6.03 since)."""

Strength: TypeAlias = tuple[int, int]
Rates: TypeAlias = tuple[float, float]

EVEN: Final[Strength] = (5, 5)


class PullTimes:
    """When a trailing team has taken its goalie off: P(pulled by T seconds left), by its deficit of one, two or three goals."""

    def __init__(self, knots: Mapping[int, Sequence[tuple[float, float]]], stretch: Mapping[int, float]) -> None:
        """`knots` are (seconds left, share pulled by then), latest first; `stretch` multiplies every time of a deficit."""
        self._times = {k: [stretch[k] * t for t, _ in points] for k, points in knots.items()}
        self._shares = {k: [share for _, share in points] for k, points in knots.items()}
        self.begins = max(times[-1] for times in self._times.values())

    def share(self, deficit: int, seconds_left: float) -> float:
        """P(pulled) for a team that has trailed by `deficit` for a while; 0 for a deficit that is none or beyond three."""
        times = self._times.get(deficit)
        if times is None or seconds_left >= times[-1]:
            return 0.0
        shares = self._shares[deficit]
        right = bisect.bisect_right(times, seconds_left)
        if right == 0:
            return shares[0]
        t0, t1 = times[right - 1], times[right]
        return shares[right - 1] + (shares[right] - shares[right - 1]) * (seconds_left - t0) / (t1 - t0)


_PULLED: Final = MappingProxyType(
    {
        1: ((0.0, 0.97), (43.0, 0.90), (73.0, 0.75), (103.0, 0.50), (131.0, 0.25), (160.0, 0.10), (200.0, 0.0)),
        2: ((0.0, 0.97), (29.0, 0.90), (61.0, 0.75), (106.0, 0.50), (159.0, 0.25), (199.0, 0.10), (250.0, 0.0)),
        3: ((0.0, 0.56), (20.0, 0.50), (60.0, 0.25), (120.0, 0.10), (180.0, 0.0)),
    }
)


@attrs.frozen(slots=True)
class NhlParams:
    """The model's numbers. M: measured on goalie time on ice and results of 3,557 regular-season games; K: literature, not refitted.

    tie_damping      share by which a tied game slows towards its end, as sqrt(1 - T/600) from ten minutes on: fitted to the regulation
                     margins of 2,927 games, over the closing prices of the 1,978 that have one
    score_effect     a team's rate falls by this per goal of its lead, up to two: fitted on the same
    pulled           M, from how long losers' nets stood empty; ends beyond the 10th and 90th percentile are judgement
    pull_stretch     by deficit: nets stood empty for less than they would have where a goal filled them: fitted on the same
    pull_for         6 against 5, for the team without a goalie: M (7-9)
    pull_against     the same against it, by deficit: M, empty-net goals over time with an empty net of 2,263 games decided in regulation
    pull_advantage   the same with a power play, 6 against 4 (K, weak); pull_short: pulled while short-handed (judgement)
    advantage        (for, against) by skaters of the team with more and the team with fewer: 5v4, 5v3, 4v3 K; M has 22.2 % power plays
    level            each team's rate by skaters: 4v4 K, 3v3 M (14.2 for both in 664 overtimes)
    overtime_tilt    P(home | tied after regulation) = 0.5 + this x (p0 - 0.5): judgement; home won 51.8 % of overtimes, 46.7 % of 225
                     shootouts, which is no evidence of a side
    shootout_goal    share of attempts scored: K
    penalties        minors an hour that lead to a power play, per team: K
    in_net           how much of the pull's prior chance stays where `onIce` shows the goalie: its refresh rate is not measured
    rest_sd          sd of p a second from news while no game is played (judgement)
    total_sd         sd of a game's goals: M
    max_vig          a book above this overround is left out (judgement)
    """

    tie_damping: float = 0.346
    score_effect: float = 0.021
    pulled: Mapping[int, Sequence[tuple[float, float]]] = _PULLED
    pull_stretch: Mapping[int, float] = MappingProxyType({1: 1.32, 2: 1.33, 3: 0.685})
    pull_for: float = 7.5
    pull_against: Mapping[int, float] = MappingProxyType({1: 17.5, 2: 20.6, 3: 20.3})
    pull_advantage: Rates = (11.5, 11.0)
    pull_short: Rates = (4.0, 18.5)
    advantage: Mapping[Strength, Rates] = MappingProxyType({(5, 4): (7.2, 0.9), (5, 3): (19.0, 0.6), (4, 3): (10.0, 0.7)})
    level: Mapping[int, float] = MappingProxyType({4: 3.2, 3: 7.1})
    overtime_tilt: float = 0.25
    shootout_goal: float = 0.32
    penalties: float = 3.0
    in_net: float = 0.3
    rest_sd: float = 0.0005
    total_sd: float = 2.29
    max_vig: float = 0.08
    pull_times: PullTimes = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "pull_times", PullTimes(self.pulled, self.pull_stretch))

    def at(self, strength: Strength) -> Rates | None:
        """(home, away) rates of average teams at a strength other than five a side; None there, where the score decides."""
        home, away = strength
        if home == away:
            rate = self.level.get(home)
            return None if rate is None else (rate, rate)
        most, least = max(home, away), min(home, away)
        better, worse = self.advantage[(most, least)]
        return (better, worse) if home > away else (worse, better)

    def empty(self, strength: Strength, side: int, deficit: int) -> Rates:
        """(home, away) rates while the net of `side` (+1 home, -1 away) stands empty; `strength` is without the extra attacker."""
        more = side * (strength[0] - strength[1])
        plain = (self.pull_for, self.pull_against[min(3, max(1, deficit))])
        mine, theirs = self.pull_advantage if more > 0 else self.pull_short if more < 0 else plain
        return (mine, theirs) if side > 0 else (theirs, mine)


PARAMS: Final = NhlParams()


def hazard(per_hour: float) -> float:
    """Goals a second."""
    return per_hour / 3600.0


def happens(rate: float, seconds: float) -> float:
    """P(at least one event of a Poisson process of `rate` a second)."""
    return -math.expm1(-rate * seconds)
