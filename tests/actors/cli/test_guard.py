"""chimera-guard as a process: its exit codes, its own session, and what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from guard_rig import KEY_ID, wait_until

from chimera.guard.page import Latch, Page

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def command(exchange, key_file: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The command line of a guard of this trader and page, at an exchange ten times as fast as the machine."""
    env_file = tmp_path / "env.list"
    env_file.write_text(f"KALSHI_GUARD_KEY_ID={KEY_ID}\nKALSHI_GUARD_PRIVATE_KEY_PATH={key_file}\n")
    origin = f"{time.monotonic_ns()},{time.time():.6f},10"

    def line(page: Path, trader: int, *more: str) -> list[str]:
        return [sys.executable, str(ROOT / "bin" / "chimera-guard"), "--page", str(page), "--trader", str(trader),
                "--rest-url", exchange.url, "--clock-origin", origin, "--env-file", str(env_file), *more]  # fmt: skip

    return line


def guarded(page: Path) -> bool:
    return Page.open(page).guarded(time.monotonic())


def test_it_fires_when_the_trader_dies_and_ends_with_6(exchange, trader, command) -> None:
    with subprocess.Popen(command(trader.page, trader.pid), stderr=subprocess.PIPE, text=True) as guard:
        wait_until("the guard watches", lambda: guarded(trader.page))
        trader.process.kill()
        wait_until("the book is empty", lambda: exchange.emptied_at)
        assert guard.wait(15.0) == 6
        assert guard.stderr is not None
        assert '"cause": "death"' in guard.stderr.read()


def test_it_ends_with_0_when_the_trader_is_released(exchange, trader, command) -> None:
    with subprocess.Popen(command(trader.page, trader.pid), stderr=subprocess.PIPE) as guard:
        wait_until("the guard watches", lambda: guarded(trader.page))
        trader.do("release")
        assert guard.wait(5.0) == 0
    assert exchange.emptied_at is None
    assert trader.process.poll() is None


def test_it_lives_in_a_session_of_its_own_and_outlives_what_ends_a_terminal(exchange, trader, command) -> None:
    with subprocess.Popen(command(trader.page, trader.pid, "--parent-pipe"), stdin=subprocess.PIPE, stderr=subprocess.PIPE) as guard:
        wait_until("the guard watches", lambda: guarded(trader.page))
        assert os.getsid(guard.pid) == guard.pid
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            guard.send_signal(number)
        wait_until("latched", lambda: Page.open(trader.page).latched)
        assert Page.open(trader.page).read().latch is Latch.GUARD_STOPPED
        assert guard.poll() is None
        assert guard.stdin is not None
        guard.stdin.close()
        wait_until("the book is empty", lambda: exchange.emptied_at)
        assert guard.wait(15.0) == 6


def test_a_key_the_exchange_does_not_know_ends_it_with_5(exchange, trader, command, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.touch(0o600)
    stranger.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    exchange.refuse_strangers = True
    environment = os.environ | {"KALSHI_GUARD_PRIVATE_KEY_PATH": str(stranger)}
    done = subprocess.run(command(trader.page, trader.pid), capture_output=True, text=True, env=environment)
    assert done.returncode == 5
    assert "cannot list the account's orders" in done.stderr
    assert not guarded(trader.page)


def test_without_a_key_of_its_own_it_ends_with_5(trader, command, tmp_path: Path) -> None:
    (tmp_path / "env.list").write_text("KALSHI_KEY_ID=trader\n")
    done = subprocess.run(command(trader.page, trader.pid), capture_output=True, text=True)
    assert done.returncode == 5
    assert "a key of its own" in done.stderr


def test_a_trader_that_is_gone_already_cannot_be_watched(trader, command) -> None:
    trader.process.kill()
    trader.process.wait()
    done = subprocess.run(command(trader.page, trader.pid), capture_output=True, text=True)
    assert done.returncode == 1
    assert "no process" in done.stderr


def test_the_operator_undoes_a_latch_only_while_no_trader_runs(trader, command) -> None:
    Page.open(trader.page).latch(Latch.DEATH, 1.0)
    unlatch = [sys.executable, str(ROOT / "bin" / "chimera-guard"), "--page", str(trader.page), "--unlatch"]
    held = subprocess.run(unlatch, capture_output=True, text=True)
    assert held.returncode == 4
    assert Page.open(trader.page).latched
    trader.process.kill()
    trader.process.wait()
    done = subprocess.run(unlatch, capture_output=True, text=True)
    assert done.returncode == 0
    assert "no longer latched (death)" in done.stdout
    assert not Page.open(trader.page).latched
