"""The guard's line: three requests over warm connections, and what becomes of them when the exchange does not behave."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chimera.clock import WorldClock
from chimera.errors import VenueError
from chimera.guard.line import Line
from chimera.kalshi.auth import Signer
from chimera.kalshi.session import ExchangeSession


def test_the_list_is_read_over_all_its_pages(exchange, line: Line) -> None:
    assert set(line.resting()) == exchange.orders
    assert len(exchange.orders) == 1200


def test_cancel_all_empties_the_book(exchange, line: Line) -> None:
    line.cancel_all()
    assert line.resting() == ()


def test_a_refused_cancel_all_is_an_error(exchange, line: Line) -> None:
    exchange.refuse_cancels = 1
    with pytest.raises(VenueError, match=r"HTTP 503.*exchange_unavailable"):
        line.cancel_all()


def test_a_broken_connection_is_replaced_within_the_request(exchange, line: Line) -> None:
    line.resting()
    exchange.drop_cancels = 1
    line.cancel_all()
    assert exchange.orders == set()


def test_a_ping_leaves_a_connection_free_for_the_cancel(exchange, line: Line) -> None:
    line.resting()
    line.ping()
    line.cancel_all()
    assert exchange.orders == set()
    line.pong()
    assert len(exchange.peers) == 2
    assert line.waiting() is None


def test_pings_keep_both_connections_warm(exchange, line: Line) -> None:
    for _ in range(4):
        line.ping()
        line.pong()
    line.cancel_all()
    assert len(exchange.peers) == 2


def test_an_exchange_that_is_not_there_is_an_error(key: Ed25519PrivateKey, clock: WorldClock) -> None:
    line = Line(ExchangeSession(Signer("k", key), clock, rest_url="http://127.0.0.1:1", ws_url="ws://127.0.0.1"))
    with pytest.raises(VenueError, match="no answer: ConnectionRefusedError"):
        line.cancel_all()
    with pytest.raises(VenueError, match="connection to the exchange is gone"):
        line.ping()


def test_announced_maintenance_is_read(exchange, line: Line) -> None:
    exchange.windows = [{"start_datetime": "2026-11-26T08:00:00Z", "end_datetime": "2026-11-26T10:00:00Z"}]
    assert line.maintenance() == ((1_795_680_000.0, 1_795_687_200.0),)


def test_a_schedule_that_cannot_be_read_is_an_error(exchange, line: Line) -> None:
    exchange.windows = [{"start_datetime": "soon"}]
    with pytest.raises(VenueError, match="schedule cannot be read"):
        line.maintenance()
