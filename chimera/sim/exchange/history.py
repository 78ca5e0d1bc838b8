"""What a table looked like a moment ago: for reading surfaces that lag behind the writes.

Every change notes the value it replaced; a view of an earlier time puts those back. Changes older than `KEEP_SECONDS` are forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

KEEP_SECONDS = 10.0

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Dated(Generic[K, V]):
    """A mapping that also knows its recent past. Times are world unix seconds and never run backwards."""

    def __init__(self, initial: Mapping[K, V] | None = None) -> None:
        self.now: dict[K, V] = dict(initial or {})
        self._before: deque[tuple[float, K, V | None]] = deque()

    def put(self, key: K, value: V, at: float) -> None:
        """Set a value."""
        self._before.append((at, key, self.now.get(key)))
        self.now[key] = value
        while self._before[0][0] < at - KEEP_SECONDS:
            self._before.popleft()

    def at(self, moment: float) -> dict[K, V]:
        """The mapping as it was at `moment`; the live one, not to be changed, where nothing has changed since."""
        back: dict[K, V | None] = {}
        for at, key, old in reversed(self._before):
            if at <= moment:
                break
            back[key] = old
        if not back:
            return self.now
        seen = {key: back.get(key, value) for key, value in self.now.items()}
        return {key: value for key, value in seen.items() if value is not None}
