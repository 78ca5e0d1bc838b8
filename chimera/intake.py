"""The one door of every external byte.

A frame, a document, a REST answer: each enters as a `Frame` through a `Door`, live or recorded. The recorder and the paper exchange tap
the door; replay stands in for it; nothing reads a socket behind it.

A *document* is polled with `get`; a *connection* is listened to; a `Writer` sends what changes something. All are named by `stream`, a
stable logical name without host, key or nonce (`espn.summary.nba.401772994`, `kalshi.ws`,
`kalshi.rest /markets?series_ticker=KXNBAGAME&status=open`): recordings are looked up by it.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import attrs

from chimera.errors import FeedError


@attrs.frozen(slots=True)
class Frame:
    """One external input as it arrived.

    `received_mono` is machine time (ns), for latencies; `received_wall` is world time (unix s), for everything a decision may depend on.
    `status` is the HTTP status of a document, and 0 for a frame of a connection.
    """

    stream: str
    received_mono: int
    received_wall: float
    body: bytes
    status: int = 0


Observer: TypeAlias = Callable[[Frame], None]
"""Sees each frame in the step that received it, before whoever asked for it. Must not block and must not raise."""


class Connection(abc.ABC):
    """One open message stream, live or recorded."""

    @abc.abstractmethod
    async def receive(self) -> Frame:
        """The next frame. FeedError when the connection has ended."""

    @abc.abstractmethod
    async def send(self, text: str) -> None:
        """Send one text message; a recorded connection takes it and answers nothing. FeedError when the connection has ended."""


class Door(abc.ABC):
    """Where external bytes come in. Every frame is shown to the observers before it is handed on."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def tap(self, observer: Observer) -> None:
        """Show every later frame to `observer`."""
        self._observers.append(observer)

    def untap(self, observer: Observer) -> None:
        self._observers.remove(observer)

    def _enter(self, frame: Frame) -> Frame:
        for observer in self._observers:
            observer(frame)
        return frame

    @abc.abstractmethod
    async def get(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0) -> Frame:
        """Fetch a document: its frame whatever the HTTP status.

        `timeout` is in machine seconds. FeedError where no complete answer came: no route, refused, timed out, cut short.
        """

    @abc.abstractmethod
    def connect(
        self, stream: str, url: str, *, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Connection]:
        """Open a connection. FeedError where it is refused; `FeedError.__cause__` has the library's own word."""


class NotSent(FeedError):
    """Not one byte of a request left this machine: what it asked for certainly was not done."""


class Writer(abc.ABC):
    """Where requests that change something go out. Only a live door is one: a recorded world never writes.

    The answer is an external byte like any other: it enters through the door and is shown to the observers.
    """

    @abc.abstractmethod
    async def send(
        self, method: str, stream: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"", timeout: float = 5.0
    ) -> Frame:
        """Send one request, once: the frame of its answer, whatever the HTTP status.

        `timeout` is in machine seconds. NotSent where nothing of it left. Any other FeedError means that it left, at least in part, and
        that no complete answer came: nobody can say what became of it.
        """
