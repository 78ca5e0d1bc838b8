"""What is ours on the exchange: money, orders, fills, positions, groups, and what the account and its keys may do.

Lists are whole or they are an error. They lag the exchange's own acks (an order was seen resting 0.36 s after its cancel was acked), so
what they prove, they prove as of a little earlier; `KalshiRest.user_data_timestamp` says as of when.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

import attrs

from chimera.conventions import Count, Money, dollars
from chimera.kalshi import decode_account
from chimera.kalshi.ratelimit import Call
from chimera.kalshi.rest import KalshiRest, by_hundred, filters, quoted
from chimera.kalshi.schema_account import (
    AccountLimits,
    ApiKeys,
    Balance,
    EndpointCosts,
    EventPosition,
    KalshiFill,
    KalshiOrder,
    KalshiPosition,
    OrderGroup,
    Positions,
    QueuePosition,
    Settlement,
)

_A_PAGE = ("limit", "1000")


class KalshiAccount:
    """Reads of one account. `subaccount` None asks for all of them where Kalshi can, and for the primary one where it cannot."""

    def __init__(self, rest: KalshiRest, *, subaccount: int | None = None) -> None:
        self._rest, self._subaccount = rest, subaccount

    # What the account may do

    async def limits(self) -> AccountLimits:
        """The account's token buckets. The session's limiter takes on what is reported."""
        limits = await self._rest.read("/account/limits", (), decode_account.account_limits)
        session = self._rest.session
        session.limiter.set_limits(limits, session.clock.now())
        return limits

    async def endpoint_costs(self) -> EndpointCosts:
        """Tokens of every call that does not cost the default. The session's limiter takes on what is reported."""
        costs = await self._rest.read("/account/endpoint_costs", (), decode_account.endpoint_costs)
        self._rest.session.limiter.set_costs(costs)
        return costs

    async def api_keys(self) -> ApiKeys:
        """Every key of the account, what each may do, and when the attestation of the account's location ends."""
        return await self._rest.read("/api_keys", (), decode_account.api_keys)

    # Money and what it bought

    async def balance(self, exchange_index: int | None = None) -> Balance:
        """Cash over all shards and on each, or on one. One a second (five in the upper tiers), by a bucket of its own."""
        query = self._query(exchange_index=exchange_index)
        return await self._rest.read("/portfolio/balance", query, decode_account.balance, Call.BALANCE)

    async def positions(self, *, ticker: str | None = None, event_ticker: str | None = None) -> Positions:
        """Everything held and not yet settled."""
        query = [*self._query(ticker=ticker, event_ticker=event_ticker), _A_PAGE]
        found = await self._rest.pages(
            "/portfolio/positions", query, decode_account.position, "market_positions", "event_positions"
        )
        return Positions(
            tuple({(each.exchange_index, each.market): each for each in found if isinstance(each, KalshiPosition)}.values()),
            tuple({each.event: each for each in found if isinstance(each, EventPosition)}.values()),
        )

    async def fills(
        self, *, since: float | None = None, until: float | None = None, ticker: str | None = None, order_id: str | None = None
    ) -> tuple[KalshiFill, ...]:
        """Every fill in a span (unix seconds of the exchange, cut to whole ones), newest first, each once."""
        query = [*self._query(ticker=ticker, order_id=order_id, min_ts=since, max_ts=until), _A_PAGE]
        found = await self._rest.pages("/portfolio/fills", query, decode_account.fill, "fills")
        return tuple({fill.fill_id: fill for fill in found}.values())

    async def settlements(self, *, since: float | None = None, ticker: str | None = None) -> tuple[Settlement, ...]:
        """Every settlement since a time (unix seconds of the exchange), newest first, each once."""
        query = [*self._query(ticker=ticker, min_ts=since), _A_PAGE]
        found = await self._rest.pages("/portfolio/settlements", query, decode_account.settlement, "settlements")
        return tuple({each.key: each for each in found}.values())

    # Orders

    async def orders(
        self,
        *,
        status: str | None = None,
        ticker: str | None = None,
        event_ticker: str | None = None,
        since: float | None = None,
        until: float | None = None,
        exchange_index: int | None = None,
    ) -> tuple[KalshiOrder, ...]:
        """Every order that fits, each once. `status`: resting, canceled, executed.

        Kalshi cannot be asked by client id: after a lost answer, look through a span of time (unix seconds of the exchange) for it.
        """
        wanted = self._query(
            status=status, ticker=ticker, event_ticker=event_ticker, min_ts=since, max_ts=until, exchange_index=exchange_index
        )
        found = await self._rest.pages("/portfolio/orders", [*wanted, _A_PAGE], decode_account.order, "orders")
        return tuple({order.order_id: order for order in found}.values())

    async def order(self, order_id: str) -> KalshiOrder:
        """One order. A 404 is the same for one that never was and one long gone."""
        return await self._rest.read(f"/portfolio/orders/{quoted(order_id)}", (), decode_account.single_order, Call.GET_ORDER)

    async def queue_positions(self, tickers: Iterable[str]) -> tuple[QueuePosition, ...]:
        """How much stands before each resting order of ours in these markets."""
        found: list[QueuePosition] = []
        for some in by_hundred(tickers):
            query = self._query(market_tickers=",".join(some))
            found += await self._rest.read("/portfolio/orders/queue_positions", query, decode_account.queue_positions)
        return tuple(found)

    async def queue_position(self, order_id: str) -> Count:
        """How much stands before one order."""
        path = f"/portfolio/orders/{quoted(order_id)}/queue_position"
        return await self._rest.read(path, (), decode_account.queue_position)

    # Groups

    async def groups(self) -> tuple[OrderGroup, ...]:
        """Every order group, without its orders."""
        return await self._rest.read("/portfolio/order_groups", self._query(), decode_account.groups)

    async def group(self, group_id: str) -> OrderGroup:
        """One order group, with the ids of its orders."""
        path = f"/portfolio/order_groups/{quoted(group_id)}"
        return await self._rest.read(path, self._query(), lambda body: decode_account.group(body, group_id))

    def _query(self, **wanted: str | float | None) -> list[tuple[str, str]]:
        return filters(**wanted, subaccount=self._subaccount)


