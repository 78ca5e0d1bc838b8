"""The one loop everything here runs in, as seen from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import trio

T = TypeVar("T")


class Loop:
    """Before `attach`, and in the loop's own thread, callers act directly; other threads go through `call_soon`."""

    __slots__ = ("_token", "thread")

    def __init__(self) -> None:
        self.thread: int | None = None  # ident of the loop's thread; None before it runs
        self._token: trio.lowlevel.TrioToken | None = None

    def attach(self) -> None:
        """Take the running loop."""
        self.thread = threading.get_ident()
        self._token = trio.lowlevel.current_trio_token()

    def call_soon(self, fn: Callable[[T], object], argument: T) -> bool:
        """Run `fn(argument)` in the loop, in the calling thread's order. False if there is no loop any more."""
        if self._token is None:
            return False
        try:
            self._token.run_sync_soon(fn, argument)
        except trio.RunFinishedError:
            return False
        return True
