"""A market as the exchange lists it: what every listing tells, and the KXNBAGAME contract of one club in one game, in Kalshi's words."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Protocol

import attrs

from chimera.markets import CENT_GRID, PriceGrid
from chimera.sim.world.game import Game
from chimera.sim.world.league import Club

SERIES = "KXNBAGAME"
EXCHANGE_INDEX = 3
DETERMINED_AFTER = 20.0
FINALIZED_AFTER = 30.0
"""Seconds after the end of the game until the result is known, and until it is paid."""
_OPENED_BEFORE = 2 * 86_400.0
_CLOSES_AFTER = 14 * 86_400.0
_EXPECTED_AFTER = 3 * 3_600.0
_SOURCES = [{"name": "ESPN", "url": "https://www.espn.com/nba/scoreboard"}]
_NAMESPACE = uuid.UUID("6f1d1b1e-52b8-4c6e-9f0c-2b7a5a3c9d10")


def rfc3339(unix: float) -> str:
    """A time as Kalshi writes it, in UTC with microseconds."""
    return dt.datetime.fromtimestamp(unix, dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def whole_second(unix: float) -> str:
    """A time without its fraction."""
    return dt.datetime.fromtimestamp(int(unix), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Listed(Protocol):
    """The part of a market that does not change. Times are world unix seconds; the three documents are as REST shows them."""

    @property
    def ticker(self) -> str: ...

    @property
    def event_ticker(self) -> str: ...

    @property
    def series_ticker(self) -> str: ...

    @property
    def market_id(self) -> str: ...

    @property
    def exchange_index(self) -> int: ...

    @property
    def grid(self) -> PriceGrid: ...

    @property
    def opens_at(self) -> float: ...

    @property
    def closes_at(self) -> float:
        """When it closes if nothing ends it sooner."""

    @property
    def settlement_seconds(self) -> float:
        """From the result to its payment."""

    @property
    def lively_from(self) -> float:
        """From when on the public comes and goes at its full rate."""

    @property
    def pays(self) -> bool:
        """Whether YES pays; the exchange asks only once the market is determined."""

    def p_yes(self, at: float) -> float:
        """The truth: P(YES) for one who sees everything at `at`."""

    @property
    def fields(self) -> dict[str, object]:
        """What of the market document is the same whenever it is asked for."""

    @property
    def event_fields(self) -> dict[str, object]: ...

    @property
    def series_fields(self) -> dict[str, object]: ...


@attrs.frozen
class Listing:
    """The part of a market that does not change: YES pays if `club` wins `game`."""

    game: Game
    club: Club

    @property
    def event_ticker(self) -> str:
        """KXNBAGAME-26NOV22LALBOS: the day, then away and home."""
        day = self.game.day.strftime("%y%b%d").upper()
        return f"{SERIES}-{day}{self.game.away.code}{self.game.home.code}"

    @property
    def ticker(self) -> str:
        return f"{self.event_ticker}-{self.club.code}"

    @property
    def series_ticker(self) -> str:
        return SERIES

    @property
    def exchange_index(self) -> int:
        return EXCHANGE_INDEX

    @property
    def grid(self) -> PriceGrid:
        return CENT_GRID

    @property
    def opens_at(self) -> float:
        return self.game.scheduled - _OPENED_BEFORE

    @property
    def closes_at(self) -> float:
        return self.game.scheduled + _CLOSES_AFTER

    @property
    def settlement_seconds(self) -> float:
        return FINALIZED_AFTER - DETERMINED_AFTER

    @property
    def lively_from(self) -> float:
        return self.game.tip

    @property
    def market_id(self) -> str:
        return str(uuid.uuid5(_NAMESPACE, self.ticker))

    @property
    def title(self) -> str:
        return f"{self.game.away.city} at {self.game.home.city} Winner?"

    @property
    def determined_at(self) -> float:
        return self.game.end + DETERMINED_AFTER

    @property
    def finalized_at(self) -> float:
        return self.game.end + FINALIZED_AFTER

    @property
    def pays(self) -> bool:
        """Whether YES pays: known to the exchange from `determined_at` on."""
        return self.game.home_won == (self.club is self.game.home)

    def p_yes(self, at: float) -> float:
        """The truth: P(YES) for one who sees the floor at `at`."""
        p = self.game.p_home(at)
        return p if self.club is self.game.home else 1.0 - p

    @property
    def fields(self) -> dict[str, object]:
        """What of the market document is the same whenever it is asked for."""
        game = self.game
        day = f"{game.day:%b} {game.day.day}, {game.day.year}"
        pair = f"{game.away.city} at {game.home.city}"
        return {
            "ticker": self.ticker,
            "event_ticker": self.event_ticker,
            "market_type": "binary",
            "title": self.title,
            "subtitle": "",
            "yes_sub_title": self.club.city,
            "no_sub_title": self.club.city,
            "created_time": rfc3339(game.scheduled - _OPENED_BEFORE),
            "updated_time": rfc3339(game.scheduled - _OPENED_BEFORE),
            "open_time": whole_second(game.scheduled - _OPENED_BEFORE),
            "expected_expiration_time": whole_second(game.scheduled + _EXPECTED_AFTER),
            "latest_expiration_time": whole_second(game.scheduled + _CLOSES_AFTER),
            "occurrence_datetime": whole_second(game.scheduled),
            "settlement_timer_seconds": round(self.settlement_seconds),
            "can_close_early": True,
            "early_close_condition": "This market will close and expire after a winner is declared.",
            "notional_value_dollars": "1.0000",
            "previous_yes_bid_dollars": "0.0000",
            "previous_yes_ask_dollars": "0.0000",
            "previous_price_dollars": "0.0000",
            "settlement_bounds_type": "default",
            "rules_primary": f"If {self.club.city} wins the {pair} professional basketball game originally scheduled for {day}, "
            "then the market resolves to Yes.",
            "rules_secondary": "If this game is postponed or delayed, the market will remain open and close after the rescheduled game "
            "has finished (within two weeks).",
            "strike_type": "structured",
            "price_level_structure": "linear_cent",
            "exchange_index": EXCHANGE_INDEX,
        }

    @property
    def event_fields(self) -> dict[str, object]:
        game = self.game
        return {
            "event_ticker": self.event_ticker,
            "series_ticker": SERIES,
            "title": f"{game.away.city} at {game.home.city}",
            "sub_title": f"{game.away.code} at {game.home.code} ({game.day:%b} {game.day.day})",
            "collateral_return_type": "MECNET",
            "mutually_exclusive": True,
            "exchange_index": EXCHANGE_INDEX,
            "settlement_sources": _SOURCES,
        }

    @property
    def series_fields(self) -> dict[str, object]:
        return {
            "ticker": SERIES,
            "title": "Professional Basketball Game",
            "frequency": "custom",
            "category": "Sports",
            "categories": ["Sports"],
            "tags": ["Basketball"],
            "settlement_sources": _SOURCES,
            "contract_url": "",
            "contract_terms_url": "",
            "fee_type": "quadratic",
            "fee_multiplier": 1,
            "additional_prohibitions": [],
            "exchange_index": EXCHANGE_INDEX,
        }


def listings(games: Sequence[Game]) -> tuple[Listing, ...]:
    """Both markets of every game, away first."""
    return tuple(Listing(game, club) for game in games for club in (game.away, game.home))
