"""Proper scores of probabilities, and how sure one may be of a difference between two of them.

Moments of one game all share its result, so a thousand of them weigh little more than one: intervals resample whole games.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

import attrs

BINS: Final = 20
"""Equal widths of p over which calibration is looked at."""
RESAMPLES: Final = 2000
_LOG_FLOOR: Final = 1e-6
"""A probability nearer to 0 or 1 than this counts as it in a log loss: one certain miss must not be infinitely bad."""


@attrs.frozen(slots=True)
class Said:
    """One probability of an event, what a baseline gave it, and whether it came to be. `game` is what its fellows share a result with."""

    game: str
    p: float
    baseline: float
    came: bool


@attrs.frozen(slots=True)
class Score:
    """Means over `n` rows of `games` games. `gain` is a 95 % interval of brier - baseline_brier: wholly below 0, the model is better."""

    n: int
    games: int
    brier: float
    log_loss: float
    ece: float
    baseline_brier: float
    gain: tuple[float, float]

    def to_json(self) -> dict[str, float | int]:
        """The contract's keys."""
        return {
            "n": self.n, "games": self.games, "brier": self.brier, "log_loss": self.log_loss, "ece": self.ece,
            "baseline_brier": self.baseline_brier,
        }  # fmt: skip


def score(rows: Sequence[Said], *, seed: int = 0) -> Score:
    """Score every row alike. ValueError where there is none."""
    if not rows:
        raise ValueError("there is nothing to score")
    n = len(rows)
    by_game: dict[str, list[float]] = {}
    brier = base = 0.0
    for row in rows:
        mine, theirs = (row.p - row.came) ** 2, (row.baseline - row.came) ** 2
        brier, base = brier + mine, base + theirs
        of_game = by_game.setdefault(row.game, [0.0, 0.0])
        of_game[0] += mine - theirs
        of_game[1] += 1.0
    return Score(
        n=n,
        games=len(by_game),
        brier=brier / n,
        log_loss=sum(-math.log(max(_LOG_FLOOR, row.p if row.came else 1.0 - row.p)) for row in rows) / n,
        ece=ece((row.p, row.came) for row in rows),
        baseline_brier=base / n,
        gain=interval([(total, count) for total, count in by_game.values()], seed=seed),
    )


def ece(pairs: Iterable[tuple[float, bool]], bins: int = BINS) -> float:
    """Expected calibration error: |mean p - share that came to be| over `bins` equal widths of p, weighted by how many fall in each."""
    said, came, n = [0.0] * bins, [0.0] * bins, 0
    for p, happened in pairs:
        bin_of = min(bins - 1, int(p * bins))
        said[bin_of] += p
        came[bin_of] += happened
        n += 1
    return sum(abs(a - b) for a, b in zip(said, came, strict=True)) / n


def interval(groups: Sequence[tuple[float, float]], *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """95 % percentile bootstrap of sum(total) / sum(count) over groups (total, count), drawn whole and with replacement."""
    rng = Random(seed)  # noqa: S311 - resampling, never keys
    means = []
    for _ in range(resamples):
        drawn = rng.choices(groups, k=len(groups))
        means.append(sum(total for total, _ in drawn) / sum(count for _, count in drawn))
    means.sort()
    return means[int(0.025 * resamples)], means[min(resamples - 1, int(0.975 * resamples))]
