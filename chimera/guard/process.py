"""The guard: a process that watches the trader and, when the trader dies, stalls or loses progress, empties the account's book.

    watch     parent pipe, pidfd, progress and deadline in the page, the kill file; every `TICK_S`
    fire      (1) latch GLOBAL in the page  (2) SIGKILL by pidfd  (3) cancel-all  (4) verify zero at 0, 1, 5 and 65 s
    kill file latch, and no SIGKILL while the trader progresses; what still rests after `KILL_FILE_GRACE_S` is cancelled from here

It shares nothing with the trader but the page, and waits for nothing of it. Time in which the guard itself did not run is not held against
the trader: a suspended machine stops both.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import attrs

from chimera.clock import WorldClock
from chimera.errors import VenueError
from chimera.guard.line import Line
from chimera.guard.page import Latch, Page, Phase

TICK_S: Final = 0.02
PING_EVERY_S: Final = 5.0
SCHEDULE_EVERY_S: Final = 3600.0
DEATH_WITHIN_S: Final = 0.25
"""How long a killed process is waited for before the last cancel-all."""
CLOSING_WITHIN_S: Final = 30.0
KILL_FILE_GRACE_S: Final = 3.0
VERIFY_AT_S: Final = (0.0, 1.0, 5.0, 65.0)
"""World seconds after a cancel-all; an order still listed at the first is normal, lists lag behind."""
RETRY_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
RETRY_IN_MAINTENANCE_S: Final = 10.0
GIVE_UP_S: Final = 900.0
"""World seconds after which whatever rested has expired by the exchange's own clock: no order lives longer than 600 s."""


class Verdict(enum.Enum):
    """How a watch ended."""

    RELEASED = "released"
    EMPTIED = "emptied"
    UNPROVED = "unproved"


Say = Callable[..., None]


def say(event: str, **what: object) -> None:
    """One JSON line on stderr. A stderr that nobody reads must not stop the guard."""
    with contextlib.suppress(OSError):
        sys.stderr.write(json.dumps({"guard": event, **what}, default=str) + "\n")
        sys.stderr.flush()


@attrs.frozen(slots=True)
class Watched:
    """What is watched. `pidfd` names the trader for good; `pipe` ends when the trader does, None where there is none."""

    trader: int
    pidfd: int
    pipe: int | None
    kill_file: Path | None = None
    stall_s: float = 1.0
    """Machine seconds without progress."""


