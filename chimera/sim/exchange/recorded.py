"""A market as some document of the exchange has it: for worlds that begin where a recording, or a table of markets, says."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping

import attrs

from chimera.conventions import format_price, parse_price
from chimera.markets import PriceGrid, Status
from chimera.sim.exchange.floor import OVER, Contract

_NAMESPACE = uuid.UUID("0b0b7a53-7f1a-4b8b-8a5e-53a8a5a5d0c1")
_MOVING = frozenset(
    {
        *("status", "close_time", "price_level_structure", "price_ranges", "last_price_dollars", "result"),
        *("yes_bid_dollars", "yes_bid_size_fp", "yes_ask_dollars", "yes_ask_size_fp", "no_bid_dollars", "no_ask_dollars"),
        *("volume_fp", "volume_24h_fp", "open_interest_fp", "settlement_value_dollars", "settlement_ts"),
    }
)
"""What the exchange says anew each time; the rest of a document is its listing's."""


def unix(time: str) -> float:
    """A time as Kalshi writes it, in unix seconds."""
    return dt.datetime.fromisoformat(time).timestamp()


@attrs.frozen
class RecordedListing:
    """A listing from a market document. Nobody knows its truth: `p_yes` is what the result says, or even odds."""

    document: Mapping[str, object]
    fee_type: str = "quadratic"
    fee_multiplier: float = 1
    category: str = "Other"
    market_id: str = attrs.field(default=attrs.Factory(lambda self: str(uuid.uuid5(_NAMESPACE, self.ticker)), takes_self=True))

    def _text(self, name: str) -> str:
        return str(self.document.get(name, ""))

    @property
    def ticker(self) -> str:
        return self._text("ticker")

    @property
    def event_ticker(self) -> str:
        return self._text("event_ticker")

    @property
    def series_ticker(self) -> str:
        return self.event_ticker.partition("-")[0]

    @property
    def exchange_index(self) -> int:
        index = self.document.get("exchange_index", 0)
        return index if isinstance(index, int) else 0

    @property
    def grid(self) -> PriceGrid:
        ranges = self.document["price_ranges"]
        assert isinstance(ranges, list)
        return PriceGrid(tuple((parse_price(row["start"]), parse_price(row["end"]), parse_price(row["step"])) for row in ranges))

    @property
    def opens_at(self) -> float:
        return unix(self._text("open_time"))

    @property
    def closes_at(self) -> float:
        return unix(self._text("close_time"))

    @property
    def settlement_seconds(self) -> float:
        seconds = self.document.get("settlement_timer_seconds", 0)
        return float(seconds) if isinstance(seconds, (int, float)) else 0.0

    @property
    def lively_from(self) -> float:
        return self.opens_at

    @property
    def pays(self) -> bool:
        return self.document.get("result") == "yes"

    def p_yes(self, at: float) -> float:
        return {"yes": 1.0, "no": 0.0}.get(self._text("result"), 0.5)

    @property
    def fields(self) -> dict[str, object]:
        return {name: value for name, value in self.document.items() if name not in _MOVING}

    @property
    def event_fields(self) -> dict[str, object]:
        return {
            "event_ticker": self.event_ticker,
            "series_ticker": self.series_ticker,
            "title": self._text("title"),
            "sub_title": "",
            "collateral_return_type": "",
            "mutually_exclusive": False,
            "exchange_index": self.exchange_index,
            "settlement_sources": [],
        }

    @property
    def series_fields(self) -> dict[str, object]:
        return {
            "ticker": self.series_ticker,
            "title": self._text("title"),
            "frequency": "custom",
            "category": self.category,
            "categories": [self.category],
            "tags": [],
            "settlement_sources": [],
            "contract_url": "",
            "contract_terms_url": "",
            "fee_type": self.fee_type,
            "fee_multiplier": self.fee_multiplier,
            "additional_prohibitions": [],
            "exchange_index": self.exchange_index,
        }


def restore(contract: Contract, document: Mapping[str, object]) -> None:
    """Put a fresh market into the state that its document shows; what rests in it is not in the document."""
    contract.status = Status(str(document["status"]))
    contract.structure = str(document.get("price_level_structure", contract.structure))
    contract.last_price = parse_price(str(document.get("last_price_dollars", format_price(0))))
    if contract.status in OVER:
        contract.over_at = contract.closes_at
        contract.paid_at = unix(str(document["settlement_ts"])) if "settlement_ts" in document else 0.0
