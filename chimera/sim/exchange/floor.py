"""The trading floor: every market's book, tape and life, and whoever listens to them.

All changes of the exchange go through here, each with its world time, and each is told to the listeners before the method returns; so a
listener that folds what it hears always holds the book. Nothing here reads a clock.
"""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Iterable
from typing import Protocol

import attrs

from chimera.conventions import CENT, ONE, Count, Price, Side, complement, format_count, format_price
from chimera.sim.exchange.engine import Book, Change, Execution, Refused, Trade
from chimera.sim.exchange.listing import Listing, Status, rfc3339

TAPE = 1000
"""Public trades kept a market."""


@attrs.frozen(slots=True)
class Print:
    """A trade on the public tape. `at` is world unix seconds."""

    trade_id: str
    trade: Trade
    at: float


@attrs.define
class Contract:
    """One market: its listing, book, tape and state. `clock` counts book changes, and is the same for everyone."""

    listing: Listing
    book: Book = attrs.field(factory=lambda: Book(CENT))
    status: Status = Status.ACTIVE
    clock: int = 0
    last_price: Price = 0
    volume: Count = 0
    tape: deque[Print] = attrs.field(factory=lambda: deque(maxlen=TAPE))
    positions: dict[str, Count] = attrs.field(factory=dict)

    ticker: str = attrs.field(init=False, default=attrs.Factory(lambda self: self.listing.ticker, takes_self=True))
    market_id: str = attrs.field(init=False, default=attrs.Factory(lambda self: self.listing.market_id, takes_self=True))
    _fields: dict[str, object] = attrs.field(init=False, default=attrs.Factory(lambda self: self.listing.fields, takes_self=True))

    @property
    def result(self) -> str:
        """ "yes" or "no" once determined, "" before."""
        if self.status is Status.ACTIVE:
            return ""
        return "yes" if self.listing.pays else "no"

    @property
    def open_interest(self) -> Count:
        """Contracts held: what all the long positions add up to."""
        return sum(size for size in self.positions.values() if size > 0)

    def document(self) -> dict[str, object]:
        """The market as REST shows it now."""
        bid, ask = self.book.best(Side.BID), self.book.best(Side.ASK)
        yes_bid, yes_ask = bid if bid is not None else 0, ask if ask is not None else ONE
        document = self._fields | {
            "status": self.status.value,
            "close_time": self.listing.close_time(self.status),
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
        if self.status is not Status.ACTIVE:
            document["expiration_value"] = self.result
            document["settlement_value_dollars"] = format_price(ONE if self.listing.pays else 0)
        if self.status is Status.FINALIZED:
            document["settlement_ts"] = rfc3339(self.listing.finalized_at)
        return document


class Listener(Protocol):
    """Hears what happens on the floor, in the step in which it happens. Must not raise."""

    def on_changes(self, contract: Contract, changes: tuple[Change, ...], at: float) -> None: ...

    def on_print(self, contract: Contract, printed: Print, at: float) -> None: ...

    def on_life(self, contract: Contract, at: float) -> None:
        """The market's status has changed."""


class Floor:
    """Every market, by ticker in listing order. `rng` draws the trade ids."""

    def __init__(self, listed: Iterable[Listing], rng: random.Random) -> None:
        self.contracts = {listing.ticker: Contract(listing) for listing in listed}
        self._rng = rng
        self._listeners: list[Listener] = []
        self.changes = 0
        self.trades = 0

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

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
    ) -> Execution:
        """Send an order to a market's book. Refused as the engine refuses, or `market_closed`."""
        contract = self.contracts[ticker]
        if contract.status is not Status.ACTIVE:
            raise Refused("market_closed")
        execution = contract.book.submit(owner, side, price, count, post_only=post_only, immediate=immediate)
        for trade in execution.trades:
            self._print(contract, trade, at)
        self._changed(contract, execution.changes, at)
        return execution

    def cancel(self, ticker: str, order_id: int, at: float) -> bool:
        """Take an order off; False where it does not rest (any more)."""
        contract = self.contracts[ticker]
        execution = contract.book.cancel(order_id)
        if execution is None:
            return False
        self._changed(contract, execution.changes, at)
        return True

    def determine(self, ticker: str, at: float) -> None:
        """The result is known: trading ends and what rests is swept."""
        contract = self.contracts[ticker]
        contract.status = Status.DETERMINED
        for order in contract.book.resting:
            self.cancel(ticker, order.order_id, at)
        self._lived(contract, at)

    def finalize(self, ticker: str, at: float) -> None:
        """The result is paid."""
        contract = self.contracts[ticker]
        contract.status = Status.FINALIZED
        self._lived(contract, at)

    def _print(self, contract: Contract, trade: Trade, at: float) -> None:
        self.trades += 1
        contract.last_price = trade.price
        contract.volume += trade.count
        signed = trade.count * trade.taker.sign
        positions = contract.positions
        positions[trade.taker_owner] = positions.get(trade.taker_owner, 0) + signed
        positions[trade.maker_owner] = positions.get(trade.maker_owner, 0) - signed
        printed = Print(str(uuid.UUID(int=self._rng.getrandbits(128), version=4)), trade, at)
        contract.tape.append(printed)
        for listener in self._listeners:
            listener.on_print(contract, printed, at)

    def _changed(self, contract: Contract, changes: tuple[Change, ...], at: float) -> None:
        if not changes:
            return
        contract.clock += 1
        self.changes += len(changes)
        for listener in self._listeners:
            listener.on_changes(contract, changes, at)

    def _lived(self, contract: Contract, at: float) -> None:
        for listener in self._listeners:
            listener.on_life(contract, at)
