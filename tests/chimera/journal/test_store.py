"""The journal: a batch is whole or absent, nothing is ever changed, and the decision hash sees what it should and no more."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chimera.conventions import Side
from chimera.errors import ConfigError, LocalError
from chimera.journal.records import Decision, Intent, Kind, Pregame, Record
from chimera.journal.shape import armed_record, fill_record, pregame_record, trip_record
from chimera.journal.store import JournalError, JournalReader, JournalStore, decision_hash, hash_of
from chimera.trading import kill
from chimera.trading.kill import GLOBAL, Trip
from chimera.trading.reasons import Reason
from chimera.trading.venue import Fill


def intent(client_id: str = "run-1", **changes: object) -> Intent:
    return attrs.evolve(Intent(client_id, "M-A", "U", Side.BID, 4500, 100, 3, 0.47, 1.5, 120.0, 100.0, 7), **changes)


def decision(**changes: object) -> Decision:
    base = Decision("M-A", Side.BID, 11, 12, "place", Reason.PLACED, 4500, 100, 0.47, 100.0, 7, {"base": 1.0, "fee": 0.25})
    return attrs.evolve(base, **changes)


def fill(fill_id: str = "f-1", **changes: object) -> Fill:
    return attrs.evolve(Fill(fill_id, "run-1", "o-1", "M-A", Side.BID, 4500, 100, 175, False, 101.0), **changes)


def kill_of(scope: kill.Scope, counter: int, *, hold_s: float = 60.0, at: float = 100.0) -> Trip:
    return Trip(scope, Reason.SHOCK, "nba", at, hold_s, counter, pull=False, trace=9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


def write(path: Path, *entries: Intent | Decision | Record, run: str = "") -> None:
    store = JournalStore(path, run)
    store.commit(entries)
    store.close()


class TestKeeping:
    """What is committed comes back as it was."""

    def test_every_kind_of_entry_comes_back_equal(self, path: Path) -> None:
        entries = (intent(), decision(), Record(Kind.SCORE, 1.5, "M-A", 3, {"n": 4, "why": None, "good": True, "x": 0.5}))
        write(path, *entries)
        with JournalReader(path) as reader:
            assert (*reader.intents(), *reader.decisions(), *reader.records()) == entries

    def test_an_infinite_field_is_kept_as_null(self, path: Path) -> None:
        write(path, Record(Kind.SCORE, 1.0, fields={"x": math.inf}))
        with JournalReader(path) as reader:
            assert next(reader.records()).fields == {"x": None}

    def test_records_can_be_asked_for_by_kind(self, path: Path) -> None:
        write(path, Record(Kind.RUN, 1.0), Record(Kind.SCORE, 2.0), Record(Kind.RUN, 3.0))
        with JournalReader(path) as reader:
            assert [record.at for record in reader.records(Kind.RUN)] == [1.0, 3.0]

    def test_a_reader_sees_a_commit_while_the_store_is_open(self, path: Path) -> None:
        store = JournalStore(path)
        with JournalReader(path) as reader:
            store.commit([intent()])
            assert [i.client_id for i in reader.intents()] == ["run-1"]
        store.close()

    def test_a_journal_is_carried_on_and_runs_are_told_apart(self, path: Path) -> None:
        write(path, intent("a-1"), run="a")
        write(path, intent("b-1"), run="b")
        with JournalReader(path) as every, JournalReader(path, "b") as one:
            assert every.runs() == ("a", "b")
            assert [i.client_id for i in every.intents()] == ["a-1", "b-1"]
            assert [i.client_id for i in one.intents()] == ["b-1"]

    @pytest.mark.parametrize("table", ["runs", "intents", "decisions", "records"])
    @pytest.mark.parametrize("statement", ["UPDATE {} SET id = id", "DELETE FROM {}"])
    def test_no_row_can_be_changed_or_taken_away(self, path: Path, table: str, statement: str) -> None:
        write(path, intent(), decision(), Record(Kind.RUN, 1.0))
        other = apsw.Connection(str(path))
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            other.execute(statement.format(table))
        other.close()

    def test_the_file_is_synced_in_full_and_strict(self, path: Path) -> None:
        store = JournalStore(path)
        assert store._db.pragma("journal_mode") == "wal"
        assert store._db.pragma("synchronous") == 2
        assert store._db.pragma("user_version") == 1
        ours = "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'"
        assert dict(store._db.execute(ours).get) == dict.fromkeys(("runs", "intents", "decisions", "records"), 1)
        store.close()


class TestWholeBatches:
    """A batch is on disk as a whole or not at all."""

    def test_a_full_disk_refuses_the_whole_batch_and_keeps_what_was_there(self, path: Path) -> None:
        write(path, intent("kept"))
        store = JournalStore(path, max_pages=30)
        with pytest.raises(JournalError, match="could not keep a batch of 501"):
            store.commit([intent("late"), *(Record(Kind.SCORE, 1.0, fields={"text": "x" * 500}) for _ in range(500))])
        store.close()
        with JournalReader(path) as reader:
            assert [i.client_id for i in reader.intents()] == ["kept"]
            assert list(reader.records()) == []

    def test_a_store_takes_batches_again_once_the_disk_has_room(self, path: Path) -> None:
        store = JournalStore(path, max_pages=30)
        with pytest.raises(JournalError):
            store.commit([Record(Kind.SCORE, 1.0, fields={"text": "x" * 500_000})])
        store.commit([intent()])
        store.close()

    def test_a_client_id_used_twice_is_our_bug_and_nothing_of_its_batch_is_written(self, path: Path) -> None:
        store = JournalStore(path)
        with pytest.raises(LocalError, match="refused an entry"):
            store.commit([decision(), intent("same"), intent("same")])
        store.close()
        with JournalReader(path) as reader:
            assert list(reader.decisions()) == []

    def test_a_probability_that_is_no_number_is_our_bug(self, path: Path) -> None:
        store = JournalStore(path)
        with pytest.raises(LocalError):
            store.commit([decision(p_true=math.nan)])
        store.close()

    def test_a_closed_store_says_so(self, path: Path) -> None:
        store = JournalStore(path)
        store.close()
        store.close()
        with pytest.raises(JournalError, match="closed"):
            store.commit([intent()])

    def test_a_locked_file_is_an_error_of_the_journal_not_a_wait_for_ever(self, path: Path) -> None:
        store = JournalStore(path, busy_s=0.01)
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            store.commit([intent()])
        other.execute("ROLLBACK")
        other.close()
        store.close()

    def test_what_was_committed_survives_a_kill(self, path: Path) -> None:
        program = (
            "import sys, pathlib\n"
            "from chimera.journal.store import JournalStore\n"
            "from chimera.journal.records import Record, Kind\n"
            "store = JournalStore(pathlib.Path(sys.argv[1]))\n"
            "for n in range(10**6):\n"
            "    store.commit([Record(Kind.SCORE, float(n)), Record(Kind.SCORE, float(n))])\n"
            "    print(n, flush=True)\n"
        )
        child = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        told = [int(child.stdout.readline()) for _ in range(20)]
        os.kill(child.pid, signal.SIGKILL)
        told += [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
        child.wait()
        child.stdout.close()
        with JournalReader(path) as reader:
            kept = [record.at for record in reader.records()]
        assert len(kept) % 2 == 0
        assert max(kept) >= max(told)


class TestForeignFiles:
    """A file that is not ours is left as it is, with a message that says what to do."""

    def test_garbage_is_refused_and_kept(self, path: Path) -> None:
        path.write_bytes(b"not a database at all " * 100)
        before = path.read_bytes()
        with pytest.raises(ConfigError, match=r"is not a journal .* choose another name"):
            JournalStore(path)
        assert path.read_bytes() == before

    def test_another_programs_database_is_refused_and_kept(self, path: Path) -> None:
        other = apsw.Connection(str(path))
        other.execute("CREATE TABLE theirs (a)")
        other.close()
        before = path.read_bytes()
        with pytest.raises(ConfigError, match="another program"):
            JournalStore(path)
        with pytest.raises(ConfigError, match="another program"):
            JournalReader(path)
        assert path.read_bytes() == before

    def test_a_journal_of_a_newer_version_is_refused(self, path: Path) -> None:
        JournalStore(path).close()
        other = apsw.Connection(str(path))
        other.execute("PRAGMA user_version = 99")
        other.close()
        with pytest.raises(ConfigError, match="schema 99"):
            JournalStore(path)

    @pytest.mark.parametrize("name", ["", "no/such/place.sqlite"])
    def test_a_place_that_cannot_hold_it_is_a_configuration_fault(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ConfigError, match="directory"):
            JournalStore(tmp_path / name)

    def test_a_reader_of_a_missing_journal_says_so(self, path: Path) -> None:
        with pytest.raises(ConfigError, match="no journal at"):
            JournalReader(path)


class TestBoot:
    """What a new run reads back from an old one."""

    def test_the_highest_counter_of_each_scope_is_found_over_all_runs(self, path: Path) -> None:
        unit = kill.unit("G")
        write(path, trip_record(kill_of(unit, 4)), trip_record(kill_of(GLOBAL, 1)), run="a")
        write(path, trip_record(kill_of(unit, 6)), armed_record(kill.domain("nba"), 2, 5.0), run="b")
        with JournalReader(path) as reader:
            assert reader.counters() == {"UNIT:G": 6, "GLOBAL": 1, "DOMAIN:nba": 2}

    def test_a_latch_stands_until_it_is_armed(self, path: Path) -> None:
        latch = kill_of(GLOBAL, 1, hold_s=math.inf)
        write(path, trip_record(latch))
        with JournalReader(path) as reader:
            assert reader.standing_kills() == (latch,)
        write(path, armed_record(GLOBAL, 1, 200.0))
        with JournalReader(path) as reader:
            assert reader.standing_kills() == ()

    def test_only_the_last_kill_of_a_scope_stands_and_pulls_do_not(self, path: Path) -> None:
        last = kill_of(kill.unit("G"), 3, hold_s=120.0)
        pull = Trip(kill.market("M-A"), Reason.EDGE_GONE, "nba", 1.0, 0.0, 1, pull=True)
        write(path, trip_record(kill_of(kill.unit("G"), 2)), trip_record(last), trip_record(pull))
        with JournalReader(path) as reader:
            assert reader.standing_kills() == (last,)

    def test_a_fill_told_twice_counts_once(self, path: Path) -> None:
        sold = fill("f-2", side=Side.ASK, price=6000, count=40, fee=10)
        write(path, fill_record(fill()), fill_record(sold), fill_record(fill()))
        with JournalReader(path) as reader:
            assert list(reader.fills()) == [fill(), sold]
            assert reader.positions() == {"M-A": (60, -4500 * 100 - 175 + 6000 * 40 - 10)}
        other = apsw.Connection(str(path))
        view = other.execute("SELECT fill_id, side, price, is_taker FROM fills ORDER BY id").get
        assert view == [("f-1", "bid", 4500, 0), ("f-2", "ask", 6000, 0)]
        other.close()

    def test_settled_values_are_found_by_market(self, path: Path) -> None:
        write(path, Record(Kind.SETTLED, 1.0, "M-A", fields={"value": 10_000}), Record(Kind.SETTLED, 1.0, "M-B", fields={"value": 0}))
        with JournalReader(path) as reader:
            assert reader.settled() == {"M-A": 10_000, "M-B": 0}


def hashed(path: Path, decisions: list[Decision]) -> str:
    path.unlink(missing_ok=True)
    write(path, *decisions)
    return hash_of(path)


OTHERS = [decision(market="M-B", side=Side.ASK, book_seq=n, action="keep", reason=Reason.KEPT) for n in range(3)]


class TestDecisionHash:
    """Two runs that decided the same from the same inputs have one hash."""

    @given(order=st.permutations(range(6)), at=st.floats(0, 1e9), trace=st.integers(0, 2**40))
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_time_trace_waterfall_and_the_order_across_markets_do_not_count(
        self, tmp_path: Path, order: list[int], at: float, trace: int
    ) -> None:
        mine = [decision(book_seq=n) for n in range(3)]
        queues = {"a": iter(mine), "b": iter(OTHERS)}
        shuffled = [next(queues["a" if place < 3 else "b"]) for place in order]
        changed = [attrs.evolve(d, at=at, trace=trace, waterfall={}) for d in shuffled]
        assert hashed(tmp_path / "one", [*mine, *OTHERS]) == hashed(tmp_path / "two", changed)

    @pytest.mark.parametrize(
        "change",
        [
            {"market": "M-C"},
            {"side": Side.ASK},
            {"book_seq": 10},
            {"fair_seq": 10},
            {"action": "refuse"},
            {"reason": Reason.NO_EDGE},
            {"price": 4400},
            {"count": 200},
            {"p_true": 0.470001},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_every_hashed_field_counts(self, tmp_path: Path, change: dict[str, object]) -> None:
        assert hashed(tmp_path / "one", [decision(), *OTHERS]) != hashed(tmp_path / "two", [decision(**change), *OTHERS])

    def test_the_order_within_a_market_counts(self, tmp_path: Path) -> None:
        assert hashed(tmp_path / "one", OTHERS) != hashed(tmp_path / "two", OTHERS[::-1])

    def test_a_difference_below_a_millionth_in_p_does_not_count(self, tmp_path: Path) -> None:
        assert hashed(tmp_path / "one", [decision()]) == hashed(tmp_path / "two", [decision(p_true=0.4700000001)])

    def test_a_run_is_hashed_alone(self, path: Path) -> None:
        write(path, decision(), run="a")
        alone = hash_of(path, "a")
        write(path, decision(book_seq=99), run="b")
        assert hash_of(path, "a") == alone != hash_of(path)

    def test_how_decisions_were_batched_does_not_count(self, path: Path, tmp_path: Path) -> None:
        for one in OTHERS:
            write(path, one)
        with JournalReader(path) as reader:
            assert decision_hash(reader) == hashed(tmp_path / "one", OTHERS)


def test_of_each_games_pregame_prices_the_last_is_given_back(path: Path) -> None:
    first, other = Pregame("nba", "A", 0.58, "9 books", 200.0, 100.0), Pregame("nhl", "B", 0.51, "4 books", 300.0, 100.0)
    last = Pregame("nba", "A", 0.61, "10 books", 200.0, 150.0)
    write(path, pregame_record(first), pregame_record(other), pregame_record(last), run="one")
    with JournalReader(path) as reader:
        assert set(reader.pregames()) == {last, other}
