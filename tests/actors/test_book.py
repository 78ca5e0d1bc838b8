"""The book actor: what it folds, what it tells, and what it does with a book that cannot be."""

from __future__ import annotations

from contextlib import asynccontextmanager
from fractions import Fraction

import trio

from actors.book import ASK_EVERY_S, BookActor
from actors.messages import BookDelta, BookLost, BookSnapshot, Resend, TopOfBook
from actors.runtime import ActorSystem, ChildSpec
from actors.runtime.testing import settle
from chimera.conventions import Side
from chimera.markets import CENT_GRID, FeeTerms, Market, Status, TeamWins
from chimera.teams import NBA
from chimera.trading.kill import GLOBAL, KillRegister, Trip
from chimera.trading.reasons import Reason

T = "KXNBAGAME-25MAY31NYKIND-NYK"
EVENT = "KXNBAGAME-25MAY31NYKIND"
MARKET = Market(
    ticker=T,
    event=EVENT,
    series="KXNBAGAME",
    domain="nba",
    unit=EVENT,
    grid=CENT_GRID,
    meaning=TeamWins(NBA.by_code("NYK"), NBA.by_code("IND"), home=False),
    status=Status.ACTIVE,
    open_at=0.0,
    close_at=2e9,
    expected_end_at=None,
    exchange_index=0,
    fee=FeeTerms("quadratic", Fraction(1)),
    result="",
    settlement_value=None,
    title="",
)


