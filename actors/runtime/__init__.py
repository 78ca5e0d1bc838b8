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
(`on_overflow`), a step that held the loop (`on_stall`; while it still does, from the watchdog's thread, `on_blocked`), messages that keep
crashing their receiver (`on_quarantine`).
"""

from actors.runtime.actor import TrioActor
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
    LinkedEnd,
    MailboxFull,
    Reason,
    Refusal,
    Shutdown,
    StartFailed,
    StashFull,
    SupervisorGaveUp,
    WouldBlockLoop,
    explain,
    is_normal,
)
from actors.runtime.events import ActorEnded, ActorStarted, Event, EventStream, LoopHeld, Overflowed, Quarantined
from actors.runtime.future import Promise, TrioFuture
from actors.runtime.handlers import Unhandled, handles
from actors.runtime.incarnation import current_system
from actors.runtime.lanes import Down, Lane, LanePolicy, LinkDown, Message, Overflow
from actors.runtime.mailbox import LaneMailbox, Undelivered
from actors.runtime.ref import TrioActorRef
from actors.runtime.seeding import seeded
from actors.runtime.snapshot import Snapshot
from actors.runtime.spec import BRUTAL_KILL, AutoShutdown, Backoff, ChildSpec, Restart, Strategy
from actors.runtime.statistics import ActorStatus, Crash, Durations, LaneStatistics, Traced, Work
from actors.runtime.supervisor import Supervisor
from actors.runtime.system import ActorSystem
from actors.runtime.verbs import GetState, GetStatistics, GetStatus, Resume, Suspend, TraceOff, TraceOn, Verb
from actors.runtime.warmup import settle_in, settled_heap, warm_up
from actors.runtime.watchdog import Hold

__all__ = [
    "BRUTAL_KILL",
    "ActorCrashed",
    "ActorEnded",
    "ActorStarted",
    "ActorStatus",
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
    "Crash",
    "DeadLetter",
    "DeadLetters",
    "DeleteChild",
    "Down",
    "Durations",
    "DynamicSupervisor",
    "Event",
    "EventStream",
    "Exit",
    "GetState",
    "GetStatistics",
    "GetStatus",
    "Hold",
    "Ignore",
    "Lane",
    "LaneMailbox",
    "LanePolicy",
    "LaneStatistics",
    "LinkDown",
    "LinkedEnd",
    "LoopHeld",
    "MailboxFull",
    "Message",
    "Overflow",
    "Overflowed",
    "Phase",
    "Promise",
    "Quarantined",
    "Reason",
    "Refusal",
    "Restart",
    "RestartChild",
    "Resume",
    "Shutdown",
    "Snapshot",
    "StartChild",
    "StartFailed",
    "StashFull",
    "Strategy",
    "Supervisor",
    "SupervisorGaveUp",
    "Suspend",
    "TerminateChild",
    "TraceOff",
    "TraceOn",
    "Traced",
    "TrioActor",
    "TrioActorRef",
    "TrioFuture",
    "Undelivered",
    "Unhandled",
    "Verb",
    "WhichChildren",
    "Work",
    "WouldBlockLoop",
    "current_system",
    "explain",
    "handles",
    "is_normal",
    "seeded",
    "settle_in",
    "settled_heap",
    "warm_up",
]
