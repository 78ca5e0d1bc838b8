"""The page: what is written by one process is read by another, and what must outlive a process does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chimera.errors import ConfigError
from chimera.guard.page import GUARD_SILENT_S, QUIET_AFTER_S, Latch, Page, Phase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "live.page"


def test_a_latch_is_seen_by_who_has_the_page_open(path: Path) -> None:
    trader, guard = Page.create(path), Page.open(path)
    assert not trader.latched
    guard.latch(Latch.STALL, 17.0)
    assert trader.latched
    assert (trader.read().latch, trader.read().latched_at) == (Latch.STALL, 17.0)


def test_the_first_cause_of_a_latch_stays(path: Path) -> None:
    page = Page.create(path)
    page.latch(Latch.KILL_FILE, 1.0)
    page.latch(Latch.DEATH, 2.0)
    assert (page.read().latch, page.read().latched_at) == (Latch.KILL_FILE, 1.0)


def test_latch_and_cancel_all_outlive_the_trader(path: Path) -> None:
    first = Page.create(path)
    first.latch(Latch.DEATH, 1.0)
    first.cancelling_all(1000.0)
    first.close()
    again = Page.create(path)
    assert again.latched
    assert again.cancel_all_at == 1000.0
    again.unlatch()
    assert not again.latched


def test_nothing_is_placed_for_75_seconds_after_a_cancel_all(path: Path) -> None:
    page = Page.create(path)
    assert not page.quiet(QUIET_AFTER_S)
    page.cancelling_all(1000.0)
    assert page.quiet(1000.0)
    assert page.quiet(1074.9)
    assert not page.quiet(1075.0)


def test_the_time_of_a_cancel_all_never_goes_back(path: Path) -> None:
    page = Page.create(path)
    page.cancelling_all(1000.0)
    page.cancelling_all(900.0)
    assert page.cancel_all_at == 1000.0


def test_a_new_trader_starts_without_progress_and_unwatched(path: Path) -> None:
    page = Page.create(path)
    page.beat(1, 50.0)
    assert page.progress == 0.0
    assert page.phase is Phase.STARTING
    assert not page.guarded(50.0)


def test_the_first_proof_of_progress_arms_the_guard(path: Path) -> None:
    page = Page.create(path)
    page.progressed(5.0)
    assert page.phase is Phase.ARMED
    page.enter(Phase.CLOSING)
    page.progressed(6.0)
    assert page.phase is Phase.CLOSING


def test_a_guard_that_has_fallen_silent_is_no_guard(path: Path) -> None:
    page = Page.create(path)
    page.beat(page.read().trader, 50.0)
    assert page.guarded(50.0 + 0.9 * GUARD_SILENT_S)
    assert not page.guarded(50.0 + GUARD_SILENT_S)


def test_one_trader_at_a_time_has_the_page(path: Path) -> None:
    page = Page.create(path)
    code = "import sys; from pathlib import Path; from chimera.guard.page import Page; Page.create(Path(sys.argv[1]))"
    second = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "held by another trader" in second.stderr
    page.close()


@pytest.mark.parametrize("content", [b"", b"short", bytes(128), bytes(4096)])
def test_a_file_that_is_no_page_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="no guard's page"):
        Page.open(path)


def test_a_page_that_is_not_there_is_refused_by_the_guard(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        Page.open(tmp_path / "page")
