"""No subclass takes a name of the runtime's by accident: the class cannot even be made."""

from __future__ import annotations

import pytest

from actors.runtime import BlockingActor, DynamicSupervisor, Lane, LanePolicy, Message, Supervisor, TrioActor, handles


@pytest.mark.parametrize("kind", [TrioActor, BlockingActor, Supervisor, DynamicSupervisor])
@pytest.mark.parametrize(
    "name", ["_handle_receive", "_stop", "_actor_ref", "_start_actor_loop", "ended", "live", "crash", "spawned", "actor_ref", "stop"]
)
def test_a_name_that_the_runtime_uses_is_refused(kind, name):
    with pytest.raises(TypeError, match=f"Mine defines '{name}', which .* uses for itself: give it another name"):
        type("Mine", (kind,), {name: lambda self: None})


@pytest.mark.parametrize("name", ["_work", "_beat", "_dispatch", "_task", "_nursery", "_stash", "_promises", "every"])
def test_the_names_that_have_bitten_are_refused(name):
    with pytest.raises(TypeError, match=name):
        type("Mine", (TrioActor,), {name: None})


@pytest.mark.parametrize("name", ["_children", "_repair", "_close", "_restarts"])
def test_a_supervisor_has_names_of_its_own(name):
    with pytest.raises(TypeError, match=f"'{name}', which Supervisor uses"):
        type("Mine", (Supervisor,), {name: None})
    type("Mine", (TrioActor,), {name: None})


@pytest.mark.parametrize("name", ["_task", "_nursery", "_in_hand", "system", "address"])
def test_an_attribute_that_a_method_assigns_is_refused_too(name):
    scope: dict[str, object] = {}
    exec(f"def __init__(self, task):\n    super(self.__class__, self).__init__()\n    self.{name} = task", scope)
    with pytest.raises(TypeError, match=rf"Mine.__init__ assigns self.{name}, which TrioActor uses for itself"):
        type("Mine", (TrioActor,), {"__init__": scope["__init__"]})


def test_another_objects_attribute_of_that_name_is_its_own_business():
    class Mine(TrioActor):
        def __init__(self, other: object) -> None:
            super().__init__()
            self.other = other
            other._task = 1
            self.other._nursery = 2


def test_a_mixin_is_looked_at_as_well():
    class Mixin:
        def _work(self) -> None: ...

    with pytest.raises(TypeError, match="Mine defines '_work'"):

        class Mine(Mixin, TrioActor):
            pass


def test_what_is_meant_to_be_overridden_may_be():
    class Mine(TrioActor):
        LANE_POLICY = LanePolicy(bound=5)
        TRAP_EXITS = True
        SURVIVES_ASKS = True
        STASH_BOUND = 7

        def __init__(self, n: int) -> None:
            super().__init__()
            self.n = n
            self._n = n

        def on_start(self) -> None: ...
        def on_stop(self) -> None: ...
        def on_receive(self, message: object) -> None: ...
        def on_failure(self, *_: object) -> None: ...
        def state_summary(self) -> dict[str, object]:
            return {}

        @handles(Message)
        def _on_any(self, message: Message) -> Lane:
            return message.LANE

    class Further(Mine):
        def on_start(self) -> None: ...
        def _on_any(self, message: Message) -> Lane:
            return Lane.CONTROL

    assert Further._HANDLERS[Message] is Further._on_any
