"""Public REST reads: the exchange's state, markets, books, trades, candles, events, series and their fees."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from zoneinfo import ZoneInfo

from chimera.conventions import Count, Price, Side, complement, format_count, format_price
from chimera.markets import Status
from chimera.sim.exchange.candles import Candles
from chimera.sim.exchange.exchange import Exchange, FeeOverride
from chimera.sim.exchange.floor import OVER, Contract, Print
from chimera.sim.exchange.forms import NOT_FOUND, BadParameter, Call, answer, choice_of, limit_of, names_of, number_of, page
from chimera.sim.exchange.listing import rfc3339
from chimera.sim.server import Request, Response

MARKETS_LIMIT = 1000
MARKETS_DEFAULT = 100
EVENTS_LIMIT = 200
BOOKS_LIMIT = 100
CANDLES_LIMIT = 10_000
_EASTERN = ZoneInfo("America/New_York")
_MINUTES = ("1", "60", "1440")
_STATUS_FILTERS: dict[str, frozenset[Status]] = {
    "unopened": frozenset({Status.INITIALIZED}),
    "open": frozenset({Status.ACTIVE}),
    "paused": frozenset({Status.INACTIVE}),
    "closed": frozenset({Status.CLOSED}) | (OVER - {Status.FINALIZED}),
    "settled": frozenset({Status.FINALIZED}),
}
_SHARDS = {0: "Default", 1: "Combos", 2: "Crypto", 3: "Sports"}


def leg_levels(levels: Iterable[tuple[Price, Count]]) -> list[list[str]]:
    """Levels as Kalshi writes them: ascending, the best last."""
    return [[format_price(price), format_count(count)] for price, count in sorted(levels)]


def orderbook(contract: Contract, depth: int) -> dict[str, object]:
    """Bids of both legs, the NO leg at its own prices; the best `depth` levels, 0 for all."""
    cut = depth or None
    yes = contract.book.levels(Side.BID)[:cut]
    no = [(complement(price), count) for price, count in contract.book.levels(Side.ASK)[:cut]]
    return {"yes_dollars": leg_levels(yes), "no_dollars": leg_levels(no)}


def trade_document(contract: Contract, printed: Print) -> dict[str, object]:
    """A public trade."""
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


class MarketReads:
    """The handlers, over an exchange and its candles."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._contracts = exchange.floor.contracts
        self._candles = Candles(exchange.floor)

    # The exchange

    def status(self, call: Call) -> Response:
        paused, closed = self._exchange.floor.paused, self._exchange.entry.closed_shards
        rows = [
            {
                "exchange_index": index,
                "description": _SHARDS.get(index, f"Shard {index}"),
                "exchange_active": index not in closed,
                "trading_active": index not in paused,
                "intra_exchange_transfers_active": index not in closed,
            }
            for index in self._exchange.floor.shards
        ]
        top = {key: rows[0][key] for key in ("exchange_active", "trading_active", "intra_exchange_transfers_active")}
        return answer(
            top | {"exchange_estimated_resume_time": None, "exchange_index_statuses": rows}, self._exchange.status_http
        )

    def schedule(self, call: Call) -> Response:
        """Always open but for Thursday 03:00 to 05:00 Eastern. Announced are the next such window and the maintenance that a fault brings.

        Nothing happens on a Thursday by itself: a world would be a different one by the day it is run on.
        """
        days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
        week: dict[str, object] = {day: [{"open_time": "00:00", "close_time": "00:00"}] for day in days}
        week["thursday"] = [{"open_time": "00:00", "close_time": "03:00"}, {"open_time": "05:00", "close_time": "00:00"}]
        local = dt.datetime.fromtimestamp(call.now, _EASTERN)
        start = local.replace(hour=3, minute=0, second=0, microsecond=0) + dt.timedelta(days=(3 - local.weekday()) % 7)
        if start + dt.timedelta(hours=2) <= local:
            start += dt.timedelta(days=7)
        begin = dt.datetime(2026, 1, 1, tzinfo=_EASTERN).isoformat()
        hours = {"start_time": begin, "end_time": dt.datetime(2036, 1, 1, tzinfo=_EASTERN).isoformat(), **week}
        windows = [*self._exchange.mischief.windows(), (start.timestamp(), start.timestamp() + 7_200.0)]
        rows = [{"start_datetime": _eastern(begins), "end_datetime": _eastern(ends)} for begins, ends in sorted(windows)]
        return answer({"schedule": {"standard_hours": [hours], "maintenance_windows": rows}})

    def user_data_timestamp(self, call: Call) -> Response:
        return answer({"as_of_time": rfc3339(call.as_of)})

    def cutoff(self, call: Call) -> Response:
        old = rfc3339(call.now - 90 * 86_400)
        names = ("market_settled_ts", "trades_created_ts", "orders_updated_ts", "market_positions_last_updated_ts")
        return answer(dict.fromkeys(names, old))

    # Markets

    def markets(self, call: Call) -> Response:
        request = call.request
        limit = limit_of(request, "GetMarkets", MARKETS_LIMIT, MARKETS_DEFAULT)
        status = choice_of(request, "status", "GetMarkets", _STATUS_FILTERS)
        tickers = names_of(request, "tickers", most=MARKETS_LIMIT)
        event, series = request.param("event_ticker"), request.param("series_ticker")
        within = _close_window(request)
        rows = [
            contract
            for contract in self._contracts.values()
            if (not status or contract.status in _STATUS_FILTERS[status])
            and (not tickers or contract.ticker in tickers)
            and (not event or contract.listing.event_ticker == event)
            and (not series or contract.listing.series_ticker == series)
            and within(contract)
        ]
        found, cursor = page(rows, request, limit)
        return answer({"markets": [contract.document() for contract in found], "cursor": cursor})

    def market(self, call: Call) -> Response:
        contract = self._contracts.get(call.named[0])
        return NOT_FOUND if contract is None else answer({"market": contract.document()})

    def one_orderbook(self, call: Call) -> Response:
        contract = self._contracts.get(call.named[0])
        depth = number_of(call.request, "depth", "GetMarketOrderbook") or 0
        if depth > 100:
            raise BadParameter("Parameter validation failed for GetMarketOrderbook: depth is not within 0 to 100")
        return NOT_FOUND if contract is None else answer({"orderbook_fp": orderbook(contract, depth)})

    def orderbooks(self, call: Call) -> Response:
        tickers = call.request.query.get("tickers", [])
        if not 1 <= len(tickers) <= BOOKS_LIMIT:
            raise BadParameter(f"Parameter validation failed for GetMarketOrderbooks: 1 to {BOOKS_LIMIT} tickers are required")
        known = (self._contracts.get(ticker) for ticker in tickers)
        rows = [{"ticker": contract.ticker, "orderbook_fp": orderbook(contract, 0)} for contract in known if contract is not None]
        return answer({"orderbooks": rows})

    def trades(self, call: Call) -> Response:
        request = call.request
        limit = limit_of(request, "GetTrades", MARKETS_LIMIT, MARKETS_DEFAULT)
        ticker = request.param("ticker")
        since, until = number_of(request, "min_ts", "GetTrades"), number_of(request, "max_ts", "GetTrades")
        found = [
            (printed.at, contract, printed)
            for contract in self._contracts.values()
            if not ticker or contract.ticker == ticker
            for printed in reversed(contract.tape)
            if (since is None or printed.at >= since) and (until is None or printed.at <= until)
        ]
        if request.param("is_block_trade") == "true":
            found = []
        found.sort(key=lambda row: row[0], reverse=True)
        rows, cursor = page(found, request, limit)
        return answer({"trades": [trade_document(contract, printed) for _, contract, printed in rows], "cursor": cursor})

    # Candles

    def candlesticks(self, call: Call) -> Response:
        contract = self._contracts.get(call.named[1])
        start, end, minutes, before = _period(call.request)
        if contract is None or contract.listing.series_ticker != call.named[0]:
            return NOT_FOUND
        rows = self._candles.periods(contract.ticker, start, end, minutes, before=before)
        return answer({"ticker": contract.ticker, "candlesticks": [row.document() for row in rows]})

    def batch_candlesticks(self, call: Call) -> Response:
        start, end, minutes, before = _period(call.request)
        found = []
        for ticker in filter(None, call.request.param("market_tickers").split(",")):
            if ticker in self._contracts:
                rows = self._candles.periods(ticker, start, end, minutes, before=before)
                found.append({"market_ticker": ticker, "candlesticks": [row.document() for row in rows]})
        if len(found) > BOOKS_LIMIT or sum(len(row["candlesticks"]) for row in found) > CANDLES_LIMIT:
            raise BadParameter("Parameter validation failed for BatchGetMarketCandlesticks: more than 100 markets or 10000 candlesticks")
        return answer({"markets": found})

    # Events and series

    def event(self, call: Call) -> Response:
        contracts = self._of_event(call.named[0])
        if not contracts:
            return NOT_FOUND
        event = self._event_document(contracts[0])
        markets = [contract.document() for contract in contracts]
        if call.request.param("with_nested_markets") == "true":
            return answer({"event": event | {"markets": markets}})
        return answer({"event": event, "markets": markets})

    def events(self, call: Call) -> Response:
        request = call.request
        limit = limit_of(request, "GetEvents", EVENTS_LIMIT, EVENTS_LIMIT)
        status = choice_of(request, "status", "GetEvents", _STATUS_FILTERS)
        series, tickers = request.param("series_ticker"), names_of(request, "tickers")
        names = dict.fromkeys(
            contract.listing.event_ticker
            for contract in self._contracts.values()
            if (not status or contract.status in _STATUS_FILTERS[status])
            and (not series or contract.listing.series_ticker == series)
            and (not tickers or contract.listing.event_ticker in tickers)
        )
        found, cursor = page(list(names), request, limit)
        nested = request.param("with_nested_markets") == "true"
        rows = []
        for name in found:
            contracts = self._of_event(name)
            more = {"markets": [contract.document() for contract in contracts]} if nested else {}
            rows.append(self._event_document(contracts[0]) | more)
        return answer({"events": rows, "cursor": cursor})

    def event_fee_changes(self, call: Call) -> Response:
        limit = limit_of(call.request, "GetEventFeeChanges", 1000, 100)
        wanted = call.request.param("event_ticker")
        rows = [row for row in self._exchange.overrides if not wanted or row.event_ticker == wanted]
        found, cursor = page(rows, call.request, limit)
        return answer({"event_fee_changes": [_fee_change(row) for row in found], "cursor": cursor})

    def series(self, call: Call) -> Response:
        fields = self._series_fields().get(call.named[0])
        return NOT_FOUND if fields is None else answer({"series": fields})

    def all_series(self, call: Call) -> Response:
        category = call.request.param("category")
        rows = [fields for fields in self._series_fields().values() if category in ("", fields.get("category"))]
        return answer({"series": rows})

    def series_fee_changes(self, call: Call) -> Response:
        """No series' fee ever changes here; events override it."""
        return answer({"series_fee_change_arr": []})

    def _of_event(self, event_ticker: str) -> list[Contract]:
        return [contract for contract in self._contracts.values() if contract.listing.event_ticker == event_ticker]

    def _event_document(self, contract: Contract) -> dict[str, object]:
        found = self._exchange.override(contract.listing.event_ticker)
        if found is None:
            return contract.listing.event_fields
        multiplier = None if found.multiplier is None else float(found.multiplier)
        return contract.listing.event_fields | {"fee_type_override": found.fee_type, "fee_multiplier_override": multiplier}

    def _series_fields(self) -> dict[str, dict[str, object]]:
        return {contract.listing.series_ticker: contract.listing.series_fields for contract in self._contracts.values()}


