"""The REST API: documents as Kalshi shapes them, filters, pages, errors, and the life of a market."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chimera.conventions import Side, format_count, format_price
from chimera.kalshi import decode
from chimera.markets import Market, Status, TeamWins, parse_market

MARKETS = "/trade-api/v2/markets"


async def test_the_markets_are_four_games_of_two(sim) -> None:
    markets = (await sim.get(MARKETS, series_ticker="KXNBAGAME", status="open")).json()["markets"]
    assert len(markets) == 8
    assert len({market["event_ticker"] for market in markets}) == 4
    assert {market["exchange_index"] for market in markets} == {3}


@pytest.mark.data
async def test_a_market_has_the_fields_of_a_recorded_one(sim, shared_data: Path) -> None:
    recorded = json.loads((shared_data / "kalshi/demo_rest_ws/markets__single.json").read_text())["market"]
    gone = {"liquidity_dollars", "response_price_units", "fractional_trading_enabled", "expiration_time", "custom_strike"}
    market = (await sim.get(f"{MARKETS}/{sim.site.games[0].away.code}")).json()
    assert market == {"error": {"code": "not_found", "message": "not found"}}
    market = (await sim.get(f"{MARKETS}/{next(iter(sim.site.floor.contracts))}")).json()["market"]
    assert set(recorded) - gone <= set(market)
    assert all(type(market[name]) is type(recorded[name]) for name in set(recorded) - gone)


async def test_a_trader_understands_every_market(sim) -> None:
    series = decode.series((await sim.get("/trade-api/v2/series/KXNBAGAME")).content)
    for ticker, contract in sim.site.floor.contracts.items():
        market = parse_market(decode.single_market((await sim.get(f"{MARKETS}/{ticker}")).content), series)
        assert isinstance(market, Market)
        assert isinstance(market.meaning, TeamWins)
        assert market.meaning.team.code == contract.listing.club.code
        assert market.meaning.home is (contract.listing.club is contract.listing.game.home)
        assert market.status is Status.ACTIVE


async def test_pages_follow_one_another_and_end_with_an_empty_cursor(sim) -> None:
    seen: list[str] = []
    cursor = ""
    for _ in range(3):
        page = (await sim.get(MARKETS, limit=3, cursor=cursor)).json()
        seen += [market["ticker"] for market in page["markets"]]
        cursor = page["cursor"]
    assert (seen, cursor) == (list(sim.site.floor.contracts), "")


async def test_a_garbage_cursor_gives_the_first_page(sim) -> None:
    first = (await sim.get(MARKETS, limit=1)).json()
    assert (await sim.get(MARKETS, limit=1, cursor="%%garbage%%")).json() == first


@pytest.mark.data
async def test_a_limit_over_the_maximum_is_refused_in_the_recorded_words(sim, shared_data: Path) -> None:
    answer = await sim.get(MARKETS, limit=1001)
    recorded = json.loads((shared_data / "kalshi/demo_rest_ws/markets__limit_over_max.json").read_text())
    assert (answer.status_code, answer.json()) == (400, recorded)


@pytest.mark.parametrize("query", [{"limit": "many"}, {"status": "lost"}, {"limit": "9" * 30}])
async def test_a_bad_parameter_is_a_bare_message(sim, query: dict[str, str]) -> None:
    answer = await sim.get(MARKETS, **query)
    assert answer.status_code == 400
    assert set(answer.json()) == {"msg"}


async def test_filters_choose_by_event_and_ticker(sim) -> None:
    first, second, *_ = sim.site.floor.contracts.values()
    event = (await sim.get(MARKETS, event_ticker=first.listing.event_ticker)).json()["markets"]
    assert [market["ticker"] for market in event] == [first.ticker, second.ticker]
    named = (await sim.get(MARKETS, tickers=f"{second.ticker},NONE")).json()["markets"]
    assert [market["ticker"] for market in named] == [second.ticker]
    assert (await sim.get(MARKETS, series_ticker="KXNHLGAME")).json()["markets"] == []


async def test_an_orderbook_shows_bids_of_both_legs_best_last(sim) -> None:
    ticker, contract = next(iter(sim.site.floor.contracts.items()))
    shown = (await sim.get(f"{MARKETS}/{ticker}/orderbook")).json()["orderbook_fp"]
    best, count = contract.book.levels(Side.BID)[0]
    assert shown["yes_dollars"][-1] == [format_price(best), format_count(count)]
    assert float(shown["yes_dollars"][-1][0]) + float(shown["no_dollars"][-1][0]) < 1
    assert len((await sim.get(f"{MARKETS}/{ticker}/orderbook", depth=2)).json()["orderbook_fp"]["no_dollars"]) == 2
    many = (await sim.get(f"{MARKETS}/orderbooks", tickers=ticker)).json()["orderbooks"]
    assert many == [{"ticker": ticker, "orderbook_fp": shown}]


async def test_trades_come_newest_first(sim) -> None:
    sim.pass_time(20)
    trades = (await sim.get(f"{MARKETS}/trades", limit=50)).json()["trades"]
    assert len(trades) > 10
    times = [trade["created_time"] for trade in trades]
    assert times == sorted(times, reverse=True)


async def test_an_event_lists_its_markets(sim) -> None:
    contract = next(iter(sim.site.floor.contracts.values()))
    path = f"/trade-api/v2/events/{contract.listing.event_ticker}"
    plain = (await sim.get(path)).json()
    nested = (await sim.get(path, with_nested_markets="true")).json()
    assert len(plain["markets"]) == 2
    assert nested["event"]["markets"] == plain["markets"]


async def test_the_series_charges_takers_only(sim) -> None:
    series = (await sim.get("/trade-api/v2/series/KXNBAGAME")).json()["series"]
    assert (series["fee_type"], series["fee_multiplier"]) == ("quadratic", 1)


@pytest.mark.data
async def test_account_limits_are_those_recorded_and_are_signed(sim, shared_data: Path) -> None:
    path = "/trade-api/v2/account/limits"
    assert (await sim.get(path)).status_code == 401
    recorded = json.loads((shared_data / "kalshi/demo_rest_ws/account__limits.json").read_text())
    assert (await sim.get(path, sim.headers(path))).json() == recorded


async def test_a_game_that_ends_is_determined_and_then_paid(sim) -> None:
    game = sim.site.games[0]
    ticker = next(iter(sim.site.floor.contracts))
    history = []
    for at in (game.end + 19, game.end + 21, game.end + 31):
        sim.pass_time(at - sim.clock.time)
        market = (await sim.get(f"{MARKETS}/{ticker}")).json()["market"]
        history.append((market["status"], market["result"], market.get("settlement_value_dollars"), market["yes_bid_size_fp"] != "0.00"))
    won = not game.home_won  # the away side is listed first
    result = ("yes", "1.0000") if won else ("no", "0.0000")
    assert [row[:3] for row in history] == [("active", "", None), ("determined", *result), ("finalized", *result)]
    assert not history[1][3]
    settled = (await sim.get(MARKETS, status="settled")).json()["markets"]
    assert len(settled) == 2
