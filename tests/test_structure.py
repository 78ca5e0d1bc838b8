"""The house rules that no single module's tests can hold: one place for the arithmetic, the clocks and the launchers."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shlex
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = tuple(sorted(path.relative_to(ROOT) for package in ("actors", "chimera") for path in (ROOT / package).rglob("*.py")))
CONVENTIONS = Path("chimera/conventions.py")
LINES_AT_MOST = 420

CENTS_AS_FLOATS = {"chimera/trading/ev.py"}
"""Where `bid` and `ask` are probabilities, and 100 times one is cents, as traders say them."""
READS_THE_WALL_CLOCK = {
    "chimera/clock.py": "it is the clock",
    "actors/boot.py": "it names a new journal",
    "actors/worlds.py": "it hands the present to the simulator it starts",
}
_DECIDING = ("gateway", "desk", "pricer", "risk", "reconciler", "book", "stream", "universe", "scorekeeper", "venue")
DECIDES = ("actors/oracles/", "chimera/trading/", "chimera/models/", "chimera/feeds/", *(f"actors/{name}.py" for name in _DECIDING))
"""What decides, and so must decide alike on every machine: no clock of any kind, and no chance but what is handed in."""


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def where(path: Path, node: ast.expr) -> str:
    return f"{path}:{node.lineno}: {ast.unparse(node)}"


def hits(find: Callable[[ast.AST], bool], *, leaving_out: set[str] | None = None) -> list[str]:
    """Every expression of the two packages for which `find` holds; conventions.py is left out."""
    left_out = {str(CONVENTIONS), *(leaving_out or ())}
    return [
        where(path, node)
        for path in MODULES
        if str(path) not in left_out
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.expr) and find(node)
    ]


def name_of(node: ast.expr) -> str:
    """The last name in `quote.bid`, `best_bid` or `bids[0]`; empty where there is none."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return name_of(value)
    return ""


def is_number(node: ast.expr, *values: float) -> bool:
    return isinstance(node, ast.Constant) and not isinstance(node.value, bool) and node.value in values


class TestArithmetic:
    """YES and NO, prices, counts and money are turned into each other in `chimera.conventions` and nowhere else."""

    def test_no_other_module_takes_the_complement_of_a_price(self) -> None:
        def complements(node: ast.AST) -> bool:
            if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)):
                return False
            of_one = name_of(node.left) == "ONE" or is_number(node.left, 10_000)
            return of_one and not isinstance(node.right, ast.Constant) and name_of(node.right) != "CENT"

        assert hits(complements) == []

    def test_no_other_module_calculates_with_a_bare_ten_thousand(self) -> None:
        operators = (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Sub)

        def scales(node: ast.AST) -> bool:
            if not (isinstance(node, ast.BinOp) and isinstance(node.op, operators)):
                return False
            pair = (node.left, node.right)
            # Ten thousand dollars are an amount, not a conversion.
            return any(is_number(part, 10_000) for part in pair) and not any(name_of(part) in {"DOLLAR", "CONTRACT"} for part in pair)

        assert hits(scales) == []

    def test_no_other_module_divides_a_price_or_money_by_its_unit(self) -> None:
        def divides(node: ast.AST) -> bool:
            return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and name_of(node.right) in {"ONE", "CENT", "DOLLAR"}

        assert hits(divides) == []

    def test_no_other_module_scales_a_price_by_a_hundred(self) -> None:
        def scales(node: ast.AST) -> bool:
            if not (isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div, ast.FloorDiv))):
                return False
            pair = (node.left, node.right)
            return any(is_number(part, 100, 0.01) for part in pair) and any(
                re.search(r"(^|_)(price|bid|ask)$", name_of(part)) for part in pair
            )

        assert hits(scales, leaving_out=CENTS_AS_FLOATS) == []

    def test_nothing_is_priced_by_stepping_from_the_best_of_the_book(self) -> None:
        """`yes_bid + 1` exists nowhere: a quote is anchored at p_true, and the book can only make it less aggressive."""

        def steps(node: ast.AST) -> bool:
            if not (isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub))):
                return False
            pair = (node.left, node.right)
            is_best = any(re.search(r"(^|_)(bid|ask)$|^best", name_of(part)) for part in pair)
            is_step = any(name_of(part) in {"CENT", "tick", "step"} or is_number(part, 1, 0.01, 100) for part in pair)
            return is_best and is_step

        assert hits(steps) == []


