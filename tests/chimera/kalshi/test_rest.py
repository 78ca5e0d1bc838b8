"""Reads: their names and signatures, pages and cursors, retries, and one error for every kind of failure."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from trio.testing import MockClock

from chimera.clock import VirtualClock
from chimera.errors import FeedError, VenueError
from chimera.intake import Frame
from chimera.kalshi.account import KalshiAccount
from chimera.kalshi.auth import Signer, verify
from chimera.kalshi.rest import AuthError, KalshiError, KalshiRest, RateLimited
from chimera.kalshi.session import ExchangeSession

OK, LIMITED, DOWN = 200, (429, b'{"error":"too many requests"}'), (503, b"")
STATUS = "kalshi.rest /exchange/status"
TRADING = (OK, b'{"exchange_active":true,"trading_active":true}')


def market(ticker: str, **fields: object) -> dict[str, object]:
    return {
        "ticker": ticker,
        "event_ticker": "E",
        "status": "active",
        "open_time": "2026-06-11T05:39:29Z",
        "close_time": "2026-06-25T16:00:00Z",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
    } | fields


def page(*tickers: str, cursor: str | None = "") -> tuple[int, bytes]:
    return OK, json.dumps({"markets": [market(ticker) for ticker in tickers], "cursor": cursor}).encode()


class Setup:
    """A client over a table of answers, in a world where waiting costs nothing."""

    def __init__(self, key, door_class) -> None:
        self.clock = VirtualClock(origin_unix=1_790_000_000.0)
        self.key, self._door_class = key, door_class
        self.session = ExchangeSession(
            Signer("key-id-abcdef", key), self.clock, rest_url="https://exchange.test", ws_url="wss://exchange.test"
        )

    def over(self, answers: dict[str, list]) -> KalshiRest:
        self.door = self._door_class(answers)
        return KalshiRest(self.door, self.session, random.Random(7))


@pytest.fixture
async def setup(ed25519_key, table_door) -> Setup:
    return Setup(ed25519_key, table_door)


class TestNames:
    """The stream name is what a recording is looked up by."""

    async def test_the_query_is_sorted_and_the_prefix_left_out(self, autojump_clock: MockClock, setup: Setup) -> None:
        name = "kalshi.rest /markets?series_ticker=KXNBAGAME&status=open"
        client = setup.over({name: [page("A")], "kalshi.rest /markets?event_ticker=E&series_ticker=S": [page("B")]})
        await client.markets(status="open", series_ticker="KXNBAGAME")
        assert len(await client.markets(series_ticker="S", event_ticker="E")) == 1
        stream, url, _ = setup.door.asked[0]
        assert stream == name
        assert url == "https://exchange.test/trade-api/v2/markets?series_ticker=KXNBAGAME&status=open"

    async def test_what_is_signed_is_the_path_that_is_sent_without_its_query(self, autojump_clock: MockClock, setup: Setup) -> None:
        client = setup.over({"kalshi.rest /events/KX%2FA%20B?with_nested_markets=true": [(404, b"{}")]})
        with pytest.raises(KalshiError):
            await client.event("KX/A B")
        _, url, headers = setup.door.asked[0]
        assert verify(
            setup.key.public_key(),
            timestamp=headers["KALSHI-ACCESS-TIMESTAMP"],
            method="GET",
            path=urlsplit(url).path,
            signature=headers["KALSHI-ACCESS-SIGNATURE"],
        )


class TestPages:
    """A list is whole or it is an error."""

    async def test_cursors_are_followed_to_the_empty_one(self, autojump_clock: MockClock, setup: Setup) -> None:
        client = setup.over(
            {
                "kalshi.rest /markets": [page("A", "B", cursor="c1")],
                "kalshi.rest /markets?cursor=c1": [page("C", cursor="c2")],
                "kalshi.rest /markets?cursor=c2": [page("D", cursor=None)],
            }
        )
        assert [each.ticker for each in await client.markets()] == ["A", "B", "C", "D"]

    async def test_a_market_that_moved_between_pages_is_listed_once(self, autojump_clock: MockClock, setup: Setup) -> None:
        client = setup.over(
            {"kalshi.rest /markets": [page("A", "B", cursor="c1")], "kalshi.rest /markets?cursor=c1": [page("B")]}
        )
        assert [each.ticker for each in await client.markets()] == ["A", "B"]

    async def test_a_cursor_that_comes_round_again_is_an_error(self, autojump_clock: MockClock, setup: Setup) -> None:
        client = setup.over(
            {"kalshi.rest /markets": [page("A", cursor="c1")], "kalshi.rest /markets?cursor=c1": [page("A", cursor="c1")]}
        )
        with pytest.raises(VenueError, match="not complete"):
            await client.markets()

    async def test_many_tickers_are_asked_for_by_the_hundred(self, autojump_clock: MockClock, setup: Setup) -> None:
        tickers = [f"M{number}" for number in range(150)]
        first, second = ",".join(tickers[:100]), ",".join(tickers[100:])
        client = setup.over(
            {f"kalshi.rest /markets?tickers={first}": [page("A")], f"kalshi.rest /markets?tickers={second}": [page("B")]}
        )
        assert [each.ticker for each in await client.markets(tickers=tickers)] == ["A", "B"]

    async def test_one_market_that_cannot_be_read_makes_the_list_an_error(self, autojump_clock: MockClock, setup: Setup) -> None:
        body = json.dumps({"markets": [market("A"), market("B", status=7)], "cursor": ""}).encode()
        client = setup.over({"kalshi.rest /markets": [(OK, body)]})
        with pytest.raises(VenueError, match=r"GET /markets: .*status"):
            await client.markets()

    async def test_a_book_missing_from_the_answer_is_an_error(self, autojump_clock: MockClock, setup: Setup) -> None:
        body = b'{"orderbooks":[{"ticker":"A","orderbook_fp":{"yes_dollars":[["0.4000","1.00"]],"no_dollars":[]}}]}'
        client = setup.over({"kalshi.rest /markets/orderbooks?tickers=A": [(OK, body)]})
        (book,) = await client.orderbooks(["A"])
        assert book.bids == ((4000, 100),)
        client = setup.over({"kalshi.rest /markets/orderbooks?tickers=A&tickers=B": [(OK, body)]})
        with pytest.raises(VenueError, match="no book for B"):
            await client.orderbooks(["A", "B"])


class TestRetries:
    """Twice more at most, later each time, and only where it can help."""

    @pytest.mark.parametrize("failure", [DOWN, LIMITED, (500, b"oops"), FeedError("timed out")])
    async def test_what_may_pass_is_tried_again(self, autojump_clock: MockClock, setup: Setup, failure) -> None:
        client = setup.over({"kalshi.rest /markets": [failure, failure, page("A")]})
        assert [each.ticker for each in await client.markets()] == ["A"]
        assert 0.375 <= setup.clock.now() - 1_790_000_000.0 <= 1.125

    async def test_the_third_failure_is_told(self, autojump_clock: MockClock, setup: Setup) -> None:
        client = setup.over({"kalshi.rest /markets": [LIMITED]})
        with pytest.raises(RateLimited, match=r"GET /markets: HTTP 429 \(too many requests\)"):
            await client.markets()
        assert len(setup.door.asked) == 3

    async def test_no_answer_at_all_is_a_venue_error_with_its_cause(self, autojump_clock: MockClock, setup: Setup) -> None:
        client = setup.over({"kalshi.rest /markets": [FeedError("cut")]})
        with pytest.raises(VenueError, match="GET /markets: no answer: cut") as caught:
            await client.markets()
        assert isinstance(caught.value.__cause__, FeedError)

    async def test_a_definite_refusal_is_not_tried_again(self, autojump_clock: MockClock, setup: Setup) -> None:
        client = setup.over({"kalshi.rest /markets/X": [(404, b'{"error":{"code":"not_found","message":"not found"}}')]})
        with pytest.raises(KalshiError) as caught:
            await client.market("X")
        assert (caught.value.status, caught.value.code, caught.value.message) == (404, "not_found", "not found")
        assert len(setup.door.asked) == 1

    async def test_an_expired_timestamp_is_signed_anew(self, autojump_clock: MockClock, setup: Setup) -> None:
        expired = (401, b'{"error":{"code":"header_timestamp_expired","message":"header timestamp expired"}}')
        client = setup.over({"kalshi.rest /markets": [expired, page("A")]})
        await client.markets()
        times = [headers["KALSHI-ACCESS-TIMESTAMP"] for _, _, headers in setup.door.asked]
        assert times[0] != times[1]

    async def test_a_wrong_key_is_an_auth_error_at_once(self, autojump_clock: MockClock, setup: Setup) -> None:
        wrong = (401, b'{"error":{"code":"authentication_error","message":"authentication_error","details":"NOT_FOUND"}}')
        client = setup.over({"kalshi.rest /portfolio/balance": [wrong]})
        with pytest.raises(AuthError) as caught:
            await KalshiAccount(client).balance()
        assert caught.value.details == "NOT_FOUND"
        assert len(setup.door.asked) == 1

    async def test_a_body_that_cannot_be_read_names_the_call_and_is_not_tried_again(self, autojump_clock: MockClock, setup: Setup) -> None:
        client = setup.over({"kalshi.rest /series/S": [(OK, b'{"series":{"ticker":"S"')]})
        with pytest.raises(VenueError, match="GET /series/S: the answer cannot be read"):
            await client.series("S")
        assert len(setup.door.asked) == 1


class TestAccountAndExchange:
    """What is learnt here changes how the session behaves."""

    async def test_limits_resize_the_read_budget(self, autojump_clock: MockClock, setup: Setup) -> None:
        body = b'{"usage_tier":"x","read":{"refill_rate":10,"bucket_capacity":20},"write":{"refill_rate":1,"bucket_capacity":2}}'
        client = setup.over({"kalshi.rest /account/limits": [(OK, body)], STATUS: [TRADING]})
        limits = await KalshiAccount(client).limits()
        assert (limits.write_capacity, limits.write_refill) == (2, 1)
        start = setup.clock.now()
        for _ in range(4):
            await client.exchange_status()
        assert setup.clock.now() - start == pytest.approx(2.0)

    async def test_the_balance_is_asked_for_once_a_second(self, autojump_clock: MockClock, setup: Setup) -> None:
        body = b'{"balance":100,"balance_dollars":"1.0050","portfolio_value":0,"updated_ts":1}'
        client = setup.over({"kalshi.rest /portfolio/balance": [(OK, body)]})
        start = setup.clock.now()
        for _ in range(3):
            assert (await KalshiAccount(client).balance()).cash == 1_005_000
        assert setup.clock.now() - start == pytest.approx(2.0)

    async def test_an_exchange_that_is_down_says_so_itself(self, autojump_clock: MockClock, setup: Setup) -> None:
        client = setup.over({STATUS: [(503, b'{"exchange_active":false,"trading_active":false}')]})
        assert not (await client.exchange_status()).exchange_active
        client = setup.over({STATUS: [(503, b"<html>bad gateway</html>")]})
        with pytest.raises(KalshiError, match="503"):
            await client.exchange_status()


@pytest.mark.data
async def test_the_recorded_exchange_is_read_through_the_client(autojump_clock: MockClock, setup: Setup, shared_data: Path) -> None:
    """Each recorded GET that succeeded, asked for by its recorded path."""
    folder = shared_data / "kalshi/demo_rest_ws"
    ticker = "KXWTACHALLENGERMATCH-26JUN11JIMLEP-LEP"
    reads: dict[str, Callable[[KalshiRest], object]] = {
        "markets__single": lambda client: client.market(ticker),
        "orderbook__base": lambda client: client.orderbook(ticker),
        "auth__balance_ok": lambda client: KalshiAccount(client).balance(),
        "account__limits": lambda client: KalshiAccount(client).limits(),
        "exchange__status": lambda client: client.exchange_status(),
    }
    for name, read in reads.items():
        meta = json.loads((folder / f"{name}.meta.json").read_bytes())
        stream = "kalshi.rest " + meta["path"].removeprefix("/trade-api/v2")
        body = (folder / f"{name}.json").read_bytes()
        client = setup.over({stream: [(meta["status"], body)]})
        seen: list[Frame] = []
        setup.door.tap(seen.append)
        await read(client)
        assert [frame.stream for frame in seen] == [stream]
