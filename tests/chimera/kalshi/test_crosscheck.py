"""The ticker against the folded book: late is not wrong, and wrong is found out in two seconds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.kalshi.crosscheck import PATIENCE_S, TickerCheck

A, B, C = (4700, 5200), (4600, 5200), (4600, 5100)


def check(*told: tuple[str, tuple[int | None, int | None], float]) -> TickerCheck:
    made = TickerCheck()
    for who, best, at in told:
        (made.on_book if who == "book" else made.on_ticker)(*best, at)
    return made


class TestAgreeing:
    """Nothing to complain of."""

    def test_with_one_of_the_two_there_is_nothing_to_compare(self) -> None:
        assert not check(("book", A, 0.0)).broken(100.0)
        assert not check(("ticker", A, 0.0)).broken(100.0)

    def test_the_second_to_come_has_its_time_from_then_on(self) -> None:
        late = check(("book", A, 0.0), ("ticker", B, 50.0))
        assert not late.broken(51.9)
        assert late.broken(52.0)

    def test_the_same_prices_agree_for_ever(self) -> None:
        assert check(("book", A, 0.0), ("ticker", A, 0.1)).disagreeing(1000.0) == 0.0

    def test_empty_sides_agree_too(self) -> None:
        assert check(("book", (None, 5200), 0.0), ("ticker", (None, 5200), 0.1)).disagreeing(9.0) == 0.0

    @pytest.mark.parametrize(("ahead", "behind"), [("book", "ticker"), ("ticker", "book")])
    def test_one_that_always_follows_the_other_a_second_later_is_right(self, ahead: str, behind: str) -> None:
        prices = [A, B, C, B, A, C, A] * 20
        made = check((ahead, C, -1.0), (behind, C, -1.0))
        told = [(0.5 * number, ahead, best) for number, best in enumerate(prices)]
        told += [(0.5 * number + 1.0, behind, best) for number, best in enumerate(prices)]
        for at, who, best in sorted(told):
            assert not made.broken(at)
            (made.on_book if who == "book" else made.on_ticker)(*best, at)

    def test_a_lost_book_is_compared_from_its_snapshot_on(self) -> None:
        made = check(("book", A, 0.0), ("ticker", B, 0.0))
        made.lose()
        assert not made.broken(100.0)
        made.on_book(*A, 100.0)
        assert not made.broken(101.9)
        assert made.broken(102.0)


class TestDisagreeing:
    """Neither has come to what the other has shown for two seconds."""

    def test_a_book_that_stands_still_while_the_ticker_moves_is_broken_after_two_seconds(self) -> None:
        made = check(("book", A, 0.0), ("ticker", A, 0.0), ("ticker", B, 10.0), ("ticker", C, 11.0))
        assert made.disagreeing(11.5) == pytest.approx(1.5)
        assert not made.broken(11.99)
        assert made.broken(12.0)

    def test_a_ticker_that_stands_still_while_the_book_moves_is_broken_too(self) -> None:
        made = check(("book", A, 0.0), ("ticker", A, 0.0), ("book", B, 10.0), ("book", C, 11.9))
        assert made.broken(12.0)

    def test_coming_to_what_the_other_showed_a_moment_ago_is_agreement_from_then(self) -> None:
        made = check(("book", A, 0.0), ("ticker", A, 0.0), ("ticker", B, 10.0), ("ticker", C, 10.5), ("book", B, 11.0))
        assert not made.broken(12.9)
        assert made.broken(13.0)

    def test_what_was_shown_longer_ago_than_the_patience_is_no_agreement(self) -> None:
        made = check(("book", A, 0.0), ("ticker", A, 0.0), ("ticker", B, 1.0), ("ticker", C, 1.1), ("book", B, 3.2))
        assert made.broken(3.2)

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(["book", "ticker"]), st.sampled_from([A, B, C]), st.floats(0.01, 1.0)), max_size=40))
    def test_equal_prices_are_never_a_disagreement_and_a_complaint_takes_its_time(self, told) -> None:
        made, at, latest, since = TickerCheck(), 0.0, {"book": None, "ticker": None}, 0.0
        for who, best, wait in told:
            at += wait
            assert made.disagreeing(at) <= at - since + 1e-9
            (made.on_book if who == "book" else made.on_ticker)(*best, at)
            latest[who] = best
            if None in latest.values():
                since = at
            if latest["book"] == latest["ticker"]:
                since = at
                assert made.disagreeing(at + 99.0) == 0.0
            elif made.broken(at):
                assert at - since >= PATIENCE_S - 1e-9
