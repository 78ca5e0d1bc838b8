"""An NHL game's state from ESPN's whole list of plays: score, clock, who is short-handed, whose net is empty.

Strength has three witnesses: the penalties as called, the strength on the newest plays, and who is on the ice. Two that agree outvote the
third; where none is outvoted and they differ, the state says so. A goalie is pulled where the ice shows it, or a shot at an empty net does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import attrs

from chimera.feeds.espn import LEAGUES, Game, GameStatus, Play, Summary
from chimera.feeds.espn_hockey import OnIce, Strength
from chimera.feeds.game_plays import GameState, Incident, IncidentKind, ahead, disagreement, in_order, newest, unfinished
from chimera.feeds.game_plays import compare as compare_games
from chimera.feeds.nhl_penalties import Bench
from chimera.models.nhl_params import REGULATION_S
from chimera.models.nhl_situation import Box, Penalty, Shootout, strength
from chimera.models.value import Season

PERIOD_S: Final = REGULATION_S / 3
NHL: Final = LEAGUES["nhl"]
CLOCKS_APART_S: Final = 150.0
"""Plays come every ten seconds of game clock: a scoreboard this far from them in the same period has another clock (a flipped one, say)."""
SEEN_S: Final = 30.0
"""A shot at an empty net tells of the net for this long (game s)."""
UNEXPLAINED_S: Final = 60.0
"""What is left of a penalty that others see and no play told of: half a minor."""

_STOPS: Final = ("Stoppage", "Goal", "Penalty", "Period Start", "Period End", "Period Official", "End of Game", "Shootout")
_REVIEWS: Final = ("review", "challenge", "chlg")
_SETTLES_NOTHING: Final = frozenset({"Stoppage", "Penalty"})


@attrs.frozen(slots=True)
class NhlState(GameState):
    """A game as the model sees it; a `chimera.models.nhl_situation.Situation`.

    `penalties` are the ids of the plays that told them. `doubt` says where the witnesses of the strength differ.
    """

    elapsed: float = 0.0
    season_type: int = Season.REGULAR
    box: Box = ()
    pulled: int | None = None
    shootout: Shootout | None = None
    doubt: str = ""
    penalties: frozenset[str] = attrs.field(factory=frozenset, repr=False)

    @property
    def overtime(self) -> bool:
        return self.period > NHL.periods

    @property
    def skaters(self) -> tuple[int, int]:
        """(home, away), the extra attacker of an empty net left out."""
        return strength(self.box, self.elapsed, 3 if self.overtime and self.season_type != Season.PLAYOFFS else 5)


def seconds_left(period: int, clock_s: float, season_type: int) -> float:
    """Seconds to the end of regulation, or of the present overtime; continuous over breaks, the whole game before the first period."""
    if period > NHL.periods:
        return min(clock_s, NHL.length(period, season_type))
    return REGULATION_S if period < 1 else PERIOD_S * (NHL.periods - period) + min(clock_s, PERIOD_S)


def elapsed(period: int, clock_s: float, season_type: int) -> float:
    """Game seconds since puck drop, overtimes included."""
    if period <= NHL.periods:
        return REGULATION_S - seconds_left(period, clock_s, season_type)
    length = NHL.length(period, season_type)
    return REGULATION_S + length * (period - NHL.periods) - min(clock_s, length)


def reduce(summary: Summary, line: Game | None = None) -> NhlState:
    """The state that `summary` shows, helped by the scoreboard's `line` where that is further on."""
    header = summary.game
    now = newest(header, line)
    if not summary.plays:
        return from_line(now)
    season, plays = header.season_type, in_order(summary.plays)
    last, scored = plays[-1], _decided(max(plays, key=lambda play: play.sequence), now)
    period, clock_s = last.period, last.clock_s
    fault = disagreement(scored, header, line, (period, clock_s)) or _clock_fault(plays, line)
    if line is not None and not fault and ahead(line, period, clock_s):
        period, clock_s = line.period, line.clock_s
    at = elapsed(period, clock_s, season)
    box, doubt = _box(plays, summary.on_ice, season, at)
    status = GameStatus.BREAK if now.status is GameStatus.LIVE and last.kind == "Period End" and period == last.period else now.status
    return NhlState(
        event_id=header.id,
        status=status,
        period=period,
        seconds_left=seconds_left(period, clock_s, season),
        home_score=scored.home_score,
        away_score=scored.away_score,
        clock_running=status is GameStatus.LIVE and not last.kind.startswith(_STOPS) and not _shootout_period(period, season),
        review=_under_review(plays) and status is not GameStatus.FINAL,
        disagreement=fault or unfinished(status, scored.home_score, scored.away_score),
        newest_wallclock=max(play.wallclock for play in plays),
        newest_text=last.text,
        plays=frozenset(play.id for play in plays),
        elapsed=at,
        season_type=season,
        box=box,
        pulled=_pulled(plays, summary.on_ice, scored, at, season),
        shootout=_shootout(plays) if _shootout_period(period, season) else None,
        doubt=doubt,
        penalties=frozenset(play.id for play in plays if play.kind == "Penalty"),
    )


