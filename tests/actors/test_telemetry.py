"""Telemetry: the latest word of every actor, logged when it changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from actors.messages import Standing, StandingsRequest
from actors.runtime import ActorSystem, Address, ChildSpec
from actors.runtime.testing import settle
from actors.telemetry import Telemetry


@asynccontextmanager
async def telemetry() -> AsyncIterator[Address]:
    async with ActorSystem() as system:
        yield await system.start(ChildSpec("telemetry", Telemetry))


async def tell(address: Address, *standings: Standing) -> None:
    for standing in standings:
        address.tell(standing)
        await settle()


async def test_the_latest_standing_of_every_actor_is_kept() -> None:
    async with telemetry() as address:
        latest = Standing("stream", "ready", "", 2.0)
        gateway = Standing("gateway", "reconciling", "the list", 1.0)
        await tell(address, Standing("stream", "connecting", "dns", 1.0), gateway, latest)
        assert await address.call(StandingsRequest()) == (latest, gateway)


async def test_only_a_change_of_state_or_of_its_why_is_logged() -> None:
    with capture_logs() as logs:
        async with telemetry() as address:
            same = [Standing("stream", "stale", "no frame", at) for at in (1.0, 2.0, 3.0)]
            await tell(address, *same, Standing("stream", "stale", "no route", 4.0), Standing("stream", "ready", "", 5.0))
    assert [(log["event"], log["why"]) for log in logs] == [("stale", "no frame"), ("stale", "no route"), ("ready", "")]


async def test_a_state_that_waits_for_something_is_a_warning_except_while_starting_and_draining() -> None:
    with capture_logs() as logs:
        async with telemetry() as address:
            for state in ("connecting", "ready", "idle", "stale", "connecting", "draining", "drained"):
                await tell(address, Standing("stream", state, "", 1.0))
    assert [log["log_level"] for log in logs] == ["info", "info", "info", "warning", "warning", "info", "info"]


async def test_a_start_that_fails_is_a_warning() -> None:
    with capture_logs() as logs:
        async with telemetry() as address:
            await tell(address, Standing("stream", "connecting", "", 1.0), Standing("stream", "stale", "refused", 2.0))
    assert [log["log_level"] for log in logs] == ["info", "warning"]
