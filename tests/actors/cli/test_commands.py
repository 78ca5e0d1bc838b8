"""Every command alike: help, usage errors, faults of settings, exit codes, and what goes to which stream."""

from __future__ import annotations

import configparser
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs
import click
import pytest
import structlog
from click.testing import CliRunner, Result

from actors.cli.common import fail, guarded
from actors.outcome import ExitCode
from chimera.errors import ChimeraError, ConfigError, CredentialError, FeedError, LocalError, VenueError
from chimera.journal.recording import Manifest, RecordingKind, RecordingWriter
from chimera.journal.shape import trip_record
from chimera.journal.store import JournalStore
from chimera.journal.venue_log import VenueLogFile, venue_log_path
from chimera.sim.process import _make_keys
from chimera.trading.kill import GLOBAL, Trip
from chimera.trading.reasons import Reason
from chimera.trading.venue_log import Opened, VenueLog

ROOT = Path(__file__).resolve().parents[3]
NOW = 1_764_000_000.0
ANSI = re.compile(rb"\x1b\[[0-9;]*m")
COLOUR = re.compile(rb"\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|4[0-7]|[34]8;)")
SUMMARY = {
    "world", "seconds", "frames", "decisions", "orders", "cancels", "pulls", "kills", "fills", "sent", "pnl_dollars", "fees_dollars",
    "restarts", "violations", "brier", "decision_hash", "journal",
}  # fmt: skip


