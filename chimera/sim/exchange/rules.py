"""What nobody outside Kalshi knows for certain, each with the choice made here and a name to change it by.

Everything that is recorded or documented is code; this is the rest. `Rules.changed` reads the choices of the `rules` item of a fault
specification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from chimera.sim.exchange.orders import Declined


@attrs.frozen(slots=True)
class Rules:
    """Choices. An answer code is "HTTP/word"; a pause or a state of a market is refused with it."""

    skew_past: float = 20.0
    """Seconds a timestamp may be old: 5 passed on the wire and 30 failed."""
    skew_future: float = 60.0
    """Seconds a timestamp may be ahead: 5 passed on the wire and 300 failed."""
    reserve_fee: bool = True
    """Whether an order that may take must afford the taker's fee."""
    post_only: str = "refuse"
    """What answers a post-only order that crosses: `refuse` (400, as recorded) or `cancel` (201). It is on record as canceled anyway."""
    ioc_no_fill: str = "accept"
    """What an immediate order meets that fills nothing: `accept` (201, fill 0, as recorded) or `refuse` (409)."""
    batch_order: str = "request"
    """Order of a batch's answers: `request` or `reversed`."""
    group_trigger: str = "hit"
    """An order group triggers when its matched contracts `hit` the limit, or when they `exceed` it: Kalshi's texts say both."""
    tail_seconds: float = 60.0
    """How long after a cancel-all new orders are still cancelled."""
    tail_chance: float = 1.0
    """The chance that an order placed in that time is cancelled."""
    tail_delay: float = 0.25
    """How long such an order rests first, world seconds at the most."""
    trading_paused: str = "400/trading_paused"
    exchange_paused: str = "400/exchange_paused"
    market_inactive: str = "400/market_inactive"
    market_over: str = "400/market_already_closed"
    group_triggered: str = "400/exceeded_order_group_risk_limit"
    group_missing: str = "400/order_group_not_found"
    region_expired: str = "403/region_not_allowed"
    shard_unfunded: str = "404/insufficient_shard_balance"
    too_many_orders: str = "400/too_many_open_orders"

    def changed(self, choices: Mapping[str, str]) -> Rules:
        """These rules with other choices. ValueError, naming the choice, for one that there is not."""
        return attrs.evolve(self, **{name: _read(name, text) for name, text in choices.items()})

    def declined(self, name: str, details: str = "") -> Declined:
        """The refusal that one of the code rules stands for."""
        status, _, code = getattr(self, name).partition("/")
        return Declined(int(status), code, details)


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "post_only": ("refuse", "cancel"),
    "ioc_no_fill": ("accept", "refuse"),
    "batch_order": ("request", "reversed"),
    "group_trigger": ("hit", "exceed"),
}


def _code(text: str) -> str:
    status, _, word = text.partition("/")
    if not (status.isascii() and status.isdigit() and 400 <= int(status) <= 599 and word.replace("_", "").isalnum()):
        raise ValueError("is not HTTP/word, as in 400/trading_paused")
    return text


def _number(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < 1e9:
        raise ValueError("is not a number of at least 0")
    return value


def _flag(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("is neither yes nor no")
    return text == "yes"


def _read(name: str, text: str) -> Any:
    """A choice as its field holds it; the fields differ in type."""
    fields = attrs.fields_dict(Rules)
    if name not in fields:
        raise ValueError(f"there is no rule {name!r} (there are: {', '.join(fields)})")
    default = fields[name].default
    choices = _CHOICES.get(name)
    readers: dict[type, Callable[[str], object]] = {float: _number, bool: _flag}
    try:
        if choices is None:
            return readers.get(type(default), _code)(text)
    except ValueError as error:
        raise ValueError(f"rule {name}: {text!r} {error}") from None
    if text not in choices:
        raise ValueError(f"rule {name}: {text!r} is none of {', '.join(choices)}")
    return text
