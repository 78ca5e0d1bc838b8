"""The watch: what makes the guard fire, what does not, and the four steps. Traders are real processes, and are really killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chimera.clock import WorldClock
from chimera.guard.line import Line
from chimera.guard.page import Latch, Page
from chimera.guard.process import VERIFY_AT_S, Guard, Verdict, Watched

STALL_S = 0.4


class Watch:
    """A guard in a thread of its own, and what it said."""

    def __init__(self, guard: Guard, page: Page, said: list[tuple[str, dict[str, Any]]]) -> None:
        self.guard, self.page, self.said = guard, page, said
        self.verdict: Verdict | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.verdict = self.guard.watch()

    def ended(self, within: float = 20.0) -> Verdict | None:
        self.thread.join(within)
        return self.verdict

    def events(self, name: str) -> list[dict[str, Any]]:
        return [what for event, what in self.said if event == name]


@pytest.fixture
def watch(line: Line, clock: WorldClock, trader, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watch]]:
    """Begins a watch of the trader; `verify` are the checks after a cancel-all (world s)."""
    watches: list[Watch] = []

    def begin(verify: tuple[float, ...] = (0.0,), **more: Any) -> Watch:
        monkeypatch.setattr("chimera.guard.process.VERIFY_AT_S", verify)
        page = Page.open(trader.page)
        said: list[tuple[str, dict[str, Any]]] = []
        watched = Watched(trader.pid, os.pidfd_open(trader.pid), more.pop("pipe", None), stall_s=STALL_S, **more)
        begun = Watch(Guard(page, line, clock, watched, say=lambda event, **what: said.append((event, what))), page, said)
        begun.thread.start()
        watches.append(begun)
        return begun

    yield begin
    trader.process.kill()
    for begun in watches:
        assert begun.ended() is not None


@contextmanager
def until(what: str, holds: Callable[[], object], within: float = 10.0) -> Iterator[None]:
    yield
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not so within {within:g} s: {what}"
        time.sleep(0.005)


def dead(pid: int) -> bool:
    """Whether a child has ended; it stays to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def test_a_dead_trader_leaves_an_empty_book(exchange, trader, watch) -> None:
    begun = watch(verify=VERIFY_AT_S)
    with until("guarded", lambda: begun.page.guarded(time.monotonic())):
        pass
    with until("the book is empty", lambda: exchange.emptied_at):
        trader.process.kill()
    assert begun.page.read().latch is Latch.DEATH
    assert begun.ended() is Verdict.EMPTIED
    assert [round(what["after_s"]) for what in begun.events("verified")] == [0, 1, 5, 65]


def test_the_time_of_cancel_all_is_in_the_page_before_its_bytes_leave(exchange, trader, watch, clock) -> None:
    begun = watch()
    exchange.refuse_cancels = 10**6
    began = clock.now()
    with until("the first cancel-all", lambda: ("DELETE", "/portfolio/events/orders") in exchange.asked):
        trader.process.kill()
    assert began <= begun.page.cancel_all_at <= clock.now()
    exchange.refuse_cancels = 0


def test_a_stopped_trader_is_killed_and_sends_nothing_when_it_is_woken(exchange, trader, watch) -> None:
    begun = watch()
    stopped_at = time.monotonic()
    with until("the book is empty", lambda: exchange.emptied_at):
        os.kill(trader.pid, signal.SIGSTOP)
    assert exchange.emptied_at - stopped_at > STALL_S - 0.05
    assert begun.page.read().latch is Latch.STALL
    with until("the trader is dead", lambda: dead(trader.pid)):
        os.kill(trader.pid, signal.SIGCONT)
    assert trader.process.wait() == -signal.SIGKILL
    assert trader.sent_at() < exchange.emptied_at


def test_a_trader_held_by_a_c_call_is_killed(exchange, trader, watch) -> None:
    watch()
    with until("the book is empty", lambda: exchange.emptied_at):
        trader.do("hold")
    assert trader.process.wait() == -signal.SIGKILL


def test_the_end_of_the_pipe_is_a_death(exchange, trader, watch) -> None:
    ours, theirs = os.pipe()
    begun = watch(pipe=ours)
    with until("the book is empty", lambda: exchange.emptied_at):
        os.close(theirs)
    assert begun.page.read().latch is Latch.DEATH
    assert trader.process.wait() == -signal.SIGKILL


def test_an_input_past_its_deadline_is_lost_progress(exchange, trader, watch) -> None:
    begun = watch()
    with until("the book is empty", lambda: exchange.emptied_at):
        trader.do("late")
    assert begun.page.read().latch is Latch.LATE
    assert trader.process.wait() == -signal.SIGKILL


def test_a_released_trader_is_left_alone(exchange, trader, watch) -> None:
    begun = watch()
    trader.do("release")
    assert begun.ended() is Verdict.RELEASED
    assert not begun.page.latched
    assert trader.process.poll() is None
    assert ("DELETE", "/portfolio/events/orders") not in exchange.asked


