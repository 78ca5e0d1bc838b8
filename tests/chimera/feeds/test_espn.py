"""ESPN's documents: every recorded one is read or refused with a reason, and no body, however broken, does anything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.errors import FeedError
from chimera.feeds.espn import EspnClient, GameStatus, decode_scoreboard, decode_summary
from chimera.feeds.espn_wire import parse_clock, parse_time
from chimera.intake import Door, Frame

BASE = "http://espn.test"
STATUS = {"clock": 461.0, "displayClock": "7:41", "period": 3, "type": {"name": "STATUS_IN_PROGRESS", "state": "in", "completed": False}}


def event(**changes: object) -> dict[str, Any]:
    teams = [
        {"homeAway": "home", "score": "61", "team": {"id": "11", "abbreviation": "IND"}},
        {"homeAway": "away", "score": "58", "team": {"id": "18", "abbreviation": "NY"}},
    ]
    whole = {"id": "401", "date": "2025-06-01T00:00Z", "season": {"type": 3}, "status": STATUS}
    return {**whole, "competitions": [{"competitors": teams}], **changes}


def board(*events: object, league: str = "nba") -> bytes:
    return json.dumps({"leagues": [{"slug": league}], "events": list(events)}).encode()


def summary_of(event_id: str = "401", league: str = "nba") -> bytes:
    header = {**event(id=event_id), "league": {"slug": league}}
    return json.dumps({"header": header, "plays": []}).encode()


class ScriptedDoor(Door):
    """Answers each stream with the next of its bodies, the last for ever; a number is an HTTP error, an exception is raised."""

    def __init__(self, **answers: list[bytes | int | Exception]) -> None:
        super().__init__()
        self.answers = answers
        self.asked: list[tuple[str, str]] = []

    async def get(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0) -> Frame:
        self.asked.append((stream, url))
        script = self.answers["summary" if "summary" in stream else "scoreboard"]
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        return Frame(stream, 0, 1000.0, b"" if isinstance(answer, int) else answer, answer if isinstance(answer, int) else 200)

    def connect(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None) -> Any:
        raise AssertionError("no connection is opened here")


# Recorded documents


@pytest.mark.data
def test_every_recorded_document_is_read_as_a_scoreboard_or_refused_with_a_reason(shared_data: Path) -> None:
    read, refused = set(), {}
    for path in sorted((shared_data / "espn").glob("*/*.json")):
        try:
            found = decode_scoreboard(path.read_bytes(), where=path.name)
        except FeedError as refusal:
            refused[path.name] = str(refusal)
        else:
            assert found.refused == ()
            read.add(path.name)
    assert all(why.startswith(f"{name}: ") and len(why) > len(name) + 10 for name, why in refused.items())
    assert len(read) == 19
    assert {name for name in read if "_sb_" in name} == {path.name for path in (shared_data / "espn/scoreboard_sequences").glob("*.json")}
    assert {"all.json", "scoreboard_header_response.json"} <= set(refused)


@pytest.mark.data
def test_a_recorded_wnba_scoreboard_shows_the_break_after_the_third_quarter(shared_data: Path) -> None:
    body = (shared_data / "espn/scoreboard_sequences/wnba_sb_MIN-GS_3_20250601T1908PDT_endQ3.json").read_bytes()
    game = decode_scoreboard(body).games[3]
    assert (game.league, game.status, game.period, game.clock_s) == ("wnba", GameStatus.BREAK, 3, 0.0)
    assert (game.home.code, game.home.score, game.away.code, game.away.score) == ("GS", 60, "MIN", 68)


@pytest.mark.data
def test_a_recorded_hockey_scoreboard_clock_counts_down(shared_data: Path) -> None:
    game = decode_scoreboard((shared_data / "espn/payloads/generic_hockey_nhl_scoreboard.json").read_bytes()).games[0]
    assert (game.status, game.period, game.clock_s, game.home.score, game.away.score) == (GameStatus.LIVE, 4, 1029.0, 3, 3)


@pytest.mark.data
def test_the_recorded_spread_is_the_points_the_home_team_gives(shared_data: Path) -> None:
    games = decode_scoreboard((shared_data / "espn/scoreboard_sequences/wnba_sb_MIN-GS_1_20250601T1115PDT_pre.json").read_bytes()).games
    assert [(game.home.code, game.odds[0].home_spread) for game in games] == [("NY", -18.5), ("LA", -4.5), ("SEA", 2.5), ("GS", 11.5)]


@pytest.mark.data
def test_the_recorded_game_is_read_in_full(shared_data: Path) -> None:
    summary = decode_summary((shared_data / "espn/payloads/basketball_nba_game_summary_401772994.json").read_bytes(), league="nba")
    game = summary.game
    assert (game.status, game.home.code, game.home.score, game.away.score) == (GameStatus.FINAL, "IND", 125, 108)
    assert {play_id for play_id, _ in summary.curve} == {play.id for play in summary.plays}
    assert len(summary.plays) == 472
    assert {play.side for play in summary.plays if play.kind.startswith("End")} == {0}
    assert [play.clock_s for play in summary.plays if play.sequence in (681, 679)] == [75.0, 59.1]


@pytest.mark.data
def test_a_pregame_summary_gives_the_home_projection_from_the_away_team(shared_data: Path) -> None:
    summary = decode_summary((shared_data / "espn/payloads/nba_game_summary.json").read_bytes())
    assert (summary.projection, summary.plays, summary.curve) == (pytest.approx(0.58), (), ())


@pytest.mark.data
@pytest.mark.data
def test_a_summary_cut_short_anywhere_is_refused(shared_data: Path) -> None:
    body = (shared_data / "espn/payloads/nba_game_summary.json").read_bytes()
    for cut in range(0, len(body) - 1, 9973):
        with pytest.raises(FeedError, match="summary: "):
            decode_summary(body[:cut])


# What is refused


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_no_bytes_whatever_raise_anything_but_a_feed_error(body: bytes) -> None:
    for decode in (decode_scoreboard, decode_summary):
        with pytest.raises(FeedError):
            decode(body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "12:00", "home", "1e999", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "score", "team", "id"]), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["id", "date", "season", "status", "competitions"]), JSON)
@settings(max_examples=100, deadline=None)
def test_a_field_of_any_shape_leaves_the_other_games_readable(field: str, value: object) -> None:
    found = decode_scoreboard(board(event(id="sound"), event(**{field: value})))
    assert [game.id for game in found.games if game.id == "sound"]
    assert len(found.games) + len(found.refused) == 2


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the body is empty"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field `events`"),
        (b'{"code":404,"message":"Failed"}', "missing required field `events`"),
        (board(event(), league="mlb"), "league 'mlb'"),
        (board(event(), league="nhl"), "league 'nhl', not 'nba'"),
        (board(event(competitions=[])), "competitors are"),
        (b'{"events":' + b"[" * 100_000, "scoreboard: "),
    ],
)
def test_a_document_that_is_no_nba_scoreboard_is_refused_saying_why(body: bytes, why: str) -> None:
    with pytest.raises(FeedError) as refusal:
        decode_scoreboard(body, league="nba")
    assert why in str(refusal.value)


def test_a_game_under_way_without_a_score_is_not_nil_nil() -> None:
    teams = event()["competitions"][0]["competitors"]
    found = decode_scoreboard(board(event(), event(competitions=[{"competitors": [{**team, "score": ""} for team in teams]}])))
    assert found.refused == ("event 1: it is under way or over and has no score",)


def test_a_missing_clock_is_not_a_clock_at_zero() -> None:
    status = {key: value for key, value in STATUS.items() if "lock" not in key}
    game = decode_scoreboard(board(event(status=status))).games[0]
    assert (game.status, game.period) == (GameStatus.LIVE, 0)


def test_a_game_that_is_merely_over_is_not_final() -> None:
    status = {**STATUS, "type": {"name": "STATUS_UNHEARD_OF", "state": "post", "completed": True}}
    assert decode_scoreboard(board(event(status=status))).games[0].status is GameStatus.OFF


@pytest.mark.parametrize(("text", "seconds"), [("11:43", 703.0), ("0:00", 0.0), ("59.1", 59.1), ("0.0", 0.0), ("12:00", 720.0)])
def test_both_forms_of_the_clock_are_read(text: str, seconds: float) -> None:
    assert parse_clock(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "nan", "21:00", "1:2:3", "noon"])
def test_what_is_no_clock_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_clock(text)


def test_times_with_and_without_seconds_are_utc() -> None:
    spellings = ("2025-06-01T00:00Z", "2025-06-01T00:00:00", "2025-06-01T00:00:00+00:00", "2025-05-31T20:00:00-04:00")
    assert {parse_time(text) for text in spellings} == {1748736000.0}


# The client


async def test_the_client_asks_by_stream_and_path() -> None:
    door = ScriptedDoor(scoreboard=[board(event())], summary=[summary_of()])
    client = EspnClient(door, BASE + "/")
    await client.scoreboard()
    await client.summary("401")
    path = BASE + "/apis/site/v2/sports/basketball/nba"
    assert door.asked == [("espn.scoreboard.nba", path + "/scoreboard"), ("espn.summary.nba.401", path + "/summary?event=401")]


async def test_an_unchanged_document_is_none_and_a_changed_one_is_read() -> None:
    first, second = board(event()), board(event(id="402"))
    client = EspnClient(ScriptedDoor(scoreboard=[first, first, second]), BASE)
    found = [await client.scoreboard() for _ in range(3)]
    assert [None if one is None else one.games[0].id for one in found] == ["401", None, "402"]
    assert found[0] is not None
    assert found[0].received_at == 1000.0


@pytest.mark.parametrize("fault", [500, 404, b"", board(event())[:80], b"<html>", FeedError("refused")])
async def test_a_fault_is_a_feed_error_and_the_last_good_document_still_counts(fault: bytes | int | Exception) -> None:
    good = board(event())
    client = EspnClient(ScriptedDoor(scoreboard=[good, fault, good]), BASE)
    await client.scoreboard()
    with pytest.raises(FeedError) as caught:
        await client.scoreboard()
    assert isinstance(fault, FeedError) or "/scoreboard: " in str(caught.value)
    assert await client.scoreboard() is None


async def test_a_summary_of_another_game_is_refused() -> None:
    client = EspnClient(ScriptedDoor(summary=[summary_of("999")]), BASE)
    with pytest.raises(FeedError, match="of game 999"):
        await client.summary("401")


async def test_for_a_new_reader_everything_is_new() -> None:
    client = EspnClient(ScriptedDoor(scoreboard=[board(event())], summary=[summary_of()]), BASE)
    await client.scoreboard()
    await client.summary("401")
    client.forget("401")
    assert await client.summary("401") is not None
    client.reset()
    assert await client.scoreboard() is not None
    assert await client.summary("401") is not None
