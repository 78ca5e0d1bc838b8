"""Hockey's reducer: clocks that run against each other, strengths rebuilt, nets seen, and nothing taken back unnoticed."""

from __future__ import annotations

import functools
import json
import random
from itertools import pairwise
from pathlib import Path

import attrs
import pytest

from chimera.feeds.espn import Competitor, Game, GameStatus, Play, Summary, decode_scoreboard, decode_summary
from chimera.feeds.espn_hockey import OnIce, Strength
from chimera.feeds.game_plays import Incident, IncidentKind, standing
from chimera.feeds.nhl_plays import NhlState, compare, elapsed, reduce, seconds_left
from chimera.models.nhl_situation import Penalty, Shootout
from chimera.models.value import Season

FULL, POSTSEASON = "hockey_nhl_game_summary_401559593.json", "hockey_nhl_summary.json"


@functools.cache
def recorded(path: Path, name: str) -> Summary:
    return decode_summary((path / "espn/payloads" / name).read_bytes())


def play(number: int, kind: str, side: int, clock: float, score: tuple[int, int] = (0, 0), *, period: int = 3, text: str = "") -> Play:
    goal = kind == "Goal"
    return Play(str(number), number, kind, text or kind, period, clock, side, *score, goal, goal, 1000.0 + number)


def line(
    home: int, away: int, *, status: GameStatus = GameStatus.LIVE, period: int = 3, clock: float = 600.0, season: int = Season.REGULAR
) -> Game:
    return Game("nhl", "7", 0.0, season, status, "", period, clock, Competitor("1", "CAR", home), Competitor("2", "BUF", away))


def summary(*plays: Play, header: Game | None = None, on_ice: tuple[OnIce, ...] = (), season: int = Season.REGULAR) -> Summary:
    scored = max(plays, key=lambda one: one.sequence)
    whole = header or line(scored.home_score, scored.away_score, period=0, clock=0.0, season=season)
    return Summary(whole, plays, (), None, 0.0, on_ice)


def strong(number: int, side: int, clock: float, strength: Strength) -> Play:
    return attrs.evolve(play(number, "Hit", side, clock), strength=strength)


def kinds(before: NhlState, after: NhlState) -> list[IncidentKind]:
    return [incident.kind for incident in compare(before, after)]


def grown(full: Summary) -> list[NhlState]:
    """The states as the list of plays grew."""
    states = []
    for n in range(1, len(full.plays)):
        scored = max(full.plays[:n], key=lambda one: one.sequence)
        header = line(scored.home_score, scored.away_score, period=0, clock=0.0, season=full.game.season_type)
        states.append(reduce(Summary(header, full.plays[:n], (), None, 0.0)))
    return states


BOTH_IN = (OnIce(1, 6, True), OnIce(-1, 6, True))
OPENING = (play(1, "Period Start", 0, 1200.0), play(2, "Face Off", 1, 1200.0), play(3, "Shot", 1, 900.0))


# Recorded games


@pytest.mark.data
@pytest.mark.parametrize(("name", "score"), [(FULL, (6, 2)), (POSTSEASON, (2, 1))])
def test_a_recorded_game_reduces_to_its_result_in_any_order(shared_data: Path, name: str, score: tuple[int, int]) -> None:
    full = recorded(shared_data, name)
    state = reduce(full)
    assert (state.home_score, state.away_score) == score
    assert (state.seconds_left, state.elapsed, state.final, state.disagreement) == (0.0, 3600.0, True, "")
    shuffled = list(full.plays)
    random.Random(1).shuffle(shuffled)
    assert reduce(attrs.evolve(full, plays=(*shuffled, *shuffled[:9]))) == state


@pytest.mark.data
def test_the_recorded_goalie_who_was_pulled_is_seen(shared_data: Path) -> None:
    """New York, a goal down, ends with six skaters."""
    full = recorded(shared_data, POSTSEASON)
    assert [(team.side, team.players, team.goalie, team.pulled) for team in full.on_ice] == [(1, 6, True, False), (-1, 6, False, True)]
    assert (reduce(full).pulled, reduce(full).skaters) == (-1, (5, 5))
    assert reduce(recorded(shared_data, FULL)).pulled == 0


