"""chimera-live: what is missing makes a dry run that says so, and nothing is started."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from actors.cli import live
from actors.cli.live import main

ROOT = Path(__file__).resolve().parents[3]
SIZED = ("--size-contracts", "1", "--force-size-contracts")
KEYS = {"KALSHI_KEY_ID": "0123-abcdef", "KALSHI_PRIVATE_KEY_PATH": "trader.pem"}
GUARD = {"KALSHI_GUARD_KEY_ID": "guard", "KALSHI_GUARD_PRIVATE_KEY_PATH": "guard.pem"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The plans that were started; none is."""
    plans: list[object] = []

    def start(plan: object, _report: object) -> object:
        plans.append(plan)
        raise SystemExit(0)

    monkeypatch.setattr(live, "run_plan", start)
    for name in [name for name in os.environ if name.startswith("KALSHI_")]:
        monkeypatch.delenv(name)
    return plans


def run(*options: str, env: dict[str, str] | None = None) -> Result:
    config = str(ROOT / "config" / "signal_registry.json")
    return CliRunner().invoke(main, [*options, "--config", config, "--json"], env=env or {})


def missing(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return list(json.loads(result.stdout.splitlines()[-1])["dry_run"])


def test_without_anything_it_names_all_that_is_missing(started: list[object]) -> None:
    said = " ".join(missing(run()))
    for what in ("--size-contracts", "--force-size-contracts", "KALSHI_KEY_ID", "KALSHI_GUARD_KEY_ID", "live gate"):
        assert what in said
    assert started == []


def test_demo_lacks_the_confirmation_where_nobody_can_type_it(started: list[object]) -> None:
    said = missing(run("--world", "demo", *SIZED, env=KEYS | GUARD))
    assert said == ["--confirm-live SUFFIX (the last 6 characters of the Kalshi key id)"]
    assert started == []


def test_another_accounts_confirmation_ends_with_5(started: list[object]) -> None:
    result = run("--world", "demo", *SIZED, "--confirm-live", "fedcba", env=KEYS | GUARD)
    assert result.exit_code == 5
    assert started == []


def test_with_everything_given_demo_starts_live(started: list[object]) -> None:
    run("--world", "demo", *SIZED, "--confirm-live", "abcdef", env=KEYS | GUARD)
    assert [plan.live for plan in started] == [True]


def test_real_money_waits_for_the_live_gate(started: list[object]) -> None:
    assert missing(run("--world", "live", *SIZED, "--confirm-live", "abcdef", env=KEYS | GUARD)) == [
        "a series whose recorded shadow score has passed the live gate: none has"
    ]
    assert started == []


def test_a_world_without_an_account_needs_no_confirmation(started: list[object]) -> None:
    run("--world", "embedded", "--size-contracts", "7", "--force-size-contracts")
    assert [plan.live for plan in started] == [True]
    assert {signal.limits.size_contracts for plan in started for signal in plan.registry.signals} == {7}


def test_a_dry_run_starts_nothing_even_where_nothing_is_missing(started: list[object]) -> None:
    assert missing(run("--world", "embedded", *SIZED, "--dry-run")) == ["--dry-run was given"]
    assert started == []


def test_a_recording_takes_no_orders(started: list[object], tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text("{}")
    assert run("--world", str(tmp_path), *SIZED).exit_code == 2
    assert started == []


def test_the_effective_limits_are_shown(started: list[object]) -> None:
    result = run("--world", "embedded", "--size-contracts", "7", "--force-size-contracts", "--dry-run")
    assert "Effective limits, world embedded" in result.stderr
    assert " 7 " in result.stderr
