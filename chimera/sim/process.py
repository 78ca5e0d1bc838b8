"""chimera-sim as a process: throwaway keys, one port, a ready file, and a clean end.

It promises that the ready file appears, whole, only when everything it names works; that its keys are readable by their owner alone and
gone when the process has ended; and that it ends with 0 on SIGTERM, SIGINT or, if asked, with its parent.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import structlog
import trio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from chimera.clock import WorldClock
from chimera.conventions import Money
from chimera.kalshi.auth import PrivateKey
from chimera.sim.exchange.access import Access, ApiKey
from chimera.sim.exchange.crowd import Crowd
from chimera.sim.exchange.exchange import CASH, Exchange
from chimera.sim.exchange.listing import listings
from chimera.sim.exchange.traders import INFORMED_LEAD, populate
from chimera.sim.server import open_port, port_of, serve
from chimera.sim.site import ADMIN_PATH, FAULTS_PATH, LOG_PATH, STREAM_PATH, SimSite
from chimera.sim.world.espn import Espn
from chimera.sim.world.odds import Odds
from chimera.sim.world.schedule import evening

STEP_SECONDS = 0.01
"""Machine seconds the public is left alone between turns: changes of one turn leave in one write."""
IDLE_SECONDS = 0.05
"""Machine seconds between turns at the most: a request may have brought something that is due sooner than all else."""
BATCH = 2000
"""Actions a turn: an evening that began long ago is caught up in slices, with the server answering between them."""

_log = structlog.get_logger("chimera.sim")


@attrs.frozen(slots=True)
class Key:
    """One throwaway API key."""

    key_id: str
    private: PrivateKey
    path: Path


@attrs.frozen(slots=True)
class Keys:
    """The trader's (RSA) and the guard's (Ed25519): both kinds that Kalshi takes."""

    trader: Key
    guard: Key


@attrs.frozen(slots=True)
class Scene:
    """What a world may be told to be: the member's cash by shard, its tier, how early the informed know, and what goes wrong."""

    seed: int = 0
    cash: Mapping[int, Money] = attrs.field(factory=lambda: dict(CASH))
    tier: str = "basic"
    informed_lead: float = INFORMED_LEAD
    faults: str = ""


def make_site(clock: WorldClock, seed: int, keys: Keys, scene: Scene | None = None) -> tuple[SimSite, Crowd]:
    """Everything that is served, and the heap of what is to happen. The world begins at the clock's origin.

    FaultSpecError where the scene's faults are wrong.
    """
    scene = scene or Scene(seed)
    _, begins, _ = clock.origin
    games = evening(seed, begins)
    exchange = Exchange(listings(games), seed, clock.now, cash=scene.cash, tier=scene.tier)
    populate(exchange, seed, begins, informed_lead=scene.informed_lead)
    names = {"trader": keys.trader, "guard": keys.guard}
    access = Access({key.key_id: ApiKey(key.private.public_key(), name) for name, key in names.items()})
    site = SimSite(clock, games, exchange, access, Espn(games, seed), Odds(games, seed), secrets.token_urlsafe(24), time.monotonic_ns)
    if scene.faults:
        site.install(scene.faults)
    return site, exchange.crowd


async def run(*, ready_file: Path, port: int, clock: WorldClock, exit_with_parent: bool, scene: Scene) -> None:
    """Serve a world until told to stop. OSError where the port is taken or the files cannot be written, FaultSpecError as in make_site."""
    with _private_files(ready_file) as (folder, env_file):
        keys = _make_keys(folder)
        site, crowd = make_site(clock, scene.seed, keys, scene)
        listeners = await open_port(port)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until, _signalled, nursery.cancel_scope)
            if exit_with_parent:
                nursery.start_soon(_until, _parent_gone, nursery.cancel_scope)
            await catch_up(crowd, clock)
            nursery.start_soon(drive, crowd, clock)

            async def serving() -> None:
                await serve(listeners, site, now=clock.now)

            nursery.start_soon(serving)
            document = _ready(site, keys, port_of(listeners), env_file, scene.seed)
            _write_env(env_file, document)
            _write_by_rename(ready_file, json.dumps(document, indent=1))
            _log.info("ready", port=port_of(listeners), seed=scene.seed, games=[f"{g.away.code} at {g.home.code}" for g in site.games])


