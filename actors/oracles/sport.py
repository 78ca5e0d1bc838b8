"""What a game oracle asks of a sport: how its documents are read, what between two states is news, and what a state is worth.

The oracle in `game.py` knows when to poll, what to hold back and whom to tell; a `Sport` knows nothing of time, feeds or kills.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol, TypeVar

from actors.messages import Phase
from chimera.feeds.espn import Game, Summary
from chimera.feeds.game_plays import GameState, Incident
from chimera.feeds.prior import Prior
from chimera.models.value import Atoms, Valuation
from chimera.teams import League

S = TypeVar("S", bound=GameState)
S_contra = TypeVar("S_contra", bound=GameState, contravariant=True)


class Pricing(Protocol[S_contra]):
    """One game's model, its pregame price inside."""

    def evaluate(self, state: S_contra) -> Valuation:
        """P(home wins) now."""
        ...

    def reaction(self, state: S_contra, horizon_s: float) -> Atoms:
        """Where P(home wins) may be `horizon_s` seconds from now."""
        ...


class Sport(Protocol[S]):
    """`name` is the domain, in kill scopes and listings; `league` its teams."""

    @property
    def name(self) -> str: ...

    @property
    def league(self) -> League: ...

    def reduce(self, summary: Summary, line: Game | None) -> S:
        """The state both documents show."""
        ...

    def from_line(self, line: Game) -> S:
        """The state a scoreboard line alone shows."""
        ...

    def compare(self, previous: S, current: S) -> list[Incident]:
        """What happened between two states that must stop quoting, and what stands in the later one."""
        ...

    def best_prior(self, line: Game, summary: Summary | None) -> Prior:
        """The best pregame price these documents give."""
        ...

    def solve(self, prior: Prior, season: int) -> Generator[None, None, Pricing[S]]:
        """The model of one game, in slices of work short enough for the loop; one with no work yields nothing."""
        ...

    def phase(self, state: S) -> tuple[Phase, float]:
        """The phase of play, and the edge (cents) that asks for beyond the base."""
        ...
