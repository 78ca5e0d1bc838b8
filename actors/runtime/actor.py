"""TrioActor: a pykka actor that is a task of one trio loop, through the three hooks pykka keeps for new actor types.

An incarnation is a nursery with one main task: `on_start`, then messages one at a time, then `on_stop`. Tasks it spawns share its fate,
both ways. A Refusal answers an ask and changes nothing else; any other exception is let crash: the asker gets ActorCrashed, the
incarnation ends with that reason, and its supervisor decides what comes next.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from time import perf_counter_ns
from types import CoroutineType
from typing import Any, ClassVar, TypeVarTuple, Unpack

import outcome
import pykka
import trio
from pykka._envelope import Envelope
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop

from actors.runtime.address import Address
from actors.runtime.errors import Ignore, Refusal, Shutdown
from actors.runtime.future import Promise, TrioFuture
from actors.runtime.handlers import Unhandled, handlers_of, handles, verdict
from actors.runtime.incarnation import claim_birthplace, current_actor
from actors.runtime.lanes import LanePolicy
from actors.runtime.mailbox import LaneMailbox, Undelivered, answer, fail, lane_of
from actors.runtime.pykka_actor import PykkaActor
from actors.runtime.ref import TrioActorRef
from actors.runtime.reserved import check_names
from actors.runtime.stash import STASH_BOUND, Stash
from actors.runtime.system import ActorSystem
from actors.runtime.verbs import VERBS, Verb, obey

logger = logging.getLogger("actors")

# A busy actor yields to the loop after this many messages, or this much machine time; only the first rule in a virtual world, where a
# time rule would make the interleaving depend on the machine's load.
SLICE_MESSAGES = 64
SLICE_NS = 500_000

Ts = TypeVarTuple("Ts")

_newborn: ContextVar[Address] = ContextVar("newborn")  # from a constructor to pykka's static inbox hook
_PYKKA = (_ActorStop, ProxyCall, ProxyGetAttr, ProxySetAttr)


class TrioActor(PykkaActor):
    """Subclass it, mark handlers with @handles, keep state in attributes. Everything here is for the actor's own use.

    Start one with a ChildSpec under a Supervisor. pykka's `start()` works too, inside a running ActorSystem, without supervision.
    """

    LANE_POLICY: ClassVar[LanePolicy] = LanePolicy()
    SUPERVISES: ClassVar[bool] = False
    TRAP_EXITS: ClassVar[bool] = False  # True: the end of a linked actor is a LinkDown message, not a crash
    SURVIVES_ASKS: ClassVar[bool] = False  # True is pykka's own rule: what an ask raises goes to its asker, and the actor lives on
    STASH_BOUND: ClassVar[int] = STASH_BOUND
    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any], object]]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        check_names(cls)
        cls._HANDLERS = handlers_of(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.address: Address = claim_birthplace(type(self).__name__)
        self.system: ActorSystem = self.address.system
        _newborn.set(self.address)
        super().__init__(*args, **kwargs)
        self._actor_ref = TrioActorRef(self)
        self._nursery: trio.Nursery | None = None
        self._task: trio.lowlevel.Task | None = None
        self._promises: set[Promise[object]] = set()
        self._in_hand: Envelope[object] | None = None
        self._stash = Stash(self.address.name, self.STASH_BOUND)

    # pykka's hooks for new actor types

    @staticmethod
    def _create_actor_inbox() -> LaneMailbox:
        return _newborn.get().mailbox

    @staticmethod
    def _create_future() -> TrioFuture[Any]:
        return TrioFuture()

    def _start_actor_loop(self) -> None:
        self.system.host(self)

    # For subclasses to override

    def on_start(self) -> Awaitable[object] | None:
        """Before the first message; the supervisor waits for it. Raise Ignore to decline, anything else to fail the start."""
        return None

    def on_stop(self) -> Awaitable[object] | None:
        """After the last message of a graceful end; not called after a crash or a kill."""
        return None

    def on_receive(self, message: Any) -> object:
        """Whatever has no handler. The default refuses it, which makes a dead letter of a tell."""
        super().on_receive(message)
        raise Unhandled(f"{self.address.name} ({type(self).__name__}) has no handler for {type(message).__name__}")

    def state_summary(self) -> dict[str, object]:
        """A few plain values for the console; no secrets."""
        return {}

    # For subclasses to call

    def spawn(self, fn: Callable[[Unpack[Ts]], Awaitable[object]], *args: *Ts) -> None:
        """Run a task within this incarnation: if it raises, the actor crashes; when the actor ends, it is cancelled."""
        self.nursery.start_soon(fn, *args, name=f"{self.address.name}/{getattr(fn, '__name__', 'task')}")

    def tell_after(self, seconds: float, message: object) -> trio.CancelScope:
        """Tell itself `message` after `seconds` of world time. Cancel the returned scope to take it back."""
        scope = trio.CancelScope()
        self.spawn(self._tell_later, scope, seconds, message)
        return scope

    def every(self, seconds: float, make: Callable[[float], object]) -> trio.CancelScope:
        """Tell itself `make(now)` every `seconds` of world time, the first after `seconds`. Missed beats are skipped, not made up."""
        if seconds <= 0:
            raise ValueError(f"{self.address.name}: a timer needs a period above zero, not {seconds!r}")
        scope = trio.CancelScope()
        self.spawn(self._beat, scope, seconds, make)
        return scope

    def promise(self) -> Promise[object]:
        """Return it from a handler to answer later with `set` or `fail`, and stay free for messages. Fails when this incarnation ends."""
        promise: Promise[object] = Promise()
        self._promises.add(promise)
        promise.listen(lambda _: self._promises.discard(promise))
        return promise

    def stash(self) -> None:
        """Put the message in hand aside, with its asker; the last thing a handler does. Raises StashFull past STASH_BOUND.

        What is still aside when this incarnation ends waits for the next one, before everything else in its lane.
        """
        if self._in_hand is None or self.address.ledger.current is None:
            raise RuntimeError(f"{self.address.name} has no message in hand to put aside")
        self._stash.add(self._in_hand)

    def unstash(self) -> int:
        """Return what was put aside to the front of its lanes, in the order it came; how many messages."""
        return self._stash.give_back(self.address.mailbox)

    def link(self, other: Address) -> None:
        """Share the fate of whoever lives at `other`, both ways; see Address.link."""
        self.address.link(other)

    def unlink(self, other: Address) -> None:
        """Share it no more."""
        self.address.unlink(other)

    # One incarnation

    @property
    def nursery(self) -> trio.Nursery:
        """Where this incarnation's tasks run; exists from `on_start` on."""
        if self._nursery is None:
            raise RuntimeError(f"{self.address.name} ({type(self).__name__}) has not begun its on_start")
        return self._nursery

    @property
    def spawned(self) -> int:
        """How many tasks of this incarnation run beside its main one."""
        return 0 if self._nursery is None else len(self._nursery.child_tasks)

    @property
    def stashed(self) -> int:
        """How many messages are put aside."""
        return len(self._stash)

    def at_work_in(self, task: trio.lowlevel.Task) -> bool:
        """True if `task` is the one that handles messages."""
        return task is self._task

    async def live(self, started: Callable[[], None]) -> None:
        """Run to the end of this incarnation and raise what ended it, if anything did."""
        current_actor.set(self)
        self._task = trio.lowlevel.current_task()
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            answer: object = self.on_start()
            if isinstance(answer, Awaitable):
                answer = await answer
            if answer is Ignore or isinstance(answer, Ignore):
                raise Ignore
            started()
            try:
                await self._work()
            except Shutdown:
                await self._stopped()
                raise
            nursery.cancel_scope.cancel()

    @property
    def abandoned(self) -> bool:
        """False: a task can always be cancelled."""
        return False

    def crash(self, error: Exception) -> bool:
        """End this incarnation with `error`; False if it has ended already."""
        if self.actor_stopped.is_set() or self._nursery is None:
            return False
        self._nursery.start_soon(_raise, error)
        return True

    def ended(self, crash: BaseException | None) -> None:
        """The last step: nothing may wait for this incarnation any more."""
        self.actor_stopped.set()
        pykka.ActorRegistry.unregister(self.actor_ref)
        if self._in_hand is not None and self.address.ledger.current is not None:
            self._stash.drop(self._in_hand.message)  # whoever crashed on a message, or was killed with it, does not get it again
        self._stash.give_back(self.address.mailbox)
        for promise in list(self._promises):
            promise.fail(pykka.ActorDeadError(f"{self.address.name} ended before it answered"))
        if crash is None:
            return
        try:
            self.on_failure(type(crash), crash, crash.__traceback__)
        except Exception:
            logger.exception("%s: on_failure failed", self.address.name)

    async def _work(self) -> None:
        address, stopped = self.address, self.actor_stopped.is_set
        box, ledger = address.mailbox, address.ledger
        limit_ns = 1 << 62 if self.system.virtual else SLICE_NS
        taken, began = 0, perf_counter_ns()
        while not stopped():
            letter = box.take()
            if letter is None:
                await box.wait()
                taken, began = 0, perf_counter_ns()
                continue
            if address.quarantine is not None and address.sets_aside(letter):
                continue
            self._in_hand = letter
            message = letter.message
            ledger.current, ledger.current_since = message, (start := perf_counter_ns())
            try:
                response = self._dispatch(message)
                if type(response) is CoroutineType:
                    response = await response
            except BaseException as error:
                if not self._survives(letter, error):
                    raise
            else:
                if letter.reply_to is not None:
                    self._reply(letter, response)
            end = perf_counter_ns()
            ledger.record(message, letter.lane, letter.put_ns, start, end)
            taken += 1
            if taken >= SLICE_MESSAGES or end - began >= limit_ns:
                await trio.lowlevel.checkpoint()
                taken, began = 0, perf_counter_ns()

    @handles(*VERBS)
    def _obey(self, verb: Verb) -> object:
        return obey(self.address, verb)

    def _dispatch(self, message: object) -> object:
        handler = self._HANDLERS.get(type(message))
        if handler is not None:
            return handler(self, message)
        return self._dispatch_other(message)

    def _dispatch_other(self, message: object) -> object:
        kind = type(message)
        if kind is _ActorStop:
            return self._stopped()
        if kind not in _PYKKA:
            for base in kind.__mro__:
                handler = self._HANDLERS.get(base)
                if handler is not None:
                    self._HANDLERS[kind] = handler
                    return handler(self, message)
        return self._handle_receive(message)

    async def _stopped(self) -> None:
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
        answer = self.on_stop()
        if answer is not None:
            await answer

    def _survives(self, letter: Envelope[object], error: BaseException) -> bool:
        """Answer the asker about a handler's exception; True if the actor lives on."""
        refused = isinstance(error, Refusal)
        if refused:
            self.address.ledger.refusals += 1
        elif isinstance(error, Exception) and not isinstance(error, Shutdown):
            if self.SURVIVES_ASKS and letter.reply_to is not None and not self.actor_stopped.is_set():
                logger.info("%s gave an exception to its asker", self.address.name, exc_info=error)
                self.address.ledger.late_replies += not fail(letter, error)
                return True
            self.address.crashed_on(letter.message)
        if letter.reply_to is not None:
            self.address.ledger.late_replies += not fail(letter, verdict(self.address.name, letter.message, error))
        elif refused:
            why = Undelivered.UNHANDLED if isinstance(error, Unhandled) else Undelivered.REFUSED
            self.address.undelivered(letter, lane_of(letter.message), why)
        return refused

    def _reply(self, letter: Envelope[object], response: object) -> None:
        if type(response) is Promise:
            response.listen(lambda result: self._settle(letter, result))
        else:
            self._settle(letter, outcome.Value(response))

    def _settle(self, letter: Envelope[object], result: outcome.Outcome[object]) -> None:
        self.address.ledger.late_replies += not answer(letter, result)

    async def _tell_later(self, scope: trio.CancelScope, seconds: float, message: object) -> None:
        with scope:
            await self.system.sleep(seconds)
            self.address.tell(message)

    async def _beat(self, scope: trio.CancelScope, seconds: float, make: Callable[[float], object]) -> None:
        due = self.system.now()
        with scope:
            while True:
                due += seconds
                if due <= self.system.now():
                    due = self.system.now() + seconds
                await self.system.sleep(due - self.system.now())
                self.address.tell(make(self.system.now()))


async def _raise(error: Exception) -> None:
    raise error
