"""The home team's probability of winning an NBA game, from the score, the clock, the ball and the pregame line.

Two forms. `brownian` is Stern's (JASA 89:1128, 1994) with the market's prior inside: two parameters, and p0 at the tip by construction.
`evaluate` adds what two parameters cannot say: a spread that narrows as measured, leads that revert, the ball, and free throws yet to be
taken. `reaction` says where p may be a few seconds on, jumps included, which is what a resting order has to survive.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from types import MappingProxyType
from typing import Final, Protocol

import attrs

from chimera.models.odds import implied as implied
from chimera.models.odds import proportional
from chimera.models.value import FLOOR as FLOOR
from chimera.models.value import Atoms, Valuation, centred, clip, decided, spread_out, stepwise
from chimera.models.value import Season as Season
from chimera.models.value import sd_over as sd_over

REGULATION_S: Final = 2880.0
OVERTIME_S: Final = 300.0
LEAGUE_HOME: Final = 0.56
"""P(home wins) where nothing is known of the teams (judgement: home sides have won 54 to 60 % of games, less of late)."""


class Situation(Protocol):
    """What the model looks at. Signs are home minus away throughout.

    `seconds_left` is to the end of regulation, or of the present overtime. `possession` is +1 home ball to -1 away ball, in between for a
    live rebound. `pending_ft` counts free throws yet to be taken, positive for home. `live` is False before the game and in its breaks.
    """

    @property
    def seconds_left(self) -> float: ...
    @property
    def overtime(self) -> bool: ...
    @property
    def home_lead(self) -> int: ...
    @property
    def possession(self) -> float: ...
    @property
    def pending_ft(self) -> int: ...
    @property
    def live(self) -> bool: ...
    @property
    def clock_running(self) -> bool: ...
    @property
    def final(self) -> bool: ...


class Knots:
    """A function given at points and straight between them in `scale(t)`; constant outside."""

    def __init__(self, points: Sequence[tuple[float, float]], scale: str) -> None:
        self._scale = {"log": lambda t: math.log(t + 2.0), "sqrt": math.sqrt}[scale]
        self._x = [self._scale(t) for t, _ in points]
        self._y = [y for _, y in points]

    def __call__(self, t: float) -> float:
        x = self._scale(t)
        right = bisect.bisect_right(self._x, x)
        if right == 0:
            return self._y[0]
        if right == len(self._x):
            return self._y[-1]
        x0, y0 = self._x[right - 1], self._y[right - 1]
        return y0 + (self._y[right] - y0) * (x - x0) / (self._x[right] - x0)


_EARLY = ((720, 8.15), (1440, 12.3), (2160, 14.0), (2880, 14.49))
_LATE = ((0, 0.36), (4, 1.08), (12, 2.04), (30, 2.33), (60, 2.61), (120, 3.77), (300, 5.86))
_SD = Knots(_LATE + _EARLY, "log")
_REVERSION = Knots(((0, 0.02), (120, 0.08), (720, 0.12), (1440, 0.26), (2160, 0.41)), "sqrt")


@attrs.frozen(slots=True)
class NbaParams:
    """The model's numbers. Fits are to 634 games with a closing moneyline, 2016-24, all of them Boston's: see each field.

    drift               points of margin that one unit of q0 = probit(p0) is worth over a game: 12.6 x 1.15, fitted. sd(2880) equals it, so
                        that p = p0 at the tip; the unconstrained fit of that one knot was 16.2, worth 0.0000 in Brier
    sd                  (seconds left, sd of the rest of the margin): fitted, straight in log(t + 2)
    reversion           (seconds left, share of the excess lead that is given back): fitted, straight in sqrt(t); none in overtime
    reversion_share     by season type: 1 in the regular season; 0 in the playoffs, where 91 games of 2025 show none
    possession_pts      having the ball, against nobody having it: fitted; it fades in the last three seconds, to 15 %
    free_throw_pts      one free throw yet to be taken: fitted (a make is 0.775 points; some of it is in the ball)
    points              P(0, 1, 2, 3 points) of a possession: 89,773 possessions of 470 games, 2016-22
    possession_s        seconds of game clock to the end of a possession: mean of the same
    ft_made, ft_s       share of free throws made (league); wall seconds to the next one (about 20 in ESPN's wallclocks)
    last_ft_miss        home's possession, as a sign, after its last free throw is missed: 14 % come back
    diffusion_live      points squared a second that no possession explains; and in breaks and before the game (judgement)
    spread_sd           sd of the final margin around the closing spread: measured
    max_vig             a book above this overround is left out (judgement)
    """

    drift: float = 14.49
    sd: Knots = _SD
    reversion: Knots = _REVERSION
    reversion_share: Mapping[int, float] = MappingProxyType({Season.PLAYOFFS: 0.0, Season.PLAY_IN: 0.0})
    possession_pts: float = 0.52
    free_throw_pts: float = 0.67
    points: tuple[float, ...] = (0.500, 0.038, 0.338, 0.124)
    possession_s: float = 14.7
    ft_made: float = 0.775
    ft_s: float = 20.0
    last_ft_miss: float = -0.72
    diffusion_live: float = 0.02
    diffusion_rest: float = 0.0005
    spread_sd: float = 13.2
    max_vig: float = 0.08


PARAMS: Final = NbaParams()


# Prices of others, as probabilities


def from_moneylines(lines: Sequence[tuple[float, float]], params: NbaParams = PARAMS) -> tuple[float, int] | None:
    """(P(home), books used) from (home, away) moneylines, the vig taken out in proportion. None where no book is usable."""
    return proportional(lines, params.max_vig)


def from_spread(home_spread: float, params: NbaParams = PARAMS) -> float:
    """P(home) from the points the home team gives (-3.5: favoured by 3.5)."""
    return _phi(-home_spread / params.spread_sd)


# State -> probability


_DENSITY: Final = 1.0 / math.sqrt(2.0 * math.pi)


def _phi(z: float) -> float:
    return 0.5 * math.erfc(-z * 0.7071067811865476)


@functools.lru_cache(maxsize=1024)
def probit(p0: float) -> float:
    """The prior as a normal deviate; a prior outside [0.01, 0.99] is taken for the nearer end. ValueError where it is no probability."""
    if not 0.0 <= p0 <= 1.0:
        raise ValueError(f"prior {p0!r} is no probability")
    return NormalDist().inv_cdf(min(0.99, max(0.01, p0)))


def brownian(home_lead: float, seconds_left: float, p0: float, *, s: float = 21.5, c: float = 1.1) -> float:
    """P(home) = Phi((x + s q0 f) / sqrt(s^2 f + c^2)), f the share of the game left. s, c (points) fitted on the same games.

    s stands well above the 13 points by which margins miss the line: it absorbs that leads revert.
    """
    f = seconds_left / REGULATION_S
    return clip(_phi((home_lead + s * probit(p0) * f) / math.sqrt(s * s * f + c * c)))


@attrs.frozen(slots=True)
class _Game:
    """What stays while a situation is varied."""

    q0: float
    overtime: bool
    reverts: float
    params: NbaParams

    def z(self, lead: float, t: float, possession: float, free_throws: float) -> float:
        params = self.params
        f = t / REGULATION_S
        drift = params.drift * self.q0
        mean = lead + drift * f
        if self.reverts:
            mean -= self.reverts * params.reversion(t) * (lead - drift * (1.0 - f))
        ball = params.possession_pts * possession * min(1.0, 0.15 + t / 3.0)
        return (mean + ball + params.free_throw_pts * free_throws) / params.sd(t)

    def p(self, lead: float, t: float, possession: float, free_throws: float) -> float:
        """P(home), clipped. With no time and no free throw left the leader has won, and a tie is worth a fresh overtime."""
        if t > 0.0 or free_throws:
            return clip(_phi(self.z(lead, t, possession, free_throws)))
        if lead:
            return clip(1.0 if lead > 0 else 0.0)
        return clip(_phi(attrs.evolve(self, overtime=True, reverts=0.0).z(0.0, OVERTIME_S, 0.0, 0.0)))


def _game(state: Situation, p0: float, season_type: int, params: NbaParams) -> _Game:
    reverts = 0.0 if state.overtime else params.reversion_share.get(season_type, 1.0)
    return _Game(probit(p0), state.overtime, reverts, params)


def evaluate(state: Situation, p0: float, season_type: int = Season.REGULAR, params: NbaParams = PARAMS) -> Valuation:
    """P(home wins) now, given the pregame probability p0. Exactly 0 or 1 only once the game is final."""
    if state.final:
        return decided(state.home_lead)
    game = _game(state, p0, season_type, params)
    t, lead, ball = state.seconds_left, state.home_lead, state.possession
    return stepwise(
        (
            ("prior", game.p(0.0, t, 0.0, 0.0) if t > 0.0 else 0.5),
            ("lead", game.p(lead, t, 0.0, 0.0)),
            ("ball", game.p(lead, t, ball, 0.0)),
            ("free throws", game.p(lead, t, ball, state.pending_ft)),
        )
    )


# Where p may be soon


def _two_possessions(points: Sequence[float]) -> tuple[tuple[int, float], ...]:
    """One possession each: (first side's net points, weight). A net of one either way, evenly likely, is counted as none."""
    net: dict[int, float] = {}
    for mine, a in enumerate(points):
        for theirs, b in enumerate(points):
            key = mine - theirs if abs(mine - theirs) != 1 else 0
            net[key] = net.get(key, 0.0) + a * b
    return tuple(sorted(net.items()))


def _poisson(mean: float) -> tuple[float, float, float]:
    """P(0), P(1), P(2 or more)."""
    none = math.exp(-mean)
    return none, mean * none, max(0.0, 1.0 - none - mean * none)


def _after_possessions(game: _Game, state: Situation, horizon_s: float) -> list[tuple[float, float]]:
    params = game.params
    running = min(state.seconds_left, horizon_s if state.clock_running else 0.5 * horizon_s)
    t = state.seconds_left - running
    none, one, more = _poisson(running / params.possession_s)
    atoms = [(game.p(state.home_lead, t, state.possession, 0), none)]
    home = 0.5 * (1.0 + state.possession)
    for side, share in ((1, home), (-1, 1.0 - home)):
        if share < 0.1:
            continue
        share = 1.0 if share > 0.9 else share
        atoms += [(game.p(state.home_lead + side * n, t, -side, 0), one * share * w) for n, w in enumerate(params.points)]
    first = 1 if home >= 0.5 else -1
    both = _two_possessions(params.points)
    atoms += [(game.p(state.home_lead + first * net, t, state.possession, 0), more * w) for net, w in both]
    return atoms


def _after_free_throws(game: _Game, state: Situation, horizon_s: float) -> list[tuple[float, float]]:
    """Free throws come first, with the clock stopped; what the ball is worth after the last depends on whether it went in."""
    params, t, lead, pending = game.params, state.seconds_left, state.home_lead, abs(state.pending_ft)
    side = 1 if state.pending_ft > 0 else -1
    keeps = state.possession * side > 0

    def then(made: int, left: int, last_in: bool) -> float:
        ball = state.possession if left or keeps else -side if last_in else side * params.last_ft_miss
        return game.p(lead + side * made, t, ball, side * left)

    none, one, more = _poisson(horizon_s / params.ft_s)
    if pending == 1:
        one, more = one + more, 0.0
    made, missed = params.ft_made, 1.0 - params.ft_made
    atoms = [
        (game.p(lead, t, state.possession, state.pending_ft), none),
        (then(1, pending - 1, True), one * made),
        (then(0, pending - 1, False), one * missed),
    ]
    if more:
        left = pending - 2
        atoms += [
            (then(2, left, True), more * made * made),
            (then(1, left, True), more * missed * made),
            (then(1, left, False), more * made * missed),
            (then(0, left, False), more * missed * missed),
        ]
    return atoms


def reaction(
    state: Situation, p0: float, horizon_s: float, season_type: int = Season.REGULAR, params: NbaParams = PARAMS
) -> Atoms:
    """Where P(home) may be `horizon_s` seconds from now: at most 15 (p', weight), weights summing to 1, mean within .01 of p.

    Possessions end at the league's rate with the league's points, free throws are taken first, and the rest diffuses. The atoms are
    shifted together so that their mean is p: a fair price does not drift.
    """
    if state.final:
        return ((evaluate(state, p0, season_type, params).p, 1.0),)
    game = _game(state, p0, season_type, params)
    p = game.p(state.home_lead, state.seconds_left, state.possession, state.pending_ft)
    horizon_s = max(0.0, horizon_s)
    if state.pending_ft and state.live:
        atoms = _after_free_throws(game, state, horizon_s)
    elif state.live and state.seconds_left > 0.0:
        atoms = _after_possessions(game, state, horizon_s)
    else:
        atoms = [(p, 1.0)]
    z = game.z(state.home_lead, state.seconds_left, state.possession, state.pending_ft)
    rate = params.diffusion_live if state.live else params.diffusion_rest
    points = math.sqrt(rate * min(horizon_s, state.seconds_left))
    spread = math.exp(-0.5 * z * z) * _DENSITY / params.sd(state.seconds_left) * points
    return centred(spread_out(atoms, spread), p)
