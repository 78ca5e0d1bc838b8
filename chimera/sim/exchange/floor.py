"""The trading floor: every market's book, tape and state, and whoever listens to them.

All changes of the exchange go through here, each with its world time, and each is told to the listeners before the method returns; so a
listener that folds what it hears always holds the book. Nothing here reads a clock.
"""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import attrs

from chimera.conventions import ONE, Count, Money, Price, Side, complement, cost, format_count, format_price
from chimera.markets import PriceGrid, Status
from chimera.sim.exchange.engine import Book, Change, Execution, Refused, SelfTrade, Trade
from chimera.sim.exchange.listing import Listed, rfc3339, whole_second

TAPE = 1000
"""Public trades kept a market."""
OVER = frozenset({Status.DETERMINED, Status.DISPUTED, Status.AMENDED, Status.FINALIZED})
"""States of a market whose result is known."""


@attrs.frozen(slots=True)
class Print:
    """A trade on the public tape. `at` is world unix seconds."""

    trade_id: str
    trade: Trade
    at: float


@attrs.frozen(slots=True)
class Life:
    """Something in a market's life that the exchange announces: Kalshi's event type and what goes with it."""

    event: str
    fields: Mapping[str, object]


@attrs.define(eq=False)
class Contract:
    """One market: its listing, book, tape and state. `clock` counts book changes, and is the same for everyone.

    `traded` is the money all trades were made for at YES prices; `structure` names the price grid.
    """

    listing: Listed
    book: Book = attrs.field(default=attrs.Factory(lambda self: Book(self.listing.grid), takes_self=True))
    status: Status = Status.ACTIVE
    clock: int = 0
    last_price: Price = 0
    last_count: Count = 0
    volume: Count = 0
    traded: Money = 0
    open_interest: Count = 0
    structure: str = "linear_cent"
    closes_at: float = attrs.field(default=attrs.Factory(lambda self: self.listing.closes_at, takes_self=True))
    over_at: float = 0.0
    paid_at: float = 0.0
    tape: deque[Print] = attrs.field(factory=lambda: deque(maxlen=TAPE))
    positions: dict[str, Count] = attrs.field(factory=dict)

    ticker: str = attrs.field(init=False, default=attrs.Factory(lambda self: self.listing.ticker, takes_self=True))
    market_id: str = attrs.field(init=False, default=attrs.Factory(lambda self: self.listing.market_id, takes_self=True))
    shard: int = attrs.field(init=False, default=attrs.Factory(lambda self: self.listing.exchange_index, takes_self=True))
    _fields: dict[str, object] = attrs.field(init=False, default=attrs.Factory(lambda self: self.listing.fields, takes_self=True))

    @property
    def result(self) -> str:
        """ "yes" or "no" once determined, "" before."""
        if self.status not in OVER:
            return ""
        return "yes" if self.listing.pays else "no"

    @property
    def settles_at(self) -> Price:
        """What a YES contract is worth; meaningful once determined."""
        return ONE if self.listing.pays else 0

    def take_part(self, owner: str, signed: Count) -> None:
        """Move an owner's position."""
        before = self.positions.get(owner, 0)
        after = self.positions[owner] = before + signed
        self.open_interest += max(after, 0) - max(before, 0)

    def document(self) -> dict[str, object]:
        """The market as REST shows it now."""
        bid, ask = self.book.best(Side.BID), self.book.best(Side.ASK)
        yes_bid, yes_ask = bid if bid is not None else 0, ask if ask is not None else ONE
        document = self._fields | {
            "status": self.status.value,
            "close_time": whole_second(self.over_at if self.status in OVER else self.closes_at),
            "price_level_structure": self.structure,
            "price_ranges": price_ranges(self.book.grid),
            "yes_bid_dollars": format_price(yes_bid),
            "yes_bid_size_fp": format_count(self.book.depth_at(Side.BID, yes_bid)),
            "yes_ask_dollars": format_price(yes_ask),
            "yes_ask_size_fp": format_count(self.book.depth_at(Side.ASK, yes_ask)),
            "no_bid_dollars": format_price(complement(yes_ask)),
            "no_ask_dollars": format_price(complement(yes_bid)),
            "last_price_dollars": format_price(self.last_price),
            "volume_fp": format_count(self.volume),
            "volume_24h_fp": format_count(self.volume),
            "open_interest_fp": format_count(self.open_interest),
            "result": self.result,
            "expiration_value": "",
        }
        if self.status in OVER:
            document["expiration_value"] = self._fields.get("expiration_value") or self.result
            document["settlement_value_dollars"] = format_price(self.settles_at)
        if self.status is Status.FINALIZED:
            document["settlement_ts"] = rfc3339(self.paid_at)
        return document


