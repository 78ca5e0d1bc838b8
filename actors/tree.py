"""The supervision tree and all its wiring, on one screen.

    app  one_for_one; when `trading` gives up the program ends with 70
    |- memory    one_for_one, never gives up     journal, recorder
    |- trading   rest_for_one 3/60 s
    |  |- safety    rest_for_one 2/60 s    venue -> gateway -> risk -> reconciler -> heartbeat
    |  |- exchange  rest_for_one 5/60 s    stream -> universe -> books (dynamic)
    |  |- strategy  one_for_one 10/60 s    pricer.<domain>
    |  `- oracles   one_for_one            <oracle>, each with a retry budget of its own; muted when it is spent, tried again after 5 min
    `- ops       one_for_one, never gives up     scorekeeper, telemetry

Order is dependency. An actor is given the addresses it tells to and looks nobody up. The kill register, the day's opening figures,
the exchange session and the venue's connections outlive every actor and are handed out here. A death trips its scope in the step
that sees it, before any restart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Final

import attrs

from actors.book import BookActor
from actors.gateway import Gateway
from actors.guardian import Guardian
from actors.heartbeat import Heartbeat
from actors.oracles.nba import NbaOracle
from actors.oracles.nhl import NhlOracle
from actors.oracles.odds import OddsOracle
from actors.pricer import PricerActor
from actors.reconciler import Reconciler
from actors.risk import Risk
from actors.rules import Rulebook
from actors.runtime import (
    ActorSystem,
    Address,
    AutoShutdown,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    Restart,
    Strategy,
    Supervisor,
    TrioActor,
)
from actors.scorekeeper import Scorekeeper
from actors.stream import StreamActor
from actors.telemetry import Telemetry
from actors.universe import UniverseActor
from actors.venue import VenueActor
from actors.worlds import World
from chimera.conventions import Money
from chimera.feeds.espn import EspnClient
from chimera.feeds.odds_api import SPORTS
from chimera.journal.records import Pregame
from chimera.kalshi.rest import KalshiRest
from chimera.markets import Market
from chimera.settings import Signal
from chimera.trading.daybook import DayBook
from chimera.trading.kill import GLOBAL, KillRegister, Scope, domain, market
from chimera.trading.reasons import Reason
from chimera.trading.venue import OpenVenue

ALWAYS = math.inf
BUDGET = ".budget"
"""Ends the name of the supervisor that counts an oracle's retries."""
ORACLES: Final[dict[str, type[NbaOracle] | type[NhlOracle]]] = {"nba": NbaOracle, "nhl": NhlOracle}
ORACLE_BUDGET, ORACLE_PERIOD_S, ORACLE_BACKOFF, MUTED_S = 5, 120.0, Backoff(min=0.5, max=30.0), 300.0


@attrs.frozen(slots=True)
class Parts:
    """What the tree is wired to: a world, the rules of the signals, and the objects that outlive every actor."""

    world: World
    rules: Rulebook
    register: KillRegister
    venue: OpenVenue
    open_journal: Callable[[], TrioActor]
    open_recorder: Callable[[], TrioActor] | None
    run: str
    seed: int
    cash: Money
    guardian: Guardian | None = None
    unready: Callable[[], Reason | None] = lambda: None
    pregames: tuple[Pregame, ...] = ()


