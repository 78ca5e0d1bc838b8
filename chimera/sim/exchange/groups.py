"""Order groups: the exchange's own kill switch.

A group counts the contracts its orders matched in a rolling fifteen seconds. When they reach its limit, or on demand, it is triggered: its
resting orders are cancelled and no order may join it until it is reset. A group lives on one shard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import attrs

from chimera.conventions import CONTRACT, Count
from chimera.sim.exchange.floor import Floor
from chimera.sim.exchange.ledger import Holding
from chimera.sim.exchange.members import Member, Members
from chimera.sim.exchange.orders import Declined, Fill, Own
from chimera.sim.exchange.rules import Rules

WINDOW_SECONDS = 15.0
LARGEST_LIMIT = 1_000_000 * CONTRACT
MOST_GROUPS = 100_000


@attrs.define(eq=False)
class Group:
    """One group. `matched` are (time, contracts) of its orders' fills; `orders` every order that ever joined it."""

    group_id: str
    member: Member
    shard: int
    limit: Count
    triggered: bool = False
    matched: deque[tuple[float, Count]] = attrs.field(factory=deque)
    orders: dict[str, None] = attrs.field(factory=dict)

    def total(self, at: float) -> Count:
        """Contracts matched in the window that ends now."""
        while self.matched and self.matched[0][0] <= at - WINDOW_SECONDS:
            self.matched.popleft()
        return sum(count for _, count in self.matched)


class GroupListener(Protocol):
    """Hears what happens to groups."""

    def on_group(self, group: Group, event: str, at: float) -> None:
        """`created`, `triggered`, `reset`, `deleted` or `limit_updated`."""


class Groups:
    """Every group of every member. `cancel` takes an order off, for its group's sake."""

    def __init__(self, floor: Floor, members: Members, rules: Callable[[], Rules], cancel: Callable[[Own, float], None]) -> None:
        self._floor = floor
        self._members = members
        self._rules = rules
        self._cancel = cancel
        self._all: dict[str, Group] = {}
        self._listeners: list[GroupListener] = []
        members.listen(self)

    def listen(self, listener: GroupListener) -> None:
        self._listeners.append(listener)

    def of(self, member: Member) -> list[Group]:
        return [group for group in self._all.values() if group.member is member]

    def find(self, member: Member, group_id: str, shard: int | None = None) -> Group:
        """A member's group (on a shard). Declined 404 where there is none: a group is unknown on every shard but its own."""
        group = self._all.get(group_id)
        if group is None or group.member is not member or (shard is not None and shard != group.shard):
            raise Declined(404, "not_found")
        return group

    def create(self, member: Member, shard: int, limit: Count, at: float) -> Group:
        self._check_limit(limit)
        if len(self.of(member)) >= MOST_GROUPS:
            raise Declined(400, "invalid_parameters", "too many order groups")
        group = Group(self._members.new_id(), member, shard, limit)
        self._all[group.group_id] = group
        self._tell(group, "created", at)
        return group

    def joinable(self, member: Member, group_id: str, shard: int) -> None:
        """Declined where an order may not join the group."""
        group = self._all.get(group_id)
        if group is None or group.member is not member or group.shard != shard:
            raise self._rules().declined("group_missing")
        if group.triggered:
            raise self._rules().declined("group_triggered")

    def set_limit(self, group: Group, limit: Count, at: float) -> None:
        """Another limit; one that is reached already triggers at once."""
        self._check_limit(limit)
        group.limit = limit
        self._tell(group, "limit_updated", at)
        if self._reached(group, at):
            self.trigger(group, at)

    def trigger(self, group: Group, at: float) -> None:
        """Latch the group and cancel what rests of it. Nothing happens to a group that is latched, but what rests is cancelled again."""
        fresh, group.triggered = not group.triggered, True
        if fresh:
            self._tell(group, "triggered", at)
        self._cancel_all(group, at)

    def reset(self, group: Group, at: float) -> None:
        """Zero the count and let orders in again."""
        group.triggered = False
        group.matched.clear()
        self._tell(group, "reset", at)

    def delete(self, group: Group, at: float) -> None:
        """Cancel what rests of the group, and forget it."""
        self._cancel_all(group, at)
        del self._all[group.group_id]
        self._tell(group, "deleted", at)

    # What the members do

    def on_order(self, member: Member, order: Own, kind: str, at: float) -> None:
        group = self._all.get(order.group_id)
        if group is not None:
            group.orders[order.order_id] = None

    def on_fill(self, member: Member, fill: Fill, at: float) -> None:
        group = self._all.get(member.orders.now[fill.order_id].group_id)
        if group is None:
            return
        group.matched.append((at, fill.count))
        if not group.triggered and self._reached(group, at):
            # Not before everybody has heard of the fill: what rests is cancelled in a step of its own.
            self._floor.then(lambda: self.trigger(group, at))

    def on_holding(self, member: Member, holding: Holding, at: float) -> None: ...

    def live(self, group: Group) -> list[Own]:
        """What rests of a group."""
        orders = group.member.orders.now
        return [orders[order_id] for order_id in group.orders if orders[order_id].live]

    def _cancel_all(self, group: Group, at: float) -> None:
        for order in self.live(group):
            self._cancel(order, at)

    def _reached(self, group: Group, at: float) -> bool:
        total = group.total(at)
        return total > group.limit or (total == group.limit and self._rules().group_trigger == "hit")

    def _check_limit(self, limit: Count) -> None:
        if not 0 < limit <= LARGEST_LIMIT:
            raise Declined(400, "invalid_parameters", "contracts_limit must be between 1 and 1000000")

    def _tell(self, group: Group, event: str, at: float) -> None:
        for listener in self._listeners:
            listener.on_group(group, event, at)
