"""The desk: the anchor, what the limits are told, and the day's loss."""

from __future__ import annotations

import math

import attrs
import pytest
from gateway_rig import CAPS, GAME, NOW, OTHER, SIZE, M, listed
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.desk import Action, Desk, Intention, Move, anchored, within_anchor
from actors.messages import Exposure, Quote, TopOfBook
from chimera.conventions import CENT, CONTRACT, DOLLAR, ONE, Side, cents, complement
from chimera.markets import Market, Status
from chimera.trading.daybook import DayBook
from chimera.trading.ev import Edge
from chimera.trading.kill import GLOBAL, KillRegister
from chimera.trading.quotes import Waterfall
from chimera.trading.reasons import Reason
from chimera.trading.venue import Action as Request
from chimera.trading.venue import Done, Fill, Gone, Order, Resting, Unknown

prices = st.integers(1, ONE - 1)
probabilities = st.floats(0.0, 1.0)
edges = st.floats(0.0, 30.0)


def order(side: Side, price: int, p_true: float, edge: float, client_id: str = "c1") -> Order:
    return Order(client_id, M, side, price, SIZE, NOW + 20.0, 0, p_true, edge)


class TestAnchor:
    """No bid above 100 p - edge, no ask below 100 p + edge; in cents, and by nobody's leave."""

    @given(price=prices, p_true=probabilities, edge=edges)
    @settings(max_examples=100, deadline=None)
    def test_an_order_within_its_anchor_has_its_edge(self, price: int, p_true: float, edge: float) -> None:
        for side in Side:
            gained = side.sign * (100.0 * p_true - cents(price))
            if within_anchor(order(side, price, p_true, edge)):
                assert gained >= edge - 1e-6
            else:
                assert gained < edge

    @given(price=prices, p_true=probabilities, edge=edges)
    @settings(max_examples=100, deadline=None)
    def test_a_less_aggressive_price_is_never_forbidden_where_a_more_aggressive_one_is_allowed(
        self, price: int, p_true: float, edge: float
    ) -> None:
        for side in Side:
            if anchored(side, price, p_true, edge):
                assert all(anchored(side, other, p_true, edge) for other in range(1, ONE, 500) if side.sign * (price - other) >= 0)

    @given(price=prices, cent=st.integers(0, 100), edge=st.integers(0, 120).map(lambda quarter: quarter / 4.0))
    @settings(max_examples=100, deadline=None)
    def test_an_ask_is_judged_as_the_bid_on_the_other_leg(self, price: int, cent: int, edge: float) -> None:
        mirrored = anchored(Side.BID, complement(price), 1.0 - cent / 100.0, edge)
        assert anchored(Side.ASK, price, cent / 100.0, edge) == mirrored

    @pytest.mark.parametrize(("p_true", "edge"), [(math.nan, 1.0), (0.5, math.nan), (0.5, math.inf)])
    def test_a_probability_or_an_edge_that_is_no_number_allows_nothing(self, p_true: float, edge: float) -> None:
        assert not any(within_anchor(order(side, price, p_true, edge)) for side in Side for price in (1, 5000, ONE - 1))

    @pytest.mark.parametrize(("side", "price"), [(Side.BID, 4800), (Side.ASK, 5200)])
    def test_a_price_exactly_at_the_anchor_is_allowed_and_a_tick_beyond_is_not(self, side: Side, price: int) -> None:
        assert within_anchor(order(side, price, 0.5, 2.0))
        assert not within_anchor(order(side, price + side.sign, 0.5, 2.0))


def make_desk(*markets: Market, clock: float = NOW) -> tuple[Desk, KillRegister]:
    register = KillRegister(on_trip=lambda trip: None)
    desk = Desk(register, CAPS, {"nba": 20.0}, 1_000, 1_000 * DOLLAR, DayBook())
    for market in markets or (listed(M), listed(OTHER)):
        register.enroll(market.ticker, market.unit, market.domain)
    desk.list_markets(markets or (listed(M), listed(OTHER)))
    return desk, register


def quote(bid: int | None = 4600, ask: int | None = None, ticker: str = M, at: float = NOW) -> Quote:
    edge = Edge(base=2.0)
    sides = [edge if price is not None else attrs.evolve(edge, reason=Reason.NO_EDGE) for price in (bid, ask)]
    why = Waterfall(*sides, p_model=0.5, p_pooled=0.5)
    return Quote(ticker, bid, ask, SIZE, 0, 0.5, 2.0, 2.0, (0.4, 0.6), why, 1, 1, at, at)


