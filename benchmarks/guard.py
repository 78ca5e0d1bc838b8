"""How long orders rest after their trader is gone: from SIGKILL, SIGSTOP or a C call that holds the GIL to an empty book.

    python benchmarks/guard.py [--json] [--rounds N]

Each round starts a simulator and `chimera-live` in its world, waits until orders rest, and takes the trader away. The end is the last order
leaving the exchange's own book, by the exchange's own log and the machine's monotonic clock; when the guard's list confirmed it is told
apart. A stopped trader is woken again afterwards, and whatever it then sends is counted. Milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import attrs

ROOT = Path(__file__).resolve().parents[1]
STALL_LIMIT_MS = 1000.0
SPEED = 5.0
RESTING = 4
"""Orders that must rest before the trader is taken away: a fault that finds nothing resting proves nothing."""
WITHIN_S = 40.0
TRADER = """
import signal, sys
# Tens of seconds in one C call: neither another thread nor a signal handler of Python gets a turn.
signal.signal(signal.SIGUSR1, lambda *_: pow(7, 30_000_000))
from actors.cli.live import main
main()
"""
CASES: dict[str, int] = {"death": signal.SIGKILL, "stop": signal.SIGSTOP, "held": signal.SIGUSR1}


@attrs.frozen
class Round:
    """One trader taken away. `resting` orders were on the book; `listed_ms` is when the guard's list first said that none is."""

    case: str
    resting: int
    emptied_ms: float
    listed_ms: float
    sent_after: int


class Heard:
    """The lines that trader and guard write to stderr, each with the machine time of its arrival."""

    def __init__(self, source: IO[str]) -> None:
        self.lines: list[tuple[float, str]] = []
        self._thread = threading.Thread(target=self._read, args=(source,), daemon=True)
        self._thread.start()

    def _read(self, source: IO[str]) -> None:
        for line in source:
            self.lines.append((time.monotonic(), line))

    def guard(self) -> int | None:
        """The guard's process id, once it watches."""
        told = next((line for _, line in self.lines if '"guard": "watching"' in line), None)
        return None if told is None else int(json.loads(told)["pid"])

    def first(self, guard_event: str) -> float | None:
        """When the guard first said that."""
        marked = f'"guard": "{guard_event}"'
        return next((at for at, line in self.lines if marked in line), None)


class World:
    """A running simulator, asked over its admin page."""

    def __init__(self, ready: Path) -> None:
        self.ready = ready
        self._told = json.loads(ready.read_text())

    def _get(self, url: str) -> dict[str, Any]:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._told['admin_token']}"})
        with urllib.request.urlopen(request, timeout=5.0) as answer:
            return dict(json.load(answer))

    def resting(self) -> int:
        return len(self._get(self._told["admin_url"])["resting"])

    def log(self) -> list[dict[str, Any]]:
        return list(self._get(self._told["admin_log_url"])["log"])


@contextmanager
def simulator(folder: Path, seed: int) -> Iterator[World]:
    ready = folder / "ready.json"
    origin = f"{time.monotonic_ns()},{time.time():.6f},{SPEED:g}"
    command = [sys.executable, str(ROOT / "bin" / "chimera-sim"), "--ready-file", str(ready), "--seed", str(seed),
               "--clock-origin", origin, "--exit-with-parent"]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        try:
            until("the simulator is ready", ready.exists)
            yield World(ready)
        finally:
            child.terminate()


def until(what: str, holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"benchmarks/guard.py: not so within {WITHIN_S:g} s: {what}")
        time.sleep(0.02)


def take_away(case: str, seed: int) -> Round:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with simulator(folder, seed) as world:
            command = [sys.executable, "-c", TRADER, "--world", f"sim:{world.ready}", "--size-contracts", "5", "--force-size-contracts",
                       "--config", str(ROOT / "config" / "signal_registry.json"), "--journal", str(folder / "journal.db"),
                       "--json", "--log-level", "error"]  # fmt: skip
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            theirs, ours = os.pipe()
            heard = Heard(os.fdopen(theirs))
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=ours, env=environment) as trader:
                os.close(ours)
                try:
                    return _measured(case, world, trader, heard)
                finally:
                    # The guard would go on proving for a minute of the world; what it is asked here is answered.
                    if (guard := heard.guard()) is not None:
                        os.kill(guard, signal.SIGKILL)
                    trader.kill()


def _measured(case: str, world: World, trader: subprocess.Popen[bytes], heard: Heard) -> Round:
    until(f"{RESTING} orders rest", lambda: world.resting() >= RESTING)
    began = time.monotonic()
    trader.send_signal(CASES[case])
    until("the guard's list is empty", lambda: heard.first("verified"))
    if case == "stop":
        trader.send_signal(signal.SIGCONT)
    time.sleep(1.0)
    listed_at = heard.first("verified")
    assert listed_at is not None
    return _round(case, world.log(), began, listed_at)


def _round(case: str, log: list[dict[str, Any]], began: float, listed_at: float) -> Round:
    """Follow the exchange's log: how many orders rested when the trader went, when the last of them left, and what came after."""
    book: set[str] = set()
    at_fault, emptied, sent_after = 0, began, 0
    for entry in log:
        at, rested = entry["mono_ns"] * 1e-9, len(book)
        if entry["kind"] == "accepted":
            book.add(entry["order_id"])
            sent_after += at > emptied > began
        elif entry["kind"] == "canceled" or (entry["kind"] == "fill" and float(entry["remaining"]) == 0.0):
            book.discard(entry["order_id"])
        if at <= began:
            at_fault = len(book)
        elif rested and not book:
            emptied = at
    if not at_fault or book:
        raise SystemExit(f"benchmarks/guard.py: {case}: {at_fault} orders rested and {len(book)} still do: this proves nothing")
    return Round(case, at_fault, (emptied - began) * 1e3, (listed_at - began) * 1e3, sent_after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="the last line of stdout is one JSON object")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rounds = [take_away(case, seed) for seed in range(1, options.rounds + 1) for case in CASES]
    for each in rounds:
        told = f"{each.case:<6} {each.resting:>3} resting  empty {each.emptied_ms:8.1f} ms  listed {each.listed_ms:8.1f} ms"
        print(told, file=sys.stderr)
    worst = {case: max(each.emptied_ms for each in rounds if each.case == case) for case in CASES}
    summary = {
        "death_ms": round(worst["death"], 1),
        "stall_ms": round(max(worst["stop"], worst["held"]), 1),
        "stall_limit_ms": STALL_LIMIT_MS,
        "by_case_ms": {case: [round(each.emptied_ms, 1) for each in rounds if each.case == case] for case in CASES},
        "list_confirmation_ms": {case: [round(each.listed_ms, 1) for each in rounds if each.case == case] for case in CASES},
        "resting": [each.resting for each in rounds],
        "sent_after": sum(each.sent_after for each in rounds),
    }
    print(json.dumps(summary, sort_keys=True) if options.json else json.dumps(summary, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
