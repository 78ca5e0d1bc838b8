"""A recorded hockey game, shadow-traded whole: every goal and penalty stops the game, and nothing is violated."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path

import pytest
from harness import registry, shadow_command

from actors.outcome import ExitCode
from chimera.audit.orders import audit_orders
from chimera.journal.importers.nhl import import_nhl

pytestmark = [pytest.mark.system, pytest.mark.data]


def test_a_recorded_hockey_game_is_traded_without_a_violation(shared_data: Path, tmp_path: Path) -> None:
    import_nhl(shared_data / "espn/payloads/hockey_nhl_game_summary_401559593.json", 0.66, tmp_path / "world")
    hockey = [signal.model_copy(update={"enabled": True}) for signal in registry().signals if signal.name == "nhl"]
    config, journal = tmp_path / "registry.json", tmp_path / "run.db"
    config.write_text(registry().model_copy(update={"signals": hockey}).model_dump_json(by_alias=True))
    command = shadow_command("--world", tmp_path / "world", "--config", config, "--journal", journal, "--log-level", "error")
    done = subprocess.run(command, check=False, timeout=90.0, capture_output=True, text=True, cwd=tmp_path)
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, summary["exit"]) == (ExitCode.OK, "ok"), done.stderr
    assert set(summary["violations"].values()) == {0}
    assert min(summary[name] for name in ("decisions", "orders", "cancels", "kills")) > 0
    assert audit_orders(journal).offences == ()
    with sqlite3.connect(journal) as db:
        reasons = [reason for (reason,) in db.execute("SELECT reason FROM trips WHERE kind = 'kill' AND source = 'nhl'")]
    assert reasons.count("goal") == 8
    assert reasons.count("penalty") >= 7  # twelve, of which some came in one stoppage
