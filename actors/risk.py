"""Risk: watches totals and deaths, trips the daily-loss latch, and alone ends a hold.

It grants nothing: limits are checked in the gateway, in the step that writes. If it dies, nothing that rests becomes less safe: holds simply
last until its next incarnation, because they live in the kill register.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import attrs

from actors.messages import Account, AccountRequest, Exposure, Note, Probe, Resend, Standing, TopOfBook, Tripped
from actors.runtime import Address, Down, Message, TrioActor, explain, handles
from chimera.clock import WorldClock
from chimera.conventions import ONE, Count, Money, Price, cost
from chimera.journal.records import Kind, Record, Value
from chimera.journal.shape import armed_record, trip_record
from chimera.trading.kill import GLOBAL, KillRegister, State, Trip
from chimera.trading.reasons import Reason

EXCHANGE_DAY = ZoneInfo("America/New_York")
REARM_EVERY_S = 0.25


@attrs.frozen(slots=True)
class _Rearm(Message):
    """To itself: see which holds are over."""

    at: float


@attrs.frozen(slots=True)
class _Mark:
    bid: Price | None
    ask: Price | None


class Risk(TrioActor):
    """`daily_loss` (1e-6 dollars) is the loss since 00:00 ET that latches GLOBAL; `watched` are the actors whose deaths are recorded."""

    def __init__(
        self,
        *,
        register: KillRegister,
        journal: Address,
        gateway: Address,
        telemetry: Address,
        watched: tuple[Address, ...],
        clock: WorldClock,
        daily_loss: Money,
    ) -> None:
        super().__init__()
        self._register = register
        self._journal = journal
        self._gateway = gateway
        self._telemetry = telemetry
        self._watched = watched
        self._clock = clock
        self._daily_loss = daily_loss
        self._exposure: Exposure | None = None
        self._marks: dict[str, _Mark] = {}
        self._day: dt.date | None = None
        self._opening: Money = 0

    def on_start(self) -> None:
        for address in self._watched:
            address.monitor(self.address, sticky=True)
        self.every(REARM_EVERY_S, _Rearm)
        self._gateway.tell(Resend())
        self._telemetry.tell(Standing(self.address.name, "ready", "", self._clock.now()))

    # Holds

    @handles(_Rearm)
    def on_rearm(self, message: _Rearm) -> None:
        for trip in self._register.due(message.at):
            if self._register.arm(trip, message.at):
                self._journal.tell(Note(armed_record(trip.scope, trip.counter, message.at)))

    @handles(Tripped)
    def on_tripped(self, message: Tripped) -> None:
        self._journal.tell(Note(trip_record(message.trip)))

    @handles(Down)
    def on_down(self, message: Down) -> None:
        fields: dict[str, Value] = {"actor": message.name, "incarnation": message.incarnation, "reason": explain(message.reason)}
        self._journal.tell(Note(Record(Kind.RESTART, self._clock.now(), fields=fields)))

    # Totals

    @handles(TopOfBook)
    def on_top(self, message: TopOfBook) -> None:
        if message.synced and not (message.bid is None and message.ask is None):
            self._marks[message.market] = _Mark(message.bid, message.ask)
            self._check_loss(message.at)

    @handles(Exposure)
    def on_exposure(self, message: Exposure) -> None:
        self._exposure = message
        self._check_loss(message.at)

    @handles(AccountRequest)
    def on_account(self, _message: AccountRequest) -> Account:
        held = self._exposure
        if held is None:
            return Account(0, 0, 0, 0, 0)
        return Account(held.cash, held.fees, held.settled, self._marked(held), held.open_orders)

    @handles(Probe)
    def on_probe(self, message: Probe) -> int:
        return message.nonce

    def _marked(self, held: Exposure) -> Money:
        return sum(self._value(market, count) for market, count in held.positions)

    def _value(self, market: str, count: Count) -> Money:
        """What a position fetches now: at the bid if long, at the ask if short, and nothing where that side is empty; never at p_true."""
        mark = self._marks.get(market)
        if count >= 0:
            return cost((mark.bid or 0) if mark else 0, count)
        return cost((mark.ask or ONE) if mark else ONE, count)

    def _check_loss(self, at: float) -> None:
        held = self._exposure
        if held is None:
            return
        equity = held.cash + self._marked(held)
        day = dt.datetime.fromtimestamp(at, EXCHANGE_DAY).date()
        if day != self._day:
            self._day, self._opening = day, equity
        lost = self._opening - equity
        if lost >= self._daily_loss and self._register.state(GLOBAL) is not State.LATCHED:
            self._latch(at)

    def _latch(self, at: float) -> Trip:
        return self._register.trip(GLOBAL, Reason.DAILY_LOSS, source=self.address.name, at=at, hold_s=0.0, latch=True)


