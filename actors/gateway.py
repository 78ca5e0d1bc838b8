"""The gateway: turns wanted quotes into orders, and is the only placer.

Order table, portfolio and limits live here and change in one synchronous step. Every order is durable in the journal before it leaves; in
the step that hands it to the venue its fence, its freshness, its anchor and every limit are checked once more. On its ack the fence is
checked again: an order that a kill overtook is cancelled at once. Cancels wait for nothing.

It starts by reconciling: list, cancel by id, list again until nothing rests and nothing of an earlier incarnation can still arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from actors.desk import Action, Desk, Intention, Move
from actors.messages import (
    Decided,
    Drain,
    Durable,
    Listing,
    Note,
    Probe,
    Quote,
    Reconcile,
    Resend,
    Settled,
    Standing,
    TopOfBook,
    Tripped,
    VenueEvent,
    Write,
)
from actors.runtime import Address, Message, TrioActor, handles
from chimera.audit.orders import size_record
from chimera.clock import WorldClock
from chimera.conventions import Side
from chimera.errors import VenueError
from chimera.journal.records import Decision, Intent, Kind, Record
from chimera.journal.shape import fill_record, gone_record, outcome_record
from chimera.trading.daybook import DayBook
from chimera.trading.kill import GLOBAL, KillRegister, State, Trip, market
from chimera.trading.limits import Caps
from chimera.trading.orders import Working
from chimera.trading.reasons import Reason
from chimera.trading.venue import Action as Request
from chimera.trading.venue import Done, Event, Fill, Gone, Rejected, Venue

TICK_S = 1.0
LIST_EVERY_S = 0.25
CREATE_FLIGHT_S = 2.0
"""No create sent before an incarnation began can still arrive this long (world s) after it; the venue's own deadline is shorter."""
RESEND_CANCEL_AFTER_S = 2.0
FORGET_AFTER_S = 60.0
TAKER_HOLD_S = 60.0


@attrs.frozen(slots=True)
class _Tick(Message):
    """To itself: renew what is at half life, cancel what has gone stale, ask again for cancels without an answer."""

    at: float


