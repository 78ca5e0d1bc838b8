"""env.list: what the shell, docker and Chimera read is the same, or the line is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.envfile import read_env_file
from chimera.errors import ConfigError
from chimera.settings import Environment

KNOWN = frozenset(name.upper() for name in Environment.model_fields)


def as_the_shell_reads(path: Path, names: list[str]) -> dict[str, str]:
    """`export $(grep -v '^#' env.list | xargs)`, by a real shell."""
    script = f"export $(grep -v '^#' {path} | xargs)\n" + "".join(f'printf "%s\\0" "${{{name}-unset}}"\n' for name in names)
    done = subprocess.run(["sh", "-c", script], cwd=path.parent, env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True, timeout=20)
    return dict(zip(names, done.stdout.decode().split("\0"), strict=False))


def as_docker_reads(text: str) -> dict[str, str]:
    """docker's --env-file: lines left-trimmed, # comments skipped, split at the first =, everything after it literal."""
    lines = [line.lstrip() for line in text.split("\n")]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name: value for name, equals, value in pairs if equals}


def test_the_example_file_reads_alike_in_all_three(root: Path) -> None:
    path = root / "config/env.list.example"
    ours = read_env_file(path, KNOWN)
    assert ours == as_docker_reads(path.read_text()) == as_the_shell_reads(path, list(ours))
    assert set(ours) <= KNOWN


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), st.text(st.characters(min_codepoint=1, max_codepoint=300), max_size=12), max_size=4))
def test_a_value_is_read_alike_or_refused(values: dict[str, str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "env.list"
        text = "# a comment\n" + "".join(f"{name}={value}\n" for name, value in values.items())
        path.write_bytes(text.encode())
        try:
            ours = read_env_file(path, KNOWN)
        except ConfigError:
            return
        assert ours == as_docker_reads(text) == as_the_shell_reads(path, list(ours))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("export KALSHI_KEY_ID=a", "begins with export"),
        ('KALSHI_KEY_ID="a"', "quote or backslash"),
        ("KALSHI_KEY_ID='a'", "quote or backslash"),
        ("KALSHI_KEY_ID=a\\b", "quote or backslash"),
        ("KALSHI_KEY_ID=a # why", "has a blank"),
        ("KALSHI_KEY_ID = a", "has a blank"),
        (" KALSHI_KEY_ID=a", "has a blank"),
        (" # note", "indented comment"),
        ("KALSHI_KEY_ID=a*", "expand to file names"),
        ("KALSHI_KEY_ID=a\r", "carriage return"),
        ("KALSHI_KEY_ID", "has no ="),
        ("1KALSHI=a", "does not begin with a variable name"),
        ("KALSHI_KEYID=a", "did you mean KALSHI_KEY_ID?"),
    ],
)
def test_a_line_that_readers_take_differently_is_refused_with_its_number(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "env.list"
    path.write_bytes(f"# first\nNOAA_CONTACT=me@example.org\n{line}\n".encode())
    with pytest.raises(ConfigError) as caught:
        read_env_file(path, KNOWN)
    assert len(caught.value.faults) == 1
    assert "line 3" in caught.value.faults[0]
    assert expected in caught.value.faults[0]


def test_a_name_set_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "env.list"
    path.write_text("KALSHI_KEY_ID=a\nKALSHI_KEY_ID=b\n")
    with pytest.raises(ConfigError) as caught:
        read_env_file(path, KNOWN)
    assert "line 2 sets KALSHI_KEY_ID again (first on line 1)" in caught.value.faults[0]
