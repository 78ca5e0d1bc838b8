"""chimera-guard as a process: its exit codes, its own session, and what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chimera.guard.page import Latch, Page

ROOT = Path(__file__).resolve().parents[3]
TRADER = """
import sys, time
from pathlib import Path
from chimera.guard.page import Page, Phase
page = Page.create(Path(sys.argv[1]))
page.progressed(time.monotonic())
print("ready", flush=True)
while not Path(sys.argv[1] + ".done").exists():
    page.progressed(time.monotonic())
    time.sleep(0.02)
page.enter(Phase.RELEASED)
"""
pytestmark = pytest.mark.system


@pytest.fixture
def command(ready: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The command line of a guard for the simulator's exchange."""
    import json

    world = json.loads(ready.read_text())
    clock = f"{world['monotonic_ns']},{world['world_unix']},{world['speed']}"

    def line(trader: int, page: Path, *more: str) -> list[str]:
        return [sys.executable, str(ROOT / "bin" / "chimera-guard"), "--page", str(page), "--trader", str(trader),
                "--rest-url", world["rest_url"], "--clock-origin", clock, "--env-file", world["env_file"], *more]  # fmt: skip

    return line
