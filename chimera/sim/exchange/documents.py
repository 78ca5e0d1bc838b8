"""The private documents of the exchange, in Kalshi's fields, as REST and the stream show them: orders, fills, positions, groups."""

from __future__ import annotations

from collections.abc import Iterable

from chimera.conventions import Count, Money, Price, Side, complement, cost, format_count, format_price
from chimera.sim.exchange.groups import Group
from chimera.sim.exchange.ledger import Holding
from chimera.sim.exchange.listing import rfc3339
from chimera.sim.exchange.members import Member
from chimera.sim.exchange.orders import Fill, Own, Settlement

_CENTS = 10_000
"""Money in one cent."""


def format_money(money: Money) -> str:
    """Money as Kalshi writes it: "0.520000"."""
    sign, size = ("-", -money) if money < 0 else ("", money)
    return f"{sign}{size // 1_000_000}.{size % 1_000_000:06d}"


def format_balance(money: Money) -> str:
    """A balance: "98.0186". It is on the grid of 1e-4 $; what could be finer is cut off."""
    return f"{money // 1_000_000}.{money % 1_000_000 // 100:04d}"


def outcome(side: Side) -> str:
    """The side of a book as an outcome: a bid is for YES, an ask for NO."""
    return "yes" if side is Side.BID else "no"


def action(side: Side) -> str:
    """The side of a book as the deprecated `action` on the YES leg."""
    return "buy" if side is Side.BID else "sell"


def order_document(order: Own, user_id: str) -> dict[str, object]:
    """An order as REST shows it. The deprecated `action` and `side` see every order on the YES leg, as recorded: an ask sells YES."""
    return {
        "order_id": order.order_id,
        "user_id": user_id,
        "client_order_id": order.client_id,
        "ticker": order.ticker,
        "outcome_side": outcome(order.side),
        "book_side": order.side.value,
        "action": action(order.side),
        "side": "yes",
        "type": "limit",
        "status": order.standing.value,
        "yes_price_dollars": format_price(order.price),
        "no_price_dollars": format_price(complement(order.price)),
        "initial_count_fp": format_count(order.initial),
        "fill_count_fp": format_count(order.filled),
        "remaining_count_fp": format_count(order.remaining),
        "taker_fill_cost_dollars": format_money(order.taker_cost),
        "maker_fill_cost_dollars": format_money(order.maker_cost),
        "taker_fees_dollars": format_money(order.taker_fees),
        "maker_fees_dollars": format_money(order.maker_fees),
        "created_time": rfc3339(order.created_at),
        "last_update_time": rfc3339(order.updated_at),
        "expiration_time": None if order.expires_at is None else rfc3339(order.expires_at),
        "self_trade_prevention_type": order.stp.value,
        "order_group_id": order.group_id or None,
        "cancel_order_on_pause": order.cancel_on_pause,
        "subaccount_number": 0,
        "exchange_index": order.shard,
    }


def user_order(order: Own, user_id: str) -> dict[str, object]:
    """An order as the stream's `user_order` tells it."""
    said = order_document(order, user_id)
    for absent in ("action", "type", "no_price_dollars", "cancel_order_on_pause", "expiration_time", "order_group_id"):
        del said[absent]
    said["is_yes"] = order.side is Side.BID
    said["created_ts_ms"] = int(order.created_at * 1000)
    said["last_updated_ts_ms"] = int(order.updated_at * 1000)
    if order.expires_at is not None:
        said |= {"expiration_time": rfc3339(order.expires_at), "expiration_ts_ms": order.expires_at * 1000}
    if order.group_id:
        said["order_group_id"] = order.group_id
    if order.reason:
        said["last_update_reason"] = order.reason
    return said


def fill_document(fill: Fill) -> dict[str, object]:
    """A fill as REST shows it: without the client's id."""
    return {
        "fill_id": fill.trade_id,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "ticker": fill.ticker,
        "market_ticker": fill.ticker,
        "outcome_side": outcome(fill.side),
        "book_side": fill.side.value,
        "action": action(fill.side),
        "side": "yes",
        "count_fp": format_count(fill.count),
        "yes_price_dollars": format_price(fill.price),
        "no_price_dollars": format_price(complement(fill.price)),
        "is_taker": fill.is_taker,
        "fee_cost": format_money(fill.fee),
        "created_time": rfc3339(fill.at),
        "ts": int(fill.at),
        "subaccount_number": 0,
        "exchange_index": fill.shard,
    }


