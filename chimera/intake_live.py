"""The door to the real outside: documents and writes over httpx, connections over trio-websocket.

Made once and shared: a pool of connections for reads and one for writes, so that no read ever stands before a write, and one SSL context
(making either per request costs tens of milliseconds). Everything outside can stall, so every wait here has a limit in machine time, and
everything read has a limit in bytes. Whatever goes wrong out there is a `FeedError` that names the stream and never the address, which
may hold a key.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

import attrs
import httpx
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, HandshakeError, WebSocketConnection, wrap_client_stream
from wsproto.utilities import ProtocolError

from chimera.clock import WorldClock
from chimera.errors import FeedError
from chimera.intake import Connection, Door, Frame, Writer
from chimera.intake_http import USER_AGENT, HttpPool, Request, reason

ResponseListener: TypeAlias = Callable[[str, Mapping[str, str], float, float], None]
"""Told (stream, response headers with lower-case names, world time sent, world time received) of each document; must not raise."""

Wire: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]


@attrs.frozen(slots=True)
class Limits:
    """What the door puts up with. Times are machine seconds, sizes bytes."""

    connect: float = 5.0
    """TCP, TLS and the WebSocket's handshake together."""
    close: float = 1.0
    """The WebSocket's closing handshake; after that the socket is simply closed."""
    ping_every: float = 10.0
    silence: float = 20.0
    """No frame and no pong for so long means that the other end is gone, whatever TCP believes."""
    document: int = 16 * 1024 * 1024
    message: int = 64 * 1024 * 1024
    """Kalshi's own limit for one frame."""
    queue: int = 256
    """Messages read ahead; when they are not fetched the socket is left unread and the sender feels it."""
    connections: int = 32
    """Documents fetched at once."""
    writes: int = 16
    """Requests written at once, on connections of their own."""
    idle: float = 30.0
    """How long a connection for writes is kept warm; a server that closes its own sooner is noticed before the connection is used."""


class LiveDoor(Door, Writer):
    """Documents, connections and writes over the network. `ca_path` names the only certificates to trust, in place of the public ones."""

    def __init__(self, clock: WorldClock, *, ca_path: str | Path | None = None, limits: Limits | None = None) -> None:
        super().__init__()
        self._clock = clock
        self._limits = limits or Limits()
        # Environment variables are left out of it: what is talked to, and through what, is settled by the settings.
        self._ssl = httpx.create_ssl_context(trust_env=False) if ca_path is None else ssl.create_default_context(cafile=ca_path)
        self._listeners: list[ResponseListener] = []
        self._open = 0
        largest = self._limits.document
        self._reading = HttpPool(self._ssl, connections=self._limits.connections, idle=5.0, largest=largest)
        self._writing = HttpPool(self._ssl, connections=self._limits.writes, idle=self._limits.idle, largest=largest)

    async def aclose(self) -> None:
        """Close the pools. Open connections end with their own blocks."""
        try:
            await self._reading.aclose()
        finally:
            await self._writing.aclose()

    async def __aenter__(self) -> LiveDoor:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        await self.aclose()

    def on_response(self, listener: ResponseListener) -> None:
        """Tell `listener` of the headers of every later document: what a clock offset or a conditional request is made from."""
        self._listeners.append(listener)

    def statistics(self) -> dict[str, int]:
        """For the console."""
        return {"connections": self._open}

    # Documents and writes

    async def get(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0) -> Frame:
        """Fetch a document, `timeout` machine seconds from asking to its last byte. Redirects are answers like any other."""
        return await self._exchange(self._reading, stream, Request("GET", url, headers), timeout)

    async def send(
        self, method: str, stream: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"", timeout: float = 5.0
    ) -> Frame:
        """Send one request, once, on the connections for writes. `body` is JSON, or nothing."""
        return await self._exchange(self._writing, stream, Request(method, url, headers, body), timeout)

    async def _exchange(self, pool: HttpPool, stream: str, request: Request, timeout: float) -> Frame:
        sent = self._clock.now()
        answer = await pool.exchange(stream, request, timeout, self._clock.real(timeout))
        frame = Frame(stream, time.monotonic_ns(), self._clock.now(), answer.body, answer.status)
        for listener in self._listeners:
            listener(stream, answer.headers, sent, frame.received_wall)
        return self._enter(frame)

    # Connections

    @asynccontextmanager
    async def connect(
        self, stream: str, url: str, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Connection]:
        """Open a WebSocket for the length of the block.

        The socket lives in a task of its own, so that nothing it raises can cancel the caller's block: a connection that ends is seen
        by `receive` and `send` and by nobody else. ValueError where `url` is no ws:// or wss:// address.
        """
        address = _address(url)
        raised: BaseException | None = None
        async with trio.open_nursery() as nursery:
            opened = await nursery.start(self._run_socket, stream, address, headers)
            if isinstance(opened, LiveConnection):
                self._open += 1
                try:
                    yield opened
                except BaseException as error:
                    # Out of the nursery first, then up: a nursery would wrap it in a group.
                    raised = error
                self._open -= 1
                opened.hang_up()
            else:
                raised = opened
        if raised is not None:
            raise raised

    async def _run_socket(
        self,
        stream: str,
        address: SplitResult,
        headers: Mapping[str, str] | None,
        task_status: trio.TaskStatus[LiveConnection | FeedError],
    ) -> None:
        """Hand over an open connection, or the FeedError in its place; then keep it until it is hung up or falls silent."""
        connection = None
        until = trio.current_time() + self._clock.real(self._limits.connect)
        try:
            with trio.fail_at(until):
                wire = await self._dial(address)
            async with wire, trio.open_nursery() as nursery:
                with trio.fail_at(until):
                    socket = await self._upgrade(nursery, wire, address, headers)
                connection = LiveConnection(self, self._clock, stream, socket, self._limits)
                task_status.started(connection)
                await connection.keep_alive()
                with trio.move_on_after(self._clock.real(self._limits.close)):
                    await socket.aclose()
                nursery.cancel_scope.cancel()
        except* (OSError, HandshakeError, ConnectionClosed, ProtocolError, trio.BrokenResourceError, trio.TooSlowError) as group:
            error = _first(group)
            if connection is None:
                refused = FeedError(f"{stream}: {_refusal(error, self._limits.connect)}")
                refused.__cause__ = error
                task_status.started(refused)
            else:
                connection.fail(f"the connection broke: {reason(error)}")

    async def _dial(self, address: SplitResult) -> Wire:
        """TCP, and TLS where the address asks for it."""
        secure = address.scheme == "wss"
        host = address.hostname or ""
        tcp = await trio.open_tcp_stream(host, address.port or (443 if secure else 80))
        if not secure:
            return tcp
        tls = trio.SSLStream(tcp, self._ssl, server_hostname=host, https_compatible=True)
        try:
            await tls.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(tcp)
            raise
        return tls

    async def _upgrade(
        self, nursery: trio.Nursery, wire: Wire, address: SplitResult, headers: Mapping[str, str] | None
    ) -> WebSocketConnection:
        sent = {"User-Agent": USER_AGENT, **(headers or {})}
        return await wrap_client_stream(
            nursery,
            wire,
            address.netloc.rpartition("@")[2],
            (address.path or "/") + (f"?{address.query}" if address.query else ""),
            extra_headers=[(name.encode(), value.encode()) for name, value in sent.items()],
            message_queue_size=self._limits.queue,
            max_message_size=self._limits.message,
        )


