"""Heartbeat: proves that work is being done, not that a process exists.

Progress is a probe that went through the mailboxes of the gateway and of risk. While it cannot be proved for `LOST_AFTER_S`, everything is
killed: an actor that does not answer may be one that would not cancel. Where a guard watches, each proof is stamped into its page, with the
age of the oldest input that still waits; and what the guard has latched, or its silence, is a kill here.
"""

from __future__ import annotations

import itertools

import pykka
import trio

from actors.guardian import Guardian
from actors.messages import Probe, Standing
from actors.runtime import ActorCrashed, Address, TrioActor
from actors.runtime.address import Phase
from chimera.clock import WorldClock
from chimera.trading.kill import GLOBAL, KillRegister, State
from chimera.trading.reasons import Reason

EVERY_S = 1.0
GUARDED_EVERY_S = 0.1
"""Ten proofs within the guard's stall limit of a second."""
ANSWER_WITHIN_S = 0.5
LOST_AFTER_S = 3.0
HOLD_S = 10.0


class Heartbeat(TrioActor):
    """Probes every `EVERY_S` machine seconds, every `GUARDED_EVERY_S` for a guard. `inputs` are the mailboxes on the way to an order."""

    def __init__(
        self,
        *,
        probed: tuple[Address, ...],
        register: KillRegister,
        telemetry: Address,
        clock: WorldClock,
        guardian: Guardian | None = None,
        inputs: tuple[Address, ...] = (),
    ) -> None:
        super().__init__()
        self._probed = probed
        self._register = register
        self._telemetry = telemetry
        self._clock = clock
        self._guardian = guardian
        self._inputs = inputs
        self._stood = ("", -EVERY_S)
        self.progressed_at = 0.0
        """Machine time of the last proof."""

    def on_start(self) -> None:
        self.spawn(self._prove)

    async def _prove(self) -> None:
        self.progressed_at = trio.current_time()
        for nonce in itertools.count():
            silent = [address.name for address in self._probed if not await self._answers(address, nonce)]
            now = trio.current_time()
            if not silent:
                self.progressed_at = now
                self._stand("ready", "", now)
            elif now - self.progressed_at >= LOST_AFTER_S:
                self._stand("stale", f"no progress in {', '.join(silent)}", now)
                self._register.trip(GLOBAL, Reason.STALL, source=self.address.name, at=self._clock.now(), hold_s=HOLD_S)
                self.progressed_at = now
            if self._guardian is not None:
                self._heed(self._guardian, proved=not silent)
            await trio.sleep(EVERY_S if self._guardian is None else GUARDED_EVERY_S)

    async def _answers(self, address: Address, nonce: int) -> bool:
        try:
            return await address.call(Probe(nonce), timeout=ANSWER_WITHIN_S) == nonce
        except (pykka.Timeout, pykka.ActorDeadError, ActorCrashed):
            return False

    def _heed(self, guardian: Guardian, *, proved: bool) -> None:
        """Show the guard what was proved, and kill what it says is to be killed."""
        if proved:
            waits = (address.mailbox.oldest_age() for address in self._inputs if address.phase is Phase.RUNNING)
            guardian.progressed(max(waits, default=0.0))
        now, state = self._clock.now(), self._register.state(GLOBAL)
        if guardian.latched and not self._latched():
            self._register.trip(GLOBAL, Reason.GUARD_FIRED, source=self.address.name, at=now, hold_s=0.0, latch=True)
        elif not guardian.watching and state is State.ARMED:
            self._register.trip(GLOBAL, Reason.GUARD_DOWN, source=self.address.name, at=now, hold_s=HOLD_S)

    def _latched(self) -> bool:
        return any(scope == GLOBAL and trip.latched for scope, _, trip, _ in self._register.standing())

    def _stand(self, state: str, why: str, now: float) -> None:
        """Say how things stand when that changes, and every `EVERY_S`."""
        before, at = self._stood
        if state != before or now - at >= EVERY_S:
            self._stood = (state, now)
            self._telemetry.tell(Standing(self.address.name, state, why, self._clock.now()))
