"""The exchange session: what every request to Kalshi shares, and what outlives the actors that make them.

A plain object: the key, the two base addresses, the measured offset between Kalshi's clock and ours, and the account's token
buckets. It signs with world time plus that offset. `tree.py` hands the one instance to everyone who talks to the exchange.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit, urlunsplit

from chimera.clock import WorldClock
from chimera.kalshi.auth import Signer
from chimera.kalshi.ratelimit import REST_PREFIX, Call, RateLimiter

WS_PATH = "/trade-api/ws/v2"

SKEW_ALARM = 2.0
"""Seconds of clock offset past which an alarm is due: Kalshi was seen to refuse 30 s, and to take 5 s."""


class ExchangeSession:
    """Key, addresses, clock offset and token buckets for one exchange.

    `rest_url` and `ws_url` are origins (`https://external-api.kalshi.com`) or whole bases (`.../trade-api/v2`); the prefix is
    added where the path is empty.
    """

    def __init__(self, signer: Signer, clock: WorldClock, *, rest_url: str, ws_url: str) -> None:
        self.signer = signer
        self.clock = clock
        self.rest_url = _based(rest_url, REST_PREFIX, ("http", "https"))
        self.ws_url = _based(ws_url, WS_PATH, ("ws", "wss"))
        self._bounds: deque[tuple[float, float]] = deque(maxlen=8)
        self._offset = 0.0
        self.limiter = RateLimiter(clock.now())

    def __repr__(self) -> str:
        return f"<ExchangeSession {urlsplit(self.rest_url).netloc} {self.signer!r} skew {self.skew_s:+.2f}s>"

    # Signing

    @property
    def rest_prefix(self) -> str:
        """The path part of `rest_url`; part of what is signed."""
        return urlsplit(self.rest_url).path

    @property
    def ws_path(self) -> str:
        return urlsplit(self.ws_url).path

    def now_ms(self) -> int:
        """Unix milliseconds as Kalshi's clock is believed to read."""
        return round(self.exchange_time(self.clock.now()) * 1000)

    def exchange_time(self, world: float) -> float:
        """What Kalshi's clock is believed to read at a world time: expiries are sent so, and messages carry it."""
        return world + self._offset

    def headers(self, method: str, path: str) -> dict[str, str]:
        """Signed headers for a request sent at once. `path` is the full path, prefix included; its query is not signed."""
        return self.signer.headers(method, path, self.now_ms())

    # Clock

    @property
    def skew_s(self) -> float:
        """Kalshi's clock less ours, seconds of world time; 0 until measured, and as long as no answer contradicts 0."""
        return self._offset

    @property
    def skewed(self) -> bool:
        """Whether the offset is past the alarm."""
        return abs(self._offset) > SKEW_ALARM

    def observe_date(self, date: str, sent: float, received: float) -> None:
        """Learn from an HTTP `Date` header, which names a whole second. `sent`, `received`: world time around the request.

        A header that is no date is ignored: it says nothing about the clock.
        """
        try:
            second = parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError):
            return
        self._observe(second - received, second + 1.0 - sent)

    def observe_ts(self, ts_ms: int, sent: float, received: float) -> None:
        """Learn from a `ts_ms` that the exchange wrote between `sent` and `received`."""
        self._observe(ts_ms * 1e-3 - received, ts_ms * 1e-3 - sent)

    def observe_response(self, stream: str, headers: Mapping[str, str], sent: float, received: float) -> None:
        """A listener for `LiveDoor.on_response`: learns from the `Date` of Kalshi's own answers and ignores all others."""
        if stream.startswith("kalshi.") and (date := headers.get("date")):
            self.observe_date(date, sent, received)

    def _observe(self, low: float, high: float) -> None:
        """Each answer bounds the offset, the recent ones together closely. Where they disagree a clock stepped: the last counts."""
        self._bounds.append((low, high))
        lowest = max(bound[0] for bound in self._bounds)
        highest = min(bound[1] for bound in self._bounds)
        if lowest > highest:
            self._bounds.clear()
            self._bounds.append((low, high))
            lowest, highest = low, high
        # Our own clock is believed while it can be right: a whole-second header must not move a good one by half a second.
        self._offset = 0.0 if lowest <= 0.0 <= highest else (lowest + highest) / 2

    # Token buckets

    async def admit(self, call: Call) -> None:
        """Wait until the tokens of a read are there, and take them. Writes do not wait: they ask `limiter.try_take`."""
        await self.clock.sleep(self.limiter.queue(call, self.clock.now()))

    def answered(self, call: Call, shard: int, status: int, spread: float) -> None:
        """Let the limiter learn from an answer's HTTP status. `spread` in [0, 1) is the jitter of the pause that a 429 asks for."""
        now = self.clock.now()
        if status == 429:
            self.limiter.refuse(call, shard, now, spread)
        else:
            self.limiter.accept(call, shard, now)

    def statistics(self) -> dict[str, float]:
        """For the console."""
        return {"skew_s": self._offset, **self.limiter.statistics(self.clock.now())}


def _based(url: str, path: str, schemes: tuple[str, ...]) -> str:
    """`url` without a trailing slash, with `path` where it has none. ValueError unless it is absolute and of these schemes."""
    parts = urlsplit(url)
    if parts.scheme not in schemes or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"{url!r} is not an address of the form {schemes[-1]}://host[:port]")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") or path, "", ""))
