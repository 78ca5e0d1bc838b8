"""chimera-shadow as a process: it drains when told to end, ends at once when told twice, and a start after a SIGKILL cleans up first."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from harness import SEVERAL, WITHIN_S, over_a_slow_wire, read_log, registry, shadow_command, slower_to_expire, still_resting

from actors.outcome import ExitCode
from chimera.audit.orders import audit_orders
from chimera.journal.store import JournalReader
from chimera.trading import venue_log as log
from chimera.trading.reasons import Reason

pytestmark = pytest.mark.system


@contextmanager
def trading(ready: Path, journal: Path, *options: object) -> Iterator[subprocess.Popen[str]]:
    """chimera-shadow in the world of a ready file, once several quotes of it rest."""
    command = shadow_command("--world", f"sim:{ready}", "--journal", journal, "--log-level", "error", *options)
    begun = len(read_log(journal))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=journal.parent) as child:
        try:
            wait(child, lambda: len(still_resting(read_log(journal))) >= SEVERAL and sent(read_log(journal)[begun:]))
            yield child
        finally:
            child.kill()


def wait(child: subprocess.Popen[str], holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not holds():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline, "no quotes rest"
        time.sleep(0.01)


def sent(lines: list[log.Line]) -> list[log.Sent]:
    return [line for line in lines if isinstance(line, log.Sent)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)])
def test_a_signal_drains_and_the_summary_is_printed(ready: Path, tmp_path: Path, number: signal.Signals, code: ExitCode) -> None:
    journal, config = tmp_path / "journal.db", tmp_path / "registry.json"
    config.write_text(over_a_slow_wire(registry()).model_dump_json(by_alias=True))
    with trading(ready, journal, "--config", config) as child:
        child.send_signal(number)
        out, err = child.communicate(timeout=WITHIN_S)
    assert (child.returncode, err) == (code, "")
    summary = json.loads(out.splitlines()[-1])
    assert summary["exit"] == code.name.lower()
    assert summary["orders"] > 0
    assert set(summary["violations"].values()) == {0}
    assert still_resting(read_log(journal)) == set()
    assert audit_orders(journal).offences == ()


def test_a_second_signal_ends_it_at_once_after_one_more_attempt_to_cancel(ready: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with trading(ready, journal) as child:
        child.send_signal(signal.SIGINT)
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=5.0)
    # Two signals that are pending together come in either order; the second of them is the one that ends it.
    assert child.returncode in (ExitCode.TERMINATED, ExitCode.INTERRUPTED)
    assert out == ""
    fired = [line for line in read_log(journal) if isinstance(line, log.Fired) and line.reason == Reason.SHUTDOWN.value]
    assert fired[-1].scope == "GLOBAL"
    assert all(order.seq < fired[0].seq for order in sent(read_log(journal)))


def test_a_start_after_a_sigkill_cancels_what_still_rests_before_it_quotes(ready: Path, tmp_path: Path) -> None:
    journal, config = tmp_path / "journal.db", tmp_path / "registry.json"
    # Orders that outlive the time between the processes: a start has something to find.
    config.write_text(slower_to_expire(registry(), 300.0).model_dump_json(by_alias=True))
    with trading(ready, journal, "--config", config) as child:
        child.kill()
        child.wait(WITHIN_S)
    left = still_resting(read_log(journal))
    assert len(left) >= SEVERAL - 1
    with closing(sqlite3.connect(journal)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert audit_orders(journal).offences == ()

    with trading(ready, journal, "--config", config) as child:
        child.terminate()
        out, _ = child.communicate(timeout=WITHIN_S)
    assert child.returncode == ExitCode.TERMINATED
    assert set(json.loads(out.splitlines()[-1])["violations"].values()) == {0}
    lines = read_log(journal)
    opened = [line.seq for line in lines if isinstance(line, log.Opened)]
    first_order = sent(lines[opened[1] :])[0].seq
    assert len(opened) == 2
    assert still_resting(lines[: opened[1]]) == left
    assert still_resting(lines[:first_order]) == set()
    names = [order.client_id for order in sent(lines)]
    assert len(names) == len(set(names))
    with JournalReader(journal) as reader:
        assert len(reader.runs()) == 2
    assert audit_orders(journal).offences == ()
