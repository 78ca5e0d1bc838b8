"""A running gateway against a venue that does only what the test says; every request and everything told is kept, in its order."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import attrs
import trio

from actors.gateway import Gateway
from actors.messages import Decided, Durable, Listing, Note, Quote, Standing, Tripped, VenueEvent, Write
from actors.runtime import ActorSystem, Address, ChildSpec, Supervisor
from actors.runtime.testing import Probe, settle
from chimera.clock import VirtualClock
from chimera.conventions import CONTRACT, DOLLAR, Side
from chimera.errors import VenueError
from chimera.journal.records import Decision, Intent, Kind, Record
from chimera.markets import CENT_GRID, FeeTerms, Market, Status, TeamWins
from chimera.teams import NBA
from chimera.trading.daybook import DayBook
from chimera.trading.ev import Edge
from chimera.trading.kill import GLOBAL, KillRegister, Level, Scope, Trip, domain, market, unit
from chimera.trading.limits import Caps, DomainCaps
from chimera.trading.quotes import Waterfall
from chimera.trading.reasons import Reason
from chimera.trading.venue import Action, Done, Fill, Order, Resting

NOW = 1_764_000_000.0
"""2025-11-24 16:00 UTC, so that no test crosses midnight in New York."""
GAME = "KXNBAGAME-25NOV24BOSNYK"
M, OTHER = f"{GAME}-NYK", f"{GAME}-BOS"
EXPIRY_S = 20.0
AGE_S = 60.0
SIZE = 10 * CONTRACT
CAPS = Caps(
    domains={"nba": DomainCaps(size=SIZE, event_loss=25 * DOLLAR, notional=200 * DOLLAR, quote_age=AGE_S)},
    notional=500 * DOLLAR,
    open_orders=40,
    daily_loss=50 * DOLLAR,
    unit_loss=25 * DOLLAR,
)
EDGE = Edge(base=1.5, fee=0.25, penalty=0.25, anchor=0.5, p_cond=0.5)
SCOPES = {Level.GLOBAL: GLOBAL, Level.DOMAIN: domain("nba"), Level.UNIT: unit(GAME), Level.MARKET: market(M)}


def listed(ticker: str = M) -> Market:
    code, other = ("NYK", "BOS") if ticker == M else ("BOS", "NYK")
    meaning = TeamWins(NBA.by_code(code), NBA.by_code(other), home=code == "NYK", day=dt.date(2025, 11, 24))
    return Market(
        ticker=ticker, event=GAME, series="KXNBAGAME", domain="nba", unit=GAME, grid=CENT_GRID, meaning=meaning, status=Status.ACTIVE,
        open_at=0.0, close_at=NOW + 1e6, expected_end_at=None, exchange_index=0, fee=FeeTerms("quadratic", Fraction(1)), result="",
        settlement_value=None, title="",
    )  # fmt: skip


class ScriptedVenue:
    """A named fake: `calls` is every request in order; it lists what it was told to list, and is `silent` where a test wants it to be."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.sent: dict[str, Order] = {}
        self.listed: dict[str, Resting] = {}
        self.filled: list[Fill] = []
        self.silent = False
        self.affirmed: list[tuple[int | None, float | None, float | None]] = []
        self.during: dict[str, Callable[[], None]] = {}
        """Done in the midst of a request of that name."""

    def _called(self, name: str, *what: object) -> None:
        self.calls.append((name, *what))
        self.during.get(name, lambda: None)()

    def place(self, order: Order, now: float) -> None:
        self.sent[order.client_id] = order
        self._called("place", order.client_id)

    def amend(
        self, order_id: str, client_id: str, market: str, expires_at: float, now: float, *,
        fence: int | None = None, p_true: float | None = None, required_edge: float | None = None,
    ) -> None:  # fmt: skip
        self.affirmed.append((fence, p_true, required_edge))
        self._called("amend", order_id, expires_at)

    def cancel(self, resting: list[tuple[str, str, str]], reason: Reason, now: float) -> None:
        self._called("cancel", tuple(order_id for order_id, _, _ in resting), reason)

    def fire(self, trip: Trip) -> None:
        self._called("fire", str(trip.scope))

    async def resting(self) -> tuple[Resting, ...]:
        self._called("list")
        await trio.lowlevel.checkpoint()
        if self.silent:
            raise VenueError("504 from the venue")
        return tuple(self.listed.values())

    async def fills(self, since: float) -> tuple[Fill, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(self.filled)

    def lists(self, order_id: str, client_id: str = "", ticker: str = M, side: Side = Side.BID, price: int = 4600) -> Resting:
        found = Resting(order_id, client_id, ticker, side, price, SIZE, 0, NOW + 1e5)
        self.listed[order_id] = found
        return found

    def did(self, *names: str) -> list[tuple[Any, ...]]:
        """The requests of these names, in order."""
        return [call for call in self.calls if call[0] in names]

    @property
    def placed(self) -> list[Order]:
        return [self.sent[call[1]] for call in self.did("place")]


@attrs.define
class Rig:
    """A running gateway, its venue, and what its neighbours were told."""

    system: ActorSystem
    clock: VirtualClock
    venue: ScriptedVenue
    register: KillRegister
    gateway: Address
    journal: Probe
    risk: Probe
    scorekeeper: Probe
    telemetry: Probe
    pricer: Probe
    universe: Probe
    durable_until: int = 0

    @property
    def now(self) -> float:
        return self.clock.now()

    async def tell(self, *messages: object) -> None:
        for message in messages:
            self.gateway.tell(message)
            await settle()

    async def pass_time(self, seconds: float) -> None:
        await self.clock.sleep(seconds)
        await settle()

    def quote(
        self, bid: int | None = 4600, ask: int | None = None, *, p: float = 0.5, edge: Edge = EDGE, reason: Reason = Reason.NO_EDGE,
        **changes: Any,
    ) -> Quote:  # fmt: skip
        """A quote made now, under the present fence; a side without a price says `reason`."""
        ticker = changes.setdefault("market", M)
        sides = [edge if price is not None else attrs.evolve(edge, reason=reason) for price in (bid, ask)]
        plain: dict[str, Any] = {
            "bid": bid, "ask": ask, "size": SIZE, "fence": self.register.fence(ticker), "p_true": p, "bid_edge": sides[0].total,
            "ask_edge": sides[1].total, "keep": (0.4, 0.6), "why": Waterfall(*sides, p_model=p, p_pooled=p), "book_seq": 1, "fair_seq": 1,
            "fair_at": self.now, "at": self.now,
        }  # fmt: skip
        return Quote(**(plain | changes))

    @property
    def intents(self) -> list[Intent]:
        return [write.intent for write in self.journal.of(Write)]

    async def durable(self) -> list[Intent]:
        """The journal has every intent told since last time."""
        fresh, self.durable_until = self.intents[self.durable_until :], len(self.intents)
        if fresh:
            await self.tell(Durable(tuple(intent.client_id for intent in fresh), self.now))
        return fresh

    async def acked(self, order: Order, order_id: str) -> None:
        """The venue took an order: it lists it from now on."""
        self.venue.lists(order_id, order.client_id, order.market, order.side, order.price)
        await self.tell(VenueEvent(Done(order.client_id, order_id, order.market, Action.PLACE, self.now), self.now))

    async def cancelled(self, order: Order, order_id: str, reduced: int = SIZE) -> None:
        self.venue.listed.pop(order_id, None)
        await self.tell(VenueEvent(Done(order.client_id, order_id, order.market, Action.CANCEL, self.now, reduced), self.now))

    async def rests(self, quote: Quote | None = None, order_id: str = "o1") -> Order:
        """Bring one order all the way from a quote to the book."""
        before = len(self.venue.placed)
        await self.tell(quote or self.quote())
        await self.durable()
        order = self.venue.placed[before]
        await self.acked(order, order_id)
        self.venue.calls.clear()
        return order

    @property
    def decisions(self) -> list[Decision]:
        return [decided.decision for decided in self.journal.of(Decided)]

    @property
    def said(self) -> list[tuple[str, Reason]]:
        """What was decided, in order."""
        return [(decision.action, decision.reason) for decision in self.decisions]

    def records(self, kind: Kind) -> list[Record]:
        return [note.record for note in self.journal.of(Note) if note.record.kind is kind]

    def trip(self, scope: Scope = GLOBAL, hold_s: float = 5.0) -> Trip:
        return self.register.trip(scope, Reason.OPERATOR, source="test", at=self.now, hold_s=hold_s)

    async def restart(self) -> None:
        """Crash the gateway; wait until its next incarnation has handled everything it can."""
        before = self.gateway.incarnation
        self.gateway.tell(VenueEvent(f"no event {before}", self.now))
        await settle()
        assert self.gateway.incarnation == before + 1


@asynccontextmanager
async def rig(*, ready: bool = True, caps: Caps = CAPS, capacity: int = 1_000) -> AsyncIterator[Rig]:
    """A gateway under a supervisor. `ready`: reconciled, with a journal and a listing."""
    clock, venue, day = VirtualClock(origin_unix=NOW), ScriptedVenue(), DayBook()
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        names = ("journal", "risk", "scorekeeper", "telemetry", "pricer", "universe")
        probes = {name: await Probe.watch(system, name) for name in names}
        gateway = system.address("gateway")
        register = KillRegister(on_trip=venue.fire, listeners=(lambda trip: gateway.tell(Tripped(trip)),))
        for ticker in (M, OTHER):
            register.enroll(ticker, GAME, "nba")

        def make() -> Gateway:
            at = {name: probes[name].address for name in ("journal", "risk", "scorekeeper", "telemetry", "universe")}
            return Gateway(
                venue=venue, register=register, pricers={"nba": probes["pricer"].address}, clock=clock, caps=caps,
                expiry={"nba": EXPIRY_S}, write_capacity=capacity, cash=1_000 * DOLLAR, day=day, run="t1", **at,
            )  # fmt: skip

        rig = Rig(system, clock, venue, register, gateway, **probes)
        venue.silent = not ready
        await system.start(ChildSpec("safety", lambda: Supervisor((ChildSpec("gateway", make),), intensity=50, period=60.0)))
        await settle()
        if ready:
            await rig.tell(Listing((listed(M), listed(OTHER)), rig.now), Standing("journal", "ready", "", rig.now))
            venue.calls.clear()
        yield rig
