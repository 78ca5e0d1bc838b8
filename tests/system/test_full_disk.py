"""The journal killed and its disk full: a kill still empties the book, no order leaves, and nothing is lost once there is room again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from harness import read_log, shadowing, still_resting

from actors.boot import Ledger
from actors.journal import JournalActor
from actors.outcome import ExitCode
from actors.runtime import ActorSystem, TrioActor
from chimera.audit.orders import T_CANCEL_S, audit_orders
from chimera.journal.records import Kind
from chimera.journal.store import JournalReader, JournalStore
from chimera.trading import venue_log as log
from chimera.trading.kill import GLOBAL
from chimera.trading.reasons import Reason

pytestmark = pytest.mark.system


@attrs.define
class Disk:
    """A disk that can be full. SQLite is told that the file may not grow, and refuses as it would on a real one."""

    full: bool = False


@attrs.frozen(slots=True)
class OnDisk(Ledger):
    """A ledger whose journal lies on `disk`."""

    disk: Disk = attrs.field(kw_only=True)

    def open_journal(self, system: ActorSystem) -> Callable[[], TrioActor]:
        gateway, telemetry = system.address("gateway"), system.address("telemetry")

        def open_store() -> JournalStore:
            return JournalStore(self.journal, self.run, max_pages=1 if self.disk.full else None)

        return lambda: JournalActor(open_store=open_store, gateway=gateway, telemetry=telemetry)


async def test_a_kill_empties_the_book_and_no_order_leaves_until_there_is_room(ready: Path, tmp_path: Path) -> None:
    disk, journal = Disk(), tmp_path / "journal.db"
    place = lambda opened: OnDisk(**attrs.asdict(opened, recurse=False), disk=disk)  # noqa: E731
    async with shadowing(ready, journal, ledger=place) as shadow:
        await shadow.quoting()
        disk.full = True
        shadow.crash("journal")
        await shadow.until("the journal is dead", lambda: [death.actor for death in shadow.deaths] == ["journal"])
        rested = shadow.resting()
        assert rested
        shadow.run.register.trip(GLOBAL, Reason.OPERATOR, source="test", at=shadow.clock.now(), hold_s=2.0)
        trip_line = shadow.lines()
        await shadow.until("the venue's book is empty", lambda: not shadow.resting())

        await shadow.until("the next journal finds the disk full", lambda: "full" in shadow.says("journal"))
        assert shadow.says("journal").startswith("down")
        assert shadow.incarnation("journal") == 2
        until = shadow.clock.now() + 15.0
        await shadow.until("the hold is long over", lambda: shadow.clock.now() >= until)
        assert shadow.says("journal").startswith("down")
        assert shadow.sent_since(trip_line) == []
        assert shadow.resting() == ()

        disk.full = False
        await shadow.quoting()
    lines = read_log(journal)
    fired = next(line for line in lines if isinstance(line, log.Fired) and line.source == "test")
    in_time = [line for line in lines[fired.seq :] if line.at - fired.at <= T_CANCEL_S]
    assert still_resting(lines[: fired.seq]) >= {order.order_id for order in rested}
    assert still_resting(lines[: fired.seq] + in_time) == set()
    assert shadow.result is not None
    assert shadow.result.code is ExitCode.OK
    assert audit_orders(journal).offences == ()
    with JournalReader(journal) as reader:
        kills = [record for record in reader.records(Kind.KILL) if record.fields["source"] == "test"]
        assert len(kills) == 1, "the kill that the full disk could not take is written once it can"
        assert Reason.JOURNAL_DOWN in {decision.reason for decision in reader.decisions()}
