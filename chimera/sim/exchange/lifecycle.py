"""The life of a market: it opens and closes in silence, halts and comes back, is determined, disputed perhaps, and paid.

Each step is a method here, with its world time, and `Lifecycle` makes the later ones happen when they are due. What Kalshi announces is
announced; what only the clock tells (opening, closing) is not. Sweeps tell their reason to whoever owns the order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chimera.conventions import CENT, ONE, format_price
from chimera.markets import PriceGrid, Status
from chimera.sim.exchange.crowd import Crowd
from chimera.sim.exchange.floor import OVER, Contract, Floor, price_ranges

CLOSE_SWEEP_SECONDS = 1.0
"""From a market's close until what still rests is swept: "shortly after"."""

_FULL, _EDGE = ONE, 10 * CENT
GRIDS: Mapping[str, PriceGrid] = {
    "linear_cent": PriceGrid(((0, _FULL, 100),)),
    "deci_cent": PriceGrid(((0, _FULL, 10),)),
    "banded_centi_cent": PriceGrid(((0, 100, 1), (100, _FULL - 100, 10), (_FULL - 100, _FULL, 1))),
    "tapered_deci_cent": PriceGrid(((0, _EDGE, 10), (_EDGE, _FULL - _EDGE, 100), (_FULL - _EDGE, _FULL, 10))),
    "center_whole_edge_half_cent": PriceGrid(((0, _EDGE, 50), (_EDGE, _FULL - _EDGE, 100), (_FULL - _EDGE, _FULL, 50))),
}
"""Grids by Kalshi's name for them; only `linear_cent`, `deci_cent` and `tapered_deci_cent` have bands that are documented."""


class Lifecycle:
    """Changes the state of markets. `sweep` takes a resting order off with a reason, whoever owns it."""

    def __init__(self, floor: Floor, crowd: Crowd, sweep: Callable[[Contract, int, str, float], None]) -> None:
        self._floor = floor
        self._crowd = crowd
        self._sweep = sweep
        self._settlers: list[Callable[[Contract, float], None]] = []

    def on_settlement(self, settler: Callable[[Contract, float], None]) -> None:
        """Have `settler` called when a market is paid."""
        self._settlers.append(settler)

    def watch(self, contract: Contract) -> None:
        """Let a market open and close when its times come."""
        if contract.status is Status.INITIALIZED:
            self._crowd.enter(contract.listing.opens_at, lambda at: self.open(contract, at))
        self._crowd.enter(contract.closes_at, lambda at: self._close_if_due(contract, at))

    def unopen(self, contract: Contract, opens_at: float, at: float) -> None:
        """Take a market back to before its opening, to open (in silence) at `opens_at`; it is announced as created."""
        contract.status = Status.INITIALIZED
        self._sweep_all(contract, "CloseCancel", at)
        fields = contract.document()
        told = ("title", "yes_sub_title", "no_sub_title", "rules_primary", "rules_secondary", "can_close_early", "event_ticker")
        metadata = {name: fields.get(name, "") for name in told}
        metadata |= {"name": fields.get("yes_sub_title", ""), "expected_expiration_ts": int(contract.closes_at)}
        self._floor.announce(
            contract, "created", at, open_ts=int(opens_at), close_ts=int(contract.closes_at), additional_metadata=metadata,
            exchange_index=contract.shard,
        )  # fmt: skip
        self._crowd.enter(opens_at, lambda when: self.open(contract, when))

    def open(self, contract: Contract, at: float) -> None:
        """Trading begins, without a word."""
        if contract.status is Status.INITIALIZED:
            contract.status = Status.ACTIVE

    def halt(self, contract: Contract, at: float) -> None:
        """Trading stops; what rests stays until the market comes back."""
        if contract.status is Status.ACTIVE:
            contract.status = Status.INACTIVE
            self._floor.announce(contract, "deactivated", at, is_deactivated=True)

    def reactivate(self, contract: Contract, at: float) -> None:
        """Trading resumes, and every resting order is cancelled."""
        if contract.status is Status.INACTIVE:
            contract.status = Status.ACTIVE
            self._sweep_all(contract, "HaltCancel", at)
            self._floor.announce(contract, "activated", at, is_deactivated=False)

    def move_close(self, contract: Contract, closes_at: float, at: float) -> None:
        """The market closes at another time. One that is closed opens again if that time is to come."""
        contract.closes_at = closes_at
        self._floor.announce(contract, "close_date_updated", at, close_ts=int(closes_at))
        if contract.status is Status.CLOSED and closes_at > at:
            contract.status = Status.ACTIVE
            self._floor.announce(contract, "activated", at, is_deactivated=False)
        self._crowd.enter(max(closes_at, at), lambda when: self._close_if_due(contract, when))

    def close(self, contract: Contract, at: float) -> None:
        """Trading ends, without a word; what rests is swept a little later."""
        if contract.status in (Status.ACTIVE, Status.INACTIVE):
            contract.status = Status.CLOSED
            self._crowd.enter(at + CLOSE_SWEEP_SECONDS, lambda when: self._sweep_if_closed(contract, when))

    def regrid(self, contract: Contract, structure: str, at: float) -> None:
        """Change the valid prices of a live market. What rests off the new grid stays."""
        grid = GRIDS[structure]
        contract.book.grid, contract.structure = grid, structure
        self._floor.announce(
            contract, "price_level_structure_updated", at, price_level_structure=structure, price_ranges=price_ranges(grid)
        )

    def determine(self, contract: Contract, at: float) -> None:
        """The result is known: trading ends and what rests is swept."""
        if contract.status in OVER:
            return
        contract.status = Status.DETERMINED
        contract.over_at = at
        self._sweep_all(contract, "CloseCancel", at)
        value = format_price(contract.settles_at)
        self._floor.announce(contract, "determined", at, determination_ts=int(at), result=contract.result, settlement_value=value)
        self._pay_after(contract, at)

    def dispute(self, contract: Contract, seconds: float, at: float) -> None:
        """A known result is contested; after `seconds` it stands as amended and the settlement timer runs again."""
        if contract.status is not Status.DETERMINED:
            return
        contract.status = Status.DISPUTED

        def amend(when: float) -> None:
            contract.status = Status.AMENDED
            self._pay_after(contract, when)

        self._crowd.enter(at + seconds, amend)

    def finalize(self, contract: Contract, at: float) -> None:
        """The result is paid."""
        if contract.status is Status.FINALIZED:
            return
        contract.status = Status.FINALIZED
        contract.paid_at = at
        for settle in self._settlers:
            settle(contract, at)
        self._floor.announce(contract, "settled", at, settled_ts=int(at))

    def _pay_after(self, contract: Contract, at: float) -> None:
        state = contract.status

        def pay(when: float) -> None:
            if contract.status is state:
                self.finalize(contract, when)

        self._crowd.enter(at + contract.listing.settlement_seconds, pay)

    def _close_if_due(self, contract: Contract, at: float) -> None:
        if contract.closes_at <= at:
            self.close(contract, at)

    def _sweep_if_closed(self, contract: Contract, at: float) -> None:
        if contract.status is Status.CLOSED:
            self._sweep_all(contract, "CloseCancel", at)

    def _sweep_all(self, contract: Contract, reason: str, at: float) -> None:
        for order in contract.book.resting:
            self._sweep(contract, order.order_id, reason, at)