class Gateway(TrioActor):
    """`expiry` is the life of an order by domain (world s); `run` prefixes every client id, so that none is ever used twice.

    `unready` is what guard and venue say against placing; it is asked in the step that writes.
    """

    def __init__(
        self,
        *,
        venue: Venue,
        register: KillRegister,
        journal: Address,
        risk: Address,
        scorekeeper: Address,
        telemetry: Address,
        pricers: Mapping[str, Address],
        universe: Address,
        clock: WorldClock,
        caps: Caps,
        expiry: Mapping[str, float],
        write_capacity: int,
        cash: int,
        day: DayBook,
        run: str,
        unready: Callable[[], Reason | None] = lambda: None,
    ) -> None:
        super().__init__()
        self._venue = venue
        self._register = register
        self._journal = journal
        self._risk = risk
        self._scorekeeper = scorekeeper
        self._telemetry = telemetry
        self._pricers = pricers
        self._universe = universe
        self._clock = clock
        self._unready = unready
        self._run_name = run
        self._desk = Desk(register, caps, expiry, write_capacity, cash, day)
        self._sequence = 0
        self._reconciled = False
        self._draining = False
        self._journal_up = False
        self._proved_empty = False
        self._stood = ""

    # Start: nothing is placed until the venue's state is known

    def on_start(self) -> None:
        self._stand("reconciling", "the venue's list of our orders")
        self.spawn(self._reconcile)
        self.every(TICK_S, _Tick)

    async def _reconcile(self) -> None:
        began = self._clock.now()
        first = self.address.incarnation <= 1
        while True:
            try:
                left = await self._venue.resting()
                if not left and (first or self._clock.now() - began >= CREATE_FLIGHT_S):
                    fills = await self._venue.fills(0.0)
                    break
            except VenueError as error:
                self._stand("reconciling", f"the venue gave no complete list: {error}")
            else:
                if left:
                    self._venue.cancel([(r.order_id, r.client_id, r.market) for r in left], Reason.ORPHAN, self._clock.now())
                    first = False
            await self._clock.sleep(LIST_EVERY_S)
        for fill in fills:
            self._desk.portfolio.apply(fill)
        self._reconciled = True
        self._stand("ready", "")
        self._tell_exposure(self._clock.now())
        for _scope, state, trip, _until in self._register.standing():
            if state is State.TRIPPED:
                self.spawn(self._confirm, trip)
        for source in (self._journal, self._universe, *self._pricers.values()):
            source.tell(Resend())

    def _stand(self, state: str, why: str) -> None:
        self._stood = state
        self._telemetry.tell(Standing(self.address.name, state, why, self._clock.now()))

    # What is wanted

    @handles(Listing)
    def on_listing(self, message: Listing) -> None:
        for ticker, size in self._desk.list_markets(message.markets):
            self._journal.tell(Note(size_record(ticker, size, message.at)))

    @handles(Quote)
    def on_quote(self, quote: Quote) -> None:
        self._desk.want(quote)
        self._pursue(quote.market, quote.at)

    def _pursue(self, ticker: str, now: float) -> None:
        """Bring both sides of a market towards what is wanted."""
        for side in Side:
            move = self._desk.decide(ticker, side, now, self._standing_refusal())
            if move is not None:
                self._carry_out(move, now)

    def _standing_refusal(self) -> Reason | None:
        """What keeps the gateway itself from placing anything; the first part of readiness that fails."""
        if not self._reconciled:
            return Reason.RECONCILING
        if self._draining:
            return Reason.DRAINING
        if not self._journal_up:
            return Reason.JOURNAL_DOWN
        return self._unready()

    def _carry_out(self, move: Move, now: float) -> None:
        match move.action:
            case Action.PLACE:
                self._intend(move, now)
                return
            case Action.CANCEL:
                self._cancel(move.orders, move.reason, now)
            case Action.RENEW:
                self._renew(move, now)
            case Action.WITHDRAW:
                for working in move.orders:
                    self._desk.withdraw(working.order.client_id, now)
            case Action.REFUSE | Action.KEEP:
                pass
        self._decided(move, now)

    def _renew(self, move: Move, now: float) -> None:
        """A renewal is a re-affirmation: it is sent under the present quote's fence, p_true and edge, which the desk has just checked."""
        fence, p_true, required_edge = self._desk.affirmed(move)
        expires_at = now + self._desk.expiry(move.market)
        for working in move.orders:
            client_id = working.order.client_id
            self._desk.table.amending(client_id, expires_at, now)
            self._venue.amend(
                working.order_id, client_id, move.market, expires_at, now, fence=fence, p_true=p_true, required_edge=required_edge
            )

    def _cancel(self, orders: tuple[Working, ...], reason: Reason, now: float) -> None:
        for working in orders:
            self._desk.table.cancelling(working.order.client_id, now)
        self._venue.cancel([(w.order_id, w.order.client_id, w.order.market) for w in orders], reason, now)

    def _decided(self, move: Move, now: float) -> None:
        quote = move.quote
        if quote is None or not self._desk.news(move):
            return
        decision = Decision(
            move.market, move.side, quote.book_seq, quote.fair_seq, move.action.value, move.reason, move.price, move.count,
            quote.p_true, now, quote.trace, quote.why.terms(move.side),
        )  # fmt: skip
        self._journal.tell(Decided(decision))

    # An order, from intent to wire

    def _intend(self, move: Move, now: float) -> None:
        self._sequence += 1
        intention = self._desk.intend(move, f"{self._run_name}-{self.address.incarnation}-{self._sequence}", now)
        order = intention.order
        unit = self._register.unit_of(order.market)
        intent = Intent(
            order.client_id, order.market, unit, order.side, order.price, order.count, order.fence, order.p_true, order.required_edge,
            order.expires_at, now, order.trace,
        )  # fmt: skip
        self._journal.tell(Write(intent))

    @handles(Durable)
    def on_durable(self, message: Durable) -> None:
        for client_id in message.client_ids:
            intention = self._desk.intention(client_id)
            if intention is not None:
                self._send(intention, max(message.at, intention.at))

    def _send(self, intention: Intention, now: float) -> None:
        """The step that writes: everything is checked again, and between the checks and the bytes nothing else can run."""
        order = intention.order
        refusal = self._standing_refusal() or self._desk.forbids(intention, now)
        if refusal is not None:
            self._desk.withdraw(order.client_id, now)
            self._decided(intention.move(Action.REFUSE, refusal), now)
            return
        self._desk.table.sent(order.client_id, now)
        self._desk.keep(intention)
        self._venue.place(order, now)
        self._decided(intention.move(Action.PLACE, Reason.PLACED), now)

    # What became of it

    @handles(VenueEvent)
    def on_event(self, message: VenueEvent) -> None:
        event, now = message.event, message.at
        change = self._desk.table.apply(event)
        self._remember(event)
        if isinstance(event, Done) and event.action is Request.PLACE and (change.order is None or self._desk.overtaken(change.order)):
            # A kill came between the write and the ack, or an earlier incarnation sent it: it must not rest.
            self._venue.cancel([(event.order_id, event.client_id, event.market)], Reason.STALE_FENCE, now)
            if change.order is not None:
                self._desk.table.cancelling(change.order.order.client_id, now)
        if not isinstance(event, Fill):
            self._desk.refresh_band(event.market)
        if not (isinstance(event, Rejected) and event.action is Request.PLACE):
            # What the venue has refused is not asked for again before there is a new quote: it would be refused again, at wire speed.
            self._pursue(event.market, now)

    def _remember(self, event: Event) -> None:
        match event:
            case Fill():
                self._filled(event)
            case Gone():
                self._journal.tell(Note(gone_record(event)))
            case _:
                self._journal.tell(Note(outcome_record(event)))

    def _filled(self, fill: Fill) -> None:
        if not self._desk.portfolio.apply(fill):
            return
        self._journal.tell(Note(fill_record(fill)))
        self._scorekeeper.tell(VenueEvent(fill, fill.at))
        self._desk.refresh_band(fill.market)
        self._tell_exposure(fill.at)
        if fill.is_taker:
            # Every order is post-only: a taker fill means that we do not understand our own orders.
            self._register.trip(market(fill.market), Reason.TAKER_FILL, source=self.address.name, at=fill.at, hold_s=TAKER_HOLD_S)

    @handles(Settled)
    def on_settled(self, message: Settled) -> None:
        self._desk.drop(message.market)
        try:
            self._desk.portfolio.settle(message.market, message.value)
        except ValueError as error:
            # The exchange has changed a result that is booked: what we hold and what we lost today are not known until somebody looks.
            self._stand("mismatch", str(error))
            self._register.trip(GLOBAL, Reason.POSITION_MISMATCH, source=self.address.name, at=message.at, hold_s=0.0, latch=True)
            return
        self._journal.tell(Note(Record(Kind.SETTLED, message.at, message.market, fields={"value": message.value})))
        self._tell_exposure(message.at)

    def _tell_exposure(self, at: float) -> None:
        self._risk.tell(self._desk.exposure(at))

    @handles(TopOfBook)
    def on_top(self, message: TopOfBook) -> None:
        self._desk.mark(message)

    @handles(Resend)
    def on_resend(self, _message: Resend) -> None:
        self._tell_exposure(self._clock.now())

    @handles(Standing)
    def on_standing(self, message: Standing) -> None:
        """The journal's own word on whether it can make anything durable."""
        self._journal_up = message.state == "ready"

    # Pulls and kills: the bytes left before this message was sent

    @handles(Tripped)
    def on_tripped(self, message: Tripped) -> None:
        trip = message.trip
        for ticker in self._register.markets(trip.scope):
            for working in self._desk.cancellable(ticker):
                self._desk.table.cancelling(working.order.client_id, trip.at)
            self._desk.tripped(ticker)
        if not trip.pull and self._reconciled:
            self.spawn(self._confirm, trip)

    async def _confirm(self, trip: Trip) -> None:
        """Prove from the venue's own list that nothing of a kill's scope rests; cancel what still does."""
        while any(standing.counter == trip.counter for scope, _, standing, _ in self._register.standing() if scope == trip.scope):
            if await self._proves_empty(frozenset(self._register.markets(trip.scope))):
                self._register.confirm(trip)
                if self._stood == "unconfirmed":
                    self._stand("ready", "")
                return
            await self._clock.sleep(LIST_EVERY_S)

    async def _proves_empty(self, tickers: frozenset[str] | None) -> bool:
        """Whether the venue lists nothing of ours in these markets (None: anywhere) and nothing can still arrive there."""
        try:
            listed = await self._venue.resting()
        except VenueError as error:
            self._stand("unconfirmed", f"the venue gave no complete list: {error}")
            return False
        left = [r for r in listed if tickers is None or r.market in tickers]
        if left:
            self._venue.cancel([(r.order_id, r.client_id, r.market) for r in left], Reason.ORPHAN, self._clock.now())
            return False
        return not any(tickers is None or w.order.market in tickers for w in self._desk.table.live())

    # Time, lists and the end

    @handles(_Tick)
    def on_tick(self, message: _Tick) -> None:
        now = message.at
        for ticker in self._desk.busy():
            self._pursue(ticker, now)
        unanswered = self._desk.unanswered(now - RESEND_CANCEL_AFTER_S)
        if unanswered:
            self._cancel(unanswered, Reason.WITHDRAWN, now)
        self._desk.table.forget(now - FORGET_AFTER_S)
        self._tell_exposure(now)

    @handles(Reconcile)
    def on_reconcile(self, message: Reconcile) -> None:
        if message.resting is None or not self._reconciled:
            return
        findings = self._desk.table.reconcile(message.resting, message.fills, message.asked_at, message.at)
        for fill in findings.fills:
            self._filled(fill)
        if findings.orphans:
            orphans = [(r.order_id, r.client_id, r.market) for r in findings.orphans]
            self._venue.cancel(orphans, Reason.ORPHAN, message.at)

    @handles(Probe)
    def on_probe(self, message: Probe) -> int:
        return message.nonce

    @handles(Drain)
    def on_drain(self, message: Drain) -> bool:
        """Asked again and again until it answers True: everything is cancelled, and the venue's list proves it."""
        if not self._draining:
            self._draining = True
            self._stand("draining", "proof that nothing rests")
            self.spawn(self._prove_drained)
        cancellable = tuple(w for ticker in self._desk.busy() for w in self._desk.cancellable(ticker))
        if cancellable:
            self._cancel(cancellable, Reason.SHUTDOWN, message.at)
        return self._proved_empty

    async def _prove_drained(self) -> None:
        while not (self._reconciled and await self._proves_empty(None)):
            await self._clock.sleep(LIST_EVERY_S)
        self._proved_empty = True
        self._stand("drained", "")

    def state_summary(self) -> dict[str, object]:
        return {
            "reconciled": self._reconciled,
            "draining": self._draining,
            "journal_up": self._journal_up,
            "live_orders": len(self._desk.table.live()),
            "cash": self._desk.portfolio.cash,
        }
