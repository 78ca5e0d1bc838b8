"""Links: who shares whose fate, in which direction, and what an actor that traps exits is told instead."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from actors.runtime import Address, ChildSpec, Exit, LinkDown, LinkedEnd, Restart, Shutdown, TrioActor, handles
from actors.runtime.testing import settle


class Linked(TrioActor):
    """Links to `peers` when it starts; obeys callables; keeps the LinkDowns it is told."""

    def __init__(self, *peers: Address) -> None:
        super().__init__()
        self.peers = peers
        self.told: list[LinkDown] = []

    def on_start(self) -> None:
        for peer in self.peers:
            self.link(peer)

    @handles(LinkDown)
    def on_link_down(self, message: LinkDown) -> None:
        self.told.append(message)

    def on_receive(self, message: Callable[[Linked], object]) -> object:
        return message(self)


class Trapping(Linked):
    TRAP_EXITS = True


def crash(_: Linked) -> None:
    raise RuntimeError("boom")


def leave(_: Linked) -> None:
    raise Shutdown("enough")


def end(actor: Linked) -> None:
    actor.stop()


class Pair:
    """Actors `a` and `b` under one supervisor, TEMPORARY, so that an end stays an end; `b` is linked to `a`."""

    def __init__(self, stage, kind: type[Linked] = Linked) -> None:
        self.stage = stage
        self.a, self.b = stage.system.address("a"), stage.system.address("b")
        self.actors: list[Linked] = []
        self.kind = kind

    async def up(self) -> Pair:
        def make() -> Linked:
            self.actors.append(self.kind(self.a))
            return self.actors[-1]

        await self.stage.up(
            ChildSpec("a", Linked, restart=Restart.TEMPORARY, shutdown=0.0), ChildSpec("b", make, restart=Restart.TEMPORARY)
        )
        return self


@pytest.mark.conformance(41)
@pytest.mark.parametrize(("dies", "follows"), [("a", "b"), ("b", "a")])
async def test_a_crash_crashes_the_linked_actor_whichever_of_the_two_it_is(stage, dies, follows):
    await Pair(stage).up()
    await stage.tell(dies, crash)
    assert stage.reasons(dies) == [RuntimeError]
    (reason,) = [reason for name, reason in stage.exits if name == follows]
    assert isinstance(reason, LinkedEnd)
    assert (reason.name, type(reason.__cause__)) == (dies, RuntimeError)


@pytest.mark.conformance(41)
@pytest.mark.parametrize("how", [end, leave])
async def test_a_normal_end_leaves_the_linked_actor_alone(stage, how):
    pair = await Pair(stage).up()
    await stage.tell("a", how)
    assert not pair.a.alive
    assert pair.b.alive
    assert pair.b.statistics().links == 0


@pytest.mark.conformance(41)
async def test_a_kill_is_passed_on_as_a_crash_is(stage):
    pair = await Pair(stage).up()
    stage.system.address("top").actor._children["a"]._scope.cancel()
    await settle()
    assert stage.exits == [("a", Exit.KILLED), ("b", stage.exits[1][1])]
    assert isinstance(stage.exits[1][1], LinkedEnd)
    assert not pair.b.alive


@pytest.mark.conformance(41)
@pytest.mark.parametrize(("how", "reason"), [(crash, RuntimeError), (end, Exit.NORMAL), (leave, Shutdown)])
async def test_an_actor_that_traps_exits_is_told_every_end_and_lives_on(stage, how, reason):
    pair = await Pair(stage, Trapping).up()
    await stage.tell("a", how)
    assert pair.b.alive
    (told,) = pair.actors[0].told
    assert (told.name, told.incarnation) == ("a", 1)
    assert (told.reason if isinstance(told.reason, Exit) else type(told.reason)) is reason


@pytest.mark.conformance(41)
@pytest.mark.parametrize("kind", [Linked, Trapping])
async def test_linking_to_nobody_is_an_end_at_once(stage, kind):
    nobody = stage.system.address("nobody")
    actor = kind()
    address = actor.address
    stage.system.host(actor)
    await settle()
    address.tell(lambda actor: actor.link(nobody))
    await settle()
    if kind is Trapping:
        assert actor.told == [LinkDown("nobody", 0, Exit.NOPROC)]
    else:
        assert [type(reason) for _, reason in stage.exits] == [LinkedEnd]


@pytest.mark.conformance(41)
@pytest.mark.parametrize("by", ["a", "b"])
async def test_an_unlinked_actor_survives(stage, by):
    pair = await Pair(stage).up()
    other = pair.b if by == "a" else pair.a
    await stage.tell(by, lambda actor: actor.unlink(other))
    await stage.tell("a", crash)
    assert pair.b.alive


@pytest.mark.conformance(41)
async def test_a_crash_goes_along_a_chain_and_ends_each_once(stage):
    specs = [ChildSpec("a", Linked, restart=Restart.TEMPORARY)]
    for name, peer in (("b", "a"), ("c", "b"), ("d", "a")):
        specs.append(ChildSpec(name, lambda peer=peer: Linked(stage.system.address(peer)), restart=Restart.TEMPORARY))
    await stage.up(*specs)
    await stage.tell("c", crash)
    assert sorted(name for name, _ in stage.exits) == ["a", "b", "c", "d"]


@pytest.mark.conformance(41)
async def test_a_link_is_of_two_incarnations_and_not_of_the_next(stage):
    await stage.up(ChildSpec("a", Linked), ChildSpec("b", Trapping), intensity=2)
    a, b = stage.system.address("a"), stage.system.address("b")
    await stage.tell("b", lambda actor: actor.link(a))
    await stage.tell("a", crash)
    assert a.incarnation == 2
    await stage.tell("a", crash)
    assert await b.call(lambda actor: len(actor.told)) == 1


async def test_a_failed_start_reaches_whom_it_had_linked_to(stage):
    class Stillborn(Linked):
        async def on_start(self) -> None:
            super().on_start()
            await trio.sleep(1)
            raise RuntimeError

    await stage.up(ChildSpec("a", Trapping))
    a = stage.system.address("a")
    with pytest.raises(Exception, match="did not start"):
        await stage.system.start(ChildSpec("b", lambda: Stillborn(a)))
    await settle()
    assert [told.name for told in await a.call(lambda actor: actor.told)] == ["b"]