@pytest.mark.data
@pytest.mark.parametrize(("name", "news"), [(FULL, {"goal": 8, "penalty": 12}), (POSTSEASON, {"goal": 3, "penalty": 2})])
def test_a_recorded_game_grows_with_its_goals_and_penalties_and_no_other_incident(
    shared_data: Path, name: str, news: dict[str, int]
) -> None:
    found = [incident.kind.value for before, after in pairwise(grown(recorded(shared_data, name))) for incident in compare(before, after)]
    assert {kind: found.count(kind) for kind in found} == news


@pytest.mark.data
@pytest.mark.parametrize("name", [FULL, POSTSEASON])
def test_the_strength_kept_from_penalties_is_that_of_the_plays_that_follow(shared_data: Path, name: str) -> None:
    """578 of the 579 plays of both games; the odd one falls on the second at which a minor ends."""
    full, wrong = recorded(shared_data, name), 0
    advantages = {Strength.EVEN: 0, Strength.POWER_PLAY: 1, Strength.SHORT_HANDED: -1}
    for state, follows in zip(grown(full), full.plays[1:], strict=True):
        if follows.strength in advantages and follows.kind != "Penalty":
            at = elapsed(follows.period, follows.clock_s, full.game.season_type)
            home = 5 - min(2, sum(1 for p in state.box if p.side > 0 and p.until >= at))
            away = 5 - min(2, sum(1 for p in state.box if p.side < 0 and p.until >= at))
            wrong += (home > away) - (home < away) != follows.side * advantages[follows.strength]
    assert wrong <= 1


@pytest.mark.data
def test_time_left_never_grows_in_a_recorded_game(shared_data: Path) -> None:
    left = [state.seconds_left for state in grown(recorded(shared_data, FULL))]
    assert left[0] == 3600.0
    assert all(later <= earlier for earlier, later in pairwise(left))


@pytest.mark.data
def test_recorded_scoreboards_count_down_and_playoff_overtimes_are_long(shared_data: Path) -> None:
    board = decode_scoreboard((shared_data / "espn/payloads/nhl_scoreboard_processed.json").read_bytes())
    state = reduce(Summary(board.games[0], (), (), None, 0.0))
    assert (state.overtime, state.seconds_left, state.elapsed, state.home_lead) == (True, 1029.0, 3600.0 + 171.0, 0)


# Clocks


@pytest.mark.parametrize(
    ("period", "clock", "season", "left", "past"),
    [
        (0, 0.0, Season.REGULAR, 3600.0, 0.0),
        (1, 1200.0, Season.REGULAR, 3600.0, 0.0),
        (1, 0.0, Season.REGULAR, 2400.0, 1200.0),
        (2, 1200.0, Season.REGULAR, 2400.0, 1200.0),
        (3, 59.0, Season.REGULAR, 59.0, 3541.0),
        (4, 300.0, Season.REGULAR, 300.0, 3600.0),
        (4, 1029.0, Season.PLAYOFFS, 1029.0, 3771.0),
        (5, 1200.0, Season.PLAYOFFS, 1200.0, 4800.0),
    ],
)
def test_time_is_continuous_over_breaks_and_starts_over_in_each_overtime(
    period: int, clock: float, season: int, left: float, past: float
) -> None:
    assert (seconds_left(period, clock, season), elapsed(period, clock, season)) == (left, past)


def test_a_play_at_three_minutes_leaves_seventeen() -> None:
    header = {
        "id": "7", "date": "2026-11-22T00:00Z", "season": {"type": 2}, "league": {"slug": "nhl"},
        "competitions": [{
            "status": {"type": {"name": "STATUS_IN_PROGRESS", "state": "in"}},
            "competitors": [{"homeAway": side, "score": "0", "team": {"id": side, "abbreviation": side}} for side in ("home", "away")],
        }],
    }  # fmt: skip
    row = {"id": "1", "type": {"text": "Shot"}, "homeScore": 0, "awayScore": 0, "clock": {"displayValue": "3:00"}}
    document = {"header": header, "plays": [{**row, "period": {"number": 1}}, {**row, "id": "2", "period": {"number": 4}}]}
    assert [one.clock_s for one in decode_summary(json.dumps(document).encode()).plays] == [1020.0, 120.0]


