"""What a fill is worth given that it happened, and the edge a resting order must therefore ask.

A maker is filled by two kinds of taker: the uninformed, at a rate that falls with depth, and the informed, who come when the price has
moved through the order. So the probability that counts is not p but p given the fill, `p_cond`; the difference is the order's penalty.
The required edge is a sum of four terms, each counted once. Pure: values in, values out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from types import MappingProxyType
from typing import TypeGuard

import attrs

from chimera.conventions import ONE, Price, Side, cents, complement, probability
from chimera.trading.reasons import Reason


def _positive(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise ValueError(f"{attribute.name} must be a positive number, not {value!r}")


def _not_negative(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not (math.isfinite(value) and value >= 0.0):
        raise ValueError(f"{attribute.name} must be zero or more, not {value!r}")


@attrs.frozen(slots=True)
class FlowPrior:
    """Who is expected to trade with us, per reaction window.

    `uninformed` is the expected number of uninformed takers at the best price (m at depth 0), `depth_scale` the cents of depth over which
    that falls by a factor e, `informed` the number of informed takers who come if the price has moved through our order (nu).
    Only the ratio of the two rates matters to p_cond. `provenance` says where the numbers are from.
    """

    uninformed: float = attrs.field(validator=_positive)
    depth_scale: float = attrs.field(validator=_positive)
    informed: float = attrs.field(validator=_not_negative)
    provenance: str

    def arrivals(self, depth: float) -> float:
        """m: expected uninformed fills at `depth` cents behind the best price; the same for every depth of zero or less."""
        return self.uninformed * math.exp(-max(0.0, depth) / self.depth_scale)


_JUDGEMENT = (
    "starting judgement, not a fit: one informed taker for each move through the quote; the uninformed share at the touch is 0.5 to 0.8, "
    "the range of 1 - PIN in Easley, Kiefer, O'Hara and Paperman (1996). Markouts by domain are to replace it"
)
FLOW_PRIORS: Mapping[str, FlowPrior] = MappingProxyType(
    {
        "nba": FlowPrior(uninformed=1.0, depth_scale=2.5, informed=1.0, provenance=_JUDGEMENT),
        "nhl": FlowPrior(uninformed=0.8, depth_scale=2.5, informed=1.0, provenance=_JUDGEMENT),
        "crypto": FlowPrior(uninformed=0.6, depth_scale=2.0, informed=1.0, provenance=_JUDGEMENT),
        "weather": FlowPrior(uninformed=1.5, depth_scale=3.0, informed=1.0, provenance=_JUDGEMENT),
    }
)


@attrs.frozen(slots=True)
class Edge:
    """One side's required edge as a waterfall of four terms (cents), the anchor it is taken from and why the side was not quoted.

    `anchor` is a probability: at most p_true for a bid, at least p_true for an ask. `p_cond` is p given a fill at the price in question.
    `reason` is None where the side is quoted.
    """

    base: float = 0.0
    state: float = 0.0
    fee: float = 0.0
    penalty: float = 0.0
    anchor: float = 0.5
    p_cond: float = 0.5
    reason: Reason | None = None

    @property
    def total(self) -> float:
        """The required edge, cents."""
        return self.base + self.state + self.fee + self.penalty

    @property
    def spent(self) -> float:
        """What the order must keep to be worth having at all: everything but the base edge, which is the slack a resting order has."""
        return self.state + self.fee + self.penalty

    def terms(self) -> dict[str, float]:
        """The waterfall by name, for the journal and the console: cents, but for `anchor` and `p_cond`, which are probabilities."""
        return {
            "base": self.base,
            "state": self.state,
            "fee": self.fee,
            "penalty": self.penalty,
            "total": self.total,
            "anchor": self.anchor,
            "p_cond": self.p_cond,
        }


class Adverse:
    """Adverse selection on one side of one market: p_cond at any price.

        p_cond(b) = (m(b) p + nu Pr[p'<b] E[p' | p'<b]) / (m(b) + nu Pr[p'<b])

    for a bid at b, with p' drawn from `reaction`, (p', weight) pairs whose weights sum to 1; an ask is the same bid on the other leg.
    Depth is counted from `best`, the best price on our side of the book, or from p where p is better: a thin book makes nobody bolder.

    The formula alone would let a deeper order look better wherever two jumps lie far apart. p_cond here is the worst over the order's own
    price and every better one, so it never improves with depth. Between two values of p' the formula falls with depth, so its infimum
    over better prices is reached just beyond one of those values: the search over prices is exact and free of any grid.
    """

    __slots__ = ("_mass", "_p", "_points", "_prior", "_product", "_top", "_worst", "p_true", "side")

    def __init__(
        self, side: Side, p: float, reaction: Sequence[tuple[float, float]], prior: FlowPrior, best: Price | None = None
    ) -> None:
        self.side = side
        self.p_true = p
        self._prior = prior
        self._p = self._leg(p)
        self._top = 100.0 * self._p
        if self.deepens(best):
            self._top = 100.0 * self._leg(probability(best))
        leg = sorted(reaction) if side is Side.BID else sorted((1.0 - point, weight) for point, weight in reaction)
        self._points = [point for point, _ in leg]
        self._mass = [0.0, *accumulate(weight for _, weight in leg)]
        self._product = [0.0, *accumulate(point * weight for point, weight in leg)]
        self._worst = self._running_worst()

    def deepens(self, best: Price | None) -> TypeGuard[Price]:
        """Whether a best price on our side beats p, so that depth is counted from it."""
        return best is not None and self._leg(probability(best)) > self._p

    def _leg(self, p: float) -> float:
        return p if self.side is Side.BID else 1.0 - p

    def _running_worst(self) -> list[float]:
        """By index: the worst p_cond over prices just beyond this value of p' and every higher one up to p, and no better than p.

        Beyond p a higher price only adds values of p' above p and uninformed takers, so none there is worse than the one at p; and a
        fill is never taken for good news.
        """
        worst = [self._p] * (len(self._points) + 1)
        for index in range(bisect_left(self._points, self._p) - 1, -1, -1):
            worst[index] = min(worst[index + 1], self._formula(self._points[index], index + 1))
        return worst

    def _formula(self, bid: float, below: int) -> float:
        uninformed = self._prior.arrivals(self._top - 100.0 * bid)
        informed = self._prior.informed
        weight = uninformed + informed * self._mass[below]
        return (uninformed * self._p + informed * self._product[below]) / weight if weight > 0.0 else self._p

    def p_cond(self, price: Price) -> float:
        """p of YES given that our order at `price` was filled; in [0, 1], and never better for us at a deeper price."""
        bid = probability(price if self.side is Side.BID else complement(price))
        below = bisect_left(self._points, bid)
        worst = min(self._formula(bid, below), self._worst[below])
        return self._leg(min(1.0, max(0.0, worst)))


def required_edge(price: Price, adverse: Adverse, *, base: float, state: float, fee: float, anchor: float) -> Edge:
    """The edge an order at `price` must have, as its waterfall: base + state + fee + penalty, cents, each once.

    The penalty is |p_true - p_cond|: what a fill would tell against us. The age of the feed has no term of its own; it widens the
    reaction distribution, and so lives in the penalty.
    """
    p_cond = adverse.p_cond(price)
    penalty = 100.0 * abs(adverse.p_true - p_cond)
    return Edge(base=base, state=state, fee=fee, penalty=penalty, anchor=anchor, p_cond=p_cond)


def allowed(side: Side, price: Price, edge: Edge) -> bool:
    """The rule of anchored prices: a bid at most anchor - edge, an ask at least anchor + edge, strictly inside (0, ONE)."""
    if not 0 < price < ONE:
        return False
    if side is Side.BID:
        return cents(price) <= 100.0 * edge.anchor - edge.total
    return cents(price) >= 100.0 * edge.anchor + edge.total
