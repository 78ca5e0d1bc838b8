"""The recorder's actor: writes what comes through a door into a recording, beside everything and in the way of nothing.

The door shows it each frame in the step that received it; it only queues, and a task of its own appends and seals off the loop. A document
equal to the last one of its stream is not written again. When the disk is slower than the world the oldest documents go first, because a
later version stands in for them and nothing stands in for a frame of a connection; what was dropped is counted and told to telemetry.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import trio

from actors.messages import Standing
from actors.runtime import Address, TrioActor
from chimera.errors import ConfigError
from chimera.intake import Door, Frame
from chimera.journal.recording import Manifest, RecordingWriter

BACKLOG_BYTES = 64 * 1024 * 1024
SEAL_S = 1.0
RETRY_S = 1.0


class RecorderActor(TrioActor):
    """Records `door` into `directory`; a later incarnation goes on in the same recording. States told: `ready`, `behind`, `down`."""

    def __init__(
        self, *, door: Door, directory: Path, manifest: Manifest, telemetry: Address, backlog_bytes: int = BACKLOG_BYTES
    ) -> None:
        super().__init__()
        self._door = door
        self._directory = directory
        self._manifest = manifest
        self._telemetry = telemetry
        self._backlog_bytes = backlog_bytes
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._last: dict[str, Frame] = {}
        self._arrived = trio.Event()
        self._closing = False
        self._closed = trio.Event()
        self._pause = trio.CancelScope()
        self._state, self._why = "", ""
        self._sealed_at = 0.0
        self._written = self._unchanged = self._dropped = 0

    def on_start(self) -> None:
        self._stand("opening", "")
        self._door.tap(self._see)
        self.spawn(self._record)

    async def on_stop(self) -> None:
        """What was seen is sealed and the recording closed before the actor ends, unless the disk refuses."""
        self._closing = True
        self._arrived.set()
        self._pause.cancel()
        await self._closed.wait()

    # In the door's step

    def _see(self, frame: Frame) -> None:
        if frame.status:
            last = self._last.get(frame.stream)
            if last is not None and last.status == frame.status and last.body == frame.body:
                self._unchanged += 1
                return
            self._last[frame.stream] = frame
        self._frames.append(frame)
        self._bytes += len(frame.body)
        while self._bytes > self._backlog_bytes:
            self._drop()
        self._arrived.set()

    def _drop(self) -> None:
        place = next((place for place, frame in enumerate(self._frames) if frame.status), 0)
        frame = self._frames[place]
        del self._frames[place]
        self._bytes -= len(frame.body)
        self._dropped += 1
        # Its next poll must be written even if it is the same again.
        if self._last.get(frame.stream) is frame:
            del self._last[frame.stream]
        self._stand("behind", self._losses())

    def _losses(self) -> str:
        return f"{self._dropped} frames were dropped: the disk was slower than the world" if self._dropped else ""

    # Beside it

    async def _record(self) -> None:
        try:
            while not self._closing:
                try:
                    writer = await self.system.blocking(self._open)
                except (OSError, ConfigError) as error:
                    self._stand("down", str(error))
                    await self._wait_a_little()
                else:
                    await self._hold(writer)
        finally:
            self._door.untap(self._see)
            self._closed.set()

    def _open(self) -> RecordingWriter:
        return RecordingWriter(self._directory, self._manifest, resume=self.address.incarnation > 1)

    async def _hold(self, writer: RecordingWriter) -> None:
        try:
            self._stand("ready", self._losses())
            while self._frames or not self._closing:
                await self._write_some(writer)
        finally:
            with trio.CancelScope(shield=True):
                await self._close(writer)

    async def _write_some(self, writer: RecordingWriter) -> None:
        """Append what waits, and seal once a second. A disk that refuses is waited for, unless the actor is stopping."""
        if not self._frames:
            self._arrived = trio.Event()
            with trio.move_on_after(SEAL_S):
                await self._arrived.wait()
        batch, self._frames, self._bytes = self._frames, deque(), 0
        seal = trio.current_time() - self._sealed_at >= SEAL_S
        try:
            await self.system.blocking(_append, writer, batch, seal)
        except OSError as error:
            self._stand("down", f"{self._directory} cannot be written: {error.strerror}")
            self._put_back(batch)
            if self._closing:
                self._frames.clear()
                return
            await self._wait_a_little()
        else:
            self._written = writer.records
            self._sealed_at = trio.current_time() if seal else self._sealed_at
            self._stand("ready", self._losses())

    async def _wait_a_little(self) -> None:
        with trio.CancelScope() as self._pause:
            await self.system.sleep(RETRY_S)

    def _put_back(self, batch: deque[Frame]) -> None:
        batch.extend(self._frames)
        self._frames = batch
        self._bytes = sum(len(frame.body) for frame in batch)

    async def _close(self, writer: RecordingWriter) -> None:
        try:
            await self.system.blocking(writer.close, self.system.now())
        except OSError as error:
            self._stand("down", f"{self._directory} could not be closed: {error.strerror}")

    def _stand(self, state: str, why: str) -> None:
        if (state, why) != (self._state, self._why):
            self._state, self._why = state, why
            self._telemetry.tell(Standing(self.address.name, state, why, self.system.now()))

    def state_summary(self) -> dict[str, object]:
        """For the console: how it stands, what waits, what was written and what was not."""
        return {
            "state": self._state,
            "why": self._why,
            "waiting": len(self._frames),
            "waiting_bytes": self._bytes,
            "written": self._written,
            "unchanged": self._unchanged,
            "dropped": self._dropped,
        }


def _append(writer: RecordingWriter, batch: deque[Frame], seal: bool) -> None:
    """Take frames off `batch` into the recording; those it could not take stay in it."""
    while batch:
        writer.append(batch.popleft())
    if seal:
        writer.flush()
