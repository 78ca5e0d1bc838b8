"""The door, from a recording: the same bytes at the same world times, in process, without sockets or threads.

Nothing is ever early: a document is the newest version whose recorded arrival has come, a connection's frame waits for its own. So a reader
of this door knows at each instant what one could have known then, and with a virtual clock it knows it on any machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

import attrs
import trio

from chimera.clock import WorldClock
from chimera.errors import FeedError
from chimera.intake import Connection, Door, Frame
from chimera.journal.recording import RecordingReader


class Pace:
    """Holds a virtual world to at most `speed` world seconds per machine second, for people who watch.

    It stops the machine, never the world: not one decision is another for it.
    """

    def __init__(
        self, speed: float, sleep: Callable[[float], None] = time.sleep, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        if not speed > 0.0:
            raise ValueError(f"a speed is above 0, not {speed:g}")
        self._speed = speed
        self._sleep, self._monotonic = sleep, monotonic
        self._began: tuple[float, float] | None = None

    def keep(self, now: float) -> None:
        """Stop until the machine has caught up with world time `now`."""
        if self._began is None:
            self._began = (now, self._monotonic())
        world, machine = self._began
        ahead = (now - world) / self._speed - (self._monotonic() - machine)
        if ahead > 0.0:
            self._sleep(ahead)


class RecordedDoor(Door):
    """Stands in for the live door. `speed` paces a virtual world; None runs it as fast as it goes."""

    def __init__(self, recording: RecordingReader, clock: WorldClock, *, speed: float | None = None) -> None:
        super().__init__()
        self._recording = recording
        self._clock = clock
        self._pace = None if speed is None else Pace(speed)
        self._documents = recording.documents()
        self._coming: Frame | None = None
        self._latest: dict[str, Frame] = {}
        self._damage: FeedError | None = None
        self._connected: set[str] = set()

    async def wait_ended(self) -> None:
        """Return when the world has reached the recording's end."""
        await self._clock.sleep_until(self._recording.end_unix)

    async def get(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0) -> Frame:
        """The newest version of a document, received now. FeedError where none has come yet, or the recording has no such stream."""
        await trio.lowlevel.checkpoint()
        now = self._clock.now()
        self._keep_pace(now)
        self._advance(now)
        latest = self._latest.get(stream)
        if latest is None:
            known = stream in self._recording.manifest.streams
            why = "has none so early" if known else "knows no such document"
            raise FeedError(f"{stream}: the recording {self._recording.directory} {why}")
        return self._enter(attrs.evolve(latest, received_mono=time.monotonic_ns(), received_wall=now))

    @asynccontextmanager
    async def connect(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None) -> AsyncIterator[Connection]:
        """Open a recorded connection. FeedError after the recording's end.

        The first connection to a stream is given all of it. A later one is given the stream's greeting again, and then what arrives from
        now on: what it missed is gone, as it would be.
        """
        await trio.lowlevel.checkpoint()
        now = self._clock.now()
        if now >= self._recording.end_unix:
            raise FeedError(f"{stream}: the recording has ended")
        greeting = self._recording.manifest.greetings.get(stream, 0)
        since = now if stream in self._connected else -math.inf
        self._connected.add(stream)
        frames = enumerate(self._recording.frames(stream))
        coming = (frame for place, frame in frames if place < greeting or frame.received_wall >= since)
        yield _RecordedConnection(self, stream, coming)

    def _advance(self, now: float) -> None:
        """Take in every document that has arrived by `now`."""
        if self._damage is not None:
            raise FeedError(str(self._damage))
        try:
            while True:
                coming = self._coming or next(self._documents, None)
                self._coming = coming
                if coming is None or coming.received_wall > now:
                    return
                self._latest[coming.stream] = coming
                self._coming = None
        except FeedError as damage:
            self._damage = damage
            raise

    def _keep_pace(self, now: float) -> None:
        if self._pace is not None:
            self._pace.keep(now)

    async def _deliver(self, frame: Frame | None, stream: str) -> Frame:
        """Wait for a frame's time and let it in; None is the end of its stream, which is told at the end of the recording."""
        await self._clock.sleep_until(self._recording.end_unix if frame is None else frame.received_wall)
        now = self._clock.now()
        self._keep_pace(now)
        if frame is None:
            raise FeedError(f"{stream}: the recording has ended")
        at = max(frame.received_wall, now)
        return self._enter(attrs.evolve(frame, received_mono=time.monotonic_ns(), received_wall=at))


class _RecordedConnection(Connection):
    def __init__(self, door: RecordedDoor, stream: str, frames: Iterator[Frame]) -> None:
        self._door = door
        self._stream = stream
        self._frames = frames
        self._coming: Frame | None = None

    async def receive(self) -> Frame:
        """The next frame, at its time. Cancelled while it waits, it loses nothing. FeedError at the recording's end."""
        self._coming = self._coming or next(self._frames, None)
        frame = await self._door._deliver(self._coming, self._stream)
        self._coming = None
        return frame

    async def send(self, text: str) -> None:
        """Take a message; the answer, if any, is in the recording."""
        await trio.lowlevel.checkpoint()
