"""Every message between actors, in the order of the walk (architecture, section 5).

    tick         stream -> book -> (TopOfBook) -> pricer -> (Quote) -> gateway -> venue
    observation  feed -> oracle -> (Fair) -> pricer -> (Quote) -> gateway -> venue
    shock        feed -> oracle -> register.trip -> bytes, with no mailbox between
    back         (Event) venue -> gateway -> journal, risk, scorekeeper

Messages are frozen and slotted. `at` is world time (unix s) of the external input or timer that began the step, and is the only clock a
handler reads; `trace` is born with that input and copied along, so that one decision can be followed from frame to wire.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs

from actors.runtime import Lane, Message
from chimera.conventions import Count, Money, Price, Side
from chimera.journal.records import Decision, Intent, Pregame, Record
from chimera.markets import Market
from chimera.trading.kill import Trip
from chimera.trading.quotes import Waterfall
from chimera.trading.venue import Event, Fill, Resting


@attrs.frozen(slots=True)
class Latest(Message):
    """What is told again and again of a market: only the latest of each kind waits."""

    LANE: ClassVar[Lane] = Lane.CONFLATED
    market: str

    @property
    def conflation_key(self) -> str:
        return self.market


# What exists


@attrs.frozen(slots=True)
class Listing(Message):
    """universe -> stream, oracles, pricers, gateway, scorekeeper: every market that is followed now, whole, replacing the last listing."""

    markets: tuple[Market, ...]
    at: float


@attrs.frozen(slots=True)
class Settled(Message):
    """universe -> gateway, scorekeeper: a market's result. `value` is what one YES contract pays, in price units: ONE, 0, or between."""

    market: str
    value: Price
    at: float


# Tick: stream -> book -> pricer


@attrs.frozen(slots=True)
class BookSnapshot(Message):
    """stream -> book: the whole book of one market in YES space, (price, count) each; it replaces what the book held."""

    market: str
    bids: tuple[tuple[Price, Count], ...]
    asks: tuple[tuple[Price, Count], ...]
    seq: int
    clock: int
    at: float
    trace: int = 0
    derived: bool = False


@attrs.frozen(slots=True)
class BookDelta(Message):
    """stream -> book: one level's size changes by `change` (signed)."""

    market: str
    side: Side
    price: Price
    change: Count
    seq: int
    clock: int
    at: float
    trace: int = 0


@attrs.frozen(slots=True)
class BookLost(Message):
    """stream -> book: the market's sequence broke or its connection ended; the book is not to be believed until a snapshot."""

    market: str
    why: str
    at: float


@attrs.frozen(slots=True)
class TopOfBook(Latest):
    """book -> pricer, gateway: the best levels of one market, conflated by market. A side that is empty is None with size 0.

    `synced` False means the book is not to be believed. `seq` is the book's own count of changes.
    """

    bid: Price | None
    bid_size: Count
    ask: Price | None
    ask_size: Count
    synced: bool
    fence: int
    seq: int
    at: float
    trace: int = 0


# Observation: odds -> oracle -> pricer


@attrs.frozen(slots=True)
class Prior(Message):
    """odds -> game oracles: what bookmakers thought of one game before it began, conflated by game; told again on `Resend`."""

    LANE: ClassVar[Lane] = Lane.CONFLATED
    told: Pregame

    @property
    def conflation_key(self) -> str:
        return self.told.unit


class Phase(enum.StrEnum):
    """Where a game or window stands, as far as pricing cares."""

    PREGAME = "pregame"
    LIVE = "live"
    BREAK = "break"
    ENDGAME = "endgame"
    OVERTIME = "overtime"
    FINAL = "final"


@attrs.frozen(slots=True)
class Fair(Latest):
    """oracle -> pricer: p_true of one market, conflated by market; told again after every successful poll, changed or not.

    `reaction` is the model's distribution of p over our reaction time, jumps included: (p', weight) with weights summing to 1.
    `state_edge` (cents) is what the oracle asks for the state of play beyond the base edge. `sd_1s` is the standard deviation of p over
    the next second. `source_at` is when the newest thing the model knows happened, `confirmed_at` when a poll last showed nothing newer.
    """

    p_true: float
    reaction: tuple[tuple[float, float], ...]
    sd_1s: float
    state_edge: float
    phase: Phase
    source_at: float
    confirmed_at: float
    fence: int
    seq: int
    at: float
    trace: int = 0
    why: str = ""


# Decision: pricer -> gateway


