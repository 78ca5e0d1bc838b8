"""Telemetry: what each actor says of itself, kept latest by actor and logged when it changes.

It only listens. Whether it lives makes no difference to any decision.
"""

from __future__ import annotations

import structlog

from actors.messages import Standing, StandingsRequest
from actors.runtime import TrioActor, handles

_LOG = structlog.get_logger("chimera")
QUIET = frozenset({"ready", "idle", "drained"})
"""States in which an actor waits for nothing."""
ORDERLY = frozenset({"connecting", "reconciling", "opening", "draining"})
"""States that every actor passes through; they are news only where it had been ready before."""


class Telemetry(TrioActor):
    """Keeps the latest `Standing` of every actor."""

    def __init__(self) -> None:
        super().__init__()
        self._standings: dict[str, Standing] = {}
        self._settled: set[str] = set()
        """Who has been ready once."""

    @handles(Standing)
    def on_standing(self, message: Standing) -> None:
        before = self._standings.get(message.actor)
        self._standings[message.actor] = message
        if before is None or (before.state, before.why) != (message.state, message.why):
            log = _LOG.info if self._expected(message) else _LOG.warning
            log(message.state, actor=message.actor, why=message.why, world=round(message.at, 3))

    def _expected(self, message: Standing) -> bool:
        """Whether a state is nothing to look at: a quiet one, an orderly end, or a start that has not yet been got over."""
        if message.state in QUIET:
            self._settled.add(message.actor)
            return True
        return message.state == "draining" or (message.state in ORDERLY and message.actor not in self._settled)

    @handles(StandingsRequest)
    def on_request(self, _message: StandingsRequest) -> tuple[Standing, ...]:
        return tuple(self._standings.values())

    def state_summary(self) -> dict[str, object]:
        return {name: f"{standing.state} {standing.why}".strip() for name, standing in self._standings.items()}
