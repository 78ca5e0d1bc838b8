"""The pricer actor: which inputs count, what it tells, and when it keeps quiet."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction

import attrs

from actors.messages import Fair, Listing, Phase, Quote, Resend, Said, Standing, TopOfBook
from actors.pricer import PricerActor, PricerSettings
from actors.runtime import ActorSystem, Address, ChildSpec, Supervisor
from actors.runtime.testing import Probe, settle
from chimera.conventions import Side
from chimera.markets import CENT_GRID, FeeTerms, Market, Status, TeamWins
from chimera.models.blend import POOL_PRIORS
from chimera.teams import NBA
from chimera.trading.ev import FLOW_PRIORS
from chimera.trading.kill import KillRegister
from chimera.trading.reasons import Reason

M = "KXNBAGAME-26NOV22BOSNYK-NYK"
SETTINGS = PricerSettings(
    base_edge_cents=2.0,
    max_disagreement_cents=12.0,
    disagreement_polls=3,
    kelly_fraction=0.25,
    bankroll=1_000_000_000,
    size=100,
    fair_stale=10.0,
    flow=FLOW_PRIORS["nba"],
    pool=POOL_PRIORS["nba"],
)
MARKET = Market(
    ticker=M,
    event="KXNBAGAME-26NOV22BOSNYK",
    series="KXNBAGAME",
    domain="nba",
    unit="KXNBAGAME-26NOV22BOSNYK",
    grid=CENT_GRID,
    meaning=TeamWins(NBA.by_code("NYK"), NBA.by_code("BOS"), home=True, day=dt.date(2026, 11, 22)),
    status=Status.ACTIVE,
    open_at=0.0,
    close_at=1e9,
    expected_end_at=None,
    exchange_index=0,
    fee=FeeTerms("quadratic", Fraction(1)),
    result="",
    settlement_value=None,
    title="",
)
TOP = TopOfBook(market=M, bid=4500, bid_size=500, ask=5500, ask_size=500, synced=True, fence=0, seq=7, at=1_000.0, trace=3)
FAIR = Fair(
    market=M,
    p_true=0.5,
    reaction=((0.49, 0.05), (0.5, 0.9), (0.51, 0.05)),
    sd_1s=0.002,
    state_edge=0.0,
    phase=Phase.LIVE,
    source_at=999.0,
    confirmed_at=1_000.0,
    fence=0,
    seq=11,
    at=1_000.0,
    trace=4,
)


@attrs.frozen
class Desk:
    """A running pricer and what its neighbours were told."""

    pricer: Address
    gateway: Probe
    scorekeeper: Probe
    telemetry: Probe
    book: Probe
    source: Probe
    register: KillRegister

    async def tell(self, *messages: object) -> list[Quote]:
        """Tell the pricer one message after another; the quotes that follow."""
        before = len(self.gateway.of(Quote))
        for message in messages:
            self.pricer.tell(message)
            await settle()
        return self.gateway.of(Quote)[before:]


@asynccontextmanager
async def desk(*markets: Market) -> AsyncIterator[Desk]:
    register = KillRegister(on_trip=lambda trip: None)
    for market in markets or (MARKET,):
        register.enroll(market.ticker, market.unit, market.domain)
    async with ActorSystem() as system:
        probes = [await Probe.watch(system, name) for name in ("gateway", "scorekeeper", "telemetry", "book", "source")]
        gateway, scorekeeper, telemetry, book, source = probes

        def make() -> PricerActor:
            return PricerActor(
                domain="nba",
                register=register,
                gateway=gateway.address,
                scorekeeper=scorekeeper.address,
                telemetry=telemetry.address,
                book_of=lambda market: book.address,
                settings=SETTINGS,
                sources=(source.address,),
            )

        await system.start(ChildSpec("strategy", lambda: Supervisor((ChildSpec("pricer.nba", make),))))
        made = Desk(system.address("pricer.nba"), gateway, scorekeeper, telemetry, book, source, register)
        await made.tell(Listing(markets or (MARKET,), at=999.0))
        yield made


class TestQuotes:
    async def test_a_book_and_a_fair_make_a_quote_that_names_its_inputs(self) -> None:
        async with desk() as d:
            (_, quote) = await d.tell(TOP, FAIR)
            assert (quote.bid, quote.ask, quote.size) == (4700, 5300, 100)
            assert (quote.book_seq, quote.fair_seq, quote.fair_at, quote.trace) == (7, 11, 1_000.0, 4)
            assert quote.keep[0] < quote.p_true == 0.5 < quote.keep[1]
            assert quote.bid_edge == quote.why.bid.total >= 2.0

    async def test_every_fair_is_answered_so_that_the_quote_stays_fresh(self) -> None:
        async with desk() as d:
            await d.tell(TOP, FAIR)
            (again,) = await d.tell(attrs.evolve(FAIR, seq=12, at=1_001.0, confirmed_at=1_001.0))
            assert (again.fair_seq, again.fair_at) == (12, 1_001.0)

    async def test_a_change_in_the_book_that_changes_nothing_is_not_told(self) -> None:
        async with desk() as d:
            await d.tell(TOP, FAIR)
            assert await d.tell(attrs.evolve(TOP, seq=8, bid_size=400, at=1_000.1)) == []
            (lower,) = await d.tell(attrs.evolve(TOP, seq=9, bid=4000, ask=4300, at=1_000.2))
            assert lower.bid is not None
            assert lower.bid < 4700

    async def test_the_quote_carries_the_lower_fence_of_its_inputs(self) -> None:
        async with desk() as d:
            (*_, quote) = await d.tell(attrs.evolve(TOP, fence=4), attrs.evolve(FAIR, fence=6))
            assert quote.fence == 4
            (*_, quote) = await d.tell(attrs.evolve(TOP, fence=9), attrs.evolve(FAIR, fence=8))
            assert quote.fence == 8

    async def test_a_new_fence_alone_is_worth_telling(self) -> None:
        async with desk() as d:
            await d.tell(TOP, attrs.evolve(FAIR, fence=1))
            (quote,) = await d.tell(attrs.evolve(TOP, fence=1))
            assert quote.fence == 1


class TestNoQuote:
    async def reason_after(self, *messages: object) -> Reason | None:
        async with desk() as d:
            (*_, quote) = await d.tell(*messages)
            assert quote.bid is None
            assert quote.ask is None
            assert quote.keep == (0.0, 1.0)
            assert quote.why.reason(Side.BID) is quote.why.reason(Side.ASK)
            return quote.why.reason(Side.BID)

    async def test_a_book_without_a_fair(self) -> None:
        assert await self.reason_after(TOP) is Reason.NO_FAIR

    async def test_a_fair_without_a_book(self) -> None:
        assert await self.reason_after(FAIR) is Reason.BOOK_UNSYNCED

    async def test_a_book_that_lost_its_sequence_withdraws_the_quote(self) -> None:
        lost = attrs.evolve(TOP, synced=False, bid=None, ask=None, seq=8, at=1_000.5)
        assert await self.reason_after(TOP, FAIR, lost) is Reason.BOOK_UNSYNCED

    async def test_a_fair_that_was_not_confirmed_for_too_long(self) -> None:
        assert await self.reason_after(FAIR, TOP, attrs.evolve(TOP, at=1_010.1)) is Reason.FAIR_STALE

    async def test_a_game_that_is_over(self) -> None:
        assert await self.reason_after(TOP, attrs.evolve(FAIR, phase=Phase.FINAL, p_true=1.0)) is Reason.FAIR_FINAL

    async def test_polls_that_keep_disagreeing_with_the_market(self) -> None:
        far = attrs.evolve(TOP, bid=6300, ask=6400)
        assert await self.reason_after(far, FAIR, FAIR, FAIR) is Reason.DISAGREEMENT


class TestDisagreement:
    async def test_only_polls_count_and_one_that_agrees_forgives(self) -> None:
        far = attrs.evolve(TOP, bid=6300, ask=6400)
        async with desk() as d:
            await d.tell(far, FAIR, FAIR, *(attrs.evolve(far, seq=n, ask=6400 + 100 * n) for n in range(5)))
            assert d.gateway.of(Quote)[-1].why.bid.reason is None
            await d.tell(TOP, FAIR, far, FAIR, FAIR)
            assert d.gateway.of(Quote)[-1].why.bid.reason is None
            (halted,) = await d.tell(FAIR)
            assert halted.why.bid.reason is Reason.DISAGREEMENT


class TestSources:
    async def test_a_fresh_pricer_asks_its_sources_and_the_books_of_listed_markets(self) -> None:
        async with desk() as d:
            assert d.source.of(Resend) == [Resend()]
            assert d.book.of(Resend) == [Resend(M)]

    async def test_a_book_that_has_not_spoken_since_a_kill_is_asked_once(self) -> None:
        async with desk() as d:
            await d.tell(TOP, FAIR)
            d.register.pull(M, Reason.EDGE_GONE, source="test", at=1_000.0)
            fence = d.register.fence(M)
            await d.tell(attrs.evolve(FAIR, fence=fence), attrs.evolve(FAIR, fence=fence, seq=12))
            assert d.book.of(Resend) == [Resend(M), Resend(M)]
            (*_, quote) = await d.tell(attrs.evolve(TOP, fence=fence))
            assert quote.fence == fence

    async def test_a_gateway_that_starts_again_is_told_every_latest_quote(self) -> None:
        async with desk() as d:
            (*_, quote) = await d.tell(TOP, FAIR)
            assert await d.tell(Resend()) == [quote]
            assert await d.tell(Resend(M)) == [quote]
            assert await d.tell(Resend("OTHER")) == []


class TestListing:
    async def test_what_is_not_listed_or_not_of_the_domain_is_not_priced(self) -> None:
        other = attrs.evolve(MARKET, ticker="KXBTC-UP", unit="BTC", domain="crypto")
        async with desk(MARKET, other) as d:
            assert await d.tell(attrs.evolve(TOP, market="KXBTC-UP"), attrs.evolve(FAIR, market="NOBODY")) == []
            await d.tell(TOP, FAIR, Listing((), at=1_002.0))
            assert await d.tell(FAIR) == []
            assert d.telemetry.of(Standing)[-1].state == "idle"

    async def test_a_listing_told_again_keeps_what_is_known(self) -> None:
        async with desk() as d:
            await d.tell(TOP, FAIR)
            assert await d.tell(Listing((MARKET,), at=1_001.0)) == []
            (quote,) = await d.tell(attrs.evolve(FAIR, at=1_001.0))
            assert quote.bid == 4700

    async def test_a_change_of_fee_reprices_at_once(self) -> None:
        async with desk() as d:
            await d.tell(TOP, FAIR)
            unknown = attrs.evolve(MARKET, fee=FeeTerms("flat", Fraction(1)))
            (quote,) = await d.tell(Listing((unknown,), at=1_001.0))
            assert quote.why.bid.reason is Reason.FEE_UNKNOWN


class TestSaid:
    async def test_the_scorekeeper_hears_p_true_and_the_mid(self) -> None:
        async with desk() as d:
            await d.tell(TOP, FAIR)
            assert d.scorekeeper.of(Said) == [Said(M, "nba", 0.5, 0.5, 1_000.0)]

    async def test_a_lost_book_leaves_the_mid_out_and_a_stale_fair_says_nothing(self) -> None:
        async with desk() as d:
            await d.tell(TOP, FAIR, attrs.evolve(TOP, synced=False, at=1_001.0))
            assert d.scorekeeper.of(Said)[-1].mid is None
            heard = len(d.scorekeeper.of(Said))
            await d.tell(attrs.evolve(TOP, at=1_020.0), attrs.evolve(FAIR, phase=Phase.FINAL, at=1_020.0))
            assert len(d.scorekeeper.of(Said)) == heard


async def test_a_probability_that_is_none_crashes_the_pricer_and_its_next_incarnation_asks_again() -> None:
    async with desk() as d:
        await d.tell(TOP, attrs.evolve(FAIR, p_true=float("nan")))
        assert d.pricer.incarnation == 2
        assert d.source.of(Resend) == [Resend(), Resend()]
