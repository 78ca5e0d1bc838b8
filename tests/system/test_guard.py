"""chimera-live with its guard, as processes on a loopback exchange: whatever becomes of the trader, its orders leave the book.

The exchange's own log is the witness: what rested when the trader went, when the last of it left, and what came afterwards.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from guard_rig import wait_until
from harness import ROOT, SEVERAL, moved, read_log, simulator, still_resting

from chimera.audit.orders import audit_orders
from chimera.guard.page import Latch, Page

pytestmark = pytest.mark.system

CONFIG = ROOT / "config" / "signal_registry.json"
HOLDS_THE_GIL = """
import signal
# Tens of seconds in one C call: neither another thread nor a signal handler of Python gets a turn.
signal.signal(signal.SIGUSR1, lambda *_: pow(7, 30_000_000))
from actors.cli.live import main
main()
"""


class Exchange:
    """The exchange, asked over its admin page."""

    def __init__(self, ready: Path) -> None:
        self.ready = ready
        self._told = json.loads(ready.read_text())

    def _get(self, url: str) -> dict[str, Any]:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._told['admin_token']}"})
        with urllib.request.urlopen(request, timeout=5.0) as answer:
            return dict(json.load(answer))

    def resting(self) -> set[str]:
        return {row["order_id"] for row in self._get(self._told["admin_url"])["resting"]}

    def accepted_since(self, mono: float) -> list[str]:
        """The orders it took after a moment of the machine's clock."""
        rows = self._get(self._told["admin_log_url"])["log"]
        return [row["order_id"] for row in rows if row["kind"] == "accepted" and row["mono_ns"] * 1e-9 > mono]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    """An exchange of the test's own, with a young evening."""
    with simulator(tmp_path, speed=5.0) as ready:
        yield Exchange(ready)


@contextmanager
def live(exchange: Exchange, journal: Path, *more: object) -> Iterator[subprocess.Popen[str]]:
    """chimera-live, until it is gone; the guard that outlives it ends with the exchange's verification, or is ended here."""
    command = [sys.executable, "-c", HOLDS_THE_GIL, "--world", f"sim:{exchange.ready}", "--size-contracts", "5",
               "--force-size-contracts", "--config", str(CONFIG), "--journal", str(journal), "--json", "--log-level", "error",
               *map(str, more)]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as trader:
        try:
            yield trader
        finally:
            trader.kill()
            guard = guard_of(journal)
            if guard is not None:
                os.kill(guard, signal.SIGKILL)


def page_of(journal: Path) -> Path:
    return journal.with_name(journal.name + ".page")


def guard_of(journal: Path) -> int | None:
    """The guard's process, if it still runs."""
    if not page_of(journal).exists():
        return None
    guard = Page.open(page_of(journal)).read().guard
    try:
        command = Path(f"/proc/{guard}/cmdline").read_bytes()
    except OSError:
        return None
    return guard if b"actors.cli.guard" in command else None


def quoting(exchange: Exchange) -> Callable[[], object]:
    return lambda: len(exchange.resting()) >= SEVERAL


@pytest.mark.parametrize(
    ("number", "cause", "within"),
    [(signal.SIGKILL, Latch.DEATH, 0.5), (signal.SIGSTOP, Latch.STALL, 2.0), (signal.SIGUSR1, Latch.STALL, 2.0)],
    ids=["killed", "stopped", "held by a C call"],
)
def test_a_trader_that_is_gone_leaves_no_order(
    exchange: Exchange, tmp_path: Path, number: signal.Signals, cause: Latch, within: float
) -> None:
    journal = tmp_path / "journal.db"
    with live(exchange, journal) as trader:
        wait_until("several orders rest", quoting(exchange), 20.0)
        gone_at = time.monotonic()
        trader.send_signal(number)
        wait_until("the book is empty", lambda: not exchange.resting(), 5.0)
        emptied_at = time.monotonic()
        assert emptied_at - gone_at < within
        wait_until("it is dead", lambda: trader.poll() is not None)
        if number is signal.SIGSTOP:
            with pytest.raises(ProcessLookupError):
                os.kill(trader.pid, signal.SIGCONT)
        time.sleep(0.5)
        assert exchange.accepted_since(emptied_at) == []
        page = Page.open(page_of(journal)).read()
        assert page.latch is cause
        assert page.cancel_all_at > 0.0


def test_an_orderly_end_releases_the_guard_and_every_order_is_proved(exchange: Exchange, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with live(exchange, journal) as trader:
        wait_until("several orders rest", quoting(exchange), 20.0)
        guard = guard_of(journal)
        assert guard is not None
        trader.send_signal(signal.SIGTERM)
        out, _ = trader.communicate(timeout=20.0)
        assert trader.returncode == 143
        summary = json.loads(out.splitlines()[-1])
        assert sum(summary["violations"].values()) == 0
        assert summary["orders"] >= SEVERAL
    assert exchange.resting() == set()
    assert guard_of(journal) is None
    assert not Page.open(page_of(journal)).latched
    assert still_resting(read_log(journal)) == set()
    assert audit_orders(journal).clean


def test_the_kill_file_empties_the_book_and_the_trader_ends_latched(exchange: Exchange, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with live(exchange, journal) as trader:
        wait_until("several orders rest", quoting(exchange), 20.0)
        journal.with_name(journal.name + ".KILL").touch()
        wait_until("the book is empty", lambda: not exchange.resting(), 5.0)
        emptied_at = time.monotonic()
        time.sleep(1.5)
        assert exchange.accepted_since(emptied_at) == []
        assert trader.poll() is None, "it works on, latched"
        trader.send_signal(signal.SIGTERM)
        out, _ = trader.communicate(timeout=20.0)
    assert sum(json.loads(out.splitlines()[-1])["violations"].values()) == 0
    assert Page.open(page_of(journal)).read().latch is Latch.KILL_FILE


def test_a_guard_that_is_gone_takes_the_orders_off_and_lets_none_on(exchange: Exchange, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with live(exchange, journal) as trader:
        wait_until("several orders rest", quoting(exchange), 20.0)
        guard = guard_of(journal)
        assert guard is not None
        os.kill(guard, signal.SIGKILL)
        wait_until("the book is empty", lambda: not exchange.resting(), 5.0)
        emptied_at = time.monotonic()
        time.sleep(1.5)
        assert exchange.accepted_since(emptied_at) == []
        assert trader.poll() is None


def test_without_a_guard_that_may_cancel_nothing_is_started(exchange: Exchange, tmp_path: Path) -> None:
    unknown = Exchange(moved(exchange.ready, tmp_path / "other.json", guard_key_id="nobody"))
    with live(unknown, tmp_path / "journal.db", "--duration", 30) as trader:
        assert trader.wait(20.0) == 5
    assert exchange.accepted_since(0.0) == []


def test_a_guard_with_the_traders_own_key_is_refused(exchange: Exchange, tmp_path: Path) -> None:
    told = json.loads(exchange.ready.read_text())
    same = Exchange(
        moved(exchange.ready, tmp_path / "other.json", guard_key_id=told["key_id"], guard_private_key_path=told["private_key_path"])
    )
    with live(same, tmp_path / "journal.db", "--duration", 30) as trader:
        assert trader.wait(20.0) == 5