def sent(desk: Desk, ticker: str = M, client_id: str = "c1", bid: int = 4600) -> None:
    """Bring an order to the point where its bytes are out."""
    desk.want(quote(bid, ticker=ticker))
    move = desk.decide(ticker, Side.BID, NOW, None)
    assert move is not None
    assert move.action is Action.PLACE
    desk.intend(move, client_id, NOW)
    desk.table.sent(client_id, NOW)


def refused(desk: Desk, ticker: str = M, now: float = NOW) -> Reason | None:
    """What keeps a bid from being placed; None where it would be."""
    desk.want(quote(ticker=ticker, at=now))
    move = desk.decide(ticker, Side.BID, now, None)
    assert move is not None
    return None if move.action is Action.PLACE else move.reason


class TestLimits:
    """Limits see everything that rests, may rest, or may yet be filled."""

    @pytest.mark.parametrize("state", ["intended", "sent", "resting", "unknown", "cancel sent"])
    def test_an_order_counts_in_whatever_state_it_may_still_fill(self, state: str) -> None:
        desk, _ = make_desk()
        desk.want(quote())
        move = desk.decide(M, Side.BID, NOW, None)
        assert move is not None
        desk.intend(move, "c1", NOW)
        if state != "intended":
            desk.table.sent("c1", NOW)
        if state == "unknown":
            desk.table.apply(Unknown("c1", "", M, Request.PLACE, NOW, "a timeout"))
        if state in ("resting", "cancel sent"):
            desk.table.apply(Done("c1", "o1", M, Request.PLACE, NOW))
        if state == "cancel sent":
            desk.table.cancelling("c1", NOW)
        assert [(working.side, working.price, working.count) for working in desk._limits().working[M]] == [(Side.BID, 4600, SIZE)]

    def test_an_order_proved_gone_counts_no_more(self) -> None:
        desk, _ = make_desk()
        sent(desk)
        desk.table.apply(Done("c1", "o1", M, Request.PLACE, NOW))
        desk.table.apply(Gone("c1", "o1", M, "ExpiryCancel", NOW, SIZE))
        assert desk._limits().working == {}

    def test_an_order_is_not_counted_against_itself(self) -> None:
        desk, _ = make_desk()
        sent(desk)
        assert desk._limits(leaving_out="c1").working == {}

    def test_fills_owed_are_reserved_until_they_are_seen(self) -> None:
        desk, _ = make_desk()
        sent(desk)
        desk.table.apply(Done("c1", "o1", M, Request.PLACE, NOW))
        desk.table.cancelling("c1", NOW)
        desk.table.apply(Done("c1", "o1", M, Request.CANCEL, NOW, reduced=SIZE - 3 * CONTRACT))
        assert [working.count for working in desk._limits().working[M]] == [3 * CONTRACT]

    def test_a_stranger_in_a_market_never_listed_is_counted_and_breaks_nothing(self) -> None:
        desk, _ = make_desk()
        found = Resting("x1", "x", "KXELSEWHERE-1", Side.BID, 9000, 1_000 * CONTRACT, 0, NOW + 1e5)
        desk.table.reconcile((found,), (), NOW, NOW)
        assert refused(desk) is Reason.TOTAL_NOTIONAL

    def test_what_a_delisted_market_holds_still_counts(self) -> None:
        desk, _ = make_desk()
        desk.portfolio.apply(Fill("f", "c", "o", OTHER, Side.BID, 4600, 54 * CONTRACT, 0, False, NOW))
        desk.list_markets((listed(M),))
        assert refused(desk) is Reason.EVENT_LOSS

    def test_both_markets_of_a_game_pay_exactly_once_between_them(self) -> None:
        desk, _ = make_desk()
        (outcomes,) = desk._outcomes.values()
        assert set(outcomes) == {frozenset({M}), frozenset({OTHER})}

    def test_one_market_of_a_game_may_not_pay_at_all(self) -> None:
        desk, _ = make_desk(listed(M))
        assert set(desk._outcomes[GAME]) == {frozenset({M}), frozenset()}


def bought(desk: Desk, count: int, price: int, at: float = NOW, ticker: str = M) -> None:
    desk.portfolio.apply(Fill(f"f{len(desk.portfolio._fills)}", "c", "o", ticker, Side.BID, price, count, 0, False, at))


