"""The answers to writes, as typed values; a batch's answer is laid beside its request, item by item.

Whatever the answer to one item does not say is an unknown outcome for that item alone. An answer is matched to its request by the ids it
names, and by its place only where it names none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import attrs
import msgspec

from chimera.conventions import Count, Money, parse_count, parse_money
from chimera.kalshi import failures
from chimera.kalshi.failures import KalshiError, OutcomeUnknown


@attrs.frozen(slots=True)
class Created:
    """An order was taken. `average_price` and `average_fee` are 1e-6 $ a contract, None where nothing was filled at once.

    An immediate-or-cancel order that found nothing has `filled` 0 and `remaining` 0. `at_ms` is the exchange's time.
    """

    order_id: str
    client_id: str
    filled: Count
    remaining: Count
    at_ms: int
    average_price: Money | None = None
    average_fee: Money | None = None


@attrs.frozen(slots=True)
class Cancelled:
    """An order is off the book. `reduced` is what it still had; None where the answer speaks of another order, as it has been seen to."""

    order_id: str
    client_id: str
    reduced: Count | None
    at_ms: int


@attrs.frozen(slots=True)
class Amended:
    """An order was changed. `remaining` and `filled` are None where neither changed; a fill means that the change crossed the book."""

    order_id: str
    client_id: str
    at_ms: int
    remaining: Count | None = None
    filled: Count | None = None
    average_price: Money | None = None
    average_fee: Money | None = None


@attrs.frozen(slots=True)
class Decreased:
    """Less of an order rests now."""

    order_id: str
    client_id: str
    remaining: Count
    at_ms: int


@attrs.frozen(slots=True)
class GroupCreated:
    """A group is there."""

    group_id: str
    exchange_index: int


Answer = TypeVar("Answer")
CreateOutcome: TypeAlias = Created | KalshiError
CancelOutcome: TypeAlias = Cancelled | KalshiError


def created(body: bytes) -> Created:
    """The answer to a create."""
    return _created(_answers.decode(body))


def cancelled(body: bytes, order_id: str) -> Cancelled:
    """The answer to the cancel of `order_id`. The cancel is good whichever order the answer describes."""
    wire = _answers.decode(body)
    if wire.order_id != order_id:
        return Cancelled(order_id, "", None, wire.ts_ms or 0)
    return _cancelled(wire)


def amended(body: bytes) -> Amended:
    """The answer to an amend."""
    wire = _answers.decode(body)
    return Amended(
        _required(wire.order_id, "order_id"),
        wire.client_order_id or "",
        wire.ts_ms or 0,
        _count(wire.remaining_count),
        _count(wire.fill_count),
        _money(wire.average_fill_price),
        _money(wire.average_fee_paid),
    )


def decreased(body: bytes) -> Decreased:
    """The answer to a decrease."""
    wire = _answers.decode(body)
    remaining = parse_count(_required(wire.remaining_count, "remaining_count"))
    return Decreased(_required(wire.order_id, "order_id"), wire.client_order_id or "", remaining, wire.ts_ms or 0)


def group_created(body: bytes) -> GroupCreated:
    """The answer to the making of a group."""
    wire = _groups.decode(body)
    return GroupCreated(wire.order_group_id, wire.exchange_index)


def batch_created(call: str, status: int, body: bytes, client_ids: Sequence[str]) -> tuple[CreateOutcome, ...]:
    """What became of each order of a batch, in the order of `client_ids`."""
    return _laid_beside(call, status, client_ids, _batch.decode(body).orders, lambda item: item.client_order_id, _created)


def batch_cancelled(call: str, status: int, body: bytes, order_ids: Sequence[str]) -> tuple[CancelOutcome, ...]:
    """What became of each order of a batch, in the order of `order_ids`."""
    return _laid_beside(call, status, order_ids, _batch.decode(body).orders, lambda item: item.order_id, _cancelled)


def _laid_beside(
    call: str,
    status: int,
    ids: Sequence[str],
    items: Sequence[_Item],
    id_of: Callable[[_Item], str | None],
    convert: Callable[[_Item], Answer],
) -> tuple[Answer | KalshiError, ...]:
    """One answer for each id. Places are believed only where the answer is as long as the request, and never against an id."""
    by_id = {name: item for item in items if (name := id_of(item))}
    in_place = len(items) == len(ids)
    answers: list[Answer | KalshiError] = []
    for place, each in enumerate(ids):
        item = by_id.get(each)
        if item is None and in_place and not id_of(items[place]):
            item = items[place]
        answers.append(_outcome(call, status, each, item, convert))
    return tuple(answers)


def _outcome(call: str, status: int, name: str, item: _Item | None, convert: Callable[[_Item], Answer]) -> Answer | KalshiError:
    if item is None:
        return OutcomeUnknown(call, status, "", f"the answer does not speak of {name}")
    if item.error is not None:
        error = item.error
        return failures.from_item(call, status, error.code or "", error.message or "", str(error.details or ""))
    try:
        return convert(item)
    except ValueError as error:
        return OutcomeUnknown(call, status, "", f"the answer for {name} cannot be read: {error}")


class _Form(msgspec.Struct, gc=False):
    """Base of the wire's forms."""


class _Error(_Form):
    code: str | None = None
    message: str | None = None
    details: object = None


class _Item(_Form):
    """One order of an answer, or the answer itself; what it must hold depends on what was asked."""

    order_id: str = ""
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    reduced_by: str | None = None
    average_fill_price: str | None = None
    average_fee_paid: str | None = None
    ts_ms: int | None = None
    error: _Error | None = None


class _Batch(_Form):
    orders: list[_Item]


class _Group(_Form):
    order_group_id: str
    exchange_index: int = 0


_answers = msgspec.json.Decoder(_Item)
_batch = msgspec.json.Decoder(_Batch)
_groups = msgspec.json.Decoder(_Group)


def _created(wire: _Item) -> Created:
    return Created(
        order_id=_required(wire.order_id, "order_id"),
        client_id=wire.client_order_id or "",
        filled=parse_count(_required(wire.fill_count, "fill_count")),
        remaining=parse_count(_required(wire.remaining_count, "remaining_count")),
        at_ms=wire.ts_ms or 0,
        average_price=_money(wire.average_fill_price),
        average_fee=_money(wire.average_fee_paid),
    )


def _cancelled(wire: _Item) -> Cancelled:
    reduced = parse_count(_required(wire.reduced_by, "reduced_by"))
    return Cancelled(_required(wire.order_id, "order_id"), wire.client_order_id or "", reduced, wire.ts_ms or 0)


def _required(text: str | None, field: str) -> str:
    if not text:
        raise ValueError(f"it has no {field}")
    return text


def _count(contracts: str | None) -> Count | None:
    return None if contracts is None else parse_count(contracts)


def _money(amount: str | None) -> Money | None:
    return None if amount is None else parse_money(amount)
