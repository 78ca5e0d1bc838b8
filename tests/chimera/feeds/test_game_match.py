"""A Kalshi unit meets its ESPN game by teams and Eastern date, or is not priced."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import attrs

from chimera.feeds.espn import Competitor, Game, GameStatus
from chimera.feeds.game_match import match, units
from chimera.markets import CENT_GRID, FeeTerms, Market, Status, TeamWins
from chimera.teams import NBA

TIP = dt.datetime(2025, 6, 1, 0, 0, tzinfo=dt.UTC).timestamp()  # 20:00 on 31 May in New York
DAY = dt.date(2025, 5, 31)
NYK, IND, BOS = (team for code in ("NYK", "IND", "BOS") if (team := NBA.by_code(code)))


def market(code: str = "IND", *, day: dt.date | None = DAY, unit: str = "KXNBAGAME-25MAY31NYKIND", start: float | None = None) -> Market:
    team, other = (IND, NYK) if code == "IND" else (NYK, IND)
    return Market(
        ticker=f"{unit}-{code}", event=unit, series="KXNBAGAME", domain="nba", unit=unit, grid=CENT_GRID,
        meaning=TeamWins(team, other, code == "IND", day), status=Status.ACTIVE, open_at=0.0, close_at=2e9, expected_end_at=None,
        exchange_index=3, fee=FeeTerms("quadratic", Fraction(1)), result="", settlement_value=None, title="", start_at=start,
    )  # fmt: skip


def game(event_id: str = "401", *, starts_at: float = TIP, home: str = "IND", away: str = "NY") -> Game:
    return Game("nba", event_id, starts_at, 3, GameStatus.SCHEDULED, "", 0, 0.0, Competitor("1", home, 0), Competitor("2", away, 0))


def matched(*games: Game, listed: tuple[Market, ...] = (market(),)) -> dict[str, str]:
    found, unmatched = match(units(listed, "nba"), games, NBA)
    assert set(found) | set(unmatched) == set(units(listed, "nba"))
    return {name: one.id for name, one in found.items()} | unmatched


UNIT = market().unit


def test_both_markets_of_a_game_are_one_unit() -> None:
    found = units((market("IND"), market("NYK")), "nba")
    assert [(unit.home, unit.day, [team.code for _, team in unit.markets]) for unit in found.values()] == [(IND, DAY, ["IND", "NYK"])]


def test_the_same_teams_on_the_same_eastern_date_are_the_game_though_utc_says_the_next_day() -> None:
    assert matched(game(), game("402", home="BOS", away="LAL")) == {UNIT: "401"}


def test_the_same_teams_a_day_later_are_another_game() -> None:
    assert matched(game(starts_at=TIP + 86400.0)) == {UNIT: "no ESPN game"}
    assert matched(game(), game("402", starts_at=TIP + 86400.0)) == {UNIT: "401"}


def test_a_start_after_midnight_belongs_to_the_evening_before() -> None:
    assert matched(game(starts_at=TIP + 5 * 3600.0)) == {UNIT: "401"}


def test_two_candidates_are_none() -> None:
    assert matched(game(), game("402")) == {UNIT: "2 ESPN games could be it"}


def test_one_game_for_two_units_is_for_neither() -> None:
    undated = market(unit="KXNBAGAME-OTHER", day=None)
    assert set(matched(game(), listed=(market(), undated)).values()) == {"ESPN game 401 could be another unit's too"}


def test_home_and_away_must_be_as_the_rules_say() -> None:
    assert matched(game(home="NY", away="IND")) == {UNIT: "no ESPN game"}
    neutral = market()
    neutral = attrs.evolve(neutral, meaning=attrs.evolve(neutral.meaning, home=None))
    assert matched(game(home="NY", away="IND"), listed=(neutral,)) == {UNIT: "401"}


def test_a_start_the_exchange_puts_a_day_away_is_another_game() -> None:
    assert matched(game(), listed=(market(start=TIP + 3 * 3600.0),)) == {UNIT: "401"}
    assert matched(game(), listed=(market(start=TIP + 24 * 3600.0),)) == {UNIT: "no ESPN game"}
