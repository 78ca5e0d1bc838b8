"""The two times.

World time is what the markets live in: real, scaled (the embedded world only, at most 10x) or virtual. It rules polls, staleness, expiry,
holds and scores. Machine time is monotonic and real; it rules I/O deadlines, pings, shutdown, step budgets and watchdogs.

A scaled world leaves trio's clock alone: only the sleeps asked of `WorldClock` shrink, so no library's timeout does. A virtual world runs
under trio's mock clock, which moves only when every task is blocked, so a slow machine decides exactly as a fast one does.
"""

from __future__ import annotations

import math
import time

import trio

MAX_SPEED = 10.0


class WorldClock:
    """World time for one run. Everything that needs the time is given this object, or takes it from the input that started it.

    `origin_unix` is the world's unix time (s) at the machine's monotonic time `origin_ns`; `speed` is world seconds per machine second.
    """

    def __init__(self, *, origin_unix: float | None = None, origin_ns: int | None = None, speed: float = 1.0) -> None:
        if not 0.0 < speed <= MAX_SPEED:
            raise ValueError(f"a scaled world runs at most {MAX_SPEED:g} times as fast as the machine, not {speed:g}")
        self._origin_ns = time.monotonic_ns() if origin_ns is None else origin_ns
        self._origin_unix = time.time() if origin_unix is None else origin_unix
        self.speed = speed

    @property
    def virtual(self) -> bool:
        """True where time moves only when every actor is idle; nothing may wait for a thread or a socket there."""
        return False

    @property
    def origin(self) -> tuple[int, float, float]:
        """(monotonic ns, world unix s, speed): all a child process needs to derive the same world time."""
        return self._origin_ns, self._origin_unix, self.speed

    def now(self) -> float:
        """World time, unix seconds."""
        return self._origin_unix + (time.monotonic_ns() - self._origin_ns) * 1e-9 * self.speed

    async def sleep(self, seconds: float) -> None:
        """Sleep for world seconds; a checkpoint even for zero or less."""
        await trio.sleep(max(0.0, seconds) / self.speed)

    async def sleep_until(self, unix: float) -> None:
        """Sleep until the world reads `unix`."""
        await self.sleep(unix - self.now())

    def real(self, seconds: float) -> float:
        """A deadline for I/O: machine seconds as trio's clock counts them. Endless in a virtual world, where no I/O happens."""
        return seconds


class VirtualClock(WorldClock):
    """World time under trio's mock clock. Make it inside `trio.run(..., clock=MockClock(autojump_threshold=0))`."""

    def __init__(self, *, origin_unix: float) -> None:
        super().__init__(origin_unix=origin_unix)
        self._started = trio.current_time()

    @property
    def virtual(self) -> bool:
        return True

    def now(self) -> float:
        return self._origin_unix + (trio.current_time() - self._started)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(max(0.0, seconds))

    def real(self, seconds: float) -> float:
        return math.inf
