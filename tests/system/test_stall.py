"""A loop that stands still: what was decided before is void while it still does, and everything is cancelled in the step that ends it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from harness import read_log, shadowing

from actors.app import KILL_FILE_AFTER_S
from actors.runtime import Hold
from chimera.trading import venue_log as log
from chimera.trading.kill import GLOBAL, State
from chimera.trading.reasons import Reason

pytestmark = pytest.mark.system

LASTS_S = 0.6


async def test_a_blocked_loop_voids_what_was_decided_and_then_cancels_everything(ready: Path, tmp_path: Path) -> None:
    async with shadowing(ready, tmp_path / "stall.db") as shadow:
        await shadow.quoting()
        register, market = shadow.run.register, shadow.resting()[0].market
        fences = [register.fence(market)]
        states: list[State] = []

        async def block() -> None:
            end = time.monotonic() + LASTS_S
            while time.monotonic() < end:
                pass
            fences.append(register.fence(market))
            states.append(register.state(GLOBAL))

        lines = shadow.lines()
        shadow.run.system.start_soon(block)
        await shadow.until("the loop was blocked", lambda: len(fences) > 1)
        assert fences[1] > fences[0], "the fence moved while the loop could do nothing"
        assert states == [State.ARMED], "and nothing else did"
        standing = {scope: trip for scope, _, trip, _ in register.standing()}
        assert standing[GLOBAL].reason is Reason.STALL
        await shadow.until("nothing rests", lambda: not shadow.resting())
        sent = [line for line in read_log(shadow.journal)[lines:] if isinstance(line, log.Sent)]
        assert all(line.fence > fences[0] for line in sent)
        held = shadow.run.system.last_held
        assert held is not None
        assert held.seconds >= LASTS_S
        assert held.where.endswith("block")
    assert shadow.result is not None


async def test_a_hold_that_lasts_asks_the_guard_by_its_kill_file(ready: Path, tmp_path: Path) -> None:
    async with shadowing(ready, tmp_path / "hold.db") as shadow:
        kill_file = tmp_path / "hold.db.KILL"
        run, guardian = shadow.run, object()
        for seconds, there in ((KILL_FILE_AFTER_S - 0.1, False), (KILL_FILE_AFTER_S, True)):
            run.guardian = guardian  # type: ignore[assignment]  # only that there is one matters
            run._on_blocked(Hold("nba", "somewhere", ("somewhere",), seconds))
            run.guardian = None
            assert kill_file.exists() is there
