"""Deadlines of calls, kept by one task: a cancel scope for each call would cost a third of what the call does.

Most calls are answered long before their deadline, so an answered call only lets go of its entry; entries leave the heap when they come to
its top, or when most of it is of no more use. In a virtual world calls use cancel scopes, so that no task of this takes part in the
schedule.
"""

from __future__ import annotations

import heapq
import itertools
import math

import pykka
import trio

from actors.runtime.future import TrioFuture

TIDY = 1_000


def unanswered(name: str, message: object, seconds: float) -> pykka.Timeout:
    """What a call raises at its deadline."""
    return pykka.Timeout(f"{name} did not answer {type(message).__name__} in {seconds} seconds")


class Deadline:
    """One call's; `done` it when the call has ended."""

    __slots__ = ("_owner", "at", "future", "message", "name", "number", "seconds")

    def __init__(self, owner: Timeouts, seconds: float, future: TrioFuture[object], name: str, message: object) -> None:
        self._owner = owner
        self.at = trio.current_time() + seconds
        self.number = next(owner.numbers)
        self.seconds = seconds
        self.future: TrioFuture[object] | None = future
        self.name = name
        self.message = message

    def __lt__(self, other: Deadline) -> bool:
        return (self.at, self.number) < (other.at, other.number)

    def done(self) -> None:
        """The call has ended: keep nothing of it alive."""
        self.future = self.message = None
        self._owner.idle += 1


class Timeouts:
    """Fails a call's future with pykka.Timeout at its deadline. `run` it as a task for as long as calls are made."""

    def __init__(self) -> None:
        self._heap: list[Deadline] = []
        self.numbers = itertools.count()
        self.idle = 0  # calls that have ended since the heap was last tidied
        self._nap = trio.CancelScope()

    def add(self, future: TrioFuture[object], seconds: float, name: str, message: object) -> Deadline:
        """Let `future`, the answer of `name` to `message`, fail in `seconds`."""
        deadline = Deadline(self, seconds, future, name, message)
        if deadline.at == math.inf:
            return deadline
        if self.idle > TIDY and 2 * self.idle > len(self._heap):
            self._heap = [held for held in self._heap if held.future is not None]
            heapq.heapify(self._heap)
            self.idle = 0
        if not self._heap or deadline.at < self._heap[0].at:
            self._nap.deadline = deadline.at
        heapq.heappush(self._heap, deadline)
        return deadline

    async def run(self) -> None:
        """Sleep to the earliest deadline, for ever."""
        while True:
            with trio.CancelScope(deadline=self._earliest()) as self._nap:
                await trio.sleep_forever()
            while self._heap and (self._heap[0].future is None or self._heap[0].at <= trio.current_time()):
                due = heapq.heappop(self._heap)
                if due.future is not None:
                    due.future.fail(unanswered(due.name, due.message, due.seconds))

    def _earliest(self) -> float:
        return self._heap[0].at if self._heap else math.inf
