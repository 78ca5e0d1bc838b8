"""Candlesticks: what each minute of each market was, kept as it happens, and longer periods made of minutes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

from chimera.conventions import ONE, Count, Money, Price, Side, cost, format_count, format_price
from chimera.sim.exchange.engine import Change
from chimera.sim.exchange.floor import Contract, Floor, Life, Print

MINUTE = 60
KEPT = 3 * 24 * 60
"""Minutes kept a market."""


@attrs.define(slots=True)
class Range:
    """Open, low, high and close of something that moves."""

    open: Price
    low: Price
    high: Price
    close: Price

    @classmethod
    def at(cls, price: Price) -> Range:
        return cls(price, price, price, price)

    def move(self, price: Price) -> None:
        self.low, self.high, self.close = min(self.low, price), max(self.high, price), price

    def join(self, later: Range) -> Range:
        return Range(self.open, min(self.low, later.low), max(self.high, later.high), later.close)

    def document(self) -> dict[str, object]:
        return {f"{name}_dollars": format_price(getattr(self, name)) for name in ("open", "low", "high", "close")}


@attrs.define(slots=True)
class Candle:
    """One period that ends at `end` (unix s). `price` is None where nothing traded; `previous` is the last price before it."""

    end: int
    bid: Range
    ask: Range
    previous: Price
    price: Range | None = None
    volume: Count = 0
    spent: Money = 0
    open_interest: Count = 0

    def join(self, later: Candle) -> Candle:
        """This period and the next as one, which ends when this one was said to."""
        price = later.price if self.price is None else self.price if later.price is None else self.price.join(later.price)
        return Candle(
            self.end, self.bid.join(later.bid), self.ask.join(later.ask), self.previous, price, self.volume + later.volume,
            self.spent + later.spent, later.open_interest,
        )  # fmt: skip

    def document(self) -> dict[str, object]:
        said: dict[str, object] = dict.fromkeys(("open_dollars", "low_dollars", "high_dollars", "close_dollars", "mean_dollars"))
        said |= {"previous_dollars": format_price(self.previous) if self.previous else None, "min_dollars": None, "max_dollars": None}
        if self.price is not None:
            said |= self.price.document()
            said["mean_dollars"] = format_price(self.spent // self.volume)
            said |= {"min_dollars": format_price(self.price.low), "max_dollars": format_price(self.price.high)}
        return {
            "end_period_ts": self.end,
            "yes_bid": self.bid.document(),
            "yes_ask": self.ask.document(),
            "price": said,
            "volume_fp": format_count(self.volume),
            "open_interest_fp": format_count(self.open_interest),
        }


class Candles:
    """The floor's listener that keeps every market's minutes."""

    def __init__(self, floor: Floor) -> None:
        self._minutes: dict[str, deque[Candle]] = {ticker: deque(maxlen=KEPT) for ticker in floor.contracts}
        floor.listen(self)

    def on_changes(self, contract: Contract, changes: tuple[Change, ...], at: float) -> None:
        self._now(contract, at)

    def on_print(self, contract: Contract, printed: Print, at: float) -> None:
        candle, trade = self._now(contract, at), printed.trade
        if candle.price is None:
            candle.price = Range.at(trade.price)
        candle.price.move(trade.price)
        candle.volume += trade.count
        candle.spent += cost(trade.price, trade.count)
        candle.open_interest = contract.open_interest

    def on_life(self, contract: Contract, life: Life, at: float) -> None: ...

    def periods(self, ticker: str, start: int, end: int, minutes: int, *, before: bool) -> list[Candle]:
        """The periods that end within [start, end], oldest first; with `before`, the last minute before them as well."""
        length = minutes * MINUTE
        rows = self._minutes[ticker]
        inside = [row for row in rows if start <= -(-row.end // length) * length <= end]
        found = list(_joined(inside, length))
        if before:
            found[:0] = [row for row in rows if -(-row.end // length) * length < start][-1:]
        return found

    def _now(self, contract: Contract, at: float) -> Candle:
        """The minute of `at`, brought up to the book."""
        bid, ask = contract.book.best(Side.BID) or 0, contract.book.best(Side.ASK) or ONE
        rows = self._minutes[contract.ticker]
        end = (int(at) // MINUTE + 1) * MINUTE
        if not rows or rows[-1].end != end:
            last = rows[-1] if rows else None
            previous = 0 if last is None else last.previous if last.price is None else last.price.close
            rows.append(Candle(end, Range.at(bid), Range.at(ask), previous, open_interest=contract.open_interest))
            return rows[-1]
        rows[-1].bid.move(bid)
        rows[-1].ask.move(ask)
        return rows[-1]


def _joined(minutes: Iterable[Candle], length: int) -> Iterable[Candle]:
    current: Candle | None = None
    for row in minutes:
        end = -(-row.end // length) * length
        if current is not None and current.end == end:
            current = current.join(row)
            continue
        if current is not None:
            yield current
        current = attrs.evolve(row, end=end)
    if current is not None:
        yield current
