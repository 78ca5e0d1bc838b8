"""The venue's log as a file beside the journal: `<journal>.venue`, one JSON object a line, append-only.

A line is handed to the system before `write` returns, so the log survives the process; a line torn by a crash is dropped when the file is
read or taken up again. One process writes it at a time.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from chimera.errors import ConfigError
from chimera.trading.venue_log import Line, decode, encode


def venue_log_path(journal: Path) -> Path:
    """Where the venue's log of a journal lies."""
    return journal.with_name(journal.name + ".venue")


def read_venue_log(path: Path) -> Iterator[Line]:
    """Every line, in order; a torn last line is left out. ConfigError where the file is missing, or damaged elsewhere."""
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if not text.endswith(b"\n"):
                    return
                yield _line(path, number, text)
    except FileNotFoundError:
        raise ConfigError(f"there is no venue log at {path}") from None


def _line(path: Path, number: int, text: bytes) -> Line:
    try:
        return decode(text)
    except ValueError as fault:
        raise ConfigError(f"{path}, line {number}: this is no line of a venue log ({fault})") from fault


class VenueLogFile:
    """The writing end. A file that is there already is continued after its last whole line.

    ConfigError where it cannot be opened, or where another process writes to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Unbuffered: each line is one write call, whole in the system's hands when it returns.
            self._file = path.open("a+b", buffering=0)
        except OSError as fault:
            raise ConfigError(f"cannot open the venue log {path}: {fault}") from fault
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            self._file.close()
            raise ConfigError(f"the venue log {path} is being written by another process: stop it, or name another journal") from fault
        _drop_torn_line(self._file.fileno())

    def write(self, line: Line) -> None:
        """Append one line. OSError where the disk refuses: the line was not written then, nor half of it."""
        text = encode(line) + b"\n"
        written = self._file.write(text)
        if written != len(text):
            os.ftruncate(self._file.fileno(), os.fstat(self._file.fileno()).st_size - written)
            raise OSError(errno.ENOSPC, "the disk took only part of a line of the venue log", str(self.path))

    def close(self) -> None:
        self._file.close()


def _drop_torn_line(file: int) -> None:
    end = size = os.fstat(file).st_size
    while end > 0:
        start = max(0, end - 65_536)
        block = os.pread(file, end - start, start)
        newline = block.rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(file, end)
