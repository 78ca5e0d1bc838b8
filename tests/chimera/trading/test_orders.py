"""The life of an order and the table of orders."""

from __future__ import annotations

import random

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import Side
from chimera.errors import LocalError
from chimera.trading.order_life import OURS, THEIRS, Input
from chimera.trading.orders import MAX_FLIGHT_S, READ_LAG_S, OrderTable, Proof, State, Working
from chimera.trading.venue import Action, Done, Event, Fill, Gone, Order, Rejected, Resting, Unknown

M = "KXNBAGAME-1"


def order(client_id: str = "c1", *, side: Side = Side.BID, price: int = 4600, count: int = 100, expires_at: float = 1000.0) -> Order:
    return Order(client_id, M, side, price, count, expires_at, fence=1, p_true=0.5, required_edge=3.0)


def done(action: Action = Action.PLACE, at: float = 2.0, reduced: int = 0, client_id: str = "c1") -> Done:
    return Done(client_id, "o" + client_id[1:], M, action, at, reduced)


def fill(count: int, name: str = "f1", at: float = 2.0, client_id: str = "c1") -> Fill:
    return Fill(name, client_id, "o" + client_id[1:], M, Side.BID, 4600, count, 0, False, at)


def listed(count: int = 100, filled: int = 0, client_id: str = "c1", expires_at: float = 1000.0) -> Resting:
    return Resting("o" + client_id[1:], client_id, M, Side.BID, 4600, count, filled, expires_at)


def sent_table(client_id: str = "c1", at: float = 1.0, **fields: float) -> tuple[OrderTable, Working]:
    table = OrderTable()
    working = table.intend(order(client_id, **fields), at)  # type: ignore[arg-type]
    table.sent(client_id, at)
    return table, working


def resting_table(**fields: float) -> tuple[OrderTable, Working]:
    table, working = sent_table(**fields)
    table.apply(done())
    return table, working


