"""The NBA model's parameters fitted to recorded games: what `--leave-one-out` refits, season by season. Needs the extra `audit`.

The form and the places of the knots stay; the values are those of highest posterior. The likelihood is that of the results (probit); the
prior says two things known without these games: spreads change smoothly with time, and leads revert as a study of the 1,231 games of
2025-26 found. Without it some 400 games, each one coin, are too few for eighteen numbers: Brier .1605 instead of .1600 on seasons left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

import attrs
import numpy as np
import numpy.typing as npt

from chimera.audit.nba_score import Event
from chimera.models.nba import PARAMS, REGULATION_S, Knots, NbaParams, probit
from chimera.models.value import FLOOR

Floats: TypeAlias = npt.NDArray[np.float64]

SD_AT: Final = np.array([0.0, 4.0, 12.0, 30.0, 60.0, 120.0, 300.0, 720.0, 1440.0, 2160.0, 2880.0])
REVERSION_AT: Final = np.array([0.0, 120.0, 720.0, 1440.0, 2160.0])
REVERSION_PRIOR: Final = np.array([0.0, 0.05, 0.13, 0.17, 0.24])
"""2025-26, all teams: .24, .17, .13 after each quarter and .09 five minutes before the end; towards 0 at it."""
REVERSION_WEIGHT: Final = 1.0
SMOOTHNESS: Final = 0.01
"""Weights against the mean log loss; of five pairs tried, any scored within .0002 in Brier."""
_START_SD: Final = np.array([1.0, 1.4, 1.8, 2.3, 2.8, 3.6, 5.4, 8.7, 12.6, 14.8, 16.0])
_STEPS: Final = 30
_ENOUGH, _LEAST = 1e-7, 0.05
_SDS, _REVERSIONS = len(SD_AT), len(REVERSION_AT)
_TABLE: Final = np.linspace(-8.0, 8.0, 16_001)
_PHI: Final = np.array([0.5 * math.erfc(-z * math.sqrt(0.5)) for z in _TABLE])


@attrs.frozen(slots=True, eq=False)
class _Columns:
    """The events as arrays. `sd` and `reversion` are each row's weights on the knots; `late` is how much of the ball still counts."""

    lead: Floats
    q0: Floats
    left: Floats
    ball: Floats
    pending: Floats
    won: Floats
    sd: Floats
    reversion: Floats

    @classmethod
    def of(cls, events: Sequence[Event], params: NbaParams) -> _Columns:
        t = np.array([event.seconds_left for event in events])
        reverts = np.array([0.0 if e.overtime else params.reversion_share.get(e.season_type, 1.0) for e in events])
        return cls(
            lead=np.array([float(event.home_lead) for event in events]),
            q0=np.array([probit(event.p0) for event in events]),
            left=t / REGULATION_S,
            ball=np.array([event.possession for event in events]) * np.minimum(1.0, 0.15 + t / 3.0),
            pending=np.array([float(event.pending_ft) for event in events]),
            won=np.array([float(event.won) for event in events]),
            sd=_weights(np.log(t + 2.0), np.log(SD_AT + 2.0)),
            reversion=_weights(np.sqrt(t), np.sqrt(REVERSION_AT)) * reverts[:, None],
        )


def fit(events: Sequence[Event], params: NbaParams = PARAMS) -> NbaParams:
    """`params` with spreads, drift, reversion, ball and free throws fitted to `events` (at least some hundred games). Deterministic."""
    columns = _Columns.of(events, params)
    theta = np.concatenate([np.log(_START_SD), REVERSION_PRIOR, [0.5, 0.65]])
    loss, gradient, curvature = _posterior(theta, columns)
    for _ in range(_STEPS):
        step = np.linalg.solve(curvature, gradient)
        share = 1.0
        while (new := _posterior(theta - share * step, columns))[0] > loss and share > _LEAST:
            share *= 0.5
        if loss - new[0] < _ENOUGH:
            break
        theta = theta - share * step
        loss, gradient, curvature = new
    return _as_params(theta, params)


