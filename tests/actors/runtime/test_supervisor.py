"""Start, stop, restart kinds, strategies, intensity, escalation: what OTP's supervisor promises."""

from __future__ import annotations

import math

import pytest
import trio

from actors.runtime import (
    BRUTAL_KILL,
    ActorSystem,
    AutoShutdown,
    Backoff,
    ChildSpec,
    Exit,
    Ignore,
    Phase,
    Restart,
    Shutdown,
    StartFailed,
    Strategy,
    Supervisor,
    SupervisorGaveUp,
    TrioActor,
)
from actors.runtime.testing import settle


def boom() -> None:
    raise RuntimeError("start")


def ignore() -> None:
    raise Ignore


def fails(*starts: int):
    """An at_start that fails on these of its calls, counted from 1."""
    calls = iter(range(1, 1000))

    def at_start() -> None:
        if next(calls) in starts:
            raise RuntimeError("start")

    return at_start


@pytest.mark.conformance(1)
async def test_children_start_in_order_and_stop_in_reverse(stage):
    top = await stage.up(*(stage.spec(name) for name in "abc"))
    assert stage.did("start") == ["a", "b", "c"]
    await stage.system.stop(top)
    assert stage.did("stop") == ["c", "b", "a"]
    assert stage.reasons("a") == [Exit.SHUTDOWN]


@pytest.mark.conformance(1)
async def test_each_start_is_awaited_before_the_next(stage):
    class Slow(TrioActor):
        async def on_start(self) -> None:
            await trio.sleep(3)
            stage.trace.append(("start", "slow"))

    await stage.up(ChildSpec("slow", Slow), stage.spec("b"))
    assert stage.did("start") == ["slow", "b"]


@pytest.mark.conformance(2)
async def test_a_failed_start_stops_the_earlier_children_and_names_the_culprit(stage):
    with pytest.raises(StartFailed, match="'c' did not start: RuntimeError: start"):
        await stage.up(stage.spec("a"), stage.spec("b"), stage.spec("c", boom))
    assert stage.trace == [
        *[("start", name) for name in "abc"],
        *[("exit", "c"), ("failure", "c"), ("stop", "b"), ("exit", "b"), ("stop", "a"), ("exit", "a"), ("exit", "top")],
    ]


@pytest.mark.conformance(3)
@pytest.mark.parametrize(("restart", "slots"), [(Restart.PERMANENT, 2), (Restart.TRANSIENT, 2), (Restart.TEMPORARY, 1)])
async def test_ignore_keeps_the_slot_empty_unless_temporary(stage, restart, slots):
    top = await stage.up(stage.spec("a", ignore, restart=restart), stage.spec("b"))
    children = top.actor._children
    assert len(children) == slots
    assert not stage.system.address("a").alive
    assert stage.system.address("b").alive


@pytest.mark.conformance(3)
async def test_ignore_may_also_be_returned(stage):
    class Idle(TrioActor):
        async def on_start(self) -> type[Ignore]:
            return Ignore

    await stage.up(ChildSpec("a", Idle), stage.spec("b"))
    assert stage.system.address("a").phase is Phase.DONE
    assert stage.system.address("b").alive


@pytest.mark.conformance(4)
def test_the_defaults_are_otps():
    spec = ChildSpec("a", TrioActor)
    assert (spec.restart, spec.significant, spec.backoff.min) == (Restart.PERMANENT, False, 0.0)


@pytest.mark.conformance(4)
@pytest.mark.parametrize(("hang", "seconds"), [("worker", 5.0), ("supervisor", 20.0)])
async def test_a_worker_has_five_seconds_to_stop_and_a_supervisor_as_long_as_it_takes(stage, hang, seconds):
    child = stage.spec("a") if hang == "worker" else ChildSpec("in", lambda: Supervisor([stage.spec("a", shutdown=20.0)]))
    top = await stage.up(child)
    await stage.tell("a", "hang")
    began = trio.current_time()
    await stage.system.stop(top)
    assert trio.current_time() - began == seconds
    assert stage.reasons("a") == [Exit.KILLED]


