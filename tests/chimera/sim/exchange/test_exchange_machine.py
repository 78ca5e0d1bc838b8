"""The exchange as a state machine: two members place, amend, decrease and cancel at random; money and contracts are conserved."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from chimera.conventions import CENT, DOLLAR, ONE, Side, cost
from chimera.fees import FeeAccount
from chimera.sim.exchange.engine import Change, SelfTrade, replay
from chimera.sim.exchange.entry import Amendment, OrderEntry
from chimera.sim.exchange.exchange import Exchange
from chimera.sim.exchange.floor import Contract
from chimera.sim.exchange.ledger import requirement
from chimera.sim.exchange.members import Member
from chimera.sim.exchange.orders import Declined, Lasting, NewOrder, Own
from chimera.sim.exchange.recorded import RecordedListing

TICKER = "KXM-1-A"
MARKET = {
    "ticker": TICKER,
    "event_ticker": "KXM-1",
    "open_time": "2026-01-01T00:00:00Z",
    "close_time": "2036-01-01T00:00:00Z",
    "exchange_index": 3,
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
}
DEPOSIT = 12 * DOLLAR
"""Little enough that orders are refused for want of it now and then."""


class Log:
    """What the floor says, kept."""

    def __init__(self) -> None:
        self.changes: list[Change] = []

    def on_changes(self, contract: Contract, changes: tuple[Change, ...], at: float) -> None:
        self.changes += changes

    def on_print(self, *_: object) -> None: ...

    def on_life(self, *_: object) -> None: ...


class Conserved(RuleBasedStateMachine):
    """Every trader is a member, so that all the money there is can be counted. The market charges makers too."""

    made = Bundle("made")

    def __init__(self) -> None:
        super().__init__()
        self.at = 1_795_000_000.0
        self.exchange = Exchange([RecordedListing(MARKET, fee_type="quadratic_with_maker_fees")], 1, lambda: self.at, cash={3: DEPOSIT})
        self.entry: OrderEntry = self.exchange.entry
        self.log = Log()
        self.exchange.floor.listen(self.log)
        other = self.exchange.members.join("other", {3: DEPOSIT})
        self.members: list[Member] = [self.exchange.member, other]
        self.number = 0

    @property
    def contract(self) -> Contract:
        return self.exchange.floor.contracts[TICKER]

    @rule(
        target=made,
        who=st.integers(0, 1),
        side=st.sampled_from(Side),
        cents=st.integers(40, 60),
        count=st.integers(1, 2500),
        lasting=st.sampled_from([Lasting.GTC, Lasting.GTC, Lasting.GTC, Lasting.IOC, Lasting.FOK]),
        stp=st.sampled_from(SelfTrade),
        post_only=st.sampled_from([False, False, True]),
        expires=st.none() | st.integers(1, 60),
    )
    def create(
        self, who: int, side: Side, cents: int, count: int, lasting: Lasting, stp: SelfTrade, post_only: bool, expires: int | None
    ) -> object:
        self.number += 1
        member = self.members[who]
        gtc = lasting is Lasting.GTC
        expiry = int(self.at) + expires if expires is not None and gtc else None
        new = NewOrder(TICKER, side, cents * CENT, count, lasting, stp, f"id-{self.number}", expiry, post_only and gtc)
        before = self.picture()
        try:
            order = self.entry.create(member, new, self.at)
        except Declined as fault:
            killed = fault.code in ("fill_or_kill_insufficient_resting_volume", "invalid_order")
            self.refused(member, new, before, killed=killed)
            return multiple()
        if lasting is Lasting.FOK:
            assert order.filled == count
        if not gtc:
            assert not order.live
        return who, order.order_id

    def refused(self, member: Member, new: NewOrder, before: object, *, killed: bool) -> None:
        """A refused order has changed nothing; one that was killed for its own terms has used up its client id."""
        assert self.picture() == before
        assert (new.client_id in member.client_ids) == killed

    @rule(order=made)
    def cancel(self, order: tuple[int, str]) -> None:
        member, order_id = self.members[order[0]], order[1]
        known = member.orders.now.get(order_id)
        try:
            gone, reduced = self.entry.cancel(member, order_id, self.at, shard=3)
        except Declined:
            assert known is None or not known.live
            return
        assert known is not None
        assert reduced == known.remaining
        assert not gone.live

    @rule(order=made, cents=st.integers(40, 60), count=st.integers(1, 3000))
    def amend(self, order: tuple[int, str], cents: int, count: int) -> None:
        member, order_id = self.members[order[0]], order[1]
        known = member.orders.now.get(order_id)
        side = known.side if known else Side.BID
        before = self.picture()
        try:
            after, filled = self.entry.amend(member, order_id, Amendment(TICKER, side, cents * CENT, count), self.at)
        except Declined:
            assert self.picture() == before
            return
        assert known is not None
        assert after.filled == known.filled + filled
        assert after.initial == count

    @rule(order=made, by=st.integers(1, 500))
    def decrease(self, order: tuple[int, str], by: int) -> None:
        member, order_id = self.members[order[0]], order[1]
        known = member.orders.now.get(order_id)
        try:
            after = self.entry.decrease(member, order_id, self.at, by=by, to=None, shard=3)
        except Declined:
            return
        assert known is not None
        assert after.remaining == known.remaining - by

    @rule(seconds=st.floats(0.1, 40))
    def wait(self, seconds: float) -> None:
        self.at += seconds
        self.exchange.crowd.advance(self.at, at_most=1000)

    def picture(self) -> object:
        """Everything that a refused request must leave alone."""
        book = self.contract.book
        orders = [(row.order_id, row.count) for row in book.resting]
        money = [(dict(m.ledger.cash), dict(m.ledger.reserved), dict(m.ledger.holdings)) for m in self.members]
        return orders, money, self.contract.clock

    @invariant()
    def cash_is_conserved(self) -> None:
        """Deposits are cash, fees, and a dollar held for every pair of contracts."""
        fees = sum(row.fees for member in self.members for row in member.ledger.holdings.values())
        cash = sum(member.ledger.cash[3] for member in self.members)
        assert cash + fees + cost(ONE, self.contract.open_interest) == 2 * DEPOSIT

    @invariant()
    def contracts_are_conserved(self) -> None:
        positions = [member.ledger.position(TICKER) for member in self.members]
        assert sum(positions) == 0
        assert max(positions) == self.contract.open_interest
        for member in self.members:
            assert sum(fill.count * fill.side.sign for fill in member.fills) == member.ledger.position(TICKER)
        filled = sum(fill.count for member in self.members for fill in member.fills)
        assert filled == 2 * self.contract.volume

    @invariant()
    def nobody_can_lose_more_than_he_has(self) -> None:
        for member in self.members:
            claims = self.exchange.members.claims(member, TICKER, self.at)
            needed = requirement(claims, member.ledger.position(TICKER))
            assert member.ledger.reserved.get(TICKER, (3, 0))[1] == needed
            # Fees are rounded fill by fill: a fraction of the balance's grid may be short until the rebate.
            assert member.ledger.available(3) >= -100

    @invariant()
    def the_members_orders_are_the_books(self) -> None:
        mine: dict[int, Own] = {row.engine_id: row for member in self.members for row in member.live()}
        assert {row.order_id: row.count for row in self.contract.book.resting} == {key: row.remaining for key, row in mine.items()}
        for row in mine.values():
            assert row.initial >= row.filled + row.remaining

    @invariant()
    def the_book_is_not_crossed(self) -> None:
        bid, ask = self.contract.book.best(Side.BID), self.contract.book.best(Side.ASK)
        assert bid is None or ask is None or bid < ask

    @invariant()
    def replaying_the_changes_gives_the_same_book(self) -> None:
        again, book = replay(self.log.changes), self.contract.book
        for side in Side:
            assert again.levels(side) == book.levels(side)
            for price, _ in book.levels(side):
                assert [(r.order_id, r.count) for r in again.queue(side, price)] == [(r.order_id, r.count) for r in book.queue(side, price)]

    @invariant()
    def the_fees_are_the_schedules(self) -> None:
        for member in self.members:
            for order in member.orders.now.values():
                account, rows = FeeAccount(), [fill for fill in member.fills if fill.order_id == order.order_id]
                for fill in rows:
                    rate = self.exchange.members.rate(self.contract, is_taker=fill.is_taker, at=self.at)
                    assert fill.fee == account.charge(rate, fill.side, fill.price, fill.count)


TestConserved = Conserved.TestCase
TestConserved.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
