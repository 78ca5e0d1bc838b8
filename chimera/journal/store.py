"""The journal: what was meant, decided and done, durable before it matters.

One SQLite file (WAL, synchronous=FULL), append-only, written by one `JournalStore` and read by any number of `JournalReader`s meanwhile.
A batch is one transaction: either every entry of it is on disk when `commit` returns, or none is. `decision_hash` says whether two runs
decided the same, whatever the machine, the clock or the load.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import TypeAlias

import apsw
import msgspec

from chimera.conventions import Money, Price, Side
from chimera.errors import ChimeraError, ConfigError, LocalError
from chimera.journal.records import Decision, Intent, Kind, Pregame, Record, Value
from chimera.journal.shape import fill_of, pregame_of, trip_of
from chimera.trading.kill import Scope, Trip
from chimera.trading.reasons import Reason
from chimera.trading.venue import Fill

Entry: TypeAlias = Intent | Decision | Record

APPLICATION_ID = 0x4348_4D52
"""Marks the file as ours (SQLite's own header field), so that a stranger's database is never written to."""

_INTENT = "INSERT INTO intents VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DECISION = "INSERT INTO decisions VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_RECORD = "INSERT INTO records VALUES (NULL, ?, ?, ?, ?, ?, ?)"
_OF_RUN = "(?1 IS NULL OR run = (SELECT id FROM runs WHERE name = ?1))"


class JournalError(ChimeraError):
    """The journal cannot be written or read now: the disk is full or failing, the file is locked, or the store is closed."""


class JournalStore:
    """The one writer. Blocking: call it off the loop. Safe to use from one thread after another, never from two at once.

    `run` names the run whose entries are written. `durable=False` leaves syncing to the system, for replays, where no order is at stake.
    `max_pages` bounds the file (4 KiB pages), which is how a test fills a disk. ConfigError where the file is not a journal that this
    version can write, JournalError where the disk refuses.
    """

    def __init__(
        self, path: Path, run: str = "", *, durable: bool = True, max_pages: int | None = None, busy_s: float = 2.0
    ) -> None:
        self.path = path
        _refuse_directory(path)
        try:
            self._db = apsw.Connection(str(path))
        except apsw.Error as error:
            raise JournalError(f"cannot open the journal {path}: {error}") from error
        try:
            self._db.set_busy_timeout(int(busy_s * 1000))
            _refuse_stranger(self._db, path)
            self._db.pragma("journal_mode", "wal")
            self._db.pragma("synchronous", "FULL" if durable else "OFF")
            self._db.pragma("foreign_keys", True)
            _migrate(self._db)
            self._run = self._enter_run(run)
            if max_pages is not None:
                self._db.pragma("max_page_count", max_pages)
        except apsw.Error as error:
            self._db.close(True)
            raise _opening_fault(path, error) from error
        except ChimeraError:
            self._db.close(True)
            raise

    def _enter_run(self, run: str) -> int:
        self._db.execute("INSERT OR IGNORE INTO runs (name) VALUES (?)", (run,))
        return int(self._db.execute("SELECT id FROM runs WHERE name = ?", (run,)).get)

    def commit(self, batch: Sequence[Entry]) -> None:
        """Make every entry durable, in order, in one transaction.

        JournalError where the disk refused: nothing of the batch was written. LocalError where an entry cannot be kept (a client id used
        twice, a number that is none): nothing of the batch was written either.
        """
        intents = [_intent_row(self._run, entry) for entry in batch if isinstance(entry, Intent)]
        decisions = [_decision_row(self._run, entry) for entry in batch if isinstance(entry, Decision)]
        records = [_record_row(self._run, entry) for entry in batch if isinstance(entry, Record)]
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(_INTENT, intents)
            self._db.executemany(_DECISION, decisions)
            self._db.executemany(_RECORD, records)
            self._db.execute("COMMIT")
        except (apsw.ConstraintError, apsw.MismatchError, TypeError, OverflowError) as error:
            self._roll_back()
            raise LocalError(f"the journal {self.path} refused an entry of a batch of {len(batch)}: {error}") from error
        except apsw.Error as error:
            self._roll_back()
            raise JournalError(f"the journal {self.path} could not keep a batch of {len(batch)}: {error}") from error

    def _roll_back(self) -> None:
        # SQLite has often rolled back by itself by now (a full disk does); a closed connection has too.
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except apsw.Error as error:
            raise JournalError(f"the journal {self.path} could not take back a batch: {error}") from error

    def close(self) -> None:
        """Fold the log into the file and close; closing twice is allowed."""
        try:
            self._db.close()
        except apsw.Error as error:
            raise JournalError(f"the journal {self.path} did not close cleanly: {error}") from error


def _refuse_directory(path: Path) -> None:
    if path.is_dir():
        raise ConfigError(f"the journal {path} is a directory: name a file")
    if not path.parent.is_dir():
        raise ConfigError(f"the journal {path} has no directory: create {path.parent} first")


def _opening_fault(path: Path, error: apsw.Error) -> ChimeraError:
    if isinstance(error, apsw.NotADBError):
        return ConfigError(f"{path} is not a journal (no SQLite file): choose another name, it was left as it is")
    if isinstance(error, apsw.ReadOnlyError):
        return ConfigError(f"the journal {path} may not be written to: check its owner and mode")
    return JournalError(f"cannot open the journal {path}: {error}")


def _refuse_stranger(db: apsw.Connection, path: Path) -> None:
    """ConfigError unless the file is empty or ours, and no newer than we are."""
    empty = db.execute("SELECT count(*) FROM sqlite_schema").get == 0
    if db.pragma("application_id") != APPLICATION_ID and not empty:
        raise ConfigError(f"{path} is another program's SQLite file: choose another name, it was left as it is")
    version, newest = int(str(db.pragma("user_version"))), _migrations()[-1][0]
    if version > newest:
        raise ConfigError(f"the journal {path} has schema {version}, this version knows {newest}: use a newer Chimera or another file")


def _migrations() -> list[tuple[int, str]]:
    """The sections of schema.sql with their numbers, oldest first."""
    text = resources.files("chimera.journal").joinpath("schema.sql").read_text("utf-8")
    sections = text.split("\n-- version ")[1:]
    return [(int(section.partition(":")[0]), section.partition("\n")[2]) for section in sections]


def _migrate(db: apsw.Connection) -> None:
    if db.pragma("user_version") == _migrations()[-1][0]:
        return
    db.execute("BEGIN IMMEDIATE")
    # Read again under the lock: another process may have migrated between.
    have = int(str(db.pragma("user_version")))
    for version, statements in _migrations():
        if version > have:
            db.execute(statements)
            db.pragma("user_version", version)
    db.pragma("application_id", APPLICATION_ID)
    db.execute("COMMIT")


def _intent_row(run: int, i: Intent) -> tuple[int | float | str, ...]:
    return (
        run, i.client_id, i.market, i.unit, i.side.value, i.price, i.count, i.fence, i.p_true, i.required_edge, i.expires_at, i.at, i.trace,
    )  # fmt: skip


def _decision_row(run: int, d: Decision) -> tuple[int | float | str, ...]:
    return (
        run, d.market, d.side.value, d.book_seq, d.fair_seq, d.action, d.reason.value, d.price, d.count, d.p_true, d.at, d.trace,
        _json(d.waterfall),
    )  # fmt: skip


def _record_row(run: int, r: Record) -> tuple[int | float | str, ...]:
    return run, r.kind.value, r.at, r.market, r.trace, _json(r.fields)


def _json(fields: Mapping[str, Value] | Mapping[str, float]) -> str:
    """JSON has no infinity: a float that is not finite is kept as null."""
    return msgspec.json.encode(dict(fields)).decode()


class JournalReader:
    """Reads a journal, also while it is written. `run` narrows everything to one run; None reads every run.

    Rows come in the order of their commit, streamed, so a journal of any size can be read. ConfigError where the file is missing or not a
    journal, JournalError where reading fails.
    """

    def __init__(self, path: Path, run: str | None = None) -> None:
        if not path.is_file():
            raise ConfigError(f"there is no journal at {path}")
        self.path = path
        self.run = run
        try:
            self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._db.set_busy_timeout(2000)
            mark = self._db.pragma("application_id")
        except apsw.Error as error:
            raise _opening_fault(path, error) from error
        if mark != APPLICATION_ID:
            self._db.close()
            raise ConfigError(f"{path} is not a journal: it is another program's SQLite file")

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> JournalReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def runs(self) -> tuple[str, ...]:
        """The names of the runs in this file, oldest first."""
        return tuple(str(name) for (name,) in self._db.execute("SELECT name FROM runs ORDER BY id"))

    def _rows(self, sql: str, *more: str) -> Iterator[tuple[apsw.SQLiteValue, ...]]:
        """The rows of a query whose ?1 is the run."""
        try:
            yield from self._db.execute(sql, (self.run, *more))
        except apsw.Error as error:
            raise JournalError(f"the journal {self.path} could not be read: {error}") from error

    def intents(self) -> Iterator[Intent]:
        for row in self._rows(f"SELECT * FROM intents WHERE {_OF_RUN} ORDER BY id"):  # noqa: S608
            client_id, market, unit, side, *numbers = row[2:]
            yield Intent(str(client_id), str(market), str(unit), Side(side), *numbers)  # type: ignore[arg-type]

    def decisions(self) -> Iterator[Decision]:
        for row in self._rows(f"SELECT * FROM decisions WHERE {_OF_RUN} ORDER BY id"):  # noqa: S608
            yield _decision(row)

    def records(self, *kinds: Kind) -> Iterator[Record]:
        """Every record, or those of the given kinds."""
        names = ", ".join(f"?{place}" for place in range(2, 2 + len(kinds)))
        chosen = f"AND kind IN ({names})" if kinds else ""
        sql = f"SELECT kind, at, market, trace, fields FROM records WHERE {_OF_RUN} {chosen} ORDER BY id"  # noqa: S608
        for name, at, market, trace, fields in self._rows(sql, *(kind.value for kind in kinds)):
            yield Record(Kind(name), float(at), str(market), int(trace), msgspec.json.decode(str(fields)))  # type: ignore[arg-type]

    def fills(self) -> Iterator[Fill]:
        """Every fill once, in the order first told: what positions and cash are rebuilt from."""
        seen: set[str] = set()
        for record in self.records(Kind.FILL):
            fill = fill_of(record)
            if fill.fill_id not in seen:
                seen.add(fill.fill_id)
                yield fill

    def positions(self) -> Mapping[str, tuple[int, Money]]:
        """(count, cash) by market from the fills alone: count is signed (1e-2 contracts), cash what they brought in less fees (1e-6 $)."""
        held: dict[str, tuple[int, Money]] = {}
        for fill in self.fills():
            count, cash = held.get(fill.market, (0, 0))
            bought = fill.side.sign * fill.count
            held[fill.market] = (count + bought, cash - bought * fill.price - fill.fee)
        return held

    def settled(self) -> Mapping[str, Price]:
        """What one YES contract paid, by market, in price units."""
        return {record.market: int(record.fields["value"] or 0) for record in self.records(Kind.SETTLED)}

    def counters(self) -> Mapping[str, int]:
        """The highest counter of the kill register seen for each scope, for `KillRegister.resume`."""
        sql = f"SELECT scope, max(counter) FROM trips WHERE {_OF_RUN} AND scope IS NOT NULL GROUP BY scope"  # noqa: S608
        return {str(scope): int(counter) for scope, counter in self._rows(sql) if counter is not None}

    def standing_kills(self) -> tuple[Trip, ...]:
        """The last kill of each scope that nothing armed afterwards: holds that may still run, and latches."""
        standing: dict[Scope, Trip] = {}
        for record in self.records(Kind.KILL, Kind.ARMED):
            if record.kind is Kind.KILL:
                trip = trip_of(record)
                standing.pop(trip.scope, None)
                standing[trip.scope] = trip
            else:
                standing.pop(Scope.parse(str(record.fields["scope"])), None)
        return tuple(standing.values())

    def pregames(self) -> tuple[Pregame, ...]:
        """The last pregame price of each game."""
        return tuple({pregame.unit: pregame for pregame in map(pregame_of, self.records(Kind.PRIOR))}.values())

    def by_market(self) -> Iterator[Decision]:
        """Every decision, the markets in sorted order and each market's in its own order."""
        for row in self._rows(f"SELECT * FROM decisions WHERE {_OF_RUN} ORDER BY market, id"):  # noqa: S608
            yield _decision(row)


def _decision(row: tuple[apsw.SQLiteValue, ...]) -> Decision:
    market, side, book_seq, fair_seq, action, reason, price, count, p_true, at, trace, waterfall = row[2:]
    return Decision(
        str(market), Side(side), int(book_seq), int(fair_seq), str(action), Reason(reason), int(price), int(count),  # type: ignore[arg-type]
        float(p_true), float(at), int(trace), msgspec.json.decode(str(waterfall)),  # type: ignore[arg-type]
    )  # fmt: skip


def decision_hash(reader: JournalReader) -> str:
    """BLAKE2b-256, in hex, over what was decided and from which inputs: the measure of a faithful replay.

    Hashed: the market, (book_seq, fair_seq), side, price, count, action, reason, and p_true rounded to 1e-6, per market in its own order,
    the markets sorted. Not hashed: time, trace, ids, the waterfall, and how decisions of different markets fell among each other.
    """
    digest = hashlib.blake2b(digest_size=32)
    encode = msgspec.json.encode
    for d in reader.by_market():
        line = (d.market, d.book_seq, d.fair_seq, d.side.value, d.price, d.count, d.action, d.reason.value, f"{d.p_true + 0.0:.6f}")
        digest.update(encode(line))
    return digest.hexdigest()


def hash_of(path: Path, run: str | None = None) -> str:
    """The decision hash of a journal file, or of one run in it."""
    with closing(JournalReader(path, run)) as reader:
        return decision_hash(reader)
