"""What a venue is: the one interface behind which orders rest, on Kalshi or on paper.

Requests are handed over synchronously, in the step that decided them; what became of them comes back later through the sink, exactly one
outcome a request. Every outcome is one of three: *done*, *rejected* (it certainly did not happen) or *unknown* (nobody can say until the
exchange proves it). Lists and fills are asked for and awaited. Both venues keep an append-only log of everything that happened to an order,
and the audit trusts that log, never the gateway's table.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs

from chimera.conventions import Count, Money, Price, Side
from chimera.markets import Market
from chimera.trading.kill import Scope, Trip
from chimera.trading.reasons import Reason


@attrs.frozen(slots=True)
class Order:
    """One post-only order as it is sent. `expires_at` is world unix seconds; `fence` and `p_true`, `required_edge` (cents) are what it was
    decided under and are kept for the audit."""

    client_id: str
    market: str
    side: Side
    price: Price
    count: Count
    expires_at: float
    fence: int
    p_true: float
    required_edge: float
    trace: int = 0


@attrs.frozen(slots=True)
class Resting:
    """An order as the venue lists it. `count` is what is left of it."""

    order_id: str
    client_id: str
    market: str
    side: Side
    price: Price
    count: Count
    filled: Count
    expires_at: float


@attrs.frozen(slots=True)
class Done:
    """The request was carried out: an order rests as `order_id`, was amended, or is gone with `reduced` of it unfilled."""

    client_id: str
    order_id: str
    market: str
    action: Action
    at: float
    reduced: Count = 0
    trace: int = 0


@attrs.frozen(slots=True)
class Rejected:
    """The request certainly had no effect. `code` is the venue's own word."""

    client_id: str
    order_id: str
    market: str
    action: Action
    at: float
    code: str
    trace: int = 0


@attrs.frozen(slots=True)
class Unknown:
    """Nobody can say whether the request had an effect: a timeout, a cut connection, a 5xx."""

    client_id: str
    order_id: str
    market: str
    action: Action
    at: float
    detail: str
    trace: int = 0


@attrs.frozen(slots=True)
class Gone:
    """The venue took an order off the book of its own accord or on a kill: expiry, close, halt, self-trade, a fired cancel."""

    client_id: str
    order_id: str
    market: str
    reason: str
    at: float
    reduced: Count = 0


@attrs.frozen(slots=True)
class Fill:
    """One execution of one of our orders. `fill_id` is unique for ever: applying it twice is one fill."""

    fill_id: str
    client_id: str
    order_id: str
    market: str
    side: Side
    price: Price
    count: Count
    fee: Money
    is_taker: bool
    at: float
    derived: bool = False
    """True where the fill was inferred from bars, not from a recorded tape."""


class Action(enum.Enum):
    """What was asked of the venue."""

    PLACE = "place"
    AMEND = "amend"
    CANCEL = "cancel"


Outcome: TypeAlias = Done | Rejected | Unknown
Event: TypeAlias = Outcome | Gone | Fill
Sink: TypeAlias = Callable[[Event], None]
Covers: TypeAlias = Callable[[Scope], Mapping[str, int]]
"""The markets a scope covers, with their fences: `KillRegister.fences`."""


class Venue(Protocol):
    """The writing side of an exchange."""

    def place(self, order: Order, now: float) -> None:
        """Send one post-only order."""

    def amend(
        self, order_id: str, client_id: str, market: str, expires_at: float, now: float, *,
        fence: int | None = None, p_true: float | None = None, required_edge: float | None = None,
    ) -> None:  # fmt: skip
        """Renew one order: move its expiry and nothing else; it keeps its place in the queue.

        The last three are what it was re-affirmed under, as in `Order`; they go into the venue's log for the audit.
        """

    def cancel(self, resting: Sequence[tuple[str, str, str]], reason: Reason, now: float) -> None:
        """Cancel by id, in one request: (order_id, client_id, market) each."""

    def fire(self, trip: Trip) -> None:
        """Cancel everything a trip covers, at once, from what the venue itself knows; no outcome a request, `Gone` for each order."""

    async def resting(self) -> tuple[Resting, ...]:
        """Every order of ours that rests, as the venue lists it. VenueError where no complete list came."""

    async def fills(self, since: float) -> tuple[Fill, ...]:
        """Every fill at or after `since`. VenueError where no complete list came."""


class OpenVenue(Venue, Protocol):
    """A venue as a running system holds it, beside the tree: who hears it, and what it must be told.

    `sink` hears every event; what nobody listened to is kept for it. Until `covers` is set, a trip of any scope cancels everything.
    `on_deaf(why)` is called when the venue heard of our orders as things happened, and now no longer does.
    """

    sink: Sink | None
    covers: Covers | None
    on_deaf: Callable[[str], None] | None

    def hears(self) -> bool:
        """Whether it hears of our orders and fills as they happen; nothing is placed while it does not."""

    def advance(self, now: float) -> None:
        """Say what is due by `now`, and what nobody has heard yet."""

    def list_markets(self, markets: Iterable[Market], at: float) -> None:
        """The markets that may be traded, whole."""

    def settle(self, market: str, value: Price, at: float) -> None:
        """A market has paid `value` per YES contract."""

    def count_resting(self) -> int:
        """How many orders rest, as far as it is known without asking."""

    def idle(self) -> bool:
        """Whether nothing rests and nothing is on its way, as far as it is known without asking."""

    def statistics(self) -> Mapping[str, object]:
        """For the console."""