@attrs.frozen(slots=True)
class Quote(Latest):
    """pricer -> gateway: the two-sided quote wanted in one market, conflated by market; None is "nothing on this side".

    `fence` is the lower of the fences its inputs were made under. `keep` is the band of p_true in which the quote keeps its edge.
    `bid_edge` and `ask_edge` are the required edges (cents); `why` is the waterfall behind each side, and what stopped one that is None.
    """

    bid: Price | None
    ask: Price | None
    size: Count
    fence: int
    p_true: float
    bid_edge: float
    ask_edge: float
    keep: tuple[float, float]
    why: Waterfall
    book_seq: int
    fair_seq: int
    fair_at: float
    at: float
    trace: int = 0


@attrs.frozen(slots=True)
class Said(Latest):
    """pricer -> scorekeeper: what we said and what the market said, conflated by market.

    `mid` has our own orders removed; it is None where the book is one-sided.
    """

    domain: str
    p_true: float
    mid: float | None
    at: float


# Back: venue -> gateway -> journal, risk, scorekeeper


@attrs.frozen(slots=True)
class VenueEvent(Message):
    """venue -> gateway: one outcome, departure or fill."""

    event: Event
    at: float


@attrs.frozen(slots=True)
class Write(Message):
    """gateway -> journal: an intent that must be durable before its order may leave; answered by `Durable`."""

    intent: Intent


@attrs.frozen(slots=True)
class Durable(Message):
    """journal -> gateway: these intents are on disk."""

    client_ids: tuple[str, ...]
    at: float


@attrs.frozen(slots=True)
class Note(Message):
    """gateway, risk, scorekeeper -> journal: something to be remembered; nothing waits for it."""

    record: Record


@attrs.frozen(slots=True)
class Decided(Message):
    """gateway -> journal: a decision and the inputs it was made from."""

    decision: Decision


@attrs.frozen(slots=True)
class Exposure(Message):
    """gateway -> risk: totals, every second and after each fill; in 1e-6 dollars.

    `settled` is the profit of settled markets, `marked` that of open ones with positions at the bid if long and at the ask if short; both
    are after fees. `day_loss` is the loss since 00:00 ET. `open_orders` counts what rests or may rest.
    """

    LANE: ClassVar[Lane] = Lane.CONFLATED
    settled: Money
    marked: Money
    fees: Money
    day_loss: Money
    open_orders: int
    at: float

    @property
    def conflation_key(self) -> str:
        return "exposure"


# Safety


@attrs.frozen(slots=True)
class Tripped(Message):
    """register -> gateway, risk: a pull or kill whose bytes have left."""

    LANE: ClassVar[Lane] = Lane.CONTROL
    trip: Trip


@attrs.frozen(slots=True)
class Resend(Message):
    """The one message that flows right to left: a fresh incarnation asks its source to tell its latest again. Empty `market` means all."""

    market: str = ""


@attrs.frozen(slots=True)
class Drain(Message):
    """app -> gateway, by call: place nothing more, cancel everything, answer True once the venue proves that none rests."""

    LANE: ClassVar[Lane] = Lane.CONTROL
    at: float


@attrs.frozen(slots=True)
class Probe(Message):
    """heartbeat -> gateway, risk, by call: answer with the same number, to prove that the mailbox is worked on."""

    LANE: ClassVar[Lane] = Lane.CONTROL
    nonce: int


@attrs.frozen(slots=True)
class Reconcile(Message):
    """reconciler -> gateway: what the venue lists, asked for at `asked_at` and complete at `at`; None where no complete list came."""

    resting: tuple[Resting, ...] | None
    fills: tuple[Fill, ...] | None
    asked_at: float
    at: float


@attrs.frozen(slots=True)
class Standing(Message):
    """any actor -> telemetry: its named state (`connecting`, `reconciling`, `stale`, `ready`) and what it waits for, conflated by actor."""

    LANE: ClassVar[Lane] = Lane.CONFLATED
    actor: str
    state: str
    why: str
    at: float

    @property
    def conflation_key(self) -> str:
        return self.actor


# Asked by the program that runs the tree


@attrs.frozen(slots=True)
class ExposureRequest(Message):
    """app -> risk, by call: the latest `Exposure`; None before the first."""

    LANE: ClassVar[Lane] = Lane.CONTROL


@attrs.frozen(slots=True)
class StandingsRequest(Message):
    """app -> telemetry, by call: the latest `Standing` of every actor that told one, as a tuple."""

    LANE: ClassVar[Lane] = Lane.CONTROL


@attrs.frozen(slots=True)
class ScoreRequest(Message):
    """app -> scorekeeper, by call: Brier over settled markets as {domain: {"model", "market", "n"}}; both scores None where n is 0."""

    LANE: ClassVar[Lane] = Lane.CONTROL
