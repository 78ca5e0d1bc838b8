"""Documents into values: exact integers, YES space, recorded payloads, and a refusal for what does not mean what it should."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.conventions import ONE, complement, format_count, format_price
from chimera.kalshi import decode, decode_account
from chimera.kalshi.schema import read_asks, read_bids, read_level_price, read_price

DEMO = Path("kalshi/demo_rest_ws")

levels = st.dictionaries(st.integers(1, ONE - 1), st.integers(1, 10**7), max_size=20)


def wire(book: dict[int, int]) -> list[tuple[str, str]]:
    return [(format_price(price), format_count(count)) for price, count in book.items()]


class TestLevels:
    """The NO leg becomes YES asks here, whichever way the exchange was told to speak."""

    @given(levels)
    def test_a_yes_level_is_a_bid_at_its_price_best_first(self, book: dict[int, int]) -> None:
        assert read_bids(wire(book)) == tuple(sorted(book.items(), reverse=True))

    @given(levels)
    def test_a_no_level_is_an_ask_at_the_complement_best_first(self, book: dict[int, int]) -> None:
        expected = tuple(sorted((complement(price), count) for price, count in book.items()))
        assert read_asks(wire(book), yes_price=False) == expected
        mirrored = {complement(price): count for price, count in book.items()}
        assert read_asks(wire(mirrored), yes_price=True) == expected

    def test_the_recorded_no_bid_is_the_ask_that_the_market_shows(self) -> None:
        assert read_level_price("0.4800", no_leg=True) == read_level_price("0.5200", no_leg=False) == 5200

    @pytest.mark.parametrize("price", ["0.0000", "1.0000", "1.2000", "-0.1000", "0.45555", "nan", "", "4e-1"])
    def test_no_order_rests_at_such_a_price(self, price: str) -> None:
        with pytest.raises(ValueError, match=r"price|rest at"):
            read_bids([(price, "1.00")])

    def test_a_price_is_read_in_any_number_of_decimals(self) -> None:
        assert [read_price(text) for text in ("0.46", "0.4600", "0.460000", "1", "0")] == [4600, 4600, 4600, ONE, 0]


class TestRecorded:
    """What Kalshi's demo exchange answered."""

    @pytest.mark.data
    def test_a_market(self, shared_data: Path) -> None:
        market = decode.single_market((shared_data / DEMO / "markets__single.json").read_bytes())
        assert market.ticker == "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP"
        assert market.event_ticker == "KXWTACHALLENGERMATCH-26JUN11JIMLEP"
        assert market.status == "active"
        assert (market.yes_bid, market.yes_ask) == (4700, 5200)
        assert (market.yes_bid_size, market.yes_ask_size) == (300, 300)
        assert market.last_price == 9900
        assert market.price_ranges == ((0, ONE, 100),)
        assert market.close_time == 1782403200.0
        assert market.occurrence_time == market.expected_expiration_time == 1781204400.0
        assert market.custom_strike == (("tennis_competitor", "367dcce8-d796-4ed5-80ff-ddec69845a41"),)
        assert market.rules_primary.startswith("If Varvara Lepchenko wins")
        assert market.fee_waiver_expiration_time is None

    @pytest.mark.data
    def test_every_recorded_market_is_read(self, shared_data: Path) -> None:
        read = 0
        for path in sorted((shared_data / DEMO).glob("markets__*.json")):
            if path.name.endswith(".meta.json") or b'"markets"' not in (body := path.read_bytes()):
                continue
            page, _ = decode.page(body, "markets")
            for raw in page:
                market = decode.market(raw)
                assert market.price_ranges
                assert 0 <= market.yes_bid <= ONE
                read += 1
        assert read > 200

    @pytest.mark.data
    def test_a_settled_event_with_its_markets_beside_it(self, shared_data: Path) -> None:
        recorded = json.loads((shared_data / "kalshi/gold15m/metadata/KXGOLD15M-26AUG050800.json").read_bytes())
        event = decode.event(json.dumps(recorded["response"]).encode())
        assert (event.event_ticker, event.series_ticker) == ("KXGOLD15M-26AUG050800", "KXGOLD15M")
        (market,) = event.markets
        assert (market.result, market.settlement_value, market.floor_strike) == ("yes", ONE, 4184.96)
        assert market.volume == 872170

    @pytest.mark.data
    def test_the_order_book_agrees_with_the_market_of_the_same_moment(self, shared_data: Path) -> None:
        folder = shared_data / DEMO
        market = decode.single_market((folder / "markets__single.json").read_bytes())
        book = decode.orderbook((folder / "orderbook__base.json").read_bytes(), market.ticker)
        assert book.bids == ((market.yes_bid, market.yes_bid_size),)
        assert book.asks == ((market.yes_ask, market.yes_ask_size),)

    @pytest.mark.data
    def test_the_balance_keeps_its_fractions_of_a_cent(self, shared_data: Path) -> None:
        balance = decode_account.balance((shared_data / DEMO / "auth__balance_ok.json").read_bytes())
        assert balance.cash == 98_018_600
        assert balance.portfolio_value == 1_980_000
        assert balance.shards == ((0, 98_018_600),)
        assert balance.updated_at == 1781159348

    @pytest.mark.data
    def test_limits_and_status(self, shared_data: Path) -> None:
        limits = decode_account.account_limits((shared_data / DEMO / "account__limits.json").read_bytes())
        assert (limits.tier, limits.read_capacity, limits.write_refill) == ("basic", 200, 100)
        status = decode.exchange_status((shared_data / DEMO / "exchange__status.json").read_bytes())
        assert status.trading_active
        assert status.shard(3).trading_active

    @pytest.mark.data
    def test_the_metadata_of_every_gold_market_is_read(self, shared_data: Path) -> None:
        for path in sorted((shared_data / "kalshi/gold15m/metadata").iterdir()):
            raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            event = decode.event(json.dumps(json.loads(raw)["response"]).encode())
            assert all(market.result in ("yes", "no") for market in event.markets)


