"""pykka's reference to one incarnation, made awaitable. Unlike an Address it dies with its actor."""

from __future__ import annotations

from typing import Any, Literal, overload

import outcome
import pykka
import trio
from pykka.messages import _ActorStop

from actors.runtime.future import TrioFuture


class TrioActorRef(pykka.ActorRef[Any]):
    """`tell`, `ask(..., block=False)`, `stop(block=False)` and proxies, all awaitable in the loop."""

    async def call(self, message: object, timeout: float = 5.0) -> object:
        """Ask and wait in the loop. Raises pykka.Timeout, or pykka.ActorDeadError once this incarnation has ended."""
        future = self.ask(message, block=False)
        with trio.move_on_after(timeout):
            return await future
        if isinstance(future, TrioFuture):
            future.abandoned = True
        raise pykka.Timeout(f"{self} did not answer in {timeout} seconds")

    @overload
    def stop(self, *, block: Literal[True], timeout: float | None = None) -> bool: ...

    @overload
    def stop(self, *, block: Literal[False], timeout: float | None = None) -> pykka.Future[bool]: ...

    @overload
    def stop(self, *, block: bool = True, timeout: float | None = None) -> bool | pykka.Future[bool]: ...

    def stop(self, *, block: bool = True, timeout: float | None = None) -> bool | pykka.Future[bool]:
        """pykka's contract: everything queued is handled first; True once stopped, False if it was dead already."""
        stopped: TrioFuture[bool] = TrioFuture()
        asked = self.ask(_ActorStop(), block=False)

        def settle(result: outcome.Outcome[Any]) -> None:
            if isinstance(result, outcome.Error) and not isinstance(result.error, pykka.ActorDeadError):
                stopped.fail(result.error)
            else:
                stopped.set(isinstance(result, outcome.Value))

        assert isinstance(asked, TrioFuture)  # our own _create_future made it
        asked.listen(settle)
        return stopped.get(timeout=timeout) if block else stopped
