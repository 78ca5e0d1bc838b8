"""The real process: ready when it says so, private, and gone without a trace when told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from chimera.kalshi.auth import load_signer
from chimera.settings import load_environment


@contextmanager
def started(root: Path, folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], dict]]:
    ready_file = folder / "ready.json"
    command = [sys.executable, str(root / "bin" / "chimera-sim"), "--ready-file", str(ready_file), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            deadline = time.monotonic() + 20
            while not ready_file.exists():
                assert child.poll() is None, child.stderr.read().decode()
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield child, json.loads(ready_file.read_text())
        finally:
            child.kill()


@pytest.mark.system
def test_it_serves_what_the_ready_file_names_and_ends_clean_on_sigterm(root: Path, tmp_path: Path) -> None:
    origin = f"{time.monotonic_ns()},{time.time()},5"
    with started(root, tmp_path, "--seed", "3", "--clock-origin", origin) as (child, ready):
        assert (ready["seed"], ready["speed"]) == (3, 5.0)
        markets = httpx.get(f"{ready['rest_url']}/markets", params={"series_ticker": "KXNBAGAME"}).json()["markets"]
        assert [market["ticker"] for market in markets] == ready["markets"]
        world = ready["world_unix"] + (time.monotonic_ns() - ready["monotonic_ns"]) * 1e-9 * ready["speed"]
        for key in ("", "guard_"):
            signer = load_signer(ready[f"{key}key_id"], ready[f"{key}private_key_path"])
            headers = signer.headers("GET", "/trade-api/v2/account/limits", int(world * 1000))
            assert httpx.get(f"{ready['rest_url']}/account/limits", headers=headers).status_code == 200
        board = httpx.get(f"{ready['espn_url']}/apis/site/v2/sports/basketball/nba/scoreboard").json()
        assert len(board["events"]) == 4
        state = httpx.get(ready["admin_url"], headers={"authorization": f"Bearer {ready['admin_token']}"}).json()
        assert state["counts"]["changes"] > 0
        assert httpx.get(ready["admin_url"]).status_code == 401
        environment = load_environment(Path(ready["env_file"]))
        assert environment.kalshi_key_id == ready["key_id"]
        assert (tmp_path / "ready.json").stat().st_mode & 0o077 == 0
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    assert os.listdir(tmp_path) == []


@pytest.mark.system
def test_it_ends_with_its_parent_when_asked(root: Path, tmp_path: Path) -> None:
    with started(root, tmp_path, "--exit-with-parent") as (child, _):
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(10) == 0
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("origin", ["now", "1,2", "1,2,11", "1,2,x"])
def test_a_clock_that_cannot_be_is_a_usage_error(root: Path, tmp_path: Path, origin: str) -> None:
    from click.testing import CliRunner

    from actors.cli.sim import main

    result = CliRunner().invoke(main, ["--ready-file", str(tmp_path / "ready.json"), "--clock-origin", origin])
    assert result.exit_code == 2
    assert "MONO_NS,WORLD_UNIX,SPEED" in result.output
