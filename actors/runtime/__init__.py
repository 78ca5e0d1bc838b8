"""Actors on trio: pykka's actor contract, OTP's supervision, one loop.

Theory of operation
-------------------
An *actor* is one task of one trio loop. It handles one message at a time and shares nothing, so between two awaits it is alone in the
world. An *address* is a name that stays: it owns the mailbox and its statistics, while *incarnations* of the actor come and go behind it.
A *mailbox* has three lanes (lanes.py). A message is told, or called and awaited.

An incarnation that meets an exception other than a `Refusal` ends; nobody patches it up from inside. Its *supervisor*, itself an actor,
starts the next one as the child spec says, with backoff, within an intensity, and failing that ends too, which its own supervisor sees.
Supervision is a tree of nurseries: no child outlives its supervisor, no task outlives its actor unless it was given to the system.

The system knows nothing of what the actors do. What it must not do alone it reports in the same step: a death (`on_exit`), a full lane
(`on_overflow`), a step that held the loop (`on_stall`).
"""

from actors.runtime.actor import TrioActor, Unhandled, handles
from actors.runtime.address import Address, Phase
from actors.runtime.admin import (
    ChildCount,
    ChildStatus,
    CountChildren,
    DeleteChild,
    RestartChild,
    StartChild,
    TerminateChild,
    WhichChildren,
)
from actors.runtime.blocking import BlockingActor
from actors.runtime.deadletters import DeadLetter, DeadLetters
from actors.runtime.dynamic import DynamicSupervisor
from actors.runtime.errors import (
    ActorCrashed,
    CallToSelf,
    Exit,
    Ignore,
    MailboxFull,
    Reason,
    Refusal,
    Shutdown,
    StartFailed,
    SupervisorGaveUp,
    WouldBlockLoop,
    explain,
    is_normal,
)
from actors.runtime.future import Promise, TrioFuture
from actors.runtime.incarnation import current_system
from actors.runtime.lanes import Down, Lane, LanePolicy, Message, Overflow
from actors.runtime.mailbox import LaneMailbox, Undelivered
from actors.runtime.ref import TrioActorRef
from actors.runtime.seeding import seeded
from actors.runtime.snapshot import SystemStatistics
from actors.runtime.spec import BRUTAL_KILL, AutoShutdown, Backoff, ChildSpec, Restart, Strategy
from actors.runtime.statistics import ActorStatistics, Durations, LaneStatistics
from actors.runtime.supervisor import Supervisor
from actors.runtime.system import ActorSystem

__all__ = [
    "BRUTAL_KILL",
    "ActorCrashed",
    "ActorStatistics",
    "ActorSystem",
    "Address",
    "AutoShutdown",
    "Backoff",
    "BlockingActor",
    "CallToSelf",
    "ChildCount",
    "ChildSpec",
    "ChildStatus",
    "CountChildren",
    "DeadLetter",
    "DeadLetters",
    "DeleteChild",
    "Down",
    "Durations",
    "DynamicSupervisor",
    "Exit",
    "Ignore",
    "Lane",
    "LaneMailbox",
    "LanePolicy",
    "LaneStatistics",
    "MailboxFull",
    "Message",
    "Overflow",
    "Phase",
    "Promise",
    "Reason",
    "Refusal",
    "Restart",
    "RestartChild",
    "Shutdown",
    "StartChild",
    "StartFailed",
    "Strategy",
    "Supervisor",
    "SupervisorGaveUp",
    "SystemStatistics",
    "TerminateChild",
    "TrioActor",
    "TrioActorRef",
    "TrioFuture",
    "Undelivered",
    "Unhandled",
    "WhichChildren",
    "WouldBlockLoop",
    "current_system",
    "explain",
    "handles",
    "is_normal",
    "seeded",
]