class TestLife:
    def test_the_plain_life_ends_with_a_cancel_and_reserves_until_it_is_proved(self) -> None:
        table, working = resting_table()
        assert (working.state, working.order_id) == (State.RESTING, "o1")
        table.cancelling("c1", 3.0)
        assert table.reserved(M, Side.BID) == 100
        table.apply(done(Action.CANCEL, 3.1, reduced=100))
        assert (working.state, working.proof) == (State.GONE, Proof.CANCELLED)
        assert table.reserved(M, Side.BID) == 0
        assert table.live() == ()

    def test_a_fill_before_the_ack_proves_the_order_and_the_ack_is_still_news(self) -> None:
        table, working = sent_table()
        table.apply(fill(40))
        assert (working.state, working.order_id, working.remaining) == (State.RESTING, "o1", 60)
        change = table.apply(done())
        assert change.fresh
        assert working.state is State.RESTING
        assert not table.apply(done()).fresh

    def test_a_fill_told_twice_is_one_fill(self) -> None:
        table, working = resting_table()
        assert table.apply(fill(40)).fresh
        assert not table.apply(fill(40)).fresh
        assert working.filled == 40

    def test_a_fill_after_the_cancel_moves_no_state_and_settles_what_was_owed(self) -> None:
        table, working = resting_table()
        table.cancelling("c1", 3.0)
        table.apply(done(Action.CANCEL, 3.1, reduced=60))
        assert (working.state, working.owed, table.reserved(M, Side.BID)) == (State.GONE, 40, 40)
        assert table.unresolved() == (working,)
        assert table.apply(fill(40, at=3.2)).fresh
        assert (working.state, working.owed) == (State.GONE, 0)
        assert table.unresolved() == ()

    def test_a_late_ack_does_not_bring_a_filled_order_back(self) -> None:
        table, working = sent_table()
        table.apply(fill(100))
        assert (working.state, working.proof) == (State.GONE, Proof.FILLED)
        table.apply(done())
        assert working.state is State.GONE

    @pytest.mark.parametrize("action", [Action.CANCEL, Action.AMEND])
    @pytest.mark.parametrize("kind", [Rejected, Unknown])
    def test_a_refused_or_unanswered_request_leaves_the_order_unknown_for_it_may_have_filled(
        self, kind: type[Rejected | Unknown], action: Action
    ) -> None:
        table, working = resting_table()
        if action is Action.CANCEL:
            table.cancelling("c1", 3.0)
        else:
            table.amending("c1", 50.0, 3.0)
        table.apply(kind("c1", "o1", M, action, 3.1, "not_found"))
        assert working.state is State.UNKNOWN
        assert table.reserved(M, Side.BID) == 100

    def test_an_unanswered_place_is_unknown_and_a_late_ack_makes_it_rest(self) -> None:
        table, working = sent_table()
        table.apply(Unknown("c1", "", M, Action.PLACE, 2.0, "timeout"))
        assert (working.state, table.reserved(M, Side.BID)) == (State.UNKNOWN, 100)
        table.apply(done(at=3.0))
        assert working.state is State.RESTING

    def test_a_rejected_place_is_gone(self) -> None:
        table, working = sent_table()
        table.apply(Rejected("c1", "", M, Action.PLACE, 2.0, "invalid_order: post only cross"))
        assert (working.state, working.proof) == (State.GONE, Proof.REJECTED)

    def test_a_kill_or_an_expiry_takes_it_off_whatever_was_under_way(self) -> None:
        table, working = resting_table()
        table.amending("c1", 50.0, 3.0)
        table.apply(Gone("c1", "o1", M, "ExpiryCancel", 3.1, 100))
        assert (working.state, working.proof, working.owed) == (State.GONE, Proof.TAKEN_OFF, 0)
        assert not table.apply(done(Action.AMEND, 3.2)).fresh
        assert working.state is State.GONE

    def test_while_a_renewal_travels_the_later_expiry_counts(self) -> None:
        table, working = resting_table(expires_at=20.0)
        table.amending("c1", 50.0, 3.0)
        assert working.expires_at == 50.0

    def test_an_order_withdrawn_before_it_was_sent_reserves_nothing(self) -> None:
        table = OrderTable()
        working = table.intend(order(), 1.0)
        assert table.reserved(M, Side.BID) == 100
        assert table.live() == ()
        table.withdrawn("c1", 1.1)
        assert (working.proof, table.reserved(M, Side.BID)) == (Proof.NEVER_SENT, 0)

    def test_an_event_of_an_order_nobody_knows_says_so(self) -> None:
        assert OrderTable().apply(done()).order is None


class TestOurBugs:
    @pytest.mark.parametrize("state", list(State))
    def test_what_makes_no_sense_in_a_state_is_a_local_error(self, state: State) -> None:
        for what in (Input.SEND, Input.WITHDRAW, Input.AMEND, Input.CANCEL):
            working = Working(order(), state, 0.0, order_id="o1")
            if (state, what) in OURS:
                working.does(what, 1.0)
                assert working.state is OURS[state, what]
            else:
                with pytest.raises(LocalError, match="makes no sense"):
                    working.does(what, 1.0)

    def test_nothing_the_venue_says_is_an_error_or_revives_a_gone_order(self) -> None:
        theirs = [what for what in Input if what not in (Input.SEND, Input.WITHDRAW, Input.AMEND, Input.CANCEL)]
        for state in State:
            for what in theirs:
                working = Working(order(), state, 0.0, proof=Proof.CANCELLED if state is State.GONE else None)
                working.hears(what, 1.0)
                assert working.state is THEIRS.get((state, what), state)
                assert state is not State.GONE or working.state is State.GONE

    def test_a_client_id_is_never_used_again(self) -> None:
        table, _ = sent_table()
        with pytest.raises(LocalError, match="used before"):
            table.intend(order(), 2.0)

    def test_no_cancel_by_an_id_that_is_not_known(self) -> None:
        table, _ = sent_table()
        with pytest.raises(LocalError, match="order id"):
            table.cancelling("c1", 2.0)

    def test_no_cancel_of_an_order_that_is_not_in_the_table(self) -> None:
        with pytest.raises(LocalError, match="no order c9"):
            OrderTable().cancelling("c9", 2.0)


