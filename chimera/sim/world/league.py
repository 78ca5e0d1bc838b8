"""The clubs of the simulated league as ESPN and Kalshi name them, and the people who play in it, who do not exist."""

from __future__ import annotations

import random

import attrs

from chimera.teams import NBA

ROSTER_SIZE = 10
ON_COURT = 5


@attrs.frozen(slots=True)
class Club:
    """A team as its feeds write it: Kalshi's code and city, ESPN's id, abbreviation, location and name ("Knicks")."""

    code: str
    city: str
    espn_id: str
    abbreviation: str
    location: str
    name: str

    @property
    def full_name(self) -> str:
        return f"{self.location} {self.name}"


_ESPN_ORDER = "ATL BOS NO CHI CLE DAL DEN DET GS HOU IND LAC LAL MIA MIL MIN BKN NY ORL PHI PHX POR SAC SA OKC UTAH WSH TOR MEM CHA"
"""ESPN numbers the thirty in this order, from 1."""
_ESPN_LOCATIONS = {"LAC": "LA"}


def _clubs() -> tuple[Club, ...]:
    ids = {abbreviation: str(number) for number, abbreviation in enumerate(_ESPN_ORDER.split(), start=1)}
    clubs = []
    for team in NBA.teams:
        location = _ESPN_LOCATIONS.get(team.code, team.name.removesuffix(team.nickname).strip())
        clubs.append(Club(team.code, team.city, ids[team.espn], team.espn, location, team.nickname))
    return tuple(clubs)


CLUBS = _clubs()

_FIRST = ("Abel", "Bram", "Cato", "Davin", "Emory", "Foss", "Garrick", "Hollis", "Ivar", "Jory", "Kellan", "Lorne", "Milo", "Niall")
_LAST = ("Ashdown", "Birkett", "Colvane", "Drummle", "Esterly", "Fenwick", "Garrow", "Haldane", "Ilsley", "Jessop", "Kerrich", "Lomax")


def roster(rng: random.Random) -> list[str]:
    """Ten invented names, no two alike."""
    names = [f"{first} {last}" for first in _FIRST for last in _LAST]
    return rng.sample(names, ROSTER_SIZE)
