"""What the simulator serves on its one port: the exchange, ESPN, and a small admin page for whoever started it."""

from __future__ import annotations

import hmac
import json

import attrs

from chimera.clock import WorldClock
from chimera.conventions import Side, format_price
from chimera.sim.exchange.access import Access
from chimera.sim.exchange.floor import Contract, Floor
from chimera.sim.exchange.rest import PREFIX, Rest
from chimera.sim.exchange.stream import Session, Switchboard
from chimera.sim.server import Request, Response
from chimera.sim.websocket import WebSocket
from chimera.sim.world.espn import SCOREBOARD_PATH, SUMMARY_PATH, Espn
from chimera.sim.world.game import Game

STREAM_PATH = "/trade-api/ws/v2"
ADMIN_PATH = "/admin/state"

_NOT_FOUND = Response(404, b'{"code":404,"message":"not found"}')


@attrs.define(eq=False)
class SimSite:
    """Routes by path. `admin_token` is the bearer token of the admin page."""

    clock: WorldClock
    games: tuple[Game, ...]
    floor: Floor
    access: Access
    espn: Espn
    admin_token: str
    requests: int = 0
    rest: Rest = attrs.field(init=False)
    switchboard: Switchboard = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rest = Rest(self.floor, self.access, self.clock.now)
        self.switchboard = Switchboard(self.floor)

    def respond(self, request: Request) -> Response:
        self.requests += 1
        if request.route[: len(PREFIX)] == PREFIX:
            return self.rest.respond(request)
        if request.path == ADMIN_PATH:
            return self._admin(request)
        if request.method != "GET":
            return _NOT_FOUND
        if request.path == SCOREBOARD_PATH:
            return Response(200, self.espn.scoreboard(self.clock.now()))
        if request.path == SUMMARY_PATH:
            summary = self.espn.summary(request.param("event"), self.clock.now())
            return _NOT_FOUND if summary is None else Response(200, summary)
        return _NOT_FOUND

    def refuse(self, request: Request) -> Response | None:
        if request.path != STREAM_PATH:
            return _NOT_FOUND
        return self.access.refuse(request, self.clock.now())

    async def converse(self, request: Request, socket: WebSocket) -> None:
        await Session(self.switchboard, socket).run()

    def _admin(self, request: Request) -> Response:
        wanted = f"Bearer {self.admin_token}".encode()
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted):
            return Response(401, b'{"code":401,"message":"unauthorized"}')
        return Response(200, json.dumps(self.state()).encode())

    def state(self) -> dict[str, object]:
        """What a test may want to know: the time, the games as they really stand, each book's top, and counts."""
        now = self.clock.now()
        return {
            "world_unix": now,
            "games": [_game_state(game, now) for game in self.games],
            "markets": {contract.ticker: _market_state(contract, now) for contract in self.floor.contracts.values()},
            "counts": {
                "requests": self.requests,
                "refused": self.access.refusals,
                "sessions": len(self.switchboard.sessions),
                "changes": self.floor.changes,
                "trades": self.floor.trades,
            },
        }


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
