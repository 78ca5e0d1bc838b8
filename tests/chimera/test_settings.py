"""Settings: every fault is named, nothing secret is said."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from chimera.errors import ConfigError
from chimera.settings import load_environment, load_registry, registry_schema


@pytest.fixture
def shipped(root: Path) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((root / "config/signal_registry.json").read_text())
    return raw


def faults_of(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_registry(path)
    return "\n".join(caught.value.faults)


def test_the_shipped_registry_is_valid(root: Path) -> None:
    registry = load_registry(root / "config/signal_registry.json")
    assert [signal.name for signal in registry.enabled] == ["nba"]


def test_the_committed_schema_is_the_generated_one_and_accepts_the_shipped_registry(root: Path, shipped: dict[str, Any]) -> None:
    committed = (root / "config/signal_registry.schema.json").read_text()
    assert committed == registry_schema()
    Draft202012Validator(json.loads(committed)).validate(shipped)


def test_every_fault_is_listed_with_its_path(tmp_path: Path, shipped: dict[str, Any]) -> None:
    broken = copy.deepcopy(shipped)
    signal = broken["signals"][0]
    signal["edges"]["base_cents"] = "1.5"
    signal["limits"]["size_contracts"] = 0
    signal["polls"] = 3
    del broken["limits"]["open_orders"]
    said = faults_of(tmp_path / "registry.json", json.dumps(broken))
    for path in ("signals.0.edges.base_cents", "signals.0.limits.size_contracts", "signals.0.polls", "limits.open_orders"):
        assert path in said


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"base_cents": 1.5', '"base_cents": NaN', "signals.0.edges.base_cents: Input should be a finite number"),
        ('"base_cents": 1.5', '"base_cents": 1e999', "signals.0.edges.base_cents: Input should be a finite number"),
        ('"open_orders": 40', '"open_orders": 40, "open_orders": 400', "limits.open_orders: stands twice"),
        ('"version": 4', '"version": 3', "version: Input should be 4"),
        ('"version": 4,', '"version": 4', "line 4, column"),
    ],
)
def test_json_that_would_be_read_loosely_is_refused(tmp_path: Path, root: Path, old: str, new: str, expected: str) -> None:
    text = (root / "config/signal_registry.json").read_text()
    assert old in text
    assert expected in faults_of(tmp_path / "registry.json", text.replace(old, new))


def test_a_missing_registry_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.json: cannot be read: No such file"):
        load_registry(tmp_path / "nowhere.json")


def test_the_process_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "env.list"
    path.write_text("KALSHI_KEY_ID=from-file\nESPN_BASE_URL=http://file\n")
    environment = load_environment(path, {"KALSHI_KEY_ID": "from-process", "HOME": "/root"})
    assert (environment.kalshi_key_id, environment.espn_base_url) == ("from-process", "http://file")


def test_an_empty_value_is_no_value(tmp_path: Path) -> None:
    path = tmp_path / "env.list"
    path.write_text("KALSHI_KEY_ID=\n")
    assert load_environment(path, {}).kalshi_key_id is None


def test_secrets_are_in_no_repr_and_no_message(tmp_path: Path) -> None:
    path = tmp_path / "env.list"
    path.write_text("ODDS_API_KEY=planted-secret\nKALSHI_KEY=planted-secret\nBINANCE_API_KEY=planted-secret x\n")
    with pytest.raises(ConfigError) as caught:
        load_environment(path, {})
    assert "planted-secret" not in repr(caught.value) + "".join(caught.value.faults)
    assert "planted-secret" not in repr(load_environment(None, {"ODDS_API_KEY": "planted-secret"}))
