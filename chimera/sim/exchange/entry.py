"""Order entry: what the exchange does with a member's requests, each at a world time, each refused in Kalshi's words or carried out whole.

Checks come before effects, so a refused request changes nothing. The exceptions are Kalshi's: an order that is killed for its own terms
(post-only that crosses, fill-or-kill without the volume) is refused and still on record, as canceled, and has used up its client id.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import attrs

from chimera.conventions import Count, Price, Side
from chimera.markets import Status
from chimera.sim.exchange.crowd import Crowd
from chimera.sim.exchange.engine import Execution, Refused
from chimera.sim.exchange.floor import OVER, Contract, Floor
from chimera.sim.exchange.groups import Groups
from chimera.sim.exchange.ledger import Claim, requirement
from chimera.sim.exchange.members import Member, Members
from chimera.sim.exchange.orders import Declined, Lasting, NewOrder, Own, Standing
from chimera.sim.exchange.rules import Rules

MOST_ORDERS = 200_000
"""Open orders a member may have."""
_KILLED = "fill_or_kill_insufficient_resting_volume"


@attrs.frozen(slots=True)
class Amendment:
    """What an amend asks for: `count` is what has filled plus what shall rest. `expires_at` is None to keep the expiry, 0 to remove it."""

    ticker: str
    side: Side
    price: Price
    count: Count
    client_id: str = ""
    new_client_id: str = ""
    expires_at: int | None = None
    shard: int | None = None


class OrderEntry:
    """The writing side of the exchange. `rules` answers what is a matter of choice; `rng` decides what is a matter of chance."""

    def __init__(self, floor: Floor, members: Members, crowd: Crowd, rng: random.Random, rules: Callable[[], Rules]) -> None:
        self._floor = floor
        self._members = members
        self._crowd = crowd
        self._rng = rng
        self._rules = rules
        self.closed_shards: set[int] = set()
        """Shards on which the exchange itself is paused: nothing works there, not even a cancel."""
        self.groups = Groups(floor, members, rules, lambda order, at: self._take_off(order, "", at))

    # Create

    def create(self, member: Member, new: NewOrder, at: float) -> Own:
        """Place an order; what became of it at once. Declined where Kalshi would refuse."""
        contract = self._market(new.ticker, new.shard)
        self._open(contract)
        if new.client_id and new.client_id in member.client_ids:
            raise Declined(409, "order_already_exists")
        self._check_form(contract, new, at)
        if new.group_id:
            self.groups.joinable(member, new.group_id, contract.shard)
        if member.open_orders >= MOST_ORDERS:
            raise self._rules().declined("too_many_orders")
        count = self._reducible(member, new) if new.reduce_only else new.count
        self._afford(member, contract, new, count, at)
        order = self._fresh(member, contract, new, at)
        if new.post_only and contract.book.crosses(new.side, new.price):
            order = self._stillborn(member, order, "PostOnlyCrossCancel", at)
            if self._rules().post_only == "refuse":
                raise Declined(400, "invalid_order", "post only cross")
            return order
        if count == 0:
            return self._stillborn(member, order, "ReduceOnlyCancel", at)
        return self._enter(member, order, count, at)

    def _check_form(self, contract: Contract, new: NewOrder, at: float) -> None:
        if not contract.book.grid.valid(new.price):
            raise Declined(400, "invalid_price")
        if new.subaccount:
            raise Declined(404, "user_not_found", "Exchange user not found")
        if new.expires_at is not None and new.lasting is not Lasting.GTC:
            raise Declined(400, "invalid_order", "expiration_time requires good_till_canceled")
        if new.expires_at is not None and new.expires_at <= at:
            raise Declined(400, "invalid_order", "expiration_time is in the past")
        if new.reduce_only and new.lasting is not Lasting.IOC:
            raise Declined(400, "invalid_order", "reduce_only requires immediate_or_cancel")
        if new.post_only and new.lasting is not Lasting.GTC:
            raise Declined(400, "invalid_order", "post_only requires good_till_canceled")

    def _reducible(self, member: Member, new: NewOrder) -> Count:
        held = -member.ledger.position(new.ticker) * new.side.sign
        return max(0, min(new.count, held))

    def _afford(self, member: Member, contract: Contract, new: NewOrder, count: Count, at: float) -> None:
        rules, ledger, shard = self._rules(), member.ledger, contract.shard
        takes = rules.reserve_fee and not new.post_only
        rate = self._members.rate(contract, is_taker=takes, at=at)
        claims = [*self._members.claims(member, contract.ticker, at), Claim(new.side, new.price, count, rate)]
        if ledger.affords(contract.ticker, shard, requirement(claims, ledger.position(contract.ticker))):
            return
        if shard not in ledger.cash:
            raise Declined(404, "user_not_found", "Exchange user not found")
        if shard and not ledger.cash[shard]:
            raise rules.declined("shard_unfunded")
        raise Declined(400, "insufficient_balance")

    def _fresh(self, member: Member, contract: Contract, new: NewOrder, at: float) -> Own:
        return Own(
            self._members.new_id(), member.name, contract.ticker, contract.listing.event_ticker, contract.shard, new.client_id, new.side,
            new.price, new.count, at, at, new.lasting, new.stp, new.post_only, new.cancel_on_pause, new.group_id, new.expires_at,
        )  # fmt: skip

    def _stillborn(self, member: Member, order: Own, reason: str, at: float) -> Own:
        """An order that is accepted and cancelled in one step."""
        self._use_up(member, order.client_id)
        self._members.change(member, attrs.evolve(order, standing=Standing.CANCELED, reason=reason), "canceled", at)
        return member.orders.now[order.order_id]

    def _enter(self, member: Member, order: Own, count: Count, at: float) -> Own:
        immediate = order.lasting is not Lasting.GTC

        def accepted(done: Execution) -> None:
            self._use_up(member, order.client_id)
            self._prevented(member, order.ticker, done, at)
            self._members.accept(member, attrs.evolve(order, engine_id=done.order_id, remaining=count), at)

        try:
            done = self._floor.submit(
                order.ticker, member.name, order.side, order.price, count, at, post_only=order.post_only, immediate=immediate,
                whole=order.lasting is Lasting.FOK, stp=order.stp, accepted=accepted,
            )  # fmt: skip
        except Refused as refusal:
            raise self._declined(member, order, str(refusal), at) from None
        self._finish(member, order.order_id, done, at)
        if immediate and not done.filled and self._rules().ioc_no_fill == "refuse":
            raise Declined(409, "immediate_or_cancel_insufficient_resting_volume")
        now = member.orders.now[order.order_id]
        if now.live:
            self._watch(member, now, at)
        return now

    def _declined(self, member: Member, order: Own, word: str, at: float) -> Declined:
        if word == _KILLED:
            self._stillborn(member, order, "", at)
            return Declined(409, _KILLED)
        return Declined(400, word)

    def _prevented(self, member: Member, ticker: str, done: Execution, at: float) -> None:
        for engine_id in done.prevented:
            found = self._members.owner(ticker, engine_id)
            if found is not None:
                self._members.change(member, found[1].gone("SelfTradeCancel", at), "canceled", at)

    def _finish(self, member: Member, order_id: str, done: Execution, at: float) -> None:
        """Cancel what an order neither filled nor rests."""
        order = member.orders.now[order_id]
        if order.live and not done.rested:
            self._members.change(member, order.gone("SelfTradeCancel" if done.stopped else "", at), "canceled", at)

    def _watch(self, member: Member, order: Own, at: float) -> None:
        """Let a resting order expire, or fall to the tail of a cancel-all."""
        if order.expires_at is not None:
            self._expire_at(member, order.order_id, order.expires_at)
        rules = self._rules()
        if at < member.tail_until and self._rng.random() < rules.tail_chance:
            self._crowd.enter(at + self._rng.random() * rules.tail_delay, lambda when: self._off(member, order.order_id, "", when))

    def _expire_at(self, member: Member, order_id: str, expires_at: int) -> None:
        def expire(when: float) -> None:
            order = member.orders.now[order_id]
            if order.expires_at == expires_at:
                self._off(member, order_id, "ExpiryCancel", when)

        self._crowd.enter(float(expires_at), expire)

    # Cancel

    def cancel(self, member: Member, order_id: str, at: float, *, ticker: str = "", shard: int | None = None) -> tuple[Own, Count]:
        """Take an order off; the order, and how much of it went. Without a ticker or a shard the request goes to shard 0."""
        order = self._find(member, order_id, ticker, shard, at)
        self._take_off(order, "", at)
        return member.orders.now[order_id], order.remaining

    def cancel_all(self, member: Member, at: float) -> int:
        """Take every order off, on all shards that are not paused; later ones are cancelled too for a minute. How many there were."""
        member.tail_until = at + self._rules().tail_seconds
        rows = [order for order in member.live() if self._cancellable(self._floor.contracts[order.ticker])]
        for order in rows:
            self._take_off(order, "", at)
        return len(rows)

    def decrease(
        self, member: Member, order_id: str, at: float, *, by: Count | None, to: Count | None, ticker: str = "", shard: int | None = None
    ) -> Own:
        """Take contracts from an order, which keeps its place; exactly one of `by` and `to` is given."""
        order = self._find(member, order_id, ticker, shard, at)
        cut = by if by is not None else order.remaining - (to or 0)
        if cut <= 0 or cut > order.remaining:
            raise Declined(400, "invalid_order", "invalid decrease quantity")
        if cut == order.remaining:
            self._take_off(order, "Decrease", at)
        else:
            less = attrs.evolve(order, remaining=order.remaining - cut, reason="Decrease", updated_at=at)
            self._members.change(member, less, "decreased", at)
            self._floor.cancel(order.ticker, order.engine_id, at, cut)
        return member.orders.now[order_id]

    def _find(self, member: Member, order_id: str, ticker: str, shard: int | None, at: float) -> Own:
        """A resting order where the request was routed to; 404 in one and the same wording for everything that is not there."""
        order = member.orders.now.get(order_id)
        routed = 0
        if shard is not None and shard >= 0:
            routed = shard
        elif ticker:
            routed = self._market(ticker, None).shard
        if routed in self.closed_shards:
            raise self._rules().declined("exchange_paused")
        if order is None or order.shard != routed or (ticker and order.ticker != ticker):
            raise Declined(404, "not_found")
        contract = self._floor.contracts[order.ticker]
        if order.live and contract.status is Status.CLOSED:
            raise self._rules().declined("market_inactive")
        if not order.live:
            raise Declined(404, "not_found")
        return order

    # Amend

    def amend(self, member: Member, order_id: str, change: Amendment, at: float) -> tuple[Own, Count]:
        """Change an order's price, size or expiry; the order, and how much of it filled by that. Only a smaller size or another expiry
        keeps its place in the queue."""
        contract = self._market(change.ticker, change.shard)
        self._open(contract)
        order = member.orders.now.get(order_id)
        if order is None or not order.live or order.ticker != change.ticker:
            raise Declined(404, "not_found")
        self._check_amendment(member, contract, order, change, at)
        before = order.filled
        expiry = order.expires_at if change.expires_at is None else (change.expires_at or None)
        client_id = change.new_client_id or order.client_id
        self._use_up(member, client_id)
        amended = attrs.evolve(
            order, price=change.price, client_id=client_id, expires_at=expiry, initial=change.count,
            remaining=change.count - order.filled, reason="Amend", updated_at=at,
        )  # fmt: skip
        self._replace(member, amended, at)
        now = member.orders.now[order_id]
        if now.live and expiry is not None and expiry != order.expires_at:
            self._expire_at(member, order_id, expiry)
        return now, now.filled - before

    def _replace(self, member: Member, amended: Own, at: float) -> None:
        def accepted(done: Execution) -> None:
            self._prevented(member, amended.ticker, done, at)
            self._members.change(member, amended, "amended", at)

        done = self._floor.replace(
            amended.ticker, amended.engine_id, amended.price, amended.remaining, at, post_only=amended.post_only, stp=amended.stp,
            accepted=accepted,
        )  # fmt: skip
        self._finish(member, amended.order_id, done, at)

    def _check_amendment(self, member: Member, contract: Contract, order: Own, change: Amendment, at: float) -> None:
        if change.side is not order.side or (change.client_id and change.client_id != order.client_id):
            raise Declined(400, "invalid_order", "side or client_order_id does not match the order")
        if change.new_client_id and change.new_client_id != order.client_id and change.new_client_id in member.client_ids:
            raise Declined(409, "order_already_exists")
        if not contract.book.grid.valid(change.price):
            raise Declined(400, "invalid_price")
        if change.count <= order.filled:
            raise Declined(400, "invalid_order", "invalid amend quantity for order")
        if change.expires_at and change.expires_at <= at:
            raise Declined(400, "invalid_order", "expiration_time is in the past")
        moved = change.price != order.price
        if order.post_only and moved and contract.book.crosses(order.side, change.price):
            raise Declined(400, "invalid_order", "post only cross")
        rate = self._members.rate(contract, is_taker=moved and not order.post_only and self._rules().reserve_fee, at=at)
        left = change.count - order.filled
        others = self._members.claims(member, order.ticker, at, without=order.order_id)
        needed = requirement([*others, Claim(order.side, change.price, left, rate)], member.ledger.position(order.ticker))
        if not member.ledger.affords(order.ticker, contract.shard, needed):
            raise Declined(400, "insufficient_balance")

    # Pauses

    def pause_trading(self, shards: Sequence[int], at: float) -> None:
        """Nobody trades on these shards; orders that asked for it are cancelled."""
        self._floor.paused.update(shards)
        for member in self._members.all.values():
            for order in member.live():
                if order.cancel_on_pause and order.shard in shards:
                    self._take_off(order, "HaltCancel", at)

    def resume_trading(self, shards: Sequence[int]) -> None:
        self._floor.paused.difference_update(set(shards) - self.closed_shards)

    def pause_exchange(self, shards: Sequence[int], at: float) -> None:
        """Nothing works on these shards."""
        self.pause_trading(shards, at)
        self.closed_shards.update(shards)

    def resume_exchange(self, shards: Sequence[int]) -> None:
        self.closed_shards.difference_update(shards)
        self.resume_trading(shards)

    # What all share

    def _market(self, ticker: str, shard: int | None) -> Contract:
        contract = self._floor.contracts.get(ticker)
        if contract is None or (shard is not None and shard >= 0 and shard != contract.shard):
            raise Declined(404, "market_not_found")
        return contract

    def _open(self, contract: Contract) -> None:
        if contract.shard in self.closed_shards:
            raise self._rules().declined("exchange_paused")
        if contract.shard in self._floor.paused:
            raise self._rules().declined("trading_paused")
        if contract.status in OVER:
            raise self._rules().declined("market_over")
        if contract.status is not Status.ACTIVE:
            raise self._rules().declined("market_inactive")

    def _cancellable(self, contract: Contract) -> bool:
        return contract.shard not in self.closed_shards and contract.status is not Status.CLOSED

    def _use_up(self, member: Member, client_id: str) -> None:
        if client_id:
            member.client_ids.add(client_id)

    def _take_off(self, order: Own, reason: str, at: float) -> None:
        self._members.drop(self._floor.contracts[order.ticker], order.engine_id, reason, at)

    def _off(self, member: Member, order_id: str, reason: str, at: float) -> None:
        order = member.orders.now[order_id]
        if order.live:
            self._take_off(order, reason, at)


