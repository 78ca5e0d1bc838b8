"""The kill register: fences, holds, latches, keep-bands."""

from __future__ import annotations

import itertools
import math
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.errors import LocalError
from chimera.trading.kill import GLOBAL, HOLD_MAX_S, KillRegister, Level, Scope, State, Trip, domain, market, unit
from chimera.trading.reasons import Reason

MARKETS = {"A-1": ("A", "nba"), "A-2": ("A", "nba"), "B-1": ("B", "nba"), "C-1": ("C", "crypto")}
SCOPES = (GLOBAL, domain("nba"), domain("crypto"), unit("A"), unit("B"), unit("C"), *map(market, MARKETS))


def register(fired: list[Trip] | None = None) -> KillRegister:
    made = KillRegister((fired if fired is not None else []).append)
    for ticker, (unit_name, domain_name) in MARKETS.items():
        made.enroll(ticker, unit_name, domain_name)
    return made


UNIT_A = unit("A")


def trip(made: KillRegister, scope: Scope = UNIT_A, *, at: float = 0.0, hold_s: float = 60.0, latch: bool = False) -> Trip:
    return made.trip(scope, Reason.SHOCK, source="test", at=at, hold_s=hold_s, latch=latch)


def covers(scope: Scope, ticker: str) -> bool:
    return scope in (GLOBAL, domain(MARKETS[ticker][1]), unit(MARKETS[ticker][0]), market(ticker))


class TestFence:
    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(SCOPES), st.booleans()), max_size=12))
    def test_it_changes_if_and_only_if_one_of_its_scopes_was_tripped(self, trips: list[tuple[Scope, bool]]) -> None:
        made = register()
        before = {ticker: made.fence(ticker) for ticker in MARKETS}
        for scope, pull in trips:
            if pull and scope.level is Level.MARKET:
                made.pull(scope.name, Reason.EDGE_GONE, source="test", at=0.0)
            else:
                trip(made, scope)
            for ticker in MARKETS:
                after = made.fence(ticker)
                assert (after != before[ticker]) == covers(scope, ticker)
                assert after >= before[ticker]
                before[ticker] = after

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.sampled_from(SCOPES), max_size=8), st.lists(st.sampled_from(SCOPES), max_size=8))
    def test_no_fence_of_an_earlier_process_is_ever_current_again(self, first: list[Scope], second: list[Scope]) -> None:
        earlier = register()
        used = {ticker: {earlier.fence(ticker)} for ticker in MARKETS}
        for scope in first:
            trip(earlier, scope)
            for ticker in MARKETS:
                used[ticker].add(earlier.fence(ticker))
        later = register()
        later.resume(earlier.counters())
        for scope in (None, *second):
            if scope is not None:
                trip(later, scope)
            assert not any(later.fence(ticker) in used[ticker] for ticker in MARKETS)

    def test_resuming_before_enrolling_counts_for_the_markets_enrolled_later(self) -> None:
        made = KillRegister(lambda _: None)
        made.resume({"GLOBAL": 4, "UNIT:A": 2})
        made.enroll("A-1", "A", "nba")
        assert made.fence("A-1") == 5 + 3

    def test_it_is_not_known_for_a_market_that_was_never_enrolled(self) -> None:
        with pytest.raises(LocalError, match="never enrolled"):
            register().fence("D-1")

    def test_a_market_cannot_move_to_another_unit(self) -> None:
        made = register()
        made.enroll("A-1", "A", "nba")
        with pytest.raises(LocalError, match="is enrolled under"):
            made.enroll("A-1", "B", "nba")

    def test_the_fences_of_a_scope_are_those_of_the_markets_it_covers(self) -> None:
        made = register()
        trip(made, unit("A"))
        assert made.fences(unit("A")) == {"A-1": made.fence("A-1"), "A-2": made.fence("A-2")}
        assert set(made.fences(GLOBAL)) == set(MARKETS)
        assert made.fences(unit("nobody")) == {}


