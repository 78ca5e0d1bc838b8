"""A small HTTP/1.1 and WebSocket server for one process on the loopback: h11 for the requests, wsproto behind `websocket.py`, trio streams.

It promises keep-alive, bounded heads and bodies, deadlines in machine time, and that whatever bytes a client sends, the worst that happens
is the end of that client's connection. What is served is a `Site`; a fault in a site is logged and answered 500, and the next request is
served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Protocol
from urllib.parse import parse_qs, unquote

import attrs
import h11
import structlog
import trio

from chimera.sim.websocket import WebSocket

HEAD_LIMIT = 16_384
BODY_LIMIT = 1_048_576
IDLE_SECONDS = 75.0
REQUEST_SECONDS = 15.0
"""From the first byte of a request to its last: what a client that dribbles is given."""
WRITE_SECONDS = 15.0
LINGER_SECONDS = 1.0
"""How long a client is heard out after the last word to it: closing on unread bytes would reset the connection and lose that word."""
_READ_SIZE = 65_536

_log = structlog.get_logger("chimera.sim.server")


@attrs.frozen(slots=True)
class Request:
    """One request. `path` is as sent (the part that is signed), header names are lower case, `query` keeps every value of a name."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""

    def param(self, name: str, default: str = "") -> str:
        """The last value of a query parameter, or `default` where it is absent."""
        values = self.query.get(name)
        return values[-1] if values else default

    @property
    def route(self) -> tuple[str, ...]:
        """The path's segments, percent-decoded."""
        return tuple(unquote(part) for part in self.path.split("/") if part)

    @property
    def wants_websocket(self) -> bool:
        return self.headers.get("upgrade", "").lower() == "websocket"


@attrs.frozen(slots=True)
class Response:
    """An answer with its whole body. A `lost` one is never sent: the connection ends instead."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    lost: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@attrs.frozen(slots=True)
class Held:
    """No answer yet: ask `then` after `seconds`, as the site counts them. Only this client waits."""

    seconds: float
    then: Callable[[], Response | Held]


class Site(Protocol):
    """What a server serves. `respond` and `refuse` are synchronous: everything behind them is in memory."""

    def respond(self, request: Request) -> Response | Held: ...

    async def sleep(self, seconds: float) -> None:
        """Wait, in the site's own seconds."""

    def refuse(self, request: Request) -> Response | None:
        """Why this WebSocket upgrade is refused; None admits it."""

    async def converse(self, request: Request, socket: WebSocket) -> None:
        """Hold one WebSocket conversation; returning ends it."""


class TooLarge(Exception):
    """A request body over BODY_LIMIT."""


def parse_request(head: h11.Request, body: bytes) -> Request:
    """Read h11's request; the target may be a path or an absolute URL. UnicodeDecodeError cannot happen: h11 admits ASCII targets only."""
    target = head.target.decode("ascii", "replace")
    if "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    path, _, query = target.partition("?")
    headers = {name.decode("ascii", "replace").lower(): value.decode("latin-1") for name, value in head.headers}
    method = head.method.decode("ascii", "replace").upper()
    return Request(method, path, parse_qs(query, keep_blank_values=True, max_num_fields=1000), headers, body)


