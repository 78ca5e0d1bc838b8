"""Faults at work: what each does to requests, frames and the venue."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from chimera.conventions import Side
from chimera.sim.exchange.faults import FaultSpecError
from chimera.sim.server import Held, Request, Response

A, B = "KXG-1-A", "KXG-1-B"
ORDERS = "portfolio/events/orders"


def test_a_fault_about_what_is_not_there_is_refused_whole(desk) -> None:
    with pytest.raises(FaultSpecError, match="no market 'NONE'"):
        desk.site.install("pause:for=5;halt:market=NONE")
    assert desk.exchange.mischief.document() == []
    with pytest.raises(FaultSpecError, match="no shard 9"):
        desk.site.install("pause:shard=9")


# Requests


def create(desk, **changes: object) -> Response | Held:
    desk.pass_time(1.0)
    return desk.raw("POST", ORDERS, json.dumps(desk.order(**changes)).encode())


def test_a_held_create_happens_when_its_time_is_up_and_not_before(desk) -> None:
    desk.faults("hold:for=3")
    held = create(desk)
    assert isinstance(held, Held)
    assert (held.seconds, desk.member.open_orders) == (3.0, 0)
    desk.ask("DELETE", ORDERS)
    desk.pass_time(2)
    answer = held.then()
    assert isinstance(answer, Response)
    assert (answer.status, desk.member.open_orders) == (201, 1)
    assert isinstance(create(desk), Response), "it strikes once unless it is told otherwise"


def test_a_lost_answer_is_of_a_write_that_was_applied(desk) -> None:
    desk.faults("ack_lost:n=1,how=close")
    held = create(desk)
    assert isinstance(held, Held)
    lost = held.then()
    assert isinstance(lost, Response)
    assert (lost.lost, held.seconds, desk.member.open_orders) == (True, 0.0, 1)


def test_a_slow_answer_is_of_a_write_that_was_applied_at_once(desk) -> None:
    desk.faults("slow_ack:for=0.5,on=cancel")
    made = desk.create()
    held = desk.raw("DELETE", f"{ORDERS}/{made['order_id']}", exchange_index=3)
    assert isinstance(held, Held)
    assert (held.seconds, desk.member.open_orders) == (0.5, 0)


@pytest.mark.parametrize(("applied", "orders"), [("0", 0), ("1", 1)])
def test_an_exchange_that_is_unavailable_may_have_applied_the_write(desk, applied: str, orders: int) -> None:
    desk.faults(f"unavailable:applied={applied},n=1")
    assert desk.refused() == (503, "service_unavailable")
    assert desk.member.open_orders == orders
    desk.create()


def test_a_storm_of_429_refuses_while_it_lasts(desk) -> None:
    desk.faults("storm:after=2,until=4,on=write")
    seen = [desk.ask("DELETE", ORDERS).status for _ in range(5)]
    assert (seen[0], set(seen[1:3]), seen[4]) == (204, {429}, 204)
    assert desk.get("portfolio/positions")


def test_reads_lag_behind_cancels_and_fills(desk) -> None:
    made, sold = desk.create(), desk.create(price="0.4500")
    desk.pass_time(20)
    desk.faults("read_lag:for=0.4")
    desk.paced = False
    desk.cancel(made["order_id"])
    desk.public(Side.ASK, 45, 1, immediate=True)
    assert [desk.shown(row["order_id"])["status"] for row in (made, sold)] == ["resting", "resting"]
    assert [row["status"] for row in desk.get("portfolio/orders")["orders"]] == ["resting", "resting"]
    assert desk.get("portfolio/fills")["fills"] == desk.get("portfolio/positions")["market_positions"] == []
    assert desk.cancel(made["order_id"]).status == 404
    desk.pass_time(0.41)
    assert [desk.shown(row["order_id"])["status"] for row in (made, sold)] == ["canceled", "executed"]
    assert len(desk.get("portfolio/fills")["fills"]) == len(desk.get("portfolio/positions")["market_positions"]) == 1


def test_a_skewed_exchange_refuses_honest_timestamps(desk) -> None:
    desk.faults("skew:by=30")
    assert desk.ask("GET", "portfolio/positions").status == 401


def test_chances_are_seeded_and_counted(desk) -> None:
    def strikes() -> list[int]:
        desk.exchange.mischief.clear()
        desk.exchange.mischief._number = 0
        desk.faults("storm:p=0.3,on=write")
        return [desk.ask("DELETE", ORDERS).status for _ in range(40)]

    first = strikes()
    assert first == strikes()
    assert 4 <= first.count(429) <= 20
    [row] = desk.exchange.mischief.document()
    assert (row["seen"], row["fired"]) == (40, first.count(429))


# Frames


def deltas(desk, ear, number: int) -> list[int]:
    for count in range(number):
        desk.public(Side.BID, 20 + count % 10, 1)
    return [message["seq"] for message in ear.heard if message["type"] == "orderbook_delta"]


def test_a_dropped_frame_leaves_a_gap_in_its_sequence(desk) -> None:
    ear = desk.listen("orderbook_delta", tickers=[A])
    desk.faults("drop_seq:every=3")
    assert deltas(desk, ear, 7) == [2, 3, 5, 6, 8]


def test_frames_without_a_sequence_are_not_dropped(desk) -> None:
    ear = desk.listen("user_orders")
    desk.faults("drop_seq")
    desk.create()
    assert len(ear.of("user_order")) == 1


def test_a_duplicated_frame_comes_twice_with_the_same_number(desk) -> None:
    ear = desk.listen("orderbook_delta", tickers=[A])
    desk.faults("duplicate:n=1")
    assert deltas(desk, ear, 2) == [2, 2, 3]


def test_a_stalled_session_gets_everything_late_and_in_order(desk) -> None:
    ear = desk.listen("orderbook_delta", tickers=[A])
    desk.faults("stall:for=2,n=1")
    assert deltas(desk, ear, 4) == []
    desk.pass_time(2.1)
    assert deltas(desk, ear, 0) == [2, 3, 4, 5]


def test_a_reset_ends_the_socket_without_a_word_and_refuses_the_next_with_502(desk) -> None:
    ear = desk.listen("orderbook_delta", tickers=[A])
    desk.faults("reset:n=1,refuse=3")
    assert deltas(desk, ear, 1) == []
    assert ear.pipe.was_reset
    path = "/trade-api/ws/v2"

    def refusal() -> int:
        signed = desk.signer.headers("GET", path, int(desk.clock.time * 1000))
        answer = desk.site.refuse(Request("GET", path, {}, {name.lower(): value for name, value in signed.items()}))
        return 101 if answer is None else answer.status

    assert refusal() == 502
    desk.pass_time(3.1)
    assert refusal() == 101


def test_a_channel_error_ends_the_subscription_in_its_sequence(desk) -> None:
    ear = desk.listen("orderbook_delta", tickers=[A])
    desk.faults("channel_error:n=1")
    deltas(desk, ear, 3)
    [error] = [message for message in ear.heard if message["type"] == "error"]
    assert (error["msg"]["code"], error["sid"]) == (10, 1)
    assert ear.of("orderbook_delta") == []


def test_an_overflow_is_told_and_cuts_off(desk) -> None:
    ear = desk.listen("orderbook_delta", tickers=[A])
    desk.faults("overflow:n=1")
    deltas(desk, ear, 1)
    assert ear.heard[-1]["msg"]["code"] == 25
    assert ear.pipe.closing


def test_fills_and_positions_can_lag_behind_their_trade(desk) -> None:
    ear = desk.listen("fill", "market_positions", "user_orders")
    desk.public(Side.ASK, 40, 1)
    desk.faults("lag_fills:for=0.5;lag_positions:for=2")
    desk.create()
    assert ear.heard == []
    desk.pass_time(0.6)
    assert len(ear.of("fill")) == 1
    assert ear.of("market_position") == []
    desk.pass_time(1.5)
    assert len(ear.of("market_position")) == 1


# The venue


@pytest.mark.parametrize("shard", ["", ",shard=3"])
def test_a_trading_pause_refuses_orders_takes_cancels_and_sweeps_who_asked(desk, shard: str) -> None:
    stays, goes = desk.create(), desk.create(cancel_order_on_pause=True)
    desk.faults(f"pause:for=60{shard}")
    assert desk.refused() == (400, "trading_paused")
    assert [desk.shown(row["order_id"])["status"] for row in (stays, goes)] == ["resting", "canceled"]
    rows = {row["exchange_index"]: row["trading_active"] for row in desk.get("exchange/status")["exchange_index_statuses"]}
    assert rows == {0: bool(shard), 2: bool(shard), 3: False}
    assert desk.cancel(stays["order_id"]).status == 200
    desk.pass_time(60)
    assert desk.create()["remaining_count"] == "1.00"


def test_maintenance_is_announced_before_it_pauses_trading(desk) -> None:

    desk.faults("maintenance:after=30,for=60")
    first, *_ = desk.get("exchange/schedule")["schedule"]["maintenance_windows"]
    starts, ends = (dt.datetime.fromisoformat(first[name]).timestamp() for name in ("start_datetime", "end_datetime"))
    assert (round(starts - desk.clock.time), round(ends - starts)) == (29, 60)
    desk.create()
    desk.pass_time(30)
    assert desk.refused() == (400, "trading_paused")
    desk.pass_time(60)
    desk.create()


def test_an_exchange_pause_refuses_cancels_too(desk) -> None:
    stays = desk.create()
    desk.faults("exchange_pause:for=30,status=503")
    assert desk.refused() == (400, "exchange_paused")
    assert desk.cancel(stays["order_id"]).status == 400
    assert desk.ask("DELETE", ORDERS).status == 204
    assert desk.member.open_orders == 1
    status = desk.ask("GET", "exchange/status")
    assert (status.status, json.loads(status.body)["exchange_active"]) == (503, False)
    desk.pass_time(30)
    assert desk.cancel(stays["order_id"]).status == 200


def test_codes_that_nobody_has_recorded_can_be_chosen(desk) -> None:
    desk.faults("rules:trading_paused=409/closed_for_lunch;pause:for=5")
    assert desk.refused() == (409, "closed_for_lunch")


def test_a_halted_market_refuses_and_sweeps_when_it_comes_back(desk) -> None:
    ear = desk.listen("market_lifecycle_v2", "user_orders")
    mine = desk.create()
    desk.faults(f"halt:market={A},for=10")
    assert desk.refused() == (400, "market_inactive")
    assert desk.get(f"markets/{A}")["market"]["status"] == "inactive"
    assert desk.shown(mine["order_id"])["status"] == "resting"
    assert desk.create(ticker=B)
    desk.pass_time(10)
    assert desk.shown(mine["order_id"])["status"] == "canceled"
    told = ear.of("market_lifecycle_v2")
    assert [(msg["event_type"], msg["is_deactivated"]) for msg in told] == [("deactivated", True), ("activated", False)]
    assert ear.of("user_order")[-1]["last_update_reason"] == "HaltCancel"


def test_a_market_closes_in_silence_refuses_cancels_and_is_swept_shortly_after(desk) -> None:
    ear = desk.listen("market_lifecycle_v2", "user_orders")
    mine = desk.create()
    desk.faults(f"close:market={A},in=10,for=100")
    desk.pass_time(8)
    assert desk.get(f"markets/{A}")["market"]["status"] == "active"
    desk.paced = False
    desk.pass_time(1.5)
    assert desk.get(f"markets/{A}")["market"]["status"] == "closed"
    assert desk.cancel(mine["order_id"]).status == 400
    assert desk.refused() == (400, "market_inactive")
    desk.pass_time(1.0)
    assert ear.of("user_order")[-1]["last_update_reason"] == "CloseCancel"
    assert [msg["event_type"] for msg in ear.of("market_lifecycle_v2")] == ["close_date_updated"]
    desk.pass_time(100)
    assert desk.get(f"markets/{A}")["market"]["status"] == "active"
    assert [msg["event_type"] for msg in ear.of("market_lifecycle_v2")][1:] == ["close_date_updated", "activated"]


def test_a_market_that_is_not_open_yet_opens_in_silence(desk) -> None:
    ear = desk.listen("market_lifecycle_v2")
    desk.faults(f"unopened:market={A},for=5")
    assert desk.get("markets", status="unopened")["markets"][0]["status"] == "initialized"
    assert desk.refused() == (400, "market_inactive")
    desk.pass_time(5)
    desk.create()
    assert [msg["event_type"] for msg in ear.of("market_lifecycle_v2")] == ["created"]


def test_the_grid_of_a_live_market_changes(desk) -> None:
    ear = desk.listen("market_lifecycle_v2")
    desk.faults(f"grid:market={A},structure=deci_cent,for=30")
    made = desk.create(price="0.4050")
    assert desk.get(f"markets/{A}")["market"]["price_ranges"] == [{"start": "0.0000", "end": "1.0000", "step": "0.0010"}]
    [told] = ear.of("market_lifecycle_v2")
    assert (told["event_type"], told["price_level_structure"], told["price_ranges"][0]["step"]) == (
        "price_level_structure_updated", "deci_cent", "0.0010"
    )  # fmt: skip
    desk.pass_time(30)
    assert desk.refused(price="0.4060") == (400, "invalid_price")
    assert desk.shown(made["order_id"])["status"] == "resting"


def test_an_event_charges_something_else_and_says_so(desk) -> None:
    ear = desk.listen("market_lifecycle_v2")
    desk.faults("fee:event=KXG-1,type=quadratic_with_maker_fees,multiplier=2,for=30")
    desk.create(price="0.5000", count="100.00")
    desk.public(Side.ASK, 50, 100, immediate=True)
    assert desk.get("portfolio/fills")["fills"][0]["fee_cost"] == "0.875000"
    assert desk.get("events/KXG-1")["event"]["fee_type_override"] == "quadratic_with_maker_fees"
    desk.pass_time(30)
    desk.create(price="0.5000", count="100.00")
    desk.public(Side.ASK, 50, 100, immediate=True)
    assert desk.get("portfolio/fills")["fills"][0]["fee_cost"] == "0.000000"
    assert [(m["fee_type_override"], m["fee_multiplier_override"]) for m in ear.of("event_fee_update")] == [
        ("quadratic_with_maker_fees", 2.0), (None, None)
    ]  # fmt: skip
    assert len(desk.get("events/fee_changes")["event_fee_changes"]) == 2


def test_a_disputed_result_is_amended_and_paid_later(desk) -> None:
    ear = desk.listen("market_lifecycle_v2")
    desk.faults(f"dispute:market={A},for=100")
    desk.pass_time(90)
    assert desk.get(f"markets/{A}")["market"]["status"] == "disputed"
    desk.pass_time(20)
    assert desk.get(f"markets/{A}")["market"]["status"] == "amended"
    desk.pass_time(60)
    assert desk.get(f"markets/{A}")["market"]["status"] == "finalized"
    assert [msg["event_type"] for msg in ear.of("market_lifecycle_v2")] == ["determined", "settled"]


# The admin pages


async def test_the_admin_pages_need_the_token_and_install_faults(sim) -> None:
    import httpx

    base = f"http://127.0.0.1:{sim.port}"
    bearer = {"authorization": f"Bearer {sim.site.admin_token}"}
    async with httpx.AsyncClient(base_url=base) as client:
        assert (await client.post("/admin/faults", content="pause")).status_code == 401
        assert (await client.get("/admin/log")).status_code == 401
        told = await client.post("/admin/faults", content="pause:for=5", headers=bearer)
        assert [row["fault"] for row in told.json()["faults"]] == ["pause:for=5"]
        replaced = await client.post("/admin/faults", json={"faults": "skew:by=1", "replace": True}, headers=bearer)
        assert [row["fault"] for row in replaced.json()["faults"]] == ["skew:by=1"]
        for bad in (b"pause:or=5", b'{"faults": 3}', b'{"fau', b"\xff"):
            answer = await client.post("/admin/faults", content=bad, headers=bearer)
            assert (answer.status_code, set(answer.json())) == (400, {"error"})
        assert (await client.delete("/admin/faults", headers=bearer)).json() == {"faults": []}
        log = (await client.get("/admin/log", headers=bearer)).json()
        assert [row["spec"] for row in log["log"] if row["kind"] == "fault"] == ["pause:for=5", "skew:by=1"]
        assert (await client.get("/admin/log", params={"since": log["next"]}, headers=bearer)).json()["log"] == []


def test_the_log_tells_each_order_fill_and_cancel_in_order(desk) -> None:
    mine = desk.create(count="3.00")
    desk.public(Side.ASK, 40, 1, immediate=True)
    desk.cancel(mine["order_id"])
    desk.cancel(mine["order_id"])
    rows = [row for row in json.loads(desk.site.log.page(0))["log"] if row["kind"] != "fault"]
    assert [(row["kind"], row.get("remaining")) for row in rows] == [
        ("accepted", "3.00"), ("fill", "2.00"), ("canceled", "0.00"), ("declined", None)
    ]  # fmt: skip
    assert [row["n"] for row in rows] == [0, 1, 2, 3]
    assert all(row["order_id"] == mine["order_id"] for row in rows[:3])
