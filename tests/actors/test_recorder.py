"""The recorder: everything at the door is in the recording, and the door never waits for it."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from actors.messages import Standing
from actors.recorder import RecorderActor
from actors.runtime import ActorSystem, Address, ChildSpec, Supervisor
from actors.runtime.testing import Probe
from chimera.clock import VirtualClock
from chimera.intake import Frame
from chimera.intake_recorded import RecordedDoor
from chimera.journal.recording import Manifest, RecordingKind, RecordingReader, RecordingWriter

SCORES, WS = "espn.scoreboard.nba", "kalshi.ws"
ORIGIN = 1000.0


class OpenDoor(RecordedDoor):
    """A door whose frames a test lets in."""

    def __init__(self) -> None:
        super(RecordedDoor, self).__init__()

    def let_in(self, frame: Frame) -> None:
        self._enter(frame)


def document(n: int, body: bytes) -> Frame:
    return Frame(SCORES, n, ORIGIN + n, body, 200)


def message(n: int, body: bytes = b"delta") -> Frame:
    return Frame(WS, n, ORIGIN + n, body)


@attrs.frozen
class Rig:
    system: ActorSystem
    door: OpenDoor
    telemetry: Probe
    recorder: Address
    directory: Path

    async def standing(self, state: str) -> Standing:
        """Wait until the recorder has stood so."""
        with trio.fail_after(5):
            while not (told := [s for s in self.telemetry.of(Standing) if s.state == state]):  # noqa: ASYNC110
                await trio.sleep(0.001)
        return told[-1]

    def read(self) -> list[Frame]:
        return list(RecordingReader(self.directory).frames())


@asynccontextmanager
async def rig(directory: Path, *, backlog_bytes: int = 1_000_000) -> AsyncIterator[Rig]:
    clock = VirtualClock(origin_unix=ORIGIN)
    async with ActorSystem(clock_now=clock.now, sleep=clock.sleep, virtual=True) as system:
        telemetry, door = await Probe.watch(system, "telemetry"), OpenDoor()
        manifest = Manifest(RecordingKind.RECORDING, ORIGIN)
        spec = ChildSpec(
            "recorder",
            lambda: RecorderActor(
                door=door, directory=directory, manifest=manifest, telemetry=telemetry.address, backlog_bytes=backlog_bytes
            ),
        )
        await system.start(ChildSpec("memory", lambda: Supervisor([spec], intensity=100)))
        yield Rig(system, door, telemetry, system.address("recorder"), directory)


async def test_what_came_through_the_door_is_in_the_recording(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    frames = [document(1, b"a"), message(2), message(3), document(4, b"b")]
    async with rig(tmp_path / "r") as r:
        for frame in frames:
            r.door.let_in(frame)
    assert r.read() == frames
    assert RecordingReader(tmp_path / "r").manifest.streams == (SCORES, WS)


async def test_a_document_that_did_not_change_is_written_once(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with rig(tmp_path / "r") as r:
        for n, body in enumerate((b"a", b"a", b"b", b"b", b"a")):
            r.door.let_in(document(n, body))
        r.door.let_in(message(5))
        r.door.let_in(message(6))
    assert [frame.received_mono for frame in r.read()] == [0, 2, 4, 5, 6]


async def test_what_was_seen_a_second_ago_is_sealed(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with rig(tmp_path / "r") as r:
        for n in range(25):
            r.door.let_in(message(n))
            await trio.sleep(0.1)
        assert len(r.read()) >= 14


async def test_the_door_serves_what_was_recorded_from_it(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with rig(tmp_path / "r") as r:
        r.door.let_in(document(1, b"a"))
        r.door.let_in(message(2))
        await trio.sleep(10)
    clock = VirtualClock(origin_unix=ORIGIN)
    reader = RecordingReader(tmp_path / "r")
    door = RecordedDoor(reader, clock)
    async with door.connect(WS, "") as connection:
        assert (await connection.receive()).body == b"delta"
    assert (await door.get(SCORES, "")).body == b"a"


async def test_a_slow_disk_costs_old_documents_and_no_frame_of_a_connection(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with rig(tmp_path / "r", backlog_bytes=350) as r:
        for n in range(5):
            r.door.let_in(document(n, bytes([n]) * 100))
            r.door.let_in(message(n, b"x" * 20))
        await trio.testing.wait_all_tasks_blocked()
        told = r.telemetry.of(Standing)[-1]
    frames = r.read()
    assert [frame.received_mono for frame in frames if not frame.status] == [0, 1, 2, 3, 4]
    assert [frame.received_mono for frame in frames if frame.status] == [3, 4]
    assert told.why.startswith("3 frames were dropped")


async def test_a_document_that_was_dropped_is_written_when_it_comes_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with rig(tmp_path / "r", backlog_bytes=150) as r:
        r.door.let_in(document(0, b"a" * 100))
        for n in range(4):
            r.door.let_in(message(n, b"x" * 30))
        r.door.let_in(document(9, b"a" * 100))
        await trio.testing.wait_all_tasks_blocked()
        r.door.let_in(document(10, b"a" * 100))
    assert [frame.received_mono for frame in r.read() if frame.status] == [10]


async def test_a_disk_that_refuses_is_waited_for_and_nothing_is_lost(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = RecordingWriter._write
    full = True

    def write(writer: RecordingWriter, sealed: bytes) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(writer, sealed)

    monkeypatch.setattr(RecordingWriter, "_write", write)
    async with rig(tmp_path / "r") as r:
        for n in range(5):
            r.door.let_in(message(n))
        assert "No space left" in (await r.standing("down")).why
        r.door.let_in(message(5))
        full = False
        await r.standing("ready")
    assert [frame.received_mono for frame in r.read()] == [0, 1, 2, 3, 4, 5]
    assert r.recorder.incarnation == 1


async def test_a_directory_that_holds_a_recording_is_left_alone(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    writer = RecordingWriter(tmp_path, Manifest(RecordingKind.RECORDING, 1.0))
    writer.append(message(1))
    writer.close(2.0)
    async with rig(tmp_path) as r:
        assert "already holds a recording" in (await r.standing("down")).why
        r.door.let_in(message(9))
    assert [frame.received_mono for frame in r.read()] == [1]


async def test_after_the_end_the_door_is_tapped_no_more(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with rig(tmp_path / "r") as r:
        r.door.let_in(message(1))
    r.door.let_in(message(2))
    assert len(r.read()) == 1
    assert r.door._observers == []
