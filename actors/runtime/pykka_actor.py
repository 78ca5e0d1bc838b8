"""pykka.Actor, as a type checker should see it under TrioActor.

At run time it is pykka's class and nothing else. pykka types `on_start` and `on_stop` as sync; a trio actor's may be async, which no
annotation in a subclass can say, so the declarations here are what checkers compare overrides with.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pykka

if TYPE_CHECKING:
    from pykka._actor import ActorInbox

    class PykkaActor:
        """See pykka.Actor for what each of these promises."""

        actor_urn: str
        actor_inbox: ActorInbox
        actor_stopped: threading.Event
        _actor_ref: pykka.ActorRef[Any]

        def __init__(self, *args: object, **kwargs: object) -> None: ...

        @classmethod
        def start(cls, *args: object, **kwargs: object) -> pykka.ActorRef[Any]: ...

        @property
        def actor_ref(self) -> pykka.ActorRef[Any]: ...

        def stop(self) -> None: ...

        def on_start(self) -> Awaitable[object] | None: ...

        def on_stop(self) -> Awaitable[object] | None: ...

        def on_failure(
            self, exception_type: type[BaseException] | None, exception_value: BaseException | None, traceback: TracebackType | None
        ) -> None: ...

        def on_receive(self, message: Any) -> object: ...

        def _handle_receive(self, message: object) -> object: ...

else:
    PykkaActor = pykka.Actor
