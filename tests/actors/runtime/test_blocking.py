"""BlockingActor: a thread under supervision. Real threads, few and small."""

from __future__ import annotations

import threading

import pykka
import pytest
import trio

from actors.runtime import ActorCrashed, ActorSystem, BlockingActor, ChildSpec, Exit, Phase, Refusal, Supervisor
from actors.runtime.testing import drive, settle


class Blocker(BlockingActor):
    def __init__(self, log: list, gate: threading.Event) -> None:
        super().__init__()
        self.log = log
        self.gate = gate

    def on_start(self) -> None:
        self.log.append(("start", threading.get_ident()))

    def on_stop(self) -> None:
        self.log.append(("stop", threading.get_ident()))

    def on_failure(self, *_: object) -> None:
        self.log.append(("failure", threading.get_ident()))

    def on_receive(self, message: object) -> object:
        match message:
            case "boom":
                raise RuntimeError("boom")
            case "no":
                raise Refusal("no")
            case "wait":
                self.gate.wait(5)
        return message


class Room:
    def __init__(self, *, virtual: bool = False, shutdown: float = 5.0) -> None:
        self.log: list = []
        self.gate = threading.Event()
        self.exits: list = []
        self.system = ActorSystem(virtual=virtual, on_exit=lambda spec, reason: self.exits.append((spec.id, reason)))
        self.spec = ChildSpec("b", lambda: Blocker(self.log, self.gate), shutdown=shutdown)

    async def up(self):
        await self.system.start(ChildSpec("top", lambda: Supervisor([self.spec])))
        return self.system.address("b")

    def did(self) -> list[str]:
        return [what for what, _ in self.log]


async def settled(condition) -> None:
    """Give the thread time to get there."""
    for _ in range(5_000):
        if condition():
            return
        await trio.sleep(0.001)
    pytest.fail("the thread did not get there in 5 s")


@pytest.mark.trio(run=trio.run)
async def test_it_answers_from_its_own_thread():
    room = Room()
    async with room.system:
        address = await room.up()
        assert await address.call("hi") == "hi"
        with pytest.raises(Refusal):
            await address.call("no")
        assert await address.actor.actor_ref.ask("direct", block=False) == "direct"
        assert address.statistics().processed == {"str": 2}
    assert room.did() == ["start", "stop"]
    assert threading.get_ident() not in {thread for _, thread in room.log}


@pytest.mark.trio(run=trio.run)
async def test_a_crash_is_told_to_the_asker_and_restarted():
    room = Room()
    async with room.system:
        address = await room.up()
        with pytest.raises(ActorCrashed):
            await address.call("boom")
        await settled(lambda: address.incarnation == 2 and address.alive)
        assert await address.call("hi") == "hi"
    assert room.did() == ["start", "failure", "start", "stop"]
    assert isinstance(room.exits[0][1], RuntimeError)


@pytest.mark.conformance(9)
@pytest.mark.trio(run=trio.run)
async def test_a_thread_that_does_not_stop_in_time_is_abandoned_and_the_tree_goes_on():
    room = Room(shutdown=0.05)
    results = []
    async with room.system:
        address = await room.up()

        async def ask() -> None:
            try:
                await address.call("wait")
            except pykka.ActorDeadError:
                results.append("dead")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await settled(lambda: address.statistics().current)
            await room.system.stop(room.system.address("top"))
    assert results == ["dead"]
    assert room.exits == [("b", Exit.ABANDONED), ("top", Exit.SHUTDOWN)]
    room.gate.set()


@pytest.mark.trio(run=trio.run)
async def test_an_idle_thread_that_is_killed_ends():
    room = Room(shutdown=0.0)
    async with room.system:
        address = await room.up()
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "b"]
        await room.system.stop(room.system.address("top"))
    assert room.exits[0] == ("b", Exit.KILLED)
    thread.join(5)
    assert not thread.is_alive()
    assert address.phase is Phase.GONE


@pytest.mark.trio(run=trio.run)
async def test_a_failed_on_start_is_a_failed_start():
    class Broken(BlockingActor):
        def on_start(self) -> None:
            raise RuntimeError("cannot")

    async with ActorSystem() as system:
        with pytest.raises(Exception, match="RuntimeError: cannot"):
            await system.start(ChildSpec("broken", Broken))


def test_in_a_virtual_world_it_works_inline():
    room = Room(virtual=True)

    async def main() -> None:
        async with room.system:
            address = await room.up()
            assert await address.call("hi") == "hi"
            address.tell("boom")
            await settle()
            assert address.incarnation == 2

    drive(main)
    assert room.did() == ["start", "failure", "start", "stop"]
    assert {thread for _, thread in room.log} == {threading.get_ident()}
