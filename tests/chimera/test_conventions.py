"""Conventions: exact round trips, no rounding in silence, and what the exchange itself has written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import (
    CENT,
    CONTRACT,
    DOLLAR,
    ONE,
    Side,
    cents,
    complement,
    cost,
    dollars,
    format_count,
    format_price,
    outlay,
    parse_count,
    parse_money,
    parse_price,
    probability,
)

prices = st.integers(0, ONE)
counts = st.integers(-(10**12), 10**12)
wholes = st.integers(-(10**9), 10**9)
PARSERS = ((parse_price, 4), (parse_count, 2), (parse_money, 6))


class TestText:
    """What is read is exactly what was written."""

    @given(price=wholes)
    @settings(deadline=None)
    def test_a_price_is_read_back_as_it_was_written(self, price: int) -> None:
        assert parse_price(format_price(price)) == price

    @given(count=counts)
    @settings(deadline=None)
    def test_a_count_is_read_back_as_it_was_written(self, count: int) -> None:
        assert parse_count(format_count(count)) == count

    @given(value=wholes)
    @settings(deadline=None)
    def test_what_is_written_is_the_decimal_number_it_stands_for(self, value: int) -> None:
        assert Decimal(format_price(value)) == Decimal(value) / ONE
        assert Decimal(format_count(value)) == Decimal(value) / CONTRACT

    @given(value=wholes, zeros=st.integers(0, 4))
    @settings(deadline=None)
    def test_every_reader_is_exact_and_takes_trailing_zeros(self, value: int, zeros: int) -> None:
        for parse, places in PARSERS:
            assert parse(f"{Decimal(value).scaleb(-places):f}" + "0" * zeros) == value

    @pytest.mark.parametrize(("parse", "places"), PARSERS)
    def test_what_would_have_to_be_rounded_is_refused(self, parse: Any, places: int) -> None:
        with pytest.raises(ValueError, match=f"has more than {places} decimals"):
            parse("0." + "0" * places + "1")

    @pytest.mark.parametrize(("parse", "_places"), PARSERS)
    @pytest.mark.parametrize(
        "text", ["", "-", ".5", "+1", " 1", "1 ", "1,5", "1e3", "--1", "0x1", "nan", "inf", "\uff11", "1.\u0663", "1.2.3", "1.-2", "1_0"]
    )
    def test_what_is_no_plain_decimal_is_refused_and_named(self, parse: Any, _places: int, text: str) -> None:
        with pytest.raises(ValueError) as caught:
            parse(text)
        assert repr(text) in str(caught.value)

    @pytest.mark.parametrize(("text", "price"), [("0.4600", 4600), ("1", ONE), ("0.99", 9900), ("0.0001", 1), ("1.0000", ONE)])
    def test_prices_are_ten_thousandths_of_a_dollar(self, text: str, price: int) -> None:
        assert parse_price(text) == price


class TestMoney:
    """Price times count is money, and nothing is lost."""

    @given(price=prices, count=counts)
    @settings(deadline=None)
    def test_a_cost_is_exact(self, price: int, count: int) -> None:
        assert Decimal(cost(price, count)) / DOLLAR == (Decimal(price) / ONE) * (Decimal(count) / CONTRACT)

    @given(price=prices, count=st.integers(0, 10**9))
    @settings(deadline=None)
    def test_both_legs_of_a_contract_cost_a_dollar_together(self, price: int, count: int) -> None:
        assert outlay(Side.BID, price, count) + outlay(Side.ASK, price, count) == cost(ONE, count)

    @given(price=prices, count=st.integers(0, 10**9), value=prices)
    @settings(deadline=None)
    def test_an_order_never_loses_more_than_its_outlay(self, price: int, count: int, value: int) -> None:
        for side in Side:
            lost = side.sign * (cost(price, count) - cost(value, count))
            assert lost <= outlay(side, price, count)

    def test_the_units_fit_together(self) -> None:
        assert cost(ONE, CONTRACT) == DOLLAR
        assert 100 * CENT == ONE


class TestSides:
    """YES and NO, bid and ask."""

    @given(price=prices)
    @settings(deadline=None)
    def test_the_other_leg_of_the_other_leg_is_the_price(self, price: int) -> None:
        assert complement(complement(price)) == price
        assert 0 <= complement(price) <= ONE

    @given(one=prices, other=prices)
    @settings(deadline=None)
    def test_a_better_no_bid_is_a_better_yes_ask(self, one: int, other: int) -> None:
        assert (one < other) == (complement(one) > complement(other))

    def test_a_side_has_its_sign_and_its_other(self) -> None:
        assert (Side.BID.sign, Side.ASK.sign) == (1, -1)
        assert all(side.other.other is side and side.other.sign == -side.sign for side in Side)


class TestFloats:
    """For models and people: the nearest float to the exact number, so that it is the same everywhere."""

    @given(price=prices, count=wholes)
    @settings(deadline=None)
    def test_they_are_correctly_rounded(self, price: int, count: int) -> None:
        assert cents(price) == float(Decimal(price) / CENT)
        assert probability(price) == float(Decimal(price) / ONE)
        assert dollars(count) == float(Decimal(count) / DOLLAR)


_QUOTES = {f"{old}{leg}_{what}_dollars" for old in ("", "previous_") for leg in ("yes", "no") for what in ("bid", "ask", "price")}
_OTHERS = {f"{what}_dollars" for what in ("last_price", "previous_price", "price", "settlement_value", "notional_value")}
PRICE_FIELDS = frozenset(_QUOTES | _OTHERS | {"average_fill_price"})


def _fields(document: object) -> Iterator[tuple[str, str]]:
    """Every (name, string) anywhere in a document; the pairs of a book's levels as "level" fields."""
    if isinstance(document, dict):
        for name, value in document.items():
            if isinstance(value, str):
                yield name, value
            elif name in ("yes_dollars_fp", "no_dollars_fp", "yes_dollars", "no_dollars"):
                for price, count in value:
                    yield "price_dollars", price
                    yield "count_fp", count
            else:
                yield from _fields(value)
    elif isinstance(document, list):
        for value in document:
            yield from _fields(value)


