"""p given a fill, and the required edge."""

from __future__ import annotations

from itertools import pairwise

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import ONE, Side, complement, probability
from chimera.trading.ev import FLOW_PRIORS, Adverse, Edge, FlowPrior, allowed, required_edge

FLOW = FlowPrior(uninformed=1.0, depth_scale=2.5, informed=1.0, provenance="test")
# Dyadic probabilities, whose complements are exact, so a mirrored market can be compared bit for bit.
dyadic = st.integers(1, 1023).map(lambda n: n / 1024)


@st.composite
def reactions(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    points = draw(st.lists(dyadic, min_size=1, max_size=12, unique=True))
    raw = [draw(st.integers(1, 50)) for _ in points]
    return tuple((point, weight / sum(raw)) for point, weight in zip(points, raw, strict=True))


flows = st.builds(
    FlowPrior,
    uninformed=st.floats(0.05, 5.0),
    depth_scale=st.floats(0.5, 10.0),
    informed=st.floats(0.0, 5.0),
    provenance=st.just("test"),
)
bests = st.none() | st.integers(1, 99).map(lambda cent: cent * 100)
cent_prices = [cent * 100 for cent in range(1, 100)]


def by_the_formula(price: int, p: float, reaction: tuple[tuple[float, float], ...], flow: FlowPrior) -> float:
    """The design's formula for a bid, with depth counted from p."""
    m = flow.arrivals(100.0 * p - price / 100)
    below = [(point, weight) for point, weight in reaction if point < probability(price)]
    mass, product = sum(w for _, w in below), sum(x * w for x, w in below)
    return (m * p + flow.informed * product) / (m + flow.informed * mass)


def test_a_bid_is_worth_the_mix_of_uninformed_and_informed_fills() -> None:
    reaction = ((0.30, 0.1), (0.50, 0.8), (0.70, 0.1))
    flow = FlowPrior(uninformed=0.4, depth_scale=1e9, informed=1.0, provenance="test")
    # m = .4 whatever the depth; Pr[p' < .45] = .1 at .30, so p_cond = (.4 x .5 + .1 x .3) / .5
    assert Adverse(Side.BID, 0.5, reaction, flow).p_cond(4500) == pytest.approx(0.46)
    assert Adverse(Side.ASK, 0.5, reaction, flow).p_cond(5500) == pytest.approx(0.54)


def test_without_informed_takers_a_fill_tells_nothing() -> None:
    flow = attrs.evolve(FLOW, informed=0.0)
    assert Adverse(Side.BID, 0.5, ((0.1, 0.5), (0.9, 0.5)), flow).p_cond(3000) == pytest.approx(0.5)


def test_a_fill_is_never_good_news() -> None:
    assert Adverse(Side.BID, 0.5, ((0.5, 0.5), (0.6, 0.5)), FLOW).p_cond(7000) == 0.5


def test_a_deep_order_behind_a_jump_is_worth_less_not_more() -> None:
    """The formula alone would forgive a bid at 40 the small move to 48, and call it better than one at 49."""
    reaction = ((0.48, 0.5), (0.5, 0.2), (0.52, 0.3))
    flow = FlowPrior(uninformed=0.5, depth_scale=1e9, informed=1.0, provenance="test")
    adverse = Adverse(Side.BID, 0.5, reaction, flow)
    assert by_the_formula(4000, 0.5, reaction, flow) == 0.5
    assert adverse.p_cond(4900) == pytest.approx(0.49)
    assert adverse.p_cond(4000) == pytest.approx(0.49)


@settings(max_examples=100, deadline=None)
@given(p=dyadic, reaction=reactions(), flow=flows)
def test_p_cond_is_the_formula_made_monotone_over_better_prices(
    p: float, reaction: tuple[tuple[float, float], ...], flow: FlowPrior
) -> None:
    adverse = Adverse(Side.BID, p, reaction, flow)
    worst = 1.0
    for price in range(int(p * ONE), 0, -7):
        worst = min(worst, by_the_formula(price, p, reaction, flow))
        assert adverse.p_cond(price) <= worst + 1e-12


@settings(max_examples=100, deadline=None)
@given(p=dyadic, reaction=reactions(), flow=flows, best=bests, side=st.sampled_from(Side))
def test_p_cond_stays_a_probability_and_never_improves_with_depth(
    p: float, reaction: tuple[tuple[float, float], ...], flow: FlowPrior, best: int | None, side: Side
) -> None:
    adverse = Adverse(side, p, reaction, flow, best)
    conditional = [adverse.p_cond(price) for price in cent_prices]
    assert all(0.0 <= p_cond <= 1.0 for p_cond in conditional)
    # In price order both sides rise: a lower bid is deeper and worth less, a higher ask is deeper and costs more.
    assert all(lower <= higher + 1e-12 for lower, higher in pairwise(conditional))


@settings(max_examples=100, deadline=None)
@given(p=dyadic, reaction=reactions(), flow=flows, best=bests, price=st.sampled_from(cent_prices))
def test_an_ask_is_the_bid_of_the_other_leg(
    p: float, reaction: tuple[tuple[float, float], ...], flow: FlowPrior, best: int | None, price: int
) -> None:
    ask = Adverse(Side.ASK, p, reaction, flow, best)
    mirrored = tuple((1.0 - point, weight) for point, weight in reaction)
    bid = Adverse(Side.BID, 1.0 - p, mirrored, flow, None if best is None else complement(best))
    assert ask.p_cond(price) == pytest.approx(1.0 - bid.p_cond(complement(price)), abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(p=dyadic, reaction=reactions(), best=bests, price=st.sampled_from(cent_prices))
def test_the_book_never_makes_a_fill_look_better(p: float, reaction: tuple[tuple[float, float], ...], best: int | None, price: int) -> None:
    alone, beside = Adverse(Side.BID, p, reaction, FLOW), Adverse(Side.BID, p, reaction, FLOW, best)
    assert beside.p_cond(price) <= alone.p_cond(price) + 1e-12


def test_depth_counts_from_the_best_price_where_that_beats_p() -> None:
    reaction = ((0.4, 0.1), (0.5, 0.8), (0.6, 0.1))
    alone, behind = Adverse(Side.BID, 0.5, reaction, FLOW), Adverse(Side.BID, 0.5, reaction, FLOW, best=5500)
    m = FLOW.arrivals(7.0)
    assert behind.p_cond(4800) == pytest.approx((m * 0.5 + 0.1 * 0.4) / (m + 0.1))
    assert behind.p_cond(4800) < alone.p_cond(4800)
    assert Adverse(Side.BID, 0.5, reaction, FLOW, best=3000).p_cond(4800) == alone.p_cond(4800)


def test_the_uninformed_come_less_the_deeper_an_order_lies() -> None:
    assert FLOW.arrivals(-3.0) == FLOW.arrivals(0.0) == 1.0
    assert FLOW.arrivals(2.5) == pytest.approx(0.36788, abs=1e-5)


@pytest.mark.parametrize("field", ["uninformed", "depth_scale"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_flow_prior_that_could_divide_by_nothing_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        attrs.evolve(FLOW, **{field: value})


def test_every_prior_says_where_it_is_from() -> None:
    assert all(prior.provenance for prior in FLOW_PRIORS.values())


def test_the_required_edge_is_the_sum_of_its_terms_each_once() -> None:
    adverse = Adverse(Side.BID, 0.5, ((0.3, 0.1), (0.5, 0.8), (0.7, 0.1)), attrs.evolve(FLOW, uninformed=0.4, depth_scale=1e9))
    edge = required_edge(4500, adverse, base=1.5, state=0.75, fee=0.25, anchor=0.5)
    assert (edge.base, edge.state, edge.fee) == (1.5, 0.75, 0.25)
    assert edge.penalty == pytest.approx(4.0)
    assert edge.total == pytest.approx(6.5)
    assert edge.spent == pytest.approx(5.0)
    assert edge.terms()["total"] == edge.total


@pytest.mark.parametrize(
    ("side", "price", "fine"),
    [
        (Side.BID, 4800, True),
        (Side.BID, 4801, False),
        (Side.ASK, 5200, True),
        (Side.ASK, 5199, False),
        (Side.BID, 0, False),
        (Side.ASK, ONE, False),
    ],
)
def test_a_price_is_allowed_from_its_edge_outward(side: Side, price: int, fine: bool) -> None:
    assert allowed(side, price, Edge(base=2.0, anchor=0.5)) is fine
