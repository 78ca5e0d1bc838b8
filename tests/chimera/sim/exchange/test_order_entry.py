"""Order entry over REST: create, cancel, amend, decrease, batches, and every refusal."""

from __future__ import annotations

import json

import pytest

from chimera.conventions import CENT, CONTRACT, Side
from chimera.sim.exchange.rest import PREFIX_PATH
from chimera.sim.server import Response

A, CRYPTO = "KXG-1-A", "KXC-1-A"
ORDERS = "portfolio/events/orders"


def error_of(answer: Response) -> tuple[int, str, str]:
    body = json.loads(answer.body)
    inner = body.get("error", body)
    return answer.status, inner["code"], inner.get("details", "")


def test_an_order_that_rests_says_so_and_is_shown(desk) -> None:
    made = desk.create(count="10.00")
    assert (made["fill_count"], made["remaining_count"]) == ("0.00", "10.00")
    assert made["ts_ms"] == int(desk.clock.time * 1000)
    assert "average_fill_price" not in made
    shown = desk.shown(made["order_id"])
    assert (shown["status"], shown["book_side"], shown["outcome_side"]) == ("resting", "bid", "yes")
    assert (shown["yes_price_dollars"], shown["no_price_dollars"], shown["expiration_time"]) == ("0.4000", "0.6000", None)
    assert desk.book().depth_at(Side.BID, 40 * CENT) == 10 * CONTRACT


def test_an_order_that_crosses_trades_at_the_price_that_rested_and_says_what_it_cost(desk) -> None:
    desk.public(Side.ASK, 52, 3)
    made = desk.create(price="0.9900", count="1.00", time_in_force="immediate_or_cancel")
    assert (made["fill_count"], made["remaining_count"]) == ("1.00", "0.00")
    assert (made["average_fill_price"], made["average_fee_paid"]) == ("0.5200", "0.0175")
    shown = desk.shown(made["order_id"])
    assert (shown["status"], shown["yes_price_dollars"], shown["taker_fees_dollars"]) == ("executed", "0.9900", "0.017500")


def test_an_immediate_order_never_rests_and_is_accepted_even_if_nothing_trades(desk) -> None:
    made = desk.create(time_in_force="immediate_or_cancel")
    assert (made["fill_count"], made["remaining_count"]) == ("0.00", "0.00")
    assert desk.shown(made["order_id"])["status"] == "canceled"


def test_a_fill_or_kill_fills_whole_or_not_at_all(desk) -> None:
    desk.public(Side.ASK, 50, 3)
    assert desk.refused(price="0.5000", count="4.00", time_in_force="fill_or_kill") == (409, "fill_or_kill_insufficient_resting_volume")
    assert desk.book().depth_at(Side.ASK, 50 * CENT) == 3 * CONTRACT
    assert desk.create(price="0.5000", count="3.00", time_in_force="fill_or_kill")["fill_count"] == "3.00"


@pytest.mark.parametrize("end", ["canceled", "killed", "filled", "resting"])
def test_a_client_id_is_used_up_for_ever(desk, end: str) -> None:
    desk.public(Side.ASK, 60, 1)
    if end == "killed":
        desk.refused(client_order_id="once", time_in_force="fill_or_kill")
    else:
        made = desk.create(client_order_id="once", price="0.6000" if end == "filled" else "0.4000")
        if end == "canceled":
            desk.cancel(made["order_id"])
    assert desk.refused(client_order_id="once") == (409, "order_already_exists")


def test_a_refused_order_does_not_use_up_its_client_id(desk) -> None:
    assert desk.refused(client_order_id="again", price="0.4050") == (400, "invalid_price")
    assert desk.create(client_order_id="again")["client_order_id"] == "again"


def test_a_post_only_order_that_crosses_is_refused_and_on_record_as_canceled(desk) -> None:
    desk.public(Side.ASK, 40, 1)
    answer = desk.ask("POST", ORDERS, desk.order(post_only=True))
    assert error_of(answer) == (400, "invalid_order", "post only cross")
    [shown] = desk.get("portfolio/orders")["orders"]
    assert (shown["status"], shown["fill_count_fp"], shown["remaining_count_fp"]) == ("canceled", "0.00", "0.00")


