"""BlockingActor: pykka's ThreadingActor under our supervision, for libraries that can only block.

Its address and mailbox are like any other's. A pump hands the thread one message at a time, so lanes, bounds and what survives a restart
hold here too; in a virtual world the messages are handled inline. Python cannot kill a thread: one that will not end within its shutdown
is left behind, and its exit reason is ABANDONED.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, ClassVar

import outcome
import pykka
import trio
from pykka._envelope import Envelope

from actors.runtime.address import Address
from actors.runtime.errors import Refusal, Shutdown
from actors.runtime.future import TrioFuture
from actors.runtime.handlers import verdict
from actors.runtime.incarnation import claim_birthplace, current_actor
from actors.runtime.lanes import LanePolicy
from actors.runtime.mailbox import Letter, Undelivered, answer, fail, lane_of
from actors.runtime.reserved import check_names
from actors.runtime.verbs import Verb, obey

logger = logging.getLogger("actors")


class BlockingActor(pykka.ThreadingActor):
    """Override `on_receive(message)` and pykka's other hooks; all of them run in the actor's own thread, and may block it."""

    use_daemon_thread: ClassVar[bool] = True
    LANE_POLICY: ClassVar[LanePolicy] = LanePolicy()
    SUPERVISES: ClassVar[bool] = False
    TRAP_EXITS: ClassVar[bool] = False
    SURVIVES_ASKS: ClassVar[bool] = False  # as TrioActor's

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.address: Address = claim_birthplace(type(self).__name__)
        self._failure: BaseException | None = None
        self._in_hand: Envelope[object] | None = None
        self._ready = trio.Event()  # past on_start, or over
        self._free = trio.Event()  # done with the message in hand
        self._over = trio.Event()
        self._left_behind = False
        self._token: trio.lowlevel.TrioToken | None = None

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        check_names(cls)

    @staticmethod
    def _create_future() -> TrioFuture[Any]:
        return TrioFuture()

    def _start_actor_loop(self) -> None:
        self.address.system.host(self)

    # One incarnation, in the loop

    @property
    def spawned(self) -> int:
        """No tasks."""
        return 0

    @property
    def stashed(self) -> int:
        """Nothing: it cannot put messages aside."""
        return 0

    def state_summary(self) -> dict[str, object]:
        """A few plain values for people; no secrets. Called in the loop, beside whatever the thread does."""
        return {}

    @property
    def abandoned(self) -> bool:
        """True if its thread was still at work when it was cancelled."""
        return self._left_behind

    def at_work_in(self, task: trio.lowlevel.Task) -> bool:
        """False: it works in a thread."""
        return False

    def crash(self, error: Exception) -> bool:
        """False: nothing can be raised in a thread from outside."""
        return False

    def ended(self, crash: BaseException | None) -> None:
        """The last step; the thread has ended, or has been told to and left behind."""
        self.actor_stopped.set()
        pykka.ActorRegistry.unregister(self.actor_ref)

    async def live(self, started: Callable[[], None]) -> None:
        """Run to the end of the thread and raise what ended it."""
        current_actor.set(self)
        if self.address.system.virtual:
            await self._live_inline(started)
            return
        self._token = trio.lowlevel.current_trio_token()
        threading.Thread(target=self._actor_loop, name=self.address.name, daemon=True).start()
        try:
            async with trio.open_nursery() as nursery:
                await self._ready.wait()
                if not self._over.is_set():
                    started()
                    nursery.start_soon(self._pump)
                await self._over.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._let_go()
        if self._failure is not None:
            raise self._failure

    async def _live_inline(self, started: Callable[[], None]) -> None:
        box, ledger = self.address.mailbox, self.address.ledger
        try:
            self.on_start()
            started()
            while not self.actor_stopped.is_set():
                letter = box.take()
                if letter is None:
                    await box.wait()
                    continue
                if self._spared(letter):
                    continue
                ledger.current, ledger.current_since = letter.message, (start := perf_counter_ns())
                self._handle(letter)
                ledger.record(letter.message, letter.lane, letter.put_ns, start, perf_counter_ns())
                await trio.lowlevel.checkpoint()
        except Exception as error:
            self._told(error)
            raise

    async def _pump(self) -> None:
        box, ledger = self.address.mailbox, self.address.ledger
        while True:
            letter = box.take()
            if letter is None:
                await box.wait()
                continue
            if self._spared(letter):
                continue
            ledger.current, ledger.current_since = letter.message, (start := perf_counter_ns())
            self._free, self._in_hand = trio.Event(), letter
            self.actor_inbox.put(letter)
            await self._free.wait()
            self._in_hand = None
            ledger.record(letter.message, letter.lane, letter.put_ns, start, perf_counter_ns())

    def _spared(self, letter: Letter) -> bool:
        """True for what the actor itself never sees: verbs, obeyed here, and what is set aside."""
        if isinstance(letter.message, Verb):
            answer(letter, outcome.Value(obey(self.address, letter.message)))
            return True
        return self.address.sets_aside(letter)

    def _let_go(self) -> None:
        """Whoever waits is answered; a thread that is idle ends, one at work ends after its message and is heard no more."""
        if self._over.is_set():
            return
        self._left_behind = self._in_hand is not None or not self._ready.is_set()
        self.actor_stopped.set()
        if self._in_hand is not None:
            fail(self._in_hand, pykka.ActorDeadError(f"{self.address.name} was killed while handling the message"))
        self.actor_inbox.put(Envelope(None))

    # One incarnation, in the thread

    def _actor_loop(self) -> None:
        try:
            self.on_start()
            self._say(self._ready.set)
            while not self.actor_stopped.is_set():
                envelope = self.actor_inbox.get()
                if self.actor_stopped.is_set():
                    break
                self._handle(envelope)
                self._say(self._free_again)
        except BaseException as error:
            self._failure = error
            if isinstance(error, Exception) and not isinstance(error, Shutdown):
                self._told(error)
        finally:
            self.actor_stopped.set()
            self._actor_loop_teardown()
            self._say(self._end)

    def _handle(self, envelope: Envelope[object]) -> None:
        try:
            response = self._handle_receive(envelope.message)
        except Refusal as refusal:
            if envelope.reply_to is None:
                self._say(self.address.undelivered, envelope, lane_of(envelope.message), Undelivered.REFUSED)
            fail(envelope, refusal)
        except BaseException as error:
            crash = isinstance(error, Exception) and not isinstance(error, Shutdown)
            if crash and self.SURVIVES_ASKS and envelope.reply_to is not None:
                logger.info("%s gave an exception to its asker", self.address.name, exc_info=error)
                fail(envelope, error)
                return
            if crash:
                self._say(self.address.crashed_on, envelope.message)
            fail(envelope, verdict(self.address.name, envelope.message, error))
            raise
        else:
            answer(envelope, outcome.Value(response))

    def _told(self, error: Exception) -> None:
        pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
        try:
            self.on_failure(type(error), error, error.__traceback__)
        except Exception:
            logger.exception("%s: on_failure failed", self.address.name)

    def _free_again(self) -> None:
        self._free.set()

    def _end(self) -> None:
        self._over.set()
        self._ready.set()

    def _say(self, fn: Callable[..., object], *args: object) -> None:
        """Run `fn(*args)` in the loop, in order."""
        if self._token is None:
            fn(*args)
            return
        try:
            self._token.run_sync_soon(fn, *args)
        except trio.RunFinishedError:
            logger.warning("the thread of %s outlived the loop", self.address.name)
