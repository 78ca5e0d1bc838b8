"""The public: the same evening from the same seed, a market that is alive, and prices that follow the truth."""

from __future__ import annotations

import statistics

from chimera.conventions import CENT, Side, probability
from chimera.sim.exchange.floor import Contract
from chimera.sim.process import make_site


def fingerprint(sim) -> list[object]:
    return [
        (contract.ticker, contract.clock, contract.book.levels(Side.BID), [printed.trade_id for printed in contract.tape])
        for contract in sim.site.floor.contracts.values()
    ]


def test_the_same_seed_gives_the_same_books_and_trades_however_time_is_cut(still, keys) -> None:
    site, crowd = make_site(still.clock, 7, keys)
    twin = type(still)(still.clock, site, crowd, keys)
    begins = still.clock.time
    still.pass_time(40)
    for second in range(1, 41):
        crowd.advance(begins + second, at_most=10**9)
    assert fingerprint(twin) == fingerprint(still)


def test_another_seed_gives_another_evening(still, keys) -> None:
    site, _ = make_site(still.clock, 8, keys)
    assert list(site.floor.contracts) != list(still.site.floor.contracts)


def quotes(contract: Contract) -> tuple[float, float] | None:
    bid, ask = contract.book.best(Side.BID), contract.book.best(Side.ASK)
    return None if bid is None or ask is None else (probability(bid), probability(ask))


def test_every_market_of_a_running_game_is_alive_with_room_inside_the_spread(still) -> None:
    running = [contract for contract in still.site.floor.contracts.values() if contract.listing.game in still.site.games[1:3]]
    spreads = []
    still.pass_time(5)
    before = {contract.ticker: (contract.clock, len(contract.tape)) for contract in running}
    for _ in range(120):
        still.pass_time(1)
        spreads += [ask - bid for contract in running if (top := quotes(contract)) is not None for bid, ask in [top]]
    assert 0.02 <= statistics.median(spreads) <= 0.04
    for contract in running:
        clock, trades = before[contract.ticker]
        assert 3 <= (contract.clock - clock) / 120 <= 20
        assert 0.4 <= (len(contract.tape) - trades) / 120 <= 2


def test_prices_follow_the_truth(still) -> None:
    errors = []
    for _ in range(120):
        still.pass_time(1)
        for contract in list(still.site.floor.contracts.values())[2:]:
            if (top := quotes(contract)) is not None:
                errors.append((top[0] + top[1]) / 2 - contract.listing.p_yes(still.clock.time))
    assert abs(statistics.mean(errors)) < 0.01
    assert statistics.pstdev(errors) < 0.05


def test_takers_who_know_first_buy_before_espn_publishes(still) -> None:
    """Over an evening the informed gain against the truth at the time their news is published."""
    gains = []

    class Tape:
        def on_changes(self, *_: object) -> None: ...

        def on_life(self, *_: object) -> None: ...

        def on_print(self, contract: Contract, printed, at: float) -> None:
            if printed.trade.taker_owner == "informed":
                later = contract.listing.p_yes(at + 1.25) - probability(printed.trade.price)
                gains.append(later * printed.trade.taker.sign)

    still.site.floor.listen(Tape())
    still.pass_time(230)
    assert len(gains) > 30
    assert min(gains) >= 0.015 - 1e-9


def test_contracts_are_conserved_over_an_evening(still) -> None:
    still.pass_time(280)
    for contract in still.site.floor.contracts.values():
        assert sum(contract.positions.values()) == 0
        assert 0 < contract.open_interest <= contract.volume
        for order in contract.book.resting:
            assert order.price % CENT == 0
