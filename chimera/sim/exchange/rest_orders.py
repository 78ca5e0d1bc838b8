"""Order entry and order groups over REST: bodies in, the exchange's answers out. Kalshi's V2 paths; what is older is gone (410)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from chimera.conventions import CONTRACT, Count, Side, format_count
from chimera.sim.exchange.documents import averages, group_document
from chimera.sim.exchange.engine import SelfTrade
from chimera.sim.exchange.entry import Amendment
from chimera.sim.exchange.exchange import Exchange
from chimera.sim.exchange.forms import BadBody, Call, Form, answer, error_object, number_of, read_body
from chimera.sim.exchange.groups import Group
from chimera.sim.exchange.orders import Declined, Lasting, NewOrder, Own
from chimera.sim.server import Request, Response

REGIONAL = frozenset({"Sports", "Elections", "Entertainment"})
"""Categories in which a key may not trade once the account's location is no longer attested."""


def new_order(fields: dict[str, object]) -> NewOrder:
    """A create request. BadBody or Declined for one that cannot be read."""
    form = Form("CreateOrderV2Request", fields)
    return NewOrder(
        ticker=form.text("ticker", required=True),
        side=form.choice("side", Side),
        count=form.count("count"),
        price=form.price("price"),
        lasting=form.choice("time_in_force", Lasting),
        stp=form.choice("self_trade_prevention_type", SelfTrade),
        client_id=form.text("client_order_id"),
        expires_at=form.expiry("expiration_time"),
        post_only=form.flag("post_only"),
        reduce_only=form.flag("reduce_only"),
        cancel_on_pause=form.flag("cancel_order_on_pause"),
        group_id=form.text("order_group_id"),
        shard=form.shard(),
        subaccount=form.number("subaccount", least=0) or 0,
    )


