"""The NBA oracle: the game oracle with basketball's reducer, model and phases."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

import attrs

from actors.messages import Phase
from actors.oracles.game import GameOracle
from actors.oracles.track import OracleSettings
from chimera.feeds.espn import Game, GameStatus, Summary
from chimera.feeds.game_plays import Incident
from chimera.feeds.nba_plays import NbaState, compare, from_line, reduce
from chimera.feeds.nba_prior import best_prior
from chimera.feeds.prior import Prior
from chimera.models.nba import evaluate, reaction
from chimera.models.nba_endgame import doubt_cents
from chimera.models.value import Atoms, Valuation
from chimera.teams import NBA, League

NbaOracleSettings: TypeAlias = OracleSettings

ENDGAME_S, ENDGAME_POINTS = 120.0, 6


@attrs.frozen(slots=True)
class NbaPricing:
    """One game's model: its pregame price and its season type are all it needs."""

    p0: float
    season: int

    def evaluate(self, state: NbaState) -> Valuation:
        return evaluate(state, self.p0, self.season)

    def reaction(self, state: NbaState, horizon_s: float) -> Atoms:
        return reaction(state, self.p0, horizon_s, self.season)


@attrs.frozen(slots=True)
class NbaSport:
    """Basketball as the game oracle asks for it."""

    settings: OracleSettings
    name: str = "nba"
    league: League = NBA

    def reduce(self, summary: Summary, line: Game | None) -> NbaState:
        return reduce(summary, line)

    def from_line(self, line: Game) -> NbaState:
        return from_line(line)

    def compare(self, previous: NbaState, current: NbaState) -> list[Incident]:
        return compare(previous, current)

    def best_prior(self, line: Game, summary: Summary | None) -> Prior:
        return best_prior(line, summary)

    def solve(self, prior: Prior, season: int) -> Generator[None, None, NbaPricing]:
        yield from ()
        return NbaPricing(prior.p0, season)

    def phase(self, state: NbaState) -> tuple[Phase, float]:
        settings = self.settings
        if state.status is GameStatus.SCHEDULED:
            return Phase.PREGAME, 0.0
        if state.final:
            return Phase.FINAL, 0.0
        if state.overtime or (state.period == 4 and state.seconds_left <= 0.0 and state.home_lead == 0):
            return (Phase.OVERTIME if state.live else Phase.BREAK), settings.overtime_edge_cents + doubt_cents(state)
        if not state.live:
            return Phase.BREAK, 0.0
        if state.seconds_left <= ENDGAME_S and abs(state.home_lead) <= ENDGAME_POINTS:
            return Phase.ENDGAME, settings.endgame_edge_cents + doubt_cents(state)
        return Phase.LIVE, 0.0


class NbaOracle(GameOracle[NbaState]):
    """Prices the NBA games of the present Listing."""

    def sport(self, settings: OracleSettings) -> NbaSport:
        return NbaSport(settings)
