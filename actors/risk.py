"""Risk: watches totals and deaths, trips the daily-loss latch, and alone ends a hold.

It grants nothing: limits are checked in the gateway, in the step that writes. If it dies, nothing that rests becomes less safe: holds
simply last until its next incarnation, because they live in the kill register.
"""

from __future__ import annotations

import attrs

from actors.messages import Exposure, ExposureRequest, Note, Probe, Resend, Standing, Tripped
from actors.runtime import Address, Down, Message, TrioActor, explain, handles
from chimera.clock import WorldClock
from chimera.conventions import Money
from chimera.journal.records import Kind, Record, Value
from chimera.journal.shape import armed_record, trip_record
from chimera.trading.kill import GLOBAL, KillRegister
from chimera.trading.reasons import Reason

REARM_EVERY_S = 0.25


@attrs.frozen(slots=True)
class _Rearm(Message):
    """To itself: see which holds are over."""

    at: float


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

    @handles(Exposure)
    def on_exposure(self, message: Exposure) -> None:
        self._exposure = message
        latched = any(scope == GLOBAL and trip.latched for scope, _, trip, _ in self._register.standing())
        if message.day_loss >= self._daily_loss and not latched:
            self._register.trip(GLOBAL, Reason.DAILY_LOSS, source=self.address.name, at=message.at, hold_s=0.0, latch=True)

    @handles(ExposureRequest)
    def on_request(self, _message: ExposureRequest) -> Exposure | None:
        return self._exposure

    @handles(Probe)
    def on_probe(self, message: Probe) -> int:
        return message.nonce

    def state_summary(self) -> dict[str, object]:
        held = self._exposure
        return {} if held is None else {"day_loss": held.day_loss, "open_orders": held.open_orders}