class OnShard(Protocol):
    """Whatever is traded on a shard."""

    @property
    def ticker(self) -> str: ...

    @property
    def exchange_index(self) -> int: ...


@attrs.frozen(slots=True)
class ShortShard:
    """A shard that cannot pay for what is to be traded on it. `cash` is None where the exchange does not say what is there."""

    exchange_index: int
    cash: Money | None
    need: Money
    markets: tuple[str, ...]

    def __str__(self) -> str:
        has = "states no cash" if self.cash is None else f"has ${dollars(self.cash):.2f}"
        some = ", ".join(self.markets[:3]) + (", ..." if len(self.markets) > 3 else "")
        return f"shard {self.exchange_index} {has} of the ${dollars(self.need):.2f} that {some} may need: transfer cash to it at Kalshi"


def shards_without_cash(balance: Balance, markets: Iterable[OnShard], need: Money | Mapping[int, Money]) -> tuple[ShortShard, ...]:
    """The shards of `markets` that hold less cash than `need` (for each shard, or by shard); none where all can pay.

    An order spends its own shard's cash and no other: an account full of money on shard 0 is an empty one on shard 3. A shard that the
    balance does not list is short, unless nothing is needed there.
    """
    cash = dict(balance.shards)
    tickers: dict[int, list[str]] = {}
    for market in markets:
        tickers.setdefault(market.exchange_index, []).append(market.ticker)
    short = []
    for index, names in sorted(tickers.items()):
        needed = need if isinstance(need, int) else need.get(index, 0)
        if cash.get(index, 0) < needed:
            short.append(ShortShard(index, cash.get(index), needed, tuple(sorted(names))))
    return tuple(short)
