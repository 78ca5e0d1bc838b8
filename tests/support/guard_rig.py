"""A loopback exchange that knows only what a guard asks for, with the faults a guard must live through; and a trader to be killed.

A named fake: it says what was asked of it, in order, and when its book became empty.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chimera.clock import WorldClock
from chimera.guard.line import Line
from chimera.kalshi.auth import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, Signer, verify
from chimera.kalshi.session import ExchangeSession

KEY_ID = "guard-key"


class Exchange:
    """`orders` rest until somebody cancels them. Each fault is a number that counts down."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.orders: set[str] = {f"order-{number}" for number in range(1200)}
        self.windows: list[dict[str, str]] = []
        self.refuse_cancels = 0
        self.drop_cancels = 0
        self.ignore_cancels = 0
        self.refuse_strangers = False
        self.asked: list[tuple[str, str]] = []
        self.emptied_at: float | None = None
        self.peers: set[int] = set()
        self._key = key.public_key()
        exchange = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                exchange.get(self)

            def do_DELETE(self) -> None:
                exchange.delete(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Connections that are cut are what some tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def serving(self) -> Iterator[Exchange]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def get(self, request: BaseHTTPRequestHandler) -> None:
        if self.refuse_strangers:
            self._answer(request, 401, {"error": {"code": "authentication_error"}})
            return
        path, _, query = self._admit(request)
        if path.endswith("/exchange/schedule"):
            self._answer(request, 200, {"schedule": {"standard_hours": [], "maintenance_windows": self.windows}})
        elif path.endswith("/portfolio/orders"):
            start = int(query.partition("cursor=")[2] or 0)
            rows = sorted(self.orders)[start : start + 1000]
            cursor = str(start + 1000) if start + 1000 < len(self.orders) else ""
            self._answer(request, 200, {"orders": [{"order_id": row} for row in rows], "cursor": cursor})
        else:
            self._answer(request, 200, {"exchange_active": True, "trading_active": True})

    def delete(self, request: BaseHTTPRequestHandler) -> None:
        self._admit(request)
        if self.drop_cancels:
            self.drop_cancels -= 1
            request.close_connection = True
            request.connection.close()
        elif self.refuse_cancels:
            self.refuse_cancels -= 1
            self._answer(request, 503, {"error": {"code": "exchange_unavailable"}})
        else:
            if self.ignore_cancels:
                self.ignore_cancels -= 1
            else:
                self.orders.clear()
                self.emptied_at = time.monotonic()
            self._answer(request, 204, None)

    def _admit(self, request: BaseHTTPRequestHandler) -> tuple[str, str, str]:
        path, mark, query = request.path.partition("?")
        self.asked.append((request.command, path.removeprefix("/trade-api/v2")))
        self.peers.add(request.client_address[1])
        signed = verify(
            self._key, timestamp=request.headers[TIMESTAMP_HEADER], method=request.command, path=path,
            signature=request.headers[SIGNATURE_HEADER],
        )  # fmt: skip
        assert signed
        assert request.headers[KEY_HEADER] == KEY_ID
        return path, mark, query

    @staticmethod
    def _answer(request: BaseHTTPRequestHandler, status: int, document: Any) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def exchange(key: Ed25519PrivateKey) -> Iterator[Exchange]:
    with Exchange(key).serving() as serving:
        yield serving


@pytest.fixture
def clock() -> WorldClock:
    """A world ten times as fast, so that 65 s of verification are 6.5."""
    return WorldClock(speed=10.0)


@pytest.fixture
def line(exchange: Exchange, key: Ed25519PrivateKey, clock: WorldClock) -> Iterator[Line]:
    made = Line(ExchangeSession(Signer(KEY_ID, key), clock, rest_url=exchange.url, ws_url="ws://127.0.0.1"))
    yield made
    made.close()


@pytest.fixture
def key_file(key: Ed25519PrivateKey, tmp_path: Path) -> Path:
    path = tmp_path / "guard.pem"
    path.touch(0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


TRADER = """
import sys, time
from pathlib import Path
from chimera.guard.page import Page, Phase
page = Page.create(Path(sys.argv[1]))
page.progressed(time.monotonic())
print("ready", flush=True)
sent = Path(sys.argv[1] + ".sent")
while True:
    page.progressed(time.monotonic())
    word = Path(sys.argv[1] + ".do")
    match word.read_text() if word.exists() else "":
        case "hold":
            pow(7, 30_000_000)  # tens of seconds in C, with the GIL held
        case "release":
            page.enter(Phase.RELEASED)
            time.sleep(60)
        case "abandon":
            page.enter(Phase.ABANDONED)
        case "late":
            page.expect(time.monotonic() + 0.1)
            word.unlink()
    if not page.latched:
        sent.write_text(str(time.monotonic()))
    time.sleep(0.02)
"""


class Trader:
    """A process that stamps its page and "sends orders" (writes a file) while the page is not latched."""

    def __init__(self, page: Path, process: subprocess.Popen[str]) -> None:
        self.page, self.process, self.pid = page, process, process.pid

    def do(self, what: str) -> None:
        part = self.page.with_name("part")
        part.write_text(what)
        part.replace(str(self.page) + ".do")

    def sent_at(self) -> float:
        return float(Path(str(self.page) + ".sent").read_text())


@pytest.fixture
def trader(tmp_path: Path) -> Iterator[Trader]:
    page = tmp_path / "page"
    with subprocess.Popen([sys.executable, "-c", TRADER, str(page)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Trader(page, process)
        process.kill()


def wait_until(what: str, holds: Callable[[], object], within: float = 10.0) -> None:
    """Wait for something another process does; AssertionError if it does not within machine seconds."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not so within {within:g} s: {what}"
        time.sleep(0.005)
