"""A Kalshi market as one-minute trades let it be seen again: its REST documents, and WebSocket frames of a derived book with its bars.

What is real: the trades' open, high, low, close and volume of each minute. What is derived, and labelled so in every frame: the book, laid
around each close one cent to either side, ten levels of a fixed size, on the cent grid. A candle is timestamped at the *end* of its minute
and becomes visible only then. In the one game whose play times are known (NYK at IND, 2025-05-31) closes move with ESPN's win probability
as of 10 s before the timestamp (correlation of minute changes 0.78; 0.66 at the timestamp, none a minute after it), so the timestamp
cannot be the minute's beginning.

Each minute tells its bar first and its book second: whatever rested during the minute meets the minute's trades before anything can react
to the new book.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs
import msgspec

from chimera.conventions import CENT, ONE, Price, complement, format_price
from chimera.errors import ConfigError
from chimera.teams import NBA, NHL, League, Team

if TYPE_CHECKING:
    from collections.abc import Sequence

HALF_SPREAD: Price = CENT
LEVELS = 10
LEVEL_SIZE = "250.00"
BOOK_SID, TRADE_SID = 1, 2
CLOSES_AFTER = dt.timedelta(days=14)
"""A game's market closes days after it; its result closes it early."""


@attrs.frozen(slots=True)
class Games:
    """A series of game markets: its league, what its rules call the sport, its tag."""

    league: League
    sport: str
    tag: str


GAMES: Final = {"KXNBAGAME": Games(NBA, "basketball", "Basketball"), "KXNHLGAME": Games(NHL, "hockey", "Hockey")}

Body: TypeAlias = dict[str, object]


@attrs.frozen(slots=True)
class Candle:
    """One minute's trades. `at` is the end of the minute (unix s); prices in price units, `volume` in contracts."""

    at: float
    open: Price
    high: Price
    low: Price
    close: Price
    volume: int


def read_candles(trades: Path, game: str) -> tuple[str, tuple[Candle, ...]]:
    """The ticker and the candles of one game in a file of one-minute trades, oldest first.

    ConfigError where the file or the game is not there (naming the nearest games), or where reading Parquet is not installed.
    """
    try:
        from pyarrow import ArrowException, parquet  # heavy, and wanted by imports alone
    except ImportError as error:
        raise ConfigError("reading Parquet needs pyarrow: pip install 'chimera-trader[data]'") from error
    if not trades.is_file():
        raise ConfigError(f"{trades}: there is no such file of trades")
    try:
        rows = parquet.read_table(trades, filters=[("file", "=", game)]).to_pylist()
        if not rows:
            names = sorted(set(parquet.read_table(trades, columns=["file"])["file"].to_pylist()))
            near = difflib.get_close_matches(game, names, n=5, cutoff=0.4)
            raise ConfigError(f"{trades} has no game {game!r}" + (f"; near it: {', '.join(near)}" if near else ""), tuple(near))
        tickers = sorted({str(row["ticker"]) for row in rows})
        # The same minute can stand in the file twice, under two spellings of the game.
        candles = {float(row["timestamp"]): _candle(row) for row in rows if row["ticker"] == tickers[0]}
    except (ArrowException, KeyError) as error:
        raise ConfigError(f"{trades}: not a file of one-minute trades: {error}") from error
    if len(tickers) > 1:
        raise ConfigError(f"{trades}: game {game!r} has trades of several markets: {', '.join(tickers)}")
    return tickers[0], tuple(candles[at] for at in sorted(candles))


def _candle(row: dict[str, float]) -> Candle:
    o, h, low, c = (round(row[name]) * CENT for name in ("open", "high", "low", "close"))
    return Candle(float(row["timestamp"]), o, h, low, c, int(row["volume"]))


@attrs.frozen(slots=True)
class Identity:
    """What a game market's ticker says: event, teams, and the US Eastern day of the game. `team` is the one YES pays on."""

    ticker: str
    event: str
    away: Team
    home: Team
    team: Team
    day: dt.date

    @classmethod
    def parse(cls, ticker: str) -> Identity:
        """ConfigError where it is no ticker of a game of GAMES."""
        event, _, code = ticker.rpartition("-")
        series, _, rest = event.partition("-")
        games = GAMES.get(series)
        sides = None if games is None else games.league.split(rest[7:])
        team = None if games is None else games.league.by_code(code)
        if sides is None or team not in sides or team is None:
            known = " or ".join(GAMES)
            raise ConfigError(f"{ticker!r} is no ticker of a game ({known}-YYMONDD, two team codes, and one of them)")
        try:
            day = dt.datetime.strptime(rest[:7].title(), "%y%b%d").replace(tzinfo=dt.UTC).date()
        except ValueError:
            raise ConfigError(f"{ticker!r} names no date") from None
        return cls(ticker, event, *sides, team, day)

    @classmethod
    def of(cls, series: str, away: Team, home: Team, day: dt.date) -> Identity:
        """The market on the home team of a game of `series`."""
        event = f"{series}-{day:%y%b%d}{away.code}{home.code}".upper()
        return cls(f"{event}-{home.code}", event, away, home, home, day)

    @property
    def series(self) -> str:
        return self.ticker.partition("-")[0]

    @property
    def title(self) -> str:
        return f"{self.away.city} at {self.home.city} Winner?"

    @property
    def rules(self) -> str:
        day = f"{self.day:%b} {self.day.day}, {self.day.year}"
        return (
            f"If {self.team.city} wins the {self.away.city} at {self.home.city} professional {GAMES[self.series].sport} game originally "
            f"scheduled for {day}, then the market resolves to Yes."
        )


