"""What the simulator serves on its one port: the exchange, ESPN, and a small admin page for whoever started it."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable

import attrs

from chimera.clock import WorldClock
from chimera.conventions import Side, format_price
from chimera.sim.exchange.access import Access
from chimera.sim.exchange.crowd import Crowd
from chimera.sim.exchange.exchange import Exchange
from chimera.sim.exchange.faults import FaultSpecError, parse_faults
from chimera.sim.exchange.floor import Contract, Floor
from chimera.sim.exchange.log import ExchangeLog
from chimera.sim.exchange.rest import PREFIX, Rest
from chimera.sim.exchange.stream import Session
from chimera.sim.exchange.switchboard import Switchboard
from chimera.sim.exchange.venue_faults import unknown_names
from chimera.sim.server import Held, Request, Response
from chimera.sim.websocket import WebSocket
from chimera.sim.world.espn import SCOREBOARD_PATH, SUMMARY_PATH, Espn
from chimera.sim.world.game import Game
from chimera.sim.world.odds import PREFIX as ODDS_PREFIX
from chimera.sim.world.odds import Odds

STREAM_PATH = "/trade-api/ws/v2"
ADMIN_PATH = "/admin/state"
LOG_PATH = "/admin/log"
FAULTS_PATH = "/admin/faults"
MOST_SESSIONS = 200
"""Connections a user may have to the stream."""

_NOT_FOUND = Response(404, b'{"code":404,"message":"not found"}')


@attrs.define(eq=False)
class SimSite:
    """Routes by path. `admin_token` is the bearer token of the admin pages; `machine_ns` reads the machine's monotonic clock."""

    clock: WorldClock
    games: tuple[Game, ...]
    exchange: Exchange
    access: Access
    espn: Espn
    odds: Odds
    admin_token: str
    machine_ns: Callable[[], int]
    requests: int = 0
    rest: Rest = attrs.field(init=False)
    log: ExchangeLog = attrs.field(init=False)
    switchboard: Switchboard = attrs.field(init=False)

    @classmethod
    def bare(cls, clock: WorldClock, exchange: Exchange, access: Access, *, machine_ns: Callable[[], int] = lambda: 0) -> SimSite:
        """An exchange without games, for benchmarks and for worlds that are not an evening."""
        espn, odds = Espn((), 0), Odds((), 0)
        return cls(clock, (), exchange, access, espn=espn, odds=odds, admin_token="bare", machine_ns=machine_ns)  # noqa: S106

    def __attrs_post_init__(self) -> None:
        exchange = self.exchange
        self.log = ExchangeLog(exchange.floor, exchange.members, exchange.groups, self.machine_ns)
        self.rest = Rest(exchange, self.access, self.log)
        self.switchboard = Switchboard(exchange)

    @property
    def floor(self) -> Floor:
        return self.exchange.floor

    @property
    def crowd(self) -> Crowd:
        return self.exchange.crowd

    def respond(self, request: Request) -> Response | Held:
        self.requests += 1
        if request.route[: len(PREFIX)] == PREFIX:
            self.exchange.advance(self.clock.now())
            return self.rest.respond(request)
        if request.path.startswith("/admin/"):
            return self._admin(request)
        if request.route[: len(ODDS_PREFIX)] == ODDS_PREFIX:
            return self.odds.respond(request, self.clock.now())
        if request.method != "GET":
            return _NOT_FOUND
        if request.path == SCOREBOARD_PATH:
            return Response(200, self.espn.scoreboard(self.clock.now()))
        if request.path == SUMMARY_PATH:
            summary = self.espn.summary(request.param("event"), self.clock.now())
            return _NOT_FOUND if summary is None else Response(200, summary)
        return _NOT_FOUND

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def refuse(self, request: Request) -> Response | None:
        if request.path != STREAM_PATH:
            return _NOT_FOUND
        now = self.clock.now()
        if now < self.switchboard.refused_until:
            return Response(502, b"<html><body>502 Bad Gateway</body></html>", "text/html")
        if len(self.switchboard.sessions) >= MOST_SESSIONS:
            return Response(429, b'{"error":"too many requests"}')
        return self.access.refuse(request, now + self.exchange.mischief.skew(now), self.exchange.rules)

    async def converse(self, request: Request, socket: WebSocket) -> None:
        await Session(self.switchboard, socket, self.exchange.member).run()

    # The admin pages

    def _admin(self, request: Request) -> Response:
        wanted = f"Bearer {self.admin_token}".encode()
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted):
            return Response(401, b'{"code":401,"message":"unauthorized"}')
        match request.method, request.path:
            case "GET", path if path == ADMIN_PATH:
                return Response(200, json.dumps(self.state()).encode())
            case "GET", path if path == LOG_PATH:
                first = request.param("since", "0")
                return Response(200, self.log.page(int(first) if first.isascii() and first.isdigit() and len(first) < 12 else 0))
            case ("GET" | "POST" | "DELETE") as method, path if path == FAULTS_PATH:
                return self._faults(method, request)
        return _NOT_FOUND

    def _faults(self, method: str, request: Request) -> Response:
        """GET what is installed; POST a specification, as text or as {"faults": SPEC, "replace": true}, to install more; DELETE all."""
        mischief = self.exchange.mischief
        if method == "POST":
            try:
                spec, replace = _fault_request(request.body)
                self.install(spec, replace=replace)
            except (FaultSpecError, ValueError) as error:
                return Response(400, json.dumps({"error": str(error)}).encode())
        elif method == "DELETE":
            mischief.clear()
        return Response(200, json.dumps({"faults": mischief.document()}).encode())

    def install(self, spec: str, *, replace: bool = False) -> None:
        """Install faults. FaultSpecError, installing none, where the specification is wrong or names what this exchange does not have."""
        faults = parse_faults(spec)
        for fault in faults:
            if unknown := unknown_names(self.exchange, fault):
                raise FaultSpecError(f"fault {fault.text!r}: {unknown}")
        if replace:
            self.exchange.mischief.clear()
        self.exchange.install(faults)
        for fault in faults:
            self.log.fault("installed", self.clock.now(), spec=fault.text)

    def state(self) -> dict[str, object]:
        """What a test may want to know: the time, the games as they really stand, each book's top, what of the member rests, and counts."""
        now = self.clock.now()
        self.exchange.advance(now)
        live = self.exchange.member.live()
        return {
            "world_unix": now,
            "mono_ns": self.machine_ns(),
            "games": [_game_state(game, now) for game in self.games],
            "markets": {contract.ticker: _market_state(contract, now) for contract in self.floor.contracts.values()},
            "resting": [{"order_id": row.order_id, "client_order_id": row.client_id, "ticker": row.ticker} for row in live],
            "counts": {
                "requests": self.requests,
                "refused": self.access.refusals,
                "rate_limited": self.exchange.limits.refused,
                "sessions": len(self.switchboard.sessions),
                "changes": self.floor.changes,
                "trades": self.floor.trades,
                "log": len(self.log),
            },
        }


