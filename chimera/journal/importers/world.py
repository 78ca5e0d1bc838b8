"""A finished game as a world: ESPN's documents and one Kalshi market merged by time into a recording.

It begins ten minutes before the first play and ends five after the last.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import attrs

from chimera.errors import ConfigError
from chimera.intake import Frame
from chimera.journal.importers.espn_past import PastGame
from chimera.journal.importers.kalshi_past import Candle, Identity, PastMarket
from chimera.journal.recording import GamePrior, Manifest, RecordingKind, RecordingWriter
from chimera.journal.records import Value

BEFORE_S = 600.0
AFTER_S = 300.0
DETERMINED_AFTER_S = 60.0
FINALIZED_AFTER_S = 90.0
KALSHI_WS = "kalshi.ws"


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


@attrs.frozen(slots=True)
class Origin:
    """What must be said of where a world came from: its domain, labels, notes and settings."""

    domain: str
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    settings: dict[str, Value]


def checked_delay(seconds: float) -> float:
    """A publish delay, or ConfigError."""
    if not seconds >= 0.0:
        raise ConfigError(f"a publish delay is 0 s or more, not {seconds:g}")
    return seconds


def market_of(past: PastGame, identity: Identity, candles: tuple[Candle, ...], delay_s: float) -> PastMarket:
    """The game's market, determined a minute after the last play is shown."""
    return PastMarket(
        identity,
        candles,
        starts_at=past.starts_at,
        begin=past.first_play - BEFORE_S,
        determined_at=past.last_play + delay_s + DETERMINED_AFTER_S,
        finalized_at=past.last_play + delay_s + FINALIZED_AFTER_S,
        yes=past.home_won == (identity.team is identity.home),
    )


def write_world(out: Path, past: PastGame, market: PastMarket, origin: Origin, prior: GamePrior) -> ImportReport:
    """Write both into `out`. ConfigError where it already holds a recording."""
    begin, end = past.first_play - BEFORE_S, past.last_play + AFTER_S
    manifest = Manifest(
        RecordingKind.DERIVED,
        begin,
        domains=(origin.domain,),
        series=(market.identity.series,),
        streams=(past.scoreboard_stream, past.summary_stream, *market.streams(), KALSHI_WS),
        greetings={KALSHI_WS: len(market.greeting())},
        priors=(prior,),
        labels=origin.labels,
        notes=origin.notes,
        settings=origin.settings,
    )
    writer = RecordingWriter(out, manifest)
    versions = set()
    for frame in heapq.merge(_espn(past, begin), _documents(market), _stream(market), key=attrgetter("received_wall")):
        if frame.stream == past.summary_stream:
            versions.add(frame.received_wall)
        writer.append(frame)
    writer.close(end)
    ticker = market.identity.ticker
    return ImportReport(
        out, past.event_id, (ticker,), len(past), len(versions), len(market.told), writer.records, begin, end, writer.manifest.notes
    )


def _espn(past: PastGame, begin: float) -> Iterator[Frame]:
    for version in past.versions(begin):
        yield Frame(past.scoreboard_stream, 0, version.visible_at, version.scoreboard, 200)
        yield Frame(past.summary_stream, 0, version.visible_at, version.summary, 200)


def _documents(market: PastMarket) -> Iterator[Frame]:
    for at, stream, body in market.documents():
        yield Frame(stream, 0, at, body, 200)


def _stream(market: PastMarket) -> Iterator[Frame]:
    for at, body in market.frames():
        yield Frame(KALSHI_WS, 0, at, body)
