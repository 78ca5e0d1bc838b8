"""Our own account as values: recorded lists, pages, and a start refused where a shard has no cash."""

from __future__ import annotations

import json
import random
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from chimera.clock import VirtualClock
from chimera.conventions import DOLLAR, Side
from chimera.errors import VenueError
from chimera.kalshi import decode_account
from chimera.kalshi.account import KalshiAccount, shards_without_cash
from chimera.kalshi.auth import Signer
from chimera.kalshi.failures import OutcomeUnknown
from chimera.kalshi.ratelimit import Call
from chimera.kalshi.rest import KalshiRest
from chimera.kalshi.schema_account import ApiKey, Balance, EventPosition, OrderStatus, QueuePosition
from chimera.kalshi.session import ExchangeSession

TICKER = "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP"
ORDER = {
    "order_id": "o",
    "ticker": "M",
    "status": "resting",
    "book_side": "ask",
    "yes_price_dollars": "0.520000",
    "initial_count_fp": "10.00",
    "fill_count_fp": "2.50",
    "remaining_count_fp": "7.50",
}


class Setup:
    """An account over a table of answers, in a world where waiting costs nothing."""

    def __init__(self, key, door_class) -> None:
        clock = VirtualClock(origin_unix=1_790_000_000.0)
        self._door_class = door_class
        self.session = ExchangeSession(
            Signer("key-id-abcdef", key), clock, rest_url="https://exchange.test", ws_url="wss://exchange.test"
        )

    def over(self, answers: dict[str, object], *, subaccount: int | None = None) -> KalshiAccount:
        bodies = {
            f"kalshi.rest {path}": [(200, body if isinstance(body, bytes) else json.dumps(body).encode())]
            for path, body in answers.items()
        }
        self.door = self._door_class(bodies)
        return KalshiAccount(KalshiRest(self.door, self.session, random.Random(7)), subaccount=subaccount)


@pytest.fixture
async def setup(autojump_clock: MockClock, ed25519_key, table_door) -> Setup:
    return Setup(ed25519_key, table_door)


