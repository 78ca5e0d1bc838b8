"""What every game model answers with: a probability with its terms, and a distribution of where it may be soon.

The pricer and the oracles know these shapes alone; which sport made them is none of their business.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Final, TypeAlias

import attrs

FLOOR: Final = 0.001
"""Until a game is final p stays within [FLOOR, 1 - FLOOR]: ESPN pins its own curve there too, and neither is certainty."""

Atoms: TypeAlias = tuple[tuple[float, float], ...]
"""A distribution of p: (p', weight), weights summing to 1."""


class Season(enum.IntEnum):
    """ESPN's season types."""

    PRESEASON = 1
    REGULAR = 2
    PLAYOFFS = 3
    PLAY_IN = 5


@attrs.frozen(slots=True)
class Valuation:
    """P(home wins), and what each part of the situation is worth in cents, from an even game: the terms sum to 100 p - 50."""

    p: float
    terms: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        return f"{self.p:.3f} = 50" + "".join(f" {cents:+.1f} {name}" for name, cents in self.terms if abs(cents) >= 0.05)


def decided(home_lead: int) -> Valuation:
    """The value of a game that is over."""
    won = (home_lead > 0) - (home_lead < 0)
    return Valuation(0.5 + 0.5 * won, (("final", 50.0 * won),))


def stepwise(steps: Sequence[tuple[str, float]]) -> Valuation:
    """The last of (name, p) as the value, each named with what it added in cents to the one before, the first to an even game."""
    before, terms = 0.5, []
    for name, p in steps:
        terms.append((name, 100.0 * (p - before)))
        before = p
    return Valuation(before, tuple(terms))


def clip(p: float) -> float:
    """p as it may be told of a game that is not final."""
    return min(1.0 - FLOOR, max(FLOOR, p))


def centred(atoms: Sequence[tuple[float, float]], p: float) -> Atoms:
    """The atoms shifted together until their mean is p (within .01 where they meet 0 or 1): a fair price does not drift."""
    total = sum(w for _, w in atoms)
    for _ in range(3):  # clipping moves the mean again, each time by less
        shift = p - sum(q * w for q, w in atoms) / total
        atoms = [(min(1.0, max(0.0, q + shift)), w) for q, w in atoms]
        if abs(shift) < 1e-4:
            break
    return tuple((q, w / total) for q, w in atoms)


def spread_out(atoms: Sequence[tuple[float, float]], sd: float) -> list[tuple[float, float]]:
    """The atoms with the first, that of nothing happening, split in two `sd` to either side of it."""
    still, weight = atoms[0]
    return [(still - sd, 0.5 * weight), (still + sd, 0.5 * weight), *atoms[1:]]


def sd_over(atoms: Atoms) -> float:
    """The standard deviation of p under a distribution from a model's `reaction`."""
    mean = sum(q * w for q, w in atoms)
    return math.sqrt(sum(w * (q - mean) ** 2 for q, w in atoms))