def mains() -> Iterator[tuple[str, click.Command]]:
    """Every command and every subcommand, by its words."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for line in config["options.entry_points"]["console_scripts"].strip().splitlines():
        name, _, target = (part.strip() for part in line.partition("="))
        yield from _with_subcommands(name, import_module(target.removesuffix(":main")).main)


def _with_subcommands(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _with_subcommands(f"{words} {name}", child)


COMMANDS = dict(mains())
ALL = pytest.mark.parametrize("words", sorted(COMMANDS))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Runs a command in this process, in an empty directory, without a setting in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("KALSHI_", "CHIMERA_", "ESPN_")):
            monkeypatch.delenv(name)

    def running(words: str, *more: object) -> Result:
        return CliRunner().invoke(COMMANDS[words], [str(word) for word in more])

    yield running
    structlog.reset_defaults()  # it logged to a stream that is closed by now


class TestHelp:
    @ALL
    def test_help_says_what_it_does_and_how_it_ends(self, run: Callable[..., Result], words: str) -> None:
        result = run(words, "--help")
        assert result.exit_code == ExitCode.OK
        assert result.output.startswith("Usage:")
        assert "Exit codes: 0" in result.output

    @ALL
    def test_every_option_says_what_it_is_for(self, words: str) -> None:
        options = [parameter for parameter in COMMANDS[words].params if isinstance(parameter, click.Option)]
        assert [option.name for option in options if not option.help] == []

    @ALL
    def test_what_it_does_not_know_is_a_usage_error_on_stderr(self, run: Callable[..., Result], words: str) -> None:
        result = run(words, "--no-such-option")
        assert (result.exit_code, result.stdout) == (ExitCode.USAGE, "")
        assert "--no-such-option" in result.stderr

    @pytest.mark.parametrize(
        ("option", "value"), [("--speed", 0), ("--duration", -1), ("--seed", -1), ("--poll-seconds", 0.1), ("--log-level", "loud")]
    )
    def test_a_value_out_of_range_is_a_usage_error(self, run: Callable[..., Result], option: str, value: object) -> None:
        assert run("chimera-shadow", option, value).exit_code == ExitCode.USAGE

    @pytest.mark.parametrize("origin", ["", "1,2", "1,2,three", "1,2,11", "x,2,1"])
    def test_a_clock_that_is_none_is_a_usage_error(self, run: Callable[..., Result], origin: str) -> None:
        result = run("chimera-sim", "--ready-file", "r.json", "--clock-origin", origin)
        assert (result.exit_code, "MONO_NS,WORLD_UNIX,SPEED" in result.stderr) == (ExitCode.USAGE, True)


class TestErrors:
    """What Chimera raises on purpose becomes plain lines on stderr and an exit code."""

    @pytest.mark.parametrize(
        ("error", "code", "says"),
        [
            (ConfigError("2 faults", ("one: bad", "two: worse")), 4, "one: bad\ntwo: worse\n"),
            (ConfigError("no such world"), 4, "no such world\n"),
            (CredentialError("k.pem: run: chmod 600 k.pem"), 5, "k.pem: run: chmod 600 k.pem\n"),
            (VenueError("503"), 1, "VenueError: 503\n"),
            (FeedError("timed out"), 1, "FeedError: timed out\n"),
            (LocalError("a bug"), 1, "LocalError: a bug\n"),
            (ChimeraError("it did not come up"), 1, "ChimeraError: it did not come up\n"),
        ],
    )
    def test_each_kind_has_its_code(
        self, error: ChimeraError, code: int, says: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        @guarded
        def command() -> None:
            raise error

        with pytest.raises(SystemExit) as ended:
            command()
        assert (ended.value.code, capsys.readouterr()) == (code, ("", says))

    def test_an_interrupt_before_anything_ran_has_its_code_too(self, capsys: pytest.CaptureFixture[str]) -> None:
        @guarded
        def command() -> None:
            raise KeyboardInterrupt

        with pytest.raises(SystemExit) as ended:
            command()
        assert (ended.value.code, capsys.readouterr().err) == (ExitCode.INTERRUPTED, "interrupted\n")

    def test_debug_shows_where_it_came_from(self) -> None:
        @guarded
        def command() -> None:
            raise VenueError("503")

        with pytest.raises(VenueError):
            command(debug=True)

    def test_what_was_not_meant_is_not_hidden(self) -> None:
        @guarded
        def command() -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            command()

    def test_fail_says_every_line_and_ends(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            fail(ExitCode.GAVE_UP, "one", "two")
        assert (ended.value.code, capsys.readouterr().err) == (70, "one\ntwo\n")


class TestSettings:
    """Every fault of every file, at once, before anything starts."""

    def test_faults_of_registry_and_env_file_are_listed_together(self, run: Callable[..., Result], tmp_path: Path) -> None:
        registry = json.loads((ROOT / "config" / "signal_registry.json").read_text())
        registry["version"] = 3
        registry["signals"][0]["edges"]["base_cents"] = "much"
        (tmp_path / "r.json").write_text(json.dumps(registry))
        (tmp_path / "e.list").write_text("KALSHI_KEY=planted-secret\nexport A=1\n")
        result = run("chimera-shadow", "--config", "r.json", "--env-file", "e.list")
        assert (result.exit_code, result.stdout) == (ExitCode.CONFIG_INVALID, "")
        lines = result.stderr.splitlines()
        assert len(lines) == 4
        for place in ("r.json: version", "r.json: signals.0.edges.base_cents", "e.list: line 1", "e.list: line 2"):
            assert any(line.startswith(place) for line in lines)
        assert "planted-secret" not in result.output

    @pytest.mark.parametrize("option", ["--config", "--env-file"])
    def test_a_file_that_is_not_there_is_named(self, run: Callable[..., Result], option: str) -> None:
        result = run("chimera-shadow", option, "nowhere")
        assert (result.exit_code, "nowhere: cannot be read" in result.stderr) == (ExitCode.CONFIG_INVALID, True)

    def test_an_env_list_in_the_working_directory_is_read(self, run: Callable[..., Result], tmp_path: Path) -> None:
        (tmp_path / "env.list").write_text("KALSHI KEY\n")
        result = run("chimera-shadow")
        assert (result.exit_code, "env.list: line 1" in result.stderr) == (ExitCode.CONFIG_INVALID, True)

    def test_a_signal_by_another_name_than_its_domain_is_a_fault_of_the_registry(
        self, run: Callable[..., Result], tmp_path: Path, world: Path
    ) -> None:
        registry = json.loads((ROOT / "config" / "signal_registry.json").read_text())
        registry["signals"][0]["name"] = "basketball"
        (tmp_path / "r.json").write_text(json.dumps(registry))
        result = run("chimera-shadow", "--config", "r.json", "--world", world)
        assert (result.exit_code, "r.json: signals.0" in result.stderr) == (ExitCode.CONFIG_INVALID, True)

    def test_a_registry_with_nothing_enabled_is_a_fault(self, run: Callable[..., Result], tmp_path: Path, world: Path) -> None:
        registry = json.loads((ROOT / "config" / "signal_registry.json").read_text())
        for signal in registry["signals"]:
            signal["enabled"] = False
        (tmp_path / "r.json").write_text(json.dumps(registry))
        result = run("chimera-shadow", "--config", "r.json", "--world", world)
        assert (result.exit_code, "enabled" in result.stderr) == (ExitCode.CONFIG_INVALID, True)

    def test_a_world_that_is_none_says_what_may_be_said(self, run: Callable[..., Result]) -> None:
        result = run("chimera-shadow", "--world", "tomorrow")
        assert (result.exit_code, "give live, demo, embedded" in result.stderr) == (ExitCode.CONFIG_INVALID, True)

    def test_the_live_world_without_a_key_is_refused(self, run: Callable[..., Result]) -> None:
        result = run("chimera-shadow", "--world", "live")
        assert (result.exit_code, "KALSHI_KEY_ID" in result.stderr) == (ExitCode.CREDENTIALS, True)

    def test_a_key_that_others_can_read_is_refused_with_the_remedy(self, run: Callable[..., Result], tmp_path: Path) -> None:
        path = _make_keys(tmp_path).trader.path
        path.chmod(0o640)
        (tmp_path / "env.list").write_text(f"KALSHI_KEY_ID=id\nKALSHI_PRIVATE_KEY_PATH={path}\n")
        result = run("chimera-shadow")
        assert (result.exit_code, f"chmod 600 {path}" in result.stderr) == (ExitCode.CREDENTIALS, True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a minute in which nothing came."""
    folder = tmp_path_factory.mktemp("world")
    RecordingWriter(folder, Manifest(RecordingKind.RECORDING, NOW, notes=("nothing came",))).close(NOW + 60.0)
    return folder


