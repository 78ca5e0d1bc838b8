"""What an actor has done and what waits for it, readable at any time without sending it a message.

A `Ledger` belongs to an address, so its counts run on across restarts. Durations are machine time and go into log2 histograms: one list
index per record, a factor of two of resolution, no allocation. Nothing here may influence a decision.
"""

from __future__ import annotations

from collections import deque
from time import perf_counter_ns

import attrs

from actors.runtime.lanes import Lane

BUCKETS = 48  # 2**47 ns is 39 hours
TRACE_KEEP = 256
CRASH_FRAMES = 20
RESTARTS_KEEP = 256
WINDOW_S = 60.0
"""Over which an address without a supervisor counts its restarts."""


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
    """One lane of one mailbox. `dropped` counts what became a dead letter, `conflated` what a later message replaced.

    `oldest_age` is how long its first message has waited (s); 0.0 if none waits.
    """

    depth: int
    high_water: int
    oldest_age: float
    puts: int
    dropped: int
    conflated: int


@attrs.frozen(slots=True)
class Crash:
    """The latest crash of an actor. `where` are its frames as "file:line function", the innermost last; `at` is world time.

    `message` is the type that was being handled and `trace` its trace id; "" and 0 where it was not handling any.
    """

    at: float
    kind: str
    text: str
    where: tuple[str, ...]
    message: str
    trace: int


@attrs.frozen(slots=True)
class Traced:
    """One message that was handled: `ago` seconds since its handler began, `waited` in its lane, `took` to handle; `trace` its trace id."""

    kind: str
    lane: Lane
    ago: float
    waited: float
    took: float
    trace: int


@attrs.frozen(slots=True)
class Work:
    """What an address has handled, over all its incarnations. `handling` is wall time of handlers, with what they awaited.

    `loop` is the machine time in which its tasks held the loop, in seconds, and `loop_share` that over the time the loop has run; None in
    a virtual world, where machine time means nothing.
    """

    processed: dict[str, int]
    waits: Durations
    handling: Durations
    loop: float
    loop_share: float | None
    refusals: int
    late_replies: int


@attrs.frozen(slots=True)
class ActorStatus:
    """One address, as it stands. Ages and uptime are machine (trio clock) seconds; None where there is nothing to measure.

    `state` is its phase, or "suspended". `path` are the supervisors above it, the top first. `restarts_in_window` counts within `window`
    seconds, its supervisor's period. `current` is (message type, seconds) of the handler at work. `quarantined` are message types.
    """

    name: str
    kind: str
    state: str
    path: tuple[str, ...]
    supervisor: str
    restart: str
    incarnation: int
    restarts: int
    restarts_in_window: int
    window: float
    uptime: float | None
    retry_in: float | None
    last_error: str
    crash: Crash | None
    lanes: dict[Lane, LaneStatistics]
    oldest_age: float
    processed: dict[str, int]
    waits: Durations
    handling: Durations
    loop: float
    loop_share: float | None
    current: tuple[str, float] | None
    spawned: int
    stashed: int
    monitors: int
    links: int
    late_replies: int
    refusals: int
    quarantined: tuple[str, ...]


class Ledger:
    """The mutable counts behind `ActorStatus`; written by the actor's own loop, read by anyone. `began` is when the loop did (ns)."""

    __slots__ = (
        "began_ns", "crash", "current", "current_since", "handling", "last_error", "late_replies", "loop_ns", "processed", "refusals",
        "restarts", "retry_at", "revivals", "trace", "up_since", "waits", "window",
    )  # fmt: skip

    def __init__(self, began_ns: int | None) -> None:
        self.began_ns = began_ns
        self.processed: dict[type, int] = {}
        self.waits = Histogram()
        self.handling = Histogram()
        self.loop_ns = 0
        self.current: object = None  # the message in hand
        self.current_since = 0
        self.trace: deque[tuple[type, Lane, int, int, int, int]] | None = deque(maxlen=TRACE_KEEP)
        self.restarts = 0
        self.revivals: deque[float] = deque(maxlen=RESTARTS_KEEP)  # trio times of the latest restarts
        self.window = WINDOW_S
        self.late_replies = 0
        self.refusals = 0
        self.last_error = ""
        self.crash: Crash | None = None
        self.up_since: float | None = None
        self.retry_at: float | None = None

    def record(self, message: object, lane: Lane, put_ns: int, began_ns: int, ended_ns: int) -> None:
        """One message was handled."""
        self.current = None
        kind = type(message)
        self.processed[kind] = self.processed.get(kind, 0) + 1
        wait_ns, handling_ns = began_ns - put_ns, ended_ns - began_ns
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
        if self.trace is not None:
            self.trace.append((kind, lane, began_ns, wait_ns, handling_ns, getattr(message, "trace", 0)))

    def restarted(self, now: float) -> None:
        """Count a restart; `now` is of the trio clock."""
        self.restarts += 1
        self.revivals.append(now)

    def restarts_since(self, then: float) -> int:
        """How many of the latest restarts came after `then`."""
        return sum(at >= then for at in self.revivals)

    def crashed(self, error: BaseException, at: float) -> None:
        """Remember a crash: all that is wanted of it later, and not the frames it would keep alive."""
        message = self.current
        self.crash = Crash(
            at=at,
            kind=type(error).__name__,
            text=str(error),
            where=_frames(error),
            message="" if message is None else type(message).__name__,
            trace=getattr(message, "trace", 0),
        )

    def at_work(self) -> tuple[str, float] | None:
        """(message type, seconds so far) of the handler at work, or None."""
        message = self.current
        return None if message is None else (type(message).__name__, (perf_counter_ns() - self.current_since) * 1e-9)

    def loop_share(self) -> float | None:
        """The share of the loop's time that this address's tasks held it; None where steps are not timed."""
        return None if self.began_ns is None else self.loop_ns / max(1, perf_counter_ns() - self.began_ns)

    def work(self) -> Work:
        """Everything about what was handled."""
        return Work(
            processed={kind.__name__: n for kind, n in self.processed.items()},
            waits=self.waits.summary(),
            handling=self.handling.summary(),
            loop=self.loop_ns * 1e-9,
            loop_share=self.loop_share(),
            refusals=self.refusals,
            late_replies=self.late_replies,
        )

    def traced(self) -> tuple[Traced, ...]:
        """The latest messages handled, the newest last; empty while tracing is off."""
        now = perf_counter_ns()
        return tuple(
            Traced(kind.__name__, lane, (now - began) * 1e-9, waited * 1e-9, took * 1e-9, trace)
            for kind, lane, began, waited, took, trace in tuple(self.trace or ())
        )


def _frames(error: BaseException) -> tuple[str, ...]:
    """The frames of a traceback, innermost last; at most CRASH_FRAMES of them. Reads no source files: that would take milliseconds."""
    frames, step = [], error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        frames.append(f"{code.co_filename}:{step.tb_lineno} {code.co_qualname}")
        step = step.tb_next
    return tuple(frames[-CRASH_FRAMES:])
