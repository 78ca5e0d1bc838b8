"""Whose word on a game counts: bookmakers' over ESPN's, and never one that knew how the game went."""

from __future__ import annotations

import attrs
import pytest

from chimera.feeds.prior import BEGUN_S, BOOKS_APART_S, Prior, Source, with_books
from chimera.journal.records import Pregame

START = 1_800_000_000.0
TOLD = Pregame("nhl", "U", 0.62, "9 books", START + 120.0, START - 600.0)
ESPN = Prior(0.55, Source.CLOSING, "moneylines", 6.5)


def test_several_books_beat_espns_one_and_leave_the_total_alone() -> None:
    assert with_books(ESPN, TOLD, START) == Prior(0.62, Source.BOOKS, "9 books", 6.5)


def test_what_came_with_a_recording_stays() -> None:
    given = attrs.evolve(ESPN, source=Source.GIVEN)
    assert with_books(given, TOLD, START) is given


@pytest.mark.parametrize(
    "told", [None, attrs.evolve(TOLD, starts_at=START + BOOKS_APART_S + 1.0), attrs.evolve(TOLD, at=START + BEGUN_S + 1.0)]
)
def test_another_games_price_or_one_from_during_the_game_is_no_prior(told: Pregame | None) -> None:
    assert with_books(ESPN, told, START) is ESPN
