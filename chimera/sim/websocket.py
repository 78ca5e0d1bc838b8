"""One WebSocket, server side: wsproto for the protocol, one outbox for everything that leaves.

Whatever is said (texts, pings, pongs, the closing handshake) goes through the outbox in order, so a sender never waits and never
interleaves; `pump` alone writes. The outbox is bounded: past OUTBOX_LIMIT bytes `say` returns False, and the caller decides what to tell a
client that does not read.
"""

from __future__ import annotations

import struct

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

MESSAGE_LIMIT = 1_048_576
OUTBOX_LIMIT = 4 * 1_048_576
STALL_SECONDS = 30.0
"""A client that takes not one byte for so long (machine time) is gone."""
GOODBYE_SECONDS = 5.0
"""How long the last words may take to leave."""
_READ_SIZE = 65_536
_TOO_BIG = 1009
_NOT_TEXT = 1003


class WebSocket:
    """A conversation. `receive` and `pump` run in two tasks; `say`, `ping` and `close` are synchronous and may be called from any."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._outbox: list[bytes] = []
        self._waiting = trio.Event()
        self._writing = trio.CancelScope()
        self._text: list[str] = []
        self._text_size = 0
        self._arrived: list[str] = []
        self._early = b""
        self.backlog = 0
        self.closing = False

    async def accept(self, headers: list[tuple[bytes, bytes]], path: str, trailing: bytes) -> bool:
        """Finish the opening handshake; False where the client's side of it was wrong (it has been told)."""
        try:
            self._protocol.initiate_upgrade_connection(headers, path)
        except RemoteProtocolError as error:
            refusal = error.event_hint
            if isinstance(refusal, RejectConnection):
                await self._stream.send_all(self._protocol.send(refusal))
            return False
        opening = next(self._protocol.events(), None)
        if not isinstance(opening, Request):
            return False
        await self._stream.send_all(self._protocol.send(AcceptConnection()))
        self._early = trailing
        return True

    async def receive(self) -> str | None:
        """The next text message; None once the conversation is over, whoever ended it. A binary message or one over the limit ends it."""
        while not self._arrived:
            try:
                for event in self._protocol.events():
                    self._take(event)
                if self._arrived:
                    break
                if self.closing:
                    return None
                data, self._early = self._early or await self._stream.receive_some(_READ_SIZE), b""
                self._protocol.receive_data(data or None)
            except RemoteProtocolError as error:
                self._closed_by(error)
                return None
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self.closing = True
                return None
        return self._arrived.pop(0)

    def say(self, text: str) -> bool:
        """Queue one text message; False, queuing nothing, where the client has left too much unread or the conversation is over."""
        if self.closing or self.backlog > OUTBOX_LIMIT:
            return False
        self._put(self._protocol.send(TextMessage(data=text)))
        return True

    def ping(self, payload: bytes) -> None:
        if not self.closing:
            self._put(self._protocol.send(Ping(payload)))

    def close(self, code: int = 1000, reason: str = "", *, last: str | None = None) -> None:
        """End the conversation, after `last` if given. Where the outbox is over its limit, what had not left yet is thrown away first."""
        if self.closing:
            return
        if self.backlog > OUTBOX_LIMIT:
            self._outbox.clear()
            self.backlog = 0
        if last is not None:
            self._put(self._protocol.send(TextMessage(data=last)))
        self._reply(CloseConnection(code, reason))
        self.closing = True
        self._waiting.set()
        self._writing.deadline = min(self._writing.deadline, trio.current_time() + GOODBYE_SECONDS)

    def reset(self) -> None:
        """End the conversation without a word: the connection is reset, and what had not left is lost."""
        self.closing = True
        self._outbox.clear()
        self._waiting.set()
        self._stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stream.socket.close()

    async def pump(self) -> None:
        """Write the outbox as it fills; returns when the conversation is over and all is written, or when the client is gone."""
        while True:
            await self._waiting.wait()
            while self._outbox:
                data, self._outbox = b"".join(self._outbox), []
                if not await self._send(data):
                    self.closing = True
                    self._outbox.clear()
                    return
                self.backlog -= min(self.backlog, len(data))
            if self.closing:
                return
            self._waiting = trio.Event()

    async def _send(self, data: bytes) -> bool:
        """Write; False where the client is gone or takes nothing."""
        with trio.CancelScope() as self._writing:
            self._writing.deadline = trio.current_time() + (GOODBYE_SECONDS if self.closing else STALL_SECONDS)
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return False
            return True
        return False

    async def finish(self) -> None:
        """Say goodbye if nobody has, and write what is left."""
        self.close(1001)
        self._waiting.set()
        await self.pump()

    def _put(self, data: bytes) -> None:
        self._outbox.append(data)
        self.backlog += len(data)
        self._waiting.set()

    def _reply(self, event: Event) -> None:
        try:
            self._put(self._protocol.send(event))
        except LocalProtocolError:  # the other side has already said goodbye: there is nobody to answer
            self._waiting.set()

    def _take(self, event: Event) -> None:
        if isinstance(event, BytesMessage):
            self.close(_NOT_TEXT, "text frames only")
        elif isinstance(event, TextMessage):
            self._take_text(event)
        elif isinstance(event, Ping):
            self._reply(event.response())
        elif isinstance(event, CloseConnection):
            self._reply(event.response())
            self.closing = True
            self._waiting.set()
        elif not isinstance(event, Pong):
            self.closing = True

    def _take_text(self, event: TextMessage) -> None:
        self._text.append(event.data)
        self._text_size += len(event.data)
        if self._text_size > MESSAGE_LIMIT:
            self.close(_TOO_BIG, "message too large")
        elif event.message_finished:
            self._arrived.append("".join(self._text))
            self._text, self._text_size = [], 0

    def _closed_by(self, error: RemoteProtocolError) -> None:
        """The client broke the protocol: send the goodbye wsproto suggests."""
        if error.event_hint is not None:
            self._reply(error.event_hint)
        self.closing = True
        self._waiting.set()
