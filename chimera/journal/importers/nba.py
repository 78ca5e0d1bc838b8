"""One NBA game as a world: ESPN's play-by-play and Kalshi's one-minute trades, joined on the wall clock.

It begins ten minutes before the first play and ends five after the last. What is recorded and what is derived stands in the manifest's
labels and notes.
"""

from __future__ import annotations

import datetime as dt
import heapq
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from zoneinfo import ZoneInfo

import attrs

from chimera.conventions import probability
from chimera.errors import ConfigError
from chimera.intake import Frame
from chimera.journal.importers.espn_past import PastGame
from chimera.journal.importers.kalshi_past import SERIES, Identity, PastMarket, read_candles
from chimera.journal.recording import GamePrior, Manifest, RecordingKind, RecordingWriter
from chimera.teams import NBA

BEFORE_S = 600.0
AFTER_S = 300.0
DETERMINED_AFTER_S = 60.0
FINALIZED_AFTER_S = 90.0
KALSHI_WS = "kalshi.ws"

LABELS = ("book derived from one-minute trades", "ESPN documents cut from the final play-by-play")
NOTES = (
    "Kalshi's book is derived from one-minute trades: one cent to either side of each minute's close, ten levels of 250 contracts.",
    "Kalshi's bars are recorded one-minute trades, visible at the end of their minute and not before.",
    "ESPN's documents are cut from the final play-by-play; the publish delay is assumed, not measured.",
)


@attrs.frozen(slots=True)
class ImportReport:
    """What was made, and where. Times are unix seconds; `versions` counts the distinct states of the ESPN documents."""

    out: Path
    event_id: str
    markets: tuple[str, ...]
    plays: int
    versions: int
    candles: int
    frames: int
    origin_unix: float
    end_unix: float
    notes: tuple[str, ...]


def import_nba(summary: Path, trades: Path, game: str, out: Path, publish_delay_s: float = 12.0) -> ImportReport:
    """Build the world of one finished game in the directory `out`.

    `summary` is ESPN's final summary document, `trades` a Parquet file of one-minute trades, `game` the game's name in its `file` column.
    A play is shown `publish_delay_s` after its wallclock. ConfigError where an input is missing, unreadable, or of another game, and where
    `out` already holds a recording.
    """
    if not publish_delay_s >= 0.0:
        raise ConfigError(f"a publish delay is 0 s or more, not {publish_delay_s:g}")
    past = PastGame(summary, publish_delay_s)
    ticker, candles = read_candles(trades, game)
    identity = Identity.parse(ticker)
    _same_game(past, identity)
    begin, end = past.first_play - BEFORE_S, past.last_play + AFTER_S
    market = PastMarket(
        identity,
        candles,
        starts_at=past.starts_at,
        begin=begin,
        determined_at=past.last_play + publish_delay_s + DETERMINED_AFTER_S,
        finalized_at=past.last_play + publish_delay_s + FINALIZED_AFTER_S,
        yes=past.home_won == (identity.team is identity.home),
    )
    writer = RecordingWriter(out, _manifest(past, market, game, publish_delay_s, begin))
    versions = set()
    for frame in heapq.merge(_espn(past, begin), _documents(market), _stream(market), key=attrgetter("received_wall")):
        if frame.stream == past.summary_stream:
            versions.add(frame.received_wall)
        writer.append(frame)
    writer.close(end)
    return ImportReport(
        out, past.event_id, (ticker,), len(past), len(versions), len(market.told), writer.records, begin, end, writer.manifest.notes
    )


def _same_game(past: PastGame, identity: Identity) -> None:
    day = dt.datetime.fromtimestamp(past.starts_at, ZoneInfo("America/New_York")).date()
    sides = (NBA.by_espn(past.away), NBA.by_espn(past.home))
    if day != identity.day or sides != (identity.away, identity.home):
        trades = f"{identity.away.code} at {identity.home.code} on {identity.day}"
        raise ConfigError(f"the summary is of {past.away} at {past.home} on {day}, the trades are of {trades}: give two files of one game")


def _manifest(past: PastGame, market: PastMarket, game: str, delay_s: float, begin: float) -> Manifest:
    ids = market.identity
    chance = probability(market.opening.close)
    minute = dt.datetime.fromtimestamp(market.opening.at, dt.UTC).strftime("%Y-%m-%d %H:%MZ")
    prior = GamePrior(past.event_id, chance if ids.team is ids.home else 1.0 - chance, f"Kalshi's close of the minute ending {minute}")
    return Manifest(
        RecordingKind.DERIVED,
        begin,
        domains=("nba",),
        series=(SERIES,),
        streams=(past.SCOREBOARD, past.summary_stream, *market.streams(), KALSHI_WS),
        greetings={KALSHI_WS: len(market.greeting())},
        priors=(prior,),
        labels=LABELS,
        notes=NOTES,
        settings={"game": game, "publish_delay_s": delay_s, "use_yes_price": True},
    )


def _espn(past: PastGame, begin: float) -> Iterator[Frame]:
    for version in past.versions(begin):
        yield Frame(past.SCOREBOARD, 0, version.visible_at, version.scoreboard, 200)
        yield Frame(past.summary_stream, 0, version.visible_at, version.summary, 200)


def _documents(market: PastMarket) -> Iterator[Frame]:
    for at, stream, body in market.documents():
        yield Frame(stream, 0, at, body, 200)


def _stream(market: PastMarket) -> Iterator[Frame]:
    for at, body in market.frames():
        yield Frame(KALSHI_WS, 0, at, body)
