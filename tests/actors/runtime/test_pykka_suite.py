"""pykka's contract, as its own users meet it: from a plain thread, blocking, for a TrioActor and a BlockingActor alike.

What differs from pykka on purpose is at the end: it is part of the contract too.
"""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Iterator

import attrs
import pykka
import pytest
import trio
from pykka.typing import ActorMemberMixin, proxy_field, proxy_method

from actors.runtime import ActorCrashed, ActorSystem, BlockingActor, TrioActor, TrioFuture, Unhandled
from actors.runtime.incarnation import system_here

SOON = 5.0


@pytest.fixture(scope="module", autouse=True)
def island() -> Iterator[None]:
    """A system in a loop of its own thread; actors started in this one live there."""
    up, stop, found = threading.Event(), trio.Event(), {}

    async def main() -> None:
        async with ActorSystem(stall_limit=30.0) as system:
            found.update(system=system, token=trio.lowlevel.current_trio_token())
            up.set()
            await stop.wait()

    thread = threading.Thread(target=trio.run, args=(main,))
    thread.start()
    assert up.wait(SOON)
    token = system_here.set(found["system"])
    yield
    system_here.reset(token)
    found["token"].run_sync_soon(stop.set)
    thread.join(SOON)
    assert not thread.is_alive()


@pytest.fixture(autouse=True)
def no_actor_is_left() -> Iterator[None]:
    yield
    pykka.ActorRegistry.stop_all(timeout=SOON)


@attrs.define
class Log:
    """What an actor did, in order; `saw` waits for it."""

    events: list[str] = attrs.Factory(list)
    news: threading.Condition = attrs.Factory(threading.Condition)

    def add(self, event: str) -> None:
        with self.news:
            self.events.append(event)
            self.news.notify_all()

    def saw(self, event: str) -> bool:
        with self.news:
            return self.news.wait_for(lambda: event in self.events, SOON)


class Part:
    """A part of an actor that proxies may enter."""

    pykka_traversable = True

    def __init__(self) -> None:
        self.size = 3

    def double(self) -> int:
        return 2 * self.size


class Everything:
    """Obeys callables; has attributes, properties, methods and parts to be reached by proxy."""

    SURVIVES_ASKS = True
    colour = "red"

    def __init__(self, log: Log | None = None, **failing: bool) -> None:
        super().__init__()
        self.log = log or Log()
        self.failing = failing
        self.part = Part()
        self.closed = object()
        self._secret = 1
        self._size = 10

    def on_start(self) -> None:
        known = pykka.ActorRegistry.get_by_urn(self.actor_urn) is not None
        self.log.add(f"start {'registered' if known else 'unknown'}")
        if self.failing.get("stops"):
            self.stop()
        self._fail("start")

    def on_stop(self) -> None:
        self.log.add("stop")
        self._fail("stop")

    def on_failure(self, kind: type, *_: object) -> None:
        self.log.add(f"failure {kind.__name__}")
        self._fail("failure")

    def _fail(self, where: str) -> None:
        if self.failing.get(where):
            raise RuntimeError(where)

    def on_receive(self, message: object) -> object:
        if callable(message):
            return message(self)
        self.log.add(str(message))
        return message

    @property
    def size(self) -> int:
        return self._size

    @size.setter
    def size(self, value: int) -> None:
        self._size = value

    @property
    def fixed(self) -> int:
        return 1

    def add(self, n: int, *, times: int = 1) -> int:
        self._size += n * times
        return self._size

    def fail(self) -> None:
        raise LookupError("fail")

    def chain(self) -> object:
        """Ask itself by proxy, and answer with the future."""
        return self.actor_ref.proxy().add(1)


class EverythingTrio(Everything, TrioActor):
    pass


class EverythingBlocking(Everything, BlockingActor):
    pass


KINDS = [EverythingTrio, EverythingBlocking]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type:
    return request.param


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def ref(kind, log) -> pykka.ActorRef:
    return kind.start(log)


def gate(ref: pykka.ActorRef) -> threading.Event:
    """Hold the actor in a handler until the gate is set (the island's loop too, if it is a TrioActor)."""
    entered, opened = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        entered.set()
        opened.wait(SOON)

    ref.tell(hold)
    assert entered.wait(SOON)
    return opened


# Start


def test_an_actor_has_a_urn_of_its_own(kind):
    first, second = kind.start(), kind.start()
    assert uuid.UUID(first.actor_urn).version == 4
    assert first.actor_urn != second.actor_urn


def test_names_and_urns_are_in_its_text(ref):
    for text in (str(ref), repr(ref)):
        assert type(ref._actor_weakref()).__name__ in text
        assert ref.actor_urn in text
    assert repr(ref).startswith("<ActorRef for ")


