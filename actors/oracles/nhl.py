"""The NHL oracle: the game oracle with hockey's reducer, model and phases.

A power play is worth four to seven cents, an empty net turns a game within seconds: such states ask for more edge, each for its own.
"""

from __future__ import annotations

from collections.abc import Generator

import attrs

from actors.messages import Phase
from actors.oracles.game import GameOracle
from actors.oracles.track import OracleSettings
from chimera.feeds.espn import Game, GameStatus, Summary
from chimera.feeds.game_plays import Incident
from chimera.feeds.nhl_plays import NhlState, compare, from_line, reduce
from chimera.feeds.nhl_prior import best_prior
from chimera.feeds.prior import Prior
from chimera.models.nhl import NhlGame, empty_net, solve
from chimera.models.nhl_params import LEAGUE_TOTAL
from chimera.models.value import Season
from chimera.teams import NHL, League

ENDGAME_S, ENDGAME_GOALS = 300.0, 2
EMPTY_NET = 0.1
"""From this chance on the trailing team's net counts as empty."""


@attrs.frozen(slots=True)
class NhlSport:
    """Hockey as the game oracle asks for it."""

    settings: OracleSettings
    name: str = "nhl"
    league: League = NHL

    def reduce(self, summary: Summary, line: Game | None) -> NhlState:
        return reduce(summary, line)

    def from_line(self, line: Game) -> NhlState:
        return from_line(line)

    def compare(self, previous: NhlState, current: NhlState) -> list[Incident]:
        return compare(previous, current)

    def best_prior(self, line: Game, summary: Summary | None) -> Prior:
        return best_prior(line, summary)

    def solve(self, prior: Prior, season: int) -> Generator[None, None, NhlGame]:
        return solve(prior.p0, prior.total or LEAGUE_TOTAL, playoffs=season == Season.PLAYOFFS)

    def phase(self, state: NhlState) -> tuple[Phase, float]:
        if state.status is GameStatus.SCHEDULED:
            return Phase.PREGAME, 0.0
        if state.final:
            return Phase.FINAL, 0.0
        level_at_the_end = state.period == 3 and state.seconds_left <= 0.0 and state.home_lead == 0
        late = state.seconds_left <= ENDGAME_S and abs(state.home_lead) <= ENDGAME_GOALS and not state.overtime
        phase = Phase.OVERTIME if state.overtime else Phase.ENDGAME if late else Phase.LIVE
        return (phase if state.live else Phase.BREAK), self._edge(state, state.overtime or level_at_the_end, late)

    def _edge(self, state: NhlState, overtime: bool, late: bool) -> float:
        """Overtime, a close end, each skater of difference (or witnesses who differ about it), an empty net: cents that add up."""
        settings = self.settings
        home, away = state.skaters
        edge = settings.overtime_edge_cents if overtime else settings.endgame_edge_cents if late else 0.0
        edge += settings.power_play_edge_cents * max(abs(home - away), bool(state.doubt))
        return edge + settings.empty_net_edge_cents * (empty_net(state) >= EMPTY_NET)


class NhlOracle(GameOracle[NhlState]):
    """Prices the NHL games of the present Listing."""

    def sport(self, settings: OracleSettings) -> NhlSport:
        return NhlSport(settings)
