"""The audit of orders: a clean run is clean, and each kind of wrong is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import attrs
import pytest
from msgspec.structs import replace

from chimera.audit.orders import T_CANCEL_S, OrderAudit, Violation, audit_orders, size_record
from chimera.conventions import Side
from chimera.errors import ConfigError
from chimera.journal.records import Decision, Intent
from chimera.journal.shape import fill_record
from chimera.journal.store import Entry, JournalStore
from chimera.journal.venue_log import VenueLogFile, venue_log_path
from chimera.trading.reasons import Reason
from chimera.trading.venue import Fill
from chimera.trading.venue_log import Accepted, Filled, Fired, Left, Line, Opened, Renewed, Renewing, Sent, Settled, VenueLog

M = "KXNBAGAME-1"


def sent(name: str, at: float, side: Side = Side.BID, price: int = 4600, count: int = 100, fence: int = 1, p_true: float = 0.5) -> Sent:
    return Sent(
        at=at, client_id=name, market=M, side=side, price=price, count=count, expires_at=1000.0, fence=fence, p_true=p_true,
        required_edge=3.0,
    )  # fmt: skip


def accepted(name: str, at: float) -> Accepted:
    return Accepted(at=at, client_id=name, order_id=f"P{name}", market=M)


def left(name: str, at: float, why: str = "Cancel") -> Left:
    return Left(at=at, client_id=name, order_id=f"P{name}", market=M, why=why, reduced=100)


def filled(name: str, at: float, side: Side = Side.BID, count: int = 100, rest: int = 0) -> Filled:
    return Filled(
        at=at, fill_id=f"F{name}", client_id=name, order_id=f"P{name}", market=M, side=side, price=4600, count=count, left=rest
    )


def fired(at: float, fence: int, reason: str = "edge_gone") -> Fired:
    return Fired(at=at, scope=f"MARKET:{M}", reason=reason, source="test", counter=fence, pull=True, fences={M: fence})


def decision(at: float, p_true: float, market: str = M) -> Decision:
    return Decision(market, Side.BID, 1, 1, "keep", Reason.KEPT, 4600, 100, p_true, at)


OPENED = Opened(at=0.0, cash=1_000_000_000)
CLEAN: tuple[Line, ...] = (
    OPENED,
    sent("a", 1.0),
    accepted("a", 1.1),
    Renewing(at=10.0, client_id="a", order_id="Pa", market=M, expires_at=40.0, fence=1, p_true=0.5, required_edge=3.0),
    Renewed(at=10.1, client_id="a", order_id="Pa", market=M, expires_at=40.0),
    fired(20.0, 2),
    left("a", 20.1, "Fired"),
    sent("b", 30.0, fence=2),
    accepted("b", 30.1),
    filled("b", 31.0),
    sent("c", 32.0, Side.ASK, 5400, fence=2),
    accepted("c", 32.1),
    fired(60.0, 3, "shutdown"),
    left("c", 60.1, "Fired"),
)


@attrs.frozen
class Court:
    """A journal and a venue's log, made for one hearing."""

    path: Path

    def hear(self, lines: Iterable[Line], more: Iterable[Entry] = (), *, intents: bool = True, without: str = "") -> OrderAudit:
        """Audit these lines, with an intent for every order sent but `without`, and `more` in the journal."""
        lines, entries = list(lines), list(more)
        if intents:
            entries += [intent(line) for line in lines if isinstance(line, Sent) and line.client_id != without]
        store = JournalStore(self.path, "run", durable=False)
        store.commit(entries)
        store.close()
        self.write(lines)
        return audit_orders(self.path)

    def write(self, lines: Iterable[Line]) -> None:
        file = VenueLogFile(venue_log_path(self.path))
        log = VenueLog(file.write)
        for line in lines:
            log.add(line)
        file.close()


def intent(line: Sent) -> Intent:
    assert line.p_true is not None
    assert line.required_edge is not None
    what = (line.client_id, line.market, "U1", line.side, line.price, line.count)
    return Intent(*what, line.fence, line.p_true, line.required_edge, line.expires_at, line.at)


