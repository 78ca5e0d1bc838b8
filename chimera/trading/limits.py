"""Hard limits, as named controls in a fixed order, each with its reason code.

They are checked in one place: the gateway, in the step that writes an order. An order that rests, is on its way, or of which nobody knows
what became, counts as if it could still fill, and is filled on its worst side: no accepted set of orders can break a cap, whichever of
them fill. Nothing relies on the exchange giving back collateral for opposite positions. Pure: values in, a reason out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

import attrs

from chimera.conventions import ONE, Count, Money, Price, Side, cost, outlay
from chimera.trading.reasons import Reason

Outcomes: TypeAlias = tuple[frozenset[str], ...]
"""An event's possible results, each as the markets that pay YES in it."""

TOKENS_PER_UNIT = 10
TOKENS_PER_ORDER = 2
TOKENS_IN_RESERVE = 4
"""Write tokens kept back for a kill: for each unit, for each open order, and for guard and operator."""
WRITE_SHARE = 0.6
"""The share of the write capacity that the kept-back tokens may take up."""


@attrs.frozen(slots=True)
class DomainCaps:
    """The limits of one domain. `size` is the exact count of every order and the cap on a market's position; `quote_age` in seconds."""

    size: Count
    event_loss: Money
    notional: Money
    quote_age: float


@attrs.frozen(slots=True)
class Caps:
    """Every limit. `daily_loss` is the total's and `unit_loss` each unit's, since 00:00 ET."""

    domains: Mapping[str, DomainCaps]
    notional: Money
    open_orders: int
    daily_loss: Money
    unit_loss: Money


@attrs.frozen(slots=True)
class Place:
    """Where a market belongs."""

    domain: str
    unit: str
    event: str


@attrs.frozen(slots=True)
class Holding:
    """What fills have left of one market: a signed count of YES, and the signed cash they moved, fees included."""

    position: Count = 0
    cash: Money = 0


@attrs.frozen(slots=True)
class Working:
    """An order that rests or may rest, with what of it may still fill."""

    side: Side
    price: Price
    count: Count


@attrs.frozen(slots=True)
class Proposal:
    """An order about to be written. `quoted_at` is when its quote was decided, `now` the step that writes; world unix s."""

    market: str
    side: Side
    price: Price
    count: Count
    quoted_at: float
    now: float


@attrs.frozen(slots=True)
class LimitsState:
    """All that limits depend on, as the gateway knows it now. The mappings are read, never kept or changed.

    `places` names every market that has a holding, an order or a proposal; `outcomes` those events whose results are known to exclude each
    other: in any other event each market is taken to end at its own worst. Losses are positive numbers. `write_capacity` is in tokens.
    """

    caps: Caps
    places: Mapping[str, Place]
    holdings: Mapping[str, Holding]
    working: Mapping[str, Sequence[Working]]
    outcomes: Mapping[str, Outcomes]
    day_loss: Money
    unit_losses: Mapping[str, Money]
    write_capacity: int


def one_of(markets: Collection[str], *, exhaustive: bool) -> Outcomes:
    """The outcomes of an event in which at most one of `markets` pays; exactly one if `exhaustive`, as where both teams of a game are."""
    each = tuple(frozenset({market}) for market in markets)
    return each if exhaustive else (*each, frozenset())


def market_losses(state: LimitsState, market: str) -> tuple[Money, Money]:
    """The loss in one market if it pays YES and if it does not, every working order filled where that hurts; negative for a profit.

    An order counts only in the result that it loses in: in the other it may as well not fill.
    """
    held = state.holdings.get(market, _FLAT)
    if_yes, if_no = -held.cash - cost(ONE, held.position), -held.cash
    for order in state.working.get(market, ()):
        if order.side is Side.BID:
            if_no += outlay(order.side, order.price, order.count)
        else:
            if_yes += outlay(order.side, order.price, order.count)
    return if_yes, if_no


def market_notional(state: LimitsState, market: str) -> Money:
    """The most one market alone can lose; never less than zero, so a profit elsewhere pays for nothing."""
    return max(0, *market_losses(state, market))


