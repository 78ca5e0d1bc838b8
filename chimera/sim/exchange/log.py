"""The exchange's own log: every order, fill and cancel of its members, every refusal, and what faults did, in the order they happened.

It only grows. An audit holds a client's story against it. `at` is world unix seconds, `mono_ns` the machine's monotonic clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from chimera.conventions import format_count, format_price
from chimera.sim.exchange.documents import format_money
from chimera.sim.exchange.engine import Change
from chimera.sim.exchange.floor import Contract, Floor, Life, Print
from chimera.sim.exchange.groups import Group, Groups
from chimera.sim.exchange.ledger import Holding
from chimera.sim.exchange.members import Member, Members
from chimera.sim.exchange.orders import Declined, Fill, Own
from chimera.sim.server import Request

PAGE = 10_000


class ExchangeLog:
    """A list of entries, each a JSON object with `n`, `at`, `mono_ns` and `kind`. `machine_ns` reads the monotonic clock."""

    def __init__(self, floor: Floor, members: Members, groups: Groups, machine_ns: Callable[[], int]) -> None:
        self._machine_ns = machine_ns
        self._entries: list[dict[str, object]] = []
        members.listen(self)
        groups.listen(self)
        floor.listen(self)

    def __len__(self) -> int:
        return len(self._entries)

    def since(self, first: int, most: int = PAGE) -> list[dict[str, object]]:
        """Entries from number `first` on, at most `most`."""
        return self._entries[first : first + most]

    def page(self, first: int) -> bytes:
        """Entries from `first` on as JSON; `next` is where to go on."""
        rows = self.since(first)
        return json.dumps({"log": rows, "next": first + len(rows), "size": len(self)}, separators=(",", ":")).encode()

    # What is written

    def on_order(self, member: Member, order: Own, kind: str, at: float) -> None:
        """`filled` is left to the fill itself."""
        if kind == "filled":
            return
        self._write(
            kind, at, order_id=order.order_id, client_order_id=order.client_id, ticker=order.ticker, side=order.side.value,
            price=format_price(order.price), initial=format_count(order.initial), filled=format_count(order.filled),
            remaining=format_count(order.remaining), reason=order.reason, expires_at=order.expires_at,
        )  # fmt: skip

    def on_fill(self, member: Member, fill: Fill, at: float) -> None:
        left = member.orders.now[fill.order_id].remaining
        self._write(
            "fill", at, order_id=fill.order_id, client_order_id=fill.client_id, ticker=fill.ticker, side=fill.side.value,
            price=format_price(fill.price), count=format_count(fill.count), remaining=format_count(left), fee=format_money(fill.fee),
            is_taker=fill.is_taker, trade_id=fill.trade_id, position=format_count(fill.after),
        )  # fmt: skip

    def on_holding(self, member: Member, holding: Holding, at: float) -> None: ...

    def on_group(self, group: Group, event: str, at: float) -> None:
        self._write("group", at, order_group_id=group.group_id, event=event, limit=format_count(group.limit))

    def on_life(self, contract: Contract, life: Life, at: float) -> None:
        self._write("market", at, ticker=contract.ticker, event=life.event, status=contract.status.value)

    def on_changes(self, contract: Contract, changes: tuple[Change, ...], at: float) -> None: ...

    def on_print(self, contract: Contract, printed: Print, at: float) -> None: ...

    def declined(self, op: str, fault: Declined, at: float, request: Request) -> None:
        """A write that was refused."""
        self._write("declined", at, op=op, status=fault.status, code=fault.code, details=fault.details, path=request.path)

    def fault(self, name: str, at: float, **fields: object) -> None:
        """Something a fault did to a request or a session."""
        self._write("fault", at, fault=name, **fields)

    def _write(self, kind: str, at: float, **fields: object) -> None:
        self._entries.append({"n": len(self._entries), "at": at, "mono_ns": self._machine_ns(), "kind": kind, **fields})
