"""The home team's probability before the game: where it is from, and which of two to hold.

Whoever asks keeps the answer: documents drop their odds once a game is under way, and a price made during it is no prior.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import attrs

from chimera.feeds.espn import Odds
from chimera.journal.records import Pregame
from chimera.models.odds import Fair

BOOKS_APART_S: Final = 3 * 3600.0
"""Two feeds' starts of one game differ by minutes, or by a delay one of them has heard of; more is another game."""
BEGUN_S: Final = 300.0
"""A price from later than this after the start knows how the game went."""

Devig: TypeAlias = Callable[[Sequence[tuple[float, float]]], Fair | None]
"""(home, away) moneylines -> (P(home), books used)."""


class Source(enum.IntEnum):
    """Where a prior is from; the higher, the better."""

    LEAGUE = 0
    CURVE = 1
    SPREAD = 2
    SCOREBOARD = 3
    PROJECTION = 4
    CLOSING = 5
    BOOKS = 6
    """Several bookmakers', told by the odds oracle."""
    GIVEN = 7
    """Handed in with a recording, from before the game."""


@attrs.frozen(slots=True)
class Prior:
    """P(home wins) before the game, where it is from, and that in words. `total` is the goals expected, where the sport asks for them."""

    p0: float
    source: Source
    why: str
    total: float | None = None


def improve(held: Prior | None, offered: Prior, *, started: bool) -> Prior:
    """Which of two priors to hold: before the tip the newer unless it is from a worse source, after it only one from a better source."""
    if held is None or offered.source > held.source:
        return offered
    return offered if offered.source == held.source and not started else held


def with_books(prior: Prior, told: Pregame | None, starts_at: float) -> Prior:
    """`prior`, or what bookmakers told of the game where that is better; `starts_at` is the game's own (unix s). The total stays."""
    if told is None or prior.source >= Source.BOOKS:
        return prior
    if abs(told.starts_at - starts_at) > BOOKS_APART_S or told.at > starts_at + BEGUN_S:
        return prior
    return Prior(told.p_home, Source.BOOKS, told.source, prior.total)


def from_odds(odds: Sequence[Odds], source: Source, name: str, devig: Devig) -> list[Prior]:
    """The prior of the books' moneylines, the vig taken out by `devig`; nothing where no book is usable."""
    pairs = []
    for line in odds:
        if line.home_moneyline is not None and line.away_moneyline is not None:
            pairs.append((line.home_moneyline, line.away_moneyline))
    found = devig(pairs)
    return [] if found is None else [Prior(found[0], source, f"{name}, {found[1]} books")]
