"""The journal's actor: durable before it says so, refused rather than late, and never a crash because a disk is full."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import attrs
import pytest
import trio
import trio.testing

from actors.journal import JournalActor
from actors.messages import Decided, Durable, Note, Resend, Standing, Write
from actors.runtime import ActorSystem, Address, ChildSpec, Supervisor
from actors.runtime.testing import Probe
from chimera.conventions import Side
from chimera.journal import store
from chimera.journal.records import Decision, Intent, Kind, Record
from chimera.journal.store import JournalReader, JournalStore
from chimera.trading.reasons import Reason


def intent(client_id: str) -> Intent:
    return Intent(client_id, "M-A", "U", Side.BID, 4500, 100, 3, 0.47, 1.5, 120.0, 100.0)


def note(n: int) -> Note:
    return Note(Record(Kind.SCORE, float(n)))


DECISION = Decision("M-A", Side.BID, 1, 2, "keep", Reason.KEPT, 4500, 100, 0.5, 1.0)


@attrs.frozen
class Rig:
    system: ActorSystem
    gateway: Probe
    telemetry: Probe
    journal: Address

    async def standing(self, state: str) -> Standing:
        """Wait until the gateway's last word from the journal is `state`."""
        with trio.fail_after(5):
            while True:
                told = self.gateway.of(Standing)
                if told and told[-1].state == state:
                    return told[-1]
                await trio.sleep(0.001)

    async def durable(self, count: int) -> list[str]:
        """Wait until this many client ids are told durable."""
        with trio.fail_after(5):
            while len(ids := [i for message in self.gateway.of(Durable) for i in message.client_ids]) < count:  # noqa: ASYNC110
                await trio.sleep(0.001)
        return ids


@asynccontextmanager
async def rig(open_store: Callable[[], JournalStore], *, virtual: bool = False) -> AsyncIterator[Rig]:
    async with ActorSystem(virtual=virtual) as system:
        gateway, telemetry = await Probe.watch(system, "gateway"), await Probe.watch(system, "telemetry")
        spec = ChildSpec(
            "journal",
            lambda: JournalActor(open_store=open_store, gateway=gateway.address, telemetry=telemetry.address),
            purge=frozenset(),
        )
        await system.start(ChildSpec("memory", lambda: Supervisor([spec], intensity=100)))
        yield Rig(system, gateway, telemetry, system.address("journal"))


