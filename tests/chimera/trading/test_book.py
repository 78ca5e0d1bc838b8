"""The dense ladder against a dictionary, and against the books that production recorded."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import ONE, Side, complement, parse_count, parse_price
from chimera.markets import CENT_GRID, PriceGrid
from chimera.trading.book import BookDesync, OrderBook

GRIDS = (CENT_GRID, PriceGrid(((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10))), PriceGrid(((0, ONE, 1),)))


def synced(bids=(), asks=(), grid: PriceGrid = CENT_GRID) -> OrderBook:
    book = OrderBook(grid)
    book.snapshot(bids, asks)
    return book


class TestFolding:
    def test_a_book_is_unsynced_until_its_first_snapshot(self):
        book = OrderBook(CENT_GRID)
        assert not book.believed
        book.snapshot([(4_600, 100)], [(4_800, 200)])
        assert book.believed
        assert (book.bid, book.bid_size, book.ask, book.ask_size) == (4_600, 100, 4_800, 200)

    def test_an_empty_side_has_no_best(self):
        book = synced()
        assert (book.bid, book.bid_size, book.ask, book.ask_size, book.crossed) == (None, 0, None, 0, False)

    def test_the_best_moves_away_when_its_level_empties(self):
        book = synced([(4_500, 5), (4_600, 7)], [(4_800, 3), (9_900, 4)])
        book.delta(Side.BID, 4_600, -7)
        book.delta(Side.ASK, 4_800, -3)
        assert (book.bid, book.bid_size, book.ask, book.ask_size) == (4_500, 5, 9_900, 4)

    def test_a_snapshot_replaces_everything(self):
        book = synced([(4_500, 5)], [(4_800, 3)])
        book.snapshot([(100, 1)], [])
        assert book.levels(Side.BID) == ((100, 1),)
        assert book.levels(Side.ASK) == ()
        assert book.ask is None

    def test_a_level_below_zero_is_a_desync_and_voids_the_book(self):
        book = synced([(4_500, 5)])
        with pytest.raises(BookDesync, match="cannot change by -6"):
            book.delta(Side.BID, 4_500, -6)
        assert not book.believed
        book.snapshot([], [])
        assert book.believed

    @pytest.mark.parametrize("price", [0, ONE, 4_550, -100, ONE + 100])
    def test_a_price_off_the_ladder_is_a_desync(self, price):
        book = synced([(4_500, 5)])
        with pytest.raises(BookDesync, match="grid"):
            book.delta(Side.BID, price, 1)
        assert not book.synced
        with pytest.raises(BookDesync, match="grid"):
            book.snapshot([], [(price, 1)])
        assert not book.synced

    @pytest.mark.parametrize("levels", [[(4_500, -1)], [(4_500, 1), (4_500, 1)]])
    def test_a_snapshot_that_cannot_be_is_a_desync(self, levels):
        book = OrderBook(CENT_GRID)
        with pytest.raises(BookDesync, match="snapshot holds"):
            book.snapshot(levels, [])
        assert not book.synced

    def test_a_crossed_book_is_not_believed(self):
        book = synced([(4_700, 1)], [(4_700, 1)])
        assert book.crossed
        assert not book.believed
        book.delta(Side.BID, 4_700, -1)
        assert book.believed

    def test_a_lost_book_is_not_believed(self):
        book = synced([(4_700, 1)])
        book.lose()
        assert not book.believed

    def test_a_new_grid_empties_the_book(self):
        book = synced([(4_700, 1)])
        book.reset(GRIDS[2])
        assert (book.synced, book.bid, book.grid) == (False, None, GRIDS[2])
        book.snapshot([(4_701, 1)], [])
        assert book.bid == 4_701

    def test_every_change_is_counted(self):
        book = synced()
        before = book.changes
        book.delta(Side.ASK, 5_000, 1)
        book.lose()
        assert book.changes == before + 2

    def test_depth_off_the_ladder_is_nothing(self):
        book = synced([(4_700, 9)])
        assert book.depth(Side.BID, 4_700) == 9
        assert [book.depth(Side.BID, price) for price in (4_650, -4_700, 0, ONE, ONE + 4_700)] == [0] * 5


@settings(max_examples=60, deadline=None)
@given(data=st.data(), grid=st.sampled_from(GRIDS))
def test_the_ladder_is_what_a_dictionary_would_hold(data, grid):
    book, model = synced(grid=grid), {Side.BID: {}, Side.ASK: {}}
    for _ in range(data.draw(st.integers(1, 60))):
        side = data.draw(st.sampled_from(list(Side)))
        price = data.draw(st.integers(1, ONE // grid.tick - 1)) * grid.tick
        if model[side] and data.draw(st.booleans()):
            price = data.draw(st.sampled_from(sorted(model[side])))
        held = model[side].get(price, 0)
        change = data.draw(st.sampled_from([-held, 1 - held, 1, 250]))
        book.delta(side, price, change)
        model[side][price] = held + change
        model[side] = {p: count for p, count in model[side].items() if count}
        bids, asks = model[Side.BID], model[Side.ASK]
        assert (book.bid, book.ask) == (max(bids, default=None), min(asks, default=None))
        assert (book.bid_size, book.ask_size) == (bids.get(book.bid, 0), asks.get(book.ask, 0))
        assert book.crossed == bool(bids and asks and max(bids) >= min(asks))
    assert book.levels(Side.BID) == tuple(sorted(model[Side.BID].items(), reverse=True))
    assert book.levels(Side.ASK) == tuple(sorted(model[Side.ASK].items()))
    assert all(book.depth(side, price) == count for side in Side for price, count in model[side].items())


def _levels(rows, *, no_leg: bool):
    return [(complement(parse_price(p)) if no_leg else parse_price(p), parse_count(c)) for p, c in rows]


@pytest.mark.data
def test_production_books_fold_without_a_negative_level_or_a_crossing(shared_data):
    """Real frames of fifteen-minute markets: mid-window snapshots are taken whole, deltas after a hole are not."""
    deltas = snapshots = desyncs = 0
    for path in sorted((shared_data / "kalshi/gold15m/events").glob("*.ndjson.gz"))[:6]:
        book = OrderBook(PriceGrid(((0, ONE, 10),)))
        for line in gzip.decompress(path.read_bytes()).splitlines():
            event = json.loads(line)["event"]
            message = event["msg"]
            if event["type"] == "orderbook_snapshot":
                yes = _levels(message.get("yes_dollars_fp", ()), no_leg=False)
                no = _levels(message.get("no_dollars_fp", ()), no_leg=True)
                book.snapshot(yes, no)
                snapshots += 1
                assert (set(book.levels(Side.BID)), set(book.levels(Side.ASK))) == (set(yes), set(no))
            elif event["type"] == "orderbook_delta" and book.synced:
                no_leg = message["side"] == "no"
                price = parse_price(message["price_dollars"])
                try:
                    book.delta(Side.ASK if no_leg else Side.BID, complement(price) if no_leg else price, parse_count(message["delta_fp"]))
                except BookDesync:
                    desyncs += 1
                    continue
                deltas += 1
            assert not (book.synced and book.crossed)
    assert snapshots > 6
    assert deltas > 10_000
    assert desyncs == 0
