"""KalshiVenue on the loopback exchange: every request has its outcome, and the log tells what the exchange's own book shows."""

from __future__ import annotations

import attrs
import trio
from venue_rig import LIFE_S, trading

from chimera.conventions import CENT, CONTRACT, Side
from chimera.trading import venue_log as log
from chimera.trading.kill import market
from chimera.trading.reasons import Reason
from chimera.trading.venue import Action, Done, Fill, Gone, Rejected, Unknown


class TestPlacing:
    """A place has one outcome: done, rejected or unknown."""

    async def test_an_order_rests_as_it_was_sent(self) -> None:
        async with trading() as rig:
            order, order_id = await rig.placed(price=3 * CENT, count=2 * CONTRACT)
            own = rig.site.exchange.member.live()[0]
            assert (own.client_id, own.order_id, own.price, own.remaining, own.side) == (
                order.client_id, order_id, 3 * CENT, 2 * CONTRACT, Side.BID,
            )  # fmt: skip
            assert int(order.expires_at) == own.expires_at
            assert own.cancel_on_pause
            assert [type(line) for line in rig.lines] == [log.Opened, log.Sent, log.Accepted]
            assert (rig.lines[1].fence, rig.lines[1].p_true, rig.lines[1].required_edge) == (order.fence, 0.5, 1.0)

    async def test_one_that_would_cross_is_rejected_in_the_exchanges_words(self) -> None:
        async with trading() as rig:
            order = rig.order(price=99 * CENT)
            rig.venue.place(order, rig.clock.now())
            await rig.until("an outcome", lambda: rig.heard)
            assert [(e.client_id, e.action, e.code) for e in rig.words(Rejected)] == [(order.client_id, Action.PLACE, "invalid_order")]
            assert [(line.action, line.code) for line in rig.logged(log.Refused)] == [("place", "invalid_order")]
            assert rig.venue.idle()

    async def test_one_in_a_market_that_was_not_listed_never_leaves(self) -> None:
        async with trading() as rig:
            rig.register.enroll("KXOTHER", "other", "nba")
            rig.venue.place(rig.order(market="KXOTHER"), rig.clock.now())
            assert rig.words(Rejected)[0].code == "market_not_listed"

    async def test_one_for_which_there_are_no_tokens_never_leaves(self) -> None:
        async with trading() as rig:
            orders = [rig.order() for _ in range(12)]
            for order in orders:
                rig.venue.place(order, rig.clock.now())
            assert {e.code for e in rig.words(Rejected)} == {"throttled"}
            refused = {e.client_id for e in rig.words(Rejected)}
            await rig.until("the others rest", lambda: len(rig.on_the_book()) == len(orders) - len(refused))
            assert rig.on_the_book().isdisjoint(refused)

    async def test_one_whose_answer_is_lost_is_unknown_and_then_heard_of_on_the_private_stream(self) -> None:
        async with trading() as rig:
            rig.fault("ack_lost:on=create,n=1,how=close")
            order = rig.order()
            rig.venue.place(order, rig.clock.now())
            await rig.until("unknown", lambda: rig.words(Unknown))
            assert order.client_id in rig.on_the_book()
            await rig.until("it is known to rest", lambda: rig.logged(log.Accepted))
            listed = await rig.venue.resting()
            assert [r.client_id for r in listed] == [order.client_id]


