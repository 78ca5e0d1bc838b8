"""The gateway and what rests: replacing, renewing, reconciling, taking over and draining."""

from __future__ import annotations

from itertools import groupby

import attrs
import pytest
from gateway_rig import CAPS, EDGE, EXPIRY_S, NOW, OTHER, SIZE, M, listed, rig
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.desk import WORTH_THE_QUEUE
from actors.gateway import CREATE_FLIGHT_S
from actors.messages import Drain, Exposure, Listing, Reconcile, Standing, VenueEvent
from actors.messages import Probe as Prove
from actors.runtime.testing import drive, settle
from chimera.conventions import CENT, Side
from chimera.trading.kill import GLOBAL, State
from chimera.trading.reasons import Reason
from chimera.trading.venue import Fill, Order


class TestReplacing:
    """Never two of one side, never more eager than wanted, and no queue place given up for nothing."""

    async def test_a_replacement_is_cancel_then_proof_then_place(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests(r.quote(4600))
            await r.tell(r.quote(4500))
            await r.durable()
            assert r.venue.calls == [("cancel", ("o1",), Reason.REPLACED)]
            await r.tell(r.quote(4500))
            assert len(r.venue.calls) == 1
            await r.cancelled(order, "o1")
            await r.durable()
            assert [placed.price for placed in r.venue.placed] == [4500]

    @given(bids=st.lists(st.integers(30, 48).map(lambda cent: cent * CENT), min_size=1, max_size=12))
    @settings(max_examples=40, deadline=None)
    def test_there_are_never_two_orders_of_one_side(self, bids: list[int]) -> None:
        async def scenario() -> None:
            async with rig() as r:
                orders: dict[str, Order] = {}
                for number, bid in enumerate(bids):
                    await r.tell(r.quote(bid))
                    await r.durable()
                    for order in r.venue.placed:
                        if order.client_id not in orders:
                            orders[order.client_id] = order
                            await r.acked(order, f"o-{order.client_id}")
                    assert len(r.venue.listed) <= 1
                    assert all(found.price <= bid for found in r.venue.listed.values()) or r.venue.did("cancel")
                    if number % 2:
                        for order_id, found in list(r.venue.listed.items()):
                            if any(order_id in call[1] for call in r.venue.did("cancel")):
                                await r.cancelled(orders[found.client_id], order_id)

        drive(scenario)

    async def test_a_more_aggressive_order_than_wanted_is_cancelled_for_one_tick(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests(r.quote(None, 5400), "o1")
            await r.tell(r.quote(None, 5500))
            assert r.venue.calls == [("cancel", ("o1",), Reason.REPLACED)]

    @pytest.mark.parametrize(("more", "kept"), [(WORTH_THE_QUEUE - 1, True), (WORTH_THE_QUEUE, False)])
    async def test_a_less_aggressive_order_is_kept_unless_the_change_is_worth_the_queue(
        self, more: int, kept: bool, autojump_clock: MockClock
    ) -> None:
        async with rig() as r:
            await r.rests(r.quote(4400))
            await r.tell(r.quote(4400 + more))
            assert r.venue.calls == ([] if kept else [("cancel", ("o1",), Reason.REPLACED)])

    async def test_a_side_no_longer_wanted_is_cancelled(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            await r.tell(r.quote(None, reason=Reason.DISAGREEMENT))
            assert r.venue.calls == [("cancel", ("o1",), Reason.DISAGREEMENT)]

    async def test_what_goes_stale_without_a_new_quote_is_cancelled_by_time(self, autojump_clock: MockClock) -> None:
        async with rig(caps=attrs.evolve(CAPS, domains={"nba": attrs.evolve(CAPS.domains["nba"], quote_age=5.0)})) as r:
            await r.rests()
            await r.pass_time(7.0)
            assert r.venue.did("cancel")[0] == ("cancel", ("o1",), Reason.QUOTE_STALE)


class TestRenewal:
    """A renewal is a re-affirmation under the present quote."""

    async def test_an_order_is_renewed_once_at_half_life(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            await r.pass_time(EXPIRY_S / 2 - 1.5)
            assert r.venue.did("amend") == []
            await r.pass_time(2.0)
            ((_, order_id, expires_at),) = r.venue.did("amend")
            assert order_id == "o1"
            assert r.now < expires_at <= r.now + EXPIRY_S

    async def test_it_says_under_what_the_order_was_re_affirmed(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            await r.tell(r.quote(4600, p=0.51, edge=attrs.evolve(EDGE, base=2.0)))
            await r.pass_time(EXPIRY_S / 2 + 1.0)
            assert r.venue.affirmed == [(r.register.fence(M), 0.51, 2.5)]

    async def test_an_order_whose_fence_has_moved_is_not_renewed(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            r.register.pull(M, Reason.EDGE_GONE, source="test", at=r.now)
            await r.pass_time(EXPIRY_S)
            assert r.venue.did("amend") == []

    async def test_an_order_whose_quote_is_stale_is_cancelled_not_renewed(self, autojump_clock: MockClock) -> None:
        async with rig(caps=attrs.evolve(CAPS, domains={"nba": attrs.evolve(CAPS.domains["nba"], quote_age=8.0)})) as r:
            await r.rests()
            await r.pass_time(EXPIRY_S)
            assert r.venue.did("amend") == []
            assert r.venue.did("cancel")[0] == ("cancel", ("o1",), Reason.QUOTE_STALE)

    async def test_an_order_that_the_present_anchor_forbids_is_cancelled_not_renewed(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests(r.quote(4600))
            await r.tell(r.quote(4600, p=0.47))
            await r.pass_time(EXPIRY_S)
            assert r.venue.did("amend") == []
            assert r.venue.did("cancel")[0] == ("cancel", ("o1",), Reason.ABOVE_ANCHOR)


class TestRestart:
    """A fresh incarnation knows nothing, and makes sure of everything."""

    async def test_its_first_acts_are_list_batch_cancel_by_id_and_list(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            r.venue.lists("o2", "t0-1-1", OTHER, Side.ASK)
            r.venue.during["cancel"] = r.venue.listed.clear
            await r.restart()
            await r.pass_time(CREATE_FLIGHT_S + 1.0)
            acts = [act for act, _ in groupby(r.venue.calls)]
            assert acts == [("list",), ("cancel", ("o1", "o2"), Reason.ORPHAN), ("list",)]

    async def test_it_waits_for_a_create_that_may_still_be_on_its_way(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            await r.durable()
            await r.restart()
            await r.pass_time(CREATE_FLIGHT_S / 2)
            r.venue.lists("late", r.venue.placed[0].client_id)
            await r.pass_time(CREATE_FLIGHT_S)
            assert ("cancel", ("late",), Reason.ORPHAN) in r.venue.calls
            assert r.telemetry.of(Standing)[-1].state == "reconciling"

    async def test_a_very_first_incarnation_that_finds_nothing_begins_at_once(self, autojump_clock: MockClock) -> None:
        async with rig(ready=False) as r:
            assert r.gateway.incarnation == 1
        async with rig() as r:
            assert (r.now, r.telemetry.of(Standing)[-1].state) == (NOW, "ready")

    async def test_it_takes_up_positions_from_the_venue_s_fills(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.venue.filled = [Fill("f1", "c", "o", M, Side.BID, 4600, SIZE, 0, False, r.now)]
            await r.restart()
            await r.pass_time(CREATE_FLIGHT_S + 1.0)
            await r.tell(Listing((listed(),), r.now), Standing("journal", "ready", "", r.now), r.quote())
            assert r.said[-1][1] is not Reason.PLACED
            assert ("refuse", Reason.MARKET_POSITION) in r.said

    async def test_what_was_lost_today_is_still_lost(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            for number, (side, price) in enumerate([(Side.BID, 6000), (Side.ASK, 4000)]):
                fill = Fill(f"f{number}", "c", "o", M, side, price, SIZE, 0, False, r.now)
                r.venue.filled.append(fill)
                await r.tell(VenueEvent(fill, r.now))
            assert r.risk.of(Exposure)[-1].day_loss == SIZE * 2000
            await r.restart()
            await r.pass_time(CREATE_FLIGHT_S + 1.0)
            assert r.risk.of(Exposure)[-1].day_loss == SIZE * 2000

    async def test_a_kill_that_was_not_confirmed_is_confirmed_by_the_next_incarnation(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.venue.lists("stuck")
            r.trip()
            await settle()
            await r.restart()
            assert r.register.state(GLOBAL) is State.TRIPPED
            r.venue.listed.clear()
            await r.pass_time(CREATE_FLIGHT_S + 1.0)
            assert r.register.state(GLOBAL) is State.HELD


class TestReconciling:
    """The venue's list is the truth that the table is held against."""

    async def test_what_rests_and_is_not_ours_is_cancelled(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            found = r.venue.lists("stranger", "x")
            await r.tell(Reconcile((found,), (), r.now, r.now))
            assert r.venue.did("cancel") == [("cancel", ("stranger",), Reason.ORPHAN)]

    async def test_a_stranger_at_our_very_price_is_never_taken_for_our_quote(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            found = r.venue.lists("stranger", "x", price=4600)
            await r.tell(Reconcile((found,), (), r.now, r.now))
            r.venue.calls.clear()
            await r.tell(r.quote(4600))
            assert r.venue.calls == [("cancel", ("stranger",), Reason.REPLACED)]

    async def test_a_stranger_in_a_market_that_was_never_listed_is_cancelled_and_hinders_nothing(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            found = r.venue.lists("stranger", "x", "KXELSEWHERE-1")
            await r.tell(Reconcile((found,), (), r.now, r.now), r.quote())
            await r.pass_time(1.5)
            assert r.gateway.incarnation == 1
            assert ("cancel", ("stranger",), Reason.ORPHAN) in r.venue.calls
            assert len(r.intents) == 1

    async def test_an_incomplete_list_changes_nothing(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            await r.pass_time(3.0)
            await r.tell(Reconcile(None, None, r.now, r.now))
            assert (await r.gateway.call(Prove(7)), r.venue.did("cancel")) == (7, [])

    async def test_an_order_the_venue_no_longer_has_is_placed_anew(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.rests()
            r.venue.listed.clear()
            for _ in range(4):
                await r.pass_time(3.0)
                await r.tell(Reconcile((), (), r.now, r.now))
            await r.tell(r.quote())
            await r.durable()
            assert len(r.venue.placed) == 1


class TestDraining:
    """The end: nothing more is placed, everything is cancelled, and True means proved."""

    async def test_it_answers_no_until_the_list_is_empty_and_then_yes(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            order = await r.rests()
            assert await r.gateway.call(Drain(r.now)) is False
            assert r.venue.did("cancel")[0] == ("cancel", ("o1",), Reason.SHUTDOWN)
            await r.pass_time(1.0)
            assert await r.gateway.call(Drain(r.now)) is False
            await r.cancelled(order, "o1")
            await r.pass_time(1.0)
            assert await r.gateway.call(Drain(r.now)) is True

    async def test_nothing_is_placed_while_it_drains(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            await r.gateway.call(Drain(r.now))
            await r.durable()
            await r.tell(r.quote(4500))
            await r.durable()
            assert r.venue.placed == []
            assert ("refuse", Reason.DRAINING) in r.said

    async def test_an_incarnation_that_has_not_reconciled_proves_nothing(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            await r.tell(r.quote())
            await r.durable()
            await r.restart()
            assert await r.gateway.call(Drain(r.now)) is False
            await r.pass_time(CREATE_FLIGHT_S / 2)
            assert await r.gateway.call(Drain(r.now)) is False
            await r.pass_time(CREATE_FLIGHT_S)
            assert await r.gateway.call(Drain(r.now)) is True

    async def test_without_a_list_there_is_no_proof(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            r.venue.silent = True
            await r.gateway.call(Drain(r.now))
            await r.pass_time(5.0)
            assert await r.gateway.call(Drain(r.now)) is False
