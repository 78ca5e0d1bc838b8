"""Which prices may rest. The rule of anchored prices is held for any belief and any book."""

from __future__ import annotations

from fractions import Fraction

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import ONE, Side, cents, complement
from chimera.fees import expected_maker_fee_cents
from chimera.markets import CENT_GRID, FeeTerms, PriceGrid
from chimera.models.blend import POOL_PRIORS
from chimera.trading.ev import FLOW_PRIORS, Adverse, Edge, allowed, required_edge
from chimera.trading.quotes import EMPTY, WIDEST_CENTS, Belief, Rules, Top, Waterfall, disagrees, kelly_count, quote
from chimera.trading.reasons import Reason

TAPERED = PriceGrid(((0, 1000, 10), (1000, 9000, 100), (9000, ONE, 10)))
RULES = Rules(
    grid=CENT_GRID,
    fee=FeeTerms("quadratic", Fraction(1)),
    flow=FLOW_PRIORS["nba"],
    pool=POOL_PRIORS["nba"],
    base_edge=2.0,
    max_disagreement=12.0,
    disagreement_polls=3,
    kelly_fraction=0.25,
    bankroll=1_000_000_000,
    size=100,
)
CALM = Belief(p_true=0.5, reaction=((0.49, 0.05), (0.5, 0.9), (0.51, 0.05)), sd_1s=0.002, state_edge=0.0, phase="live", age=1.0)

dyadic = st.integers(11, 1013).map(lambda n: n / 1024)
spots = st.integers(1, 1023).map(lambda n: n / 1024)


@st.composite
def beliefs(draw: st.DrawFn) -> Belief:
    points = draw(st.lists(spots, min_size=1, max_size=8, unique=True))
    raw = [draw(st.integers(1, 50)) for _ in points]
    return Belief(
        p_true=draw(dyadic),
        reaction=tuple((point, weight / sum(raw)) for point, weight in zip(points, raw, strict=True)),
        sd_1s=draw(st.sampled_from([0.0, 0.003, 0.01])),
        state_edge=draw(st.sampled_from([0.0, 1.5])),
        phase=draw(st.sampled_from(["pregame", "live", "endgame"])),
        age=draw(st.floats(0.0, 30.0)),
    )


side_prices = st.none() | st.integers(1, 99).map(lambda cent: cent * 100)
tops = st.builds(Top, bid=side_prices, ask=side_prices)
rules = st.builds(
    lambda grid, fee, base: attrs.evolve(RULES, grid=grid, fee=FeeTerms(fee, Fraction(1)), base_edge=base),
    st.sampled_from([CENT_GRID, TAPERED]),
    st.sampled_from(["quadratic", "quadratic_with_maker_fees"]),
    st.sampled_from([0.5, 2.0, 3.25]),
)


def mirror(belief: Belief) -> Belief:
    return attrs.evolve(
        belief, p_true=1.0 - belief.p_true, reaction=tuple((1.0 - point, weight) for point, weight in belief.reaction)
    )


