"""The paper venue: latency, order of answers, and what a trip's cancels do."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import Side
from chimera.trading.kill import GLOBAL, KillRegister, market
from chimera.trading.paper import PaperExchange
from chimera.trading.paper_venue import Latency, PaperVenue
from chimera.trading.reasons import Reason
from chimera.trading.venue import Action, Done, Event, Fill, Gone, Order, Rejected
from chimera.trading.venue_log import Accepted, Cancelling, Fired, Line, Renewing, Sent, VenueLog

M, OTHER = "M", "OTHER"


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


class Wire:
    """A venue, the events it delivered, and when."""

    def __init__(self, latency: Latency | None = None, seed: int = 1) -> None:
        self.lines: list[Line] = []
        log = VenueLog(self.lines.append)
        self.clock = Hands()
        self.exchange = PaperExchange(log)
        self.venue = PaperVenue(self.exchange, log, clock=self.clock, rng=random.Random(seed), latency=latency)
        self.heard: list[Event] = []
        self.venue.sink = self.heard.append
        for name in (M, OTHER):
            self.exchange.on_book(name, [(4600, 1000)], [(4800, 1000)], 0.0)

    def place(self, name: str, now: float = 0.0, where: str = M, price: int = 4600, expires_at: float = 1e9) -> Order:
        order = Order(name, where, Side.BID, price, 100, expires_at, 7, 0.55, 4.0, 3)
        self.venue.place(order, now)
        return order

    def rests(self) -> set[str]:
        return {resting.client_id for resting in self.exchange.resting()}

    def of(self, kind: type[Line]) -> list[Line]:
        return [line for line in self.lines if isinstance(line, kind)]


FIXED = Latency(0.05, 0.05)


class TestLatency:
    def test_an_order_arrives_after_the_way_there_and_is_acked_after_the_way_back(self) -> None:
        wire = Wire(FIXED)
        wire.place("a")
        assert wire.venue.next_due() == 0.05
        wire.venue.advance(0.049)
        assert wire.rests() == set()
        wire.venue.advance(0.06)
        assert wire.rests() == {"a"}
        assert wire.heard == []
        wire.venue.advance(0.1)
        assert wire.heard == [Done("a", "P1", M, Action.PLACE, 0.05, 0, 3)]

    @settings(max_examples=50, deadline=None)
    @given(st.integers(0, 2**16))
    def test_each_way_takes_its_own_time_within_the_bounds(self, seed: int) -> None:
        wire = Wire(Latency(0.03, 0.08), seed)
        for number in range(5):
            wire.place(f"c{number}", now=1.0)
        wire.venue.advance(1.0299)
        assert wire.rests() == set()
        wire.venue.advance(1.08)
        assert len(wire.rests()) == 5
        wire.venue.advance(1.16)
        assert {event.client_id for event in wire.heard} == wire.rests()
        assert all(1.03 <= event.at <= 1.08 for event in wire.heard)

    def test_the_same_seed_takes_the_same_times(self) -> None:
        first, second = Wire(seed=3), Wire(seed=3)
        for wire in (first, second):
            for number in range(5):
                wire.place(f"c{number}")
            wire.venue.advance(1.0)
        assert first.heard == second.heard

    def test_it_may_be_filled_while_its_cancel_travels(self) -> None:
        wire = Wire(FIXED)
        wire.place("a")
        wire.venue.advance(1.0)
        wire.venue.cancel([("P1", "a", M)], Reason.WITHDRAWN, 1.0)
        wire.venue.on_trade(M, 4500, 40, Side.ASK, 1.04)
        wire.venue.on_trade(M, 4500, 40, Side.ASK, 1.06)
        wire.venue.advance(2.0)
        assert [event.count for event in wire.heard if isinstance(event, Fill)] == [40]
        assert [event.reduced for event in wire.heard if isinstance(event, Done) and event.action is Action.CANCEL] == [60]

    def test_what_was_due_before_a_frame_happens_before_it(self) -> None:
        wire = Wire(FIXED)
        wire.place("a", price=4700)
        wire.venue.on_delta(M, Side.ASK, 4700, +100, 0.2)
        assert wire.exchange.fills(0.0) != ()
        late = Wire(FIXED)
        late.place("a", price=4700)
        late.venue.on_delta(M, Side.ASK, 4700, +100, 0.04)
        late.venue.advance(1.0)
        assert [type(event) for event in late.heard] == [Rejected]

    def test_expiry_happens_at_its_time_however_late_anyone_looks(self) -> None:
        wire = Wire(FIXED)
        wire.place("a", expires_at=5.0)
        wire.venue.advance(0.2)
        assert wire.venue.next_due() == 5.0
        wire.venue.advance(60.0)
        assert [event.at for event in wire.heard if isinstance(event, Gone)] == [5.0]

    async def test_a_list_is_as_old_as_the_way_back(self) -> None:
        wire = Wire(FIXED)
        wire.place("a")
        assert {resting.client_id for resting in await wire.venue.resting()} == {"a"}
        assert wire.clock.time == 0.1
        assert await wire.venue.fills(0.0) == ()

    def test_whoever_keeps_its_time_is_woken_only_when_something_is_due_sooner(self) -> None:
        wire, woken = Wire(FIXED), []
        wire.venue.wake = lambda: woken.append(wire.venue.next_due())
        wire.place("a", now=1.0)
        wire.place("b", now=2.0)
        wire.place("c", now=0.0)
        assert woken == [1.05, 0.05]

    def test_what_nobody_hears_waits_for_a_sink(self) -> None:
        wire = Wire(FIXED)
        wire.venue.sink = None
        wire.place("a")
        wire.venue.advance(1.0)
        wire.venue.sink = wire.heard.append
        wire.venue.advance(1.0)
        assert [event.client_id for event in wire.heard] == ["a"]


class TestFiring:
    def wired(self) -> tuple[Wire, KillRegister]:
        wire = Wire(FIXED)
        register = KillRegister(wire.venue.fire)
        wire.venue.covers = register.fences
        register.enroll(M, "U1", "nba")
        register.enroll(OTHER, "U2", "nba")
        wire.place("a")
        wire.place("b", where=OTHER)
        wire.venue.advance(1.0)
        wire.heard.clear()
        return wire, register

    def test_a_pull_takes_its_market_off_after_the_way_there(self) -> None:
        wire, register = self.wired()
        register.pull(M, Reason.EDGE_GONE, source="test", at=1.0)
        assert wire.rests() == {"a", "b"}
        wire.venue.advance(1.05)
        assert wire.rests() == {"b"}
        wire.venue.advance(2.0)
        assert [(event.client_id, event.reason) for event in wire.heard if isinstance(event, Gone)] == [("a", "Fired")]

    def test_a_global_trip_takes_everything_off(self) -> None:
        wire, register = self.wired()
        wire.place("c", now=0.5, where="NEVER ENROLLED")
        register.trip(GLOBAL, Reason.OPERATOR, source="test", at=1.0, hold_s=0.0, latch=True)
        wire.venue.advance(1.05)
        assert wire.rests() == set()

    def test_an_order_in_flight_is_not_stopped_by_a_trip_which_is_why_acks_are_checked(self) -> None:
        wire, register = self.wired()
        wire.place("late", now=1.01)
        register.pull(M, Reason.EDGE_GONE, source="test", at=1.0)
        wire.venue.advance(2.0)
        assert wire.rests() == {"b", "late"}

    def test_until_it_knows_what_a_scope_covers_a_trip_takes_everything_off(self) -> None:
        wire = Wire(FIXED)
        register = KillRegister(wire.venue.fire)
        wire.place("a")
        wire.venue.advance(1.0)
        register.trip(market(OTHER), Reason.SHOCK, source="test", at=1.0, hold_s=1.0)
        wire.venue.advance(2.0)
        assert wire.rests() == set()

    def test_the_log_holds_the_fences_from_then_on(self) -> None:
        wire, register = self.wired()
        trip = register.pull(M, Reason.EDGE_GONE, source="test", at=1.0)
        fired = wire.of(Fired)[0]
        assert isinstance(fired, Fired)
        assert fired.fences == {M: register.fence(M)}
        assert (fired.counter, fired.pull, fired.reason) == (trip.counter, True, "edge_gone")


def test_every_request_is_in_the_log_when_it_has_been_made_with_what_it_was_decided_under() -> None:
    wire = Wire(FIXED)
    order = wire.place("a", now=0.5)
    sent = wire.of(Sent)[0]
    assert isinstance(sent, Sent)
    assert (sent.at, sent.fence, sent.p_true, sent.required_edge, sent.price) == (0.5, 7, 0.55, 4.0, order.price)
    wire.venue.advance(1.0)
    accepted = wire.of(Accepted)[0]
    assert isinstance(accepted, Accepted)
    assert (accepted.bid, accepted.ask, accepted.ahead) == (4600, 4800, 1000)
    wire.venue.amend("P1", "a", M, 50.0, 1.0, fence=7, p_true=0.56, required_edge=4.5)
    renewing = wire.of(Renewing)[0]
    assert isinstance(renewing, Renewing)
    assert (renewing.fence, renewing.p_true, renewing.required_edge, renewing.expires_at) == (7, 0.56, 4.5, 50.0)
    wire.venue.cancel([("P1", "a", M)], Reason.WITHDRAWN, 2.0)
    cancelling = wire.of(Cancelling)[0]
    assert isinstance(cancelling, Cancelling)
    assert cancelling.order_ids == ("P1",)