def _eastern(unix: float) -> str:
    return dt.datetime.fromtimestamp(unix, _EASTERN).isoformat()


def _fee_change(row: FeeOverride) -> dict[str, object]:
    return {
        "id": f"{row.event_ticker}-{int(row.since * 1000)}",
        "event_ticker": row.event_ticker,
        "series_ticker": row.series_ticker,
        "fee_type_override": row.fee_type,
        "fee_multiplier_override": None if row.multiplier is None else float(row.multiplier),
        "scheduled_ts": rfc3339(row.since),
    }


def _close_window(request: Request) -> Callable[[Contract], bool]:
    least = number_of(request, "min_close_ts", "GetMarkets")
    most = number_of(request, "max_close_ts", "GetMarkets")
    return lambda contract: (least is None or contract.closes_at >= least) and (most is None or contract.closes_at <= most)


def _period(request: Request) -> tuple[int, int, int, bool]:
    """(start, end, minutes, before) of a candle query; BadParameter where one is missing or wrong."""
    operation = "GetMarketCandlesticks"
    start, end = number_of(request, "start_ts", operation), number_of(request, "end_ts", operation)
    interval = choice_of(request, "period_interval", operation, _MINUTES)
    if start is None or end is None or not interval:
        raise BadParameter(f"Parameter validation failed for {operation}: start_ts, end_ts and period_interval are required")
    return start, end, int(interval), request.param("include_latest_before_start") == "true"


