"""The score of an NHL game as a Markov chain, solved backwards: what any outcome is worth by time left, lead and strength.

A state is the home lead and whether the trailing team's net stands empty. Rates depend on the score (trailing teams press, tied games
slow down), on the strength and on the net; a net empties at the rate at which teams have been seen to empty it. A stretch of penalties is
the same chain over a few minutes, whose goals lead into the chain with one penalty fewer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs

from chimera.models.nhl_params import EVEN, REGULATION_S, NhlParams, Strength, happens, hazard

STEP_S: Final = 4.0
"""Seconds between layers. Halving it moves no value by more than .001."""
LEAD: Final = 9
"""Leads beyond this count as it."""
_WIDTH: Final = 2 * LEAD + 1
_TRAILING: Final = (-3, -2, -1, 1, 2, 3)
"""The home leads at which a net may empty."""

Row: TypeAlias = list[float]
"""One value for each home lead from -LEAD to LEAD."""


@attrs.frozen(slots=True)
class Layer:
    """Values at one moment: with both nets kept, with the trailing team's empty, and where nobody has said (the chance of each)."""

    kept: Row
    pulled: Row
    blend: Row


def flat(row: Row) -> Layer:
    """A layer at which the net makes no difference."""
    return Layer(row, row, row)


class Hazards:
    """Chances of a goal within one step of `step` seconds. `home` and `away` are goals an hour at even strength and an even score."""

    def __init__(self, home: float, away: float, params: NhlParams, step: float = STEP_S) -> None:
        self.home, self.away, self.params, self.step = home, away, params, step
        self.pulls = params.pull_times
        mean = 0.5 * (home + away)
        self._shares = home / mean, away / mean
        self._plain: dict[Strength, tuple[Row, Row]] = {}
        self._empty: dict[Strength, dict[int, tuple[float, float]]] = {}

    def rates(self, strength: Strength, lead: int, seconds_left: float, pulled: int = 0) -> tuple[float, float]:
        """(home, away) goals a second; `pulled` is the side whose net stands empty."""
        found = self.params.empty(strength, pulled, abs(lead)) if pulled else self.params.at(strength)
        if found is not None:
            return hazard(found[0] * self._shares[0]), hazard(found[1] * self._shares[1])
        press = self.params.score_effect * min(2, max(-2, lead))
        slow = self._damping(seconds_left) if lead == 0 else 1.0
        return hazard(self.home * math.exp(-press) * slow), hazard(self.away * math.exp(press) * slow)

    def back(self, after: Layer, seconds_left: float, strength: Strength, home_goal: Row, away_goal: Row) -> Layer:
        """The layer one step before `after`, at `seconds_left`. Goals lead into the rows given, which are as of `after`'s moment."""
        homes, aways = self._steps(strength, seconds_left - 0.5 * self.step)
        up, down = home_goal[1:] + home_goal[-1:], away_goal[:1] + away_goal[:-1]
        kept = [
            v + p * (x - v) + q * (y - v) for v, x, y, p, q in zip(after.kept, up, down, homes, aways, strict=True)
        ]
        if seconds_left > self.pulls.begins:
            return flat(kept)
        pulled, blend, empty = kept.copy(), kept.copy(), self._empties(strength)
        for deficit in (1, 2, 3):
            share, later = (self.pulls.share(deficit, t) for t in (seconds_left, seconds_left - self.step))
            goes = (later - share) / (1.0 - share)
            for at in (LEAD + deficit, LEAD - deficit):
                p, q = empty[at]
                v = after.pulled[at]
                pulled[at] = v + p * (up[at] - v) + q * (down[at] - v)
                kept[at] += goes * (v - kept[at])
                blend[at] = kept[at] + share * (pulled[at] - kept[at])
        return Layer(kept, pulled, blend)

    def _damping(self, seconds_left: float) -> float:
        return 1.0 - self.params.tie_damping * math.sqrt(1.0 - seconds_left / 600.0) if seconds_left < 600.0 else 1.0

    def _steps(self, strength: Strength, seconds_left: float) -> tuple[Row, Row]:
        """Chances of a goal by each side within a step, by lead."""
        found = self._plain.get(strength)
        if found is None:
            pairs = [self._within(*self.rates(strength, lead, REGULATION_S)) for lead in range(-LEAD, LEAD + 1)]
            found = self._plain[strength] = [p for p, _ in pairs], [q for _, q in pairs]
        if strength == EVEN and seconds_left < 600.0:
            homes, aways = found[0].copy(), found[1].copy()
            homes[LEAD], aways[LEAD] = self._within(*self.rates(strength, 0, seconds_left))
            return homes, aways
        return found

    def _empties(self, strength: Strength) -> dict[int, tuple[float, float]]:
        found = self._empty.get(strength)
        if found is None:
            found = self._empty[strength] = {
                lead + LEAD: self._within(*self.rates(strength, lead, 0.0, -1 if lead > 0 else 1)) for lead in _TRAILING
            }
        return found

    def _within(self, home: float, away: float) -> tuple[float, float]:
        """P(the step's goal is home's), P(it is away's), of rates a second."""
        total = home + away
        return (happens(total, self.step) * home / total, happens(total, self.step) * away / total) if total else (0.0, 0.0)