class TestRenewingAndCancelling:
    """By id; each order of a batch has an outcome of its own."""

    async def test_a_renewal_moves_the_expiry_and_nothing_else(self) -> None:
        async with trading() as rig:
            order, order_id = await rig.placed()
            later = rig.clock.now() + 2 * LIFE_S
            rig.venue.amend(order_id, order.client_id, order.market, later, rig.clock.now(), fence=7, p_true=0.4, required_edge=2.0)
            await rig.until("renewed", lambda: rig.logged(log.Renewed))
            own = rig.site.exchange.member.live()[0]
            assert (own.expires_at, own.price, own.remaining) == (int(later), order.price, order.count)
            assert [(e.action, e.client_id) for e in rig.words(Done)][-1] == (Action.AMEND, order.client_id)
            renewing = rig.logged(log.Renewing)[0]
            assert (renewing.fence, renewing.p_true, renewing.required_edge, renewing.expires_at) == (7, 0.4, 2.0, later)

    async def test_a_cancel_takes_off_what_it_names_and_says_how_much(self) -> None:
        async with trading() as rig:
            named = [await rig.placed(count=3 * CONTRACT), await rig.placed(market=rig.other)]
            kept, _ = await rig.placed()
            rig.venue.cancel([(order_id, o.client_id, o.market) for o, order_id in named], Reason.REPLACED, rig.clock.now())
            await rig.until("both are done", lambda: sum(e.action is Action.CANCEL for e in rig.words(Done)) == 2)
            assert rig.on_the_book() == {kept.client_id}
            cancelled = {e.client_id: e.reduced for e in rig.words(Done) if e.action is Action.CANCEL}
            assert cancelled == {named[0][0].client_id: 3 * CONTRACT, named[1][0].client_id: CONTRACT}
            left = rig.logged(log.Left)
            assert sorted(line.reduced for line in left) == [CONTRACT, 3 * CONTRACT]

    async def test_the_cancel_of_an_order_that_is_gone_is_rejected_and_its_end_is_logged_once(self) -> None:
        async with trading() as rig:
            order, order_id = await rig.placed()
            rig.fault("cancel_all")
            await rig.until("gone", lambda: rig.words(Gone))
            rig.venue.cancel([(order_id, order.client_id, order.market)], Reason.WITHDRAWN, rig.clock.now())
            await rig.until("rejected", lambda: rig.words(Rejected))
            assert rig.words(Rejected)[0].action is Action.CANCEL
            assert len(rig.logged(log.Left)) == len(rig.words(Gone)) == 1

    async def test_an_order_that_expires_is_told_as_gone(self) -> None:
        async with trading() as rig:
            rig.venue.place(attrs.evolve(rig.order(), expires_at=rig.clock.now() + 2.0), rig.clock.now())
            await rig.until("gone", lambda: rig.site.exchange.advance(rig.clock.now()) or rig.words(Gone))
            assert rig.words(Gone)[0].reason == "ExpiryCancel"
            assert rig.logged(log.Left)[0].why == "ExpiryCancel"


class TestFills:
    """Told once, whoever tells them first."""

    async def test_a_fill_is_told_once_with_what_is_left_in_the_log(self) -> None:
        async with trading() as rig:
            price = rig.inside()
            order, _ = await rig.placed(price=price, count=3 * CONTRACT)
            rig.sell_into(price, CONTRACT)
            await rig.until("a fill", lambda: rig.words(Fill))
            fill = rig.words(Fill)[0]
            assert (fill.client_id, fill.price, fill.count, fill.side, fill.is_taker) == (order.client_id, price, CONTRACT, Side.BID, False)
            listed = await rig.venue.fills(rig.clock.now() - 60.0)
            assert [f.fill_id for f in listed] == [fill.fill_id]
            assert listed[0].client_id == order.client_id
            assert [(line.fill_id, line.left) for line in rig.logged(log.Filled)] == [(fill.fill_id, 2 * CONTRACT)]

    async def test_a_fill_that_comes_before_the_ack_is_logged_after_an_acceptance(self) -> None:
        async with trading() as rig:
            price = rig.inside()
            rig.fault("slow_ack:on=create,for=0.4,n=1")
            order = rig.order(price=price)
            rig.venue.place(order, rig.clock.now())
            await rig.until("it rests", lambda: order.client_id in rig.on_the_book())
            rig.sell_into(price, CONTRACT)
            await rig.until("the ack", lambda: any(e.action is Action.PLACE for e in rig.words(Done)))
            assert [type(e) for e in rig.heard] == [Fill, Done]
            assert [type(line) for line in rig.lines[2:]] == [log.Accepted, log.Filled]

    async def test_the_first_list_has_every_fill_of_what_is_still_held(self) -> None:
        async with trading() as rig:
            price = rig.inside()
            await rig.placed(price=price)
            rig.sell_into(price, CONTRACT)
            await rig.until("a fill", lambda: rig.words(Fill))
            async with trading(on=rig) as later:
                assert [f.fill_id for f in await later.venue.fills(0.0)] == [f.fill_id for f in rig.words(Fill)]
                assert later.logged(log.Filled) == [], "an order that this log never sent is not in it"


