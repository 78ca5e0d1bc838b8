"""What can be asked of a supervisor, by `call` (the answers are below) or by a plain `tell`.

A request that cannot be granted is refused with the reason; told rather than called, it becomes a dead letter.
"""

from __future__ import annotations

import attrs

from actors.runtime.lanes import Message
from actors.runtime.spec import ChildSpec, Restart


@attrs.frozen(slots=True)
class StartChild(Message):
    """Add this child and start it. Answers its Address. Refused if the id is taken; StartFailed, and no child, if it does not start."""

    spec: ChildSpec


@attrs.frozen(slots=True)
class TerminateChild(Message):
    """Stop a child and keep its spec (a DynamicSupervisor forgets it). Answers True. Refused if there is no such child."""

    id: str


@attrs.frozen(slots=True)
class RestartChild(Message):
    """Start a child that is down, now: also one in backoff, and its row of failures is forgotten. Answers its Address.

    Refused if it runs or does not start; one that was owed a restart is then still owed it.
    """

    id: str


@attrs.frozen(slots=True)
class DeleteChild(Message):
    """Forget the spec of a child that is down. Answers True. Refused while it runs."""

    id: str


@attrs.frozen(slots=True)
class WhichChildren(Message):
    """Answers tuple[ChildStatus, ...] in start order."""


@attrs.frozen(slots=True)
class CountChildren(Message):
    """Answers a ChildCount."""


@attrs.frozen(slots=True)
class ChildStatus:
    """One child as its supervisor sees it; `phase` is the value of an address.Phase."""

    id: str
    phase: str
    incarnation: int
    restart: Restart
    is_supervisor: bool
    restarts: int


@attrs.frozen(slots=True)
class ChildCount:
    """`specs` in all, of which `active` live; `supervisors` and `workers` are of all specs."""

    specs: int
    active: int
    supervisors: int
    workers: int
