"""One picture of the whole system, taken in one step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs
import trio

from actors.runtime.address import Address, Phase
from actors.runtime.statistics import ActorStatistics, Durations, Histogram

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem


@attrs.frozen(slots=True)
class SystemStatistics:
    """`at` is world time. `steps` are the durations of task steps, empty in a virtual world. `dead_letters` is "name lane why" to count."""

    at: float
    actors: dict[str, ActorStatistics]
    dead_letters: dict[str, int]
    steps: Durations
    tasks_living: int
    tasks_runnable: int
    stray_failures: int


def take_snapshot(system: ActorSystem, addresses: Iterable[Address]) -> SystemStatistics:
    """Read everything, send nothing. Call it in the loop."""
    loop = trio.lowlevel.current_statistics()
    clock = system.step_clock
    return SystemStatistics(
        at=system.now(),
        actors={address.name: address.statistics() for address in addresses if address.phase is not Phase.GONE},
        dead_letters={f"{name} {lane.name} {why.name}": n for (name, lane, why), n in system.dead_letters.counts.items()},
        steps=(Histogram() if clock is None else clock.steps).summary(),
        tasks_living=loop.tasks_living,
        tasks_runnable=loop.tasks_runnable,
        stray_failures=system.stray_failures,
    )
