"""How long each task holds the loop, for whom, and who held it too long.

One loop means that nobody else runs meanwhile. The clock is a trio instrument on machine time; it costs about a microsecond a step and is
left on everywhere but in a virtual world, where machine time means nothing. `running` and `since_ns` are what the watchdog's thread reads.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

import trio

from actors.runtime.incarnation import current_actor
from actors.runtime.statistics import Histogram

STALL_LIMIT = 0.25  # s


class StepClock(trio.abc.Instrument):
    """Times every task step; calls `on_stall(task, seconds)` after a step longer than `limit` seconds, before any other task runs."""

    __slots__ = ("began_ns", "limit_ns", "on_stall", "running", "since_ns", "steps")

    def __init__(self, limit: float, on_stall: Callable[[trio.lowlevel.Task, float], None]) -> None:
        self.limit_ns = int(limit * 1e9)
        self.on_stall = on_stall
        self.steps = Histogram()
        self.began_ns = perf_counter_ns()
        self.running: trio.lowlevel.Task | None = None
        self.since_ns = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.since_ns = perf_counter_ns()  # first, so that no reader sees this task with the last one's time
        self.running = task

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is not self.running:
            return  # the clock was added in the middle of this step
        ns = perf_counter_ns() - self.since_ns
        self.running = None
        steps = self.steps  # Histogram.record, written out: this runs at every step
        steps.buckets[ns.bit_length()] += 1
        steps.total_ns += ns
        if ns > steps.max_ns:
            steps.max_ns = ns
        actor = task.context.get(current_actor)
        if actor is not None:
            actor.address.ledger.loop_ns += ns
        if ns > self.limit_ns:
            self.on_stall(task, ns * 1e-9)