def test_plays_whose_clock_runs_the_wrong_way_are_a_disagreement() -> None:
    rows = [play(n, "Shot", 1, 100.0 + 20.0 * n) for n in range(1, 9)]
    assert reduce(summary(*rows)).disagreement == "the plays' clock runs the wrong way"
    assert reduce(summary(*[attrs.evolve(row, clock_s=1200.0 - row.clock_s) for row in rows])).disagreement == ""


def test_a_scoreboard_whose_clock_is_flipped_is_a_disagreement_and_one_a_little_off_is_not() -> None:
    assert "the scoreboard 300 s" in reduce(summary(*OPENING), line(0, 0, clock=300.0)).disagreement
    assert [incident.kind for incident in standing(reduce(summary(*OPENING), line(0, 0, clock=300.0)))] == [IncidentKind.DISAGREEMENT]
    assert reduce(summary(*OPENING), line(0, 0, clock=860.0)).disagreement == ""
    assert reduce(summary(*OPENING), line(0, 0, clock=860.0)).seconds_left == 860.0


@pytest.mark.parametrize(("kind", "runs"), [("Face Off", True), ("Hit", True), ("Stoppage", False), ("Goal", False), ("Penalty", False)])
def test_the_clock_runs_until_something_stops_it(kind: str, runs: bool) -> None:
    assert reduce(summary(*OPENING, play(4, kind, 1, 880.0, (int(kind == "Goal"), 0)))).clock_running is runs


def test_after_the_end_of_a_period_there_is_a_break_whatever_the_status_says() -> None:
    state = reduce(summary(*OPENING, play(4, "Period End", 0, 0.0)))
    assert (state.status, state.clock_running) == (GameStatus.BREAK, False)
    started = reduce(summary(*OPENING, play(4, "Period End", 0, 0.0)), line(0, 0, period=4, clock=300.0))
    assert started.status is GameStatus.LIVE


# News


def test_goals_penalties_and_goalies_are_news() -> None:
    before = reduce(summary(*OPENING, on_ice=BOTH_IN))
    goal = reduce(summary(*OPENING, play(4, "Goal", 1, 880.0, (1, 0)), on_ice=BOTH_IN))
    assert kinds(before, goal) == [IncidentKind.GOAL]
    penalty = reduce(summary(*OPENING, play(4, "Penalty", -1, 880.0, text="X Hooking against Y"), on_ice=BOTH_IN))
    assert compare(before, penalty) == [Incident(IncidentKind.PENALTY, "1 called; 5 against 4")]
    empty = reduce(summary(*OPENING, on_ice=(OnIce(1, 6, False), OnIce(-1, 6, True))))
    assert [kinds(before, empty), kinds(empty, before)] == [[IncidentKind.GOALIE_PULLED], [IncidentKind.GOALIE_BACK]]
    assert compare(before, before) == []


def test_a_goal_taken_back_is_a_reversal_and_a_vanished_play() -> None:
    goal = reduce(summary(*OPENING, play(4, "Goal", 1, 880.0, (1, 0))))
    assert kinds(goal, reduce(summary(*OPENING))) == [IncidentKind.SCORE_REVERSAL, IncidentKind.PLAY_VANISHED]


@pytest.mark.parametrize("words", ["Video Review", "Home Challenge - Goal Interference", "Chlg Vis - Off-Side"])
def test_a_review_or_challenge_stands_until_play_goes_on(words: str) -> None:
    goal, review = play(4, "Goal", 1, 880.0, (1, 0)), play(5, "Stoppage", 0, 880.0, (1, 0), text=words)
    reviewed = reduce(summary(*OPENING, goal, review))
    assert [incident.kind for incident in standing(reviewed)] == [IncidentKind.REVIEW]
    assert standing(reduce(summary(*OPENING, goal, review, play(6, "Face Off", 1, 880.0, (1, 0))))) == []


# Strength and nets


