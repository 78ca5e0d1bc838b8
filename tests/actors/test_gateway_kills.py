"""The gateway under pulls and kills: nothing of before a trip rests after it, and only the venue's list proves that."""

from __future__ import annotations

import pytest
from gateway_rig import OTHER, SCOPES, SIZE, M, rig
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.gateway import RESEND_CANCEL_AFTER_S
from actors.messages import Durable, Standing, VenueEvent
from actors.runtime.testing import drive, settle
from chimera.conventions import Side
from chimera.trading.kill import GLOBAL, Level, State, market
from chimera.trading.reasons import Reason
from chimera.trading.venue import Action, Done, Fill, Gone

MOMENTS = ("before the quote", "with the quote", "before durable", "with durable", "within the write", "before the ack")


class TestOvertaken:
    """A kill between a decision and its order: nothing of before may rest after it."""

    @given(level=st.sampled_from(Level), moment=st.sampled_from(MOMENTS), pull=st.booleans())
    @settings(max_examples=60, deadline=None)
    def test_a_trip_of_any_scope_at_any_moment_stops_or_cancels_the_order(self, level: Level, moment: str, pull: bool) -> None:
        async def scenario() -> None:
            async with rig() as r:

                def trip() -> None:
                    if pull:
                        r.register.pull(M, Reason.EDGE_GONE, source="test", at=r.now)
                    else:
                        r.trip(SCOPES[level])

                def at(this: str) -> None:
                    if moment == this:
                        trip()

                quote = r.quote()
                at("before the quote")
                r.gateway.tell(quote)
                at("with the quote")
                await settle()
                at("before durable")
                intents = r.intents
                r.gateway.tell(Durable(tuple(intent.client_id for intent in intents), r.now))
                at("with durable")
                if moment == "within the write":
                    r.venue.during["place"] = trip
                await settle()
                at("before the ack")
                late = moment in ("within the write", "before the ack")
                assert len(r.venue.placed) == late
                for order in r.venue.placed:
                    await r.acked(order, "o1")
                    assert r.venue.calls[-1][:2] == ("cancel", ("o1",))

        drive(scenario)

    async def test_an_ack_whose_order_was_overtaken_is_answered_by_its_cancel_in_that_step(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            await r.durable()
            (order,) = r.venue.placed
            r.register.pull(M, Reason.EDGE_GONE, source="test", at=r.now)
            await settle()
            r.venue.calls.clear()
            await r.acked(order, "o1")
            assert r.venue.calls == [("cancel", ("o1",), Reason.STALE_FENCE)]

    async def test_a_new_quote_that_came_before_the_ack_does_not_redeem_the_order(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            await r.durable()
            (order,) = r.venue.placed
            r.register.pull(M, Reason.EDGE_GONE, source="test", at=r.now)
            await r.tell(r.quote())
            r.venue.calls.clear()
            await r.acked(order, "o1")
            assert r.venue.calls == [("cancel", ("o1",), Reason.STALE_FENCE)]

    async def test_an_ack_of_an_order_that_nobody_knows_is_cancelled(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(VenueEvent(Done("t0-1-9", "o9", M, Action.PLACE, r.now), r.now))
            assert r.venue.calls == [("cancel", ("o9",), Reason.STALE_FENCE)]

    @pytest.mark.parametrize("how", ["taken off by the kill", "filled"])
    async def test_an_ack_that_comes_after_the_order_is_gone_does_no_harm(self, how: str, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            await r.durable()
            (order,) = r.venue.placed
            r.register.pull(M, Reason.EDGE_GONE, source="test", at=r.now)
            event = (
                Gone(order.client_id, "o1", M, "Fired", r.now, SIZE)
                if how == "taken off by the kill"
                else Fill("f1", order.client_id, "o1", M, Side.BID, 4600, SIZE, 0, False, r.now)
            )
            await r.tell(VenueEvent(event, r.now))
            await r.tell(VenueEvent(Done(order.client_id, "o1", M, Action.PLACE, r.now), r.now))
            assert r.gateway.incarnation == 1

    async def test_the_register_learns_the_band_in_which_what_rests_keeps_its_edge(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests(r.quote(4600, None, keep=(0.47, 1.0)))
            assert (r.register.spoiled(M, 0.48), r.register.spoiled(M, 0.46)) == (False, True)

    async def test_the_band_is_written_before_the_order_leaves(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            seen: list[bool] = []
            r.venue.during["place"] = lambda: seen.append(r.register.spoiled(M, 0.1))
            await r.tell(r.quote())
            await r.durable()
            assert seen == [True]

    async def test_the_band_is_cleared_when_nothing_rests_any_more(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests()
            await r.tell(VenueEvent(Gone(order.client_id, "o1", M, "ExpiryCancel", r.now, SIZE), r.now))
            assert not r.register.spoiled(M, 0.01)


class TestCancels:
    """A cancel is pressed until the venue has proved its effect."""

    async def test_a_cancel_without_an_answer_is_sent_again_after_two_seconds(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            await r.tell(r.quote(None))
            assert len(r.venue.did("cancel")) == 1
            await r.pass_time(RESEND_CANCEL_AFTER_S - 0.5)
            assert len(r.venue.did("cancel")) == 1
            await r.pass_time(2.0)
            assert [call[1] for call in r.venue.did("cancel")] == [("o1",), ("o1",)]

    async def test_a_kill_s_cancels_are_pressed_by_id_too(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            r.register.pull(M, Reason.EDGE_GONE, source="test", at=r.now)
            await r.pass_time(RESEND_CANCEL_AFTER_S + 1.5)
            assert r.venue.did("cancel")[0][1] == ("o1",)

    async def test_a_tripped_order_is_neither_kept_nor_replaced_while_its_cancel_is_under_way(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            r.register.pull(M, Reason.EDGE_GONE, source="test", at=r.now)
            await settle()
            r.venue.calls.clear()
            await r.tell(r.quote(4600))
            await r.durable()
            assert r.venue.calls == []
            assert ("keep", Reason.IN_FLIGHT) in r.said

    async def test_after_a_pull_the_market_is_quoted_again_once_its_order_is_gone(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests()
            r.register.pull(M, Reason.EDGE_GONE, source="test", at=r.now)
            await r.tell(r.quote(4500))
            r.venue.listed.clear()
            await r.tell(VenueEvent(Gone(order.client_id, "o1", M, "Fired", r.now, SIZE), r.now))
            await r.durable()
            assert [placed.price for placed in r.venue.placed] == [4500]


class TestConfirming:
    """A kill is confirmed from the venue's own list, never from what we believe."""

    @pytest.mark.parametrize("level", list(Level))
    async def test_it_is_confirmed_only_when_the_list_is_empty_of_its_scope(self, level: Level, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests()
            r.trip(SCOPES[level])
            await r.pass_time(1.0)
            assert r.register.state(SCOPES[level]) is State.TRIPPED
            r.venue.listed.clear()
            await r.tell(VenueEvent(Gone(order.client_id, "o1", M, "Fired", r.now, SIZE), r.now))
            await r.pass_time(1.0)
            assert r.register.state(SCOPES[level]) is State.HELD

    async def test_what_still_rests_in_the_scope_is_cancelled_by_id(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.venue.lists("stuck")
            r.trip(market(M))
            await r.pass_time(0.5)
            assert ("cancel", ("stuck",), Reason.ORPHAN) in r.venue.calls

    async def test_orders_of_other_scopes_neither_hinder_nor_suffer(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.venue.lists("elsewhere", ticker=OTHER)
            r.trip(market(M))
            await r.pass_time(0.5)
            assert r.register.state(market(M)) is State.HELD
            assert r.venue.did("cancel") == []

    async def test_an_order_not_yet_acked_keeps_a_kill_unconfirmed(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            await r.durable()
            r.trip(market(M))
            await r.pass_time(1.0)
            assert r.register.state(market(M)) is State.TRIPPED

    async def test_a_venue_that_gives_no_list_is_asked_again_until_it_does(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.venue.silent = True
            r.trip()
            await r.pass_time(3.0)
            assert r.register.state(GLOBAL) is State.TRIPPED
            assert r.telemetry.of(Standing)[-1].state == "unconfirmed"
            r.venue.silent = False
            await r.pass_time(1.0)
            assert r.register.state(GLOBAL) is State.HELD
            assert r.telemetry.of(Standing)[-1].state == "ready"

    async def test_only_the_latest_kill_of_a_scope_is_confirmed(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.venue.silent = True
            r.trip()
            last = r.trip()
            r.venue.silent = False
            await r.pass_time(2.0)
            ((_, state, trip, _),) = r.register.standing()
            assert (state, trip.counter) == (State.HELD, last.counter)
