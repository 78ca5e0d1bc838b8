"""Every write to Kalshi as a value: method, path, query and body, ready to be signed and sent, and what it will be billed as.

Pure, so that what is written can be checked, and armed beforehand, without a connection. The shard is always named: left out, the exchange
would look on shard 0 or ask every shard. What no exchange could accept (a price off 0..1, an expiry on an order that cannot rest) is our
own mistake and a `LocalError` here, before anything is sent.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import attrs
import msgspec

from chimera.conventions import CONTRACT, ONE, Count, Price, Side, format_count, format_price
from chimera.errors import LocalError
from chimera.kalshi.ratelimit import Call

T = TypeVar("T")

STREAM_PREFIX: Final = "kalshi.write "
_ORDERS = "/portfolio/events/orders"
_GROUPS = "/portfolio/order_groups"
_EMPTY = b"{}"
_CLIENT_ID: Final = re.compile(r"[\w:+=/-]{1,64}", re.ASCII)
"""What the exchange's FIX gateway takes as a client order id; REST documents no limits, and it is one engine."""
REPEATABLE: Final = frozenset(
    {Call.CANCEL, Call.BATCH_CANCEL, Call.CANCEL_ALL, Call.GROUP_TRIGGER, Call.GROUP_LIMIT, Call.GROUP_DELETE}
)
"""Calls that mean the same done twice, and may therefore be made again when nobody knows what became of the first."""


class TimeInForce(enum.Enum):
    """How long an order works. With an expiry GOOD_TILL_CANCELED rests until then."""

    GOOD_TILL_CANCELED = "good_till_canceled"
    IMMEDIATE_OR_CANCEL = "immediate_or_cancel"
    FILL_OR_KILL = "fill_or_kill"


class SelfTrade(enum.Enum):
    """What happens where an order would meet one of ours: it stops there, or the resting one is cancelled and it goes on."""

    TAKER_AT_CROSS = "taker_at_cross"
    MAKER = "maker"


@attrs.frozen(slots=True)
class NewOrder:
    """An order to be placed. `exchange_index` is the market's; `expires_at` is unix seconds of the exchange's clock, cut to whole ones."""

    client_id: str
    market: str
    exchange_index: int
    side: Side
    price: Price
    count: Count
    expires_at: float | None = None
    group_id: str = ""
    post_only: bool = True
    cancel_on_pause: bool = True
    time_in_force: TimeInForce = TimeInForce.GOOD_TILL_CANCELED
    self_trade: SelfTrade = SelfTrade.TAKER_AT_CROSS
    reduce_only: bool = False
    subaccount: int | None = None


@attrs.frozen(slots=True)
class OrderRef:
    """An order that is there: its id, its market, and the shard both are on."""

    order_id: str
    market: str
    exchange_index: int
    subaccount: int | None = None


@attrs.frozen(slots=True)
class GroupRef:
    """An order group and the shard it is on."""

    group_id: str
    exchange_index: int
    subaccount: int | None = None


@attrs.frozen(slots=True)
class Request:
    """One write. `path` is without the prefix; `items` is how many orders a batch names."""

    call: Call
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    shard: int = 0
    items: int = 1

    @property
    def method(self) -> str:
        return self.call.value.method

    @property
    def target(self) -> str:
        """Path and query as sent, without the prefix; the query is not signed."""
        return self.path + ("?" + urlencode(self.query) if self.query else "")

    @property
    def name(self) -> str:
        """The stream that its answer enters under: the same for every order."""
        return f"{STREAM_PREFIX}{self.method} {self.call.value.path}"

    @property
    def repeatable(self) -> bool:
        return self.call in REPEATABLE


# Orders


def create(order: NewOrder) -> Request:
    """Place one order."""
    return Request(Call.CREATE, _ORDERS, body=_json(_order_body(order)), shard=order.exchange_index)


def batch_create(orders: Sequence[NewOrder]) -> Request:
    """Place several; each succeeds or fails by itself."""
    bodies = [_order_body(order) for order in _some(orders)]
    if len({order.client_id for order in orders}) < len(orders):
        raise LocalError("a batch names one client id twice: the exchange would refuse the second for ever")
    return Request(Call.BATCH_CREATE, _ORDERS + "/batched", body=_json({"orders": bodies}), items=len(bodies))


