"""`env.list`: one file that three readers must read alike.

The shell reads it as `export $(grep -v '^#' env.list | xargs)`, docker as `--env-file env.list`, and Chimera here. xargs eats quotes and
backslashes and splits at blanks, the shell then expands globs; docker keeps all of that literally. A line that any two would read
differently is refused with its number, so a key never silently differs between them. Values are never printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from chimera.errors import ConfigError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TRAPS = (
    (re.compile(r"\r"), "ends in a carriage return (save it with Unix line ends)"),
    (re.compile(r"[ \t\f\v]"), "has a blank, where the shell would split it (and docker would keep it)"),
    (re.compile(r"[\"'\\]"), "has a quote or backslash, which the shell drops and docker keeps"),
    (re.compile(r"[*?\[]"), "has * ? or [, which the shell may expand to file names"),
    (re.compile(r"[^\x21-\x7e]"), "has a character outside plain ASCII"),
)


def _fault(line: str, known: frozenset[str], seen: dict[str, int]) -> str | None:
    """What is wrong with one line that is neither empty nor a comment; None if all three read it alike."""
    if line.lstrip().startswith("#"):
        return "is an indented comment, which the shell would take for a value (start it at the first column)"
    if line.startswith("export "):
        return "begins with export, which docker does not know (write NAME=value)"
    for pattern, what in _TRAPS:
        if pattern.search(line):
            return what
    name, equals, _ = line.partition("=")
    if not equals:
        return "has no =, which docker would fill from its own environment (write NAME=value)"
    if not _NAME.match(name):
        return "does not begin with a variable name"
    if name in seen:
        return f"sets {name} again (first on line {seen[name]})"
    if name not in known:
        near = get_close_matches(name, known, n=1)
        return f"sets {name}, which Chimera does not know" + (f" (did you mean {near[0]}?)" if near else "")
    return None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line and not line.startswith("#"):
            yield number, line


def read_env_file(path: Path, known: frozenset[str]) -> dict[str, str]:
    """The file's variables. ConfigError with one line per fault, each with its line number and never its value."""
    try:
        text = path.read_bytes().decode("utf-8")  # universal newlines would hide a carriage return
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}", (f"{path}: cannot be read: {reason}",)) from None
    values: dict[str, str] = {}
    seen: dict[str, int] = {}
    faults: list[str] = []
    for number, line in _lines(text):
        fault = _fault(line, known, seen)
        if fault is not None:
            faults.append(f"{path}: line {number} {fault}")
            continue
        name, _, value = line.partition("=")
        seen[name], values[name] = number, value
    if faults:
        raise ConfigError(f"{path}: {len(faults)} fault(s)", tuple(faults))
    return values