class TestReconciliation:
    def test_a_listed_stranger_is_an_orphan_and_counts_until_it_is_gone(self) -> None:
        table = OrderTable()
        findings = table.reconcile([listed(70, 30)], [], 10.0, 10.1)
        assert findings.orphans == (listed(70, 30),)
        assert table.reserved(M, Side.BID) == 70
        assert table.reconcile([listed(70, 30)], [], 15.0, 15.1).orphans == ()

    def test_fills_from_before_a_stranger_was_adopted_are_not_counted_twice(self) -> None:
        table = OrderTable()
        table.reconcile([listed(70, 30)], [], 10.0, 10.1)
        table.apply(fill(30, "old", at=9.0))
        assert table.reserved(M, Side.BID) == 70
        table.apply(fill(20, "new", at=11.0))
        assert table.reserved(M, Side.BID) == 50

    def test_an_order_listed_shortly_after_its_acked_cancel_is_no_orphan(self) -> None:
        table, working = resting_table()
        table.cancelling("c1", 3.0)
        table.apply(done(Action.CANCEL, 3.1, reduced=100))
        assert table.reconcile([listed()], [], 3.46, 3.5).orphans == ()
        assert working.state is State.GONE
        assert table.reconcile([listed()], [], 3.1 + READ_LAG_S + 0.1, 6.0).orphans == (listed(),)

    def test_a_resting_order_that_is_not_listed_needs_two_lists_that_could_have_shown_it(self) -> None:
        table, working = resting_table()
        assert table.reconcile([], [], 2.5, 2.6).gone == ()
        assert table.reconcile([], [], 10.0, 10.1).missing == (working,)
        assert table.reconcile([], [], 10.5, 10.6).gone == ()
        assert table.reconcile([], [], 10.0 + READ_LAG_S, 12.1).gone == (working,)
        assert (working.proof, table.reserved(M, Side.BID)) == (Proof.ABSENT, 0)

    def test_word_of_the_order_between_two_lists_starts_the_proof_again(self) -> None:
        table, working = resting_table()
        table.reconcile([], [], 10.0, 10.1)
        table.apply(fill(10, at=11.0))
        assert table.reconcile([], [], 15.0, 15.1).gone == ()
        assert working.state is State.RESTING

    def test_without_a_complete_list_of_fills_nothing_is_proved_gone(self) -> None:
        table, working = resting_table()
        for asked_at in (10.0, 20.0, 30.0):
            assert table.reconcile([], None, asked_at, asked_at).missing == (working,)

    def test_past_its_expiry_one_list_is_enough(self) -> None:
        table, working = resting_table(expires_at=20.0)
        assert table.reconcile([], [], 20.0 + READ_LAG_S, 22.5).gone == (working,)

    def test_a_place_without_an_answer_may_arrive_late(self) -> None:
        table, working = sent_table()
        table.apply(Unknown("c1", "", M, Action.PLACE, 2.0, "timeout"))
        for asked_at in (5.0, 8.0, 1.0 + MAX_FLIGHT_S - 0.1):
            assert table.reconcile([], [], asked_at, asked_at).missing == (working,)
        table.reconcile([], [], 1.0 + MAX_FLIGHT_S, 12.0)
        assert table.reconcile([], [], 1.0 + MAX_FLIGHT_S + READ_LAG_S, 14.0).gone == (working,)

    def test_a_list_resolves_an_unknown_order_to_resting(self) -> None:
        table, working = sent_table()
        table.apply(Unknown("c1", "", M, Action.PLACE, 2.0, "timeout"))
        assert table.reconcile([listed(expires_at=33.0)], [], 5.0, 5.1).orphans == ()
        assert (working.state, working.order_id, working.expires_at) == (State.RESTING, "o1", 33.0)

    def test_a_list_asked_for_before_the_last_word_resolves_nothing(self) -> None:
        table, working = sent_table()
        table.apply(Unknown("c1", "", M, Action.PLACE, 8.0, "timeout"))
        table.reconcile([listed()], [], 5.0, 9.0)
        assert working.state is State.UNKNOWN

    def test_an_order_proved_absent_that_speaks_again_is_back(self) -> None:
        table, working = resting_table(expires_at=20.0)
        table.reconcile([], [], 30.0, 30.1)
        assert working.state is State.GONE
        table.apply(fill(40, at=31.0))
        assert (working.state, table.reserved(M, Side.BID)) == (State.RESTING, 60)

    def test_what_is_owed_ends_with_a_complete_list_of_fills(self) -> None:
        table, working = resting_table()
        table.apply(Gone("c1", "o1", M, "CloseCancel", 3.0))
        assert working.owed == 100
        table.reconcile([], [], 3.5, 3.6)
        assert working.owed == 100
        table.reconcile([], [], 3.0 + READ_LAG_S, 5.1)
        assert working.owed == 0

    def test_fills_that_only_the_list_knows_are_returned_once(self) -> None:
        table, working = resting_table()
        assert table.reconcile([listed(60, 40)], [fill(40)], 10.0, 10.1).fills == (fill(40),)
        assert table.reconcile([listed(60, 40)], [fill(40)], 15.0, 15.1).fills == ()
        assert working.filled == 40

    def test_an_intent_of_an_earlier_incarnation_counts_until_a_list_proves_it_gone(self) -> None:
        table = OrderTable()
        working = table.recover(order(expires_at=20.0), 5.0)
        assert table.reserved(M, Side.BID) == 100
        assert table.reconcile([], [], 30.0, 30.1).gone == (working,)

    def test_forgetting_drops_only_what_is_gone_and_owes_nothing(self) -> None:
        table, _ = resting_table()
        table.intend(order("c2"), 1.0)
        table.intend(order("c3"), 1.0)
        table.withdrawn("c2", 2.0)
        assert table.forget(100.0) == 1
        assert {working.order.client_id for working in table} == {"c1", "c3"}
        table.apply(Gone("c1", "o1", M, "ExpiryCancel", 3.0, 60))
        assert table.forget(100.0) == 0
        table.apply(fill(40, at=3.1))
        assert table.forget(100.0) == 1
        assert table.of(M) == (table.get("c3"),)
        assert table.get("c1", "o1") is None