def cancel(order: OrderRef) -> Request:
    """Cancel one order. The market goes with it, for the exchange knows an order by its shard and id."""
    query = (*_subaccount(order.subaccount), ("exchange_index", str(_shard(order.exchange_index))), ("market_ticker", order.market))
    return Request(Call.CANCEL, _order_path(order), query, shard=order.exchange_index)


def batch_cancel(orders: Sequence[OrderRef]) -> Request:
    """Cancel several; each succeeds or fails by itself."""
    bodies: list[dict[str, object]] = []
    for order in _some(orders):
        body: dict[str, object] = {"order_id": order.order_id, "exchange_index": _shard(order.exchange_index)}
        bodies.append(body | {"market_ticker": order.market} | dict(_numbered(order.subaccount)))
    return Request(Call.BATCH_CANCEL, _ORDERS + "/batched", body=_json({"orders": bodies}), items=len(bodies))


def cancel_all(subaccount: int | None = None) -> Request:
    """Cancel everything on every shard. Orders placed within the next minute may be cancelled too."""
    return Request(Call.CANCEL_ALL, _ORDERS, _subaccount(subaccount))


def amend(
    order: OrderRef,
    *,
    side: Side,
    price: Price,
    total: Count,
    expires_at: float | None = None,
    client_id: str = "",
    new_client_id: str = "",
) -> Request:
    """Change price, size or expiry (unix seconds of the exchange; None leaves it).

    `total` is what has been filled and what shall rest, together. The place in the queue is kept where only the expiry changes or the size
    shrinks. With the present price and total it is a renewal, and `renew` is the better word.
    """
    return _amend(Call.AMEND, order, side, price, total, expires_at, client_id, new_client_id)


def renew(order: OrderRef, *, side: Side, price: Price, total: Count, expires_at: float) -> Request:
    """Move the expiry and nothing else: `price` and `total` are the present ones. Billed to the share of renewals."""
    return _amend(Call.RENEW, order, side, price, total, expires_at, "", "")


def decrease(order: OrderRef, *, by: Count | None = None, to: Count | None = None) -> Request:
    """Let less of an order rest: `by` so much less, or `to` so much. It keeps its place in the queue."""
    if (by is None) == (to is None):
        raise LocalError(f"decrease order {order.order_id} either by a count or to one")
    field, count = ("reduce_to", to) if to is not None else ("reduce_by", by)
    if count is None or count < (0 if field == "reduce_to" else 1):
        raise LocalError(f"decrease order {order.order_id}: {field} {count} is no such count")
    body = {field: format_count(count), "exchange_index": _shard(order.exchange_index), "market_ticker": order.market}
    return Request(Call.DECREASE, _order_path(order) + "/decrease", _subaccount(order.subaccount), _json(body), order.exchange_index)


# Groups


def group_create(exchange_index: int, limit: Count, subaccount: int | None = None) -> Request:
    """A new group on one shard, triggered when its orders match more than `limit` (whole contracts) within 15 seconds."""
    body = {"contracts_limit": _whole(limit), "exchange_index": _shard(exchange_index)} | dict(_numbered(subaccount))
    return Request(Call.GROUP_CREATE, _GROUPS + "/create", body=_json(body))


def group_limit(group: GroupRef, limit: Count) -> Request:
    """Another limit; one below what has been matched just now triggers the group."""
    return _on_group(Call.GROUP_LIMIT, group, "/limit", _json({"contracts_limit": _whole(limit)}))


def group_trigger(group: GroupRef) -> Request:
    """Cancel all the group's orders, and refuse new ones from here on."""
    return _on_group(Call.GROUP_TRIGGER, group, "/trigger", _EMPTY)


def group_reset(group: GroupRef) -> Request:
    """Let a triggered group take orders again."""
    return _on_group(Call.GROUP_RESET, group, "/reset", _EMPTY)


def group_delete(group: GroupRef) -> Request:
    """Cancel the group's orders and forget the group."""
    return _on_group(Call.GROUP_DELETE, group, "", b"")


# Parts


