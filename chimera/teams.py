"""Which team a name means: one table for each league, and lookups by Kalshi's code, ESPN's abbreviation, and city or name.

Every source spells teams its own way (Kalshi "NYK" and "New York", ESPN "NY", an odds feed "New York Knicks"). Here they meet, so that a
market, a game and a price are joined by the team and never by a string that happens to match.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs


@attrs.frozen(slots=True)
class Team:
    """One team. `code` is Kalshi's, `name` the full name, `city` what Kalshi calls it in titles and rules, `espn` ESPN's abbreviation."""

    code: str
    name: str
    city: str = ""
    espn: str = ""
    others: tuple[str, ...] = ()

    @property
    def nickname(self) -> str:
        """The last part of the name: "Knicks", "Trail Blazers"."""
        return self.name.removeprefix(self.city).strip() if self.name.startswith(self.city + " ") else self.others[0]


def _key(name: str) -> str:
    return " ".join(name.replace(".", "").casefold().split())


class League:
    """The teams of one league. Lookups answer None for what is unknown, and for a city that two teams share."""

    def __init__(self, name: str, teams: Iterable[Team]) -> None:
        self.name = name
        self.teams = tuple(teams)
        self._codes = {team.code: team for team in self.teams}
        self._espn = {team.espn: team for team in self.teams}
        self._names: dict[str, Team] = {}
        for team in self.teams:
            for spelling in {_key(text) for text in (team.city, team.name, team.nickname, f"{team.code} {team.nickname}", *team.others)}:
                if self._names.setdefault(spelling, team) is not team:
                    raise ValueError(f"{name}: {spelling!r} names both {self._names[spelling].code} and {team.code}")

    def by_code(self, code: str) -> Team | None:
        """The team with this Kalshi code ("NYK")."""
        return self._codes.get(code)

    def by_espn(self, abbreviation: str) -> Team | None:
        """The team with this ESPN abbreviation ("NY", "GS", "UTAH")."""
        return self._espn.get(abbreviation)

    def by_name(self, name: str) -> Team | None:
        """The team with this city (as Kalshi writes it), nickname, full name, "NJ Devils" or other spelling, whatever its case and dots."""
        return self._names.get(_key(name))

    def split(self, codes: str) -> tuple[Team, Team] | None:
        """Two Kalshi codes written together ("NYKIND") as teams, in order; None unless there is exactly one way to read them."""
        ways = [
            (first, second)
            for at in range(1, len(codes))
            if (first := self._codes.get(codes[:at])) is not None and (second := self._codes.get(codes[at:])) is not None
        ]
        return ways[0] if len(ways) == 1 and ways[0][0] is not ways[0][1] else None


NBA: Final = League(
    "NBA",
    (
        Team("ATL", "Atlanta Hawks", "Atlanta", "ATL"),
        Team("BKN", "Brooklyn Nets", "Brooklyn", "BKN"),
        Team("BOS", "Boston Celtics", "Boston", "BOS"),
        Team("CHA", "Charlotte Hornets", "Charlotte", "CHA"),
        Team("CHI", "Chicago Bulls", "Chicago", "CHI"),
        Team("CLE", "Cleveland Cavaliers", "Cleveland", "CLE"),
        Team("DAL", "Dallas Mavericks", "Dallas", "DAL"),
        Team("DEN", "Denver Nuggets", "Denver", "DEN"),
        Team("DET", "Detroit Pistons", "Detroit", "DET"),
        Team("GSW", "Golden State Warriors", "Golden State", "GS"),
        Team("HOU", "Houston Rockets", "Houston", "HOU"),
        Team("IND", "Indiana Pacers", "Indiana", "IND"),
        Team("LAC", "Los Angeles Clippers", "Los Angeles C", "LAC", ("Clippers", "LA Clippers")),
        Team("LAL", "Los Angeles Lakers", "Los Angeles L", "LAL", ("Lakers", "LA Lakers")),
        Team("MEM", "Memphis Grizzlies", "Memphis", "MEM"),
        Team("MIA", "Miami Heat", "Miami", "MIA"),
        Team("MIL", "Milwaukee Bucks", "Milwaukee", "MIL"),
        Team("MIN", "Minnesota Timberwolves", "Minnesota", "MIN"),
        Team("NOP", "New Orleans Pelicans", "New Orleans", "NO"),
        Team("NYK", "New York Knicks", "New York", "NY"),
        Team("OKC", "Oklahoma City Thunder", "Oklahoma City", "OKC"),
        Team("ORL", "Orlando Magic", "Orlando", "ORL"),
        Team("PHI", "Philadelphia 76ers", "Philadelphia", "PHI"),
        Team("PHX", "Phoenix Suns", "Phoenix", "PHX"),
        Team("POR", "Portland Trail Blazers", "Portland", "POR"),
        Team("SAC", "Sacramento Kings", "Sacramento", "SAC"),
        Team("SAS", "San Antonio Spurs", "San Antonio", "SA"),
        Team("TOR", "Toronto Raptors", "Toronto", "TOR"),
        Team("UTA", "Utah Jazz", "Utah", "UTAH"),
        Team("WAS", "Washington Wizards", "Washington", "WSH"),
    ),
)
"""The thirty teams. Codes are those of Kalshi's 2025 game tickers; abbreviations those of ESPN's scoreboard."""


NHL: Final = League(
    "NHL",
    (
        Team("ANA", "Anaheim Ducks", "Anaheim", "ANA"),
        Team("BOS", "Boston Bruins", "Boston", "BOS"),
        Team("BUF", "Buffalo Sabres", "Buffalo", "BUF"),
        Team("CGY", "Calgary Flames", "Calgary", "CGY"),
        Team("CAR", "Carolina Hurricanes", "Carolina", "CAR"),
        Team("CHI", "Chicago Blackhawks", "Chicago", "CHI"),
        Team("COL", "Colorado Avalanche", "Colorado", "COL"),
        Team("CBJ", "Columbus Blue Jackets", "Columbus", "CBJ"),
        Team("DAL", "Dallas Stars", "Dallas", "DAL"),
        Team("DET", "Detroit Red Wings", "Detroit", "DET"),
        Team("EDM", "Edmonton Oilers", "Edmonton", "EDM"),
        Team("FLA", "Florida Panthers", "Florida", "FLA"),
        Team("LA", "Los Angeles Kings", "Los Angeles", "LA", ("LA Kings",)),
        Team("MIN", "Minnesota Wild", "Minnesota", "MIN"),
        Team("MTL", "Montreal Canadiens", "Montreal", "MTL", ("Montr\u00e9al Canadiens", "Montr\u00e9al")),
        Team("NSH", "Nashville Predators", "Nashville", "NSH"),
        Team("NJ", "New Jersey Devils", "New Jersey", "NJ"),
        Team("NYI", "New York Islanders", "New York I", "NYI", ("Islanders", "NY Islanders")),
        Team("NYR", "New York Rangers", "New York R", "NYR", ("Rangers", "NY Rangers")),
        Team("OTT", "Ottawa Senators", "Ottawa", "OTT"),
        Team("PHI", "Philadelphia Flyers", "Philadelphia", "PHI"),
        Team("PIT", "Pittsburgh Penguins", "Pittsburgh", "PIT"),
        Team("SEA", "Seattle Kraken", "Seattle", "SEA"),
        Team("SJ", "San Jose Sharks", "San Jose", "SJ"),
        Team("STL", "St. Louis Blues", "St. Louis", "STL"),
        Team("TB", "Tampa Bay Lightning", "Tampa Bay", "TB"),
        Team("TOR", "Toronto Maple Leafs", "Toronto", "TOR"),
        Team("UTA", "Utah Mammoth", "Utah", "UTAH", ("Utah Hockey Club",)),
        Team("VAN", "Vancouver Canucks", "Vancouver", "VAN"),
        Team("VGK", "Vegas Golden Knights", "Vegas", "VGK"),
        Team("WPG", "Winnipeg Jets", "Winnipeg", "WPG"),
        Team("WSH", "Washington Capitals", "Washington", "WSH"),
    ),
)
"""The thirty-two teams. Abbreviations are ESPN's scoreboard's; codes those of Kalshi's game tickers as far as seen, else ESPN's.

A code that Kalshi spells otherwise makes its markets refused, with the code in the reason, and never another team's.
"""
