"""chimera-replay: make worlds of what was recorded, and look at them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import attrs
import click
from rich.console import Console

from actors.cli.common import EPILOG, debug_option, guarded
from chimera.journal.importers.nba import import_nba
from chimera.journal.importers.nhl import import_nhl
from chimera.journal.importers.world import ImportReport

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Make worlds of what was recorded. Run one with `chimera-shadow --world DIR`."""


@main.group("import", epilog=EPILOG)
def import_() -> None:
    """Build a world directory from data that others kept."""


@import_.command("nba", epilog=EPILOG)
@click.option("--summary", type=_FILE, required=True, help="ESPN's summary document of the finished game (JSON).")
@click.option("--trades", type=_FILE, required=True, help="One-minute trades of Kalshi markets (Parquet).")
@click.option("--game", metavar="NAME", required=True, help="The game in the trades' `file` column, e.g. 42400306_NYK_at_IND_2025-05-31.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The directory to make.")
@click.option("--publish-delay", type=click.FloatRange(0, 600), default=12.0, show_default=True,
              help="Seconds from a play to its publication.")
@click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object.")
@debug_option
@guarded
def nba(summary: Path, trades: Path, game: str, out: Path, publish_delay: float, as_json: bool) -> None:
    """One NBA game: ESPN's plays as they would have been published, and a book laid around Kalshi's last visible trade.

    \b
    The world begins 10 minutes before the first play and ends 5 after the last. The book is derived
    from one-minute trades, and so are its fills and PnL: they show that the machine works, not that it earns.
    """
    _tell(import_nba(summary, trades, game, out, publish_delay), as_json)


@import_.command("nhl", epilog=EPILOG)
@click.option("--summary", type=_FILE, required=True, help="ESPN's summary document of the finished game (JSON).")
@click.option("--home-price", type=click.FloatRange(0.01, 0.99), required=True, help="The home team's pregame probability.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The directory to make.")
@click.option("--publish-delay", type=click.FloatRange(0, 600), default=12.0, show_default=True,
              help="Seconds from a play to its publication.")
@click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object.")
@debug_option
@guarded
def nhl(summary: Path, home_price: float, out: Path, publish_delay: float, as_json: bool) -> None:
    """One NHL game: ESPN's plays as they would have been published, and a market made of them.

    \b
    No trades of NHL games were kept: the market is a crowd that trades on score and clock alone, sooner
    than our feed shows them. Its fills and PnL show that the machine works, not that it earns.
    """
    _tell(import_nhl(summary, home_price, out, publish_delay), as_json)


def _tell(report: ImportReport, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(attrs.asdict(report), default=str, sort_keys=True))
    else:
        _show(report)


def _show(report: ImportReport) -> None:
    console = Console()
    for field in attrs.fields(ImportReport):
        value = getattr(report, field.name)
        if isinstance(value, float) and value > 1e9:
            value = dt.datetime.fromtimestamp(value, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        elif isinstance(value, tuple):
            value = ", ".join(str(part) for part in value)
        console.print(f"{field.name.replace('_', ' '):>20}  {value}", highlight=False)
    console.print(f"\nRun it: chimera-shadow --world {report.out}", highlight=False)


if __name__ == "__main__":
    main()
