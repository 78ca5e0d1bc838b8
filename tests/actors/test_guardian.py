"""The trader's end of the guard: what it shows, what it refuses, and what a heartbeat makes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from actors.guardian import INPUT_WITHIN_S, Guardian, GuardPlan, guarded
from actors.heartbeat import GUARDED_EVERY_S, Heartbeat
from actors.messages import Probe as Prove
from actors.runtime import ActorSystem, ChildSpec, Supervisor, TrioActor
from actors.runtime.testing import Probe, settle
from chimera.clock import VirtualClock, WorldClock
from chimera.errors import CredentialError
from chimera.guard.page import Latch, Page, Phase
from chimera.trading.kill import GLOBAL, KillRegister, State, Trip
from chimera.trading.reasons import Reason

NOW = 1_764_000_000.0


class Now(WorldClock):
    """A world at one moment."""

    def now(self) -> float:
        return NOW


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    made = Page.create(tmp_path / "page")
    yield made
    made.close()


@pytest.fixture
def guardian(page: Page) -> Guardian:
    """A guardian whose guard watches, and whose trader has made progress."""
    page.beat(os.getpid(), time.monotonic())
    page.progressed(time.monotonic())
    return Guardian(page, Now())


class TestRefusal:
    """What keeps an order from leaving, in the step that would write it."""

    def test_a_watched_trader_may_place(self, guardian: Guardian) -> None:
        assert guardian.refusal() is None

    def test_not_before_the_first_proof_of_progress(self, guardian: Guardian, page: Page) -> None:
        page.enter(Phase.STARTING)
        assert guardian.refusal() is Reason.GUARD_DOWN

    def test_not_without_a_live_guard(self, guardian: Guardian, page: Page) -> None:
        page.beat(os.getpid(), time.monotonic() - 2.0)
        assert guardian.refusal() is Reason.GUARD_DOWN

    def test_not_under_the_guard_of_another_trader(self, guardian: Guardian, page: Page) -> None:
        page.beat(os.getpid() + 1, time.monotonic())
        assert guardian.refusal() is Reason.GUARD_DOWN

    def test_not_under_the_latch(self, guardian: Guardian, page: Page) -> None:
        page.latch(Latch.KILL_FILE, NOW)
        assert guardian.refusal() is Reason.GUARD_FIRED

    def test_not_within_75_seconds_of_a_cancel_all(self, guardian: Guardian) -> None:
        guardian.cancelling_all(NOW - 74.0)
        assert guardian.refusal() is Reason.CANCEL_ALL_TAIL

    def test_again_after_75_seconds(self, guardian: Guardian) -> None:
        guardian.cancelling_all(NOW - 75.0)
        assert guardian.refusal() is None


class TestProgress:
    """What the guard is shown."""

    def test_the_oldest_input_has_a_deadline(self, guardian: Guardian, page: Page) -> None:
        before = time.monotonic()
        guardian.progressed(0.5)
        assert before - 0.5 + INPUT_WITHIN_S <= page.deadline <= time.monotonic() - 0.5 + INPUT_WITHIN_S
        guardian.progressed(0.0)
        assert page.deadline == 0.0

    def test_a_trader_that_has_left_has_no_input_to_handle(self, guardian: Guardian, page: Page) -> None:
        guardian.progressed(0.5)
        guardian.release()
        assert (page.phase, page.deadline) == (Phase.RELEASED, 0.0)


class Answering(TrioActor):
    """Answers probes, unless it is told to be deaf."""

    deaf = False

    async def on_receive(self, message: object) -> object:
        if Answering.deaf:
            await trio.sleep_forever()
        return message.nonce if isinstance(message, Prove) else None


class Rig:
    def __init__(self, register: KillRegister, trips: list[Trip]) -> None:
        self.register, self.trips = register, trips


@pytest.fixture
async def heart(guardian: Guardian, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A heartbeat with a guard, and what it killed."""
    monkeypatch.setattr(Answering, "deaf", False)
    return Rig(*_register())


def _register() -> tuple[KillRegister, list[Trip]]:
    trips: list[Trip] = []
    return KillRegister(on_trip=trips.append), trips


async def beats(rig: Rig, guardian: Guardian, seconds: float) -> None:
    clock = VirtualClock(origin_unix=NOW)
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        telemetry = await Probe.watch(system, "telemetry")
        probed = (system.address("gateway"), system.address("risk"))
        specs = [
            *(ChildSpec(address.name, Answering) for address in probed),
            ChildSpec("heartbeat", lambda: Heartbeat(
                probed=probed, register=rig.register, telemetry=telemetry.address, clock=clock, guardian=guardian, inputs=probed,
            )),
        ]  # fmt: skip
        await system.start(ChildSpec("safety", lambda: Supervisor(specs, intensity=100, period=1.0)))
        await trio.sleep(seconds)
        await settle()


class TestHeartbeat:
    """It stamps the page only when work was proved, and kills what the guard has latched."""

    async def test_a_proof_is_stamped_into_the_page(self, heart: Rig, guardian: Guardian, page: Page) -> None:
        page.progressed(1.0)
        await beats(heart, guardian, 2 * GUARDED_EVERY_S)
        assert page.progress > 1.0
        assert heart.trips == []

    async def test_without_a_proof_nothing_is_stamped(self, heart: Rig, guardian: Guardian, page: Page) -> None:
        Answering.deaf = True
        page.progressed(1.0)
        await beats(heart, guardian, 2.0)
        assert page.progress == 1.0

    async def test_what_the_guard_has_latched_is_latched_here_once(self, heart: Rig, guardian: Guardian, page: Page) -> None:
        page.latch(Latch.KILL_FILE, NOW)
        await beats(heart, guardian, 10.0)
        assert [(t.scope, t.reason, t.latched) for t in heart.trips] == [(GLOBAL, Reason.GUARD_FIRED, True)]

    async def test_a_guard_that_is_gone_kills_everything(self, heart: Rig, guardian: Guardian, page: Page) -> None:
        page.beat(os.getpid(), time.monotonic() - 5.0)
        await beats(heart, guardian, 1.0)
        assert [(t.scope, t.reason) for t in heart.trips] == [(GLOBAL, Reason.GUARD_DOWN)]
        assert heart.register.state(GLOBAL) is State.TRIPPED


async def test_a_guard_that_cannot_list_the_orders_is_no_guard(tmp_path: Path) -> None:
    key = tmp_path / "missing.pem"
    plan = GuardPlan("guard", key, "http://127.0.0.1:1", tmp_path / "page", tmp_path / "KILL")
    with pytest.raises(CredentialError, match="the guard ended with 5"):
        async with guarded(plan, WorldClock()):
            pass
