"""Boot: the files of a run, and what an earlier run left in them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import attrs
import pytest

from actors.boot import JOURNALS, Ledger, open_ledger
from actors.rules import Rulebook
from actors.worlds import Kind, Place, World
from chimera.clock import WorldClock
from chimera.conventions import DOLLAR, Side
from chimera.errors import ChimeraError, ConfigError
from chimera.journal.shape import armed_record, trip_record
from chimera.journal.store import Entry, JournalStore
from chimera.journal.venue_log import read_venue_log, venue_log_path
from chimera.settings import load_registry
from chimera.trading.kill import GLOBAL, KillRegister, State, Trip, unit
from chimera.trading.reasons import Reason
from chimera.trading.venue import Order
from chimera.trading.venue_log import Accepted, Opened, Sent

NOW = 1_764_000_000.0
Open = Callable[..., AbstractContextManager[Ledger]]


@pytest.fixture
def opened(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens a ledger in an empty working directory; nothing of its world but the clock is used."""
    monkeypatch.chdir(tmp_path)
    rules = Rulebook(load_registry(root / "config" / "signal_registry.json"))
    clock = WorldClock(origin_unix=NOW)
    unused: object = None
    world = World(Place(Kind.EMBEDDED), clock, unused, unused, espn_url="")  # type: ignore[arg-type]

    def opening(journal: Path | None = None) -> AbstractContextManager[Ledger]:
        return open_ledger(world, rules, journal=journal, record=None, seed=1)

    return opening


def kept(path: Path, run: str, *entries: Entry) -> None:
    """A run of this name has kept these entries."""
    store = JournalStore(path, run, durable=False)
    store.commit(entries)
    store.close()


def killed(reason: Reason = Reason.DAILY_LOSS, counter: int = 3, hold_s: float = float("inf"), **changes: object) -> Trip:
    return attrs.evolve(Trip(GLOBAL, reason, "risk", NOW - 60.0, hold_s, counter, pull=False), **changes)


class TestFiles:
    """A run has its journal and, beside it, the venue's own log."""

    def test_without_a_name_a_journal_is_named_by_its_world_under_journal(self, opened: Open) -> None:
        with opened() as ledger:
            assert ledger.journal.parent == JOURNALS
            assert ledger.journal.name.startswith("embedded-")
            assert venue_log_path(ledger.journal).exists()

    def test_a_fresh_run_is_the_first(self, opened: Open) -> None:
        with opened(Path("j.db")) as ledger:
            assert ledger.run == "embedded1"
            assert (dict(ledger.past.counters), ledger.past.standing, ledger.past.runs) == ({}, (), 0)

    def test_every_run_of_a_journal_has_a_name_of_its_own(self, opened: Open) -> None:
        names = []
        for _ in range(3):
            with opened(Path("j.db")) as ledger:
                names.append(ledger.run)
            kept(Path("j.db"), names[-1])
        assert names == ["embedded1", "embedded2", "embedded3"]

    def test_the_log_is_released_at_the_end(self, opened: Open) -> None:
        for _ in range(2):
            with opened(Path("j.db")):
                pass
        assert [type(line) for line in read_venue_log(venue_log_path(Path("j.db")))] == [Opened, Opened]

    def test_a_file_where_the_journals_should_lie_is_said(self, opened: Open) -> None:
        JOURNALS.write_text("in the way")
        with pytest.raises(ConfigError, match="cannot hold journals: File exists; give --journal FILE"), opened():
            pass

    @pytest.mark.parametrize("path", ["missing/j.db", "."])
    def test_a_journal_that_cannot_be_is_refused(self, opened: Open, path: str) -> None:
        with pytest.raises(ConfigError), opened(Path(path)):
            pass

    def test_a_file_that_is_no_journal_is_refused_and_left_alone(self, opened: Open) -> None:
        Path("notes.txt").write_text("not a journal" * 100)
        with pytest.raises(ChimeraError, match=r"notes\.txt"), opened(Path("notes.txt")):
            pass
        assert Path("notes.txt").read_text() == "not a journal" * 100

    def test_two_runs_at_once_cannot_share_a_journal(self, opened: Open) -> None:
        with opened(Path("j.db")), pytest.raises(ConfigError, match="another process"), opened(Path("j.db")):
            pass

    def test_a_journal_whose_venue_log_is_lost_is_not_carried_on(self, opened: Open) -> None:
        kept(Path("j.db"), "embedded1")
        with pytest.raises(ConfigError, match=r"j\.db\.venue: the venue's log of this journal is missing"), opened(Path("j.db")):
            pass


class TestPast:
    """The kill register and the paper account go on where they were left."""

    def resumed(self, opened: Open, *entries: Entry) -> KillRegister:
        with opened(Path("j.db")) as ledger:
            kept(Path("j.db"), ledger.run, *entries)
        with opened(Path("j.db")) as ledger:
            register = KillRegister(on_trip=lambda trip: None)
            register.resume(ledger.past.counters, ledger.past.standing)
        return register

    def test_a_latch_stands_and_every_counter_is_above_where_it_was(self, opened: Open) -> None:
        register = self.resumed(opened, trip_record(killed(counter=3)), trip_record(killed(scope=unit("U"), counter=8, hold_s=60.0)))
        assert register.state(GLOBAL) is State.TRIPPED
        trip = register.blocking("anything")
        assert trip is not None
        assert (trip.reason, trip.latched) == (Reason.DAILY_LOSS, True)
        assert register.counters()["GLOBAL"] > 3
        assert register.counters()["UNIT:U"] > 8

    def test_a_scope_that_was_armed_again_is_armed(self, opened: Open) -> None:
        register = self.resumed(opened, trip_record(killed(hold_s=5.0)), armed_record(GLOBAL, 3, NOW))
        assert register.state(GLOBAL) is State.ARMED
        assert register.counters()["GLOBAL"] > 3

    def test_the_latch_of_an_orderly_end_is_no_reason_to_stay_latched(self, opened: Open) -> None:
        register = self.resumed(opened, trip_record(killed(Reason.SHUTDOWN, counter=7)))
        assert register.state(GLOBAL) is State.ARMED
        assert register.counters()["GLOBAL"] > 7

    def test_a_latch_outlives_the_orderly_end_that_followed_it(self, opened: Open) -> None:
        register = self.resumed(opened, trip_record(killed(counter=3)), trip_record(killed(counter=4, source="app")))
        trip = register.blocking("anything")
        assert trip is not None
        assert trip.reason is Reason.DAILY_LOSS

    def test_what_rested_rests_still_and_the_account_is_what_it_was(self, opened: Open) -> None:
        with opened(Path("j.db")) as ledger:
            ledger.venue.place(Order("embedded1-1-1", "M", Side.BID, 4600, 100, NOW + 1e6, 1, 0.5, 3.0), NOW)
            ledger.venue.advance(NOW + 5.0)  # type: ignore[attr-defined]
            kept(Path("j.db"), ledger.run)
        with opened(Path("j.db")) as ledger:
            assert ledger.venue.count_resting() == 1
            assert ledger.cash == 1_000 * DOLLAR
        lines = list(read_venue_log(venue_log_path(Path("j.db"))))
        assert [type(line) for line in lines] == [Opened, Sent, Accepted, Opened]
        assert [line.seq for line in lines] == [1, 2, 3, 4]
