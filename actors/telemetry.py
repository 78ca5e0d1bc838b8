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


class Telemetry(TrioActor):
    """Keeps the latest `Standing` of every actor."""

    def __init__(self) -> None:
        super().__init__()
        self._standings: dict[str, Standing] = {}

    @handles(Standing)
    def on_standing(self, message: Standing) -> None:
        before = self._standings.get(message.actor)
        self._standings[message.actor] = message
        if before is None or (before.state, before.why) != (message.state, message.why):
            log = _LOG.info if message.state in QUIET else _LOG.warning
            log(message.state, actor=message.actor, why=message.why, world=round(message.at, 3))

    @handles(StandingsRequest)
    def on_request(self, _message: StandingsRequest) -> tuple[Standing, ...]:
        return tuple(self._standings.values())

    def state_summary(self) -> dict[str, object]:
        return {name: f"{standing.state} {standing.why}".strip() for name, standing in self._standings.items()}
