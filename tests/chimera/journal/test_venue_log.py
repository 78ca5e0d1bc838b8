"""The venue's log on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import Side
from chimera.errors import ConfigError
from chimera.journal.venue_log import VenueLogFile, read_venue_log, venue_log_path
from chimera.trading.venue_log import Accepted, Fired, Line, Opened, Sent, VenueLog, decode, encode


def lines(path: Path) -> list[Line]:
    return list(read_venue_log(path))


def test_it_lies_beside_the_journal(tmp_path: Path) -> None:
    assert venue_log_path(tmp_path / "shadow.db") == tmp_path / "shadow.db.venue"


def test_a_line_can_be_read_before_the_file_is_closed_and_a_later_process_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "j.venue"
    file = VenueLogFile(path)
    VenueLog(file.write).add(Opened(at=1.0, cash=5))
    assert lines(path) == [Opened(at=1.0, seq=1, cash=5)]
    file.close()
    file = VenueLogFile(path)
    VenueLog(file.write, 1).add(Opened(at=2.0, cash=6))
    file.close()
    assert [line.seq for line in lines(path)] == [1, 2]


@pytest.mark.parametrize("torn", [b'{"what":"opened","at', b"x" * 200_000])
def test_a_torn_last_line_is_left_out_and_written_over(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "j.venue"
    path.write_bytes(encode(Opened(at=1.0, seq=1, cash=5)) + b"\n" + torn)
    assert lines(path) == [Opened(at=1.0, seq=1, cash=5)]
    file = VenueLogFile(path)
    file.write(Opened(at=2.0, seq=2, cash=6))
    file.close()
    assert [line.at for line in lines(path)] == [1.0, 2.0]


def test_damage_before_the_end_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "j.venue"
    path.write_bytes(b"nonsense\n" + encode(Opened(at=1.0, cash=5)) + b"\n")
    with pytest.raises(ConfigError, match="line 1"):
        lines(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no venue log"):
        lines(tmp_path / "j.venue")


def test_two_processes_cannot_write_it_at_once(tmp_path: Path) -> None:
    first = VenueLogFile(tmp_path / "j.venue")
    with pytest.raises(ConfigError, match="another process"):
        VenueLogFile(tmp_path / "j.venue")
    first.close()
    VenueLogFile(tmp_path / "j.venue").close()


@settings(max_examples=50, deadline=None)
@given(
    st.one_of(
        st.builds(
            Sent, at=st.floats(0, 1e10), client_id=st.text(), market=st.text(), side=st.sampled_from(Side), price=st.integers(1, 9999),
            count=st.integers(1, 10**9), expires_at=st.floats(0, 1e10), fence=st.integers(0), p_true=st.floats(0, 1),
            required_edge=st.floats(0, 100), trace=st.integers(0, 2**31),
        ),
        st.builds(Accepted, at=st.floats(0, 1e10), client_id=st.text(), order_id=st.text(), market=st.text(), bid=st.none()),
        st.builds(
            Fired, at=st.floats(0, 1e10), scope=st.text(), reason=st.text(), source=st.text(), counter=st.integers(0), pull=st.booleans(),
            fences=st.dictionaries(st.text(), st.integers(0)),
        ),
    )
)  # fmt: skip
def test_a_line_is_read_back_as_it_was_written(line: Line) -> None:
    assert decode(encode(line)) == line
