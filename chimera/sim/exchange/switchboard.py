"""Who on the stream hears what: every subscription of every session, and the listener that turns what happens into their messages.

On sequenced channels `seq` starts at 1 on each subscription and counts every message on it, replies included. The private channels and
`ticker` carry none, as on Kalshi: what is lost there can only be read again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from chimera.conventions import Count, Price, Side
from chimera.sim.exchange import messages
from chimera.sim.exchange.documents import fill_message, position_message, user_order
from chimera.sim.exchange.engine import Change
from chimera.sim.exchange.exchange import Exchange, FeeOverride
from chimera.sim.exchange.floor import Contract, Life, Print
from chimera.sim.exchange.groups import Group
from chimera.sim.exchange.ledger import Holding
from chimera.sim.exchange.members import Member
from chimera.sim.exchange.orders import Fill, Own

BOOK, TRADE, TICKER, LIFE = "orderbook_delta", "trade", "ticker", "market_lifecycle_v2"
FILL, ORDERS, POSITIONS, GROUPS = "fill", "user_orders", "market_positions", "order_group_updates"
_SILENT = ("multivariate_market_lifecycle", "communications")
"""Channels that exist and on which nothing ever happens here: there are no combos and no requests for quotes."""
CHANNELS = (BOOK, TRADE, TICKER, LIFE, FILL, ORDERS, POSITIONS, GROUPS, *_SILENT)
SEQUENCED = frozenset({BOOK, TRADE, LIFE, GROUPS, *_SILENT})
UNFILTERED = frozenset({LIFE, GROUPS, *_SILENT})
"""Channels that are about every market, whatever markets the subscription names."""


class Receiver(Protocol):
    """A session, as its subscriptions know it."""

    @property
    def member(self) -> Member: ...

    @property
    def backlog(self) -> int: ...

    def send_on(self, subscription: Subscription, text: str) -> None:
        """Queue one frame of a subscription."""


@attrs.define(eq=False)
class Subscription:
    """One channel of one session; it hears of `tickers`, or of every market. `now` is the exchange's time."""

    sid: int
    channel: str
    session: Receiver
    tickers: dict[str, None]
    yes_price: bool
    everything: bool
    now: Callable[[], float]
    seq: int = 0

    @property
    def sequenced(self) -> bool:
        return self.channel in SEQUENCED

    def wants(self, ticker: str) -> bool:
        return self.everything or ticker in self.tickers

    def send(self, kind: str, msg: str, command: int = 0) -> None:
        """Queue one message; `msg` is its body as JSON."""
        origin = f'"id":{command},' if command else ""
        sent = f'"sending_ts_ms":{int(self.now() * 1000)}'
        self.session.send_on(self, f'{{"type":"{kind}",{origin}"sid":{self.sid},{self.place()}"msg":{msg},{sent}}}')

    def place(self) -> str:
        """The next `seq` as a field, used up; nothing on a channel without."""
        if self.channel not in SEQUENCED:
            return ""
        self.seq += 1
        return f'"seq":{self.seq},'


class Switchboard:
    """Every subscription, by channel; it listens to the whole exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.sessions: set[Receiver] = set()
        self.refused_until = float("-inf")
        """Until when (world unix s) the stream cannot be connected to: after a reset."""
        self._subscriptions: dict[str, list[Subscription]] = {channel: [] for channel in CHANNELS}
        self._tops: dict[str, tuple[Price | None, Count, Price | None, Count]] = {}
        exchange.floor.listen(self)
        exchange.members.listen(self)
        exchange.groups.listen(self)
        exchange.listen_fees(self)

    def add(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.channel].append(subscription)

    def remove(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.channel].remove(subscription)

    def _audience(self, channel: str, ticker: str) -> list[Subscription]:
        return [subscription for subscription in self._subscriptions[channel] if subscription.wants(ticker)]

    def _private(self, channel: str, member: Member, ticker: str) -> list[Subscription]:
        return [row for row in self._audience(channel, ticker) if row.session.member is member]

    # Markets

    def on_changes(self, contract: Contract, changes: tuple[Change, ...], at: float) -> None:
        if audience := self._audience(BOOK, contract.ticker):
            text = messages.DeltaText(contract, at)
            for change in changes:
                self._tell_change(contract, change, text, audience)
        if audience := self._audience(TICKER, contract.ticker):
            self._tell_top(contract, audience, at)

    def _tell_change(self, contract: Contract, change: Change, text: messages.DeltaText, audience: list[Subscription]) -> None:
        owned = self.exchange.members.owner(contract.ticker, change.order)
        said: dict[bool, str] = {}
        for subscription in audience:
            body = said.get(subscription.yes_price)
            if body is None:
                body = said[subscription.yes_price] = text.text(change, yes_price=subscription.yes_price)
            if owned is not None and owned[0] is subscription.session.member:
                body += f',"client_order_id":{messages.compact(owned[1].client_id)},"subaccount":0'
            subscription.send("orderbook_delta", body + text.CLOSE)

    def _tell_top(self, contract: Contract, audience: list[Subscription], at: float) -> None:
        """The ticker, where the top of the book is another than it was."""
        book = contract.book
        bid, ask = book.best(Side.BID), book.best(Side.ASK)
        top = (bid, book.depth_at(Side.BID, bid or 0), ask, book.depth_at(Side.ASK, ask or 0))
        if self._tops.get(contract.ticker) == top:
            return
        self._tops[contract.ticker] = top
        for subscription in audience:
            subscription.send(TICKER, messages.ticker(contract, at))

    def on_print(self, contract: Contract, printed: Print, at: float) -> None:
        if audience := self._audience(TRADE, contract.ticker):
            msg = messages.trade(contract, printed, at)
            for subscription in audience:
                subscription.send(TRADE, msg)
        # The ticker follows with the change of the book that every trade makes; forgetting the top makes sure that it does.
        self._tops.pop(contract.ticker, None)

    def on_life(self, contract: Contract, life: Life, at: float) -> None:
        for subscription in self._audience(LIFE, contract.ticker):
            subscription.send(LIFE, messages.life(contract, life))

    def on_fee(self, override: FeeOverride, at: float) -> None:
        for subscription in self._subscriptions[LIFE]:
            subscription.send("event_fee_update", messages.fee(override))

    # Members

    def on_order(self, member: Member, order: Own, kind: str, at: float) -> None:
        if audience := self._private(ORDERS, member, order.ticker):
            self._later("lag_fills", at, audience, "user_order", messages.compact(user_order(order, member.user_id)))

    def on_fill(self, member: Member, fill: Fill, at: float) -> None:
        if audience := self._private(FILL, member, fill.ticker):
            self._later("lag_fills", at, audience, FILL, messages.compact(fill_message(fill)))

    def on_holding(self, member: Member, holding: Holding, at: float) -> None:
        if audience := self._private(POSITIONS, member, holding.ticker):
            self._later("lag_positions", at, audience, "market_position", messages.compact(position_message(member, holding)))

    def on_group(self, group: Group, event: str, at: float) -> None:
        for subscription in self._subscriptions[GROUPS]:
            if subscription.session.member is group.member:
                subscription.send(GROUPS, messages.group(group, event, at))

    def _later(self, fault: str, at: float, audience: list[Subscription], kind: str, msg: str) -> None:
        """Send now, or as late as a fault says."""
        lag = self.exchange.mischief.lag(fault, at)

        def send(_at: float) -> None:
            for subscription in audience:
                subscription.send(kind, msg)

        if lag:
            self.exchange.crowd.enter(at + lag, send)
        else:
            send(at)
