"""What is on in a world: four games, each at another stage when the world begins.

One is in its last minutes and ends four minutes in, one is in the second quarter, one has just begun, and one tips off after two minutes.
The same seed and the same beginning give the same evening.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from chimera.errors import LocalError
from chimera.sim.streams import stream
from chimera.sim.world.game import Game, make_game, place
from chimera.sim.world.league import CLUBS, Club
from chimera.sim.world.plays import REGULATION_PERIODS

FIRST_EVENT_ID = 401_900_001
ENDS_AFTER = 240.0
TIPS_AFTER = 120.0
_TRIES = 500


@attrs.frozen(slots=True)
class _Slot:
    """Where in a game the world begins: `tip` tells the tip-off relative to the beginning, `fits` whether a candidate is worth watching."""

    tip: Callable[[Game], float]
    fits: Callable[[Game, float], bool]


def _lead(game: Game, now: float) -> int:
    done = game.happened(now)
    return abs(game.plays[done - 1].home - game.plays[done - 1].away) if done else 0


def _in_period(game: Game, now: float, period: int) -> bool:
    done = game.happened(now)
    return done > 0 and game.plays[done - 1].period == period


def _reaches(game: Game, period: int, clock: float) -> float:
    """Seconds of wall time from the tip-off to the first play with `clock` or less left in `period`."""
    return next(play.at for play in game.plays if play.period == period and play.clock <= clock)


_SLOTS = (
    _Slot(
        lambda game: ENDS_AFTER - game.plays[-1].at,
        lambda game, now: game.plays[-1].period == REGULATION_PERIODS and _in_period(game, now, 4) and 0.2 <= game.p_home(now) <= 0.8,
    ),
    _Slot(lambda game: -_reaches(game, 2, 540.0), lambda game, now: _in_period(game, now, 2) and _lead(game, now) <= 12),
    _Slot(lambda game: -_reaches(game, 1, 600.0), lambda game, now: _in_period(game, now, 1) and _lead(game, now) <= 8),
    _Slot(lambda game: TIPS_AFTER, lambda game, now: abs(game.expected_margin) <= 8.0),
)


def evening(seed: int, begins: float) -> tuple[Game, ...]:
    """The games of a world that begins at `begins` (unix s), in the order of the module's description."""
    clubs = list(CLUBS)
    stream(seed, "clubs").shuffle(clubs)
    return tuple(_cast(seed, number, slot, begins, clubs[2 * number : 2 * number + 2]) for number, slot in enumerate(_SLOTS))


def _cast(seed: int, number: int, slot: _Slot, begins: float, clubs: list[Club]) -> Game:
    away, home = clubs
    for attempt in range(_TRIES):
        rng = stream(seed, "game", number, attempt)
        game = make_game(rng, str(FIRST_EVENT_ID + number), home, away)
        game = place(game, begins + slot.tip(game))
        if slot.fits(game, begins):
            return game
    raise LocalError(f"no game in {_TRIES} fits slot {number} for seed {seed}: the generator's rates must have changed")
