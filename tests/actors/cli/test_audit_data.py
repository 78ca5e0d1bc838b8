"""chimera-audit models and payloads, as a user runs them on a directory of recorded data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from actors.cli.audit import main


def run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def board(data: Path) -> None:
    teams = [
        {"homeAway": side, "score": score, "team": {"id": side, "abbreviation": code}}
        for side, score, code in (("home", "61", "NY"), ("away", "58", "BOS"))
    ]
    status = {"displayClock": "7:41", "period": 3, "type": {"name": "STATUS_IN_PROGRESS", "state": "in", "completed": False}}
    event = {"id": "401", "date": "2026-11-23T00:30Z", "status": status, "competitions": [{"competitors": teams}]}
    (data / "espn").mkdir()
    (data / "espn" / "board.json").write_text(json.dumps({"leagues": [{"slug": "nba"}], "events": [event]}))
    (data / "espn" / "torn.json").write_text('{"events": [')


def test_payloads_ends_with_one_json_object_by_file(tmp_path: Path) -> None:
    board(tmp_path)
    found = run("payloads", "--data", str(tmp_path), "--json")
    assert found.exit_code == 0
    documents = json.loads(found.stdout.splitlines()[-1])
    assert documents["espn/board.json"][0]["clock_seconds_left"] == 461.0
    assert "refused" in documents["espn/torn.json"]


def test_payloads_reads_for_people_too(tmp_path: Path) -> None:
    board(tmp_path)
    found = run("payloads", "--data", str(tmp_path))
    assert found.exit_code == 0
    assert "nba BOS 58 at NY 61, live, period 3, 7:41.0 left" in found.stdout
    assert "espn/torn.json: refused: no JSON object" in found.stdout
    assert "2 documents: 1 read, 1 refused" in found.stdout


@pytest.mark.parametrize("command", ["models", "payloads"])
def test_a_directory_that_is_not_there_is_a_usage_error_and_an_empty_one_says_what_was_looked_for(command: str, tmp_path: Path) -> None:
    assert run(command, "--data", str(tmp_path / "none")).exit_code == 2
    empty = run(command, "--data", str(tmp_path))
    assert empty.exit_code == 4
    assert "nba_events.parquet" in empty.stderr or "espn" in empty.stderr


def test_only_seasons_can_be_left_out(tmp_path: Path) -> None:
    assert run("models", "--data", str(tmp_path), "--leave-one-out", "game").exit_code == 2
