"""The registry's numbers in the units that actors use: cents stay cents, dollars become 1e-6 $, contracts become counts."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from actors.oracles.track import OracleSettings
from actors.pricer import PricerSettings
from chimera.conventions import CONTRACT, DOLLAR, Money
from chimera.models.blend import POOL_PRIORS
from chimera.settings import Registry, Signal
from chimera.trading.ev import FLOW_PRIORS
from chimera.trading.limits import Caps, DomainCaps

POLLS_TO_STALE = 2.5


def _money(dollars: float) -> Money:
    return round(dollars * DOLLAR)


@attrs.frozen(slots=True)
class Rulebook:
    """The enabled signals of a registry, with `poll_seconds` overridden where a command said so."""

    registry: Registry
    poll_seconds: float | None = None

    @property
    def signals(self) -> tuple[Signal, ...]:
        return self.registry.enabled

    @property
    def domains(self) -> frozenset[str]:
        return frozenset(signal.name for signal in self.signals)

    @property
    def series(self) -> tuple[str, ...]:
        return tuple(ticker for signal in self.signals for ticker in signal.series)

    @property
    def cash(self) -> Money:
        return _money(self.registry.paper.cash_dollars)

    @property
    def daily_loss(self) -> Money:
        return _money(self.registry.limits.daily_loss_dollars)

    @property
    def expiry(self) -> Mapping[str, float]:
        return {signal.name: signal.expiry_seconds for signal in self.signals}

    @property
    def caps(self) -> Caps:
        total = self.registry.limits
        domains = {
            signal.name: DomainCaps(
                size=signal.limits.size_contracts * CONTRACT,
                event_loss=_money(signal.limits.event_loss_dollars),
                notional=_money(signal.limits.domain_notional_dollars),
                quote_age=self.quote_age(signal),
            )
            for signal in self.signals
        }
        return Caps(
            domains=domains,
            notional=_money(total.total_notional_dollars),
            open_orders=total.open_orders,
            daily_loss=self.daily_loss,
            unit_loss=_money(total.unit_loss_dollars),
        )

    def poll(self, signal: Signal) -> float:
        """World seconds between polls of a signal's feed."""
        return self.poll_seconds or signal.poll_seconds

    def quote_age(self, signal: Signal) -> float:
        """How old a quote may be; never less than what a healthy feed polled this slowly gives."""
        return max(signal.thresholds.quote_age_seconds, POLLS_TO_STALE * self.poll(signal))

    def oracle(self, signal: Signal) -> OracleSettings:
        """The settings of a signal's oracle."""
        return OracleSettings(
            poll_s=self.poll(signal),
            stale_s=signal.thresholds.stale_seconds,
            kill_multiple=signal.thresholds.kill_multiple,
            base_edge_cents=signal.edges.base_cents,
            endgame_edge_cents=signal.edges.endgame_cents,
            overtime_edge_cents=signal.edges.overtime_cents,
            power_play_edge_cents=signal.edges.power_play_cents,
            empty_net_edge_cents=signal.edges.empty_net_cents,
        )

    def pricer(self, signal: Signal) -> PricerSettings:
        """The settings of a signal's pricer."""
        return PricerSettings(
            base_edge_cents=signal.edges.base_cents,
            max_disagreement_cents=signal.thresholds.max_disagreement_cents,
            disagreement_polls=signal.thresholds.disagreement_polls,
            kelly_fraction=signal.kelly_fraction,
            bankroll=self.cash,
            size=signal.limits.size_contracts * CONTRACT,
            fair_stale=self.quote_age(signal),
            flow=FLOW_PRIORS[signal.name],
            pool=POOL_PRIORS[signal.name],
        )
