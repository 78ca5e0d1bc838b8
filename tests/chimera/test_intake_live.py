"""The live door against real servers on loopback: what enters, what is refused, and how each failure is told."""

from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
import wsproto
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from chimera.clock import WorldClock
from chimera.errors import FeedError
from chimera.intake import Frame, NotSent
from chimera.intake_live import Limits, LiveDoor

Answer = Callable[[trio.SocketStream, bytes], Awaitable[None]]
Handler = Callable[[WebSocketConnection], Awaitable[None]]


async def plain(stream: trio.SocketStream, request: bytes, body: bytes = b"hello", more: str = "") -> None:
    """A complete answer of status 200."""
    await stream.send_all(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)


@asynccontextmanager
async def tcp_server(answer: Answer) -> AsyncIterator[int]:
    """A server that reads one request head after another and answers each with `answer`."""

    async def serve(stream: trio.SocketStream) -> None:
        received = b""
        try:
            while chunk := await stream.receive_some():
                received += chunk
                while b"\r\n\r\n" in received:
                    head, _, received = received.partition(b"\r\n\r\n")
                    await answer(stream, head)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def ws_server(
    handler: Handler, context: ssl.SSLContext | None = None, asked: list[WebSocketRequest] | None = None
) -> AsyncIterator[int]:
    """A WebSocket server that gives each connection to `handler` and notes each request in `asked`."""

    async def accept(request: WebSocketRequest) -> None:
        if asked is not None:
            asked.append(request)
        connection = await request.accept()
        try:
            await handler(connection)
        except ConnectionClosed:
            return

    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_websocket, accept, "127.0.0.1", 0, context))
        yield server.port
        nursery.cancel_scope.cancel()


async def listen_until_closed(connection: WebSocketConnection) -> None:
    while True:
        await connection.get_message()


async def closed_port() -> int:
    """A port nobody listens on."""
    async with tcp_server(plain) as port:
        return port


@pytest.fixture
async def door() -> AsyncIterator[LiveDoor]:
    async with LiveDoor(WorldClock(), limits=Limits(connect=0.5, close=0.2, document=1000, message=1000)) as live:
        yield live


