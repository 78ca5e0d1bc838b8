"""The summary of a run: one flat record, from the journal, the venue's own log and the account, never from the gateway's table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from actors.messages import Exposure
from chimera.audit.orders import audit_orders
from chimera.conventions import dollars
from chimera.journal.records import Kind
from chimera.journal.store import JournalReader, decision_hash
from chimera.journal.venue_log import read_venue_log, venue_log_path
from chimera.trading.reasons import Reason
from chimera.trading.venue_log import Accepted, Filled, Left, Sent


@attrs.frozen(slots=True)
class Summary:
    """What a shadow, live or replay run prints. Money in dollars, `seconds` in world time; `brier` by domain: model, market, n.

    `waiting` names the actors that were not ready at the end, with what they waited for. `notes` say what in these numbers is derived.
    """

    world: str
    seconds: float
    frames: int
    decisions: int
    orders: int
    cancels: int
    pulls: int
    kills: int
    fills: int
    sent: int
    pnl_dollars: Mapping[str, float]
    fees_dollars: float
    restarts: int
    violations: Mapping[str, int]
    brier: Mapping[str, Mapping[str, float | int | None]]
    decision_hash: str
    journal: str
    exit: str = "ok"
    waiting: Mapping[str, str] = attrs.Factory(dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return attrs.asdict(self)

    @property
    def clean(self) -> bool:
        return not any(self.violations.values())


def _numbers(summary: Summary) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column(style="dim")
    minutes, seconds = divmod(round(summary.seconds), 60)
    rows = (
        ("World time", f"{minutes}:{seconds:02d}", f"{summary.frames:,} frames through the door"),
        ("Decisions", f"{summary.decisions:,}", f"{summary.orders:,} orders placed, {summary.cancels:,} cancelled"),
        ("Pulls and kills", f"{summary.pulls + summary.kills:,}", f"{summary.pulls:,} pulls, {summary.kills:,} kills"),
        ("Fills", f"{summary.fills:,}", f"fees ${summary.fees_dollars:,.4f}"),
        ("PnL", f"${summary.pnl_dollars['settled'] + summary.pnl_dollars['marked']:+,.2f}",
         f"settled ${summary.pnl_dollars['settled']:+,.2f}, open positions marked ${summary.pnl_dollars['marked']:+,.2f}"),
        ("Restarts", f"{summary.restarts:,}", "actors that died and came back"),
    )
    for row in rows:
        table.add_row(*row)
    for domain, score in summary.brier.items():
        model, market = score.get("model"), score.get("market")
        said = "nothing settled" if not score.get("n") else f"market {market:.4f} over {score['n']:,} samples (lower is better)"
        table.add_row(f"Brier {domain}", "-" if model is None else f"{model:.4f}", said)
    return table


def render(summary: Summary, console: Console) -> None:
    """Print the summary for a person."""
    if summary.clean:
        verdict = Text("No violation: no stale fence, no orphan, nothing above its anchor or over a limit.", style="green")
    else:
        found = ", ".join(f"{name} {count}" for name, count in summary.violations.items() if count)
        verdict = Text(f"VIOLATIONS: {found}. Run chimera-audit orders --journal {summary.journal}", style="bold red")
    waiting = [Text(f"{actor}: {why}", style="yellow") for actor, why in summary.waiting.items()]
    notes = [Text(note, style="dim") for note in summary.notes]
    tail = [Text(f"Journal {summary.journal}", style="dim"), Text(f"Decisions hash {summary.decision_hash}", style="dim")]
    body = Group(_numbers(summary), Text(), verdict, *waiting, *notes, *tail)
    console.print(Panel(body, title=f"World {summary.world}", expand=False))


# From the files of a run


@attrs.frozen(slots=True)
class _Counted:
    """What the venue's own log counts, over every run of the journal."""

    sent: int
    orders: int
    cancels: int
    fills: int


def _count_venue(journal: Path) -> _Counted:
    lines: Counter[type] = Counter()
    for line in read_venue_log(venue_log_path(journal)):
        lines[type(line)] += 1
    return _Counted(lines[Sent], lines[Accepted], lines[Left], lines[Filled])


def summarize(
    *,
    journal: Path,
    run: str,
    world: str,
    seconds: float,
    frames: int,
    held: Exposure | None,
    brier: Mapping[str, Mapping[str, float | int | None]],
    ended: str,
    waiting: Mapping[str, str],
    notes: tuple[str, ...],
) -> Summary:
    """Sum up a run. ConfigError or JournalError where its files cannot be read."""
    with JournalReader(journal, run) as reader:
        trips: Counter[Kind] = Counter()
        for record in reader.records(Kind.PULL, Kind.KILL, Kind.RESTART):
            # The latch of an orderly end (which may bear the cause of one that stood) is no kill, and who ends with it did not die.
            if record.fields.get("reason") != Reason.SHUTDOWN.value and record.fields.get("source") != "app":
                trips[record.kind] += 1
        decisions = sum(1 for _ in reader.decisions())
        digest = decision_hash(reader)
    counted = _count_venue(journal)
    settled, marked, fees = (held.settled, held.marked, held.fees) if held is not None else (0, 0, 0)
    return Summary(
        world=world,
        seconds=round(seconds, 3),
        frames=frames,
        decisions=decisions,
        orders=counted.orders,
        cancels=counted.cancels,
        pulls=trips[Kind.PULL],
        kills=trips[Kind.KILL],
        fills=counted.fills,
        sent=counted.sent,
        pnl_dollars={"settled": dollars(settled), "marked": dollars(marked)},
        fees_dollars=dollars(fees),
        restarts=trips[Kind.RESTART],
        violations=audit_orders(journal).violations,
        brier=brier,
        decision_hash=digest,
        journal=str(journal),
        exit=ended,
        waiting=waiting,
        notes=notes,
    )
