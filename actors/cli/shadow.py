"""chimera-shadow: trade on paper, with everything else as it is live."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from actors.app import Plan, run_plan
from actors.cli.common import EPILOG, configure_logging, guarded, load_settings, run_options
from actors.cli.progress import show_progress
from actors.outcome import ExitCode
from actors.summary import render
from actors.worlds import Place


@click.command(epilog=EPILOG, context_settings={"auto_envvar_prefix": "CHIMERA", "help_option_names": ["-h", "--help"]})
@click.option("--world", metavar="W", help="live, demo, embedded, sim:READY_FILE or a recording's directory. "
              "Default: live where a Kalshi key is set, embedded otherwise.")
@click.option("--poll-seconds", type=click.FloatRange(0.2, 120), help="World seconds between polls of a feed; overrides the registry.")
@click.option("--journal", type=click.Path(path_type=Path, dir_okay=False),
              help="Where to keep the journal; an existing one is carried on. Default: a new file under journal/.")
@click.option("--record", type=click.Path(path_type=Path, file_okay=False), help="Record every frame into this directory.")
@run_options
@guarded
def main(
    world: str | None,
    poll_seconds: float | None,
    journal: Path | None,
    record: Path | None,
    config: Path,
    env_file: Path | None,
    speed: float | None,
    seed: int,
    duration: float | None,
    as_json: bool,
    log_level: str,
) -> None:
    """Shadow-trade: real feeds and books (or a simulated world), paper orders, nothing sent.

    \b
    Examples:
      chimera-shadow                                     the embedded world, or live prices if env.list has a key
      chimera-shadow --world embedded --speed 10 --duration 300
      chimera-shadow --world worlds/nyk-ind --json       replay a recorded game
    """
    configure_logging(log_level)
    registry, environment = load_settings(config, env_file)
    place = Place.parse(world, environment)
    plan = Plan(
        place, registry, environment, seed=seed, speed=speed, duration=duration, poll_seconds=poll_seconds, journal=journal, record=record
    )
    with show_progress(enabled=not as_json) as progress:
        result = run_plan(plan, progress)
    if as_json:
        click.echo(json.dumps(result.summary.to_dict(), sort_keys=True))
    else:
        render(result.summary, Console())
    if result.code is not ExitCode.OK:
        raise SystemExit(int(result.code))


if __name__ == "__main__":
    main()
