"""The world an actor lives in: names, time, threads, hooks, and the nursery under everything.

Everything that acts or waits does so through the system, so that a world with virtual time differs in what is handed in here and nowhere
else. The runtime reports to its surroundings through three synchronous hooks, each called in the step that sees the fact; a hook that
raises ends the system, because nothing is safe if nobody was told.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, AsyncExitStack
from types import TracebackType
from typing import Self, TypeVar, TypeVarTuple, Unpack

import trio

from actors.runtime.address import Address, Phase
from actors.runtime.child import Child
from actors.runtime.deadletters import DeadLetters
from actors.runtime.errors import Reason
from actors.runtime.events import ActorEnded, ActorStarted, EventStream, LoopHeld, Overflowed, Quarantined
from actors.runtime.incarnation import Incarnation, current_actor, system_here
from actors.runtime.lanes import Lane
from actors.runtime.loop import Loop
from actors.runtime.quarantine import key_of
from actors.runtime.snapshot import Snapshot, take_snapshot
from actors.runtime.spec import ChildSpec, Restart
from actors.runtime.stepclock import STALL_LIMIT, StepClock
from actors.runtime.timeouts import Timeouts
from actors.runtime.watchdog import Hold, Watchdog, holder

logger = logging.getLogger("actors")

Ts = TypeVarTuple("Ts")
T = TypeVar("T")


class ActorSystem:
    """Use as `async with ActorSystem(...) as system`, then `start` the top of the tree.

    `clock_now` and `sleep` are world time (seconds); supervision itself runs on trio's clock. In a `virtual` world blocking work runs
    inline, actors yield by count alone, and steps are not timed. `seed` is where every named random stream comes from.
    """

    def __init__(
        self,
        clock_now: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[object]] | None = None,
        virtual: bool = False,
        seed: int = 0,
        on_exit: Callable[[ChildSpec, Reason], None] | None = None,
        on_overflow: Callable[[Address, Lane], None] | None = None,
        on_stall: Callable[[str, float], None] | None = None,
        on_blocked: Callable[[Hold], None] | None = None,
        on_quarantine: Callable[[Address, object], None] | None = None,
        stall_limit: float = STALL_LIMIT,
        blocking_threads: int = 8,
    ) -> None:
        self.now: Callable[[], float] = trio.current_time if clock_now is None else clock_now
        self.sleep: Callable[[float], Awaitable[object]] = trio.sleep if sleep is None else sleep
        self.virtual = virtual
        self.seed = seed
        self.on_exit = on_exit
        self.on_overflow = on_overflow
        self.on_stall = on_stall
        self.on_blocked = on_blocked
        self.on_quarantine = on_quarantine
        self.events = EventStream()
        self.dead_letters = DeadLetters(self.events.publish)
        self.step_clock = None if virtual else StepClock(stall_limit, self._stalled)
        self.loop = Loop()
        self.timeouts = Timeouts()
        self.held = 0  # steps that held the loop past the limit
        self.last_held: LoopHeld | None = None  # whatever came in before this ended is old
        self.stray_failures = 0  # background tasks that failed after their actor had ended
        self._blocking_threads = blocking_threads
        self._limiter: trio.CapacityLimiter | None = None
        self._addresses: dict[str, Address] = {}
        self._tops: dict[str, Child] = {}
        self._names = itertools.count(1)
        self._nursery: trio.Nursery | None = None
        self._watchdog = None if self.step_clock is None else Watchdog(self.step_clock, stall_limit, self._blocked)
        self._open = AsyncExitStack()
        self._outer: ActorSystem | None = None

    # Names, time, randomness, threads

    def address(self, name: str) -> Address:
        """The address called `name`, made on first use; the same object for ever after."""
        found = self._addresses.get(name)
        if found is None:
            found = self._addresses[name] = Address(self, name)
        return found

    def anonymous(self, kind: str) -> Address:
        """An address for an actor that nobody named."""
        return self.address(f"{kind}-{next(self._names)}")

    def random(self, name: str) -> random.Random:
        """A random stream of its own for `name`, the same in every run with the same seed."""
        return random.Random(f"{self.seed}/{name}")  # noqa: S311  # reproducible, not secret

    def machine_now(self) -> float:
        """Trio's clock, which supervision runs on."""
        return trio.current_time()

    async def blocking(self, fn: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        """Run blocking work in a worker thread; inline in a virtual world, where no thread could keep its time."""
        if self.virtual:
            await trio.lowlevel.checkpoint()
            return fn(*args)
        if self._limiter is None:
            self._limiter = trio.CapacityLimiter(self._blocking_threads)
        return await trio.to_thread.run_sync(fn, *args, limiter=self._limiter)

    def start_soon(self, fn: Callable[[Unpack[Ts]], Awaitable[object]], *args: *Ts) -> None:
        """Run a task that outlives the actor that starts it, to the end of the system.

        If it raises, the incarnation that started it crashes; if that has ended, the failure is logged and counted. A task that no
        actor started ends the system.
        """
        self.nursery.start_soon(self._stray, current_actor.get(), fn, args, name=f"io/{getattr(fn, '__name__', 'task')}")

    def enter_context(self, held: AbstractContextManager[object]) -> None:
        """Enter a context manager that is left when the system ends."""
        self._open.enter_context(held)

    # The tree

    async def start(self, spec: ChildSpec) -> Address:
        """Start the top of a tree and wait until it is ready. Raises StartFailed. The system does not restart it."""
        child = self._top(spec)
        await child.start(self.nursery)
        return child.address

    async def ended(self, address: Address) -> Reason:
        """Wait until a top started here has ended; why it did."""
        return await self._tops[address.name].ended()

    async def stop(self, address: Address) -> Reason:
        """Stop a top gracefully, within its spec's shutdown, and everything below it in reverse; why it ended."""
        child = self._tops[address.name]
        await child.stop(Phase.GONE)
        return await child.ended()

    async def run(self, spec: ChildSpec) -> Reason:
        """Start a tree and wait for its end."""
        return await self.ended(await self.start(spec))

    def host(self, actor: Incarnation) -> None:
        """Run an actor made by pykka's `start()`: unsupervised, and gone when it ends. Callable from any thread."""
        if self.loop.thread == threading.get_ident():
            self._host(actor)
        elif not self.loop.call_soon(self._host, actor):
            raise RuntimeError(f"{actor.address.name} cannot start: the actor system is not running")

    async def __aenter__(self) -> Self:
        self.loop.attach()
        if self.step_clock is not None:
            trio.lowlevel.add_instrument(self.step_clock)
        if self._watchdog is not None:
            self._watchdog.start()
            self._open.callback(self._watchdog.stop)
        self._outer = system_here.get()
        system_here.set(self)
        self._open.callback(self._close)
        self._nursery = await self._open.enter_async_context(trio.open_nursery())
        self._open.push_async_callback(self._wind_down)
        if not self.virtual:
            self._nursery.start_soon(self.timeouts.run, name="timeouts")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._open.__aexit__(kind, error, traceback)

    # For the runtime

    @property
    def nursery(self) -> trio.Nursery:
        """Under everything."""
        if self._nursery is None:
            raise RuntimeError("the actor system is not running; enter it with `async with`")
        return self._nursery

    def started(self, address: Address) -> None:
        """An incarnation is ready: tell whoever wants to know."""
        self.events.publish(ActorStarted(self.now(), address.name, address.incarnation))

    def exited(self, spec: ChildSpec, reason: Reason) -> None:
        """A child has ended: report it."""
        self._hook(self.on_exit, spec, reason)
        self.events.publish(ActorEnded(self.now(), spec.id, self.address(spec.id).incarnation, reason))

    def overflowed(self, address: Address, lane: Lane) -> None:
        """A lane has overflowed: report it."""
        self._hook(self.on_overflow, address, lane)
        self.events.publish(Overflowed(self.now(), address.name, lane))

    def quarantined(self, address: Address, message: object) -> None:
        """Messages like this one have crashed the actor there too often, and are set aside: report it."""
        logger.critical("%s keeps crashing on %s: its like is set aside: %.200r", address.name, type(message).__name__, message)
        self._hook(self.on_quarantine, address, message)
        _, key = key_of(message) or (type(message), None)
        self.events.publish(Quarantined(self.now(), address.name, type(message).__name__, key))

    def snapshot(self) -> Snapshot:
        """Every address and the system's own counts, as they stand; sends nothing."""
        return take_snapshot(self, self._addresses.values())

    def _hook(self, hook: Callable[[Unpack[Ts]], None] | None, *args: *Ts) -> None:
        if hook is None:
            return
        try:
            hook(*args)
        except Exception as error:
            logger.critical("a hook failed, and with it the system", exc_info=True)
            self._fail(error)

    def _stalled(self, task: trio.lowlevel.Task, seconds: float) -> None:
        """In the loop, at the end of a step that was too long, before any other task runs."""
        name = holder(task)
        seen = None if self._watchdog is None or self.step_clock is None else self._watchdog.hold_of(self.step_clock.since_ns)
        where = "" if seen is None else seen.where
        logger.error("%s held the loop for %.0f ms%s", name, seconds * 1e3, where and f", in {where}")
        self.held += 1
        self.last_held = LoopHeld(self.now(), name, seconds, where)
        self._hook(self.on_stall, name, seconds)
        self.events.publish(self.last_held)

    def _blocked(self, hold: Hold) -> None:
        """In the watchdog's thread, while the step lasts."""
        if self.on_blocked is None:
            return
        try:
            self.on_blocked(hold)
        except Exception as error:
            logger.critical("on_blocked failed, and with it the system", exc_info=True)
            self.loop.call_soon(self._fail, error)

    def _fail(self, error: Exception) -> None:
        self.nursery.start_soon(_raise, error)

    async def _stray(self, actor: Incarnation | None, fn: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        try:
            await fn(*args)
        except Exception as error:
            if actor is None:
                raise
            if actor.crash(error):
                return
            self.stray_failures += 1
            logger.exception("a background task failed after its actor had ended")

    def _top(self, spec: ChildSpec) -> Child:
        held = self._tops.get(spec.id)
        if held is not None and held.occupied:
            raise ValueError(f"{spec.id!r} runs already")
        child = Child(spec, self, "", lambda child, _: child.address.settle(Phase.GONE))
        self._tops[spec.id] = child
        return child

    def _host(self, actor: Incarnation) -> None:
        name = actor.address.name
        child = self._top(ChildSpec(name, lambda: actor, restart=Restart.TEMPORARY))
        child.on_end = lambda *_: self._unhost(name)
        child.begin(self.nursery, adopt=actor)

    def _unhost(self, name: str) -> None:
        self._tops.pop(name, None)
        address = self._addresses.pop(name, None)
        if address is not None:
            address.settle(Phase.GONE)

    async def _wind_down(self) -> None:
        """Stop every tree in reverse; if that is cancelled, everything is."""
        try:
            for child in reversed(list(self._tops.values())):
                await child.stop(Phase.GONE)
        finally:
            self.nursery.cancel_scope.cancel()

    def _close(self) -> None:
        for address in self._addresses.values():
            address.settle(Phase.GONE)
        if self.step_clock is not None:
            trio.lowlevel.remove_instrument(self.step_clock)
        system_here.set(self._outer)


async def _raise(error: Exception) -> None:
    raise error
