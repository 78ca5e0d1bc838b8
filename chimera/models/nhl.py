"""The home team's probability of winning an NHL game, from score, clock, penalties, nets, and the pregame price and total.

`NhlGame` is one game's chain (nhl_chain.py), solved once so that at puck drop it returns the price and the total; then a value is a look
into a table. `solve` gives that work in slices, for it takes some 40 ms and no loop may be held for as long.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Final

import attrs

from chimera.models.nhl_chain import LEAD, STEP_S, Hazards, Layer, Row, Stretch, at_start, flat, indicator, layers, outcome
from chimera.models.nhl_params import (
    EVEN,
    LEAGUE_TOTAL,
    MINOR_S,
    OVERTIME_S,
    PARAMS,
    REGULATION_S,
    NhlParams,
    Strength,
    happens,
    hazard,
)
from chimera.models.nhl_situation import Box, Penalty, Shootout, Situation, after_goal, shootout_value, strength
from chimera.models.value import Atoms, Valuation, centred, clip, decided, spread_out, stepwise

PRIOR_BOUNDS: Final = (0.05, 0.95)
TOTAL_BOUNDS: Final = (4.0, 9.0)
"""A price or a total outside is taken for the nearer end: no NHL game has been offered there."""
SLICE: Final = 15
"""Layers a slice of `solve`: about 150 microseconds."""
PLAN_STEP_S: Final = 8.0
"""Penalties are solved in longer steps than games, when they are called: 120 s of them take some 150 microseconds."""
MOST_TRIES: Final = 15
PLANS: Final = 64
"""Boxes kept; a game meets about a dozen."""
ATTEMPT_S: Final = 25.0
"""Wall seconds from one shootout attempt to the next (judgement)."""


def empty_net(state: Situation, params: NhlParams = PARAMS) -> float:
    """P(the trailing team's net stands empty): seen, or from how teams have acted at this score and time. 0 in overtime."""
    lead = state.home_lead
    if not lead or state.overtime:
        return 0.0
    if state.pulled:
        return float(state.pulled * lead < 0)
    prior = params.pull_times.share(abs(lead), state.seconds_left)
    return prior if state.pulled is None else prior * params.in_net


class NhlGame:
    """One game, solved. `p0` and `total` are what it returns at puck drop; `hazards` the rates that make it so."""

    def __init__(self, p0: float, total: float, playoffs: bool, hazards: Hazards, base: Stretch) -> None:
        self.p0, self.total, self.playoffs = p0, total, playoffs
        self.hazards, self.params = hazards, hazards.params
        self._base = base
        self._over_penalties = Hazards(hazards.home, hazards.away, hazards.params, PLAN_STEP_S)
        self._share = _overtime_share(p0, self.params)
        self._plans: dict[Box, Stretch] = {}

    def evaluate(self, state: Situation) -> Valuation:
        """P(home wins) now. Exactly 0 or 1 only once the game is final."""
        if state.final:
            return decided(state.home_lead)
        if state.shootout is not None:
            return stepwise((("shootout", clip(shootout_value(state.shootout, self.params.shootout_goal))),))
        if state.overtime:
            left, elapsed = state.seconds_left, state.elapsed
            if state.home_lead:
                return stepwise((("overtime goal", clip(float(state.home_lead > 0))),))
            return stepwise((("prior", self._sudden(left, elapsed, ())), ("strength", clip(self._sudden(left, elapsed, state.box)))))
        t, lead = state.seconds_left, state.home_lead
        return stepwise(
            (
                ("prior", self._at(t, 0, (), None)),
                ("lead", self._at(t, lead, (), None)),
                ("strength", self._at(t, lead, state.box, None)),
                ("net", clip(self._at(t, lead, state.box, empty_net(state, self.params)))),
            )
        )

    def reaction(self, state: Situation, horizon_s: float) -> Atoms:
        """Where P(home) may be `horizon_s` seconds from now: at most 9 (p', weight), weights summing to 1, mean within .01 of p.

        Goals, penalties and pulled goalies come at the rates of the moment. The atoms are shifted together so that their mean is p.
        """
        p = self.evaluate(state).p
        if state.final:
            return ((p, 1.0),)
        horizon_s = max(0.0, horizon_s)
        if not state.live:
            atoms = [(p, 1.0)]
        elif state.shootout is not None:
            atoms = self._next_attempt(state.shootout, p, horizon_s)
        else:
            running = min(state.seconds_left, horizon_s if state.clock_running else 0.5 * horizon_s)
            atoms = self._next_event(state, p, running)
        return centred(spread_out(atoms, self.params.rest_sd * math.sqrt(horizon_s)), p)

    def regulation(self) -> tuple[float, float, float]:
        """P(home ahead, level, away ahead) after regulation, before the game."""
        home, tie = (at_start(self.hazards, row) for row in (outcome(0.0), indicator(0)))
        return home, tie, 1.0 - home - tie

    def margin(self, goals: int) -> float:
        """P(regulation ends this many goals apart), before the game; 0 is level."""
        return sum(at_start(self.hazards, indicator(lead)) for lead in {goals, -goals})

    # Regulation

    def _at(self, seconds_left: float, lead: int, box: Box, net: float | None) -> float:
        elapsed = REGULATION_S - seconds_left
        active = tuple(p for p in box if p.until > elapsed)
        if not active:
            return self._base.value(seconds_left, lead, net)
        return self._plan(active, seconds_left).value(seconds_left, lead, net)

    def _plan(self, box: Box, seconds_left: float) -> Stretch:
        """The chain from `seconds_left` on to the end of the longest penalty in `box`, made when a box is first met."""
        found = self._plans.get(box)
        if found is None or found.begin < seconds_left:
            if len(self._plans) >= PLANS:
                self._plans.clear()
            found = self._plans[box] = self._solve_plan(box, seconds_left)
        return found

    def _solve_plan(self, box: Box, seconds_left: float) -> Stretch:
        end = max(0.0, REGULATION_S - max(p.until for p in box))
        layer = self._base.layer(end) if end else flat(outcome(self._sudden(OVERTIME_S, REGULATION_S, box)))
        made, t = [layer], end
        while t < seconds_left:
            t += PLAN_STEP_S
            middle = REGULATION_S - t + 0.5 * PLAN_STEP_S
            active = tuple(p for p in box if p.until > middle)
            homes, aways = (self._after(active, side, middle, t - PLAN_STEP_S, seconds_left, layer) for side in (1, -1))
            layer = self._over_penalties.back(layer, t, strength(active, middle), homes, aways)
            made.append(layer)
        return Stretch(end, PLAN_STEP_S, tuple(made))

    def _after(self, box: Box, side: int, elapsed: float, seconds_left: float, begin: float, layer: Layer) -> Row:
        """Every lead's value at `seconds_left`, `side` having just scored into `box`, whose plan starts at `begin`."""
        left = _released(box, side, elapsed)
        if left == box:
            return layer.blend
        left = tuple(p for p in left if p.until > REGULATION_S - seconds_left)
        return (self._plan(left, begin) if left else self._base).row(seconds_left)

    # Overtime

    def _sudden(self, seconds_left: float, elapsed: float, box: Box) -> float:
        """P(home) where the next goal wins: stretch by stretch to the last penalty's end, then to the shootout, or for ever."""
        ends = sorted({p.until for p in box if p.until > elapsed})
        horizon = math.inf if self.playoffs else elapsed + seconds_left
        value, alive = 0.0, 1.0
        for end in (*(e for e in ends if e < horizon), horizon):
            home, away = self._overtime_rates(strength(box, elapsed, 5 if self.playoffs else 3))
            scored = happens(home + away, end - elapsed)
            value += alive * scored * home / (home + away)
            alive, elapsed = alive * (1.0 - scored), end
        return value + 0.5 * alive

    def _overtime_rates(self, skaters: Strength) -> tuple[float, float]:
        """(home, away) goals a second in overtime. Three a side, how good a team is counts for less than over a game."""
        rates = None if self.playoffs else self.params.at(skaters)
        if rates is None:
            return self.hazards.rates(skaters, 0, REGULATION_S)
        return hazard(2.0 * self._share * rates[0]), hazard(2.0 * (1.0 - self._share) * rates[1])

    # The next seconds

    def _next_event(self, state: Situation, p: float, running: float) -> list[tuple[float, float]]:
        """Nothing (first), a goal by either side, a penalty on either, the goalie pulled."""
        home, away = self._rates(state)
        scored = happens(home + away, running)
        whistle = happens(hazard(self.params.penalties), running) * (1.0 - scored)
        atoms = []
        for side, rate in ((1, home), (-1, away)):
            atoms.append((self._scored(state, side, 0.5 * running), scored * rate / (home + away)))
            atoms.append((clip(p + self._whistled(state, side)), whistle))
        q, jump = self._about_to_pull(state, running)
        still = max(0.0, 1.0 - scored - 2.0 * whistle)
        atoms.append((clip(p + jump), still * q))
        return [(p, still * (1.0 - q)), *atoms]

    def _rates(self, state: Situation) -> tuple[float, float]:
        if state.overtime:
            return self._overtime_rates(strength(state.box, state.elapsed, 5 if self.playoffs else 3))
        skaters, lead, t = strength(state.box, state.elapsed), state.home_lead, state.seconds_left
        home, away = self.hazards.rates(skaters, lead, t)
        net = empty_net(state, self.params)
        if net:
            h, a = self.hazards.rates(skaters, lead, t, -1 if lead > 0 else 1)
            home, away = home + net * (h - home), away + net * (a - away)
        return home, away

    def _scored(self, state: Situation, side: int, seconds: float) -> float:
        if state.overtime:
            return clip(float(side > 0))
        t = max(0.0, state.seconds_left - seconds)
        return clip(self._at(t, state.home_lead + side, _released(state.box, side, state.elapsed), None))

    def _whistled(self, state: Situation, side: int) -> float:
        """What p gains by a fresh minor to `side`, at even strength and from one goal at most in it, to a third of a cent."""
        served = min(MINOR_S, state.seconds_left)
        t, lead, elapsed = state.seconds_left, state.home_lead, state.elapsed
        if state.overtime:
            more = tuple(sorted((*state.box, Penalty(elapsed + MINOR_S, side))))
            return self._sudden(t, elapsed, more) - self._sudden(t, elapsed, state.box)
        home, away = self.hazards.rates((5, 4) if side < 0 else (4, 5), lead, t)
        goal = happens(home + away, served)
        t_goal = t - 0.5 * served
        scored = (home * self._base.value(t_goal, lead + 1, None) + away * self._base.value(t_goal, lead - 1, None)) / (home + away)
        return goal * scored + (1.0 - goal) * self._base.value(t - served, lead, None) - self._base.value(t, lead, None)

    def _about_to_pull(self, state: Situation, seconds: float) -> tuple[float, float]:
        """(chance that the trailing team pulls its goalie within `seconds`, what p gains by it)."""
        lead, t = state.home_lead, state.seconds_left
        if not lead or state.overtime or state.pulled:
            return 0.0, 0.0
        before, later = (self.params.pull_times.share(abs(lead), x) for x in (t, max(0.0, t - seconds)))
        if later <= before:
            return 0.0, 0.0
        gain = self._at(t, lead, state.box, 1.0) - self._at(t, lead, state.box, empty_net(state, self.params))
        return (later - before) / (1.0 - before), gain

    def _next_attempt(self, state: Shootout, p: float, horizon_s: float) -> list[tuple[float, float]]:
        taken, goal = happens(1.0 / ATTEMPT_S, horizon_s), self.params.shootout_goal
        atoms = [(p, 1.0 - taken)]
        for made, weight in ((1, goal), (0, 1.0 - goal)):
            home = attrs.evolve(state, home_goals=state.home_goals + made, home_taken=state.home_taken + 1)
            away = attrs.evolve(state, away_goals=state.away_goals + made, away_taken=state.away_taken + 1)
            sides = (home, away) if state.home_taken == state.away_taken else (home,) if state.home_taken < state.away_taken else (away,)
            atoms += [(clip(shootout_value(after, goal)), taken * weight / len(sides)) for after in sides]
        return atoms


# Solving a game


def solve(
    p0: float, total: float = LEAGUE_TOTAL, *, playoffs: bool = False, params: NhlParams = PARAMS
) -> Generator[None, None, NhlGame]:
    """The game whose chain returns the home price `p0` and `total` goals (overtime's counted) at puck drop.

    A generator: each step is a slice of the work, its return value the game. ValueError where p0 or total is no number in range.
    """
    if not 0.0 <= p0 <= 1.0 or not total > 0.0 or math.isinf(total):
        raise ValueError(f"a price of {p0!r} and a total of {total!r} goals are no game")
    p0, total = min(PRIOR_BOUNDS[1], max(PRIOR_BOUNDS[0], p0)), min(TOTAL_BOUNDS[1], max(TOTAL_BOUNDS[0], total))
    wanted, mean, ratio, slope, last = _logit(p0), 0.46 * total, 0.5 * _logit(p0), 0.5, None
    for _ in range(MOST_TRIES):
        hazards = Hazards(mean * math.exp(0.5 * ratio), mean * math.exp(-0.5 * ratio), params)
        made = yield from _sliced(hazards, outcome(_level(p0, hazards, playoffs, params)))
        goals = (yield from _sliced(hazards, indicator(0), 1.0))[-1].kept[LEAD]
        found = _logit(made[-1].kept[LEAD])
        if abs(found - wanted) < 1e-4 and abs(goals - total) < 1e-2:
            break
        if last is not None and abs(found - last[1]) > 1e-3:  # the secant, as far as it may be believed
            slope = min(0.8, max(0.2, (ratio - last[0]) / (found - last[1])))
        last = ratio, found
        ratio += min(1.0, max(-1.0, slope * (wanted - found)))
        mean *= total / goals
    return NhlGame(p0, total, playoffs, hazards, Stretch(0.0, STEP_S, tuple(made)))


def solved(p0: float, total: float = LEAGUE_TOTAL, *, playoffs: bool = False, params: NhlParams = PARAMS) -> NhlGame:
    """`solve`, all at once."""
    work = solve(p0, total, playoffs=playoffs, params=params)
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


def _sliced(hazards: Hazards, terminal: Row, goal: float = 0.0) -> Generator[None, None, list[Layer]]:
    made = []
    for index, layer in enumerate(layers(hazards, terminal, goal=goal)):
        made.append(layer)
        if index % SLICE == SLICE - 1:
            yield
    return made


def _level(p0: float, hazards: Hazards, playoffs: bool, params: NhlParams) -> float:
    """P(home) of a level game with nobody in the box, before there is a game to ask."""
    if playoffs:
        home, away = hazards.rates(EVEN, 0, REGULATION_S)
        return home / (home + away)
    return 0.5 + params.overtime_tilt * (p0 - 0.5)


def _overtime_share(p0: float, params: NhlParams) -> float:
    """Home's share of overtime goals, so that P(home | level) is 0.5 + tilt x (p0 - 0.5) with even shootouts."""
    return 0.5 + params.overtime_tilt * (p0 - 0.5) / happens(2.0 * hazard(params.level[3]), OVERTIME_S)


def _released(box: Box, side: int, elapsed: float) -> Box:
    """`after_goal`, but a goal in the first half of a double minor counts as one in the middle of it, whenever it falls.

    So a box leads to one other box and not to one for every second.
    """
    left = after_goal(box, side, elapsed)
    fresh = next((p for p in left if p not in box), None)
    if fresh is None:
        return left
    whole = next(p for p in box if p not in left and p.side == fresh.side and p.minors)
    return tuple(sorted(attrs.evolve(p, until=whole.until - 0.5 * MINOR_S) if p is fresh else p for p in left))


def _logit(p: float) -> float:
    return math.log(p / (1.0 - p))
