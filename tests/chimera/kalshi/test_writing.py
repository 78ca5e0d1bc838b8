"""Writes against a scripted exchange on loopback: one request each, and no more said of it than is known."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from chimera.clock import WorldClock
from chimera.conventions import Side
from chimera.errors import VenueError
from chimera.intake import Frame
from chimera.intake_live import LiveDoor
from chimera.kalshi import requests
from chimera.kalshi.auth import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, Signer, verify
from chimera.kalshi.decode_orders import Amended, Cancelled, Created, Decreased
from chimera.kalshi.failures import AuthError, DefinitelyNotExecuted, DefinitelyRejected, OutcomeUnknown, RateLimited, Throttled
from chimera.kalshi.ratelimit import Call
from chimera.kalshi.requests import GroupRef, NewOrder, OrderRef
from chimera.kalshi.schema_account import AccountLimits
from chimera.kalshi.session import ExchangeSession
from chimera.kalshi.writing import KalshiGroups, KalshiOrders, KalshiWriter

ORDER = NewOrder("run-1", "M", 2, Side.BID, 4600, 1000)
RESTING = OrderRef("order-1", "M", 2)
NOT_FOUND = (404, b'{"error":{"code":"not_found","message":"not found"}}')
LIMITED = (429, b'{"error":"too many requests"}')
EXPIRED = (401, b'{"error":{"code":"header_timestamp_expired","message":"header timestamp expired"}}')
CREATED = (201, b'{"order_id":"o","client_order_id":"run-1","fill_count":"0.00","remaining_count":"10.00","ts_ms":5}')
CANCELLED = (200, b'{"order_id":"order-1","reduced_by":"10.00","ts_ms":5}')
DONE = (200, b"{}")

CUT = "cut"
"""The request is read, and the connection then ends without an answer."""
SILENCE = "silence"
"""The request is read and never answered."""
Step = tuple[int, bytes] | str


@attrs.define(slots=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Exchange:
    """A loopback server that answers each request with the next of its steps, the last one for ever, and keeps what it was asked."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.asked: list[Asked] = []

    async def serve(self, stream: trio.SocketStream) -> None:
        received = b""
        try:
            while chunk := await stream.receive_some():
                received += chunk
                while (request := self._complete(received)) is not None:
                    asked, received = request
                    self.asked.append(asked)
                    if not await self._answer(stream):
                        return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        finally:
            await trio.aclose_forcefully(stream)

    @staticmethod
    def _complete(received: bytes) -> tuple[Asked, bytes] | None:
        head, blank, rest = received.partition(b"\r\n\r\n")
        if not blank:
            return None
        first, *lines = head.decode().split("\r\n")
        headers = {name.upper(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("CONTENT-LENGTH", "0"))
        if len(rest) < length:
            return None
        method, target, _ = first.split(" ")
        return Asked(method, target, headers, rest[:length]), rest[length:]

    async def _answer(self, stream: trio.SocketStream) -> bool:
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if step == SILENCE:
            await trio.sleep_forever()
        if not isinstance(step, tuple):
            return False
        status, body = step
        length = "" if status == 204 else f"Content-Length: {len(body)}\r\n"
        await stream.send_all(f"HTTP/1.1 {status} X\r\n{length}\r\n".encode() + body)
        return True


class Setup:
    """A client, and the exchange it talks to."""

    def __init__(self, exchange: Exchange, door: LiveDoor, session: ExchangeSession) -> None:
        self.exchange, self.door, self.session = exchange, door, session
        self.writer = KalshiWriter(door, session, random.Random(7), timeout=0.3)
        self.orders, self.groups = KalshiOrders(self.writer), KalshiGroups(self.writer)

    def answers(self, *steps: Step) -> Setup:
        self.exchange.steps = list(steps)
        return self


@asynccontextmanager
async def serving(exchange: Exchange) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, exchange.serve, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


@pytest.fixture
async def setup(ed25519_key) -> AsyncIterator[Setup]:
    """In a world ten times as fast, so that pauses between tries are short."""
    clock, exchange = WorldClock(speed=10.0), Exchange()
    async with serving(exchange) as port, LiveDoor(clock) as door:
        address = f"127.0.0.1:{port}"
        session = ExchangeSession(
            Signer("key-id-abcdef", ed25519_key), clock, rest_url=f"http://{address}", ws_url=f"ws://{address}"
        )
        session.limiter.set_limits(AccountLimits("basic", 200, 200, 1000, 1000), clock.now())
        yield Setup(exchange, door, session)


Call_ = Callable[[Setup], Awaitable[object]]

ONCE: dict[str, Call_] = {
    "create": lambda setup: setup.orders.create(ORDER),
    "batch_create": lambda setup: setup.orders.batch_create([ORDER]),
    "amend": lambda setup: setup.orders.amend(RESTING, side=Side.BID, price=4600, total=1000),
    "renew": lambda setup: setup.orders.renew(RESTING, side=Side.BID, price=4600, total=1000, expires_at=99.0),
    "decrease": lambda setup: setup.orders.decrease(RESTING, to=100),
    "group_create": lambda setup: setup.groups.create(2, 1000),
    "group_reset": lambda setup: setup.groups.reset(GroupRef("g", 2)),
}
AGAIN: dict[str, Call_] = {
    "cancel": lambda setup: setup.orders.cancel(RESTING),
    "batch_cancel": lambda setup: setup.orders.batch_cancel([RESTING]),
    "cancel_all": lambda setup: setup.orders.cancel_all(),
    "group_trigger": lambda setup: setup.groups.trigger(GroupRef("g", 2)),
    "group_limit": lambda setup: setup.groups.limit(GroupRef("g", 2), 500),
    "group_delete": lambda setup: setup.groups.delete(GroupRef("g", 2)),
}


class TestAnswers:
    """What the exchange said it did."""

    async def test_a_create_is_signed_over_its_path_sent_with_its_body_and_enters_at_the_door(self, setup: Setup, ed25519_key) -> None:
        seen: list[Frame] = []
        setup.door.tap(seen.append)
        created = await setup.answers(CREATED).orders.create(ORDER)
        assert created == Created("o", "run-1", 0, 1000, 5)
        (asked,) = setup.exchange.asked
        assert (asked.method, asked.target) == ("POST", "/trade-api/v2/portfolio/events/orders")
        assert asked.body == requests.create(ORDER).body
        assert asked.headers["CONTENT-TYPE"] == "application/json"
        assert asked.headers[KEY_HEADER] == "key-id-abcdef"
        assert verify(
            ed25519_key.public_key(),
            timestamp=asked.headers[TIMESTAMP_HEADER],
            method="POST",
            path=asked.target,
            signature=asked.headers[SIGNATURE_HEADER],
        )
        assert [(frame.stream, frame.status, frame.body) for frame in seen] == [
            ("kalshi.write POST /portfolio/events/orders", 201, CREATED[1])
        ]

    async def test_a_delete_carries_a_body_and_its_query_is_not_signed(self, setup: Setup, ed25519_key) -> None:
        body = b'{"orders":[{"order_id":"order-1","reduced_by":"10.00","ts_ms":5}]}'
        (outcome,) = await setup.answers((200, body)).orders.batch_cancel([RESTING])
        assert outcome == Cancelled("order-1", "", 1000, 5)
        assert setup.exchange.asked[0].method == "DELETE"
        assert json.loads(setup.exchange.asked[0].body)["orders"][0]["order_id"] == "order-1"
        await setup.answers(CANCELLED).orders.cancel(RESTING)
        asked = setup.exchange.asked[1]
        path, _, query = asked.target.partition("?")
        assert query == "exchange_index=2&market_ticker=M"
        assert verify(
            ed25519_key.public_key(),
            timestamp=asked.headers[TIMESTAMP_HEADER],
            method="DELETE",
            path=path,
            signature=asked.headers[SIGNATURE_HEADER],
        )

    async def test_a_fill_at_once_is_told_with_its_average_price_and_fee(self, setup: Setup) -> None:
        body = json.loads(CREATED[1]) | {"fill_count": "1.00", "average_fill_price": "0.523333", "average_fee_paid": "0.0175"}
        created = await setup.answers((200, json.dumps(body).encode())).orders.create(ORDER)
        assert (created.filled, created.average_price, created.average_fee) == (100, 523_333, 17_500)

    async def test_a_cancel_that_describes_another_order_is_good_and_says_not_how_much(self, setup: Setup) -> None:
        other = (200, b'{"order_id":"somebody","reduced_by":"77.00","ts_ms":5}')
        assert await setup.answers(other).orders.cancel(RESTING) == Cancelled("order-1", "", None, 5)

    async def test_the_other_answers_are_read(self, setup: Setup) -> None:
        await setup.answers((204, b"")).orders.cancel_all()
        assert await setup.answers((200, b'{"order_id":"o","ts_ms":5}')).orders.renew(
            RESTING, side=Side.BID, price=4600, total=1000, expires_at=9.0
        ) == Amended("o", "", 5)
        crossed = (200, b'{"order_id":"o","client_order_id":"c","ts_ms":5,"remaining_count":"8.00","fill_count":"2.00"}')
        amended = await setup.answers(crossed).orders.amend(RESTING, side=Side.BID, price=4700, total=1000)
        assert (amended.remaining, amended.filled) == (800, 200)
        decreased = (200, b'{"order_id":"o","client_order_id":"c","remaining_count":"8.00","ts_ms":5}')
        assert await setup.answers(decreased).orders.decrease(RESTING, by=200) == Decreased("o", "c", 800, 5)
        made = (201, b'{"order_group_id":"g","subaccount":0,"exchange_index":2}')
        assert await setup.answers(made).groups.create(2, 1000) == GroupRef("g", 2)

    async def test_a_group_made_on_another_shard_is_refused_for_it_would_guard_nothing(self, setup: Setup) -> None:
        with pytest.raises(VenueError, match="shard 2"):
            await setup.answers((201, b'{"order_group_id":"g","subaccount":0}')).groups.create(2, 1000)

    async def test_the_exchanges_time_in_an_answer_teaches_its_clock(self, setup: Setup) -> None:
        late = json.loads(CREATED[1]) | {"ts_ms": round((setup.session.clock.now() + 60.0) * 1000)}
        await setup.answers((201, json.dumps(late).encode())).orders.create(ORDER)
        assert setup.session.skew_s == pytest.approx(60.0, abs=3.0)


class TestBatches:
    """An outcome for each order, whatever the answer leaves out."""

    async def create(self, setup: Setup, *items: object) -> tuple[object, ...]:
        orders = [attrs.evolve(ORDER, client_id=f"run-{number}") for number in (1, 2, 3)]
        return await setup.answers((201, json.dumps({"orders": items}).encode())).orders.batch_create(orders)

    @staticmethod
    def item(number: int, **fields: object) -> dict[str, object]:
        made = {"order_id": f"o{number}", "client_order_id": f"run-{number}", "fill_count": "0.00", "remaining_count": "1.00", "ts_ms": 1}
        return made | fields

    async def test_each_is_found_by_its_id_in_whatever_order_they_come(self, setup: Setup) -> None:
        outcomes = await self.create(setup, self.item(3), self.item(1), self.item(2))
        assert [outcome.order_id for outcome in outcomes] == ["o1", "o2", "o3"]

    async def test_an_error_without_an_id_is_that_of_its_place(self, setup: Setup) -> None:
        refused = {"error": {"code": "insufficient_balance", "message": "insufficient balance"}}
        first, second, third = await self.create(setup, self.item(1), refused, self.item(3))
        assert isinstance(first, Created)
        assert isinstance(second, DefinitelyRejected)
        assert second.code == "insufficient_balance"
        assert isinstance(third, Created)

    async def test_one_the_answer_does_not_speak_of_is_unknown_and_no_place_is_guessed(self, setup: Setup) -> None:
        refused = {"error": {"code": "insufficient_balance"}}
        outcomes = await self.create(setup, self.item(3), refused)
        assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, OutcomeUnknown, Created]

    async def test_a_place_is_not_believed_against_an_id(self, setup: Setup) -> None:
        outcomes = await self.create(setup, self.item(1), self.item(9), self.item(3))
        assert [type(outcome) for outcome in outcomes] == [Created, OutcomeUnknown, Created]

    async def test_one_that_the_exchange_could_not_reach_or_say_is_unknown(self, setup: Setup) -> None:
        outcomes = await self.create(
            setup, self.item(1, error={"code": "exchange_unavailable"}), self.item(2, order_id=""), self.item(3, fill_count="many")
        )
        assert {type(outcome) for outcome in outcomes} == {OutcomeUnknown}

    async def test_a_cancel_that_failed_in_a_batch_says_why(self, setup: Setup) -> None:
        items = [
            {"order_id": "b", "reduced_by": "0.00", "error": {"code": "not_found", "message": "not found"}},
            {"order_id": "a", "client_order_id": "c", "reduced_by": "3.00", "ts_ms": 9},
        ]
        refs = [attrs.evolve(RESTING, order_id=name) for name in ("a", "b")]
        first, second = await setup.answers((200, json.dumps({"orders": items}).encode())).orders.batch_cancel(refs)
        assert first == Cancelled("a", "c", 300, 9)
        assert isinstance(second, DefinitelyRejected)
        assert second.code == "not_found"