class TestTripping:
    def test_bytes_leave_before_anyone_is_told_and_after_the_fence_has_moved(self) -> None:
        seen: list[tuple[str, int, State]] = []
        made = KillRegister(lambda t: seen.append(("bytes", made.fence("A-1"), made.state(t.scope))))
        made.enroll("A-1", "A", "nba")
        made.listen(lambda t: seen.append(("told", made.fence("A-1"), made.state(t.scope))))
        trip(made)
        assert seen == [("bytes", 1, State.TRIPPED), ("told", 1, State.TRIPPED)]

    def test_a_failing_wire_still_leaves_the_scope_tripped_and_everyone_told(self) -> None:
        told: list[Trip] = []

        def broken(_: Trip) -> None:
            raise LocalError("no wire")

        made = KillRegister(broken, (told.append,))
        made.enroll("A-1", "A", "nba")
        with pytest.RaisesGroup(pytest.RaisesExc(LocalError, match="no wire")):
            trip(made)
        assert made.blocking("A-1") is not None
        assert made.fence("A-1") == 1
        assert told == [made.blocking("A-1")]

    def test_a_pull_moves_the_fence_and_fires_but_blocks_nothing(self) -> None:
        fired: list[Trip] = []
        made = register(fired)
        pulled = made.pull("A-1", Reason.EDGE_GONE, source="test", at=1.0)
        assert fired == [pulled]
        assert (made.fence("A-1"), made.fence("A-2")) == (1, 0)
        assert made.blocking("A-1") is None
        assert (made.pulls, made.kills) == (1, 0)
        assert not made.confirm(pulled)

    def test_the_widest_trip_is_the_one_that_blocks(self) -> None:
        made = register()
        narrow = trip(made, market("A-1"))
        assert made.blocking("A-1") == narrow
        wide = trip(made, GLOBAL)
        assert made.blocking("A-1") == wide
        assert made.blocking("unheard of") == wide

    def test_a_hold_that_is_no_number_latches(self) -> None:
        for hold in (math.nan, -1.0):
            assert trip(register(), hold_s=hold).latched


class TestLife:
    def test_from_trip_to_armed_each_step_needs_the_one_before(self) -> None:
        made = register()
        kill = trip(made, at=100.0, hold_s=60.0)
        assert not made.arm(kill, 1000.0)
        assert made.due(1000.0) == ()
        assert made.confirm(kill)
        assert made.state(unit("A")) is State.HELD
        assert not made.confirm(kill)
        assert made.due(159.9) == ()
        assert not made.arm(kill, 159.9)
        assert made.due(160.0) == (kill,)
        assert made.arm(kill, 160.0)
        assert made.state(unit("A")) is State.ARMED
        assert made.blocking("A-1") is None
        assert made.standing() == ()

    def test_a_word_about_an_earlier_trip_changes_nothing(self) -> None:
        made = register()
        first, second = trip(made, at=0.0), trip(made, at=1.0)
        assert not made.confirm(first)
        assert made.confirm(second)
        assert not made.arm(first, 1000.0)

    def test_a_repeat_after_rearming_holds_twice_as_long_up_to_the_limit(self) -> None:
        made, at, holds = register(), 0.0, []
        for _ in range(6):
            kill = trip(made, at=at, hold_s=60.0)
            holds.append(kill.hold_s)
            made.confirm(kill)
            at += kill.hold_s
            assert made.arm(kill, at)
            at += 30.0
        assert holds == [60.0, 120.0, 240.0, 480.0, HOLD_MAX_S, HOLD_MAX_S]

    def test_an_hour_without_a_kill_ends_the_doubling_of_a_minute(self) -> None:
        made = register()
        kill = trip(made, at=0.0, hold_s=60.0)
        made.confirm(kill)
        made.arm(kill, 60.0)
        assert trip(made, at=3601.0, hold_s=60.0).hold_s == 60.0

    def test_trips_while_it_is_held_prolong_the_hold_and_do_not_double_it(self) -> None:
        made = register()
        for at in range(2000):
            kill = trip(made, at=float(at), hold_s=60.0)
        assert kill.hold_s == 60.0
        made.confirm(kill)
        assert made.due(2058.9) == ()
        assert made.due(2059.0) == (kill,)

    def test_a_shorter_trip_never_shortens_a_hold(self) -> None:
        made = register()
        trip(made, at=0.0, hold_s=600.0)
        later = trip(made, at=10.0, hold_s=0.0)
        made.confirm(later)
        assert made.due(599.0) == ()
        assert made.due(600.0) == (later,)

    def test_a_longer_hold_than_the_limit_of_doubling_is_kept(self) -> None:
        assert trip(register(), hold_s=1800.0).hold_s == 1800.0

    def test_extending_holds_longer_never_shorter_and_never_an_armed_scope(self) -> None:
        made = register()
        kill = trip(made, at=0.0, hold_s=60.0)
        made.extend(unit("A"), 90.0)
        made.extend(unit("A"), 70.0)
        made.extend(unit("B"), 90.0)
        made.confirm(kill)
        assert made.due(89.0) == ()
        assert made.due(90.0) == (kill,)
        assert made.state(unit("B")) is State.ARMED