def test_a_constructor_takes_what_it_likes(kind):
    assert kind.start(Log(), stop=False).ask(lambda actor: actor.failing) == {"stop": False}


def test_on_start_comes_before_the_first_message_and_after_registration(ref, log):
    ref.ask("hello")
    assert log.events == ["start registered", "hello"]


def test_on_start_may_stop_the_actor(kind, log):
    ref = kind.start(log, stops=True)
    assert log.saw("stop")
    assert ref.actor_stopped.wait(SOON)


def test_a_failed_on_start_stops_the_actor(kind, log):
    ref = kind.start(log, start=True)
    assert ref.actor_stopped.wait(SOON)
    assert not ref.is_alive()


def test_an_actor_without_its_base_constructor_is_refused(kind):
    with pytest.raises((AttributeError, AssertionError)):
        type("Careless", (kind,), {"__init__": lambda self: None}).start()


# Stop


def test_on_stop_is_called_once_when_it_is_stopped(ref, log):
    assert ref.stop() is True
    assert log.events == ["start registered", "stop"]
    assert ref.stop() is False
    assert not ref.is_alive()


def test_messages_told_before_a_stop_are_handled_before_it(ref, log):
    for n in range(3):
        ref.tell(n)
    ref.stop()
    assert log.events[1:] == ["0", "1", "2", "stop"]


def test_a_failed_on_stop_stops_the_actor_all_the_same(kind, log):
    ref = kind.start(log, stop=True)
    ref.stop(block=False)
    assert ref.actor_stopped.wait(SOON)
    assert log.saw("stop")


def test_asks_left_in_the_queue_are_told_that_the_actor_is_dead(ref):
    opened = gate(ref)
    ref.stop(block=False)
    left = ref.ask("too late", block=False)
    opened.set()
    with pytest.raises(pykka.ActorDeadError):
        left.get(timeout=SOON)


def test_stops_left_in_the_queue_are_answered(ref):
    opened = gate(ref)
    ref.stop(block=False)
    left = ref.stop(block=False)
    opened.set()
    assert left.get(timeout=SOON) in (True, False)


def test_an_actor_may_stop_itself_twice_and_handles_what_it_told_itself_first(ref, log):
    def stop(actor: Everything) -> None:
        actor.actor_ref.tell("to myself")
        actor.stop()
        actor.stop()

    ref.ask(stop)
    assert log.saw("stop")
    assert log.events == ["start registered", "to myself", "stop"]


# Failure


def test_a_failed_tell_stops_the_actor_and_calls_on_failure_and_not_on_stop(ref, log):
    ref.tell(Everything.fail)
    assert log.saw("failure LookupError")
    assert not ref.is_alive()
    assert "stop" not in log.events
    assert pykka.ActorRegistry.get_all() == []


def test_a_failed_on_failure_changes_nothing(kind, log):
    ref = kind.start(log, failure=True)
    ref.tell(Everything.fail)
    assert log.saw("failure LookupError")
    assert ref.actor_stopped.wait(SOON)


def test_a_failed_ask_goes_to_its_asker_and_the_actor_lives(ref, log):
    with pytest.raises(LookupError, match="fail"):
        ref.ask(Everything.fail)
    assert ref.ask("still here") == "still here"
    assert "failure LookupError" not in log.events


@pytest.mark.parametrize("where", ["start", "stop"])
def test_what_fails_is_logged(kind, log, caplog, where):
    ref = kind.start(log, **{where: True})
    ref.stop(block=False)
    assert ref.actor_stopped.wait(SOON)
    pause = threading.Event()
    for _ in range(500):
        if any(record.exc_info and str(record.exc_info[1]) == where for record in caplog.records):
            return
        pause.wait(0.01)
    pytest.fail(f"the failed on_{where} was not logged")


def test_pykkas_logger_is_quiet_unless_asked():
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("pykka").handlers)


# Tell and ask


def test_any_object_is_a_message(ref, log):
    for message in (1, "text", None, {"a": 1}, (2,)):
        ref.tell(message)
    ref.ask("last")
    assert log.events[1:-1] == ["1", "text", "None", "{'a': 1}", "(2,)"]


def test_an_ask_blocks_until_it_is_answered(ref):
    assert ref.ask("hello") == "hello"


def test_an_ask_may_time_out(ref):
    opened = gate(ref)
    with pytest.raises(pykka.Timeout):
        ref.ask("hello", timeout=0.01)
    opened.set()


def test_an_ask_that_does_not_block_is_a_future(ref):
    future = ref.ask("hello", block=False)
    assert isinstance(future, pykka.Future)
    assert future.get(timeout=SOON) == "hello"


