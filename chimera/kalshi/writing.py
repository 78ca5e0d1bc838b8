"""Writes to Kalshi: orders and groups, each sent once, and what is known of it afterwards.

A write that the limiter refuses, or whose connection cannot be made, was not executed; one that the exchange refuses in its own words had
no effect; anything else is unknown (`failures.py`). What changes something each time it is done is never sent twice. Cancels and triggers
mean the same done twice: they are tried again where that can help, and once a try is unknown no later refusal makes it known.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

import attrs

from chimera.conventions import Count, Price, Side
from chimera.errors import FeedError, VenueError
from chimera.intake import Frame, NotSent, Writer
from chimera.kalshi import decode_orders, failures, requests
from chimera.kalshi.decode_orders import Amended, Cancelled, CancelOutcome, Created, CreateOutcome, Decreased
from chimera.kalshi.failures import DefinitelyNotExecuted, KalshiError, OutcomeUnknown, Throttled
from chimera.kalshi.requests import GroupRef, NewOrder, OrderRef, Request
from chimera.kalshi.rest import decoded
from chimera.kalshi.session import ExchangeSession

RETRIES: Final = 2
_BACKOFF: Final = 0.1
"""World seconds before the first further try of a cancel or trigger; doubled for the second, each spread over half to one and a half."""


class _Timed(Protocol):
    """An answer with the exchange's time in it, 0 where it has none."""

    @property
    def at_ms(self) -> int: ...


Timed = TypeVar("Timed", bound=_Timed)


@attrs.frozen(slots=True)
class Answer:
    """A 2xx answer, and the world time at which its request was sent."""

    frame: Frame
    sent: float


class KalshiWriter:
    """Signs and sends what `requests.py` makes. `rng` spreads retries; `timeout` is in machine seconds, one try."""

    def __init__(self, writer: Writer, session: ExchangeSession, rng: random.Random, *, timeout: float = 5.0) -> None:
        self._writer, self._session, self._rng, self._timeout = writer, session, rng, timeout

    def admit(self, request: Request) -> None:
        """Take the request's tokens in this very step; Throttled where they are not there."""
        limiter, now = self._session.limiter, self._session.clock.now()
        if not limiter.try_take(request.call, request.shard, now, request.items):
            raise Throttled(request.name, limiter.wait(request.call, request.shard, now, request.items))

    async def send(self, request: Request, *, admitted: bool = False) -> Answer:
        """The 2xx answer to one write; where none came, a KalshiError that says what is known.

        `admitted`: the tokens of the first try are taken already. Each further try of what may be repeated takes its own.
        """
        failure: KalshiError | None = None
        doubtful = False
        for attempt in range(RETRIES + 1 if request.repeatable else 1):
            if failure is not None:
                await self._session.clock.sleep(self._pause(attempt, request))
            try:
                if failure is not None or not admitted:
                    self.admit(request)
                return await self._once(request)
            except KalshiError as error:
                failure = error
            doubtful = doubtful or isinstance(failure, OutcomeUnknown)
            if not _may_pass(failure):
                break
        assert failure is not None
        if doubtful and not isinstance(failure, OutcomeUnknown):
            words = f"{failure}; an earlier try may have been carried out"
            raise OutcomeUnknown(request.name, failure.status, failure.code, words, failure.details) from failure
        raise failure

    async def call(self, request: Request, convert: Callable[[bytes], Timed], *, admitted: bool = False) -> Timed:
        """Send, and read the answer; the exchange's time in it tells our clock's offset. OutcomeUnknown where it cannot be read."""
        answer = await self.send(request, admitted=admitted)
        result = decoded(request.name, answer.frame, convert)
        if result.at_ms:
            self._session.observe_ts(result.at_ms, answer.sent, answer.frame.received_wall)
        return result

    async def _once(self, request: Request) -> Answer:
        session = self._session
        sent = session.clock.now()
        headers = session.headers(request.method, session.rest_prefix + request.path)
        try:
            frame = await self._writer.send(
                request.method,
                request.name,
                session.rest_url + request.target,
                headers=headers,
                body=request.body,
                timeout=self._timeout,
            )
        except NotSent as error:
            raise DefinitelyNotExecuted(request.name, 0, "", f"not sent: {error}") from error
        except FeedError as error:
            raise OutcomeUnknown(request.name, 0, "", f"no answer: {error}") from error
        session.answered(request.call, request.shard, frame.status, self._rng.random())
        if not 200 <= frame.status < 300:
            raise failures.from_answer(request.name, frame.status, frame.body)
        return Answer(frame, sent)

    def _pause(self, attempt: int, request: Request) -> float:
        """Until the tokens of the next try are there, and a little longer each time."""
        tokens = self._session.limiter.wait(request.call, request.shard, self._session.clock.now(), request.items)
        return max(tokens, _BACKOFF * 2.0 ** (attempt - 1) * (0.5 + self._rng.random()))


