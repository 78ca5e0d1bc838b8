"""Worlds: where a run's markets and feeds come from, and what time it is there.

    live        Kalshi and the feeds themselves
    demo        Kalshi's demo exchange, the feeds themselves
    embedded    a child process (`chimera-sim`) with a seeded day of games, on loopback
    sim:FILE    a `chimera-sim` that is running already, found by its ready file
    DIRECTORY   a recording, served in process under virtual time

`open_world` yields what the tree is wired to; leaving it takes down whatever it started.
"""

from __future__ import annotations

import enum
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import attrs
import msgspec
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chimera.clock import MAX_SPEED, VirtualClock, WorldClock
from chimera.errors import ChimeraError, ConfigError, CredentialError
from chimera.feeds import odds_api
from chimera.feeds.odds_api import OddsClient
from chimera.intake import Door, Writer
from chimera.intake_live import LiveDoor
from chimera.intake_recorded import RecordedDoor
from chimera.journal.recording import GamePrior, RecordingReader
from chimera.kalshi.auth import Signer, load_signer
from chimera.kalshi.session import ExchangeSession
from chimera.settings import Environment

HOSTS = {
    "live": ("https://external-api.kalshi.com", "wss://external-api-ws.kalshi.com"),
    "demo": ("https://external-api.demo.kalshi.co", "wss://external-api-ws.demo.kalshi.co"),
}
READY_WITHIN_S = 20.0
STOP_WITHIN_S = 5.0
"""Machine seconds for the embedded world's simulator to come up, and to end once it is told to."""


class Kind(enum.Enum):
    """What sort of world it is."""

    LIVE = "live"
    DEMO = "demo"
    EMBEDDED = "embedded"
    SIM = "sim"
    RECORDING = "recording"


@attrs.frozen(slots=True)
class Place:
    """A world as it was asked for: parsed, not opened."""

    kind: Kind
    path: Path | None = None

    def __str__(self) -> str:
        return self.kind.value if self.path is None else f"sim:{self.path}" if self.kind is Kind.SIM else str(self.path)

    @property
    def virtual(self) -> bool:
        return self.kind is Kind.RECORDING

    @classmethod
    def parse(cls, text: str | None, environment: Environment) -> Place:
        """What `--world` said; without it, live where a Kalshi key is set and the embedded world otherwise. ConfigError if it is none."""
        if text is None:
            return cls(Kind.LIVE if environment.has_kalshi_key else Kind.EMBEDDED)
        if text in {"live", "demo", "embedded"}:
            return cls(Kind(text))
        if text.startswith("sim:"):
            return cls(Kind.SIM, Path(text.removeprefix("sim:")))
        path = Path(text)
        if (path / "world.json").is_file():
            return cls(Kind.RECORDING, path)
        what = "a directory without a world.json" if path.is_dir() else "no directory"
        raise ConfigError(f"--world {text}: {what}; give live, demo, embedded, sim:READY_FILE or a directory made by chimera-replay import")


async def _never() -> None:
    await trio.sleep_forever()


@attrs.frozen(slots=True)
class GuardKey:
    """The guard's own API key."""

    key_id: str
    path: Path


@attrs.frozen(slots=True)
class World:
    """An open world. `ended` returns when there is nothing more to come; `notes` is what a summary must say about it.

    `odds` is where bookmakers' prices come from, None where there are none. `writer` is where orders can be sent, None in a recording.
    `lifeline` is a descriptor that keeps what serves the world alive.
    """

    place: Place
    clock: WorldClock
    door: Door
    session: ExchangeSession
    espn_url: str
    ended: Callable[[], Awaitable[None]] = _never
    notes: tuple[str, ...] = ()
    seconds: float = math.inf
    priors: tuple[GamePrior, ...] = ()
    odds: OddsClient | None = None
    writer: Writer | None = None
    guard_key: GuardKey | None = None
    lifeline: int | None = None


@asynccontextmanager
async def open_world(place: Place, environment: Environment, *, speed: float | None, seed: int) -> AsyncIterator[World]:
    """Open `place`. ConfigError or CredentialError where it cannot be; ChimeraError where the embedded world does not come up."""
    if place.kind is Kind.RECORDING:
        async with _recording(place, speed) as world:
            yield world
    elif place.kind is Kind.EMBEDDED:
        if speed is not None and speed > MAX_SPEED:
            raise ConfigError(f"--speed {speed:g}: the embedded world runs at most {MAX_SPEED:g} times as fast as the machine")
        async with _embedded(speed or 1.0, seed) as (ready_file, lifeline), _attached(place, ready_file) as world:
            yield attrs.evolve(world, lifeline=lifeline)
    elif place.kind is Kind.SIM:
        if speed is not None:
            raise ConfigError("--speed: a running simulator has its own; leave it out with --world sim:FILE")
        assert place.path is not None
        async with _attached(place, place.path) as world:
            yield world
    else:
        if speed not in (None, 1.0):
            raise ConfigError(f"--speed: the {place} world runs at the speed it runs; leave it out")
        async with _real(place, environment) as world:
            yield world


