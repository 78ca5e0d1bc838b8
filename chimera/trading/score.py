"""Brier score and log loss of our probabilities beside the market's, on the same samples.

A sample counts only where both spoke, so the two scores are always over equal evidence. Until the market settles its samples are kept as
five sums, from which either score follows for any outcome: memory does not grow with the length of a game.
"""

from __future__ import annotations

import math

import attrs

CLAMP = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logarithm is taken."""


@attrs.define(slots=True)
class Tally:
    """One forecaster's samples of one market whose outcome is not known yet."""

    n: int = 0
    p: float = 0.0
    p_squared: float = 0.0
    log_yes: float = 0.0
    log_no: float = 0.0

    def add(self, p: float) -> None:
        """One sample, a probability."""
        kept = min(1.0 - CLAMP, max(CLAMP, p))
        self.n += 1
        self.p += p
        self.p_squared += p * p
        self.log_yes += math.log(kept)
        self.log_no += math.log1p(-kept)

    def brier(self, outcome: float) -> float:
        """The sum of (p - outcome)^2 over the samples; `outcome` in [0, 1]."""
        return max(0.0, self.p_squared - 2.0 * outcome * self.p + self.n * outcome * outcome)

    def log_loss(self, outcome: float) -> float:
        """The sum of -(y log p + (1 - y) log(1 - p)) over the samples."""
        return -(outcome * self.log_yes + (1.0 - outcome) * self.log_no)


@attrs.define(slots=True)
class Samples:
    """The paired samples of one market: what we said and what its mid said at the same moments."""

    model: Tally = attrs.Factory(Tally)
    market: Tally = attrs.Factory(Tally)

    def add(self, p: float, mid: float) -> None:
        self.model.add(p)
        self.market.add(mid)


@attrs.frozen(slots=True)
class Score:
    """Mean Brier score and log loss of model and market over `n` paired samples of `markets` settled markets; None where n is 0."""

    n: int = 0
    markets: int = 0
    model: float | None = None
    market: float | None = None
    model_log_loss: float | None = None
    market_log_loss: float | None = None


@attrs.define(slots=True)
class Scoreboard:
    """The settled samples of one domain."""

    _n: int = 0
    _markets: int = 0
    _sums: list[float] = attrs.Factory(lambda: [0.0, 0.0, 0.0, 0.0])

    def settle(self, samples: Samples, outcome: float) -> Score:
        """Count a market's samples against what one YES contract paid, in [0, 1]; the market's own score. ValueError outside [0, 1]."""
        if not 0.0 <= outcome <= 1.0:
            raise ValueError(f"a contract pays between 0 and 1 dollar, not {outcome}")
        sums = [
            samples.model.brier(outcome),
            samples.market.brier(outcome),
            samples.model.log_loss(outcome),
            samples.market.log_loss(outcome),
        ]
        if samples.model.n:
            self._n += samples.model.n
            self._markets += 1
            self._sums = [total + part for total, part in zip(self._sums, sums, strict=True)]
        return _mean(samples.model.n, 1, sums)

    @property
    def score(self) -> Score:
        """The means over everything settled so far."""
        return _mean(self._n, self._markets, self._sums)


def _mean(n: int, markets: int, sums: list[float]) -> Score:
    return Score(n, markets, *(total / n for total in sums)) if n else Score()
