"""Recorded worlds, run as anyone runs them: fast, small, without a violation, and the same decisions however busy the machine is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from harness import shadow_command, simulator

from actors.outcome import ExitCode
from chimera.audit.orders import audit_orders
from chimera.journal.importers.nba import import_nba
from chimera.journal.recording import RecordingReader

pytestmark = pytest.mark.system

SECONDS, MEBIBYTES = 90.0, 200.0
"""What a recorded game may take of the processor and of memory."""
PATIENCE_S = 400.0
"""Machine seconds given to a process on a machine that has much else to do."""
GAME = "42400306_NYK_at_IND_2025-05-31"


@attrs.frozen
class Outcome:
    """How a process ended: its code, what it summed up, the seconds of processor it took and its peak resident memory in MiB."""

    code: int
    summary: dict[str, Any]
    seconds: float
    peak: float
    journal: Path


def replayed(world: Path, journal: Path) -> Outcome:
    """Run a recorded world in a process of its own."""
    until, seconds, peak = time.monotonic() + PATIENCE_S, 0.0, 0.0
    with journal.with_suffix(".out").open("w+") as out:
        command = shadow_command("--world", world, "--journal", journal, "--log-level", "error")
        with subprocess.Popen(command, stdout=out, cwd=journal.parent) as child:
            try:
                while child.poll() is None:
                    seconds, peak = max(seconds, processor_seconds(child.pid)), max(peak, resident_peak(child.pid))
                    assert time.monotonic() < until, "it does not end"
                    time.sleep(0.05)
            finally:
                child.kill()
        out.seek(0)
        summary = json.loads(out.read().splitlines()[-1])
    return Outcome(child.returncode, summary, seconds, peak, journal)


def of_process(pid: int, file: str) -> str:
    """A file of /proc; empty where the process has ended."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def processor_seconds(pid: int) -> float:
    """User and system time so far: what it takes on a machine with nothing else to do."""
    fields = of_process(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def resident_peak(pid: int) -> float:
    """The most that was resident so far, in MiB. (Its rusage would tell of the process that forked it, too.)"""
    found = [line.split()[1] for line in of_process(pid, "status").splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) / 1024.0 if found else 0.0


@contextmanager
def burner() -> Iterator[None]:
    """A process that takes all the processor it can get."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as child:
        try:
            yield
        finally:
            child.kill()


def assert_traded(outcome: Outcome) -> None:
    summary = outcome.summary
    assert (outcome.code, summary["exit"]) == (ExitCode.OK, "ok")
    assert set(summary["violations"].values()) == {0}
    assert min(summary[name] for name in ("decisions", "orders", "cancels", "frames")) > 0
    assert audit_orders(outcome.journal).offences == ()


@pytest.mark.data
def test_a_recorded_game_is_traded_alike_on_an_idle_and_a_busy_machine(shared_data: Path, tmp_path: Path) -> None:
    summary = shared_data / "espn/payloads/basketball_nba_game_summary_401772994.json"
    trades = shared_data / "kalshi/nba_minute_trades/trades_2025.parquet"
    import_nba(summary, trades, GAME, tmp_path / "world")
    idle = replayed(tmp_path / "world", tmp_path / "idle.db")
    with burner():
        busy = replayed(tmp_path / "world", tmp_path / "busy.db")
    for outcome in (idle, busy):
        assert_traded(outcome)
        assert outcome.summary["pulls"] + outcome.summary["kills"] > 0
        assert 0.0 < outcome.seconds < SECONDS
        assert 0.0 < outcome.peak < MEBIBYTES
    assert idle.summary["decision_hash"] == busy.summary["decision_hash"]


def test_a_world_that_was_recorded_is_replayed_alike_on_an_idle_and_a_busy_machine(tmp_path: Path) -> None:
    world = tmp_path / "world"
    with simulator(tmp_path) as ready:
        command = shadow_command("--world", f"sim:{ready}", "--duration", 60, "--record", world, "--journal", tmp_path / "first.db")
        subprocess.run([*command, "--log-level", "error"], check=True, timeout=PATIENCE_S, stdout=subprocess.DEVNULL, cwd=tmp_path)
    assert RecordingReader(world).verify().sound
    idle = replayed(world, tmp_path / "idle.db")
    with burner():
        busy = replayed(world, tmp_path / "busy.db")
    for outcome in (idle, busy):
        assert_traded(outcome)
    assert idle.summary["decision_hash"] == busy.summary["decision_hash"]
