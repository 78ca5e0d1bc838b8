"""One picture of the whole system, taken in one step."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs
import trio

from actors.runtime.address import Address, Phase
from actors.runtime.events import LoopHeld
from actors.runtime.statistics import ActorStatus, Durations, Histogram

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem


@attrs.frozen(slots=True)
class Snapshot:
    """`at` is world time. `steps` are the durations of task steps, empty in a virtual world. `dead_letters` is "name lane why" to count.

    `held` counts the steps past the stall limit, `last_held` is the latest of them. `calls_waiting` are calls from other threads that the
    loop has not come to, `switch_interval` how long (s) a thread may keep the GIL from another.
    """

    at: float
    actors: dict[str, ActorStatus]
    dead_letters: dict[str, int]
    steps: Durations
    held: int
    last_held: LoopHeld | None
    tasks_living: int
    tasks_runnable: int
    calls_waiting: int
    switch_interval: float
    stray_failures: int
    events_missed: int


def take_snapshot(system: ActorSystem, addresses: Iterable[Address]) -> Snapshot:
    """Read everything, send nothing. Call it in the loop."""
    loop = trio.lowlevel.current_statistics()
    clock = system.step_clock
    return Snapshot(
        at=system.now(),
        actors={address.name: address.statistics() for address in addresses if address.phase is not Phase.GONE},
        dead_letters={f"{name} {lane.name} {why.name}": n for (name, lane, why), n in system.dead_letters.counts.items()},
        steps=(Histogram() if clock is None else clock.steps).summary(),
        held=system.held,
        last_held=system.last_held,
        tasks_living=loop.tasks_living,
        tasks_runnable=loop.tasks_runnable,
        calls_waiting=loop.run_sync_soon_queue_size,
        switch_interval=sys.getswitchinterval(),
        stray_failures=system.stray_failures,
        events_missed=system.events.missed,
    )
