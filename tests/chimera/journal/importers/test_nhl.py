"""A recorded hockey game becomes a world: nothing is known before its time, and the market is said to be made up."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from chimera.conventions import CENT
from chimera.errors import ConfigError
from chimera.feeds.espn import GameStatus, decode_scoreboard, decode_summary
from chimera.feeds.nhl_plays import reduce
from chimera.intake import Frame
from chimera.journal.importers.nhl import _crowd, import_nhl
from chimera.journal.importers.world import ImportReport
from chimera.journal.recording import RecordingKind, RecordingReader

pytestmark = pytest.mark.data

TICKER = "KXNHLGAME-23DEC02BUFCAR-CAR"


@pytest.fixture(scope="module")
def summary(shared_data: Path) -> Path:
    return shared_data / "espn/payloads/hockey_nhl_game_summary_401559593.json"


@pytest.fixture(scope="module")
def imported(summary: Path, tmp_path_factory: pytest.TempPathFactory) -> ImportReport:
    return import_nhl(summary, 0.66, tmp_path_factory.mktemp("import") / "world")


def frames(report: ImportReport, stream: str) -> list[Frame]:
    return list(RecordingReader(report.out).frames(stream))


def test_the_world_says_what_it_is(imported: ImportReport) -> None:
    manifest = RecordingReader(imported.out).manifest
    assert (manifest.kind, manifest.domains, manifest.series) == (RecordingKind.DERIVED, ("nhl",), ("KXNHLGAME",))
    assert (imported.markets, imported.plays) == ((TICKER,), 314)
    assert [(prior.event_id, prior.home) for prior in manifest.priors] == [("401559593", 0.66)]
    assert any("made up" in note for note in manifest.notes)


def test_each_version_reduces_without_a_disagreement_and_shows_no_play_early(imported: ImportReport) -> None:
    boards = {frame.received_wall: decode_scoreboard(frame.body) for frame in frames(imported, "espn.scoreboard.nhl")}
    last = None
    for frame in frames(imported, "espn.summary.nhl.401559593"):
        document = decode_summary(frame.body)
        assert all(play.wallclock + 12.0 <= frame.received_wall + 1e-6 for play in document.plays)
        last = reduce(document, boards[frame.received_wall].games[0])
        assert last.disagreement == ""
    assert last is not None
    assert (last.home_score, last.away_score, last.status) == (6, 2, GameStatus.FINAL)


def test_the_scoreboards_clock_counts_down(imported: ImportReport) -> None:
    games = [decode_scoreboard(frame.body).games[0] for frame in frames(imported, "espn.scoreboard.nhl")]
    live = [(game.period, -game.clock_s) for game in games if game.period]
    assert all(later >= earlier for earlier, later in pairwise(live))


def test_the_crowd_starts_at_the_price_given_and_ends_where_the_game_did(summary: Path) -> None:
    candles = _crowd(summary, 0.66)
    assert (candles[0].close, candles[-1].close) == (66 * CENT, 99 * CENT)
    assert all(candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high for candle in candles)


def test_a_game_of_another_league_or_a_price_that_is_none_is_refused(shared_data: Path, summary: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="league 'nba', not 'nhl'"):
        import_nhl(shared_data / "espn/payloads/basketball_nba_game_summary_401772994.json", 0.5, tmp_path / "a")
    with pytest.raises(ConfigError, match="between 0 and 1"):
        import_nhl(summary, 1.0, tmp_path / "b")
