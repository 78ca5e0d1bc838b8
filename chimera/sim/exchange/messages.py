"""The bodies of the stream's messages, as JSON text: books, trades, tickers, and what happens to markets, events and groups.

Those that are sent thousands of times a second are put together by hand; the others go through `json`.
"""

from __future__ import annotations

import json

from chimera.conventions import CONTRACT, DOLLAR, ONE, Side, complement, format_count, format_price
from chimera.sim.exchange.engine import Change
from chimera.sim.exchange.exchange import FeeOverride
from chimera.sim.exchange.floor import Contract, Life, Print
from chimera.sim.exchange.groups import Group
from chimera.sim.exchange.listing import rfc3339
from chimera.sim.exchange.rest_market import leg_levels


def compact(message: object) -> str:
    """JSON without blanks."""
    return json.dumps(message, separators=(",", ":"))


def snapshot(contract: Contract, *, yes_price: bool) -> str:
    """A whole book; the key of an empty side is left out."""
    msg: dict[str, object] = {"market_ticker": contract.ticker, "market_id": contract.market_id, "clock": contract.clock}
    bids, asks = contract.book.levels(Side.BID), contract.book.levels(Side.ASK)
    if bids:
        msg["yes_dollars_fp"] = leg_levels(bids)
    if asks:
        msg["no_dollars_fp"] = leg_levels(asks if yes_price else [(complement(price), count) for price, count in asks])
    return compact(msg)


class DeltaText:
    """The messages of the changes of one step in one market: what they share is written once. `text` leaves the object open, so that an
    owner's client id can be added; `CLOSE` closes it."""

    CLOSE = "}"

    def __init__(self, contract: Contract, at: float) -> None:
        self._head = f'{{"market_ticker":"{contract.ticker}","market_id":"{contract.market_id}","clock":{contract.clock}'
        self._tail = f'"ts_ms":{int(at * 1000)},"ts":"{rfc3339(at)}"'

    def text(self, change: Change, *, yes_price: bool) -> str:
        leg = "yes" if change.side is Side.BID else "no"
        price = change.price if leg == "yes" or yes_price else complement(change.price)
        level = f'"price_dollars":"{format_price(price)}","delta_fp":"{format_count(change.count)}","side":"{leg}"'
        return f"{self._head},{level},{self._tail}"


def trade(contract: Contract, printed: Print, at: float) -> str:
    """A public trade."""
    done = printed.trade
    outcome = "yes" if done.taker is Side.BID else "no"
    return (
        f'{{"trade_id":"{printed.trade_id}","market_ticker":"{contract.ticker}",'
        f'"yes_price_dollars":"{format_price(done.price)}","no_price_dollars":"{format_price(complement(done.price))}",'
        f'"count_fp":"{format_count(done.count)}","taker_side":"{outcome}","taker_outcome_side":"{outcome}",'
        f'"taker_book_side":"{done.taker.value}","is_block_trade":false,"ts":{int(at)},"ts_ms":{int(at * 1000)}}}'
    )


def ticker(contract: Contract, at: float) -> str:
    """The top of a book and what has been traded."""
    bid, ask = contract.book.best(Side.BID), contract.book.best(Side.ASK)
    yes_bid, yes_ask = bid if bid is not None else 0, ask if ask is not None else ONE
    return compact(
        {
            "market_ticker": contract.ticker,
            "market_id": contract.market_id,
            "price_dollars": format_price(contract.last_price),
            "yes_bid_dollars": format_price(yes_bid),
            "yes_ask_dollars": format_price(yes_ask),
            "yes_bid_size_fp": format_count(contract.book.depth_at(Side.BID, yes_bid)),
            "yes_ask_size_fp": format_count(contract.book.depth_at(Side.ASK, yes_ask)),
            "last_trade_size_fp": format_count(contract.last_count),
            "volume_fp": format_count(contract.volume),
            "open_interest_fp": format_count(contract.open_interest),
            "dollar_volume": contract.traded // DOLLAR,
            "dollar_open_interest": contract.open_interest // CONTRACT,
            "ts": int(at),
            "ts_ms": int(at * 1000),
            "time": rfc3339(at),
        }
    )


def life(contract: Contract, told: Life) -> str:
    """Something in a market's life."""
    return compact({"market_ticker": contract.ticker, "event_type": told.event, **told.fields})


def fee(override: FeeOverride) -> str:
    """An event charges something else; nulls where the series' fee holds again."""
    multiplier = None if override.multiplier is None else float(override.multiplier)
    return compact(
        {"event_ticker": override.event_ticker, "fee_type_override": override.fee_type, "fee_multiplier_override": multiplier}
    )


def group(told: Group, event: str, at: float) -> str:
    """Something that happened to an order group."""
    msg: dict[str, object] = {"event_type": event, "order_group_id": told.group_id, "ts_ms": int(at * 1000)}
    if event in ("created", "limit_updated"):
        msg["contracts_limit_fp"] = format_count(told.limit)
    return compact(msg)
