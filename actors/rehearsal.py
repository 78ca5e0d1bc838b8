"""A decision that is made for nobody, so that the first real one does not pay for being the first.

It prices a made-up market by the rules of every signal. It touches no actor, no register and no venue: values go in, and what comes out is
dropped. The first pricing of a process takes some four times as long as the twentieth.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from actors.pricer import PricerSettings
from actors.rules import Rulebook
from chimera.conventions import CENT
from chimera.markets import CENT_GRID, FeeTerms
from chimera.trading.quotes import Belief, QuoteDecision, Rules, Top, quote

_FEE = FeeTerms("quadratic", Fraction(1))
_BELIEF = Belief(p_true=0.5, reaction=((0.48, 0.05), (0.5, 0.9), (0.52, 0.05)), sd_1s=0.002, state_edge=0.0, phase="live", age=1.0)
_TOP = Top(48 * CENT, 52 * CENT)


def rehearsal(rulebook: Rulebook) -> Callable[[], tuple[QuoteDecision, ...]]:
    """What to call: it prices the made-up market once for each signal."""
    rules = tuple(_rules(rulebook.pricer(signal)) for signal in rulebook.signals)
    return lambda: tuple(quote(_BELIEF, _TOP, rule) for rule in rules)


def _rules(settings: PricerSettings) -> Rules:
    return Rules(
        grid=CENT_GRID, fee=_FEE, flow=settings.flow, pool=settings.pool, base_edge=settings.base_edge_cents,
        max_disagreement=settings.max_disagreement_cents, disagreement_polls=settings.disagreement_polls,
        kelly_fraction=settings.kelly_fraction, bankroll=settings.bankroll, size=settings.size,
    )  # fmt: skip
