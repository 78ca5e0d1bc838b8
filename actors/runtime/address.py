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

from actors.runtime.errors import CallToSelf, Exit, LinkedEnd, Reason, Refusal, is_normal
from actors.runtime.future import TrioFuture
from actors.runtime.lanes import Down, Lane, LinkDown
from actors.runtime.mailbox import Gate, LaneMailbox, Letter, Undelivered, fail, lane_of
from actors.runtime.quarantine import Quarantine
from actors.runtime.statistics import ActorStatus, Ledger, Traced
from actors.runtime.timeouts import unanswered

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
SUSPENDED = "suspended"
_OCCUPIED = frozenset({Phase.STARTING, Phase.RUNNING, Phase.STOPPING})


class Address:
    """Tell, call, monitor or link to the actor called `name`. Made by `ActorSystem.address`."""

    __slots__ = (
        "__weakref__",
        "_links",
        "_watchers",
        "actor",
        "incarnation",
        "ledger",
        "mailbox",
        "members",
        "name",
        "owner",
        "phase",
        "quarantine",
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
        self.ledger = Ledger(None if system.step_clock is None else system.step_clock.began_ns)
        self.quarantine: Quarantine | None = None
        self.actor: Incarnation | None = None
        self.spec: ChildSpec | None = None
        self.supervisor = ""
        self.owner: object = None  # the supervisor's slot that last started an incarnation here
        self.members: list[Address] = []  # the children, if a supervisor lives here
        self._watchers: dict[Address, bool] = {}
        self._links: set[Address] = set()

    def __repr__(self) -> str:
        return f"<Address {self.name} {self.phase.value} #{self.incarnation}>"

    @property
    def alive(self) -> bool:
        """True while an incarnation is past its on_start and has not ended."""
        return self.phase in (Phase.RUNNING, Phase.STOPPING)

    @property
    def gone(self) -> bool:
        """True once nobody is here and nobody will be."""
        return self.phase is Phase.GONE

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
        if not self.system.virtual:
            deadline = self.system.timeouts.add(future, timeout, self.name, message)
            try:
                return await future.wait()
            finally:
                deadline.done()
        with trio.CancelScope(relative_deadline=timeout):
            return await future.wait()
        future.abandoned = True
        raise unanswered(self.name, message, timeout)

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

    def link(self, other: Address) -> None:
        """Let the incarnations here and at `other` share their fate, both ways: the crash or kill of one crashes the other (LinkedEnd).

        A normal end does not. An actor with TRAP_EXITS lives on and is told every end as a LinkDown. Linked to nobody, it ends at once
        with Exit.NOPROC. A BlockingActor's end reaches others; nothing can be raised in its thread.
        """
        if other.phase not in _OCCUPIED:
            self._linked(other, Exit.NOPROC)
            return
        self._links.add(other)
        other._links.add(self)

    def unlink(self, other: Address) -> None:
        """Take a link back, from either side."""
        self._links.discard(other)
        other._links.discard(self)

    def statistics(self) -> ActorStatus:
        """What this actor has done and what waits for it; sends nothing."""
        ledger, spec, actor = self.ledger, self.spec, self.actor
        now = self.system.machine_now()
        work, lanes = ledger.work(), self.mailbox.statistics()
        return ActorStatus(
            name=self.name,
            kind=type(actor).__name__ if actor is not None else "",
            state=SUSPENDED if self.mailbox.suspended and self.alive else self.phase.value,
            path=self._path(),
            supervisor=self.supervisor,
            restart=spec.restart.value if spec is not None else "",
            incarnation=self.incarnation,
            restarts=ledger.restarts,
            restarts_in_window=ledger.restarts_since(now - ledger.window),
            window=ledger.window,
            uptime=None if ledger.up_since is None else now - ledger.up_since,
            retry_in=None if ledger.retry_at is None else max(0.0, ledger.retry_at - now),
            last_error=ledger.last_error,
            crash=ledger.crash,
            lanes=lanes,
            oldest_age=max(lane.oldest_age for lane in lanes.values()),
            processed=work.processed,
            waits=work.waits,
            handling=work.handling,
            loop=work.loop,
            loop_share=work.loop_share,
            current=ledger.at_work(),
            spawned=0 if actor is None else actor.spawned,
            stashed=0 if actor is None else actor.stashed,
            monitors=len(self._watchers),
            links=len(self._links),
            late_replies=work.late_replies,
            refusals=work.refusals,
            quarantined=() if self.quarantine is None else self.quarantine.kinds(),
        )

    def traced(self) -> tuple[Traced, ...]:
        """The last messages handled here, the newest last (256, unless TraceOn says otherwise); sends nothing."""
        return self.ledger.traced()

    def _path(self) -> tuple[str, ...]:
        above, name = [], self.supervisor
        while name:
            above.append(name)
            name = self.system.address(name).supervisor
        return tuple(reversed(above))

    # For the runtime

    def undelivered(self, letter: Envelope[object], lane: Lane, why: Undelivered) -> None:
        """Make a dead letter."""
        self.system.dead_letters.add(self.name, lane, letter.message, why, self.system.now())

    def overflowed(self, lane: Lane) -> None:
        """A lane is full: report it."""
        self.system.overflowed(self, lane)

    def crashed_on(self, message: object) -> None:
        """A handler crashed on `message`: one that keeps doing so is set aside."""
        if self.quarantine is None:
            self.quarantine = Quarantine()
        if self.quarantine.crashed(message, self.system.machine_now()):
            self.system.quarantined(self, message)

    def sets_aside(self, letter: Envelope[object]) -> bool:
        """True if the letter is not to be handled: it is now a dead letter, and its asker refused."""
        held = self.quarantine is not None and self.quarantine.holds(letter.message, self.system.machine_now())
        if held:
            self.undelivered(letter, lane_of(letter.message), Undelivered.QUARANTINED)
            fail(letter, Refusal(f"{self.name} handles no {type(letter.message).__name__} of that key for now: too many crashed it"))
        return held

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
        self.system.started(self)

    def vacate(self, reason: Reason) -> None:
        """The incarnation has ended: say so to whoever monitors it."""
        self.actor = None
        self.ledger.up_since = None
        self.ledger.current = None
        self.mailbox.suspended = False
        self.mailbox.drop_stops()
        down = Down(self.name, self.incarnation, reason)
        for watcher in list(self._watchers):
            watcher.tell(down)
        self._watchers = {watcher: sticky for watcher, sticky in self._watchers.items() if sticky}
        links, self._links = self._links, set()
        for peer in links:
            peer._links.discard(self)
            peer._linked(self, reason)

    def _linked(self, peer: Address, reason: Reason) -> None:
        """The incarnation here was linked to `peer`, which has ended."""
        actor = self.actor
        if actor is None:
            return
        if actor.TRAP_EXITS:
            self.tell(LinkDown(peer.name, peer.incarnation, reason))
        elif not is_normal(reason):
            actor.crash(LinkedEnd(peer.name, reason))

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
