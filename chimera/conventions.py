"""YES and NO, bid and ask, prices and money: stated once, used everywhere.

Everything inside Chimera is in YES price space. A bid buys YES; an ask sells YES, which is buying NO at the complement. Numbers of the NO
leg are converted where a frame is decoded and nowhere else.

    Price   int, 1e-4 dollar:       4600 is $0.46, valid orders lie strictly between 0 and ONE
    Count   int, 1e-2 contract:     100 is one contract
    Money   int, 1e-6 dollar:       Price x Count is exactly Money, without rounding

Probabilities are floats in [0, 1]. Edges and markouts are floats in cents, as traders say them. No other module does this arithmetic.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

Price: TypeAlias = int
Count: TypeAlias = int
Money: TypeAlias = int

ONE: Price = 10_000
"""One dollar as a price: what a winning contract pays, and the sum of a YES price and its NO price."""
CENT: Price = 100
CONTRACT: Count = 100
DOLLAR: Money = 1_000_000


class Side(enum.Enum):
    """The side of the YES book an order rests on."""

    BID = "bid"
    ASK = "ask"

    @property
    def sign(self) -> int:
        """+1 where a fill adds to the YES position, -1 where it takes from it."""
        return 1 if self is Side.BID else -1

    @property
    def other(self) -> Side:
        return Side.ASK if self is Side.BID else Side.BID


def _fixed(text: str, places: int, what: str) -> int:
    """Read a decimal string exactly, as an integer of 10**-places; refuse what would need rounding."""
    sign, digits = (-1, text[1:]) if text[:1] == "-" else (1, text)
    whole, _, fraction = digits.partition(".")
    if not (whole.isascii() and whole.isdigit()) or (fraction and not (fraction.isascii() and fraction.isdigit())):
        raise ValueError(f"{what} {text!r} is not a plain decimal number")
    kept, rest = fraction[:places], fraction[places:]
    if rest.strip("0"):
        raise ValueError(f"{what} {text!r} has more than {places} decimals")
    return sign * int(whole + kept.ljust(places, "0"))


def parse_price(dollars: str) -> Price:
    """Read a dollar string ("0.4600") as a price; ValueError where it is no decimal or finer than 1e-4 $."""
    return _fixed(dollars, 4, "price")


def parse_count(contracts: str) -> Count:
    """Read a contract string ("7.77", "-54.00") as a count; ValueError where it is no decimal or finer than 0.01."""
    return _fixed(contracts, 2, "count")


def parse_money(dollars: str) -> Money:
    """Read a dollar string with up to six decimals as money; ValueError where it is no decimal or finer."""
    return _fixed(dollars, 6, "amount")


def format_price(price: Price) -> str:
    """A price as Kalshi writes it: "0.4600"."""
    sign, size = ("-", -price) if price < 0 else ("", price)
    return f"{sign}{size // ONE}.{size % ONE:04d}"


def format_count(count: Count) -> str:
    """A count as Kalshi writes it: "10.00"."""
    sign, size = ("-", -count) if count < 0 else ("", count)
    return f"{sign}{size // CONTRACT}.{size % CONTRACT:02d}"


def complement(price: Price) -> Price:
    """The same contract seen from the other leg: a NO bid at p is a YES ask at 1 - p."""
    return ONE - price


def cost(price: Price, count: Count) -> Money:
    """What `count` contracts cost at `price`; exact."""
    return price * count


def outlay(side: Side, price: Price, count: Count) -> Money:
    """The most a fill of this order can lose: the price paid for YES, or the complement paid for NO."""
    return cost(price if side is Side.BID else complement(price), count)


def cents(price: Price) -> float:
    """A price in cents, for models and people: 4650 -> 46.5."""
    return price / CENT


def probability(price: Price) -> float:
    """A price read as a probability: 4650 -> 0.465."""
    return price / ONE


def dollars(money: Money) -> float:
    """Money in dollars, for summaries and people."""
    return money / DOLLAR