def _gold(shared_data: Path) -> Iterator[dict[str, Any]]:
    """Messages of a few recorded markets, whole from their first snapshot on."""
    for path in sorted((shared_data / "kalshi" / "gold15m" / "events").glob("*.gz"))[:3]:
        with gzip.open(path, "rt") as lines:
            for line in lines:
                yield json.loads(line)["event"]


def _documents(shared_data: Path) -> Iterator[object]:
    folder = shared_data / "kalshi" / "demo_rest_ws"
    for path in sorted(folder.glob("*.json")):
        if not path.name.endswith(".meta.json"):
            yield json.loads(path.read_text())
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            if line.strip():
                yield json.loads(line)


@pytest.mark.data
class TestRecorded:
    """The exchange's own payloads."""

    def test_every_recorded_price_and_count_is_read_and_written_back_as_it_stood(self, shared_data: Path) -> None:
        seen = {"price": 0, "count": 0}
        for document in (*_documents(shared_data), *_gold(shared_data)):
            for name, text in _fields(document):
                if name in PRICE_FIELDS:
                    seen["price"] += 1
                    assert format_price(parse_price(text)) == text
                elif name.endswith("_fp"):
                    seen["count"] += 1
                    assert format_count(parse_count(text)) == text
        assert min(seen.values()) > 10_000

    def test_every_recorded_amount_of_money_is_read_exactly(self, shared_data: Path) -> None:
        amounts = {
            text for document in _documents(shared_data) for name, text in _fields(document) if name.endswith("_dollars")
        }
        assert len(amounts) > 20
        assert all(Decimal(parse_money(text)) == Decimal(text) * DOLLAR for text in amounts)

    def test_a_recorded_market_s_asks_are_the_complements_of_its_bids(self, shared_data: Path) -> None:
        pairs = 0
        for document in _documents(shared_data):
            for market in document.get("markets", ()) if isinstance(document, dict) else ():
                for bid, ask in (("yes_bid_dollars", "no_ask_dollars"), ("no_bid_dollars", "yes_ask_dollars")):
                    if bid in market and ask in market and parse_price(market[bid]) and parse_price(market[ask]):
                        pairs += 1
                        assert complement(parse_price(market[bid])) == parse_price(market[ask])
        assert pairs > 20

    def test_recorded_books_in_yes_space_never_cross(self, shared_data: Path) -> None:
        books: dict[str, dict[Side, dict[int, int]]] = {}
        states = 0
        for event in _gold(shared_data):
            message = event["msg"]
            if event["type"] == "orderbook_snapshot":
                books[message["market_ticker"]] = {
                    Side.BID: {parse_price(price): parse_count(count) for price, count in message.get("yes_dollars_fp", ())},
                    Side.ASK: {complement(parse_price(price)): parse_count(count) for price, count in message.get("no_dollars_fp", ())},
                }
            elif event["type"] == "orderbook_delta":
                price = parse_price(message["price_dollars"])
                side, at = (Side.BID, price) if message["side"] == "yes" else (Side.ASK, complement(price))
                levels = books[message["market_ticker"]][side]
                levels[at] = levels.get(at, 0) + parse_count(message["delta_fp"])
                assert levels[at] >= 0
                if not levels[at]:
                    del levels[at]
            else:
                continue
            book = books[message["market_ticker"]]
            if book[Side.BID] and book[Side.ASK]:
                states += 1
                assert max(book[Side.BID]) < min(book[Side.ASK])
        assert states > 10_000