@pytest.fixture
def court(tmp_path: Path) -> Court:
    return Court(tmp_path / "journal.db")


def found(audit: OrderAudit) -> dict[str, list[str]]:
    """The orders blamed, by kind; kinds without any are left out."""
    kinds = {kind.value: [o.client_id for o in audit.offences if o.violation is kind] for kind in Violation}
    return {kind: names for kind, names in kinds.items() if names}


def test_a_clean_run_is_clean_and_everything_was_looked_at(court: Court) -> None:
    fill = fill_record(Fill("Fb", "b", "Pb", M, Side.BID, 4600, 100, 0, False, 31.0))
    audit = court.hear(CLEAN, [fill, decision(1.0, 0.5), decision(15.0, 0.47), decision(31.5, 0.2)])
    assert found(audit) == {}
    assert audit.clean
    assert audit.violations == {"stale_fence": 0, "orphan": 0, "above_anchor": 0, "over_limit": 0, "negative_ev": 0}
    assert (audit.sent, audit.accepted, audit.renewed, audit.fills, audit.trips) == (3, 3, 1, 1, 2)
    assert (audit.unaffirmed, audit.unjournalled) == (0, 0)


class TestStaleFence:
    def test_an_order_sent_after_a_trip_under_the_fence_before_it(self, court: Court) -> None:
        lines = [replace(line, fence=1) if isinstance(line, Sent) and line.client_id == "b" else line for line in CLEAN]
        assert found(court.hear(lines)) == {"stale_fence": ["b"]}

    def test_one_that_was_refused_did_no_harm(self, court: Court) -> None:
        assert found(court.hear([OPENED, fired(1.0, 2), sent("a", 2.0, fence=1)])) == {}

    def test_one_sent_before_the_trip_and_cancelled_on_its_ack_is_right(self, court: Court) -> None:
        lines = [OPENED, sent("a", 1.0), fired(1.05, 2), accepted("a", 1.1), left("a", 1.3)]
        assert found(court.hear(lines)) == {}

    def test_one_that_a_trip_overtook_and_nobody_cancelled(self, court: Court) -> None:
        lines = [OPENED, sent("a", 1.0), fired(1.05, 2), accepted("a", 1.1), left("a", 1.1 + T_CANCEL_S + 0.1)]
        assert found(court.hear(lines)) == {"stale_fence": ["a"]}

    def test_one_that_rests_on_after_a_trip(self, court: Court) -> None:
        lines = [OPENED, sent("a", 1.0), accepted("a", 1.1), fired(2.0, 2), sent("z", 2.0 + T_CANCEL_S + 0.1, fence=2)]
        assert found(court.hear(lines)) == {"stale_fence": ["a"]}

    def test_a_renewal_under_an_old_fence(self, court: Court) -> None:
        lines = list(CLEAN)
        lines.insert(6, Renewing(at=20.05, client_id="a", order_id="Pa", market=M, expires_at=60.0, fence=1))
        lines.insert(7, Renewed(at=20.08, client_id="a", order_id="Pa", market=M, expires_at=60.0))
        assert found(court.hear(lines)) == {"stale_fence": ["a"]}

    def test_fences_stay_monotone_over_a_restart(self, court: Court) -> None:
        lines = [*CLEAN, replace(OPENED, at=70.0), sent("d", 71.0, Side.ASK, 5400, fence=2), accepted("d", 71.1), left("d", 72.0)]
        assert found(court.hear(lines)) == {"stale_fence": ["d"]}


