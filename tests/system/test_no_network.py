"""The network cut: the whole tree is up within a second, says what it waits for, ends in good order, or trades once there is one."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from harness import moved, shadowing

from actors.outcome import ExitCode
from actors.runtime.address import Phase
from chimera.audit.orders import audit_orders

pytestmark = pytest.mark.system

TREE = {
    "app", "memory", "journal", "trading", "safety", "venue", "gateway", "risk", "reconciler", "heartbeat", "exchange", "stream",
    "universe", "books", "strategy", "pricer.nba", "oracles", "nba.budget", "nba", "ops", "scorekeeper", "telemetry",
}  # fmt: skip


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """The ready file of a simulator that is not there: every connection is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = tmp_path / "key.pem"
    key.touch(0o600)
    key.write_bytes(pem)
    ready = tmp_path / "ready.json"
    addresses = {"rest_url": f"http://{host}/trade-api/v2", "ws_url": f"ws://{host}/trade-api/ws/v2", "espn_url": f"http://{host}"}
    clock = {"world_unix": time.time(), "monotonic_ns": time.monotonic_ns(), "speed": 5.0}
    ready.write_text(json.dumps(addresses | clock | {"key_id": "nobody", "private_key_path": str(key)}))
    return ready


async def test_the_tree_is_up_within_a_second_and_says_what_it_waits_for(cut: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    async with shadowing(cut, tmp_path / "journal.db") as shadow:
        addresses = {name: shadow.run.system.address(name) for name in TREE}
        await shadow.until("every actor runs", lambda: all(a.phase is Phase.RUNNING for a in addresses.values()))
        assert time.monotonic() - began < 1.0
        later = shadow.clock.now() + 10.0
        await shadow.until("ten seconds passed", lambda: shadow.clock.now() >= later)
        standings = await shadow.standings()
        assert standings["universe"].state == "stale"
        assert "KXNBAGAME: GET /series/KXNBAGAME: no answer" in standings["universe"].why
        assert (standings["stream"].state, standings["stream"].why) == ("idle", "no market is listed")
        assert {standings[name].state for name in ("nba", "pricer.nba")} <= {"idle", "connecting"}
        assert {name for name, address in addresses.items() if address.incarnation != 1} == set()
        assert shadow.deaths == []
    assert shadow.result is not None
    assert shadow.result.code is ExitCode.OK
    assert "universe" in shadow.result.summary.waiting
    assert shadow.result.summary.sent == 0


class Cable:
    """The way to a simulator. While it is cut, whoever connects is dropped at once."""

    def __init__(self, ready: Path) -> None:
        told = json.loads(ready.read_text())
        self.addresses: dict[str, str] = {name: told[name] for name in ("rest_url", "ws_url", "espn_url")}
        self.host, port = urlsplit(self.addresses["rest_url"]).netloc.split(":")
        self.port = int(port)
        self.cut = True

    async def serve(self, task_status: trio.TaskStatus[dict[str, str]]) -> None:
        """Serve until cancelled; hand over the addresses at this end."""
        listeners = await trio.open_tcp_listeners(0, host=self.host)
        port = listeners[0].socket.getsockname()[1]
        task_status.started({name: url.replace(f":{self.port}", f":{port}") for name, url in self.addresses.items()})
        await trio.serve_listeners(self._carry, listeners)

    async def _carry(self, near: trio.SocketStream) -> None:
        async with near:
            if self.cut:
                return
            async with await trio.open_tcp_stream(self.host, self.port) as far, trio.open_nursery() as nursery:
                nursery.start_soon(self._pour, far, near)
                await self._pour(near, far)
                nursery.cancel_scope.cancel()

    @staticmethod
    async def _pour(source: trio.SocketStream, target: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for chunk in source:
                await target.send_all(chunk)


async def test_a_network_that_comes_back_is_traded_over_by_itself(ready: Path, tmp_path: Path) -> None:
    cable = Cable(ready)
    async with trio.open_nursery() as nursery:
        addresses = await nursery.start(cable.serve)
        async with shadowing(moved(ready, tmp_path / "ready.json", **addresses), tmp_path / "journal.db") as shadow:
            await shadow.until("the exchange is missed", lambda: shadow.says("universe").startswith("stale"))
            cable.cut = False
            await shadow.quoting()
            assert shadow.deaths == []
        nursery.cancel_scope.cancel()
    assert audit_orders(shadow.journal).offences == ()
