"""The scorekeeper actor: paired samples, settlement, markouts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest

from actors.messages import Note, Said, ScoreRequest, Settled, VenueEvent
from actors.runtime import ActorSystem, Address, ChildSpec
from actors.runtime.testing import Probe, settle
from actors.scorekeeper import Scorekeeper
from chimera.conventions import ONE, Side
from chimera.journal.records import Kind, Record
from chimera.trading.venue import Fill, Gone

SAID = Said(market="M", domain="nba", p_true=0.8, mid=0.6, at=1_000.0)
FILL = Fill("f1", "c1", "o1", "M", Side.BID, 4800, 100, 0, is_taker=False, at=1_000.0)


@attrs.frozen
class Desk:
    keeper: Address
    journal: Probe

    async def tell(self, *messages: object) -> list[Record]:
        """Tell the scorekeeper one message after another; the records that follow."""
        before = len(self.journal.of(Note))
        for message in messages:
            self.keeper.tell(message)
            await settle()
        return [note.record for note in self.journal.of(Note)[before:]]

    async def scores(self) -> object:
        return await self.keeper.call(ScoreRequest())


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    async with ActorSystem() as system:
        journal = await Probe.watch(system, "journal")
        keeper = await system.start(ChildSpec("scorekeeper", lambda: Scorekeeper(journal=journal.address)))
        yield Desk(keeper, journal)


def at(second: float, **changes: object) -> Said:
    return attrs.evolve(SAID, at=1_000.0 + second, **changes)


async def test_a_market_that_never_settles_is_reported_with_no_samples() -> None:
    async with desk() as d:
        await d.tell(at(0), at(10), at(20))
        assert await d.scores() == {"nba": {"model": None, "market": None, "n": 0}}


async def test_a_settled_market_scores_model_and_market_on_the_same_samples() -> None:
    async with desk() as d:
        await d.tell(at(0), at(10, p_true=0.9, mid=0.5))
        (record,) = await d.tell(Settled("M", ONE, at=2_000.0))
        assert await d.scores() == {"nba": {"model": pytest.approx(0.025), "market": pytest.approx(0.205), "n": 2}}
        assert (record.kind, record.market, record.at) == (Kind.SCORE, "M", 2_000.0)
        assert (record.fields["n"], record.fields["outcome"], record.fields["domain"]) == (2, 1.0, "nba")


async def test_samples_lie_ten_seconds_apart() -> None:
    async with desk() as d:
        await d.tell(*(at(n / 2) for n in range(41)), Settled("M", 0, at=2_000.0))
        assert await d.scores() == {"nba": {"model": pytest.approx(0.64), "market": pytest.approx(0.36), "n": 3}}


async def test_a_one_sided_book_is_no_sample_and_does_not_use_up_the_turn() -> None:
    async with desk() as d:
        await d.tell(at(0, mid=None), at(1), at(10, mid=None), at(11), Settled("M", ONE, at=2_000.0))
        assert await d.scores() == {"nba": {"model": pytest.approx(0.04), "market": pytest.approx(0.16), "n": 2}}


async def test_domains_are_scored_apart() -> None:
    async with desk() as d:
        await d.tell(at(0), Said("C", "crypto", 0.1, 0.2, 1_000.0), Settled("M", ONE, 2_000.0), Settled("C", 0, 2_000.0))
        scores = await d.scores()
        assert scores == {
            "crypto": {"model": pytest.approx(0.01), "market": pytest.approx(0.04), "n": 1},
            "nba": {"model": pytest.approx(0.04), "market": pytest.approx(0.16), "n": 1},
        }


async def test_a_settlement_told_again_counts_once_and_what_is_said_after_it_not_at_all() -> None:
    async with desk() as d:
        await d.tell(at(0), Settled("M", ONE, at=2_000.0))
        assert await d.tell(at(1_100), Settled("M", ONE, at=2_101.0)) == []
        assert await d.scores() == {"nba": {"model": pytest.approx(0.04), "market": pytest.approx(0.16), "n": 1}}


async def test_a_fill_is_marked_by_what_is_said_later() -> None:
    async with desk() as d:
        assert await d.tell(VenueEvent(FILL, at=1_000.0), at(0.5)) == []
        (record,) = await d.tell(at(1.0, p_true=0.50, mid=0.47))
        assert (record.kind, record.market) == (Kind.MARKOUT, "M")
        assert record.fields["fill_id"] == "f1"
        assert record.fields["horizon"] == 1.0
        assert record.fields["vs_true"] == pytest.approx(2.0)
        assert record.fields["vs_mid"] == pytest.approx(-1.0)


async def test_a_fill_told_twice_is_marked_once() -> None:
    async with desk() as d:
        records = await d.tell(VenueEvent(FILL, at=1_000.0), VenueEvent(FILL, at=1_000.1), at(1.0))
        assert [record.kind for record in records] == [Kind.MARKOUT]


async def test_a_settled_market_leaves_no_fill_waiting() -> None:
    async with desk() as d:
        await d.tell(VenueEvent(FILL, at=1_000.0), at(1.0), Settled("M", ONE, at=1_002.0))
        assert isinstance(d.keeper.actor, Scorekeeper)
        assert d.keeper.actor.state_summary() == {"followed": 0, "settled": 1, "fills waiting": 0, "markouts missed": 3}


async def test_other_news_of_orders_is_not_its_subject() -> None:
    async with desk() as d:
        gone = Gone(client_id="c1", order_id="o1", market="M", reason="expired", at=1_000.0)
        assert await d.tell(VenueEvent(gone, at=1_000.0), at(1.0)) == []
        assert d.keeper.incarnation == 1
