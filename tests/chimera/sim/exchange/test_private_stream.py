"""What the account is told on the stream: its orders, fills and positions, its own ids on book deltas, and tickers."""

from __future__ import annotations

import pytest

from chimera.conventions import CENT, Side

A, B = "KXG-1-A", "KXG-1-B"


def test_an_orders_life_is_told_without_sequence_numbers(desk) -> None:
    ear = desk.listen("user_orders", "fill", "market_positions")
    made = desk.create(count="3.00")
    desk.public(Side.ASK, 40, 1, immediate=True)
    desk.cancel(made["order_id"])
    assert all("seq" not in message for message in ear.heard)
    told = [(m["status"], m["fill_count_fp"], m["remaining_count_fp"], m.get("last_update_reason")) for m in ear.of("user_order")]
    assert told == [("resting", "0.00", "3.00", None), ("resting", "1.00", "2.00", "Trade"), ("canceled", "1.00", "0.00", None)]
    [fill] = ear.of("fill")
    assert (fill["order_id"], fill["client_order_id"], fill["is_taker"]) == (made["order_id"], made["client_order_id"], False)
    assert (fill["count_fp"], fill["post_position_fp"], fill["exchange_index"]) == ("1.00", "1.00", 3)
    [position] = ear.of("market_position")
    assert (position["position_fp"], position["position_cost_dollars"]) == ("1.00", "0.400000")


def test_the_fill_the_trade_and_rest_share_one_id(desk) -> None:
    ear = desk.listen("fill", "trade")
    desk.public(Side.ASK, 40, 1)
    desk.create()
    [fill], [trade] = ear.of("fill"), ear.of("trade")
    assert fill["trade_id"] == trade["trade_id"] == desk.get("portfolio/fills")["fills"][0]["fill_id"]
    assert fill["ts_ms"] == trade["ts_ms"]


def test_deltas_of_own_orders_carry_the_client_id_and_others_do_not(desk) -> None:
    ear = desk.listen("orderbook_delta", tickers=[A])
    made = desk.create()
    desk.public(Side.BID, 40, 1)
    desk.public(Side.ASK, 40, 1, immediate=True)
    desk.public(Side.ASK, 40, 1, immediate=True)
    ids = [msg.get("client_order_id") for msg in ear.of("orderbook_delta")]
    assert ids == [made["client_order_id"], None, made["client_order_id"], None]


def test_another_members_orders_are_not_told(desk) -> None:
    from chimera.conventions import DOLLAR
    from chimera.sim.exchange.engine import SelfTrade
    from chimera.sim.exchange.orders import Lasting, NewOrder

    other = desk.exchange.members.join("other", {3: 10 * DOLLAR})
    ear = desk.listen("user_orders", "fill", "market_positions", "orderbook_delta", "order_group_updates", tickers=[A])
    new = NewOrder(A, Side.BID, 40 * CENT, 100, Lasting.GTC, SelfTrade.MAKER, "theirs")
    theirs = desk.exchange.entry.create(other, new, desk.clock.time)
    desk.exchange.groups.create(other, 3, 100, desk.clock.time)
    desk.public(Side.ASK, 40, 1, immediate=True)
    assert [message["type"] for message in ear.heard] == ["orderbook_delta", "orderbook_delta"]
    assert all("client_order_id" not in msg for msg in ear.of("orderbook_delta"))
    assert desk.ask("GET", f"portfolio/orders/{theirs.order_id}").status == 404
    assert desk.cancel(theirs.order_id).status == 404


def test_private_channels_can_be_narrowed_to_markets(desk) -> None:
    ear = desk.listen("user_orders", tickers=[B])
    desk.create(ticker=A)
    desk.create(ticker=B)
    assert [msg["ticker"] for msg in ear.of("user_order")] == [B]


def test_the_ticker_follows_the_top_of_the_book_and_the_trades(desk) -> None:
    ear = desk.listen("ticker", tickers=[A])
    desk.public(Side.BID, 40, 2)
    desk.public(Side.BID, 30, 2)
    desk.public(Side.ASK, 60, 3)
    desk.public(Side.BID, 60, 1, immediate=True)
    names = ("yes_bid_dollars", "yes_ask_dollars", "yes_ask_size_fp", "price_dollars", "volume_fp")
    told = [tuple(msg[name] for name in names) for msg in ear.of("ticker")]
    assert told == [
        ("0.4000", "1.0000", "0.00", "0.0000", "0.00"),
        ("0.4000", "0.6000", "3.00", "0.0000", "0.00"),
        ("0.4000", "0.6000", "2.00", "0.6000", "1.00"),
    ]
    assert all("seq" not in message for message in ear.heard)


def test_the_ticker_takes_market_ids_and_can_begin_with_a_snapshot(desk) -> None:
    market_id = desk.exchange.floor.contracts[B].market_id
    ear = desk.listen("trade")
    ear.command("subscribe", channels=["ticker"], market_ids=[market_id], send_initial_snapshot=True)
    assert [msg["market_ticker"] for msg in ear.of("ticker")] == [B]


@pytest.mark.parametrize("channel", ["orderbook_delta", "trade"])
def test_refusals_about_a_subscription_are_in_its_sequence(desk, channel: str) -> None:
    ear = desk.listen(channel, tickers=[A])
    ear.command("update_subscription", sids=[1], action="dance")
    error = ear.heard[-1]
    assert (error["type"], error["msg"]["code"], error["sid"]) == ("error", 13, 1)
    ear.command("update_subscription", sids=[1], action="add_markets", market_tickers=[B])
    assert ear.heard[-1 if channel == "trade" else -2]["seq"] == error["seq"] + 1


def test_too_many_commands_in_a_second_are_refused(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chimera.sim.exchange.stream.COMMANDS_A_SECOND", 3)
    ear = desk.listen("trade")
    for _ in range(3):
        ear.command("list_subscriptions")
    assert ear.heard[-1]["msg"]["code"] == 27


def test_too_many_markets_are_refused(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chimera.sim.exchange.stream.MOST_MARKETS", 1)
    ear = desk.listen("trade")
    ear.command("subscribe", channels=["orderbook_delta"], market_tickers=[A, B])
    assert ear.heard[-1]["msg"]["code"] == 26
