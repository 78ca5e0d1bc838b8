"""A market as the exchange lists it: the KXNBAGAME contract of one club in one game, in Kalshi's words and fields."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Sequence

import attrs

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
_NAMESPACE = uuid.UUID("6f1d1b1e-52b8-4c6e-9f0c-2b7a5a3c9d10")


class Status(enum.StrEnum):
    """The states a simulated market passes through, as Kalshi's responses spell them."""

    ACTIVE = "active"
    DETERMINED = "determined"
    FINALIZED = "finalized"


def rfc3339(unix: float) -> str:
    """A time as Kalshi writes it, in UTC with microseconds."""
    return dt.datetime.fromtimestamp(unix, dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _whole(unix: float) -> str:
    return dt.datetime.fromtimestamp(int(unix), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
            "open_time": _whole(game.scheduled - _OPENED_BEFORE),
            "expected_expiration_time": _whole(game.scheduled + _EXPECTED_AFTER),
            "latest_expiration_time": _whole(game.scheduled + _CLOSES_AFTER),
            "occurrence_datetime": _whole(game.scheduled),
            "settlement_timer_seconds": round(FINALIZED_AFTER - DETERMINED_AFTER),
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
            "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
            "exchange_index": EXCHANGE_INDEX,
        }

    def close_time(self, status: Status) -> str:
        """Two weeks after the game, or, once the result is known, the moment it was."""
        return _whole(self.game.scheduled + _CLOSES_AFTER if status is Status.ACTIVE else self.determined_at)


def listings(games: Sequence[Game]) -> tuple[Listing, ...]:
    """Both markets of every game, away first."""
    return tuple(Listing(game, club) for game in games for club in (game.away, game.home))