@attrs.frozen
class _True:
    """What really became of an order, and all the venue's words about it."""

    events: tuple[Event, ...]
    filled: int
    rests: int


@st.composite
def histories(draw: st.DrawFn) -> _True:
    parts = draw(st.lists(st.integers(1, 40), max_size=3))
    filled = min(100, sum(parts))
    fills = [fill(n, f"f{i}", at=2.0 + i) for i, n in enumerate(parts) if sum(parts[: i + 1]) <= 100]
    filled = sum(f.count for f in fills)
    events: list[Event] = [done(at=1.5), *fills]
    ended = draw(st.booleans())
    if ended and filled < 100:
        events.append(Gone("c1", "o1", M, "ExpiryCancel", 6.0, 100 - filled))
    events += draw(st.lists(st.sampled_from(events), max_size=3))
    seed = draw(st.integers(0, 2**16))
    random.Random(seed).shuffle(events)
    return _True(tuple(events), filled, 0 if ended or filled == 100 else 100 - filled)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_in_whatever_order_and_however_often_the_words_come_the_end_is_the_truth(true: _True) -> None:
    table, working = sent_table()
    for number in range(len(true.events)):
        table.apply(true.events[number])
        seen = {event.fill_id: event.count for event in true.events[: number + 1] if isinstance(event, Fill)}
        # Until every word is in, what is reserved covers everything that may still fill.
        assert table.reserved(M, Side.BID) >= true.filled - sum(seen.values()) + true.rests
    assert working.filled == true.filled
    assert table.reserved(M, Side.BID) == true.rests
    assert (working.state is State.GONE) == (true.rests == 0)
