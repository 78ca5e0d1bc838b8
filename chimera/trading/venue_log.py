"""The venue's own log, as values: everything that happened to an order, in the order in which it happened.

Append-only and complete: the audit judges a run by it, and the paper exchange is restored from it. Each line carries its place (`seq`,
counted from 1 without gaps) and world time (unix s). Prices are 1e-4 $, counts 1e-2 contracts, money 1e-6 $. What *we* did (sent,
renewing, cancelling, fired) is logged in the step that did it; what the exchange did (accepted, refused, renewed, left, filled, settled)
when it happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from chimera.conventions import Count, Money, Price, Side


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="what", omit_defaults=True):
    at: float
    seq: int = 0


class Opened(_Line, frozen=True, tag="opened"):
    """The venue was opened by a process; the orders of earlier ones are in the lines before. `cash` is the balance of the start."""

    cash: Money


class Sent(_Line, frozen=True, tag="sent"):
    """An order left us, with what it was decided under: its fence, p_true, and required edge (cents). None was no finite number."""

    client_id: str
    market: str
    side: Side
    price: Price
    count: Count
    expires_at: float
    fence: int
    p_true: float | None
    required_edge: float | None
    trace: int = 0


class Accepted(_Line, frozen=True, tag="accepted"):
    """It rests. `bid` and `ask` are the best of the book at that moment, `ahead` the queue before it; None where unknown or empty."""

    client_id: str
    order_id: str
    market: str
    bid: Price | None = None
    ask: Price | None = None
    ahead: Count | None = None


class Refused(_Line, frozen=True, tag="refused"):
    """A request had no effect: a place (then there is no order id), a renewal or a cancel. `code` is the venue's word."""

    client_id: str
    market: str
    action: str
    code: str
    order_id: str = ""


class Renewing(_Line, frozen=True, tag="renewing"):
    """A renewal left us. Where the gateway said under what it re-affirmed the order, the last three are set."""

    client_id: str
    order_id: str
    market: str
    expires_at: float
    fence: int | None = None
    p_true: float | None = None
    required_edge: float | None = None


class Renewed(_Line, frozen=True, tag="renewed"):
    client_id: str
    order_id: str
    market: str
    expires_at: float


class Cancelling(_Line, frozen=True, tag="cancelling"):
    """A cancel by id left us."""

    order_ids: tuple[str, ...]
    reason: str


class Left(_Line, frozen=True, tag="left"):
    """An order left the book, `reduced` of it unfilled. `why` is "Cancel" (by id), "Fired" (a trip), or the exchange's own reason."""

    client_id: str
    order_id: str
    market: str
    why: str
    reduced: Count


class Filled(_Line, frozen=True, tag="filled"):
    """One execution. `left` of the order still rests."""

    fill_id: str
    client_id: str
    order_id: str
    market: str
    side: Side
    price: Price
    count: Count
    left: Count
    fee: Money = 0
    is_taker: bool = False
    derived: bool = False


class Fired(_Line, frozen=True, tag="fired"):
    """A trip's cancels left us. `fences` holds the fence of every market it covers, as it is from then on: an older one is void."""

    scope: str
    reason: str
    source: str
    counter: int
    pull: bool
    fences: dict[str, int]


class Settled(_Line, frozen=True, tag="settled"):
    """A market paid `value` per YES contract; `paid` is the cash it brought us."""

    market: str
    value: Price
    paid: Money


Line: TypeAlias = (
    Opened | Sent | Accepted | Refused | Renewing | Renewed | Cancelling | Left | Filled | Fired | Settled
)  # fmt: skip
Write: TypeAlias = Callable[[Line], None]

_decode = msgspec.json.Decoder(Line).decode


def encode(line: Line) -> bytes:
    """One line of JSON, without its newline."""
    return msgspec.json.encode(line)


def decode(text: bytes) -> Line:
    """The line that `encode` wrote; ValueError where it is none."""
    line: Line = _decode(text)
    return line


class VenueLog:
    """Numbers the lines of one venue and hands each on, at once. `write` must not lose a line it returned from."""

    def __init__(self, write: Write, last: int = 0) -> None:
        self._write = write
        self.last = last

    def add(self, line: Line) -> None:
        """Append a line; its `seq` is set here."""
        self.last += 1
        self._write(msgspec.structs.replace(line, seq=self.last))
