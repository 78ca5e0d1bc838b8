"""A stage for the runtime's tests: one system in virtual time, workers that obey strings, and a record of what they did."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio

from actors.runtime import ActorSystem, Address, ChildSpec, Exit, Reason, Refusal, Shutdown, Supervisor, TrioActor
from actors.runtime.testing import drive, settle

HERE = Path(__file__).parent


def no_trouble() -> None:
    """A start that works."""


class Worker(TrioActor):
    """Obeys "boom", "bye", "hang", "no", "shutdown" and "task boom"; answers anything else with ("echo", name, message)."""

    def __init__(self, stage: Stage, name: str, at_start: Callable[[], None]) -> None:
        super().__init__()
        self.stage = stage
        self.name = name
        self.at_start = at_start

    def on_start(self) -> None:
        self.stage.trace.append(("start", self.name))
        assert self.name not in self.stage.living, "two incarnations of one child"
        self.at_start()
        self.stage.living.add(self.name)

    def on_stop(self) -> None:
        self.stage.trace.append(("stop", self.name))

    def on_failure(self, *_: object) -> None:
        self.stage.trace.append(("failure", self.name))

    async def on_receive(self, message: object) -> object:
        self.stage.seen[self.name].append(message)
        match message:
            case "boom":
                raise RuntimeError("boom")
            case "bye":
                self.stop()
            case "hang":
                await trio.sleep_forever()
            case "no":
                raise Refusal("no")
            case "shutdown":
                raise Shutdown("enough")
            case "task boom":
                self.spawn(self.fail)
        return ("echo", self.name, message)

    async def fail(self) -> None:
        await trio.sleep(1)
        raise RuntimeError("task boom")


class Stage:
    """What the tests of one system share. `exits` is what on_exit was told, `trace` what the workers did, both in order."""

    def __init__(self) -> None:
        self.trace: list[tuple[str, str]] = []
        self.exits: list[tuple[str, Reason]] = []
        self.overflows: list[tuple[str, str]] = []
        self.living: set[str] = set()
        self.seen: dict[str, list[object]] = defaultdict(list)
        self.system = ActorSystem(
            virtual=True,
            on_exit=self.on_exit,
            on_overflow=lambda address, lane: self.overflows.append((address.name, lane.name)),
        )

    def on_exit(self, spec: ChildSpec, reason: Reason) -> None:
        self.living.discard(spec.id)
        self.exits.append((spec.id, reason))
        self.trace.append(("exit", spec.id))

    def spec(self, name: str, at_start: Callable[[], None] = no_trouble, **options: object) -> ChildSpec:
        """A worker's child spec."""
        return ChildSpec(name, lambda: Worker(self, name, at_start), **options)

    async def up(self, *specs: ChildSpec, name: str = "top", **options: object) -> Address:
        """A supervisor of `specs`, at the top of the system."""
        return await self.system.start(ChildSpec(name, lambda: Supervisor(specs, **options)))

    async def tell(self, name: str, message: object) -> None:
        """Tell, and let everything that follows from it happen."""
        self.system.address(name).tell(message)
        await settle()

    def did(self, what: str) -> list[str]:
        """The names that did `what` ("start", "stop", "failure", "exit"), in order."""
        return [name for action, name in self.trace if action == what]

    def incarnations(self, *names: str) -> list[int]:
        return [self.system.address(name).incarnation for name in names]

    def reasons(self, name: str) -> list[Reason | type[BaseException]]:
        """Why `name` ended, each time: an Exit or the type of an exception."""
        return [reason if isinstance(reason, Exit) else type(reason) for spec, reason in self.exits if spec == name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Async tests here run in virtual time under seed 0, unless they say otherwise (`@pytest.mark.trio(run=trio.run)`)."""
    for item in items:
        if item.path.parent == HERE and inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.add_marker(pytest.mark.trio(run=in_virtual_time))


def in_virtual_time(fn: Callable[[], Awaitable[object]], **_: object) -> object:
    return drive(fn)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    async with stage.system:
        yield stage