def kept(path: Path) -> tuple[list[str], list[float]]:
    """(client ids, times of score records) in the file."""
    with JournalReader(path) as reader:
        return [i.client_id for i in reader.intents()], [r.at for r in reader.records(Kind.SCORE)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


class TestDurable:
    """What is said to be durable is on disk."""

    async def test_an_intent_is_on_disk_when_the_gateway_is_told(self, path: Path) -> None:
        async with rig(lambda: JournalStore(path)) as r:
            r.journal.tell(Write(intent("a")))
            assert await r.durable(1) == ["a"]
            assert kept(path)[0] == ["a"]

    async def test_everything_told_before_the_stop_is_kept_in_order(self, path: Path) -> None:
        async with rig(lambda: JournalStore(path)) as r:
            for n in range(3000):
                r.journal.tell(note(n))
            r.journal.tell(Decided(DECISION))
        assert kept(path)[1] == list(range(3000))
        with JournalReader(path) as reader:
            assert list(reader.decisions()) == [DECISION]

    async def test_what_comes_during_a_commit_is_one_batch(self, path: Path) -> None:
        batches: list[int] = []

        class Counting(JournalStore):
            def commit(self, batch: Sequence[store.Entry]) -> None:
                batches.append(len(batch))
                super().commit(batch)

        async with rig(lambda: Counting(path)) as r:
            await r.standing("ready")
            for n in range(500):
                r.journal.tell(Write(intent(f"c{n}")))
            assert len(await r.durable(500)) == 500
        assert sum(batches) == 500
        assert len(batches) < 50

    async def test_in_a_virtual_world_intents_are_durable_without_time_passing(
        self, path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with rig(lambda: JournalStore(path, durable=False), virtual=True) as r:
            before = trio.current_time()
            r.journal.tell(Write(intent("a")))
            await trio.testing.wait_all_tasks_blocked()
            assert [m.client_ids for m in r.gateway.of(Durable)] == [("a",)]
            assert trio.current_time() == before


class TestStanding:
    """The gateway and telemetry know whether the journal can keep anything."""

    async def test_it_says_ready_once_it_is_open(self, path: Path) -> None:
        async with rig(lambda: JournalStore(path)) as r:
            await r.standing("ready")
            assert [s.state for s in r.telemetry.of(Standing)] == ["opening", "ready"]

    async def test_a_gateway_that_came_back_is_told_when_it_asks(self, path: Path) -> None:
        async with rig(lambda: JournalStore(path)) as r:
            await r.standing("ready")
            r.gateway.seen.clear()
            r.journal.tell(Resend())
            assert (await r.standing("ready")).actor == "journal"

    async def test_a_gateway_that_came_back_is_told_within_a_second_unasked(
        self, path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with rig(lambda: JournalStore(path, durable=False), virtual=True) as r:
            await r.standing("ready")
            r.gateway.seen.clear()
            await trio.sleep(1.01)
            assert [s.state for s in r.gateway.of(Standing)] == ["ready"]

    async def test_a_journal_that_cannot_be_opened_is_down_with_the_reason_and_no_crash(self, tmp_path: Path) -> None:
        async with rig(lambda: JournalStore(tmp_path / "missing" / "j")) as r:
            assert "no directory" in (await r.standing("down")).why
            assert r.journal.incarnation == 1


class FullDisk:
    """Opens stores on a disk that is full until `room` is set."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.room = False
        self.openings = 0

    def __call__(self) -> JournalStore:
        self.openings += 1
        return JournalStore(self.path, durable=False, max_pages=None if self.room else 30)


BIG = Note(Record(Kind.SCORE, -1.0, fields={"text": "x" * 500_000}))


class TestFullDisk:
    """A full disk is a state: orders are refused, records wait, and it is tried again."""

    async def test_it_is_down_and_intents_are_never_told_durable(self, path: Path) -> None:
        async with rig(FullDisk(path)) as r:
            r.journal.tell(BIG)
            r.journal.tell(Write(intent("in-the-failed-batch")))
            assert "full" in (await r.standing("down")).why
            r.journal.tell(Write(intent("while-down")))
            await trio.sleep(0.05)
            assert r.gateway.of(Durable) == []
            assert r.journal.incarnation == 1

    async def test_it_recovers_keeps_the_records_and_forgets_the_intents(
        self, path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        disk = FullDisk(path)
        async with rig(disk, virtual=True) as r:
            r.journal.tell(BIG)
            r.journal.tell(Write(intent("late")))
            await r.standing("down")
            r.journal.tell(note(7))
            disk.room = True
            await r.standing("ready")
            r.journal.tell(Write(intent("fresh")))
            assert await r.durable(1) == ["fresh"]
        assert kept(path) == (["fresh"], [-1.0, 7.0])

    async def test_it_stays_down_until_the_disk_has_taken_something(
        self, path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with rig(FullDisk(path), virtual=True) as r:
            r.journal.tell(BIG)
            await r.standing("down")
            r.gateway.seen.clear()
            await trio.sleep(10.5)
            assert {s.state for s in r.gateway.of(Standing)} == {"down"}

    async def test_it_tries_once_a_second(self, path: Path, autojump_clock: trio.testing.MockClock) -> None:
        disk = FullDisk(path)
        async with rig(disk, virtual=True) as r:
            r.journal.tell(BIG)
            await r.standing("down")
            before = disk.openings
            await trio.sleep(10.5)
            assert 9 <= disk.openings - before <= 11

    async def test_past_the_backlog_the_oldest_go_and_the_journal_says_how_many(
        self, path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("actors.journal.BACKLOG", 10)
        disk = FullDisk(path)
        async with rig(disk, virtual=True) as r:
            r.journal.tell(BIG)
            await r.standing("down")
            for n in range(25):
                r.journal.tell(note(n))
            await trio.testing.wait_all_tasks_blocked()
            disk.room = True
            await r.standing("ready")
        assert kept(path)[1] == list(range(15, 25))
        with JournalReader(path) as reader:
            (gap,) = reader.records(Kind.RESTART)
        assert gap.fields["reason"] == "16 entries were lost while the journal was down"


class TestIncarnations:
    """Our own bug crashes it, and the next incarnation meets no open store."""

    async def test_a_new_store_is_opened_only_after_the_old_one_is_closed(self, path: Path) -> None:
        events: list[str] = []

        class Watched(JournalStore):
            def __init__(self) -> None:
                events.append("open")
                super().__init__(path)

            def close(self) -> None:
                super().close()
                events.append("close")

        async with rig(Watched) as r:
            await r.standing("ready")
            r.journal.tell(Write(intent("same")))
            await r.durable(1)
            r.journal.tell(Write(intent("same")))
            with trio.fail_after(5):
                while r.journal.incarnation < 2 or not r.journal.alive:  # noqa: ASYNC110
                    await trio.sleep(0.001)
            r.journal.tell(Write(intent("other")))
            assert await r.durable(2) == ["same", "other"]
        assert events == ["open", "close", "open", "close"]

    async def test_the_file_is_left_folded_and_unlocked(self, path: Path) -> None:
        async with rig(lambda: JournalStore(path)) as r:
            r.journal.tell(note(1))
        assert not path.with_name(path.name + "-wal").exists()
        other = apsw.Connection(str(path))
        other.execute("BEGIN EXCLUSIVE")
        other.execute("ROLLBACK")
        other.close()


