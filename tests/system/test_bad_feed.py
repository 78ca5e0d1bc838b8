"""ESPN gone wrong: the oracle keeps what it knew, says so, ages out, its orders are pulled, and it recovers by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from harness import Shadow, moved, read_log, registry, shadowing

from chimera.audit.orders import audit_orders
from chimera.settings import Registry
from chimera.trading import venue_log as log
from chimera.trading.reasons import Reason

pytestmark = pytest.mark.system

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


@asynccontextmanager
async def feed_at_risk(ready: Path, folder: Path) -> AsyncIterator[tuple[Proxy, Shadow]]:
    """A run that reads ESPN through a proxy."""
    proxy = Proxy(json.loads(ready.read_text())["espn_url"])  # noqa: ASYNC240
    with proxy.serving() as url:
        there = moved(ready, folder / "ready.json", espn_url=url)
        async with shadowing(there, folder / "journal.db", rules=with_lasting_quotes(registry())) as shadow:
            yield proxy, shadow


def with_lasting_quotes(given: Registry) -> Registry:
    """The registry, but a quote outlives the first bad answers by far."""
    signal = given.signals[0]
    thresholds = signal.thresholds.model_copy(update={"quote_age_seconds": 15.0})
    return given.model_copy(update={"signals": [signal.model_copy(update={"thresholds": thresholds})]})


def stale_kills(journal: Path) -> list[log.Fired]:
    return [line for line in read_log(journal) if isinstance(line, log.Fired) and line.reason == Reason.FEED_STALE.value]


async def test_a_bad_answer_is_said_and_costs_nothing(ready: Path, tmp_path: Path) -> None:
    async with feed_at_risk(ready, tmp_path) as (proxy, shadow):
        for fault, (*_, complaint) in FAULTS.items():
            await shadow.quoting()
            proxy.fault = fault
            await shadow.until(f"{fault}: the oracle says so", lambda complaint=complaint: complaint in shadow.says("nba"))
            assert shadow.resting(), f"{fault}: what was known is still believed"
            proxy.fault = ""
            await shadow.until(f"{fault}: the oracle is content", lambda complaint=complaint: complaint not in shadow.says("nba"))
            assert shadow.says("nba").startswith("ready")
        assert shadow.deaths == []
    assert audit_orders(shadow.journal).offences == ()


async def test_a_feed_that_stays_bad_ages_out_and_its_orders_are_pulled_until_it_recovers(ready: Path, tmp_path: Path) -> None:
    async with feed_at_risk(ready, tmp_path) as (proxy, shadow):
        await shadow.quoting()
        for fault in FAULTS:
            proxy.fault = fault
            until = shadow.clock.now() + 4.0
            await shadow.until("a few polls went wrong that way", lambda until=until: shadow.clock.now() >= until)
        await shadow.until("every order is pulled", lambda: not shadow.resting())
        silent = shadow.lines()
        await shadow.until("the oracle is stale", lambda: "no good poll" in shadow.says("nba"))
        assert shadow.says("nba").startswith("stale")
        assert FAULTS[fault][-1] in shadow.says("nba")
        assert {line.scope.partition(":")[0] for line in stale_kills(shadow.journal)} == {"UNIT"}
        assert shadow.sent_since(silent) == []

        proxy.fault = ""
        await shadow.until("the oracle is ready again", lambda: shadow.says("nba").startswith("ready"))
        await shadow.quoting()
        assert shadow.deaths == []
    assert audit_orders(shadow.journal).offences == ()
