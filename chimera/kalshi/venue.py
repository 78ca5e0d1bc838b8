"""Kalshi as a `Venue`: signed requests out in tasks of the system's own, words of the exchange in, and the log the audit trusts.

A request is logged and given its tokens in the step that hands it over; its bytes leave in a task that outlives every actor. A trip voids
what is handed over and not yet on its way. Answers, the private stream and the lists are folded into one account of each order by
`OwnOrders`; whoever speaks first is told on, and nothing is told twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import trio

from chimera.conventions import Count, Money, Price
from chimera.errors import VenueError
from chimera.intake import Door
from chimera.kalshi.account import KalshiAccount
from chimera.kalshi.decode_orders import Cancelled
from chimera.kalshi.failures import KalshiError, Throttled
from chimera.kalshi.notices import OwnFill, OwnOrder
from chimera.kalshi.own_orders import Own, OwnOrders
from chimera.kalshi.private import PrivateStream
from chimera.kalshi.ratelimit import Call
from chimera.kalshi.requests import NewOrder, OrderRef, create, renew
from chimera.kalshi.schema_account import KalshiFill, OrderStatus
from chimera.kalshi.session import ExchangeSession
from chimera.kalshi.venue_words import as_fill, as_outcome, as_resting, not_found
from chimera.kalshi.writing import KalshiOrders, KalshiWriter
from chimera.markets import Market
from chimera.trading import venue_log as log
from chimera.trading.kill import Level, Trip
from chimera.trading.reasons import Reason
from chimera.trading.venue import Action, Covers, Done, Event, Fill, Gone, Order, Rejected, Resting, Sink

READ_LAG_S: Final = 2.0
"""How long the exchange's lists may lag behind its acks (0.36 s was seen)."""