@pytest.mark.parametrize("use", [lambda ref: ref.tell("x"), lambda ref: ref.ask("x"), lambda ref: ref.ask("x", block=False).get()])
def test_the_dead_take_no_messages(ref, use):
    ref.stop()
    with pytest.raises(pykka.ActorDeadError, match="not found"):
        use(ref)


# The registry


def test_it_lists_actors_by_urn_class_superclass_and_name(kind):
    refs = [kind.start() for _ in range(2)]
    registry = pykka.ActorRegistry
    assert registry.get_all() == refs
    assert registry.get_by_urn(refs[0].actor_urn) is refs[0]
    assert registry.get_by_urn("urn:uuid:nobody") is None
    assert registry.get_by_class(kind) == registry.get_by_class(Everything) == refs
    assert registry.get_by_class_name(kind.__name__) == refs
    refs[0].stop()
    assert registry.get_all() == refs[1:]


def test_it_broadcasts_to_all_or_to_a_class(kind):
    logs = [Log(), Log()]
    kind.start(logs[0])
    next(other for other in KINDS if other is not kind).start(logs[1])
    for target, text in ((None, "all"), (kind, "by class"), (kind.__name__, "by name")):
        pykka.ActorRegistry.broadcast(text, target_class=target)
    assert logs[0].saw("by name")
    assert logs[1].saw("all")
    assert logs[0].events[1:] == ["all", "by class", "by name"]
    assert logs[1].events[1:] == ["all"]


def test_it_stops_all_the_last_started_first(kind):
    order: list[int] = []

    class Numbered(kind):
        def __init__(self, n: int) -> None:
            super().__init__()
            self.n = n

        def on_stop(self) -> None:
            order.append(self.n)

    for n in range(4):
        Numbered.start(n)
    assert pykka.ActorRegistry.stop_all(timeout=SOON) == [True] * 4
    assert order == [3, 2, 1, 0]


# Proxies


def test_a_proxy_reads_and_sets_attributes_and_properties(ref):
    proxy = ref.proxy()
    assert (proxy.colour.get(), proxy.size.get(), proxy.fixed.get()) == ("red", 10, 1)
    proxy.colour = "blue"
    proxy.size = 20
    assert (proxy.colour.get(), proxy.size.get()) == ("blue", 20)
    with pytest.raises(AttributeError):
        proxy.fixed = 2


@pytest.mark.parametrize("name", ["_secret", "missing"])
def test_a_proxy_has_no_private_and_no_unknown_attributes(ref, name):
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
        getattr(ref.proxy(), name)


def test_a_proxy_calls_methods_and_may_wait_or_not(ref):
    proxy = ref.proxy()
    assert proxy.add(1).get() == 11
    assert proxy.add(1, times=3).get() == 14
    assert proxy.add.defer(6) is None
    assert proxy.size.get() == 20


def test_an_exception_in_a_method_is_raised_by_its_future(ref):
    with pytest.raises(LookupError):
        ref.proxy().fail().get()
    assert ref.is_alive()


def test_an_exception_in_a_deferred_call_is_a_failure(ref, log):
    ref.proxy().fail.defer()
    assert log.saw("failure LookupError")


def test_a_proxy_enters_parts_that_are_marked_and_no_others(ref):
    proxy = ref.proxy()
    assert (proxy.part.size.get(), proxy.part.double().get()) == (3, 6)
    proxy.part.size = 4
    assert proxy.part.double().get() == 8
    with pytest.raises(AttributeError):
        _ = proxy.closed.anything


def test_methods_may_come_after_the_proxy(ref):
    proxy = ref.proxy()
    ref.ask(lambda actor: setattr(actor, "late", lambda: "late"))
    assert proxy.late().get() == "late"


def test_proxies_compare_by_actor_and_path_and_show_both(ref):
    proxy, other = ref.proxy(), ref.proxy()
    assert proxy == other
    assert hash(proxy) == hash(other)
    assert proxy != proxy.part
    assert proxy != "proxy"
    assert ref.actor_urn in repr(proxy)
    assert "'part'" in repr(proxy.part)
    assert {"colour", "add", "part"} <= set(dir(proxy))


def test_a_proxy_needs_a_living_actor_and_keeps_its_ref_when_it_dies(ref):
    proxy = ref.proxy()
    proxy.stop()
    assert ref.actor_stopped.wait(SOON)
    assert proxy.actor_ref is ref
    with pytest.raises(pykka.ActorDeadError):
        ref.proxy()


def test_an_actor_may_use_a_proxy_to_itself(ref):
    assert ref.ask(Everything.chain).get(timeout=SOON) == 11