def clock_reads(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each use of a clock or of the shared chance: ("wall" | "machine" | "chance", what)."""
    wall = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    machine = re.compile(r"(time\.)?(monotonic|perf_counter|process_time)(_ns)?$")
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Attribute, ast.Name)):
            continue
        text = ".".join(ast.unparse(node).split(".")[-2:])
        if text in wall:
            yield "wall", text
        elif machine.match(text) and isinstance(node.ctx, ast.Load):
            yield "machine", text
        elif re.match(r"random\.(?!Random$)[a-z]", text):
            yield "chance", text


class TestTime:
    """Time and chance are handed in."""

    def test_only_the_clock_and_what_starts_a_run_read_the_wall_clock(self) -> None:
        readers = {str(path) for path in MODULES for kind, _ in clock_reads(parsed(path)) if kind == "wall"}
        assert readers == set(READS_THE_WALL_CLOCK)

    def test_nothing_uses_the_shared_random_generator(self) -> None:
        users = [(str(path), what) for path in MODULES for kind, what in clock_reads(parsed(path)) if kind == "chance"]
        assert users == []

    def test_what_decides_reads_no_clock_at_all(self) -> None:
        readers = [
            (str(path), what) for path in MODULES if str(path).startswith(DECIDES) for _, what in clock_reads(parsed(path))
        ]
        assert readers == []

    def test_the_list_of_what_decides_names_what_is_there(self) -> None:
        assert [prefix for prefix in DECIDES if not any(str(path).startswith(prefix) for path in MODULES)] == []


class TestFiles:
    """A file is small, says what it is for, and speaks of the project alone."""

    def test_no_file_is_longer_than_one_subject(self) -> None:
        lengths = {str(path): len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in MODULES}
        assert {path: length for path, length in lengths.items() if length > LINES_AT_MOST} == {}

    def test_every_file_opens_with_what_it_promises(self) -> None:
        silent = [str(path) for path in MODULES if (tree := parsed(path)).body and ast.get_docstring(tree) is None]
        assert silent == []

    def test_nothing_speaks_of_how_it_came_to_be(self) -> None:
        forbidden = re.compile(r"\bissues? #?\d|\btickets?\b|(?<![\w&])#\d+\b|/work/|\bTODO\b|\bFIXME\b|\bXXX\b", re.IGNORECASE)
        texts = [*MODULES, *(Path(name) for name in ("README.md", "CHANGELOG.md", "Makefile", "setup.cfg"))]
        texts += [path.relative_to(ROOT) for folder in ("docs", "bin", "config") for path in sorted((ROOT / folder).iterdir())]
        found = [
            f"{path}:{number}: {line.strip()}"
            for path in texts
            for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), start=1)
            if forbidden.search(line)
        ]
        assert found == []


def programs() -> dict[str, str]:
    """Every command that is installed: its name and the module of its `main`."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options.entry_points"]["console_scripts"].strip().splitlines()
    return {name.strip(): target.strip().removesuffix(":main") for name, target in (line.split("=") for line in lines)}


def readme_commands() -> list[list[str]]:
    """Every command line in the README's fenced blocks, comments left out."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("bin/chimera-", "make "))]


class TestPrograms:
    """What is installed can also be run straight from a checkout, and what the README shows exists."""

    @pytest.mark.parametrize("name", sorted(programs()))
    def test_every_program_has_a_launcher_of_its_own_name(self, name: str) -> None:
        path = ROOT / "bin" / name
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 10
        assert text.startswith("#!/usr/bin/env python3\n")
        assert os.access(path, os.X_OK)
        assert f"from {programs()[name]} import main" in text

    def test_every_launcher_is_installed_too(self) -> None:
        assert {path.name for path in (ROOT / "bin").iterdir()} == set(programs())

    def test_every_program_s_file_is_named_as_the_program(self) -> None:
        assert {name: module.rpartition(".")[2] for name, module in programs().items()} == {
            name: name.removeprefix("chimera-") for name in programs()
        }

    @pytest.mark.parametrize("words", readme_commands(), ids=" ".join)
    def test_a_command_in_the_readme_is_one_that_runs(self, words: list[str]) -> None:
        first, *rest = words
        if first == "make":
            assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            return
        command: click.Command = import_module(programs()[Path(first).name]).main
        while isinstance(command, click.Group):
            command = command.commands[rest.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= known