def build(system: ActorSystem, parts: Parts) -> ChildSpec:
    """The root of the tree."""
    at = system.address
    world, rules, register = parts.world, parts.rules, parts.register
    clock, door, session = world.clock, world.door, world.session
    telemetry, gateway, journal, risk, scorekeeper = (at(name) for name in ("telemetry", "gateway", "journal", "risk", "scorekeeper"))
    pricers = {signal.name: at(f"pricer.{signal.name}") for signal in rules.signals}
    day = DayBook()
    odds = (at("odds"),) if world.odds is not None and rules.registry.odds.enabled else ()
    held = {pregame.unit: pregame for pregame in parts.pregames}

    def rng(name: str) -> Random:
        return Random(f"{parts.seed}/{name}")  # noqa: S311 - jitter and simulation, never keys

    def book_of(ticker: str) -> Address:
        return at(f"book.{ticker}")

    def book_spec(listed: Market) -> ChildSpec:
        consumers = (pricers[listed.domain], gateway)
        return ChildSpec(
            f"book.{listed.ticker}", lambda: BookActor(market=listed, register=register, consumers=consumers, stream=at("stream"))
        )

    watched = (
        "journal", "recorder", "venue", "gateway", "reconciler", "heartbeat", "stream", "universe", "scorekeeper", "telemetry",
        *(f"pricer.{signal.name}" for signal in rules.signals), *(signal.name for signal in rules.signals),
        *(each.name for each in odds),
    )  # fmt: skip

    def oracle(signal: Signal) -> Callable[[], TrioActor]:
        espn = EspnClient(door, world.espn_url, league=signal.oracle)
        return lambda: ORACLES[signal.oracle](
            espn=espn, clock=clock, register=register, pricer=pricers[signal.name], telemetry=telemetry, universe=at("universe"),
            settings=rules.oracle(signal), rng=rng(signal.name), priors=world.priors, odds=next(iter(odds), None),
        )  # fmt: skip

    def bookmakers() -> TrioActor:
        assert world.odds is not None
        return OddsOracle(
            odds=world.odds, clock=clock, leagues={signal.oracle: at(signal.name) for signal in rules.signals if signal.oracle in SPORTS},
            journal=journal, telemetry=telemetry, universe=at("universe"), rng=rng("odds"), held=held,
        )  # fmt: skip

    def pricer(signal: Signal) -> Callable[[], TrioActor]:
        return lambda: PricerActor(
            domain=signal.name, register=register, gateway=gateway, scorekeeper=scorekeeper, telemetry=telemetry, book_of=book_of,
            settings=rules.pricer(signal), sources=(at(signal.name), at("universe")),
        )  # fmt: skip

    recorder = () if parts.open_recorder is None else (ChildSpec("recorder", parts.open_recorder, backoff=Backoff(min=0.1, max=5.0)),)
    memory = (ChildSpec("journal", parts.open_journal, backoff=Backoff(min=0.1, max=5.0)), *recorder)
    safety = (
        ChildSpec("venue", lambda: VenueActor(venue=parts.venue, gateway=gateway, clock=clock, telemetry=telemetry)),
        ChildSpec("gateway", lambda: Gateway(
            venue=parts.venue, register=register, journal=journal, risk=risk, scorekeeper=scorekeeper, telemetry=telemetry, pricers=pricers,
            universe=at("universe"), clock=clock, caps=rules.caps, expiry=rules.expiry, write_capacity=int(session.limiter.write_capacity),
            cash=parts.cash, day=day, run=parts.run, unready=parts.unready,
        )),
        ChildSpec("risk", lambda: Risk(
            register=register, journal=journal, gateway=gateway, telemetry=telemetry, clock=clock, daily_loss=rules.daily_loss,
            watched=tuple(at(name) for name in watched),
        )),
        ChildSpec("reconciler", lambda: Reconciler(venue=parts.venue, gateway=gateway, telemetry=telemetry, clock=clock)),
        ChildSpec("heartbeat", lambda: Heartbeat(
            probed=(gateway, risk), register=register, telemetry=telemetry, clock=clock, guardian=parts.guardian,
            inputs=(gateway, risk, at("stream"), *pricers.values(), *(at(signal.name) for signal in rules.signals)),
        )),
    )  # fmt: skip
    exchange = (
        ChildSpec("stream", lambda: StreamActor(
            door=door, session=session, clock=clock, register=register, book_of=book_of, telemetry=telemetry, universe=at("universe"),
            rng=rng("stream"),
        )),
        ChildSpec("universe", lambda: UniverseActor(
            rest=KalshiRest(door, session, rng("rest")), clock=clock, register=register, series=rules.series, telemetry=telemetry,
            listings=(at("venue"), gateway, at("stream"), *pricers.values(), *(at(signal.name) for signal in rules.signals), *odds),
            settlements=(at("venue"), gateway, scorekeeper),
            books=at("books"), book_spec=book_spec,
        )),
        _branch("books", lambda: DynamicSupervisor(intensity=20, period=60.0)),
    )  # fmt: skip
    strategy = tuple(ChildSpec(f"pricer.{signal.name}", pricer(signal)) for signal in rules.signals)
    oracles = (*(_muting(signal.name, oracle(signal)) for signal in rules.signals), *(_muting(each.name, bookmakers) for each in odds))
    ops = (
        ChildSpec("scorekeeper", lambda: Scorekeeper(journal=journal), backoff=Backoff(min=1.0, max=60.0)),
        ChildSpec("telemetry", Telemetry, backoff=Backoff(min=1.0, max=60.0)),
    )
    trading = (
        _branch("safety", lambda: Supervisor(safety, strategy=Strategy.REST_FOR_ONE, intensity=2, period=60.0)),
        _branch("exchange", lambda: Supervisor(exchange, strategy=Strategy.REST_FOR_ONE, intensity=5, period=60.0)),
        _branch("strategy", lambda: Supervisor(strategy, intensity=10, period=60.0)),
        _branch("oracles", lambda: Supervisor(oracles, intensity=ALWAYS)),
    )
    top = (
        _branch("memory", lambda: Supervisor(memory, intensity=ALWAYS)),
        ChildSpec(
            "trading", lambda: Supervisor(trading, strategy=Strategy.REST_FOR_ONE, intensity=3, period=60.0),
            restart=Restart.TEMPORARY, significant=True,
        ),
        _branch("ops", lambda: Supervisor(ops, intensity=ALWAYS)),
    )  # fmt: skip
    return ChildSpec("app", lambda: Supervisor(top, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT))


def _branch(name: str, factory: Callable[[], TrioActor]) -> ChildSpec:
    return ChildSpec(name, factory)


def _muting(name: str, factory: Callable[[], TrioActor]) -> ChildSpec:
    """An oracle under a supervisor of its own: when its budget is spent that gives up alone, and is tried again after 5 minutes."""
    spec = ChildSpec(name, factory, backoff=ORACLE_BACKOFF)
    muted = Backoff(MUTED_S, MUTED_S, 0.0)
    return ChildSpec(f"{name}{BUDGET}", lambda: Supervisor((spec,), intensity=ORACLE_BUDGET, period=ORACLE_PERIOD_S), backoff=muted)


# What a death trips


def death_scope(name: str, domains: frozenset[str]) -> tuple[Scope, float] | None:
    """What the death of the actor called `name` cancels, and for how long it holds (world s); None where nothing depends on it."""
    root, _, rest = name.partition(".")
    if root == "book":
        return market(rest), 1.0
    if root in domains:
        return domain(root), 10.0
    if root == "pricer":
        return domain(rest), 5.0
    if root in {"memory", "journal", "recorder", "ops", "scorekeeper", "telemetry", "app", "books", "oracles", "odds"}:
        return None
    return GLOBAL, 5.0


