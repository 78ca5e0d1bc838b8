"""chimera-sim: a loopback Kalshi and ESPN with a seeded evening of NBA games, for shadow runs and tests."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from actors.cli.common import ExitCode, clock_option, configure_logging, fail
from chimera.clock import WorldClock
from chimera.sim.process import run


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--ready-file", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="Where to write the addresses, keys and clock once everything answers.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, show_default=True, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seeds the games and everyone who trades.")
@clock_option
@click.option("--exit-with-parent", is_flag=True, help="End when standard input closes.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning", show_default=True,
              help="What is logged to stderr.")
def main(ready_file: Path, port: int, seed: int, clock: WorldClock, exit_with_parent: bool, log_level: str) -> None:
    """Serve a loopback Kalshi and ESPN until SIGTERM or SIGINT; nothing outside this machine is touched.

    The ready file appears, whole, when everything it names answers, and is removed at the end with the throwaway keys.
    """
    configure_logging(log_level)
    try:
        trio.run(_run, ready_file, port, seed, clock, exit_with_parent)
    except OSError as error:
        fail(ExitCode.FAILURE, f"chimera-sim: {error.strerror or error}: {error.filename or f'port {port}'}")


async def _run(ready_file: Path, port: int, seed: int, clock: WorldClock, exit_with_parent: bool) -> None:
    await run(ready_file=ready_file, port=port, seed=seed, clock=clock, exit_with_parent=exit_with_parent)


if __name__ == "__main__":
    main()
