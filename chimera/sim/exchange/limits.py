"""Rate limits: token buckets by account, shard and kind, the documented cost of each endpoint, and which bucket a request draws from.

Buckets fill continuously and start full; a request that finds too little in any of its buckets is refused and draws from none. Reads and
writes are apart. A single write that names a shard other than 0 draws from that shard's own bucket, one that leaves the routing to the
exchange from every shard's, all others (batches among them) from the account's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

DEFAULT_COST = 10
TOO_MANY = b'{"error":"too many requests"}'
COSTS: Mapping[tuple[str, str], int] = {
    ("POST", "/account/api_usage_level/upgrade"): 30,
    ("GET", "/cfbenchmarks"): 50,
    ("GET", "/cfbenchmarks/*endpoint"): 50,
    ("POST", "/communications/quotes"): 2,
    ("DELETE", "/communications/quotes/:quote_id"): 2,
    ("DELETE", "/portfolio/events/orders"): 2,
    ("DELETE", "/portfolio/events/orders/:order_id"): 2,
    ("DELETE", "/portfolio/events/orders/batched"): 2,
    ("GET", "/portfolio/orders/:order_id"): 2,
}
"""What does not cost the default, as of 2026-10; of a batch, each item."""


@attrs.frozen(slots=True)
class Tier:
    """Tokens a second and capacity, reads and writes; balances a second."""

    read: int
    write: int
    read_seconds: int = 1
    write_seconds: int = 2
    balance: int = 5


TIERS: Mapping[str, Tier] = {
    "basic": Tier(200, 100, write_seconds=1, balance=1),
    "advanced": Tier(300, 300, read_seconds=2, balance=1),
    "expert": Tier(600, 600),
    "premier": Tier(1_200, 1_200),
    "paragon": Tier(2_400, 2_400),
    "prime": Tier(4_800, 4_800),
    "prestige": Tier(12_000, 9_600),
}
"""Documented rates of 2026-09-24. Basic's capacities are recorded; where readings of a capacity differ the smaller is taken."""


_ROUNDING = 5e-3
"""Tokens that unix time as a float may lose, a quarter of a microsecond at up to 12,000 a second: who paces exactly is not refused."""


@attrs.define(slots=True)
class Bucket:
    """`capacity` tokens, refilled at `rate` a second."""

    capacity: float
    rate: float
    level: float
    at: float

    def holds(self, cost: float, now: float) -> bool:
        self.level = min(self.capacity, self.level + max(0.0, now - self.at) * self.rate)
        self.at = max(self.at, now)
        return self.level + _ROUNDING >= cost


class RateLimits:
    """Every account's buckets. `tier` may be changed while running: capacities follow, what is used stays used."""

    def __init__(self, tier: str, shards: Sequence[int]) -> None:
        self.tier = tier
        self._shards = tuple(shards)
        self._buckets: dict[tuple[str, str, int], Bucket] = {}
        self.refused = 0

    def admit_read(self, account: str, cost: float, now: float) -> bool:
        """Draw a read; False where it must be refused."""
        tier = TIERS[self.tier]
        return self._draw([self._bucket(account, "read", 0, tier.read * tier.read_seconds, tier.read, now)], cost, now)

    def admit_balance(self, account: str, now: float) -> bool:
        """Draw a balance: a bucket of its own, without a burst."""
        return self._draw([self._bucket(account, "balance", 0, 1, TIERS[self.tier].balance, now)], 1, now)

    def admit_write(self, account: str, cost: float, now: float, *, shard: int | None = 0) -> bool:
        """Draw a write from the bucket of `shard`; None draws from every shard's."""
        tier = TIERS[self.tier]
        indices: Iterable[int] = self._shards if shard is None else (shard if shard in self._shards else 0,)
        buckets = [self._bucket(account, "write", index, tier.write * tier.write_seconds, tier.write, now) for index in indices]
        return self._draw(buckets, cost, now)

    def document(self) -> dict[str, object]:
        """The answer of `/account/limits`."""
        tier = TIERS[self.tier]
        return {
            "grants": [],
            "read": {"bucket_capacity": tier.read * tier.read_seconds, "refill_rate": tier.read},
            "usage_tier": self.tier,
            "write": {"bucket_capacity": tier.write * tier.write_seconds, "refill_rate": tier.write},
        }

    def _bucket(self, account: str, kind: str, shard: int, capacity: float, rate: float, now: float) -> Bucket:
        bucket = self._buckets.setdefault((account, kind, shard), Bucket(capacity, rate, capacity, now))
        bucket.capacity, bucket.rate = capacity, rate
        return bucket

    def _draw(self, buckets: Sequence[Bucket], cost: float, now: float) -> bool:
        if not all(bucket.holds(cost, now) for bucket in buckets):
            self.refused += 1
            return False
        for bucket in buckets:
            bucket.level -= cost
        return True


def cost_table(prefix: str) -> dict[str, object]:
    """The answer of `/account/endpoint_costs`."""
    rows = [{"cost": cost, "method": method, "path": prefix + path} for (method, path), cost in COSTS.items()]
    return {"default_cost": DEFAULT_COST, "endpoint_costs": rows}