@asynccontextmanager
async def _real(place: Place, environment: Environment) -> AsyncIterator[World]:
    if not environment.has_kalshi_key:
        raise CredentialError(
            f"--world {place} needs KALSHI_KEY_ID and KALSHI_PRIVATE_KEY_PATH (in env.list or the environment): Kalshi's stream is signed"
        )
    assert environment.kalshi_key_id is not None
    assert environment.kalshi_private_key_path is not None
    signer = load_signer(environment.kalshi_key_id, environment.kalshi_private_key_path)
    rest_url, ws_url = HOSTS[place.kind.value]
    clock = WorldClock()
    session = ExchangeSession(signer, clock, rest_url=rest_url, ws_url=ws_url)
    async with LiveDoor(clock) as door:
        door.on_response(session.observe_response)
        key = environment.odds_api_key
        odds = None if key is None else _bookmakers(door, key.get_secret_value(), odds_api.BASE_URL)
        yield World(place, clock, door, session, environment.espn_base_url, odds=odds, writer=door, guard_key=guard_key(environment))


def _bookmakers(door: LiveDoor, key: str, url: str) -> OddsClient:
    odds = OddsClient(door, key, url)
    door.on_response(odds.observe)
    return odds


def guard_key(environment: Environment) -> GuardKey | None:
    """The guard's key, where one is set."""
    key_id, path = environment.kalshi_guard_key_id, environment.kalshi_guard_private_key_path
    return GuardKey(key_id, path) if key_id and path is not None else None


@asynccontextmanager
async def _attached(place: Place, ready_file: Path) -> AsyncIterator[World]:
    """A world served by a simulator on loopback; its ready file carries the addresses, a throwaway key and the clock."""
    ready = _read_ready(ready_file)
    clock = WorldClock(origin_unix=ready.world_unix, origin_ns=ready.monotonic_ns, speed=ready.speed)
    signer = load_signer(ready.key_id, Path(ready.private_key_path))
    session = ExchangeSession(signer, clock, rest_url=ready.rest_url, ws_url=ready.ws_url)
    async with LiveDoor(clock) as door:
        door.on_response(session.observe_response)
        guard = GuardKey(ready.guard_key_id, Path(ready.guard_private_key_path)) if ready.guard_key_id else None
        odds = None if ready.odds_url is None else _bookmakers(door, "loopback", ready.odds_url)
        yield World(place, clock, door, session, ready.espn_url, odds=odds, writer=door, guard_key=guard)


class _Ready(msgspec.Struct, frozen=True):
    """What is used of a ready file; the rest of it is for other clients."""

    rest_url: str
    ws_url: str
    key_id: str
    private_key_path: str
    espn_url: str
    world_unix: float
    monotonic_ns: int
    speed: Annotated[float, msgspec.Meta(gt=0, le=MAX_SPEED)]
    odds_url: str | None = None
    guard_key_id: str = ""
    guard_private_key_path: str = ""


def _read_ready(path: Path) -> _Ready:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Ready)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}: not a ready file of chimera-sim: {error}") from None


@asynccontextmanager
async def _embedded(speed: float, seed: int) -> AsyncIterator[tuple[Path, int]]:
    """Run a simulator as a child: its ready file, and the pipe it lives by. It dies when the last holder of that pipe does."""
    with tempfile.TemporaryDirectory(prefix="chimera-world-") as folder:
        ready_file = Path(folder) / "ready.json"
        origin = f"{time.monotonic_ns()},{time.time():.6f},{speed:g}"
        command = [sys.executable, "-m", "actors.cli.sim", "--ready-file", str(ready_file), "--seed", str(seed),
                   "--clock-origin", origin, "--exit-with-parent"]
        # Its own session: a Ctrl-C meant for the trader must not take the exchange away before the orders are off it.
        child = await trio.lowlevel.open_process(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=None, start_new_session=True, env=_child_environment()
        )
        try:
            await _until_ready(child, ready_file)
            assert isinstance(child.stdin, trio.lowlevel.FdStream)
            yield ready_file, child.stdin.fileno()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + STOP_WITHIN_S):
                child.send_signal(signal.SIGTERM)
                await child.wait()
            if child.returncode is None:
                child.kill()
                with trio.CancelScope(shield=True):
                    await child.wait()
            if child.stdin is not None:
                with trio.CancelScope(shield=True):
                    await child.stdin.aclose()


def _child_environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[1])
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


async def _until_ready(child: trio.Process, ready_file: Path) -> None:
    with trio.move_on_after(READY_WITHIN_S):
        while child.poll() is None:
            if await trio.Path(ready_file).exists():
                return
            await trio.sleep(0.02)
    what = f"ended with {child.returncode}" if child.returncode is not None else f"was not ready within {READY_WITHIN_S:g} s"
    raise ChimeraError(f"the embedded world's simulator {what}; run chimera-sim --ready-file FILE to see why")


@asynccontextmanager
async def _recording(place: Place, speed: float | None) -> AsyncIterator[World]:
    assert place.path is not None
    reader = RecordingReader(place.path)
    manifest = reader.manifest
    clock = VirtualClock(origin_unix=reader.origin_unix)
    door = RecordedDoor(reader, clock, speed=speed)
    # A recording answers whoever asks; the key signs requests that nobody checks.
    session = ExchangeSession(Signer("recorded", Ed25519PrivateKey.generate()), clock, rest_url="http://recorded", ws_url="ws://recorded")
    yield World(
        place,
        clock,
        door,
        session,
        espn_url="http://recorded",
        ended=door.wait_ended,
        notes=(*manifest.labels, *manifest.notes),
        seconds=reader.end_unix - reader.origin_unix,
        priors=manifest.priors,
        odds=OddsClient(door, "recorded", "http://recorded") if any(map(odds_api.is_odds, manifest.streams)) else None,
    )
