"""Kalshi's words as a venue's: fills, orders and failures as the gateway knows them. `skew` is Kalshi's clock less ours, seconds."""

from __future__ import annotations

import math

from chimera.kalshi.failures import KalshiError, OutcomeUnknown
from chimera.kalshi.notices import OwnFill
from chimera.kalshi.schema_account import KalshiFill, KalshiOrder
from chimera.trading.venue import Action, Fill, Rejected, Resting, Unknown


def as_fill(told: KalshiFill | OwnFill, client_id: str, skew: float, now: float) -> Fill:
    """One execution, listed or heard of on the stream. `client_id` is the order's where we know it; `now` is for one that tells no time."""
    if isinstance(told, OwnFill):
        at, client_id = told.ts_ms * 1e-3 - skew if told.ts_ms else now, client_id or told.client_id
    else:
        at = told.at - skew
    return Fill(told.fill_id, client_id, told.order_id, told.market, told.side, told.price, told.count, told.fee, told.is_taker, at)


def as_resting(order: KalshiOrder, skew: float) -> Resting:
    """An order of the list; one without an expiry rests for ever."""
    expires = math.inf if order.expires_at is None else order.expires_at - skew
    return Resting(order.order_id, order.client_id, order.market, order.side, order.price, order.remaining, order.filled, expires)


def as_outcome(
    client_id: str, order_id: str, market: str, action: Action, at: float, error: KalshiError, trace: int
) -> Rejected | Unknown:
    """What is known of a request that failed."""
    if isinstance(error, OutcomeUnknown):
        return Unknown(client_id, order_id, market, action, at, str(error), trace)
    return Rejected(client_id, order_id, market, action, at, error.code or type(error).__name__, trace)


def not_found(error: KalshiError) -> bool:
    """The order does not rest; whether it was cancelled or filled, the exchange says elsewhere."""
    return error.status == 404 or error.code == "not_found"