def test_abandoned_orders_are_taken_off_without_killing_the_trader(exchange, trader, watch) -> None:
    begun = watch()
    trader.do("abandon")
    assert begun.ended() is Verdict.EMPTIED
    assert exchange.orders == set()
    assert begun.page.read().latch is Latch.ABANDONED
    assert trader.process.poll() is None


def test_a_trader_that_works_is_left_alone(exchange, trader, watch) -> None:
    begun = watch()
    assert begun.ended(within=4 * STALL_S) is None
    assert not begun.page.latched
    assert trader.process.poll() is None
    trader.do("release")
    assert begun.ended() is Verdict.RELEASED


def test_time_in_which_the_guard_did_not_run_is_not_held_against_the_trader(line, clock, trader) -> None:
    page = Page.open(trader.page)
    os.kill(trader.pid, signal.SIGSTOP)
    guard = Guard(page, line, clock, Watched(trader.pid, os.pidfd_open(trader.pid), None, stall_s=STALL_S))
    now = time.monotonic()
    assert guard._lost(now) is None
    assert guard._lost(now + 60.0) is None, "a machine that slept for a minute"
    assert [guard._lost(now + 60.0 + n * 0.1) for n in range(1, 4)] == [None, None, Latch.STALL]


def test_the_kill_file_latches_and_does_not_kill_a_trader_that_works(exchange, trader, watch, tmp_path: Path) -> None:
    begun = watch(kill_file=tmp_path / "KILL")
    with until("latched", lambda: begun.page.latched):
        (tmp_path / "KILL").touch()
    assert begun.page.read().latch is Latch.KILL_FILE
    exchange.orders.clear()  # the trader cancels
    assert begun.ended(within=1.0) is None
    assert trader.process.poll() is None
    os.kill(trader.pid, signal.SIGSTOP)
    assert begun.ended() is Verdict.EMPTIED
    assert begun.page.read().latch is Latch.KILL_FILE


def test_what_rests_under_the_latch_is_cancelled_without_killing_the_trader(
    exchange, trader, watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chimera.guard.process.KILL_FILE_GRACE_S", 0.2)
    begun = watch(kill_file=tmp_path / "KILL")
    with until("the book is empty", lambda: exchange.emptied_at):
        (tmp_path / "KILL").touch()
    assert begun.events("still resting under the latch")[0]["orders"] == 1200
    assert begun.page.cancel_all_at > 0.0
    assert trader.process.poll() is None


def test_a_guard_told_to_stop_latches_and_stays(exchange, trader, watch) -> None:
    begun = watch()
    with until("latched", lambda: begun.page.latched):
        begun.guard.stop()
    assert begun.page.read().latch is Latch.GUARD_STOPPED
    assert begun.ended(within=0.2) is None
    trader.do("release")
    assert begun.ended() is Verdict.RELEASED


def test_a_cancel_all_that_fails_is_sent_again_until_it_is_done(exchange, trader, watch) -> None:
    begun = watch()
    exchange.refuse_cancels, exchange.drop_cancels = 3, 2
    with until("the book is empty", lambda: exchange.emptied_at):
        trader.process.kill()
    assert begun.ended() is Verdict.EMPTIED
    assert begun.events("fault")


def test_orders_that_still_rest_are_cancelled_again_and_proved_anew(exchange, trader, watch) -> None:
    begun = watch(verify=VERIFY_AT_S)
    exchange.ignore_cancels = 1
    trader.process.kill()
    assert begun.ended() is Verdict.EMPTIED
    assert [what["orders"] for what in begun.events("still resting")] == [1200, 1200]
    assert [round(what["after_s"]) for what in begun.events("verified")] == [0, 1, 5, 65]


def test_an_exchange_that_refuses_until_everything_has_expired_is_unproved(
    exchange, trader, watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chimera.guard.process.GIVE_UP_S", 2.0)
    begun = watch()
    exchange.refuse_cancels = 10**6
    trader.process.kill()
    assert begun.ended() is Verdict.UNPROVED


def test_faults_are_not_reported_while_the_exchange_has_announced_that_it_is_down(line, clock, trader) -> None:
    said: list[str] = []
    page = Page.open(trader.page)
    watched = Watched(trader.pid, os.pidfd_open(trader.pid), None)
    guard = Guard(page, line, clock, watched, say=lambda event, **_: said.append(event))
    guard._windows = ((clock.now() - 1.0, clock.now() + 60.0),)
    guard._report("HTTP 503")
    assert said == []
    guard._windows, guard._mute = (), False
    guard._report("HTTP 503")
    guard._report("HTTP 503")
    assert said == ["fault"]


def test_the_guard_beats_while_it_watches(trader, watch) -> None:
    begun = watch()
    with until("guarded", lambda: begun.page.guarded(time.monotonic())):
        pass
    assert begun.page.read().guard == os.getpid()
