"""The gateway, against a venue that does only what the test says and keeps every request in its order."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from itertools import groupby
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.desk import WORTH_THE_QUEUE
from actors.gateway import CREATE_FLIGHT_S, RESEND_CANCEL_AFTER_S, Gateway
from actors.messages import (
    Decided,
    Drain,
    Durable,
    Exposure,
    Listing,
    Note,
    Probe as Prove,
    Quote,
    Reconcile,
    Resend,
    Settled,
    Standing,
    TopOfBook,
    Tripped,
    VenueEvent,
    Write,
)
from actors.runtime import ActorSystem, Address, ChildSpec, Supervisor
from actors.runtime.testing import Probe, drive, settle
from chimera.clock import VirtualClock
from chimera.conventions import CENT, CONTRACT, DOLLAR, ONE, Side, complement
from chimera.errors import VenueError
from chimera.journal.records import Decision, Intent, Kind, Record
from chimera.markets import CENT_GRID, FeeTerms, Market, Status, TeamWins
from chimera.teams import NBA
from chimera.trading.ev import Edge
from chimera.trading.kill import GLOBAL, KillRegister, Level, Scope, State, Trip, domain, market, unit
from chimera.trading.limits import Caps, DomainCaps
from chimera.trading.quotes import Waterfall
from chimera.trading.reasons import Reason
from chimera.trading.venue import Action, Done, Fill, Gone, Order, Rejected, Resting

NOW = 1_764_000_000.0
"""2025-11-24 16:00 UTC, so that no test crosses midnight in New York."""
GAME = "KXNBAGAME-25NOV24BOSNYK"
M, OTHER = f"{GAME}-NYK", f"{GAME}-BOS"
EXPIRY_S = 20.0
AGE_S = 60.0
SIZE = 10 * CONTRACT
CAPS = Caps(
    domains={"nba": DomainCaps(size=SIZE, event_loss=25 * DOLLAR, notional=200 * DOLLAR, quote_age=AGE_S)},
    notional=500 * DOLLAR,
    open_orders=40,
    daily_loss=50 * DOLLAR,
    unit_loss=25 * DOLLAR,
)
EDGE = Edge(base=1.5, fee=0.25, penalty=0.25, anchor=0.5, p_cond=0.5)
SCOPES = {Level.GLOBAL: GLOBAL, Level.DOMAIN: domain("nba"), Level.UNIT: unit(GAME), Level.MARKET: market(M)}


def listed(ticker: str = M) -> Market:
    code, other = ("NYK", "BOS") if ticker == M else ("BOS", "NYK")
    meaning = TeamWins(NBA.by_code(code), NBA.by_code(other), home=code == "NYK", day=dt.date(2025, 11, 24))
    return Market(
        ticker=ticker, event=GAME, series="KXNBAGAME", domain="nba", unit=GAME, grid=CENT_GRID, meaning=meaning, status=Status.ACTIVE,
        open_at=0.0, close_at=NOW + 1e6, expected_end_at=None, exchange_index=0, fee=FeeTerms("quadratic", Fraction(1)), result="",
        settlement_value=None, title="",
    )  # fmt: skip


class ScriptedVenue:
    """A named fake: `calls` is every request in order; it lists what it was told to list, and is `silent` where a test wants it to be."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.sent: dict[str, Order] = {}
        self.listed: dict[str, Resting] = {}
        self.filled: list[Fill] = []
        self.silent = False
        self.affirmed: list[tuple[int | None, float | None, float | None]] = []
        self.during: dict[str, Callable[[], None]] = {}
        """Done in the midst of a request of that name."""

    def _called(self, name: str, *what: object) -> None:
        self.calls.append((name, *what))
        self.during.get(name, lambda: None)()

    def place(self, order: Order, now: float) -> None:
        self.sent[order.client_id] = order
        self._called("place", order.client_id)

    def amend(
        self, order_id: str, client_id: str, market: str, expires_at: float, now: float, *,
        fence: int | None = None, p_true: float | None = None, required_edge: float | None = None,
    ) -> None:  # fmt: skip
        self.affirmed.append((fence, p_true, required_edge))
        self._called("amend", order_id, expires_at)

    def cancel(self, resting: list[tuple[str, str, str]], reason: Reason, now: float) -> None:
        self._called("cancel", tuple(order_id for order_id, _, _ in resting), reason)

    def fire(self, trip: Trip) -> None:
        self._called("fire", str(trip.scope))

    async def resting(self) -> tuple[Resting, ...]:
        self._called("list")
        await trio.lowlevel.checkpoint()
        if self.silent:
            raise VenueError("504 from the venue")
        return tuple(self.listed.values())

    async def fills(self, since: float) -> tuple[Fill, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(self.filled)

    def lists(self, order_id: str, client_id: str = "", ticker: str = M, side: Side = Side.BID, price: int = 4600) -> Resting:
        found = Resting(order_id, client_id, ticker, side, price, SIZE, 0, NOW + 1e5)
        self.listed[order_id] = found
        return found

    def did(self, *names: str) -> list[tuple[Any, ...]]:
        """The requests of these names, in order."""
        return [call for call in self.calls if call[0] in names]

    @property
    def placed(self) -> list[Order]:
        return [self.sent[call[1]] for call in self.did("place")]


@attrs.define
class Rig:
    """A running gateway, its venue, and what its neighbours were told."""

    system: ActorSystem
    clock: VirtualClock
    venue: ScriptedVenue
    register: KillRegister
    gateway: Address
    journal: Probe
    risk: Probe
    scorekeeper: Probe
    telemetry: Probe
    pricer: Probe
    universe: Probe
    durable_until: int = 0

    @property
    def now(self) -> float:
        return self.clock.now()

    async def tell(self, *messages: object) -> None:
        for message in messages:
            self.gateway.tell(message)
            await settle()

    async def pass_time(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        await settle()

    def quote(
        self, bid: int | None = 4600, ask: int | None = None, *, p: float = 0.5, edge: Edge = EDGE, reason: Reason = Reason.NO_EDGE,
        **changes: Any,
    ) -> Quote:  # fmt: skip
        """A quote made now, under the present fence; a side without a price says `reason`."""
        ticker = changes.setdefault("market", M)
        sides = [edge if price is not None else attrs.evolve(edge, reason=reason) for price in (bid, ask)]
        plain: dict[str, Any] = {
            "bid": bid, "ask": ask, "size": SIZE, "fence": self.register.fence(ticker), "p_true": p, "bid_edge": sides[0].total,
            "ask_edge": sides[1].total, "keep": (0.4, 0.6), "why": Waterfall(*sides, p_model=p, p_pooled=p), "book_seq": 1, "fair_seq": 1,
            "fair_at": self.now, "at": self.now,
        }  # fmt: skip
        return Quote(**(plain | changes))

    @property
    def intents(self) -> list[Intent]:
        return [write.intent for write in self.journal.of(Write)]

    async def durable(self) -> list[Intent]:
        """The journal has every intent told since last time."""
        fresh, self.durable_until = self.intents[self.durable_until :], len(self.intents)
        if fresh:
            await self.tell(Durable(tuple(intent.client_id for intent in fresh), self.now))
        return fresh

    async def acked(self, order: Order, order_id: str) -> None:
        """The venue took an order: it lists it from now on."""
        self.venue.lists(order_id, order.client_id, order.market, order.side, order.price)
        await self.tell(VenueEvent(Done(order.client_id, order_id, order.market, Action.PLACE, self.now), self.now))

    async def cancelled(self, order: Order, order_id: str, reduced: int = SIZE) -> None:
        self.venue.listed.pop(order_id, None)
        await self.tell(VenueEvent(Done(order.client_id, order_id, order.market, Action.CANCEL, self.now, reduced), self.now))

    async def rests(self, quote: Quote | None = None, order_id: str = "o1") -> Order:
        """Bring one order all the way from a quote to the book."""
        before = len(self.venue.placed)
        await self.tell(quote or self.quote())
        await self.durable()
        order = self.venue.placed[before]
        await self.acked(order, order_id)
        self.venue.calls.clear()
        return order

    @property
    def decisions(self) -> list[Decision]:
        return [decided.decision for decided in self.journal.of(Decided)]

    @property
    def said(self) -> list[tuple[str, Reason]]:
        """What was decided, in order."""
        return [(decision.action, decision.reason) for decision in self.decisions]

    def records(self, kind: Kind) -> list[Record]:
        return [note.record for note in self.journal.of(Note) if note.record.kind is kind]

    def trip(self, scope: Scope = GLOBAL, hold_s: float = 5.0) -> Trip:
        return self.register.trip(scope, Reason.OPERATOR, source="test", at=self.now, hold_s=hold_s)

    async def restart(self) -> None:
        """Crash the gateway; wait until its next incarnation has handled everything it can."""
        before = self.gateway.incarnation
        self.gateway.tell(VenueEvent("no event", self.now))
        await settle()
        assert self.gateway.incarnation == before + 1


@asynccontextmanager
async def rig(*, ready: bool = True, caps: Caps = CAPS, capacity: int = 1_000) -> AsyncIterator[Rig]:
    """A gateway under a supervisor. `ready`: reconciled, with a journal and a listing."""
    clock, venue = VirtualClock(origin_unix=NOW), ScriptedVenue()
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        names = ("journal", "risk", "scorekeeper", "telemetry", "pricer", "universe")
        probes = {name: await Probe.watch(system, name) for name in names}
        gateway = system.address("gateway")
        register = KillRegister(on_trip=venue.fire, listeners=(lambda trip: gateway.tell(Tripped(trip)),))
        for ticker in (M, OTHER):
            register.enroll(ticker, GAME, "nba")

        def make() -> Gateway:
            at = {name: probes[name].address for name in ("journal", "risk", "scorekeeper", "telemetry", "universe")}
            return Gateway(
                venue=venue, register=register, pricers={"nba": probes["pricer"].address}, clock=clock, caps=caps,
                expiry={"nba": EXPIRY_S}, write_capacity=capacity, cash=1_000 * DOLLAR, run="t1", **at,
            )  # fmt: skip

        rig = Rig(system, clock, venue, register, gateway, **probes)
        venue.silent = not ready
        await system.start(ChildSpec("safety", lambda: Supervisor((ChildSpec("gateway", make),), intensity=50, period=60.0)))
        await settle()
        if ready:
            await rig.tell(Listing((listed(M), listed(OTHER)), rig.now), Standing("journal", "ready", "", rig.now))
            venue.calls.clear()
        yield rig


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


class TestReconciling:
    """The venue's list is the truth that the table is held against."""

    async def test_what_rests_and_is_not_ours_is_cancelled(self, autojump_clock: MockClock) -> None:
        async with rig() as r:
            found = r.venue.lists("stranger", "x")
            await r.tell(Reconcile((found,), (), r.now, r.now))
            assert r.venue.did("cancel") == [("cancel", ("stranger",), Reason.ORPHAN)]

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