class TestAnchoredPrices:
    @settings(max_examples=100, deadline=None)
    @given(belief=beliefs(), top=tops, rule=rules)
    def test_no_book_moves_a_price_past_its_anchor_and_edge(self, belief: Belief, top: Top, rule: Rules) -> None:
        made = quote(belief, top, rule)
        why = made.why
        if made.bid is not None:
            assert cents(made.bid) <= 100.0 * min(why.p_model, why.p_pooled) - why.bid.total
            assert why.bid.total >= rule.base_edge + belief.state_edge
        if made.ask is not None:
            assert cents(made.ask) >= 100.0 * max(why.p_model, why.p_pooled) + why.ask.total
        if made.bid is not None and made.ask is not None:
            assert made.bid < made.ask

    @settings(max_examples=100, deadline=None)
    @given(belief=beliefs(), top=tops, rule=rules)
    def test_nothing_crosses_the_book_or_leaves_the_grid(self, belief: Belief, top: Top, rule: Rules) -> None:
        made = quote(belief, top, rule)
        for price in (made.bid, made.ask):
            assert price is None or rule.grid.valid(price)
        assert made.bid is None or top.ask is None or made.bid < top.ask
        assert made.ask is None or top.bid is None or made.ask > top.bid

    @settings(max_examples=100, deadline=None)
    @given(belief=beliefs(), top=tops, rule=rules)
    def test_the_book_makes_a_quote_less_aggressive_never_more(self, belief: Belief, top: Top, rule: Rules) -> None:
        alone, beside = quote(belief, EMPTY, rule), quote(belief, top, rule)
        if beside.bid is not None:
            assert alone.bid is not None
            assert beside.bid <= alone.bid
        if beside.ask is not None:
            assert alone.ask is not None
            assert beside.ask >= alone.ask

    @settings(max_examples=60, deadline=None)
    @given(belief=beliefs(), rule=rules, side=st.sampled_from(Side))
    def test_no_more_aggressive_price_was_allowed(self, belief: Belief, rule: Rules, side: Side) -> None:
        """The search skips prices; a walk along the whole grid must find the same one."""
        calm = attrs.evolve(belief, sd_1s=0.0)
        adverse = Adverse(side, calm.p_true, calm.reaction, rule.flow)
        fits = []
        price = rule.grid.up(0)
        while price is not None:
            fee = expected_maker_fee_cents(price, rule.fee) or 0.0
            edge = required_edge(price, adverse, base=rule.base_edge, state=calm.state_edge, fee=fee, anchor=calm.p_true)
            if allowed(side, price, edge) and edge.total - edge.fee <= WIDEST_CENTS:
                fits.append(price)
            price = rule.grid.up(price)
        made = quote(calm, EMPTY, rule)
        assert (made.bid if side is Side.BID else made.ask) == max(fits, key=lambda price: price * side.sign, default=None)

    @settings(max_examples=100, deadline=None)
    @given(belief=beliefs(), top=tops, rule=rules)
    def test_yes_and_no_are_quoted_alike(self, belief: Belief, top: Top, rule: Rules) -> None:
        flipped = Top(
            bid=None if top.ask is None else complement(top.ask), ask=None if top.bid is None else complement(top.bid)
        )
        yes, no = quote(belief, top, rule), quote(mirror(belief), flipped, rule)
        # Rounding of logarithms and fees may tip a price that lies on its limit; nothing else may differ.
        if yes.why.mid is None and rule.fee.fee_type == "quadratic":
            assert (None if yes.bid is None else complement(yes.bid)) == no.ask
            assert (None if yes.ask is None else complement(yes.ask)) == no.bid
        assert yes.why.p_pooled == pytest.approx(1.0 - no.why.p_pooled)
        assert yes.size == no.size


