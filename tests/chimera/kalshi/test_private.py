"""The private stream: what it takes for a word, and what ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import MockClock

from chimera.clock import VirtualClock
from chimera.errors import FeedError
from chimera.intake import Connection, Door, Frame
from chimera.kalshi.auth import Signer
from chimera.kalshi.notices import OwnFill, OwnOrder
from chimera.kalshi.private import STREAM, PrivateStream
from chimera.kalshi.session import ExchangeSession

NOW = 1_764_000_000.0
ON = [
    b'{"id":1,"type":"subscribed","msg":{"channel":"fill","sid":1}}',
    b'{"id":1,"type":"subscribed","msg":{"channel":"user_orders","sid":2}}',
]
FILL = (
    b'{"type":"fill","sid":1,"msg":{"trade_id":"t","order_id":"A","client_order_id":"a","market_ticker":"M","exchange_index":0,'
    b'"is_taker":false,"outcome_side":"yes","book_side":"bid","yes_price_dollars":"0.4000","count_fp":"1.00","fee_cost":"0.000000",'
    b'"post_position_fp":"1.00","ts":1764000000,"ts_ms":1764000000000}}'
)


class Played(Connection):
    """A named fake: says what it was given, and ends."""

    def __init__(self, frames: list[bytes]) -> None:
        self._frames, self.sent = list(frames), list[str]()

    async def receive(self) -> Frame:
        await trio.lowlevel.checkpoint()
        if not self._frames:
            raise FeedError("closed")
        return Frame(STREAM, 0, NOW, self._frames.pop(0))

    async def send(self, text: str) -> None:
        self.sent.append(text)


class PlayedDoor(Door):
    """One played connection after another, then silence."""

    def __init__(self, *plays: list[bytes]) -> None:
        super().__init__()
        self.connections = [Played(frames) for frames in plays]
        self.opened: list[Played] = []

    async def get(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = 5.0) -> Frame:
        raise FeedError("nothing is fetched here")

    @asynccontextmanager
    async def connect(self, stream: str, url: str, *, headers: Mapping[str, str] | None = None) -> AsyncIterator[Connection]:
        assert stream == STREAM
        assert headers
        if len(self.opened) == len(self.connections):
            await trio.sleep_forever()
        self.opened.append(self.connections[len(self.opened)])
        yield self.opened[-1]


class Listener:
    def __init__(self, door: PlayedDoor) -> None:
        clock = VirtualClock(origin_unix=NOW)
        session = ExchangeSession(Signer("k", Ed25519PrivateKey.generate()), clock, rest_url="http://x", ws_url="ws://x")
        self.heard: list[OwnFill | OwnOrder] = []
        self.lost: list[str] = []
        self.stream = PrivateStream(door, session, self.heard.append, self.lost.append)

    async def listen(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.stream.listen()


async def test_a_fill_is_heard(autojump_clock: MockClock) -> None:
    listener = Listener(door := PlayedDoor([*ON, FILL]))
    await listener.listen(60.0)
    assert [(word.fill_id, word.client_id) for word in listener.heard if isinstance(word, OwnFill)] == [("t", "a")]
    assert '"fill"' in door.opened[0].sent[0]
    assert '"user_orders"' in door.opened[0].sent[0]


@pytest.mark.parametrize(
    "fatal",
    [b"{", FILL.replace(b'"1.00","fee', b'"many","fee'), b'{"type":"error","id":1,"msg":{"code":9,"msg":"auth"}}'],
    ids=["no JSON", "a fill of nothing", "a refusal"],
)
async def test_what_may_have_been_a_fill_ends_the_connection_and_the_next_one_begins(fatal: bytes, autojump_clock: MockClock) -> None:
    listener = Listener(door := PlayedDoor([*ON, fatal, FILL], ON))
    await listener.listen(60.0)
    assert len(door.opened) == 2
    assert listener.heard == []


async def test_the_loss_of_both_channels_is_told_and_that_of_a_half_is_not(autojump_clock: MockClock) -> None:
    listener = Listener(PlayedDoor(ON[:1], ON, [], ON[1:]))
    await listener.listen(60.0)
    assert len(listener.lost) == listener.stream.drops == 1
