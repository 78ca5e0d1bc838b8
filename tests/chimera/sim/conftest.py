"""A simulator in this process, on a real port, whose time the test moves; and an exchange without a public, for tests of order entry."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import httpx
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from trio_websocket import WebSocketConnection, open_websocket_url

from chimera.clock import WorldClock
from chimera.conventions import CENT, CONTRACT, DOLLAR, Side
from chimera.kalshi.auth import Signer
from chimera.sim.exchange.access import Access, ApiKey
from chimera.sim.exchange.crowd import Crowd
from chimera.sim.exchange.engine import Book
from chimera.sim.exchange.exchange import Exchange
from chimera.sim.exchange.members import Member
from chimera.sim.exchange.recorded import RecordedListing
from chimera.sim.exchange.stream import Session
from chimera.sim.process import Key, Keys, make_site
from chimera.sim.server import Held, Request, Response, open_port, port_of, serve
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


# An exchange without a public: nothing happens that the test does not do


def listing(ticker: str, event: str, shard: int = 3, *, category: str = "Sports", fee_type: str = "quadratic") -> RecordedListing:
    document = {
        "ticker": ticker,
        "event_ticker": event,
        "market_type": "binary",
        "open_time": "2026-01-01T00:00:00Z",
        "close_time": "2036-01-01T00:00:00Z",
        "settlement_timer_seconds": 60,
        "status": "active",
        "result": "yes" if ticker.endswith("A") else "no",
        "exchange_index": shard,
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
    }
    return RecordedListing(document, category=category, fee_type=fee_type)


A, B, CRYPTO, MAKERS = "KXG-1-A", "KXG-1-B", "KXC-1-A", "KXM-1-A"
"""Two markets of one event, one on a shard without cash, one that charges makers."""


@attrs.define
class Desk:
    """A member at an exchange whose clock and public are the test's."""

    clock: HandClock
    site: SimSite
    signer: Signer
    made: int = 0
    paced: bool = True

    @property
    def exchange(self) -> Exchange:
        return self.site.exchange

    @property
    def member(self) -> Member:
        return self.exchange.member

    def book(self, ticker: str = A) -> Book:
        return self.exchange.floor.contracts[ticker].book

    def pass_time(self, seconds: float) -> None:
        """Let time pass, in steps, so that what is due happens when it is due."""
        self.clock.time += seconds
        while self.exchange.crowd.advance(self.clock.time, at_most=1000):
            pass

    def public(self, side: Side, cents: int, count: int, *, ticker: str = A, immediate: bool = False) -> None:
        """Somebody else trades: whole contracts."""
        self.exchange.floor.submit(
            ticker, "public", side, cents * CENT, count * CONTRACT, self.clock.time, immediate=immediate
        )

    def ask(self, method: str, path: str, body: object = None, **query: object) -> Response:
        """One signed request, its answer at once; time is let pass first, so that no limit is met unless the test wants to."""
        if self.paced:
            self.pass_time(1.0)
        answer = self.raw(method, path, b"" if body is None else json.dumps(body).encode(), **query)
        assert isinstance(answer, Response)
        return answer

    def raw(self, method: str, path: str, body: bytes = b"", signer: Signer | None = None, **query: object) -> Response | Held:
        full = f"/trade-api/v2/{path}"
        signed = (signer or self.signer).headers(method, full, int(self.clock.time * 1000))
        params = {name: [str(value)] for name, value in query.items()}
        return self.site.respond(Request(method, full, params, {name.lower(): value for name, value in signed.items()}, body))

    def get(self, path: str, **query: object) -> dict:
        answer = self.ask("GET", path, **query)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def order(self, **changes: object) -> dict[str, object]:
        """A create request: a bid for one contract at 40 cents, with an id of its own."""
        self.made += 1
        order = {
            "ticker": A,
            "side": "bid",
            "count": "1.00",
            "price": "0.4000",
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
            "client_order_id": f"order-{self.made}",
            "exchange_index": 3,
        }
        return {name: value for name, value in (order | changes).items() if value is not None}

    def create(self, **changes: object) -> dict:
        answer = self.ask("POST", "portfolio/events/orders", self.order(**changes))
        assert answer.status == 201, answer.body
        return json.loads(answer.body)

    def refused(self, **changes: object) -> tuple[int, str]:
        """(status, code) of a create that is refused."""
        answer = self.ask("POST", "portfolio/events/orders", self.order(**changes))
        return error_of(answer)

    def shown(self, order_id: str) -> dict:
        return self.get(f"portfolio/orders/{order_id}")["order"]

    def cancel(self, order_id: str, **query: object) -> Response:
        return self.ask("DELETE", f"portfolio/events/orders/{order_id}", **({"exchange_index": 3} | query))

    def faults(self, spec: str) -> None:
        self.site.install(spec)
        self.pass_time(0.0)

    def ear(self) -> Ear:
        """A session on the stream that has asked for nothing yet."""
        return Ear(self)

    def listen(self, *channels: str, tickers: list[str] | None = None, **more: object) -> Ear:
        """A session on the stream, subscribed."""
        ear = Ear(self)
        ear.command("subscribe", channels=list(channels), **({"market_tickers": tickers} if tickers else {}), **more)
        ear.heard.clear()
        return ear