class TestOrphan:
    def test_an_order_that_no_intent_names(self, court: Court) -> None:
        assert found(court.hear(CLEAN, without="b")) == {"orphan": ["b"]}

    @pytest.mark.parametrize("change", [{"price": 4500}, {"count": 50}, {"side": Side.ASK}, {"market": "OTHER"}])
    def test_an_order_that_is_not_the_one_intended(self, court: Court, change: dict[str, object]) -> None:
        other = attrs.evolve(intent(sent("b", 30.0)), **change)  # type: ignore[arg-type]
        assert found(court.hear(CLEAN, [other], without="b")) == {"orphan": ["b"]}

    def test_one_that_rests_when_everything_was_shut_down(self, court: Court) -> None:
        assert found(court.hear(CLEAN[:-1])) == {"orphan": ["c"]}

    def test_one_that_rests_at_the_end_of_a_log_that_was_cut_short_is_none(self, court: Court) -> None:
        assert found(court.hear(CLEAN[:-2])) == {}

    def test_nor_one_of_a_process_that_began_after_a_shutdown(self, court: Court) -> None:
        lines = [*CLEAN, replace(OPENED, at=70.0), sent("d", 71.0, Side.ASK, 5400, fence=3), accepted("d", 71.1)]
        assert found(court.hear(lines)) == {}


class TestAboveAnchor:
    @pytest.mark.parametrize(("side", "price"), [(Side.BID, 4701), (Side.ASK, 5299)])
    def test_a_price_past_its_anchor(self, court: Court, side: Side, price: int) -> None:
        at_anchor = 4700 if side is Side.BID else 5300
        lines = [OPENED, sent("a", 1.0, side, at_anchor), sent("b", 1.0, side, price)]
        assert found(court.hear(lines)) == {"above_anchor": ["b"]}

    def test_a_renewal_past_the_anchor_of_its_moment(self, court: Court) -> None:
        lines = [replace(line, p_true=0.48) if isinstance(line, Renewing) else line for line in CLEAN]
        assert found(court.hear(lines)) == {"above_anchor": ["a"]}

    def test_a_renewal_that_does_not_say_is_counted(self, court: Court) -> None:
        lines = [replace(line, p_true=None) if isinstance(line, Renewing) else line for line in CLEAN]
        assert court.hear(lines).unaffirmed == 1

    def test_a_probability_that_is_no_number(self, court: Court) -> None:
        assert found(court.hear([OPENED, sent("a", 1.0, p_true=float("nan"))], [intent(sent("a", 1.0))], intents=False)) == {
            "above_anchor": ["a"]
        }


class TestOverLimit:
    def test_an_order_larger_than_the_size(self, court: Court) -> None:
        lines = [OPENED, sent("a", 1.0, count=200), accepted("a", 1.1)]
        assert found(court.hear(lines, [size_record(M, 100, 0.0)])) == {"over_limit": ["a"]}

    def test_two_orders_that_rest_at_once(self, court: Court) -> None:
        lines = [OPENED, sent("a", 1.0), accepted("a", 1.1), sent("b", 2.0), accepted("b", 2.1)]
        assert found(court.hear(lines)) == {"over_limit": ["b"]}

    def test_an_order_that_adds_to_a_full_position(self, court: Court) -> None:
        lines = [OPENED, sent("a", 1.0), accepted("a", 1.1), filled("a", 1.5), sent("b", 2.0), accepted("b", 2.1)]
        assert found(court.hear(lines)) == {"over_limit": ["b"]}

    def test_one_that_takes_from_it_and_one_after_it_settled_are_right(self, court: Court) -> None:
        full = [OPENED, sent("a", 1.0), accepted("a", 1.1), filled("a", 1.5)]
        reducing = [sent("b", 2.0, Side.ASK, 5400), accepted("b", 2.1), left("b", 2.5)]
        settled = [Settled(at=3.0, market=M, value=0, paid=0), sent("c", 4.0), accepted("c", 4.1)]
        assert found(court.hear([*full, *reducing, *settled])) == {}

    def test_what_is_filled_no_longer_rests(self, court: Court) -> None:
        lines = [OPENED, sent("a", 1.0), accepted("a", 1.1), filled("a", 1.5, count=40, rest=60), sent("b", 2.0), accepted("b", 2.1)]
        assert found(court.hear(lines, [size_record(M, 200, 0.0)])) == {}

    def test_a_size_for_every_market_counts_where_a_market_has_none_of_its_own(self, court: Court) -> None:
        lines = [OPENED, sent("a", 1.0), accepted("a", 1.1)]
        assert found(court.hear(lines, [size_record("", 50, 0.0)])) == {"over_limit": ["a"]}


