"""The odds oracle over in-memory bookmakers: whom it tells what and when, and what outlives it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import attrs
import pytest
import trio
from oracle_rig import TIP, at_work
from oracle_rig import World as EspnWorld

from actors.messages import Listing, Note, Prior, Resend, Standing
from actors.oracles.nba import NbaOracle, NbaOracleSettings
from actors.oracles.odds import LOOK_S, OddsOracle
from actors.runtime import ActorSystem, Address, ChildSpec, Restart
from actors.runtime.testing import Probe
from actors.tree import death_scope
from chimera.clock import VirtualClock
from chimera.errors import FeedError
from chimera.feeds.odds_api import OddsClient
from chimera.intake import Door, Frame
from chimera.journal.records import Kind, Pregame
from chimera.journal.shape import pregame_of
from chimera.markets import CENT_GRID, FeeTerms, Market, Status, TeamWins
from chimera.teams import NBA

UNIT = "KXNBAGAME-26NOV22BOSNYK"
START = dt.datetime(2026, 11, 23, 0, 30, tzinfo=dt.UTC).timestamp()  # 19:30 on 22 November in New York


def market(code: str) -> Market:
    team, opponent = (NBA.by_code(each) for each in (("NYK", "BOS") if code == "NYK" else ("BOS", "NYK")))
    assert team is not None
    assert opponent is not None
    return Market(
        ticker=f"{UNIT}-{code}", event=UNIT, series="KXNBAGAME", domain="nba", unit=UNIT, grid=CENT_GRID,
        meaning=TeamWins(team, opponent, code == "NYK", dt.date(2026, 11, 22)), status=Status.ACTIVE, open_at=0.0, close_at=4e9,
        expected_end_at=None, exchange_index=3, fee=FeeTerms("quadratic", Fraction(1)), result="", settlement_value=None, title="",
    )  # fmt: skip


MARKETS = (market("NYK"), market("BOS"))


class Bookmakers(Door):
    """One game's odds, edited by the test; `fail` is raised instead where it is set."""

    def __init__(self, before: float) -> None:
        super().__init__()
        self.clock = VirtualClock(origin_unix=START - before)
        self.line = (-150, 130)
        self.games = 1
        self.fail: FeedError | None = None
        self.asked: list[tuple[str, float]] = []

    async def get(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0) -> Frame:
        await trio.lowlevel.checkpoint()
        now = self.clock.now()
        self.asked.append((stream, now))
        if self.fail is not None:
            raise self.fail
        outcomes = [{"name": "New York Knicks", "price": self.line[0]}, {"name": "Boston Celtics", "price": self.line[1]}]
        updated = dt.datetime.fromtimestamp(now, dt.UTC).isoformat()
        books = [{"key": "fanduel", "last_update": updated, "markets": [{"key": "h2h", "outcomes": outcomes}]}]
        starts = dt.datetime.fromtimestamp(START + 120.0, dt.UTC).isoformat()
        events = [
            {"id": f"e{n}", "sport_key": "basketball_nba", "commence_time": starts, "home_team": "New York Knicks",
             "away_team": "Boston Celtics", "bookmakers": books}
            for n in range(self.games)
        ]  # fmt: skip
        return Frame(stream, 0, now, json.dumps(events).encode(), 200)

    def connect(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None) -> Any:
        raise AssertionError("no connection is opened here")


@attrs.define
class Scene:
    """The oracle at work. `held` is what outlives it."""

    world: Bookmakers
    held: dict[str, Pregame]
    nba: Probe
    journal: Probe
    telemetry: Probe
    universe: Probe
    oracle: Address

    @property
    def told(self) -> list[Pregame]:
        return [message.told for message in self.nba.of(Prior)]

    @property
    def standing(self) -> Standing:
        return self.telemetry.of(Standing)[-1]


@asynccontextmanager
async def scene(before: float = 300.0, *, held: dict[str, Pregame] | None = None, listed: bool = True) -> AsyncIterator[Scene]:
    """An oracle `before` seconds from the scheduled start, with the game listed or not, after its first look."""
    world, held = Bookmakers(before), {} if held is None else held
    async with ActorSystem(clock_now=world.clock.now, sleep=world.clock.sleep, virtual=True) as system:
        nba, journal, telemetry, universe = [await Probe.watch(system, name) for name in ("nba", "journal", "telemetry", "universe")]
        client = OddsClient(world, "key", "http://odds.test")

        def oracle() -> OddsOracle:
            return OddsOracle(
                odds=client, clock=world.clock, leagues={"nba": nba.address}, journal=journal.address, telemetry=telemetry.address,
                universe=universe.address, rng=Random(1), held=held,
            )  # fmt: skip

        address = await system.start(ChildSpec("odds", oracle, restart=Restart.PERMANENT))
        found = Scene(world, held, nba, journal, telemetry, universe, address)
        if listed:
            address.tell(Listing(MARKETS, world.clock.now()))
        await trio.sleep(LOOK_S + 1.0)
        yield found


# What is told


