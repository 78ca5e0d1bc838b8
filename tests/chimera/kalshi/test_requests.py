"""What a write looks like before it is sent: the exact bytes, the shard always named, and no request that no exchange could take."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.conventions import ONE, Side, parse_count, parse_price
from chimera.errors import LocalError
from chimera.kalshi import requests
from chimera.kalshi.ratelimit import Call
from chimera.kalshi.requests import GroupRef, NewOrder, OrderRef, Request, SelfTrade, TimeInForce

ORDER = NewOrder("run-1", "KXNBAGAME-X-LAL", 3, Side.BID, 4600, 1000)
RESTING = OrderRef("2597b999-f887", "KXNBAGAME-X-LAL", 3)
GROUP = GroupRef("3e027f77", 2)

EVERY: list[Request] = [
    requests.create(ORDER),
    requests.batch_create([ORDER]),
    requests.cancel(RESTING),
    requests.batch_cancel([RESTING]),
    requests.amend(RESTING, side=Side.BID, price=4600, total=1000),
    requests.renew(RESTING, side=Side.BID, price=4600, total=1000, expires_at=1.0),
    requests.decrease(RESTING, by=100),
    requests.group_create(2, 1000),
    requests.group_limit(GROUP, 1000),
    requests.group_trigger(GROUP),
    requests.group_reset(GROUP),
    requests.group_delete(GROUP),
]


def named_shards(request: Request) -> set[int]:
    """Every shard that the request names, wherever it does."""
    query = [int(value) for name, value in request.query if name == "exchange_index"]
    body = json.loads(request.body) if request.body else {}
    items = body.get("orders", [body])
    return {*query, *(item["exchange_index"] for item in items if "exchange_index" in item)}


class TestBytes:
    """Method, path, query and body."""

    def test_an_order_is_post_only_leaves_on_a_pause_and_is_written_as_kalshi_writes(self) -> None:
        request = requests.create(attrs.evolve(ORDER, expires_at=1_790_000_020.9, group_id="g", subaccount=0))
        assert (request.method, request.target, request.shard) == ("POST", "/portfolio/events/orders", 3)
        assert json.loads(request.body) == {
            "ticker": "KXNBAGAME-X-LAL",
            "client_order_id": "run-1",
            "side": "bid",
            "count": "10.00",
            "price": "0.4600",
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
            "post_only": True,
            "cancel_order_on_pause": True,
            "exchange_index": 3,
            "expiration_time": 1_790_000_020,
            "order_group_id": "g",
            "subaccount": 0,
        }

    def test_a_cancel_names_shard_and_market_because_an_id_alone_says_neither(self) -> None:
        request = requests.cancel(attrs.evolve(RESTING, order_id="a/b", subaccount=5))
        split = urlsplit(request.target)
        assert (request.method, split.path) == ("DELETE", "/portfolio/events/orders/a%2Fb")
        assert dict(parse_qsl(split.query)) == {"subaccount": "5", "exchange_index": "3", "market_ticker": "KXNBAGAME-X-LAL"}
        assert request.body == b""

    def test_a_batch_of_cancels_has_its_orders_in_a_body_and_pays_for_each(self) -> None:
        request = requests.batch_cancel([RESTING, attrs.evolve(RESTING, order_id="other", exchange_index=0)])
        assert (request.method, request.target, request.items, request.shard) == ("DELETE", "/portfolio/events/orders/batched", 2, 0)
        assert json.loads(request.body) == {
            "orders": [
                {"order_id": "2597b999-f887", "exchange_index": 3, "market_ticker": "KXNBAGAME-X-LAL"},
                {"order_id": "other", "exchange_index": 0, "market_ticker": "KXNBAGAME-X-LAL"},
            ]
        }

    def test_cancelling_everything_names_nothing(self) -> None:
        request = requests.cancel_all()
        assert (request.method, request.target, request.body) == ("DELETE", "/portfolio/events/orders", b"")
        assert requests.cancel_all(7).target == "/portfolio/events/orders?subaccount=7"

    def test_a_renewal_repeats_price_and_total_and_is_an_amend_to_the_exchange(self) -> None:
        request = requests.renew(RESTING, side=Side.ASK, price=5200, total=777, expires_at=99.9)
        assert (request.call, request.method) == (Call.RENEW, "POST")
        assert request.target == "/portfolio/events/orders/2597b999-f887/amend"
        assert json.loads(request.body) == {
            "ticker": "KXNBAGAME-X-LAL",
            "side": "ask",
            "price": "0.5200",
            "count": "7.77",
            "exchange_index": 3,
            "expiration_time": 99,
        }

    def test_an_amend_without_an_expiry_leaves_it_and_may_rename_the_order(self) -> None:
        body = json.loads(
            requests.amend(RESTING, side=Side.BID, price=100, total=100, client_id="run-1", new_client_id="run-2").body
        )
        assert "expiration_time" not in body
        assert (body["client_order_id"], body["updated_client_order_id"]) == ("run-1", "run-2")

    @pytest.mark.parametrize(("how", "field"), [({"by": 150}, ("reduce_by", "1.50")), ({"to": 0}, ("reduce_to", "0.00"))])
    def test_a_decrease_is_by_a_count_or_to_one(self, how: dict[str, int], field: tuple[str, str]) -> None:
        body = json.loads(requests.decrease(RESTING, **how).body)
        assert body == {field[0]: field[1], "exchange_index": 3, "market_ticker": "KXNBAGAME-X-LAL"}

    def test_groups_are_named_by_path_and_shard_by_query(self) -> None:
        assert json.loads(requests.group_create(2, 3000).body) == {"contracts_limit": 30, "exchange_index": 2}
        assert json.loads(requests.group_limit(GROUP, 500).body) == {"contracts_limit": 5}
        for request, method, action in [
            (requests.group_trigger(GROUP), "PUT", "/trigger"),
            (requests.group_reset(GROUP), "PUT", "/reset"),
            (requests.group_delete(GROUP), "DELETE", ""),
        ]:
            assert (request.method, request.target) == (method, f"/portfolio/order_groups/3e027f77{action}?exchange_index=2")

    @pytest.mark.parametrize("request_", EVERY, ids=lambda request: request.call.name)
    def test_every_request_names_its_shard_and_enters_under_a_name_without_ids(self, request_: Request) -> None:
        assert named_shards(request_) in ({2}, {3}) or request_.call is Call.GROUP_LIMIT
        assert ("exchange_index", "2") in request_.query or request_.call is not Call.GROUP_LIMIT
        assert request_.name.startswith(f"kalshi.write {request_.method} /portfolio/")
        assert "2597b999" not in request_.name
        assert "3e027f77" not in request_.name

    def test_only_what_means_the_same_done_twice_may_be_repeated(self) -> None:
        repeatable = {request.call for request in [*EVERY, requests.cancel_all()] if request.repeatable}
        assert repeatable == {
            Call.CANCEL,
            Call.BATCH_CANCEL,
            Call.CANCEL_ALL,
            Call.GROUP_TRIGGER,
            Call.GROUP_LIMIT,
            Call.GROUP_DELETE,
        }

    @given(
        side=st.sampled_from(Side),
        price=st.integers(1, ONE - 1),
        count=st.integers(1, 10**9),
        shard=st.integers(0, 9),
        resting=st.booleans(),
        expires=st.none() | st.floats(1, 4e9),
    )
    def test_what_is_written_reads_back_as_what_was_meant(self, side, price, count, shard, resting, expires) -> None:
        tif = TimeInForce.GOOD_TILL_CANCELED if resting else TimeInForce.IMMEDIATE_OR_CANCEL
        order = attrs.evolve(
            ORDER,
            side=side,
            price=price,
            count=count,
            exchange_index=shard,
            time_in_force=tif,
            post_only=resting,
            self_trade=SelfTrade.MAKER,
            expires_at=expires if resting else None,
        )
        body = json.loads(requests.create(order).body)
        assert (Side(body["side"]), parse_price(body["price"]), parse_count(body["count"])) == (side, price, count)
        assert (body["exchange_index"], body["time_in_force"]) == (shard, tif.value)
        assert body.get("expiration_time", 0) <= (expires or 0) < body.get("expiration_time", 0) + 1 or not resting

    @pytest.mark.data
    def test_an_order_has_the_fields_that_the_exchange_was_seen_to_take(self, shared_data: Path) -> None:
        meta = json.loads((shared_data / "kalshi/demo_rest_ws/orders__create_v2_maker.meta.json").read_bytes())
        sent = meta["request_body"]
        order = NewOrder(
            sent["client_order_id"],
            sent["ticker"],
            0,
            Side(sent["side"]),
            parse_price(sent["price"]),
            parse_count(sent["count"]),
            post_only=sent["post_only"],
        )
        request = requests.create(order)
        assert (meta["method"], meta["path"]) == (request.method, "/trade-api/v2" + request.target)
        body = json.loads(request.body)
        assert {name: body[name] for name in sent} == sent


class TestOurOwnMistakes:
    """They are told before anything is sent."""

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"price": 0}, "can be at"),
            ({"price": ONE}, "can be at"),
            ({"count": 0}, "can be of"),
            ({"exchange_index": -1}, "exchange_index"),
            ({"client_id": ""}, "client id"),
            ({"client_id": "two words"}, "client id"),
            ({"client_id": "x" * 65}, "client id"),
            ({"expires_at": float("nan")}, "expire"),
            ({"expires_at": 0.0}, "expire"),
            ({"time_in_force": TimeInForce.FILL_OR_KILL}, "post-only"),
            ({"time_in_force": TimeInForce.IMMEDIATE_OR_CANCEL, "post_only": False, "expires_at": 9.0}, "rests can expire"),
            ({"reduce_only": True}, "reduce-only"),
        ],
    )
    def test_an_order_that_no_exchange_could_take(self, change: dict[str, object], words: str) -> None:
        with pytest.raises(LocalError, match=words):
            requests.create(attrs.evolve(ORDER, **change))

    def test_a_batch_of_nothing_or_with_one_id_twice(self) -> None:
        with pytest.raises(LocalError, match="nothing"):
            requests.batch_cancel([])
        with pytest.raises(LocalError, match="twice"):
            requests.batch_create([ORDER, ORDER])

    @pytest.mark.parametrize("how", [{}, {"by": 1, "to": 1}, {"by": 0}, {"to": -1}])
    def test_a_decrease_that_says_not_how_much(self, how: dict[str, int]) -> None:
        with pytest.raises(LocalError, match="decrease order"):
            requests.decrease(RESTING, **how)

    @pytest.mark.parametrize("limit", [0, 50, 150, -100])
    def test_a_group_that_is_not_limited_to_whole_contracts(self, limit: int) -> None:
        with pytest.raises(LocalError, match="whole number"):
            requests.group_create(0, limit)

    def test_an_order_without_an_id(self) -> None:
        with pytest.raises(LocalError, match="without an id"):
            requests.cancel(attrs.evolve(RESTING, order_id=""))
