"""One slot under a supervisor: the life of its incarnations, one at a time.

The slot runs an incarnation as a task and turns its end, however it came, into an exit reason. The step that sees the end does all of
this before anything else can run: the hook, the asks that can no longer be answered, the monitors, and then the supervisor.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import pykka
import trio
from pykka.messages import _ActorStop

from actors.runtime.address import Address, Phase
from actors.runtime.errors import Exit, Ignore, Reason, StartFailed, explain, is_normal, split_crash
from actors.runtime.incarnation import Incarnation, born_at
from actors.runtime.mailbox import Letter, Undelivered
from actors.runtime.spec import BRUTAL_KILL, WORKER_SHUTDOWN, ChildSpec

if TYPE_CHECKING:
    from actors.runtime.system import ActorSystem

logger = logging.getLogger("actors")

_TAKEN = frozenset({Phase.STARTING, Phase.RUNNING, Phase.STOPPING, Phase.BACKOFF})


class Child:
    """`start`, `stop` and `run` one child. `on_end(child, reason)` is called in the last step of every incarnation that had started."""

    def __init__(self, spec: ChildSpec, system: ActorSystem, supervisor: str, on_end: Callable[[Child, Reason], None]) -> None:
        self.spec = spec
        self.system = system
        self.address: Address = system.address(spec.id)
        self.supervisor = supervisor
        self.on_end = on_end
        self.actor: Incarnation | None = None
        self.is_supervisor = False
        self.started = False
        self.reason: Reason | None = None
        self.streak = 0  # restarts in a row, for the backoff
        self.pause: trio.CancelScope | None = None  # around a backoff sleep
        self._last_uptime = 0.0
        self.end_ordered = False  # the present or last incarnation was asked to end by its supervisor
        self._after_stop = Phase.WAITING
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self._ended.set()
        self._settled = trio.Event()

    @property
    def name(self) -> str:
        return self.spec.id

    @property
    def occupied(self) -> bool:
        """True from the start of an incarnation to its last step."""
        return not self._ended.is_set()

    async def start(self, nursery: trio.Nursery, adopt: Incarnation | None = None) -> None:
        """Run a new incarnation in `nursery` and wait until it is ready. Raises StartFailed; an Ignore leaves the slot DONE."""
        self.begin(nursery, adopt)
        await self._settled.wait()
        if not self.started and not isinstance(self.reason, Ignore):
            raise StartFailed(self.name, self.reason or Exit.KILLED)

    def begin(self, nursery: trio.Nursery, adopt: Incarnation | None = None) -> None:
        """Start without waiting. Raises StartFailed if somebody lives at the address."""
        if self.occupied or (self.address.owner is not self and self.address.phase in _TAKEN):
            raise StartFailed(self.name, RuntimeError("an incarnation of that name is alive"))
        self.address.owner = self
        if self.address.incarnation:
            dead = pykka.ActorDeadError(f"{self.name} restarted before the message was handled")
            self.address.mailbox.purge(self.spec.purge, Undelivered.RESTARTED, dead)
        self.started, self.reason, self.end_ordered = False, None, False
        self._scope, self._ended, self._settled = trio.CancelScope(), trio.Event(), trio.Event()
        self.address.spec, self.address.supervisor = self.spec, self.supervisor
        self.address.settle(Phase.STARTING)
        nursery.start_soon(self._run, adopt, name=self.name)

    async def stop(self, after: Phase) -> None:
        """End the incarnation, gracefully within the spec's shutdown, then by cancellation; the address is then in phase `after`."""
        if not self.occupied:
            self.settle(after)
            return
        self.end_ordered, self._after_stop = True, after
        self.address.settle(Phase.STOPPING)
        limit = self._shutdown_limit()
        if limit > BRUTAL_KILL:
            self.address.mailbox.put(Letter(_ActorStop()))
            with trio.move_on_after(limit):
                await self._ended.wait()
                return
        self._scope.cancel()
        await self._ended.wait()

    def call_off(self) -> None:
        """Forget the restart that is waiting out its backoff."""
        if self.pause is not None:
            self.pause.cancel()
            self.pause = None
        self.address.ledger.retry_at = None

    def settle(self, phase: Phase) -> None:
        """Put the address in a phase, unless it has passed to another supervisor."""
        if self.address.owner in (None, self):
            self.address.settle(phase)

    def next_delay(self, rng: random.Random) -> float | None:
        """Seconds to wait before the next restart, or None when the spec allows no more."""
        backoff = self.spec.backoff
        if self._last_uptime >= backoff.reset_after:
            self.streak = 0
        self._last_uptime = 0.0
        if backoff.max_retries is not None and self.streak >= backoff.max_retries:
            return None
        delay = backoff.delay(self.streak, rng)
        self.streak += 1
        return delay

    async def ended(self) -> Reason:
        """Wait for the end of the incarnation."""
        await self._ended.wait()
        return self.reason or Exit.NORMAL

    def _shutdown_limit(self) -> float:
        if self.spec.shutdown is not None:
            return self.spec.shutdown
        return math.inf if self.is_supervisor else WORKER_SHUTDOWN

    async def _run(self, adopt: Incarnation | None) -> None:
        reason: Reason = Exit.KILLED
        try:
            with self._scope:
                await self._incarnate(adopt)
                reason = Exit.SHUTDOWN if self.end_ordered else Exit.NORMAL
        except BaseException as error:
            reason, passing = split_crash(error)
            if passing is error:
                raise
            if passing is not None:
                raise passing from None
        finally:
            self._end(reason)

    async def _incarnate(self, adopt: Incarnation | None) -> None:
        if adopt is None:
            with born_at(self.address):
                actor: Incarnation = self.spec.factory()
            pykka.ActorRegistry.register(actor.actor_ref)
        else:
            actor = adopt
        self.actor = actor
        self.is_supervisor = actor.SUPERVISES
        self.address.occupy(actor)
        await actor.live(self._ready)

    def _ready(self) -> None:
        self.started = True
        self.address.running()
        if self.end_ordered:
            self.address.settle(Phase.STOPPING)
        self._settled.set()

    def _end(self, reason: Reason) -> None:
        address, actor, ledger = self.address, self.actor, self.address.ledger
        if actor is not None and actor.abandoned:
            reason = Exit.ABANDONED
        self.actor, self.reason = None, reason
        if ledger.up_since is not None:
            self._last_uptime = self.system.machine_now() - ledger.up_since
        crash = reason if isinstance(reason, BaseException) and not is_normal(reason) else None
        if crash is not None or reason in (Exit.KILLED, Exit.ABANDONED):
            ledger.last_error = explain(reason)
        if crash is not None:
            ledger.crashed(crash, self.system.now())
            logger.error("%s #%d ended: %s", self.name, address.incarnation, ledger.last_error, exc_info=crash)
        address.phase = Phase.WAITING
        self.system.exited(self.spec, reason)
        if actor is not None:
            actor.ended(crash)
        address.vacate(reason)
        address.settle(self._after_stop if self.end_ordered else Phase.WAITING)
        self._ended.set()
        self._settled.set()
        if self.started and not self.end_ordered:
            self.on_end(self, reason)