async def test_a_game_that_is_coming_gets_a_prior_and_the_journal_keeps_it(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        (told,) = s.told
        assert (told.league, told.unit, told.starts_at) == ("nba", UNIT, START + 120.0)
        assert 0.57 < told.p_home < 0.59
        assert "1 books" in told.source
        (note,) = s.journal.of(Note)
        assert note.record.kind is Kind.PRIOR
        assert pregame_of(note.record) == told
        assert s.standing.state == "ready"
        assert s.universe.of(Resend) == [Resend()]


async def test_nothing_is_asked_for_while_no_game_is_listed(autojump_clock: trio.testing.MockClock) -> None:
    async with scene(listed=False) as s:
        await trio.sleep(3600.0)
        assert s.world.asked == []


async def test_a_line_that_moves_is_told_again_and_one_that_stands_is_not(autojump_clock: trio.testing.MockClock) -> None:
    async with scene(before=1800.0) as s:
        await trio.sleep(700.0)
        assert len(s.world.asked) == 2
        assert len(s.told) == 1
        s.world.line = (-200, 175)
        await trio.sleep(700.0)
        assert len(s.told) == 2
        assert s.told[1].p_home > s.told[0].p_home


async def test_once_a_game_is_under_way_its_prior_stays_what_it_was(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        before = s.told
        await trio.sleep(600.0)
        s.world.line = (-2000, 1200)
        await trio.sleep(12 * 3600.0)
        assert len(s.world.asked) > 2
        assert s.told[-1].p_home == before[-1].p_home
        assert s.held[UNIT].at < START + 120.0


async def test_a_game_that_could_be_two_gets_no_prior_and_that_is_said(autojump_clock: trio.testing.MockClock) -> None:
    async with scene(listed=False) as s:
        s.world.games = 2
        s.oracle.tell(Listing(MARKETS, START))
        await trio.sleep(LOOK_S + 1.0)
        assert s.told == []
        assert "2 bookmakers' games could be it" in s.standing.why


async def test_the_oracle_of_a_sport_that_asks_is_told_again(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        s.oracle.tell(Resend())
        await trio.sleep(1.0)
        assert s.told == [s.told[0]] * 2


# What outlives it


async def test_what_an_earlier_process_was_told_is_told_again_though_the_game_is_under_way(
    autojump_clock: trio.testing.MockClock,
) -> None:
    kept = Pregame("nba", UNIT, 0.61, "9 books", START, START - 900.0)
    async with scene(before=-3600.0, held={UNIT: kept}) as s:
        assert s.told == [kept]


async def test_a_game_of_yesterday_is_let_go(autojump_clock: trio.testing.MockClock) -> None:
    async with scene(held={"OLD": Pregame("nba", "OLD", 0.6, "", START - 2 * 86400.0, START - 3 * 86400.0)}) as s:
        assert [told.unit for told in s.told] == [UNIT]
        assert "OLD" not in s.held


# Faults


async def test_a_feed_that_fails_is_a_state_and_is_asked_less_and_less(autojump_clock: trio.testing.MockClock) -> None:
    async with scene(listed=False) as s:
        s.world.fail = FeedError("odds.h2h.basketball_nba: HTTP 429")
        s.oracle.tell(Listing(MARKETS, START))
        await trio.sleep(2000.0)
        assert s.standing.state == "stale"
        assert "HTTP 429" in s.standing.why
        times = [at for _, at in s.world.asked]
        waits = [later - earlier for earlier, later in pairwise(times)]
        assert len(waits) >= 3
        assert all(1.5 * first < second for first, second in pairwise(waits))
        s.world.fail = None
        await trio.sleep(2 * 3600.0)
        assert s.standing.state == "ready"


async def test_a_fresh_incarnation_tells_what_the_last_one_knew_and_a_death_cancels_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with scene() as first:
        (before,) = first.told
    async with scene(before=-600.0, held=first.held) as second:
        assert [told.p_home for told in second.told] == [before.p_home]
    assert death_scope("odds", frozenset({"nba"})) is None


# What a game's oracle makes of it


async def test_a_games_oracle_prices_from_the_prior_it_is_told_and_asks_for_it_when_it_starts(
    autojump_clock: trio.testing.MockClock,
) -> None:
    world = EspnWorld()
    world.play("Defensive Rebound", "home", "7:41")
    async with at_work(world, NbaOracle, NbaOracleSettings(poll_s=1.5), MARKETS) as s:
        await trio.sleep(4.0)
        was = s.last().p_true
        s.oracle.tell(Prior(Pregame("nba", UNIT, 0.9, "9 books", TIP + 60.0, TIP - 300.0)))
        await trio.sleep(4.0)
        assert s.last().p_true > was + 0.05
        assert "prior 0.900 from 9 books" in s.last().why
        s.oracle.tell(Prior(Pregame("nba", UNIT, 0.1, "9 books, too late", TIP + 60.0, TIP + 3600.0)))
        await trio.sleep(4.0)
        assert s.last().p_true == pytest.approx(was, abs=0.01)