def layers(hazards: Hazards, terminal: Row, *, goal: float = 0.0) -> Iterator[Layer]:
    """The layers at even strength from the end of regulation back to its beginning. `goal` is what each goal itself is worth."""
    layer = flat(terminal)
    yield layer
    for index in range(1, round(REGULATION_S / STEP_S) + 1):
        after = [value + goal for value in layer.blend] if goal else layer.blend
        layer = hazards.back(layer, index * STEP_S, EVEN, after, after)
        yield layer


def at_start(hazards: Hazards, terminal: Row, *, goal: float = 0.0) -> float:
    """What a game that begins level is worth, by what each final lead is worth after regulation."""
    value = 0.0
    for layer in layers(hazards, terminal, goal=goal):
        value = layer.kept[LEAD]
    return value


def indicator(lead: int) -> Row:
    """A terminal row that is 1 at one lead and 0 elsewhere: `at_start` of it is that margin's probability."""
    return [float(d == lead) for d in range(-LEAD, LEAD + 1)]


def outcome(tie: float) -> Row:
    """The terminal row of a win: 0, `tie` for a level score, 1."""
    return [0.0] * LEAD + [tie] + [1.0] * LEAD


@attrs.frozen(slots=True)
class Stretch:
    """Layers `step` seconds apart; the first at `end` seconds left, each next one earlier in the game."""

    end: float
    step: float
    layers: tuple[Layer, ...]

    @property
    def begin(self) -> float:
        return self.end + self.step * (len(self.layers) - 1)

    def value(self, seconds_left: float, lead: int, net: float | None) -> float:
        """The value at a moment, straight between layers. `net` is the chance that the trailing net stands empty, None where unsaid."""
        later, earlier, part = self._around(seconds_left)
        at = min(LEAD, max(-LEAD, lead)) + LEAD
        a, b = _of(later, at, net), _of(earlier, at, net)
        return a + part * (b - a)

    def row(self, seconds_left: float) -> Row:
        """Every lead's value at a moment, where nobody has said whether a net is empty."""
        return self.layer(seconds_left).blend

    def layer(self, seconds_left: float) -> Layer:
        """Everything at a moment."""
        later, earlier, part = self._around(seconds_left)
        if not part:
            return later
        rows = ((later.kept, earlier.kept), (later.pulled, earlier.pulled), (later.blend, earlier.blend))
        return Layer(*([x + part * (y - x) for x, y in zip(a, b, strict=True)] for a, b in rows))

    def _around(self, seconds_left: float) -> tuple[Layer, Layer, float]:
        """The layers on either side of a moment, and how far (0 to 1) it lies from the later to the earlier one."""
        last = len(self.layers) - 1
        x = min(max(0.0, (seconds_left - self.end) / self.step), float(last))
        index = min(int(x), max(0, last - 1))
        return self.layers[index], self.layers[min(last, index + 1)], x - index


def _of(layer: Layer, at: int, net: float | None) -> float:
    return layer.blend[at] if net is None else layer.kept[at] + net * (layer.pulled[at] - layer.kept[at])
