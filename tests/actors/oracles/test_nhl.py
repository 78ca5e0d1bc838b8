"""The NHL oracle over an in-memory ESPN and a real kill register: goals, penalties and goalies stop a game before they are priced."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import pytest
import trio
from oracle_rig import Scene, World, at_work

from actors.messages import Fair, Phase
from actors.oracles.nhl import NhlOracle
from actors.oracles.track import OracleSettings
from chimera.markets import CENT_GRID, FeeTerms, Market, Status, TeamWins
from chimera.teams import NHL
from chimera.trading.kill import State, Trip, unit
from chimera.trading.reasons import Reason

UNIT = "KXNHLGAME-26NOV22BUFCAR"
HOME, AWAY = f"{UNIT}-CAR", f"{UNIT}-BUF"
POLL = 1.5
SETTINGS = OracleSettings(poll_s=POLL, stale_s=45.0, base_edge_cents=2.0, kill_multiple=3.0)
GOALIES = {"1": "g1", "2": "g2"}


def market(ticker: str) -> Market:
    team, opponent = (NHL.by_code(code) for code in (("CAR", "BUF") if ticker == HOME else ("BUF", "CAR")))
    assert team is not None
    assert opponent is not None
    return Market(
        ticker=ticker, event=UNIT, series="KXNHLGAME", domain="nhl", unit=UNIT, grid=CENT_GRID,
        meaning=TeamWins(team, opponent, None, dt.date(2026, 11, 22)), status=Status.ACTIVE, open_at=0.0, close_at=4e9,
        expected_end_at=None, exchange_index=3, fee=FeeTerms("quadratic", Fraction(1)), result="", settlement_value=None, title="",
    )  # fmt: skip


MARKETS = (market(HOME), market(AWAY))


class Rink(World):
    """Hockey's documents: plays count up, the scoreboard down, and the ice is listed by player."""

    LEAGUE, HOME, AWAY = "nhl", "CAR", "BUF"

    def __init__(self) -> None:
        super().__init__()
        self.home, self.away = 2, 1
        self.in_net = {"1": True, "2": True}

    def play_clock(self, left: str, period: int) -> str:
        minutes, seconds = left.split(":")
        up = (1200 if period < 4 else 300) - 60 * int(minutes) - int(seconds)
        return f"{up // 60}:{up % 60:02}"

    def more(self) -> dict[str, Any]:
        ice, players = [], []
        for team, goalie in GOALIES.items():
            names = [goalie] * self.in_net[team] + [f"{team}.{n}" for n in range(5 + (not self.in_net[team]))]
            ice.append({"teamId": team, "entries": [{"athleteid": name} for name in names]})
            listed = [{"athlete": {"id": f"{team}.{n}", "position": {"abbreviation": "C"}}} for n in range(6)]
            listed.append({"athlete": {"id": goalie, "position": {"abbreviation": "G"}}})
            players.append({"team": {"id": team}, "statistics": [{"athletes": listed}]})
        return {"onIce": ice, "boxscore": {"players": players}}


def rink(left: str = "10:00", *, lead: int = 1, period: int = 3) -> Rink:
    """Carolina, at home, leads; the puck is in play."""
    world = Rink()
    world.home, world.away = 1 + max(0, lead), 1 + max(0, -lead)
    world.play("Face Off", "home", left, period=period)
    return world


@asynccontextmanager
async def scene(world: Rink | None = None) -> AsyncIterator[Scene]:
    async with at_work(world or rink(), NhlOracle, SETTINGS, MARKETS) as found:
        yield found


async def polls(count: float = 1.0) -> None:
    await trio.sleep(count * POLL * 1.06)