def fill_message(fill: Fill) -> dict[str, object]:
    """A fill as the stream tells it."""
    said: dict[str, object] = {"trade_id": fill.trade_id, "order_id": fill.order_id}
    if fill.client_id:
        said["client_order_id"] = fill.client_id
    return said | {
        "market_ticker": fill.ticker,
        "exchange_index": fill.shard,
        "is_taker": fill.is_taker,
        "side": "yes",
        "action": action(fill.side),
        "purchased_side": outcome(fill.side),
        "outcome_side": outcome(fill.side),
        "book_side": fill.side.value,
        "yes_price_dollars": format_price(fill.price),
        "count_fp": format_count(fill.count),
        "fee_cost": format_money(fill.fee),
        "post_position_fp": format_count(fill.after),
        "ts": int(fill.at),
        "ts_ms": int(fill.at * 1000),
        "subaccount": 0,
    }


def position_document(holding: Holding) -> dict[str, object]:
    """A market position as REST shows it."""
    return {
        "ticker": holding.ticker,
        "exchange_index": holding.shard,
        "position_fp": format_count(holding.position),
        "market_exposure_dollars": format_money(holding.basis),
        "total_traded_dollars": format_money(holding.traded),
        "realized_pnl_dollars": format_money(holding.realized),
        "fees_paid_dollars": format_money(holding.fees),
        "last_updated_ts": rfc3339(holding.updated_at),
    }


def position_message(member: Member, holding: Holding) -> dict[str, object]:
    """A market position as the stream tells it."""
    return {
        "user_id": member.user_id,
        "market_ticker": holding.ticker,
        "position_fp": format_count(holding.position),
        "position_cost_dollars": format_money(holding.basis),
        "realized_pnl_dollars": format_money(holding.realized),
        "fees_paid_dollars": format_money(holding.fees),
        "position_fee_cost_dollars": format_money(holding.fees if holding.position else 0),
        "volume_fp": format_count(holding.volume),
        "subaccount": 0,
    }


def event_positions(holdings: Iterable[Holding]) -> list[dict[str, object]]:
    """The same positions added up by event."""
    events: dict[str, list[Holding]] = {}
    for holding in holdings:
        events.setdefault(holding.event_ticker, []).append(holding)
    return [
        {
            "event_ticker": event,
            "total_cost_dollars": format_money(sum(row.traded for row in rows)),
            "total_cost_shares_fp": format_count(sum(row.volume for row in rows)),
            "event_exposure_dollars": format_money(sum(row.basis for row in rows)),
            "realized_pnl_dollars": format_money(sum(row.realized for row in rows)),
            "fees_paid_dollars": format_money(sum(row.fees for row in rows)),
        }
        for event, rows in events.items()
    ]


def settlement_document(row: Settlement) -> dict[str, object]:
    """A settlement: `revenue` and `value` are whole cents."""
    yes = row.position > 0
    return {
        "ticker": row.ticker,
        "event_ticker": row.event_ticker,
        "exchange_index": row.shard,
        "market_result": row.result,
        "yes_count_fp": format_count(row.position if yes else 0),
        "yes_total_cost_dollars": format_money(row.basis if yes else 0),
        "no_count_fp": format_count(0 if yes else -row.position),
        "no_total_cost_dollars": format_money(0 if yes else row.basis),
        "revenue": row.paid_out // _CENTS,
        "settled_time": rfc3339(row.at),
        "fee_cost": format_balance(row.fees),
        "value": row.value // 100,
    }


def group_document(group: Group) -> dict[str, object]:
    """What is the same of a group in the list and by itself."""
    return {
        "contracts_limit_fp": format_count(group.limit),
        "exchange_index": group.shard,
        "is_auto_cancel_enabled": True,
    }


def averages(filled: Count, spent: Money, fees: Money) -> dict[str, str]:
    """`average_fill_price` and `average_fee_paid`, per contract; nothing where nothing filled."""
    if not filled:
        return {}
    price: Price = (spent + filled // 2) // filled
    fee = (fees + filled // 2) // filled
    return {"average_fill_price": format_price(price), "average_fee_paid": format_price(fee)}


def resting_value(orders: Iterable[Own]) -> Money:
    """What resting orders would cost if all filled."""
    return sum(cost(row.price if row.side is Side.BID else complement(row.price), row.remaining) for row in orders)
