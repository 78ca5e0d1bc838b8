"""OTP's supervisor as an actor: its children live in its nursery, so they can never outlive it.

A child's end is handled in the step that sees it: forget, leave down, or restart. Restarts run in their own task, so a backoff holds up
neither the mailbox nor, under ONE_FOR_ONE, any sibling; the group strategies share one repair task, which starts over from the earliest
failure when another comes while it waits. More restarts than `intensity` within `period` seconds and the supervisor stops its children in
reverse and gives up, which its own supervisor sees as a crash.
"""

from __future__ import annotations

import logging
import math
import random
from collections import deque
from collections.abc import Iterable
from typing import ClassVar

import trio

from actors.runtime.actor import TrioActor
from actors.runtime.address import Address, Phase
from actors.runtime.admin import (
    ChildCount,
    ChildStatus,
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from actors.runtime.child import Child
from actors.runtime.errors import Ignore, Reason, Refusal, Shutdown, StartFailed, SupervisorGaveUp, explain, is_normal
from actors.runtime.handlers import handles
from actors.runtime.spec import AutoShutdown, ChildSpec, Restart, Strategy, check_specs

logger = logging.getLogger("actors")


class Supervisor(TrioActor):
    """Starts `specs` in order, stops them in reverse, restarts them by `strategy`.

    `intensity` restarts within `period` seconds of the trio clock are allowed (math.inf: never gives up). A group restart counts once, a
    failed start counts again. A child that an operator terminated, or whose backoff allows no more restarts, stays down through
    its siblings' restarts until an operator restarts it.
    """

    SUPERVISES: ClassVar[bool] = True
    ORPHANED: ClassVar[Phase] = Phase.WAITING  # what a child's address is in when the supervisor has ended

    def __init__(
        self,
        specs: Iterable[ChildSpec],
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: float = 1,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
    ) -> None:
        specs = tuple(specs)
        check_specs(specs, auto_shutdown)
        if not intensity >= 0 or not period > 0:
            raise ValueError(f"intensity must be >= 0 restarts in a period > 0 s, not {intensity!r} in {period!r}")
        super().__init__()
        self.strategy = strategy
        self.intensity = intensity
        self.period = period
        self.auto_shutdown = auto_shutdown
        self._specs = specs
        self._children: dict[str, Child] = {}
        self._failed: set[str] = set()  # group strategies: children whose end is not yet repaired ...
        self._owed: set[str] = set()  # ... and those that were stopped with them and are not yet started again
        self._restarts: deque[float] = deque()  # trio times within the period
        self._closing = False
        self._repairing = False
        self._repair_scope = trio.CancelScope()
        self._news = trio.Event()
        self._structure = trio.Lock()  # held while a group repair or a request changes who runs
        self._rng: random.Random = self.system.random(f"{self.address.name}/backoff")

    # Life

    async def on_start(self) -> None:
        self.address.members.clear()
        for spec in self._specs:
            self._add(spec)
        try:
            for name in list(self._children):
                await self._start(name)
        except StartFailed:
            await self._close()
            raise

    async def on_stop(self) -> None:
        await self._close()

    def state_summary(self) -> dict[str, object]:
        return {
            "strategy": self.strategy.value,
            "children": {name: child.address.phase.value for name, child in self._children.items()},
            "restarts_in_period": len(self._restarts),
            "intensity": self.intensity,
        }

    async def _close(self) -> None:
        """Stop every child, in reverse; no restart begins after this has begun."""
        self._closing = True
        self._repair_scope.cancel()
        for child in self._children.values():
            child.call_off()
        await self._stop_children(list(self._children.values()))

    async def _stop_children(self, children: list[Child]) -> None:
        for child in reversed(children):
            await child.stop(self.ORPHANED)

    async def _quit(self, reason: Exception) -> None:
        await self._close()
        raise reason

    # Children

    def _add(self, spec: ChildSpec) -> Child:
        child = Child(spec, self.system, self.address.name, self._child_ended)
        self._children[spec.id] = child
        self.address.members.append(child.address)
        child.address.ledger.window = self.period
        return child

    def _forget(self, name: str) -> None:
        child = self._children.pop(name)
        self._call_off(child)
        if child.address in self.address.members:
            self.address.members.remove(child.address)
        child.settle(Phase.GONE)

    async def _start(self, name: str) -> None:
        """Start one child; an Ignore leaves it down, and forgets it if TEMPORARY."""
        child = self._children[name]
        await child.start(self.nursery)
        if isinstance(child.reason, Ignore) and not child.occupied:
            self._leave_down(child)

    def _leave_down(self, child: Child) -> None:
        if child.spec.restart is Restart.TEMPORARY:
            self._forget(child.name)
        else:
            child.settle(Phase.DONE)

    def _child_ended(self, child: Child, reason: Reason) -> None:
        """A started child ended and nobody here had asked it to. Called in its last step."""
        if self._closing or self._cancelled():
            child.settle(self.ORPHANED)
            return
        restart = child.spec.restart
        if restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and is_normal(reason)):
            self._leave_down(child)
            if child.spec.significant:
                self._significant_ended(child)
            return
        if self._within_intensity(child, reason):
            self._schedule_restart(child)

    def _cancelled(self) -> bool:
        return trio.current_effective_deadline() == -math.inf

    def _significant_ended(self, child: Child) -> None:
        left = any(other.spec.significant and other.occupied for other in self._children.values() if other is not child)
        if self.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT or not left:
            self._closing = True
            self.spawn(self._quit, Shutdown(f"significant child {child.name!r} ended"))

    def _within_intensity(self, child: Child, reason: Reason) -> bool:
        """Count one restart; past the limit, begin to give up."""
        now = trio.current_time()
        self._restarts.append(now)
        while self._restarts[0] < now - self.period:
            self._restarts.popleft()
        if len(self._restarts) <= self.intensity:
            return True
        self._closing = True
        why = f"{self.address.name}: {len(self._restarts)} restarts in {self.period:g} s; the last was {child.name} ({explain(reason)})"
        self.spawn(self._quit, SupervisorGaveUp(why))
        return False

    # Restarts

    def _schedule_restart(self, child: Child) -> None:
        child.settle(Phase.BACKOFF)
        if self.strategy is Strategy.ONE_FOR_ONE:
            child.pause = trio.CancelScope()
            self.spawn(self._revive, child, child.pause)
            return
        self._failed.add(child.name)
        self._news.set()
        if not self._repairing:
            self._repairing = True
            self.spawn(self._repair)

    async def _revive(self, child: Child, pause: trio.CancelScope) -> None:
        """ONE_FOR_ONE: bring one child back, after its backoff, without holding up anybody. Cancelling `pause` calls it off."""
        with pause:
            await trio.lowlevel.checkpoint()
            delay = child.next_delay(self._rng)
            if delay is None:
                self._exhausted(child)
                return
            if delay:
                child.address.ledger.retry_at = trio.current_time() + delay
                await trio.sleep(delay)
        if pause.cancel_called:
            return
        child.pause = None
        child.address.ledger.restarted(trio.current_time())
        try:
            await self._start(child.name)
        except StartFailed as failure:
            wanted = not (self._closing or child.end_ordered) and self._children.get(child.name) is child
            if wanted and self._within_intensity(child, failure.reason):
                self._schedule_restart(child)

    def _exhausted(self, child: Child) -> None:
        logger.error("%s stays down after %d restarts in a row", child.name, child.streak)
        child.pause = None
        child.settle(Phase.STOPPED)

    async def _repair(self) -> None:
        """Group strategies: restart the group of the earliest failure until no failure is left."""
        with trio.CancelScope() as self._repair_scope:
            while self._failed or self._owed:
                first = self._earliest()
                async with self._structure:
                    await self._stop_group(first)
                if await self._wait_out(first):
                    async with self._structure:
                        await self._start_group(first)
        self._repairing = False

    def _earliest(self) -> Child:
        down = self._failed or self._owed
        return next(child for child in self._children.values() if child.name in down)

    def _group(self, first: Child) -> list[Child]:
        """Whom the strategy restarts with `first`, in start order, without those that are to stay down."""
        children = list(self._children.values())
        if self.strategy is Strategy.REST_FOR_ONE:
            children = children[children.index(first) :]
        return [child for child in children if child.address.phase is not Phase.STOPPED]

    async def _stop_group(self, first: Child) -> None:
        """From here on every member is owed a start, except the TEMPORARY ones, which are forgotten."""
        for child in reversed(self._group(first)):
            await child.stop(Phase.BACKOFF)
            if child.spec.restart is Restart.TEMPORARY:
                self._forget(child.name)
            else:
                self._owed.add(child.name)

    async def _wait_out(self, first: Child) -> bool:
        """Wait for the backoff of `first`; False if something happened that may change who comes first."""
        if not (self._failed or self._owed) or self._earliest() is not first:
            return False
        delay = first.next_delay(self._rng)
        if delay is None:
            self._call_off(first)
            self._exhausted(first)
            return False
        if delay:
            self._news = trio.Event()
            first.address.ledger.retry_at = trio.current_time() + delay
            with trio.move_on_after(delay):
                await self._news.wait()
                return False
        return True

    async def _start_group(self, first: Child) -> None:
        if first.name not in self._failed | self._owed:
            return
        for child in self._group(first):
            child.address.ledger.restarted(trio.current_time())
            try:
                await self._start(child.name)
            except StartFailed as failure:
                if not self._closing and self._within_intensity(child, failure.reason):
                    child.settle(Phase.BACKOFF)
                    self._failed.add(child.name)
                return
            self._failed.discard(child.name)
            self._owed.discard(child.name)

    def _call_off(self, child: Child) -> None:
        """Drop whatever restart the child is owed."""
        child.call_off()
        self._failed.discard(child.name)
        self._owed.discard(child.name)
        self._news.set()

    # Requests

    def _known(self, name: str) -> Child:
        if self._closing:
            raise Refusal(f"{self.address.name} is stopping")
        child = self._children.get(name)
        if child is None:
            raise Refusal(f"{self.address.name} has no child {name!r}")
        return child

    @handles(StartChild)
    async def start_child(self, request: StartChild) -> Address:
        spec = request.spec
        if self._closing:
            raise Refusal(f"{self.address.name} is stopping")
        if spec.id in self._children:
            raise Refusal(f"{self.address.name} already has a child {spec.id!r}")
        if spec.significant and self.auto_shutdown is AutoShutdown.NEVER:
            raise Refusal(f"child {spec.id!r} is significant, but the auto_shutdown of {self.address.name} is NEVER")
        async with self._structure:
            child = self._add(spec)
            try:
                await self._start(spec.id)
            except StartFailed as failure:
                self._forget(spec.id)
                raise Refusal(str(failure)) from failure
        return child.address

    @handles(TerminateChild)
    async def terminate_child(self, request: TerminateChild) -> bool:
        async with self._structure:
            child = self._known(request.id)
            self._call_off(child)
            await child.stop(Phase.STOPPED)
        return True

    @handles(RestartChild)
    async def restart_child(self, request: RestartChild) -> Address:
        async with self._structure:
            child = self._known(request.id)
            if child.occupied:
                raise Refusal(f"{child.name} is already running")
            owed = child.address.phase is Phase.BACKOFF
            self._call_off(child)
            child.streak = 0
            child.address.ledger.restarted(trio.current_time())
            try:
                await self._start(child.name)
            except StartFailed as failure:
                if owed and not self._closing and self._within_intensity(child, failure.reason):
                    self._schedule_restart(child)
                else:
                    child.settle(Phase.STOPPED)
                raise Refusal(str(failure)) from failure
        return child.address

    @handles(DeleteChild)
    def delete_child(self, request: DeleteChild) -> bool:
        child = self._known(request.id)
        if child.occupied or child.address.phase not in (Phase.STOPPED, Phase.DONE):
            raise Refusal(f"{child.name} is {child.address.phase.value}; terminate it first")
        self._forget(child.name)
        return True

    @handles(WhichChildren)
    def which_children(self, _: WhichChildren) -> tuple[ChildStatus, ...]:
        return tuple(
            ChildStatus(
                id=child.name,
                phase=child.address.phase.value,
                incarnation=child.address.incarnation,
                restart=child.spec.restart,
                is_supervisor=child.is_supervisor,
                restarts=child.address.ledger.restarts,
            )
            for child in self._children.values()
        )

    @handles(CountChildren)
    def count_children(self, _: CountChildren) -> ChildCount:
        children = self._children.values()
        supervisors = sum(child.is_supervisor for child in children)
        return ChildCount(
            specs=len(children),
            active=sum(child.occupied for child in children),
            supervisors=supervisors,
            workers=len(children) - supervisors,
        )
