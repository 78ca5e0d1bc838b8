"""The journal's actor: makes intents durable before their orders leave, and remembers everything else.

What is told while a commit runs is the next batch, so the busier it is the larger its batches are and the disk is never waited for twice.
A disk that refuses is a state, not a crash: `down` is told to telemetry and to the gateway, intents are dropped without `Durable` (so their
orders never leave), everything else waits in a bounded buffer, and opening is tried again every second. The store lives in one spawned
task, which closes it however this incarnation ends, so the next one never meets it open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
import trio

from actors.messages import Decided, Durable, Note, Resend, Standing, Write
from actors.runtime import Address, Message, TrioActor, handles
from chimera.errors import ConfigError
from chimera.journal.records import Intent, Kind, Record, Value
from chimera.journal.store import Entry, JournalError, JournalStore

BACKLOG = 20_000
"""Entries kept while the disk refuses or stalls; past it the oldest goes, and the journal says how many it lost."""
BATCH = 2_000
RETRY_S = 1.0


@attrs.frozen(slots=True)
class _Beat(Message):
    at: float


class JournalActor(TrioActor):
    """`open_store` is called off the loop, once for each opening. States told: `opening`, `ready`, `down`."""

    def __init__(self, *, open_store: Callable[[], JournalStore], gateway: Address, telemetry: Address) -> None:
        super().__init__()
        self._open_store = open_store
        self._gateway = gateway
        self._telemetry = telemetry
        self._state, self._why = "", ""
        self._pending: deque[Entry] = deque()
        self._arrived = trio.Event()
        self._closing = False
        self._closed = trio.Event()
        self._pause = trio.CancelScope()
        self._commits = self._committed = self._lost = self._lost_since = self._refused = 0

    def on_start(self) -> None:
        self._stand("opening", "")
        self.spawn(self._keep)
        self.every(RETRY_S, _Beat)

    async def on_stop(self) -> None:
        """Everything told so far is on disk before the actor ends, unless the disk refuses."""
        self._closing = True
        self._arrived.set()
        self._pause.cancel()
        await self._closed.wait()

    # What is told

    @handles(Write)
    def on_write(self, message: Write) -> None:
        if self._state == "down":
            self._refused += 1
        else:
            self._admit(message.intent)

    @handles(Note)
    def on_note(self, message: Note) -> None:
        self._admit(message.record)

    @handles(Decided)
    def on_decided(self, message: Decided) -> None:
        self._admit(message.decision)

    @handles(Resend)
    def on_resend(self, _message: Resend) -> None:
        self._gateway.tell(self._standing())

    @handles(_Beat)
    def on_beat(self, _message: _Beat) -> None:
        # A gateway that came back knows nothing of us, and what was told between its incarnations is gone.
        self._gateway.tell(self._standing())

    def _admit(self, entry: Entry) -> None:
        self._pending.append(entry)
        if len(self._pending) > BACKLOG:
            self._drop(self._pending.popleft())
        self._arrived.set()

    def _drop(self, entry: Entry) -> None:
        if isinstance(entry, Intent):
            self._refused += 1
        else:
            self._lost += 1
            self._lost_since += 1

    # What is done with it

    async def _keep(self) -> None:
        """Hold the store: open it, write, close it, and again until the actor stops."""
        while True:
            try:
                store = await self.system.blocking(self._open_store)
            except (JournalError, ConfigError) as error:
                self._fall(str(error))
            else:
                await self._hold(store)
            if self._closing:
                self._closed.set()
                return
            with trio.CancelScope() as self._pause:
                await self.system.sleep(RETRY_S)

    async def _hold(self, store: JournalStore) -> None:
        try:
            self._admit_gap()
            if self._state != "down" or not self._pending:  # a disk that refused must take what waits first
                self._stand("ready", "")
            await self._write_on(store)
        finally:
            with trio.CancelScope(shield=True):
                await self._close(store)

    def _admit_gap(self) -> None:
        """A hole in the journal is in the journal."""
        if self._lost_since:
            why = f"{self._lost_since} entries were lost while the journal was down"
            fields: dict[str, Value] = {"actor": self.address.name, "incarnation": self.address.incarnation, "reason": why}
            self._pending.appendleft(Record(Kind.RESTART, self.system.now(), fields=fields))
            self._lost_since = 0

    async def _write_on(self, store: JournalStore) -> None:
        """Commit what is pending until the disk refuses, or until the actor stops and nothing is left."""
        while self._pending or not self._closing:
            if not self._pending:
                self._arrived = trio.Event()
                await self._arrived.wait()
                continue
            batch = [self._pending.popleft() for _ in range(min(BATCH, len(self._pending)))]
            try:
                await self.system.blocking(store.commit, batch)
            except JournalError as error:
                self._pending.extendleft(reversed(batch))
                self._fall(str(error))
                return
            self._stand("ready", "")
            self._commits += 1
            self._committed += len(batch)
            durable = tuple(entry.client_id for entry in batch if isinstance(entry, Intent))
            if durable:
                self._gateway.tell(Durable(durable, self.system.now()))

    async def _close(self, store: JournalStore) -> None:
        try:
            await self.system.blocking(store.close)
        except JournalError as error:
            self._fall(str(error))

    # How it stands

    def _fall(self, why: str) -> None:
        """The disk refuses: forget the intents, whose orders must not leave late, and keep the rest."""
        kept = [entry for entry in self._pending if not isinstance(entry, Intent)]
        self._refused += len(self._pending) - len(kept)
        self._pending = deque(kept)
        self._stand("down", why)

    def _stand(self, state: str, why: str) -> None:
        if (state, why) != (self._state, self._why):
            self._state, self._why = state, why
            self._gateway.tell(self._standing())
            self._telemetry.tell(self._standing())

    def _standing(self) -> Standing:
        return Standing(self.address.name, self._state, self._why, self.system.now())

    def state_summary(self) -> dict[str, object]:
        """For the console: how it stands, what waits, and what was lost."""
        return {
            "state": self._state,
            "why": self._why,
            "pending": len(self._pending),
            "commits": self._commits,
            "committed": self._committed,
            "intents_refused": self._refused,
            "entries_lost": self._lost,
        }
