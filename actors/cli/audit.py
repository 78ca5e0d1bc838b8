"""chimera-audit: proof, after the fact, of what a run did."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from actors.cli.common import EPILOG, ExitCode, debug_option, guarded
from chimera.audit.orders import OrderAudit, audit_orders


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Check what a run did, from the venue's own log and the journal; never from the trader's own table."""


@main.command("orders")
@click.option("--journal", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The journal of the run; the venue's log lies beside it.")
@click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object.")
@debug_option
@guarded
def orders(journal: Path, as_json: bool) -> None:
    """Prove each order of a journal: its fence, its anchor, its limits, its edge, and that nothing was left behind.

    Ends with 3 and a list of the offenders where one cannot be proved.
    """
    audit = audit_orders(journal)
    if as_json:
        click.echo(json.dumps(audit.to_json(), sort_keys=True))
    else:
        _show(audit)
    if any(audit.violations.values()):
        raise SystemExit(int(ExitCode.AUDIT_FAILED))


def _show(audit: OrderAudit) -> None:
    console = Console()
    console.print(
        f"{audit.sent} orders sent, {audit.accepted} accepted, {audit.renewed} renewed, {audit.fills} fills, {audit.trips} pulls and kills",
        highlight=False,
    )
    for kind, count in audit.violations.items():
        console.print(f"  {kind.replace('_', ' '):<14} {count}", style="red" if count else "green", highlight=False)
    for offence in audit.offences:
        console.print(str(offence), highlight=False)
    if audit.clean:
        console.print("Every order is proved.", style="green")


if __name__ == "__main__":
    main()
