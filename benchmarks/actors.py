"""What the runtime costs, as ratios to what it is measured against in the same run: pykka's threads and a bare trio channel.

    python benchmarks/actors.py [--json] [--rounds N]

The contenders take turns, round by round, so that a busy machine is busy for all of them; each figure is the median of its rounds. The
runtime is measured as it runs live: step clock on, statistics on, under a supervisor. Latencies are microseconds, rates messages a second.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import queue
import statistics
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter_ns
from typing import ClassVar

import attrs
import pykka
import trio

sys.path[0] = str(Path(__file__).resolve().parents[1])  # this file has the name of the package it measures

from actors.runtime import (  # noqa: E402
    ActorSystem,
    Address,
    ChildSpec,
    Lane,
    LanePolicy,
    Message,
    Supervisor,
    TrioActor,
    handles,
)

TELLS, ASKS, FANS, WIDTH, BURST, CRASHES = 500, 1_000, 150, 20, 50_000, 150
BACKLOG, WORK_NS = 5_000, 20_000
PACE_S = 0.001
SWITCH_S = 0.0005  # as the application sets it


@attrs.frozen(slots=True)
class Stamp(Message):
    """When it was told (perf_counter ns)."""

    at: int


@attrs.frozen(slots=True)
class Kill(Stamp):
    """The same, in the lane that overtakes."""

    LANE: ClassVar[Lane] = Lane.CONTROL


@attrs.frozen(slots=True)
class Chore(Message):
    """Takes `WORK_NS` to handle."""


@attrs.frozen(slots=True)
class Ask(Message):
    """To be answered."""


@attrs.frozen(slots=True)
class Crash(Message):
    """Raises in its handler. Each is one of its kind, or the third would be set aside."""

    n: int


class Sink:
    """What both kinds of actor do with a message."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[int] = []
        self.target = 0
        self.done = threading.Event()

    def count(self, message: Stamp) -> None:
        self.waits.append(perf_counter_ns() - message.at)
        if len(self.waits) == self.target:
            self.done.set()

    def expect(self, n: int) -> None:
        self.done.clear()
        self.waits, self.target = [], n


class TrioSink(Sink, TrioActor):
    """The runtime's."""

    LANE_POLICY: ClassVar[LanePolicy] = LanePolicy(bound=10 * BURST)
    crashed_at: ClassVar[int] = 0
    restarts: ClassVar[list[int]] = []

    def on_start(self) -> None:
        if TrioSink.crashed_at:
            TrioSink.restarts.append(perf_counter_ns() - TrioSink.crashed_at)

    @handles(Stamp)
    def on_stamp(self, message: Stamp) -> None:
        self.count(message)

    @handles(Chore)
    def on_chore(self, _message: Chore) -> None:
        end = perf_counter_ns() + WORK_NS
        while perf_counter_ns() < end:
            pass

    @handles(Ask)
    def on_ask(self, message: Ask) -> Ask:
        return message

    @handles(Crash)
    def on_crash(self, _message: Crash) -> None:
        TrioSink.crashed_at = perf_counter_ns()
        raise RuntimeError


class ThreadSink(Sink, pykka.ThreadingActor):
    """pykka's."""

    use_daemon_thread = True
    lives: ClassVar[queue.SimpleQueue[int]] = queue.SimpleQueue()
    crashed_at: ClassVar[int] = 0

    def on_start(self) -> None:
        self.lives.put(perf_counter_ns())

    def on_failure(self, *_: object) -> None:
        self.lives.put(0)

    def on_receive(self, message: object) -> object:
        if isinstance(message, Stamp):
            self.count(message)
            return None
        if isinstance(message, Ask):
            return message
        ThreadSink.crashed_at = perf_counter_ns()
        raise RuntimeError


def micros(ns: list[int]) -> float:
    """The median of durations, in microseconds."""
    return statistics.median(ns) * 1e-3


async def until(done: threading.Event) -> None:
    """Yield until a sink has had all it expects."""
    while not done.is_set():
        await trio.lowlevel.checkpoint()