def _as_params(theta: Floats, params: NbaParams) -> NbaParams:
    sd = np.exp(theta[:_SDS]).tolist()
    reversion = theta[_SDS : _SDS + _REVERSIONS].tolist()
    return attrs.evolve(
        params,
        drift=sd[-1],  # so that the price at the tip is the prior
        sd=Knots(list(zip(SD_AT.tolist(), sd, strict=True)), "log"),
        reversion=Knots(list(zip(REVERSION_AT.tolist(), reversion, strict=True)), "sqrt"),
        possession_pts=float(theta[-2]),
        free_throw_pts=float(theta[-1]),
    )


def _posterior(theta: Floats, rows: _Columns) -> tuple[float, Floats, Floats]:
    """Mean log loss plus penalties, its gradient, and the expected curvature (Fisher's)."""
    z, slope = _scores(theta, rows)
    p = np.clip(np.interp(z, _TABLE, _PHI), FLOOR, 1.0 - FLOOR)
    told = (p > FLOOR) & (p < 1.0 - FLOOR)
    density = np.where(told, np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi), 0.0)
    n, weight = len(z), density / (p * (1.0 - p))
    loss = -float(np.mean(np.where(rows.won > 0.5, np.log(p), np.log(1.0 - p))))
    gradient = slope.T @ (weight * (p - rows.won)) / n
    curvature = (slope * (weight * density)[:, None]).T @ slope / n
    for pull, target, strength in _PENALTIES:
        off = pull @ theta - target
        loss += strength * float(off @ off)
        gradient = gradient + 2.0 * strength * pull.T @ off
        curvature = curvature + 2.0 * strength * pull.T @ pull
    return loss, gradient, curvature


def _scores(theta: Floats, rows: _Columns) -> tuple[Floats, Floats]:
    """z of each row, as the model has it, and dz/dtheta."""
    knots = np.exp(theta[:_SDS])
    drift = float(knots[-1])
    sd = rows.sd @ knots
    share = rows.reversion @ theta[_SDS : _SDS + _REVERSIONS]
    expected = rows.q0 * (1.0 - rows.left)
    mean = rows.lead + drift * rows.q0 * rows.left - share * (rows.lead - drift * expected)
    z = (mean + theta[-2] * rows.ball + theta[-1] * rows.pending) / sd
    slope = np.empty((len(z), len(theta)))
    slope[:, :_SDS] = -(z / sd)[:, None] * rows.sd * knots
    slope[:, _SDS - 1] += drift * (rows.q0 * rows.left + share * expected) / sd
    slope[:, _SDS : _SDS + _REVERSIONS] = -rows.reversion * ((rows.lead - drift * expected) / sd)[:, None]
    slope[:, -2], slope[:, -1] = rows.ball / sd, rows.pending / sd
    return z, slope


def _weights(x: Floats, knots: Floats) -> Floats:
    """Each x as weights on the knots on either side of it: straight between them, constant outside."""
    at = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    part = np.clip((x - knots[at]) / (knots[at + 1] - knots[at]), 0.0, 1.0)
    weights = np.zeros((len(x), len(knots)))
    rows = np.arange(len(x))
    weights[rows, at] = 1.0 - part
    weights[rows, at + 1] += part
    return weights


def _penalties() -> tuple[tuple[Floats, Floats, float], ...]:
    """(matrix, target, weight): each pulls matrix @ theta to its target."""
    size = _SDS + _REVERSIONS + 2
    at = np.log(SD_AT + 2.0)
    rise = np.diff(np.eye(_SDS), axis=0) / np.diff(at)[:, None]
    smooth = np.zeros((_SDS - 2, size))
    smooth[:, :_SDS] = np.diff(rise, axis=0)
    reverts = np.zeros((_REVERSIONS, size))
    reverts[:, _SDS : _SDS + _REVERSIONS] = np.eye(_REVERSIONS)
    return (smooth, np.zeros(_SDS - 2), SMOOTHNESS), (reverts, REVERSION_PRIOR, REVERSION_WEIGHT)


_PENALTIES: Final = _penalties()