class TestPrices:
    def test_a_calm_even_market_is_quoted_on_both_sides_of_p(self) -> None:
        made = quote(CALM, EMPTY, RULES)
        assert (made.bid, made.ask, made.size) == (4700, 5300, 100)
        assert made.why.bid.reason is made.why.ask.reason is None
        assert made.why.mid is None
        assert made.why.p_pooled == made.why.p_model == 0.5

    def test_a_wide_book_is_not_joined_one_tick_ahead(self) -> None:
        assert quote(CALM, Top(bid=3000, ask=7000), RULES).bid == 4700

    def test_a_bid_stays_one_tick_under_an_ask_below_its_anchor(self) -> None:
        loose = attrs.evolve(RULES, max_disagreement=99.0)
        made = quote(attrs.evolve(CALM, p_true=0.6, reaction=((0.6, 1.0),)), Top(ask=4000), loose)
        assert made.bid == 3900

    def test_the_market_pulls_the_adding_anchor_and_leaves_the_other(self) -> None:
        made = quote(CALM, Top(bid=4400, ask=4600), RULES)
        assert made.why.bid.anchor == made.why.p_pooled < 0.5
        assert made.why.ask.anchor == 0.5
        assert made.bid is not None
        assert made.bid < 4700
        assert made.ask == 5300

    def test_a_crossed_book_has_no_mid(self) -> None:
        assert Top(bid=5200, ask=5100).mid is None
        assert quote(CALM, Top(bid=5200, ask=5100), RULES).why.mid is None

    def test_the_state_of_play_and_the_fee_widen_the_quote_once(self) -> None:
        charged = attrs.evolve(RULES, fee=FeeTerms("quadratic_with_maker_fees", Fraction(1)))
        made = quote(attrs.evolve(CALM, state_edge=3.0), EMPTY, charged)
        plain = quote(CALM, EMPTY, RULES)
        assert (plain.bid, made.bid) == (4700, 4400)
        assert made.why.bid.state == 3.0
        assert made.why.bid.fee == pytest.approx(0.44)

    def test_an_older_feed_reaches_the_edge_only_through_the_reaction(self) -> None:
        young, old = quote(CALM, EMPTY, RULES), quote(attrs.evolve(CALM, age=20.0), EMPTY, RULES)
        assert young == old

    def test_jumps_push_the_quote_out(self) -> None:
        jumpy = attrs.evolve(CALM, reaction=((0.3, 0.05), (0.5, 0.9), (0.7, 0.05)))
        made, calm = quote(jumpy, EMPTY, RULES), quote(CALM, EMPTY, RULES)
        assert made.why.bid.total > calm.why.bid.total
        assert made.bid is not None
        assert made.bid < 4700

    def test_a_fine_grid_is_used_to_its_last_step(self) -> None:
        low = attrs.evolve(CALM, p_true=0.0625, reaction=((0.0625, 1.0),))
        assert quote(low, EMPTY, attrs.evolve(RULES, grid=TAPERED)).bid == 420


class TestKeep:
    @settings(max_examples=100, deadline=None)
    @given(belief=beliefs(), top=tops, rule=rules)
    def test_p_lies_within_its_own_band_by_at_least_the_base_edge(self, belief: Belief, top: Top, rule: Rules) -> None:
        made = quote(belief, top, rule)
        lowest, highest = made.keep
        if made.bid is not None:
            assert 100.0 * (belief.p_true - lowest) >= rule.base_edge - 1e-9
        if made.ask is not None:
            assert 100.0 * (highest - belief.p_true) >= rule.base_edge - 1e-9

    def test_a_bid_is_spoiled_once_more_than_the_base_edge_is_gone(self) -> None:
        made = quote(attrs.evolve(CALM, state_edge=1.0), EMPTY, RULES)
        assert made.bid is not None
        assert made.keep[0] == pytest.approx((cents(made.bid) + 1.0 + made.why.bid.penalty) / 100.0)
        assert made.ask is not None
        assert made.keep[1] == pytest.approx((cents(made.ask) - 1.0 - made.why.ask.penalty) / 100.0)

    def test_a_one_sided_quote_has_an_open_end(self) -> None:
        low = attrs.evolve(CALM, p_true=0.02, reaction=((0.02, 1.0),))
        made = quote(low, EMPTY, RULES)
        assert made.bid is None
        assert made.why.bid.reason is Reason.NO_EDGE
        assert made.ask is not None
        assert made.keep == (0.0, pytest.approx((cents(made.ask) - made.why.ask.penalty) / 100.0))


