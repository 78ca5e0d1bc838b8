"""Whatever bytes arrive, as HTTP, as WebSocket, as a body or as a command: no parser dies, no book moves, and the next client is served."""

from __future__ import annotations

import json
import random
import struct

import httpx
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chimera.conventions import Side
from chimera.kalshi.auth import Signer
from chimera.sim.server import Held
from chimera.sim.site import STREAM_PATH

FAST = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
ORDERS = "portfolio/events/orders"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(["1.00", "0.4000", "bid", "KXG-1-A"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = ("ticker", "side", "count", "price", "time_in_force", "self_trade_prevention_type", "client_order_id", "expiration_time",
          "post_only", "reduce_only", "subaccount", "order_group_id", "exchange_index", "orders", "order_id", "reduce_by", "reduce_to",
          "contracts_limit", "contracts_limit_fp", "updated_client_order_id", "market_ticker")  # fmt: skip
bodies = st.binary(max_size=200) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), json_values, max_size=10).map(
    lambda document: json.dumps(document).encode()
)
WRITES = [
    ("POST", ORDERS),
    ("POST", f"{ORDERS}/batched"),
    ("DELETE", f"{ORDERS}/batched"),
    ("POST", f"{ORDERS}/x/amend"),
    ("POST", f"{ORDERS}/x/decrease"),
    ("POST", "portfolio/order_groups/create"),
    ("PUT", "portfolio/order_groups/x/limit"),
]


@given(write=st.sampled_from(WRITES), body=bodies)
@FAST
def test_no_body_breaks_order_entry_or_moves_a_book_unasked(new_desk, write: tuple[str, str], body: bytes) -> None:
    desk = new_desk()
    desk.public(Side.BID, 40, 5)
    before = desk.book().levels(Side.BID)
    answer = desk.raw(*write, body)
    assert not isinstance(answer, Held)
    assert answer.status in (200, 201, 400, 404, 409)
    json.loads(answer.body)
    if answer.status >= 400:
        assert desk.book().levels(Side.BID) == before
        assert desk.member.orders.now == {}


@given(
    spoiled=st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=4),
    side=st.sampled_from(["bid", "ask"]),
    lasting=st.sampled_from(["good_till_canceled", "immediate_or_cancel", "fill_or_kill"]),
)
@FAST
def test_an_order_with_some_fields_spoiled_is_taken_or_refused_whole(new_desk, spoiled: dict[str, object], side: str, lasting: str) -> None:
    desk = new_desk()
    desk.public(Side.ASK, 60, 5)
    answer = desk.raw("POST", ORDERS, json.dumps(desk.order(side=side, time_in_force=lasting, price="0.6000") | spoiled).encode())
    assert not isinstance(answer, Held)
    assert answer.status in (201, 400, 403, 404, 409)
    assert desk.member.ledger.available(3) >= 0
    levels = sum(count for one in Side for _, count in desk.book().levels(one))
    assert (levels == 500 and not desk.member.fills) or answer.status == 201


QUERY = st.dictionaries(
    st.sampled_from(
        [
            *("limit", "cursor", "status", "ticker", "min_ts", "max_ts", "exchange_index", "subaccount", "depth", "start_ts", "end_ts"),
            *("period_interval", "tickers", "event_ticker", "count_filter", "settlement_status", "market_tickers"),
        ]
    ),
    st.text(max_size=12) | st.integers(-(10**20), 10**20).map(str),
    max_size=5,
)
READS = ["markets", "markets/trades", "markets/KXG-1-A/orderbook", "markets/orderbooks", "portfolio/orders", "portfolio/fills",
         "portfolio/positions", "portfolio/settlements", "portfolio/balance", "portfolio/orders/queue_positions", "events", "series",
         "series/KXG/markets/KXG-1-A/candlesticks", "markets/candlesticks", "portfolio/order_groups", "events/fee_changes"]  # fmt: skip


@given(path=st.sampled_from(READS), query=QUERY)
@FAST
def test_no_query_breaks_a_read(new_desk, path: str, query: dict[str, str]) -> None:
    desk = new_desk()
    answer = desk.raw("GET", path, **query)
    assert not isinstance(answer, Held)
    assert answer.status in (200, 400, 404)
    json.loads(answer.body)