class TestNegativeEv:
    def test_an_order_sent_at_a_loss(self, court: Court) -> None:
        audit = court.hear([OPENED, sent("a", 1.0, price=5100)])
        assert found(audit) == {"above_anchor": ["a"], "negative_ev": ["a"]}

    @pytest.mark.parametrize(("side", "price", "p_true"), [(Side.BID, 4600, 0.45), (Side.ASK, 5400, 0.55)])
    def test_one_that_outlives_its_edge(self, court: Court, side: Side, price: int, p_true: float) -> None:
        late = 10.0 + T_CANCEL_S
        lines = [OPENED, sent("a", 1.0, side, price), accepted("a", 1.1), left("a", late + 0.1)]
        assert found(court.hear(lines, [decision(10.0, p_true)])) == {"negative_ev": ["a"]}

    @pytest.mark.parametrize(
        "points",
        [[(10.0, 0.47)], [(10.0, 0.46)], [(10.0, 0.45), (11.0, 0.5)], [(0.5, 0.45)], [(28.5, 0.45)]],
        ids=["its edge is smaller", "its edge is nothing", "its edge comes back", "before it rested", "it leaves in time"],
    )
    def test_one_that_keeps_its_edge_or_leaves_in_time_is_right(self, court: Court, points: list[tuple[float, float]]) -> None:
        lines = [OPENED, sent("a", 1.0), accepted("a", 1.1), left("a", 30.0)]
        assert found(court.hear(lines, [decision(*point) for point in points])) == {}

    def test_another_markets_decisions_are_not_its_own(self, court: Court) -> None:
        lines = [OPENED, sent("a", 1.0), accepted("a", 1.1), left("a", 30.0)]
        assert found(court.hear(lines, [decision(10.0, 0.1, "OTHER")])) == {}


class TestEvidence:
    def test_fills_the_journal_does_not_hold_are_counted(self, court: Court) -> None:
        assert court.hear(CLEAN).unjournalled == 1

    def test_the_result_is_plain_and_names_the_offenders(self, court: Court) -> None:
        audit = court.hear(CLEAN, without="b")
        plain = audit.to_json()
        assert plain["violations"] == {"stale_fence": 0, "orphan": 1, "above_anchor": 0, "over_limit": 0, "negative_ev": 0}
        assert plain["offences"] == [
            {"violation": "orphan", "client_id": "b", "market": M, "at": 30.1, "why": "no intent in the journal names this order"}
        ]
        assert str(audit.offences[0]) == f"30.100 orphan: b in {M}: no intent in the journal names this order"

    @pytest.mark.parametrize(
        "damage",
        [lambda lines: lines[:3] + lines[4:], lambda lines: lines[1:], lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]]],
        ids=["a line is cut out", "the beginning is cut off", "lines are swapped"],
    )
    def test_a_log_with_lines_missing_proves_nothing(self, court: Court, damage: Callable[[list[bytes]], list[bytes]]) -> None:
        court.hear(CLEAN)
        path = venue_log_path(court.path)
        path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
        with pytest.raises(ConfigError, match="missing or out of order"):
            audit_orders(court.path)

    def test_an_order_out_of_nowhere_proves_nothing(self, court: Court) -> None:
        with pytest.raises(ConfigError, match="no line before it sent"):
            court.hear([OPENED, accepted("ghost", 1.0)])

    def test_a_missing_file_is_named(self, court: Court) -> None:
        with pytest.raises(ConfigError, match="no journal"):
            audit_orders(court.path)
        JournalStore(court.path, durable=False).close()
        with pytest.raises(ConfigError, match="no venue log"):
            audit_orders(court.path)