class TestDayLoss:
    """What was lost since midnight in New York is counted where the limits are checked."""

    def test_a_loss_on_the_mark_refuses_the_unit_at_its_limit(self) -> None:
        desk, _ = make_desk()
        desk.exposure(NOW)
        bought(desk, 5 * CONTRACT, 6000)
        desk.mark(TopOfBook(M, 1000, SIZE, 1100, SIZE, True, 0, 1, NOW))
        desk.exposure(NOW)
        assert refused(desk, OTHER) is None
        bought(desk, 50 * CONTRACT, 6000)
        desk.exposure(NOW)
        assert refused(desk, OTHER) is Reason.DAILY_LOSS

    def test_the_total_is_told_with_losses_positive(self) -> None:
        desk, _ = make_desk()
        desk.exposure(NOW)
        bought(desk, 5 * CONTRACT, 6000)
        desk.portfolio.settle(M, 0)
        assert desk.exposure(NOW) == Exposure(-3 * DOLLAR, 0, 0, 3 * DOLLAR, 0, NOW)

    def test_yesterday_s_loss_is_not_today_s(self) -> None:
        desk, _ = make_desk()
        desk.exposure(NOW)
        bought(desk, 60 * CONTRACT, 6000)
        desk.portfolio.settle(M, 0)
        assert desk.exposure(NOW).day_loss == 36 * DOLLAR
        tomorrow = NOW + 86_400.0
        assert desk.exposure(tomorrow).day_loss == 0
        assert refused(desk, OTHER, tomorrow) is None

    @pytest.mark.parametrize("top", [TopOfBook(M, None, 0, None, 0, True, 0, 1, NOW), TopOfBook(M, 1, 1, 2, 1, False, 0, 1, NOW)])
    def test_an_empty_or_unbelieved_book_is_no_loss(self, top: TopOfBook) -> None:
        desk, _ = make_desk()
        bought(desk, SIZE, 6000)
        desk.mark(top)
        assert desk.exposure(NOW).marked == 0


class TestWriting:
    """In the step that writes an order everything is asked again, whatever was asked before."""

    def meant(self, price: int, wanted: int | None) -> tuple[Desk, Intention]:
        """An order meant at `price`, with a quote that wants `wanted` now."""
        desk, _ = make_desk()
        intention = desk.intend(Move(Action.PLACE, Reason.PLACED, M, Side.BID, quote(price), price, SIZE), "c1", NOW)
        desk.want(quote(wanted, 5500))
        return desk, intention

    def test_an_order_as_it_is_wanted_is_forbidden_by_nothing(self) -> None:
        desk, intention = self.meant(4600, 4600)
        assert desk.forbids(intention, NOW) is None

    def test_an_order_beyond_its_own_anchor_is_forbidden(self) -> None:
        desk, intention = self.meant(4801, 4801)
        assert desk.forbids(intention, NOW) is Reason.ABOVE_ANCHOR

    def test_an_order_more_eager_than_is_wanted_now_is_forbidden(self) -> None:
        desk, intention = self.meant(4600, 4599)
        assert desk.forbids(intention, NOW) is Reason.WITHDRAWN

    def test_an_order_of_a_side_not_wanted_now_is_forbidden_with_what_stopped_it(self) -> None:
        desk, intention = self.meant(4600, None)
        assert desk.forbids(intention, NOW) is Reason.NO_EDGE

    def test_an_order_of_an_older_fence_than_its_quote_is_forbidden(self) -> None:
        desk, intention = self.meant(4600, 4600)
        desk._register.pull(M, Reason.EDGE_GONE, source="test", at=NOW)
        desk.want(attrs.evolve(quote(4600), fence=desk._register.fence(M)))
        assert desk.forbids(intention, NOW) is Reason.STALE_FENCE


class TestReadiness:
    """The first part of readiness that fails is the reason."""

    def test_a_market_that_the_exchange_has_paused_is_closed(self) -> None:
        desk, _ = make_desk(attrs.evolve(listed(M), status=Status.INACTIVE))
        assert refused(desk) is Reason.MARKET_CLOSED

    def test_a_hold_and_a_latch_are_told_apart(self) -> None:
        for latch, reason in ((False, Reason.HELD), (True, Reason.LATCHED)):
            desk, register = make_desk()
            register.trip(GLOBAL, Reason.OPERATOR, source="test", at=NOW, hold_s=5.0, latch=latch)
            assert refused(desk) is reason

    def test_a_settled_market_is_wanted_no_more(self) -> None:
        desk, _ = make_desk()
        desk.want(quote())
        desk.drop(M)
        assert desk.decide(M, Side.BID, NOW, None) is None

    def test_the_price_ladder_between_keeping_and_replacing_is_two_cents(self) -> None:
        desk, _ = make_desk()
        sent(desk, bid=4400)
        desk.table.apply(Done("c1", "o1", M, Request.PLACE, NOW))
        moves = {}
        for bid in range(4200, 4801, CENT // 2):
            desk.want(quote(bid))
            move = desk.decide(M, Side.BID, NOW, None)
            assert move is not None
            moves[bid] = move.action
        assert {bid for bid, action in moves.items() if action is Action.KEEP} == {4400, 4450, 4500, 4550}
        assert set(moves.values()) == {Action.KEEP, Action.CANCEL}
