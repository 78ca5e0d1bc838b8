"""What the account is shown: money by shard, positions, fills, settlements, lists and their pages."""

from __future__ import annotations

import json

import pytest

from chimera.conventions import Side

A, B, MAKERS = "KXG-1-A", "KXG-1-B", "KXM-1-A"


def test_resting_orders_reserve_their_cash_and_give_it_back(desk) -> None:
    bid = desk.create(count="10.00", price="0.4000", post_only=True)
    assert desk.get("portfolio/balance")["balance_dollars"] == "996.0000"
    ask = desk.create(side="ask", count="10.00", price="0.7000", post_only=True)
    shown = desk.get("portfolio/balance")
    assert (shown["balance_dollars"], shown["balance"]) == ("993.0000", 99_300)
    assert shown["balance_breakdown"] == [
        {"exchange_index": 0, "balance": "0.0000"}, {"exchange_index": 2, "balance": "0.0000"}, {"exchange_index": 3, "balance": "993.0000"}
    ]  # fmt: skip
    value = desk.get("portfolio/summary/total_resting_order_value")
    assert value["total_resting_order_value"] == 700
    for row in (bid, ask):
        desk.cancel(row["order_id"])
    assert desk.get("portfolio/balance")["balance_dollars"] == "1000.0000"


def test_selling_what_is_held_reserves_nothing_but_what_flips_does(desk) -> None:
    desk.public(Side.ASK, 50, 10)
    desk.create(price="0.5000", count="10.00")
    before = desk.get("portfolio/balance")["balance"]
    desk.create(side="ask", price="0.6000", count="10.00", post_only=True)
    assert desk.get("portfolio/balance")["balance"] == before
    desk.create(side="ask", price="0.6000", count="10.00", post_only=True)
    assert desk.get("portfolio/balance")["balance"] == before - 400


def test_a_position_is_signed_and_closing_it_realizes_its_gain(desk) -> None:
    desk.public(Side.ASK, 50, 10)
    desk.create(price="0.5000", count="10.00")
    desk.public(Side.BID, 60, 4)
    desk.create(side="ask", price="0.6000", count="4.00")
    [row] = desk.get("portfolio/positions")["market_positions"]
    assert (row["position_fp"], row["market_exposure_dollars"], row["realized_pnl_dollars"]) == ("6.00", "3.000000", "0.400000")
    [event] = desk.get("portfolio/positions")["event_positions"]
    assert (event["event_ticker"], event["event_exposure_dollars"]) == ("KXG-1", "3.000000")
    assert event["fees_paid_dollars"] == row["fees_paid_dollars"]


def test_buying_yes_while_holding_no_pays_a_dollar_a_pair(desk) -> None:
    desk.public(Side.BID, 40, 10)
    desk.create(side="ask", price="0.4000", count="10.00", post_only=False)
    assert desk.get("portfolio/positions")["market_positions"][0]["position_fp"] == "-10.00"
    desk.public(Side.ASK, 30, 10)
    desk.create(price="0.3000", count="10.00")
    [row] = desk.get("portfolio/positions", settlement_status="all")["market_positions"]
    assert (row["position_fp"], row["realized_pnl_dollars"]) == ("0.00", "1.000000")
    fees = sum(float(fill["fee_cost"]) for fill in desk.get("portfolio/fills")["fills"])
    assert float(desk.get("portfolio/balance")["balance_dollars"]) == pytest.approx(1001 - fees)
    assert desk.get("portfolio/positions", count_filter="position")["market_positions"] == []


