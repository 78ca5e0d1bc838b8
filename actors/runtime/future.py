"""pykka's future for a trio loop: `await` it in the loop, `get()` it in another thread.

Settling is thread safe and wakes each waiter in its own loop. A blocking `get()` inside a loop raises `WouldBlockLoop` rather than
deadlock. The get hooks behind `map`, `join` and their kin are blocking by design in pykka; awaiting one takes a worker thread, so they
have no place on a decision path or in a virtual world.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TypeVar

import outcome
import pykka
import trio

from actors.runtime.errors import WouldBlockLoop

T = TypeVar("T")

ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
Settled = outcome.Outcome[T]


class TrioFuture(pykka.Future[T]):
    """A value that is here now or will be."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._outcome: Settled[T] | None = None
        self._listeners: list[Callable[[Settled[T]], None]] = []
        self.abandoned = False  # the caller has given up; a late reply is dropped and counted

    @property
    def settled(self) -> bool:
        """True once there is a value or an error."""
        return self._outcome is not None

    def set(self, value: T | None = None) -> None:
        """Settle with a value. Raises queue.Full if already settled, as pykka's futures do."""
        self._settle_once(outcome.Value(value))  # type: ignore[arg-type]  # pykka's own signature lets None stand for T

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Settle with an error: the given exc_info, or the exception being handled."""
        kind, error, _ = exc_info or sys.exc_info()
        if error is None:
            if kind is None:
                raise ValueError("set_exception() needs an exception: none was given and none is being handled")
            error = kind()
        self._settle_once(outcome.Error(error))

    def offer(self, result: Settled[T]) -> bool:
        """Settle, unless that has happened or the caller has given up; True if the caller will see it."""
        return not self.abandoned and self._settle(result)

    def fail(self, error: BaseException) -> bool:
        """`offer` an error."""
        return self.offer(outcome.Error(error))

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        with self._lock:
            if self._outcome is not None:
                raise queue.Full
            super().set_get_hook(func)

    def listen(self, listener: Callable[[Settled[T]], None]) -> None:
        """Call `listener(outcome)` when settled, in whatever thread settles it; at once if already settled."""
        with self._lock:
            if self._outcome is None:
                self._listeners.append(listener)
                return
        listener(self._outcome)

    def get(self, *, timeout: float | None = None) -> T:
        """Block until settled. Raises WouldBlockLoop inside a trio loop, pykka.Timeout after `timeout` seconds."""
        if self._outcome is not None:
            return _unwrap(self._outcome)
        if trio.lowlevel.in_trio_run():
            raise WouldBlockLoop("get() would block the loop that has to settle this future; await it instead")
        if self._get_hook is not None:
            return super().get(timeout=timeout)
        done = threading.Event()
        self.listen(lambda _: done.set())
        if not done.wait(timeout):
            raise pykka.Timeout(f"{timeout} seconds")
        return self.get()

    def __await__(self) -> Generator[None, None, T]:
        return self.wait().__await__()

    __iter__ = __await__

    async def wait(self) -> T:
        """What awaiting it does."""
        if self._get_hook is not None:
            return await trio.to_thread.run_sync(super().get)
        if self._outcome is None:
            await self._park()
        assert self._outcome is not None  # _park returns only after _settle
        return _unwrap(self._outcome)

    async def _park(self) -> None:
        task, token, ident = trio.lowlevel.current_task(), trio.lowlevel.current_trio_token(), threading.get_ident()
        waiting, parked = True, False

        def wake() -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                if parked:
                    trio.lowlevel.reschedule(task)

        def settled(_: Settled[T]) -> None:
            if threading.get_ident() == ident:
                wake()
            else:
                token.run_sync_soon(wake)

        def abort(_: object) -> trio.lowlevel.Abort:
            nonlocal waiting
            waiting = False
            return trio.lowlevel.Abort.SUCCEEDED

        self.listen(settled)
        if waiting:
            parked = True
            await trio.lowlevel.wait_task_rescheduled(abort)

    def _settle(self, result: Settled[T]) -> bool:
        with self._lock:
            if self._outcome is not None or self._get_hook is not None:
                return False
            self._outcome = result
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(result)
        return True

    def _settle_once(self, result: Settled[T]) -> None:
        if not self._settle(result):
            raise queue.Full


class Promise(TrioFuture[T]):
    """What a handler returns to answer later: the caller is answered when it settles, or when the actor that made it ends."""


def _unwrap(result: Settled[T]) -> T:
    # outcome objects unwrap once; a future may be read many times.
    if isinstance(result, outcome.Error):
        raise result.error
    assert isinstance(result, outcome.Value)  # an outcome is one of the two
    value: T = result.value
    return value
