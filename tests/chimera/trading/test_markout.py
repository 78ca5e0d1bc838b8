"""Markouts of fills at their horizons."""

from __future__ import annotations

import attrs
import pytest

from chimera.conventions import Side
from chimera.trading.markout import HORIZONS, Markouts, markout
from chimera.trading.venue import Fill

FILL = Fill("f1", "c1", "o1", "M", Side.BID, 4800, 100, 0, is_taker=False, at=1_000.0)


@pytest.mark.parametrize(
    ("side", "later", "ahead"), [(Side.BID, 0.50, 2.0), (Side.BID, 0.45, -3.0), (Side.ASK, 0.50, -2.0), (Side.ASK, 0.45, 3.0)]
)
def test_a_markout_is_positive_when_the_market_moved_our_way(side: Side, later: float, ahead: float) -> None:
    assert markout(side, 4800, later) == pytest.approx(ahead)


def test_each_horizon_is_marked_by_the_first_word_after_it() -> None:
    markouts = Markouts()
    markouts.add(FILL)
    assert markouts.observe("M", 0.50, 0.49, 1_000.5) == []
    (first,) = markouts.observe("M", 0.51, 0.50, 1_001.2)
    assert (first.horizon, first.vs_true, first.vs_mid) == (1.0, pytest.approx(3.0), pytest.approx(2.0))
    assert first.after == pytest.approx(1.2)
    later = [taken for at in (1_001.3, 1_005.0, 1_030.0, 1_300.0) for taken in markouts.observe("M", 0.5, 0.5, at)]
    assert [taken.horizon for taken in later] == [5.0, 30.0, 300.0]
    assert len(markouts) == 0
    assert markouts.missed == 0


def test_a_word_that_comes_much_too_late_marks_nothing() -> None:
    markouts = Markouts()
    markouts.add(FILL)
    assert [taken.horizon for taken in markouts.observe("M", 0.5, 0.5, 1_011.0)] == [5.0]
    assert markouts.missed == 1


def test_a_one_sided_book_leaves_the_mid_out() -> None:
    markouts = Markouts()
    markouts.add(FILL)
    (taken,) = markouts.observe("M", 0.5, None, 1_001.0)
    assert taken.vs_mid is None
    assert taken.vs_true == pytest.approx(2.0)


def test_a_fill_told_twice_is_marked_once() -> None:
    markouts = Markouts()
    assert markouts.add(FILL)
    assert not markouts.add(FILL)
    assert len(markouts.observe("M", 0.5, 0.5, 1_001.0)) == 1


def test_other_markets_say_nothing_about_a_fill() -> None:
    markouts = Markouts()
    markouts.add(FILL)
    assert markouts.observe("N", 0.5, 0.5, 1_001.0) == []
    assert len(markouts.observe("M", 0.5, 0.5, 1_001.0)) == 1


def test_what_still_waits_when_a_market_settles_is_missed() -> None:
    markouts = Markouts()
    markouts.add(FILL)
    markouts.add(attrs.evolve(FILL, fill_id="f2", market="N"))
    markouts.observe("M", 0.5, 0.5, 1_001.0)
    markouts.close("M")
    assert markouts.missed == len(HORIZONS) - 1
    assert len(markouts) == 1
