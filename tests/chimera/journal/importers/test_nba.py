"""A real game becomes a world in which nothing is known before its time."""

from __future__ import annotations

import datetime as dt
import json
import sys
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from statistics import correlation
from typing import TypeAlias

import pytest
import trio
import trio.testing

from chimera.clock import VirtualClock
from chimera.conventions import parse_price
from chimera.errors import ConfigError
from chimera.feeds.espn import GameStatus, decode_scoreboard, decode_summary
from chimera.intake import Frame
from chimera.intake_recorded import RecordedDoor
from chimera.journal.importers.nba import ImportReport, import_nba
from chimera.journal.recording import RecordingKind, RecordingReader
from chimera.kalshi import decode
from chimera.kalshi.events import Snapshot, Subscribed, Whole
from chimera.kalshi.stream import StreamProtocol
from chimera.markets import Market, parse_market

pytestmark = pytest.mark.data

GAME = "42400306_NYK_at_IND_2025-05-31"
TICKER = "KXNBAGAME-25MAY31NYKIND-NYK"
EVENT = "KXNBAGAME-25MAY31NYKIND"
SUMMARY = "espn.summary.nba.401772994"
SCORES = "espn.scoreboard.nba"
FIRST, LAST = (dt.datetime.fromisoformat(text).timestamp() for text in ("2025-06-01T00:05:55Z", "2025-06-01T02:35:22Z"))
DELAY = 12.0

Versions: TypeAlias = list[tuple[float, dict[str, list[dict[str, str]]]]]


@pytest.fixture(scope="module")
def summary(shared_data: Path) -> Path:
    return shared_data / "espn/payloads/basketball_nba_game_summary_401772994.json"


@pytest.fixture(scope="module")
def trades(shared_data: Path) -> Path:
    return shared_data / "kalshi/nba_minute_trades/trades_2025.parquet"


@pytest.fixture(scope="module")
def imported(summary: Path, trades: Path, tmp_path_factory: pytest.TempPathFactory) -> ImportReport:
    pytest.importorskip("pyarrow", reason="trades are in Parquet: pip install 'chimera-trader[data]'")
    return import_nba(summary, trades, GAME, tmp_path_factory.mktemp("import") / "world")


@pytest.fixture(scope="module")
def world(imported: ImportReport) -> RecordingReader:
    return RecordingReader(imported.out)


@pytest.fixture(scope="module")
def summaries(world: RecordingReader) -> Versions:
    return [(frame.received_wall, json.loads(frame.body)) for frame in world.frames(SUMMARY)]


def bodies(world: RecordingReader, stream: str) -> Iterator[Frame]:
    found = world.frames(stream)
    first = next(found, None)
    assert first is not None, f"no frame of {stream}"
    yield first
    yield from found


class TestSpan:
    """It runs from ten minutes before the first play to five after the last."""

    def test_it_begins_and_ends_where_it_should(self, world: RecordingReader, imported: ImportReport) -> None:
        assert (world.origin_unix, world.end_unix) == (FIRST - 600, LAST + 300)
        assert (imported.origin_unix, imported.end_unix) == (FIRST - 600, LAST + 300)

    def test_every_frame_lies_inside_it_and_in_order(self, world: RecordingReader) -> None:
        walls = [frame.received_wall for frame in world.frames()]
        assert walls == sorted(walls)
        assert (walls[0], walls[-1] <= world.end_unix) == (world.origin_unix, True)

    def test_the_manifest_says_what_it_is_and_what_is_derived(self, world: RecordingReader) -> None:
        manifest = world.manifest
        assert (manifest.kind, manifest.domains, manifest.series) == (RecordingKind.DERIVED, ("nba",), ("KXNBAGAME",))
        assert "book derived from one-minute trades" in manifest.labels
        (prior,) = manifest.priors
        assert (prior.event_id, prior.home) == ("401772994", pytest.approx(0.61))
        assert set(manifest.streams) == {frame.stream for frame in world.frames()}

    def test_the_report_counts_what_was_made(self, world: RecordingReader, imported: ImportReport) -> None:
        found = world.verify()
        assert found.sound
        assert imported.plays == 472
        assert (imported.frames, imported.versions) == (found.records, found.streams[SUMMARY])
        assert imported.markets == (TICKER,)


