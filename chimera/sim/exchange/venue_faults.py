"""Faults that change the venue: each by name, what it does to the exchange, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, TypeAlias

import attrs

from chimera.sim.exchange.faults import Fault
from chimera.sim.exchange.floor import Contract

if TYPE_CHECKING:
    from chimera.sim.exchange.exchange import Exchange

Undo: TypeAlias = Callable[[float], None]


def change_venue(exchange: Exchange, fault: Fault, at: float) -> Undo | None:
    """Carry out a change; how to undo it, None where it is for good. A market or event that does not exist changes nothing."""
    return _CHANGES[fault.name](exchange, fault, at)


def unknown_names(exchange: Exchange, fault: Fault) -> str:
    """What of a fault names something that this exchange does not have; "" where all is known."""
    for key in ("market", "ticker"):
        if key in fault.values and fault.word(key) not in exchange.floor.contracts:
            return f"there is no market {fault.word(key)!r}"
    if "event" in fault.values:
        events = {contract.listing.event_ticker for contract in exchange.floor.contracts.values()}
        if fault.word("event") not in events:
            return f"there is no event {fault.word('event')!r}"
    shard = fault.whole("shard")
    if shard is not None and shard not in exchange.floor.shards:
        return f"there is no shard {shard}"
    return ""


def _shards(exchange: Exchange, fault: Fault) -> tuple[int, ...]:
    shard = fault.whole("shard")
    return exchange.floor.shards if shard is None else (shard,)


def _markets(exchange: Exchange, fault: Fault) -> list[Contract]:
    """The market that is named, or every market."""
    contracts = exchange.floor.contracts
    if "market" not in fault.values:
        return list(contracts.values())
    found = contracts.get(fault.word("market"))
    return [] if found is None else [found]


def _pause(exchange: Exchange, fault: Fault, at: float) -> Undo:
    shards = _shards(exchange, fault)
    exchange.entry.pause_trading(shards, at)
    return lambda when: exchange.entry.resume_trading(shards)


def _exchange_pause(exchange: Exchange, fault: Fault, at: float) -> Undo:
    shards = _shards(exchange, fault)
    exchange.entry.pause_exchange(shards, at)
    exchange.status_http = int(fault.word("status"))

    def undo(when: float) -> None:
        exchange.entry.resume_exchange(shards)
        exchange.status_http = 200

    return undo


def _halt(exchange: Exchange, fault: Fault, at: float) -> Undo:
    markets = _markets(exchange, fault)
    for contract in markets:
        exchange.lifecycle.halt(contract, at)

    def undo(when: float) -> None:
        for contract in markets:
            exchange.lifecycle.reactivate(contract, when)

    return undo


def _unopened(exchange: Exchange, fault: Fault, at: float) -> None:
    for contract in _markets(exchange, fault):
        exchange.lifecycle.unopen(contract, at + fault.seconds("for"), at)


def _close(exchange: Exchange, fault: Fault, at: float) -> Undo:
    markets = _markets(exchange, fault)
    before = {contract.ticker: contract.closes_at for contract in markets}
    for contract in markets:
        exchange.lifecycle.move_close(contract, at + fault.seconds("in"), at)

    def undo(when: float) -> None:
        for contract in markets:
            exchange.lifecycle.move_close(contract, before[contract.ticker], when)

    return undo


def _determine(exchange: Exchange, fault: Fault, at: float) -> None:
    for contract in _markets(exchange, fault):
        exchange.lifecycle.determine(contract, at)


def _dispute(exchange: Exchange, fault: Fault, at: float) -> None:
    for contract in _markets(exchange, fault):
        exchange.lifecycle.determine(contract, at)
        exchange.lifecycle.dispute(contract, fault.seconds("for"), at)


def _grid(exchange: Exchange, fault: Fault, at: float) -> Undo:
    markets = _markets(exchange, fault)
    before = {contract.ticker: contract.structure for contract in markets}
    for contract in markets:
        exchange.lifecycle.regrid(contract, fault.word("structure"), at)

    def undo(when: float) -> None:
        for contract in markets:
            exchange.lifecycle.regrid(contract, before[contract.ticker], when)

    return undo


def _fee(exchange: Exchange, fault: Fault, at: float) -> Undo:
    event = fault.word("event")
    multiplier = Fraction(str(fault.values["multiplier"])) if "multiplier" in fault.values else None
    exchange.set_fee(event, fault.word("type") or None, multiplier, at)
    return lambda when: exchange.set_fee(event, None, None, when)


def _region(exchange: Exchange, fault: Fault, at: float) -> None:
    exchange.region_expires_at = at + fault.seconds("in")


def _tier(exchange: Exchange, fault: Fault, at: float) -> None:
    exchange.limits.tier = fault.word("name")


def _cancel_all(exchange: Exchange, fault: Fault, at: float) -> None:
    for member in exchange.members.all.values():
        exchange.entry.cancel_all(member, at)


def _rules(exchange: Exchange, fault: Fault, at: float) -> None:
    names = {field.name for field in attrs.fields(type(exchange.rules))}
    exchange.rules = exchange.rules.changed({key: str(value) for key, value in fault.values.items() if key in names})


_CHANGES: Mapping[str, Callable[[Exchange, Fault, float], Undo | None]] = {
    "pause": _pause,
    "maintenance": _pause,
    "exchange_pause": _exchange_pause,
    "halt": _halt,
    "unopened": _unopened,
    "close": _close,
    "determine": _determine,
    "dispute": _dispute,
    "grid": _grid,
    "fee": _fee,
    "region": _region,
    "tier": _tier,
    "cancel_all": _cancel_all,
    "rules": _rules,
}
