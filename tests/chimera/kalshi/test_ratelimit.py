"""Token buckets: what is granted at once, what is kept back for kills, and what a 429 teaches."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.errors import LocalError
from chimera.kalshi import decode_account
from chimera.kalshi.ratelimit import Bucket, Call, RateLimiter, TokenBucket, kill_reserve
from chimera.kalshi.schema_account import AccountLimits, EndpointCosts
from chimera.trading.limits import tokens_suffice

BASIC = AccountLimits("basic", 200, 200, 100, 100)
WRITES = [call for call in Call if call.value.bucket is Bucket.WRITE]


def limiter(limits: AccountLimits = BASIC) -> RateLimiter:
    made = RateLimiter(0.0)
    made.set_limits(limits, 0.0)
    return made


class TestBuckets:
    """Capacity at once, then the refill."""

    def test_a_bucket_gives_its_capacity_at_once_and_then_its_refill(self) -> None:
        bucket = TokenBucket(capacity=20, refill=10, now=0.0)
        assert [bucket.reserve(10, 0.0) for _ in range(4)] == [0.0, 0.0, 1.0, 2.0]
        assert bucket.level(4.0) == 20.0
        assert bucket.level(100.0) == 20.0

    def test_what_cannot_be_taken_costs_nothing(self) -> None:
        bucket = TokenBucket(capacity=20, refill=10, now=0.0)
        assert not bucket.take(15, 0.0, keep=6)
        assert bucket.take(15, 0.0, keep=5)
        assert bucket.wait(15, 0.0) == 1.0

    def test_a_bucket_that_never_fills_is_refused(self) -> None:
        with pytest.raises(ValueError, match="refill"):
            TokenBucket(10, 0, 0.0)

    @given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 30), st.floats(0, 50)), max_size=40))
    def test_no_span_ever_grants_more_than_capacity_and_refill(self, asks) -> None:
        bucket, now, granted = TokenBucket(100, 50, 0.0), 0.0, []
        for wait, cost, keep in asks:
            now += wait
            if bucket.take(cost, now, keep):
                granted.append((now, cost))
                assert bucket.level(now) >= keep - 1e-6
        for start, _ in granted:
            for end, _ in granted:
                assert sum(cost for at, cost in granted if start <= at <= end) <= 100 + 50 * max(0.0, end - start) + 1e-6

    @given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 30)), max_size=40))
    def test_no_span_ever_promises_more_than_capacity_and_refill(self, asks) -> None:
        bucket, now, granted = TokenBucket(100, 50, 0.0), 0.0, []
        for wait, cost in asks:
            now += wait
            granted.append((now + bucket.reserve(cost, now), cost))
        for start, _ in granted:
            for end, _ in granted:
                assert sum(cost for at, cost in granted if start <= at <= end) <= 100 + 50 * max(0.0, end - start) + 30 + 1e-6


class TestCosts:
    """What each call costs, and whom it is billed to."""

    def test_a_basic_account_places_ten_and_cancels_fifty_a_second(self) -> None:
        unkept = limiter()
        assert (unkept.largest_batch(Call.BATCH_CREATE), unkept.largest_batch(Call.BATCH_CANCEL)) == (10, 50)
        assert unkept.try_take(Call.BATCH_CANCEL, 0, 0.0, items=50)
        assert not unkept.try_take(Call.CANCEL_ALL, 0, 0.0)

    def test_a_batch_that_can_never_fit_is_our_own_mistake(self) -> None:
        with pytest.raises(LocalError, match="split it"):
            limiter().try_take(Call.BATCH_CREATE, 0, 0.0, items=11)

    def test_automatic_routing_is_never_used(self) -> None:
        with pytest.raises(LocalError, match="exchange_index"):
            limiter().try_take(Call.CREATE, -1, 0.0)

    def test_an_order_of_another_shard_is_billed_there_and_a_batch_never_is(self) -> None:
        shards = limiter()
        assert shards.try_take(Call.BATCH_CANCEL, 3, 0.0, items=50)
        assert not shards.try_take(Call.CANCEL, 0, 0.0)
        assert shards.try_take(Call.CANCEL, 3, 0.0)
        assert not shards.try_take(Call.GROUP_TRIGGER, 3, 0.0)
        assert shards.statistics(0.0)["write_tokens.3"] == 98.0

    def test_costs_are_those_of_the_endpoint_and_what_it_leaves_out_has_its_default(self) -> None:
        costs = limiter()
        prefix = "/trade-api/v2/portfolio/events/orders"
        costs.set_costs(EndpointCosts(7, (("DELETE", prefix + "/{id}", 3), ("POST", prefix + "/:order_id/amend", 5))))
        assert [costs.cost(call) for call in (Call.CREATE, Call.CANCEL, Call.AMEND, Call.RENEW, Call.CANCEL_ALL)] == [7, 3, 5, 5, 7]

    @pytest.mark.data
    def test_the_recorded_costs_are_the_documented_ones(self, shared_data: Path) -> None:
        costs = decode_account.endpoint_costs((shared_data / "kalshi/demo_rest_ws/account__endpoint_costs.json").read_bytes())
        told = limiter()
        told.set_costs(costs)
        differing = {call for call in Call if told.cost(call) != call.value.documented}
        # The cancel of everything is younger than the recording.
        assert differing == {Call.CANCEL_ALL}

    @pytest.mark.parametrize(("tier", "seconds"), [("basic", 1.0), ("Advanced", 1.0), ("expert", 0.2)])
    def test_the_balance_has_a_bucket_of_its_own_without_burst(self, tier: str, seconds: float) -> None:
        own = limiter(AccountLimits(tier, 10, 10, 100, 100))
        assert [own.queue(Call.BALANCE, 0.0) for _ in range(3)] == pytest.approx([0.0, seconds, 2 * seconds])
        assert own.queue(Call.READ, 0.0) == 0.0


class TestReserve:
    """The tokens that killing everything may need are there, whatever is placed."""

    def test_placing_stops_at_the_reserve_and_cancelling_goes_on(self) -> None:
        kept = limiter()
        kept.keep(units=2, open_orders=10)
        assert kept.kept == 44
        placed = 0
        while kept.try_take(Call.CREATE, 0, 0.0):
            placed += 1
        assert placed == 5
        assert not kept.try_take(Call.RENEW, 0, 0.0)
        assert [kept.try_take(Call.GROUP_TRIGGER, 0, 0.0) for _ in range(2)] == [True, True]
        assert kept.try_take(Call.BATCH_CANCEL, 0, 0.0, items=10)

    @settings(max_examples=60, deadline=None)
    @given(
        units=st.integers(0, 4),
        orders=st.integers(0, 20),
        asks=st.lists(st.tuples(st.floats(0, 0.3), st.sampled_from(WRITES), st.integers(0, 2)), max_size=60),
    )
    def test_whatever_was_asked_for_before_a_kill_finds_its_tokens(self, units: int, orders: int, asks) -> None:
        """Given that nothing was killed in the last second, the whole of a kill goes through at once."""
        kept, now = limiter(), 0.0
        if not tokens_suffice(units, orders, 100):
            return
        kept.keep(units, orders)
        for wait, call, shard in asks:
            now += wait
            if not call.value.urgent:
                kept.try_take(call, shard, now)
        assert all(kept.try_take(Call.GROUP_TRIGGER, 0, now) for _ in range(units))
        assert not orders or kept.try_take(Call.BATCH_CANCEL, 0, now, items=orders)
        assert kept.try_take(Call.CANCEL_ALL, 0, now)

    def test_the_reserve_is_the_one_that_the_limits_count_with(self) -> None:
        for units in range(5):
            for orders in range(30):
                assert tokens_suffice(units, orders, 100) == (kill_reserve(units, orders) <= 60)

    def test_renewals_have_a_share_of_the_refill_and_no_more(self) -> None:
        shared = limiter()
        now, renewed = 0.0, 0
        while now < 10.0:
            renewed += shared.try_take(Call.RENEW, 2, now)
            now += 0.01
        assert renewed * 10 <= 0.3 * 100 + 0.3 * 100 * 10
        assert renewed >= 30
        while shared.try_take(Call.RENEW, 2, now):
            pass
        assert shared.wait(Call.RENEW, 2, now) > 0.0
        assert shared.wait(Call.CREATE, 2, now) == 0.0

    @given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from(WRITES)), max_size=30))
    def test_after_the_wait_that_was_told_it_is_granted(self, asks) -> None:
        waiting, now = limiter(), 0.0
        waiting.keep(1, 3)
        for pause, call in asks:
            now += pause
            waiting.try_take(call, 1, now)
            later = now + waiting.wait(call, 1, now) + 1e-6
            assert waiting.try_take(call, 1, later)
            now = later


class TestRefusals:
    """A 429 says that the bucket is empty, and nothing more."""

    def test_the_bucket_is_drained_and_what_can_wait_waits_a_random_while(self) -> None:
        refused = limiter()
        refused.refuse(Call.CREATE, 0, 0.0, spread=0.5)
        assert not refused.try_take(Call.CREATE, 0, 0.24)
        assert refused.try_take(Call.CREATE, 0, 0.26)

    def test_a_cancel_waits_for_its_tokens_alone(self) -> None:
        refused = limiter()
        refused.refuse(Call.CREATE, 0, 0.0, spread=0.99)
        assert not refused.try_take(Call.CANCEL, 0, 0.01)
        assert refused.try_take(Call.CANCEL, 0, 0.021)

    def test_each_refusal_in_a_row_doubles_the_pause_up_to_its_limit(self) -> None:
        refused, now, pauses = limiter(), 0.0, []
        for _ in range(8):
            refused.refuse(Call.CREATE, 0, now, spread=0.5)
            pauses.append(refused.wait(Call.CREATE, 0, now))
            now += 100.0
        assert pauses == pytest.approx([0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0])
        refused.accept(Call.CREATE, 0, now)
        refused.refuse(Call.CREATE, 0, now, spread=0.5)
        assert refused.wait(Call.CREATE, 0, now) == pytest.approx(0.25)

    def test_one_shard_refusing_says_nothing_of_another(self) -> None:
        refused = limiter()
        refused.refuse(Call.CREATE, 2, 0.0, spread=0.5)
        assert refused.try_take(Call.CREATE, 0, 0.0)
        assert refused.try_take(Call.CREATE, 1, 0.0)
        assert not refused.try_take(Call.CREATE, 2, 0.0)

    def test_reads_queue_behind_the_pause(self) -> None:
        refused = limiter()
        refused.refuse(Call.READ, 0, 0.0, spread=0.5)
        assert refused.queue(Call.READ, 0.0) == pytest.approx(0.25)