def test_post_only_refusals_can_be_made_cancels(desk) -> None:
    desk.public(Side.ASK, 40, 1)
    desk.faults("rules:post_only=cancel")
    assert desk.create(post_only=True)["remaining_count"] == "0.00"


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"price": "0.4050"}, (400, "invalid_price")),
        ({"price": "0.40001"}, (400, "invalid_price")),
        ({"price": "1.0000"}, (400, "invalid_price")),
        ({"price": "0.0000"}, (400, "invalid_price")),
        ({"price": "many"}, (400, "invalid_parameters")),
        ({"price": 0.4}, (400, "bad_request")),
        ({"count": 1}, (400, "bad_request")),
        ({"count": "0.00"}, (400, "invalid_order")),
        ({"count": "-1"}, (400, "invalid_order")),
        ({"count": "1.001"}, (400, "invalid_order")),
        ({"count": "9" * 60}, (400, "invalid_order")),
        ({"side": "buy"}, (400, "invalid_parameters")),
        ({"side": None}, (400, "invalid_parameters")),
        ({"time_in_force": "GTT"}, (400, "invalid_parameters")),
        ({"self_trade_prevention_type": None}, (400, "invalid_parameters")),
        ({"ticker": "NONE"}, (404, "market_not_found")),
        ({"exchange_index": 0}, (404, "market_not_found")),
        ({"expiration_time": 1}, (400, "invalid_order")),
        ({"expiration_time": 2**62}, (400, "invalid_order")),
        ({"expiration_time": 2_000_000_000, "time_in_force": "immediate_or_cancel"}, (400, "invalid_order")),
        ({"reduce_only": True}, (400, "invalid_order")),
        ({"post_only": True, "time_in_force": "immediate_or_cancel"}, (400, "invalid_order")),
        ({"post_only": "yes"}, (400, "bad_request")),
        ({"subaccount": 5}, (404, "user_not_found")),
        ({"order_group_id": "none"}, (400, "order_group_not_found")),
        ({"count": "2500.01"}, (400, "insufficient_balance")),
        ({"ticker": CRYPTO, "exchange_index": 2}, (404, "insufficient_shard_balance")),
    ],
)
def test_an_order_is_refused_and_changes_nothing(desk, changes: dict[str, object], refusal: tuple[int, str]) -> None:
    assert desk.refused(**changes) == refusal
    assert desk.book().resting == ()
    assert desk.get("portfolio/balance")["balance_dollars"] == "1000.0000"


def test_a_number_for_a_string_is_refused_in_the_words_of_the_decoder(desk) -> None:
    answer = desk.ask("POST", ORDERS, desk.order(count=1))
    assert json.loads(answer.body) == {
        "code": "bad_request",
        "message": "bad request",
        "details": "json: cannot unmarshal number into Go struct field CreateOrderV2Request.count of type string",
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"NaN", b"[" * 100_000, b"\xff\xfe"])
def test_a_body_that_is_no_order_is_a_bad_request(desk, body: bytes) -> None:
    desk.pass_time(1)
    answer = desk.raw("POST", ORDERS, body)
    assert answer.status == 400
    assert {"code", "message", "details"} == set(json.loads(answer.body))


# Self-trade prevention


def test_a_taker_stops_at_its_own_order_and_what_it_filled_before_stands(desk) -> None:
    desk.public(Side.ASK, 49, 1)
    mine = desk.create(side="ask", price="0.5000")
    desk.public(Side.ASK, 51, 1)
    made = desk.create(price="0.5100", count="3.00")
    assert (made["fill_count"], made["remaining_count"]) == ("1.00", "0.00")
    assert desk.shown(made["order_id"])["status"] == "canceled"
    assert desk.shown(mine["order_id"])["status"] == "resting"


def test_the_makers_mode_cancels_its_own_resting_order_and_goes_on(desk) -> None:
    mine = desk.create(side="ask", price="0.5000")
    desk.public(Side.ASK, 51, 1)
    ear = desk.listen("user_orders")
    made = desk.create(price="0.5100", count="2.00", self_trade_prevention_type="maker")
    assert (made["fill_count"], made["remaining_count"]) == ("1.00", "1.00")
    assert desk.shown(mine["order_id"])["status"] == "canceled"
    assert ear.of("user_order")[0]["last_update_reason"] == "SelfTradeCancel"


def test_a_fill_or_kill_does_not_count_its_own_volume_and_cancels_none_of_it_when_killed(desk) -> None:
    mine = desk.create(side="ask", price="0.5000")
    killed = {"price": "0.5000", "time_in_force": "fill_or_kill", "self_trade_prevention_type": "maker"}
    assert desk.refused(**killed)[0] == 409
    assert desk.shown(mine["order_id"])["status"] == "resting"


# Reduce only and expiry


def test_reduce_only_is_capped_by_the_position(desk) -> None:
    desk.public(Side.ASK, 50, 2)
    desk.create(price="0.5000", count="2.00")
    desk.public(Side.BID, 49, 10)
    reduce = {"side": "ask", "price": "0.4900", "count": "5.00", "time_in_force": "immediate_or_cancel", "reduce_only": True}
    assert desk.create(**reduce)["fill_count"] == "2.00"
    assert desk.create(**reduce)["fill_count"] == "0.00"
    assert desk.get("portfolio/positions")["market_positions"][0]["position_fp"] == "0.00"


