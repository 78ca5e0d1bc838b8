"""The exchange put together: floor, members, order entry, life of the markets, rate limits and faults, over one heap of things to happen.

Whoever serves it calls `advance` first, so that what was due before a request has happened before it. World time comes in as `now`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Protocol

import attrs

from chimera.conventions import DOLLAR, Money
from chimera.markets import FeeTerms
from chimera.sim.exchange.crowd import Crowd
from chimera.sim.exchange.entry import OrderEntry
from chimera.sim.exchange.faults import Fault
from chimera.sim.exchange.floor import Contract, Floor
from chimera.sim.exchange.lifecycle import Lifecycle
from chimera.sim.exchange.limits import RateLimits
from chimera.sim.exchange.listing import EXCHANGE_INDEX, Listed
from chimera.sim.exchange.members import Members
from chimera.sim.exchange.mischief import Mischief
from chimera.sim.exchange.rules import Rules
from chimera.sim.exchange.venue_faults import change_venue
from chimera.sim.streams import stream

OWN_NAME = "member"
CASH: Mapping[int, Money] = {0: 0, EXCHANGE_INDEX: 10_000 * DOLLAR}
REGION_DAYS = 30.0
SLICE = 500
"""Things that happen at most before one request: a public far behind its time must not keep a client waiting."""


@attrs.frozen(slots=True)
class FeeOverride:
    """What an event charges instead of its series. `since` is world unix seconds; both None means the override has ended."""

    event_ticker: str
    series_ticker: str
    fee_type: str | None
    multiplier: Fraction | None
    since: float


class FeeListener(Protocol):
    def on_fee(self, override: FeeOverride, at: float) -> None: ...


class Exchange:
    """One exchange. `cash` is what the one member begins with, by shard."""

    def __init__(
        self,
        listed: Iterable[Listed],
        seed: int,
        now: Callable[[], float],
        *,
        cash: Mapping[int, Money] = CASH,
        tier: str = "basic",
        rules: Rules | None = None,
    ) -> None:
        self.now = now
        self.rules = rules or Rules()
        self.crowd = Crowd()
        self.floor = Floor(listed, stream(seed, "floor"))
        self.members = Members(self.floor, stream(seed, "members"), self.terms)
        self.entry = OrderEntry(self.floor, self.members, self.crowd, stream(seed, "entry"), lambda: self.rules)
        self.groups = self.entry.groups
        self.lifecycle = Lifecycle(self.floor, self.crowd, self.members.drop)
        self.lifecycle.on_settlement(self.members.pay)
        self.limits = RateLimits(tier, self.floor.shards)
        self.mischief = Mischief(seed, self.crowd, lambda fault, at: change_venue(self, fault, at))
        self.member = self.members.join(OWN_NAME, dict(cash))
        self.overrides: list[FeeOverride] = []
        self.status_http = 200
        self.region_expires_at = now() + REGION_DAYS * 86_400
        self._fee_listeners: list[FeeListener] = []
        for contract in self.floor.contracts.values():
            self.lifecycle.watch(contract)

    def advance(self, now: float) -> None:
        """Let happen what is due by `now`."""
        self.crowd.advance(now, at_most=SLICE)

    def install(self, faults: Sequence[Fault]) -> None:
        """Let these faults happen, those that are due at once before this returns."""
        now = self.now()
        self.mischief.install(faults, now)
        self.advance(now)

    def listen_fees(self, listener: FeeListener) -> None:
        self._fee_listeners.append(listener)

    def override(self, event_ticker: str) -> FeeOverride | None:
        """What an event charges instead of its series now; None where it has no say."""
        last = next((row for row in reversed(self.overrides) if row.event_ticker == event_ticker), None)
        return None if last is None or (last.fee_type is None and last.multiplier is None) else last

    def terms(self, contract: Contract) -> FeeTerms:
        """What a market charges: its event's override where there is one, else its series' fee."""
        series = contract.listing.series_fields
        fee_type, multiplier = str(series["fee_type"]), Fraction(str(series["fee_multiplier"]))
        found = self.override(contract.listing.event_ticker)
        if found is not None:
            fee_type = fee_type if found.fee_type is None else found.fee_type
            multiplier = multiplier if found.multiplier is None else found.multiplier
        return FeeTerms(fee_type, multiplier)

    def set_fee(self, event_ticker: str, fee_type: str | None, multiplier: Fraction | None, at: float) -> None:
        """Override what an event charges; None and None end that. It is announced."""
        series = next(row.listing.series_ticker for row in self.floor.contracts.values() if row.listing.event_ticker == event_ticker)
        override = FeeOverride(event_ticker, series, fee_type, multiplier, at)
        self.overrides.append(override)
        for listener in self._fee_listeners:
            listener.on_fee(override, at)
