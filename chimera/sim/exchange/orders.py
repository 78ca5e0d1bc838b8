"""A member's order as the exchange keeps it, a fill of it, and the refusals of order entry in Kalshi's words.

Values only: each change makes a new one, so that what was true a moment ago can still be shown to a reader that lags.
"""

from __future__ import annotations

import enum

import attrs

from chimera.conventions import Count, Money, Price, Side, cost
from chimera.fees import FeeAccount
from chimera.sim.exchange.engine import SelfTrade


class Lasting(enum.Enum):
    """How long an order stays: Kalshi's `time_in_force`."""

    GTC = "good_till_canceled"
    IOC = "immediate_or_cancel"
    FOK = "fill_or_kill"


class Standing(enum.Enum):
    """Kalshi's `status` of an order."""

    RESTING = "resting"
    CANCELED = "canceled"
    EXECUTED = "executed"


class Declined(Exception):
    """A request that Kalshi refuses, as it would say so. `details` go out where there are any."""

    def __init__(self, status: int, code: str, details: str = "") -> None:
        super().__init__(f"{status} {code}" + (f": {details}" if details else ""))
        self.status, self.code, self.details = status, code, details


@attrs.frozen(slots=True)
class NewOrder:
    """What a create asks for, checked for form and nothing else. `shard` is None where the exchange is to route by ticker."""

    ticker: str
    side: Side
    price: Price
    count: Count
    lasting: Lasting
    stp: SelfTrade
    client_id: str = ""
    expires_at: int | None = None
    post_only: bool = False
    reduce_only: bool = False
    cancel_on_pause: bool = False
    group_id: str = ""
    shard: int | None = None
    subaccount: int = 0


@attrs.frozen(slots=True)
class Own:
    """One order of a member. Times are world unix seconds; `expires_at` is None for ever; `fees` is the rebate account of all its fills."""

    order_id: str
    member: str
    ticker: str
    event_ticker: str
    shard: int
    client_id: str
    side: Side
    price: Price
    initial: Count
    created_at: float
    updated_at: float
    lasting: Lasting
    stp: SelfTrade
    post_only: bool
    cancel_on_pause: bool
    group_id: str
    expires_at: int | None
    engine_id: int = 0
    filled: Count = 0
    remaining: Count = 0
    standing: Standing = Standing.RESTING
    reason: str = ""
    taker_cost: Money = 0
    maker_cost: Money = 0
    taker_fees: Money = 0
    maker_fees: Money = 0
    fees: FeeAccount = attrs.field(factory=FeeAccount, eq=False)

    @property
    def live(self) -> bool:
        """Whether it rests."""
        return self.standing is Standing.RESTING

    def after_fill(self, price: Price, count: Count, fee: Money, *, taker: bool, at: float) -> Own:
        """The order after a fill; `executed` once nothing remains of it."""
        spent = cost(price, count)
        left = self.remaining - count
        return attrs.evolve(
            self,
            filled=self.filled + count,
            remaining=left,
            taker_cost=self.taker_cost + (spent if taker else 0),
            maker_cost=self.maker_cost + (0 if taker else spent),
            taker_fees=self.taker_fees + (fee if taker else 0),
            maker_fees=self.maker_fees + (0 if taker else fee),
            updated_at=at,
            reason="Trade",
            standing=Standing.RESTING if left else Standing.EXECUTED,
        )

    def gone(self, reason: str, at: float) -> Own:
        """The order after what remained of it was taken off."""
        return attrs.evolve(self, remaining=0, standing=Standing.CANCELED, reason=reason, updated_at=at)


@attrs.frozen(slots=True)
class Fill:
    """One execution of a member's order, at a YES price. `trade_id` is the public trade's; `after` is the position it left behind."""

    trade_id: str
    order_id: str
    client_id: str
    ticker: str
    event_ticker: str
    shard: int
    side: Side
    price: Price
    count: Count
    fee: Money
    is_taker: bool
    after: Count
    at: float


@attrs.frozen(slots=True)
class Settlement:
    """A position that was paid. `position` is signed, `paid_out` what it brought; `basis` and `fees` what it had cost."""

    ticker: str
    event_ticker: str
    shard: int
    result: str
    position: Count
    basis: Money
    fees: Money
    paid_out: Money
    value: Price
    at: float
