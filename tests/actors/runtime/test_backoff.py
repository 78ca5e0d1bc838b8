"""Backoff: Akka's table, jitter, reset, limits, and that waiting holds up nobody else."""

from __future__ import annotations

import math
import random

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime import ActorSystem, Backoff, ChildCount, ChildSpec, CountChildren, Phase, Strategy, Supervisor, TrioActor
from actors.runtime.testing import drive, settle

DAY = 86_400.0
# The table of Akka's BackoffSupervisorSpec: (restarts, min, max) -> delay.
AKKA = [
    (0, 0.0, 0.0, 0.0),
    (0, 300.0, 420.0, 300.0),
    (2, 5.0, 7.0, 7.0),
    (2, 5.0, 7 * DAY, 20.0),
    (29, 300.0, 600.0, 600.0),
    (29, 10_000 * DAY, 10_000 * DAY, 10_000 * DAY),
    (2**31 - 1, 10_000 * DAY, 10_000 * DAY, 10_000 * DAY),
]


@pytest.mark.conformance(33)
@pytest.mark.parametrize(("n", "low", "high", "delay"), AKKA)
def test_the_delay_doubles_up_to_its_cap(n, low, high, delay):
    assert Backoff(low, high, jitter=0.0).delay(n, random.Random(0)) == delay


@pytest.mark.conformance(34)
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 100), st.floats(0, 100), st.floats(0, 1000), st.floats(0, 2), st.integers())
def test_jitter_adds_at_most_its_share_never_passes_the_cap_and_is_seeded(n, low, high, jitter, seed):
    backoff = Backoff(low, high, jitter)
    plain = Backoff(low, high, 0.0).delay(n, random.Random(0))
    delay = backoff.delay(n, random.Random(seed))
    assert plain <= delay <= min(high, plain * (1 + jitter)) or delay == plain
    assert delay == backoff.delay(n, random.Random(seed))


@pytest.mark.conformance(33)
@pytest.mark.conformance(51)
@pytest.mark.parametrize("strategy", Strategy)
async def test_restarts_wait_longer_each_time_and_what_was_told_meanwhile_is_handled(stage, strategy):
    await stage.up(stage.spec("a", backoff=Backoff(1, 8, jitter=0)), intensity=100, period=1000, strategy=strategy)
    delays = []
    for n, wait in enumerate([1, 2, 4, 8, 8]):
        began = trio.current_time()
        await stage.tell("a", "boom")
        await stage.tell("a", n)
        assert stage.system.address("a").phase is Phase.BACKOFF
        assert n not in stage.seen["a"]
        await trio.sleep(wait)
        await settle()
        delays.append(trio.current_time() - stage.system.address("a").statistics().uptime - began)
        assert stage.seen["a"][-1] == n
    assert delays == [1, 2, 4, 8, 8]


@pytest.mark.conformance(35)
async def test_enough_uptime_ends_the_row(stage):
    await stage.up(stage.spec("a", backoff=Backoff(1, 100, jitter=0, reset_after=60)), intensity=math.inf)
    for uptime, delay in [(0, 1), (0, 2), (59, 4), (60, 1), (0, 2)]:
        await trio.sleep(uptime)
        await stage.tell("a", "boom")
        assert stage.system.address("a").statistics().retry_in == delay
        await trio.sleep(delay)
        await settle()


@pytest.mark.conformance(36)
@pytest.mark.parametrize("strategy", Strategy)
async def test_after_max_retries_the_child_stays_down(stage, strategy):
    top = await stage.up(stage.spec("a", backoff=Backoff(max_retries=2)), stage.spec("b"), intensity=math.inf, strategy=strategy)
    for _ in range(3):
        await stage.tell("a", "boom")
    assert stage.system.address("a").phase is Phase.STOPPED
    assert stage.system.address("b").alive
    assert stage.incarnations("a") == [3]
    assert top.alive


@pytest.mark.conformance(38)
async def test_restarts_and_the_last_error_are_visible(stage):
    await stage.up(stage.spec("a"), intensity=5)
    for _ in range(2):
        await stage.tell("a", "boom")
    statistics = stage.system.address("a").statistics()
    assert (statistics.restarts, statistics.incarnation, statistics.last_error) == (2, 3, "RuntimeError: boom")


async def test_a_child_in_backoff_holds_up_neither_siblings_nor_the_supervisor(stage):
    slow = stage.spec("a", backoff=Backoff(1000, 1000))
    top = await stage.up(slow, stage.spec("b"), intensity=10)
    await stage.tell("a", "boom")
    began = trio.current_time()
    await stage.tell("b", "boom")
    assert stage.incarnations("a", "b") == [1, 2]
    assert await top.call(CountChildren()) == ChildCount(specs=2, active=1, supervisors=0, workers=2)
    assert trio.current_time() == began


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_a_group_waits_out_the_backoff_of_the_child_that_failed(stage, strategy):
    await stage.up(stage.spec("a"), stage.spec("b", backoff=Backoff(10, 10)), stage.spec("c"), strategy=strategy)
    await stage.tell("b", "boom")
    await trio.sleep(9.9)
    assert stage.incarnations("b", "c") == [1, 1]
    await trio.sleep(0.2)
    assert stage.incarnations("b", "c") == [2, 2]
    assert stage.system.address("a").alive


async def test_under_rest_for_one_an_earlier_failure_does_not_wait_for_a_later_ones_backoff(stage):
    slow = stage.spec("b", backoff=Backoff(1000, 1000))
    await stage.up(stage.spec("a"), slow, stage.spec("c"), strategy=Strategy.REST_FOR_ONE, intensity=10)
    await stage.tell("b", "boom")
    assert stage.incarnations(*"abc") == [1, 1, 1]
    await stage.tell("a", "boom")
    assert stage.incarnations(*"abc") == [2, 2, 2]


def test_two_supervisors_with_one_seed_wait_alike():
    async def first_delay(seed: int) -> float:
        async with ActorSystem(virtual=True, seed=seed) as system:

            class Fragile(TrioActor):
                def on_receive(self, message: object) -> None:
                    raise RuntimeError

            await system.start(ChildSpec("top", lambda: Supervisor([ChildSpec("a", Fragile, backoff=Backoff(1, 10, jitter=1))])))
            system.address("a").tell("boom")
            await settle()
            return system.address("a").statistics().retry_in

    delays = [drive(first_delay, seed) for seed in (1, 1, 2)]
    assert delays[0] == delays[1] != delays[2]
