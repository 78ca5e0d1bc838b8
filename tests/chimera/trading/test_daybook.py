"""The day book: losses count from 00:00 in New York."""

from __future__ import annotations

import datetime as dt

from chimera.trading.daybook import EXCHANGE_DAY, DayBook


def new_york(text: str) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=EXCHANGE_DAY).timestamp()


def test_a_loss_is_counted_from_the_first_figures_of_the_day() -> None:
    book = DayBook()
    assert book.loss({"a": 100, "b": 0}, new_york("2026-11-22T19:00")).total == 0
    lost = book.loss({"a": 70, "b": 5}, new_york("2026-11-22T23:59"))
    assert (lost.total, dict(lost.units)) == (25, {"a": 30, "b": -5})


def test_midnight_in_new_york_begins_a_new_day() -> None:
    book = DayBook()
    book.loss({"a": 0}, new_york("2026-11-22T23:00"))
    assert book.loss({"a": -40}, new_york("2026-11-22T23:59")).total == 40
    assert book.loss({"a": -40}, new_york("2026-11-23T00:00")).total == 0


def test_a_unit_that_appears_during_the_day_began_at_nothing() -> None:
    book = DayBook()
    book.loss({}, new_york("2026-11-22T10:00"))
    assert book.loss({"a": -7}, new_york("2026-11-22T11:00")).units == {"a": 7}
