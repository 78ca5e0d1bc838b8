"""What only hockey's documents have: the strength of each play, shots at an empty net, and who is on the ice.

Strengths are as the acting team has them; a penalty's own row carries the strength before it. `onIce` names players and no positions: those
are in the box score, and a list with a player who is not there says nothing, for he might be a goalie.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import attrs

from chimera.feeds import espn_wire as wire


class Strength(enum.Enum):
    """A play's strength; the values are ESPN's ids."""

    EVEN = "701"
    POWER_PLAY = "702"
    SHORT_HANDED = "703"
    EMPTY_NET = "903"


@attrs.frozen(slots=True)
class OnIce:
    """One team's players on the ice, goalie included; `goalie` is whether one is among them. `side` is +1 home, -1 away."""

    side: int
    players: int
    goalie: bool

    @property
    def pulled(self) -> bool:
        """Whether a skater stands in for the goalie: six players without one, or five while short-handed."""
        return not self.goalie and self.players >= 5

    @property
    def skaters(self) -> int:
        """Skaters as a strength counts them, the extra attacker left out."""
        return self.players - 1


_STRENGTHS: Final = {strength.value: strength for strength in Strength}
_EMPTY_NET: Final = "903"


def strength_of(play: wire.Play) -> Strength | None:
    """The play's strength; None where it has none or an unknown one."""
    return _STRENGTHS.get(play.strength.id) if play.strength is not None else None


def at_empty_net(play: wire.Play) -> bool:
    """Whether it is a shot at an empty net."""
    return play.shot_info is not None and play.shot_info.id == _EMPTY_NET


def who_is_on_ice(page: wire.SummaryPage, sides: Mapping[str, int]) -> tuple[OnIce, ...]:
    """Both teams on the ice; `sides` is +1 or -1 by team id. Empty where either is missing or has a player of unknown position."""
    lineups = wire.boxscore.decode(page.boxscore).players
    positions = {one.athlete.id: one.athlete.position.abbreviation for team in lineups for part in team.statistics for one in part.athletes}
    found = {}
    for team in page.on_ice or ():
        ids = [player.id for player in team.entries]
        if team.team_id in sides and ids and all(positions.get(one) for one in ids):
            found[sides[team.team_id]] = OnIce(sides[team.team_id], len(ids), any(positions[one] == "G" for one in ids))
    return tuple(found.values()) if len(found) == len(sides) else ()
