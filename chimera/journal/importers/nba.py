"""One NBA game as a world: ESPN's play-by-play and Kalshi's one-minute trades, joined on the wall clock.

What is recorded and what is derived stands in the manifest's labels and notes.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

from chimera.conventions import probability
from chimera.errors import ConfigError
from chimera.journal.importers.espn_past import PastGame
from chimera.journal.importers.kalshi_past import Identity, read_candles
from chimera.journal.importers.world import ImportReport as ImportReport
from chimera.journal.importers.world import Origin, checked_delay, market_of, write_world
from chimera.journal.recording import GamePrior
from chimera.journal.records import Value
from chimera.teams import NBA

LABELS = ("book derived from one-minute trades", "ESPN documents cut from the final play-by-play")
NOTES = (
    "Kalshi's book is derived from one-minute trades: one cent to either side of each minute's close, ten levels of 250 contracts.",
    "Kalshi's bars are recorded one-minute trades, visible at the end of their minute and not before.",
    "ESPN's documents are cut from the final play-by-play; the publish delay is assumed, not measured.",
)


def import_nba(summary: Path, trades: Path, game: str, out: Path, publish_delay_s: float = 12.0) -> ImportReport:
    """Build the world of one finished game in the directory `out`.

    `summary` is ESPN's final summary document, `trades` a Parquet file of one-minute trades, `game` the game's name in its `file` column.
    A play is shown `publish_delay_s` after its wallclock. ConfigError where an input is missing, unreadable, or of another game, and where
    `out` already holds a recording.
    """
    past = PastGame(summary, checked_delay(publish_delay_s))
    ticker, candles = read_candles(trades, game)
    identity = Identity.parse(ticker)
    _same_game(past, identity)
    market = market_of(past, identity, candles, publish_delay_s)
    chance = probability(market.opening.close)
    minute = dt.datetime.fromtimestamp(market.opening.at, dt.UTC).strftime("%Y-%m-%d %H:%MZ")
    home = chance if identity.team is identity.home else 1.0 - chance
    prior = GamePrior(past.event_id, home, f"Kalshi's close of the minute ending {minute}")
    settings: dict[str, Value] = {"game": game, "publish_delay_s": publish_delay_s, "use_yes_price": True}
    return write_world(out, past, market, Origin("nba", LABELS, NOTES, settings), prior)


def _same_game(past: PastGame, identity: Identity) -> None:
    day = dt.datetime.fromtimestamp(past.starts_at, ZoneInfo("America/New_York")).date()
    sides = (NBA.by_espn(past.away), NBA.by_espn(past.home))
    if day != identity.day or sides != (identity.away, identity.home):
        trades = f"{identity.away.code} at {identity.home.code} on {identity.day}"
        raise ConfigError(f"the summary is of {past.away} at {past.home} on {day}, the trades are of {trades}: give two files of one game")
