"""Recorded ESPN documents: read as the oracles read them, or refused with a reason; never a crash, whatever the bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.audit.payloads import GameRow, read_document, read_payloads, to_json
from chimera.errors import ConfigError

KEYS = {
    "league", "status", "clock_seconds_left", "period", "home", "away", "home_score", "away_score", "possession",
    "home_skaters", "away_skaters", "home_goalie_pulled", "away_goalie_pulled",
}  # fmt: skip


def event(**changes: Any) -> dict[str, Any]:
    teams = [
        {"homeAway": "home", "score": "61", "team": {"id": "1", "abbreviation": "NY"}},
        {"homeAway": "away", "score": "58", "team": {"id": "2", "abbreviation": "BOS"}},
    ]
    status = {"displayClock": "7:41", "period": 3, "type": {"name": "STATUS_IN_PROGRESS", "state": "in", "completed": False}}
    return {"id": "401", "date": "2026-11-23T00:30Z", "status": status, "competitions": [{"competitors": teams}], **changes}


def play(number: int, kind: str, clock: str, side: str, home: int, away: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"401{number}", "sequenceNumber": str(number), "type": {"text": kind}, "text": kind, "period": {"number": 3},
        "clock": {"displayValue": clock}, "homeScore": home, "awayScore": away, "team": {"id": side}, **more,
    }  # fmt: skip


def summary(league: str = "nba", **changes: Any) -> dict[str, Any]:
    return {"header": {**event(), "league": {"slug": league}}, "plays": [], **changes}


def read(document: Any) -> Any:
    return read_document(json.dumps(document).encode())


def test_a_scoreboard_gives_a_row_for_each_game_and_sets_an_odd_one_aside() -> None:
    found = read({"leagues": [{"slug": "nba"}], "events": [event(), event(competitions=[])]})
    (row,) = found.games
    assert row == GameRow("nba", "live", 461.0, 3, "NY", "BOS", 61, 58)
    assert "event 1" in found.set_aside[0]
    assert not found.refused


def test_a_summary_of_basketball_tells_whose_ball_it_is() -> None:
    plays = [play(1, "Bad Pass\nTurnover", "7:41", "2", 61, 58)]
    (row,) = read(summary(plays=plays)).games
    assert (row.period, row.clock_seconds_left, row.possession) == (3, 461.0, 1.0)


def test_a_clock_of_hockey_that_counts_up_is_told_as_what_is_left() -> None:
    plays = [play(1, "Face Off", "3:00", "1", 61, 58), play(2, "Shot", "12:20", "1", 61, 58)]
    document = summary("nhl", plays=plays)
    document["header"]["status"].update(displayClock="7:40")
    (row,) = read(document).games
    assert (row.period, row.clock_seconds_left) == (3, 460.0)
    assert (row.home_skaters, row.away_skaters) == (5, 5)


def test_a_summary_whose_parts_contradict_each_other_is_refused() -> None:
    found = read(summary(plays=[play(1, "Layup Shot", "7:41", "1", 90, 58)]))
    assert not found.games
    assert "contradict" in found.refused
    assert "90-58" in found.refused


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b"<html>", "no JSON object"),
        (b'{"leagues": [{"slug": "nba"}], "events": [', "no JSON object"),
        (b"\xff\xfe", "no JSON object"),
        (b"[1]", "no JSON object"),
        (b'{"items": [], "count": 0}', "its keys are items, count"),
        (b"{}", "its keys are (none)"),
        (b'{"events": [], "leagues": [{"slug": "mlb"}]}', "league 'mlb'"),
        (b'{"header": {"id": "1"}}', "competitions"),
    ],
)
def test_what_is_no_such_document_is_refused_with_a_reason(body: bytes, why: str) -> None:
    found = read_document(body)
    assert why in found.refused
    assert not found.games


@given(st.integers(0, 400), st.binary(max_size=3))
@settings(max_examples=60, deadline=None)
def test_a_document_cut_or_spoilt_anywhere_is_read_or_refused(at: int, junk: bytes) -> None:
    whole = json.dumps({"leagues": [{"slug": "nba"}], "events": [event()]}).encode()
    found = read_document(whole[:at] + junk + whole[at + len(junk) + 1 :])
    assert bool(found.refused) or found.games is not None


def test_the_json_form_is_the_contracts(tmp_path: Path) -> None:
    (tmp_path / "espn" / "deep").mkdir(parents=True)
    (tmp_path / "espn" / "deep" / "board.json").write_text(json.dumps({"leagues": [{"slug": "nba"}], "events": [event()]}))
    (tmp_path / "espn" / "broken.json").write_text("{")
    found = json.loads(json.dumps(to_json(read_payloads(tmp_path))))
    assert set(found) == {"espn/deep/board.json", "espn/broken.json"}
    assert set(found["espn/deep/board.json"][0]) == KEYS
    assert list(found["espn/broken.json"]) == ["refused"]


def test_a_directory_without_documents_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds espn/"):
        read_payloads(tmp_path)
    (tmp_path / "espn").mkdir()
    with pytest.raises(ConfigError, match="no file"):
        read_payloads(tmp_path)


@pytest.mark.data
def test_every_recorded_document_is_read_or_refused_and_the_pulled_goalie_is_seen(shared_data: Path) -> None:
    found = read_payloads(shared_data)
    assert len(found) == 34
    assert sum(1 for reading in found.values() if reading.refused) == 11
    assert not any(reading.set_aside for reading in found.values())
    assert all(reading.refused or reading.games for reading in found.values())
    (pulled,) = found["espn/payloads/hockey_nhl_summary.json"].games
    assert (pulled.away, pulled.away_goalie_pulled, pulled.away_skaters) == ("NYR", True, 6)
    assert (pulled.home_goalie_pulled, pulled.home_skaters, pulled.clock_seconds_left, pulled.period) == (False, 5, 0.0, 3)
    (finals,) = found["espn/payloads/basketball_nba_game_summary_401772994.json"].games
    assert (finals.home, finals.home_score, finals.away, finals.away_score, finals.status) == ("IND", 125, "NY", 108, "final")