MARKET = {
    "ticker": "M",
    "event_ticker": "E",
    "status": "active",
    "open_time": "2026-06-11T05:39:29Z",
    "close_time": "2026-06-25T16:00:00Z",
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
}


class TestRefusals:
    """A field that is missing or of another form is named; a field that is new is not."""

    def test_the_least_a_market_says_is_enough(self) -> None:
        market = decode.market(json.dumps(MARKET | {"something_new": [1], "floor_strike": None}).encode())
        assert (market.yes_bid, market.yes_ask, market.result, market.exchange_index) == (0, ONE, "", 0)

    @pytest.mark.parametrize("field", sorted(MARKET))
    def test_a_market_without_a_field_it_needs_is_refused_by_name(self, field: str) -> None:
        body = json.dumps({name: value for name, value in MARKET.items() if name != field}).encode()
        with pytest.raises(decode.UNREADABLE, match=field):
            decode.market(body)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("yes_bid_dollars", 0.47),
            ("yes_bid_dollars", "1.5"),
            ("volume_fp", "many"),
            ("close_time", "tomorrow"),
            ("close_time", "2026-06-25T16:00:00"),
            ("price_ranges", []),
            ("price_ranges", [{"start": "0.5000", "end": "0.1000", "step": "0.0100"}]),
            ("price_ranges", [{"start": "0.0000", "end": "1.0000", "step": "0.0000"}]),
        ],
    )
    def test_a_field_of_another_form_is_refused(self, field: str, value: object) -> None:
        with pytest.raises(decode.UNREADABLE):
            decode.market(json.dumps(MARKET | {field: value}).encode())

    def test_every_way_of_cutting_a_document_short_is_refused(self) -> None:
        body = json.dumps({"market": MARKET}).encode()
        for end in range(len(body)):
            with pytest.raises(decode.UNREADABLE):
                decode.single_market(body[:end])

    def test_an_empty_book_may_leave_everything_out(self) -> None:
        for body in (b'{"orderbook_fp":{}}', b'{"orderbook":{}}', b'{"orderbook_fp":{"yes_dollars":null,"no_dollars":[]}}'):
            book = decode.orderbook(body, "M")
            assert (book.ticker, book.bids, book.asks) == ("M", (), ())

    def test_buckets_that_never_fill_are_refused(self) -> None:
        bucket = {"refill_rate": 0, "bucket_capacity": 10}
        with pytest.raises(ValueError, match="above 0"):
            decode_account.account_limits(json.dumps({"usage_tier": "x", "read": bucket, "write": bucket}).encode())

    def test_a_paused_shard_is_told_apart(self) -> None:
        shard = {"exchange_index": 2, "description": "crypto", "exchange_active": True, "trading_active": False}
        body = {
            "exchange_active": True,
            "trading_active": True,
            "exchange_estimated_resume_time": "2026-06-25T16:00:00Z",
            "exchange_index_statuses": [shard],
        }
        status = decode.exchange_status(json.dumps(body).encode())
        assert not status.shard(2).trading_active
        assert status.shard(0).trading_active
        assert status.resumes_at == 1782403200.0

    def test_a_series_and_its_fees(self) -> None:
        body = {"ticker": "S", "fee_type": "quadratic", "fee_multiplier": 1, "tags": None, "categories": ["x"]}
        body["settlement_sources"] = [{"name": "NWS", "url": "https://weather.gov"}]
        series = decode.series(json.dumps({"series": body}).encode())
        assert (series.fee_type, series.fee_multiplier, series.tags) == ("quadratic", 1.0, ())
        assert series.settlement_sources == (("NWS", "https://weather.gov"),)
