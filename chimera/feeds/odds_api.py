"""Pregame prices of several bookmakers from The Odds API (v4): what is decoded, what is no prior, and a client that minds its quota.

A document lists a sport's coming games and those under way, each with the moneylines of up to some twenty books. Only a line that was
written before its game began says what was thought before it. Each document costs one credit of a monthly quota; the answer's headers tell
what is left. The key goes into the address, as this API has it, and nowhere else: no stream, no message and no log names it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

import attrs
import msgspec

from chimera.errors import FeedError
from chimera.feeds.prior import Devig
from chimera.intake import Door
from chimera.models.odds import proportional, shin
from chimera.teams import NBA, NHL, League, Team

BASE_URL: Final = "https://api.the-odds-api.com"
MAX_VIG: Final = 0.08
"""A book above this overround is left out (judgement; closing lines average 4 %)."""
BEHIND_S: Final = 7200.0
"""A book whose line is this much older than the newest one has taken its eyes off the game."""
SCARCE: Final = 100
"""Credits below which polls are spread out in proportion."""
SPENT: Final = 2
"""Credits that are left alone."""

_REMAINING: Final = "x-requests-remaining"


@attrs.frozen(slots=True)
class Sport:
    """A league as this API names it, and how the vig is taken out of its moneylines (measured: `chimera.models.odds`)."""

    key: str
    league: League
    devig: Devig


SPORTS: Final = {
    "nba": Sport("basketball_nba", NBA, lambda lines: proportional(lines, MAX_VIG)),
    "nhl": Sport("icehockey_nhl", NHL, lambda lines: shin(lines, MAX_VIG)),
}


@attrs.frozen(slots=True)
class BookLine:
    """One book's American moneylines, and when it last changed them (unix s; 0 where it does not say)."""

    book: str
    home: float
    away: float
    updated_at: float


@attrs.frozen(slots=True)
class OddsEvent:
    """One game. `starts_at` is unix s and differs from other feeds' by minutes; a game under way keeps being listed."""

    id: str
    starts_at: float
    home: Team
    away: Team
    lines: tuple[BookLine, ...]

    def pregame(self, now: float) -> tuple[BookLine, ...]:
        """The lines that were written before the game began; none once it has."""
        before = [line for line in self.lines if line.updated_at <= self.starts_at] if now < self.starts_at else []
        newest = max((line.updated_at for line in before), default=0.0)
        return tuple(line for line in before if newest - line.updated_at <= BEHIND_S)


@attrs.frozen(slots=True)
class OddsPage:
    """A league's games. `refused` says, per game set aside, which and why. `received_at` is world unix s."""

    league: str
    events: tuple[OddsEvent, ...]
    refused: tuple[str, ...]
    received_at: float


def fair(event: OddsEvent, league: str, now: float) -> tuple[float, int] | None:
    """(P(home) before the game, books it is from): usable books averaged, then the vig taken out. None where no book is usable."""
    return SPORTS[league].devig([(line.home, line.away) for line in event.pregame(now)])


# The document


class _Outcome(msgspec.Struct):
    name: str
    price: float


class _Market(msgspec.Struct):
    key: str
    outcomes: list[_Outcome] = []
    last_update: str = ""


class _Book(msgspec.Struct):
    key: str
    markets: list[_Market] = []
    last_update: str = ""


class _Event(msgspec.Struct):
    id: str
    sport_key: str
    commence_time: str
    home_team: str
    away_team: str
    bookmakers: list[_Book] = []


class _Fault(msgspec.Struct):
    message: str = ""
    error_code: str = ""


_page = msgspec.json.Decoder(list[msgspec.Raw])
_event = msgspec.json.Decoder(_Event)
_fault = msgspec.json.Decoder(_Fault)
_UNREADABLE: Final = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)


def decode_odds(body: bytes, league: str, *, received_at: float = 0.0, where: str = "odds") -> OddsPage:
    """Read a document of `league`. FeedError beginning with `where` if it is none; one odd game is set aside, not the night."""
    try:
        rows = _page.decode(body)
    except _UNREADABLE as error:
        raise FeedError(f"{where}: {error} ({len(body)} bytes)") from error
    events: list[OddsEvent] = []
    refused: list[str] = []
    for index, raw in enumerate(rows):
        try:
            events.append(_read(_event.decode(raw), SPORTS[league]))
        except _UNREADABLE as error:
            refused.append(f"event {index}: {error}")
    if refused and not events:
        raise FeedError(f"{where}: no game in it can be read; {refused[0]}")
    return OddsPage(league, tuple(events), tuple(refused), received_at)


def _read(raw: _Event, sport: Sport) -> OddsEvent:
    """ValueError naming what it lacks."""
    if raw.sport_key != sport.key:
        raise ValueError(f"it is of {raw.sport_key!r}, not {sport.key!r}")
    home, away = (_team(name, sport.league) for name in (raw.home_team, raw.away_team))
    if home is away:
        raise ValueError(f"{raw.home_team!r} plays itself")
    found = (_line(book, raw) for book in raw.bookmakers)
    return OddsEvent(raw.id, _time(raw.commence_time), home, away, tuple(line for line in found if line is not None))


