"""The server: keep-alive, limits, and a client's nonsense being that client's problem alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.sim.server import BODY_LIMIT, HEAD_LIMIT, Request, Response, open_port, port_of, serve
from chimera.sim.websocket import MESSAGE_LIMIT, WebSocket

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Echo:
    """Answers with what it was asked; a WebSocket hears its own words again."""

    def respond(self, request: Request) -> Response:
        if request.path == "/bug":
            raise KeyError("a fault of the site")
        return Response(200, f"{request.method} {request.path} {request.param('a')} {len(request.body)}".encode(), "text/plain")

    def refuse(self, request: Request) -> Response | None:
        return None if request.path == "/ws" else Response(401, b"{}")

    async def converse(self, request: Request, socket: WebSocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(socket.pump)
            while (text := await socket.receive()) is not None:
                if text == "fail":
                    raise KeyError("a fault of the conversation")
                socket.say(text)
            socket.close()


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    listeners = await open_port(0)

    async def serving() -> None:
        await serve(listeners, Echo(), now=lambda: 0.0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serving)
        yield port_of(listeners)
        nursery.cancel_scope.cancel()


async def send(port: int, raw: bytes, *, close: bool = True) -> bytes:
    """Everything the server says to these bytes until it hangs up."""
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    said = b""
    async with stream:
        try:
            await stream.send_all(raw)
            if close:
                await stream.send_eof()
            async for part in stream:
                said += part
        except trio.BrokenResourceError:
            return said
    return said


async def test_a_connection_carries_one_request_after_another() -> None:
    async with echo_server() as port:
        said = await send(port, b"GET /one?a=1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
    assert b"GET /one 1 0" in said
    assert b"POST /two  3" in said


async def test_head_is_answered_without_a_body() -> None:
    async with echo_server() as port:
        said = await send(port, b"HEAD /one HTTP/1.1\r\nHost: x\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200")
    assert said.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (8 * HEAD_LIMIT), b"431"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (2 * BODY_LIMIT) + b"a" * (BODY_LIMIT + 70_000), b"413"),
        (b"GET /bug HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"500"),
        (b"GET /other HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"401"),
        (b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", b"400"),
    ],
)
async def test_what_cannot_be_served_is_answered_with_its_status(raw: bytes, status: bytes) -> None:
    async with echo_server() as port:
        said = await send(port, raw, close=False)
    assert said.startswith(b"HTTP/1.1 " + status)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=100).map(lambda junk: UPGRADE + junk), st.just(b"GET / HTTP/1.1\r\n" * 3)))
@settings(max_examples=60, deadline=None)
def test_no_bytes_a_client_sends_stop_the_server(junk: bytes) -> None:
    async def scenario() -> None:
        async with echo_server() as port:
            with trio.fail_after(5):
                await send(port, junk)
                assert b"GET /after" in await send(port, b"GET /after HTTP/1.1\r\nHost: x\r\n\r\n")

    trio.run(scenario)


def frame(opcode: int, payload: bytes) -> bytes:
    """A masked client frame (mask 0)."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xff" + size.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + b"\0\0\0\0" + payload


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (frame(1, b"hello"), b"\x81\x05hello"),
        (frame(9, b"are you there"), b"\x8a\x0dare you there"),
        (frame(2, b"\0\1"), b"\x88\x12\x03\xeb"),
        (frame(1, b"a" * (MESSAGE_LIMIT + 1)), b"\x88\x13\x03\xf1"),
        (b"\xff\xff", b"\x88"),
        (frame(1, b"fail"), b"\x88\x02\x03\xe9"),
    ],
    ids=["text", "ping", "binary is refused", "too large is refused", "a broken frame", "a failing conversation"],
)
async def test_a_websocket_answers_and_ends_by_the_protocol(sent: bytes, answer: bytes) -> None:
    async with echo_server() as port:
        said = await send(port, UPGRADE + sent)
    assert said.startswith(b"HTTP/1.1 101")
    assert answer in said.partition(b"\r\n\r\n")[2]