class KalshiOrders:
    """Orders on Kalshi. `admitted` as in `KalshiWriter.send`: True where the caller has taken the tokens in the step that decided."""

    def __init__(self, writer: KalshiWriter) -> None:
        self._writer = writer

    async def create(self, order: NewOrder, *, admitted: bool = False) -> Created:
        """Place one order. Sent once, whatever happens: after OutcomeUnknown look for its client id in the list.

        DefinitelyRejected with code `order_already_exists` says that an order of this client id was taken before, whatever became of it.
        """
        return await self._writer.call(requests.create(order), decode_orders.created, admitted=admitted)

    async def batch_create(self, orders: Sequence[NewOrder], *, admitted: bool = False) -> tuple[CreateOutcome, ...]:
        """Place several in one request: an outcome for each, in their order. A KalshiError raised is the outcome of all of them."""
        request = requests.batch_create(orders)
        answer = await self._writer.send(request, admitted=admitted)
        ids = [order.client_id for order in orders]
        return decoded(request.name, answer.frame, lambda body: decode_orders.batch_created(request.name, answer.frame.status, body, ids))

    async def cancel(self, order: OrderRef, *, admitted: bool = False) -> Cancelled:
        """Cancel one order. A 404 (DefinitelyRejected, `not_found`) says that it does not rest, not why: it may have been filled."""
        request = requests.cancel(order)
        return await self._writer.call(request, lambda body: decode_orders.cancelled(body, order.order_id), admitted=admitted)

    async def batch_cancel(self, orders: Sequence[OrderRef], *, admitted: bool = False) -> tuple[CancelOutcome, ...]:
        """Cancel several in one request: an outcome for each, in their order. A KalshiError raised is the outcome of all of them."""
        request = requests.batch_cancel(orders)
        answer = await self._writer.send(request, admitted=admitted)
        ids = [order.order_id for order in orders]
        return decoded(request.name, answer.frame, lambda body: decode_orders.batch_cancelled(request.name, answer.frame.status, body, ids))

    async def cancel_all(self, subaccount: int | None = None, *, admitted: bool = False) -> None:
        """Cancel everything on every shard. Place nothing for the minute after it: that may be cancelled too."""
        await self._writer.send(requests.cancel_all(subaccount), admitted=admitted)

    async def amend(
        self,
        order: OrderRef,
        *,
        side: Side,
        price: Price,
        total: Count,
        expires_at: float | None = None,
        client_id: str = "",
        new_client_id: str = "",
        admitted: bool = False,
    ) -> Amended:
        """Change an order; `total` is what has been filled and what shall rest. See `requests.amend`. Sent once."""
        request = requests.amend(
            order, side=side, price=price, total=total, expires_at=expires_at, client_id=client_id, new_client_id=new_client_id
        )
        return await self._writer.call(request, decode_orders.amended, admitted=admitted)

    async def renew(
        self, order: OrderRef, *, side: Side, price: Price, total: Count, expires_at: float, admitted: bool = False
    ) -> Amended:
        """Move the expiry and nothing else; price and total are the present ones. Sent once."""
        request = requests.renew(order, side=side, price=price, total=total, expires_at=expires_at)
        return await self._writer.call(request, decode_orders.amended, admitted=admitted)

    async def decrease(
        self, order: OrderRef, *, by: Count | None = None, to: Count | None = None, admitted: bool = False
    ) -> Decreased:
        """Let less of an order rest. Sent once."""
        return await self._writer.call(requests.decrease(order, by=by, to=to), decode_orders.decreased, admitted=admitted)


class KalshiGroups:
    """Order groups on Kalshi: a switch on the exchange that cancels all of a group's orders and lets no new one in."""

    def __init__(self, writer: KalshiWriter) -> None:
        self._writer = writer

    async def create(self, exchange_index: int, limit: Count, subaccount: int | None = None) -> GroupRef:
        """A new group on one shard. VenueError where the exchange made it on another: it would guard nothing."""
        request = requests.group_create(exchange_index, limit, subaccount)
        answer = await self._writer.send(request)
        made = decoded(request.name, answer.frame, decode_orders.group_created)
        if made.exchange_index != exchange_index:
            raise VenueError(f"{request.name}: asked for a group on shard {exchange_index} and was given one on {made.exchange_index}")
        return GroupRef(made.group_id, exchange_index, subaccount)

    async def limit(self, group: GroupRef, limit: Count, *, admitted: bool = False) -> None:
        """Set another limit."""
        await self._writer.send(requests.group_limit(group, limit), admitted=admitted)

    async def trigger(self, group: GroupRef, *, admitted: bool = False) -> None:
        """Cancel all the group's orders, and let no new one in."""
        await self._writer.send(requests.group_trigger(group), admitted=admitted)

    async def reset(self, group: GroupRef, *, admitted: bool = False) -> None:
        """Let a triggered group take orders again. Sent once: a second one could undo a trigger that came in between."""
        await self._writer.send(requests.group_reset(group), admitted=admitted)

    async def delete(self, group: GroupRef, *, admitted: bool = False) -> None:
        """Cancel the group's orders and forget the group."""
        await self._writer.send(requests.group_delete(group), admitted=admitted)


def _may_pass(failure: KalshiError) -> bool:
    return isinstance(failure, OutcomeUnknown | DefinitelyNotExecuted) or failure.code == failures.EXPIRED
