"""Zero false fires: a trader that works is left alone, however busy the machine is in between.

Twenty seconds here; `CHIMERA_SOAK_SECONDS` makes it longer (`make soak`: ten).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from guard_rig import wait_until
from harness import SEVERAL, simulator
from test_guard import Exchange, live, page_of, quoting

from chimera.guard.page import Page

pytestmark = pytest.mark.system

SECONDS = float(os.environ.get("CHIMERA_SOAK_SECONDS", "20"))
BURSTS = """
import time
while True:
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        pass
    time.sleep(1.4)
"""


@contextmanager
def bursts(count: int) -> Iterator[None]:
    """Neighbours that take whole cores, 0.6 s in every two."""
    hogs = [subprocess.Popen([sys.executable, "-c", BURSTS]) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def test_a_trader_that_works_is_never_fired_on(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with simulator(tmp_path, speed=5.0) as ready, live(exchange := Exchange(ready), journal) as trader:
        wait_until("several orders rest", quoting(exchange), 20.0)
        page, most, until = Page.open(page_of(journal)), 0, time.monotonic() + SECONDS
        with bursts(os.cpu_count() or 1):
            while time.monotonic() < until:
                assert not page.latched, f"fired on a trader that works: {page.read()}"
                assert trader.poll() is None
                most = max(most, len(exchange.resting()))
                time.sleep(0.5)
        assert most >= SEVERAL
        trader.send_signal(signal.SIGTERM)
        out, _ = trader.communicate(timeout=20.0)
        assert trader.returncode == 143
        assert sum(json.loads(out.splitlines()[-1])["violations"].values()) == 0
        assert not page.latched
