"""Which two prices to rest, if any: from p_true, its distribution over our reaction time, and the visible book.

Anchored prices: a bid is never above 100 min(p_model, p_pooled) - required edge, an ask never below 100 max(p_model, p_pooled) + required
edge, on the market's grid. The book enters by pooling, by depth and by the rule that nothing crosses, and each of these can only make a
quote less aggressive than the model alone would. Every market that is not quoted has a reason. Pure: values in, values out.
"""

from __future__ import annotations

import math
from fractions import Fraction

import attrs

from chimera.conventions import CENT, CONTRACT, Count, Money, Price, Side, cents, complement, probability
from chimera.fees import fee_rate, maker_fee_cents
from chimera.markets import FeeTerms, PriceGrid
from chimera.models.blend import ALONE, PoolPrior, Weights, anchor, pool
from chimera.trading.ev import Adverse, Edge, FlowPrior, allowed, required_edge
from chimera.trading.reasons import Reason

CERTAIN = 0.01
"""A probability this near to 0 or 1 is not quoted: what is left to earn is less than what the model may be wrong by."""
WIDEST_CENTS = 25.0
"""A side whose required edge before fees passes this is not quoted; an order so deep is only ever filled by a jump."""
_FREE = Fraction(0)
FINAL = "final"
"""The phase after which nothing is quoted."""


@attrs.frozen(slots=True)
class Belief:
    """What the oracle holds of one market: p_true, its distribution over our reaction time as (p', weight) with weights summing to 1, the
    standard deviation of p over the next second, the edge the state of play asks for (cents), the phase's value and the feed's age (s)."""

    p_true: float
    reaction: tuple[tuple[float, float], ...]
    sd_1s: float
    state_edge: float
    phase: str
    age: float


@attrs.frozen(slots=True)
class Top:
    """The visible book without our own orders: its best prices, None where a side is empty."""

    bid: Price | None = None
    ask: Price | None = None

    @property
    def mid(self) -> float | None:
        """The mid as a probability; None where a side is empty or the two are crossed: then there is no market price."""
        if self.bid is None or self.ask is None or self.bid >= self.ask:
            return None
        return (probability(self.bid) + probability(self.ask)) / 2.0

    @property
    def spread(self) -> float:
        """Cents between the sides; infinite where one is empty."""
        return math.inf if self.bid is None or self.ask is None else cents(self.ask - self.bid)

    def best(self, side: Side) -> Price | None:
        return self.bid if side is Side.BID else self.ask


EMPTY = Top()


@attrs.frozen(slots=True)
class Rules:
    """How one market is quoted.

    `base_edge` and `max_disagreement` in cents; `size` is the count of every order; `bankroll` (1e-6 $) is what Kelly's fraction is taken
    of; `disagreement_polls` in a row beyond `max_disagreement` halt the market.
    """

    grid: PriceGrid
    fee: FeeTerms
    flow: FlowPrior
    pool: PoolPrior
    base_edge: float = attrs.field(validator=attrs.validators.gt(0.0))
    max_disagreement: float
    disagreement_polls: int
    kelly_fraction: float
    bankroll: Money
    size: Count = attrs.field(validator=attrs.validators.gt(0))


@attrs.frozen(slots=True)
class Waterfall:
    """Why a market is quoted as it is: each side's required edge by term, what the model said and what the market said.

    `p_pooled` is p_model where there is no market price; `mid` (a probability, our own orders removed) is then None.
    """

    bid: Edge
    ask: Edge
    p_model: float
    p_pooled: float
    mid: float | None = None
    weights: Weights = ALONE

    @classmethod
    def refused(cls, reason: Reason, p_model: float = 0.5, mid: float | None = None) -> Waterfall:
        """Neither side is quoted, for one reason, before any price was looked for."""
        edge = Edge(anchor=p_model, p_cond=p_model, reason=reason)
        return cls(bid=edge, ask=edge, p_model=p_model, p_pooled=p_model, mid=mid)

    def side(self, side: Side) -> Edge:
        """The waterfall of one side."""
        return self.bid if side is Side.BID else self.ask

    def reason(self, side: Side) -> Reason | None:
        """What stopped a side; None where it is quoted."""
        return self.side(side).reason

    def terms(self, side: Side) -> dict[str, float]:
        """One side's terms by name, with what the model and the market said: for a Decision's `waterfall`."""
        said = {"p_model": self.p_model, "p_pooled": self.p_pooled, "w_market": self.weights.market}
        if self.mid is not None:
            said["mid"] = self.mid
        return self.side(side).terms() | said


