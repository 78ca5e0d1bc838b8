"""Who is short-handed, from penalties that are told once and never end by themselves."""

from __future__ import annotations

import pytest

from chimera.feeds.espn import Play
from chimera.feeds.nhl_penalties import Bench, Kind, kind_of
from chimera.models.nhl_situation import Penalty, strength


def call(side: int, text: str = "X Tripping against Y") -> Play:
    return Play("1", 1, "Penalty", text, 1, 600.0, side, 0, 0, False, False, 0.0)


def bench(*calls: Play, at: float = 100.0) -> Bench:
    found = Bench()
    found.call(calls, at)
    return found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Vincent Trocheck Hooking against Aaron Ekblad", Kind.MINOR),
        ("Sebastian Aho High-sticking - double minor against JJ Peterka", Kind.DOUBLE_MINOR),
        ("Connor Clifton Fighting against Jack Drury", Kind.MAJOR),
        ("Penalty to X 2 minutes for Interference", Kind.MINOR),
        ("Penalty to X 5 minutes for Fighting", Kind.MAJOR),
        ("Penalty to X 10 minutes for Misconduct", Kind.NOTHING),
        ("X Game misconduct", Kind.NOTHING),
        ("X Boarding - major against Y", Kind.MAJOR),
        ("X PS-Hooking on breakaway against Y", Kind.NOTHING),
        ("Too many men/ice served by Z", Kind.MINOR),
    ],
)
def test_a_penaltys_text_tells_what_it_costs(text: str, kind: Kind) -> None:
    assert kind_of(text) is kind


def test_a_minor_runs_two_minutes() -> None:
    found = bench(call(-1))
    found.wait(219.9)
    assert strength(found.box, 219.9) == (5, 4)
    found.wait(220.0)
    assert found.box == ()


def test_a_power_play_goal_ends_it_and_a_short_handed_goal_does_not() -> None:
    found = bench(call(-1))
    found.score(-1, 130.0)
    assert found.box == (Penalty(220.0, -1),)
    found.score(1, 150.0)
    assert found.box == ()


def test_a_goal_in_the_first_half_of_a_double_minor_starts_the_second() -> None:
    found = bench(call(-1, "X High-sticking - double minor against Y"))
    found.score(1, 130.0)
    assert found.box == (Penalty(250.0, -1, 1),)


def test_a_major_runs_five_minutes_whatever_is_scored() -> None:
    found = bench(call(-1, "X Boarding - major against Y"))
    found.score(1, 130.0)
    assert found.box == (Penalty(400.0, -1, 0),)


def test_one_minor_each_is_four_a_side_and_a_goal_in_it_ends_nothing() -> None:
    found = bench(call(1), call(-1))
    assert strength(found.box, 100.0) == (4, 4)
    found.score(1, 130.0)
    assert len(found.box) == 2


def test_more_than_one_each_cancel_man_for_man_and_the_rest_is_served() -> None:
    found = bench(call(-1, "A Roughing against C"), call(-1, "B Roughing against C"), call(1, "C Roughing against B"))
    assert strength(found.box, 100.0) == (5, 4)


def test_one_each_cancel_where_a_team_is_short_already() -> None:
    found = bench(call(-1), at=80.0)
    found.call((call(1), call(-1)), 100.0)
    assert strength(found.box, 100.0) == (5, 4)


def test_a_fight_leaves_both_teams_whole_and_an_extra_minor_does_not() -> None:
    fight = (call(1, "A Fighting against B"), call(-1, "B Fighting against A"))
    assert bench(*fight).box == ()
    assert strength(bench(*fight, call(1, "A Instigator")).box, 100.0) == (4, 5)


def test_a_third_penalty_waits_for_a_place() -> None:
    found = bench(call(-1), at=80.0)
    found.call((call(-1),), 90.0)
    found.call((call(-1),), 100.0)
    assert strength(found.box, 150.0) == (5, 3)
    assert strength(found.box, 205.0) == (5, 3)
    assert strength(found.box, 215.0) == (5, 4)
    assert max(penalty.until for penalty in found.box) == 320.0