class _Exchange:
    """One client connection: requests in turn until it closes, misbehaves or becomes a WebSocket."""

    def __init__(self, stream: trio.SocketStream, site: Site, now: Callable[[], float]) -> None:
        self._stream = stream
        self._site = site
        self._now = now
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)

    async def run(self) -> None:
        try:
            while await self._one():
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await self._decline(error.error_status_hint or 400, "bad request")
        except TooLarge:
            await self._decline(413, "request body too large")
        except (ValueError, UnicodeError):  # a target whose query or percent-encoding cannot be read
            await self._decline(400, "bad request")
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            return
        await self._linger()

    async def _linger(self) -> None:
        with trio.move_on_after(LINGER_SECONDS):
            try:
                await self._stream.send_eof()
                while await self._stream.receive_some(_READ_SIZE):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def _one(self) -> bool:
        """Serve one request; True where the connection may carry another."""
        head = await self._head()
        if head is None:
            return False
        with trio.fail_after(REQUEST_SECONDS):
            body = await self._body()
        request = parse_request(head, body)
        if request.wants_websocket:
            await self._upgrade(request, head)
            return False
        response = await self._respond(request)
        if response.lost:
            return False
        await self._answer(request, response)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _head(self) -> h11.Request | None:
        deadline = IDLE_SECONDS
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                return None
            with trio.fail_after(deadline):
                await self._receive()
            deadline = REQUEST_SECONDS

    async def _body(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            event = self._http.next_event()
            if isinstance(event, h11.Data):
                size += len(event.data)
                if size > BODY_LIMIT:
                    raise TooLarge
                parts.append(bytes(event.data))
            elif event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    await self._send(h11.InformationalResponse(status_code=100, headers=[]))
                await self._receive()
            else:  # EndOfMessage, or PAUSED before an upgrade
                return b"".join(parts)

    async def _receive(self) -> None:
        self._http.receive_data(await self._stream.receive_some(_READ_SIZE))

    async def _respond(self, request: Request) -> Response:
        try:
            answer = self._site.respond(request)
            while isinstance(answer, Held):
                await self._site.sleep(answer.seconds)
                answer = answer.then()
        except Exception:
            _log.exception("a request could not be answered", method=request.method, path=request.path)
            return Response(500, b'{"code":"internal_error","message":"internal server error"}')
        return answer

    async def _upgrade(self, request: Request, head: h11.Request) -> None:
        refusal = self._site.refuse(request)
        if refusal is not None:
            await self._answer(request, refusal)
            return
        trailing, _ = self._http.trailing_data
        socket = WebSocket(self._stream)
        if not await socket.accept(list(head.headers), request.path, bytes(trailing)):
            return
        try:
            await self._site.converse(request, socket)
        except Exception:
            _log.exception("a WebSocket conversation failed", path=request.path)
        finally:
            with trio.move_on_after(WRITE_SECONDS, shield=True):
                await socket.finish()

    async def _answer(self, request: Request, response: Response) -> None:
        headers = [("date", formatdate(self._now(), usegmt=True)), *response.headers]
        if response.status != 204:
            headers += [("content-type", response.content_type), ("content-length", str(len(response.body)))]
        # The answer to HEAD has the headers of its body, and no body.
        body = [] if request.method == "HEAD" else [h11.Data(data=response.body)]
        await self._send(h11.Response(status_code=response.status, headers=headers), *body, h11.EndOfMessage())

    async def _send(self, *events: h11.Event) -> None:
        raw = b"".join(self._http.send(event) or b"" for event in events)
        with trio.fail_after(WRITE_SECONDS):
            await self._stream.send_all(raw)

    async def _decline(self, status: int, message: str) -> None:
        """Tell a client that broke the protocol so, where that can still be said; its connection ends either way."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        body = b'{"code":"bad_request","message":"%s"}' % message.encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        try:
            await self._send(h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage())
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            return


async def open_port(port: int) -> list[trio.SocketListener]:
    """Listen on 127.0.0.1; port 0 takes a free one. OSError where the port is taken."""
    return await trio.open_tcp_listeners(port, host="127.0.0.1")


def port_of(listeners: list[trio.SocketListener]) -> int:
    """The port that was given."""
    port: int = listeners[0].socket.getsockname()[1]
    return port


async def serve(listeners: list[trio.SocketListener], site: Site, *, now: Callable[[], float]) -> None:
    """Serve until cancelled. `now` (unix s) dates the answers."""

    async def one_client(stream: trio.SocketStream) -> None:
        async with stream:
            await _Exchange(stream, site, now).run()

    await trio.serve_listeners(one_client, listeners)