@attrs.frozen(slots=True)
class QuoteDecision:
    """The quote wanted: a price by side or None, the count of each order (0 where neither side is quoted), the band [lowest, highest] of
    p_true in which what is quoted keeps all of its edge but the base, and why."""

    bid: Price | None
    ask: Price | None
    size: Count
    keep: tuple[float, float]
    why: Waterfall

    @classmethod
    def none(cls, why: Waterfall) -> QuoteDecision:
        """Nothing is to rest."""
        return cls(bid=None, ask=None, size=0, keep=(0.0, 1.0), why=why)


def disagrees(p_true: float, mid: float | None, max_disagreement: float) -> bool:
    """Whether p_true and the mid lie further apart than `max_disagreement` cents."""
    return mid is not None and 100.0 * abs(p_true - mid) > max_disagreement


def quote(belief: Belief, top: Top, rules: Rules, *, disagreeing: int = 0, at: float = math.inf) -> QuoteDecision:
    """The best quote that the rules allow. `disagreeing` counts the polls in a row that disagreed with the market; `at` is for fee waivers.

    Only the shape of the belief is believed: NaN or a probability outside [0, 1] is a ValueError.
    """
    if not 0.0 <= belief.p_true <= 1.0:
        raise ValueError(f"p_true {belief.p_true!r} is not a probability")
    mid = top.mid
    refusal = _refusal(belief, rules, disagreeing)
    if refusal is not None:
        return QuoteDecision.none(Waterfall.refused(refusal, belief.p_true, mid))
    p_pooled, weights = pool(belief.p_true, mid, top.spread, prior=rules.pool, phase=belief.phase, age=belief.age)
    desk = _Desk(belief, rules, at)
    alone = {side: desk.search(side, belief.p_true, EMPTY) for side in Side}
    edges = [edge.total for _, edge in alone.values() if edge.reason is None]
    volatile = bool(edges) and 200.0 * belief.sd_1s > min(edges)
    sides: dict[Side, tuple[Price | None, Edge]] = {}
    for side in Side:
        if alone[side][1].reason is not None:
            sides[side] = alone[side]
        elif volatile:
            sides[side] = (None, attrs.evolve(alone[side][1], reason=Reason.TOO_VOLATILE))
        else:
            sides[side] = desk.sized(side, *desk.search(side, anchor(side, belief.p_true, p_pooled), top))
    (bid, bid_edge), (ask, ask_edge) = sides[Side.BID], sides[Side.ASK]
    why = Waterfall(bid_edge, ask_edge, belief.p_true, p_pooled, mid, weights)
    if bid is None and ask is None:
        return QuoteDecision.none(why)
    return QuoteDecision(bid, ask, rules.size, _keep(bid, bid_edge, ask, ask_edge), why)


def _refusal(belief: Belief, rules: Rules, disagreeing: int) -> Reason | None:
    """What forbids a market before any price is looked for; the first that holds."""
    if belief.phase == FINAL or not CERTAIN < belief.p_true < 1.0 - CERTAIN:
        return Reason.FAIR_FINAL
    if fee_rate(rules.fee, is_taker=False) is None:
        return Reason.FEE_UNKNOWN
    if disagreeing >= rules.disagreement_polls:
        return Reason.DISAGREEMENT
    return None


def _keep(bid: Price | None, bid_edge: Edge, ask: Price | None, ask_edge: Edge) -> tuple[float, float]:
    """The band of p_true in which each quoted side still has its state, fee and penalty: only the base edge is slack."""
    lowest = 0.0 if bid is None else (cents(bid) + bid_edge.spent) / 100.0
    highest = 1.0 if ask is None else (cents(ask) - ask_edge.spent) / 100.0
    return lowest, highest