async def catch_up(crowd: Crowd, clock: WorldClock) -> None:
    """Bring the world to the present, as fast as it goes."""
    while crowd.advance(clock.now(), at_most=BATCH) == BATCH:
        await trio.lowlevel.checkpoint()


async def drive(crowd: Crowd, clock: WorldClock) -> None:
    """Let things happen as their time comes, for ever: requests bring new ones at any moment."""
    while True:
        due = crowd.next_at
        wait = IDLE_SECONDS if due is None else min(IDLE_SECONDS, (due - clock.now()) / clock.speed)
        await trio.sleep(max(STEP_SECONDS, wait))
        await catch_up(crowd, clock)


async def _until(end: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
    await end()
    scope.cancel()


async def _signalled() -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            _log.info("stopping", signal=signal.Signals(number).name)
            return


async def _parent_gone() -> None:
    """Return when standard input ends: the parent held the other end."""
    while True:
        try:
            await trio.lowlevel.wait_readable(0)
        except OSError:  # a file or /dev/null cannot be waited for; reading it does not block either
            await trio.lowlevel.checkpoint()
        try:
            if not os.read(0, 4096):
                break
        except OSError:
            break
    _log.info("stopping: the parent has closed the pipe")


@contextmanager
def _private_files(ready_file: Path) -> Iterator[tuple[Path, Path]]:
    """A folder for the keys and a place for env.list, beside the ready file; all three are gone afterwards."""
    ready_file = ready_file.absolute()
    folder = Path(tempfile.mkdtemp(prefix=f".{ready_file.name}.", dir=ready_file.parent))
    env_file = ready_file.with_name(f"{ready_file.name}.env.list")
    try:
        yield folder, env_file
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for path in (env_file, ready_file):
            path.unlink(missing_ok=True)


def _make_keys(folder: Path) -> Keys:
    # The sizes and kinds Kalshi issues; 65537 is the only exponent in use.
    trader = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    guard = ed25519.Ed25519PrivateKey.generate()
    return Keys(_save(trader, folder / "trader.pem"), _save(guard, folder / "guard.pem"))


def _save(private: PrivateKey, path: Path) -> Key:
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return Key(str(uuid.uuid4()), private, path)


def _ready(site: SimSite, keys: Keys, port: int, env_file: Path, seed: int) -> dict[str, object]:
    host = f"127.0.0.1:{port}"
    origin_ns, origin_unix, speed = site.clock.origin
    return {
        "rest_url": f"http://{host}/trade-api/v2",
        "ws_url": f"ws://{host}{STREAM_PATH}",
        "key_id": keys.trader.key_id,
        "private_key_path": str(keys.trader.path),
        "guard_key_id": keys.guard.key_id,
        "guard_private_key_path": str(keys.guard.path),
        "ca_path": None,
        "espn_url": f"http://{host}",
        "nws_url": None,
        "binance_ws_url": None,
        "odds_url": f"http://{host}",
        "admin_url": f"http://{host}{ADMIN_PATH}",
        "admin_log_url": f"http://{host}{LOG_PATH}",
        "admin_faults_url": f"http://{host}{FAULTS_PATH}",
        "admin_token": site.admin_token,
        "env_file": str(env_file),
        "markets": list(site.floor.contracts),
        "monotonic_ns": origin_ns,
        "world_unix": origin_unix,
        "speed": speed,
        "seed": seed,
    }


def _write_env(path: Path, ready: Mapping[str, object]) -> None:
    """The same addresses as an env.list: one NAME=value a line, no quotes."""
    names = {
        "KALSHI_KEY_ID": "key_id",
        "KALSHI_PRIVATE_KEY_PATH": "private_key_path",
        "KALSHI_GUARD_KEY_ID": "guard_key_id",
        "KALSHI_GUARD_PRIVATE_KEY_PATH": "guard_private_key_path",
        "ESPN_BASE_URL": "espn_url",
    }
    _write_by_rename(path, "".join(f"{name}={ready[key]}\n" for name, key in names.items()))


def _write_by_rename(path: Path, text: str) -> None:
    """Whoever sees the file sees all of it; only its owner may."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
