"""The Odds API: which lines are a prior, what is refused, how the quota is minded, and that the key is seen nowhere."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.clock import WorldClock
from chimera.errors import FeedError
from chimera.feeds.odds_api import SCARCE, SPENT, OddsClient, OddsEvent, decode_odds, fair, pause
from chimera.intake import Door, Frame
from chimera.intake_live import LiveDoor
from chimera.sim.server import Request, Response, open_port, port_of, serve
from chimera.teams import NBA, NHL

KEY = "s3cret/key+of=ours"
START = dt.datetime(2026, 11, 23, 0, 30, tzinfo=dt.UTC).timestamp()


def text(unix: float) -> str:
    return dt.datetime.fromtimestamp(unix, dt.UTC).isoformat()


def book(home: float, away: float, *, key: str = "fanduel", at: float = START - 600.0, **market: Any) -> dict[str, Any]:
    outcomes = [{"name": "Boston Celtics", "price": away}, {"name": "New York Knicks", "price": home}]
    return {"key": key, "last_update": text(at), "markets": [{"key": "h2h", "outcomes": outcomes, **market}]}


def game(*books: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "id": "e1", "sport_key": "basketball_nba", "commence_time": text(START), "home_team": "New York Knicks",
        "away_team": "Boston Celtics", "bookmakers": list(books), **changes,
    }  # fmt: skip


def decoded(*games: dict[str, Any], league: str = "nba") -> tuple[OddsEvent, ...]:
    return decode_odds(json.dumps(games).encode(), league).events


def prior(*books: dict[str, Any], now: float = START - 300.0) -> tuple[float, int] | None:
    return fair(decoded(game(*books))[0], "nba", now)


# What is a prior


def test_books_are_averaged_and_the_vig_goes_out_in_proportion_for_basketball() -> None:
    found = prior(book(-150, 130), book(-160, 140, key="draftkings"))
    home, away = (0.6 + 160 / 260) / 2, (100 / 230 + 100 / 240) / 2
    assert found == (pytest.approx(home / (home + away)), 2)


def test_for_hockey_half_the_vig_goes_off_each_side() -> None:
    names = {"home_team": "St Louis Blues", "away_team": "Montréal Canadiens", "sport_key": "icehockey_nhl"}
    outcomes = [{"name": "Montréal Canadiens", "price": 130}, {"name": "St Louis Blues", "price": -150}]
    (event,) = decoded(game(book(0, 0, outcomes=outcomes), **names), league="nhl")
    assert (event.home, event.away) == (NHL.by_code("STL"), NHL.by_code("MTL"))
    assert fair(event, "nhl", START - 300.0) == (pytest.approx(0.6 - 0.5 * (0.6 + 100 / 230 - 1.0)), 1)


def test_a_book_that_takes_more_than_eight_per_cent_is_left_out() -> None:
    assert prior(book(-150, 130), book(-250, -110, key="greedy")) == prior(book(-150, 130))
    assert prior(book(-250, -110)) is None


@pytest.mark.parametrize("odd", [1.91, 0.0, 99.0])
def test_what_is_no_moneyline_is_left_out(odd: float) -> None:
    assert prior(book(odd, odd)) is None


def test_a_game_under_way_has_no_prior_and_a_line_written_during_it_is_none() -> None:
    assert prior(book(-150, 130), now=START) is None
    assert prior(book(-900, 600, at=START + 60.0), now=START - 1.0) is None


def test_a_book_that_looks_away_is_left_out() -> None:
    assert prior(book(-150, 130), book(-300, 250, key="asleep", at=START - 4 * 3600.0)) == prior(book(-150, 130))


def test_a_book_with_a_draw_or_without_a_moneyline_is_left_out() -> None:
    three = [{"name": name, "price": 200} for name in ("New York Knicks", "Boston Celtics", "Draw")]
    spread = {"key": "x", "last_update": text(START), "markets": [{"key": "spreads", "outcomes": []}]}
    (event,) = decoded(game(book(0, 0, outcomes=three), spread, {"key": "empty"}))
    assert event.lines == ()


@given(st.floats(0.1, 0.9), st.floats(1.01, 1.07))
@settings(max_examples=50, deadline=None)
def test_swapping_the_sides_swaps_the_prior(p: float, vig: float) -> None:
    def line(q: float) -> float:
        return -100.0 * q / (1.0 - q) if q >= 0.5 else 100.0 * (1.0 - q) / q

    home, away = line(min(0.98, p * vig)), line(min(0.98, (1.0 - p) * vig))
    found, swapped = prior(book(home, away)), prior(book(away, home))
    assert found is not None
    assert swapped is not None
    assert found[0] == pytest.approx(1.0 - swapped[0], abs=1e-9)


# What is refused


def test_an_odd_game_is_set_aside_and_the_night_is_read() -> None:
    page = decode_odds(json.dumps([game(), game(home_team="Springfield Isotopes"), game(home_team="Boston Celtics"), {}]).encode(), "nba")
    assert len(page.events) == 1
    assert [why.split(":")[0] for why in page.refused] == ["event 1", "event 2", "event 3"]
    assert "Springfield Isotopes" in page.refused[0]


@pytest.mark.parametrize("body", [b"", b"{", b'{"message": "x"}', b"[1]", b"\xff", json.dumps([game(sport_key="soccer")]).encode()])
def test_what_is_no_document_is_a_feed_error(body: bytes) -> None:
    with pytest.raises(FeedError, match=r"^odds"):
        decode_odds(body, "nba")


def test_a_night_without_games_is_no_fault() -> None:
    assert decode_odds(b"[]", "nba").events == ()


@pytest.mark.data
def test_the_recorded_document_gives_a_prior_to_every_game_that_had_not_begun(shared_data: Path) -> None:
    body = (shared_data / "odds_api" / "nba_h2h_2022-11-23.json").read_bytes()
    now = dt.datetime(2022, 11, 23, 1, 5, 30, tzinfo=dt.UTC).timestamp()
    page = decode_odds(body, "nba", received_at=now)
    assert not page.refused
    priors = {event.home.code: fair(event, "nba", now) for event in page.events}
    assert len(priors) == 9
    under_way = {event.home.code for event in page.events if event.starts_at <= now}
    assert under_way == {"PHI", "MEM"}
    assert all((found is None) == (code in under_way) for code, found in priors.items())
    found = priors["PHX"]
    assert found is not None
    assert found[1] >= 15
    assert 0.5 < found[0] < 0.9


# The quota


def test_the_nearer_a_game_the_more_often_and_nothing_after_the_last() -> None:
    waits = [pause(0.0, [ahead], 500) for ahead in (300.0, 2000.0, 10_000.0, 40_000.0, -10.0)]
    assert waits == [180.0, 600.0, 1800.0, 10_800.0, 21_600.0]


def test_no_wait_runs_past_the_moment_when_more_is_asked_for() -> None:
    assert pause(0.0, [3600.0 + 100.0], 500) == 100.0
    assert pause(0.0, [600.0 + 5.0], 500) == 60.0


def test_where_the_quota_runs_low_everything_is_spread_out_and_its_last_is_kept() -> None:
    assert pause(0.0, [300.0], SCARCE // 4) == 4 * 180.0
    assert pause(0.0, [300.0], SPENT) == pause(0.0, [300.0], 0) == 21_600.0


def test_a_night_of_games_costs_about_sixty_credits() -> None:
    starts = [START + 1800.0 * n for n in range(8)]
    now, asked = START - 12 * 3600.0, 0
    while now < starts[-1]:
        now += pause(now, starts, 500)
        asked += 1
    assert 40 <= asked <= 100


# The client


class Bookmakers:
    """The Odds API on the loopback: what it answers is set by the test, what it was asked is kept."""

    def __init__(self) -> None:
        self.answer = Response(200, json.dumps([game(book(-150, 130))]).encode())
        self.left = 500
        self.asked: list[Request] = []

    def respond(self, request: Request) -> Response:
        self.asked.append(request)
        self.left -= 1
        return Response(self.answer.status, self.answer.body, headers=(("X-Requests-Remaining", str(self.left)),))

    def refuse(self, request: Request) -> Response | None:
        return Response(404)

    async def converse(self, request: Request, socket: object) -> None: ...


class Asked:
    """A client of a served `Bookmakers`, and every frame that came in through its door."""

    def __init__(self, client: OddsClient, site: Bookmakers, frames: list[Frame]) -> None:
        self.client, self.site, self.frames = client, site, frames


@pytest.fixture
async def asked(nursery: Any) -> Any:
    site, frames = Bookmakers(), list[Frame]()
    listeners = await open_port(0)

    async def serving() -> None:
        await serve(listeners, site, now=lambda: 0.0)

    nursery.start_soon(serving)
    async with LiveDoor(WorldClock()) as door:
        client = OddsClient(door, KEY, f"http://127.0.0.1:{port_of(listeners)}")
        door.on_response(client.observe)
        door.tap(frames.append)
        yield Asked(client, site, frames)


async def test_it_asks_for_american_moneylines_and_reads_them_once(asked: Asked) -> None:
    page = await asked.client.page("nba")
    assert page is not None
    assert (page.events[0].home, page.events[0].away) == (NBA.by_code("NYK"), NBA.by_code("BOS"))
    assert await asked.client.page("nba") is None
    (first, _) = asked.site.asked
    assert first.path == "/v4/sports/basketball_nba/odds"
    assert {name: first.param(name) for name in ("apiKey", "markets", "oddsFormat")} == {
        "apiKey": KEY, "markets": "h2h", "oddsFormat": "american",
    }  # fmt: skip


async def test_what_is_left_of_the_quota_is_read_off_every_answer(asked: Asked) -> None:
    assert asked.client.remaining is None
    await asked.client.page("nba")
    assert asked.client.remaining == 499
    asked.site.answer = Response(500)
    with pytest.raises(FeedError):
        await asked.client.page("nba")
    assert asked.client.remaining == 498


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (401, b'{"message": "bad key s3cret/key+of=ours", "error_code": "INVALID_KEY"}', "HTTP 401 INVALID_KEY"),
        (429, b'{"message": "slow down", "error_code": "EXCEEDED_FREQ_LIMIT"}', "HTTP 429 EXCEEDED_FREQ_LIMIT"),
        (500, b"<html>s3cret/key+of=ours</html>", r"HTTP 500$"),
        (200, b'[{"id": ', r"truncated|ended"),
    ],
)
async def test_a_refusal_is_a_feed_error_that_says_why_and_never_the_key(asked: Asked, status: int, body: bytes, why: str) -> None:
    asked.site.answer = Response(status, body)
    with pytest.raises(FeedError, match=why) as caught:
        await asked.client.page("nba")
    assert "s3cret" not in str(caught.value)


async def test_a_document_after_a_bad_one_is_read(asked: Asked) -> None:
    good = asked.site.answer
    asked.site.answer = Response(200, b"[")
    with pytest.raises(FeedError):
        await asked.client.page("nba")
    asked.site.answer = good
    assert await asked.client.page("nba") is not None


async def test_a_spent_quota_is_remembered(asked: Asked) -> None:
    asked.site.answer = Response(401, b'{"error_code": "OUT_OF_USAGE_CREDITS"}')
    with pytest.raises(FeedError, match="OUT_OF_USAGE_CREDITS"):
        await asked.client.page("nba")
    assert asked.client.remaining == 0


async def test_the_key_is_in_no_stream_no_error_and_no_log(asked: Asked, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await asked.client.page("nba")
        dead = OddsClient(asked.client._door, KEY, "http://127.0.0.1:9")
        with pytest.raises(FeedError) as caught:
            await dead.page("nba")
    shown = [frame.stream for frame in asked.frames] + [str(caught.value), repr(caught.value), caplog.text]
    assert not any("s3cret" in words for words in shown)
    assert [frame.stream for frame in asked.frames] == ["odds.h2h.basketball_nba"]


class _Answers(Door):
    """One document for whoever asks."""

    async def get(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0) -> Frame:
        return self._enter(Frame(stream, 0, START, b"[]", 200))

    def connect(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None) -> Any:
        raise AssertionError("no connection is opened here")


async def test_a_door_that_tells_no_headers_leaves_the_quota_unknown_and_the_feed_readable() -> None:
    client = OddsClient(_Answers(), KEY)
    assert await client.page("nhl") is not None
    assert client.remaining is None
