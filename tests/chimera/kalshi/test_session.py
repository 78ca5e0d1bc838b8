"""The session: addresses, the clock's offset, and what it learns from answers."""

from __future__ import annotations

from email.utils import formatdate

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from chimera.clock import VirtualClock, WorldClock
from chimera.kalshi.auth import Signer, verify
from chimera.kalshi.ratelimit import Call
from chimera.kalshi.schema_account import AccountLimits
from chimera.kalshi.session import ExchangeSession

NOW = 1_790_000_000.0


def make(key, **urls: str) -> ExchangeSession:
    addresses = {"rest_url": "https://exchange.test", "ws_url": "wss://exchange.test"} | urls
    return ExchangeSession(Signer("key-id-abcdef", key), WorldClock(origin_unix=NOW), **addresses)


class TestAddresses:
    """Origins and whole bases mean the same."""

    @pytest.mark.parametrize("url", ["https://a.test", "https://a.test/", "https://a.test/trade-api/v2", "https://a.test/trade-api/v2/"])
    def test_the_prefix_is_there_once(self, ed25519_key, url: str) -> None:
        session = make(ed25519_key, rest_url=url)
        assert session.rest_url == "https://a.test/trade-api/v2"
        assert session.rest_prefix == "/trade-api/v2"

    def test_the_socket_has_a_path_of_its_own(self, ed25519_key) -> None:
        session = make(ed25519_key, ws_url="ws://127.0.0.1:80")
        assert (session.ws_url, session.ws_path) == ("ws://127.0.0.1:80/trade-api/ws/v2", "/trade-api/ws/v2")

    @pytest.mark.parametrize("url", ["exchange.test", "ftp://a.test", "https://", "https://a.test?x=1"])
    def test_what_is_no_address_is_refused(self, ed25519_key, url: str) -> None:
        with pytest.raises(ValueError, match="address"):
            make(ed25519_key, rest_url=url)


class TestClock:
    """The offset is learnt from answers, and zero is believed for as long as it can be right."""

    def test_headers_carry_world_time_and_verify(self, ed25519_key) -> None:
        headers = make(ed25519_key).headers("GET", "/trade-api/v2/markets?x=1")
        assert 0 <= int(headers["KALSHI-ACCESS-TIMESTAMP"]) - NOW * 1000 < 60_000
        assert verify(
            ed25519_key.public_key(),
            timestamp=headers["KALSHI-ACCESS-TIMESTAMP"],
            method="GET",
            path="/trade-api/v2/markets",
            signature=headers["KALSHI-ACCESS-SIGNATURE"],
        )

    def test_a_date_that_agrees_leaves_the_clock_alone(self, ed25519_key) -> None:
        session = make(ed25519_key)
        session.observe_date(formatdate(NOW, usegmt=True), NOW + 0.2, NOW + 0.9)
        assert session.skew_s == 0.0

    def test_a_date_that_disagrees_moves_the_signing_time(self, ed25519_key) -> None:
        session = make(ed25519_key)
        session.observe_date(formatdate(NOW + 30, usegmt=True), NOW + 0.1, NOW + 0.2)
        assert session.skew_s == pytest.approx(30.35, abs=0.01)
        assert session.skewed
        assert session.now_ms() / 1000 - session.clock.now() == pytest.approx(session.skew_s, abs=0.1)

    def test_a_step_of_either_clock_is_followed(self, ed25519_key) -> None:
        session = make(ed25519_key)
        for _ in range(8):
            session.observe_date(formatdate(NOW + 30, usegmt=True), NOW, NOW + 0.1)
        session.observe_date(formatdate(NOW, usegmt=True), NOW + 0.2, NOW + 0.3)
        assert session.skew_s == 0.0

    def test_after_a_step_the_old_answers_no_longer_widen_the_new(self, ed25519_key) -> None:
        session = make(ed25519_key)
        session.observe_ts(int(NOW * 1000), NOW - 0.1, NOW + 0.1)
        session.observe_ts(int((NOW + 30) * 1000), NOW - 0.1, NOW + 0.1)
        session.observe_ts(int((NOW + 30) * 1000), NOW - 0.3, NOW)
        assert session.skew_s == pytest.approx(30.05)

    def test_only_kalshis_own_answers_count(self, ed25519_key) -> None:
        session = make(ed25519_key)
        late = {"date": formatdate(NOW + 30, usegmt=True)}
        session.observe_response("espn.scoreboard.nba", late, NOW, NOW)
        session.observe_response("kalshi.rest /markets", {}, NOW, NOW)
        session.observe_date("yesterday", NOW, NOW)
        assert session.skew_s == 0.0
        session.observe_response("kalshi.rest /markets", late, NOW, NOW)
        assert session.skewed

    @given(
        skew=st.floats(-20, 20),
        trips=st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 1.0), st.floats(0.0, 1.0)), min_size=1, max_size=8),
    )
    def test_the_measured_offset_is_within_a_second_and_the_round_trip(self, ed25519_key, skew: float, trips) -> None:
        session = make(ed25519_key)
        for index, (wait, out, back) in enumerate(trips):
            sent = NOW + 10 * index + wait
            session.observe_date(formatdate(int(sent + out + skew), usegmt=True), sent, sent + out + back)
        closest = min(out + back for _, out, back in trips)
        assert abs(session.skew_s - skew) <= 1.0 + closest + 1e-3

    def test_a_timestamp_of_the_exchange_narrows_it_to_the_round_trip(self, ed25519_key) -> None:
        session = make(ed25519_key)
        session.observe_ts(int((NOW + 3.0) * 1000), NOW - 0.05, NOW + 0.05)
        assert session.skew_s == pytest.approx(3.0, abs=0.06)


class TestReadBudget:
    """Reads wait for their tokens, first come first served."""

    async def test_reads_past_the_budget_wait_in_world_time(self, ed25519_key, autojump_clock: trio.abc.Clock) -> None:
        clock = VirtualClock(origin_unix=NOW)
        session = ExchangeSession(
            Signer("key-id-abcdef", ed25519_key), clock, rest_url="https://exchange.test", ws_url="wss://exchange.test"
        )
        session.limiter.set_limits(AccountLimits("basic", 20, 10, 100, 100), clock.now())
        for _ in range(4):
            await session.admit(Call.READ)
        assert clock.now() - NOW == pytest.approx(2.0)
        for _ in range(3):
            await session.admit(Call.BALANCE)
        assert clock.now() - NOW == pytest.approx(4.0)

    def test_a_429_drains_the_bucket_and_an_answer_ends_the_row_of_them(self, ed25519_key) -> None:
        session = make(ed25519_key)
        for status in (429, 429, 200, 429):
            session.answered(Call.CREATE, 2, status, 0.5)
        assert session.statistics()["refused"] == 3
        assert session.statistics()["write_tokens.2"] < 1.0
        assert session.limiter.wait(Call.CREATE, 2, session.clock.now()) <= 0.5

    def test_an_expiry_is_told_in_the_exchanges_own_time(self, ed25519_key) -> None:
        session = make(ed25519_key)
        session.observe_ts(int((NOW + 30) * 1000), NOW, NOW)
        assert session.exchange_time(NOW + 20) == pytest.approx(NOW + 50)
