"""The rehearsal makes the decisions that a run will make, and leaves no trace of them."""

from __future__ import annotations

from pathlib import Path

from actors.rehearsal import rehearsal
from actors.rules import Rulebook
from chimera.settings import load_registry

REGISTRY = Path(__file__).resolve().parents[2] / "config" / "signal_registry.json"


def test_every_signal_prices_both_sides_of_a_calm_market() -> None:
    rules = Rulebook(load_registry(REGISTRY))
    decisions = rehearsal(rules)()
    assert len(decisions) == len(rules.signals) > 0
    assert all(made.bid is not None and made.ask is not None for made in decisions)


def test_it_says_the_same_each_time() -> None:
    again = rehearsal(Rulebook(load_registry(REGISTRY)))
    assert again() == again()