class EverythingProxy(ActorMemberMixin, pykka.ActorProxy):
    colour = proxy_field(Everything.colour)
    add = proxy_method(Everything.add)


def test_typed_proxies_are_proxies(ref):
    typed: EverythingProxy = ref.proxy()
    assert typed.colour.get() == "red"
    assert typed.add(5, times=2).get() == 20
    assert typed.actor_ref.is_alive()
    typed.stop()


# Futures


def settled(value: object) -> TrioFuture:
    future = TrioFuture()
    future.set(value)
    return future


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda: settled(10).map(lambda n: n + 1), 11),
        (lambda: settled({"a": 1}).map(lambda d: d["a"]), 1),
        (lambda: settled([1, 2, 3, 4]).filter(lambda n: n > 2), [3, 4]),
        (lambda: settled([1, 2, 3]).reduce(lambda a, b: a + b), 6),
        (lambda: settled(["a"]).reduce(lambda a, b: a + b, "z"), "za"),
        (lambda: settled(1).join(settled(2), settled(3)), [1, 2, 3]),
        (lambda: settled(settled(4)).map(lambda inner: inner.get()), 4),
    ],
)
def test_futures_are_made_of_futures(make, value):
    assert make().get(timeout=SOON) == value


def test_a_derived_future_is_computed_once():
    calls: list[int] = []
    derived = settled(1).map(lambda n: calls.append(n))
    assert (derived.get(), derived.get(), calls) == (None, None, [1])


@pytest.mark.parametrize(
    "derive",
    [lambda f: f.map(str), lambda f: f.filter(bool), lambda f: f.reduce(max), lambda f: f.join(TrioFuture())],
)
def test_a_derived_future_keeps_the_timeout(derive):
    with pytest.raises(pykka.Timeout):
        derive(TrioFuture()).get(timeout=0.01)


@pytest.mark.parametrize("derive", [lambda f: f.filter(bool), lambda f: f.reduce(max)])
def test_what_cannot_be_iterated_is_a_type_error(derive):
    with pytest.raises(TypeError):
        derive(settled(1)).get(timeout=SOON)


def test_get_all_waits_for_all_and_may_be_repeated():
    futures = [TrioFuture() for _ in range(3)]
    for n, future in enumerate(futures):
        future.set(n)
    assert pykka.get_all(futures) == pykka.get_all(futures) == [0, 1, 2]
    with pytest.raises(pykka.Timeout):
        pykka.get_all([settled(1), TrioFuture()], timeout=0.01)


@pytest.mark.parametrize("settle", [lambda f: f.set(1), lambda f: f.set_exception((ValueError, ValueError(), None))])
def test_a_future_with_a_hook_cannot_be_settled_nor_a_settled_one_hooked(settle):
    hooked = TrioFuture()
    hooked.set_get_hook(lambda timeout: 1)
    with pytest.raises(queue.Full):
        settle(hooked)
    with pytest.raises(queue.Full):
        settled(1).set_get_hook(lambda timeout: 1)


def test_a_hook_is_called_once_even_if_it_gives_none():
    calls: list[float | None] = []
    future = TrioFuture()
    future.set_get_hook(lambda timeout: calls.append(timeout))
    assert (future.get(), future.get(), calls) == (None, None, [None])


def test_an_exception_is_raised_with_the_traceback_it_had(ref):
    with pytest.raises(LookupError) as caught:
        ref.ask(Everything.fail)
    assert any(frame.name == "fail" for frame in caught.traceback)


# What is different, on purpose


class Strict(Everything):
    SURVIVES_ASKS = False


class StrictTrio(Strict, TrioActor):
    pass


class StrictBlocking(Strict, BlockingActor):
    pass


@pytest.mark.parametrize("kind", [StrictTrio, StrictBlocking])
def test_unless_it_says_otherwise_an_actor_crashes_on_a_failed_ask_as_on_a_failed_tell(kind, log):
    ref = kind.start(log)
    with pytest.raises(ActorCrashed) as caught:
        ref.ask(Everything.fail)
    assert isinstance(caught.value.__cause__, LookupError)
    assert log.saw("failure LookupError")
    assert not ref.is_alive()


def test_a_message_without_a_handler_is_refused_where_pykka_answers_none():
    ref = type("Silent", (TrioActor,), {}).start()
    with pytest.raises(Unhandled):
        ref.ask("hello")
    assert ref.is_alive()


def test_a_blocking_actors_thread_is_named_after_its_address_and_never_keeps_the_program_alive():
    threads: list[threading.Thread] = []
    ref = EverythingBlocking.start()
    ref.ask(lambda actor: threads.append(threading.current_thread()))
    (thread,) = threads
    assert thread.daemon
    assert thread.name.startswith("EverythingBlocking")
