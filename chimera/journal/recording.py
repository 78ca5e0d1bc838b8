"""A recording: every external byte of a stretch of time, in a directory.

    world.json             what it is: its span, its streams, where derived data came from, what is needed to run it (`Manifest`)
    frames-000001.zst ...  segments, each a row of blocks: a skippable zstd frame that describes the block, then the block itself, an
                           independent checksummed zstd frame. `zstd -dc` reads them; a reader steps over blocks without opening them.

A block holds the names of its streams, then records: length, stream, status, received_mono, received_wall, body. It is written in one
piece when it is sealed, so a process killed at any instant loses its open block and nothing else; a torn last block is found, dropped and
counted. Reading keeps two blocks in memory, whatever the recording's size.
"""

from __future__ import annotations

import enum
import errno
import io
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs
import msgspec
import zstandard

from chimera.errors import ConfigError, FeedError
from chimera.intake import Frame
from chimera.journal.records import Value

FORMAT = "chimera-recording"
VERSION = 1
MANIFEST = "world.json"
BLOCK_BYTES = 512 * 1024
SEGMENT_BYTES = 64 * 1024 * 1024

_SKIPPABLE = 0x184D2A5C
_HEAD = struct.Struct("<II4sIIIdd")
_TAG = b"CHMR"
_RECORD = struct.Struct("<IHHqd")
_COUNT = struct.Struct("<H")


class RecordingKind(enum.StrEnum):
    """Whether the bytes are those that arrived, or were made afterwards from coarser data."""

    RECORDING = "recording"
    DERIVED = "derived"


@attrs.frozen(slots=True)
class GamePrior:
    """What was thought of a game before it began: the home side's chance in [0, 1], and who thought so."""

    event_id: str
    home: float
    source: str


@attrs.frozen(slots=True)
class Manifest:
    """What a recording is, and what is needed to run it. Times are unix seconds; `end_unix` is None until it is closed.

    `greetings` says how many first frames of a connection answer its subscription, so that each new connection is given them again.
    `labels` is what must be said wherever results of it are shown; `settings` are those it was made for.
    """

    kind: RecordingKind
    origin_unix: float
    end_unix: float | None = None
    domains: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    greetings: Mapping[str, int] = attrs.Factory(dict)
    priors: tuple[GamePrior, ...] = ()
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    settings: Mapping[str, Value] = attrs.Factory(dict)
    format: str = FORMAT
    version: int = VERSION


@attrs.frozen(slots=True)
class Block:
    """One sealed block as its description tells it: where it lies, how much it holds, the span of its `received_wall`."""

    segment: Path
    offset: int
    size: int
    raw_size: int
    records: int
    first_wall: float
    last_wall: float


@attrs.frozen(slots=True)
class Verification:
    """What a whole reading found. `torn_bytes` were cut off by a crash and are not served; `faults` are blocks that cannot be read."""

    blocks: int
    records: int
    streams: Mapping[str, int]
    torn_bytes: int
    faults: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.faults