def from_line(line: Game) -> NhlState:
    """The state that a scoreboard line alone shows: score and clock, nothing of penalties or nets."""
    home, away, season = line.home.score, line.away.score, line.season_type
    return NhlState(
        event_id=line.id,
        status=line.status,
        period=line.period,
        seconds_left=seconds_left(line.period, line.clock_s, season),
        home_score=home,
        away_score=away,
        disagreement=unfinished(line.status, home, away),
        elapsed=elapsed(line.period, line.clock_s, season),
        season_type=season,
        shootout=Shootout() if _shootout_period(line.period, season) else None,
    )


def compare(previous: NhlState, current: NhlState) -> list[Incident]:
    """What happened between two states that moves the price at once, or that no ordinary play explains; and what stands in the later."""
    found = compare_games(previous, current)
    score = f"{current.home_score}-{current.away_score}"
    if current.home_score > previous.home_score or current.away_score > previous.away_score:
        found.append(Incident(IncidentKind.GOAL, score))
    if current.shootout is not None and current.shootout != previous.shootout:
        found.append(Incident(IncidentKind.GOAL, f"shootout {current.shootout.home_goals}-{current.shootout.away_goals}"))
    called = current.penalties - previous.penalties
    if called:
        found.append(Incident(IncidentKind.PENALTY, f"{len(called)} called; {current.skaters[0]} against {current.skaters[1]}"))
    before, after = previous.pulled or 0, current.pulled or 0
    if before != after and not current.final:
        found.append(Incident(IncidentKind.GOALIE_PULLED if after else IncidentKind.GOALIE_BACK, _net(after or before)))
    return found


def _net(side: int) -> str:
    return "home's net" if side > 0 else "away's net"


# Score and clock


def _decided(play: Play, now: Game) -> Play:
    """The play with the score of a shootout's end: its winner is given a goal that no play carries."""
    home, away = now.home.score, now.away.score
    won = {home - play.home_score, away - play.away_score} == {0, 1}
    if now.status is GameStatus.FINAL and play.home_score == play.away_score and won and _shootout_period(play.period, now.season_type):
        return attrs.evolve(play, home_score=home, away_score=away)
    return play


def _clock_fault(plays: Sequence[Play], line: Game | None) -> str:
    """What is wrong with the clocks: plays' clocks run up and the scoreboard's down, and a flip would be the worst silent fault."""
    rows = sorted(plays, key=lambda play: play.sequence)
    steps = [b.clock_s - a.clock_s for a, b in pairwise(rows) if a.period == b.period]
    if sum(1 for step in steps if step > 0.0) > sum(1 for step in steps if step < 0.0):
        return "the plays' clock runs the wrong way"
    last = plays[-1]
    if line is None or line.status is not GameStatus.LIVE or line.period != last.period or last.kind == "Period End":
        return ""
    if abs(line.clock_s - last.clock_s) > CLOCKS_APART_S:
        return f"the plays have {last.clock_s:.0f} s left in period {last.period}, the scoreboard {line.clock_s:.0f} s"
    return ""


def _under_review(plays: Sequence[Play]) -> bool:
    """Whether the newest play that settles or opens anything opens a review."""
    for play in reversed(plays):
        words = f"{play.kind} {play.text}".lower()
        if any(word in words for word in _REVIEWS):
            return True
        if play.kind not in _SETTLES_NOTHING:
            return False
    return False


# Strength