def price_ranges(grid: PriceGrid) -> list[dict[str, str]]:
    """A grid as Kalshi writes it."""
    return [
        {"start": format_price(start), "end": format_price(end), "step": format_price(step)} for start, end, step in grid.bands
    ]


class Listener(Protocol):
    """Hears what happens on the floor, in the step in which it happens. Must not raise."""

    def on_changes(self, contract: Contract, changes: tuple[Change, ...], at: float) -> None: ...

    def on_print(self, contract: Contract, printed: Print, at: float) -> None: ...

    def on_life(self, contract: Contract, life: Life, at: float) -> None:
        """Something in the market's life is announced. Opening and closing are silent."""


class Floor:
    """Every market, by ticker in listing order. `rng` draws the trade ids. `paused` are the shards on which nobody trades."""

    def __init__(self, listed: Iterable[Listed], rng: random.Random) -> None:
        self.contracts = {listing.ticker: Contract(listing) for listing in listed}
        self.paused: set[int] = set()
        self.changes = 0
        self.trades = 0
        self._rng = rng
        self._listeners: list[Listener] = []
        self._after: deque[Callable[[], None]] = deque()

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    @property
    def shards(self) -> tuple[int, ...]:
        """Every shard there is: the default one, and those the markets are on."""
        return tuple(sorted({0, *(contract.shard for contract in self.contracts.values())}))

    def trading(self, contract: Contract) -> bool:
        """Whether orders are taken now."""
        return contract.status is Status.ACTIVE and contract.shard not in self.paused

    def submit(
        self,
        ticker: str,
        owner: str,
        side: Side,
        price: Price,
        count: Count,
        at: float,
        *,
        post_only: bool = False,
        immediate: bool = False,
        whole: bool = False,
        stp: SelfTrade | None = None,
        accepted: Callable[[Execution], None] | None = None,
    ) -> Execution:
        """Send an order to a market's book. Refused as the engine refuses, or `market_inactive`.

        `accepted` hears of the execution before anybody else does.
        """
        contract = self.contracts[ticker]
        if not self.trading(contract):
            raise Refused("market_inactive")
        book = contract.book
        done = book.submit(owner, side, price, count, post_only=post_only, immediate=immediate, whole=whole, stp=stp)
        self._publish(contract, done, at, accepted)
        return done

    def replace(
        self,
        ticker: str,
        order_id: int,
        price: Price,
        count: Count,
        at: float,
        *,
        post_only: bool = False,
        stp: SelfTrade | None = None,
        accepted: Callable[[Execution], None] | None = None,
    ) -> Execution:
        """Give an order another price or remaining count; as `submit`."""
        contract = self.contracts[ticker]
        if not self.trading(contract):
            raise Refused("market_inactive")
        done = contract.book.replace(order_id, price, count, post_only=post_only, stp=stp)
        self._publish(contract, done, at, accepted)
        return done

    def cancel(self, ticker: str, order_id: int, at: float, by: Count | None = None) -> bool:
        """Take an order off, or `by` contracts from it; False where it does not rest (any more)."""
        contract = self.contracts[ticker]
        done = contract.book.cancel(order_id) if by is None else contract.book.reduce(order_id, by)
        if done is None:
            return False
        self._publish(contract, done, at, None)
        return True

    def then(self, action: Callable[[], None]) -> None:
        """Do something as soon as everybody has heard of what is being published."""
        self._after.append(action)

    def announce(self, contract: Contract, event: str, at: float, **fields: object) -> None:
        """Tell the listeners of something in a market's life."""
        life = Life(event, fields)
        for listener in self._listeners:
            listener.on_life(contract, life, at)

    def _publish(self, contract: Contract, done: Execution, at: float, accepted: Callable[[Execution], None] | None) -> None:
        if accepted is not None:
            accepted(done)
        for trade in done.trades:
            self._print(contract, trade, at)
        if done.changes:
            contract.clock += 1
            self.changes += len(done.changes)
            for listener in self._listeners:
                listener.on_changes(contract, done.changes, at)
        while self._after:
            self._after.popleft()()

    def _print(self, contract: Contract, trade: Trade, at: float) -> None:
        self.trades += 1
        contract.last_price, contract.last_count = trade.price, trade.count
        contract.volume += trade.count
        contract.traded += cost(trade.price, trade.count)
        signed = trade.count * trade.taker.sign
        contract.take_part(trade.taker_owner, signed)
        contract.take_part(trade.maker_owner, -signed)
        printed = Print(str(uuid.UUID(int=self._rng.getrandbits(128), version=4)), trade, at)
        contract.tape.append(printed)
        for listener in self._listeners:
            listener.on_print(contract, printed, at)
