"""chimera-sim: a loopback Kalshi and ESPN with a seeded evening of NBA games, for shadow runs and tests."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from actors.cli.common import EPILOG, configure_logging, fail
from actors.outcome import ExitCode
from chimera.clock import WorldClock
from chimera.conventions import Money, parse_money
from chimera.sim.exchange.exchange import CASH
from chimera.sim.exchange.faults import FaultSpecError, parse_faults
from chimera.sim.exchange.limits import TIERS
from chimera.sim.exchange.traders import INFORMED_LEAD
from chimera.sim.process import Scene, run


def _clock(_ctx: click.Context, _param: click.Parameter, value: str | None) -> WorldClock:
    """The world's clock: real time, or world time at one moment of the monotonic clock and how fast it goes."""
    if value is None:
        return WorldClock()
    try:
        mono, unix, speed = value.split(",")
        return WorldClock(origin_ns=int(mono), origin_unix=float(unix), speed=float(speed))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not MONO_NS,WORLD_UNIX,SPEED: {error}") from None


def _cash(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[int, Money]:
    """Cash by shard; what is given replaces the default altogether."""
    cash: dict[int, Money] = {}
    for value in values:
        shard, _, dollars = value.partition("=")
        try:
            cash[int(shard)] = parse_money(dollars)
        except ValueError as error:
            raise click.BadParameter(f"{value!r} is not SHARD=DOLLARS: {error}") from None
        if min(cash[int(shard)], int(shard)) < 0:
            raise click.BadParameter(f"{value!r} is below zero")
    return cash or dict(CASH)


def _faults(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        parse_faults(value)
    except FaultSpecError as error:
        raise click.BadParameter(str(error)) from None
    return value


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--ready-file", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="Where to write the addresses, keys and clock once everything answers.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, show_default=True, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seeds the games, everyone who trades, and faults.")
@click.option("--faults", callback=_faults, default="", metavar="SPEC",
              help="What goes wrong: NAME[:KEY=VALUE,...];..., as in 'drop_seq:every=500;ack_lost:p=0.02;hold:for=3,n=1'.")
@click.option("--cash", callback=_cash, multiple=True, metavar="SHARD=DOLLARS",
              help="Cash of the account on a shard; may be repeated.  [default: 0=0 and 3=10000]")
@click.option("--tier", type=click.Choice(list(TIERS)), default="basic", show_default=True, help="Rate limits of the account.")
@click.option("--informed-lead", type=click.FloatRange(0, 300), default=INFORMED_LEAD, show_default=True,
              help="Seconds before ESPN's document at which informed takers know of a play; 0: nobody is informed.")
@click.option("--clock-origin", "clock", callback=_clock, metavar="MONO_NS,WORLD_UNIX,SPEED",
              help="World time to share with a parent; without it world time is real time.")
@click.option("--exit-with-parent", is_flag=True, help="End when standard input closes.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning", show_default=True,
              help="What is logged to stderr.")
def main(
    ready_file: Path, port: int, seed: int, faults: str, cash: dict[int, Money], tier: str, informed_lead: float, clock: WorldClock,
    exit_with_parent: bool, log_level: str,
) -> None:  # fmt: skip
    """Serve a loopback Kalshi and ESPN until SIGTERM or SIGINT; nothing outside this machine is touched.

    The ready file appears, whole, when everything it names answers, and is removed at the end with the throwaway keys.
    """
    configure_logging(log_level)
    scene = Scene(seed, cash, tier, informed_lead, faults)
    try:
        trio.run(_run, ready_file, port, clock, exit_with_parent, scene)
    except FaultSpecError as error:
        fail(ExitCode.USAGE, f"chimera-sim: --faults: {error}")
    except OSError as error:
        fail(ExitCode.FAILURE, f"chimera-sim: {error.strerror or error}: {error.filename or f'port {port}'}")


async def _run(ready_file: Path, port: int, clock: WorldClock, exit_with_parent: bool, scene: Scene) -> None:
    await run(ready_file=ready_file, port=port, clock=clock, exit_with_parent=exit_with_parent, scene=scene)


if __name__ == "__main__":
    main()