def test_a_fill_carries_the_trades_id_and_what_it_cost_maker_or_taker(desk) -> None:
    desk.create(price="0.5000", count="100.00", ticker=MAKERS)
    desk.public(Side.ASK, 50, 100, ticker=MAKERS, immediate=True)
    desk.public(Side.ASK, 50, 100, ticker=MAKERS)
    desk.create(price="0.5000", count="100.00", ticker=MAKERS)
    took, made = desk.get("portfolio/fills")["fills"]
    assert (made["is_taker"], made["fee_cost"], took["is_taker"], took["fee_cost"]) == (False, "0.437500", True, "1.750000")
    printed = desk.get("markets/trades", ticker=MAKERS)["trades"]
    assert {row["trade_id"] for row in printed} == {took["trade_id"], made["trade_id"]}
    assert took["fill_id"] == took["trade_id"]


def test_equal_fills_of_one_order_need_not_cost_the_same(desk) -> None:
    made = desk.create(price="0.5200", count="5.00", ticker=MAKERS)
    desk.cancel(made["order_id"])
    for _ in range(5):
        desk.public(Side.ASK, 52, 1)
    desk.create(price="0.5200", count="5.00")
    fees = [fill["fee_cost"] for fill in desk.get("portfolio/fills")["fills"]][::-1]
    assert fees == ["0.017500", "0.017500", "0.017500", "0.017400", "0.017500"]


def test_winning_and_losing_positions_are_paid_and_settle(desk) -> None:
    for ticker in (A, B):
        desk.public(Side.ASK, 50, 4, ticker=ticker)
        desk.create(ticker=ticker, price="0.5000", count="4.00")
    desk.create(price="0.1000", count="1.00")
    before = float(desk.get("portfolio/balance")["balance_dollars"])
    desk.faults(f"determine:market={A};determine:market={B}")
    assert desk.member.open_orders == 0
    assert desk.refused() == (400, "market_already_closed")
    desk.pass_time(61)
    rows = desk.get("portfolio/settlements")["settlements"]
    assert {(row["ticker"], row["market_result"], row["revenue"], row["value"], row["yes_count_fp"]) for row in rows} == {
        (A, "yes", 400, 100, "4.00"), (B, "no", 0, 0, "4.00")
    }  # fmt: skip
    assert rows[0]["yes_total_cost_dollars"] == "2.000000"
    after = desk.get("portfolio/balance")
    assert float(after["balance_dollars"]) == pytest.approx(before + 0.1 + 4.0)
    assert after["portfolio_value"] == 0
    assert desk.get("portfolio/positions")["market_positions"] == []
    settled = desk.get("portfolio/positions", settlement_status="settled")["market_positions"]
    assert {(row["ticker"], row["realized_pnl_dollars"]) for row in settled} == {(A, "2.000000"), (B, "-2.000000")}
    assert desk.get(f"markets/{A}")["market"]["status"] == "finalized"


def test_the_portfolio_is_valued_at_the_last_price(desk) -> None:
    desk.public(Side.ASK, 50, 4)
    desk.create(price="0.5000", count="4.00")
    desk.public(Side.ASK, 70, 1)
    desk.public(Side.BID, 70, 1, immediate=True)
    assert desk.get("portfolio/balance")["portfolio_value"] == 280


def test_orders_are_listed_newest_first_page_by_page_while_more_arrive(desk) -> None:
    made = [desk.create(price=f"0.{cents}00")["order_id"] for cents in range(20, 27)]
    first = desk.get("portfolio/orders", limit=3)
    desk.create(price="0.3000")
    second = desk.get("portfolio/orders", limit=3, cursor=first["cursor"])
    third = desk.get("portfolio/orders", limit=3, cursor=second["cursor"])
    assert [row["order_id"] for page in (first, second, third) for row in page["orders"]] == made[::-1]
    assert third["cursor"] == ""
    assert desk.get("portfolio/orders", limit=3, cursor="garbage")["orders"][0]["yes_price_dollars"] == "0.3000"