PARAMS = st.dictionaries(
    st.sampled_from(["channels", "market_ticker", "market_tickers", "market_ids", "sids", "sid", "action", "use_yes_price"]),
    json_values | st.lists(st.sampled_from(["orderbook_delta", "trade", "fill", "KXG-1-A", 1, 2]), max_size=3),
    max_size=4,
)
COMMANDS = st.text(max_size=60) | st.builds(
    lambda number, cmd, params: json.dumps({"id": number, "cmd": cmd, "params": params}),
    st.integers() | json_values,
    st.sampled_from(["subscribe", "unsubscribe", "update_subscription", "list_subscriptions"]) | json_values,
    PARAMS | json_values,
)


@given(commands=st.lists(COMMANDS, min_size=1, max_size=6))
@FAST
def test_every_command_is_answered_and_sequences_stay_whole(new_desk, commands: list[str]) -> None:
    desk = new_desk()
    ear = desk.ear()
    for text in commands:
        before = len(ear.heard)
        ear.session._command(text)
        assert len(ear.heard) > before or "get_snapshot" in text
        desk.public(Side.BID, 40, 1)
    seqs: dict[int, list[int]] = {}
    for message in ear.heard:
        if "seq" in message and "sid" in message:
            seqs.setdefault(message["sid"], []).append(message["seq"])
    # `unsubscribed` is the last of its sid; before it the numbers run without a gap.
    assert all(row == list(range(1, len(row) + 1)) for sid, row in seqs.items() if sequenced(ear, sid))
    assert desk.book().levels(Side.BID) == [(4_000, 100 * len(commands))]


def sequenced(ear, sid: int) -> bool:
    channels = {message["msg"]["sid"]: message["msg"]["channel"] for message in ear.heard if message["type"] == "subscribed"}
    return channels.get(sid) in ("orderbook_delta", "trade")


# Over real sockets


@pytest.mark.parametrize("seed", range(3))
async def test_garbage_over_http_ends_its_own_connection_only(sim, seed: int) -> None:
    rng = random.Random(seed)
    request = b"POST /trade-api/v2/portfolio/events/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 12\r\n\r\n{\"ticker\":1}"
    book = {ticker: contract.book.levels(Side.BID) for ticker, contract in sim.site.floor.contracts.items()}
    for _ in range(25):
        raw = bytearray(request)
        for _ in range(rng.randint(1, 8)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        await throw(sim.port, bytes(raw[: rng.randint(1, len(raw))]))
    assert {ticker: contract.book.levels(Side.BID) for ticker, contract in sim.site.floor.contracts.items()} == book
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{sim.port}/trade-api/v2/exchange/status")).status_code == 200


async def throw(port: int, raw: bytes, wait: float = 0.2) -> bytes:
    """Send bytes, say no more, and hear what comes."""
    heard = b""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        with trio.move_on_after(wait):
            try:
                await stream.send_all(raw)
                await stream.send_eof()
                async for part in stream:
                    heard += part
            except trio.BrokenResourceError:
                return heard
    return heard


@pytest.mark.parametrize("seed", range(3))
async def test_garbage_on_a_websocket_ends_its_own_connection_only(sim, seed: int) -> None:
    rng = random.Random(100 + seed)
    async with sim.stream() as healthy:
        for _ in range(12):
            frame = struct.pack("!BB", rng.randrange(256), rng.randrange(256)) + rng.randbytes(rng.randint(0, 40))
            await throw(sim.port, upgrade(sim.signer, sim.clock.now()) + frame, 0.1)
        await healthy.send_message('{"id":1,"cmd":"list_subscriptions"}')
        with trio.fail_after(5):
            assert json.loads(await healthy.get_message()) == {"id": 1, "type": "ok", "msg": []}


def upgrade(signer: Signer, now: float) -> bytes:
    signed = "".join(f"{name}: {value}\r\n" for name, value in signer.headers("GET", STREAM_PATH, int(now * 1000)).items())
    lines = f"GET {STREAM_PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{signed}"
    return f"{lines}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