class TestWhatIsKnown:
    """Rejected, not executed, or unknown: and what may be done again is done again."""

    @pytest.mark.parametrize("name", ONCE)
    @pytest.mark.parametrize("step", [CUT, SILENCE, (503, b'{"code":"service_unavailable"}'), (500, b""), (504, b"<html>")])
    async def test_what_is_not_the_same_twice_is_sent_once_and_then_unknown(self, setup: Setup, name: str, step: Step) -> None:
        with pytest.raises(OutcomeUnknown):
            await ONCE[name](setup.answers(step))
        assert len(setup.exchange.asked) == 1

    @pytest.mark.parametrize("name", ONCE)
    @pytest.mark.parametrize(("step", "kind"), [(NOT_FOUND, DefinitelyRejected), (LIMITED, RateLimited), (EXPIRED, AuthError)])
    async def test_it_is_sent_once_too_when_it_certainly_had_no_effect(self, setup: Setup, name: str, step: Step, kind) -> None:
        with pytest.raises(kind):
            await ONCE[name](setup.answers(step))
        assert len(setup.exchange.asked) == 1

    @pytest.mark.parametrize("name", AGAIN)
    @pytest.mark.parametrize("step", [CUT, (503, b""), LIMITED, EXPIRED])
    async def test_a_cancel_or_trigger_is_tried_again(self, setup: Setup, name: str, step: Step) -> None:
        answer = {"cancel": CANCELLED, "batch_cancel": (200, b'{"orders":[]}')}.get(name, DONE)
        await AGAIN[name](setup.answers(step, step, answer))
        assert len(setup.exchange.asked) == 3
        stamps = [asked.headers[TIMESTAMP_HEADER] for asked in setup.exchange.asked]
        assert len(set(stamps)) == 3

    async def test_after_three_tries_the_last_failure_is_told(self, setup: Setup) -> None:
        with pytest.raises(OutcomeUnknown, match="503"):
            await setup.answers((503, b"")).orders.cancel(RESTING)
        assert len(setup.exchange.asked) == 3

    async def test_a_refusal_ends_the_tries(self, setup: Setup) -> None:
        with pytest.raises(DefinitelyRejected, match="not_found"):
            await setup.answers(NOT_FOUND).orders.cancel(RESTING)
        assert len(setup.exchange.asked) == 1

    async def test_a_refusal_after_a_try_of_which_nobody_knows_proves_nothing(self, setup: Setup) -> None:
        """The first cancel may have been the one that made the order not to be found."""
        with pytest.raises(OutcomeUnknown) as caught:
            await setup.answers(CUT, NOT_FOUND).orders.cancel(RESTING)
        assert (caught.value.status, caught.value.code) == (404, "not_found")

    @pytest.mark.parametrize(
        "body", [b"", b"{}", b"[]", b'{"order_id":"o"}', CREATED[1][:40], b'{"order_id":"o","fill_count":1,"remaining_count":2}']
    )
    async def test_a_success_that_cannot_be_read_is_unknown(self, setup: Setup, body: bytes) -> None:
        with pytest.raises(OutcomeUnknown, match="cannot be read"):
            await setup.answers((201, body)).orders.create(ORDER)

    async def test_an_exchange_that_cannot_be_reached_did_nothing(self, setup: Setup, ed25519_key) -> None:
        async with serving(Exchange()) as port:
            closed = f"127.0.0.1:{port}"
        session = ExchangeSession(
            Signer("key-id", ed25519_key), setup.session.clock, rest_url=f"http://{closed}", ws_url=f"ws://{closed}"
        )
        writer = KalshiWriter(setup.door, session, random.Random(7))
        with pytest.raises(DefinitelyNotExecuted, match="not sent") as caught:
            await KalshiOrders(writer).create(ORDER)
        assert caught.value.status == 0

    async def test_a_write_whose_scope_is_cancelled_ends_with_it(self, setup: Setup) -> None:
        setup.answers(SILENCE)
        with trio.move_on_after(0.05) as scope:
            await setup.orders.create(ORDER)
        assert scope.cancelled_caught