class TestLists:
    """Each thing once, over all pages."""

    async def test_orders_are_gathered_over_pages_and_listed_once(self, setup: Setup) -> None:
        account = setup.over(
            {
                "/portfolio/orders?limit=1000&status=resting": {"orders": [ORDER, ORDER | {"order_id": "p"}], "cursor": "c"},
                "/portfolio/orders?cursor=c&limit=1000&status=resting": {"orders": [ORDER | {"order_id": "p"}], "cursor": ""},
            }
        )
        orders = await account.orders(status="resting")
        assert [order.order_id for order in orders] == ["o", "p"]
        order = orders[0]
        assert (order.side, order.price, order.initial, order.filled, order.remaining) == (Side.ASK, 5200, 1000, 250, 750)
        assert (order.client_id, order.group_id, order.expires_at, order.status) == ("", "", None, OrderStatus.RESTING)

    async def test_a_span_of_time_is_asked_for_in_whole_seconds_and_a_subaccount_always(self, setup: Setup) -> None:
        account = setup.over(
            {"/portfolio/orders?exchange_index=3&limit=1000&max_ts=20&min_ts=10&subaccount=4&ticker=M": {"orders": []}}, subaccount=4
        )
        assert await account.orders(ticker="M", since=10.9, until=20.1, exchange_index=3) == ()

    async def test_a_list_with_an_order_that_cannot_be_read_is_no_list(self, setup: Setup) -> None:
        path = "/portfolio/orders?limit=1000"
        for broken in ({"status": None}, {"book_side": "sideways"}, {"book_side": None}, {"yes_price_dollars": "1.5"}):
            account = setup.over({path: {"orders": [ORDER, ORDER | broken]}})
            with pytest.raises(OutcomeUnknown, match="GET /portfolio/orders: the answer cannot be read"):
                await account.orders()

    async def test_a_list_that_is_not_there_is_not_an_empty_one(self, setup: Setup) -> None:
        with pytest.raises(VenueError, match="has no orders"):
            await setup.over({"/portfolio/orders?limit=1000": {"cursor": ""}}).orders()

    async def test_a_status_nobody_knows_is_unknown(self, setup: Setup) -> None:
        account = setup.over({"/portfolio/orders/o": {"order": ORDER | {"status": "dreaming"}}})
        assert (await account.order("o")).status is OrderStatus.UNKNOWN

    async def test_markets_and_events_of_one_page_of_positions_come_apart(self, setup: Setup) -> None:
        market = {
            "ticker": "M",
            "position_fp": "-3.50",
            "market_exposure_dollars": "2.5",
            "realized_pnl_dollars": "-0.010000",
            "fees_paid_dollars": "0.02",
            "total_traded_dollars": "5",
            "exchange_index": 2,
        }
        event = {
            "event_ticker": "E",
            "total_cost_dollars": "1",
            "total_cost_shares_fp": "3.00",
            "event_exposure_dollars": "1",
            "realized_pnl_dollars": "0",
            "fees_paid_dollars": "0",
        }
        account = setup.over({"/portfolio/positions?limit=1000": {"market_positions": [market], "event_positions": [event], "cursor": ""}})
        positions = await account.positions()
        (held,) = positions.markets
        assert (held.position, held.exposure, held.realized, held.exchange_index) == (-350, 2_500_000, -10_000, 2)
        assert positions.events == (EventPosition("E", 1_000_000, 300, 1_000_000, 0, 0),)

    async def test_a_settlement_is_in_money_though_it_is_sent_in_cents(self, setup: Setup) -> None:
        body = {
            "ticker": "M",
            "event_ticker": "E",
            "exchange_index": 3,
            "market_result": "yes",
            "yes_count_fp": "1.00",
            "yes_total_cost_dollars": "0.5200",
            "no_count_fp": "0.00",
            "no_total_cost_dollars": "0",
            "revenue": 100,
            "settled_time": "2026-11-22T00:00:00Z",
            "fee_cost": "0.3400",
            "value": 100,
        }
        account = setup.over({"/portfolio/settlements?limit=1000&min_ts=5": {"settlements": [body, body], "cursor": ""}})
        (settled,) = await account.settlements(since=5.5)
        assert (settled.revenue, settled.yes_cost, settled.value, settled.fee) == (DOLLAR, 520_000, 10_000, 340_000)
        assert settled.key == (3, "M", settled.at)

    async def test_queue_positions_are_counts_ahead(self, setup: Setup) -> None:
        rows = [{"order_id": "o", "market_ticker": "M", "queue_position_fp": "12.50"}]
        account = setup.over(
            {
                "/portfolio/orders/queue_positions?market_tickers=M,N": {"queue_positions": rows},
                "/portfolio/orders/o/queue_position": {"queue_position_fp": "3.00"},
            }
        )
        assert await account.queue_positions(["M", "N"]) == (QueuePosition("o", "M", 1250),)
        assert await account.queue_position("o") == 300

    async def test_groups_and_one_group(self, setup: Setup) -> None:
        row = {"id": "g", "contracts_limit_fp": "30.00", "is_auto_cancel_enabled": True, "exchange_index": 2}
        account = setup.over(
            {
                "/portfolio/order_groups": {"order_groups": [row]},
                "/portfolio/order_groups/g": {"is_auto_cancel_enabled": False, "orders": ["o"], "exchange_index": 2},
            }
        )
        (listed,) = await account.groups()
        assert (listed.group_id, listed.limit, listed.exchange_index) == ("g", 3000, 2)
        group = await account.group("g")
        assert (group.group_id, group.auto_cancel, group.orders, group.limit) == ("g", False, ("o",), None)


class TestAccount:
    """What the account and its keys may do."""

    async def test_costs_and_limits_are_taken_on_by_the_limiter(self, setup: Setup) -> None:
        account = setup.over(
            {
                "/account/limits": {
                    "usage_tier": "expert",
                    "read": {"refill_rate": 600, "bucket_capacity": 600},
                    "write": {"refill_rate": 600, "bucket_capacity": 1200},
                    "grants": [],
                },
                "/account/endpoint_costs": {
                    "default_cost": 10,
                    "endpoint_costs": [{"method": "DELETE", "path": "/trade-api/v2/portfolio/events/orders/batched", "cost": 4}],
                },
            }
        )
        await account.limits()
        await account.endpoint_costs()
        limiter = setup.session.limiter
        assert (limiter.write_capacity, limiter.cost(Call.BATCH_CANCEL, 3)) == (1200, 12)
        assert limiter.largest_batch(Call.BATCH_CANCEL) == 300

    async def test_the_end_of_the_attestation_of_the_accounts_location_is_told(self, setup: Setup) -> None:
        key = {"api_key_id": "k", "name": "trader", "scopes": ["read", "write::trade"], "subaccount": None}
        account = setup.over({"/api_keys": {"api_keys": [key], "api_key_region_expiration_ts": 1_800_000_000}})
        keys = await account.api_keys()
        assert keys.region_expires_at == 1_800_000_000
        assert keys.keys[0].may("write::trade")
        assert keys.keys[0].may("read::portfolio_balance")
        assert not keys.keys[0].may("write")
        assert ApiKey("k", "", ("write",)).may("write::trade")
        assert (await setup.over({"/api_keys": {"api_keys": []}}).api_keys()).region_expires_at is None

    async def test_one_shards_balance_is_asked_for_by_its_index(self, setup: Setup) -> None:
        account = setup.over({"/portfolio/balance?exchange_index=2": {"balance": 100, "portfolio_value": 0, "updated_ts": 1}})
        assert (await account.balance(2)).cash == DOLLAR