class TestFiring:
    """What a trip covers is off the book, at once."""

    async def test_a_market_is_emptied_and_the_others_are_not(self) -> None:
        async with trading() as rig:
            doomed, _ = await rig.placed()
            kept, _ = await rig.placed(market=rig.other)
            rig.kill(market(rig.market))
            await rig.until("gone", lambda: rig.words(Gone))
            assert rig.on_the_book() == {kept.client_id}
            assert [e.client_id for e in rig.words(Gone)] == [doomed.client_id]
            fired = rig.logged(log.Fired)[0]
            assert fired.fences == {rig.market: rig.register.fence(rig.market)}
            assert rig.cancels_all == []

    async def test_everything_goes_by_cancel_all_whose_time_is_told_before(self) -> None:
        async with trading() as rig:
            for ticker in (rig.market, rig.other):
                await rig.placed(market=ticker)
            before = rig.clock.now()
            rig.kill()
            assert len(rig.cancels_all) == 1
            assert before <= rig.cancels_all[0] <= rig.clock.now()
            await rig.until("gone", lambda: len(rig.words(Gone)) == 2)
            assert rig.on_the_book() == set()
            assert len(rig.logged(log.Left)) == 2
            await rig.until("nothing is on its way", rig.venue.idle)

    async def test_what_was_handed_over_and_had_not_left_never_leaves(self) -> None:
        async with trading() as rig:
            order = rig.order()
            rig.venue.place(order, rig.clock.now())
            rig.kill(market(rig.market))
            await rig.until("rejected", lambda: rig.words(Rejected))
            assert rig.words(Rejected)[0].code == "overtaken"
            assert rig.on_the_book() == set()

    async def test_a_lost_cancel_all_is_made_good_by_id(self) -> None:
        async with trading() as rig:
            await rig.placed()
            rig.fault("unavailable:on=cancel_all,n=1,applied=0")
            rig.kill()
            await rig.until("gone", lambda: rig.on_the_book() == set())


class TestLists:
    """What rests, and what no longer does."""

    async def test_an_order_whose_end_nobody_told_is_found_by_its_absence(self) -> None:
        async with trading() as rig:
            order, order_id = await rig.placed()
            own = rig.venue._own.get(order.client_id)
            rig.venue._private._hear = lambda _: None  # deaf
            rig.fault("cancel_all")
            await rig.until("gone from the book", lambda: rig.on_the_book() == set())
            own.touched -= 60.0
            assert await rig.venue.resting() == ()
            assert [(e.order_id, e.reduced) for e in rig.words(Gone)] == [(order_id, CONTRACT)]

    async def test_a_log_that_is_carried_on_knows_the_orders_before_it(self) -> None:
        async with trading() as rig:
            order, order_id = await rig.placed()
            async with trading(tuple(rig.lines), on=rig) as later:
                assert [r.order_id for r in await later.venue.resting()] == [order_id]
                assert later.venue.count_resting() == 1
                later.venue.cancel([(order_id, order.client_id, order.market)], Reason.ORPHAN, later.clock.now())
                await later.until("gone", lambda: later.logged(log.Left))
                assert [line.seq for line in later.lines] == list(range(1, len(later.lines) + 1))

    async def test_a_settled_market_pays_what_is_held(self) -> None:
        async with trading() as rig:
            price = rig.inside()
            await rig.placed(price=price)
            rig.sell_into(price, CONTRACT)
            await rig.until("a fill", lambda: rig.words(Fill))
            rig.venue.settle(rig.market, 10_000, rig.clock.now())
            assert rig.logged(log.Settled)[0].paid == 1_000_000


class TestPrivateStream:
    """While it is down the venue does not hear."""

    async def test_its_loss_is_told_once_and_it_comes_back(self) -> None:
        async with trading() as rig:
            deaf: list[str] = []
            rig.venue.on_deaf = deaf.append
            rig.fault("reset:n=1,refuse=0.2")
            await rig.placed()
            await rig.until("lost", lambda: deaf)
            await rig.until("back", rig.venue.hears)
            assert len(deaf) == 1

    async def test_what_nobody_listened_to_is_told_to_the_next_listener(self) -> None:
        async with trading() as rig:
            rig.venue.sink = None
            order = rig.order()
            rig.venue.place(order, rig.clock.now())
            await rig.until("it rests", lambda: rig.on_the_book())
            await rig.until("logged", lambda: rig.logged(log.Accepted))
            await trio.sleep(0.05)
            rig.venue.sink = rig.heard.append
            rig.venue.advance(rig.clock.now())
            assert [e.client_id for e in rig.words(Done)] == [order.client_id]
