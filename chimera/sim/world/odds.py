"""The Odds API (v4) of the simulated evening: several books' moneylines for every game until it ends, behind a key and a quota.

Like the real one it goes on quoting a game that is under way, knows clubs by names of its own, has a book that nobody should believe, and
tells in each answer's headers what is left of the quota. Before a game its books scatter around what the game was drawn from.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Final

from chimera.sim.server import Request, Response
from chimera.sim.streams import stream
from chimera.sim.world.espn import moneyline
from chimera.sim.world.game import Game
from chimera.sim.world.league import Club

PREFIX: Final = ("v4", "sports")
CREDITS: Final = 500
"""What the free plan has for a month."""
_BOOKS: Final = (("fanduel", 1.045), ("draftkings", 1.042), ("betmgm", 1.048), ("pinnacle", 1.025), ("mybookieag", 1.095))
"""Book and overround: the last one takes more than anyone should pay."""
_SCATTER: Final = 0.006
_BEHIND_S: Final = 15 * 60.0
"""How long before now a line was last changed, at most."""
_NAMES: Final = {"LA Clippers": "Los Angeles Clippers"}
_SPORTS: Final = {"basketball_nba": "NBA"}


class Odds:
    """Answers `GET /v4/sports/{sport}/odds`. Each answer costs one of `credits_left`; without any the answer is a 401."""

    def __init__(self, games: Sequence[Game], seed: int) -> None:
        self._games = tuple(games)
        self._seed = seed
        self.credits_left = CREDITS

    def respond(self, request: Request, now: float) -> Response:
        """One request at world time `now`."""
        route = request.route[len(PREFIX) :]
        if request.method != "GET" or len(route) != 2 or route[1] != "odds":
            return Response(404, b"Not Found", "text/plain")
        if not request.param("apiKey"):
            return self._refused(401, "MISSING_KEY")
        if route[0] not in _SPORTS:
            return self._refused(404, "UNKNOWN_SPORT")
        if self.credits_left <= 0:
            return self._refused(401, "OUT_OF_USAGE_CREDITS")
        self.credits_left -= 1
        events = [self._event(game, route[0], now) for game in self._games if now < game.end]
        return Response(200, json.dumps(events).encode(), headers=self._quota(1))

    def _refused(self, status: int, code: str) -> Response:
        body = json.dumps({"message": "see the API's documentation", "error_code": code}).encode()
        return Response(status, body, headers=self._quota(0))

    def _quota(self, cost: int) -> tuple[tuple[str, str], ...]:
        left = self.credits_left
        return (
            ("x-requests-remaining", str(left)),
            ("x-requests-used", str(CREDITS - left)),
            ("x-requests-last", str(cost)),
        )

    def _event(self, game: Game, sport: str, now: float) -> dict[str, object]:
        return {
            "id": f"{int(game.event_id):032x}",
            "sport_key": sport,
            "sport_title": _SPORTS[sport],
            "commence_time": _second(game.scheduled),
            "home_team": _name(game.home),
            "away_team": _name(game.away),
            "bookmakers": [self._book(game, name, vig, now) for name, vig in _BOOKS],
        }

    def _book(self, game: Game, name: str, vig: float, now: float) -> dict[str, object]:
        rng = stream(self._seed, "odds", game.event_id, name)
        scatter, behind = rng.gauss(0.0, _SCATTER), rng.uniform(0.0, _BEHIND_S)
        before = now < game.scheduled
        p = min(0.97, max(0.03, (game.pregame if before else game.p_home(now)) + scatter))
        # A line is rewritten now and then before a game, all the time during it.
        at = _second(now - behind if before else now)
        outcomes = [_side(game.away, 1.0 - p, vig), _side(game.home, p, vig)]
        return {"key": name, "title": name.title(), "last_update": at, "markets": [{"key": "h2h", "last_update": at, "outcomes": outcomes}]}


def _name(club: Club) -> str:
    return _NAMES.get(club.full_name, club.full_name)


def _side(club: Club, p: float, vig: float) -> dict[str, object]:
    return {"name": _name(club), "price": moneyline(p, vig)}


def _second(unix: float) -> str:
    return dt.datetime.fromtimestamp(int(unix), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
