"""A game as ESPN would publish it, edited by the test, and an oracle at work on it with a real kill register."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import attrs
import trio

from actors.messages import Fair, Listing, Standing
from actors.oracles.game import GameOracle
from actors.oracles.track import OracleSettings
from actors.runtime import ActorSystem, Address, ChildSpec, Restart
from actors.runtime.testing import Probe
from chimera.clock import VirtualClock
from chimera.feeds.espn import EspnClient
from chimera.intake import Door, Frame
from chimera.markets import Market
from chimera.trading.kill import KillRegister, Trip
from chimera.trading.reasons import Reason

TIP = dt.datetime(2026, 11, 23, 0, 30, tzinfo=dt.UTC).timestamp()  # 19:30 on 22 November in New York

STATUSES = {
    "pre": ("STATUS_SCHEDULED", "pre", False),
    "live": ("STATUS_IN_PROGRESS", "in", False),
    "half": ("STATUS_HALFTIME", "in", False),
    "final": ("STATUS_FINAL", "post", True),
    "off": ("STATUS_POSTPONED", "post", False),
}


class World(Door):
    """One game as ESPN would publish it, edited by the test; `fail` answers instead where it is set."""

    LEAGUE, HOME, AWAY = "nba", "NY", "BOS"

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock(origin_unix=TIP + 3600.0)
        self.event_id = "401"
        self.status, self.period, self.time_left = "live", 3, "7:41"
        self.home, self.away = 61, 58
        self.header: tuple[int, int] | None = None
        self.odds: list[dict[str, Any]] = [{"homeTeamOdds": {"moneyLine": -150}, "awayTeamOdds": {"moneyLine": 130}}]
        self.plays: list[dict[str, Any]] = []
        self.written = 0
        self.fail: dict[str, bytes | int | Exception] = {}
        self.asked: list[str] = []

    def play_clock(self, left: str, period: int) -> str:
        """A clock as plays write it, from what is left."""
        return left

    def more(self) -> dict[str, Any]:
        """What else a summary has."""
        return {}

    def play(self, kind: str, side: str, clock: str, *, points: int = 0, period: int = 3, team: bool = True, text: str = "") -> None:
        """Append a play with `clock` left in the period, at the present time, with the scores as they stand after it."""
        self.home, self.away = self.home + points * (side == "home"), self.away + points * (side == "away")
        self.period, self.time_left = period, clock
        self.written += 1
        number = self.written
        wallclock = dt.datetime.fromtimestamp(self.clock.now(), dt.UTC).isoformat()
        self.plays.append(
            {
                "id": f"401{number:03}", "sequenceNumber": str(number), "type": {"text": kind}, "text": text or f"{side} {kind}",
                "period": {"number": period}, "clock": {"displayValue": self.play_clock(clock, period)},
                "homeScore": self.home, "awayScore": self.away,
                "scoringPlay": points > 0, "shootingPlay": points > 0, "wallclock": wallclock,
                **({"team": {"id": "1" if side == "home" else "2"}} if team else {}),
            }
        )  # fmt: skip

    def _event(self, home: int, away: int) -> dict[str, Any]:
        name, state, completed = STATUSES[self.status]
        teams = [
            {"homeAway": "home", "score": str(home), "team": {"id": "1", "abbreviation": self.HOME}},
            {"homeAway": "away", "score": str(away), "team": {"id": "2", "abbreviation": self.AWAY}},
        ]
        period, clock = (0, "0.0") if self.status == "pre" else (self.period, self.time_left)
        status = {"displayClock": clock, "period": period, "type": {"name": name, "state": state, "completed": completed}}
        date = dt.datetime.fromtimestamp(TIP, dt.UTC).isoformat()
        return {"id": self.event_id, "date": date, "season": {"type": 2}, "status": status, "competitions": [{"competitors": teams}]}

    async def get(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0) -> Frame:
        await trio.lowlevel.checkpoint()
        kind = "summary" if "summary" in stream else "scoreboard"
        self.asked.append(kind)
        fault = self.fail.get(kind)
        if isinstance(fault, Exception):
            raise fault
        if isinstance(fault, int):
            return Frame(stream, 0, self.clock.now(), b"", fault)
        if kind == "scoreboard":
            document: dict[str, Any] = {"leagues": [{"slug": self.LEAGUE}], "events": [self._event(self.home, self.away)]}
        else:
            header = {**self._event(*(self.header or (self.home, self.away))), "league": {"slug": self.LEAGUE}}
            document = {"header": header, "plays": self.plays, "pickcenter": self.odds, **self.more()}
        return Frame(stream, 0, self.clock.now(), json.dumps(document).encode() if fault is None else fault, 200)

    def connect(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None) -> Any:
        raise AssertionError("no connection is opened here")


@attrs.define
class Scene:
    """The oracle at work. `effects` holds every Trip and every Fair in the order in which they happened."""

    world: World
    register: KillRegister
    effects: list[object]
    telemetry: Probe
    oracle: Address
    first: str = ""

    @property
    def fairs(self) -> list[Fair]:
        return [effect for effect in self.effects if isinstance(effect, Fair)]

    @property
    def trips(self) -> list[Trip]:
        return [effect for effect in self.effects if isinstance(effect, Trip)]

    def reasons(self) -> list[Reason]:
        return [trip.reason for trip in self.trips]

    def last(self, ticker: str = "") -> Fair:
        """The newest price of a market; of the first listed one where none is named."""
        return [fair for fair in self.fairs if fair.market == (ticker or self.first)][-1]

    def standing(self) -> Standing:
        return self.telemetry.of(Standing)[-1]

    def confirm_and_arm(self, now: float) -> None:
        """What gateway and risk do once nothing rests and a hold is due."""
        for trip in self.trips:
            self.register.confirm(trip)
        for trip in self.register.due(now):
            self.register.arm(trip, now)


@attrs.frozen
class PricerAddress:
    """Records a Fair in the step that tells it, so that its place among the trips is its true one."""

    effects: list[object]

    def tell(self, message: object) -> None:
        self.effects.append(message)


@asynccontextmanager
async def at_work(
    world: World, oracle_class: type[GameOracle[Any]], settings: OracleSettings, markets: tuple[Market, ...]
) -> AsyncIterator[Scene]:
    """The oracle polling `world`, with `markets` listed."""
    effects: list[object] = []
    register = KillRegister(effects.append)
    async with ActorSystem(clock_now=world.clock.now, sleep=world.clock.sleep, virtual=True) as system:
        telemetry = await Probe.watch(system, "telemetry")
        pricer: Any = PricerAddress(effects)
        espn = EspnClient(world, "http://espn.test", league=world.LEAGUE)

        def make() -> GameOracle[Any]:
            return oracle_class(
                espn=espn, clock=world.clock, register=register, pricer=pricer, telemetry=telemetry.address, settings=settings,
                rng=Random(7),
            )  # fmt: skip

        oracle = await system.start(ChildSpec(world.LEAGUE, make, restart=Restart.TEMPORARY))
        if markets:
            oracle.tell(Listing(markets, world.clock.now()))
        yield Scene(world, register, effects, telemetry, oracle, markets[0].ticker if markets else "")
