"""ESPN gone wrong: the oracle keeps what it knew, says so, ages out, its orders are pulled, and it recovers by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from chimera.audit.orders import audit_orders
from chimera.settings import Registry
from chimera.trading import venue_log as log
from chimera.trading.reasons import Reason
from harness import moved, read_log, registry, shadowing

pytestmark = pytest.mark.system

STALE_S, QUOTE_AGE_S = 15.0, 10.0

FAULTS = {
    "answers 500": (500, b'{"code":500}', None, "HTTP 500"),
    "empty": (200, b"", None, "the body is empty"),
    "malformed": (200, b'{"events": [}', None, "JSON is malformed"),
    "another document": (200, b'{"leagues": [], "events": []}', None, "league"),
    "truncated": (200, b'{"leagues": [', 5000, "RemoteProtocolError"),
}
"""What is answered instead: the status, the body, the length that is claimed where it is another, and what the oracle says of it."""


class Proxy:
    """ESPN's site on a port of its own. `fault` names what is wrong with it now; nothing where it is empty."""

    def __init__(self, upstream: str) -> None:
        self.fault = ""
        self._upstream = httpx.Client(base_url=upstream, trust_env=False)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body, claimed, _ = FAULTS[proxy.fault] if proxy.fault else proxy.fetch(self.path)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(claimed or len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = claimed is not None

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def fetch(self, path: str) -> tuple[int, bytes, int | None, str]:
        answer = self._upstream.get(path)
        return answer.status_code, answer.content, None, ""

    @contextmanager
    def serving(self) -> Iterator[str]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{self._server.server_address[1]}"
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()
            self._upstream.close()


def for_a_test(given: Registry) -> Registry:
    """The registry with less patience for silence, and enough for a quote to outlive the first bad answers by far."""
    signal = given.signals[0]
    thresholds = signal.thresholds.model_copy(update={"stale_seconds": STALE_S, "quote_age_seconds": QUOTE_AGE_S})
    return given.model_copy(update={"signals": [signal.model_copy(update={"thresholds": thresholds})]})


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_feed_that_fails_ages_out_and_recovers(ready: Path, tmp_path: Path, fault: str) -> None:
    proxy, journal = Proxy(json.loads(ready.read_text())["espn_url"]), tmp_path / "journal.db"
    with proxy.serving() as url:
        async with shadowing(moved(ready, tmp_path / "ready.json", espn_url=url), journal, rules=for_a_test(registry())) as shadow:
            await shadow.quoting()
            began = shadow.clock.now()
            proxy.fault = fault
            await shadow.until("the oracle says so", lambda: FAULTS[fault][-1] in shadow.says("nba"))
            assert shadow.resting(), "one bad answer voids nothing"
            await shadow.until("the oracle is stale", lambda: shadow.says("nba").startswith("stale"))
            assert "no good poll" in shadow.says("nba")
            await shadow.until("every order is pulled", lambda: not shadow.resting())
            silent = shadow.lines()
            later = shadow.clock.now() + STALE_S
            await shadow.until("it lasts", lambda: shadow.clock.now() >= later)
            assert shadow.sent_since(silent) == []
            assert shadow.says("nba").startswith("stale")

            proxy.fault = ""
            await shadow.until("the oracle is ready again", lambda: shadow.says("nba").startswith("ready"))
            await shadow.quoting()
            assert shadow.deaths == []
    fired = [line for line in read_log(journal) if isinstance(line, log.Fired) and line.at > began]
    assert Reason.FEED_STALE.value in {line.reason for line in fired if line.scope.startswith("UNIT:")}
    assert audit_orders(journal).offences == ()