async def test_both_markets_of_a_live_game_are_priced_once_its_model_is_solved(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(3)
        home, away = s.last(HOME), s.last(AWAY)
        assert 0.8 < home.p_true < 0.9
        assert home.p_true + away.p_true == pytest.approx(1.0)
        assert sum(q * w for q, w in home.reaction) == pytest.approx(home.p_true, abs=0.01)
        assert (home.phase, home.state_edge) == (Phase.LIVE, 0.0)
        assert "moneylines, 1 books" in home.why
        assert s.standing().state == "ready"
        assert s.reasons() == []


async def test_a_pregame_is_priced_at_its_moneyline_without_half_the_vig(autojump_clock: trio.testing.MockClock) -> None:
    world = Rink()
    world.status, world.home, world.away = "pre", 0, 0
    async with scene(world) as s:
        await polls(3)
        assert s.last().p_true == pytest.approx(0.6 - 0.5 * (0.6 + 100 / 230 - 1.0), abs=1e-3)
        assert s.last().phase is Phase.PREGAME


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [("Goal", "X Goal", Reason.GOAL), ("Penalty", "X Tripping against Y", Reason.PENALTY), ("", "", Reason.GOALIE)],
)
async def test_news_kills_the_game_before_its_price_is_told_and_until_two_polls_agree(
    autojump_clock: trio.testing.MockClock, kind: str, text: str, reason: Reason
) -> None:
    async with scene(rink("3:00")) as s:
        await polls(3)
        before = len(s.effects)
        if kind:
            s.world.play(kind, "away", "2:50", points=int(kind == "Goal"), text=text)
        else:
            assert isinstance(s.world, Rink)
            s.world.in_net["2"] = False
            s.world.play("Hit", "away", "2:50")
        await polls(1.5)
        first, *rest = s.effects[before:]
        assert isinstance(first, Trip)
        assert (first.reason, first.scope, first.hold_s) == (reason, unit(UNIT), 2 * POLL)
        fairs = [effect for effect in rest if isinstance(effect, Fair)]
        assert fairs[0].fence == s.register.fence(fairs[0].market) == first.counter
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.HELD
        await polls(5)
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.ARMED
        assert s.reasons() == [reason]


async def test_a_goal_taken_back_holds_the_game_until_three_polls_agree(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(3)
        s.world.play("Goal", "away", "9:50", points=1)
        await polls(4)
        s.world.plays.pop()
        s.world.away -= 1
        s.world.time_left = "9:50"
        await polls(2)
        assert s.reasons()[:2] == [Reason.GOAL, Reason.SCORE_REVERSAL]
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.HELD


async def test_a_challenge_kills_until_play_goes_on(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(3)
        s.world.play("Stoppage", "", "9:50", team=False, text="Home Challenge - Goal Interference")
        await polls(20)
        assert s.reasons() == [Reason.REVIEW]
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.HELD
        s.world.play("Face Off", "home", "9:50")
        await polls(6)
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.ARMED


async def test_a_flipped_clock_is_a_disagreement_and_nothing_is_told(autojump_clock: trio.testing.MockClock) -> None:
    async with scene(rink("15:00")) as s:
        await polls(3)
        told = len(s.fairs)
        assert told
        s.world.time_left = "5:00"
        await polls(3)
        assert s.reasons() == [Reason.DISAGREEMENT]
        assert len(s.fairs) == told


@pytest.mark.parametrize(
    ("left", "lead", "period", "short", "empty", "phase", "edge"),
    [
        ("8:00", 1, 3, 0, False, Phase.LIVE, 0.0),
        ("8:00", 1, 3, 1, False, Phase.LIVE, 1.0),
        ("8:00", 1, 3, 2, False, Phase.LIVE, 2.0),
        ("4:30", 1, 3, 0, False, Phase.ENDGAME, 1.0),
        ("4:30", 3, 3, 0, False, Phase.LIVE, 0.0),
        ("4:30", 1, 3, 0, True, Phase.ENDGAME, 3.0),
        ("1:00", 1, 3, 1, True, Phase.ENDGAME, 4.0),
        ("3:00", 0, 4, 0, False, Phase.OVERTIME, 1.5),
    ],
)
async def test_states_of_extreme_variance_ask_for_more_edge(
    autojump_clock: trio.testing.MockClock, left: str, lead: int, period: int, short: int, empty: bool, phase: Phase, edge: float
) -> None:
    world = rink(left, lead=lead, period=period)
    for _ in range(short):
        world.play("Penalty", "home", left, period=period, text="X Tripping against Y")
    world.in_net["2"] = not empty
    async with scene(world) as s:
        await polls(3)
        assert (s.last().phase, s.last().state_edge) == (phase, edge)


async def test_an_intermission_is_a_break_and_not_staleness(autojump_clock: trio.testing.MockClock) -> None:
    world = rink("0:10", period=2)
    world.play("Period End", "", "0:00", period=2, team=False)
    async with scene(world) as s:
        await polls(700)
        assert s.last().phase is Phase.BREAK
        assert s.reasons() == []


async def test_a_final_game_is_worth_one_or_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(3)
        s.world.status = "final"
        s.world.play("End of Game", "", "0:00", team=False)
        await polls(10)
        assert (s.last(HOME).p_true, s.last(AWAY).p_true, s.last().phase) == (1.0, 0.0, Phase.FINAL)
        assert s.reasons() == [Reason.FAIR_FINAL, Reason.FAIR_FINAL]
