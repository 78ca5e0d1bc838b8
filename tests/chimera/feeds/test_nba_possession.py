"""The ball, checked play by play against two recorded games and, one rule at a time, by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import attrs
import pytest

from chimera.feeds.espn import Play, decode_summary
from chimera.feeds.nba_plays import in_order
from chimera.feeds.nba_possession import LIVE_LAST_FREE_THROW, LIVE_REBOUND, SHOOTING, TIP_HINT, Ball, Kind, kind_of

HOME, AWAY = 1, -1


def play(kind: str, side: int, clock: float = 400.0, *, period: int = 2, points: int = 0, shot: bool = False, text: str = "") -> Play:
    return Play("1", 1, kind, text, period, clock, side, 0, 0, points > 0, shot or points > 0, 0.0)


def make(side: int, clock: float = 400.0, period: int = 2) -> Play:
    return play("Jump Shot", side, clock, period=period, points=2)


def free_throw(side: int, number: str, made: bool = True, clock: float = 400.0) -> Play:
    return play(f"Free Throw - {number}", side, clock, points=int(made), shot=True)


def ball_after(*plays: Play) -> Ball:
    ball = Ball()
    for one in plays:
        ball.see(one)
    return ball


def state(ball: Ball) -> tuple[float, int]:
    return ball.possession, ball.pending_ft


# Recorded games


@pytest.mark.data
def test_in_the_recorded_espn_game_every_free_throw_was_expected_and_every_shot_was_the_side_with_the_ball(shared_data: Path) -> None:
    summary = decode_summary((shared_data / "espn/payloads/basketball_nba_game_summary_401772994.json").read_bytes())
    ball, free_throws, shots, unknown = Ball(), 0, 0, 0
    for one in in_order(summary.plays):
        if kind_of(one.kind) is Kind.FREE_THROW:
            free_throws += 1
            assert ball.pending_ft * one.side > 0, one
        elif one.shooting:
            shots += 1
            unknown += ball.possession == 0.0
            assert ball.possession * one.side >= 0.0, one
            assert ball.pending_ft == 0, one
        ball.see(one)
    assert (free_throws, shots, unknown) == (45, 171, 3)


_CDN = {
    ("turnover", "*"): "Turnover", ("rebound", "*"): "Rebound", ("jumpball", "*"): "Jumpball", ("timeout", "*"): "Full Timeout",
    ("substitution", "*"): "Substitution", ("foul", "offensive"): "Offensive Foul", ("period", "end"): "End Period",
    ("game", "end"): "End Game",
}  # fmt: skip


def from_cdn(action: dict[str, object], home: int) -> Play | None:
    """A row of the NBA's own play-by-play as ESPN would write it; None for rows ESPN has none of."""
    kind, sub = str(action["actionType"]), str(action.get("subType"))
    name = _CDN.get((kind, sub)) or _CDN.get((kind, "*"))
    if kind == "foul" and sub == "personal":
        name = "Shooting Foul" if "shooting" in str(action.get("descriptor")) else "Personal Foul"
    if kind == "freethrow":
        name = f"Free Throw - {sub}"
    if kind in ("2pt", "3pt"):
        name = "Jump Shot"
    if name is None:
        return None
    minutes, seconds = re.findall(r"[\d.]+", str(action["clock"]))
    side = 0 if "teamId" not in action else HOME if action["teamId"] == home else AWAY
    made = action.get("shotResult") == "Made"
    clock = 60 * float(minutes) + float(seconds)
    return play(name, side, clock, period=int(str(action["period"])), points=int(made), shot=kind in ("2pt", "3pt", "freethrow"))


@pytest.mark.data
def test_the_ball_is_where_the_nbas_own_labels_say(shared_data: Path) -> None:
    """On shots, free throws and turnovers NBA.com labels the side that has the ball, which is what the plays before must have told."""
    actions = json.loads((shared_data / "espn/nba_cdn/playbyplay_0022400196.json").read_bytes())["game"]["actions"]
    home = next(a["teamId"] for a in actions if a["scoreHome"] != "0")
    ball, told, unknown = Ball(), 0, 0
    for action in actions:
        one = from_cdn(action, home)
        if one is None:
            continue
        if action["actionType"] in ("2pt", "3pt", "freethrow", "turnover") and action["possession"]:
            label = HOME if action["possession"] == home else AWAY
            owner = ball.pending_ft or ball.possession
            told += 1
            unknown += abs(owner) <= TIP_HINT
            assert owner * label >= 0 or abs(owner) <= TIP_HINT or action["subType"] == "offensive foul", (action, ball)
        ball.see(one)
    assert told > 200
    assert unknown <= 5  # the tip, three quarters begun, one held ball


# Rules, one at a time


def test_a_basket_gives_the_ball_away_and_a_miss_leaves_it_to_the_rebound() -> None:
    assert state(ball_after(make(HOME))) == (-1.0, 0)
    assert state(ball_after(play("Jump Shot", AWAY, shot=True))) == (AWAY * LIVE_REBOUND, 0)
    assert state(ball_after(play("Jump Shot", AWAY, shot=True), play("Offensive Rebound", AWAY))) == (-1.0, 0)


def test_a_shooting_foul_after_a_basket_at_the_same_clock_is_one_free_throw() -> None:
    foul = play("Shooting Foul", AWAY)
    assert state(ball_after(make(HOME), foul)) == (SHOOTING, 1)
    assert state(ball_after(foul, make(HOME))) == (SHOOTING, 1)
    assert state(ball_after(make(HOME, 410.0), foul)) == (SHOOTING, 2)
    assert state(ball_after(make(AWAY), foul)) == (SHOOTING, 2)


