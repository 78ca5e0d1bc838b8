"""What a market is and what its YES means, read from the exchange's own record and checked against its rules text.

A market whose meaning cannot be proved is refused with a reason and never guessed: a quote on the wrong team is worse than no quote. For a
game the event ticker, the ticker's suffix, the YES subtitle and the sentence of the rules must all tell the same story.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Final, TypeAlias

import attrs

from chimera.conventions import CENT, ONE, Price
from chimera.kalshi.schema import KalshiEvent, KalshiMarket, KalshiSeries
from chimera.teams import NBA, NHL, League, Team

Band: TypeAlias = tuple[Price, Price, Price]
"""(start, end, step) of one stretch of prices, both ends included."""


@attrs.frozen(slots=True)
class PriceGrid:
    """The prices at which orders may rest: the market's `price_ranges`, strictly inside (0, ONE).

    A price on the boundary of two bands is valid if it lies on the grid of either. ValueError where the bands make no grid.
    """

    bands: tuple[Band, ...]
    tick: Price = attrs.field(init=False, eq=False)
    """The largest step that reaches every valid price; a ladder indexed by price // tick has a place for each."""

    def __attrs_post_init__(self) -> None:
        reached = 0
        for start, end, step in self.bands:
            if not (reached <= start < end <= ONE and step > 0):
                raise ValueError(f"price band {start}..{end} by {step} is out of order, empty or outside 0..{ONE}")
            reached = end
        object.__setattr__(self, "tick", math.gcd(ONE, *(n for start, _, step in self.bands for n in (start, step))))
        if self.floor(ONE) is None:
            raise ValueError("price bands hold no valid price")

    def valid(self, price: Price) -> bool:
        """Whether an order may be priced here; never at 0 or ONE."""
        return 0 < price < ONE and any(start <= price <= end and not (price - start) % step for start, end, step in self.bands)

    def floor(self, price: Price) -> Price | None:
        """The highest valid price at or below `price`; None where there is none."""
        top = min(price, ONE - 1)
        below = (start + (min(top, end) - start) // step * step for start, end, step in self.bands if start <= top)
        return max((found for found in below if found > 0), default=None)

    def ceil(self, price: Price) -> Price | None:
        """The lowest valid price at or above `price`; None where there is none."""
        bottom = max(price, 1)
        above = ((start - (start - max(bottom, start)) // step * step, end) for start, end, step in self.bands)
        return min((found for found, end in above if found <= end and found < ONE), default=None)

    def up(self, price: Price) -> Price | None:
        """The next valid price above `price`; None at the top."""
        return self.ceil(price + 1)

    def down(self, price: Price) -> Price | None:
        """The next valid price below `price`; None at the bottom."""
        return self.floor(price - 1)


CENT_GRID: Final = PriceGrid(((0, ONE, CENT),))
"""Kalshi's `linear_cent`: every whole cent from 1 to 99."""


@attrs.frozen(slots=True)
class TeamWins:
    """YES pays if `team` wins the game against `opponent`. `home` tells whether `team` is at home; None where the rules do not say.

    `day` is the US Eastern date the game was first scheduled for: with the teams it names the game in any feed.
    """

    team: Team
    opponent: Team
    home: bool | None
    day: dt.date | None = None


Meaning: TypeAlias = TeamWins
"""What YES pays on."""


@attrs.frozen(slots=True)
class FeeTerms:
    """What is charged: Kalshi's fee type by name, its multiplier, and until when (world unix s) the market's fees are waived, if ever."""

    fee_type: str
    multiplier: Fraction
    waived_until: float | None = None


class Status(enum.StrEnum):
    """A market's state as the exchange reports it."""

    INITIALIZED = "initialized"
    INACTIVE = "inactive"
    ACTIVE = "active"
    CLOSED = "closed"
    DETERMINED = "determined"
    DISPUTED = "disputed"
    AMENDED = "amended"
    FINALIZED = "finalized"


@attrs.frozen(slots=True)
class Market:
    """One market that Chimera understands. Times are world unix seconds.

    `unit` is what one shock spoils together: for a game, its event. `start_at` is when the game is expected to begin, as far as the
    exchange says; `expected_end_at` when it expects to know the result. `close_at` of a game lies days after it. `fee` is as the exchange
    states it, known to us or not. `result` is "", "yes" or "no".
    """

    ticker: str
    event: str
    series: str
    domain: str
    unit: str
    grid: PriceGrid
    meaning: Meaning
    status: Status
    open_at: float
    close_at: float
    expected_end_at: float | None
    exchange_index: int
    fee: FeeTerms
    result: str
    settlement_value: Price | None
    title: str
    start_at: float | None = None

    def trading(self, now: float) -> bool:
        """Whether orders can rest now. No event tells when a market opens or closes: time does."""
        return self.status is Status.ACTIVE and self.open_at <= now < self.close_at


@attrs.frozen(slots=True)
class Refused:
    """A market that is not traded, and why."""

    ticker: str
    why: str


class _Unproved(Exception):
    """The record does not prove what the market means."""


# Games


@attrs.frozen(slots=True)
class _GameSeries:
    """A series of "who wins this game" markets: its domain, its league and what the rules call the sport."""

    domain: str
    league: League
    sport: str


_GAMES: Final = {
    "KXNBAGAME": _GameSeries("nba", NBA, "basketball"),
    "KXNHLGAME": _GameSeries("nhl", NHL, "hockey"),
}

_EVENT = re.compile(r"(?P<series>[A-Z0-9]+)-(?P<year>\d\d)(?P<month>[A-Z]{3})(?P<day>\d\d)(?P<codes>[A-Z]{4,})")
_RULES = re.compile(
    r"If (?P<winner>.+?) wins the (?:Game \d: )?(?P<first>.+?) (?P<between>at|vs\.?) (?P<second>.+?) "
    r"(?:(?:men['\u2019]s )?professional (?P<sport>\w+)|(?P<league>[A-Z]{3,4})) game "
    r"(?:originally )?scheduled for (?P<month>[A-Z][a-z]{2}) (?P<day>\d{1,2}), (?P<year>\d{4}), then the market resolves to Yes\."
)
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def _date(year: int, month: str, day: str, where: str) -> dt.date:
    try:
        return dt.date(year, _MONTHS.index(month.upper()) + 1, int(day))
    except ValueError:
        raise _Unproved(f"{where} names no date: {year} {month} {day}") from None


def _named(league: League, name: str, where: str) -> Team:
    team = league.by_name(name)
    if team is None:
        raise _Unproved(f"{where} names {name!r}, which is no {league.name} team")
    return team


def _agree(claim: bool, why: str) -> None:
    if not claim:
        raise _Unproved(why)


def _team_wins(raw: KalshiMarket, game: _GameSeries) -> TeamWins:
    """Which team YES means: from event ticker, suffix, subtitle and rules, all of which must agree."""
    event = _EVENT.fullmatch(raw.event_ticker)
    if event is None:
        raise _Unproved(f"event ticker {raw.event_ticker!r} is not SERIES-YYMONDD and two team codes")
    _agree(raw.ticker.startswith(event["series"] + "-"), f"event {raw.event_ticker!r} is of another series")
    sides = game.league.split(event["codes"])
    if sides is None:
        raise _Unproved(f"event ticker codes {event['codes']!r} are not two {game.league.name} teams")
    prefix, _, code = raw.ticker.rpartition("-")
    _agree(prefix == raw.event_ticker, f"ticker is not its event {raw.event_ticker!r} and a team code")
    team = game.league.by_code(code)
    if team is None or team not in sides:
        raise _Unproved(f"ticker suffix {code!r} is none of the teams {sides[0].code} and {sides[1].code}")
    subtitle = _named(game.league, raw.yes_sub_title, "yes_sub_title")
    _agree(subtitle is team, f"yes_sub_title says {subtitle.code}, the ticker {team.code}")
    day = _date(2000 + int(event["year"]), event["month"], event["day"], "event ticker")
    ordered = _check_rules(raw.rules_primary, game, team, sides, day)
    away, home = sides
    return TeamWins(team, home if team is away else away, (team is home) if ordered else None, day)


def _check_rules(rules: str, game: _GameSeries, team: Team, sides: tuple[Team, Team], day: dt.date) -> bool:
    """Hold the rules' sentence against what the tickers say; True where it also tells who is at home."""
    said = _RULES.fullmatch(" ".join(rules.split()))
    if said is None:
        raise _Unproved(f"rules_primary is not a wording that is known: {rules[:120]!r}")
    about = said["sport"] or said["league"]
    _agree(about in (game.sport, game.league.name), f"rules_primary is about {about}, not {game.sport}")
    winner = _named(game.league, said["winner"], "rules_primary")
    _agree(winner is team, f"rules_primary says {winner.code} wins, the ticker {team.code}")
    pair = tuple(_named(game.league, said[part], "rules_primary") for part in ("first", "second"))
    ordered = said["between"] == "at"
    same = pair == sides or (not ordered and pair == sides[::-1])
    _agree(same, f"rules_primary is about {pair[0].code} {said['between']} {pair[1].code}, the event {sides[0].code} at {sides[1].code}")
    written = _date(int(said["year"]), said["month"], said["day"], "rules_primary")
    _agree(written == day, f"rules_primary is dated {written}, the event ticker {day}")
    return ordered


_READERS: Final[dict[str, tuple[str, Callable[[KalshiMarket], Meaning]]]] = {
    series: (game.domain, partial(_team_wins, game=game)) for series, game in _GAMES.items()
}
"""Series -> (domain, how its meaning is read). A series that is not here is not traded."""


def parse_market(raw: KalshiMarket, series: KalshiSeries, event: KalshiEvent | None = None) -> Market | Refused:
    """The market that `raw` describes, or why it is not traded. The fee terms are the series', unless its event overrides them."""
    try:
        return _market(raw, series, event)
    except (_Unproved, ValueError) as fault:
        return Refused(raw.ticker, str(fault))


def _market(raw: KalshiMarket, series: KalshiSeries, event: KalshiEvent | None) -> Market:
    _agree(not raw.ticker.startswith("KXMVE") and not raw.mve_collection_ticker, "it is a combo of other markets")
    _agree(raw.market_type == "binary", f"it is of type {raw.market_type!r}, not binary")
    _agree(raw.result in ("", "yes", "no"), f"its result {raw.result!r} is neither yes nor no")
    if series.ticker not in _READERS:
        raise _Unproved(f"nothing is known about what series {series.ticker!r} means")
    _agree(raw.ticker.startswith(series.ticker + "-"), f"it is not of series {series.ticker!r}")
    domain, read = _READERS[series.ticker]
    return Market(
        ticker=raw.ticker,
        event=raw.event_ticker,
        series=series.ticker,
        domain=domain,
        unit=raw.event_ticker,
        grid=PriceGrid(raw.price_ranges),
        meaning=read(raw),
        status=Status(raw.status),
        open_at=raw.open_time,
        close_at=raw.close_time,
        expected_end_at=raw.expected_expiration_time,
        exchange_index=raw.exchange_index,
        fee=_fee(raw, series, event),
        result=raw.result,
        settlement_value=raw.settlement_value,
        title=raw.title,
        start_at=raw.occurrence_time if raw.occurrence_time is not None else raw.expected_expiration_time,
    )


def _fee(raw: KalshiMarket, series: KalshiSeries, event: KalshiEvent | None) -> FeeTerms:
    """Authority runs from the market's waiver over its event's overrides to its series."""
    fee_type, multiplier = series.fee_type, series.fee_multiplier
    if event is not None and event.event_ticker == raw.event_ticker:
        fee_type = fee_type if event.fee_type_override is None else event.fee_type_override
        multiplier = multiplier if event.fee_multiplier_override is None else event.fee_multiplier_override
    return FeeTerms(fee_type, Fraction(str(multiplier)), raw.fee_waiver_expiration_time)