def test_orders_are_filtered(desk) -> None:
    kept, gone = desk.create(), desk.create(ticker=B)
    desk.cancel(gone["order_id"])
    wanted = [
        ({"status": "resting"}, [kept]),
        ({"status": "canceled"}, [gone]),
        ({"ticker": B}, [gone]),
        ({"event_ticker": "KXG-1"}, [gone, kept]),
        ({"event_ticker": "KXC-1"}, []),
        ({"exchange_index": 0}, []),
        ({"subaccount": 1}, []),
        ({"max_ts": 1}, []),
        ({"min_ts": 1}, [gone, kept]),
    ]
    for query, rows in wanted:
        assert [row["order_id"] for row in desk.get("portfolio/orders", **query)["orders"]] == [row["order_id"] for row in rows], query
    assert desk.ask("GET", "portfolio/orders", status="open").status == 400
    assert desk.ask("GET", "portfolio/orders", limit=1001).status == 400


def test_the_queue_counts_better_prices_and_earlier_orders(desk) -> None:
    desk.public(Side.BID, 41, 3)
    desk.public(Side.BID, 40, 2)
    mine = desk.create()
    desk.public(Side.BID, 40, 9)
    [row] = desk.get("portfolio/orders/queue_positions", market_tickers=A)["queue_positions"]
    assert row == {"order_id": mine["order_id"], "market_ticker": A, "queue_position_fp": "5.00"}
    assert desk.ask("GET", "portfolio/orders/queue_positions").status == 400


def test_keys_are_listed_with_the_regions_expiry_and_trading_ends_with_it(desk) -> None:
    shown = desk.get("api_keys")
    assert shown["api_keys"][0]["api_key_id"] == desk.signer.key_id
    assert shown["api_key_region_expiration_ts"] > desk.clock.time
    mine = desk.create()
    desk.faults("region:in=0")
    assert desk.get("api_keys")["api_key_region_expiration_ts"] <= desk.clock.time
    assert desk.refused() == (403, "region_not_allowed")
    assert desk.cancel(mine["order_id"]).status == 200
    assert desk.refused(ticker="KXC-1-A", exchange_index=2)[1] != "region_not_allowed"


def test_a_member_who_was_never_on_a_shard_is_unknown_there(desk) -> None:
    del desk.member.ledger.cash[2]
    assert desk.refused(ticker="KXC-1-A", exchange_index=2) == (404, "user_not_found")


def test_candles_tell_each_minute_and_join_to_hours(desk) -> None:
    start = int(desk.clock.time)
    for cents in (50, 60, 55):
        desk.public(Side.ASK, cents, 2)
        desk.public(Side.BID, cents, 2, immediate=True)
        desk.pass_time(60)
    query = {"start_ts": start, "end_ts": start + 3600 * 2}
    path = f"series/KXG/markets/{A}/candlesticks"
    minutes = desk.get(path, period_interval=1, **query)["candlesticks"]
    assert [row["price"]["close_dollars"] for row in minutes] == ["0.5000", "0.6000", "0.5500"]
    assert [row["price"]["previous_dollars"] for row in minutes] == [None, "0.5000", "0.6000"]
    hours = desk.get(path, period_interval=60, **query)["candlesticks"]
    assert sum(float(row["volume_fp"]) for row in hours) == 6
    assert hours[0]["price"]["open_dollars"] == "0.5000"
    batch = desk.get("markets/candlesticks", market_tickers=f"{A},{B}", period_interval=1, **query)["markets"]
    assert [row["market_ticker"] for row in batch] == [A, B]
    assert desk.ask("GET", path, period_interval=5, **query).status == 400


@pytest.mark.parametrize("path", ["exchange/status", "exchange/schedule", "exchange/user_data_timestamp", "historical/cutoff", "events",
                                  "series", "events/fee_changes", "series/fee_changes", "account/endpoint_costs"])  # fmt: skip
def test_public_reads_need_no_signature(desk, path: str) -> None:
    from chimera.sim.server import Request, Response

    answer = desk.site.respond(Request("GET", f"/trade-api/v2/{path}", {}, {}))
    assert isinstance(answer, Response)
    assert (answer.status, bool(json.loads(answer.body))) == (200, True)