def test_substitutions_and_timeouts_between_basket_and_foul_change_nothing() -> None:
    between = (play("Substitution", HOME), play("Full Timeout", AWAY))
    assert state(ball_after(make(HOME), *between, play("Shooting Foul", AWAY))) == (SHOOTING, 1)


def test_free_throws_count_down_and_then_the_ball_changes_sides() -> None:
    foul = play("Shooting Foul", HOME)
    assert state(ball_after(foul, free_throw(AWAY, "1 of 3"))) == (-SHOOTING, -2)
    assert state(ball_after(foul, free_throw(AWAY, "2 of 2"))) == (1.0, 0)
    assert state(ball_after(foul, free_throw(AWAY, "2 of 2", made=False))) == (-LIVE_LAST_FREE_THROW, 0)


def test_the_team_rebound_written_after_a_missed_first_free_throw_is_no_rebound() -> None:
    ball = ball_after(play("Shooting Foul", HOME), free_throw(AWAY, "1 of 2", made=False), play("Offensive Rebound", AWAY))
    assert state(ball) == (-SHOOTING, -1)


@pytest.mark.parametrize("foul", ["Away from Play Foul", "Transition Take Foul"])
def test_one_free_throw_and_the_ball(foul: str) -> None:
    assert state(ball_after(play(foul, AWAY))) == (1.0, 1)
    assert state(ball_after(play(foul, AWAY), free_throw(HOME, "1 of 1", made=False))) == (1.0, 0)


@pytest.mark.parametrize("foul", ["Flagrant Foul Type 1", "Clear Path Foul"])
def test_two_free_throws_and_the_ball(foul: str) -> None:
    assert state(ball_after(play(foul, AWAY))) == (1.0, 2)
    assert state(ball_after(play(foul, AWAY), free_throw(HOME, "1 of 2"), free_throw(HOME, "2 of 2"))) == (1.0, 0)


def test_a_technical_foul_is_a_free_throw_that_leaves_the_ball_where_it_was() -> None:
    technical = play("Technical Foul", HOME)
    assert state(ball_after(make(AWAY), technical)) == (1.0, -1)
    assert state(ball_after(make(AWAY), technical, free_throw(AWAY, "Technical"))) == (1.0, 0)
    assert state(ball_after(make(AWAY), play("Double Technical Foul", HOME))) == (1.0, 0)


def test_offensive_fouls_turnovers_and_kicked_balls_give_the_ball_to_the_other_side() -> None:
    for kind in ("Offensive Foul", "Offensive Charge", "Bad Pass\nTurnover", "Traveling", "3-Second Violation", "Kicked Ball"):
        assert state(ball_after(play(kind, HOME))) == (-1.0, 0), kind


def test_the_fifth_foul_of_a_quarter_gives_the_bonus_and_a_new_quarter_starts_over() -> None:
    fouls = [play("Personal Foul", HOME, 700.0 - 20 * n) for n in range(5)]
    assert state(ball_after(*fouls[:4])) == (-1.0, 0)
    assert state(ball_after(*fouls)) == (-SHOOTING, -2)
    assert state(ball_after(*fouls, play("End Period", 0, 0.0), play("Personal Foul", HOME, period=3))) == (-1.0, 0)


def test_the_fourth_foul_of_an_overtime_and_the_second_of_the_last_two_minutes_give_the_bonus() -> None:
    overtime = [play("Personal Foul", HOME, 280.0 - 20 * n, period=5) for n in range(4)]
    assert state(ball_after(*overtime[:3])) == (-1.0, 0)
    assert state(ball_after(*overtime)) == (-SHOOTING, -2)
    late = [play("Personal Foul", HOME, clock) for clock in (300.0, 100.0, 90.0)]
    assert state(ball_after(*late[:2])) == (-1.0, 0)
    assert state(ball_after(*late)) == (-SHOOTING, -2)


def test_nobody_has_the_ball_between_periods() -> None:
    assert state(ball_after(make(HOME), play("End Period", 0, 0.0))) == (0.0, 0)


def test_a_review_stands_until_a_play_resolves_it_and_a_substitution_does_not() -> None:
    review = play("Ref-Initiated Review (Stands)", 0)
    assert ball_after(make(HOME), review, play("Substitution", HOME), play("Full Timeout", HOME)).review
    assert ball_after(make(HOME), play("Coach's Challenge (Stands)", HOME)).review
    assert not ball_after(make(HOME), review, free_throw(HOME, "1 of 1")).review


def test_the_clock_runs_after_a_rebound_and_stands_after_a_whistle() -> None:
    assert ball_after(play("Defensive Rebound", HOME)).running
    assert ball_after(make(HOME)).running
    assert not ball_after(make(HOME, 100.0, period=4)).running
    assert not ball_after(play("Defensive Rebound", HOME, text="Pacers defensive team rebound")).running
    assert not ball_after(make(HOME), play("Full Timeout", HOME)).running
    assert not ball_after(make(HOME), play("Shooting Foul", HOME)).running


def test_a_play_that_names_no_team_leaves_nobody_with_the_ball() -> None:
    assert state(ball_after(make(HOME), attrs.evolve(play("Shot Clock Turnover", HOME), side=0))) == (0.0, 0)
