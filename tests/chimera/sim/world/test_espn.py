"""ESPN's documents: nothing before its time, and the shapes of recorded ones."""

from __future__ import annotations

import datetime as dt
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.feeds.espn import decode_scoreboard, decode_summary
from chimera.feeds.nba_plays import reduce
from chimera.sim.world.espn import Espn, moneyline
from chimera.sim.world.game import PUBLISH_DELAY, make_game, place
from chimera.sim.world.league import CLUBS
from chimera.sim.world.schedule import evening

TIP = 1_795_000_000.0


GAME = place(make_game(random.Random(4), "401900001", CLUBS[0], CLUBS[1]), TIP)
ESPN = Espn([GAME], 0)


def summary(now: float) -> dict:
    document = ESPN.summary("401900001", now)
    assert document is not None
    return json.loads(document)


def stamp(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


@given(st.floats(TIP - 100, GAME.end + 100))
@settings(max_examples=60, deadline=None)
def test_no_document_shows_a_play_before_its_publication(now: float) -> None:
    plays = summary(now)["plays"]
    for play in plays:
        assert stamp(play["wallclock"]) <= now - PUBLISH_DELAY
    missing = GAME.plays[len(plays) :]
    assert all(TIP + play.at > now - PUBLISH_DELAY - 1.5 for play in missing[:1])


@given(st.floats(TIP - 100, GAME.end + 100))
@settings(max_examples=60, deadline=None)
def test_scoreboard_and_summary_agree_with_the_last_play(now: float) -> None:
    board, game = json.loads(ESPN.scoreboard(now))["events"][0], summary(now)
    header = game["header"]["competitions"][0]
    assert header["status"]["type"] == board["status"]["type"]
    assert [row["score"] for row in header["competitors"]] == [row["score"] for row in board["competitions"][0]["competitors"]]
    assert [row["playId"] for row in game["winprobability"]] == [row["id"] for row in game["plays"]]
    if game["plays"]:
        last = game["plays"][-1]
        assert [row["score"] for row in header["competitors"]] == [str(last["homeScore"]), str(last["awayScore"])]
        assert board["status"]["period"] == last["period"]["number"]
        assert board["status"]["displayClock"] == last["clock"]["displayValue"]


def test_a_game_is_scheduled_then_played_with_its_breaks_then_final() -> None:
    names = []
    now = TIP - 10
    while now < GAME.end + 60:
        name = json.loads(ESPN.scoreboard(now))["events"][0]["status"]["type"]["name"]
        if not names or names[-1] != name:
            names.append(name)
        now += 20
    playing, ended = "STATUS_IN_PROGRESS", "STATUS_END_PERIOD"
    assert names[:8] == ["STATUS_SCHEDULED", playing, ended, playing, "STATUS_HALFTIME", playing, ended, playing]
    assert names[-1] == "STATUS_FINAL"


def test_the_win_probability_is_certain_only_at_the_end() -> None:
    rows = summary(GAME.end + 60)["winprobability"]
    assert rows[-1]["homeWinPercentage"] == float(GAME.home_won)
    assert all(0.001 <= row["homeWinPercentage"] <= 0.999 for row in rows[:-1])


def test_an_unknown_game_has_no_summary() -> None:
    assert ESPN.summary("1", TIP) is None


@pytest.mark.data
def test_rows_and_headers_have_the_keys_and_types_of_a_recorded_game(shared_data: Path) -> None:
    recorded = json.loads((shared_data / "espn/payloads/basketball_nba_game_summary_401772994.json").read_text())
    made = summary(GAME.end + 60)
    optional = {"team", "participants"}
    kinds = {name: type(value) for play in recorded["plays"] for name, value in play.items()}
    for play in made["plays"]:
        assert set(kinds) - optional <= set(play) <= set(kinds)
        assert all(type(value) is kinds[name] for name, value in play.items())
    real, ours = (document["header"]["competitions"][0] for document in (recorded, made))
    assert ours["status"] == real["status"]
    assert {"id", "homeAway", "score", "team", "winner"} <= set(ours["competitors"][0]) & set(real["competitors"][0])
    recorded_types = {(play["type"]["id"], play["type"]["text"]) for play in recorded["plays"]}
    ours_types = {(play["type"]["id"], play["type"]["text"]) for play in made["plays"]}
    assert {kind for kind in ours_types - recorded_types if not kind[1].endswith("of 3")} == set()


def test_the_traders_reader_finds_no_fault_in_any_moment_of_a_game() -> None:
    now = TIP - 20
    while now < GAME.end + 30:
        board = decode_scoreboard(ESPN.scoreboard(now), league="nba")
        document = ESPN.summary("401900001", now)
        assert document is not None
        state = reduce(decode_summary(document, league="nba"), board.games[0])
        assert (board.refused, state.disagreement) == ((), "")
        seen = GAME.visible(now)
        if seen:
            assert (state.home_score, state.away_score) == (GAME.plays[seen - 1].home, GAME.plays[seen - 1].away)
        now += 60


def test_moneylines_carry_the_vig() -> None:
    def implied(line: int) -> float:
        return -line / (100 - line) if line < 0 else 100 / (100 + line)

    for p in (0.5, 0.62, 0.9):
        assert 1.03 < implied(moneyline(p)) + implied(moneyline(1 - p)) < 1.05


def test_an_evening_has_a_game_at_each_stage_and_repeats_itself() -> None:
    ending, second, begun, coming = evening(5, TIP)
    assert ending.end == TIP + 240
    assert ending.plays[ending.happened(TIP) - 1].period == 4
    assert second.plays[second.happened(TIP) - 1].period == 2
    assert begun.plays[begun.happened(TIP) - 1].period == 1
    assert coming.tip == TIP + 120
    assert len({club.code for game in (ending, second, begun, coming) for club in (game.home, game.away)}) == 8
    assert evening(5, TIP) == (ending, second, begun, coming)


@pytest.mark.parametrize("seed", range(30))
def test_every_seed_has_an_evening(seed: int) -> None:
    assert len(evening(seed, TIP)) == 4
