"""Heartbeat: proves that work is being done, not that a process exists.

Progress is a probe that went through the mailboxes of the gateway and of risk. While it cannot be proved for `LOST_AFTER_S`, everything is
killed: an actor that does not answer may be one that would not cancel.
"""

from __future__ import annotations

import itertools

import pykka
import trio

from actors.messages import Probe, Standing
from actors.runtime import ActorCrashed, Address, TrioActor
from chimera.clock import WorldClock
from chimera.trading.kill import GLOBAL, KillRegister
from chimera.trading.reasons import Reason

EVERY_S = 1.0
ANSWER_WITHIN_S = 0.5
LOST_AFTER_S = 3.0
HOLD_S = 10.0


class Heartbeat(TrioActor):
    """Probes every `EVERY_S` machine seconds."""

    def __init__(self, *, probed: tuple[Address, ...], register: KillRegister, telemetry: Address, clock: WorldClock) -> None:
        super().__init__()
        self._probed = probed
        self._register = register
        self._telemetry = telemetry
        self._clock = clock
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
                self._telemetry.tell(Standing(self.address.name, "ready", "", self._clock.now()))
            elif now - self.progressed_at >= LOST_AFTER_S:
                self._telemetry.tell(Standing(self.address.name, "stale", f"no progress in {', '.join(silent)}", self._clock.now()))
                self._register.trip(GLOBAL, Reason.STALL, source=self.address.name, at=self._clock.now(), hold_s=HOLD_S)
                self.progressed_at = now
            await trio.sleep(EVERY_S)

    async def _answers(self, address: Address, nonce: int) -> bool:
        try:
            return await address.call(Probe(nonce), timeout=ANSWER_WITHIN_S) == nonce
        except (pykka.Timeout, pykka.ActorDeadError, ActorCrashed):
            return False
