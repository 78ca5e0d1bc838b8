"""The simulated public: makers who quote around what they believe, takers who know nothing, and takers who know first.

Makers see the floor a few seconds late and through noise; the uninformed arrive at random and pay the spread; the informed see a play about
eight seconds before ESPN's document does and take whatever is still priced without it. So a quote that waits for the feed is picked off, as
it is in life.
"""

from __future__ import annotations

import math
import random

import attrs

from chimera.conventions import CENT, CONTRACT, ONE, Price, Side
from chimera.sim.exchange.crowd import Action
from chimera.sim.exchange.engine import Refused
from chimera.sim.exchange.exchange import Exchange
from chimera.sim.exchange.floor import OVER, Contract, Floor
from chimera.sim.exchange.lifecycle import Lifecycle
from chimera.sim.exchange.listing import Listing
from chimera.sim.streams import stream
from chimera.sim.world.game import MEAN_PUBLISH_DELAY

MAKERS = 3
LEVELS = 5
MAKER_SECONDS = 0.8
"""Mean time between a maker's looks at its quotes."""
MAKER_LAG = (1.0, 4.0)
HALF_SPREADS = (1.1, 1.6, 2.2)
"""In cents, one a maker: with the noise they leave two to four cents between the best bid and the best ask."""
MAKER_NOISE = 0.35
CHURN = 0.8
"""Chance that a look at the quotes renews one of them, at the back of its queue."""
NOISE_SECONDS = 1.3
PREGAME_FACTOR = 3.0
"""How much slower the public is before the tip-off."""
INFORMED_SECONDS = 2.5
INFORMED_LEAD = 8.0
"""Seconds before ESPN's publication at which the informed know of a play."""
INFORMED_MARGIN = 1.5
"""Cents of profit the informed want before they take."""


def _grid(cents: float, side: Side) -> Price:
    """A value in cents as a price no better than it for this side, on the one-cent grid."""
    return (math.floor(cents) if side is Side.BID else math.ceil(cents)) * CENT


def _inside(price: Price) -> bool:
    return 0 < price < ONE


@attrs.define
class _Agent:
    """What all share: a market, a floor, a name and a random stream of its own."""

    floor: Floor
    contract: Contract
    name: str
    rng: random.Random

    @property
    def _ticker(self) -> str:
        return self.contract.ticker

    def _retired(self) -> bool:
        return self.contract.status in OVER

    def _barred(self) -> bool:
        """Whether nobody may trade at the moment: a halt, a pause, a market not open."""
        return not self.floor.trading(self.contract)

    def _wait(self, at: float, mean: float) -> float:
        """When to act next: exponential, slower before the game."""
        slow = PREGAME_FACTOR if at < self.contract.listing.lively_from else 1.0
        return at + 0.001 + self.rng.expovariate(1.0 / (mean * slow))


