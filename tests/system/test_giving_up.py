"""What cannot be restarted is given up in good order: an oracle is muted and the rest trades on; trading itself ends the run with 70."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import SEVERAL, over_a_slow_wire, read_log, registry, shadowing, still_resting

from actors.outcome import ExitCode
from chimera.audit.orders import audit_orders

pytestmark = pytest.mark.system


@pytest.mark.parametrize("supervisor", ["trading", "app"])
async def test_a_run_that_gives_up_ends_with_70_once_nothing_rests(ready: Path, tmp_path: Path, supervisor: str) -> None:
    journal = tmp_path / "journal.db"
    async with shadowing(ready, journal, rules=over_a_slow_wire(registry())) as shadow:
        await shadow.quoting()
        shadow.crash(supervisor)
        await shadow.until("the run ended", lambda: shadow.result is not None)
    assert len(shadow.deaths[0].resting) >= SEVERAL
    assert shadow.result is not None
    assert (shadow.result.code, shadow.result.summary.exit) == (ExitCode.GAVE_UP, "gave_up")
    assert still_resting(read_log(journal)) == set()
    assert audit_orders(journal).offences == ()


async def test_an_oracle_past_its_retries_is_muted_and_says_so(ready: Path, tmp_path: Path) -> None:
    async with shadowing(ready, tmp_path / "journal.db") as shadow:
        await shadow.quoting()
        gateway = shadow.incarnation("gateway")
        shadow.crash("nba.budget")
        await shadow.until("its orders are off", lambda: not shadow.resting())
        await shadow.until("it says so", lambda: shadow.says("nba") == "muted RuntimeError: planted")
        assert shadow.incarnation("gateway") == gateway
        assert {death.actor for death in shadow.deaths} == {"nba", "nba.budget"}
    assert shadow.result is not None
    assert "nba" in shadow.result.summary.waiting
