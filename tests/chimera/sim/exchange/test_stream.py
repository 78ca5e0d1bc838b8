"""The WebSocket: sequence numbers, snapshots and deltas that fold to the engine's book, commands and their errors, slow clients."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import trio
from trio_websocket import WebSocketConnection
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

import chimera.sim.websocket as websocket
from chimera.conventions import Side, complement, parse_count, parse_price
from chimera.sim.site import STREAM_PATH


async def ask(socket: WebSocketConnection, number: int, cmd: str, **params: object) -> None:
    await socket.send_message(json.dumps({"id": number, "cmd": cmd, "params": params}))


async def hear(socket: WebSocketConnection, until: Callable[[dict], bool]) -> list[dict]:
    """Every message up to the first that satisfies `until`."""
    heard = []
    with trio.fail_after(5):
        while not heard or not until(heard[-1]):
            heard.append(json.loads(await socket.get_message()))
    return heard


async def all_heard(socket: WebSocketConnection) -> list[dict]:
    """What has been queued so far: up to the answer to a command sent now."""
    await socket.send_message('{"id":999,"cmd":"list_subscriptions"}')
    return (await hear(socket, lambda message: message.get("id") == 999))[:-1]


def fold(messages: list[dict], *, yes_price: bool) -> dict[str, dict[tuple[Side, int], int]]:
    """Books as a subscriber holds them, in YES space."""
    books: dict[str, dict[tuple[Side, int], int]] = {}
    for message in messages:
        msg = message["msg"]

        def level(side: str, price: str) -> tuple[Side, int]:
            number = parse_price(price)
            if side == "yes":
                return Side.BID, number
            return Side.ASK, number if yes_price else complement(number)

        if message["type"] == "orderbook_snapshot":
            books[msg["market_ticker"]] = {
                level(side, price): parse_count(count) for side in ("yes", "no") for price, count in msg.get(f"{side}_dollars_fp", ())
            }
        elif message["type"] == "orderbook_delta":
            book, place = books[msg["market_ticker"]], level(msg["side"], msg["price_dollars"])
            book[place] = book.get(place, 0) + parse_count(msg["delta_fp"])
            assert book[place] >= 0
            if not book[place]:
                del book[place]
    return books


@pytest.mark.parametrize("yes_price", [True, False])
async def test_snapshot_and_deltas_fold_to_the_engines_book(sim, yes_price: bool) -> None:
    async with sim.stream() as socket:
        tickers = list(sim.site.floor.contracts)
        await ask(socket, 1, "subscribe", channels=["orderbook_delta"], market_tickers=tickers, use_yes_price=yes_price)
        heard = await all_heard(socket)
        sim.pass_time(30)
        heard += await all_heard(socket)
    assert [message["seq"] for message in heard if "seq" in message] == list(range(1, len(heard)))
    assert sum(message["type"] == "orderbook_delta" for message in heard) > 500
    books = fold(heard, yes_price=yes_price)
    for ticker, contract in sim.site.floor.contracts.items():
        assert books[ticker] == {(side, price): count for side in Side for price, count in contract.book.levels(side)}


async def test_sweeping_a_determined_market_empties_the_folded_book_and_is_announced(sim) -> None:
    ticker, contract = next(iter(sim.site.floor.contracts.items()))
    async with sim.stream() as socket:
        await ask(socket, 1, "subscribe", channels=["orderbook_delta", "market_lifecycle_v2"], market_ticker=ticker)
        heard = await all_heard(socket)
        for _ in range(4):
            sim.pass_time((contract.listing.finalized_at + 1 - sim.clock.time) / 2 + 0.5)
            heard += await all_heard(socket)
        sim.pass_time(contract.listing.finalized_at + 1 - sim.clock.time)
        heard += await all_heard(socket)
    assert fold(heard, yes_price=False)[ticker] == {}
    lives = [message["msg"] for message in heard if message["type"] == "market_lifecycle_v2"]
    assert {msg["market_ticker"] for msg in lives} == {ticker, list(sim.site.floor.contracts)[1]}  # the channel has no filter
    lives = [msg for msg in lives if msg["market_ticker"] == ticker]
    assert [msg["event_type"] for msg in lives] == ["determined", "settled"]
    assert lives[0]["result"] == contract.result


async def test_each_subscription_counts_every_message_it_carries(sim) -> None:
    first, second, *_ = sim.site.floor.contracts
    async with sim.stream() as socket:
        await ask(socket, 1, "subscribe", channels=["orderbook_delta", "trade"], market_tickers=[first], use_yes_price=True)
        await ask(socket, 2, "update_subscription", sids=[1], market_tickers=[second], action="add_markets")
        await ask(socket, 3, "update_subscription", sid=1, market_tickers=[first], action="get_snapshot")
        await ask(socket, 4, "update_subscription", sids=[1], market_tickers=[first], action="delete_markets")
        heard = await all_heard(socket)
        sim.pass_time(20)
        heard += await all_heard(socket)
        await ask(socket, 5, "unsubscribe", sids=[1, 2])
        heard += await all_heard(socket)
        sim.pass_time(5)
        assert await all_heard(socket) == []
    assert [(m["type"], m["msg"]) for m in heard[:2]] == [
        ("subscribed", {"channel": "orderbook_delta", "sid": 1}),
        ("subscribed", {"channel": "trade", "sid": 2}),
    ]
    assert [(m["type"], m.get("id"), m["seq"]) for m in heard[2:7]] == [
        ("orderbook_snapshot", None, 1),
        ("ok", 2, 2),
        ("orderbook_snapshot", None, 3),
        ("orderbook_snapshot", 3, 4),
        ("ok", 4, 5),
    ]
    assert heard[3]["msg"] == {"market_tickers": [first, second]}
    for sid in (1, 2):
        seqs = [m["seq"] for m in heard if m.get("sid") == sid]
        assert seqs == list(range(1, len(seqs) + 1))
    assert [m["type"] for m in heard[-2:]] == ["unsubscribed", "unsubscribed"]
    later = heard[7:-2]
    assert {m["msg"]["market_ticker"] for m in later if m["type"] == "orderbook_delta"} == {second}
    assert {m["msg"]["market_ticker"] for m in later if m["type"] == "trade"} == {first}


async def test_a_trade_is_told_with_both_legs_and_the_takers_side(sim) -> None:
    async with sim.stream() as socket:
        await ask(socket, 1, "subscribe", channels=["trade"])
        await all_heard(socket)
        sim.pass_time(10)
        trades = [message["msg"] for message in await all_heard(socket)]
    assert trades
    for trade in trades:
        assert parse_price(trade["yes_price_dollars"]) + parse_price(trade["no_price_dollars"]) == 10_000
        assert (trade["taker_outcome_side"], trade["taker_book_side"]) in {("yes", "bid"), ("no", "ask")}
    public = [printed.trade_id for contract in sim.site.floor.contracts.values() for printed in contract.tape]
    assert {trade["trade_id"] for trade in trades} <= set(public)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("not json", 1),
        ("[1]", 1),
        ('{"id":-1,"cmd":"subscribe"}', 1),
        ('{"id":1,"cmd":"subscribe"}', 2),
        ('{"id":1,"cmd":"subscribe","params":{}}', 3),
        ('{"id":1,"cmd":"unsubscribe","params":{}}', 4),
        ('{"id":1,"cmd":"dance","params":{}}', 5),
        ('{"id":1,"cmd":["subscribe"],"params":{}}', 5),
        ('{"id":1,"cmd":"unsubscribe","params":{"sids":[9]}}', 7),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["gossip"]}}', 8),
        ('{"id":1,"cmd":"subscribe","params":{"channels":[["trade"]]}}', 8),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"market_tickers":["NONE"]}}', 11),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"market_tickers":[["NONE"]]}}', 11),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1,2],"action":"add_markets"}}', 12),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}', 14),
    ],
)
async def test_a_wrong_command_is_answered_with_its_code(sim, command: str, code: int) -> None:
    async with sim.stream() as socket:
        await socket.send_message(command)
        [answer] = await hear(socket, lambda message: True)
    assert (answer["type"], answer["msg"]["code"]) == ("error", code)


@pytest.mark.parametrize(("action", "code"), [(None, 15), ("dance", 13)])
async def test_a_wrong_action_is_answered_with_its_code(sim, action: str | None, code: int) -> None:
    async with sim.stream() as socket:
        await ask(socket, 1, "subscribe", channels=["trade"])
        await ask(socket, 2, "update_subscription", sids=[1], action=action)
        [answer] = (await hear(socket, lambda message: message["type"] == "error"))[-1:]
    assert (answer["id"], answer["msg"]["code"]) == (2, code)


async def test_subscribing_again_keeps_the_sid_and_adds_the_markets(sim) -> None:
    first, second, *_ = sim.site.floor.contracts
    async with sim.stream() as socket:
        await ask(socket, 1, "subscribe", channels=["orderbook_delta"], market_tickers=[first])
        await ask(socket, 2, "subscribe", channels=["orderbook_delta"], market_tickers=[first, second])
        heard = await all_heard(socket)
    assert [message["msg"]["sid"] for message in heard if message["type"] == "subscribed"] == [1, 1]
    assert [message["msg"]["market_ticker"] for message in heard if message["type"] == "orderbook_snapshot"] == [first, second]


async def deaf_client(sim) -> trio.SocketStream:
    """A client that subscribes to everything, with hardly a buffer on either side, and then reads nothing."""
    sim.listener.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, 8_192)
    raw = trio.socket.socket()
    raw.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4_096)
    await raw.connect(("127.0.0.1", sim.port))
    stream = trio.SocketStream(raw)
    client = WSConnection(ConnectionType.CLIENT)
    signed = [(name.encode(), value.encode()) for name, value in sim.headers(STREAM_PATH).items()]
    await stream.send_all(client.send(Request(host="127.0.0.1", target=STREAM_PATH, extra_headers=signed)))
    client.receive_data(await stream.receive_some(4_096))
    assert any(isinstance(event, AcceptConnection) for event in client.events())
    params = {"channels": ["orderbook_delta"], "market_tickers": list(sim.site.floor.contracts)}
    await stream.send_all(client.send(TextMessage(json.dumps({"id": 1, "cmd": "subscribe", "params": params}))))
    return stream


async def test_a_client_that_does_not_read_gets_error_25_and_is_cut_off_alone(sim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "OUTBOX_LIMIT", 60_000)
    async with sim.stream() as reading, await deaf_client(sim) as deaf:
        await ask(reading, 1, "subscribe", channels=["trade"])
        while len(sim.site.switchboard.sessions) == 2:
            sim.pass_time(1)
            heard = await all_heard(reading)
        assert "trade" in {message["type"] for message in heard}
        said = b""
        with trio.fail_after(5):
            async for part in deaf:
                said += part
    goodbye = said[said.rindex(b'{"id"') :]
    last = json.loads(goodbye[: goodbye.rindex(b"}") + 1])
    assert last == {"id": 0, "type": "error", "msg": {"code": 25, "msg": "Subscription buffer overflow"}}


async def test_the_server_pings_with_heartbeat(sim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chimera.sim.exchange.stream.HEARTBEAT_SECONDS", 0.02)
    async with await deaf_client(sim) as stream:
        said = b""
        with trio.fail_after(5):
            while said.count(b"\x89\x09heartbeat") < 2:
                said += await stream.receive_some(65_536)