class TestTokens:
    """They are taken in the step that decides."""

    async def test_without_tokens_nothing_is_sent_and_the_wait_is_told(self, setup: Setup) -> None:
        setup.session.limiter.set_limits(AccountLimits("basic", 10, 10, 40, 2), setup.session.clock.now())
        for _ in range(3):
            await setup.answers(CREATED).orders.create(ORDER)
        with pytest.raises(Throttled) as caught:
            await setup.orders.create(ORDER)
        assert isinstance(caught.value, DefinitelyNotExecuted)
        assert 0.0 < caught.value.wait <= 2.0
        assert len(setup.exchange.asked) == 3

    async def test_what_was_admitted_beforehand_pays_once(self, setup: Setup) -> None:
        request = requests.create(ORDER)
        setup.writer.admit(request)
        before = setup.session.statistics()["write_tokens.2"]
        await setup.answers(CREATED).orders.create(ORDER, admitted=True)
        assert setup.session.statistics()["write_tokens.2"] >= before

    async def test_a_cancel_without_tokens_waits_for_them(self, setup: Setup) -> None:
        now = setup.session.clock.now()
        setup.session.limiter.set_limits(AccountLimits("basic", 10, 10, 4, 40), now)
        assert setup.session.limiter.try_take(Call.CANCEL, 2, now)
        assert setup.session.limiter.try_take(Call.CANCEL, 2, now)
        assert (await setup.answers(CANCELLED).orders.cancel(RESTING)).reduced == 1000

    async def test_a_429_drains_our_bucket_too(self, setup: Setup) -> None:
        with pytest.raises(RateLimited):
            await setup.answers(LIMITED).orders.create(ORDER)
        assert not setup.session.limiter.try_take(Call.CREATE, 2, setup.session.clock.now())


