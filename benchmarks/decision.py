"""How long one decision holds the loop: a price, a limits check and a document, each against a plain reference in the same run.

    python benchmarks/decision.py [--json]

The references are what a straightforward bot does in the same place: for a price, scipy-free normal tails through `statistics.NormalDist`;
for a limits check, one dictionary sum. Read the ratios; the microseconds are of this machine on this day.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from fractions import Fraction

from chimera.conventions import CONTRACT, DOLLAR
from chimera.markets import CENT_GRID, FeeTerms
from chimera.models.blend import POOL_PRIORS
from chimera.trading import limits
from chimera.trading.ev import FLOW_PRIORS
from chimera.trading.quotes import Belief, Rules, Top, quote

ROUNDS, CALLS = 20, 200


def median_us(step: Callable[[], object]) -> float:
    """The median over rounds of the mean time of one call, in microseconds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CALLS):
            step()
        rounds.append((time.perf_counter() - began) / CALLS * 1e6)
    return statistics.median(rounds)


def pricing() -> Callable[[], object]:
    rules = Rules(
        grid=CENT_GRID, fee=FeeTerms("quadratic", Fraction(1)), flow=FLOW_PRIORS["nba"], pool=POOL_PRIORS["nba"], base_edge=1.5,
        max_disagreement=12.0, disagreement_polls=3, kelly_fraction=0.25, bankroll=1_000 * DOLLAR, size=10 * CONTRACT,
    )  # fmt: skip
    belief = Belief(0.55, tuple((0.4 + n / 36, 1 / 11) for n in range(11)), 0.004, 0.0, "live", 1.0)
    top = Top(5200, 5600)
    return lambda: quote(belief, top, rules)


def naive_pricing() -> Callable[[], object]:
    law = statistics.NormalDist(0.55, 0.02)
    return lambda: [law.cdf(price / 100.0) for price in range(40, 60)]


def checking() -> Callable[[], object]:
    markets = {f"M{n}": limits.Place("nba", f"G{n // 2}", f"G{n // 2}") for n in range(8)}
    domain = limits.DomainCaps(size=10 * CONTRACT, event_loss=25 * DOLLAR, notional=200 * DOLLAR, quote_age=5.0)
    caps = limits.Caps({"nba": domain}, 500 * DOLLAR, 40, 50 * DOLLAR, 25 * DOLLAR)
    resting = {name: [limits.Working(side, 4000, 10 * CONTRACT) for side in limits.Side] for name in list(markets)[:6]}
    outcomes = {f"G{n}": limits.one_of((f"M{2 * n}", f"M{2 * n + 1}"), exhaustive=True) for n in range(4)}
    state = limits.LimitsState(caps, markets, {}, resting, outcomes, 0, {}, 1_000)
    order = limits.Proposal("M7", limits.Side.BID, 4000, 10 * CONTRACT, 0.0, 1.0)
    return lambda: limits.check(order, state)


def naive_checking() -> Callable[[], object]:
    resting = {f"M{n}": [(0.40, 10), (0.60, 10)] for n in range(6)}
    return lambda: sum(price * count for orders in resting.values() for price, count in orders) < 500.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    asked = parser.parse_args()
    figures = {
        "price_us": median_us(pricing()),
        "price_naive_us": median_us(naive_pricing()),
        "limits_us": median_us(checking()),
        "limits_naive_us": median_us(naive_checking()),
    }
    figures["price_ratio_naive"] = figures["price_us"] / figures["price_naive_us"]
    figures["limits_ratio_naive"] = figures["limits_us"] / figures["limits_naive_us"]
    if asked.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
        return
    for name, value in figures.items():
        print(f"{name:>20} {value:10.2f}")


if __name__ == "__main__":
    main()
