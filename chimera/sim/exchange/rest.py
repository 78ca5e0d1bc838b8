"""Kalshi's REST API under /trade-api/v2: what a trader reads before and beside the stream.

Bodies, error shapes and quirks are those recorded from Kalshi (a garbage cursor gives the first page, unknown parameters are ignored).
Market reads are public, the account's are signed. Order entry does not exist here: the account only watches.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from typing import TypeAlias

import attrs

from chimera.conventions import Count, Price, Side, complement, format_count, format_price
from chimera.sim.exchange.access import Access
from chimera.sim.exchange.floor import Contract, Floor, Print
from chimera.sim.exchange.listing import EXCHANGE_INDEX, SERIES, Status, rfc3339
from chimera.sim.server import Request, Response

PREFIX = ("trade-api", "v2")
MARKETS_LIMIT = 1000
MARKETS_DEFAULT = 100
BOOKS_LIMIT = 100
_BALANCE_CENTS = 1_000_000

_NOT_FOUND = Response(404, b'{"error":{"code":"not_found","message":"not found"}}')
_STATUS_FILTERS: dict[str, tuple[Status, ...]] = {
    "unopened": (),
    "open": (Status.ACTIVE,),
    "paused": (),
    "closed": (Status.DETERMINED,),
    "settled": (Status.FINALIZED,),
}
_LIMITS = {
    "grants": [],
    "read": {"bucket_capacity": 200, "refill_rate": 200},
    "usage_tier": "basic",
    "write": {"bucket_capacity": 100, "refill_rate": 100},
}
_COSTS = {
    "default_cost": 10,
    "endpoint_costs": [
        {"cost": 2, "method": "DELETE", "path": "/trade-api/v2/portfolio/events/orders"},
        {"cost": 2, "method": "DELETE", "path": "/trade-api/v2/portfolio/events/orders/:order_id"},
        {"cost": 2, "method": "DELETE", "path": "/trade-api/v2/portfolio/events/orders/batched"},
        {"cost": 2, "method": "GET", "path": "/trade-api/v2/portfolio/orders/:order_id"},
    ],
}

Handler: TypeAlias = Callable[[Request, tuple[str, ...]], Response]


class _BadParameter(Exception):
    """A query parameter that Kalshi would not take, as it would say so."""


@attrs.frozen(slots=True)
class _Route:
    """A GET and what answers it; `*` in the pattern matches one segment. `signed` routes need the account's key."""

    pattern: tuple[str, ...]
    handler: Handler
    signed: bool = False

    def match(self, route: tuple[str, ...]) -> tuple[str, ...] | None:
        if len(route) != len(self.pattern):
            return None
        if any(want not in ("*", got) for want, got in zip(self.pattern, route, strict=True)):
            return None
        return tuple(got for want, got in zip(self.pattern, route, strict=True) if want == "*")


def _json(document: object) -> Response:
    return Response(200, json.dumps(document, separators=(",", ":"), sort_keys=True).encode())


def _limit(request: Request, operation: str, greatest: int, default: int) -> int:
    text = request.param("limit")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _BadParameter(f"Parameter validation failed for {operation}: limit is not a number")
    limit = int(text)
    if limit > greatest:
        raise _BadParameter(
            f"Parameter validation failed for {operation}: Key: '{operation}Params.Limit' "
            "Error:Field validation for 'Limit' failed on the 'lte' tag"
        )
    return limit or default


def _offset(cursor: str) -> int:
    try:
        number = base64.urlsafe_b64decode(cursor.encode() + b"==").decode()
    except (binascii.Error, ValueError):
        return 0
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0


def _page(rows: list[object], request: Request, limit: int) -> tuple[list[object], str]:
    """One page, and the cursor of the next ("" on the last)."""
    start = _offset(request.param("cursor"))
    end = start + limit
    cursor = base64.urlsafe_b64encode(str(end).encode()).decode().rstrip("=") if end < len(rows) else ""
    return rows[start:end], cursor


def leg_levels(levels: Iterable[tuple[Price, Count]]) -> list[list[str]]:
    """Levels as Kalshi writes them: ascending, the best last."""
    return [[format_price(price), format_count(count)] for price, count in sorted(levels)]