class TestRefusals:
    @pytest.mark.parametrize(
        ("belief", "reason"),
        [
            (attrs.evolve(CALM, phase="final"), Reason.FAIR_FINAL),
            (attrs.evolve(CALM, p_true=0.99), Reason.FAIR_FINAL),
            (attrs.evolve(CALM, p_true=0.0), Reason.FAIR_FINAL),
            (attrs.evolve(CALM, sd_1s=0.012), Reason.TOO_VOLATILE),
            (attrs.evolve(CALM, state_edge=60.0), Reason.NO_EDGE),
            (attrs.evolve(CALM, state_edge=WIDEST_CENTS), Reason.NO_EDGE),
        ],
    )
    def test_a_belief_that_is_not_to_be_quoted_says_why(self, belief: Belief, reason: Reason) -> None:
        made = quote(belief, EMPTY, RULES)
        assert (made.bid, made.ask, made.size, made.keep) == (None, None, 0, (0.0, 1.0))
        assert made.why.reason(Side.BID) is made.why.reason(Side.ASK) is reason

    def test_volatility_is_held_against_half_the_required_edge(self) -> None:
        total = quote(CALM, EMPTY, RULES).why.bid.total
        assert quote(attrs.evolve(CALM, sd_1s=total / 200.0 - 1e-6), EMPTY, RULES).bid is not None
        assert quote(attrs.evolve(CALM, sd_1s=total / 200.0 + 1e-6), EMPTY, RULES).bid is None

    @pytest.mark.parametrize("fee_type", ["flat", "never_heard_of"])
    def test_a_market_of_unknown_fee_is_not_quoted(self, fee_type: str) -> None:
        made = quote(CALM, EMPTY, attrs.evolve(RULES, fee=FeeTerms(fee_type, Fraction(1))))
        assert made.why.bid.reason is Reason.FEE_UNKNOWN

    def test_only_a_lasting_disagreement_halts_the_market(self) -> None:
        top = Top(bid=6200, ask=6400)
        assert disagrees(CALM.p_true, top.mid, RULES.max_disagreement)
        assert quote(CALM, top, RULES, disagreeing=2).bid is not None
        assert quote(CALM, top, RULES, disagreeing=3).why.bid.reason is Reason.DISAGREEMENT

    def test_there_is_no_disagreement_with_an_empty_side(self) -> None:
        assert not disagrees(0.9, None, 12.0)

    def test_a_side_that_could_only_cross_is_not_quoted(self) -> None:
        made = quote(CALM, Top(ask=100), RULES)
        assert made.bid is None
        assert made.why.bid.reason is Reason.WOULD_CROSS
        assert made.ask == 5300

    def test_a_side_worth_less_than_one_order_to_kelly_is_not_quoted(self) -> None:
        made = quote(CALM, EMPTY, attrs.evolve(RULES, bankroll=1_000_000))
        assert made.why.bid.reason is made.why.ask.reason is Reason.NO_SIZE

    @pytest.mark.parametrize("p", [float("nan"), -0.1, 1.1])
    def test_what_is_no_probability_is_an_error(self, p: float) -> None:
        with pytest.raises(ValueError, match="not a probability"):
            quote(attrs.evolve(CALM, p_true=p), EMPTY, RULES)


def test_kelly_is_taken_on_p_given_the_fill_and_after_the_fee() -> None:
    edge = Edge(fee=1.0, p_cond=0.53)
    # (.53 - .51) / (1 - .51) x .25 x $1000 / $.50 = 20.4 contracts, and the same from the other leg
    assert kelly_count(Side.BID, 5000, edge, RULES) == 2000
    assert kelly_count(Side.ASK, 5000, attrs.evolve(edge, p_cond=0.47), RULES) == 2000
    assert kelly_count(Side.BID, 5000, attrs.evolve(edge, p_cond=0.51), RULES) == 0


def test_the_waterfall_names_every_term() -> None:
    why = quote(CALM, Top(bid=4800, ask=5000), RULES).why
    terms = why.terms(Side.BID)
    assert terms["total"] == pytest.approx(terms["base"] + terms["state"] + terms["fee"] + terms["penalty"])
    assert terms["mid"] == pytest.approx(0.49)
    assert set(Waterfall.refused(Reason.NO_FAIR).terms(Side.ASK)) == set(terms) - {"mid"}
