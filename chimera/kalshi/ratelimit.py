"""The account's token buckets as Kalshi documents them, kept on our side so that a request which would be refused is not sent.

    bucket          billed by
    read            every read, `/account/endpoint_costs` tokens each
    balance         reading the balance, and nothing else: one (or five) a second, no burst
    write           every write but those of the next row; a batch is billed by the item and fits whole or not at all
    write, shard n  create, cancel, decrease and amend of one order that names a shard above 0; each shard has a full-size bucket of its own

Whether a write may go is decided at once, `try_take(call, shard, now)`. Placing, amending and renewing never touch the tokens that killing
everything may need; cancels and triggers may use the last one. Renewals have a share of the refill and no more.
"""

from __future__ import annotations

import enum
import math
from typing import Final

import attrs

from chimera.errors import LocalError
from chimera.kalshi.schema_account import AccountLimits, EndpointCosts
from chimera.trading.limits import TOKENS_IN_RESERVE, TOKENS_PER_ORDER, TOKENS_PER_UNIT

REST_PREFIX: Final = "/trade-api/v2"
BASIC_READ: Final = 200.0
BASIC_WRITE: Final = 100.0
"""Tokens and tokens per second of the lowest tier; what is assumed until `/account/limits` has answered."""
DEFAULT_COST: Final = 10
RENEWAL_SHARE: Final = 0.3
"""The share of a write bucket that renewing expiries may take; past that fewer orders are kept, never longer ones."""
SLOW_BALANCE: Final = frozenset({"basic", "advanced"})
"""Tiers that may read the balance once a second; the others five times."""
_BACKOFF_S: Final = 0.25
_BACKOFF_MAX_S: Final = 4.0
"""After the n-th 429 in a row nothing that can wait is sent for a random part, half to one and a half, of 0.25 * 2**n seconds."""


class Bucket(enum.Enum):
    """Which bucket a call is billed to."""

    READ = "read"
    BALANCE = "balance"
    WRITE = "write"


@attrs.frozen(slots=True)
class Rule:
    """How one call is billed.

    `path` is spelled as `/account/endpoint_costs` spells it, without the prefix. `documented`: its tokens until that has been asked.
    `sharded`: billed to the bucket of the shard it names. `urgent`: may use the tokens kept back. `renewal`: has only its share.
    """

    method: str
    path: str
    bucket: Bucket = Bucket.WRITE
    documented: int = DEFAULT_COST
    sharded: bool = False
    urgent: bool = False
    renewal: bool = False


_ORDERS = "/portfolio/events/orders"
_ORDER = "/portfolio/events/orders/:order_id"
_BATCH = "/portfolio/events/orders/batched"
_GROUP = "/portfolio/order_groups/:order_group_id"


class Call(enum.Enum):
    """Every kind of call that is billed in a way of its own."""

    READ = Rule("GET", "", Bucket.READ)
    GET_ORDER = Rule("GET", "/portfolio/orders/:order_id", Bucket.READ, documented=2)
    BALANCE = Rule("GET", "/portfolio/balance", Bucket.BALANCE, documented=1)
    CREATE = Rule("POST", _ORDERS, sharded=True)
    BATCH_CREATE = Rule("POST", _BATCH)
    AMEND = Rule("POST", _ORDER + "/amend", sharded=True)
    RENEW = Rule("POST", _ORDER + "/amend", sharded=True, renewal=True)
    DECREASE = Rule("POST", _ORDER + "/decrease", sharded=True, urgent=True)
    CANCEL = Rule("DELETE", _ORDER, documented=2, sharded=True, urgent=True)
    BATCH_CANCEL = Rule("DELETE", _BATCH, documented=2, urgent=True)
    CANCEL_ALL = Rule("DELETE", _ORDERS, documented=2, urgent=True)
    GROUP_CREATE = Rule("POST", "/portfolio/order_groups/create")
    GROUP_LIMIT = Rule("PUT", _GROUP + "/limit")
    GROUP_TRIGGER = Rule("PUT", _GROUP + "/trigger", urgent=True)
    GROUP_RESET = Rule("PUT", _GROUP + "/reset")
    GROUP_DELETE = Rule("DELETE", _GROUP)


def kill_reserve(units: int, open_orders: int) -> int:
    """The tokens that killing everything may need: a trigger for each unit, a cancel for each order, and some for guard and operator."""
    return TOKENS_PER_UNIT * units + TOKENS_PER_ORDER * open_orders + TOKENS_IN_RESERVE


