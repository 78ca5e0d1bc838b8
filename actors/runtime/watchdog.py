"""A thread that watches the loop: who holds it, in which function, while it is still held.

The step clock speaks only after the step. The watchdog reads what it wrote from outside (two attributes, and the frames of the loop's
thread; no lock, and nothing that the loop could be holding), so it can act while nothing in the loop can. It sees Python code, and blocking
calls that let go of the GIL; a C call that keeps the GIL, and a stopped process, stop this thread too: those are for a process beside.
"""

from __future__ import annotations

import logging
import sys
import sysconfig
import threading
from collections.abc import Callable
from time import perf_counter_ns
from types import FrameType

import attrs
import trio

from actors.runtime.incarnation import current_actor
from actors.runtime.stepclock import StepClock

logger = logging.getLogger("actors")

NOTICE_S = 0.025
"""From here on a step is named in the log."""
POLL_S = 0.01
STACK = 12
_LIBRARY, _PACKAGES = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")


@attrs.frozen(slots=True)
class Hold:
    """Who holds the loop: `name` is the actor's address, or the task where it is nobody's; `where` the function, as "file:line function".

    `stack` are the innermost frames, the innermost last; `where` is the last of them outside the standard library. `seconds` is how long
    it has lasted.
    """

    name: str
    where: str
    stack: tuple[str, ...]
    seconds: float


def holder(task: trio.lowlevel.Task) -> str:
    """Whose task it is: its actor's address, or its own name."""
    actor = task.context.get(current_actor)
    return task.name if actor is None else actor.address.name


class Watchdog:
    """Watches the loop that `clock` times. Calls `on_blocked(hold)`, in this thread, as soon as a step has lasted `limit_s`, and again
    each time that doubles.

    `on_blocked` must not touch what the loop's code is in the middle of: not an actor, not trio. It may bump a counter made for it, write a
    file, or `run_sync_soon`.
    """

    def __init__(self, clock: StepClock, limit_s: float, on_blocked: Callable[[Hold], None]) -> None:
        self.latest: Hold | None = None
        """The step seen last; `hold_of` says whether it is a given one."""
        self._clock = clock
        self._limit_ns = int(limit_s * 1e9)
        self._notice_ns = int(min(NOTICE_S, limit_s) * 1e9)
        self._poll_s = min(POLL_S, limit_s / 4)
        self._on_blocked = on_blocked
        self._seen_ns = 0  # when the step began of which `latest` tells
        self._next_ns = 0  # how long it has to last to be looked at again
        self._loop = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop watchdog", daemon=True)

    def start(self) -> None:
        """Watch the loop of the calling thread."""
        self._loop = threading.get_ident()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching, and wait for the thread."""
        self._stop.set()
        self._thread.join()

    def hold_of(self, began_ns: int) -> Hold | None:
        """What was seen of the step that began then; None if it was too short to be seen."""
        return self.latest if self._seen_ns == began_ns else None

    def _watch(self) -> None:
        while not self._stop.wait(self._poll_s):
            try:
                self._look()
            except Exception:
                logger.exception("the watchdog could not look, and looks again")

    def _look(self) -> None:
        clock = self._clock
        task, began = clock.running, clock.since_ns
        held = perf_counter_ns() - began
        if task is None or held < (self._next_ns if self._seen_ns == began else self._notice_ns):
            return
        frame = sys._current_frames().get(self._loop)
        if frame is None or clock.running is not task or clock.since_ns != began:
            return  # the step ended meanwhile, and the frames are another's
        stack = _stack(frame)
        where = next((frame for frame in reversed(stack) if not _in_library(frame)), stack[-1])
        hold = self.latest = Hold(holder(task), where, stack, held * 1e-9)
        self._seen_ns, self._next_ns = began, self._limit_ns if held < self._limit_ns else 2 * held
        logger.warning("%s holds the loop for %.0f ms in %s", hold.name, hold.seconds * 1e3, hold.where)
        if held >= self._limit_ns:
            self._on_blocked(hold)


def _in_library(frame: str) -> bool:
    return frame.startswith("<frozen") or (frame.startswith(_LIBRARY) and not frame.startswith(_PACKAGES))


def _stack(innermost: FrameType) -> tuple[str, ...]:
    frames: list[str] = []
    frame: FrameType | None = innermost
    while frame is not None and len(frames) < STACK:
        frames.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}")
        frame = frame.f_back
    return tuple(reversed(frames))