class OrderRequests:
    """The handlers of order entry."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._entry = exchange.entry

    def create(self, call: Call) -> Response:
        return answer(self._create(call, read_body(call.request.body)), 201)

    def create_many(self, call: Call) -> Response:
        rows = Form("BatchCreateOrdersV2Request", read_body(call.request.body)).rows("orders")
        said = [self._one(partial(self._create, call, row), row, _NO_ORDER) for row in rows]
        return answer({"orders": self._ordered(said)}, 201)

    def cancel(self, call: Call) -> Response:
        request = call.request
        shard = number_of(request, "exchange_index", "CancelOrderV2", least=-1)
        self._only_primary(number_of(request, "subaccount", "CancelOrderV2"))
        return answer(self._cancel(call, call.named[0], request.param("market_ticker"), shard))

    def cancel_many(self, call: Call) -> Response:
        rows = Form("BatchCancelOrdersV2Request", read_body(call.request.body)).rows("orders")
        said = [self._one(partial(self._cancel_row, call, row), row, _NOT_CANCELLED) for row in rows]
        return answer({"orders": self._ordered(said)})

    def cancel_all(self, call: Call) -> Response:
        if not number_of(call.request, "subaccount", "CancelAllOrders"):
            self._entry.cancel_all(call.member, call.now)
        return Response(204)

    def amend(self, call: Call) -> Response:
        self._only_primary(number_of(call.request, "subaccount", "AmendOrderV2"))
        form = Form("AmendOrderV2Request", read_body(call.request.body))
        change = Amendment(
            ticker=form.text("ticker", required=True),
            side=form.choice("side", Side),
            price=form.price("price"),
            count=form.count("count"),
            client_id=form.text("client_order_id"),
            new_client_id=form.text("updated_client_order_id"),
            expires_at=form.expiry("expiration_time"),
            shard=form.shard(),
        )
        self._attested(change.ticker, call.now)
        before = call.member.orders.now.get(call.named[0])
        order, filled = self._entry.amend(call.member, call.named[0], change, call.now)
        said = _ids(order, call.now)
        assert before is not None
        if filled or order.remaining != before.remaining:
            spent, fees = order.taker_cost - before.taker_cost, order.taker_fees - before.taker_fees
            said |= {"remaining_count": format_count(order.remaining), "fill_count": format_count(filled)}
            said |= averages(filled, spent, fees)
        return answer(said)

    def decrease(self, call: Call) -> Response:
        self._only_primary(number_of(call.request, "subaccount", "DecreaseOrderV2"))
        form = Form("DecreaseOrderV2Request", read_body(call.request.body))
        by, to = form.count_or_none("reduce_by"), form.count_or_none("reduce_to")
        if (by is None) == (to is None):
            raise BadBody("exactly one of reduce_by and reduce_to must be provided", "invalid_parameters")
        order = self._entry.decrease(
            call.member, call.named[0], call.now, by=by, to=to, ticker=form.text("market_ticker"), shard=form.shard()
        )
        return answer(_ids(order, call.now) | {"remaining_count": format_count(order.remaining)})

    def gone(self, call: Call) -> Response:
        """A path of the first version of order entry."""
        raise Declined(410, "deprecated_v1_order_endpoint", "use /portfolio/events/orders")

    def _create(self, call: Call, fields: dict[str, object]) -> dict[str, object]:
        new = new_order(fields)
        self._attested(new.ticker, call.now)
        order = self._entry.create(call.member, new, call.now)
        said = _ids(order, call.now) | {"fill_count": format_count(order.filled), "remaining_count": format_count(order.remaining)}
        return said | averages(order.filled, order.taker_cost, order.taker_fees)

    def _cancel_row(self, call: Call, fields: dict[str, object]) -> dict[str, object]:
        form = Form("BatchCancelOrdersV2Request", fields)
        self._only_primary(form.number("subaccount", least=0))
        return self._cancel(call, form.text("order_id", required=True), form.text("market_ticker"), form.shard())

    def _cancel(self, call: Call, order_id: str, ticker: str, shard: int | None) -> dict[str, object]:
        order, reduced = self._entry.cancel(call.member, order_id, call.now, ticker=ticker, shard=shard)
        return _ids(order, call.now) | {"reduced_by": format_count(reduced)}

    def _one(
        self, act: Callable[[], dict[str, object]], fields: dict[str, object], failed: dict[str, object]
    ) -> dict[str, object]:
        """One item of a batch: its answer, or its refusal where the others are not touched."""
        try:
            return act()
        except Declined as fault:
            error = error_object(fault)
        except BadBody as fault:
            error = {"code": fault.code, "message": fault.code.replace("_", " "), "details": fault.details}
        names = {key: value for key, value in fields.items() if key in ("order_id", "client_order_id") and isinstance(value, str)}
        return {"client_order_id": None, **failed, **names, "error": error}

    def _ordered(self, rows: list[dict[str, object]]) -> list[dict[str, object]]:
        return rows if self._exchange.rules.batch_order == "request" else rows[::-1]

    def _attested(self, ticker: str, now: float) -> None:
        contract = self._exchange.floor.contracts.get(ticker)
        if contract is not None and now >= self._exchange.region_expires_at and contract.listing.series_fields["category"] in REGIONAL:
            raise self._exchange.rules.declined("region_expired")

    def _only_primary(self, subaccount: int | None) -> None:
        """The account has no other subaccounts, so nothing is on them."""
        if subaccount:
            raise Declined(404, "not_found")


_NO_ORDER: dict[str, object] = {}
_NOT_CANCELLED: dict[str, object] = {"order_id": "", "reduced_by": "0.00"}


def _ids(order: Own, now: float) -> dict[str, object]:
    said: dict[str, object] = {"order_id": order.order_id, "ts_ms": int(now * 1000)}
    if order.client_id:
        said["client_order_id"] = order.client_id
    return said


class GroupRequests:
    """The handlers of order groups."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._groups = exchange.groups

    def create(self, call: Call) -> Response:
        form = Form("CreateOrderGroupRequest", read_body(call.request.body))
        shard = form.number("exchange_index", least=0) or 0
        if form.number("subaccount", least=0):
            raise Declined(400, "invalid_parameters", "there is no such subaccount")
        if shard not in self._exchange.floor.shards:
            raise Declined(400, "invalid_parameters", "there is no such exchange_index")
        group = self._groups.create(call.member, shard, _limit(form), call.now)
        return answer({"order_group_id": group.group_id, "subaccount": 0, "exchange_index": group.shard}, 201)

    def list(self, call: Call) -> Response:
        other = number_of(call.request, "subaccount", "GetOrderGroups")
        groups = [] if other else self._groups.of(call.member)
        return answer({"order_groups": [{"id": group.group_id, **group_document(group)} for group in groups]})

    def get(self, call: Call) -> Response:
        group = self._groups.find(call.member, call.named[0])
        return answer(group_document(group) | {"orders": [order.order_id for order in self._groups.live(group)]})

    def set_limit(self, call: Call) -> Response:
        limit = _limit(Form("UpdateOrderGroupLimitRequest", read_body(call.request.body)))
        self._groups.set_limit(self._addressed(call), limit, call.now)
        return answer({})

    def trigger(self, call: Call) -> Response:
        self._groups.trigger(self._addressed(call), call.now)
        return answer({})

    def reset(self, call: Call) -> Response:
        self._groups.reset(self._addressed(call), call.now)
        return answer({})

    def delete(self, call: Call) -> Response:
        self._groups.delete(self._addressed(call), call.now)
        return answer({})

    def _addressed(self, call: Call) -> Group:
        """The group on the shard that the request names; without one that is shard 0, whatever shard the group is on."""
        request: Request = call.request
        if number_of(request, "subaccount", "OrderGroup"):
            raise Declined(404, "not_found")
        shard = number_of(request, "exchange_index", "OrderGroup") or 0
        if shard in self._exchange.entry.closed_shards:
            raise self._exchange.rules.declined("exchange_paused")
        return self._groups.find(call.member, call.named[0], shard)


def _limit(form: Form) -> Count:
    """`contracts_limit` (whole contracts) or `contracts_limit_fp`; where both are given they must agree."""
    whole, exact = form.number("contracts_limit", least=1), form.count_or_none("contracts_limit_fp")
    if whole is None and exact is None:
        raise BadBody("contracts_limit or contracts_limit_fp is required", "invalid_parameters")
    if whole is not None and exact is not None and whole * CONTRACT != exact:
        raise BadBody("contracts_limit and contracts_limit_fp differ", "invalid_parameters")
    return exact if exact is not None else (whole or 0) * CONTRACT