class TestDocuments:
    """One GET is one frame or one FeedError."""

    async def test_a_document_enters_with_its_status_and_both_times(self, door: LiveDoor) -> None:
        async def missing(stream: trio.SocketStream, request: bytes) -> None:
            await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone")

        seen: list[Frame] = []
        door.tap(seen.append)
        clock = WorldClock()
        async with tcp_server(missing) as port:
            frame = await door.get("a.document", f"http://127.0.0.1:{port}/x")
        assert (frame.stream, frame.status, frame.body) == ("a.document", 404, b"gone")
        assert seen == [frame]
        assert frame.received_mono > 0
        assert abs(frame.received_wall - clock.now()) < 5

    async def test_headers_go_out_and_a_listener_hears_those_that_come_back(self, door: LiveDoor) -> None:
        requests: list[bytes] = []
        heard: list[tuple[str, str, bool]] = []

        async def answer(stream: trio.SocketStream, request: bytes) -> None:
            requests.append(request)
            await plain(stream, request, more='ETag: "v1"\r\n')

        def listen(stream: str, headers: Mapping[str, str], sent: float, received: float) -> None:
            heard.append((stream, headers["etag"], sent <= received))

        door.on_response(listen)
        async with tcp_server(answer) as port:
            await door.get("a.document", f"http://127.0.0.1:{port}/x?q=1", headers={"If-None-Match": '"v0"'})
        assert requests[0].startswith(b"GET /x?q=1 HTTP/1.1")
        assert b'If-None-Match: "v0"' in requests[0]
        assert heard == [("a.document", '"v1"', True)]

    async def test_a_redirect_is_an_answer_and_is_not_followed(self, door: LiveDoor) -> None:
        async def moved(stream: trio.SocketStream, request: bytes) -> None:
            await stream.send_all(b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

        async with tcp_server(moved) as port:
            assert (await door.get("a.document", f"http://127.0.0.1:{port}/")).status == 301

    async def test_one_connection_serves_many_documents(self, door: LiveDoor) -> None:
        streams: set[int] = set()

        async def answer(stream: trio.SocketStream, request: bytes) -> None:
            streams.add(id(stream))
            await plain(stream, request)

        async with tcp_server(answer) as port:
            for _ in range(3):
                await door.get("a.document", f"http://127.0.0.1:{port}/")
        assert len(streams) == 1

    async def test_an_answer_cut_short_is_a_feed_error(self, door: LiveDoor) -> None:
        async def cut(stream: trio.SocketStream, request: bytes) -> None:
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await stream.aclose()

        async with tcp_server(cut) as port:
            with pytest.raises(FeedError, match=r"a\.document"):
                await door.get("a.document", f"http://127.0.0.1:{port}/")

    async def test_an_answer_that_is_not_http_is_a_feed_error(self, door: LiveDoor) -> None:
        async def garbage(stream: trio.SocketStream, request: bytes) -> None:
            await stream.send_all(b"\x00\x01 no such protocol\r\n\r\n")

        async with tcp_server(garbage) as port:
            with pytest.raises(FeedError, match=r"a\.document"):
                await door.get("a.document", f"http://127.0.0.1:{port}/")

    async def test_an_answer_that_trickles_is_ended_by_the_timeout_of_the_whole(self, door: LiveDoor) -> None:
        async def trickle(stream: trio.SocketStream, request: bytes) -> None:
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
            for _ in range(900):
                await stream.send_all(b"x")
                await trio.sleep(0.02)

        async with tcp_server(trickle) as port:
            with pytest.raises(FeedError, match=r"within 0\.1 s"):
                await door.get("a.document", f"http://127.0.0.1:{port}/", timeout=0.1)

    async def test_a_refused_connection_is_a_feed_error_without_the_address(self, door: LiveDoor) -> None:
        port = await closed_port()
        with pytest.raises(FeedError, match=r"a\.document") as caught:
            await door.get("a.document", f"http://127.0.0.1:{port}/?apiKey=secret")
        assert "secret" not in str(caught.value)

    async def test_an_unknown_host_is_a_feed_error(self, door: LiveDoor) -> None:
        with pytest.raises(FeedError, match=r"a\.document"):
            await door.get("a.document", "http://no-such-host.invalid/")

    async def test_a_document_over_the_limit_is_refused_though_it_is_small_when_packed(self, door: LiveDoor) -> None:
        packed = gzip.compress(b"x" * 100_000)
        assert len(packed) < 1000
        answer = partial(plain, body=packed, more="Content-Encoding: gzip\r\n")
        async with tcp_server(answer) as port:
            with pytest.raises(FeedError, match="larger than 1000 bytes"):
                await door.get("a.document", f"http://127.0.0.1:{port}/")

    async def test_a_document_over_the_limit_is_refused_while_it_still_arrives(self, door: LiveDoor) -> None:
        async def endless(stream: trio.SocketStream, request: bytes) -> None:
            await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                await stream.send_all(b"64\r\n" + b"x" * 100 + b"\r\n")

        async with tcp_server(endless) as port:
            with pytest.raises(FeedError, match="larger than 1000 bytes"):
                await door.get("a.document", f"http://127.0.0.1:{port}/")

    async def test_a_packed_document_is_unpacked(self, door: LiveDoor) -> None:
        answer = partial(plain, body=gzip.compress(b"hello", mtime=0), more="Content-Encoding: gzip\r\n")
        async with tcp_server(answer) as port:
            assert (await door.get("a.document", f"http://127.0.0.1:{port}/")).body == b"hello"

    @pytest.mark.parametrize(
        ("encoding", "body"), [("gzip", b"not gzip"), ("gzip", gzip.compress(b"hello", mtime=0)[:-9]), ("br", b"brotli")]
    )
    async def test_a_document_that_cannot_be_unpacked_is_a_feed_error(
        self, door: LiveDoor, encoding: str, body: bytes
    ) -> None:
        answer = partial(plain, body=body, more=f"Content-Encoding: {encoding}\r\n")
        async with tcp_server(answer) as port:
            with pytest.raises(FeedError, match=r"a\.document"):
                await door.get("a.document", f"http://127.0.0.1:{port}/")

    async def test_being_cancelled_is_not_turned_into_an_error(self, door: LiveDoor) -> None:
        async def never(stream: trio.SocketStream, request: bytes) -> None:
            await trio.sleep_forever()

        async with tcp_server(never) as port:
            with trio.move_on_after(0.05) as scope:
                await door.get("a.document", f"http://127.0.0.1:{port}/")
        assert scope.cancelled_caught


class TestWrites:
    """One request, sent once: its answer, or whether any of it left."""

    async def test_method_body_and_headers_go_out_and_the_answer_enters_at_the_door(self, door: LiveDoor) -> None:
        received: list[bytes] = []

        async def answer(stream: trio.SocketStream, request: bytes) -> None:
            received.append(request)
            await stream.send_all(b"HTTP/1.1 204 No Content\r\n\r\n")

        seen: list[Frame] = []
        heard: list[str] = []
        door.tap(seen.append)
        door.on_response(lambda stream, *_: heard.append(stream))
        async with tcp_server(answer) as port:
            url = f"http://127.0.0.1:{port}/orders?x=1"
            frame = await door.send("DELETE", "a.write", url, headers={"X-Key": "v"}, body=b"{}")
        assert (frame.stream, frame.status, frame.body) == ("a.write", 204, b"")
        assert seen == [frame]
        assert heard == ["a.write"]
        assert received[0].startswith(b"DELETE /orders?x=1 HTTP/1.1")
        assert {b"X-Key: v", b"Content-Type: application/json", b"Content-Length: 2"} <= set(received[0].split(b"\r\n"))

    async def test_a_write_without_a_body_says_nothing_of_one(self, door: LiveDoor) -> None:
        received: list[bytes] = []

        async def answer(stream: trio.SocketStream, request: bytes) -> None:
            received.append(request)
            await plain(stream, request)

        async with tcp_server(answer) as port:
            await door.send("DELETE", "a.write", f"http://127.0.0.1:{port}/")
        assert b"Content-Type" not in received[0]

    async def test_writes_do_not_wait_for_reads(self) -> None:
        async def slow_documents(stream: trio.SocketStream, request: bytes) -> None:
            if request.startswith(b"GET"):
                await trio.sleep_forever()
            await plain(stream, request)

        async with LiveDoor(WorldClock(), limits=Limits(connections=1)) as door, tcp_server(slow_documents) as port:
            url = f"http://127.0.0.1:{port}/"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(door.get, "a.document", url)
                nursery.start_soon(door.get, "another.document", url)
                await trio.testing.wait_all_tasks_blocked()
                with trio.fail_after(2):
                    assert (await door.send("POST", "a.write", url, body=b"{}")).status == 200
                nursery.cancel_scope.cancel()

    async def test_one_warm_connection_serves_many_writes(self, door: LiveDoor) -> None:
        streams: set[int] = set()

        async def answer(stream: trio.SocketStream, request: bytes) -> None:
            streams.add(id(stream))
            await plain(stream, request)

        async with tcp_server(answer) as port:
            for _ in range(3):
                await door.send("POST", "a.write", f"http://127.0.0.1:{port}/")
        assert len(streams) == 1

    @pytest.mark.parametrize("partly", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal"])
    async def test_a_connection_cut_after_the_request_leaves_it_open_what_became_of_it(self, door: LiveDoor, partly: bytes) -> None:
        async def cut(stream: trio.SocketStream, request: bytes) -> None:
            await stream.send_all(partly)
            await trio.aclose_forcefully(stream)

        async with tcp_server(cut) as port:
            with pytest.raises(FeedError, match=r"a\.write") as caught:
                await door.send("POST", "a.write", f"http://127.0.0.1:{port}/", body=b"{}")
        assert not isinstance(caught.value, NotSent)

    async def test_an_answer_that_does_not_come_in_time_leaves_it_open_too(self, door: LiveDoor) -> None:
        async def never(stream: trio.SocketStream, request: bytes) -> None:
            await trio.sleep_forever()

        async with tcp_server(never) as port:
            with pytest.raises(FeedError, match=r"within 0\.1 s") as caught:
                await door.send("POST", "a.write", f"http://127.0.0.1:{port}/", body=b"{}", timeout=0.1)
        assert not isinstance(caught.value, NotSent)

    async def test_where_nobody_listens_nothing_was_sent(self, door: LiveDoor) -> None:
        port = await closed_port()
        with pytest.raises(NotSent, match=r"a\.write") as caught:
            await door.send("POST", "a.write", f"http://127.0.0.1:{port}/?key=secret", body=b"{}")
        assert "secret" not in str(caught.value)

    async def test_where_no_connection_comes_free_in_time_nothing_was_sent(self) -> None:
        async def never(stream: trio.SocketStream, request: bytes) -> None:
            await trio.sleep_forever()

        async with LiveDoor(WorldClock(), limits=Limits(writes=1)) as door, tcp_server(never) as port:
            url = f"http://127.0.0.1:{port}/"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(door.send, "POST", "a.write", url)
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(NotSent, match=r"within 0\.1 s"):
                    await door.send("POST", "another.write", url, timeout=0.1)
                nursery.cancel_scope.cancel()

    async def test_where_tls_cannot_be_agreed_on_nothing_was_sent(self, door: LiveDoor) -> None:
        async with tcp_server(plain) as port:
            with pytest.raises(NotSent, match=r"a\.write"):
                await door.send("POST", "a.write", f"https://127.0.0.1:{port}/", body=b"{}", timeout=0.5)

    async def test_a_connection_the_server_closed_while_it_was_idle_is_not_written_to(self, door: LiveDoor) -> None:
        closed = trio.Event()

        async def once(stream: trio.SocketStream, request: bytes) -> None:
            await plain(stream, request)
            await trio.aclose_forcefully(stream)
            closed.set()

        async with tcp_server(once) as port:
            url = f"http://127.0.0.1:{port}/"
            await door.send("POST", "a.write", url)
            await closed.wait()
            assert (await door.send("POST", "a.write", url)).status == 200


class TestConnections:
    """A connection's end is seen by receive and send, as one FeedError, never as a group."""

    async def test_messages_go_both_ways(self, door: LiveDoor) -> None:
        async def echo(connection: WebSocketConnection) -> None:
            while True:
                await connection.send_message("got " + str(await connection.get_message()))

        seen: list[Frame] = []
        door.tap(seen.append)
        async with ws_server(echo) as port, door.connect("a.socket", f"ws://127.0.0.1:{port}/path") as connection:
            await connection.send("one")
            frame = await connection.receive()
        assert (frame.stream, frame.status, frame.body) == ("a.socket", 0, b"got one")
        assert seen == [frame]

    async def test_headers_and_the_query_are_on_the_upgrade(self, door: LiveDoor) -> None:
        asked: list[WebSocketRequest] = []
        async with ws_server(listen_until_closed, asked=asked) as port:
            url = f"ws://127.0.0.1:{port}/ws?streams=x"
            async with door.connect("a.socket", url, headers={"X-Key": "v"}) as connection:
                await connection.send("open")
        assert asked[0].path == "/ws?streams=x"
        assert dict(asked[0].headers)[b"x-key"] == b"v"

    async def test_what_came_before_the_end_is_handed_out_before_the_error(self, door: LiveDoor) -> None:
        async def farewell(connection: WebSocketConnection) -> None:
            await connection.send_message("last")
            await connection.aclose(1001, "maintenance")

        async with ws_server(farewell) as port, door.connect("a.socket", f"ws://127.0.0.1:{port}/") as connection:
            assert (await connection.receive()).body == b"last"
            with pytest.raises(FeedError, match=r"a\.socket: closed, code 1001 maintenance"):
                await connection.receive()
            with pytest.raises(FeedError, match=r"a\.socket"):
                await connection.send("too late")

    async def test_the_error_leaves_the_block_as_itself_and_not_in_a_group(self, door: LiveDoor) -> None:
        async def drop(connection: WebSocketConnection) -> None:
            await trio.aclose_forcefully(connection._stream)

        async with ws_server(drop) as port:
            with pytest.raises(FeedError, match=r"a\.socket"):
                async with door.connect("a.socket", f"ws://127.0.0.1:{port}/") as connection:
                    await connection.receive()
        assert door.statistics() == {"connections": 0}

    async def test_an_error_of_the_callers_own_passes_through_unchanged(self, door: LiveDoor) -> None:
        mine = KeyError("mine")
        async with ws_server(listen_until_closed) as port:
            with pytest.raises(KeyError) as caught:
                async with door.connect("a.socket", f"ws://127.0.0.1:{port}/"):
                    raise mine
        assert caught.value is mine

    async def test_being_cancelled_ends_the_block_and_closes_the_socket(self, door: LiveDoor) -> None:
        closed = trio.Event()

        async def watch(connection: WebSocketConnection) -> None:
            try:
                await connection.get_message()
            except ConnectionClosed:
                closed.set()

        async with ws_server(watch) as port:
            with trio.move_on_after(0.05) as scope:
                async with door.connect("a.socket", f"ws://127.0.0.1:{port}/") as connection:
                    await connection.receive()
            with trio.fail_after(2):
                await closed.wait()
        assert scope.cancelled_caught

    async def test_a_server_that_vanishes_without_a_word_is_found_out(self) -> None:
        """Half open: the handshake is made, then nothing is read or sent, and TCP keeps quiet about it."""

        async def accept_then_nothing(stream: trio.SocketStream, request: bytes) -> None:
            server = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
            server.receive_data(request + b"\r\n\r\n")
            assert [type(event) for event in server.events()] == [wsproto.events.Request]
            await stream.send_all(server.send(wsproto.events.AcceptConnection()))
            await trio.sleep_forever()

        limits = Limits(ping_every=0.05, silence=0.15, close=0.05)
        async with LiveDoor(WorldClock(), limits=limits) as door, tcp_server(accept_then_nothing) as port:
            with pytest.raises(FeedError, match=r"a\.socket: nothing was heard for 0\.15 s"), trio.fail_after(2):
                async with door.connect("a.socket", f"ws://127.0.0.1:{port}/") as connection:
                    await connection.receive()

    async def test_a_quiet_server_that_answers_pings_is_kept(self) -> None:
        async def quiet(connection: WebSocketConnection) -> None:
            assert await connection.get_message() == "still there"
            await connection.send_message("yes")

        limits = Limits(ping_every=0.02, silence=0.1)
        async with LiveDoor(WorldClock(), limits=limits) as door, ws_server(quiet) as port:
            url = f"ws://127.0.0.1:{port}/"
            async with door.connect("a.socket", url) as connection:
                with trio.move_on_after(0.4):
                    await connection.receive()
                await connection.send("still there")
                assert (await connection.receive()).body == b"yes"

    async def test_a_server_ping_is_answered(self, door: LiveDoor) -> None:
        ponged = trio.Event()

        async def heartbeat(connection: WebSocketConnection) -> None:
            await connection.ping(b"heartbeat")
            ponged.set()
            await listen_until_closed(connection)

        async with ws_server(heartbeat) as port, door.connect("a.socket", f"ws://127.0.0.1:{port}/"):
            with trio.fail_after(2):
                await ponged.wait()

    async def test_a_message_over_the_limit_ends_the_connection(self, door: LiveDoor) -> None:
        async def flood(connection: WebSocketConnection) -> None:
            await connection.send_message("x" * 1001)
            await listen_until_closed(connection)

        async with ws_server(flood) as port, door.connect("a.socket", f"ws://127.0.0.1:{port}/") as connection:
            with pytest.raises(FeedError, match="1009"):
                await connection.receive()

    async def test_a_broken_frame_ends_the_connection(self, door: LiveDoor) -> None:
        async def garble(connection: WebSocketConnection) -> None:
            await connection._stream.send_all(b"\xff\xff\xff\xff")
            await listen_until_closed(connection)

        async with ws_server(garble) as port, door.connect("a.socket", f"ws://127.0.0.1:{port}/") as connection:
            with pytest.raises(FeedError, match=r"a\.socket"), trio.fail_after(2):
                await connection.receive()

    async def test_a_refused_upgrade_tells_the_status_and_the_reason(self, door: LiveDoor) -> None:
        async def refuse(stream: trio.SocketStream, request: bytes) -> None:
            await stream.send_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\n\r\nbad key")

        async with tcp_server(refuse) as port:
            with pytest.raises(FeedError, match=r"a\.socket: refused with HTTP 401: bad key") as caught:
                async with door.connect("a.socket", f"ws://127.0.0.1:{port}/"):
                    pytest.fail("it was refused")
        assert caught.value.__cause__ is not None

    async def test_an_upgrade_that_is_not_answered_is_given_up(self, door: LiveDoor) -> None:
        async def never(stream: trio.SocketStream, request: bytes) -> None:
            await trio.sleep_forever()

        async with tcp_server(never) as port:
            with pytest.raises(FeedError, match=r"did not open within 0\.5 s"):
                async with door.connect("a.socket", f"ws://127.0.0.1:{port}/"):
                    pytest.fail("it was never open")

    async def test_a_refused_connection_is_a_feed_error_with_its_cause(self, door: LiveDoor) -> None:
        port = await closed_port()
        with pytest.raises(FeedError, match=r"a\.socket: cannot be opened") as caught:
            async with door.connect("a.socket", f"ws://127.0.0.1:{port}/"):
                pytest.fail("it was refused")
        assert isinstance(caught.value.__cause__, OSError)

    async def test_an_address_of_another_scheme_is_our_own_mistake(self, door: LiveDoor) -> None:
        with pytest.raises(ValueError, match="wss://"):
            async with door.connect("a.socket", "https://127.0.0.1/"):
                pytest.fail("it is no address")


class TestTls:
    """Only the certificates of `ca_path` are believed."""

    async def test_a_socket_and_a_document_over_tls(self, tmp_path: Path) -> None:
        ca, server = certificates(tmp_path)

        async def hello(connection: WebSocketConnection) -> None:
            await connection.send_message("hello")
            await listen_until_closed(connection)

        async with LiveDoor(WorldClock(), ca_path=ca) as door, ws_server(hello, server) as port:
            async with door.connect("a.socket", f"wss://127.0.0.1:{port}/") as connection:
                assert (await connection.receive()).body == b"hello"
            # The WebSocket server answers a plain request with an error: TLS was spoken, and HTTP was.
            assert (await door.get("a.document", f"https://127.0.0.1:{port}/")).status >= 400

    async def test_a_certificate_of_someone_else_is_refused_in_words(self, tmp_path: Path) -> None:
        _, server = certificates(tmp_path)
        async with LiveDoor(WorldClock()) as door, ws_server(listen_until_closed, server) as port:
            with pytest.raises(FeedError, match=r"(?i)certificate"), trio.fail_after(3):
                async with door.connect("a.socket", f"wss://127.0.0.1:{port}/"):
                    pytest.fail("nobody vouches for it")
            with pytest.raises(FeedError, match=r"(?i)certificate"):
                await door.get("a.document", f"https://127.0.0.1:{port}/")


def certificates(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A throwaway authority that signs itself for 127.0.0.1: its PEM file, and the context of a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca, private = folder / "ca.pem", folder / "key.pem"
    ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ca, private)
    return ca, context