@attrs.frozen
class Ended:
    code: int
    out: bytes
    err: bytes

    @property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return summary


def shadow(folder: Path, *words: object, terminal: bool = False, **environment: str) -> Ended:
    """Run chimera-shadow as a process in `folder`, piped, or with a terminal for both of its streams."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("KALSHI_", "CHIMERA_", "NO_COLOR", "FORCE_COLOR"))}
    command = [sys.executable, "-m", "actors.cli.shadow", *map(str, words)]
    env = {**plain, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environment}
    if not terminal:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=60, check=False)
        return Ended(done.returncode, done.stdout, done.stderr)
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 65_536):
                seen += piece
        except OSError:  # the other end is closed
            pass
        os.close(ours)
    return Ended(child.returncode, seen, b"")


@pytest.fixture(scope="module")
def for_machines(tmp_path_factory: pytest.TempPathFactory, world: Path) -> Ended:
    """A run whose summary is for machines, with everything logged."""
    folder = tmp_path_factory.mktemp("run")
    ended = shadow(folder, "--world", world, "--journal", folder / "j.db", "--json", "--log-level", "info")
    assert ended.code == ExitCode.OK
    return ended


class TestStreams:
    """stdout carries the result, stderr everything else."""

    def test_the_last_line_of_stdout_is_the_whole_summary(self, for_machines: Ended) -> None:
        assert set(for_machines.summary) >= SUMMARY
        assert for_machines.summary["notes"] == ["nothing came"]
        assert Path(for_machines.summary["journal"]).exists()
        assert len(for_machines.out.splitlines()) == 1

    def test_logs_go_to_stderr_as_json_lines_when_piped(self, for_machines: Ended) -> None:
        events = [json.loads(line) for line in for_machines.err.splitlines()]
        assert {"ready", "reconciling"} <= {event["event"] for event in events}
        assert b"reconciling" not in for_machines.out

    @pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}])
    def test_what_is_piped_has_no_escape_codes(
        self, tmp_path: Path, world: Path, for_machines: Ended, environment: dict[str, str]
    ) -> None:
        for_people = shadow(tmp_path, "--world", world, "--log-level", "info", **environment)
        assert b"No violation" in for_people.out
        assert not ANSI.search(for_people.out + for_people.err + for_machines.out + for_machines.err)

    def test_no_color_is_obeyed_on_a_terminal(self, tmp_path: Path, world: Path) -> None:
        plain = shadow(tmp_path, "--world", world, "--log-level", "info", terminal=True, NO_COLOR="1")
        assert plain.code == ExitCode.OK
        assert b"No violation" in plain.out
        assert not COLOUR.search(plain.out)

    def test_a_terminal_without_that_wish_has_colours(self, tmp_path: Path, world: Path) -> None:
        assert COLOUR.search(shadow(tmp_path, "--world", world, terminal=True).out)

    def test_an_error_is_a_line_and_no_traceback(self, tmp_path: Path) -> None:
        ended = shadow(tmp_path, "--world", "nowhere")
        assert (ended.code, ended.out) == (ExitCode.CONFIG_INVALID, b"")
        assert b"Traceback" not in ended.err
        assert len(ended.err.splitlines()) == 1


class TestEnds:
    """How a run ended is its exit code."""

    def test_a_run_that_starts_latched_ends_with_6_and_keeps_its_latch(
        self, run: Callable[..., Result], tmp_path: Path, world: Path
    ) -> None:
        journal = tmp_path / "j.db"
        store = JournalStore(journal, "recording1", durable=False)
        latch = Trip(GLOBAL, Reason.DAILY_LOSS, "risk", NOW - 60.0, float("inf"), 3, pull=False)
        store.commit((trip_record(latch),))
        store.close()
        file = VenueLogFile(venue_log_path(journal))
        VenueLog(file.write).add(Opened(at=NOW - 90.0, cash=1_000_000_000))
        file.close()
        for _ in range(2):
            result = run("chimera-shadow", "--world", world, "--json", "--journal", journal)
            assert (result.exit_code, json.loads(result.stdout)["exit"]) == (ExitCode.KILLED, "killed")

    def test_the_same_recording_gives_the_same_hash(self, run: Callable[..., Result], world: Path, tmp_path: Path) -> None:
        results = [run("chimera-shadow", "--world", world, "--json", "--journal", tmp_path / name) for name in ("a.db", "b.db")]
        assert len({json.loads(result.stdout)["decision_hash"] for result in results}) == 1

    @pytest.mark.system
    def test_the_embedded_world_is_traded_and_summed_up(self, tmp_path: Path) -> None:
        ended = shadow(tmp_path, "--world", "embedded", "--speed", "10", "--duration", "25", "--seed", "7", "--json")
        assert ended.code == ExitCode.OK
        assert set(ended.summary) >= SUMMARY
        assert ended.summary["frames"] > 0
        assert not any(ended.summary["violations"].values())
        assert not ANSI.search(ended.out + ended.err)