class PastMarket:
    """One market from `begin` to `end` (unix s): its documents and frames in order of time.

    Its result is determined at `determined_at` and final at `finalized_at`; no candle after the first of these is told.
    """

    def __init__(
        self,
        identity: Identity,
        candles: Sequence[Candle],
        *,
        starts_at: float,
        begin: float,
        determined_at: float,
        finalized_at: float,
        yes: bool,
    ) -> None:
        before = [candle for candle in candles if candle.at <= begin]
        if not before:
            raise ConfigError(f"{identity.ticker}: no trade before the game, so there is no book to begin with")
        self.identity = identity
        self.opening = before[-1]
        self.told = tuple(candle for candle in candles if begin < candle.at < determined_at)
        self._opened_at = candles[0].at
        self._volume_before = sum(candle.volume for candle in before)
        self._starts_at, self._begin = starts_at, begin
        self._determined_at, self._finalized_at = determined_at, finalized_at
        self._result = "yes" if yes else "no"

    # Documents

    def streams(self) -> tuple[str, ...]:
        """The REST documents, by stream name."""
        ids = self.identity
        return (
            "kalshi.rest /exchange/status",
            f"kalshi.rest /series/{ids.series}",
            f"kalshi.rest /markets?series_ticker={ids.series}&status=open",
            f"kalshi.rest /markets/{ids.ticker}",
            f"kalshi.rest /events/{ids.event}?with_nested_markets=true",
        )

    def documents(self) -> Iterator[tuple[float, str, bytes]]:
        """(unix s, stream, body) of every version of every document."""
        status, series, listing, single, event = self.streams()
        yield self._begin, status, _encode(_STATUS)
        yield self._begin, series, _encode(_series(self.identity.series))
        for at, market in self._markets():
            still_open = [market] if market["status"] == "active" else []
            yield at, listing, _encode({"markets": still_open, "cursor": ""})
            yield at, single, _encode({"market": market})
            yield at, event, _encode({"event": self._event() | {"markets": [market]}})

    def _markets(self) -> Iterator[tuple[float, Body]]:
        candle, volume = self.opening, self._volume_before
        yield self._begin, self._market(self._begin, candle, volume)
        for candle in self.told:
            volume += candle.volume
            yield candle.at, self._market(candle.at, candle, volume)
        for at in (self._determined_at, self._finalized_at):
            yield at, self._market(at, candle, volume)

    def _market(self, at: float, candle: Candle, volume: int) -> Body:
        ids = self.identity
        status = "active" if at < self._determined_at else "determined" if at < self._finalized_at else "finalized"
        bid, ask = (format_price(price) for price in quote(candle.close))
        no_bid, no_ask = (format_price(complement(price)) for price in reversed(quote(candle.close)))
        closes = _iso(self._starts_at + CLOSES_AFTER.total_seconds())
        body = _FIXED | {
            "ticker": ids.ticker,
            "event_ticker": ids.event,
            "title": ids.title,
            "yes_sub_title": ids.team.city,
            "no_sub_title": ids.team.city,
            "created_time": _iso(self._opened_at),
            "updated_time": _iso(self._opened_at),
            "open_time": _iso(self._opened_at),
            "close_time": closes if status == "active" else _iso(self._determined_at),
            "latest_expiration_time": closes,
            "expected_expiration_time": _iso(self._starts_at + 3 * 3600),
            "occurrence_datetime": _iso(self._starts_at),
            "status": status,
            "yes_bid_dollars": bid,
            "yes_bid_size_fp": LEVEL_SIZE if bid != "0.0000" else "0.00",
            "yes_ask_dollars": ask,
            "yes_ask_size_fp": LEVEL_SIZE if ask != "1.0000" else "0.00",
            "no_bid_dollars": no_bid,
            "no_ask_dollars": no_ask,
            "last_price_dollars": format_price(candle.close),
            "volume_fp": f"{volume}.00",
            "volume_24h_fp": f"{volume}.00",
            "result": "" if status == "active" else self._result,
            "rules_primary": ids.rules,
        }
        if status == "finalized":
            body["settlement_value_dollars"] = "1.0000" if self._result == "yes" else "0.0000"
            body["settlement_ts"] = _iso(self._finalized_at)
        return body

    def _event(self) -> Body:
        ids = self.identity
        return {
            "event_ticker": ids.event,
            "series_ticker": ids.series,
            "title": f"{ids.away.city} at {ids.home.city}",
            "sub_title": f"{ids.away.code} at {ids.home.code} ({ids.day:%b} {ids.day.day})",
            "collateral_return_type": "MECNET",
            "mutually_exclusive": True,
            "exchange_index": 0,
        }

    # Frames

    def greeting(self) -> tuple[bytes, ...]:
        """What the exchange answers to a first `subscribe` to order books and trades."""
        channels = (("orderbook_delta", BOOK_SID), ("trade", TRADE_SID))
        return tuple(_encode({"id": 1, "type": "subscribed", "msg": {"channel": name, "sid": sid}}) for name, sid in channels)

    def frames(self) -> Iterator[tuple[float, bytes]]:
        """(unix s, frame) of the connection, the greeting first; `seq` runs on without a gap on each sid."""
        for frame in self.greeting():
            yield self._begin, frame
        yield self._begin, self._snapshot(self.opening, 1)
        for seq, candle in enumerate(self.told, 1):
            yield candle.at, self._bar(candle, seq)
            yield candle.at, self._snapshot(candle, seq + 1)

    def _snapshot(self, candle: Candle, seq: int) -> bytes:
        bids, asks = ladder(candle.close)
        msg: Body = {"market_ticker": self.identity.ticker, "derived": True}
        if bids:
            msg["yes_dollars_fp"] = [(format_price(price), LEVEL_SIZE) for price in reversed(bids)]
        if asks:
            # At YES prices, as they come to a client that subscribes with `use_yes_price`.
            msg["no_dollars_fp"] = [(format_price(price), LEVEL_SIZE) for price in reversed(asks)]
        return _encode({"type": "orderbook_snapshot", "sid": BOOK_SID, "seq": seq, "msg": msg})

    def _bar(self, candle: Candle, seq: int) -> bytes:
        msg: Body = {
            "market_ticker": self.identity.ticker,
            "start_ts": int(candle.at) - 60,
            "end_ts": int(candle.at),
            "open": format_price(candle.open),
            "high": format_price(candle.high),
            "low": format_price(candle.low),
            "close": format_price(candle.close),
            "volume_fp": f"{candle.volume}.00",
            "derived": True,
        }
        return _encode({"type": "bar", "sid": TRADE_SID, "seq": seq, "msg": msg})


