"""The heartbeat page: a few words of memory that the trader and its guard share, and that outlive both.

The trader stamps its progress and reads the latch in the step that writes bytes; the guard writes the latch and its own beat. Whoever sends
cancel-all writes the time first: Kalshi's cancel-all also cancels orders of the next minute, so nothing is placed for `QUIET_AFTER_S` after
it, across restarts. A file mapped into memory: each word is 8 bytes, aligned, written whole, and needs no lock, no system call and no loop.
"""

from __future__ import annotations

import enum
import fcntl
import mmap
import os
from pathlib import Path
from typing import Final

import attrs

from chimera.errors import ConfigError

QUIET_AFTER_S: Final = 75.0
"""World seconds without a place after a cancel-all: its tail of a minute (Kalshi, 2026-08), and what two clocks may differ by."""
GUARD_SILENT_S: Final = 1.0
"""Machine seconds without a beat of the guard after which it is taken for dead; it beats every 20 ms."""

_MAGIC: Final = int.from_bytes(b"CHIMER01", "little")
_WORDS: Final = 16
_SIZE: Final = 8 * _WORDS


class _Word(enum.IntEnum):
    """Where each word is. Times are machine seconds (CLOCK_MONOTONIC, one clock for all processes) unless they say world."""

    MAGIC = 0
    LATCH = 1
    LATCHED_AT = 2  # world
    CANCEL_ALL_AT = 3  # world
    PHASE = 4
    TRADER = 5
    PROGRESS = 6
    DEADLINE = 7
    GUARD = 8
    GUARD_OF = 9
    GUARD_BEAT = 10


class Latch(enum.IntEnum):
    """Why GLOBAL is latched in the page; OPEN where it is not."""

    OPEN = 0
    DEATH = 1
    STALL = 2
    LATE = 3
    KILL_FILE = 4
    GUARD_STOPPED = 5
    ABANDONED = 6


class Phase(enum.IntEnum):
    """How far the trader is. Only an ARMED trader is watched for progress. One that was RELEASED has proved that nothing rests; one that
    has ABANDONED its orders could not, and waits for the guard to do it."""

    STARTING = 0
    ARMED = 1
    CLOSING = 2
    RELEASED = 3
    ABANDONED = 4


@attrs.frozen(slots=True)
class PageState:
    """The page as it reads now, for logs and the console."""

    latch: Latch
    latched_at: float
    cancel_all_at: float
    phase: Phase
    trader: int
    progress: float
    deadline: float
    guard: int
    guard_beat: float


class Page:
    """The mapped page. Made by the trader with `create`, by everyone else with `open`."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self._file = file
        self._map = mmap.mmap(file, _SIZE)
        view = memoryview(self._map)
        self._ints, self._floats = view.cast("Q"), view.cast("d")

    # Making and closing

    @classmethod
    def create(cls, path: Path) -> Page:
        """The trader's end; one trader at a time. A page that is there keeps its latch and the time of the last cancel-all.

        ConfigError where it cannot be made, is no page, or where another trader holds it.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise ConfigError(f"the guard's page {path} cannot be made: {fault.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            raise ConfigError(f"{path} is held by another trader of the same account: only one may run at a time; stop it first") from None
        if os.fstat(file).st_size == 0:
            os.truncate(file, _SIZE)
            page = cls(path, file)
            page._ints[_Word.MAGIC] = _MAGIC
        else:
            page = cls._checked(path, file)
        page._floats[_Word.PROGRESS] = page._floats[_Word.DEADLINE] = 0.0
        page._ints[_Word.TRADER] = os.getpid()
        page._ints[_Word.PHASE] = Phase.STARTING
        return page

    @classmethod
    def open(cls, path: Path) -> Page:
        """The page of a trader that runs, or ran. ConfigError where there is none."""
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as fault:
            raise ConfigError(f"the guard's page {path} cannot be opened: {fault.strerror}; the trader makes it") from None
        return cls._checked(path, file)

    @classmethod
    def _checked(cls, path: Path, file: int) -> Page:
        if os.fstat(file).st_size == _SIZE:
            page = cls(path, file)
            if page._ints[_Word.MAGIC] == _MAGIC:
                return page
            page._unmap()
        os.close(file)
        raise ConfigError(f"{path} is no guard's page, or of another version; move it away if no trader runs")

    def close(self) -> None:
        self._unmap()
        os.close(self._file)

    def _unmap(self) -> None:
        self._ints.release()
        self._floats.release()
        self._map.close()

    # The latch: read in the step that writes bytes

    @property
    def latched(self) -> bool:
        return self._ints[_Word.LATCH] != Latch.OPEN

    def latch(self, why: Latch, world: float) -> None:
        """Latch GLOBAL; the first cause stays. It is undone by the operator alone, with `unlatch`."""
        if not self.latched:
            self._floats[_Word.LATCHED_AT] = world
            self._ints[_Word.LATCH] = why

    def unlatch(self) -> None:
        """The operator has looked."""
        self._ints[_Word.LATCH] = Latch.OPEN

    # Cancel-all

    @property
    def cancel_all_at(self) -> float:
        """World time of the last cancel-all of anyone; 0 where there was none."""
        return self._floats[_Word.CANCEL_ALL_AT]

    def cancelling_all(self, world: float) -> None:
        """To be called before the bytes of a cancel-all leave."""
        self._floats[_Word.CANCEL_ALL_AT] = max(world, self.cancel_all_at)

    def quiet(self, world: float) -> bool:
        """Whether a cancel-all was sent so lately that an order placed now might be cancelled by it."""
        return world < self.cancel_all_at + QUIET_AFTER_S

    # The trader

    @property
    def phase(self) -> Phase:
        return Phase(self._ints[_Word.PHASE])

    def enter(self, phase: Phase) -> None:
        self._ints[_Word.PHASE] = phase

    @property
    def progress(self) -> float:
        return self._floats[_Word.PROGRESS]

    def progressed(self, machine: float) -> None:
        """Work was proved done. The first proof arms the guard."""
        self._floats[_Word.PROGRESS] = machine
        if self._ints[_Word.PHASE] == Phase.STARTING:
            self._ints[_Word.PHASE] = Phase.ARMED

    @property
    def deadline(self) -> float:
        return self._floats[_Word.DEADLINE]

    def expect(self, by: float) -> None:
        """The oldest input that waits must be handled by this machine time; 0 where none waits."""
        self._floats[_Word.DEADLINE] = by

    # The guard

    def beat(self, trader: int, machine: float) -> None:
        """The guard lives, and watches this process."""
        self._ints[_Word.GUARD] = os.getpid()
        self._ints[_Word.GUARD_OF] = trader
        self._floats[_Word.GUARD_BEAT] = machine

    def guarded(self, machine: float) -> bool:
        """Whether a live guard watches this trader."""
        watched = self._ints[_Word.GUARD_OF] == self._ints[_Word.TRADER]
        return watched and machine - self._floats[_Word.GUARD_BEAT] < GUARD_SILENT_S

    def flush(self) -> None:
        """Have the disk know it too: the page must be right after a power cut, not only after a crash."""
        self._map.flush()

    def read(self) -> PageState:
        ints, floats = self._ints, self._floats
        return PageState(
            Latch(ints[_Word.LATCH]), floats[_Word.LATCHED_AT], self.cancel_all_at, self.phase, ints[_Word.TRADER], self.progress,
            self.deadline, ints[_Word.GUARD], floats[_Word.GUARD_BEAT],
        )  # fmt: skip
