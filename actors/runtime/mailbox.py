"""The lane mailbox: pykka's inbox protocol, three lanes, one sleeper.

It belongs to an address and so outlives every incarnation that reads it. A put in the loop is a few attribute reads, an append, and at
most one `reschedule`; a put from another thread goes through `run_sync_soon`, which keeps that thread's order. What cannot be delivered is
handed to the owner as a dead letter, with the lane and the reason; nothing disappears in silence.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from threading import get_ident
from time import perf_counter_ns
from typing import Final, Protocol

import outcome
import pykka
import trio
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from actors.runtime.errors import MailboxFull, Refusal, WouldBlockLoop
from actors.runtime.future import TrioFuture
from actors.runtime.lanes import Down, Lane, LanePolicy, Message, Overflow
from actors.runtime.loop import Loop
from actors.runtime.statistics import LaneStatistics

# With both lanes waiting, LOSSLESS and CONFLATED take turns of these many messages, so neither waits for more than one turn of the other.
LOSSLESS_TURN = 32
CONFLATED_TURN = 8
# CONTROL refuses nothing: a command to stop must not be lost. Past this depth it is reported, once per crossing.
CONTROL_MARK = 1_024

_REPLACED = "a later message with the same key took its place"

_CONTROL: Final = Lane.CONTROL
_LOSSLESS: Final = Lane.LOSSLESS
_CONFLATED: Final = Lane.CONFLATED


class Undelivered(enum.Enum):
    """Why a message became a dead letter."""

    GONE = "the actor is gone for good"
    STOPPED = "the actor stopped"
    RESTARTED = "purged at a restart"
    OVERFLOW = "the lane was full"
    REJECTED = "the lane was full and rejects"
    DROPPED = "dropped as the oldest"
    REFUSED = "refused"
    UNHANDLED = "no handler"
    QUARANTINED = "its like has crashed the actor too often"


class Gate(enum.Enum):
    """What the mailbox still accepts."""

    OPEN = "open"
    TELLS = "tells"  # nobody lives here and none is coming on its own: tells wait, asks fail at once
    CLOSED = "closed"


class Letter(Envelope[object]):
    """A message on its way, its lane, and when it was put (perf_counter ns)."""

    __slots__ = ("lane", "put_ns")

    def __init__(self, message: object, reply_to: pykka.Future[object] | None = None) -> None:
        self.message = message
        self.reply_to = reply_to
        self.lane: Lane = getattr(message, "LANE", _LOSSLESS)
        self.put_ns = perf_counter_ns()


class Owner(Protocol):
    """What a mailbox needs of the address it belongs to."""

    name: str

    def undelivered(self, letter: Envelope[object], lane: Lane, why: Undelivered) -> None: ...

    def overflowed(self, lane: Lane) -> None: ...


def lane_of(message: object) -> Lane:
    """A message's lane; pykka's own messages and foreign objects are LOSSLESS."""
    return getattr(message, "LANE", _LOSSLESS)


def answer(letter: Envelope[object], result: outcome.Outcome[object]) -> bool:
    """Answer the asker, if there is one; False if it has given up or been answered already."""
    future = letter.reply_to
    if isinstance(future, TrioFuture):
        return future.offer(result)
    if isinstance(result, outcome.Error) and future is not None:
        future.set_exception((type(result.error), result.error, None))
    elif isinstance(result, outcome.Value) and future is not None:
        future.set(result.value)
    return True


def fail(letter: Envelope[object], error: BaseException) -> bool:
    """`answer` that no answer will come."""
    return letter.reply_to is None or answer(letter, outcome.Error(error))


def _key(message: object) -> Hashable:
    """What a CONFLATED message is the latest of."""
    return type(message), (message.conflation_key if isinstance(message, Message) else None)


class LaneMailbox:
    """See the module. `take` and `wait` are for the one reader; `put` is for everyone."""

    __slots__ = (
        "_conflated_turn", "_control", "_keys", "_latest", "_loop", "_lossless", "_lossless_turn", "_sleeper", "_stops",
        "conflated", "dropped", "gate", "high_water", "owner", "policy", "puts", "suspended",
    )  # fmt: skip

    def __init__(self, owner: Owner, loop: Loop) -> None:
        self.owner = owner
        self._loop = loop
        self.policy = LanePolicy()
        self.gate = Gate.OPEN
        self.suspended = False  # only CONTROL, and a request to stop, can be taken
        self._control: deque[Letter] = deque()
        self._lossless: deque[Letter] = deque()
        self._keys: deque[Hashable] = deque()  # arrival order of what _latest holds
        self._latest: dict[Hashable, Letter] = {}
        self._sleeper: trio.lowlevel.Task | None = None
        self._lossless_turn = self._conflated_turn = 0
        self._stops = 0
        self.puts = [0, 0, 0]
        self.dropped = [0, 0, 0]
        self.high_water = [0, 0, 0]
        self.conflated = 0

    def put(self, envelope: Envelope[object], /) -> None:
        """Queue a message. Raises MailboxFull in the loop's thread if the LOSSLESS lane is full and does not drop."""
        thread = self._loop.thread
        if thread is not None and get_ident() != thread:
            if not self._loop.call_soon(self._put_foreign, envelope):
                fail(envelope, pykka.ActorDeadError(f"{self.owner.name}: the loop has ended"))
            return
        letter = envelope if type(envelope) is Letter else Letter(envelope.message, envelope.reply_to)
        message = letter.message
        lane = letter.lane
        if self.gate is not Gate.OPEN and not self._admit(letter, lane):
            return
        if lane is _LOSSLESS:
            queue = self._lossless
            if len(queue) >= self.policy.bound:
                self._make_room(letter)
            if type(message) is _ActorStop:
                self._stops += 1
            queue.append(letter)
            depth = len(queue)
        elif lane is _CONFLATED:
            depth = self._conflate(letter)
        else:
            self._control.append(letter)
            depth = len(self._control)
            if depth == CONTROL_MARK:
                self.owner.overflowed(_CONTROL)
        self.puts[lane] += 1
        if depth > self.high_water[lane]:
            self.high_water[lane] = depth
        sleeper = self._sleeper
        if sleeper is not None:
            self._sleeper = None
            trio.lowlevel.reschedule(sleeper)

    def _wake(self) -> None:
        if self._sleeper is not None:
            sleeper, self._sleeper = self._sleeper, None
            trio.lowlevel.reschedule(sleeper)

    def _put_foreign(self, envelope: Envelope[object]) -> None:
        try:
            self.put(envelope)
        except MailboxFull as full:  # the sending thread has moved on; only an asker can still be told
            fail(envelope, full)

    def _conflate(self, letter: Letter) -> int:
        message = letter.message
        key = _key(message)
        waiting = self._latest.get(key)
        if waiting is None:
            self._latest[key] = letter
            self._keys.append(key)
        else:
            # The slot keeps its place and its time of arrival, so that starvation shows in the age.
            self.conflated += 1
            fail(waiting, Refusal(_REPLACED))
            waiting.message, waiting.reply_to = message, letter.reply_to
        return len(self._keys)

    def _make_room(self, letter: Letter) -> None:
        if type(letter.message) is _ActorStop:
            return
        overflow = self.policy.overflow
        if overflow is Overflow.DROP_OLDEST:
            oldest = next((i for i, waiting in enumerate(self._lossless) if type(waiting.message) is not _ActorStop), None)
            if oldest is None:
                return
            dropped = self._lossless[oldest]
            del self._lossless[oldest]
            self._discard(dropped, _LOSSLESS, Undelivered.DROPPED, MailboxFull("a newer message pushed this one out"))
            return
        loud = overflow is Overflow.LOUD
        self.dropped[_LOSSLESS] += 1
        self.owner.undelivered(letter, _LOSSLESS, Undelivered.OVERFLOW if loud else Undelivered.REJECTED)
        if loud:
            self.owner.overflowed(_LOSSLESS)
        raise MailboxFull(f"{self.owner.name} has {len(self._lossless)} messages waiting, its bound; {letter.message!r:.80} was not queued")

    def _admit(self, letter: Letter, lane: Lane) -> bool:
        if self.gate is Gate.TELLS and letter.reply_to is None:
            return True
        why = Undelivered.GONE if self.gate is Gate.CLOSED else Undelivered.STOPPED
        self._discard(letter, lane, why, pykka.ActorDeadError(f"{self.owner.name}: {why.value}"))
        return False

    def _discard(self, letter: Letter, lane: Lane, why: Undelivered, error: BaseException) -> None:
        if type(letter.message) is _ActorStop:  # it has what it asked for
            answer(letter, outcome.Value(None))
            return
        self.dropped[lane] += 1
        self.owner.undelivered(letter, lane, why)
        fail(letter, error)

    # The reader's side

    def take(self) -> Letter | None:
        """The next message by lane and turn, or None."""
        if self._control:
            return self._control.popleft()
        if self.suspended:
            return self._take_stop()
        if self._lossless and (self._lossless_turn < LOSSLESS_TURN or not self._keys):
            self._lossless_turn = self._lossless_turn + 1 if self._keys else 0
            letter = self._lossless.popleft()
            if type(letter.message) is _ActorStop:
                self._stops -= 1
            return letter
        if not self._keys:
            return None
        self._conflated_turn += 1
        if self._conflated_turn >= CONFLATED_TURN:
            self._lossless_turn = self._conflated_turn = 0
        return self._latest.pop(self._keys.popleft())

    def _take_stop(self) -> Letter | None:
        """The first request to stop, from wherever it stands."""
        if not self._stops:
            return None
        self._stops -= 1
        first = next(letter for letter in self._lossless if type(letter.message) is _ActorStop)
        self._lossless.remove(first)
        return first

    async def wait(self) -> None:
        """Sleep until there is something to take; no checkpoint if there already is."""
        if self.empty() if not self.suspended else not (self._control or self._stops):
            self._sleeper = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._sleeper = None
        return trio.lowlevel.Abort.SUCCEEDED

    def get(self) -> Letter:
        """pykka's protocol; only for draining, since a blocking get would stop the loop."""
        letter = self.take()
        if letter is None:
            raise WouldBlockLoop("the mailbox is empty; a trio actor waits with `await mailbox.wait()`")
        return letter

    def empty(self) -> bool:
        """True if nothing waits in any lane."""
        return not (self._control or self._lossless or self._keys)

    @property
    def has_room(self) -> bool:
        """True if a LOSSLESS message would be taken in."""
        return len(self._lossless) < self.policy.bound

    def put_back(self, letters: Sequence[Letter]) -> None:
        """Return letters that were taken to the front of their lanes, in order. A CONFLATED one that a later replaced is refused."""
        for letter in reversed(letters):
            lane = lane_of(letter.message)
            if lane is not _CONFLATED:
                (self._control if lane is _CONTROL else self._lossless).appendleft(letter)
                self._stops += type(letter.message) is _ActorStop
                continue
            key = _key(letter.message)
            if key in self._latest:
                self.conflated += 1
                fail(letter, Refusal(_REPLACED))
            else:
                self._latest[key] = letter
                self._keys.appendleft(key)
        self._wake()

    # Between incarnations

    def purge(self, lanes: Iterable[Lane], why: Undelivered, error: BaseException) -> None:
        """Make dead letters of everything in `lanes`."""
        for lane in lanes:
            for letter in self._empty_lane(lane):
                self._discard(letter, lane, why, error)

    def fail_asks(self, error: BaseException) -> None:
        """Answer every waiting asker with `error`; tells stay where they are."""
        for lane in Lane:
            for letter in self._sift(lane, lambda letter: letter.reply_to is None):
                self._discard(letter, lane, Undelivered.STOPPED, error)

    def drop_stops(self) -> None:
        """Answer and forget stop requests that the ended incarnation did not reach: they were not meant for the next."""
        if self._stops:
            for letter in self._sift(_LOSSLESS, lambda letter: type(letter.message) is not _ActorStop):
                self._discard(letter, _LOSSLESS, Undelivered.STOPPED, pykka.ActorDeadError(self.owner.name))
            self._stops = 0

    def flush_down(self, name: str) -> None:
        """Forget any Down of `name` that waits here."""
        self._sift(_CONTROL, lambda letter: not (isinstance(letter.message, Down) and letter.message.name == name))

    def _empty_lane(self, lane: Lane) -> list[Letter]:
        return self._sift(lane, lambda _: False)

    def _sift(self, lane: Lane, keep: Callable[[Letter], bool]) -> list[Letter]:
        """Remove from a lane what is not kept, in order."""
        if lane is _CONFLATED:
            gone = [key for key in self._keys if not keep(self._latest[key])]
            for key in gone:
                self._keys.remove(key)
            return [self._latest.pop(key) for key in gone]
        queue = self._control if lane is _CONTROL else self._lossless
        removed = [letter for letter in queue if not keep(letter)]
        if removed:
            kept = [letter for letter in queue if keep(letter)]
            queue.clear()
            queue.extend(kept)
        return removed

    def statistics(self) -> dict[Lane, LaneStatistics]:
        """Depths, ages and counts per lane."""
        now = perf_counter_ns()
        depths = (len(self._control), len(self._lossless), len(self._keys))
        return {
            lane: LaneStatistics(
                depth=depths[lane],
                high_water=self.high_water[lane],
                oldest_age=self._age(lane, now),
                puts=self.puts[lane],
                dropped=self.dropped[lane],
                conflated=self.conflated if lane is _CONFLATED else 0,
            )
            for lane in Lane
        }

    def oldest_age(self) -> float:
        """Seconds the longest-waiting message has waited; 0.0 if none waits."""
        now = perf_counter_ns()
        return max(self._age(lane, now) for lane in Lane)

    def _age(self, lane: Lane, now: int) -> float:
        if lane is _CONFLATED:
            return (now - self._latest[self._keys[0]].put_ns) * 1e-9 if self._keys else 0.0
        queue = self._control if lane is _CONTROL else self._lossless
        return (now - queue[0].put_ns) * 1e-9 if queue else 0.0