class LiveConnection(Connection):
    """One open WebSocket. Made by `LiveDoor.connect`. One task receives at a time; any may send."""

    def __init__(self, door: LiveDoor, clock: WorldClock, stream: str, socket: WebSocketConnection, limits: Limits) -> None:
        self._door, self._clock, self._stream, self._socket, self._limits = door, clock, stream, socket, limits
        self._life = trio.CancelScope()
        self._receiving = trio.CancelScope()
        self._heard = trio.current_time()
        self._fault = ""

    async def receive(self) -> Frame:
        """The next message. What had arrived before the connection ended is still handed out, unless it ended for silence."""
        with trio.CancelScope() as self._receiving:
            if self._fault:
                self._receiving.cancel()
            try:
                message = await self._socket.get_message()
            except ConnectionClosed as closed:
                raise self._ended(closed) from closed
            self._heard = trio.current_time()
            body = message.encode() if isinstance(message, str) else message
            return self._door._enter(Frame(self._stream, time.monotonic_ns(), self._clock.now(), body))
        raise FeedError(f"{self._stream}: {self._fault}")

    async def send(self, text: str) -> None:
        """Send one text message. FeedError also where the other end takes nothing for as long as its silence would be borne."""
        try:
            with trio.fail_after(self._clock.real(self._limits.silence)):
                await self._socket.send_message(text)
        except ConnectionClosed as closed:
            raise self._ended(closed) from closed
        except (trio.TooSlowError, ProtocolError) as error:
            self.fail("the other end took no message")
            raise FeedError(f"{self._stream}: {self._fault}") from error

    async def keep_alive(self) -> None:
        """Ping until hung up, or until neither frame nor pong has come for too long. Server pings are answered by the socket itself."""
        with self._life:
            await trio.sleep(self._clock.real(self._limits.ping_every))
            while trio.current_time() - self._heard < self._clock.real(self._limits.silence):
                with trio.move_on_after(self._clock.real(self._limits.ping_every)):
                    await self._ping()
                    await trio.sleep_forever()
            self.fail(f"nothing was heard for {self._limits.silence:g} s, not even the answer to a ping")

    async def _ping(self) -> None:
        try:
            await self._socket.ping()
        except ConnectionClosed:
            # The receiver will find the end by itself, after what had arrived before it.
            await trio.sleep_forever()
        self._heard = trio.current_time()

    def hang_up(self) -> None:
        """End it from this side: the socket's task closes it."""
        self._life.cancel()

    def fail(self, fault: str) -> None:
        """End it for a fault: whoever receives now or later is told."""
        self._fault = self._fault or fault
        self._receiving.cancel()
        self._life.cancel()

    def _ended(self, closed: ConnectionClosed) -> FeedError:
        reason = closed.reason
        words = self._fault or (f"closed, code {reason.code} {reason.reason or reason.name}" if reason else "closed")
        return FeedError(f"{self._stream}: {words}")


def _address(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"a connection needs an address of the form wss://host[:port]/path, not one of scheme {parts.scheme!r}")
    return parts


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain exception of a group; the library raises one at a time."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _refusal(error: BaseException, timeout: float) -> str:
    """Why no connection was opened."""
    match error:
        case trio.TooSlowError():
            return f"did not open within {timeout:g} s"
        case ConnectionRejected():
            body = (error.body or b"")[:200].decode("utf-8", "replace").strip()
            return f"refused with HTTP {error.status_code}" + (f": {body}" if body else "")
        case _:
            return f"cannot be opened: {reason(error)}"
