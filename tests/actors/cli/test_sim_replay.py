"""chimera-sim and chimera-replay: what goes wrong before they begin is a line and a code."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from actors.cli.replay import main as replay
from actors.cli.sim import main as sim
from actors.outcome import ExitCode


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A command logs to the stream of its run, which is closed after it."""
    yield
    structlog.reset_defaults()


class TestSim:
    def test_a_port_that_is_taken_is_said_and_leaves_no_files(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            result = CliRunner().invoke(sim, ["--ready-file", str(tmp_path / "r.json"), "--port", str(port)])
        assert (result.exit_code, str(port) in result.stderr) == (ExitCode.FAILURE, True)
        assert list(tmp_path.iterdir()) == []

    def test_a_ready_file_that_cannot_be_written_is_said(self, tmp_path: Path) -> None:
        result = CliRunner().invoke(sim, ["--ready-file", str(tmp_path / "missing" / "r.json")])
        assert (result.exit_code, "No such file or directory" in result.stderr) == (ExitCode.FAILURE, True)

    def test_without_a_ready_file_nobody_could_find_it(self) -> None:
        result = CliRunner().invoke(sim, [])
        assert (result.exit_code, "--ready-file" in result.stderr) == (ExitCode.USAGE, True)


class TestImport:
    @pytest.fixture
    def words(self, tmp_path: Path) -> list[str]:
        for name in ("summary.json", "trades.parquet"):
            (tmp_path / name).write_text("{")
        files = ["--summary", str(tmp_path / "summary.json"), "--trades", str(tmp_path / "trades.parquet")]
        return ["import", "nba", *files, "--game", "G", "--out", str(tmp_path / "world")]

    def test_a_file_that_is_not_what_it_should_be_is_named(self, words: list[str], tmp_path: Path) -> None:
        result = CliRunner().invoke(replay, words)
        assert result.exit_code == ExitCode.CONFIG_INVALID
        assert "summary.json" in result.stderr
        assert not (tmp_path / "world" / "world.json").exists()

    def test_a_file_that_is_not_there_is_named(self, words: list[str], tmp_path: Path) -> None:
        (tmp_path / "summary.json").unlink()
        result = CliRunner().invoke(replay, words)
        assert (result.exit_code, "summary.json" in result.stderr) == (ExitCode.CONFIG_INVALID, True)

    def test_a_delay_out_of_range_is_a_usage_error(self, words: list[str]) -> None:
        assert CliRunner().invoke(replay, [*words, "--publish-delay", "601"]).exit_code == ExitCode.USAGE

    @pytest.mark.parametrize("missing", ["--summary", "--trades", "--game", "--out"])
    def test_everything_it_needs_must_be_said(self, words: list[str], missing: str) -> None:
        place = words.index(missing)
        result = CliRunner().invoke(replay, words[:place] + words[place + 2 :])
        assert (result.exit_code, missing in result.stderr) == (ExitCode.USAGE, True)
