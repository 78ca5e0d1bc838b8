"""The conformance list is whole: each of its 61 behaviours has a test that names it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
BEHAVIOURS = 61


def marks_of(function: object) -> Iterator[int]:
    """The numbers a test names, by itself or by its parameters."""
    for mark in getattr(function, "pytestmark", ()):
        if mark.name == "conformance":
            yield from mark.args
        elif mark.name == "parametrize":
            for row in mark.args[1]:
                for inner in getattr(row, "marks", ()):
                    if inner.name == "conformance":
                        yield from inner.args


def numbers_in(file: Path) -> set[int]:
    spec = importlib.util.spec_from_file_location(f"conformance_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {number for name, test in vars(module).items() if name.startswith("test_") for number in marks_of(test)}


def test_every_behaviour_of_the_list_is_tested_and_no_other_is_named():
    files = [file for file in HERE.glob("test_*.py") if file != Path(__file__)]
    assert set().union(*map(numbers_in, files)) == set(range(1, BEHAVIOURS + 1))