@attrs.define
class Maker(_Agent):
    """Quotes a ladder on both sides around a late and noisy view of the truth."""

    half_spread: float
    lag: float
    _noise: float = 0.0
    _orders: dict[tuple[Side, Price], int] = attrs.field(factory=dict)

    def act(self, at: float) -> float | None:
        if self._retired():
            return None
        if self._barred():
            return self._wait(at, MAKER_SECONDS)
        self._noise = 0.9 * self._noise + self.rng.gauss(0.0, MAKER_NOISE * 0.44)
        fair = 100.0 * self.contract.listing.p_yes(at - self.lag) + self._noise
        wanted = self._ladder(Side.BID, fair - self.half_spread) + self._ladder(Side.ASK, fair + self.half_spread)
        self._quote(wanted, at)
        return self._wait(at, MAKER_SECONDS)

    def _ladder(self, side: Side, inside_cents: float) -> list[tuple[Side, Price]]:
        first = _grid(inside_cents, side)
        first = min(first, ONE - CENT) if side is Side.BID else max(first, CENT)
        prices = (first - side.sign * step * CENT for step in range(LEVELS))
        return [(side, price) for price in prices if _inside(price)]

    def _quote(self, wanted: list[tuple[Side, Price]], at: float) -> None:
        """Take off what is not wanted (and now and then something that is), then put on what is missing."""
        keep = set(wanted)
        if wanted and self.rng.random() < CHURN:
            keep.discard(self.rng.choice(wanted))
        for place, order_id in list(self._orders.items()):
            resting = self.contract.book.order(order_id)
            if resting is None or place not in keep:
                del self._orders[place]
                if resting is not None:
                    self.floor.cancel(self._ticker, order_id, at)
        for depth, place in enumerate(wanted):
            if place not in self._orders:
                self._put(place, depth % LEVELS, at)

    def _put(self, place: tuple[Side, Price], depth: int, at: float) -> None:
        size = self.rng.randint(20, 120) * (1 + depth) * CONTRACT
        try:
            done = self.floor.submit(self._ticker, self.name, *place, size, at, post_only=True)
        except Refused:  # a slower maker's stale quote is in the way: somebody will take it
            return
        self._orders[place] = done.order_id


@attrs.define
class NoiseTaker(_Agent):
    """The uninformed: either side, 1 to 50 contracts, whatever the best price is."""

    def act(self, at: float) -> float | None:
        if self._retired():
            return None
        if self._barred():
            return self._wait(at, NOISE_SECONDS)
        side = Side.BID if self.rng.random() < 0.5 else Side.ASK
        size = self.rng.randint(1, 50) * CONTRACT
        best = self.contract.book.best(side.other)
        if best is not None:
            self.floor.submit(self._ticker, self.name, side, best, size, at, immediate=True)
        return self._wait(at, NOISE_SECONDS)


@attrs.define
class InformedTaker(_Agent):
    """Sees plays `lead` seconds before the feed publishes them and takes the quotes that have not heard of them."""

    lead: float = INFORMED_LEAD

    def act(self, at: float) -> float | None:
        if self._retired():
            return None
        if self._barred():
            return self._wait(at, INFORMED_SECONDS)
        fair = 100.0 * self.contract.listing.p_yes(at + self.lead - MEAN_PUBLISH_DELAY)
        for side in Side:
            limit = _grid(fair - side.sign * INFORMED_MARGIN, side)
            best = self.contract.book.best(side.other)
            if best is None or not _inside(limit) or (limit - best) * side.sign < 0:
                continue
            size = self.rng.randint(20, 150) * CONTRACT
            self.floor.submit(self._ticker, self.name, side, limit, size, at, immediate=True)
        return self._wait(at, INFORMED_SECONDS)


def populate(exchange: Exchange, seed: int, begins: float, *, informed_lead: float = INFORMED_LEAD) -> None:
    """Give every market its public and its end. Makers quote at `begins`; the takers follow. A lead of 0 means that nobody is informed."""
    floor, crowd = exchange.floor, exchange.crowd
    for ticker, contract in floor.contracts.items():
        for number in range(MAKERS):
            rng = stream(seed, ticker, "maker", number)
            maker = Maker(floor, contract, f"maker-{number}", rng, HALF_SPREADS[number], rng.uniform(*MAKER_LAG))
            crowd.enter(begins, maker.act)
        crowd.enter(begins + 0.5, NoiseTaker(floor, contract, "noise", stream(seed, ticker, "noise")).act)
        if informed_lead:
            knowing = InformedTaker(floor, contract, "informed", stream(seed, ticker, "informed"), informed_lead)
            crowd.enter(begins + 0.5, knowing.act)
        if isinstance(contract.listing, Listing):
            crowd.enter(contract.listing.determined_at, _determine(exchange.lifecycle, contract))


def _determine(lifecycle: Lifecycle, contract: Contract) -> Action:
    return lambda at: lifecycle.determine(contract, at)