def error_of(answer: Response) -> tuple[int, str]:
    body = json.loads(answer.body)
    inner = body.get("error", body)
    return answer.status, inner if isinstance(inner, str) else inner.get("code", "")


class Pipe:
    """A WebSocket whose other end is a list."""

    def __init__(self) -> None:
        self.heard: list[dict] = []
        self.backlog = 0
        self.closing = False
        self.was_reset = False

    def say(self, text: str) -> bool:
        if not self.closing:
            self.heard.append(json.loads(text))
        return not self.closing

    def close(self, code: int = 1000, reason: str = "", *, last: str | None = None) -> None:
        if last is not None:
            self.say(last)
        self.closing = True

    def reset(self) -> None:
        self.closing = self.was_reset = True


class Ear:
    """A session in this process, and what it hears."""

    def __init__(self, desk: Desk) -> None:
        self.pipe = Pipe()
        self.session = Session(desk.site.switchboard, self.pipe, desk.member)  # type: ignore[arg-type]
        desk.site.switchboard.sessions.add(self.session)
        self._number = 0

    @property
    def heard(self) -> list[dict]:
        return self.pipe.heard

    def command(self, cmd: str, **params: object) -> None:
        self._number += 1
        self.session._command(json.dumps({"id": self._number, "cmd": cmd, "params": params}))

    def of(self, kind: str) -> list[dict]:
        """The messages of one type."""
        return [message["msg"] for message in self.heard if message["type"] == kind]


def make_desk(*, cash: dict[int, int] | None = None, seed: int = 1, tier: str = "basic") -> Desk:
    clock = HandClock()
    private = ed25519.Ed25519PrivateKey.generate()
    signer = Signer(str(uuid.uuid4()), private)
    listed = [listing(A, "KXG-1"), listing(B, "KXG-1"), listing(CRYPTO, "KXC-1", 2, category="Crypto"),
              listing(MAKERS, "KXM-1", fee_type="quadratic_with_maker_fees")]  # fmt: skip
    exchange = Exchange(listed, seed, clock.now, cash=cash or {0: 0, 2: 0, 3: 1000 * DOLLAR}, tier=tier)
    access = Access({signer.key_id: ApiKey(private.public_key())})
    return Desk(clock, SimSite.bare(clock, exchange, access), signer)


@pytest.fixture
def desk() -> Desk:
    return make_desk()


@pytest.fixture(scope="session")
def new_desk() -> Callable[[], Desk]:
    """For tests that need one an example."""
    return make_desk
