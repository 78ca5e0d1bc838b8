"""A simulator in this process, on a real port, whose time the test moves."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import httpx
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from trio_websocket import WebSocketConnection, open_websocket_url

from chimera.clock import WorldClock
from chimera.kalshi.auth import Signer
from chimera.sim.exchange.crowd import Crowd
from chimera.sim.process import Key, Keys, make_site
from chimera.sim.server import open_port, port_of, serve
from chimera.sim.site import STREAM_PATH, SimSite

BEGINS = 1_795_000_000.0


class HandClock(WorldClock):
    """World time that stands still until the test moves it."""

    def __init__(self) -> None:
        super().__init__(origin_unix=BEGINS, origin_ns=0)
        self.time = BEGINS

    def now(self) -> float:
        return self.time


@attrs.define
class Sim:
    clock: HandClock
    site: SimSite
    crowd: Crowd
    keys: Keys
    port: int = 0
    listener: trio.SocketListener | None = None

    def pass_time(self, seconds: float) -> None:
        self.clock.time += seconds
        self.crowd.advance(self.clock.time, at_most=10**9)

    @property
    def signer(self) -> Signer:
        return Signer(self.keys.guard.key_id, self.keys.guard.private)

    @property
    def rsa_signer(self) -> Signer:
        return Signer(self.keys.trader.key_id, self.keys.trader.private)

    def headers(self, path: str, *, skew: float = 0.0, signer: Signer | None = None) -> dict[str, str]:
        return (signer or self.signer).headers("GET", path, int((self.clock.time + skew) * 1000))

    async def get(self, path: str, headers: dict[str, str] | None = None, **params: object) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}") as client:
            return await client.get(path, headers=headers, params=params)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[WebSocketConnection]:
        headers = [(name.encode(), value.encode()) for name, value in self.headers(STREAM_PATH).items()]
        async with open_websocket_url(f"ws://127.0.0.1:{self.port}{STREAM_PATH}", extra_headers=headers) as socket:
            yield socket


@pytest.fixture(scope="session")
def keys() -> Keys:
    trader = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    guard = ed25519.Ed25519PrivateKey.generate()
    return Keys(Key(str(uuid.uuid4()), trader, Path("trader.pem")), Key(str(uuid.uuid4()), guard, Path("guard.pem")))


@pytest.fixture
def still(keys: Keys) -> Sim:
    """A simulator without a port."""
    clock = HandClock()
    site, crowd = make_site(clock, 7, keys)
    return Sim(clock, site, crowd, keys)


@pytest.fixture
async def sim(still: Sim, nursery: trio.Nursery) -> Sim:
    """A simulator that serves."""
    listeners = await open_port(0)
    still.port, still.listener = port_of(listeners), listeners[0]

    async def serving() -> None:
        await serve(listeners, still.site, now=still.clock.now)

    nursery.start_soon(serving)
    still.pass_time(1.0)
    return still