class Mailbox:
    """An address that writes down what it is told, in one log with the trips."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def tell(self, message):
        self.log.append((self.name, message))


class Rig:
    """A book actor and one log of what it told and tripped, in order."""

    def __init__(self, system):
        self.log = []
        self.register = KillRegister(lambda trip: self.log.append(("trip", trip)))
        self.register.enroll(T, EVENT, "nba")
        self.address = system.address(f"book.{T}")
        self.now = 1_000.0

    def make(self):
        consumers = (Mailbox("pricer", self.log), Mailbox("risk", self.log))
        return BookActor(market=MARKET, register=self.register, consumers=consumers, stream=Mailbox("stream", self.log))

    async def tell(self, *messages):
        for message in messages:
            self.address.tell(message)
        await settle()

    def take(self):
        entries = list(self.log)
        self.log.clear()
        return entries

    def tops(self):
        return [message for name, message in self.take() if name == "pricer"]


def snapshot(bids=((4_600, 100), (4_500, 50)), asks=((4_800, 200),), at=1_000.0, trace=5):
    return BookSnapshot(T, bids, asks, 1, 0, at, trace)


def delta(side=Side.BID, price=4_600, change=-100, at=1_001.0, trace=6):
    return BookDelta(T, side, price, change, 2, 0, at, trace)


@asynccontextmanager
async def running(*first):
    """A book that has been told `first`; its log begins after that."""
    async with ActorSystem(lambda: 1_000.0 + trio.current_time(), virtual=True) as system:
        rig = Rig(system)
        await system.start(ChildSpec(f"book.{T}", rig.make))
        if first:
            await rig.tell(*first)
            rig.take()
        yield rig


async def test_a_fresh_book_says_that_it_is_not_to_be_believed_and_asks_for_a_snapshot(autojump_clock):
    async with running() as rig:
        names = [(name, type(message)) for name, message in rig.log]
        assert names == [("pricer", TopOfBook), ("risk", TopOfBook), ("stream", Resend)]
        assert rig.log[-1][1] == Resend(T)
        assert not rig.log[0][1].synced


async def test_a_snapshot_is_told_as_the_best_levels_with_the_fence_of_that_step(autojump_clock):
    async with running() as rig:
        rig.take()
        rig.register.pull(T, Reason.EDGE_GONE, source="oracle", at=999.0)
        await rig.tell(snapshot())
        (top,) = rig.tops()
        assert (top.market, top.bid, top.bid_size, top.ask, top.ask_size, top.synced) == (T, 4_600, 100, 4_800, 200, True)
        assert (top.fence, top.at, top.trace) == (rig.register.fence(T), 1_000.0, 5)
        assert top.fence > 0


async def test_an_empty_side_is_none(autojump_clock):
    async with running() as rig:
        rig.take()
        await rig.tell(snapshot(asks=()))
        (top,) = rig.tops()
        assert (top.ask, top.ask_size) == (None, 0)


async def test_a_delta_is_told_with_its_own_time_and_trace(autojump_clock):
    async with running(snapshot()) as rig:
        await rig.tell(delta())
        (top,) = rig.tops()
        assert (top.bid, top.bid_size, top.at, top.trace) == (4_500, 50, 1_001.0, 6)


async def test_a_change_behind_the_best_is_folded_without_a_word(autojump_clock):
    async with running(snapshot()) as rig:
        await rig.tell(delta(price=4_500, change=25))
        assert rig.take() == []
        await rig.tell(delta())
        (top,) = rig.tops()
        assert (top.bid, top.bid_size) == (4_500, 75)


async def test_the_books_own_sequence_grows(autojump_clock):
    async with running() as rig:
        rig.take()
        await rig.tell(snapshot(), delta(change=-10), delta(change=-10))
        seqs = [top.seq for top in rig.tops()]
        assert len(set(seqs)) == 3
        assert seqs == sorted(seqs)


async def test_deltas_before_a_snapshot_are_dropped(autojump_clock):
    async with running() as rig:
        rig.take()
        await rig.tell(delta())
        assert rig.take() == []


async def test_a_lost_book_is_told_as_unsynced_and_waits_for_its_snapshot(autojump_clock):
    async with running(snapshot()) as rig:
        await rig.tell(BookLost(T, "gap", 1_002.0), delta())
        (top,) = rig.tops()
        assert not top.synced
        assert rig.register.kills == 0  # the stream has tripped already
        await rig.tell(snapshot())
        assert rig.tops()[0].synced


async def test_resend_tells_the_latest_again_under_the_present_fence(autojump_clock):
    async with running(snapshot()) as rig:
        rig.register.pull(T, Reason.EDGE_GONE, source="oracle", at=1_003.0)
        rig.take()
        await rig.tell(Resend(T))
        (top,) = rig.tops()
        assert (top.bid, top.ask, top.synced, top.fence) == (4_600, 4_800, True, rig.register.fence(T))


async def test_resend_is_answered_even_if_nothing_has_changed(autojump_clock):
    async with running(snapshot()) as rig:
        await rig.tell(Resend(T))
        assert [top.synced for top in rig.tops()] == [True]


async def test_an_unchanged_top_is_told_again_once_the_fence_has_moved(autojump_clock):
    async with running(snapshot()) as rig:
        rig.register.trip(GLOBAL, Reason.OPERATOR, source="operator", at=1_003.0, hold_s=1.0)
        rig.take()
        await rig.tell(delta(price=4_500, change=5))
        assert [top.fence for top in rig.tops()] == [rig.register.fence(T)]


async def test_a_level_below_zero_trips_the_market_then_says_so_then_asks_for_a_snapshot(autojump_clock):
    async with running(snapshot()) as rig:
        await trio.sleep(10)
        await rig.tell(delta(change=-101, at=1_010.0))
        entries = rig.take()
        assert [(name, type(message)) for name, message in entries] == [
            ("trip", Trip), ("pricer", TopOfBook), ("risk", TopOfBook), ("stream", Resend),
        ]  # fmt: skip
        trip, top = entries[0][1], entries[1][1]
        assert (str(trip.scope), trip.reason, trip.at, trip.trace) == (f"MARKET:{T}", Reason.BOOK_GAP, 1_010.0, 6)
        assert not top.synced
        assert top.fence == rig.register.fence(T)


async def test_a_crossed_book_trips_the_market_and_is_fetched_anew(autojump_clock):
    async with running(snapshot()) as rig:
        await rig.tell(delta(price=4_800, change=1, at=1_010.0))
        entries = rig.take()
        assert [name for name, _ in entries] == ["trip", "pricer", "risk", "stream"]
        assert not entries[1][1].synced
        await rig.tell(snapshot(at=1_011.0))
        assert rig.tops()[0].synced


async def test_snapshots_that_stay_impossible_are_asked_for_at_a_calm_pace(autojump_clock):
    async with running(snapshot()) as rig:
        for _ in range(3):
            await rig.tell(snapshot(bids=((4_900, 1),), at=1_000.0 + trio.current_time()))
            assert "stream" not in [name for name, _ in rig.take()]
            await trio.sleep(ASK_EVERY_S)
            await settle()
            assert [name for name, _ in rig.take()] == ["stream"]
        assert rig.register.kills == 3
        assert rig.address.incarnation == 1


async def test_a_snapshot_that_comes_before_the_next_asking_makes_it_needless(autojump_clock):
    async with running(snapshot()) as rig:
        await rig.tell(delta(change=-101, at=1_000.0), snapshot())
        rig.take()
        await trio.sleep(2 * ASK_EVERY_S)
        assert rig.take() == []


async def test_a_price_between_ticks_is_a_desync_not_a_crash(autojump_clock):
    async with running(snapshot()) as rig:
        await rig.tell(delta(price=4_655, change=1))
        assert rig.register.kills == 1
        assert rig.address.incarnation == 1
