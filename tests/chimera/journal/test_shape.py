"""What lies flat in a record comes back as it was."""

from __future__ import annotations

import math

import pytest

from chimera.conventions import Side
from chimera.errors import LocalError
from chimera.journal.records import Kind, Pregame, Record
from chimera.journal.shape import (
    armed_record,
    fill_of,
    fill_record,
    gone_record,
    outcome_record,
    pregame_of,
    pregame_record,
    trip_of,
    trip_record,
)
from chimera.trading.kill import GLOBAL, Trip, market
from chimera.trading.reasons import Reason
from chimera.trading.venue import Action, Done, Fill, Gone, Rejected, Unknown

FILL = Fill("f", "c", "o", "M", Side.ASK, 4600, 777, 12, True, 10.5, derived=True)


def test_a_fill_comes_back_equal() -> None:
    assert fill_of(fill_record(FILL)) == FILL


@pytest.mark.parametrize("hold_s", [0.0, 60.0, math.inf])
@pytest.mark.parametrize("scope", [GLOBAL, market("M")], ids=str)
@pytest.mark.parametrize("pull", [False, True])
def test_a_trip_comes_back_equal(hold_s: float, scope: object, pull: bool) -> None:
    trip = Trip(scope, Reason.SHOCK, "nba", 10.5, hold_s, 4, pull, 8, 3)  # type: ignore[arg-type]
    assert trip_of(trip_record(trip)) == trip


def test_a_trip_of_a_market_names_it() -> None:
    trip = Trip(market("M"), Reason.EDGE_GONE, "nba", 1.0, 0.0, 1, pull=True)
    assert (trip_record(trip).kind, trip_record(trip).market) == (Kind.PULL, "M")


def test_a_pregame_price_comes_back_equal() -> None:
    told = Pregame("nba", "KXNBAGAME-26NOV22BOSNYK", 0.58, "9 books", 200.0, 100.0)
    assert pregame_of(pregame_record(told)) == told


def test_a_record_that_lacks_a_field_is_our_bug() -> None:
    with pytest.raises(LocalError, match="fill_id"):
        fill_of(Record(Kind.FILL, 1.0))


def test_an_armed_scope_is_named_with_its_counter() -> None:
    assert armed_record(GLOBAL, 3, 2.0).fields == {"scope": "GLOBAL", "counter": 3}


@pytest.mark.parametrize(
    ("outcome", "result", "detail"),
    [
        (Done("c", "o", "M", Action.PLACE, 1.0, trace=5), "done", ""),
        (Rejected("c", "o", "M", Action.CANCEL, 1.0, "not_found", 5), "rejected", "not_found"),
        (Unknown("c", "o", "M", Action.AMEND, 1.0, "timeout", 5), "unknown", "timeout"),
    ],
    ids=["done", "rejected", "unknown"],
)
def test_an_outcome_says_what_the_venue_said(outcome: Done | Rejected | Unknown, result: str, detail: str) -> None:
    record = outcome_record(outcome)
    assert (record.kind, record.market, record.trace) == (Kind.OUTCOME, "M", 5)
    assert (record.fields["result"], record.fields["detail"], record.fields["action"]) == (result, detail, outcome.action.value)


def test_a_departure_keeps_the_venues_reason() -> None:
    record = gone_record(Gone("c", "o", "M", "expiry", 1.0, 300))
    assert (record.kind, record.fields["detail"], record.fields["reduced"]) == (Kind.GONE, "expiry", 300)
