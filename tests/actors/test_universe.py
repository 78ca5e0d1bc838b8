"""The universe actor over a REST fake: what it lists, what it refuses, and how markets end."""

from __future__ import annotations

from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from structlog.testing import capture_logs

from actors.messages import Listing, Resend, Settled, Standing
from actors.runtime import ActorSystem, ChildSpec, DynamicSupervisor, StartChild, Supervisor, TrioActor
from actors.runtime.testing import settle
from actors.universe import HORIZON_S, POLL_S, RETRY_S, TERMS_S, UniverseActor
from chimera.clock import VirtualClock
from chimera.conventions import ONE
from chimera.errors import VenueError
from chimera.kalshi.schema import KalshiEvent, KalshiMarket, KalshiSeries
from chimera.trading.kill import GLOBAL, KillRegister

ORIGIN = 1_748_700_000.0
SERIES = KalshiSeries("KXNBAGAME", "quadratic", 1.0)
EVENT = "KXNBAGAME-25MAY31NYKIND"
NYK, IND = f"{EVENT}-NYK", f"{EVENT}-IND"
RULES = (
    "If {} wins the New York at Indiana professional basketball game originally scheduled for May 31, 2025, "
    "then the market resolves to Yes."
)


def game(code="NYK", city="New York", **changes):
    raw = KalshiMarket(
        ticker=f"{EVENT}-{code}",
        event_ticker=EVENT,
        status="active",
        open_time=ORIGIN - 1e5,
        close_time=ORIGIN + 1e6,
        price_ranges=((0, ONE, 100),),
        title="New York at Indiana Winner?",
        yes_sub_title=city,
        rules_primary=RULES.format(city),
        occurrence_time=ORIGIN + 7_200.0,
        exchange_index=3,
    )
    return attrs.evolve(raw, **changes)


class Rest:
    """Kalshi's reads from a dictionary. While `down`, none is answered; `asked` counts them by what they were for."""

    def __init__(self):
        self.records = {raw.ticker: raw for raw in (game(), game("IND", "Indiana"))}
        self.terms, self.event_terms = SERIES, KalshiEvent(EVENT, "KXNBAGAME")
        self.down, self.asked = False, []

    async def _answer(self, what):
        await trio.lowlevel.checkpoint()
        self.asked.append(what)
        if self.down:
            raise VenueError(f"GET {what}: no answer")

    async def series(self, ticker):
        await self._answer("series")
        return self.terms

    async def event(self, ticker):
        await self._answer("event")
        return self.event_terms

    async def markets(self, *, series_ticker, status):
        await self._answer("markets")
        assert status == "open"
        return tuple(raw for raw in self.records.values() if raw.status == "active" and raw.ticker.startswith(series_ticker))

    async def market(self, ticker):
        await self._answer(ticker)
        return self.records[ticker]

    def change(self, ticker, **changes):
        self.records[ticker] = attrs.evolve(self.records[ticker], **changes)


class Mailbox:
    """An address that writes down what it is told."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def tell(self, message):
        self.log.append((self.name, message))

    def monitor(self, watcher, sticky=False):
        """Nobody lives here, so nobody dies."""


class Idle(TrioActor):
    """A book that does nothing."""


class Rig:
    """A universe, its REST fake, and one log of what it told."""

    def __init__(self, system, clock):
        self.system, self.clock, self.log = system, clock, []
        self.rest = Rest()
        self.register = KillRegister(lambda trip: None)
        self.books = Mailbox("books", self.log)
        self.address = system.address("universe")

    def make(self):
        return UniverseActor(
            rest=self.rest,
            clock=self.clock,
            register=self.register,
            series=("KXNBAGAME",),
            listings=(Mailbox("gateway", self.log), Mailbox("pricer", self.log)),
            settlements=(Mailbox("gateway", self.log), Mailbox("scorekeeper", self.log)),
            books=self.books,
            book_spec=lambda market: ChildSpec(f"book.{market.ticker}", Idle),
            telemetry=Mailbox("telemetry", self.log),
        )

    async def start(self):
        await self.system.start(ChildSpec("universe", self.make))
        await settle()

    async def poll(self):
        """Wait for the next poll and give its listing, its settlements and what the books' supervisor was told."""
        self.log.clear()
        await trio.sleep(POLL_S)
        await settle()

    def told(self, kind, name="gateway"):
        return [message for to, message in self.log if to == name and isinstance(message, kind)]

    def listed(self):
        return [market.ticker for market in self.told(Listing)[-1].markets]

    def children(self):
        tells = [message for to, message in self.log if to == "books"]
        return [("start", m.spec.id) if isinstance(m, StartChild) else ("stop", m.id) for m in tells]

    def standing(self):
        return self.told(Standing, "telemetry")[-1]


@asynccontextmanager
async def running(change=lambda rig: None):
    """A universe after its first poll; `change` is applied before it."""
    clock = VirtualClock(origin_unix=ORIGIN)
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        rig = Rig(system, clock)
        change(rig)
        await rig.start()
        yield rig