def test_the_box_empties_with_the_clock_of_either_source() -> None:
    rows = (*OPENING, play(4, "Penalty", -1, 880.0, text="X Hooking against Y"), play(5, "Face Off", 1, 880.0))
    assert reduce(summary(*rows)).skaters == (5, 4)
    assert reduce(summary(*rows), line(0, 0, clock=770.0)).skaters == (5, 4)
    assert reduce(summary(*rows), line(0, 0, clock=759.0)).skaters == (5, 5)


def test_plays_and_ice_together_outvote_the_penalties() -> None:
    ended = (*OPENING, play(4, "Penalty", -1, 880.0, text="X Hooking against Y"), strong(5, 1, 850.0, Strength.EVEN))
    state = reduce(summary(*ended, on_ice=BOTH_IN))
    assert (state.skaters, state.doubt) == ((5, 5), "")
    missed = (*OPENING, strong(4, -1, 850.0, Strength.SHORT_HANDED))
    state = reduce(summary(*missed, on_ice=(OnIce(1, 6, True), OnIce(-1, 5, True))))
    assert (state.skaters, state.doubt) == ((5, 4), "")
    assert state.box == (Penalty(3600.0 - 850.0 + 60.0, -1),)


def test_one_witness_alone_changes_nothing_and_plays_that_differ_raise_a_doubt() -> None:
    rows = (*OPENING, play(4, "Penalty", -1, 880.0, text="X Hooking against Y"), strong(5, 1, 850.0, Strength.EVEN))
    alone = reduce(summary(*rows))
    assert (alone.skaters, bool(alone.doubt)) == ((5, 4), True)
    stale = reduce(summary(*rows[:-1], strong(5, 1, 850.0, Strength.POWER_PLAY), on_ice=BOTH_IN))
    assert (stale.skaters, stale.doubt) == ((5, 4), "")


def test_a_shot_at_an_empty_net_tells_whose_net_it_is_and_is_forgotten_after_the_goal() -> None:
    lead = (*OPENING, play(4, "Goal", 1, 500.0, (1, 0)))
    shot = attrs.evolve(play(5, "Missed", 1, 60.0, (1, 0)), empty_net=True)
    assert reduce(summary(*lead, shot)).pulled == -1
    assert reduce(summary(*lead, shot, play(6, "Hit", 1, 20.0, (1, 0)))).pulled is None
    assert reduce(summary(*lead, shot, play(6, "Goal", 1, 50.0, (2, 0)))).pulled is None


def test_players_of_unknown_position_tell_nothing_of_the_net() -> None:
    assert reduce(summary(*OPENING)).pulled is None
    assert reduce(summary(*OPENING, on_ice=(OnIce(1, 6, False), OnIce(-1, 6, False)))).pulled is None


# Shootout


def test_shootout_attempts_are_counted_and_each_is_news() -> None:
    rows = (play(1, "Face Off", 1, 200.0, (2, 2), period=4), play(2, "Period End", 0, 0.0, (2, 2), period=4))
    first = attrs.evolve(play(3, "Goal", 1, 0.0, (2, 2), period=5), scoring=True)
    second = play(4, "Shot", -1, 0.0, (2, 2), period=5)
    before, after = reduce(summary(*rows, first)), reduce(summary(*rows, first, second))
    assert (before.shootout, after.shootout) == (Shootout(1, 1, 0, 0), Shootout(1, 1, 0, 1))
    assert kinds(before, after) == [IncidentKind.GOAL]
    assert reduce(summary(*rows, attrs.evolve(first, period=5), season=Season.PLAYOFFS)).shootout is None


def test_a_shootouts_winner_is_given_a_goal_that_no_play_carries() -> None:
    rows = (play(1, "Face Off", 1, 200.0, (2, 2), period=4), play(2, "Shot", -1, 0.0, (2, 2), period=5))
    final = line(3, 2, status=GameStatus.FINAL, period=5, clock=0.0)
    state = reduce(summary(*rows, header=final), final)
    assert (state.home_score, state.away_score, state.disagreement) == (3, 2, "")
    wrong = line(4, 2, status=GameStatus.FINAL, period=5, clock=0.0)
    assert reduce(summary(*rows, header=wrong), wrong).disagreement
