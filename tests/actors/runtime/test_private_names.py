"""The private names of pykka, trio and CPython that the runtime stands on: each is there and is what we take it for.

A release that changes one fails here, by name, before anything fails far from the cause.
"""

from __future__ import annotations

import inspect
import random
import sys
import threading
from importlib.metadata import version

import pykka
import pytest
import trio
from pykka._actor import ActorInbox
from pykka._envelope import Envelope
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop
from trio._core import _run


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("_handle_receive", ["self", "message"]),
        ("_create_actor_inbox", []),
        ("_create_future", []),
        ("_start_actor_loop", ["self"]),
        ("_stop", ["self"]),
        ("_actor_loop", ["self"]),
        ("_actor_loop_teardown", ["self"]),
        ("on_failure", ["self", "exception_type", "exception_value", "traceback"]),
    ],
)
def test_a_method_of_pykkas_actor(name, parameters):
    assert list(inspect.signature(getattr(pykka.Actor, name)).parameters) == parameters


@pytest.mark.parametrize("name", ["_create_actor_inbox", "_create_future", "_start_actor_loop"])
def test_the_hooks_for_new_actor_types_are_abstract(name):
    assert name in pykka.Actor.__abstractmethods__


def test_an_actors_ref_is_the_attribute_that_we_replace():
    actor = pykka.ThreadingActor()
    replaced = object()
    actor._actor_ref = replaced
    assert actor.actor_ref is replaced


def test_a_ref_finds_its_actor_weakly():
    actor = pykka.ThreadingActor()
    assert actor.actor_ref._actor_weakref() is actor


def test_an_envelope_is_two_slots_and_may_be_subclassed():
    assert Envelope.__slots__ == ["message", "reply_to"]
    assert list(inspect.signature(Envelope).parameters) == ["message", "reply_to"]
    assert type("Letter", (Envelope,), {"__slots__": ("put_ns",)})("m", None).message == "m"


def test_an_inbox_is_asked_for_three_things():
    assert {name for name in vars(ActorInbox) if not name.startswith("_")} == {"put", "get", "empty"}


def test_a_stop_is_a_message_without_contents():
    assert _ActorStop() == ()
    assert type(_ActorStop()) is _ActorStop


@pytest.mark.parametrize("kind", [ProxyCall, ProxyGetAttr, ProxySetAttr])
def test_proxies_send_messages_of_their_own(kind):
    assert "attr_path" in kind._fields


def test_a_futures_hook_is_where_we_look_for_it():
    def hook(timeout: float | None) -> None: ...

    future = pykka.ThreadingFuture()
    assert future._get_hook is None
    future.set_get_hook(hook)
    assert future._get_hook is hook


def test_a_threads_actor_puts_its_letters_in_a_queue():
    actor = pykka.ThreadingActor()
    letter = Envelope("m")
    actor.actor_inbox.put(letter)
    assert actor.actor_inbox.get() is letter


def test_the_scheduler_of_trio_can_be_seeded():
    assert isinstance(_run._r, random.Random)
    assert _run._ALLOW_DETERMINISTIC_SCHEDULING in (True, False)


def test_an_instrument_of_trio_hears_of_every_step_and_a_task_has_its_context():
    steps: list[str] = []

    class Clock(trio.abc.Instrument):
        __slots__ = ()

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            steps.append(f"before {task.name.rpartition('.')[2]} {len(task.context) >= 0}")

        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            steps.append(f"after {task.name.rpartition('.')[2]}")

    async def main() -> None:
        await trio.lowlevel.checkpoint()

    trio.run(main, instruments=[Clock()])
    mine = [step for step in steps if "main" in step]
    assert mine == ["before main True", "after main"] * 2


def test_the_frames_of_another_thread_can_be_seen():
    seen: list[str] = []

    def look(ident: int) -> None:
        seen.append(sys._current_frames()[ident].f_code.co_qualname)

    thread = threading.Thread(target=look, args=(threading.get_ident(),))
    thread.start()
    thread.join()
    assert len(seen) == 1


def test_the_pins_are_for_the_releases_that_were_read():
    assert version("pykka").startswith("4.5.")
    assert version("trio").startswith("0.35.")
