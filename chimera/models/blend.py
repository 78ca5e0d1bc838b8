"""Pooling the model with the market, in log-odds.

The market knows things the model does not, more of them the older our feed is and the tighter its spread. The pooled probability can only
make a quote less aggressive: a bid is anchored at the lower of model and pool, an ask at the higher. Pregame odds are inside the model
already and are never a third member here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from chimera.conventions import Side

TIGHT_CENTS = 3.0
"""Spread (cents) up to which the market counts at the full weight of its schedule."""
NOISE_CENTS2 = 1.0
"""Variance (cents squared) of a mid beyond its spread: one cent of microstructure noise."""
CLAMP = 1e-6
"""Probabilities are kept this far from 0 and 1 before their log-odds are taken."""


@attrs.frozen(slots=True)
class PoolPrior:
    """How much the market counts: by phase, while the feed is fresh and the spread tight; and `tau`, the seconds in which a silent feed
    loses a factor e of the model's weight. A phase that is not in the schedule counts as `live`. `provenance` says where it is from."""

    market: Mapping[str, float]
    tau: float
    provenance: str


def _schedule(pregame: float, live: float, late: float) -> Mapping[str, float]:
    return MappingProxyType({"pregame": pregame, "live": live, "break": live, "endgame": late, "overtime": late})


_SPORTS = "starting judgement: market .7 at the tip, .5 at half time, .3 in the last five minutes; tau as late in the game"
_WEATHER = "KXHIGHNY, December 2025: the mid beat the model over 18 event-days, so the model starts at .3"
POOL_PRIORS: Mapping[str, PoolPrior] = MappingProxyType(
    {
        "nba": PoolPrior(_schedule(0.7, 0.5, 0.3), 8.0, _SPORTS),
        "nhl": PoolPrior(_schedule(0.7, 0.5, 0.3), 15.0, _SPORTS),
        "crypto": PoolPrior(_schedule(0.7, 0.5, 0.5), 2.0, "starting judgement: equal weights; spot is stale within seconds"),
        "weather": PoolPrior(_schedule(0.7, 0.7, 0.7), 1800.0, _WEATHER),
    }
)


@attrs.frozen(slots=True)
class Weights:
    """The share of each member in the pooled log-odds; they sum to 1."""

    model: float
    market: float


ALONE = Weights(model=1.0, market=0.0)


def weights(prior: PoolPrior, phase: str, age: float, spread_cents: float) -> Weights:
    """The members' weights for a phase (its value, such as "live"), a feed `age` seconds old and a market `spread_cents` wide.

    A spread beyond `TIGHT_CENTS` shrinks the market's odds of being right in proportion to its variance, (spread/2)^2 + noise; age then
    shrinks the model's weight by exp(-age/tau), so an old feed follows the market whatever the spread.
    """
    scheduled = prior.market.get(phase, prior.market["live"])
    market = scheduled * min(1.0, _variance(TIGHT_CENTS) / _variance(spread_cents))
    model = (1.0 - scheduled) / (market + 1.0 - scheduled) * math.exp(-max(0.0, age) / prior.tau)
    return Weights(model=model, market=1.0 - model)


def _variance(spread_cents: float) -> float:
    return (spread_cents / 2.0) ** 2 + NOISE_CENTS2


def logit(p: float) -> float:
    """Log-odds of p, with p kept `CLAMP` away from 0 and 1."""
    kept = min(1.0 - CLAMP, max(CLAMP, p))
    return math.log(kept / (1.0 - kept))


def pool(
    p_model: float, mid: float | None, spread_cents: float, *, prior: PoolPrior, phase: str, age: float
) -> tuple[float, Weights]:
    """(p_pooled, weights): logit p = w_model logit p_model + w_market logit mid. Without a mid the model stands alone, unchanged."""
    if mid is None:
        return p_model, ALONE
    shares = weights(prior, phase, age, spread_cents)
    odds = shares.model * logit(p_model) + shares.market * logit(mid)
    return 1.0 / (1.0 + math.exp(-odds)), shares


def anchor(side: Side, p_model: float, p_pooled: float) -> float:
    """The probability a side is priced from: the lower of model and pool for a bid, the higher for an ask."""
    return min(p_model, p_pooled) if side is Side.BID else max(p_model, p_pooled)