def test_an_order_expires_at_its_second(desk) -> None:
    ear = desk.listen("user_orders")
    at = int(desk.clock.time) + 10
    made = desk.create(expiration_time=at)
    assert desk.shown(made["order_id"])["expiration_time"] is not None
    desk.pass_time(at - desk.clock.time - 0.01)
    assert desk.book().resting
    desk.pass_time(0.02)
    assert desk.book().resting == ()
    assert ear.of("user_order")[-1]["last_update_reason"] == "ExpiryCancel"


# Cancel


def test_a_cancel_takes_off_what_remains_and_tells_how_much(desk) -> None:
    made = desk.create(count="5.00")
    desk.public(Side.ASK, 40, 2, immediate=True)
    said = json.loads(desk.cancel(made["order_id"]).body)
    assert (said["order_id"], said["reduced_by"]) == (made["order_id"], "3.00")
    shown = desk.shown(made["order_id"])
    assert (shown["status"], shown["fill_count_fp"], shown["remaining_count_fp"]) == ("canceled", "2.00", "0.00")


def test_cancels_of_what_is_not_there_are_byte_identical(desk) -> None:
    gone, filled = desk.create(), desk.create(price="0.4100")
    desk.cancel(gone["order_id"])
    desk.public(Side.ASK, 41, 1, immediate=True)
    bodies = {desk.cancel(order_id).body for order_id in (gone["order_id"], filled["order_id"], "00000000")}
    assert bodies == {b'{"error":{"code":"not_found","message":"not found","service":"exchange"}}'}


def test_a_cancel_without_ticker_or_shard_goes_to_shard_zero(desk) -> None:
    made = desk.create()
    assert desk.ask("DELETE", f"{ORDERS}/{made['order_id']}").status == 404
    assert desk.ask("DELETE", f"{ORDERS}/{made['order_id']}", market_ticker=A).status == 200


def test_cancel_all_empties_every_book_and_its_tail_cancels_later_orders(desk) -> None:
    desk.create()
    desk.create(side="ask", price="0.6000")
    answer = desk.ask("DELETE", ORDERS)
    assert (answer.status, answer.body) == (204, b"")
    assert desk.member.open_orders == 0
    later = desk.create()
    assert later["remaining_count"] == "1.00"
    desk.pass_time(1)
    assert desk.shown(later["order_id"])["status"] == "canceled"
    desk.pass_time(60)
    kept = desk.create()
    desk.pass_time(5)
    assert desk.shown(kept["order_id"])["status"] == "resting"


# Decrease and amend


def test_a_decrease_keeps_the_place_in_the_queue(desk) -> None:
    mine = desk.create(count="5.00")
    desk.public(Side.BID, 40, 5)
    said = desk.ask("POST", f"{ORDERS}/{mine['order_id']}/decrease", {"reduce_by": "2.00", "exchange_index": 3})
    assert json.loads(said.body)["remaining_count"] == "3.00"
    assert desk.get(f"portfolio/orders/{mine['order_id']}/queue_position") == {"queue_position_fp": "0.00"}
    desk.ask("POST", f"{ORDERS}/{mine['order_id']}/decrease", {"reduce_to": "0", "market_ticker": A})
    assert desk.shown(mine["order_id"])["status"] == "canceled"


@pytest.mark.parametrize(
    "body", [{}, {"reduce_by": "1", "reduce_to": "1"}, {"reduce_by": "6.00"}, {"reduce_to": "5.00"}, {"reduce_by": "0"}]
)
def test_a_decrease_that_decreases_nothing_is_refused(desk, body: dict[str, object]) -> None:
    mine = desk.create(count="5.00")
    assert desk.ask("POST", f"{ORDERS}/{mine['order_id']}/decrease", body | {"exchange_index": 3}).status == 400


def amend(desk, made: dict, **changes: object) -> Response:
    body = {"ticker": A, "side": "bid", "price": "0.4000", "count": "5.00", "exchange_index": 3} | changes
    return desk.ask("POST", f"{ORDERS}/{made['order_id']}/amend", body)


@pytest.mark.parametrize(
    ("changes", "keeps"),
    [({"expiration_time": 2_000_000_000}, True), ({"count": "4.00"}, True), ({"count": "6.00"}, False), ({"price": "0.3900"}, False)],
)
def test_only_a_smaller_size_or_another_expiry_keeps_the_place(desk, changes: dict[str, object], keeps: bool) -> None:
    mine = desk.create(count="5.00")
    desk.public(Side.BID, 40, 7)
    assert amend(desk, mine, **changes).status == 200
    ahead = desk.get(f"portfolio/orders/{mine['order_id']}/queue_position")["queue_position_fp"]
    assert (ahead == "0.00") is keeps


