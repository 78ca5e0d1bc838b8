"""Who is short-handed: ESPN's NHL plays tell each penalty once and never its end, so the box is kept here, play by play.

A minor runs 120 s and ends early when a team that is short concedes; a double minor is two in a row; a major runs 300 s whatever happens;
a misconduct or a penalty shot leaves nobody short. Penalties to both teams in one stoppage cancel (rule 19): one minor each with both
teams whole makes four a side, anything else is set off man for man, majors with majors.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import Final

import attrs

from chimera.feeds.espn import Play
from chimera.models.nhl_params import MINOR_S
from chimera.models.nhl_situation import Box, Penalty, after_goal

MAJOR_S: Final = 300.0
_MINUTES: Final = re.compile(r"(\d+)[ -]min", re.IGNORECASE)


class Kind(enum.Enum):
    """What a penalty costs."""

    NOTHING = "nothing"
    MINOR = "minor"
    DOUBLE_MINOR = "double minor"
    MAJOR = "major"


_BY_MINUTES: Final = {2: Kind.MINOR, 4: Kind.DOUBLE_MINOR, 5: Kind.MAJOR, 10: Kind.NOTHING}
_WORDS: Final = (
    ("double minor", Kind.DOUBLE_MINOR),
    ("penalty shot", Kind.NOTHING),
    ("ps-", Kind.NOTHING),
    ("ps -", Kind.NOTHING),
    ("misconduct", Kind.NOTHING),
    ("fighting", Kind.MAJOR),
    ("match penalty", Kind.MAJOR),
    ("major", Kind.MAJOR),
    ("spearing", Kind.MAJOR),
)
"""The first of these found in a penalty's text names its kind; what names none is a minor."""


def kind_of(text: str) -> Kind:
    """What a penalty costs, by its text ("X Tripping against Y", "Penalty to X 2 minutes for Interference")."""
    said = _MINUTES.search(text)
    if said is not None and int(said[1]) in _BY_MINUTES:
        return _BY_MINUTES[int(said[1])]
    words = text.lower()
    return next((kind for word, kind in _WORDS if word in words), Kind.MINOR)


@attrs.define(slots=True)
class Bench:
    """The fold over the game clock: `call` the penalties of each stoppage, `score` each goal, then read `box`."""

    box: Box = ()

    def call(self, plays: Sequence[Play], elapsed: float) -> None:
        """Put the penalties called at one moment into the box, those that cancel left out."""
        self.wait(elapsed)
        homes, aways = ([kind_of(play.text) for play in plays if play.side == side] for side in (1, -1))
        whole = not self.box
        called = {1: [k for k in homes if k is not Kind.NOTHING], -1: [k for k in aways if k is not Kind.NOTHING]}
        alone = [*called[1], *called[-1]] == [Kind.MINOR, Kind.MINOR] and len(called[1]) == 1
        if not (whole and alone):
            for kind in (Kind.MAJOR, Kind.DOUBLE_MINOR, Kind.MINOR):
                for _ in range(min(called[1].count(kind), called[-1].count(kind))):
                    called[1].remove(kind)
                    called[-1].remove(kind)
        for side, kinds in called.items():
            for kind in kinds:
                self._serve(side, kind, elapsed)

    def score(self, side: int, elapsed: float) -> None:
        """A goal by `side`: if the others are short, the minor that would end first is over."""
        self.box = after_goal(self.box, side, elapsed)

    def wait(self, elapsed: float) -> None:
        """Let the clock run to `elapsed`: what has been served by then is gone."""
        self.box = tuple(penalty for penalty in self.box if penalty.until > elapsed)

    def _serve(self, side: int, kind: Kind, elapsed: float) -> None:
        """Begin now, or once a place is free: no team has fewer than three skaters."""
        serving = sorted(penalty.until for penalty in self.box if penalty.side == side)
        begins = serving[-2] if len(serving) >= 2 else elapsed
        minors = {Kind.MINOR: 1, Kind.DOUBLE_MINOR: 2}.get(kind, 0)
        length = MINOR_S * minors if minors else MAJOR_S
        self.box = tuple(sorted((*self.box, Penalty(begins + length, side, minors))))