class TestListing:
    async def test_the_first_poll_is_at_once_and_tells_every_consumer_the_whole_listing(self, autojump_clock):
        async with running() as rig:
            assert rig.clock.now() == ORIGIN
            assert rig.listed() == [IND, NYK]
            assert rig.told(Listing, "pricer") == rig.told(Listing)
            assert rig.standing().state == "ready"

    async def test_markets_are_enrolled_and_their_books_started_before_the_listing_is_told(self, autojump_clock):
        async with running() as rig:
            assert rig.register.unit_of(NYK) == EVENT
            assert rig.children() == [("start", f"book.{NYK}"), ("start", f"book.{IND}")]
            order = [type(message) for _, message in rig.log if isinstance(message, StartChild | Listing)]
            assert order == [StartChild, StartChild, Listing, Listing]

    async def test_an_unchanged_listing_is_not_told_again(self, autojump_clock):
        async with running() as rig:
            await rig.poll()
            assert rig.rest.asked.count("markets") == 2
            assert rig.told(Listing) == []
            assert rig.children() == []

    async def test_resend_tells_it_again_and_polls_at_once(self, autojump_clock):
        async with running() as rig:
            rig.log.clear()
            rig.rest.change(NYK, title="Another title")
            rig.address.tell(Resend())
            await settle()
            assert rig.clock.now() == ORIGIN
            before, after = rig.told(Listing)
            assert [market.title for market in before.markets if market.ticker == NYK] != ["Another title"]
            assert [market.title for market in after.markets if market.ticker == NYK] == ["Another title"]

    async def test_a_game_beyond_the_horizon_is_not_listed_until_it_comes_near(self, autojump_clock):
        def far(rig):
            for ticker in (NYK, IND):
                rig.rest.change(ticker, occurrence_time=ORIGIN + HORIZON_S + 3 * POLL_S)

        async with running(far) as rig:
            assert rig.told(Listing)[-1].markets == ()
            assert rig.children() == []
            await trio.sleep(4 * POLL_S)
            assert rig.listed() == [IND, NYK]

    async def test_a_listed_game_that_is_put_off_stays_listed(self, autojump_clock):
        async with running() as rig:
            rig.rest.change(NYK, occurrence_time=ORIGIN + 2 * HORIZON_S)
            await rig.poll()
            assert rig.listed() == [IND, NYK]
            assert rig.children() == []

    async def test_a_paused_market_stays_listed_with_its_status(self, autojump_clock):
        async with running() as rig:
            rig.rest.change(NYK, status="inactive")
            await rig.poll()
            assert rig.listed() == [IND, NYK]
            assert [market.status.value for market in rig.told(Listing)[-1].markets] == ["active", "inactive"]

    async def test_a_new_grid_starts_the_book_anew(self, autojump_clock):
        async with running() as rig:
            rig.rest.change(NYK, price_ranges=((0, ONE, 10),))
            await rig.poll()
            assert rig.children() == [("stop", f"book.{NYK}"), ("start", f"book.{NYK}")]
            assert rig.listed() == [IND, NYK]


class TestRefusals:
    async def test_a_market_that_cannot_be_proved_is_refused_once_and_not_listed(self, autojump_clock):
        with capture_logs() as logs:
            async with running(lambda rig: rig.rest.change(IND, yes_sub_title="Boston")) as rig:
                assert rig.listed() == [NYK]
                await rig.poll()
                await rig.poll()
                assert rig.children() == []
        assert [(entry["event"], entry["market"]) for entry in logs] == [("market refused", IND)]
        assert rig.register.markets(GLOBAL) == (NYK,)

    async def test_a_listed_market_whose_rules_change_leaves_the_listing(self, autojump_clock):
        async with running() as rig:
            rig.rest.change(NYK, rules_primary="Everybody wins.")
            await rig.poll()
            assert rig.listed() == [IND]
            assert rig.children() == [("stop", f"book.{NYK}")]


class TestFees:
    async def test_fee_terms_are_read_once_an_hour(self, autojump_clock):
        async with running() as rig:
            await trio.sleep(TERMS_S - POLL_S)
            assert (rig.rest.asked.count("series"), rig.rest.asked.count("event")) == (1, 1)
            rig.rest.terms = attrs.evolve(SERIES, fee_type="quadratic_with_maker_fees")
            await trio.sleep(2 * POLL_S)
            assert {market.fee.fee_type for market in rig.told(Listing)[-1].markets} == {"quadratic_with_maker_fees"}

    async def test_an_event_overrides_its_series(self, autojump_clock):
        def override(rig):
            rig.rest.event_terms = attrs.evolve(rig.rest.event_terms, fee_multiplier_override=2.0)

        async with running(override) as rig:
            assert {market.fee.multiplier for market in rig.told(Listing)[-1].markets} == {2}


