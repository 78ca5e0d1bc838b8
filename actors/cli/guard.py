"""chimera-guard: the last line. It empties the account's book when the trader dies, stalls or loses progress."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from urllib.parse import urlsplit

import click

from actors.cli.common import clock_option, fail, guarded
from actors.outcome import ExitCode
from chimera.clock import WorldClock
from chimera.errors import CredentialError, VenueError
from chimera.guard.line import Line
from chimera.guard.page import Latch, Page, Phase
from chimera.guard.process import Guard, Verdict, Watched, say
from chimera.kalshi.auth import load_signer
from chimera.kalshi.session import ExchangeSession
from chimera.settings import ENV_FILE, load_environment

CODES = {Verdict.RELEASED: ExitCode.OK, Verdict.EMPTIED: ExitCode.KILLED, Verdict.UNPROVED: ExitCode.FAILURE}
_PIPE = 0
"""Standard input: the trader holds the other end and writes nothing, so that its death is the pipe's end."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog="""\b
Exit codes: 0 the trader left in good order, 1 fired and the book could not be
proved empty, 2 usage, 4 configuration invalid, 5 the guard's key was refused,
6 fired and the book is proved empty.
""")
@click.option("--page", "page_path", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The page the trader made.")
@click.option("--trader", type=click.IntRange(min=2), help="The trader's process id.")
@click.option("--rest-url", help="The exchange, such as https://external-api.kalshi.com.")
@click.option("--ca", "ca_path", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Trust these certificates alone.")
@click.option("--parent-pipe", is_flag=True, help="Standard input ends when the trader does.")
@click.option("--kill-file", type=click.Path(path_type=Path), help="Latch everything when this file is there.")
@click.option("--stall-seconds", type=click.FloatRange(0.1, 60.0), default=1.0, show_default=True, help="Time without progress.")
@click.option("--env-file", type=click.Path(path_type=Path), help="Credentials; env.list is read if it is there.")
@click.option("--unlatch", is_flag=True, help="Nothing else: undo the page's latch. Refused while a trader runs.")
@clock_option
@guarded
def main(
    page_path: Path,
    trader: int | None,
    rest_url: str | None,
    ca_path: Path | None,
    parent_pipe: bool,
    kill_file: Path | None,
    stall_seconds: float,
    env_file: Path | None,
    unlatch: bool,
    clock: WorldClock,
) -> None:
    """Watch a trader. If it dies, stalls or loses progress: latch, kill it, cancel everything, prove that nothing rests.

    Its key is KALSHI_GUARD_KEY_ID with KALSHI_GUARD_PRIVATE_KEY_PATH, never the trader's. chimera-live starts it as a child in a session of
    its own. Touching the kill file latches everything without killing a trader that works.
    """
    if unlatch:
        _unlatch(page_path)
        return
    if trader is None or rest_url is None:
        raise click.UsageError("a watch needs --trader and --rest-url")
    _own_session()
    page = Page.open(page_path)
    try:
        pidfd = os.pidfd_open(trader)
    except ProcessLookupError:
        fail(ExitCode.FAILURE, f"chimera-guard: there is no process {trader} to watch")
    line = _line(rest_url, ca_path, env_file, clock)
    guard = Guard(page, line, clock, Watched(trader, pidfd, _PIPE if parent_pipe else None, kill_file, stall_seconds))
    signal.signal(signal.SIGTERM, lambda _number, _frame: guard.stop())
    say("watching", pid=os.getpid(), trader=trader, page=str(page_path), stall_s=stall_seconds)
    verdict = guard.watch()
    say("ended", verdict=verdict.value)
    line.close()
    raise SystemExit(int(CODES[verdict]))


def _own_session() -> None:
    """Neither a terminal's Ctrl-C nor its end may take the guard with it."""
    if os.getsid(0) != os.getpid():
        try:
            os.setsid()
        except PermissionError:
            say("fault", why="the guard leads a process group and keeps its session; start it with setsid")
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # On a busy machine it goes first, where it may.
    with contextlib.suppress(PermissionError):
        os.nice(-10)


def _line(rest_url: str, ca_path: Path | None, env_file: Path | None, clock: WorldClock) -> Line:
    """The guard's line, proved by a list of orders. CredentialError where it cannot cancel what it could not even list."""
    environment = load_environment(env_file or (ENV_FILE if ENV_FILE.exists() else None))
    key_id, key_path = environment.kalshi_guard_key_id, environment.kalshi_guard_private_key_path
    if not key_id or key_path is None:
        raise CredentialError("the guard needs a key of its own: set KALSHI_GUARD_KEY_ID and KALSHI_GUARD_PRIVATE_KEY_PATH")
    try:
        # The session's stream address is never dialled here.
        session = ExchangeSession(load_signer(key_id, key_path), clock, rest_url=rest_url, ws_url=f"wss://{urlsplit(rest_url).netloc}")
    except ValueError as error:
        raise click.UsageError(f"--rest-url: {error}") from None
    line = Line(session, ca_path=ca_path)
    try:
        line.resting()
    except VenueError as error:
        raise CredentialError(f"the guard cannot list the account's orders, so it could not empty its book: {error}") from None
    return line


def _unlatch(page_path: Path) -> None:
    Page.open(page_path).close()
    page = Page.create(page_path)
    state = page.read()
    page.unlatch()
    page.enter(Phase.RELEASED)
    page.flush()
    page.close()
    click.echo(f"{page_path}: " + ("was not latched" if state.latch is Latch.OPEN else f"no longer latched ({state.latch.name.lower()})"))


if __name__ == "__main__":
    main()