@pytest.mark.conformance(5)
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ChildSpec("", TrioActor), "non-empty string"),
        (lambda: ChildSpec("a", TrioActor, shutdown=-1.0), "shutdown is seconds >= 0"),
        (lambda: ChildSpec("a", TrioActor, significant=True), "cannot be significant"),
        (lambda: ChildSpec("a", None), "factory must be callable"),
        (lambda: Supervisor([ChildSpec("a", TrioActor), ChildSpec("a", TrioActor)]), "two children are called 'a'"),
        (lambda: Supervisor([ChildSpec("a", TrioActor, Restart.TEMPORARY, significant=True)]), "auto_shutdown is NEVER"),
        (lambda: Supervisor([], intensity=-1), "intensity must be >= 0"),
        (lambda: Supervisor([], period=0), "in a period > 0 s"),
        (lambda: Backoff(min=-1), "'min' must be >= 0"),
    ],
)
def test_a_bad_spec_is_refused_at_construction(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.conformance(5)
def test_a_restart_that_is_no_restart_is_refused():
    with pytest.raises(TypeError):
        ChildSpec("a", TrioActor, restart="permanent")


@pytest.mark.conformance(6)
async def test_a_child_that_does_not_stop_in_time_is_killed(stage):
    top = await stage.up(stage.spec("a", shutdown=1.0))
    await stage.tell("a", "hang")
    began = trio.current_time()
    await stage.system.stop(top)
    assert trio.current_time() - began == 1.0
    assert stage.reasons("a") == [Exit.KILLED]
    assert stage.did("stop") == []


@pytest.mark.conformance(6)
async def test_what_was_queued_before_a_stop_is_handled(stage):
    top = await stage.up(stage.spec("a"))
    for n in range(100):
        stage.system.address("a").tell(n)
    await stage.system.stop(top)
    assert stage.seen["a"] == list(range(100))


@pytest.mark.conformance(7)
async def test_brutal_kill_is_at_once_and_without_on_stop(stage):
    top = await stage.up(stage.spec("a", shutdown=BRUTAL_KILL))
    began = trio.current_time()
    await stage.system.stop(top)
    assert trio.current_time() == began
    assert stage.did("stop") == []
    assert stage.reasons("a") == [Exit.KILLED]


@pytest.mark.conformance(8)
async def test_an_infinite_shutdown_waits_for_a_supervisor(stage):
    inner = ChildSpec("in", lambda: Supervisor([stage.spec("x", shutdown=100.0)]), shutdown=math.inf)
    top = await stage.up(inner)
    await stage.tell("x", "hang")
    began = trio.current_time()
    await stage.system.stop(top)
    assert trio.current_time() - began == 100.0
    assert stage.reasons("in") == [Exit.SHUTDOWN]


@pytest.mark.conformance(10)
async def test_a_supervisor_stops_at_once_while_a_child_is_in_backoff(stage):
    top = await stage.up(stage.spec("a", backoff=Backoff(min=1000, max=1000)))
    await stage.tell("a", "boom")
    began = trio.current_time()
    await stage.system.stop(top)
    assert trio.current_time() == began
    assert stage.incarnations("a") == [1]


@pytest.mark.conformance(10)
@pytest.mark.parametrize("strategy", Strategy)
async def test_a_supervisor_stops_within_the_limit_while_a_child_hangs_in_on_start(stage, strategy):
    starts = iter([0.0, math.inf])

    class Slow(TrioActor):
        async def on_start(self) -> None:
            await trio.sleep(next(starts))

        def on_receive(self, message: object) -> None:
            raise RuntimeError

    top = await stage.up(ChildSpec("slow", Slow, shutdown=2.0), strategy=strategy)
    await stage.tell("slow", "boom")
    began = trio.current_time()
    await stage.system.stop(top)
    assert trio.current_time() - began == 2.0


@pytest.mark.conformance(10)
@pytest.mark.parametrize("strategy", Strategy)
async def test_nothing_is_restarted_while_its_supervisor_stops(stage, strategy):
    top = await stage.up(stage.spec("a"), stage.spec("b", backoff=Backoff(1, 1)), strategy=strategy)
    if strategy is not Strategy.ONE_FOR_ALL:
        await stage.tell("a", "hang")
    await stage.tell("b", "boom")
    await stage.system.stop(top)
    assert stage.incarnations("b") == [1]


RESTART_KINDS = [
    (11, Restart.PERMANENT, "boom", True, True),
    (12, Restart.PERMANENT, "bye", True, True),
    (12, Restart.PERMANENT, "shutdown", True, True),
    (13, Restart.TRANSIENT, "boom", True, True),
    (14, Restart.TRANSIENT, "bye", False, True),
    (14, Restart.TRANSIENT, "shutdown", False, True),
    (15, Restart.TEMPORARY, "boom", False, False),
    (15, Restart.TEMPORARY, "bye", False, False),
]


@pytest.mark.parametrize(
    ("restart", "end", "again", "kept"),
    [pytest.param(*row, marks=pytest.mark.conformance(number)) for number, *row in RESTART_KINDS],
)
async def test_restart_kinds(stage, restart, end, again, kept):
    top = await stage.up(stage.spec("a", restart=restart))
    await stage.tell("a", end)
    assert stage.system.address("a").alive == again
    assert stage.incarnations("a") == [2 if again else 1]
    assert ("a" in top.actor._children) == kept


@pytest.mark.conformance(16)
@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_a_temporary_bystander_is_stopped_not_restarted_and_costs_no_intensity(stage, strategy):
    top = await stage.up(stage.spec("a"), stage.spec("b", restart=Restart.TEMPORARY), strategy=strategy, intensity=1)
    await stage.tell("a", "boom")
    assert stage.incarnations("a", "b") == [2, 1]
    assert list(top.actor._children) == ["a"]
    assert stage.system.address("b").phase is Phase.GONE
    assert top.alive


@pytest.mark.parametrize(
    ("strategy", "restarted"),
    [
        pytest.param(Strategy.ONE_FOR_ONE, "b", marks=pytest.mark.conformance(17)),
        pytest.param(Strategy.ONE_FOR_ALL, "abc", marks=pytest.mark.conformance(18)),
        pytest.param(Strategy.REST_FOR_ONE, "bc", marks=pytest.mark.conformance(19)),
    ],
)
async def test_strategies_restart_exactly_their_group(stage, strategy, restarted):
    await stage.up(*(stage.spec(name) for name in "abc"), strategy=strategy)
    await stage.tell("b", "boom")
    assert stage.did("start")[3:] == list(restarted)
    assert stage.did("stop") == [name for name in reversed(restarted) if name != "b"]
    assert stage.incarnations(*"abc") == [1 + (name in restarted) for name in "abc"]


@pytest.mark.conformance(20)
@pytest.mark.parametrize("strategy", Strategy)
async def test_a_slow_end_delays_the_next_incarnation(stage, strategy):
    # Worker.on_start asserts that no other incarnation of it lives; here the dying one has a task that takes its time to end.
    class Clingy(TrioActor):
        async def on_start(self) -> None:
            assert "a" not in stage.living
            stage.living.add("a")
            self.spawn(self.cling)

        async def cling(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(7)

        def on_receive(self, message: object) -> None:
            raise RuntimeError

    await stage.up(ChildSpec("a", Clingy), stage.spec("b"), strategy=strategy)
    await stage.tell("a", "boom")
    await trio.sleep(6.9)
    assert stage.incarnations("a") == [1]
    await trio.sleep(0.2)
    assert stage.incarnations("a") == [2]
    assert stage.system.address("a").alive


@pytest.mark.conformance(21)
async def test_one_for_all_starts_over_when_a_sibling_fails_to_restart(stage):
    await stage.up(stage.spec("a"), stage.spec("b", fails(2)), strategy=Strategy.ONE_FOR_ALL, intensity=5)
    await stage.tell("a", "boom")
    assert stage.did("start") == ["a", "b", "a", "b", "a", "b"]
    assert stage.did("stop") == ["b", "a"]
    assert stage.system.address("a").alive
    assert stage.system.address("b").alive


async def test_rest_for_one_starts_over_from_the_child_that_failed_to_restart(stage):
    await stage.up(*[stage.spec("a"), stage.spec("b", fails(2)), stage.spec("c")], strategy=Strategy.REST_FOR_ONE, intensity=5)
    await stage.tell("a", "boom")
    assert stage.did("start")[3:] == ["a", "b", "b", "c"]


@pytest.mark.conformance(23)
async def test_past_the_intensity_the_supervisor_stops_its_children_in_reverse_and_gives_up(stage):
    await stage.up(*(stage.spec(name) for name in "abc"), intensity=2, period=5)
    for _ in range(3):
        await stage.tell("b", "boom")
    assert stage.reasons("top") == [SupervisorGaveUp]
    assert stage.did("stop") == ["c", "a"]
    assert stage.incarnations("b") == [3]


@pytest.mark.conformance(24)
async def test_the_intensity_window_slides(stage):
    await stage.up(stage.spec("a"), intensity=1, period=5)
    for _ in range(6):
        await stage.tell("a", "boom")
        await trio.sleep(5.01)
    assert stage.incarnations("a") == [7]


@pytest.mark.conformance(25)
@pytest.mark.parametrize("strategy", Strategy)
async def test_a_failed_restart_counts(stage, strategy):
    await stage.up(stage.spec("a", fails(*range(2, 100))), intensity=3, period=60, strategy=strategy)
    await stage.tell("a", "boom")
    assert stage.reasons("top") == [SupervisorGaveUp]
    assert len(stage.did("start")) == 4


@pytest.mark.conformance(26)
async def test_a_group_restart_counts_once(stage):
    top = await stage.up(*(stage.spec(name) for name in "abc"), strategy=Strategy.ONE_FOR_ALL, intensity=1)
    await stage.tell("a", "boom")
    assert top.alive
    assert stage.incarnations(*"abc") == [2, 2, 2]


@pytest.mark.conformance(27)
async def test_a_supervisor_that_gives_up_is_its_own_supervisors_crash(stage):
    inner = ChildSpec("in", lambda: Supervisor([stage.spec("x"), stage.spec("y")], intensity=0))
    await stage.up(inner, stage.spec("b"), intensity=3)
    await stage.tell("x", "boom")
    assert stage.reasons("in") == [SupervisorGaveUp]
    assert stage.incarnations("in", "x", "y", "b") == [2, 2, 2, 1]
    assert await stage.system.address("y").call("hi") == ("echo", "y", "hi")


@pytest.mark.conformance(28)
@pytest.mark.parametrize(
    ("mode", "restart", "ends", "expected"),
    [
        (AutoShutdown.ANY_SIGNIFICANT, Restart.TEMPORARY, ["a bye"], [Shutdown]),
        (AutoShutdown.ANY_SIGNIFICANT, Restart.TEMPORARY, ["a boom"], [Shutdown]),
        (AutoShutdown.ANY_SIGNIFICANT, Restart.TRANSIENT, ["a boom"], []),
        (AutoShutdown.ANY_SIGNIFICANT, Restart.TRANSIENT, ["a bye"], [Shutdown]),
        (AutoShutdown.ANY_SIGNIFICANT, Restart.TEMPORARY, ["c boom"], []),
        (AutoShutdown.ALL_SIGNIFICANT, Restart.TEMPORARY, ["a bye"], []),
        (AutoShutdown.ALL_SIGNIFICANT, Restart.TEMPORARY, ["a bye", "b bye"], [Shutdown]),
    ],
)
async def test_significant_children_end_their_supervisor(stage, mode, restart, ends, expected):
    significant = [stage.spec(name, restart=restart, significant=True) for name in "ab"]
    await stage.up(*significant, stage.spec("c"), auto_shutdown=mode)
    for end in ends:
        await stage.tell(*end.split())
    assert stage.reasons("top") == expected


@pytest.mark.conformance(29)
async def test_intensity_runs_on_trios_clock_not_on_world_time(stage):
    stage.system.now = lambda: 0.0
    await stage.up(stage.spec("a"), intensity=1, period=5)
    for _ in range(3):
        await stage.tell("a", "boom")
        await trio.sleep(6)
    assert stage.incarnations("a") == [4]


@pytest.mark.parametrize("end", ["boom", "bye", "task boom"])
async def test_on_exit_is_told_before_any_restart_and_before_on_failure(stage, end):
    await stage.up(stage.spec("a"))
    await stage.tell("a", end)
    await trio.sleep(2)
    after = [action for action, _ in stage.trace if action != "stop"]
    assert after == (["start", "exit", "start"] if end == "bye" else ["start", "exit", "failure", "start"])


async def test_on_exit_is_told_of_supervisors_after_their_children(stage):
    top = await stage.up(ChildSpec("in", lambda: Supervisor([stage.spec("x")])), stage.spec("b"))
    await stage.system.stop(top)
    assert stage.did("exit") == ["b", "x", "in", "top"]


async def test_a_hook_that_fails_ends_the_system(stage):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        async with ActorSystem(virtual=True, on_exit=broken) as system:
            await system.start(stage.spec("a"))
            system.address("a").tell("boom")
            await trio.sleep(1)


async def test_killing_a_supervisor_kills_its_children_and_restarts_the_tree_once(stage):
    inner = ChildSpec("in", lambda: Supervisor([stage.spec("x")]), shutdown=BRUTAL_KILL)
    top = await stage.up(inner)
    top.actor._children["in"]._scope.cancel()
    await settle()
    assert stage.reasons("x") == [Exit.KILLED]
    assert stage.incarnations("in", "x") == [2, 2]


async def test_the_whole_system_can_be_cancelled_from_outside(stage):
    exits = []
    with trio.move_on_after(5):
        async with ActorSystem(virtual=True, on_exit=lambda spec, reason: exits.append((spec.id, reason))) as system:
            await system.start(ChildSpec("top2", lambda: Supervisor([stage.spec("z")])))
            await trio.sleep_forever()
    assert exits == [("z", Exit.KILLED), ("top2", Exit.KILLED)]