def _team(name: str, league: League) -> Team:
    team = league.by_name(name)
    if team is None:
        raise ValueError(f"{name!r} is no {league.name} team")
    return team


def _line(book: _Book, event: _Event) -> BookLine | None:
    """The book's two-way moneyline; None where it has none, as where it offers a draw or only a spread."""
    market = next((market for market in book.markets if market.key == "h2h"), None)
    if market is None:
        return None
    prices = {outcome.name: outcome.price for outcome in market.outcomes}
    if len(market.outcomes) != 2 or set(prices) != {event.home_team, event.away_team}:
        return None
    updated = market.last_update or book.last_update
    return BookLine(book.key, prices[event.home_team], prices[event.away_team], _time(updated) if updated else 0.0)


def _time(text: str) -> float:
    when = dt.datetime.fromisoformat(text)
    return (when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)).timestamp()


# The quota


_LADDER: Final = ((600.0, 180.0), (3600.0, 600.0), (6 * 3600.0, 1800.0), (24 * 3600.0, 3 * 3600.0))
"""(a game begins within, s; ask every, s): the closing price is the best one, and one far ahead is worth little."""
_IDLE_S: Final = 6 * 3600.0
"""Where no game is near, or the quota is spent."""


def pause(now: float, starts: Sequence[float], remaining: int | None) -> float:
    """World seconds to the next document of a league whose games begin at `starts`, with `remaining` credits (None: not told yet).

    A night of games over four hours costs about 60 credits for a league. Below SCARCE credits everything is spread out in proportion; the
    last SPENT are never asked for.
    """
    if remaining is not None and remaining <= SPENT:
        return _IDLE_S
    ahead = min((start - now for start in starts if start > now), default=None)
    step = _IDLE_S if ahead is None else next((every for within, every in _LADDER if ahead <= within), _IDLE_S)
    stretched = step if remaining is None else step * max(1.0, SCARCE / remaining)
    # Not past the moment when the ladder asks for more.
    closer = [ahead - within for within, _ in _LADDER if ahead > within] if ahead is not None else []
    return max(60.0, min([min(stretched, _IDLE_S), *closer]))


class OddsClient:
    """Fetches a league's odds through the door. It outlives its reader, and keeps what the API last said of the quota.

    `observe` is to be told of each answer's headers; without them the quota is unknown, and minded by pace alone.
    """

    def __init__(self, door: Door, key: str, base_url: str = BASE_URL, *, regions: str = "us") -> None:
        self._door = door
        self._base_url = base_url.rstrip("/")
        query = {"regions": regions, "markets": "h2h", "oddsFormat": "american", "dateFormat": "iso"}
        self._query = urlencode({"apiKey": key, **query}, quote_via=quote)
        self._last: dict[str, bytes] = {}
        self.remaining: int | None = None

    def observe(self, stream: str, headers: Mapping[str, str], sent: float, received: float) -> None:
        """Take the quota from the headers of an answer, if it is one of this API's."""
        if is_odds(stream):
            text = headers.get(_REMAINING, "").strip()
            self.remaining = int(float(text)) if text.replace(".", "", 1).isdigit() else self.remaining

    async def page(self, league: str) -> OddsPage | None:
        """A league's games; None where the document is, byte for byte, the last good one. FeedError where no good document came."""
        sport = SPORTS[league]
        stream = f"{_STREAM}{sport.key}"
        frame = await self._door.get(stream, f"{self._base_url}/v4/sports/{sport.key}/odds?{self._query}")
        if frame.status != 200:
            self._note(frame.status, frame.body)
            raise FeedError(f"{stream}: HTTP {frame.status}{_why(frame.body)}")
        if frame.body == self._last.get(stream):
            return None
        page = decode_odds(frame.body, league, received_at=frame.received_wall, where=stream)
        self._last[stream] = frame.body
        return page

    def reset(self) -> None:
        """Let go of the documents: for a new reader all is new. The quota is remembered."""
        self._last.clear()

    def _note(self, status: int, body: bytes) -> None:
        if status == 401 and "OUT_OF_USAGE_CREDITS" in _why(body):
            self.remaining = 0


_STREAM: Final = "odds.h2h."


def is_odds(stream: str) -> bool:
    """Whether a stream's name is one of this feed's."""
    return stream.startswith(_STREAM)


def _why(body: bytes) -> str:
    """The API's own code for what is wrong; its message is left out, for it may repeat what it was sent."""
    try:
        code = _fault.decode(body).error_code
    except _UNREADABLE:
        return ""
    return f" {code}" if code.isascii() and code.replace("_", "").isalnum() and code.isupper() else ""
