"""Bookmakers' prices as probabilities."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.models.odds import proportional, shin


def moneyline(implied: float) -> float:
    return -100.0 * implied / (1.0 - implied) if implied > 0.5 else 100.0 * (1.0 - implied) / implied


@given(st.floats(0.5, 0.9), st.floats(0.01, 0.07))
@settings(max_examples=50, deadline=None)
def test_shin_leaves_more_to_the_favourite_than_proportion_and_swaps_with_the_sides(favourite: float, vig: float) -> None:
    lines = [(moneyline(favourite + vig / 2.0), moneyline(1.0 - favourite + vig / 2.0))]
    plain, shins, swapped = proportional(lines, 0.08), shin(lines, 0.08), shin([lines[0][::-1]], 0.08)
    assert plain is not None
    assert shins is not None
    assert swapped is not None
    assert shins[0] == pytest.approx(favourite)
    assert shins[0] >= plain[0] - 1e-9
    assert swapped[0] == pytest.approx(1.0 - shins[0])


def test_books_are_averaged_before_the_vig_comes_off() -> None:
    assert shin([(-110.0, -110.0), (-150.0, 130.0)], 0.08) == (pytest.approx(0.5413043), 2)


def test_no_usable_book_is_no_price() -> None:
    assert shin([], 0.08) is None
    assert shin([(-300.0, -300.0), (200.0, 200.0), (0.0, 0.0)], 0.08) is None