def _fault_request(body: bytes) -> tuple[str, bool]:
    text = body.decode("utf-8")
    if not text.lstrip().startswith("{"):
        return text, False
    document = json.loads(text)
    spec, replace = document.get("faults"), document.get("replace", False)
    if not isinstance(spec, str) or not isinstance(replace, bool):
        raise FaultSpecError('the body is neither a specification nor {"faults": SPEC, "replace": true or false}')
    return spec, replace


def _game_state(game: Game, now: float) -> dict[str, object]:
    happened = game.happened(now)
    last = game.plays[happened - 1] if happened else None
    return {
        "event_id": game.event_id,
        "away": game.away.code,
        "home": game.home.code,
        "tip": game.tip,
        "end": game.end,
        "home_won": game.home_won,
        "p_home": game.p_home(now),
        "happened": happened,
        "published": game.visible(now),
        "period": last.period if last else 0,
        "clock": last.clock if last else None,
        "score": [last.away, last.home] if last else [0, 0],
    }


def _market_state(contract: Contract, now: float) -> dict[str, object]:
    tops = {side: contract.book.best(side) for side in Side}
    return {
        "status": contract.status.value,
        "result": contract.result,
        "p_yes": contract.listing.p_yes(now),
        "clock": contract.clock,
        "trades": len(contract.tape),
        **{side.value: None if price is None else format_price(price) for side, price in tops.items()},
    }