class _Desk:
    """One belief and one set of rules, priced at several anchors."""

    def __init__(self, belief: Belief, rules: Rules, at: float) -> None:
        self._belief = belief
        self._rules = rules
        self._rate = fee_rate(rules.fee, is_taker=False, at=at) or _FREE
        self._state = max(0.0, belief.state_edge)
        self._alone = {side: self._adverse(side, None) for side in Side}

    def _adverse(self, side: Side, best: Price | None) -> Adverse:
        return Adverse(side, self._belief.p_true, self._belief.reaction, self._rules.flow, best)

    def search(self, side: Side, anchored: float, top: Top) -> tuple[Price | None, Edge]:
        """The most aggressive grid price that `anchored` allows and that crosses nothing, and its edge; or None and why.

        The search starts where base and state alone would be met. Base, state and penalty never shrink with depth, so where a price
        fails, every price that does not clear those three terms fails too and is skipped.
        """
        alone, best = self._alone[side], top.best(side)
        adverse = self._adverse(side, best) if alone.deepens(best) else alone
        edge = Edge(base=self._rules.base_edge, state=self._state, anchor=anchored, p_cond=self._belief.p_true)
        across = top.best(side.other)
        price = self._reach(side, edge, None if across is None else across - side.sign)
        if price is None:
            crossing = self._reach(side, edge, None) is not None
            return None, attrs.evolve(edge, reason=Reason.WOULD_CROSS if crossing else Reason.NO_EDGE)
        while price is not None:
            edge = self._edge(adverse, price, anchored)
            if edge.total - edge.fee > WIDEST_CENTS:
                break
            if allowed(side, price, edge):
                return price, edge
            price = self._reach(side, edge, price - side.sign)
        return None, attrs.evolve(edge, reason=Reason.NO_EDGE)

    def _edge(self, adverse: Adverse, price: Price, anchored: float) -> Edge:
        fee = maker_fee_cents(price, self._rate, count=self._rules.size)
        return required_edge(price, adverse, base=self._rules.base_edge, state=self._state, fee=fee, anchor=anchored)

    def _reach(self, side: Side, edge: Edge, limit: Price | None) -> Price | None:
        """The grid price nearest to the other side that `limit` and the edge without its fee leave; None where the grid ends first."""
        needed = edge.base + edge.state + edge.penalty
        if side is Side.BID:
            highest = math.floor(CENT * (100.0 * edge.anchor - needed))
            return self._rules.grid.floor(highest if limit is None else min(highest, limit))
        lowest = math.ceil(CENT * (100.0 * edge.anchor + needed))
        return self._rules.grid.ceil(lowest if limit is None else max(lowest, limit))

    def sized(self, side: Side, price: Price | None, edge: Edge) -> tuple[Price | None, Edge]:
        """Refuse a price at which Kelly's fraction, on p given the fill, is less than one order. Every order is exactly `size`."""
        if price is None or kelly_count(side, price, edge, self._rules) >= self._rules.size:
            return price, edge
        return None, attrs.evolve(edge, reason=Reason.NO_SIZE)


def kelly_count(side: Side, price: Price, edge: Edge, rules: Rules) -> Count:
    """What fractional Kelly would hold of the leg an order buys: fraction x bankroll x (q - c) / (1 - c) at c a contract, rounded down.

    q is p_cond on that leg and c its price and fee. Source: Kelly (1956) for a binary bet at odds (1 - c) to c.
    """
    q = edge.p_cond if side is Side.BID else 1.0 - edge.p_cond
    leg = price if side is Side.BID else complement(price)
    paid = probability(leg) + edge.fee / 100.0
    if q <= paid or paid >= 1.0:
        return 0
    stake = rules.kelly_fraction * (q - paid) / (1.0 - paid) * rules.bankroll
    return math.floor(stake / leg / CONTRACT) * CONTRACT
