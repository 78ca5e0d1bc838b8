"""Fees, against numbers the exchange really charged and against the rules they follow."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import CONTRACT, ONE, Side, parse_money
from chimera.fees import DIRECT, FCM, MAKER_FACTORS, FeeAccount, expected_maker_fee_cents, fee_rate, trade_fee
from chimera.markets import FeeTerms

TAKER = Fraction(7, 100)
MAKER = Fraction(7, 400)

prices = st.integers(1, ONE - 1)
counts = st.integers(1, 5_000)
rates = st.sampled_from([TAKER, MAKER, TAKER / 2, TAKER * Fraction(1, 10)])
fills = st.lists(st.tuples(prices, counts, rates, st.sampled_from(Side)), min_size=1, max_size=8)


def by_the_rules(price: Decimal, count: Decimal, side: Side, rate: Decimal, precision: Decimal, owed: Decimal) -> tuple[Decimal, Decimal]:
    """The exchange's rounding rules in decimals, step by step; (fee, owed afterwards)."""

    def step(value: Decimal, unit: Decimal, rounding: str) -> Decimal:
        return (value / unit).to_integral_value(rounding=rounding) * unit

    fee = step(rate * count * price * (1 - price), Decimal("0.000001"), ROUND_CEILING)
    revenue = -(price * count) if side is Side.BID else -((1 - price) * count)
    rounding = (revenue - fee) - step(revenue - fee, precision, ROUND_FLOOR)
    owed += rounding
    rebate = min(step(owed, precision, ROUND_FLOOR), step(fee + rounding, precision, ROUND_FLOOR))
    return fee + rounding - rebate, owed - rebate


@pytest.mark.parametrize(
    ("rate", "price", "contracts", "charged"),
    [
        (TAKER, 5200, 1, "0.0175"),
        (TAKER, 9900, 1, "0.0007"),
        (TAKER, 4500, 3, "0.0520"),
        (MAKER, 6700, 2, "0.0078"),
        (MAKER, 1200, 2, "0.0037"),
        (TAKER, 5000, 100, "1.75"),
        (TAKER, 2500, 1, "0.0132"),
        (MAKER, 5000, 1, "0.0044"),
    ],
)
def test_a_fill_costs_what_the_exchange_charged_for_it(rate: Fraction, price: int, contracts: int, charged: str) -> None:
    assert FeeAccount().charge(rate, Side.BID, price, contracts * CONTRACT) == parse_money(charged)


def test_the_fourth_of_five_equal_fills_of_one_order_gets_a_rebate() -> None:
    account = FeeAccount()
    assert [account.charge(TAKER, Side.BID, 5200, CONTRACT) for _ in range(5)] == [17_500, 17_500, 17_500, 17_400, 17_500]


def test_an_account_cleared_by_a_merchant_is_aligned_to_cents() -> None:
    account = FeeAccount(precision=FCM)
    assert trade_fee(550, CONTRACT, TAKER) == 3_639
    assert account.charge(TAKER, Side.BID, 550, CONTRACT) == 5_000
    assert account.owed == 1_361


@settings(max_examples=100, deadline=None)
@given(fills=fills, precision=st.sampled_from([DIRECT, FCM]))
def test_every_order_pays_what_the_rounding_rules_say(fills: list[tuple[int, int, Fraction, Side]], precision: int) -> None:
    account, owed = FeeAccount(precision), Decimal(0)
    for price, count, rate, side in fills:
        exact = Decimal(rate.numerator) / rate.denominator
        expected, owed = by_the_rules(
            Decimal(price) / ONE, Decimal(count) / CONTRACT, side, exact, Decimal(precision) / 1_000_000, owed
        )
        assert account.charge(rate, side, price, count) == expected * 1_000_000
    assert account.owed == owed * 1_000_000


@settings(max_examples=100, deadline=None)
@given(fills=fills)
def test_over_an_order_rounding_costs_only_what_is_still_owed(fills: list[tuple[int, int, Fraction, Side]]) -> None:
    account = FeeAccount()
    charged = [account.charge(rate, side, price, count) for price, count, rate, side in fills]
    assert min(charged) >= 0
    assert sum(charged) == sum(trade_fee(price, count, rate) for price, count, rate, _ in fills) + account.owed


@settings(max_examples=50, deadline=None)
@given(price=prices, count=counts, rate=rates)
def test_yes_at_a_price_and_no_at_its_complement_cost_the_same_fee(price: int, count: int, rate: Fraction) -> None:
    yes = FeeAccount().charge(rate, Side.BID, price, count)
    assert FeeAccount().charge(rate, Side.ASK, ONE - price, count) == yes


@pytest.mark.parametrize(("fee_type", "factor"), MAKER_FACTORS.items())
def test_makers_pay_their_factor_of_the_takers_rate(fee_type: str, factor: Fraction) -> None:
    terms = FeeTerms(fee_type, Fraction(2))
    assert fee_rate(terms, is_taker=True) == TAKER * 2
    assert fee_rate(terms, is_taker=False) == TAKER * 2 * factor


@pytest.mark.parametrize("fee_type", ["flat", "margin_market_maker_program_fees", ""])
def test_a_fee_type_that_is_not_in_the_table_has_no_known_fee(fee_type: str) -> None:
    terms = FeeTerms(fee_type, Fraction(1))
    assert fee_rate(terms, is_taker=True) is None
    assert fee_rate(terms, is_taker=False) is None
    assert expected_maker_fee_cents(5000, terms) is None


def test_a_waiver_counts_until_it_ends_and_only_where_the_time_is_given() -> None:
    terms = FeeTerms("quadratic_with_maker_fees", Fraction(1), waived_until=1_000.0)
    assert fee_rate(terms, is_taker=True, at=999.9) == 0
    assert fee_rate(terms, is_taker=True, at=1_000.0) == TAKER
    assert fee_rate(terms, is_taker=False) == MAKER


def test_a_maker_expects_its_fee_in_cents_a_contract() -> None:
    charged = FeeTerms("quadratic_with_maker_fees", Fraction(1))
    assert expected_maker_fee_cents(6700, charged, count=2 * CONTRACT) == pytest.approx(0.39)
    assert expected_maker_fee_cents(5000, charged) == pytest.approx(0.44)
    assert expected_maker_fee_cents(5000, FeeTerms("quadratic", Fraction(1))) == 0.0


@pytest.mark.parametrize(("price", "count"), [(-1, 100), (ONE + 1, 100), (5000, -1)])
def test_what_is_no_fill_has_no_fee(price: int, count: int) -> None:
    with pytest.raises(ValueError, match="no fill has"):
        trade_fee(price, count, TAKER)