def test_the_count_of_an_amend_is_what_has_filled_plus_what_shall_rest(desk) -> None:
    mine = desk.create(count="5.00")
    desk.public(Side.ASK, 40, 2, immediate=True)
    said = json.loads(amend(desk, mine, count="4.00").body)
    assert (said["remaining_count"], said["fill_count"]) == ("2.00", "0.00")
    assert desk.book().depth_at(Side.BID, 40 * CENT) == 2 * CONTRACT
    assert error_of(amend(desk, mine, count="2.00"))[:2] == (400, "invalid_order")


def test_an_amend_may_cross_and_fill(desk) -> None:
    mine = desk.create(count="5.00")
    desk.public(Side.ASK, 45, 2)
    said = json.loads(amend(desk, mine, price="0.4500").body)
    assert (said["fill_count"], said["remaining_count"], said["average_fill_price"]) == ("2.00", "3.00", "0.4500")


def test_an_amend_of_the_expiry_alone_says_no_counts_and_is_kept(desk) -> None:
    at = int(desk.clock.time) + 30
    mine = desk.create(count="5.00", expiration_time=at)
    said = json.loads(amend(desk, mine, expiration_time=at + 30).body)
    assert set(said) == {"order_id", "client_order_id", "ts_ms"}
    desk.pass_time(at + 10 - desk.clock.time)
    assert desk.book().resting
    amend(desk, mine, expiration_time=0)
    desk.pass_time(100)
    assert desk.book().resting


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"side": "ask"}, (400, "invalid_order")),
        ({"ticker": "KXG-1-B"}, (404, "not_found")),
        ({"ticker": "NONE"}, (404, "market_not_found")),
        ({"price": "0.4050"}, (400, "invalid_price")),
        ({"client_order_id": "another"}, (400, "invalid_order")),
        ({"updated_client_order_id": "taken"}, (409, "order_already_exists")),
        ({"count": "9000.00"}, (400, "insufficient_balance")),
        ({"expiration_time": 5}, (400, "invalid_order")),
        ({"price": None}, (400, "invalid_parameters")),
    ],
)
def test_an_amend_that_is_refused_changes_nothing(desk, changes: dict[str, object], refusal: tuple[int, str]) -> None:
    desk.create(client_order_id="taken", price="0.1000")
    mine = desk.create(count="5.00")
    before = desk.shown(mine["order_id"])
    assert error_of(amend(desk, mine, **changes))[:2] == refusal
    assert desk.shown(mine["order_id"]) == before


def test_an_amend_gives_another_client_id_and_uses_that_one_up_too(desk) -> None:
    mine = desk.create()
    assert json.loads(amend(desk, mine, updated_client_order_id="renewed").body)["client_order_id"] == "renewed"
    assert desk.refused(client_order_id="renewed") == (409, "order_already_exists")


# Batches and what is gone


def test_a_batch_answers_in_order_and_a_bad_item_spoils_no_other(desk) -> None:
    rows = [desk.order(), desk.order(price="0.4050"), desk.order(count=3), desk.order(side="ask", price="0.7000")]
    answer = desk.ask("POST", f"{ORDERS}/batched", {"orders": rows})
    made = json.loads(answer.body)["orders"]
    assert answer.status == 201
    assert [row.get("error", {}).get("code") for row in made] == [None, "invalid_price", "bad_request", None]
    assert [row["client_order_id"] for row in made] == [row["client_order_id"] for row in rows]
    ids = [{"order_id": row["order_id"], "market_ticker": A} for row in made if "order_id" in row]
    gone = json.loads(desk.ask("DELETE", f"{ORDERS}/batched", {"orders": [*ids, {"order_id": "none", "exchange_index": 3}]}).body)
    assert [row["reduced_by"] for row in gone["orders"]] == ["1.00", "1.00", "0.00"]
    assert gone["orders"][2]["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "portfolio/orders"), ("DELETE", "portfolio/orders/x"), ("POST", "portfolio/orders/batched")]
)
def test_the_first_version_of_order_entry_is_gone(desk, method: str, path: str) -> None:
    assert error_of(desk.ask(method, path, {}))[:2] == (410, "deprecated_v1_order_endpoint")


def test_an_unknown_path_is_not_found(desk) -> None:
    assert desk.ask("GET", "portfolio/secrets").status == 404
    assert PREFIX_PATH == "/trade-api/v2"
