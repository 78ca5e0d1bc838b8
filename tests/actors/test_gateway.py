"""The gateway: when it places, what it writes, and what it remembers of it."""

from __future__ import annotations

import attrs
import pytest
from gateway_rig import AGE_S, CAPS, EXPIRY_S, OTHER, SIZE, M, listed, rig
from trio.testing import MockClock

from actors.messages import Durable, Exposure, Listing, Reconcile, Resend, Settled, Standing, TopOfBook, VenueEvent
from chimera.conventions import DOLLAR, ONE, Side, complement
from chimera.journal.records import Kind
from chimera.trading.kill import market
from chimera.trading.limits import Caps
from chimera.trading.reasons import Reason
from chimera.trading.venue import Action, Fill, Rejected


class TestReadiness:
    """Nothing is placed before everything it needs is there."""

    async def test_nothing_is_meant_before_the_venue_has_given_a_complete_list(self, autojump_clock: MockClock) -> None:
        async with rig(ready=False) as r:
            await r.tell(Listing((listed(),), r.now), Standing("journal", "ready", "", r.now), r.quote())
            assert r.intents == []
            assert r.said[0] == ("refuse", Reason.RECONCILING)
            r.venue.silent = False
            await r.pass_time(1.0)
            await r.tell(r.quote())
            assert len(r.intents) == 1

    async def test_why_it_waits_is_told_to_telemetry(self, autojump_clock: MockClock) -> None:
        async with rig(ready=False) as r:
            await r.pass_time(1.0)
            assert "504" in r.telemetry.of(Standing)[-1].why
            r.venue.silent = False
            await r.pass_time(1.0)
            assert r.telemetry.of(Standing)[-1].state == "ready"

    @pytest.mark.parametrize("state", ["opening", "down"])
    async def test_nothing_is_meant_while_the_journal_is_not_ready(self, state: str, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(Standing("journal", state, "the disk is full", r.now), r.quote())
            assert r.intents == []
            assert r.said[0] == ("refuse", Reason.JOURNAL_DOWN)

    async def test_an_intent_made_durable_just_before_the_journal_fell_is_not_sent(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote(), Standing("journal", "down", "the disk is full", r.now))
            await r.durable()
            assert r.venue.placed == []

    async def test_cancels_go_out_while_the_journal_is_down(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            await r.tell(Standing("journal", "down", "the disk is full", r.now), r.quote(None))
            assert r.venue.calls == [("cancel", ("o1",), Reason.JOURNAL_DOWN)]

    async def test_a_market_that_is_not_listed_is_not_quoted(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(Listing((listed(OTHER),), r.now), r.quote())
            assert (r.intents, r.said) == ([], [("refuse", Reason.NOT_LISTED)] * 2)

    async def test_a_market_that_has_closed_is_not_quoted(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(Listing((attrs.evolve(listed(), close_at=r.now),), r.now), r.quote())
            assert (r.intents, r.said) == ([], [("refuse", Reason.MARKET_CLOSED)] * 2)

    async def test_a_new_incarnation_asks_journal_universe_and_pricers_to_tell_again(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            assert [len(probe.of(Resend)) for probe in (r.journal, r.universe, r.pricer)] == [1, 1, 1]


class TestWriting:
    """From a quote to the wire: durable first, everything checked once more in the step that writes."""

    async def test_the_venue_sees_an_order_only_after_its_intent_is_durable(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            (intent,) = r.intents
            assert r.venue.calls == []
            await r.durable()
            (order,) = r.venue.placed
            assert (order.client_id, order.side, order.price, order.count) == (intent.client_id, intent.side, intent.price, intent.count)

    async def test_an_order_carries_what_it_was_decided_under(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.trip(market(OTHER))
            quote = r.quote(trace=77)
            await r.tell(quote)
            await r.durable()
            (order,) = r.venue.placed
            assert (order.fence, order.p_true, order.required_edge, order.trace) == (quote.fence, 0.5, 2.0, 77)
            assert order.expires_at == r.now + EXPIRY_S

    async def test_no_client_id_is_ever_used_twice_even_across_incarnations(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote(4600, 5400), r.quote(4400, 5600, market=OTHER))
            await r.restart()
            await r.pass_time(5.0)
            await r.tell(Listing((listed(), listed(OTHER)), r.now), Standing("journal", "ready", "", r.now), r.quote(4600, 5400))
            ids = [intent.client_id for intent in r.intents]
            assert len(ids) == len(set(ids)) == 6

    async def test_what_an_earlier_incarnation_meant_is_not_sent_by_this_one(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            await r.restart()
            await r.durable()
            await r.pass_time(5.0)
            assert r.venue.placed == []

    async def test_an_intent_told_durable_twice_is_one_order(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            (intent,) = await r.durable()
            await r.tell(Durable((intent.client_id,), r.now))
            assert len(r.venue.placed) == 1

    async def test_a_quote_under_an_old_fence_is_refused(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            old = r.quote()
            r.register.pull(M, Reason.EDGE_GONE, source="test", at=r.now)
            await r.tell(old)
            assert (r.intents, r.said) == ([], [("refuse", Reason.STALE_FENCE)] * 2)

    async def test_a_quote_whose_fair_is_too_old_is_refused(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote(fair_at=r.now - AGE_S - 0.1))
            assert (r.intents, r.said[0]) == ([], ("refuse", Reason.QUOTE_STALE))

    async def test_a_quote_that_goes_stale_while_the_journal_writes_is_refused(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote(fair_at=r.now - AGE_S + 0.5))
            await r.pass_time(0.9)
            await r.durable()
            assert r.venue.placed == []
            assert ("refuse", Reason.QUOTE_STALE) in r.said

    async def test_an_order_that_has_become_too_eager_while_the_journal_wrote_is_not_sent(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote(4600), r.quote(4500))
            await r.durable()
            assert all(order.price <= 4500 for order in r.venue.placed)

    @pytest.mark.parametrize(("bid", "ask"), [(4801, None), (None, 5199)])
    async def test_a_price_beyond_its_anchor_never_reaches_the_venue(
        self, bid: int | None, ask: int | None, autojump_clock: MockClock
    ) -> None:
        async with rig() as r:
            await r.tell(r.quote(bid, ask))
            await r.durable()
            assert r.venue.placed == []
            assert ("refuse", Reason.ABOVE_ANCHOR) in r.said

    async def test_limits_are_asked_again_in_the_step_that_writes(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            r.gateway.tell(VenueEvent(Fill("f1", "x", "x1", M, Side.BID, 4600, SIZE, 0, False, r.now), r.now))
            await r.durable()
            assert r.venue.placed == []
            assert ("refuse", Reason.MARKET_POSITION) in r.said

    @pytest.mark.parametrize(
        ("caps", "reason"),
        [
            (attrs.evolve(CAPS, open_orders=0), Reason.OPEN_ORDERS),
            (attrs.evolve(CAPS, notional=DOLLAR), Reason.TOTAL_NOTIONAL),
            (attrs.evolve(CAPS, domains={"nba": attrs.evolve(CAPS.domains["nba"], event_loss=DOLLAR)}), Reason.EVENT_LOSS),
            (attrs.evolve(CAPS, domains={"nba": attrs.evolve(CAPS.domains["nba"], size=SIZE // 2)}), Reason.ORDER_SIZE),
            (attrs.evolve(CAPS, domains={"nba": attrs.evolve(CAPS.domains["nba"], notional=DOLLAR)}), Reason.DOMAIN_NOTIONAL),
        ],
    )
    async def test_a_limit_refuses_with_its_reason(self, caps: Caps, reason: Reason, autojump_clock: MockClock) -> None:
        async with rig(caps=caps) as r:
            await r.tell(r.quote())
            assert (r.intents, r.said[0]) == ([], ("refuse", reason))

    async def test_too_small_a_write_capacity_refuses(self, autojump_clock: MockClock) -> None:
        async with rig(capacity=10) as r:
            await r.tell(r.quote())
            assert r.said[0] == ("refuse", Reason.WRITE_TOKENS)

    async def test_a_side_that_is_not_quoted_says_what_stopped_it(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote(4600, None, reason=Reason.TOO_VOLATILE))
            assert ("refuse", Reason.TOO_VOLATILE) in r.said

    async def test_a_refused_place_is_not_sent_again_until_there_is_a_new_quote(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            await r.durable()
            (order,) = r.venue.placed
            await r.tell(VenueEvent(Rejected(order.client_id, "", M, Action.PLACE, r.now, "post only cross"), r.now))
            await r.durable()
            assert len(r.venue.placed) == 1
            await r.tell(r.quote(4500))
            await r.durable()
            assert [placed.price for placed in r.venue.placed] == [4600, 4500]


class TestFills:
    """A fill is counted once, in whatever way it is heard of."""

    async def test_a_fill_is_journalled_scored_and_told_to_risk(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests()
            fill = Fill("f1", order.client_id, "o1", M, Side.BID, 4600, SIZE, 7, False, r.now)
            await r.tell(VenueEvent(fill, r.now))
            assert [record.fields["fill_id"] for record in r.records(Kind.FILL)] == ["f1"]
            assert [event.event for event in r.scorekeeper.of(VenueEvent)] == [fill]
            assert r.risk.of(Exposure)[-1].fees == 7

    async def test_a_fill_told_by_stream_and_by_list_is_one_fill(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests()
            fill = Fill("f1", order.client_id, "o1", M, Side.BID, 4600, SIZE, 7, False, r.now)
            await r.tell(VenueEvent(fill, r.now), VenueEvent(fill, r.now), Reconcile((), (fill,), r.now, r.now))
            assert len(r.scorekeeper.of(VenueEvent)) == 1
            assert r.risk.of(Exposure)[-1].fees == 7

    async def test_a_fill_that_only_the_list_shows_is_taken_from_it(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests()
            fill = Fill("f1", order.client_id, "o1", M, Side.BID, 4600, SIZE, 7, False, r.now)
            await r.tell(Reconcile((), (fill,), r.now, r.now))
            assert len(r.records(Kind.FILL)) == 1

    async def test_a_taker_fill_trips_its_market(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests()
            await r.tell(VenueEvent(Fill("f1", order.client_id, "o1", M, Side.BID, 4600, SIZE, 7, True, r.now), r.now))
            assert r.venue.did("fire") == [("fire", f"MARKET:{M}")]
            trip = r.register.blocking(M)
            assert trip is not None
            assert trip.reason is Reason.TAKER_FILL
            assert r.register.blocking(OTHER) is None

    async def test_what_a_market_pays_is_booked_and_journalled(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests()
            await r.tell(VenueEvent(Fill("f1", order.client_id, "o1", M, Side.BID, 4600, SIZE, 0, False, r.now), r.now))
            await r.tell(Settled(M, ONE, r.now))
            assert r.risk.of(Exposure)[-1].settled == SIZE * complement(4600)
            assert r.records(Kind.SETTLED)[0].fields["value"] == ONE

    async def test_a_result_that_is_amended_latches_everything_and_crashes_nothing(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(Settled(M, ONE, r.now), Settled(M, 0, r.now))
            assert r.gateway.incarnation == 1
            trip = r.register.blocking(OTHER)
            assert trip is not None
            assert (trip.reason, trip.latched) == (Reason.POSITION_MISMATCH, True)

    async def test_open_positions_are_marked_at_the_bid_if_long(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests()
            await r.tell(VenueEvent(Fill("f1", order.client_id, "o1", M, Side.BID, 4600, SIZE, 0, False, r.now), r.now))
            await r.tell(TopOfBook(M, 4000, SIZE, 5000, SIZE, True, 0, 1, r.now))
            await r.pass_time(1.1)
            assert r.risk.of(Exposure)[-1].marked == SIZE * -600
            assert r.risk.of(Exposure)[-1].day_loss == SIZE * 600


class TestNews:
    """Everything that acts is remembered; doing nothing only when something is new."""

    async def test_the_same_refusal_is_remembered_once(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            for _ in range(5):
                await r.tell(r.quote(None))
            assert r.said == [("refuse", Reason.NO_EDGE)] * 2

    @pytest.mark.parametrize(("p", "remembered"), [(0.5024, 2), (0.5026, 4)])
    async def test_a_move_of_p_by_a_quarter_cent_is_remembered(self, p: float, remembered: int, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote(None, p=0.5), r.quote(None, p=p))
            assert len(r.decisions) == remembered

    async def test_a_slow_drift_of_p_is_not_lost_between_small_steps(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            for step in range(11):
                await r.tell(r.quote(None, p=0.5 + step * 0.001))
            remembered = sorted({round(decision.p_true, 6) for decision in r.decisions})
            assert remembered == pytest.approx([0.5, 0.503, 0.506, 0.509])

    async def test_a_placed_order_is_remembered_when_it_is_sent_not_when_it_is_meant(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            assert ("place", Reason.PLACED) not in r.said
            await r.durable()
            assert r.said[-1] == ("place", Reason.PLACED)

    async def test_an_order_s_size_is_noted_for_the_audit_when_its_market_is_first_listed(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            assert {record.market: record.fields["size"] for record in r.records(Kind.CONFIG)} == {M: SIZE, OTHER: SIZE}
            await r.tell(Listing((listed(), listed(OTHER)), r.now))
            assert len(r.records(Kind.CONFIG)) == 2
