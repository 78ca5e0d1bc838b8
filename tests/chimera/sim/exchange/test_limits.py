"""Rate limits: which bucket a request draws from, what it costs, and the exact refusal."""

from __future__ import annotations

import json

import pytest

from chimera.sim.exchange.limits import TIERS, RateLimits

ORDERS = "portfolio/events/orders"


def drain(desk, method: str, path: str, body: dict | None = None, **query: object) -> int:
    """How many requests pass before one is refused, with time standing still."""
    desk.paced = False
    for number in range(1000):
        answer = desk.ask(method, path, body, **query)
        if answer.status == 429:
            assert answer.body == b'{"error":"too many requests"}'
            return number
    raise AssertionError("never refused")


@pytest.mark.parametrize(
    ("method", "path", "body", "passes"),
    [
        ("GET", "portfolio/positions", None, 20),
        ("GET", "portfolio/orders/x", None, 100),
        ("GET", "portfolio/balance", None, 1),
        ("DELETE", f"{ORDERS}/x", None, 50),
        ("DELETE", ORDERS, None, 50),
        ("POST", f"{ORDERS}/batched", {"orders": [{}] * 3}, 3),
        ("DELETE", f"{ORDERS}/batched", {"orders": [{}] * 3}, 16),
        ("POST", "portfolio/order_groups/create", {"contracts_limit": 1}, 10),
    ],
)
def test_each_endpoint_costs_what_is_documented(desk, method: str, path: str, body: dict | None, passes: int) -> None:
    assert drain(desk, method, path, body) == passes


def test_reads_and_writes_and_the_balance_have_buckets_of_their_own(desk) -> None:
    assert drain(desk, "GET", "portfolio/positions") == 20
    assert drain(desk, "GET", "portfolio/balance") == 1
    assert drain(desk, "DELETE", ORDERS) == 50


def test_a_write_that_names_its_shard_draws_from_that_shards_bucket(desk) -> None:
    assert drain(desk, "DELETE", f"{ORDERS}/x", exchange_index=3) == 50
    assert drain(desk, "DELETE", f"{ORDERS}/x", exchange_index=2) == 50
    assert drain(desk, "DELETE", f"{ORDERS}/x", exchange_index=0) == 50
    assert drain(desk, "DELETE", ORDERS) == 0, "shard 0 and the account share a bucket"


def test_a_write_that_is_routed_draws_from_every_shards_bucket(desk) -> None:
    assert drain(desk, "POST", ORDERS, desk.order(exchange_index=None)) == 10
    for shard in (0, 2, 3):
        assert drain(desk, "DELETE", f"{ORDERS}/x", exchange_index=shard) == 0


def test_a_batch_that_does_not_fit_is_refused_whole_and_draws_nothing(desk) -> None:
    desk.paced = False
    rows = [desk.order() for _ in range(11)]
    assert desk.ask("POST", f"{ORDERS}/batched", {"orders": rows}).status == 429
    assert desk.member.open_orders == 0
    assert desk.ask("POST", f"{ORDERS}/batched", {"orders": rows[:10]}).status == 201


def test_buckets_refill_with_time(desk) -> None:
    drain(desk, "GET", "portfolio/positions")
    desk.pass_time(0.1)
    assert drain(desk, "GET", "portfolio/positions") == 2


def test_public_reads_draw_on_the_account_only_when_signed(desk) -> None:
    from chimera.sim.server import Request

    assert drain(desk, "GET", "exchange/status") == 20
    unsigned = desk.site.respond(Request("GET", "/trade-api/v2/exchange/status", {}, {}))
    assert unsigned.status == 200


def test_the_documents_say_what_holds(desk) -> None:
    assert desk.get("account/limits") == {
        "grants": [], "usage_tier": "basic",
        "read": {"bucket_capacity": 200, "refill_rate": 200}, "write": {"bucket_capacity": 100, "refill_rate": 100},
    }  # fmt: skip
    desk.faults("tier:name=advanced")
    assert desk.get("account/limits")["write"] == {"bucket_capacity": 600, "refill_rate": 300}
    assert drain(desk, "DELETE", ORDERS) > 50
    costs = json.loads(desk.ask("GET", "account/endpoint_costs").body)
    assert {"cost": 2, "method": "DELETE", "path": "/trade-api/v2/portfolio/events/orders/:order_id"} in costs["endpoint_costs"]


def test_one_who_paces_himself_exactly_is_never_refused() -> None:
    limits = RateLimits("basic", (0,))
    at = 1_795_000_000.0
    for number in range(20):
        assert limits.admit_read("a", 10, at), number
    for step in range(1, 5000):
        assert limits.admit_read("a", 10, at + step * 0.05)


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_has_at_least_a_second_of_tokens(tier: str) -> None:
    assert TIERS[tier].read_seconds >= 1 <= TIERS[tier].write_seconds
