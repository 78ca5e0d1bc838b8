"""One market's order book as an actor: folds what the stream tells it and tells the best levels on.

A book that cannot be true (a level below zero, bid above ask) is not repaired by guessing: the market is killed in the same step, the
consumers hear that the book is not to be believed, and the stream is asked for a snapshot. A fresh incarnation begins the same way.
"""

from __future__ import annotations

import math
from typing import Final

import attrs

from actors.messages import BookDelta, BookLost, BookSnapshot, Resend, TopOfBook
from actors.runtime import Address, Message, TrioActor, handles
from chimera.markets import Market
from chimera.trading import kill
from chimera.trading.book import BookDesync, OrderBook
from chimera.trading.kill import KillRegister
from chimera.trading.reasons import Reason

GAP_HOLD_S: Final = 2.0
"""Seconds a market stays held after its book was lost. It is not quoted before a snapshot anyway; this keeps a flickering book out."""
ASK_EVERY_S: Final = 1.0
"""A book whose snapshots keep being impossible asks for the next one this much later (world seconds), not at once."""


@attrs.frozen(slots=True)
class _AskAgain(Message):
    """To itself: ask the stream for a snapshot, unless one has come."""

    at: float


class BookActor(TrioActor):
    """The book of `market`, told to every one of `consumers` as `TopOfBook` when its best levels or its fence have changed.

    The fence is read in the step that tells. `Resend` is answered by telling the latest again, under the fence of that moment.
    """

    def __init__(self, *, market: Market, register: KillRegister, consumers: tuple[Address, ...], stream: Address) -> None:
        super().__init__()
        self._market = market
        self._ticker = market.ticker
        self._register = register
        self._consumers = consumers
        self._stream = stream
        self._book = OrderBook(market.grid)
        self._told: tuple[object, ...] = ()
        self._at = 0.0
        self._asked_at = -math.inf
        self._desyncs = 0
        self._dropped = 0
        self._lost_why = ""

    def on_start(self) -> None:
        self._at = self._asked_at = self.system.now()
        self._tell(self._at, 0)
        self._stream.tell(Resend(self._ticker))

    # Folding

    @handles(BookSnapshot)
    def on_snapshot(self, message: BookSnapshot) -> None:
        try:
            self._book.snapshot(message.bids, message.asks)
        except BookDesync as fault:
            self._desync(str(fault), message.at, message.trace)
        else:
            self._folded(message.at, message.trace)

    @handles(BookDelta)
    def on_delta(self, message: BookDelta) -> None:
        if not self._book.synced:
            self._dropped += 1
            return
        try:
            self._book.delta(message.side, message.price, message.change)
        except BookDesync as fault:
            self._desync(str(fault), message.at, message.trace)
        else:
            self._folded(message.at, message.trace)

    @handles(BookLost)
    def on_lost(self, message: BookLost) -> None:
        """The stream has tripped the market already and mends the book by itself."""
        self._lost_why = message.why
        self._book.lose()
        self._tell(message.at, 0)

    def _folded(self, at: float, trace: int) -> None:
        if self._book.crossed:
            self._desync(f"bid {self._book.bid} is not below ask {self._book.ask}", at, trace)
        else:
            self._tell(at, trace)

    def _desync(self, why: str, at: float, trace: int) -> None:
        """Kill the market first, then say so, then ask for a snapshot: at once, or a little later where that did not help just now."""
        self._register.trip(
            kill.market(self._ticker), Reason.BOOK_GAP, source=self.address.name, at=at, hold_s=GAP_HOLD_S, trace=trace
        )
        self._desyncs += 1
        self._lost_why = why
        self._book.lose()
        self._tell(at, trace)
        wait = self._asked_at + ASK_EVERY_S - at
        if wait > 0:
            self.tell_after(wait, _AskAgain(at + wait))
        else:
            self._ask(at)

    @handles(_AskAgain)
    def on_ask_again(self, message: _AskAgain) -> None:
        if not self._book.synced:
            self._ask(message.at)

    def _ask(self, at: float) -> None:
        self._asked_at = at
        self._stream.tell(Resend(self._ticker))

    # Telling

    @handles(Resend)
    def on_resend(self, message: Resend) -> None:
        self._told = ()
        self._tell(self._at, 0)

    def _tell(self, at: float, trace: int) -> None:
        book = self._book
        self._at = at
        fence = self._register.fence(self._ticker)
        bid, ask = book.bid, book.ask
        top = (bid, book.bid_size, ask, book.ask_size, book.synced, fence)
        if top == self._told:
            return
        self._told = top
        message = TopOfBook(self._ticker, bid, book.bid_size, ask, book.ask_size, book.synced, fence, book.changes, at, trace)
        for consumer in self._consumers:
            consumer.tell(message)

    def state_summary(self) -> dict[str, object]:
        book = self._book
        return {
            "market": self._ticker,
            "synced": book.synced,
            "bid": book.bid,
            "ask": book.ask,
            "changes": book.changes,
            "desyncs": self._desyncs,
            "lost last": self._lost_why,
            "dropped": self._dropped,
            "at": self._at,
        }