class TestEspn:
    """Each version holds what could be known then."""

    def test_no_document_shows_a_play_before_its_wallclock_and_the_delay(self, summaries: Versions) -> None:
        for at, document in summaries:
            for play in document["plays"]:
                assert at >= dt.datetime.fromisoformat(play["wallclock"]).timestamp() + DELAY

    def test_plays_only_ever_join_in_the_files_order(self, summaries: Versions, summary: Path) -> None:
        order = [play["id"] for play in json.loads(summary.read_bytes())["plays"]]
        shown = 0
        for _, document in summaries:
            ids = [play["id"] for play in document["plays"]]
            assert ids == order[: len(ids)]
            assert len(ids) > shown or not shown
            shown = len(ids)
        assert shown == len(order)

    def test_probabilities_are_those_of_the_plays_shown(self, summaries: Versions) -> None:
        for _, document in summaries:
            assert [row["playId"] for row in document["winprobability"]] == [play["id"] for play in document["plays"]]

    def test_nothing_written_after_the_game_is_in_any_version(self, world: RecordingReader) -> None:
        for frame in [*bodies(world, SUMMARY), *bodies(world, SCORES)]:
            assert not any(word in frame.body for word in (b"IND wins series", b'"winner"', b"boxscore", b"50-32", b"lastPlayWallClock"))

    def test_it_is_scheduled_before_the_first_play_and_final_only_with_the_last(self, world: RecordingReader) -> None:
        states = [(f.received_wall, decode_summary(f.body, league="nba").game.status) for f in bodies(world, SUMMARY)]
        assert [at for at, status in states if status is GameStatus.SCHEDULED] == [world.origin_unix]
        assert [at for at, status in states if status is GameStatus.FINAL] == [LAST + DELAY]
        assert {status for _, status in states} == {GameStatus.SCHEDULED, GameStatus.LIVE, GameStatus.BREAK, GameStatus.FINAL}

    def test_scoreboard_and_summary_agree_at_every_moment(self, world: RecordingReader) -> None:
        for board, page in zip(bodies(world, SCORES), bodies(world, SUMMARY), strict=True):
            assert board.received_wall == page.received_wall
            (listed,) = decode_scoreboard(board.body, league="nba").games
            decoded = decode_summary(page.body, league="nba")
            assert listed == decoded.game
            if decoded.plays:
                last = decoded.plays[-1]
                assert (listed.home.score, listed.away.score) == (last.home_score, last.away_score)
                assert (listed.period, listed.clock_s) == (last.period, last.clock_s)

    def test_the_game_ends_as_it_did(self, world: RecordingReader) -> None:
        *_, last = bodies(world, SUMMARY)
        game = decode_summary(last.body, league="nba").game
        assert (game.away.code, game.away.score, game.home.code, game.home.score) == ("NY", 108, "IND", 125)