class Bench:
    """One system with `WIDTH` actors of each kind."""

    def __init__(self, system: ActorSystem) -> None:
        self.system = system
        self.ours: list[tuple[Address, Sink]] = []
        self.threads: list[tuple[pykka.ActorRef[ThreadSink], Sink]] = []

    async def up(self) -> None:
        made: list[TrioSink] = []

        def make() -> TrioSink:
            made.append(TrioSink())
            return made[-1]

        specs = [ChildSpec(f"sink.{n}", make) for n in range(WIDTH)] + [ChildSpec("crasher", TrioSink)]
        await self.system.start(ChildSpec("top", lambda: Supervisor(specs, intensity=float("inf"))))
        self.ours = [(self.system.address(f"sink.{n}"), sink) for n, sink in enumerate(made)]
        for _ in range(WIDTH):
            ref = ThreadSink.start()
            ThreadSink.lives.get()
            sink = ref._actor_weakref()
            assert sink is not None
            self.threads.append((ref, sink))

    # Paced tells: told a millisecond apart, to an actor that sleeps

    async def _tells(self, tell: Callable[[object], None], sink: Sink) -> float:
        sink.expect(TELLS)
        for _ in range(TELLS):
            tell(Stamp(perf_counter_ns()))
            await trio.sleep(PACE_S)
        await until(sink.done)
        return micros(sink.waits)

    async def tell_ours(self) -> float:
        address, sink = self.ours[0]
        return await self._tells(address.tell, sink)

    async def tell_threading(self) -> float:
        ref, sink = self.threads[0]
        return await self._tells(ref.tell, sink)

    async def tell_channel(self) -> float:
        waits: list[int] = []
        send, receive = trio.open_memory_channel[Stamp](BURST)

        async def consume() -> None:
            async for message in receive:
                waits.append(perf_counter_ns() - message.at)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            for _ in range(TELLS):
                send.send_nowait(Stamp(perf_counter_ns()))
                await trio.sleep(PACE_S)
            send.close()
        return micros(waits)

    # Asks: the round trip

    async def ask_ours(self) -> float:
        address, _ = self.ours[0]
        took = []
        for _ in range(ASKS):
            began = perf_counter_ns()
            await address.call(Ask())
            took.append(perf_counter_ns() - began)
        return micros(took)

    async def ask_threading_plain(self) -> float:
        """From a thread of its own, which is the best a caller of pykka can do."""
        ref, _ = self.threads[0]

        def run() -> float:
            took = []
            for _ in range(ASKS):
                began = perf_counter_ns()
                ref.ask(Ask())
                took.append(perf_counter_ns() - began)
            return micros(took)

        return await trio.to_thread.run_sync(run)

    async def ask_threading(self) -> float:
        """From the loop, as a trio program has to."""
        ref, _ = self.threads[0]
        took = []
        for _ in range(ASKS):
            began = perf_counter_ns()
            await trio.to_thread.run_sync(ref.ask, Ask())
            took.append(perf_counter_ns() - began)
        return micros(took)

    # Fan-out: one message to twenty, until the last has handled it

    async def fan_ours(self) -> float:
        return await self._fan([(address.tell, sink) for address, sink in self.ours])

    async def fan_threading(self) -> float:
        return await self._fan([(ref.tell, sink) for ref, sink in self.threads])

    async def _fan(self, targets: list[tuple[Callable[[object], None], Sink]]) -> float:
        took = []
        for _ in range(FANS):
            for _tell, sink in targets:
                sink.expect(1)
            began = perf_counter_ns()
            message = Stamp(began)
            for tell, _sink in targets:
                tell(message)
            for _tell, sink in targets:
                await until(sink.done)
            took.append(perf_counter_ns() - began)
        return micros(took)

    # Burst: as much as goes through, the sender yielding after every 64

    async def burst_ours(self) -> float:
        address, sink = self.ours[0]
        return await self._burst(address.tell, sink)

    async def burst_threading(self) -> float:
        ref, sink = self.threads[0]
        return await self._burst(ref.tell, sink)

    async def burst_channel(self) -> float:
        sink = Sink()
        send, receive = trio.open_memory_channel[Stamp](10 * BURST)

        async def consume() -> None:
            async for message in receive:
                sink.count(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            rate = await self._burst(send.send_nowait, sink)
            send.close()
        return rate

    async def _burst(self, tell: Callable[[Stamp], None], sink: Sink) -> float:
        sink.expect(BURST)
        began = perf_counter_ns()
        for n in range(BURST):
            tell(Stamp(perf_counter_ns()))
            if not n & 63:
                await trio.lowlevel.checkpoint()
        await until(sink.done)
        return BURST * 1e9 / (perf_counter_ns() - began)

    # A command behind a backlog of work

    async def control_ours(self) -> float:
        return await self._overtake(Kill)

    async def fifo_ours(self) -> float:
        return await self._overtake(Stamp)

    async def _overtake(self, kind: type[Stamp]) -> float:
        address, sink = self.ours[0]
        sink.expect(1)
        for _ in range(BACKLOG):
            address.tell(Chore())
        address.tell(kind(perf_counter_ns()))
        await until(sink.done)
        while address.mailbox.statistics()[Lane.LOSSLESS].depth:
            await trio.lowlevel.checkpoint()
        return micros(sink.waits)

    # A crash, to the start of the next incarnation

    async def restart_ours(self) -> float:
        address = self.system.address("crasher")
        TrioSink.restarts = []
        for n in range(CRASHES):
            address.tell(Crash(perf_counter_ns()))
            while len(TrioSink.restarts) <= n:  # noqa: ASYNC110 - an event would be one more thing to measure
                await trio.sleep(PACE_S)
        return micros(TrioSink.restarts)

    async def restart_threading(self) -> float:
        """By hand, in the thread that sees the failure: pykka has no supervisor."""

        def run() -> float:
            took = []
            ref = ThreadSink.start()
            ThreadSink.lives.get()
            for _ in range(CRASHES):
                ref.tell(Crash(perf_counter_ns()))
                ThreadSink.lives.get()
                ref = ThreadSink.start()
                took.append(ThreadSink.lives.get() - ThreadSink.crashed_at)
            ref.stop()
            return micros(took)

        return await trio.to_thread.run_sync(run)


MEASURES: tuple[str, ...] = (
    "tell_ours", "tell_threading", "tell_channel", "ask_ours", "ask_threading", "ask_threading_plain", "fan_ours", "fan_threading",
    "burst_ours", "burst_threading", "burst_channel", "restart_ours", "restart_threading", "control_ours", "fifo_ours",
)  # fmt: skip
RATIOS: dict[str, tuple[str, str]] = {
    "tell_p50_ratio_threading": ("tell_ours", "tell_threading"),
    "tell_p50_ratio_channel": ("tell_ours", "tell_channel"),
    "ask_p50_ratio_threading": ("ask_ours", "ask_threading"),  # both from the loop
    "ask_p50_ratio_threading_plain": ("ask_ours", "ask_threading_plain"),  # theirs from a thread of its own
    "fan20_p50_ratio_threading": ("fan_ours", "fan_threading"),
    "burst_ratio_threading": ("burst_ours", "burst_threading"),
    "burst_ratio_channel": ("burst_ours", "burst_channel"),
    "restart_p50_ratio_threading": ("restart_ours", "restart_threading"),
    "control_ratio_fifo": ("control_ours", "fifo_ours"),  # behind 5,000 messages of 20 us each
}


async def measure(rounds: int) -> dict[str, float]:
    """The median of each measure's rounds."""
    figures: dict[str, list[float]] = {name: [] for name in MEASURES}
    async with ActorSystem() as system:
        bench = Bench(system)
        await bench.up()
        for turn in range(rounds + 1):
            for name in MEASURES:
                run: Callable[[], Awaitable[float]] = getattr(bench, name)
                gc.collect()
                figure = await run()
                if turn:  # the first round warms up
                    figures[name].append(figure)
        for ref, _ in bench.threads:
            ref.stop(block=False)
    return {name: statistics.median(values) for name, values in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object, ratios first")
    parser.add_argument("--rounds", type=int, default=5, help="rounds measured, after one to warm up (default 5)")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    try:
        figures = trio.run(measure, asked.rounds)
    finally:
        sys.setswitchinterval(before)
    ratios = {key: round(figures[ours] / figures[theirs], 3) for key, (ours, theirs) in RATIOS.items()}
    if asked.json:
        print(json.dumps(ratios | {name: round(value, 1) for name, value in figures.items()}))
        return
    for key, ratio in ratios.items():
        ours, theirs = RATIOS[key]
        print(f"{key:36} {ratio:8.3f}   {figures[ours]:12.1f} against {figures[theirs]:12.1f}")


if __name__ == "__main__":
    main()