class RecordingWriter:
    """Appends frames to a recording. Blocking where it seals a block: call it off the loop.

    A block is sealed when it holds `block_bytes`, and by `flush`. ConfigError where the directory holds a recording already, unless
    `resume` asks to go on with it (in a new segment, so a torn one is left as it is). OSError where the disk refuses.
    """

    def __init__(
        self,
        directory: Path,
        manifest: Manifest,
        *,
        resume: bool = False,
        block_bytes: int = BLOCK_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        segments = _segments(directory)
        if (directory / MANIFEST).exists() or segments:
            if not resume:
                raise ConfigError(f"{directory} already holds a recording: name another directory, or remove it")
            manifest = attrs.evolve(read_manifest(directory), end_unix=None)
        self.directory = directory
        self.manifest = manifest
        self.records = 0
        self._block_bytes, self._segment_bytes = block_bytes, segment_bytes
        self._number = int(segments[-1].stem.partition("-")[2]) if segments else 0
        self._file: io.FileIO | None = None
        self._compressor = zstandard.ZstdCompressor(level=3, write_checksum=True, write_content_size=True)
        self._streams = dict.fromkeys(manifest.streams)
        self._open_block()
        _write_manifest(directory, manifest)

    def _open_block(self) -> None:
        self._names: dict[str, int] = {}
        self._pieces: list[bytes] = []
        self._raw = 0
        self._walls: list[float] = []

    def append(self, frame: Frame) -> None:
        """Take one frame; it is safe from a crash of the process once its block is sealed."""
        self._streams.setdefault(frame.stream)
        index = self._names.setdefault(frame.stream, len(self._names))
        head = _RECORD.pack(len(frame.body), index, frame.status, frame.received_mono, frame.received_wall)
        self._pieces += (head, frame.body)
        self._walls.append(frame.received_wall)
        self._raw += len(head) + len(frame.body)
        self.records += 1
        if self._raw >= self._block_bytes:
            self.flush()

    def flush(self) -> None:
        """Seal the open block, if it holds anything, and hand it to the system.

        OSError where the disk refuses: the block is kept and tried again by the next call, in a new segment.
        """
        if not self._walls:
            return
        names = [name.encode() for name in self._names]
        table = _COUNT.pack(len(names)) + b"".join(_COUNT.pack(len(name)) + name for name in names)
        raw = b"".join((table, *self._pieces))
        body = self._compressor.compress(raw)
        span = (min(self._walls), max(self._walls))
        head = _HEAD.pack(_SKIPPABLE, _HEAD.size - 8, _TAG, len(body), len(raw), len(self._walls), *span)
        self._write(head + body)
        self._open_block()

    def _write(self, sealed: bytes) -> None:
        file = self._segment()
        try:
            if file.write(sealed) != len(sealed):
                raise OSError(errno.ENOSPC, "the disk took only a part of a block", file.name)
        except OSError:
            # What follows a torn block in the same segment would never be read.
            self._file = None
            file.close()
            raise

    def _segment(self) -> io.FileIO:
        if self._file is not None and self._file.tell() >= self._segment_bytes:
            self._end_segment()
        if self._file is None:
            self._number += 1
            self._file = (self.directory / f"frames-{self._number:06d}.zst").open("xb", buffering=0)
        return self._file

    def _end_segment(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def close(self, end_unix: float | None = None) -> None:
        """Seal, sync, and write down the recording's streams and its end. Closing twice is allowed."""
        self.flush()
        self._end_segment()
        self.manifest = attrs.evolve(self.manifest, end_unix=end_unix, streams=tuple(self._streams))
        _write_manifest(self.directory, self.manifest)


def _segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("frames-*.zst"))


def _write_manifest(directory: Path, manifest: Manifest) -> None:
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    fresh = directory / f".{MANIFEST}.new"
    with fresh.open("wb") as file:
        file.write(text + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(directory / MANIFEST)


def read_manifest(directory: Path) -> Manifest:
    """What the recording in `directory` says of itself; ConfigError where there is none that this version reads."""
    path = directory / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ConfigError(f"{directory} is not a recording: it has no {MANIFEST}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path} does not describe a recording: {error}") from error
    if manifest.format != FORMAT or manifest.version != VERSION:
        found = f"{manifest.format} version {manifest.version}"
        raise ConfigError(f"{path} describes {found}; this version reads {FORMAT} version {VERSION}")
    return manifest


class RecordingReader:
    """Reads a recording in the order of its writing, a block at a time. ConfigError where the directory holds none.

    Any number of cursors (`frames`, `documents`) may run over it at once; those that are near each other share blocks.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manifest = read_manifest(directory)
        self.torn_bytes = 0
        self._blocks = [block for segment in _segments(directory) for block in self._scan(segment)]
        self._decompressor = zstandard.ZstdDecompressor()
        self._recent: OrderedDict[tuple[Path, int], bytes] = OrderedDict()

    @property
    def origin_unix(self) -> float:
        return self.manifest.origin_unix

    @property
    def end_unix(self) -> float:
        """When the recording ends: as written down, or its last frame where it was never closed."""
        if self.manifest.end_unix is not None:
            return self.manifest.end_unix
        return max((block.last_wall for block in self._blocks), default=self.origin_unix)

    def _scan(self, segment: Path) -> Iterator[Block]:
        """The whole blocks of a segment. What follows the last one was torn off by a crash."""
        size = segment.stat().st_size
        with segment.open("rb") as file:
            offset = 0
            while offset + _HEAD.size <= size:
                file.seek(offset)
                magic, _, tag, packed, raw, records, first, last = _HEAD.unpack(file.read(_HEAD.size))
                start = offset + _HEAD.size
                if magic != _SKIPPABLE or tag != _TAG or start + packed > size:
                    break
                yield Block(segment, start, packed, raw, records, first, last)
                offset = start + packed
            self.torn_bytes += size - offset

    def _raw(self, block: Block) -> bytes:
        key = (block.segment, block.offset)
        raw = self._recent.get(key)
        if raw is None:
            with block.segment.open("rb") as file:
                file.seek(block.offset)
                packed = file.read(block.size)
            try:
                raw = self._decompressor.decompress(packed, max_output_size=block.raw_size)
            except zstandard.ZstdError as error:
                raise FeedError(f"{block.segment} is damaged at byte {block.offset}: {error}") from error
            self._recent[key] = raw
            if len(self._recent) > 2:
                self._recent.popitem(last=False)
        self._recent.move_to_end(key)
        return raw

    def _frames(self, block: Block, wanted: Callable[[str, int], bool]) -> Iterator[Frame]:
        raw = self._raw(block)
        names, offset = _names(raw)
        end = len(raw)
        while offset < end:
            length, index, status, mono, wall = _RECORD.unpack_from(raw, offset)
            offset += _RECORD.size
            if wanted(names[index], status):
                yield Frame(names[index], mono, wall, raw[offset : offset + length], status)
            offset += length

    def frames(self, stream: str | None = None) -> Iterator[Frame]:
        """Every frame, or those of one stream. FeedError at a block that is damaged."""
        for block in self._blocks:
            yield from self._frames(block, lambda name, _: stream is None or name == stream)

    def documents(self) -> Iterator[Frame]:
        """Every document: the frames that have an HTTP status."""
        for block in self._blocks:
            yield from self._frames(block, lambda _, status: status != 0)

    def verify(self) -> Verification:
        """Read everything and count it; damaged blocks are named instead of raised."""
        faults: list[str] = []
        streams: dict[str, int] = {}
        for block in self._blocks:
            try:
                found = [frame.stream for frame in self._frames(block, lambda *_: True)]
            except (FeedError, struct.error, IndexError) as error:
                faults.append(str(error))
                continue
            if len(found) != block.records:
                faults.append(f"{block.segment} at byte {block.offset} holds {len(found)} records, not {block.records}")
            for stream in found:
                streams[stream] = streams.get(stream, 0) + 1
        return Verification(len(self._blocks), sum(streams.values()), streams, self.torn_bytes, tuple(faults))


def _names(raw: bytes) -> tuple[list[str], int]:
    """The stream names at the head of a block, and where its records begin."""
    (count,) = _COUNT.unpack_from(raw, 0)
    offset = _COUNT.size
    names = []
    for _ in range(count):
        (length,) = _COUNT.unpack_from(raw, offset)
        offset += _COUNT.size
        names.append(raw[offset : offset + length].decode())
        offset += length
    return names, offset