@attrs.frozen
class Listed:
    """As much of a market as money depends on."""

    ticker: str
    exchange_index: int


class TestShards:
    """Cash on one shard is no cash on another."""

    markets = (Listed("A", 0), Listed("B", 3), Listed("C", 3))

    def balance(self, *shards: tuple[int, int]) -> Balance:
        return Balance(sum(cash for _, cash in shards), 0, 0.0, shards)

    def test_an_account_full_of_money_on_another_shard_is_short(self) -> None:
        (short,) = shards_without_cash(self.balance((0, 1000 * DOLLAR), (3, DOLLAR)), self.markets, 50 * DOLLAR)
        assert (short.exchange_index, short.cash, short.need, short.markets) == (3, DOLLAR, 50 * DOLLAR, ("B", "C"))
        assert str(short) == "shard 3 has $1.00 of the $50.00 that B, C may need: transfer cash to it at Kalshi"

    def test_a_shard_that_the_balance_does_not_list_is_short_too(self) -> None:
        short = shards_without_cash(Balance(1000 * DOLLAR, 0, 0.0), self.markets, {0: DOLLAR, 3: 0})
        assert [(each.exchange_index, each.cash) for each in short] == [(0, None)]

    def test_enough_everywhere_is_no_complaint(self) -> None:
        assert shards_without_cash(self.balance((0, DOLLAR), (3, DOLLAR)), self.markets, DOLLAR) == ()
        assert shards_without_cash(self.balance(), (), DOLLAR) == ()

    @given(
        st.dictionaries(st.integers(0, 5), st.integers(0, 10**9)),
        st.lists(st.integers(0, 5), max_size=8),
        st.integers(0, 10**9),
    )
    def test_the_shards_that_are_not_short_can_pay(self, cash: dict[int, int], shards: list[int], need: int) -> None:
        markets = [Listed(f"M{number}", shard) for number, shard in enumerate(shards)]
        short = {each.exchange_index for each in shards_without_cash(self.balance(*cash.items()), markets, need)}
        assert {shard for shard in set(shards) - short if cash.get(shard, 0) < need} == set()
        assert all(cash.get(shard, 0) < need for shard in short)


@pytest.mark.data
class TestRecorded:
    """What the demo exchange sent."""

    def page(self, folder: Path, name: str, field: str) -> list[dict[str, object]]:
        return json.loads((folder / "kalshi/demo_rest_ws" / f"{name}.json").read_bytes())[field]

    def test_the_orders(self, shared_data: Path) -> None:
        rows = self.page(shared_data, "portfolio__orders_list", "orders")
        orders = [decode_account.order(json.dumps(row).encode()) for row in rows]
        taken = next(order for order in orders if order.order_id.startswith("97ec18b7"))
        assert (taken.side, taken.price, taken.status, taken.filled) == (Side.BID, 9900, OrderStatus.EXECUTED, 100)
        assert (taken.taker_cost, taken.taker_fees, taken.maker_fees) == (520_000, 17_500, 0)
        gone = next(order for order in orders if order.status is OrderStatus.CANCELED)
        assert gone.remaining == 0
        body = (shared_data / "kalshi/demo_rest_ws/orders__get_after_create.json").read_bytes()
        resting = decode_account.single_order(body)
        assert (resting.status, resting.remaining, resting.market) == (OrderStatus.RESTING, 100, TICKER)
        assert resting.created_at == pytest.approx(1781159360.866753)

    def test_the_fills(self, shared_data: Path) -> None:
        rows = self.page(shared_data, "fills__after_taker", "fills")
        fills = [decode_account.fill(json.dumps(row).encode()) for row in rows]
        assert (fills[0].side, fills[0].price, fills[0].count, fills[0].fee) == (Side.BID, 5200, 100, 17_500)
        assert fills[0].at == pytest.approx(1781159370.164956)
        assert fills[1].fee == 700
        assert len({fill.fill_id for fill in fills}) == len(fills)

    def test_the_positions(self, shared_data: Path) -> None:
        (market,) = self.page(shared_data, "portfolio__positions", "market_positions")
        held = decode_account.position(json.dumps(market).encode())
        assert (held.position, held.exposure, held.fees) == (300, 2_500_000, 18_900)
