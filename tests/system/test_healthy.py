"""A run in which nothing goes wrong: nobody dies, no message goes unheard, nothing is waited for, and orders come and go."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import shadowing

from actors.outcome import ExitCode

pytestmark = pytest.mark.system


async def test_a_healthy_run_loses_no_message_and_ends_clean(ready: Path, tmp_path: Path) -> None:
    async with shadowing(ready, tmp_path / "journal.db") as shadow:
        await shadow.quoting()
        until = shadow.clock.now() + 30.0
        await shadow.until("half a minute passed", lambda: shadow.clock.now() >= until)
        assert [(letter.name, letter.message) for letter in shadow.run.system.dead_letters.ring] == []
        assert shadow.run.system.stray_failures == 0
        assert shadow.deaths == []
    assert shadow.strays == {}
    assert shadow.resting() == ()
    assert shadow.result is not None
    summary = shadow.result.summary
    assert (shadow.result.code, summary.exit, summary.restarts, dict(summary.waiting)) == (ExitCode.OK, "ok", 0, {})
    assert summary.clean
    assert min(summary.decisions, summary.orders, summary.cancels, summary.frames) > 0