class TestKalshi:
    """The market as the exchange would have described it, with a book that says it is derived."""

    def test_the_market_means_what_the_game_was(self, world: RecordingReader) -> None:
        series = decode.series(next(bodies(world, "kalshi.rest /series/KXNBAGAME")).body)
        event = decode.event(next(bodies(world, f"kalshi.rest /events/{EVENT}?with_nested_markets=true")).body)
        page, cursor = decode.page(next(bodies(world, "kalshi.rest /markets?series_ticker=KXNBAGAME&status=open")).body, "markets")
        market = parse_market(decode.market(page[0]), series, event)
        assert isinstance(market, Market), market
        assert (market.ticker, market.event, cursor, len(page)) == (TICKER, EVENT, "", 1)
        assert (market.meaning.team.code, market.meaning.opponent.code, market.meaning.home) == ("NYK", "IND", False)
        assert market.start_at == dt.datetime.fromisoformat("2025-06-01T00:00Z").timestamp()
        assert market.trading(world.origin_unix)

    def test_the_exchange_is_open(self, world: RecordingReader) -> None:
        assert decode.exchange_status(next(bodies(world, "kalshi.rest /exchange/status")).body).trading_active

    def test_the_result_comes_about_a_minute_after_the_end_and_not_before(self, world: RecordingReader) -> None:
        found = [(f.received_wall, decode.single_market(f.body)) for f in bodies(world, f"kalshi.rest /markets/{TICKER}")]
        decided = [(at, market.status, market.result) for at, market in found if market.status != "active"]
        assert decided == [(LAST + DELAY + 60, "determined", "no"), (LAST + DELAY + 90, "finalized", "no")]
        assert {market.result for _, market in found[:-2]} == {""}
        assert found[-1][1].settlement_value == 0

    def test_a_determined_market_is_listed_as_open_no_more(self, world: RecordingReader) -> None:
        lists = list(bodies(world, "kalshi.rest /markets?series_ticker=KXNBAGAME&status=open"))
        assert [len(decode.page(frame.body, "markets")[0]) for frame in lists[-3:]] == [1, 0, 0]

    def test_the_stream_is_understood_without_a_gap(self, world: RecordingReader) -> None:
        protocol = StreamProtocol(yes_price=bool(world.manifest.settings["use_yes_price"]), whole=["bar"])
        protocol.subscribe(["orderbook_delta", "trade"], [TICKER])
        events = [event for frame in bodies(world, "kalshi.ws") for event in protocol.feed(frame.body)]
        assert {type(event) for event in events} == {Subscribed, Snapshot, Whole}
        assert sum(isinstance(event, Whole) for event in events) == sum(isinstance(event, Snapshot) for event in events) - 1

    def test_every_book_is_two_cents_wide_around_the_last_close_and_labelled(self, world: RecordingReader) -> None:
        close = 3900
        for frame in bodies(world, "kalshi.ws"):
            said = json.loads(frame.body)
            if said["type"] == "bar":
                assert said["msg"]["derived"] is True
                close = parse_price(said["msg"]["close"])
            elif said["type"] == "orderbook_snapshot":
                assert said["msg"]["derived"] is True
                bids = [parse_price(price) for price, _ in said["msg"].get("yes_dollars_fp", [])]
                asks = [parse_price(price) for price, _ in said["msg"].get("no_dollars_fp", [])]
                assert max(bids, default=0) == close - 100
                assert min(asks) == close + 100
                assert len(asks) == 10

    def test_a_bar_comes_at_the_end_of_its_minute_before_the_book_that_follows_from_it(self, world: RecordingReader) -> None:
        told = [(frame.received_wall, json.loads(frame.body)) for frame in bodies(world, "kalshi.ws")]
        for (at, said), (then, after) in pairwise(told):
            if said["type"] == "bar":
                assert (said["msg"]["start_ts"], said["msg"]["end_ts"]) == (at - 60, at)
                assert (then, after["type"]) == (at, "orderbook_snapshot")

    def test_closes_move_with_what_had_happened_by_the_timestamp_not_a_minute_later(self, world: RecordingReader, summary: Path) -> None:
        """What makes a timestamp the end of its minute: the evidence, kept where the claim is made."""
        final = json.loads(summary.read_bytes())
        chance = {row["playId"]: 1 - row["homeWinPercentage"] for row in final["winprobability"]}
        walls = list(accumulate((dt.datetime.fromisoformat(play["wallclock"]).timestamp() for play in final["plays"]), max))
        curve = [chance[play["id"]] for play in final["plays"]]
        bars = [json.loads(f.body)["msg"] for f in bodies(world, "kalshi.ws") if json.loads(f.body)["type"] == "bar"]
        closes = {bar["end_ts"]: float(bar["close"]) for bar in bars}

        def moves_together(offset: float) -> float:
            at = [t for t in closes if t - 60 in closes and walls[0] <= t + offset - 60 and t + offset <= walls[-1]]
            known = [curve[bisect_right(walls, t + offset) - 1] - curve[bisect_right(walls, t + offset - 60) - 1] for t in at]
            return correlation([closes[t] - closes[t - 60] for t in at], known)

        assert moves_together(-10) > 0.7
        assert moves_together(60) < 0.1


