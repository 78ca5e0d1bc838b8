"""One scheduled game: what happens, when ESPN says so, and how likely each side is to win meanwhile.

The truth here is a Brownian lead with a drift (Stern 1994), on its own parameters: it is what the simulated crowd trades on, and is kept
apart from the models under test so that they are never measured against themselves.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from bisect import bisect_right
from functools import cached_property
from zoneinfo import ZoneInfo

import attrs

from chimera.sim.world.league import Club
from chimera.sim.world.nba import play_game
from chimera.sim.world.plays import REGULATION_SECONDS, Play

PUBLISH_DELAY = 6.0
"""Seconds from a play to its appearing in ESPN's document: the least; real ones are several to tens of seconds."""
PUBLISH_JITTER = 1.5
MEAN_PUBLISH_DELAY = PUBLISH_DELAY + PUBLISH_JITTER / 2
_EASTERN = ZoneInfo("America/New_York")
_LAST_POINT = 0.6
"""Standard deviation (points) left with no time on the clock: what the last play still may be."""


@attrs.frozen
class Game:
    """A game already played, placed in world time. Times are unix seconds; `sigma` is the sd of a whole game's margin in points."""

    event_id: str
    home: Club
    away: Club
    tip: float
    expected_margin: float
    sigma: float
    plays: tuple[Play, ...]
    published: tuple[float, ...]

    @property
    def scheduled(self) -> float:
        """The announced start: the whole minute before the jump ball."""
        return self.tip // 60 * 60

    @property
    def end(self) -> float:
        """When the game is over."""
        return self.tip + self.plays[-1].at

    @property
    def home_won(self) -> bool:
        return self.plays[-1].home > self.plays[-1].away

    @property
    def day(self) -> dt.date:
        """The date in the east of the US, by which the league and Kalshi name the game."""
        return dt.datetime.fromtimestamp(self.scheduled, _EASTERN).date()

    @cached_property
    def _walls(self) -> list[float]:
        return [self.tip + play.at for play in self.plays]

    def happened(self, now: float) -> int:
        """How many plays there have been."""
        return bisect_right(self._walls, now)

    def visible(self, now: float) -> int:
        """How many plays ESPN has published."""
        return bisect_right(self.published, now)

    @property
    def pregame(self) -> float:
        """P(home wins) before the tip-off."""
        return _normal(self.expected_margin / math.hypot(self.sigma, _LAST_POINT))

    def p_home(self, now: float) -> float:
        """P(home wins) for one who sees the floor at `now`; exactly 0 or 1 once the game is over."""
        done = self.happened(now)
        if done == 0:
            return self.pregame
        if done == len(self.plays):
            return float(self.home_won)
        last, following = self.plays[done - 1], self.plays[done]
        left = last.seconds_left
        if following.period == last.period and following.at > last.at:
            share = (now - self.tip - last.at) / (following.at - last.at)
            left += (following.seconds_left - left) * share
        fraction = left / REGULATION_SECONDS
        mean = last.home - last.away + self.expected_margin * fraction
        return _normal(mean / math.sqrt(self.sigma * self.sigma * fraction + _LAST_POINT * _LAST_POINT))

    def p_at_play(self, index: int) -> float:
        """P(home wins) right after a play."""
        return self.p_home(self._walls[index])


def make_game(rng: random.Random, event_id: str, home: Club, away: Club) -> Game:
    """A game with its tip-off at time 0. Home sides are expected to win by 2.5 points, give or take 5."""
    margin = max(-12.0, min(12.0, rng.gauss(2.5, 5.0)))
    sigma = rng.uniform(12.5, 15.0)
    plays = play_game(rng, home, away, margin)
    published: list[float] = []
    for play in plays:
        due = play.at + PUBLISH_DELAY + rng.uniform(0.0, PUBLISH_JITTER)
        published.append(max(due, published[-1]) if published else due)
    return Game(event_id, home, away, 0.0, margin, sigma, plays, tuple(published))


def place(game: Game, tip: float) -> Game:
    """The same game with its tip-off at `tip`."""
    shift = tip - game.tip
    return attrs.evolve(game, tip=tip, published=tuple(at + shift for at in game.published))


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
