"""Bookmakers' games and Kalshi's units: joined by teams and night, and left alone where it could be two."""

from __future__ import annotations

import datetime as dt

import attrs

from chimera.feeds.game_match import Unit
from chimera.feeds.odds_api import OddsEvent
from chimera.feeds.odds_match import match_odds
from chimera.teams import NBA, Team

START = dt.datetime(2026, 11, 23, 0, 30, tzinfo=dt.UTC).timestamp()  # 19:30 on 22 November in New York
NIGHT_S = 24 * 3600.0


def team(code: str) -> Team:
    found = NBA.by_code(code)
    assert found is not None
    return found


NYK, BOS = team("NYK"), team("BOS")
UNIT = Unit("KXNBAGAME-26NOV22BOSNYK", frozenset((NYK, BOS)), NYK, dt.date(2026, 11, 22), None, (("T", NYK),))
EVENT = OddsEvent("e1", START + 138.0, NYK, BOS, ())


def test_the_same_teams_on_the_same_night_are_the_same_game_though_starts_differ_by_minutes() -> None:
    matched, unmatched = match_odds({UNIT.name: UNIT}, [EVENT], "nba")
    assert matched == {UNIT.name: EVENT}
    assert unmatched == {}


def test_the_next_night_and_the_other_home_side_are_other_games() -> None:
    others = [attrs.evolve(EVENT, starts_at=START + NIGHT_S), attrs.evolve(EVENT, id="e2", home=BOS, away=NYK)]
    matched, unmatched = match_odds({UNIT.name: UNIT}, others, "nba")
    assert matched == {}
    assert unmatched == {UNIT.name: "no bookmakers' game"}


def test_a_game_that_could_be_two_is_neither() -> None:
    matched, unmatched = match_odds({UNIT.name: UNIT}, [EVENT, attrs.evolve(EVENT, id="e2")], "nba")
    assert matched == {}
    assert "2 bookmakers' games" in unmatched[UNIT.name]
