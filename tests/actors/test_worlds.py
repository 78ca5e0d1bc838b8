"""Worlds: what `--world` may say, what a ready file must hold, and that nothing is left running behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.worlds import Kind, Place, open_world
from chimera.errors import ChimeraError, ConfigError, CredentialError
from chimera.settings import Environment, load_environment
from chimera.sim.process import _make_keys

WITHIN_S = 30.0
"""Machine seconds for a child process to come up or to go down, on a machine that is busy."""


def environment(**values: str) -> Environment:
    return load_environment(None, values)


KEYED = {"KALSHI_KEY_ID": "id", "KALSHI_PRIVATE_KEY_PATH": "/nowhere/key.pem"}


class TestPlace:
    """A world as it is asked for."""

    @pytest.mark.parametrize(
        ("text", "keyed", "kind", "path"),
        [
            (None, False, Kind.EMBEDDED, None),
            (None, True, Kind.LIVE, None),
            ("embedded", True, Kind.EMBEDDED, None),
            ("live", False, Kind.LIVE, None),
            ("demo", False, Kind.DEMO, None),
            ("sim:/run/ready.json", False, Kind.SIM, Path("/run/ready.json")),
        ],
    )
    def test_what_was_said_is_what_is_meant(self, text: str | None, keyed: bool, kind: Kind, path: Path | None) -> None:
        place = Place.parse(text, environment(**(KEYED if keyed else {})))
        assert (place.kind, place.path) == (kind, path)

    def test_a_directory_with_a_manifest_is_a_recording(self, tmp_path: Path) -> None:
        (tmp_path / "world.json").write_text("{}")
        place = Place.parse(str(tmp_path), environment())
        assert (place.kind, place.virtual, str(place)) == (Kind.RECORDING, True, str(tmp_path))

    @pytest.mark.parametrize("text", ["live", "demo", "embedded", "sim:/run/ready.json"])
    def test_it_is_written_as_it_is_read(self, text: str) -> None:
        assert str(Place.parse(text, environment())) == text

    def test_only_half_a_key_is_no_key(self) -> None:
        assert Place.parse(None, environment(KALSHI_KEY_ID="id")).kind is Kind.EMBEDDED

    @pytest.mark.parametrize(("text", "says"), [("Live", "no directory"), ("", "without a world.json"), ("/nowhere", "no directory")])
    def test_anything_else_is_refused_with_what_may_be_said(self, text: str, says: str) -> None:
        with pytest.raises(ConfigError, match=says) as caught:
            Place.parse(text, environment())
        assert "give live, demo, embedded, sim:READY_FILE or a directory" in str(caught.value)

    def test_a_directory_that_is_no_recording_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"without a world\.json"):
            Place.parse(str(tmp_path), environment())


async def opened(place: Place, env: Environment | None = None, speed: float | None = None) -> None:
    async with open_world(place, env or environment(), speed=speed, seed=0):
        pass


@pytest.fixture
def ready(tmp_path: Path) -> dict[str, Any]:
    """A ready file's content, with a key that works."""
    key = _make_keys(tmp_path).guard
    return {
        "rest_url": "http://127.0.0.1:1/trade-api/v2", "ws_url": "ws://127.0.0.1:1/ws", "key_id": key.key_id,
        "private_key_path": str(key.path), "espn_url": "http://127.0.0.1:1", "world_unix": 1_764_000_000.0,
        "monotonic_ns": time.monotonic_ns(), "speed": 2.0,
    }  # fmt: skip


