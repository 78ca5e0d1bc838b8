"""chimera-audit: proof of what a run did, of what the models are worth, and of what the feeds mean."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from actors.cli.common import EPILOG, debug_option, guarded
from actors.outcome import ExitCode
from chimera.audit.models import audit_models
from chimera.audit.orders import OrderAudit, audit_orders
from chimera.audit.payloads import GameRow, Reading, read_payloads, to_json

DATA = click.option(
    "--data", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True, help="Recorded data: sports/, espn/ and so on."
)
JSON = click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object.")


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Check a run, from the venue's own log and the journal; the models, against results; the feeds, against what is taken from them."""


@main.command("orders", epilog=EPILOG)
@click.option("--journal", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="The journal of the run; the venue's log lies beside it.")
@JSON
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


@main.command("models", epilog=EPILOG)
@DATA
@click.option("--leave-one-out", type=click.Choice(["season"]), help="Score each season with parameters fitted to the others.")
@JSON
@debug_option
@guarded
def models(data: Path, leave_one_out: str | None, as_json: bool) -> None:
    """Score the models on recorded results, beside their baselines; a part whose file is not there is left out."""
    parts = audit_models(data, leave_season_out=leave_one_out is not None)
    if as_json:
        click.echo(json.dumps({name: part.numbers for name, part in parts.items()}, sort_keys=True))
        return
    for part in parts.values():
        for line in part.lines:
            click.echo(line)
        click.echo()


@main.command("payloads", epilog=EPILOG)
@DATA
@JSON
@debug_option
@guarded
def payloads(data: Path, as_json: bool) -> None:
    """Read every recorded ESPN document as the oracles would, or say why it is refused."""
    readings = read_payloads(data)
    if as_json:
        click.echo(json.dumps(to_json(readings), sort_keys=True))
        return
    for name, reading in readings.items():
        _show_reading(name, reading)
    refused = sum(1 for reading in readings.values() if reading.refused)
    click.echo(f"{len(readings)} documents: {len(readings) - refused} read, {refused} refused")


def _show_reading(name: str, reading: Reading) -> None:
    click.echo(f"{name}: {'refused: ' + reading.refused if reading.refused else f'{len(reading.games)} games'}")
    for game in reading.games:
        click.echo(f"  {_words(game)}")
    for why in reading.set_aside:
        click.echo(f"  set aside: {why}")


def _words(game: GameRow) -> str:
    minutes, seconds = divmod(game.clock_seconds_left, 60.0)
    words = [f"{game.league} {game.away} {game.away_score} at {game.home} {game.home_score}", game.status]
    if game.period:
        words.append(f"period {game.period}, {minutes:.0f}:{seconds:04.1f} left")
    if game.possession is not None:
        words.append(f"ball {game.possession:+.2f}")
    if game.home_skaters is not None:
        words.append(f"{game.away_skaters} skaters against {game.home_skaters}")
    pulled = ((game.home, game.home_goalie_pulled), (game.away, game.away_goalie_pulled))
    words += [f"{code}'s goalie is pulled" for code, gone in pulled if gone]
    return ", ".join(words)


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
