"""One NHL game as a world: ESPN's play-by-play, and a Kalshi market made of it, for no trades of one were kept.

The market is a crowd that sees goals sooner than our feed shows them and penalties not at all: each minute it trades at what score and
clock alone are worth, a few seconds after the play. So it picks off a slow quote after a goal, and is slow itself at a penalty.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import attrs

from chimera.conventions import CENT, ONE
from chimera.errors import ConfigError
from chimera.feeds.espn import decode_scoreboard, decode_summary
from chimera.feeds.nhl_plays import NhlState, reduce
from chimera.journal.importers.espn_past import PastGame
from chimera.journal.importers.kalshi_past import Candle, Identity
from chimera.journal.importers.world import BEFORE_S, ImportReport, Origin, checked_delay, market_of, write_world
from chimera.journal.recording import GamePrior
from chimera.journal.records import Value
from chimera.models.nhl import NhlGame, solved
from chimera.models.value import Season
from chimera.teams import NHL

SERIES = "KXNHLGAME"
CROWD_DELAY_S = 4.0
"""How long after a play the crowd trades on it (judgement: courtside data and television)."""
VOLUME = 150
"""Contracts a minute (judgement)."""
LABELS = ("market derived from the play-by-play by a model", "ESPN documents cut from the final play-by-play")
NOTES = (
    "Kalshi's market is made up: each minute trades at what score and clock alone are worth 4 s after the play, one cent to either side.",
    "ESPN's documents are cut from the final play-by-play; the publish delay is assumed, not measured. Who is on the ice is not in them.",
)


def import_nhl(summary: Path, home_price: float, out: Path, publish_delay_s: float = 12.0) -> ImportReport:
    """Build the world of one finished game in the directory `out`.

    `summary` is ESPN's final summary document, `home_price` the home team's pregame probability, for the crowd and for us. A play is shown
    `publish_delay_s` after its wallclock. ConfigError where the input is unreadable, and where `out` already holds a recording.
    """
    if not 0.0 < home_price < 1.0:
        raise ConfigError(f"a pregame price lies between 0 and 1, not at {home_price:g}")
    past = PastGame(summary, checked_delay(publish_delay_s), "nhl")
    away, home = NHL.by_espn(past.away), NHL.by_espn(past.home)
    if away is None or home is None:
        raise ConfigError(f"{summary}: {past.away if away is None else past.home!r} is no team that plays today")
    day = dt.datetime.fromtimestamp(past.starts_at, ZoneInfo("America/New_York")).date()
    market = market_of(past, Identity.of(SERIES, away, home, day), _crowd(summary, home_price), publish_delay_s)
    settings: dict[str, Value] = {"home_price": home_price, "publish_delay_s": publish_delay_s, "use_yes_price": True}
    prior = GamePrior(past.event_id, home_price, "given to the import")
    return write_world(out, past, market, Origin("nhl", LABELS, NOTES, settings), prior)


def _crowd(summary: Path, home_price: float) -> tuple[Candle, ...]:
    """A minute's trades at a time, at what the crowd thinks of the home team; the first from before the world begins."""
    past = PastGame(summary, CROWD_DELAY_S, "nhl")
    begin = past.first_play - BEFORE_S - 60.0
    versions = list(past.versions(begin))
    line = decode_scoreboard(versions[0].scoreboard).games[0]
    model = solved(home_price, playoffs=line.season_type == Season.PLAYOFFS)
    candles: list[Candle] = []
    price, shown, at = _price(model, None), 0, begin
    while shown + 1 < len(versions) or at == begin:
        opened = price
        while shown + 1 < len(versions) and versions[shown + 1].visible_at <= at:
            shown += 1
            price = _price(model, _seen(versions[shown].summary))
        low, high = max(CENT, min(opened, price) - CENT), min(ONE - CENT, max(opened, price) + CENT)
        candles.append(Candle(at, opened, high, low, price, VOLUME))
        at += 60.0
    return tuple(candles)


def _seen(document: bytes) -> NhlState:
    """What a spectator knows who looks at the score alone."""
    return attrs.evolve(reduce(decode_summary(document)), box=(), pulled=None)


def _price(model: NhlGame, state: NhlState | None) -> int:
    p = model.p0 if state is None else model.evaluate(state).p
    return min(99, max(1, round(100.0 * p))) * CENT