class TestSettlement:
    @pytest.mark.parametrize(
        ("changes", "value"),
        [
            ({"result": "yes"}, ONE),
            ({"result": "no"}, 0),
            ({"result": "yes", "settlement_value": ONE}, ONE),
            ({"result": "scalar", "settlement_value": 5_100}, 5_100),
        ],
    )
    async def test_a_result_is_told_once_with_what_a_contract_pays(self, autojump_clock, changes, value):
        async with running() as rig:
            rig.rest.change(NYK, status="determined", **changes)
            await rig.poll()
            (settled,) = rig.told(Settled)
            assert (settled.market, settled.value, settled.at) == (NYK, value, rig.clock.now())
            assert rig.told(Settled, "scorekeeper") == [settled]
            assert rig.listed() == [IND]
            assert rig.children() == [("stop", f"book.{NYK}")]
            rig.rest.change(NYK, status="finalized")
            await rig.poll()
            assert rig.told(Settled) == []

    async def test_a_closed_market_without_a_result_is_waited_for(self, autojump_clock):
        async with running() as rig:
            rig.rest.change(NYK, status="closed")
            await rig.poll()
            assert rig.listed() == [IND, NYK]
            assert rig.told(Settled) == []

    async def test_an_amended_result_is_told_again(self, autojump_clock):
        async with running() as rig:
            rig.rest.change(NYK, status="determined", result="yes")
            await rig.poll()
            rig.rest.change(NYK, status="amended", result="no")
            await rig.poll()
            assert [settled.value for settled in rig.told(Settled)] == [0]

    async def test_a_paid_market_is_asked_about_no_more(self, autojump_clock):
        async with running() as rig:
            rig.rest.change(NYK, status="finalized", result="yes")
            await rig.poll()
            rig.rest.asked.clear()
            await rig.poll()
            assert NYK not in rig.rest.asked

    async def test_a_market_never_followed_has_no_result_to_tell(self, autojump_clock):
        def over(rig):
            rig.rest.change(NYK, status="determined", result="yes")

        async with running(over) as rig:
            assert rig.told(Settled) == []
            assert rig.listed() == [IND]

    async def test_resend_tells_every_result_again_for_whoever_has_forgotten(self, autojump_clock):
        async with running() as rig:
            rig.rest.change(NYK, status="finalized", result="yes")
            await rig.poll()
            rig.log.clear()
            rig.address.tell(Resend())
            await settle()
            assert [(settled.market, settled.value) for settled in rig.told(Settled)] == [(NYK, ONE)]

    async def test_a_result_that_came_between_two_incarnations_is_told(self, autojump_clock):
        async with running(lambda rig: rig.register.enroll(NYK, EVENT, "nba")) as rig:
            rig.rest.change(NYK, status="determined", result="yes")
            await rig.poll()
            assert [settled.market for settled in rig.told(Settled)] == [NYK]


class TestFailure:
    async def test_an_exchange_that_does_not_answer_leaves_the_listing_as_it_was(self, autojump_clock):
        async with running() as rig:
            rig.rest.down = True
            await rig.poll()
            assert rig.standing().state == "stale"
            assert "no answer" in rig.standing().why
            assert rig.told(Listing) == []
            assert rig.children() == []
            rig.rest.down = False
            await rig.poll()
            assert rig.standing().state == "ready"
            assert rig.address.incarnation == 1

    async def test_an_exchange_that_does_not_answer_is_asked_again_soon(self, autojump_clock):
        async with running(lambda rig: setattr(rig.rest, "down", True)) as rig:
            rig.rest.down = False
            await trio.sleep(RETRY_S)
            await settle()
            assert rig.standing().state == "ready"
            assert rig.listed() == [IND, NYK]

    async def test_a_start_without_an_answer_lists_nothing_and_goes_on_asking(self, autojump_clock):
        async with running(lambda rig: setattr(rig.rest, "down", True)) as rig:
            assert rig.standing().state == "stale"
            assert rig.told(Listing) == [], "that nothing is listed is not known"
            rig.rest.down = False
            await rig.poll()
            assert rig.listed() == [IND, NYK]


async def test_books_live_and_end_under_their_supervisor(autojump_clock):
    clock = VirtualClock(origin_unix=ORIGIN)
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        rig = Rig(system, clock)
        rig.books = await system.start(ChildSpec("books", DynamicSupervisor))
        await rig.start()
        await settle()
        assert system.address(f"book.{NYK}").alive
        rig.rest.change(NYK, price_ranges=((0, ONE, 10),))
        rig.rest.change(IND, status="finalized", result="no")
        await rig.poll()
        assert system.address(f"book.{NYK}").alive
        assert system.address(f"book.{NYK}").incarnation == 2
        assert not system.address(f"book.{IND}").alive


async def test_when_the_supervisor_of_the_books_dies_the_next_one_is_asked_for_all_of_them(autojump_clock):
    clock = VirtualClock(origin_unix=ORIGIN)
    async with ActorSystem(clock.now, clock.sleep, virtual=True) as system:
        rig = Rig(system, clock)
        rig.books = system.address("books")
        await system.start(ChildSpec("exchange", lambda: Supervisor((ChildSpec("books", DynamicSupervisor),))))
        await rig.start()
        rig.books.actor.crash(RuntimeError("planted"))
        await settle()
        assert rig.books.incarnation == 2
        assert all(system.address(f"book.{ticker}").alive for ticker in (NYK, IND))