def _amend(
    call: Call, order: OrderRef, side: Side, price: Price, total: Count, expires_at: float | None, client_id: str, new_client_id: str
) -> Request:
    body: dict[str, object] = {
        "ticker": order.market,
        "side": side.value,
        "price": _price(price),
        "count": _count(total),
        "exchange_index": _shard(order.exchange_index),
    }
    if expires_at is not None:
        body["expiration_time"] = _seconds(expires_at)
    if client_id:
        body["client_order_id"] = client_id
    if new_client_id:
        body["updated_client_order_id"] = _client_id(new_client_id)
    return Request(call, _order_path(order) + "/amend", _subaccount(order.subaccount), _json(body), order.exchange_index)


def _order_body(order: NewOrder) -> Mapping[str, object]:
    resting = order.time_in_force is TimeInForce.GOOD_TILL_CANCELED
    if order.expires_at is not None and not resting:
        raise LocalError(f"order {order.client_id}: only an order that rests can expire")
    if order.post_only and not resting:
        raise LocalError(f"order {order.client_id}: an order that does not rest cannot be post-only")
    if order.reduce_only and order.time_in_force is not TimeInForce.IMMEDIATE_OR_CANCEL:
        raise LocalError(f"order {order.client_id}: reduce-only is for immediate-or-cancel alone")
    body: dict[str, object] = {
        "ticker": order.market,
        "client_order_id": _client_id(order.client_id),
        "side": order.side.value,
        "count": _count(order.count),
        "price": _price(order.price),
        "time_in_force": order.time_in_force.value,
        "self_trade_prevention_type": order.self_trade.value,
        "post_only": order.post_only,
        "cancel_order_on_pause": order.cancel_on_pause,
        "exchange_index": _shard(order.exchange_index),
    }
    if order.expires_at is not None:
        body["expiration_time"] = _seconds(order.expires_at)
    if order.reduce_only:
        body["reduce_only"] = True
    if order.group_id:
        body["order_group_id"] = order.group_id
    return body | dict(_numbered(order.subaccount))


def _on_group(call: Call, group: GroupRef, action: str, body: bytes) -> Request:
    query = (*_subaccount(group.subaccount), ("exchange_index", str(_shard(group.exchange_index))))
    return Request(call, f"{_GROUPS}/{_segment(group.group_id)}{action}", query, body)


def _order_path(order: OrderRef) -> str:
    return f"{_ORDERS}/{_segment(order.order_id)}"


def _segment(name: str) -> str:
    if not name:
        raise LocalError("an order or group without an id cannot be named to the exchange")
    return quote(name, safe="")


def _some(orders: Sequence[T]) -> Sequence[T]:
    if not orders:
        raise LocalError("a batch of nothing is not sent")
    return orders


def _shard(exchange_index: int) -> int:
    if exchange_index < 0:
        raise LocalError(f"exchange_index {exchange_index} is no shard: read it from the market")
    return exchange_index


def _price(price: Price) -> str:
    if not 0 < price < ONE:
        raise LocalError(f"no order can be at {price} (1e-4 $)")
    return format_price(price)


def _count(count: Count) -> str:
    if count <= 0:
        raise LocalError(f"no order can be of {count} (1e-2 contracts)")
    return format_count(count)


def _whole(limit: Count) -> int:
    if limit < CONTRACT or limit % CONTRACT:
        raise LocalError(f"a group's limit of {limit} (1e-2 contracts) is not a whole number of contracts from 1 on")
    return limit // CONTRACT


def _seconds(expires_at: float) -> int:
    if not (math.isfinite(expires_at) and expires_at >= 1.0):
        raise LocalError(f"{expires_at} is no time to expire at")
    return math.floor(expires_at)


def _client_id(client_id: str) -> str:
    if not _CLIENT_ID.fullmatch(client_id):
        raise LocalError(f"client id {client_id!r} is not 1 to 64 letters, digits or any of _ : + = / -")
    return client_id


def _numbered(subaccount: int | None) -> tuple[tuple[str, int], ...]:
    return () if subaccount is None else (("subaccount", subaccount),)


def _subaccount(subaccount: int | None) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(number)) for name, number in _numbered(subaccount))


_json = msgspec.json.Encoder().encode
