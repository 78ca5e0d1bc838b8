"""Progress of a run on stderr: one line that is redrawn on a terminal, and nothing at all elsewhere."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from actors.outcome import Progress, Report


def line(progress: Progress) -> Text:
    """One progress as one line."""
    clock = dt.datetime.fromtimestamp(progress.now, dt.UTC).strftime("%H:%M:%S")
    share = "" if math.isinf(progress.total) else f" {min(1.0, progress.elapsed / progress.total):4.0%}"
    state = f"waiting for {progress.waiting}" if progress.waiting else "trading"
    return Text.assemble(
        (f"{clock} UTC{share}  ", "dim"),
        (f"{state:<14}", "yellow" if progress.waiting else "green"),
        f"{progress.resting:>3} resting  {progress.pulls:>4} pulls  {progress.kills:>3} kills  {progress.frames:>7,} frames",
    )


@contextmanager
def show_progress(*, enabled: bool) -> Iterator[Report]:
    """Show progress while the block runs; quiet when piped."""
    console = Console(stderr=True)
    if not (enabled and console.is_terminal):
        yield lambda _progress: None
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield lambda progress: live.update(line(progress))