class TokenBucket:
    """A continuously refilled budget of tokens. It starts full. `now` is any clock that never runs backwards, in seconds."""

    def __init__(self, capacity: float, refill: float, now: float) -> None:
        if not (capacity > 0 and refill > 0):
            raise ValueError(f"a bucket needs a capacity and a refill above 0, not {capacity:g} and {refill:g}")
        self.capacity, self.refill = capacity, refill
        self._level, self._at = capacity, now

    def level(self, now: float) -> float:
        """Tokens there now; below zero where they are promised to requests that wait."""
        return min(self.capacity, self._level + max(0.0, now - self._at) * self.refill)

    def take(self, cost: float, now: float, keep: float = 0.0) -> bool:
        """Take `cost` tokens if they are there and `keep` are left; otherwise take none."""
        if self.level(now) - cost < keep:
            return False
        self._spend(cost, now)
        return True

    def reserve(self, cost: float, now: float) -> float:
        """Take `cost` tokens, ahead of time if need be: the seconds to wait until they are there. First come, first served."""
        self._spend(cost, now)
        return max(0.0, -self._level / self.refill)

    def wait(self, cost: float, now: float, keep: float = 0.0) -> float:
        """Seconds until `take` would do."""
        return max(0.0, (cost + keep - self.level(now)) / self.refill)

    def drain(self, now: float) -> None:
        """Believe that it is empty: the exchange has said so."""
        self._level, self._at = min(0.0, self.level(now)), max(now, self._at)

    def resize(self, capacity: float, refill: float, now: float) -> None:
        """Take on other limits; what was used stays used."""
        self._level, self._at = min(capacity, self.level(now)), max(now, self._at)
        self.capacity, self.refill = capacity, refill

    def _spend(self, cost: float, now: float) -> None:
        self._level, self._at = self.level(now) - cost, max(now, self._at)


@attrs.define(slots=True)
class _Budget:
    """One bucket of the exchange, and how it has answered."""

    bucket: TokenBucket
    again_at: float = -math.inf
    refusals: int = 0
    """429s in a row."""