class KalshiVenue:
    """An `OpenVenue` on the exchange; what it is handed leaves while `run` runs.

    `cancelling_all(at)` is called before the bytes of a cancel-all leave.
    """

    def __init__(
        self, *, door: Door, session: ExchangeSession, writer: KalshiWriter, account: KalshiAccount, journal: log.VenueLog,
        lines: Iterable[log.Line] = (), cash: Money, cancelling_all: Callable[[float], None],
    ) -> None:  # fmt: skip
        self.sink: Sink | None = None
        self.covers: Covers | None = None
        self.on_deaf: Callable[[str], None] | None = None
        self._session, self._account = session, account
        self._writer, self._orders = writer, KalshiOrders(writer)
        self._log, self._own = journal, OwnOrders(journal, lines)
        self._cancelling_all = cancelling_all
        self._shards: dict[str, int] = {}
        self._units: dict[str, str] = {}
        self._unheard: list[Event] = []
        self._private = PrivateStream(door, session, self._hear, self._lost)
        self._nursery: trio.Nursery | None = None
        self._waiting: list[Callable[[], Awaitable[None]]] = []
        self._in_flight = 0
        self._counts = dict.fromkeys(("placed", "renewed", "cancelled", "fired", "rejected", "unknown", "fills"), 0)
        self._opened_at = session.clock.now()
        journal.add(log.Opened(at=self._opened_at, cash=cash))

    def hears(self) -> bool:
        return self._private.up

    # Its own tasks

    async def run(self) -> None:
        """Send what is handed over, and listen to the private stream, for ever."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            waiting, self._waiting = self._waiting, []
            for task in waiting:
                nursery.start_soon(self._counted, task)
            try:
                await self._private.listen()
            finally:
                self._nursery = None

    def _spawn(self, task: Callable[[], Awaitable[None]]) -> None:
        self._in_flight += 1
        if self._nursery is None:
            self._waiting.append(task)
        else:
            self._nursery.start_soon(self._counted, task)

    async def _counted(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        finally:
            self._in_flight -= 1

    # Requests: logged, given their tokens and on their way when these return

    def place(self, order: Order, now: float) -> None:
        own = self._own.send(order, now)
        shard = self._shards.get(order.market)
        if shard is None:
            self._reject(own, Action.PLACE, "market_not_listed", order.trace)
            return
        self._keep_tokens(order.market)
        new = NewOrder(
            order.client_id, order.market, shard, order.side, order.price, order.count, self._session.exchange_time(order.expires_at)
        )
        try:
            self._writer.admit(create(new))
        except Throttled:
            self._reject(own, Action.PLACE, "throttled", order.trace)
            return
        self._counts["placed"] += 1
        self._spawn(partial(self._place, own, new, order.trace))

    async def _place(self, own: Own, new: NewOrder, trace: int) -> None:
        if own.void:
            self._reject(own, Action.PLACE, "overtaken", trace)
            return
        try:
            created = await self._orders.create(new, admitted=True)
        except KalshiError as error:
            self._failed(own, Action.PLACE, error, trace)
            return
        at = self._now()
        self._own.accepted(own, created.order_id, at)
        self._tell(Done(own.client_id, created.order_id, own.market, Action.PLACE, at, trace=trace))
        if created.remaining == 0 and created.filled == 0 and self._own.left(own, "PostOnlyCrossCancel", own.count, at):
            self._tell(Gone(own.client_id, created.order_id, own.market, "PostOnlyCrossCancel", at, own.count))

    def amend(
        self, order_id: str, client_id: str, market: str, expires_at: float, now: float, *,
        fence: int | None = None, p_true: float | None = None, required_edge: float | None = None,
    ) -> None:  # fmt: skip
        own = self._own.get(client_id, order_id)
        if own is None:
            self._tell(Rejected(client_id, order_id, market, Action.AMEND, now, "not_ours"))
            return
        self._log.add(
            log.Renewing(
                at=now, client_id=own.client_id, order_id=order_id, market=market, expires_at=expires_at,
                fence=fence, p_true=p_true, required_edge=required_edge,
            )
        )  # fmt: skip
        order, at = self._ref(order_id, market), self._session.exchange_time(expires_at)
        try:
            self._writer.admit(renew(order, side=own.side, price=own.price, total=own.count, expires_at=at))
        except Throttled:
            self._reject(own, Action.AMEND, "throttled")
            return
        self._counts["renewed"] += 1
        self._spawn(partial(self._renew, own, order, expires_at))

    async def _renew(self, own: Own, order: OrderRef, expires_at: float) -> None:
        try:
            await self._orders.renew(
                order, side=own.side, price=own.price, total=own.count, expires_at=self._session.exchange_time(expires_at), admitted=True
            )
        except KalshiError as error:
            self._failed(own, Action.AMEND, error)
            return
        self._own.renewed(own, expires_at, self._now())
        self._tell(Done(own.client_id, own.order_id, own.market, Action.AMEND, self._now()))

    def cancel(self, resting: Sequence[tuple[str, str, str]], reason: Reason, now: float) -> None:
        for some in self._batches(resting):
            self._spawn(partial(self._cancel, some))
        # On its way before it is logged, as everything that takes orders off.
        self._log.add(log.Cancelling(at=now, order_ids=tuple(order_id for order_id, _, _ in resting), reason=reason.value))

    async def _cancel(self, some: Sequence[tuple[str, str, str]]) -> None:
        """One batch by id: an outcome for each."""
        for named, outcome in zip(some, await self._batch_cancel(some), strict=True):
            order_id, client_id, market = named
            own, at = self._own.get(client_id, order_id), self._now()
            client_id = own.client_id if own is not None else client_id
            if isinstance(outcome, Cancelled):
                reduced = self._reduced(own, outcome)
                if own is not None:
                    self._own.left(own, "Cancel", outcome.reduced, at)
                self._tell(Done(client_id, order_id, market, Action.CANCEL, at, reduced))
                continue
            if own is None:
                self._tell(as_outcome(client_id, order_id, market, Action.CANCEL, at, outcome, 0))
                continue
            self._failed(own, Action.CANCEL, outcome)
            if not_found(outcome):
                await self._resolve(own)

    def fire(self, trip: Trip) -> None:
        covered = {} if self.covers is None else dict(self.covers(trip.scope))
        everything = self.covers is None or trip.scope.level is Level.GLOBAL
        live = [own for own in self._own.live() if everything or own.market in covered]
        for own in live:
            own.void = own.void or not own.order_id
        if everything:
            self._cancelling_all(trip.at)
            self._spawn(self._fire_all)
        for some in self._batches([(own.order_id, own.client_id, own.market) for own in live if own.order_id]):
            self._spawn(partial(self._fire, some))
        self._counts["fired"] += 1
        self._log.add(
            log.Fired(
                at=trip.at, scope=str(trip.scope), reason=trip.reason.value, source=trip.source, counter=trip.counter, pull=trip.pull,
                fences=covered,
            )
        )  # fmt: skip

    async def _fire_all(self) -> None:
        """Every order on every shard, known to us or not. What it took off, the stream and the lists will say."""
        try:
            await self._orders.cancel_all()
        except KalshiError:
            self._counts["unknown"] += 1

    async def _fire(self, some: Sequence[tuple[str, str, str]]) -> None:
        for (order_id, client_id, market), outcome in zip(some, await self._batch_cancel(some), strict=True):
            own = self._own.get(client_id, order_id)
            if own is None:
                continue
            if isinstance(outcome, Cancelled):
                reduced, at = self._reduced(own, outcome), self._now()
                if self._own.left(own, "Fired", outcome.reduced, at):
                    self._tell(Gone(client_id, order_id, market, "Fired", at, reduced))
            elif not_found(outcome):
                await self._resolve(own)

    async def _batch_cancel(self, some: Sequence[tuple[str, str, str]]) -> Sequence[Cancelled | KalshiError]:
        try:
            outcomes = await self._orders.batch_cancel([self._ref(order_id, market) for order_id, _, market in some])
        except KalshiError as error:
            return [error] * len(some)
        self._counts["cancelled"] += len(some)
        return outcomes

    # Lists

    async def resting(self) -> tuple[Resting, ...]:
        asked_at = self._now()
        listed = await self._account.orders(status=OrderStatus.RESTING.value)
        for order in listed:
            own = self._own.get(order.client_id, order.order_id)
            if own is not None and not own.gone:
                self._own.accepted(own, order.order_id, self._now())
        seen = {order.order_id for order in listed}
        for own in list(self._own.live()):
            if own.order_id and own.order_id not in seen and own.touched + READ_LAG_S <= asked_at:
                await self._resolve(own)
        return tuple(as_resting(order, self._session.skew_s) for order in listed if order.remaining > 0)

    async def fills(self, since: float) -> tuple[Fill, ...]:
        if since > 0.0:
            found = list(await self._account.fills(since=self._session.exchange_time(since)))
        else:
            # Everything that still has a part in what is held: what was settled or closed out long ago has none.
            found = list(await self._account.fills(since=self._session.exchange_time(self._opened_at)))
            held = await self._account.positions()
            for position in held.markets:
                if position.position:
                    found += await self._account.fills(ticker=position.market)
        fills = tuple({fill.fill_id: self._as_fill(fill) for fill in found}.values())
        for fill in sorted(fills, key=lambda fill: fill.at):
            self._own.filled(fill)
        return fills

    async def _resolve(self, own: Own) -> None:
        """Ask what became of an order that is not where it was. What cannot be had is asked again by whoever misses it next."""
        if own.gone:
            return
        own.touched = self._now()
        try:
            order = await self._account.order(own.order_id)
        except VenueError:
            return
        self._stands(own, order.status, order.initial, order.filled, "")

    # The private stream

    def _hear(self, word: OwnFill | OwnOrder) -> None:
        match word:
            case OwnFill():
                self._filled(word)
            case OwnOrder():
                own = self._own.get(word.client_id, word.order_id)
                if own is not None:
                    self._own.accepted(own, word.order_id, self._now())
                    self._stands(own, word.status, word.initial, word.filled, word.reason)

    def _lost(self, why: str) -> None:
        if self.on_deaf is not None:
            self.on_deaf(why)

    def _filled(self, word: OwnFill) -> None:
        fill = self._as_fill(word)
        if self._own.filled(fill):
            self._counts["fills"] += 1
            self._tell(fill)

    def _stands(self, own: Own, status: OrderStatus, initial: Count, filled: Count, reason: str) -> None:
        """The exchange says where an order stands; its end is told once, and an execution by its fills alone."""
        if status is OrderStatus.CANCELED:
            at, reduced, why = self._now(), max(0, initial - filled), reason or "Cancel"
            if self._own.left(own, why, reduced, at):
                self._tell(Gone(own.client_id, own.order_id, own.market, why, at, reduced))

    # What it must be told, and what is known of it without asking

    def list_markets(self, markets: Iterable[Market], at: float) -> None:
        for market in markets:
            self._shards[market.ticker], self._units[market.ticker] = market.exchange_index, market.unit

    def settle(self, market: str, value: Price, at: float) -> None:
        self._own.settled(market, value, at)

    def advance(self, now: float) -> None:
        if self.sink is not None:
            unheard, self._unheard = self._unheard, []
            for event in unheard:
                self.sink(event)

    def count_resting(self) -> int:
        return sum(1 for own in self._own.live() if own.order_id)

    def idle(self) -> bool:
        return self._in_flight == 0 and not any(True for _ in self._own.live())

    def statistics(self) -> Mapping[str, object]:
        known = {"resting": self.count_resting(), "in_flight": self._in_flight}
        return {**self._counts, **known, "private_up": self._private.up, "private_drops": self._private.drops}

    # Parts

    def _now(self) -> float:
        return self._session.clock.now()

    def _as_fill(self, told: KalshiFill | OwnFill) -> Fill:
        own = self._own.get(told.client_id if isinstance(told, OwnFill) else "", told.order_id)
        return as_fill(told, "" if own is None else own.client_id, self._session.skew_s, self._now())

    def _tell(self, event: Event) -> None:
        if self.sink is None:
            self._unheard.append(event)
        else:
            self.sink(event)

    def _reject(self, own: Own, action: Action, code: str, trace: int = 0) -> None:
        """Our own refusal: it never left."""
        at = self._now()
        self._counts["rejected"] += 1
        self._own.refused(own, action.value, code, at)
        self._tell(Rejected(own.client_id, own.order_id, own.market, action, at, code, trace))

    def _failed(self, own: Own, action: Action, error: KalshiError, trace: int = 0) -> None:
        at = self._now()
        outcome = as_outcome(own.client_id, own.order_id, own.market, action, at, error, trace)
        if isinstance(outcome, Rejected):
            self._counts["rejected"] += 1
            self._own.refused(own, action.value, outcome.code, at)
        else:
            self._counts["unknown"] += 1
        self._tell(outcome)

    def _keep_tokens(self, market: str) -> None:
        """Keep back what killing everything that rests may need, an order in `market` counted in."""
        live = [own.market for own in self._own.live()]
        units = {self._units.get(ticker, ticker) for ticker in (*live, market)}
        self._session.limiter.keep(len(units), len(live))

    def _ref(self, order_id: str, market: str) -> OrderRef:
        return OrderRef(order_id, market, self._shards.get(market, 0))

    def _batches(self, named: Sequence[tuple[str, str, str]]) -> list[Sequence[tuple[str, str, str]]]:
        most = max(1, self._session.limiter.largest_batch(Call.BATCH_CANCEL))
        return [named[start : start + most] for start in range(0, len(named), most)]

    @staticmethod
    def _reduced(own: Own | None, outcome: Cancelled) -> Count:
        if outcome.reduced is not None:
            return outcome.reduced
        return 0 if own is None else own.left
