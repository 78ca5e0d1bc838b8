"""What `StreamProtocol` makes of Kalshi's frames: small values in YES space, in the order of the connection.

A book begins with its `Snapshot` and changes by `Delta`s; nothing else may be applied to it. `Gap`, `Resubscribe` and `CommandFailed` say
what has to be done before it may be believed again. What the other channels say is a `Notice`, each of a kind of its own (`notices.py`).
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from chimera.conventions import Count, Price, Side
from chimera.errors import VenueError
from chimera.kalshi.notices import Notice
from chimera.kalshi.schema import Level


@attrs.frozen(slots=True)
class Subscribed:
    """A channel is on; its snapshots follow."""

    channel: str
    sid: int
    markets: tuple[str, ...]


@attrs.frozen(slots=True)
class Unsubscribed:
    """A channel is off, as asked."""

    channel: str
    sid: int
    markets: tuple[str, ...]


@attrs.frozen(slots=True)
class Snapshot:
    """The whole book of one market in YES space, (price, count) each, best first. `clock` is 0 where the exchange sends none."""

    market: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    seq: int
    clock: int


@attrs.frozen(slots=True)
class Delta:
    """One level of a book whose snapshot has been given changes by `change` (signed). `ts_ms` is 0 where the exchange sends none."""

    market: str
    side: Side
    price: Price
    change: Count
    seq: int
    clock: int
    ts_ms: int


@attrs.frozen(slots=True)
class Trade:
    """A public execution at a YES price. `block`: matched off the book."""

    market: str
    price: Price
    count: Count
    taker_side: Side
    trade_id: str
    ts_ms: int
    block: bool = False


@attrs.frozen(slots=True)
class Gap:
    """Frames of these markets were lost: their books are not to be believed until a `Snapshot`.

    `command` is the text to send to have those snapshots, "" where the channel has none: lost trades stay lost, and what a private channel
    would have said is to be read by REST. `expected` and `got` are sequence numbers; `got` is 0 where the frame that was lost could not be
    read at all, and both are on a channel without them.
    """

    channel: str
    sid: int
    markets: tuple[str, ...]
    expected: int
    got: int
    command: str


@attrs.frozen(slots=True)
class CommandFailed:
    """A command was refused. `action` and `markets` are what it asked for; "" and none for an error that answers no command."""

    code: int
    message: str
    id: int
    action: str
    markets: tuple[str, ...]


@attrs.frozen(slots=True)
class Resubscribe:
    """The exchange has ended a subscription by itself (codes 10 and 25): subscribe again, or connect anew."""

    channel: str
    sid: int
    markets: tuple[str, ...]
    code: int
    message: str


@attrs.frozen(slots=True)
class Malformed:
    """A frame that could not be read. `kind` is its type, "" where even that could not be. A `Gap` follows for what it may have held."""

    kind: str
    error: VenueError


@attrs.frozen(slots=True)
class Whole:
    """A frame of a type that was asked for by name, undecoded, in its place in the sequence."""

    kind: str
    sid: int
    seq: int
    body: bytes


Event: TypeAlias = (
    Subscribed | Unsubscribed | Snapshot | Delta | Trade | Gap | CommandFailed | Resubscribe | Malformed | Whole | Notice
)