def event_loss(state: LimitsState, event: str) -> Money:
    """The worst loss of an event over its outcomes and over every subset of its working orders filling."""
    losses = {market: market_losses(state, market) for market, place in state.places.items() if place.event == event}
    outcomes = state.outcomes.get(event)
    if not outcomes:
        return sum(max(pair) for pair in losses.values())
    return max(sum(losses[market][market not in pays] for market in losses) for pays in outcomes)


def notionals(state: LimitsState) -> dict[str, Money]:
    """By domain, the sum of what each of its markets alone can lose."""
    sums: dict[str, Money] = {}
    for market, place in state.places.items():
        sums[place.domain] = sums.get(place.domain, 0) + market_notional(state, market)
    return sums


def open_orders(state: LimitsState) -> int:
    return sum(len(orders) for orders in state.working.values())


_FLAT = Holding()


@attrs.frozen(slots=True)
class _Case:
    """A proposal, where it belongs, and the state as it would be with the order working."""

    order: Proposal
    place: Place
    caps: DomainCaps
    after: LimitsState

    @cached_property
    def notionals(self) -> Mapping[str, Money]:
        """Looked up by two controls."""
        return notionals(self.after)


def _wrong_size(case: _Case) -> bool:
    return case.order.count != case.caps.size


def _too_large_position(case: _Case) -> bool:
    order = case.order
    held = case.after.holdings.get(order.market, _FLAT).position * order.side.sign
    same_side = sum(working.count for working in case.after.working[order.market] if working.side is order.side)
    return max(0, held) + same_side > case.caps.size


def _too_great_event_loss(case: _Case) -> bool:
    return event_loss(case.after, case.place.event) > case.caps.event_loss


def _too_much_in_domain(case: _Case) -> bool:
    return case.notionals[case.place.domain] > case.caps.notional


def _too_much_in_all(case: _Case) -> bool:
    return sum(case.notionals.values()) > case.after.caps.notional


def _too_many_orders(case: _Case) -> bool:
    return open_orders(case.after) > case.after.caps.open_orders


def _too_old_quote(case: _Case) -> bool:
    return case.order.now - case.order.quoted_at > case.caps.quote_age


def _too_few_tokens(case: _Case) -> bool:
    units = {case.after.places[market].unit for market, orders in case.after.working.items() if orders}
    return not tokens_suffice(len(units), open_orders(case.after), case.after.write_capacity)


def _too_great_day_loss(case: _Case) -> bool:
    state = case.after
    return state.day_loss >= state.caps.daily_loss or state.unit_losses.get(case.place.unit, 0) >= state.caps.unit_loss


def tokens_suffice(units: int, orders: int, write_capacity: int) -> bool:
    """Whether `orders` open orders in `units` units leave the tokens that killing them may need."""
    return TOKENS_PER_UNIT * units + TOKENS_PER_ORDER * orders + TOKENS_IN_RESERVE <= WRITE_SHARE * write_capacity


CONTROLS: tuple[tuple[Reason, Callable[[_Case], bool]], ...] = (
    (Reason.ORDER_SIZE, _wrong_size),
    (Reason.QUOTE_STALE, _too_old_quote),
    (Reason.DAILY_LOSS, _too_great_day_loss),
    (Reason.MARKET_POSITION, _too_large_position),
    (Reason.OPEN_ORDERS, _too_many_orders),
    (Reason.WRITE_TOKENS, _too_few_tokens),
    (Reason.EVENT_LOSS, _too_great_event_loss),
    (Reason.DOMAIN_NOTIONAL, _too_much_in_domain),
    (Reason.TOTAL_NOTIONAL, _too_much_in_all),
)
"""In the order in which they are asked, the cheap ones first; the first that is broken is the reason."""


def check(order: Proposal, state: LimitsState) -> Reason | None:
    """The limit an order would break; None where it may be written. A market or a domain that is not known is NOT_LISTED."""
    place = state.places.get(order.market)
    caps = None if place is None else state.caps.domains.get(place.domain)
    if place is None or caps is None:
        return Reason.NOT_LISTED
    ours = (*state.working.get(order.market, ()), Working(order.side, order.price, order.count))
    case = _Case(order, place, caps, attrs.evolve(state, working={**state.working, order.market: ours}))
    return next((reason for reason, broken in CONTROLS if broken(case)), None)