class TestFaults:
    """Bad input is refused with what, where, and what to do; nothing half-made is left."""

    def test_an_unknown_game_names_those_near_it(self, summary: Path, trades: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=GAME) as caught:
            import_nba(summary, trades, "42400306_NYK_at_IND_2025-06-31", tmp_path / "w")
        assert GAME in caught.value.faults
        assert not (tmp_path / "w").exists()

    def test_two_files_of_different_games_are_refused(self, summary: Path, trades: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"NY at IND on 2025-05-31.*IND at NYK on 2025-05-29"):
            import_nba(summary, trades, "42400305_IND_at_NYK_2025-05-29", tmp_path / "w")

    @pytest.mark.parametrize("missing", ["summary", "trades"])
    def test_a_missing_file_is_named(self, summary: Path, trades: Path, tmp_path: Path, missing: str) -> None:
        absent = tmp_path / "absent"
        paths = {"summary": summary, "trades": trades} | {missing: absent}
        with pytest.raises(ConfigError, match="absent"):
            import_nba(paths["summary"], paths["trades"], GAME, tmp_path / "w")

    def test_a_document_that_is_no_summary_is_refused(self, trades: Path, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text('{"header": 1}')
        with pytest.raises(ConfigError, match="not an ESPN game summary"):
            import_nba(tmp_path / "x.json", trades, GAME, tmp_path / "w")

    def test_trades_that_are_no_parquet_are_refused(self, summary: Path, tmp_path: Path) -> None:
        (tmp_path / "x.parquet").write_text("no")
        with pytest.raises(ConfigError, match="not a file of one-minute trades"):
            import_nba(summary, tmp_path / "x.parquet", GAME, tmp_path / "w")

    def test_without_pyarrow_it_says_what_to_install(
        self, summary: Path, trades: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ConfigError, match=r"pip install 'chimera-trader\[data\]'"):
            import_nba(summary, trades, GAME, tmp_path / "w")

    def test_a_directory_that_is_taken_is_left_alone(self, summary: Path, trades: Path, imported: ImportReport) -> None:
        with pytest.raises(ConfigError, match="already holds"):
            import_nba(summary, trades, GAME, imported.out)


async def test_the_whole_game_is_polled_through_the_door(world: RecordingReader, autojump_clock: trio.testing.MockClock) -> None:
    clock = VirtualClock(origin_unix=world.origin_unix)
    door = RecordedDoor(world, clock)
    counts = {"polls": 0, "versions": 0, "frames": 0}

    async def poll() -> None:
        last = b""
        while clock.now() < world.end_unix:
            frame = await door.get(SUMMARY, "")
            counts["polls"] += 1
            counts["versions"] += frame.body != last
            last = frame.body
            await clock.sleep(1.5)

    async def listen() -> None:
        async with door.connect("kalshi.ws", "") as connection:
            with trio.move_on_at(trio.current_time() + world.end_unix - world.origin_unix - 1):
                while True:
                    await connection.receive()
                    counts["frames"] += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(poll)
        nursery.start_soon(listen)
    assert counts["polls"] == pytest.approx((world.end_unix - world.origin_unix) / 1.5, abs=2)
    assert counts["versions"] > 390
    assert counts["frames"] == sum(1 for _ in world.frames("kalshi.ws"))
