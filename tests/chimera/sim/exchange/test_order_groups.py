"""Order groups: the rolling limit, the latch, and the shard they live on."""

from __future__ import annotations

import json

import pytest

from chimera.conventions import Side

GROUPS = "portfolio/order_groups"


def create(desk, limit: int = 10, **more: object) -> str:
    answer = desk.ask("POST", f"{GROUPS}/create", {"contracts_limit": limit, "exchange_index": 3} | more)
    assert answer.status == 201, answer.body
    return json.loads(answer.body)["order_group_id"]


def put(desk, group: str, action: str, body: dict | None = None, shard: int = 3) -> int:
    return desk.ask("PUT", f"{GROUPS}/{group}/{action}", body or {}, exchange_index=shard).status


def test_a_group_is_created_listed_and_shown_with_what_rests_of_it(desk) -> None:
    group = create(desk)
    made = desk.create(order_group_id=group)
    assert desk.get(GROUPS)["order_groups"] == [
        {"id": group, "contracts_limit_fp": "10.00", "is_auto_cancel_enabled": True, "exchange_index": 3}
    ]
    assert desk.get(f"{GROUPS}/{group}")["orders"] == [made["order_id"]]
    assert desk.shown(made["order_id"])["order_group_id"] == group


def test_reaching_the_limit_cancels_what_rests_and_latches(desk) -> None:
    group = create(desk, 3)
    first = desk.create(order_group_id=group, count="3.00", price="0.4000")
    other = desk.create(order_group_id=group, count="3.00", price="0.3000")
    outside = desk.create(price="0.2000")
    desk.public(Side.ASK, 40, 2, immediate=True)
    assert desk.shown(other["order_id"])["status"] == "resting"
    desk.public(Side.ASK, 40, 1, immediate=True)
    assert [desk.shown(row["order_id"])["status"] for row in (first, other, outside)] == ["executed", "canceled", "resting"]
    assert desk.refused(order_group_id=group) == (400, "exceeded_order_group_risk_limit")
    assert put(desk, group, "reset") == 200
    assert desk.create(order_group_id=group)["remaining_count"] == "1.00"


def test_matches_older_than_fifteen_seconds_do_not_count(desk) -> None:
    desk.paced = False
    group = create(desk, 3)
    desk.create(order_group_id=group, count="9.00")
    desk.public(Side.ASK, 40, 2, immediate=True)
    desk.pass_time(15.0)
    desk.public(Side.ASK, 40, 2, immediate=True)
    assert desk.member.open_orders == 1
    desk.pass_time(14.9)
    desk.public(Side.ASK, 40, 1, immediate=True)
    assert desk.member.open_orders == 0


def test_whether_a_group_triggers_at_or_over_its_limit_is_a_rule(desk) -> None:
    desk.faults("rules:group_trigger=exceed")
    group = create(desk, 3)
    desk.create(order_group_id=group, count="9.00")
    desk.public(Side.ASK, 40, 3, immediate=True)
    assert desk.member.open_orders == 1
    desk.public(Side.ASK, 40, 1, immediate=True)
    assert desk.member.open_orders == 0


def test_a_lower_limit_that_is_reached_already_triggers_at_once(desk) -> None:
    group = create(desk, 10)
    desk.create(order_group_id=group, count="9.00")
    desk.public(Side.ASK, 40, 4, immediate=True)
    assert put(desk, group, "limit", {"contracts_limit_fp": "4.00"}) == 200
    assert desk.member.open_orders == 0


def test_trigger_latches_by_hand_and_delete_cancels_and_forgets(desk) -> None:
    group = create(desk)
    desk.create(order_group_id=group)
    assert put(desk, group, "trigger") == 200
    assert desk.member.open_orders == 0
    assert desk.refused(order_group_id=group) == (400, "exceeded_order_group_risk_limit")
    put(desk, group, "reset")
    desk.create(order_group_id=group)
    assert desk.ask("DELETE", f"{GROUPS}/{group}", exchange_index=3).status == 200
    assert desk.member.open_orders == 0
    assert desk.ask("GET", f"{GROUPS}/{group}").status == 404
    assert desk.refused(order_group_id=group) == (400, "order_group_not_found")


@pytest.mark.parametrize("action", ["trigger", "reset", "limit"])
def test_a_group_is_unknown_on_every_shard_but_its_own(desk, action: str) -> None:
    group = create(desk)
    body = {"contracts_limit": 5} if action == "limit" else {}
    assert put(desk, group, action, body, shard=0) == 404
    assert desk.ask("PUT", f"{GROUPS}/{group}/{action}", body).status == 404, "the default shard is 0"
    elsewhere = create(desk, exchange_index=0)
    assert desk.refused(order_group_id=elsewhere) == (400, "order_group_not_found")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"contracts_limit": 0},
        {"contracts_limit": "5"},
        {"contracts_limit": 5, "contracts_limit_fp": "6.00"},
        {"contracts_limit": 1_000_001},
        {"contracts_limit": 5, "exchange_index": 9},
    ],
)
def test_a_group_that_cannot_be_is_refused(desk, body: dict[str, object]) -> None:
    assert desk.ask("POST", f"{GROUPS}/create", body).status == 400


def test_the_stream_tells_what_happens_to_groups_in_one_sequence(desk) -> None:
    ear = desk.listen("order_group_updates")
    group = create(desk, 5)
    put(desk, group, "limit", {"contracts_limit": 2})
    desk.create(order_group_id=group, count="2.00")
    desk.public(Side.ASK, 40, 2, immediate=True)
    put(desk, group, "reset")
    desk.ask("DELETE", f"{GROUPS}/{group}", exchange_index=3)
    told = [message for message in ear.heard if message["type"] == "order_group_updates"]
    assert [message["seq"] for message in told] == [1, 2, 3, 4, 5]
    assert [message["msg"]["event_type"] for message in told] == ["created", "limit_updated", "triggered", "reset", "deleted"]
    assert told[1]["msg"]["contracts_limit_fp"] == "2.00"