class RateLimiter:
    """All buckets of one account. No clock of its own: `now` is world time, seconds."""

    def __init__(self, now: float) -> None:
        self._tokens = {call: call.value.documented for call in Call}
        self._capacity, self._refill = BASIC_WRITE, BASIC_WRITE
        self._kept = kill_reserve(0, 0)
        self._reads = _Budget(TokenBucket(BASIC_READ, BASIC_READ, now))
        self._balance = _Budget(TokenBucket(1.0, 1.0, now))
        self._writes = {0: _Budget(TokenBucket(BASIC_WRITE, BASIC_WRITE, now))}
        self._renewals: dict[int, TokenBucket] = {}
        self._refused = 0

    # What the account may do

    def set_limits(self, limits: AccountLimits, now: float) -> None:
        """Take on what `/account/limits` reports. Every shard's write bucket is of one size; the tier alone says how often the balance
        may be read."""
        self._reads.bucket.resize(limits.read_capacity, limits.read_refill, now)
        self._balance.bucket.resize(1.0, 1.0 if limits.tier.lower() in SLOW_BALANCE else 5.0, now)
        self._capacity, self._refill = limits.write_capacity, limits.write_refill
        for budget in self._writes.values():
            budget.bucket.resize(self._capacity, self._refill, now)
        for share in self._renewals.values():
            share.resize(RENEWAL_SHARE * self._capacity, RENEWAL_SHARE * self._refill, now)

    def set_costs(self, costs: EndpointCosts) -> None:
        """Take on what `/account/endpoint_costs` reports; what it does not name has its default cost."""
        listed = {(method, _unnamed(path)): tokens for method, path, tokens in costs.costs}
        for call in Call:
            rule = call.value
            if rule.bucket is not Bucket.BALANCE:
                self._tokens[call] = listed.get((rule.method, _unnamed(rule.path)), costs.default)

    def keep(self, units: int, open_orders: int) -> None:
        """Keep back what killing `open_orders` orders in `units` units may need; an order about to be placed counts as open."""
        self._kept = kill_reserve(units, open_orders)

    @property
    def write_capacity(self) -> float:
        return self._capacity

    @property
    def kept(self) -> int:
        """Tokens that nothing but cancels and triggers may use, in each write bucket."""
        return self._kept

    def cost(self, call: Call, items: int = 1) -> int:
        """Tokens of one request; a batch pays for each of its items."""
        return self._tokens[call] * items

    def largest_batch(self, call: Call) -> int:
        """The most items that one request of this kind can ever hold, as the bucket is."""
        return int(self._capacity // max(1, self.cost(call)))

    # Taking

    def try_take(self, call: Call, shard: int, now: float, items: int = 1) -> bool:
        """Take the tokens of a request that is written in this very step, or none. `shard` as the request names it.

        LocalError for a shard below 0 (automatic routing bills every shard and is never used) and for a batch that can never fit.
        """
        budget, cost, rule = self._budget(call, shard, now), self._fitting(call, items), call.value
        if not rule.urgent and now < budget.again_at:
            return False
        keep = self._keep_for(rule)
        if budget.bucket.level(now) - cost < keep or (rule.renewal and not self._renewal(shard, now).take(cost, now)):
            return False
        return budget.bucket.take(cost, now, keep)

    def wait(self, call: Call, shard: int, now: float, items: int = 1) -> float:
        """Seconds until `try_take` would do, if nobody else takes anything."""
        budget, cost, rule = self._budget(call, shard, now), self._fitting(call, items), call.value
        tokens = budget.bucket.wait(cost, now, self._keep_for(rule))
        pause = 0.0 if rule.urgent else budget.again_at - now
        share = self._renewal(shard, now).wait(cost, now) if rule.renewal else 0.0
        return max(tokens, pause, share)

    def queue(self, call: Call, now: float) -> float:
        """Take the tokens of a read, ahead of time if need be: the seconds to wait before it is sent. First come, first served."""
        budget = self._budget(call, 0, now)
        return max(budget.again_at - now, budget.bucket.reserve(self.cost(call), now))

    def refuse(self, call: Call, shard: int, now: float, spread: float) -> None:
        """The exchange answered 429: the bucket is empty, whatever we thought. `spread` in [0, 1) is the jitter of the pause.

        The pause is for what can wait; cancels and triggers go as soon as the refill pays for them.
        """
        budget = self._budget(call, shard, now)
        budget.bucket.drain(now)
        pause = min(_BACKOFF_MAX_S, _BACKOFF_S * 2.0 ** min(budget.refusals, 10)) * (0.5 + spread)
        budget.again_at = max(budget.again_at, now + pause)
        budget.refusals += 1
        self._refused += 1

    def accept(self, call: Call, shard: int, now: float) -> None:
        """The exchange answered anything but 429: the next refusal is a first one again."""
        self._budget(call, shard, now).refusals = 0

    def statistics(self, now: float) -> dict[str, float]:
        """For the console: what each bucket holds, what is kept back, and how often the exchange has refused."""
        told = {
            "read_tokens": self._reads.bucket.level(now),
            "read_capacity": self._reads.bucket.capacity,
            "read_refill": self._reads.bucket.refill,
            "write_capacity": self._capacity,
            "write_refill": self._refill,
            "kept_tokens": float(self._kept),
            "refused": float(self._refused),
        }
        return told | {f"write_tokens.{shard}": each.bucket.level(now) for shard, each in sorted(self._writes.items())}

    def _keep_for(self, rule: Rule) -> float:
        return 0.0 if rule.urgent or rule.bucket is not Bucket.WRITE else self._kept

    def _fitting(self, call: Call, items: int) -> int:
        cost = self.cost(call, items)
        if call.value.bucket is Bucket.WRITE and cost > self._capacity:
            raise LocalError(f"{call.name} of {items} costs {cost} tokens and can never fit the bucket of {self._capacity:g}: split it")
        return cost

    def _budget(self, call: Call, shard: int, now: float) -> _Budget:
        rule = call.value
        if rule.bucket is not Bucket.WRITE:
            return self._reads if rule.bucket is Bucket.READ else self._balance
        if shard < 0:
            raise LocalError(f"{call.name}: shard {shard} is no shard; name the market's own exchange_index")
        index = shard if rule.sharded else 0
        if index not in self._writes:
            self._writes[index] = _Budget(TokenBucket(self._capacity, self._refill, now))
        return self._writes[index]

    def _renewal(self, shard: int, now: float) -> TokenBucket:
        if shard not in self._renewals:
            self._renewals[shard] = TokenBucket(RENEWAL_SHARE * self._capacity, RENEWAL_SHARE * self._refill, now)
        return self._renewals[shard]


def _unnamed(path: str) -> str:
    """A path without its prefix and the names of its parameters, which the endpoint is free to spell its own way."""
    segments = path.removeprefix(REST_PREFIX).split("/")
    return "/".join(":" if segment[:1] in (":", "{") else segment for segment in segments)
