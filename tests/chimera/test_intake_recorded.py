"""The recorded door: nothing is early, nothing is lost, and world time alone decides."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from chimera.clock import VirtualClock
from chimera.errors import FeedError
from chimera.intake import Frame
from chimera.intake_recorded import Pace, RecordedDoor
from chimera.journal.recording import Manifest, RecordingKind, RecordingReader, RecordingWriter

ORIGIN, END = 1000.0, 1100.0
SCORES = "espn.scoreboard.nba"
WS = "kalshi.ws"


def document(at: float, body: bytes, stream: str = SCORES) -> Frame:
    return Frame(stream, 0, at, body, 200)


def message(at: float, body: bytes) -> Frame:
    return Frame(WS, 0, at, body)


def recording(directory: Path, *frames: Frame, greetings: dict[str, int] | None = None) -> RecordingReader:
    writer = RecordingWriter(directory, Manifest(RecordingKind.RECORDING, ORIGIN, greetings=greetings or {}))
    for frame in frames:
        writer.append(frame)
    writer.close(END)
    return RecordingReader(directory)


def opened(directory: Path, *frames: Frame, greetings: dict[str, int] | None = None) -> tuple[RecordedDoor, VirtualClock]:
    clock = VirtualClock(origin_unix=ORIGIN)
    return RecordedDoor(recording(directory, *frames, greetings=greetings), clock), clock


def spoil(segment: Path) -> None:
    segment.write_bytes(segment.read_bytes()[:-1] + b"?")


class TestDocuments:
    """A poll is given what it would have been given then."""

    async def test_a_poll_gets_the_newest_version_that_had_arrived(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        door, clock = opened(tmp_path, document(1001, b"a"), document(1005, b"b"), document(1005, b"c"), document(1009, b"d"))
        seen = []
        for at in (1001, 1004.9, 1005, 1008.9, 1050):
            await clock.sleep_until(at)
            frame = await door.get(SCORES, "")
            seen.append((frame.received_wall, frame.body, frame.status))
        assert seen == [(1001, b"a", 200), (1004.9, b"a", 200), (1005, b"c", 200), (1008.9, b"c", 200), (1050, b"d", 200)]

    async def test_a_document_that_has_not_come_yet_is_a_feed_error(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        door, _ = opened(tmp_path, document(1001, b"a"))
        with pytest.raises(FeedError, match="none so early"):
            await door.get(SCORES, "")

    async def test_a_document_that_was_never_recorded_is_a_feed_error(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        door, _ = opened(tmp_path, document(1000, b"a"))
        with pytest.raises(FeedError, match="knows no such document"):
            await door.get("espn.scoreboard.nhl", "")

    async def test_damage_is_told_at_every_poll_from_then_on(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        door, _ = opened(tmp_path, document(1000, b"a"))
        spoil(tmp_path / "frames-000001.zst")
        for _ in range(2):
            with pytest.raises(FeedError, match="damaged"):
                await door.get(SCORES, "")


class TestConnections:
    """A frame is delivered at its time, once, in order."""

    async def test_frames_come_at_their_times(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        door, clock = opened(tmp_path, message(1002, b"1"), document(1003, b"x"), message(1010, b"2"))
        async with door.connect(WS, "") as connection:
            first = await connection.receive()
            assert (first.body, clock.now()) == (b"1", 1002)
            second = await connection.receive()
            assert (second.body, second.received_wall, clock.now()) == (b"2", 1010, 1010)

    async def test_a_late_first_connection_is_given_everything_as_received_then(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        door, clock = opened(tmp_path, message(1000, b"1"), message(1001, b"2"))
        await clock.sleep_until(1003)
        async with door.connect(WS, "") as connection:
            got = [await connection.receive() for _ in range(2)]
        assert [(frame.body, frame.received_wall) for frame in got] == [(b"1", 1003), (b"2", 1003)]

    async def test_a_later_connection_is_given_the_greeting_and_what_comes_from_then_on(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        frames = (message(1000, b"hello"), message(1001, b"1"), message(1002, b"2"), message(1010, b"3"))
        door, clock = opened(tmp_path, *frames, greetings={WS: 1})
        async with door.connect(WS, "") as connection:
            await connection.receive()
        await clock.sleep_until(1005)
        async with door.connect(WS, "") as connection:
            assert [(await connection.receive()).body for _ in range(2)] == [b"hello", b"3"]

    async def test_a_cancelled_receive_loses_nothing(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        door, _ = opened(tmp_path, message(1010, b"1"))
        async with door.connect(WS, "") as connection:
            with trio.move_on_after(3):
                await connection.receive()
            assert (await connection.receive()).body == b"1"

    async def test_the_end_of_the_recording_ends_the_connection(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        door, clock = opened(tmp_path, message(1001, b"1"))
        async with door.connect(WS, "") as connection:
            await connection.receive()
            await connection.send("subscribe")
            with pytest.raises(FeedError, match="ended"):
                await connection.receive()
        assert clock.now() == END
        with pytest.raises(FeedError, match="ended"):
            async with door.connect(WS, ""):
                pass

    async def test_the_end_can_be_waited_for(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        door, clock = opened(tmp_path)
        await door.wait_ended()
        assert clock.now() == END


async def test_every_frame_is_shown_to_the_observers_first(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    door, _ = opened(tmp_path, document(1000, b"a"), message(1001, b"1"))
    seen: list[Frame] = []
    door.tap(seen.append)
    polled = await door.get(SCORES, "")
    async with door.connect(WS, "") as connection:
        received = await connection.receive()
    assert seen == [polled, received]


class TestPace:
    """Pacing stops the machine and never the world."""

    def test_the_machine_waits_until_it_has_caught_up(self) -> None:
        machine, slept = [50.0], []

        def sleep(seconds: float) -> None:
            slept.append(round(seconds, 6))
            machine[0] += seconds

        pace = Pace(10.0, sleep, lambda: machine[0])
        for now in (1000.0, 1005.0, 1005.0, 1030.0):
            pace.keep(now)
        assert slept == [0.5, 2.5]

    async def test_a_paced_world_receives_the_same(self, tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
        reader = recording(tmp_path, document(1000, b"a"), message(1020, b"1"))
        got = []
        for speed in (None, 10_000.0):
            clock = VirtualClock(origin_unix=ORIGIN)
            door = RecordedDoor(reader, clock, speed=speed)
            async with door.connect(WS, "") as connection:
                frames = (await door.get(SCORES, ""), await connection.receive())
            got.append([attrs.evolve(frame, received_mono=0) for frame in frames])
        assert got[0] == got[1]

    def test_a_speed_of_nothing_is_refused(self) -> None:
        with pytest.raises(ValueError, match="above 0"):
            Pace(0.0)