def _box(plays: Sequence[Play], on_ice: Sequence[OnIce], season: int, at: float) -> tuple[Box, str]:
    """The box now, and where the witnesses of the strength differ with none outvoted."""
    bench, called, newest_call = Bench(), list[Play](), -1.0
    moments = [elapsed(play.period, play.clock_s, season) for play in plays]
    for index, (play, moment) in enumerate(zip(plays, moments, strict=True)):
        if play.kind == "Goal" and not _shootout_period(play.period, season):
            bench.score(play.side, moment)
        if play.kind == "Penalty":
            called.append(play)
        if called and (index + 1 == len(plays) or moments[index + 1] > moment):
            bench.call(called, moment)
            called, newest_call = [], moment
    bench.wait(at)
    kept = _advantage(bench.box)
    plays_say = _played(plays, moments, newest_call)
    ice_says = _iced(on_ice)
    if plays_say is not None and plays_say == ice_says and plays_say != kept:
        return _as_seen(bench.box, plays_say, at), ""
    said = {witness for witness in (plays_say, ice_says) if witness is not None}
    doubt = f"penalties say {kept:+d}, plays {plays_say}, the ice {ice_says}" if plays_say not in (None, kept) and kept not in said else ""
    return bench.box, doubt


def _advantage(box: Box) -> int:
    """Whose skaters are more: +1 home, -1 away, 0 neither."""
    home, away = strength(box, -1.0)
    return (home > away) - (home < away)


_ADVANTAGES: Final = {Strength.EVEN: 0, Strength.POWER_PLAY: 1, Strength.SHORT_HANDED: -1}


def _played(plays: Sequence[Play], moments: Sequence[float], since: float) -> int | None:
    """Whose advantage the newest play after the last call and goal tells of; its strength is that of the team that acted."""
    for play, moment in zip(reversed(plays), reversed(moments), strict=True):
        if play.kind in ("Goal", "Penalty") or moment <= since:
            return None
        if play.side and play.strength in _ADVANTAGES:
            return play.side * _ADVANTAGES[play.strength]
    return None


def _iced(on_ice: Sequence[OnIce]) -> int | None:
    if len(on_ice) != 2:
        return None
    skaters = {team.side: team.skaters for team in on_ice}
    return (skaters[1] > skaters[-1]) - (skaters[1] < skaters[-1])


def _as_seen(box: Box, advantage: int, at: float) -> Box:
    """The box that makes `advantage` so: the penalties that speak against it are over, or one that nobody told of is being served."""
    if not advantage:
        return ()
    fitting = tuple(penalty for penalty in box if penalty.side == -advantage)
    return fitting or (Penalty(at + UNEXPLAINED_S, -advantage),)


# Nets


def _pulled(plays: Sequence[Play], on_ice: Sequence[OnIce], scored: Play, at: float, season: int) -> int | None:
    """The side whose net is seen to be empty, 0 for neither, None where nothing tells."""
    lead = scored.home_score - scored.away_score
    last = plays[-1]
    for play in reversed(plays):
        if play.kind == "Goal" or at - elapsed(play.period, play.clock_s, season) > SEEN_S:
            break
        if lead and (play.empty_net or play.strength is Strength.EMPTY_NET):
            return -1 if lead > 0 else 1
    empty = [team.side for team in on_ice if team.pulled]
    if not on_ice or len(empty) > 1 or last.kind == "Goal":
        return None
    return empty[0] if empty else 0


# Shootout


def _shootout_period(period: int, season: int) -> bool:
    return period > NHL.periods + 1 and season != Season.PLAYOFFS


_ATTEMPTS: Final = ("goal", "shot", "missed", "saved", "attempt")


def _shootout(plays: Sequence[Play]) -> Shootout:
    """Goals and attempts in the rows after the overtime. ESPN's rows of a shootout have not been recorded: their words are read loosely."""
    found = Shootout()
    for play in plays:
        words = f"{play.kind} {play.text}".lower()
        if play.period <= NHL.periods + 1 or not play.side or not any(word in words for word in _ATTEMPTS):
            continue
        made = play.scoring or play.kind in ("Goal", "Shootout Goal")
        if play.side > 0:
            found = attrs.evolve(found, home_goals=found.home_goals + made, home_taken=found.home_taken + 1)
        else:
            found = attrs.evolve(found, away_goals=found.away_goals + made, away_taken=found.away_taken + 1)
    return found
