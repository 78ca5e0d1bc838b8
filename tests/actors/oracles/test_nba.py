"""The NBA oracle over an in-memory ESPN and a real kill register: what it does, and above all in which order."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from random import Random

import attrs
import pytest
import trio
from oracle_rig import Scene, World, at_work

from actors.messages import Fair, Listing, Phase, Resend
from actors.oracles.nba import NbaOracle, NbaOracleSettings
from actors.runtime import ActorSystem, ChildSpec, Restart
from actors.runtime.testing import Probe
from chimera.errors import FeedError
from chimera.feeds.espn import EspnClient
from chimera.intake import Frame
from chimera.markets import CENT_GRID, FeeTerms, Market, Status, TeamWins
from chimera.teams import NBA
from chimera.trading.kill import KillRegister, State, Trip, unit
from chimera.trading.reasons import Reason

UNIT = "KXNBAGAME-26NOV22BOSNYK"
HOME, AWAY = f"{UNIT}-NYK", f"{UNIT}-BOS"
POLL = 1.5
SETTINGS = NbaOracleSettings(poll_s=POLL, stale_s=20.0, base_edge_cents=2.0, kill_multiple=3.0)


def market(ticker: str) -> Market:
    home = ticker == HOME
    team, opponent = (NBA.by_code(code) for code in (("NYK", "BOS") if home else ("BOS", "NYK")))
    assert team is not None
    assert opponent is not None
    return Market(
        ticker=ticker, event=UNIT, series="KXNBAGAME", domain="nba", unit=UNIT, grid=CENT_GRID,
        meaning=TeamWins(team, opponent, home, dt.date(2026, 11, 22)), status=Status.ACTIVE, open_at=0.0, close_at=4e9,
        expected_end_at=None, exchange_index=3, fee=FeeTerms("quadratic", Fraction(1)), result="", settlement_value=None, title="",
    )  # fmt: skip


MARKETS = (market(HOME), market(AWAY))


@asynccontextmanager
async def scene(world: World | None = None, *, markets: tuple[Market, ...] = MARKETS) -> AsyncIterator[Scene]:
    async with at_work(world or live_game(), NbaOracle, SETTINGS, markets) as found:
        yield found


def live_game() -> World:
    """Third quarter, New York at home leads 61-58 and has the ball; the clock runs."""
    world = World()
    world.play("Jump Shot", "away", "7:55", points=2)
    world.play("Defensive Rebound", "home", "7:41")
    return world


async def polls(count: float = 1.0) -> None:
    await trio.sleep(count * POLL * 1.06)


Edit = Callable[[World], None]


def basket(world: World) -> None:
    world.play("Jump Shot", "home", "7:20", points=2)


def steal(world: World) -> None:
    world.play("Bad Pass Turnover", "home", "7:30")


# Prices


async def test_both_markets_of_a_live_game_are_priced_from_one_state(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        home, away = s.last(HOME), s.last(AWAY)
        assert 0.6 < home.p_true < 0.75
        assert home.p_true + away.p_true == pytest.approx(1.0)
        assert sum(q * w for q, w in away.reaction) == pytest.approx(away.p_true, abs=0.01)
        assert (home.phase, home.state_edge, home.fence) == (Phase.LIVE, 0.0, s.register.fence(HOME))
        assert "moneylines, 1 books" in home.why
        assert s.standing().state == "ready"


async def test_an_unchanged_poll_tells_the_same_price_confirmed_later(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(6)
        told = [fair for fair in s.fairs if fair.market == HOME]
        assert len(told) >= 5
        assert len({fair.p_true for fair in told}) == 1
        assert len({fair.trace for fair in told}) == 1
        confirmed = [fair.confirmed_at for fair in told]
        assert confirmed == sorted(set(confirmed))
        assert {fair.source_at for fair in told} == {told[0].source_at}
        assert [fair.seq for fair in told] == sorted({fair.seq for fair in told})


async def test_the_reaction_widens_as_the_newest_play_ages(autojump_clock: trio.testing.MockClock) -> None:
    def spread(fair: Fair) -> float:
        return sum(w * (q - fair.p_true) ** 2 for q, w in fair.reaction)

    async with scene() as s:
        await polls(8)
        told = [fair for fair in s.fairs if fair.market == HOME]
        assert spread(told[-1]) > spread(told[0])


async def test_a_summary_is_read_when_the_line_changes_and_now_and_then_as_a_guard(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(1)
        s.world.asked.clear()
        await polls(8)
        assert 2 <= s.world.asked.count("summary") <= 3
        s.world.asked.clear()
        basket(s.world)
        await polls(1.2)
        assert s.world.asked.count("summary") >= 1


async def test_a_pregame_is_priced_at_its_devigged_moneyline(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    world.status, world.home, world.away = "pre", 0, 0
    async with scene(world) as s:
        await polls(2)
        assert s.last().p_true == pytest.approx(0.6 / (0.6 + 100 / 230), abs=1e-3)
        assert s.last().phase is Phase.PREGAME


async def test_the_prior_survives_the_odds_that_vanish_at_the_tip(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        before = s.last().p_true
        s.world.odds = []
        await polls(5)
        assert s.last().p_true == before


@pytest.mark.parametrize(
    ("period", "clock", "lead", "phase", "edge"),
    [
        (4, "1:30", 4, Phase.ENDGAME, 1.0),
        (4, "1:30", 9, Phase.LIVE, 0.0),
        (4, "2:30", 4, Phase.LIVE, 0.0),
        (5, "3:00", 4, Phase.OVERTIME, 1.5),
    ],
)
async def test_endgames_and_overtimes_ask_for_more_edge(
    autojump_clock: trio.testing.MockClock, period: int, clock: str, lead: int, phase: Phase, edge: float
) -> None:
    world = World()
    world.home, world.away = 100 + lead, 100
    world.play("Defensive Rebound", "home", clock, period=period)
    async with scene(world) as s:
        await polls(2)
        assert (s.last().phase, s.last().state_edge) == (phase, edge)


async def test_half_time_is_a_break(autojump_clock: trio.testing.MockClock) -> None:
    world = World()
    world.play("End Period", "", "0.0", period=2, team=False)
    world.status = "half"
    async with scene(world) as s:
        await polls(40)
        assert s.last().phase is Phase.BREAK
        assert s.reasons() == []


# Cancel first


async def test_a_shock_trips_the_game_before_any_price_of_it_is_told(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        was = s.last().p_true
        before = len(s.effects)
        for _ in range(3):
            basket(s.world)
        await polls(1.2)
        first, second = s.effects[before : before + 2]
        assert isinstance(first, Trip)
        assert isinstance(second, Fair)
        assert (first.reason, first.scope, first.hold_s) == (Reason.SHOCK, unit(UNIT), 60.0)
        assert second.p_true >= was + 0.06
        assert second.fence == s.register.fence(HOME) == first.counter
        assert second.trace == first.trace != 0


async def test_a_smaller_move_pulls_only_what_it_spoils_before_its_price_is_told(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        p = s.last().p_true
        s.register.keep(HOME, p - 0.005, p + 0.005)
        s.register.keep(AWAY, 0.0, 1.0)
        before = len(s.effects)
        steal(s.world)
        await polls(1.2)
        first, second = s.effects[before : before + 2]
        assert isinstance(first, Trip)
        assert isinstance(second, Fair)
        assert (first.reason, first.scope.name, first.pull) == (Reason.EDGE_GONE, HOME, True)
        assert 0.005 < p - second.p_true < 0.06
        assert second.fence == s.register.fence(HOME)
        assert s.reasons() == [Reason.EDGE_GONE]


async def test_a_move_within_the_band_pulls_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        for ticker in (HOME, AWAY):
            s.register.keep(ticker, 0.0, 1.0)
        steal(s.world)
        await polls(2)
        assert s.trips == []


async def test_a_score_that_goes_down_kills_and_holds_until_three_polls_agree(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        basket(s.world)
        await polls(2)
        before = len(s.effects)
        withdrawn = s.world.plays.pop()
        s.world.home -= 2
        s.world.play("Jump Shot", "home", "7:20")
        s.world.plays[-1]["id"] = withdrawn["id"]
        await polls(1.2)
        first = s.effects[before]
        assert isinstance(first, Trip)
        assert first.reason is Reason.SCORE_REVERSAL
        assert isinstance(s.effects[-1], Fair)
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.HELD
        s.world.asked.clear()
        await polls(4.2)
        assert s.world.asked.count("summary") == 3  # each of the agreeing polls is a summary's, and then it is as before
        await polls(2)
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.ARMED
        assert s.reasons() == [Reason.SCORE_REVERSAL]


async def test_the_hold_does_not_run_out_while_the_feed_cannot_agree(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        s.world.plays.pop(0)
        steal(s.world)
        await polls(1.2)
        s.world.fail = {"scoreboard": 500, "summary": 500}
        await polls(8)
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.HELD
        assert s.reasons() == [Reason.PLAY_VANISHED]


async def test_a_play_that_vanishes_kills(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        s.world.plays.pop(0)
        await polls(5)
        assert s.reasons() == [Reason.PLAY_VANISHED]


async def test_a_review_kills_until_a_play_resolves_it(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        s.world.play("Ref-Initiated Review", "", "7:41", team=False)
        await polls(20)
        s.confirm_and_arm(s.world.clock.now())
        assert s.reasons() == [Reason.REVIEW]
        assert s.register.state(unit(UNIT)) is State.HELD
        steal(s.world)
        await polls(6)
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.ARMED


async def test_sources_that_disagree_about_the_score_kill_and_nothing_is_told(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        s.world.header = (s.world.home + 2, s.world.away)
        await polls(5)
        assert s.reasons() == [Reason.DISAGREEMENT]
        told = len(s.fairs)
        await polls(3)
        assert len(s.fairs) == told
        s.world.header = None
        await polls(5)
        assert len(s.fairs) > told


async def test_a_final_game_pulls_once_and_is_worth_one_or_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        s.world.status, s.world.period, s.world.time_left = "final", 4, "0.0"
        s.world.play("End Game", "", "0.0", period=4, team=False)
        await polls(30)
        assert (s.last(HOME).p_true, s.last(AWAY).p_true, s.last().phase) == (1.0, 0.0, Phase.FINAL)
        assert s.reasons() == [Reason.FAIR_FINAL, Reason.FAIR_FINAL]


async def test_a_postponed_game_is_not_priced(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        told = len(s.fairs)
        s.world.status = "off"
        await polls(4)
        assert s.reasons() == [Reason.NO_FAIR, Reason.NO_FAIR]
        assert len(s.fairs) == told


# A feed that fails


@pytest.mark.parametrize("fault", [b"", b"{", b"null", b'{"leagues":[]}', 500, 404, FeedError("no route")])
async def test_a_feed_that_breaks_kills_when_stale_says_so_and_recovers_by_itself(
    autojump_clock: trio.testing.MockClock, fault: bytes | int | Exception
) -> None:
    async with scene() as s:
        await polls(2)
        s.world.fail = {"summary": fault, "scoreboard": fault}
        await polls(3)
        told = len(s.fairs)
        assert s.standing().state == "ready"
        await polls(16)
        assert len(s.fairs) == told
        assert s.reasons() == [Reason.FEED_STALE]
        assert s.standing().state == "stale"
        assert "/scoreboard" in s.standing().why or "no route" in s.standing().why
        s.world.fail = {}
        steal(s.world)
        await polls(3)
        assert len(s.fairs) > told
        assert s.standing().state == "ready"
        assert s.oracle.alive


async def test_the_hold_of_a_stale_game_ends_ten_seconds_after_it_is_fresh(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        s.world.fail = {"summary": 500, "scoreboard": 500}
        await polls(30)
        s.world.fail = {}
        steal(s.world)
        await polls(2)
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.HELD
        await trio.sleep(11.0)
        s.confirm_and_arm(s.world.clock.now())
        assert s.register.state(unit(UNIT)) is State.ARMED


async def test_a_clock_that_runs_without_a_play_is_stale_though_every_poll_succeeds(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(18)
        assert s.reasons() == [Reason.FEED_STALE]
        assert "while the clock runs" in s.standing().why


async def test_a_timeout_is_not_staleness(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        s.world.play("Full Timeout", "home", "7:41")
        await polls(60)
        assert s.reasons() == []


async def test_a_feed_that_fails_while_the_clock_stands_is_stale_too(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        s.world.play("Full Timeout", "home", "7:41")
        await polls(2)
        s.world.fail = {"summary": 500, "scoreboard": 500}
        await polls(20)
        assert s.reasons() == [Reason.FEED_STALE]


async def test_a_request_that_hangs_does_not_keep_a_game_from_going_stale(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)

        async def hang(*args: object, **kwargs: object) -> Frame:
            await trio.sleep(600.0)
            raise FeedError("timed out")

        s.world.get = hang  # type: ignore[method-assign]
        await trio.sleep(40.0)
        assert s.reasons() == [Reason.FEED_STALE]


async def test_a_broken_summary_alone_does_not_blind_the_kill(autojump_clock: trio.testing.MockClock) -> None:
    """The scoreboard shows points that the unreadable summary does not: nothing may rest on the old price."""
    async with scene() as s:
        await polls(2)
        s.world.fail = {"summary": b"{"}
        told = len(s.fairs)
        basket(s.world)
        await polls(2)
        assert s.reasons() == [Reason.DISAGREEMENT]
        assert len(s.fairs) == told


# Matching and wiring


async def test_a_unit_without_an_espn_game_is_not_priced_and_said(autojump_clock: trio.testing.MockClock) -> None:
    other = attrs.evolve(MARKETS[0], meaning=attrs.evolve(MARKETS[0].meaning, day=dt.date(2026, 11, 23)))
    async with scene(markets=(other,)) as s:
        await polls(3)
        assert s.fairs == []
        assert f"{UNIT}: no ESPN game" in s.standing().why


async def test_without_a_listing_nothing_is_polled(autojump_clock: trio.testing.MockClock) -> None:
    async with scene(markets=()) as s:
        await polls(5)
        assert s.world.asked == []
        assert s.standing().state == "idle"


async def test_a_market_that_leaves_the_listing_is_told_no_more(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        s.oracle.tell(Listing((MARKETS[0],), s.world.clock.now()))
        await polls(1.2)
        s.effects.clear()
        await polls(4)
        assert {fair.market for fair in s.fairs} == {HOME}


async def test_a_game_that_leaves_the_scoreboard_lives_on_by_its_summary(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        s.world.fail = {"scoreboard": b'{"leagues":[{"slug":"nba"}],"events":[]}'}
        steal(s.world)
        await polls(6)
        s.effects.clear()
        await polls(6)
        assert {fair.market for fair in s.fairs} == {HOME, AWAY}


async def test_a_pricer_that_asks_is_told_the_latest_again(autojump_clock: trio.testing.MockClock) -> None:
    async with scene() as s:
        await polls(2)
        latest = s.last(AWAY)
        s.effects.clear()
        s.oracle.tell(Resend(AWAY))
        await trio.testing.wait_all_tasks_blocked()
        assert s.effects == [latest]


async def test_a_new_incarnation_asks_the_universe_and_reads_documents_it_has_seen_before(autojump_clock: trio.testing.MockClock) -> None:
    world = live_game()
    espn, register = EspnClient(world, "http://espn.test"), KillRegister(lambda trip: None)
    async with ActorSystem(clock_now=world.clock.now, sleep=world.clock.sleep, virtual=True) as system:
        probes = {name: await Probe.watch(system, name) for name in ("telemetry", "pricer", "universe")}
        for incarnation in ("first", "second"):
            oracle = await system.start(
                ChildSpec(
                    incarnation,
                    lambda: NbaOracle(
                        espn=espn, clock=world.clock, register=register, pricer=probes["pricer"].address,
                        telemetry=probes["telemetry"].address, universe=probes["universe"].address, settings=SETTINGS, rng=Random(7),
                    ),
                    restart=Restart.TEMPORARY,
                )
            )  # fmt: skip
            probes["pricer"].seen.clear()
            oracle.tell(Listing(MARKETS, world.clock.now()))
            await polls(2)
            assert probes["pricer"].of(Fair)
            assert oracle.actor is not None
            await oracle.actor.actor_ref.stop(block=False)
        assert len(probes["universe"].of(Resend)) == 2
