"""How a run is going and how it ended: what the application tells the command that started it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias

import attrs


class ExitCode(enum.IntEnum):
    """How a program ended; the same for every command."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    AUDIT_FAILED = 3
    CONFIG_INVALID = 4
    CREDENTIALS = 5
    KILLED = 6
    GAVE_UP = 70
    INTERRUPTED = 130
    TERMINATED = 143


@attrs.frozen(slots=True)
class Progress:
    """Where a run stands. `now` is world unix seconds; `total` is infinite where nobody knows the end."""

    now: float
    elapsed: float
    total: float
    frames: int
    resting: int
    pulls: int
    kills: int
    waiting: int


Report: TypeAlias = Callable[[Progress], None]
