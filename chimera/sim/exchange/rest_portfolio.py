"""The account's REST reads: orders, queue positions, fills, positions, settlements, balance, limits, costs and keys."""

from __future__ import annotations

from collections.abc import Callable

from chimera.conventions import Money, format_count
from chimera.sim.exchange.access import Access
from chimera.sim.exchange.documents import (
    event_positions,
    fill_document,
    format_balance,
    order_document,
    position_document,
    resting_value,
    settlement_document,
)
from chimera.sim.exchange.exchange import Exchange
from chimera.sim.exchange.forms import BadParameter, Call, answer, choice_of, limit_of, names_of, number_of, page, page_back
from chimera.sim.exchange.ledger import Holding
from chimera.sim.exchange.limits import cost_table
from chimera.sim.exchange.orders import Declined, Fill, Own, Settlement, Standing
from chimera.sim.server import Request, Response

LIMIT = 1000
DEFAULT = 100
_CENTS: Money = 10_000


class PortfolioReads:
    """The handlers, over an exchange and its keys. `prefix` stands before the paths of the cost table."""

    def __init__(self, exchange: Exchange, access: Access, prefix: str) -> None:
        self._exchange = exchange
        self._access = access
        self._costs = cost_table(prefix)

    # Orders

    def orders(self, call: Call) -> Response:
        request, operation = call.request, "GetOrders"
        limit = limit_of(request, operation, LIMIT, DEFAULT)
        status = choice_of(request, "status", operation, [standing.value for standing in Standing])
        ticker, events = request.param("ticker"), names_of(request, "event_ticker")
        here, when = _shard_filter(request, operation), _time_filter(request, operation)

        def wanted(order: Own) -> bool:
            return (
                (not status or order.standing.value == status)
                and (not ticker or order.ticker == ticker)
                and (not events or order.event_ticker in events)
                and here(order.shard)
                and when(order.created_at)
            )

        rows, cursor = page_back(list(call.member.orders.at(call.as_of).values()), wanted, request, limit)
        return answer({"orders": [order_document(row, call.member.user_id) for row in rows], "cursor": cursor})

    def order(self, call: Call) -> Response:
        return answer({"order": order_document(self._order(call), call.member.user_id)})

    def queue_position(self, call: Call) -> Response:
        order = self._order(call)
        ahead = self._exchange.floor.contracts[order.ticker].book.ahead(order.engine_id)
        return answer({"queue_position_fp": format_count(ahead or 0)})

    def queue_positions(self, call: Call) -> Response:
        request = call.request
        tickers, event = names_of(request, "market_tickers"), request.param("event_ticker")
        if not tickers and not event:
            raise BadParameter("Parameter validation failed for GetOrderQueuePositions: market_tickers or event_ticker is required")
        rows = []
        for order in [] if number_of(request, "subaccount", "GetOrderQueuePositions") else call.member.live():
            if (tickers and order.ticker not in tickers) or (event and order.event_ticker != event):
                continue
            ahead = self._exchange.floor.contracts[order.ticker].book.ahead(order.engine_id) or 0
            rows.append({"order_id": order.order_id, "market_ticker": order.ticker, "queue_position_fp": format_count(ahead)})
        return answer({"queue_positions": rows})

    def resting_value(self, call: Call) -> Response:
        live = call.member.live()
        rows = [
            {"exchange_index": shard, "balance": format_balance(resting_value(row for row in live if row.shard == shard))}
            for shard in sorted({row.shard for row in live})
        ]
        return answer({"total_resting_order_value": resting_value(live) // _CENTS, "resting_order_value_breakdown": rows})

    def _order(self, call: Call) -> Own:
        order = call.member.orders.at(call.as_of).get(call.named[0])
        if order is None:
            raise Declined(404, "not_found")
        return order

    # Fills, positions, settlements

    def fills(self, call: Call) -> Response:
        request, operation = call.request, "GetFills"
        limit = limit_of(request, operation, LIMIT, DEFAULT)
        tickers, order_id = names_of(request, "ticker"), request.param("order_id")
        here, when = _shard_filter(request, operation), _time_filter(request, operation)

        def wanted(fill: Fill) -> bool:
            return (
                fill.at <= call.as_of
                and (not tickers or fill.ticker in tickers)
                and (not order_id or fill.order_id == order_id)
                and here(fill.shard)
                and when(fill.at)
            )

        rows, cursor = page_back(call.member.fills, wanted, request, limit)
        return answer({"fills": [fill_document(row) for row in rows], "cursor": cursor})

    def positions(self, call: Call) -> Response:
        request, operation = call.request, "GetPositions"
        limit = limit_of(request, operation, LIMIT, DEFAULT)
        state = choice_of(request, "settlement_status", operation, ("unsettled", "settled", "all")) or "unsettled"
        counted = _count_filter(names_of(request, "count_filter"))
        ticker, event = request.param("ticker"), request.param("event_ticker")
        here = _shard_filter(request, operation)
        rows = [
            row
            for row in call.member.holdings.at(call.as_of).values()
            if (state == "all" or row.settled == (state == "settled"))
            and counted(row)
            and (not ticker or row.ticker == ticker)
            and (not event or row.event_ticker == event)
            and here(row.shard)
        ]
        found, cursor = page(rows, request, limit)
        markets = [position_document(row) for row in found]
        return answer({"market_positions": markets, "event_positions": event_positions(found), "cursor": cursor})

    def settlements(self, call: Call) -> Response:
        request, operation = call.request, "GetSettlements"
        limit = limit_of(request, operation, LIMIT, DEFAULT)
        ticker, event = request.param("ticker"), request.param("event_ticker")
        here, when = _shard_filter(request, operation), _time_filter(request, operation)

        def wanted(row: Settlement) -> bool:
            return (
                row.at <= call.as_of
                and (not ticker or row.ticker == ticker)
                and (not event or row.event_ticker == event)
                and here(row.shard)
                and when(row.at)
            )

        rows, cursor = page_back(call.member.settlements, wanted, request, limit)
        return answer({"settlements": [settlement_document(row) for row in rows], "cursor": cursor})

    # Account

    def balance(self, call: Call) -> Response:
        operation = "GetBalance"
        other = number_of(call.request, "subaccount", operation)
        shard = number_of(call.request, "exchange_index", operation)
        ledger = call.member.ledger
        free = {} if other else {index: ledger.available(index) for index in sorted(ledger.cash) if shard in (None, index)}
        marks = {ticker: contract.last_price for ticker, contract in self._exchange.floor.contracts.items()}
        total = sum(free.values())
        document = {
            "balance": total // _CENTS,
            "balance_breakdown": [{"balance": format_balance(amount), "exchange_index": index} for index, amount in free.items()],
            "balance_dollars": format_balance(total),
            "portfolio_value": 0 if other else ledger.value(marks) // _CENTS,
            "updated_ts": int(call.now),
        }
        return answer(document)

    def limits(self, call: Call) -> Response:
        return answer(self._exchange.limits.document())

    def costs(self, call: Call) -> Response:
        return answer(self._costs)

    def keys(self, call: Call) -> Response:
        rows = [
            {"api_key_id": key_id, "name": key.name, "scopes": list(key.scopes)} for key_id, key in self._access.keys.items()
        ]
        return answer({"api_keys": rows, "api_key_region_expiration_ts": int(self._exchange.region_expires_at)})


def _shard_filter(request: Request, operation: str) -> Callable[[int], bool]:
    """`exchange_index` and `subaccount`: only the primary subaccount has anything."""
    shard, other = number_of(request, "exchange_index", operation), number_of(request, "subaccount", operation)
    return lambda index: not other and shard in (None, index)


def _time_filter(request: Request, operation: str) -> Callable[[float], bool]:
    since, until = number_of(request, "min_ts", operation), number_of(request, "max_ts", operation)
    return lambda at: (since is None or at >= since) and (until is None or at <= until)


def _count_filter(names: set[str]) -> Callable[[Holding], bool]:
    """Holdings with any of the named figures other than zero."""
    if unknown := names - {"position", "total_traded"}:
        raise BadParameter(f"Parameter validation failed for GetPositions: count_filter {min(unknown)!r} is not known")
    return lambda row: not names or ("position" in names and row.position != 0) or ("total_traded" in names and row.traded != 0)