def _orderbook(contract: Contract, depth: int) -> dict[str, object]:
    """Bids of both legs, the NO leg at its own prices."""
    cut = depth or None
    yes = contract.book.levels(Side.BID)[:cut]
    no = [(complement(price), count) for price, count in contract.book.levels(Side.ASK)[:cut]]
    return {"yes_dollars": leg_levels(yes), "no_dollars": leg_levels(no)}


def _trade(contract: Contract, printed: Print) -> dict[str, object]:
    trade = printed.trade
    outcome = "yes" if trade.taker is Side.BID else "no"
    return {
        "trade_id": printed.trade_id,
        "ticker": contract.ticker,
        "count_fp": format_count(trade.count),
        "yes_price_dollars": format_price(trade.price),
        "no_price_dollars": format_price(complement(trade.price)),
        "taker_outcome_side": outcome,
        "taker_book_side": trade.taker.value,
        "taker_side": outcome,
        "created_time": rfc3339(printed.at),
        "is_block_trade": False,
    }


class Rest:
    """The API over a floor. `now` is the exchange's time, unix seconds."""

    def __init__(self, floor: Floor, access: Access, now: Callable[[], float]) -> None:
        self._floor = floor
        self._access = access
        self._now = now
        self._routes = (
            _Route(("exchange", "status"), self._status),
            _Route(("markets",), self._markets),
            _Route(("markets", "trades"), self._trades),
            _Route(("markets", "orderbooks"), self._orderbooks),
            _Route(("markets", "*"), self._market),
            _Route(("markets", "*", "orderbook"), self._one_orderbook),
            _Route(("events", "fee_changes"), lambda *_: _json({"event_fee_changes": [], "cursor": ""})),
            _Route(("events", "*"), self._event),
            _Route(("series", "fee_changes"), lambda *_: _json({"series_fee_change_arr": []})),
            _Route(("series", "*"), self._series),
            _Route(("account", "endpoint_costs"), lambda *_: _json(_COSTS)),
            _Route(("account", "limits"), lambda *_: _json(_LIMITS), signed=True),
            _Route(("portfolio", "balance"), self._balance, signed=True),
        )

    def respond(self, request: Request) -> Response:
        """Answer one request whose path begins with the prefix."""
        rest = request.route[len(PREFIX) :]
        for route in self._routes:
            named = route.match(rest)
            if named is not None and request.method == "GET":
                return self._answer(route, request, named)
        return _NOT_FOUND

    def _answer(self, route: _Route, request: Request, named: tuple[str, ...]) -> Response:
        if route.signed and (refusal := self._access.refuse(request, self._now())) is not None:
            return refusal
        try:
            return route.handler(request, named)
        except _BadParameter as fault:
            return Response(400, json.dumps({"msg": str(fault)}).encode())

    def _status(self, _request: Request, _named: tuple[str, ...]) -> Response:
        rows = []
        for index, description in ((0, "Default"), (EXCHANGE_INDEX, "Sports")):
            row = {"exchange_index": index, "description": description, "exchange_active": True}
            rows.append(row | {"trading_active": True, "intra_exchange_transfers_active": True})
        top = {"exchange_active": True, "trading_active": True, "intra_exchange_transfers_active": True}
        return _json(top | {"exchange_estimated_resume_time": None, "exchange_index_statuses": rows})

    def _markets(self, request: Request, _named: tuple[str, ...]) -> Response:
        limit = _limit(request, "GetMarkets", MARKETS_LIMIT, MARKETS_DEFAULT)
        status = request.param("status")
        if status and status not in _STATUS_FILTERS:
            raise _BadParameter(
                "Parameter validation failed for GetMarkets: Key: 'GetMarketsParams.Status' "
                "Error:Field validation for 'Status' failed on the 'oneof' tag"
            )
        tickers = set(filter(None, request.param("tickers").split(",")))
        event, series = request.param("event_ticker"), request.param("series_ticker")
        rows: list[object] = [
            contract.document()
            for contract in self._floor.contracts.values()
            if (not status or contract.status in _STATUS_FILTERS[status])
            and (not tickers or contract.ticker in tickers)
            and (not event or contract.listing.event_ticker == event)
            and (not series or series == SERIES)
        ]
        page, cursor = _page(rows, request, limit)
        return _json({"markets": page, "cursor": cursor})

    def _market(self, _request: Request, named: tuple[str, ...]) -> Response:
        contract = self._floor.contracts.get(named[0])
        return _NOT_FOUND if contract is None else _json({"market": contract.document()})

    def _one_orderbook(self, request: Request, named: tuple[str, ...]) -> Response:
        contract = self._floor.contracts.get(named[0])
        return _NOT_FOUND if contract is None else _json({"orderbook_fp": _orderbook(contract, self._depth(request))})

    def _depth(self, request: Request) -> int:
        text = request.param("depth")
        if text and not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) <= 100):
            raise _BadParameter("Parameter validation failed for GetMarketOrderbook: depth is not within 0 to 100")
        return int(text or 0)

    def _orderbooks(self, request: Request, _named: tuple[str, ...]) -> Response:
        tickers = request.query.get("tickers", [])
        if not 1 <= len(tickers) <= BOOKS_LIMIT:
            raise _BadParameter(f"Parameter validation failed for GetMarketOrderbooks: 1 to {BOOKS_LIMIT} tickers are required")
        known = (self._floor.contracts.get(ticker) for ticker in tickers)
        rows = [{"ticker": contract.ticker, "orderbook_fp": _orderbook(contract, 0)} for contract in known if contract is not None]
        return _json({"orderbooks": rows})

    def _trades(self, request: Request, _named: tuple[str, ...]) -> Response:
        limit = _limit(request, "GetTrades", MARKETS_LIMIT, MARKETS_DEFAULT)
        ticker = request.param("ticker")
        found = [
            (printed.at, contract, printed)
            for contract in self._floor.contracts.values()
            if not ticker or contract.ticker == ticker
            for printed in contract.tape
        ]
        found.sort(key=lambda row: row[0], reverse=True)
        page, cursor = _page([_trade(contract, printed) for _, contract, printed in found], request, limit)
        return _json({"trades": page, "cursor": cursor})

    def _event(self, request: Request, named: tuple[str, ...]) -> Response:
        contracts = [contract for contract in self._floor.contracts.values() if contract.listing.event_ticker == named[0]]
        if not contracts:
            return _NOT_FOUND
        game = contracts[0].listing.game
        event: dict[str, object] = {
            "event_ticker": named[0],
            "series_ticker": SERIES,
            "title": f"{game.away.city} at {game.home.city}",
            "sub_title": f"{game.away.code} at {game.home.code} ({game.day:%b} {game.day.day})",
            "collateral_return_type": "MECNET",
            "mutually_exclusive": True,
            "exchange_index": EXCHANGE_INDEX,
            "settlement_sources": [{"name": "ESPN", "url": "https://www.espn.com/nba/scoreboard"}],
        }
        markets = [contract.document() for contract in contracts]
        if request.param("with_nested_markets") == "true":
            return _json({"event": event | {"markets": markets}})
        return _json({"event": event, "markets": markets})

    def _series(self, _request: Request, named: tuple[str, ...]) -> Response:
        if named[0] != SERIES:
            return _NOT_FOUND
        series = {
            "ticker": SERIES,
            "title": "Professional Basketball Game",
            "frequency": "custom",
            "category": "Sports",
            "categories": ["Sports"],
            "tags": ["Basketball"],
            "settlement_sources": [{"name": "ESPN", "url": "https://www.espn.com/nba/scoreboard"}],
            "contract_url": "",
            "contract_terms_url": "",
            "fee_type": "quadratic",
            "fee_multiplier": 1,
            "additional_prohibitions": [],
            "exchange_index": EXCHANGE_INDEX,
        }
        return _json({"series": series})

    def _balance(self, _request: Request, _named: tuple[str, ...]) -> Response:
        dollars = f"{_BALANCE_CENTS // 100}.{_BALANCE_CENTS % 100:02d}00"
        document = {
            "balance": _BALANCE_CENTS,
            "balance_breakdown": [{"balance": "0.0000", "exchange_index": 0}, {"balance": dollars, "exchange_index": EXCHANGE_INDEX}],
            "balance_dollars": dollars,
            "portfolio_value": 0,
            "updated_ts": int(self._now()),
        }
        return _json(document)