class Guard:
    """One watch, from the arming of the trader to its release or its end."""

    def __init__(self, page: Page, line: Line, clock: WorldClock, watched: Watched, *, say: Say = say) -> None:
        self._page, self._line, self._clock, self._watched, self._say = page, line, clock, watched, say
        self._poll = select.poll()
        self._poll.register(watched.pidfd, select.POLLIN)
        if watched.pipe is not None:
            self._poll.register(watched.pipe, select.POLLIN | select.POLLHUP)
        self._looked_at = time.monotonic()
        self._stalled = self._late = self._closing = 0.0
        self._seen = page.progress
        self._ping_at = self._looked_at + PING_EVERY_S
        self._schedule_at = self._looked_at
        self._windows: tuple[tuple[float, float], ...] = ()
        self._kill_file_check: float | None = None
        self._told_to_stop = False
        self._mute = False

    def stop(self) -> None:
        """Somebody wants the guard gone: GLOBAL is latched, and the guard stays until the trader has left."""
        self._told_to_stop = True

    def watch(self) -> Verdict:
        """Watch until the trader is released, or fire."""
        page = self._page
        page.beat(self._watched.trader, time.monotonic())
        while True:
            gone = self._wait(TICK_S)
            now = time.monotonic()
            page.beat(self._watched.trader, now)
            if page.phase is Phase.RELEASED:
                return Verdict.RELEASED
            if page.phase is Phase.ABANDONED and not gone:
                return self._fire(Latch.ABANDONED, kill=False)
            cause = Latch.DEATH if gone else self._lost(now)
            if cause is not None:
                return self._fire(cause)
            self._heed_latches(now)
            self._keep_warm(now)

    # What it sees

    def _wait(self, seconds: float) -> bool:
        """Sleep, waking at once for a death; whether the trader is gone."""
        gone = False
        for descriptor, _ in self._poll.poll(seconds * 1000.0):
            if descriptor == self._watched.pidfd or (descriptor == self._watched.pipe and self._hung_up(descriptor)):
                gone = True
        return gone

    @staticmethod
    def _hung_up(pipe: int) -> bool:
        try:
            return not os.read(pipe, 4096)
        except OSError:
            return True

    def _lost(self, now: float) -> Latch | None:
        """Why the trader has to go though it lives: nothing moves, or an input waits past its deadline."""
        passed, self._looked_at = min(now - self._looked_at, 5 * TICK_S), now
        phase, progress, deadline = self._page.phase, self._page.progress, self._page.deadline
        if phase is Phase.CLOSING:
            self._closing += passed
            return Latch.STALL if self._closing >= CLOSING_WITHIN_S else None
        if phase is not Phase.ARMED:
            return None
        self._stalled = self._stalled + passed if progress == self._seen else 0.0
        self._seen = progress
        self._late = self._late + passed if 0.0 < deadline < now else 0.0
        if self._stalled >= self._watched.stall_s:
            return Latch.STALL
        # Twice seen, so that a machine that slept is not taken for a trader that does.
        return Latch.LATE if self._late > 2 * TICK_S else None

    def _heed_latches(self, now: float) -> None:
        """Latch for the operator's sake, while the trader still works: it cancels; if it does not, the guard does."""
        watched, page = self._watched, self._page
        if self._told_to_stop and not page.latched:
            page.latch(Latch.GUARD_STOPPED, self._clock.now())
            self._say("latched", why="the guard was told to stop while a trader runs; it stays until the trader has left")
        if watched.kill_file is not None and not page.latched and watched.kill_file.exists():
            page.latch(Latch.KILL_FILE, self._clock.now())
            self._say("latched", why=f"the kill file {watched.kill_file} is there")
        if not page.latched:
            return
        if self._kill_file_check is None:
            self._kill_file_check = now + KILL_FILE_GRACE_S
        elif now >= self._kill_file_check:
            self._kill_file_check = now + (KILL_FILE_GRACE_S if self._sweep() else PING_EVERY_S)

    def _sweep(self) -> bool:
        """Cancel what rests though GLOBAL is latched; whether anything did, or could not be seen."""
        try:
            resting = self._line.resting()
            if resting:
                self._say("still resting under the latch", orders=len(resting))
                self._page.cancelling_all(self._clock.now())
                self._line.cancel_all()
        except VenueError as error:
            self._report(str(error))
            return True
        return bool(resting)

    # Warmth and maintenance

    def _keep_warm(self, now: float) -> None:
        """Prove the connections in turn, without ever waiting for an answer."""
        try:
            waiting = self._line.waiting()
            if waiting is not None and select.select([waiting], [], [], 0.0)[0]:
                self._line.pong()
                self._mute = False
            if now >= self._ping_at:
                self._ping_at = now + PING_EVERY_S
                self._line.ping()
            if now >= self._schedule_at:
                self._schedule_at = now + SCHEDULE_EVERY_S
                self._windows = self._line.maintenance()
        except VenueError as error:
            self._report(str(error))

    @property
    def _maintenance(self) -> bool:
        """Whether the exchange has announced that it is down now."""
        now = self._clock.now()
        return any(start <= now < end for start, end in self._windows)

    def _report(self, why: str) -> None:
        """Say a fault once, and not at all where it was announced."""
        if not self._mute and not self._maintenance:
            self._say("fault", why=why)
        self._mute = True

    # The four steps

    def _fire(self, cause: Latch, *, kill: bool = True) -> Verdict:
        began, page = time.monotonic(), self._page
        page.latch(cause, self._clock.now())
        if kill:
            self._kill()
        dead = not kill or self._dead(0.0)
        emptied = self._cancel_all()
        self._say("fired", cause=cause.name.lower(), trader=self._watched.trader, cancel_all_ms=_ms(time.monotonic() - began))
        page.flush()
        if not dead:
            # Freeing a process takes longer than a cancel-all; what it wrote in its last moment may have come after that one.
            if not self._dead(DEATH_WITHIN_S):
                self._say("fault", why=f"process {self._watched.trader} is not dead {DEATH_WITHIN_S:g} s after SIGKILL")
            emptied = self._cancel_all()
        if not emptied:
            return Verdict.UNPROVED
        return Verdict.EMPTIED if self._verify() else Verdict.UNPROVED

    def _kill(self) -> None:
        """SIGKILL, also for a process that is stopped: it must not wake up and go on."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._watched.pidfd, signal.SIGKILL)

    def _dead(self, within: float) -> bool:
        """Whether the trader is dead, waiting for it so long."""
        died = select.poll()
        died.register(self._watched.pidfd, select.POLLIN)
        return bool(died.poll(within * 1000.0))

    def _cancel_all(self) -> bool:
        """Until the exchange says that it has, or nothing can rest any more. The time goes into the page before the bytes."""
        until = self._clock.now() + GIVE_UP_S
        tries = 0
        while self._clock.now() < until or self._maintenance:
            self._page.cancelling_all(self._clock.now())
            try:
                self._line.cancel_all()
            except VenueError as error:
                self._report(str(error))
            else:
                return True
            # A paused exchange refuses cancels too; asking it faster frees nobody.
            pause = RETRY_IN_MAINTENANCE_S if self._maintenance else RETRY_S[min(tries, len(RETRY_S) - 1)]
            time.sleep(pause)
            tries += 1
        return False

    def _verify(self) -> bool:
        """Whether the exchange's own list is empty at each check after the last cancel-all."""
        began = self._clock.now()
        until = began + GIVE_UP_S
        checks = list(VERIFY_AT_S)
        while checks and (self._clock.now() < until or self._maintenance):
            at = began + checks[0]
            time.sleep(max(0.0, at - self._clock.now()) / self._clock.speed)
            try:
                resting = self._line.resting()
            except VenueError as error:
                self._report(str(error))
                time.sleep(RETRY_IN_MAINTENANCE_S if self._maintenance else RETRY_S[-1])
                continue
            self._say("verified" if not resting else "still resting", after_s=round(self._clock.now() - began, 3), orders=len(resting))
            if resting and checks[0] > 0.0:
                if not self._cancel_all():
                    return False
                began, checks = self._clock.now(), list(VERIFY_AT_S)
            else:
                checks.pop(0)
        return not checks


def _ms(seconds: float) -> float:
    return round(seconds * 1000.0, 3)
