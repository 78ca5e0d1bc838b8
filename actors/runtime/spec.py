"""How a child is to be started, stopped and restarted: OTP's child spec, as values checked at construction."""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from actors.runtime.lanes import Lane

if TYPE_CHECKING:
    from actors.runtime.incarnation import Incarnation

BRUTAL_KILL = 0.0
WORKER_SHUTDOWN = 5.0


class Restart(enum.Enum):
    """Which ends of a child its supervisor answers with a new incarnation."""

    PERMANENT = "permanent"  # all
    TRANSIENT = "transient"  # crashes and kills
    TEMPORARY = "temporary"  # none; the child is forgotten


class Strategy(enum.Enum):
    """Who is restarted together with a child that died."""

    ONE_FOR_ONE = "one_for_one"  # nobody
    ONE_FOR_ALL = "one_for_all"  # all its siblings
    REST_FOR_ONE = "rest_for_one"  # the siblings started after it


class AutoShutdown(enum.Enum):
    """When the end of significant children ends their supervisor."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


@attrs.frozen(slots=True)
class Backoff:
    """How long to wait before the n-th restart in a row (n from 0): min * 2**n, capped at max, then up to `jitter` of it more.

    Seconds of the trio clock. The row ends after `reset_after` seconds of uptime. After `max_retries` restarts in a row the child stays
    down; None tries for ever (the supervisor's intensity still counts). This is Akka's BackoffSupervisor.
    """

    min: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))
    max: float = attrs.field(default=30.0, validator=attrs.validators.ge(0.0))
    jitter: float = attrs.field(default=0.2, validator=attrs.validators.ge(0.0))
    reset_after: float = attrs.field(default=60.0, validator=attrs.validators.ge(0.0))
    max_retries: int | None = None

    def delay(self, n: int, rng: random.Random) -> float:
        """Seconds before restart n; never above `max`."""
        base = min(self.max, self.min * 2.0 ** min(n, 60))
        return min(self.max, base * (1.0 + rng.random() * self.jitter)) if base else 0.0


def _name(_: object, __: object, value: str) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(f"a child's id is its address's name: a non-empty string, not {value!r}")


@attrs.frozen(slots=True)
class ChildSpec:
    """One child. `id` is its address's name, unique in the whole system; `factory` makes a fresh actor for each incarnation.

    `shutdown` is how many seconds a graceful stop may take before the child is cancelled: BRUTAL_KILL (0) cancels at once, inf waits for
    ever; None is 5 s for a worker and inf for a supervisor. `purge` names the lanes that do not survive a restart; what waited in them
    becomes dead letters. `significant` children can end their supervisor (see AutoShutdown).
    """

    id: str = attrs.field(validator=_name)
    factory: Callable[[], Incarnation]
    restart: Restart = attrs.field(default=Restart.PERMANENT, validator=attrs.validators.instance_of(Restart))
    shutdown: float | None = None
    backoff: Backoff = Backoff()
    significant: bool = False
    purge: frozenset[Lane] = frozenset({Lane.CONFLATED})

    def __attrs_post_init__(self) -> None:
        if self.shutdown is not None and (math.isnan(self.shutdown) or self.shutdown < 0):
            raise ValueError(f"child {self.id!r}: shutdown is seconds >= 0, inf, or None, not {self.shutdown!r}")
        if not callable(self.factory):
            raise ValueError(f"child {self.id!r}: factory must be callable with no arguments, not {self.factory!r}")  # noqa: TRY004
        if self.significant and self.restart is Restart.PERMANENT:
            raise ValueError(f"child {self.id!r}: a PERMANENT child never ends for good, so it cannot be significant")


def check_specs(specs: tuple[ChildSpec, ...], auto_shutdown: AutoShutdown) -> None:
    """Raise ValueError naming the first spec that this supervisor cannot hold."""
    seen: set[str] = set()
    for spec in specs:
        if spec.id in seen:
            raise ValueError(f"two children are called {spec.id!r}")
        if spec.significant and auto_shutdown is AutoShutdown.NEVER:
            raise ValueError(f"child {spec.id!r} is significant, but its supervisor's auto_shutdown is NEVER")
        seen.add(spec.id)