class TestReadyFile:
    """A running simulator is found by its ready file; whatever is wrong with it is named."""

    async def test_the_world_s_clock_and_addresses_are_taken_from_it(self, tmp_path: Path, ready: dict[str, Any]) -> None:
        path = tmp_path / "ready.json"
        path.write_text(json.dumps(ready))
        async with open_world(Place(Kind.SIM, path), environment(), speed=None, seed=0) as world:
            assert world.clock.origin == (ready["monotonic_ns"], ready["world_unix"], 2.0)
            assert world.espn_url == ready["espn_url"]
            assert not world.clock.virtual

    @pytest.mark.parametrize("text", ["", "{", "5", "null", "[]", '"ready"', "{}", "\xff"])
    async def test_a_file_that_is_no_ready_file_is_refused_by_name(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "ready.json"
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(ConfigError, match=r"ready\.json: not a ready file of chimera-sim"):
            await opened(Place(Kind.SIM, path))

    @pytest.mark.parametrize("path", ["nothing-here.json", "."])
    async def test_a_file_that_cannot_be_read_is_refused(self, tmp_path: Path, path: str) -> None:
        with pytest.raises(ConfigError, match="not a ready file of chimera-sim"):
            await opened(Place(Kind.SIM, tmp_path / path))

    async def test_what_it_lacks_is_named(self, tmp_path: Path, ready: dict[str, Any]) -> None:
        del ready["ws_url"]
        path = tmp_path / "ready.json"
        path.write_text(json.dumps(ready))
        with pytest.raises(ConfigError, match="missing required field `ws_url`"):
            await opened(Place(Kind.SIM, path))

    @pytest.mark.parametrize(
        ("field", "value"),
        [("speed", 60.0), ("speed", 0), ("speed", "fast"), ("world_unix", "now"), ("monotonic_ns", None), ("rest_url", 5)],
    )
    async def test_a_field_that_cannot_be_used_is_named(self, tmp_path: Path, ready: dict[str, Any], field: str, value: object) -> None:
        path = tmp_path / "ready.json"
        path.write_text(json.dumps(ready | {field: value}))
        with pytest.raises(ConfigError, match=rf"ready\.json: not a ready file of chimera-sim: .*{field}"):
            await opened(Place(Kind.SIM, path))

    async def test_a_key_that_is_gone_is_a_credential_fault(self, tmp_path: Path, ready: dict[str, Any]) -> None:
        path = tmp_path / "ready.json"
        path.write_text(json.dumps(ready | {"private_key_path": str(tmp_path / "gone.pem")}))
        with pytest.raises(CredentialError, match="no such file"):
            await opened(Place(Kind.SIM, path))


class TestReal:
    """Kalshi itself is opened with a key or not at all."""

    @pytest.mark.parametrize("kind", [Kind.LIVE, Kind.DEMO])
    async def test_without_a_key_there_is_no_live_world(self, kind: Kind) -> None:
        with pytest.raises(CredentialError, match="needs KALSHI_KEY_ID and KALSHI_PRIVATE_KEY_PATH"):
            await opened(Place(kind))

    async def test_a_key_that_others_can_read_is_refused_with_the_remedy(self, tmp_path: Path) -> None:
        path = _make_keys(tmp_path).trader.path
        path.chmod(0o644)
        env = environment(KALSHI_KEY_ID="id", KALSHI_PRIVATE_KEY_PATH=str(path))
        with pytest.raises(CredentialError, match=f"run: chmod 600 {path}"):
            await opened(Place(Kind.LIVE), env)

    async def test_a_key_gives_the_world_that_was_named(self, tmp_path: Path) -> None:
        env = environment(KALSHI_KEY_ID="id", KALSHI_PRIVATE_KEY_PATH=str(_make_keys(tmp_path).trader.path))
        async with open_world(Place(Kind.DEMO), env, speed=None, seed=0) as world:
            assert (world.clock.speed, world.clock.virtual, world.notes) == (1.0, False, ())


class TestSpeed:
    """Only worlds that are made can be hurried."""

    @pytest.mark.parametrize("kind", [Kind.LIVE, Kind.DEMO, Kind.SIM])
    async def test_a_world_with_a_speed_of_its_own_takes_none(self, kind: Kind, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="--speed"):
            await opened(Place(kind, tmp_path if kind is Kind.SIM else None), speed=5.0)

    async def test_the_embedded_world_is_not_hurried_beyond_its_limit(self) -> None:
        with pytest.raises(ConfigError, match=r"--speed 10\.5: .* at most 10 times"):
            await opened(Place(Kind.EMBEDDED), speed=10.5)


PARENT = """
import trio
from actors.worlds import Kind, Place, open_world
from chimera.settings import load_environment

async def main():
    async with open_world(Place(Kind.EMBEDDED), load_environment(None, {}), speed=5.0, seed=3):
        print("open", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def _children(pid: int) -> list[int]:
    """Of all its threads: it is a worker thread that starts a process."""
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def _runs(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _ends(pid: int) -> bool:
    until = time.monotonic() + WITHIN_S
    while _runs(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not _runs(pid)


@pytest.mark.system
class TestEmbedded:
    """The embedded world is a child that lives exactly as long as it is needed."""

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_the_child_ends_with_its_parent_however_that_ends(self, number: signal.Signals, root: Path, tmp_path: Path) -> None:
        env = os.environ | {"TMPDIR": str(tmp_path)}
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root, env=env, text=True
        )
        assert parent.stdout is not None
        try:
            assert parent.stdout.readline() == "open\n"
            (child,) = _children(parent.pid)
            assert _runs(child)
            parent.send_signal(number)
            parent.wait(WITHIN_S)
        finally:
            parent.kill()
            parent.communicate()
        assert _ends(child)

    async def test_leaving_it_takes_the_child_and_its_files_away(self) -> None:
        async with open_world(Place(Kind.EMBEDDED), environment(), speed=5.0, seed=3) as world:
            assert world.clock.speed == 5.0
            (child,) = _children(os.getpid())
        assert not _runs(child)

    async def test_a_simulator_that_does_not_come_up_is_said_and_nothing_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(ChimeraError, match="the embedded world's simulator ended with 1"):
            await opened(Place(Kind.EMBEDDED))

    async def test_a_simulator_that_hangs_is_given_up_and_killed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        stubborn = tmp_path / "stubborn"
        stubborn.write_text("#!/bin/sh\necho $$ > " + str(tmp_path / "pid") + "\ntrap '' TERM\nexec sleep 60\n")
        stubborn.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(stubborn))
        monkeypatch.setattr("actors.worlds.READY_WITHIN_S", 0.3)
        monkeypatch.setattr("actors.worlds.STOP_WITHIN_S", 0.3)
        with trio.fail_after(WITHIN_S), pytest.raises(ChimeraError, match=r"was not ready within 0\.3 s"):
            await opened(Place(Kind.EMBEDDED))
        assert not _runs(int((tmp_path / "pid").read_text()))
