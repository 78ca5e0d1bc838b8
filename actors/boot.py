"""Boot: the files a run keeps, and what an earlier run left in them.

A journal that is carried on gives back the kill register's counters, its latches and holds, and the paper account. Orders that rested when
the process died rest until they expire; the gateway finds them in the venue's list and cancels them before it places anything.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeAlias

import attrs

from actors.journal import JournalActor
from actors.recorder import RecorderActor
from actors.rules import Rulebook
from actors.runtime import ActorSystem, TrioActor
from actors.venue import pump
from actors.worlds import World
from chimera.conventions import Money
from chimera.errors import ConfigError
from chimera.intake import Observer
from chimera.journal.recording import Manifest, RecordingKind
from chimera.journal.records import Pregame
from chimera.journal.store import JournalReader, JournalStore
from chimera.journal.venue_log import VenueLogFile, read_venue_log, venue_log_path
from chimera.paper_tap import PaperTap
from chimera.trading.kill import Trip
from chimera.trading.paper import PaperExchange
from chimera.trading.paper_venue import Latency, PaperVenue
from chimera.trading.reasons import Reason
from chimera.trading.venue import OpenVenue
from chimera.trading.venue_log import Line, VenueLog

JOURNALS = Path("journal")


@attrs.frozen(slots=True)
class Past:
    """What earlier runs left in a journal: counters and standing kills of the kill register, pregame prices, and how many runs it holds."""

    counters: Mapping[str, int] = attrs.Factory(dict)
    standing: tuple[Trip, ...] = ()
    runs: int = 0
    pregames: tuple[Pregame, ...] = ()


@attrs.frozen(slots=True)
class Ledger:
    """The open files of one run, and the venue that writes to one of them. `run` names the run, and begins every client id.

    `keep` is the venue's own task, beside the tree; `taps` see every frame at the door. `cash` is the account's at the start.
    """

    journal: Path
    run: str
    past: Past
    venue: OpenVenue
    record: Path | None
    seed: int
    cash: Money
    keep: Callable[[], Awaitable[None]]
    taps: tuple[Observer, ...] = ()

    def open_journal(self, system: ActorSystem) -> Callable[[], TrioActor]:
        """Makes each incarnation of the journal's actor."""
        gateway, telemetry = system.address("gateway"), system.address("telemetry")
        # A replay's orders are at no stake, so its commits need not wait for the disk.
        return lambda: JournalActor(
            open_store=lambda: JournalStore(self.journal, self.run, durable=not system.virtual), gateway=gateway, telemetry=telemetry
        )

    def open_recorder(self, system: ActorSystem, world: World) -> Callable[[], TrioActor] | None:
        """Makes each incarnation of the recorder; None where nothing is recorded."""
        directory = self.record
        if directory is None:
            return None
        manifest = Manifest(RecordingKind.RECORDING, world.clock.now(), notes=(f"recorded from the world {world.place}",))
        telemetry = system.address("telemetry")
        return lambda: RecorderActor(door=world.door, directory=directory, manifest=manifest, telemetry=telemetry)


@attrs.frozen(slots=True)
class Housed:
    """A venue with what it lives by: its own task, and what it must see at the door. `cash` is the account's.

    `lasting` says that its client ids are never freed, so that a run's name must never come again.
    """

    venue: OpenVenue
    keep: Callable[[], Awaitable[None]]
    cash: Money
    taps: tuple[Observer, ...] = ()
    lasting: bool = False


House: TypeAlias = Callable[[VenueLog, tuple[Line, ...]], Housed]
"""Opens the venue of a run, given the log it writes and what earlier runs wrote there."""


@contextmanager
def open_ledger(
    world: World, rules: Rulebook, *, journal: Path | None, record: Path | None, seed: int, house: House | None = None
) -> Iterator[Ledger]:
    """Open the files of a run; on paper without a `house`. ConfigError where a file cannot be, is another's, or is in use."""
    path = journal or fresh_journal(world)
    past = _past(path)
    log_path = venue_log_path(path)
    lines = tuple(read_venue_log(log_path)) if log_path.exists() else ()
    if past.runs and not lines:
        raise ConfigError(f"{log_path}: the venue's log of this journal is missing; restore it beside the journal or name another journal")
    with closing(VenueLogFile(log_path)) as file:
        log = VenueLog(file.write, lines[-1].seq if lines else 0)
        housed = _paper(world, rules, log, lines, seed) if house is None else house(log, lines)
        run = f"{world.place.kind.value}{past.runs + 1}" + (f"-{int(world.clock.now()):x}" if housed.lasting else "")
        yield Ledger(path, run, past, housed.venue, record, seed, housed.cash, housed.keep, housed.taps)


def fresh_journal(world: World) -> Path:
    """A name for a new journal, from the world and the machine's time."""
    try:
        JOURNALS.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{JOURNALS.absolute()}: cannot hold journals: {error.strerror}; give --journal FILE") from None
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%d-%H%M%S")
    return JOURNALS / f"{world.place.kind.value}-{stamp}-{os.getpid()}.db"


def _past(path: Path) -> Past:
    if not path.exists():
        return Past()
    with JournalReader(path) as reader:
        # Every orderly end latches GLOBAL; that is not a reason to stay latched.
        standing = tuple(trip for trip in reader.standing_kills() if trip.reason is not Reason.SHUTDOWN)
        return Past(reader.counters(), standing, len(reader.runs()), reader.pregames())


def _paper(world: World, rules: Rulebook, log: VenueLog, lines: tuple[Line, ...], seed: int) -> Housed:
    low, high = rules.registry.paper.latency_ms
    exchange = PaperExchange(log, rules.cash)
    exchange.open(world.clock.now(), lines)
    rng = Random(f"{seed}/paper")  # noqa: S311 - simulated latency
    venue = PaperVenue(exchange, log, clock=world.clock, rng=rng, latency=Latency(low / 1000.0, high / 1000.0))
    return Housed(venue, partial(pump, venue, world.clock), rules.cash, (PaperTap(venue),))
