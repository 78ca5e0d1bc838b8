"""A supervisor whose children are all started at run time, by `StartChild`, and are independent of one another."""

from __future__ import annotations

from typing import ClassVar

import trio

from actors.runtime.address import Address, Phase
from actors.runtime.admin import StartChild, TerminateChild
from actors.runtime.child import Child
from actors.runtime.errors import Refusal
from actors.runtime.spec import AutoShutdown, Strategy
from actors.runtime.supervisor import Supervisor


class DynamicSupervisor(Supervisor):
    """ONE_FOR_ONE from an empty start. A terminated child is forgotten; all children stop at the same time; none survives a restart.

    At most `max_children` at once; more are refused.
    """

    ORPHANED: ClassVar[Phase] = Phase.GONE

    def __init__(
        self,
        intensity: float = 1,
        period: float = 5.0,
        max_children: int | None = None,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
    ) -> None:
        super().__init__((), Strategy.ONE_FOR_ONE, intensity, period, auto_shutdown)
        self.max_children = max_children

    async def start_child(self, request: StartChild) -> Address:
        if self.max_children is not None and len(self._children) >= self.max_children:
            raise Refusal(f"{self.address.name} holds {self.max_children} children, its limit")
        return await super().start_child(request)

    async def terminate_child(self, request: TerminateChild) -> bool:
        await super().terminate_child(request)
        self._forget(request.id)
        return True

    async def _stop_children(self, children: list[Child]) -> None:
        async with trio.open_nursery() as nursery:
            for child in children:
                nursery.start_soon(child.stop, self.ORPHANED)