class TestLatch:
    def test_only_the_operator_ends_it_and_only_once_nothing_rests(self) -> None:
        made = register()
        kill = trip(made, GLOBAL, latch=True)
        assert not made.unlatch(GLOBAL)
        made.confirm(kill)
        assert made.state(GLOBAL) is State.LATCHED
        assert made.due(math.inf) == ()
        assert not made.arm(kill, math.inf)
        assert made.unlatch(GLOBAL)
        assert made.blocking("A-1") is None

    def test_no_later_trip_weakens_it(self) -> None:
        made = register()
        trip(made, GLOBAL, latch=True)
        later = trip(made, GLOBAL, at=5.0, hold_s=1.0)
        assert later.latched
        made.confirm(later)
        assert made.state(GLOBAL) is State.LATCHED
        again = trip(made, GLOBAL, at=6.0, hold_s=1.0)
        made.confirm(again)
        assert made.state(GLOBAL) is State.LATCHED

    def test_once_unlatched_the_next_kill_holds_its_own_time(self) -> None:
        made = register()
        made.confirm(trip(made, GLOBAL, latch=True))
        made.unlatch(GLOBAL)
        kill = trip(made, GLOBAL, at=1.0, hold_s=60.0)
        assert kill.hold_s == 60.0
        made.confirm(kill)
        assert made.arm(kill, 61.0)

    def test_a_new_process_is_as_latched_and_held_as_the_old_one_was(self) -> None:
        old = register()
        latch, hold = trip(old, GLOBAL, latch=True), trip(old, unit("A"), at=100.0)
        new = register()
        new.resume(old.counters(), (latch, hold))
        standing = {scope: (state, made) for scope, state, made, _ in new.standing()}
        assert {scope: state for scope, (state, _) in standing.items()} == {GLOBAL: State.TRIPPED, unit("A"): State.TRIPPED}
        assert new.confirm(standing[GLOBAL][1])
        assert new.state(GLOBAL) is State.LATCHED
        assert new.confirm(standing[unit("A")][1])
        assert new.due(159.0) == ()
        assert [made.scope for made in new.due(160.0)] == [unit("A")]

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(["trip", "confirm", "extend", "arm", "pull"]), st.floats(0, 500)), max_size=20))
    def test_nothing_but_unlatching_frees_a_latched_scope(self, steps: list[tuple[str, float]]) -> None:
        made = register()
        last = trip(made, unit("A"), latch=True)
        for what, at in steps:
            match what:
                case "trip":
                    last = trip(made, unit("A"), at=at, hold_s=at)
                case "confirm":
                    made.confirm(last)
                case "extend":
                    made.extend(unit("A"), at)
                case "arm":
                    made.arm(last, at)
                case _:
                    made.pull("A-1", Reason.EDGE_GONE, source="test", at=at)
            blocking = made.blocking("A-1")
            assert blocking is not None
            assert blocking.latched


class TestKeepBand:
    def test_p_outside_the_band_spoils_what_rests(self) -> None:
        made = register()
        made.keep("A-1", 0.40, 0.60)
        assert [made.spoiled("A-1", p) for p in (0.39, 0.40, 0.60, 0.61, math.nan)] == [True, False, False, True, True]

    def test_nothing_is_spoiled_where_nothing_rests(self) -> None:
        made = register()
        assert not made.spoiled("A-1", 0.0)
        made.keep("A-1", 0.40, 0.60)
        made.clear("A-1")
        assert not made.spoiled("A-1", 0.0)

    def test_a_trip_clears_the_bands_of_its_markets_and_of_no_other(self) -> None:
        made = register()
        for ticker in MARKETS:
            made.keep(ticker, 0.4, 0.6)
        trip(made, unit("A"))
        assert [made.spoiled(ticker, 0.0) for ticker in MARKETS] == [False, False, True, True]


class TestScope:
    @pytest.mark.parametrize("scope", SCOPES)
    def test_it_is_read_back_from_what_it_writes(self, scope: Scope) -> None:
        assert Scope.parse(str(scope)) == scope

    @pytest.mark.parametrize("text", ["", "UNIT", "UNIT:", "GLOBAL:x", "PLANET:x"])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="no scope"):
            Scope.parse(text)


class TestVoid:
    """What another thread may do while the loop stands still."""

    def test_it_moves_every_fence_and_nothing_else(self) -> None:
        fired: list[Trip] = []
        made = register(fired)
        before = {ticker: made.fence(ticker) for ticker in MARKETS}
        made.void()
        assert {ticker: made.fence(ticker) - 1 for ticker in MARKETS} == before
        assert made.state(GLOBAL) is State.ARMED
        assert (fired, made.kills, made.pulls, list(made.ring)) == ([], 0, 0, [])

    def test_no_trip_and_no_void_is_lost_whoever_counts(self) -> None:
        made, interval = register(), sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            other = threading.Thread(target=lambda: [made.void() for _ in range(2_000)])
            other.start()
            seen = [made.fence("A-1")]
            for n in range(2_000):
                trip(made, GLOBAL, at=float(n), hold_s=1.0)
                seen.append(made.fence("A-1"))
            other.join()
        finally:
            sys.setswitchinterval(interval)
        assert made.fence("A-1") == 4_000
        assert all(later > earlier for earlier, later in itertools.pairwise(seen))
