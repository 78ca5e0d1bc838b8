"""A stable name for an actor, whichever incarnation lives there.

An address owns the mailbox, so what is told while no incarnation lives waits for the next one. A call fails at once when nobody is there
and nobody is coming, and when the callee dies with the call in hand. When the actor is gone for good, what is told becomes a dead letter.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import pykka
import trio
from pykka._envelope import Envelope

from actors.runtime.errors import CallToSelf, Exit, Reason
from actors.runtime.future import TrioFuture
from actors.runtime.lanes import Down, Lane
from actors.runtime.mailbox import Gate, LaneMailbox, Letter, Undelivered
from actors.runtime.statistics import ActorStatistics, Ledger

if TYPE_CHECKING:
    from actors.runtime.incarnation import Incarnation
    from actors.runtime.spec import ChildSpec
    from actors.runtime.system import ActorSystem


class Phase(enum.Enum):
    """Where an address stands. In WAITING somebody is expected, so calls wait too."""

    WAITING = "waiting"  # nobody yet, or between two incarnations
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    DONE = "done"  # ended by itself and is not restarted
    STOPPED = "stopped"  # by an operator, or out of retries; only an operator starts it again
    GONE = "gone"


_GATES = {Phase.DONE: Gate.TELLS, Phase.STOPPED: Gate.TELLS, Phase.GONE: Gate.CLOSED}
_OCCUPIED = frozenset({Phase.STARTING, Phase.RUNNING, Phase.STOPPING})


class Address:
    """Tell, call or monitor the actor called `name`. Made by `ActorSystem.address`."""

    __slots__ = (
        "__weakref__",
        "_watchers",
        "actor",
        "incarnation",
        "ledger",
        "mailbox",
        "members",
        "name",
        "owner",
        "phase",
        "spec",
        "supervisor",
        "system",
    )

    def __init__(self, system: ActorSystem, name: str) -> None:
        self.name = name
        self.system = system
        self.incarnation = 0
        self.phase = Phase.WAITING
        self.mailbox = LaneMailbox(self, system.loop)
        self.ledger = Ledger()
        self.actor: Incarnation | None = None
        self.spec: ChildSpec | None = None
        self.supervisor = ""
        self.owner: object = None  # the supervisor's slot that last started an incarnation here
        self.members: list[Address] = []  # the children, if a supervisor lives here
        self._watchers: dict[Address, bool] = {}

    def __repr__(self) -> str:
        return f"<Address {self.name} {self.phase.value} #{self.incarnation}>"

    @property
    def alive(self) -> bool:
        """True while an incarnation is past its on_start and has not ended."""
        return self.phase in (Phase.RUNNING, Phase.STOPPING)

    def tell(self, message: object) -> None:
        """Queue a message. Raises MailboxFull where the receiver's lane is full; never because of a restart or an end."""
        self.mailbox.put(Letter(message))

    async def call(self, message: object, timeout: float = 5.0) -> object:
        """The handler's answer to `message`.

        Raises pykka.Timeout after `timeout` seconds of the trio clock (the late answer is dropped and counted), pykka.ActorDeadError at
        once if nobody is or will be there or the callee is killed, ActorCrashed if its handler crashed, whatever Refusal it raised, and
        CallToSelf from the callee's own handler.
        """
        if self.actor is not None and self.actor.at_work_in(trio.lowlevel.current_task()):
            raise CallToSelf(f"{self.name} called itself with {type(message).__name__}; the handler would wait for its own end")
        future: TrioFuture[object] = TrioFuture()
        self.mailbox.put(Letter(message, future))
        with trio.move_on_after(timeout):
            return await future
        future.abandoned = True
        raise pykka.Timeout(f"{self.name} did not answer {type(message).__name__} in {timeout} seconds")

    def monitor(self, watcher: Address, sticky: bool = False) -> None:
        """Tell `watcher` one `Down` when the present incarnation ends; at once with Exit.NOPROC if there is none.

        A sticky monitor stays for good: one Down for every incarnation that ends, and NOPROC only if the address is gone now.
        """
        occupied = self.phase in _OCCUPIED
        if sticky or occupied:
            self._watchers[watcher] = sticky
        if self.phase is Phase.GONE or not (sticky or occupied):
            watcher.tell(Down(self.name, self.incarnation, Exit.NOPROC))

    def demonitor(self, watcher: Address, flush: bool = True) -> None:
        """Stop telling `watcher`; with `flush`, also take back a Down that still waits in its mailbox."""
        self._watchers.pop(watcher, None)
        if flush:
            watcher.mailbox.flush_down(self.name)

    def statistics(self) -> ActorStatistics:
        """What this actor has done and what waits for it; sends nothing."""
        ledger, spec = self.ledger, self.spec
        now = self.system.machine_now()
        return ActorStatistics(
            name=self.name,
            kind=type(self.actor).__name__ if self.actor is not None else "",
            phase=self.phase.value,
            supervisor=self.supervisor,
            restart=spec.restart.value if spec is not None else "",
            incarnation=self.incarnation,
            restarts=ledger.restarts,
            uptime=None if ledger.up_since is None else now - ledger.up_since,
            retry_in=None if ledger.retry_at is None else max(0.0, ledger.retry_at - now),
            last_error=ledger.last_error,
            lanes=self.mailbox.statistics(),
            oldest_age=self.mailbox.oldest_age(),
            processed={kind.__name__: n for kind, n in ledger.processed.items()},
            waits=ledger.waits.summary(),
            handling=ledger.handling.summary(),
            current=ledger.at_work(),
            spawned=0 if self.actor is None else self.actor.spawned,
            monitors=len(self._watchers),
            late_replies=ledger.late_replies,
            refusals=ledger.refusals,
        )

    # For the runtime

    def undelivered(self, letter: Envelope[object], lane: Lane, why: Undelivered) -> None:
        """Make a dead letter."""
        self.system.dead_letters.add(self.name, lane, letter.message, why, self.system.now())

    def overflowed(self, lane: Lane) -> None:
        """A lane is full: report it."""
        self.system.overflowed(self, lane)

    def occupy(self, actor: Incarnation) -> None:
        """A new incarnation moves in."""
        self.actor = actor
        self.incarnation += 1
        self.mailbox.policy = actor.LANE_POLICY

    def running(self) -> None:
        """The incarnation is past its on_start."""
        self.settle(Phase.RUNNING)
        self.ledger.up_since = self.system.machine_now()
        self.ledger.retry_at = None

    def vacate(self, reason: Reason) -> None:
        """The incarnation has ended: say so to whoever monitors it."""
        self.actor = None
        self.ledger.up_since = None
        self.ledger.current = None
        self.mailbox.drop_stops()
        down = Down(self.name, self.incarnation, reason)
        for watcher in list(self._watchers):
            watcher.tell(down)
        self._watchers = {watcher: sticky for watcher, sticky in self._watchers.items() if sticky}

    def settle(self, phase: Phase) -> None:
        """Take a phase and what follows from it for the mailbox and, where nobody is left, for the children's addresses."""
        self.phase = phase
        self.mailbox.gate = _GATES.get(phase, Gate.OPEN)
        if self.mailbox.gate is Gate.OPEN:
            return
        for member in self.members:
            if member.supervisor == self.name and member.phase is not Phase.GONE:
                member.settle(phase)
        dead = pykka.ActorDeadError(f"{self.name} is {phase.value}")
        if phase is Phase.GONE:
            self.mailbox.purge(Lane, Undelivered.GONE, dead)
        else:
            self.mailbox.fail_asks(dead)