@pytest.mark.data
async def test_the_recorded_answers_to_writes_are_read(setup: Setup, shared_data: Path) -> None:
    folder = shared_data / "kalshi/demo_rest_ws"

    def recorded(name: str) -> tuple[int, bytes]:
        meta = json.loads((folder / f"{name}.meta.json").read_bytes())
        return meta["status"], (folder / f"{name}.json").read_bytes()

    maker = await setup.answers(recorded("orders__create_v2_maker")).orders.create(ORDER)
    assert (maker.filled, maker.remaining, maker.at_ms) == (0, 100, 1781159360866)
    taker = await setup.answers(recorded("orders__create_v2_taker_ioc")).orders.create(ORDER)
    assert (taker.filled, taker.remaining, taker.average_price, taker.average_fee) == (100, 0, 520_000, 17_500)
    order_id = "2597b999-f887-4195-8bac-c3f97a1f2021"
    cancelled = await setup.answers(recorded("orders__cancel_v2")).orders.cancel(attrs.evolve(RESTING, order_id=order_id))
    assert cancelled == Cancelled(order_id, "", 100, 1781159364112)
    for name, code in {
        "orders__duplicate_client_order_id": "order_already_exists",
        "orders__insufficient_balance": "insufficient_balance",
        "orders__invalid_price_structure": "invalid_price",
        "orders__post_only_cross": "invalid_order",
    }.items():
        with pytest.raises(DefinitelyRejected) as caught:
            await setup.answers(recorded(name)).orders.create(ORDER)
        assert caught.value.code == code
    for name in ("orders__cancel_executed", "orders__cancel_unknown_id", "orders__cancel_already_canceled"):
        with pytest.raises(DefinitelyRejected) as caught:
            await setup.answers(recorded(name)).orders.cancel(RESTING)
        assert (caught.value.status, caught.value.code) == (404, "not_found")
