"""The trader's end of its guard: starts it, shows it progress, asks it before every order, and lets it go last.

The guard (`chimera-guard`) is a process in a session of its own that empties the account's book when this one dies or stalls. All that is
shared is the page; nothing here waits for the guard, and an order without a live guard is refused in the step that would write it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import attrs
import structlog
import trio

from chimera.clock import WorldClock
from chimera.errors import CredentialError
from chimera.guard.page import Page, Phase
from chimera.trading.reasons import Reason

_LOG = structlog.get_logger("chimera.guardian")
WATCHING_WITHIN_S: Final = 20.0
INPUT_WITHIN_S: Final = 2.0
"""Machine seconds within which an input that came in must have been handled."""


@attrs.frozen(slots=True)
class GuardPlan:
    """What the guard of a world needs: its own key, the exchange, and where the page and the kill file are.

    `lifeline` is a descriptor that the guard holds open as well: whatever lives by it outlives the trader until the guard is done.
    """

    key_id: str
    key_path: Path
    rest_url: str
    page: Path
    kill_file: Path
    stall_s: float = 1.0
    lifeline: int | None = None


class Guardian:
    """What the tree asks and tells. `refusal` is read in the step that writes bytes."""

    def __init__(self, page: Page, clock: WorldClock) -> None:
        self.page = page
        self._clock = clock

    def refusal(self) -> Reason | None:
        """Why no order may leave now, for the guard's part."""
        page, machine = self.page, time.monotonic()
        if page.latched:
            return Reason.GUARD_FIRED
        if page.phase is not Phase.ARMED or not page.guarded(machine):
            return Reason.GUARD_DOWN
        return Reason.CANCEL_ALL_TAIL if page.quiet(self._clock.now()) else None

    @property
    def latched(self) -> bool:
        return self.page.latched

    @property
    def watching(self) -> bool:
        """Whether a live guard watches this process."""
        return self.page.guarded(time.monotonic())

    def progressed(self, oldest: float) -> None:
        """Work was proved done; the oldest input still waiting came in `oldest` machine seconds ago (0 where none waits)."""
        machine = time.monotonic()
        self.page.expect(machine - oldest + INPUT_WITHIN_S if oldest > 0.0 else 0.0)
        self.page.progressed(machine)

    def cancelling_all(self, at: float) -> None:
        """The bytes of a cancel-all are about to leave, at world time `at`."""
        self.page.cancelling_all(at)

    def closing(self) -> None:
        """It is proved that nothing rests; what is left is to stop. From now on only the end itself is watched."""
        self.page.enter(Phase.CLOSING)

    def release(self) -> None:
        """Everything has stopped in good order."""
        self._leave(Phase.RELEASED)

    def abandon(self) -> None:
        """It could not be proved that nothing rests: the guard empties the book while this process waits for it."""
        self._leave(Phase.ABANDONED)

    def _leave(self, phase: Phase) -> None:
        self.page.expect(0.0)
        self.page.enter(phase)


@asynccontextmanager
async def guarded(plan: GuardPlan, clock: WorldClock) -> AsyncIterator[Guardian]:
    """Start a guard and have it watch this process for the length of the block.

    Leaving the block waits for it to end: at once if it was released, or when the book is proved empty (more than a minute) if the orders
    were abandoned; a block that ends with neither has abandoned them. ConfigError where another trader holds the page, CredentialError
    where the guard does not come to watch.
    """
    page = Page.create(plan.page)
    child = await trio.lowlevel.open_process(
        _command(plan, clock), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=None, start_new_session=True,
        pass_fds=() if plan.lifeline is None else (plan.lifeline,), env=_environment(plan),
    )  # fmt: skip
    try:
        await _until_watching(child, page)
        guardian = Guardian(page, clock)
        try:
            yield guardian
        finally:
            if page.phase is Phase.STARTING:
                # Nothing is ever placed before the first proof of progress.
                guardian.release()
            elif page.phase is not Phase.RELEASED:
                guardian.abandon()
                _LOG.warning("the guard empties the book; this takes more than a minute")
            with trio.CancelScope(shield=True):
                await child.wait()
    finally:
        page.close()


def _command(plan: GuardPlan, clock: WorldClock) -> list[str]:
    origin_ns, origin_unix, speed = clock.origin
    return [
        sys.executable, "-m", "actors.cli.guard", "--page", str(plan.page), "--trader", str(os.getpid()), "--rest-url", plan.rest_url,
        "--kill-file", str(plan.kill_file), "--stall-seconds", f"{plan.stall_s:g}", "--parent-pipe",
        "--clock-origin", f"{origin_ns},{origin_unix!r},{speed!r}",
    ]  # fmt: skip


def _environment(plan: GuardPlan) -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[1])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    keys = {"KALSHI_GUARD_KEY_ID": plan.key_id, "KALSHI_GUARD_PRIVATE_KEY_PATH": str(plan.key_path.absolute())}
    return os.environ | keys | {"PYTHONPATH": paths}


async def _until_watching(child: trio.Process, page: Page) -> None:
    with trio.move_on_after(WATCHING_WITHIN_S):
        while child.poll() is None:
            if page.guarded(time.monotonic()):
                return
            await trio.sleep(0.02)
    if child.returncode is None:
        child.kill()
    what = f"ended with {child.returncode}" if child.returncode is not None else f"did not watch within {WATCHING_WITHIN_S:g} s"
    raise CredentialError(f"the guard {what}; nothing is traded without it (its reason is on stderr)")
