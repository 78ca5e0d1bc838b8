"""What an actor has done and what waits for it, readable at any time without sending it a message.

A `Ledger` belongs to an address, so its counts run on across restarts. Durations are machine time and go into log2 histograms: one list
index per record, a factor of two of resolution, no allocation. Nothing here may influence a decision.
"""

from __future__ import annotations

from time import perf_counter_ns

import attrs

from actors.runtime.lanes import Lane

BUCKETS = 48  # 2**47 ns is 39 hours


class Histogram:
    """Counts of durations by power of two: bucket n holds [2**(n-1), 2**n) ns."""

    __slots__ = ("buckets", "max_ns", "total_ns")

    def __init__(self) -> None:
        self.buckets = [0] * BUCKETS
        self.total_ns = 0
        self.max_ns = 0

    def record(self, ns: int) -> None:
        """Count one duration."""
        self.buckets[ns.bit_length()] += 1
        self.total_ns += ns
        if ns > self.max_ns:
            self.max_ns = ns

    def summary(self) -> Durations:
        """What the histogram says, in seconds."""
        return Durations(
            count=sum(self.buckets),
            total=self.total_ns * 1e-9,
            p50=self.quantile(0.50),
            p99=self.quantile(0.99),
            max=self.max_ns * 1e-9,
        )

    def quantile(self, q: float) -> float:
        """An upper bound of the q-quantile in seconds, within a factor of two and never above the maximum."""
        need = q * sum(self.buckets)
        seen = 0
        for bucket, n in enumerate(self.buckets):
            seen += n
            if n and seen >= need:
                return min(2.0**bucket, self.max_ns) * 1e-9
        return 0.0


@attrs.frozen(slots=True)
class Durations:
    """A histogram's summary; seconds."""

    count: int
    total: float
    p50: float
    p99: float
    max: float


@attrs.frozen(slots=True)
class LaneStatistics:
    """One lane of one mailbox. `dropped` counts what became a dead letter, `conflated` what a later message replaced."""

    depth: int
    high_water: int
    puts: int
    dropped: int
    conflated: int


@attrs.frozen(slots=True)
class ActorStatistics:
    """One address, as it stands. Ages and uptime are machine (trio clock) seconds; None where there is nothing to measure.

    `handling` is the wall time of handlers including what they awaited; `current` is (message type, seconds) of the one at work.
    """

    name: str
    kind: str
    phase: str
    supervisor: str
    restart: str
    incarnation: int
    restarts: int
    uptime: float | None
    retry_in: float | None
    last_error: str
    lanes: dict[Lane, LaneStatistics]
    oldest_age: float
    processed: dict[str, int]
    waits: Durations
    handling: Durations
    current: tuple[str, float] | None
    spawned: int
    monitors: int
    late_replies: int
    refusals: int


class Ledger:
    """The mutable counts behind `ActorStatistics`; written by the actor's own loop, read by anyone."""

    __slots__ = (
        "current",
        "current_since",
        "handling",
        "last_error",
        "late_replies",
        "processed",
        "refusals",
        "restarts",
        "retry_at",
        "up_since",
        "waits",
    )

    def __init__(self) -> None:
        self.processed: dict[type, int] = {}
        self.waits = Histogram()
        self.handling = Histogram()
        self.current: type | None = None
        self.current_since = 0
        self.restarts = 0
        self.late_replies = 0
        self.refusals = 0
        self.last_error = ""
        self.up_since: float | None = None
        self.retry_at: float | None = None

    def record(self, kind: type, wait_ns: int, handling_ns: int) -> None:
        """One message of type `kind` was handled after waiting `wait_ns`."""
        self.processed[kind] = self.processed.get(kind, 0) + 1
        self.current = None
        # Histogram.record twice, written out: two calls a message are a tenth of what a message costs.
        waits, handling = self.waits, self.handling
        waits.buckets[wait_ns.bit_length()] += 1
        waits.total_ns += wait_ns
        if wait_ns > waits.max_ns:
            waits.max_ns = wait_ns
        handling.buckets[handling_ns.bit_length()] += 1
        handling.total_ns += handling_ns
        if handling_ns > handling.max_ns:
            handling.max_ns = handling_ns

    def at_work(self) -> tuple[str, float] | None:
        """(message type, seconds so far) of the handler at work, or None."""
        return None if self.current is None else (self.current.__name__, (perf_counter_ns() - self.current_since) * 1e-9)