def quote(close: Price) -> tuple[Price, Price]:
    """The derived best bid and ask around a close: 0 or ONE where that side is empty."""
    return max(0, close - HALF_SPREAD), min(ONE, close + HALF_SPREAD)


def ladder(close: Price) -> tuple[tuple[Price, ...], tuple[Price, ...]]:
    """The derived levels around a close, best first, each strictly inside (0, ONE)."""
    bid, ask = quote(close)
    bids = tuple(price for price in range(bid, bid - LEVELS * CENT, -CENT) if 0 < price < ONE)
    asks = tuple(price for price in range(ask, ask + LEVELS * CENT, CENT) if 0 < price < ONE)
    return bids, asks


def _encode(body: Body) -> bytes:
    return msgspec.json.encode(body)


def _iso(unix: float) -> str:
    return dt.datetime.fromtimestamp(unix, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_FIXED: Body = {
    "market_type": "binary",
    "settlement_timer_seconds": 60,
    "open_interest_fp": "0.00",
    "expiration_value": "",
    "can_close_early": True,
    "early_close_condition": "This market will close and expire after a winner is declared.",
    "notional_value_dollars": "1.0000",
    "previous_yes_bid_dollars": "0.0000",
    "previous_yes_ask_dollars": "0.0000",
    "previous_price_dollars": "0.0000",
    "settlement_bounds_type": "default",
    "rules_secondary": "",
    "price_level_structure": "linear_cent",
    "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
    "exchange_index": 0,
}
_STATUS: Body = {
    "exchange_active": True,
    "trading_active": True,
    "exchange_estimated_resume_time": None,
    "exchange_index_statuses": [{"exchange_index": 0, "description": "Default", "exchange_active": True, "trading_active": True}],
}


def _series(ticker: str) -> Body:
    """A series that charges takers the standard fee and makers nothing: KXNBAGAME is not in the list of 2026-07-07 that does."""
    games = GAMES[ticker]
    return {
        "series": {
            "ticker": ticker,
            "title": f"Professional {games.tag} Game",
            "category": "Sports",
            "frequency": "custom",
            "tags": [games.tag],
            "fee_type": "quadratic",
            "fee_multiplier": 1,
            "exchange_index": 0,
        }
    }
