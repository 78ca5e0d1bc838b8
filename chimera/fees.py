"""Kalshi's fees, exactly.

A fill's model fee is 0.07 x multiplier x factor x C x P x (1 - P) dollars, rounded up to 1e-6 $; the cash of the fill and its fee are then
aligned to the account's precision, and what alignment takes beyond the model is given back once it has added up, order by order.
Integers and one exact rate throughout. The fee type and multiplier come from the exchange; a type not in the table has no known fee, and
a market of unknown fee is not quoted. Source: Kalshi's fee schedule of 2026-07-07 and its fee rounding rules of 2026-09.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

import attrs

from chimera.conventions import CONTRACT, ONE, Count, Money, Price, Side, complement, cost
from chimera.markets import FeeTerms

RATE = Fraction(7, 100)
"""The schedule's 0.07, before multiplier and factor."""
DIRECT: Money = 100
"""Precision of a direct member's balance: 1e-4 $."""
FCM: Money = 10_000
"""Precision of a balance cleared through a futures commission merchant: one cent."""

TAKER_FACTOR = Fraction(1)
MAKER_FACTORS: Mapping[str, Fraction] = MappingProxyType(
    {
        "quadratic": Fraction(0),
        "quadratic_with_maker_fees": Fraction(1, 4),
        "quadratic_with_combo_maker_fees": Fraction(1, 2),
    }
)
"""What a maker pays of the taker's rate, by `fee_type`. `flat` and every other type is absent on purpose: its fee is unknown."""

# C x P x (1 - P) with C in 1e-2 contracts and both prices in 1e-4 $ counts units of 1e-10 $: this many to a Money unit.
_UNITS = 10_000
_CENT_OF_MONEY = 10_000


def fee_rate(terms: FeeTerms, *, is_taker: bool, at: float = math.inf) -> Fraction | None:
    """Dollars of fee per contract and unit of P(1 - P), for a fill at world time `at`; None where the fee is unknown.

    It is 0 while the fee is waived; without `at` no waiver is counted on.
    """
    maker = MAKER_FACTORS.get(terms.fee_type)
    if maker is None or terms.multiplier < 0:
        return None
    if terms.waived_until is not None and at < terms.waived_until:
        return Fraction(0)
    return RATE * terms.multiplier * (TAKER_FACTOR if is_taker else maker)


def trade_fee(price: Price, count: Count, rate: Fraction) -> Money:
    """The model fee of one fill, rounded up to 1e-6 $, before alignment. ValueError for a price outside [0, ONE] or a negative count."""
    if not 0 <= price <= ONE or count < 0:
        raise ValueError(f"no fill has price {price} and count {count}: a price lies in [0, {ONE}] and a count is not negative")
    return -(-rate.numerator * count * price * complement(price) // (rate.denominator * _UNITS))


@attrs.define(slots=True)
class FeeAccount:
    """The fees of one order over all its fills, taker and maker.

    `precision` is what the balance is aligned to (`DIRECT` or `FCM`); `owed` is what alignment has taken and not yet given back, in [0,
    precision) after each fill unless a rebate was capped by its fill's own fee. One account an order: rebates never cross orders.
    """

    precision: Money = DIRECT
    owed: Money = 0

    def charge(self, rate: Fraction, side: Side, price: Price, count: Count) -> Money:
        """The fee of the next fill (>= 0). Equal fills need not have equal fees: the fill at which `owed` fills up pays less.

        The signed cash may be taken as buying or selling on either side: the two differ by whole cents times the count, which the
        precision divides, so closing and opening round alike.
        """
        fee = trade_fee(price, count, rate)
        after = -side.sign * cost(price, count) - fee
        rounding = after % self.precision
        self.owed += rounding
        rebate = min(self._aligned(self.owed), self._aligned(fee + rounding))
        self.owed -= rebate
        return fee + rounding - rebate

    def _aligned(self, amount: Money) -> Money:
        return amount - amount % self.precision


def maker_fee_cents(price: Price, rate: Fraction, *, count: Count = CONTRACT) -> float:
    """The fee of one fill of `count` at `price` under a maker's `rate`, in cents a contract, as the first fill of its order."""
    return FeeAccount().charge(rate, Side.BID, price, count) * CONTRACT / (count * _CENT_OF_MONEY) if rate else 0.0


def expected_maker_fee_cents(price: Price, terms: FeeTerms, *, count: Count = CONTRACT, at: float = math.inf) -> float | None:
    """What a maker should expect to pay, in cents a contract, for `count` filled at once; None where the fee is unknown: do not quote.

    A fill in parts may cost a few 1e-4 $ more or less.
    """
    rate = fee_rate(terms, is_taker=False, at=at)
    return None if rate is None else maker_fee_cents(price, rate, count=count)
