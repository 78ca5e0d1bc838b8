"""What the tests of the Kalshi client lean on: two keys, and a door that answers from a table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from chimera.clock import WorldClock
from chimera.errors import FeedError
from chimera.intake import Connection, Door, Frame
from chimera.kalshi.auth import PrivateKey, Signer
from chimera.kalshi.session import ExchangeSession

Scripted = tuple[int, bytes] | FeedError


class TableDoor(Door):
    """Answers documents from `answers`, by stream name: each name's answers in turn, the last one for ever."""

    def __init__(self, answers: Mapping[str, list[Scripted]]) -> None:
        super().__init__()
        self.answers = {name: list(queue) for name, queue in answers.items()}
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def get(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0) -> Frame:
        self.asked.append((stream, url, dict(headers or {})))
        queue = self.answers.get(stream)
        if not queue:
            raise FeedError(f"{stream}: the table has no answer")
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, FeedError):
            raise answer
        return self._enter(Frame(stream, 0, 0.0, answer[1], answer[0]))

    @asynccontextmanager
    async def connect(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None) -> AsyncIterator[Connection]:
        raise FeedError(f"{stream}: the table has no connections")
        yield  # pragma: no cover


@pytest.fixture(scope="session")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="session")
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


@pytest.fixture(params=["rsa", "ed25519"])
def key(request: pytest.FixtureRequest) -> PrivateKey:
    """Either kind of key that Kalshi takes."""
    return request.getfixturevalue(f"{request.param}_key")


@pytest.fixture(scope="session")
def pem():
    """A private key as Kalshi hands it out."""

    def write(key: PrivateKey) -> bytes:
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    return write


@pytest.fixture
def session(ed25519_key: ed25519.Ed25519PrivateKey) -> ExchangeSession:
    """A session in a world ten times as fast, so that waits for tokens and retries are short."""
    signer = Signer("00000000-0000-4000-8000-00000000abcd", ed25519_key)
    return ExchangeSession(signer, WorldClock(speed=10.0), rest_url="http://exchange.test", ws_url="ws://exchange.test")


@pytest.fixture
def table_door() -> type[TableDoor]:
    return TableDoor
