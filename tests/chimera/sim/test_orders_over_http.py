"""Order entry over real sockets: what keep-alive, an empty answer, a lost one and a socket that is reset look like to a client."""

from __future__ import annotations

import json

import httpx
import pytest
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, Request, TextMessage

from chimera.sim.site import STREAM_PATH

ORDERS = "/trade-api/v2/portfolio/events/orders"


def signed(sim, method: str, path: str) -> dict[str, str]:
    return sim.signer.headers(method, path, int(sim.clock.time * 1000))


def order(sim, **changes: object) -> dict[str, object]:
    ticker = list(sim.site.floor.contracts)[2]
    terms = {"time_in_force": "good_till_canceled", "self_trade_prevention_type": "maker", "exchange_index": 3}
    return {"ticker": ticker, "side": "bid", "count": "1.00", "price": "0.0100", **terms, **changes}


async def place(client: httpx.AsyncClient, sim, **more: object) -> httpx.Response:
    return await client.post(ORDERS, json=order(sim), headers=signed(sim, "POST", ORDERS), **more)


@pytest.fixture
async def client(sim):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{sim.port}") as client:
        yield client


async def test_orders_are_placed_and_all_cancelled_on_one_connection(sim, client: httpx.AsyncClient) -> None:
    made = [await place(client, sim) for _ in range(3)]
    assert [answer.status_code for answer in made] == [201] * 3
    gone = await client.delete(ORDERS, headers=signed(sim, "DELETE", ORDERS))
    assert (gone.status_code, gone.content) == (204, b"")
    assert "content-length" not in gone.headers
    assert sim.site.exchange.member.open_orders == 0
    assert (await place(client, sim)).status_code == 201, "the connection lives on after an empty answer"


async def test_a_lost_answer_ends_the_connection_and_the_order_rests(sim, client: httpx.AsyncClient) -> None:
    sim.site.install("ack_lost:n=1,how=close")
    with pytest.raises(httpx.RemoteProtocolError):
        await place(client, sim)
    assert sim.site.exchange.member.open_orders == 1
    assert (await place(client, sim)).status_code == 201


async def test_an_answer_that_never_comes_leaves_the_others_served(sim, client: httpx.AsyncClient) -> None:
    sim.site.install("ack_lost:n=1,how=hang,for=60")
    with pytest.raises(httpx.ReadTimeout):
        await place(client, sim, timeout=0.2)
    assert sim.site.exchange.member.open_orders == 1
    assert (await client.get("/trade-api/v2/exchange/status")).status_code == 200


async def test_a_batch_is_cancelled_with_a_body_on_delete(sim, client: httpx.AsyncClient) -> None:
    ids = [(await place(client, sim)).json()["order_id"] for _ in range(2)]
    path = f"{ORDERS}/batched"
    body = json.dumps({"orders": [{"order_id": order_id, "exchange_index": 3} for order_id in ids]})
    answer = await client.request("DELETE", path, content=body, headers=signed(sim, "DELETE", path))
    assert [row["reduced_by"] for row in answer.json()["orders"]] == ["1.00", "1.00"]


async def test_a_reset_socket_says_no_goodbye_and_the_next_is_502(sim) -> None:
    """By hand: trio_websocket leaves a socket that was reset to the garbage collector."""
    ticker = list(sim.site.floor.contracts)[2]
    protocol = WSConnection(ConnectionType.CLIENT)
    async with await trio.open_tcp_stream("127.0.0.1", sim.port) as stream:
        headers = [(name.encode(), value.encode()) for name, value in sim.headers(STREAM_PATH).items()]
        await stream.send_all(protocol.send(Request(host="127.0.0.1", target=STREAM_PATH, extra_headers=headers)))
        protocol.receive_data(await stream.receive_some(4_096))
        assert any(isinstance(event, AcceptConnection) for event in protocol.events())
        params = {"channels": ["orderbook_delta"], "market_ticker": ticker}
        await stream.send_all(protocol.send(TextMessage(json.dumps({"id": 1, "cmd": "subscribe", "params": params}))))
        while not sim.site.switchboard.sessions or b"snapshot" not in await stream.receive_some(65_536):
            pass
        sim.site.install("reset:n=1,refuse=5")
        sim.pass_time(2)
        with trio.fail_after(5), pytest.raises(trio.BrokenResourceError):
            await stream.receive_some(4_096)
    again = await sim.get(STREAM_PATH, sim.headers(STREAM_PATH) | {"upgrade": "websocket", "connection": "Upgrade"})
    assert again.status_code == 502
