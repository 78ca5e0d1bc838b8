"""chimera-audit orders: 0 for a clean run, 3 with the offenders for any other, 4 where nothing can be proved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from actors.cli.audit import main
from actors.outcome import ExitCode
from chimera.conventions import Side
from chimera.journal.records import Intent
from chimera.journal.store import JournalStore
from chimera.journal.venue_log import VenueLogFile, venue_log_path
from chimera.trading.venue_log import Accepted, Fired, Left, Line, Opened, Sent, VenueLog

M = "KXNBAGAME-1"


def order(name: str, price: int = 4600, fence: int = 1) -> tuple[Line, ...]:
    """An order that was sent, rested and was cancelled."""
    return (
        Sent(
            at=1.0, client_id=name, market=M, side=Side.BID, price=price, count=100, expires_at=60.0, fence=fence, p_true=0.5,
            required_edge=3.0,
        ),
        Accepted(at=1.1, client_id=name, order_id=f"P{name}", market=M),
        Left(at=2.0, client_id=name, order_id=f"P{name}", market=M, why="Cancel", reduced=100),
    )  # fmt: skip


TRIP = Fired(at=0.5, scope=f"MARKET:{M}", reason="edge_gone", source="test", counter=2, pull=True, fences={M: 2})


@pytest.fixture
def audited(tmp_path: Path) -> Callable[..., Result]:
    """Audits a journal whose venue log is doctored to hold these lines; every order of `intents` has its intent."""

    def auditing(*lines: Line, intents: str = "abc", options: tuple[str, ...] = ()) -> Result:
        path = tmp_path / "j.db"
        store = JournalStore(path, "run1", durable=False)
        prices = {line.client_id: (line.price, line.fence) for line in lines if isinstance(line, Sent)}
        store.commit([
            Intent(name, M, "U", Side.BID, price, 100, fence, 0.5, 3.0, 60.0, 1.0)
            for name, (price, fence) in prices.items() if name in intents
        ])  # fmt: skip
        store.close()
        file = VenueLogFile(venue_log_path(path))
        log = VenueLog(file.write)
        for line in (Opened(at=0.0, cash=1_000_000_000), *lines):
            log.add(line)
        file.close()
        return CliRunner().invoke(main, ["orders", "--journal", str(path), *options])

    return auditing


def test_a_clean_run_is_proved(audited: Callable[..., Result]) -> None:
    result = audited(*order("a"))
    assert result.exit_code == ExitCode.OK
    assert "Every order is proved." in result.stdout


@pytest.mark.parametrize(
    ("lines", "intents", "kind"),
    [
        ((TRIP, *order("a", fence=1)), "a", "stale_fence"),
        (order("a", price=4800), "a", "above_anchor"),
        (order("a"), "", "orphan"),
        (order("a", price=5100), "a", "negative_ev"),
        ((*order("a")[:2], *order("b")[:2]), "ab", "over_limit"),
    ],
)
def test_each_kind_of_wrong_ends_with_3_and_names_its_order(
    audited: Callable[..., Result], lines: tuple[Line, ...], intents: str, kind: str
) -> None:
    result = audited(*lines, intents=intents)
    assert result.exit_code == ExitCode.AUDIT_FAILED
    assert any(f"{kind}: " in line and M in line for line in result.stdout.splitlines())
    assert "Every order is proved." not in result.stdout


def test_for_machines_the_last_line_holds_counts_and_offences(audited: Callable[..., Result]) -> None:
    result = audited(*order("a", price=4800), options=("--json",))
    found = json.loads(result.stdout.splitlines()[-1])
    assert result.exit_code == ExitCode.AUDIT_FAILED
    assert found["violations"] == {"stale_fence": 0, "orphan": 0, "above_anchor": 1, "over_limit": 0, "negative_ev": 0}
    assert [offence["client_id"] for offence in found["offences"]] == ["a"]


def test_a_journal_without_its_venue_log_proves_nothing(tmp_path: Path) -> None:
    JournalStore(tmp_path / "j.db", "run1", durable=False).close()
    result = CliRunner().invoke(main, ["orders", "--journal", str(tmp_path / "j.db")])
    assert (result.exit_code, "there is no venue log" in result.stderr) == (ExitCode.CONFIG_INVALID, True)


def test_a_log_with_a_line_cut_out_proves_nothing(audited: Callable[..., Result], tmp_path: Path) -> None:
    audited(*order("a"))
    log = venue_log_path(tmp_path / "j.db")
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:2] + lines[3:]))
    result = CliRunner().invoke(main, ["orders", "--journal", str(tmp_path / "j.db")])
    assert (result.exit_code, "missing or out of order" in result.stderr) == (ExitCode.CONFIG_INVALID, True)


@pytest.mark.parametrize("name", ["nothing.db", "text.db"])
def test_what_is_no_journal_is_said_in_a_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.db").write_text("not a journal" * 100)
    result = CliRunner().invoke(main, ["orders", "--journal", str(tmp_path / name)])
    assert result.exit_code == ExitCode.CONFIG_INVALID
    assert name in result.stderr
    assert "Traceback" not in result.output
