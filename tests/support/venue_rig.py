"""KalshiVenue against the loopback exchange in this process, on a real port and in real time; every word of the venue is kept."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chimera.clock import WorldClock
from chimera.conventions import CENT, CONTRACT, Count, Price, Side
from chimera.intake_live import LiveDoor
from chimera.kalshi.account import KalshiAccount
from chimera.kalshi.auth import Signer
from chimera.kalshi.rest import KalshiRest
from chimera.kalshi.session import ExchangeSession
from chimera.kalshi.venue import KalshiVenue
from chimera.kalshi.writing import KalshiWriter
from chimera.sim.process import Key, Keys, make_site
from chimera.sim.server import open_port, port_of, serve
from chimera.sim.site import SimSite
from chimera.trading import venue_log as log
from chimera.trading.kill import GLOBAL, KillRegister, Scope
from chimera.trading.reasons import Reason
from chimera.trading.venue import Event, Order

LIFE_S = 30.0


@attrs.define(eq=False)
class VenueRig:
    """`heard` are the venue's words, `lines` its log, `cancels_all` the times it was about to cancel everything."""

    site: SimSite
    clock: WorldClock
    session: ExchangeSession
    venue: KalshiVenue
    register: KillRegister
    heard: list[Event]
    lines: list[log.Line]
    cancels_all: list[float]
    market: str
    other: str
    _orders: int = 0

    def order(self, price: Price = 2 * CENT, *, count: Count = CONTRACT, side: Side = Side.BID, market: str = "") -> Order:
        """An order of the next client id; two cents are far from where anybody trades."""
        self._orders += 1
        now, ticker = self.clock.now(), market or self.market
        return Order(f"t-{self._orders}", ticker, side, price, count, now + LIFE_S, self.register.fence(ticker), 0.5, 1.0)

    async def placed(self, **more: Any) -> tuple[Order, str]:
        """An order that rests, and the exchange's id of it."""
        order = self.order(**more)
        self.venue.place(order, self.clock.now())
        await self.until("it rests", lambda: any(e.client_id == order.client_id for e in self.heard))
        return order, next(e.order_id for e in self.heard if e.client_id == order.client_id)

    def kill(self, scope: Scope = GLOBAL) -> None:
        self.register.trip(scope, Reason.OPERATOR, source="test", at=self.clock.now(), hold_s=60.0)

    def inside(self, market: str = "") -> Price:
        """A bid better than everybody's that crosses nobody."""
        self.site.exchange.advance(self.clock.now())
        book = self.site.floor.contracts[market or self.market].book
        bid = book.best(Side.BID)
        assert bid is not None
        return bid + CENT

    def sell_into(self, price: Price, count: Count) -> None:
        """Somebody sells at a price, at once."""
        self.site.floor.submit(self.market, "stranger", Side.ASK, price, count, self.clock.now(), immediate=True)

    def on_the_book(self) -> set[str]:
        """The client ids of what rests at the exchange, by its own word."""
        return {own.client_id for own in self.site.exchange.member.live()}

    def fault(self, spec: str) -> None:
        self.site.install(spec)

    def words(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]

    def logged(self, kind: type[Any]) -> list[Any]:
        return [line for line in self.lines if isinstance(line, kind)]

    async def until(self, what: str, holds: Callable[[], object], within: float = 5.0) -> None:
        with trio.move_on_after(within):
            while not holds():  # noqa: ASYNC110  # there is no event for what only the exchange knows
                await trio.sleep(0.005)
            return
        raise AssertionError(f"not so within {within:g} s: {what}; heard {self.heard}")


@asynccontextmanager
async def trading(lines: tuple[log.Line, ...] = (), on: VenueRig | None = None) -> AsyncIterator[VenueRig]:
    """A venue that hears, on an exchange of its own, or on that of another."""
    clock = WorldClock() if on is None else on.clock
    if on is None:
        trader, guard = (Key(str(uuid.uuid4()), Ed25519PrivateKey.generate(), Path(name)) for name in ("trader", "guard"))
        site, _ = make_site(clock, 7, Keys(trader, guard))
        signer = Signer(trader.key_id, trader.private)
    else:
        site, signer = on.site, on.session.signer
    listeners = await open_port(0)
    host = f"127.0.0.1:{port_of(listeners)}"
    session = ExchangeSession(signer, clock, rest_url=f"http://{host}", ws_url=f"ws://{host}")
    async with LiveDoor(clock) as door, trio.open_nursery() as nursery:

        async def serving() -> None:
            await serve(listeners, site, now=clock.now)

        nursery.start_soon(serving)
        written, cancels_all, heard = list[log.Line](lines), list[float](), list[Event]()
        journal = log.VenueLog(written.append, lines[-1].seq if lines else 0)
        venue = KalshiVenue(
            door=door, session=session, writer=KalshiWriter(door, session, Random(1)),
            account=KalshiAccount(KalshiRest(door, session, Random(2))),
            journal=journal, lines=lines, cash=0, cancelling_all=cancels_all.append,
        )  # fmt: skip
        register = KillRegister(on_trip=venue.fire)
        venue.covers, venue.sink = register.fences, heard.append
        contracts = list(site.floor.contracts.values())[:2]
        for contract in contracts:
            register.enroll(contract.ticker, contract.ticker.rpartition("-")[0], "nba")
        venue.list_markets(
            [SimpleNamespace(ticker=c.ticker, exchange_index=c.shard, unit=c.ticker.rpartition("-")[0]) for c in contracts], clock.now()
        )
        rig = VenueRig(
            site, clock, session, venue, register, heard, written, cancels_all, contracts[0].ticker, contracts[1].ticker
        )
        nursery.start_soon(venue.run)
        await rig.until("the private stream is up", venue.hears)
        yield rig
        nursery.cancel_scope.cancel()
