"""What every command shares: exit codes, options, logging, and errors that say what to do.

stdout carries the result, stderr everything else. A `ChimeraError` is printed as one or more plain lines and becomes its exit code; a
traceback is shown only with `--debug`.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
import structlog

from actors.outcome import ExitCode
from chimera.clock import WorldClock
from chimera.errors import ChimeraError, ConfigError, CredentialError
from chimera.settings import ENV_FILE, REGISTRY, Environment, Registry, load_environment, load_registry

EPILOG = """\b
Exit codes: 0 ok, 1 failure, 2 usage, 3 audit failed, 4 configuration invalid,
5 credentials, clock or refusal to go live, 6 ended on a latched GLOBAL kill,
70 trading gave up, 130/143 interrupted or terminated (after a clean drain).
"""


def fail(code: ExitCode, *lines: str) -> NoReturn:
    """Say why on stderr and end with `code`."""
    for line in lines:
        click.echo(line, err=True)
    sys.exit(int(code))


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors Chimera raises on purpose into messages and exit codes; `debug` (a keyword of the command) shows the traceback."""

    @functools.wraps(command)
    def run(*args: Any, debug: bool = False, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except ChimeraError as error:
            if debug:
                raise
            if isinstance(error, ConfigError):
                fail(ExitCode.CONFIG_INVALID, *(error.faults or (str(error),)))
            if isinstance(error, CredentialError):
                fail(ExitCode.CREDENTIALS, str(error))
            fail(ExitCode.FAILURE, f"{type(error).__name__}: {error}")
        except KeyboardInterrupt:
            # Before there was anything to drain: a run that trades takes the signal itself.
            fail(ExitCode.INTERRUPTED, "interrupted")

    return run


def debug_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option("--debug", is_flag=True, help="Show a traceback where a plain message is shown otherwise.")(command)


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that runs the tree (architecture, section 13)."""
    options = (
        click.option("--config", type=click.Path(path_type=Path), default=REGISTRY, show_default=True, help="The signal registry."),
        click.option("--env-file", type=click.Path(path_type=Path), help="Credentials and addresses; env.list is read if it is there."),
        click.option("--speed", type=click.FloatRange(min=0, min_open=True), help="World seconds per second: embedded at most 10; "
                     "a recording runs as fast as it can unless this paces it."),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seeds everything random."),
        click.option("--duration", type=click.FloatRange(min=0, min_open=True), help="Stop after this many seconds of world time."),
        click.option("--json", "as_json", is_flag=True, help="The last line of stdout is one JSON object."),
        click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="warning", show_default=True,
                     help="What is logged to stderr."),
        debug_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def _clock(_ctx: click.Context, _param: click.Parameter, value: str | None) -> WorldClock:
    """The world's clock: real time, or world time at one moment of the monotonic clock and how fast it goes."""
    if value is None:
        return WorldClock()
    try:
        mono, unix, speed = value.split(",")
        return WorldClock(origin_ns=int(mono), origin_unix=float(unix), speed=float(speed))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not MONO_NS,WORLD_UNIX,SPEED: {error}") from None


def clock_option(command: Callable[..., None]) -> Callable[..., None]:
    """`--clock-origin`: the clock that a child process shares with its parent, as the keyword `clock`."""
    return click.option("--clock-origin", "clock", callback=_clock, metavar="MONO_NS,WORLD_UNIX,SPEED",
                        help="World time to share with a parent; without it world time is real time.")(command)


def load_settings(config: Path, env_file: Path | None) -> tuple[Registry, Environment]:
    """The registry and the environment, every fault of both listed together. ConfigError with one line per fault."""
    faults: list[str] = []
    loaded: list[Registry | Environment] = []
    path = env_file if env_file is not None else (ENV_FILE if ENV_FILE.exists() else None)
    for load in (lambda: load_registry(_find(config)), lambda: load_environment(path)):
        try:
            loaded.append(load())
        except ConfigError as error:
            faults.extend(error.faults or (str(error),))
    if faults:
        raise ConfigError(f"{len(faults)} fault(s) in the settings", tuple(faults))
    registry, environment = loaded
    assert isinstance(registry, Registry)
    assert isinstance(environment, Environment)
    return registry, environment


def _find(config: Path) -> Path:
    """The default registry beside the working directory, or the one that came with the installation."""
    if config != REGISTRY or config.exists():
        return config
    for base in (Path(__file__).resolve().parents[2], Path(sys.prefix) / "share" / "chimera-trader"):
        if (base / REGISTRY).exists():
            return base / REGISTRY
    return config


def configure_logging(level: str) -> None:
    """Log to stderr: for people on a terminal, as JSON lines otherwise."""
    people = structlog.dev.ConsoleRenderer(colors=not os.environ.get("NO_COLOR"))
    renderer: Any = people if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # pykka, httpx and trio-websocket log through the standard library.
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
