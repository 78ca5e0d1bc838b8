"""Kalshi's REST API under /trade-api/v2: every route, who may call it, what it costs, and the faults that befall it.

Bodies, error shapes and quirks are those recorded from Kalshi (a garbage cursor gives the first page, unknown parameters are ignored).
Market reads are public, the account's are signed; a signed request draws on the account's buckets, a public one that is not signed on none.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import attrs

from chimera.sim.exchange.access import Access
from chimera.sim.exchange.exchange import Exchange
from chimera.sim.exchange.forms import (
    NOT_FOUND,
    BadBody,
    BadParameter,
    Call,
    answer,
    bad_body,
    bad_parameter,
    read_body,
    refusal,
)
from chimera.sim.exchange.limits import COSTS, DEFAULT_COST, TOO_MANY
from chimera.sim.exchange.log import ExchangeLog
from chimera.sim.exchange.orders import Declined
from chimera.sim.exchange.rest_market import MarketReads
from chimera.sim.exchange.rest_orders import GroupRequests, OrderRequests
from chimera.sim.exchange.rest_portfolio import PortfolioReads
from chimera.sim.server import Held, Request, Response

PREFIX = ("trade-api", "v2")
PREFIX_PATH = "/" + "/".join(PREFIX)

Handler: TypeAlias = Callable[[Call], Response]
Answer: TypeAlias = Response | Held


class Draw(enum.Enum):
    """How a request is charged: which bucket, and what tells the shard."""

    READ = "read"
    BALANCE = "balance"
    BODY = "a write of the shard its body names"
    QUERY = "a write of the shard its query names"
    BATCH = "a write of the account, an item at a time"
    WRITE = "a write of the account"


@attrs.frozen(slots=True)
class Route:
    """A method and path and what answers it; `*` in the pattern matches one segment.

    `op` is what faults call it; one that is called "read" changes nothing.
    """

    method: str
    pattern: tuple[str, ...]
    handler: Handler
    signed: bool = True
    draw: Draw = Draw.READ
    op: str = "read"
    scope: str = "read"

    @property
    def cost(self) -> int:
        path = "/" + "/".join(":order_id" if part == "*" else part for part in self.pattern)
        return COSTS.get((self.method, path), DEFAULT_COST)

    def match(self, method: str, route: tuple[str, ...]) -> tuple[str, ...] | None:
        if method != self.method or len(route) != len(self.pattern):
            return None
        if any(want not in ("*", got) for want, got in zip(self.pattern, route, strict=True)):
            return None
        return tuple(got for want, got in zip(self.pattern, route, strict=True) if want == "*")


def _path(text: str) -> tuple[str, ...]:
    return tuple(text.split("/"))


def _public(market: MarketReads, portfolio: PortfolioReads) -> list[Route]:
    rows: Sequence[tuple[str, Handler]] = (
        ("exchange/status", market.status),
        ("exchange/schedule", market.schedule),
        ("exchange/user_data_timestamp", market.user_data_timestamp),
        ("historical/cutoff", market.cutoff),
        ("markets", market.markets),
        ("markets/trades", market.trades),
        ("markets/orderbooks", market.orderbooks),
        ("markets/candlesticks", market.batch_candlesticks),
        ("markets/*", market.market),
        ("markets/*/orderbook", market.one_orderbook),
        ("events", market.events),
        ("events/fee_changes", market.event_fee_changes),
        ("events/*", market.event),
        ("series", market.all_series),
        ("series/fee_changes", market.series_fee_changes),
        ("series/*", market.series),
        ("series/*/markets/*/candlesticks", market.candlesticks),
        ("account/endpoint_costs", portfolio.costs),
    )
    return [Route("GET", _path(path), handler, signed=False) for path, handler in rows]


def _reads(portfolio: PortfolioReads, groups: GroupRequests) -> list[Route]:
    rows: Sequence[tuple[str, Handler]] = (
        ("account/limits", portfolio.limits),
        ("api_keys", portfolio.keys),
        ("portfolio/orders", portfolio.orders),
        ("portfolio/orders/queue_positions", portfolio.queue_positions),
        ("portfolio/orders/*", portfolio.order),
        ("portfolio/orders/*/queue_position", portfolio.queue_position),
        ("portfolio/fills", portfolio.fills),
        ("portfolio/positions", portfolio.positions),
        ("portfolio/settlements", portfolio.settlements),
        ("portfolio/summary/total_resting_order_value", portfolio.resting_value),
        ("portfolio/order_groups", groups.list),
        ("portfolio/order_groups/*", groups.get),
    )
    balance = Route("GET", _path("portfolio/balance"), portfolio.balance, draw=Draw.BALANCE, scope="read::portfolio_balance")
    return [balance, *(Route("GET", _path(path), handler) for path, handler in rows)]


def _writes(orders: OrderRequests, groups: GroupRequests) -> list[Route]:
    events = "portfolio/events/orders"
    group = "portfolio/order_groups"
    rows: Sequence[tuple[str, str, Handler, Draw, str]] = (
        ("POST", events, orders.create, Draw.BODY, "create"),
        ("DELETE", events, orders.cancel_all, Draw.WRITE, "cancel_all"),
        ("POST", f"{events}/batched", orders.create_many, Draw.BATCH, "batch"),
        ("DELETE", f"{events}/batched", orders.cancel_many, Draw.BATCH, "batch"),
        ("DELETE", f"{events}/*", orders.cancel, Draw.QUERY, "cancel"),
        ("POST", f"{events}/*/amend", orders.amend, Draw.BODY, "amend"),
        ("POST", f"{events}/*/decrease", orders.decrease, Draw.BODY, "decrease"),
        ("POST", f"{group}/create", groups.create, Draw.WRITE, "group"),
        ("PUT", f"{group}/*/limit", groups.set_limit, Draw.WRITE, "group"),
        ("PUT", f"{group}/*/trigger", groups.trigger, Draw.WRITE, "group"),
        ("PUT", f"{group}/*/reset", groups.reset, Draw.WRITE, "group"),
        ("DELETE", f"{group}/*", groups.delete, Draw.WRITE, "group"),
        *((method, path, orders.gone, Draw.WRITE, "legacy") for method, path in _LEGACY),
    )
    return [
        Route(method, _path(path), handler, draw=draw, op=op, scope="write::trade") for method, path, handler, draw, op in rows
    ]


_LEGACY = (
    ("POST", "portfolio/orders"),
    ("POST", "portfolio/orders/batched"),
    ("DELETE", "portfolio/orders/batched"),
    ("DELETE", "portfolio/orders/*"),
    ("POST", "portfolio/orders/*/amend"),
    ("POST", "portfolio/orders/*/decrease"),
)


class Rest:
    """The API over an exchange. `log` hears of what faults did to requests."""

    def __init__(self, exchange: Exchange, access: Access, log: ExchangeLog) -> None:
        self._exchange = exchange
        self._access = access
        self._log = log
        portfolio, groups = PortfolioReads(exchange, access, PREFIX_PATH), GroupRequests(exchange)
        self._routes = (
            *_public(MarketReads(exchange), portfolio),
            *_reads(portfolio, groups),
            *_writes(OrderRequests(exchange), groups),
        )

    def respond(self, request: Request) -> Answer:
        """Answer one request whose path begins with the prefix."""
        rest = request.route[len(PREFIX) :]
        for route in self._routes:
            named = route.match(request.method, rest)
            if named is not None:
                return self._admit(route, request, named)
        return NOT_FOUND

    # Before the handler

    def _admit(self, route: Route, request: Request, named: tuple[str, ...]) -> Answer:
        now = self._exchange.now()
        skewed = now + self._exchange.mischief.skew(now)
        rules = self._exchange.rules
        if route.signed and (refused := self._access.refuse(request, skewed, rules, scope=route.scope)) is not None:
            return refused
        fields = _fields(request) if route.draw is not Draw.READ else {}
        ticker = _ticker(request, fields)
        storm = self._exchange.mischief.request("storm", route.op, ticker, now)
        drawn = (route.signed or self._access.known(request, skewed, rules)) and not self._charge(route, request, fields, now)
        if storm is not None or drawn:
            return Response(429, TOO_MANY)
        held = self._exchange.mischief.request("hold", route.op, ticker, now)
        if held is None:
            return self._carry_out(route, request, named, ticker)
        self._log.fault("held", now, op=route.op, ticker=ticker, seconds=held.seconds("for"))
        return Held(held.seconds("for"), lambda: self._carry_out(route, request, named, ticker))

    def _charge(self, route: Route, request: Request, fields: dict[str, object], now: float) -> bool:
        limits, account = self._exchange.limits, self._exchange.member.name
        match route.draw:
            case Draw.READ:
                return limits.admit_read(account, route.cost, now)
            case Draw.BALANCE:
                return limits.admit_balance(account, now)
            case Draw.BATCH:
                items = fields.get("orders")
                return limits.admit_write(account, route.cost * max(1, len(items) if isinstance(items, list) else 1), now)
            case Draw.BODY | Draw.QUERY:
                return limits.admit_write(account, route.cost, now, shard=_shard(route, request, fields))
            case Draw.WRITE:
                return limits.admit_write(account, route.cost, now)

    # The handler and what befalls its answer

    def _carry_out(self, route: Route, request: Request, named: tuple[str, ...], ticker: str) -> Answer:
        exchange, mischief = self._exchange, self._exchange.mischief
        now = exchange.now()
        exchange.advance(now)
        down = mischief.request("unavailable", route.op, ticker, now)
        if down is not None and not mischief.chance(down, "applied"):
            self._log.fault("unavailable", now, op=route.op, ticker=ticker, applied=False)
            return _UNAVAILABLE
        lag = mischief.lag("read_lag", now)
        response = self._handle(route, Call(request, named, exchange.member, now, lag))
        if down is not None:
            self._log.fault("unavailable", now, op=route.op, ticker=ticker, applied=True)
            return _UNAVAILABLE
        lost = mischief.request("ack_lost", route.op, ticker, now)
        if lost is not None:
            self._log.fault("ack_lost", now, op=route.op, ticker=ticker, status=response.status)
            silence = lost.seconds("for") if lost.word("how") == "hang" else 0.0
            return Held(silence, lambda: attrs.evolve(response, lost=True))
        slow = mischief.request("slow_ack", route.op, ticker, now)
        return response if slow is None else Held(slow.seconds("for"), lambda: response)

    def _handle(self, route: Route, call: Call) -> Response:
        try:
            return route.handler(call)
        except BadParameter as fault:
            return bad_parameter(fault)
        except BadBody as fault:
            return bad_body(fault)
        except Declined as fault:
            if route.op != "read":
                self._log.declined(route.op, fault, call.now, call.request)
            return refusal(fault)


_UNAVAILABLE = answer({"error": {"code": "service_unavailable", "message": "service unavailable", "service": "exchange"}}, 503)


def _fields(request: Request) -> dict[str, object]:
    """The body as far as it can be read: what routes the request. Its faults are told by the handler."""
    try:
        return read_body(request.body)
    except BadBody:
        return {}


def _ticker(request: Request, fields: dict[str, object]) -> str:
    named: Iterable[object] = (fields.get("ticker"), fields.get("market_ticker"), request.param("market_ticker"))
    return next((name for name in named if isinstance(name, str) and name), "")


def _shard(route: Route, request: Request, fields: dict[str, object]) -> int | None:
    """The shard that a single write is billed to; None where the exchange routes it, which bills every shard."""
    index = request.param("exchange_index") if route.draw is Draw.QUERY else fields.get("exchange_index")
    number = int(index) if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 9 else index
    if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
        return number
    routed = number in ("-1", -1) or bool(_ticker(request, fields))
    return None if routed else 0
