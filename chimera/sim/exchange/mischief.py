"""Faults at work: which are installed, whether they strike now, and how often they have. Seeded: the same occasions, the same strikes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from functools import partial

import attrs

from chimera.sim.exchange.crowd import Crowd
from chimera.sim.exchange.faults import Fault
from chimera.sim.streams import stream

FRAME_FAULTS = frozenset({"drop_seq", "duplicate", "stall", "reset", "channel_error", "overflow"})


@attrs.define(eq=False)
class Active:
    """An installed fault. `seen` counts its occasions while it was armed, `fired` its strikes."""

    number: int
    fault: Fault
    since: float
    rng: random.Random
    seen: int = 0
    fired: int = 0

    def armed(self, now: float) -> bool:
        return self.fault.seconds("after") <= now - self.since < self.fault.seconds("until", math.inf)

    def strikes(self, now: float) -> bool:
        """Whether it strikes at this occasion."""
        most = self.fault.whole("n")
        if not self.armed(now) or (most is not None and self.fired >= most):
            return False
        self.seen += 1
        every = self.fault.whole("every")
        if every is not None and self.seen % every:
            return False
        if "p" in self.fault.values and self.rng.random() >= self.fault.seconds("p"):
            return False
        self.fired += 1
        return True


class Mischief:
    """The installed faults. `change` carries out a change of the venue at a time and returns how to undo it, if it can be undone."""

    def __init__(self, seed: int, crowd: Crowd, change: Callable[[Fault, float], Callable[[float], None] | None]) -> None:
        self._seed = seed
        self._crowd = crowd
        self._change = change
        self._active: list[Active] = []
        self._number = 0
        self.frames: list[Active] = []
        """Those that strike frames: empty in most worlds, so that a frame costs nothing more."""

    def install(self, faults: Iterable[Fault], now: float) -> None:
        """Let these happen from now on, beside what is installed."""
        for fault in faults:
            self._number += 1
            active = Active(self._number, fault, now, stream(self._seed, "fault", self._number, fault.name))
            self._active.append(active)
            if fault.kind.venue:
                self._crowd.enter(now + fault.seconds("after"), partial(self._happen, active))
            elif fault.name in FRAME_FAULTS:
                self.frames.append(active)

    def clear(self) -> None:
        """Install nothing any more. What has happened to the venue is still undone when its time comes; what is to come is not done."""
        self._active.clear()
        self.frames.clear()

    def document(self) -> list[dict[str, object]]:
        """What is installed, and how often it has struck."""
        return [{"id": row.number, "fault": row.fault.text, "fired": row.fired, "seen": row.seen} for row in self._active]

    def request(self, name: str, op: str, ticker: str, now: float) -> Fault | None:
        """The first fault of this name that strikes this request; `op` is what it does, `ticker` its market or ""."""
        for active in self._active:
            if active.fault.name == name and _concerns(active.fault, op, ticker) and active.strikes(now):
                return active.fault
        return None

    def chance(self, fault: Fault, key: str) -> bool:
        """Draw with one of a fault's own chances."""
        active = next((row for row in self._active if row.fault is fault), None)
        return active is not None and active.rng.random() < fault.seconds(key)

    def lag(self, name: str, now: float) -> float:
        """The longest `for` of the armed faults of this name; 0 where there is none."""
        return max((row.fault.seconds("for") for row in self._active if row.fault.name == name and row.armed(now)), default=0.0)

    def windows(self) -> list[tuple[float, float]]:
        """(start, end) of the maintenance that is announced, unix seconds."""
        rows = [row for row in self._active if row.fault.name == "maintenance"]
        starts = [(row.since + row.fault.seconds("after"), row) for row in rows]
        return [(start, start + row.fault.seconds("for")) for start, row in starts]

    def skew(self, now: float) -> float:
        """How far the exchange's clock is off, seconds."""
        return sum(row.fault.seconds("by") for row in self._active if row.fault.name == "skew" and row.armed(now))

    def _happen(self, active: Active, at: float) -> None:
        if active not in self._active or not active.strikes(at):
            return
        undo = self._change(active.fault, at)
        if undo is not None and "for" in active.fault.values:
            self._crowd.enter(at + active.fault.seconds("for"), undo)


def _concerns(fault: Fault, op: str, ticker: str) -> bool:
    on = fault.word("on", "any")
    if on != op and not (on == "any" or (on == "write" and op != "read")):
        return False
    return fault.word("ticker", ticker) == ticker
