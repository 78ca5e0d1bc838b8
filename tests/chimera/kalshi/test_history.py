"""What has traded, what is scheduled, and what will be charged, through the client that reads it."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest
from trio.testing import MockClock

from chimera.clock import VirtualClock
from chimera.conventions import Side
from chimera.kalshi import decode_history
from chimera.kalshi.auth import Signer
from chimera.kalshi.failures import OutcomeUnknown
from chimera.kalshi.rest import KalshiRest
from chimera.kalshi.schema import Bar, Candle, EventFeeChange, Hours, SeriesFeeChange
from chimera.kalshi.session import ExchangeSession

TRADE = {
    "trade_id": "t",
    "ticker": "M",
    "count_fp": "7.77",
    "yes_price_dollars": "0.0300",
    "no_price_dollars": "0.9700",
    "taker_book_side": "ask",
    "created_time": "2026-06-15T15:48:42.5Z",
    "is_block_trade": False,
}
BAR = {"open_dollars": "0.4000", "low_dollars": "0.3900", "high_dollars": "0.4200", "close_dollars": "0.4100"}
CANDLE = {
    "end_period_ts": 60,
    "yes_bid": BAR,
    "yes_ask": BAR,
    "price": {"mean_dollars": None},
    "volume_fp": "3.00",
    "open_interest_fp": "1.50",
}
WEEK = {"start_time": "2026-11-16T00:00:00Z", "end_time": "2026-11-23T00:00:00Z"}


@pytest.fixture
async def over(autojump_clock: MockClock, ed25519_key, table_door):
    """A client over a table of answers."""
    session = ExchangeSession(
        Signer("key-id-abcdef", ed25519_key), VirtualClock(origin_unix=1.0), rest_url="https://exchange.test", ws_url="wss://exchange.test"
    )

    def make(answers: dict[str, object]) -> KalshiRest:
        table = {f"kalshi.rest {path}": [(200, json.dumps(body).encode())] for path, body in answers.items()}
        return KalshiRest(table_door(table), session, random.Random(7))

    return make


async def test_trades_of_a_span_come_once_each_over_pages(over) -> None:
    client = over(
        {
            "/markets/trades?limit=1000&max_ts=9&min_ts=5&ticker=M": {"trades": [TRADE], "cursor": "c"},
            "/markets/trades?cursor=c&limit=1000&max_ts=9&min_ts=5&ticker=M": {"trades": [TRADE, TRADE | {"trade_id": "u"}]},
        }
    )
    trades = await client.trades("M", since=5.5, until=9.9)
    assert [trade.trade_id for trade in trades] == ["t", "u"]
    assert (trades[0].price, trades[0].count, trades[0].taker_side, trades[0].at) == (300, 777, Side.ASK, 1781538522.5)


async def test_a_trade_that_names_no_side_makes_the_list_an_error(over) -> None:
    sideless = {name: value for name, value in TRADE.items() if name != "taker_book_side"}
    with pytest.raises(OutcomeUnknown, match="no field names the side"):
        await over({"/markets/trades?limit=1000": {"trades": [sideless]}}).trades()


async def test_candles_of_one_market_and_of_many(over) -> None:
    span = "end_ts=100&"
    client = over(
        {
            f"/series/S/markets/M/candlesticks?{span}period_interval=1&start_ts=0": {"ticker": "M", "candlesticks": [CANDLE]},
            f"/markets/candlesticks?{span}market_tickers=M,N&period_interval=60&start_ts=0": {
                "markets": [{"market_ticker": "M", "candlesticks": [CANDLE]}, {"market_ticker": "N", "candlesticks": []}]
            },
        }
    )
    bar = Bar(4000, 3900, 4200, 4100)
    expected = Candle(60.0, bar, bar, Bar(), 300, 150)
    assert await client.candlesticks("S", "M", 0.0, 100.0, 1) == (expected,)
    assert await client.candlestick_lists(["M", "N"], 0.0, 100.0, 60) == {"M": (expected,), "N": ()}


async def test_fee_changes_of_series_and_events(over) -> None:
    at = "2026-12-01T05:00:00Z"
    series = {"id": "1", "series_ticker": "S", "fee_type": "quadratic", "fee_multiplier": 0.5, "scheduled_ts": at}
    event = {"id": "2", "event_ticker": "E", "series_ticker": "S", "fee_type_override": None, "scheduled_ts": at}
    client = over(
        {
            "/series/fee_changes?series_ticker=S&show_historical=true": {"series_fee_change_arr": [series]},
            "/events/fee_changes": {"event_fee_changes": [event], "cursor": ""},
        }
    )
    assert await client.series_fee_changes("S", historical=True) == (SeriesFeeChange("1", "S", "quadratic", 0.5, 1796101200.0),)
    assert await client.event_fee_changes() == (EventFeeChange("2", "E", "S", None, None, 1796101200.0),)


async def test_the_schedule_tells_hours_and_maintenance(over) -> None:
    days = {"monday": [{"open_time": "08:00", "close_time": "24:00"}], "thursday": [{"open_time": "00:00", "close_time": "03:00"}]}
    windows = [{"start_datetime": "2026-11-19T08:00:00Z", "end_datetime": "2026-11-19T10:00:00Z"}]
    client = over({"/exchange/schedule": {"schedule": {"standard_hours": [WEEK | days], "maintenance_windows": windows}}})
    schedule = await client.exchange_schedule()
    assert schedule.weeks[0].days == ((Hours(480, 1440),), (), (), (Hours(0, 180),), (), (), ())
    start = 1795075200.0
    assert [schedule.in_maintenance(start + offset) for offset in (-1, 0, 7199, 7200)] == [False, True, True, False]


@pytest.mark.parametrize("clock", ["8", "25:00", "08:60", "noon", ""])
async def test_an_hour_that_is_none_is_refused(over, clock: str) -> None:
    week = WEEK | {"monday": [{"open_time": clock, "close_time": "09:00"}]}
    with pytest.raises(OutcomeUnknown, match="time of day"):
        await over({"/exchange/schedule": {"schedule": {"standard_hours": [week]}}}).exchange_schedule()


async def test_as_of_when_our_own_data_are(over) -> None:
    assert await over({"/exchange/user_data_timestamp": {"as_of_time": "2026-12-01T05:00:00Z"}}).user_data_timestamp() == 1796101200.0


async def test_series_and_events_are_listed_with_their_markets(over) -> None:
    market = {
        "ticker": "M",
        "event_ticker": "E",
        "status": "active",
        "open_time": "2026-06-11T05:39:29Z",
        "close_time": "2026-06-25T16:00:00Z",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "exchange_index": 3,
    }
    client = over(
        {
            "/series?category=Sports": {"series": [{"ticker": "S", "fee_type": "quadratic", "fee_multiplier": 1}]},
            "/events?series_ticker=S&status=open&with_nested_markets=true": {
                "events": [{"event_ticker": "E", "series_ticker": "S", "markets": [market], "exchange_index": 3}],
                "cursor": "",
            },
        }
    )
    assert [series.ticker for series in await client.all_series(category="Sports")] == ["S"]
    (event,) = await client.events(series_ticker="S", status="open")
    assert (event.event_ticker, event.exchange_index, event.markets[0].exchange_index) == ("E", 3, 3)


@pytest.mark.data
def test_every_recorded_trade_is_read(shared_data: Path) -> None:
    rows = json.loads((shared_data / "kalshi/demo_rest_ws/trades__public_recorded.json").read_bytes())["trades"]
    trades = [decode_history.trade(json.dumps(row).encode()) for row in rows]
    assert (trades[0].price, trades[0].count, trades[0].taker_side) == (300, 777, Side.BID)
    assert all(earlier.at <= later.at for later, earlier in itertools.pairwise(trades))
