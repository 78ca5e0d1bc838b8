"""The other channels through the stream's protocol: typed, in their place, and private ones never passed over in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import ONE, Side, format_count, format_price
from chimera.kalshi.channels import BOOK, CHANNELS, FILLS, GROUPS, INDEX, LIFECYCLE, ORDERS, POSITIONS, PRIVATE, TICKER
from chimera.kalshi.events import Gap, Malformed, Snapshot, Subscribed
from chimera.kalshi.notices import (
    EventFees,
    EventLife,
    GroupChange,
    IndexAverage,
    IndexValue,
    MarketLife,
    OwnFill,
    OwnOrder,
    OwnPosition,
    Ticker,
)
from chimera.kalshi.schema_account import OrderStatus
from chimera.kalshi.stream import StreamProtocol

TICKER_BODY = {
    "market_ticker": "M",
    "market_id": "x",
    "price_dollars": "0.4900",
    "yes_bid_dollars": "0.4700",
    "yes_ask_dollars": "0.5200",
    "yes_bid_size_fp": "3.00",
    "yes_ask_size_fp": "2.50",
    "volume_fp": "2.00",
    "open_interest_fp": "2.00",
    "dollar_volume": 16948,
    "ts": 1,
    "ts_ms": 1500,
    "time": "1970-01-01T00:00:01Z",
}
FILL_BODY = {
    "trade_id": "t",
    "order_id": "o",
    "client_order_id": "c",
    "market_ticker": "M",
    "exchange_index": 2,
    "is_taker": False,
    "outcome_side": "no",
    "book_side": "ask",
    "yes_price_dollars": "0.7500",
    "count_fp": "278.00",
    "fee_cost": "0.010000",
    "post_position_fp": "-5.00",
    "ts_ms": 1500,
}
ORDER_BODY = {
    "order_id": "o",
    "user_id": "u",
    "ticker": "M",
    "exchange_index": 2,
    "status": "canceled",
    "outcome_side": "yes",
    "book_side": "bid",
    "yes_price_dollars": "0.7500",
    "initial_count_fp": "10.00",
    "fill_count_fp": "2.50",
    "remaining_count_fp": "0.00",
    "taker_fees_dollars": "0.000000",
    "maker_fees_dollars": "0.004400",
    "client_order_id": "c",
    "order_group_id": "g",
    "created_ts_ms": 1000,
    "last_updated_ts_ms": 1500,
    "expiration_ts_ms": 9000,
    "last_update_reason": "ExpiryCancel",
}
AVERAGE = {"value": "68000.12000000", "window_size": 60, "window_start_ts_ms": 1, "window_end_ts_exclusive": 60001}
INDEX_BODY = {
    "index_id": "BRTI",
    "received_at": 1500,
    "data": '{"type":"value","id":"BRTI","time":1400,"value":"68000.12"}',
    "avg_60s_data": AVERAGE,
}
BODIES: dict[str, dict[str, Any]] = {
    "ticker": TICKER_BODY,
    "fill": FILL_BODY,
    "user_order": ORDER_BODY,
    "market_position": {"user_id": "u", "market_ticker": "M", "position_fp": "-5.00", "fees_paid_dollars": "0.1"},
    "market_lifecycle_v2": {"market_ticker": "M", "event_type": "determined", "result": "yes", "settlement_value": "1.0000"},
    "event_lifecycle": {"event_ticker": "E", "series_ticker": "S", "exchange_index": 3, "title": "t", "subtitle": "s"},
    "event_fee_update": {"event_ticker": "E", "fee_type_override": "quadratic", "fee_multiplier_override": 0.5},
    "order_group_updates": {"event_type": "triggered", "order_group_id": "g", "ts_ms": 1500},
    "cfbenchmarks_value": INDEX_BODY,
}
SEQUENCED = {"market_lifecycle_v2", "event_lifecycle", "event_fee_update", "order_group_updates", "cfbenchmarks_value"}


def frame(kind: str, body: dict[str, Any], sid: int = 5, seq: int = 1, **fields: Any) -> bytes:
    envelope = {"type": kind, "sid": sid, "msg": body, "future_field": 1} | ({"seq": seq} if kind in SEQUENCED else {})
    return json.dumps(envelope | fields).encode()


def on(channel: str, sid: int = 5) -> StreamProtocol:
    protocol = StreamProtocol()
    protocol.subscribe([channel])
    protocol.feed(json.dumps({"id": 1, "type": "subscribed", "msg": {"channel": channel, "sid": sid}}).encode())
    return protocol


class TestMeanings:
    """One value for each type of frame, in YES space and integers."""

    def said(self, kind: str, **change: Any) -> object:
        (event,) = on(CHANNELS[kind]).feed(frame(kind, BODIES[kind] | change))
        return event

    def test_a_ticker(self) -> None:
        assert self.said("ticker") == Ticker("M", 4700, 300, 5200, 250, 4900, 200, 200, 1500)

    @pytest.mark.parametrize(
        "empty", [{"yes_bid_dollars": "0.0000", "yes_bid_size_fp": "0.00"}, {"yes_bid_size_fp": "0.00"}, {"yes_bid_dollars": "0.0000"}]
    )
    def test_a_side_without_price_or_size_is_none(self, empty: dict[str, str]) -> None:
        ticker = self.said("ticker", **empty, yes_ask_dollars="1.0000", price_dollars="0.0000")
        assert isinstance(ticker, Ticker)
        assert (ticker.bid, ticker.bid_size, ticker.ask, ticker.ask_size, ticker.last) == (None, 0, None, 0, None)

    def test_a_fill_of_our_own(self) -> None:
        assert self.said("fill") == OwnFill("t", "o", "c", "M", Side.ASK, 7500, 27800, 10_000, False, -500, 2, 1500)

    def test_a_fill_without_what_may_be_left_out(self) -> None:
        bare = {name: FILL_BODY[name] for name in FILL_BODY if name not in ("client_order_id", "book_side", "post_position_fp", "ts_ms")}
        (fill,) = on(FILLS).feed(frame("fill", bare))
        assert (fill.client_id, fill.side, fill.position, fill.ts_ms) == ("", Side.ASK, None, 0)

    def test_an_order_of_our_own(self) -> None:
        order = self.said("user_order")
        assert isinstance(order, OwnOrder)
        assert (order.status, order.reason, order.filled, order.remaining) == (OrderStatus.CANCELED, "ExpiryCancel", 250, 0)
        assert (order.side, order.price, order.group_id, order.exchange_index, order.maker_fees) == (Side.BID, 7500, "g", 2, 4400)
        assert (order.created_ms, order.updated_ms, order.expires_ms) == (1000, 1500, 9000)

    def test_a_status_nobody_knows_is_unknown_and_not_an_error(self) -> None:
        order = self.said("user_order", status="dreaming")
        assert isinstance(order, OwnOrder)
        assert order.status is OrderStatus.UNKNOWN

    def test_a_position_of_our_own(self) -> None:
        assert self.said("market_position") == OwnPosition("M", -500, 0, 0, 100_000, 0)

    def test_a_market_determined(self) -> None:
        assert self.said("market_lifecycle_v2") == MarketLife("M", "determined", result="yes", settlement_value=ONE)

    def test_a_market_created_a_grid_changed_and_a_kind_nobody_knows(self) -> None:
        ranges = [{"start": "0.0000", "end": "0.1000", "step": "0.0010"}, {"start": "0.1000", "end": "1.0000", "step": "0.0100"}]
        more = {"event_ticker": "E", "expected_expiration_ts": 9, "name": "n", "floor_strike": 1.5}
        created = self.said(
            "market_lifecycle_v2",
            event_type="created",
            result=None,
            settlement_value=None,
            exchange_index=3,
            open_ts=1,
            close_ts=2,
            price_ranges=ranges,
            additional_metadata=more,
        )
        grid = ((0, 1000, 10), (1000, 10_000, 100))
        assert created == MarketLife(
            "M", "created", 3, open_at=1, close_at=2, price_ranges=grid, event="E", expected_expiration_at=9
        )
        halted = self.said("market_lifecycle_v2", event_type="paused_by_comet", result=None, settlement_value="", is_deactivated=True)
        assert halted == MarketLife("M", "paused_by_comet", deactivated=True)

    def test_an_event_and_its_fees(self) -> None:
        assert self.said("event_lifecycle") == EventLife("E", "S", 3, "t", "s", "")
        assert self.said("event_fee_update") == EventFees("E", "quadratic", 0.5)
        assert self.said("event_fee_update", fee_type_override=None, fee_multiplier_override=None) == EventFees("E", None, None)

    def test_a_group(self) -> None:
        assert self.said("order_group_updates") == GroupChange("g", "triggered", None, 1500)
        limited = self.said("order_group_updates", event_type="limit_updated", contracts_limit_fp="5.00")
        assert limited == GroupChange("g", "limit_updated", 500, 1500)

    def test_an_index_tick_with_and_without_the_last_minute_of_a_quarter(self) -> None:
        trailing = IndexAverage(6_800_012_000_000, 60, 1, 60001)
        assert self.said("cfbenchmarks_value") == IndexValue("BRTI", 6_800_012_000_000, 1400, 1500, trailing)
        quarter = self.said("cfbenchmarks_value", last_60s_windowed_average_15min=AVERAGE | {"window_size": 3})
        assert isinstance(quarter, IndexValue)
        assert quarter.quarter == IndexAverage(6_800_012_000_000, 3, 1, 60001)

    @given(
        st.sampled_from(Side),
        st.integers(1, ONE - 1),
        st.integers(1, 10**9),
        st.integers(-(10**9), 10**9),
        st.sampled_from(["book_side", "outcome_side"]),
    )
    def test_a_fill_keeps_every_number_whichever_vocabulary_names_its_side(self, side, price, count, position, field) -> None:
        word = {"book_side": side.value, "outcome_side": "yes" if side is Side.BID else "no"}[field]
        body = {name: value for name, value in FILL_BODY.items() if name not in ("book_side", "outcome_side")}
        body |= {field: word, "yes_price_dollars": format_price(price), "count_fp": format_count(count)}
        (fill,) = on(FILLS).feed(frame("fill", body | {"post_position_fp": format_count(position)}))
        assert (fill.side, fill.price, fill.count, fill.position) == (side, price, count, position)


class TestPlaces:
    """Sequenced channels have gaps; private ones tell of everything they cannot say."""

    @pytest.mark.parametrize("kind", sorted(SEQUENCED))
    def test_a_number_left_out_is_a_gap_without_a_command(self, kind: str) -> None:
        protocol = on(CHANNELS[kind])
        assert len(protocol.feed(frame(kind, BODIES[kind], seq=1))) == 1
        gap, _ = protocol.feed(frame(kind, BODIES[kind], seq=4))
        assert gap == Gap(CHANNELS[kind], 5, (), 2, 4, "")
        assert protocol.feed(frame(kind, BODIES[kind], seq=4)) == []

    def test_what_is_private_is_taken_without_a_subscription_and_the_rest_is_not(self) -> None:
        for kind, body in BODIES.items():
            events = StreamProtocol().feed(frame(kind, body, sid=9))
            assert len(events) == (CHANNELS[kind] in PRIVATE or kind == "ticker"), kind

    @pytest.mark.parametrize("broken", [{"count_fp": "many"}, {"yes_price_dollars": "1.5"}, {"book_side": "up"}, {"fee_cost": None}])
    def test_a_fill_that_cannot_be_read_puts_the_channel_in_doubt_and_no_book(self, broken: dict[str, Any]) -> None:
        protocol = on(BOOK, sid=1)
        protocol.feed(json.dumps({"type": "orderbook_snapshot", "sid": 1, "seq": 1, "msg": {"market_ticker": "M"}}).encode())
        malformed, gap = protocol.feed(frame("fill", FILL_BODY | broken))
        assert isinstance(malformed, Malformed)
        assert malformed.kind == "fill"
        assert isinstance(gap, Gap)
        assert (gap.channel, gap.command) == (FILLS, "")
        assert protocol.synced("M")

    def test_a_ticker_that_cannot_be_read_is_named_and_nothing_more(self) -> None:
        (malformed,) = on(TICKER).feed(frame("ticker", TICKER_BODY | {"yes_bid_dollars": "x"}))
        assert isinstance(malformed, Malformed)
        (malformed,) = on(TICKER).feed(frame("ticker", {}))
        assert isinstance(malformed, Malformed)

    def test_a_group_update_that_cannot_be_read_is_a_gap_in_its_own_place(self) -> None:
        protocol = on(GROUPS)
        malformed, gap = protocol.feed(frame("order_group_updates", BODIES["order_group_updates"] | {"contracts_limit_fp": "x"}))
        assert isinstance(malformed, Malformed)
        assert gap == Gap(GROUPS, 5, (), 1, 1, "")
        assert len(protocol.feed(frame("order_group_updates", BODIES["order_group_updates"], seq=2))) == 1

    @settings(deadline=None, max_examples=60)
    @given(st.sampled_from(sorted(BODIES)), st.data())
    def test_no_field_of_any_kind_makes_it_raise(self, kind: str, data) -> None:
        body = dict(BODIES[kind])
        junk = st.none() | st.text(max_size=6) | st.integers() | st.floats() | st.lists(st.integers(), max_size=2) | st.booleans()
        body[data.draw(st.sampled_from(sorted(body)))] = data.draw(junk)
        for event in on(CHANNELS[kind]).feed(frame(kind, body)):
            assert not isinstance(event, Snapshot | Subscribed)

    def test_a_ticker_is_asked_for_with_its_first_state(self) -> None:
        params = json.loads(StreamProtocol().subscribe([TICKER, ORDERS, POSITIONS, LIFECYCLE], ["M"]))["params"]
        assert params["send_initial_snapshot"] is True
        assert "use_yes_price" not in params
        assert json.loads(StreamProtocol().subscribe([INDEX], index_ids=["BRTI"]))["params"]["index_ids"] == ["BRTI"]


class TestAges:
    """How old a message was when it came, since it happened and since it was sent."""

    def test_both_are_measured_by_kind(self) -> None:
        protocol = on(FILLS)
        for received in (1600, 1700, 1520):
            protocol.feed(frame("fill", FILL_BODY, sending_ts_ms=1510), received)
        assert protocol.ages.latest("fill") == 20
        told = protocol.statistics()
        assert (told["age_ms.fill.median"], told["age_ms.fill.worst"]) == (100, 200)
        assert (told["wire_ms.fill.median"], told["wire_ms.fill.worst"]) == (90, 190)

    def test_what_tells_no_time_has_no_age(self) -> None:
        protocol = on(FILLS)
        protocol.feed(frame("fill", {name: value for name, value in FILL_BODY.items() if name != "ts_ms"}), 1600)
        protocol.feed(frame("fill", FILL_BODY))
        assert protocol.ages.latest("fill") is None
        assert not any("ms." in name for name in protocol.statistics())

    def test_an_order_and_an_index_have_times_of_their_own(self) -> None:
        for kind in ("user_order", "cfbenchmarks_value", "ticker", "order_group_updates"):
            protocol = on(CHANNELS[kind])
            protocol.feed(frame(kind, BODIES[kind]), 1700)
            assert protocol.ages.latest(kind) == 200

    def test_the_worst_is_that_of_the_last_few_hundred(self) -> None:
        protocol = on(TICKER)
        protocol.feed(frame("ticker", TICKER_BODY), 9999)
        for _ in range(300):
            protocol.feed(frame("ticker", TICKER_BODY), 1600)
        assert protocol.statistics()["age_ms.ticker.worst"] == 100


@pytest.mark.data
class TestRecorded:
    """Private frames that Kalshi sent, from its venue for perpetuals, whose spelling differs."""

    def lines(self, shared_data: Path) -> list[dict[str, Any]]:
        text = (shared_data / "kalshi/perps_shapes/ws__private_lifecycle.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines() if line.strip()]

    def test_the_life_of_a_group_is_read_as_it_was_sent(self, shared_data: Path) -> None:
        protocol = StreamProtocol()
        protocol.subscribe([ORDERS, FILLS, GROUPS])
        events = [event for line in self.lines(shared_data) for event in protocol.feed(json.dumps(line).encode())]
        groups = [event for event in events if isinstance(event, GroupChange)]
        assert [group.kind for group in groups] == ["created", "limit_updated", "triggered", "reset", "deleted"]
        assert [group.limit for group in groups] == [1000, 500, None, None, None]
        # Not one frame of the other venue's spelling is taken for one of ours, and each that is not is told.
        others = [line for line in self.lines(shared_data) if line["type"] in ("user_order", "fill")]
        assert sum(isinstance(event, Malformed) for event in events) == len(others)
        assert sum(isinstance(event, Gap) for event in events) == len(others)

    def test_the_life_of_an_order_reads_when_spelled_as_for_event_contracts(self, shared_data: Path) -> None:
        protocol = StreamProtocol()
        seen: list[OwnOrder] = []
        for line in self.lines(shared_data):
            if line["type"] == "user_order":
                (event,) = protocol.feed(json.dumps(line | {"msg": respelled(line["msg"])}).encode())
                assert isinstance(event, OwnOrder)
                seen.append(event)
        assert [order.remaining for order in seen[2:6]] == [200, 100, 100, 0]
        assert all(order.updated_ms >= order.created_ms > 0 for order in seen)
        assert sum(bool(order.group_id) for order in seen) == 2


def respelled(body: dict[str, Any]) -> dict[str, Any]:
    """An order of the venue for perpetuals in the words, and at a price, of an event contract."""
    remaining, filled = body["remaining_count"], body["fill_count"]
    return {name: value for name, value in body.items() if name not in ("side", "price", "fill_count", "remaining_count")} | {
        "book_side": body["side"],
        "yes_price_dollars": f"{float(body['price']) / 10:.4f}",
        "initial_count_fp": remaining,
        "fill_count_fp": filled,
        "remaining_count_fp": remaining,
        "status": "resting" if remaining != "0.00" else "executed",
    }
