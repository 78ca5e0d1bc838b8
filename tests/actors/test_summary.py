"""The summary: what it holds, from which file each number comes, and what a person is shown."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.console import Console

from actors.messages import Exposure
from actors.summary import Summary, render, summarize
from chimera.conventions import DOLLAR, Side
from chimera.journal.records import Decision, Intent, Kind, Record
from chimera.journal.shape import trip_record
from chimera.journal.store import Entry, JournalStore
from chimera.journal.venue_log import VenueLogFile, venue_log_path
from chimera.trading.kill import GLOBAL, Trip, market
from chimera.trading.reasons import Reason
from chimera.trading.venue_log import Accepted, Filled, Left, Line, Opened, Sent, VenueLog

M = "KXNBAGAME-1"
CONTRACT_KEYS = {
    "world", "seconds", "frames", "decisions", "orders", "cancels", "pulls", "kills", "fills", "sent", "pnl_dollars", "fees_dollars",
    "restarts", "violations", "brier", "decision_hash", "journal",
}  # fmt: skip
"""What the summary of every run holds (architecture, section 13)."""


def trip(reason: Reason, *, pull: bool = False, source: str = "test") -> Record:
    return trip_record(Trip(market(M) if pull else GLOBAL, reason, source, 5.0, 0.0, 1, pull=pull))


def death(actor: str, reason: str) -> Record:
    return Record(Kind.RESTART, 6.0, fields={"actor": actor, "incarnation": 1, "reason": reason})


def sent(name: str, price: int = 4600) -> Sent:
    return Sent(
        at=1.0, client_id=name, market=M, side=Side.BID, price=price, count=100, expires_at=50.0, fence=1, p_true=0.5, required_edge=3.0
    )


def accepted(name: str) -> Accepted:
    return Accepted(at=1.1, client_id=name, order_id=f"P{name}", market=M)


LINES: tuple[Line, ...] = (
    Opened(at=0.0, cash=DOLLAR),
    sent("a"),
    accepted("a"),
    Left(at=2.0, client_id="a", order_id="Pa", market=M, why="Cancel", reduced=100),
    sent("b"),
    accepted("b"),
    Filled(at=3.0, fill_id="Fb", client_id="b", order_id="Pb", market=M, side=Side.BID, price=4600, count=100, left=0),
    sent("c"),
)
ENTRIES: tuple[Entry, ...] = (
    *(Intent(name, M, "U", Side.BID, 4600, 100, 1, 0.5, 3.0, 50.0, 1.0) for name in "abc"),
    *(Decision(M, Side.BID, 1, number, "keep", Reason.KEPT, 4600, 100, 0.5, float(number)) for number in range(5)),
    trip(Reason.EDGE_GONE, pull=True),
    trip(Reason.EDGE_GONE, pull=True),
    trip(Reason.ACTOR_DOWN),
    death("nba", "RuntimeError: a bug"),
    trip(Reason.SHUTDOWN, source="app"),
    trip(Reason.DAILY_LOSS, source="app"),
    death("nba", "shutdown"),
)


def kept(path: Path, *entries: Entry) -> None:
    store = JournalStore(path, "run1", durable=False)
    store.commit(entries)
    store.close()


def summarized(path: Path, held: Exposure | None = None) -> Summary:
    return summarize(
        journal=path, run="run1", world="embedded", seconds=12.34567, frames=9, held=held,
        brier={"nba": {"model": None, "market": None, "n": 0}}, ended="ok", waiting={}, notes=("book derived",),
    )  # fmt: skip


def summed(folder: Path, *lines: Line, held: Exposure | None = None) -> Summary:
    """The summary of a made-up run, with `lines` at the end of the venue's log."""
    path = folder / "j.db"
    kept(path, *ENTRIES)
    file = VenueLogFile(venue_log_path(path))
    log = VenueLog(file.write)
    for line in (*LINES, *lines):
        log.add(line)
    file.close()
    return summarized(path, held)


def shown(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=160)
    render(summary, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class TestNumbers:
    """Orders are counted by the venue, decisions and kills by the journal, money by the account."""

    def test_it_holds_everything_that_is_promised_as_plain_json(self, tmp_path: Path) -> None:
        plain: dict[str, Any] = json.loads(json.dumps(summed(tmp_path).to_dict(), allow_nan=False))
        assert set(plain) >= CONTRACT_KEYS
        assert set(plain["pnl_dollars"]) == {"settled", "marked"}
        assert set(plain["violations"]) == {"stale_fence", "orphan", "above_anchor", "over_limit", "negative_ev"}
        assert set(plain["brier"]["nba"]) == {"model", "market", "n"}

    def test_orders_are_counted_from_the_venue_s_own_log(self, tmp_path: Path) -> None:
        summary = summed(tmp_path)
        assert (summary.sent, summary.orders, summary.cancels, summary.fills) == (3, 2, 1, 1)

    def test_an_orderly_end_is_neither_a_kill_nor_a_death(self, tmp_path: Path) -> None:
        summary = summed(tmp_path)
        assert (summary.decisions, summary.pulls, summary.kills, summary.restarts) == (5, 2, 1, 1)

    def test_money_is_in_dollars(self, tmp_path: Path) -> None:
        summary = summed(tmp_path, held=Exposure(2 * DOLLAR, -DOLLAR // 2, 1234, 0, 0, 1.0))
        assert (dict(summary.pnl_dollars), summary.fees_dollars) == ({"settled": 2.0, "marked": -0.5}, 0.001234)

    def test_the_same_decisions_have_the_same_hash_and_others_another(self, tmp_path: Path) -> None:
        first, second = (tmp_path / name for name in "12")
        for folder in (first, second):
            folder.mkdir()
        before = summed(first).decision_hash
        assert summed(second).decision_hash == before
        kept(second / "j.db", Decision(M, Side.BID, 1, 9, "keep", Reason.KEPT, 4600, 100, 0.5, 9.0))
        assert summarized(second / "j.db").decision_hash != before

    def test_violations_are_the_audit_s(self, tmp_path: Path) -> None:
        assert summed(tmp_path).clean
        (tmp_path / "worse").mkdir()
        worse = summed(tmp_path / "worse", sent("d", price=4900), accepted("d"))
        assert (worse.clean, worse.violations["above_anchor"], worse.violations["orphan"]) == (False, 1, 1)


class TestShown:
    """A person sees the verdict first, and what the numbers do not mean."""

    def test_a_clean_run_says_so(self, tmp_path: Path) -> None:
        text = shown(summed(tmp_path))
        assert "No violation" in text
        assert "book derived" in text

    def test_violations_are_counted_and_the_audit_is_named(self, tmp_path: Path) -> None:
        text = shown(attrs.evolve(summed(tmp_path), violations={"orphan": 2, "stale_fence": 0}))
        assert "VIOLATIONS: orphan 2. Run chimera-audit orders --journal" in text

    def test_what_an_actor_still_waited_for_is_shown(self, tmp_path: Path) -> None:
        assert "stream: stale no route" in shown(attrs.evolve(summed(tmp_path), waiting={"stream": "stale no route"}))

    @pytest.mark.parametrize("n", [0, 12])
    def test_a_score_is_shown_with_how_many_samples_it_rests_on(self, tmp_path: Path, n: int) -> None:
        score = {"model": 0.2 if n else None, "market": 0.21 if n else None, "n": n}
        text = shown(attrs.evolve(summed(tmp_path), brier={"nba": score}))
        assert ("over 12 samples" in text) if n else ("nothing settled" in text)
