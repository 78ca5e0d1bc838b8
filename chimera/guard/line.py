"""The guard's own line to the exchange: its key, two warm connections, and the three requests it knows.

Blocking, on the standard library alone, so that nothing it needs is shared with the trader. A request goes out on the connection that was
proved most recently; pings travel on the other, so a cancel-all never waits behind one. Whatever goes wrong is a `VenueError`.
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
import ssl
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from chimera.errors import VenueError
from chimera.kalshi.session import ExchangeSession

ANSWER_WITHIN_S: Final = 2.0
"""Machine seconds for connecting, and for each piece of an answer."""
PAGE: Final = 1000
_MAX_PAGES: Final = 250
"""Kalshi admits 200,000 open orders."""


class Line:
    """Two connections to one exchange. `ca_path` names the only certificates to trust, in place of the public ones."""

    def __init__(self, session: ExchangeSession, *, ca_path: Path | None = None) -> None:
        parts = urlsplit(session.rest_url)
        self._session = session
        self._host, self._port = parts.hostname or "", parts.port
        self._tls = ssl.create_default_context(cafile=None if ca_path is None else str(ca_path)) if parts.scheme == "https" else None
        self._best = self._fresh()
        self._spare = self._fresh()
        self._pinged_at: float | None = None

    def _fresh(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_WITHIN_S)
        return http.client.HTTPSConnection(self._host, self._port, timeout=ANSWER_WITHIN_S, context=self._tls)

    def close(self) -> None:
        for connection in (self._best, self._spare):
            connection.close()

    # The three requests

    def cancel_all(self) -> None:
        """Cancel every order of the account, on every shard. VenueError where the exchange did not say that it has."""
        status, body = self._ask("DELETE", "/portfolio/events/orders")
        if status not in (200, 204):
            raise VenueError(f"cancel-all: HTTP {status} {_words(body)}")

    def resting(self) -> tuple[str, ...]:
        """The ids of all resting orders of the account, over all pages. VenueError where no complete list came."""
        found: dict[str, None] = {}
        cursor, seen = "", set[str]()
        for _ in range(_MAX_PAGES):
            more = f"&cursor={quote(cursor, safe='')}" if cursor else ""
            document = self._read(f"/portfolio/orders?status=resting&limit={PAGE}{more}")
            orders = document.get("orders")
            if not isinstance(orders, list):
                raise VenueError("the list of orders: the answer has no orders in it")
            for order in orders:
                if not isinstance(order, dict) or not isinstance(order.get("order_id"), str):
                    raise VenueError("the list of orders: an entry without an order id")
                found[order["order_id"]] = None
            cursor = document.get("cursor") or ""
            if not cursor:
                return tuple(found)
            if cursor in seen:
                break
            seen.add(cursor)
        raise VenueError("the list of orders: its pages do not end")

    def maintenance(self) -> tuple[tuple[float, float], ...]:
        """The announced maintenance windows, unix seconds from and to."""
        schedule = self._read("/exchange/schedule").get("schedule")
        windows = schedule.get("maintenance_windows") if isinstance(schedule, dict) else None
        try:
            return tuple((_unix(window["start_datetime"]), _unix(window["end_datetime"])) for window in windows or ())
        except (TypeError, KeyError, ValueError) as error:
            raise VenueError(f"the exchange's schedule cannot be read: {error!r}") from None

    def _read(self, path: str) -> dict[str, Any]:
        status, body = self._ask("GET", path)
        if status != 200:
            raise VenueError(f"GET {path.partition('?')[0]}: HTTP {status} {_words(body)}")
        try:
            document = json.loads(body)
        except ValueError:
            raise VenueError(f"GET {path.partition('?')[0]}: the answer is no JSON") from None
        if not isinstance(document, dict):
            raise VenueError(f"GET {path.partition('?')[0]}: the answer is no object")
        return document

    # Warmth

    def ping(self) -> None:
        """Send a ping on the spare connection, and return at once; `pong` takes the answer."""
        if self._pinged_at is not None:
            self._renew_spare()
        try:
            self._send(self._spare, "GET", "/exchange/status")
        except (OSError, http.client.HTTPException) as error:
            self._renew_spare()
            raise VenueError(f"the connection to the exchange is gone: {_why(error)}") from None
        self._pinged_at = time.monotonic()

    def waiting(self) -> int | None:
        """The descriptor on which the answer to a ping will come; None where none is due."""
        socket = self._spare.sock
        return None if self._pinged_at is None or socket is None else socket.fileno()

    def pong(self) -> None:
        """Take the answer to the ping; the connection it came on is now the one proved last. VenueError where it is none."""
        self._pinged_at = None
        try:
            answer = self._spare.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._renew_spare()
            raise VenueError(f"no answer to a ping: {_why(error)}") from None
        self._best, self._spare = self._spare, self._best

    def _renew_spare(self) -> None:
        self._spare.close()
        self._spare, self._pinged_at = self._fresh(), None

    # One request

    def _ask(self, method: str, path: str) -> tuple[int, bytes]:
        """The answer, on the warm connection; where that is broken, once more on a new one: all three requests may be sent twice."""
        failure: Exception | None = None
        for _ in range(2):
            try:
                self._send(self._best, method, path)
                sent = self._session.clock.now()
                answer = self._best.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                failure = error
                self._best.close()
                self._best = self._fresh()
                continue
            if date := answer.headers.get("Date"):
                self._session.observe_date(date, sent, self._session.clock.now())
            return answer.status, body
        raise VenueError(f"{method} {path.partition('?')[0]}: no answer: {_why(failure)}")

    def _send(self, connection: http.client.HTTPConnection, method: str, path: str) -> None:
        headers = self._session.headers(method, self._session.rest_prefix + path)
        connection.request(method, self._session.rest_prefix + path, headers=headers | {"User-Agent": "chimera-guard/4"})


def _unix(text: str) -> float:
    when = dt.datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return when.timestamp()


def _words(body: bytes) -> str:
    return body[:200].decode("utf-8", "replace").strip()


def _why(error: Exception | None) -> str:
    return f"{type(error).__name__}: {error}" if error is not None else "nothing was asked"
