"""A recording gives back what was put in, survives a kill at any instant, and names what is damaged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import attrs
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chimera.errors import ConfigError, FeedError
from chimera.intake import Frame
from chimera.journal.recording import GamePrior, Manifest, RecordingKind, RecordingReader, RecordingWriter, read_manifest

MANIFEST = Manifest(RecordingKind.RECORDING, 1000.0)

frames = st.lists(
    st.builds(
        Frame,
        stream=st.sampled_from(["espn.scoreboard.nba", "kalshi.ws", "kalshi.rest /markets?a=ü"]),
        received_mono=st.integers(0, 2**63 - 1),
        received_wall=st.floats(0, 1e10),
        body=st.binary(max_size=200),
        status=st.sampled_from([0, 200, 429, 599]),
    ),
    max_size=40,
)


def frame(n: int, stream: str = "kalshi.ws", size: int = 100, status: int = 0) -> Frame:
    return Frame(stream, n, 1000.0 + n, bytes([n % 256]) * size, status)


def record(directory: Path, *written: Frame, block_bytes: int = 1000, **options: int) -> Path:
    writer = RecordingWriter(directory, MANIFEST, block_bytes=block_bytes, **options)
    for each in written:
        writer.append(each)
    writer.close(2000.0)
    return directory


def only_segment(directory: Path) -> Path:
    (segment,) = directory.glob("frames-*.zst")
    return segment


@given(written=frames, block_bytes=st.integers(1, 500), segment_bytes=st.integers(1, 2000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read_in_order(
    tmp_path_factory: pytest.TempPathFactory, written: list[Frame], block_bytes: int, segment_bytes: int
) -> None:
    directory = record(tmp_path_factory.mktemp("r"), *written, block_bytes=block_bytes, segment_bytes=segment_bytes)
    reader = RecordingReader(directory)
    assert list(reader.frames()) == written
    assert list(reader.documents()) == [each for each in written if each.status]
    assert list(reader.frames("kalshi.ws")) == [each for each in written if each.stream == "kalshi.ws"]
    found = reader.verify()
    assert (found.sound, found.records, found.torn_bytes) == (True, len(written), 0)


def test_the_manifest_comes_back_equal_with_its_streams_and_end(tmp_path: Path) -> None:
    full = attrs.evolve(
        MANIFEST,
        kind=RecordingKind.DERIVED,
        domains=("nba",),
        series=("KXNBAGAME",),
        greetings={"kalshi.ws": 2},
        priors=(GamePrior("1", 0.6, "a book"),),
        labels=("derived",),
        notes=("why",),
        settings={"publish_delay_s": 12.0, "use_yes_price": False},
    )
    writer = RecordingWriter(tmp_path, full)
    writer.append(frame(1))
    writer.close(1234.5)
    assert read_manifest(tmp_path) == attrs.evolve(full, end_unix=1234.5, streams=("kalshi.ws",))


def test_a_recording_that_was_never_closed_ends_with_its_last_frame(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, MANIFEST)
    writer.append(frame(7))
    writer.flush()
    assert RecordingReader(tmp_path).end_unix == 1007.0
    writer.close()


def test_a_plain_zstd_program_can_read_a_segment(tmp_path: Path) -> None:
    segment = only_segment(record(tmp_path, frame(65)))
    with segment.open("rb") as file:
        raw = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    assert b"A" * 100 in raw


class TestTornTails:
    """A crash takes the open block and nothing else."""

    def test_a_torn_tail_is_dropped_and_counted_at_every_length(self, tmp_path: Path) -> None:
        whole = [frame(n, size=400) for n in range(9)]
        segment = only_segment(record(tmp_path, *whole))
        everything = segment.read_bytes()
        complete = RecordingReader(tmp_path)
        ends = [block.offset + block.size for block in complete._blocks]
        for length in range(len(everything) + 1):
            segment.write_bytes(everything[:length])
            torn = RecordingReader(tmp_path)
            kept = [end for end in ends if end <= length]
            assert torn.torn_bytes == length - (kept[-1] if kept else 0)
            assert list(torn.frames()) == whole[: 3 * len(kept)]

    def test_a_killed_writer_loses_at_most_its_open_block(self, tmp_path: Path) -> None:
        program = (
            "import sys, pathlib\n"
            "from chimera.intake import Frame\n"
            "from chimera.journal.recording import *\n"
            "writer = RecordingWriter(pathlib.Path(sys.argv[1]), Manifest(RecordingKind.RECORDING, 0.0))\n"
            "for n in range(10**7):\n"
            "    writer.append(Frame('s', n, float(n), b'x' * 50))\n"
            "    if n % 100 == 99:\n"
            "        writer.flush()\n"
            "        print(n, flush=True)\n"
        )
        child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(20)]
        os.kill(child.pid, signal.SIGKILL)
        told += [line for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
        child.wait()
        child.stdout.close()
        read = [each.received_mono for each in RecordingReader(tmp_path).frames()]
        assert read == list(range(len(read)))
        assert len(read) > int(told[-1])

    def test_a_later_writer_goes_on_in_a_new_segment_behind_a_torn_one(self, tmp_path: Path) -> None:
        segment = only_segment(record(tmp_path, frame(1), frame(2), block_bytes=1))
        segment.write_bytes(segment.read_bytes()[:-1])
        writer = RecordingWriter(tmp_path, MANIFEST, resume=True)
        writer.append(frame(3))
        writer.close(3000.0)
        assert [each.received_mono for each in RecordingReader(tmp_path).frames()] == [1, 3]


class TestDamage:
    """A block that cannot be believed is never served."""

    def test_a_flipped_byte_inside_a_block_is_a_feed_error_that_names_it(self, tmp_path: Path) -> None:
        segment = only_segment(record(tmp_path, *(frame(n) for n in range(30))))
        reader = RecordingReader(tmp_path)
        damaged = bytearray(segment.read_bytes())
        damaged[reader._blocks[1].offset + reader._blocks[1].size - 6] ^= 0xFF
        segment.write_bytes(damaged)
        with pytest.raises(FeedError, match=r"frames-000001.zst is damaged at byte \d+"):
            list(RecordingReader(tmp_path).frames())
        found = RecordingReader(tmp_path).verify()
        assert not found.sound
        assert len(found.faults) == 1

    def test_a_disk_that_takes_half_a_block_loses_no_frame(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        writer = RecordingWriter(tmp_path, MANIFEST)
        writer.append(frame(1))
        writer.flush()
        writer.append(frame(2))
        real = writer._file
        assert real is not None

        class HalfFull:
            name = real.name

            def write(self, data: bytes) -> int:
                return real.write(data[:20])

            def tell(self) -> int:
                return real.tell()

            def close(self) -> None:
                real.close()

        monkeypatch.setattr(writer, "_file", HalfFull())
        with pytest.raises(OSError, match="only a part"):
            writer.flush()
        writer.append(frame(3))
        writer.close(2000.0)
        reader = RecordingReader(tmp_path)
        assert [each.received_mono for each in reader.frames()] == [1, 2, 3]
        assert reader.torn_bytes == 20


class TestPlaces:
    """A directory that is no recording, or already one, is refused with a reason."""

    def test_a_directory_that_holds_one_already_is_refused(self, tmp_path: Path) -> None:
        record(tmp_path, frame(1))
        with pytest.raises(ConfigError, match="already holds a recording"):
            RecordingWriter(tmp_path, MANIFEST)

    @pytest.mark.parametrize(
        ("text", "match"),
        [(None, "no world.json"), ("{", "does not describe"), ('{"kind": "recording", "origin_unix": 1, "version": 9}', "version 9")],
    )
    def test_what_is_no_recording_is_refused(self, tmp_path: Path, text: str | None, match: str) -> None:
        if text is not None:
            (tmp_path / "world.json").write_text(text)
        with pytest.raises(ConfigError, match=match):
            RecordingReader(tmp_path)


def test_reading_keeps_a_few_blocks_in_memory_whatever_the_size(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, MANIFEST)
    for n in range(300):
        writer.append(frame(n, "espn.summary.nba.1", size=200_000, status=200))
    writer.close(2000.0)
    reader = RecordingReader(tmp_path)
    tracemalloc.start()
    count = sum(1 for _ in reader.documents())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 300
    assert peak < 5_000_000
