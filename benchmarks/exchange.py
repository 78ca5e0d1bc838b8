"""How fast the loopback exchange is: book changes matched, framed and sent to one client over a real socket, per second of one core.

`python benchmarks/exchange.py [--json] [--markets 200] [--seconds 5]` serves the markets in this process and lets a child read the stream.
`deltas_per_s` counts the deltas that the child read, over the processor time that this process used for everything: matching, trading,
JSON, WebSocket and socket. The goal is 5,000 with 200 markets.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import time
from multiprocessing.connection import Connection

import trio
import trio.lowlevel
import wsproto
from cryptography.hazmat.primitives.asymmetric import ed25519
from wsproto.events import AcceptConnection, Request, TextMessage

from chimera.clock import WorldClock
from chimera.conventions import CENT, CONTRACT, Side
from chimera.kalshi.auth import Signer
from chimera.sim.exchange.access import Access, ApiKey
from chimera.sim.exchange.engine import Refused
from chimera.sim.exchange.exchange import Exchange
from chimera.sim.exchange.recorded import RecordedListing
from chimera.sim.server import open_port, port_of, serve
from chimera.sim.site import STREAM_PATH, SimSite

GOAL = 5_000
SLICE = 64
"""Orders between two turns of the sockets."""


def listing(number: int) -> RecordedListing:
    """A market like any other."""
    return RecordedListing(
        {
            "ticker": f"KXBENCH-26NOV22E{number // 2:03d}-{'AB'[number % 2]}",
            "event_ticker": f"KXBENCH-26NOV22E{number // 2:03d}",
            "market_type": "binary",
            "open_time": "2026-01-01T00:00:00Z",
            "close_time": "2036-01-01T00:00:00Z",
            "status": "active",
            "price_level_structure": "linear_cent",
            "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        }
    )


class Public:
    """Makers who keep five levels a side around a price that wanders, and takers: one order or cancel a call, in a market at random."""

    def __init__(self, exchange: Exchange, seed: int) -> None:
        self._floor = exchange.floor
        self._rng = random.Random(seed)
        self._tickers = list(exchange.floor.contracts)
        self._mid = dict.fromkeys(self._tickers, 50)
        self._resting: dict[str, list[int]] = {ticker: [] for ticker in self._tickers}

    def act(self, at: float) -> None:
        rng, ticker = self._rng, self._rng.choice(self._tickers)
        mid = self._mid[ticker] = min(80, max(20, self._mid[ticker] + rng.choice((-1, 0, 0, 0, 1))))
        rows = self._resting[ticker]
        if len(rows) > 12 and rng.random() < 0.6:
            self._floor.cancel(ticker, rows.pop(rng.randrange(len(rows))), at)
            return
        side = rng.choice((Side.BID, Side.ASK))
        taking = rng.random() < 0.1
        distance = -1 if taking else rng.randint(1, 5)
        price = (mid - side.sign * distance) * CENT
        try:
            done = self._floor.submit(ticker, "maker", side, price, rng.randint(1, 50) * CONTRACT, at, immediate=taking)
        except Refused:
            return
        if done.rested:
            rows.append(done.order_id)


def client(port: int, headers: dict[str, str], tickers: list[str], pipe: Connection) -> None:
    """Read the stream for ever and say at the end how many deltas there were; runs in a child."""
    trio.run(_read, port, headers, tickers, pipe)


async def _read(port: int, headers: dict[str, str], tickers: list[str], pipe: Connection) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    signed = [(name.encode(), value.encode()) for name, value in headers.items()]
    await stream.send_all(protocol.send(Request(host="127.0.0.1", target=STREAM_PATH, extra_headers=signed)))
    protocol.receive_data(await stream.receive_some(65_536))
    assert any(isinstance(event, AcceptConnection) for event in protocol.events())
    params = {"channels": ["orderbook_delta", "trade"], "market_tickers": tickers, "use_yes_price": True}
    await stream.send_all(protocol.send(TextMessage(json.dumps({"id": 1, "cmd": "subscribe", "params": params}))))
    pipe.send("ready")
    deltas, tail = 0, b""
    while data := await stream.receive_some(1 << 20):
        # The child must be faster than the server: it counts the frames' opening and reads no further.
        whole = tail + data
        deltas += whole.count(b'{"type":"orderbook_delta"')
        tail = whole[-24:]
        deltas -= tail.count(b'{"type":"orderbook_delta"')
    pipe.send(deltas)


async def run(markets: int, seconds: float) -> dict[str, float]:
    """One measurement."""
    clock = WorldClock()
    private = ed25519.Ed25519PrivateKey.generate()
    signer = Signer("benchmark", private)
    exchange = Exchange([listing(number) for number in range(markets)], 1, clock.now)
    access = Access({signer.key_id: ApiKey(private.public_key())})
    site = SimSite.bare(clock, exchange, access)
    public = Public(exchange, 7)
    for _ in range(markets * 20):
        public.act(clock.now())
    listeners = await open_port(0)
    ours, theirs = multiprocessing.Pipe()
    headers = signer.headers("GET", STREAM_PATH, int(clock.now() * 1000))
    reader = multiprocessing.get_context("spawn").Process(
        target=client, args=(port_of(listeners), headers, list(exchange.floor.contracts), theirs), daemon=True
    )
    reader.start()
    async with trio.open_nursery() as nursery:

        async def serving() -> None:
            await serve(listeners, site, now=clock.now)

        nursery.start_soon(serving)
        await trio.to_thread.run_sync(ours.recv)
        before = exchange.floor.changes
        wall, cpu = time.perf_counter(), time.process_time()
        while time.perf_counter() - wall < seconds:
            at = clock.now()
            for _ in range(SLICE):
                public.act(at)
            await trio.lowlevel.checkpoint()
            # The bytes go down as the sessions' own tasks write: nobody tells.
            while any(session.backlog > 1 << 20 for session in site.switchboard.sessions):  # noqa: ASYNC110
                await trio.sleep(0.0005)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        changes = exchange.floor.changes - before
        await trio.sleep(0.5)
        nursery.cancel_scope.cancel()
    deltas = await trio.to_thread.run_sync(ours.recv)
    reader.join(5)
    return {
        "markets": markets,
        "deltas": deltas,
        "changes": changes,
        "cpu_s": round(cpu, 3),
        "wall_s": round(wall, 3),
        "deltas_per_s": round(deltas / cpu),
        "goal": GOAL,
        "reached": deltas >= changes and deltas / cpu >= GOAL,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--markets", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    result = trio.run(run, arguments.markets, arguments.seconds)
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"{result['deltas_per_s']:,} deltas/s on one core with {arguments.markets} markets (goal {GOAL:,})")


if __name__ == "__main__":
    main()
