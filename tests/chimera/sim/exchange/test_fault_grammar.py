"""The grammar of faults: what is read, and how a mistake is told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.sim.exchange.faults import KINDS, FaultSpecError, parse_faults


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ("drop:every=5", "'drop'"),
        ("drop_seq:evry=5", "'evry=5'"),
        ("drop_seq:every", "'every'"),
        ("drop_seq:every=0", "every='0'"),
        ("drop_seq:every=5;ack_lost:p=2", "fault 2, 'ack_lost:p=2'"),
        ("hold", "needs for"),
        ("hold:for=soon", "for='soon'"),
        ("hold:for=-1", "for='-1'"),
        ("hold:for=nan", "for='nan'"),
        ("hold:for=1,for=2", "'for' is given twice"),
        ("hold:for=1,on=lunch", "on='lunch'"),
        ("grid:structure=cents", "structure='cents'"),
        ("fee:event=E,type=free", "type='free'"),
        ("rules:post_only=maybe", "post_only"),
        ("rules:trading_paused=teapot", "trading_paused"),
        ("tier:name=gold", "name='gold'"),
        (":", "''"),
    ],
)
def test_a_bad_specification_is_refused_by_its_part(spec: str, part: str) -> None:
    with pytest.raises(FaultSpecError) as caught:
        parse_faults(spec)
    assert part in str(caught.value)


def test_a_specification_is_read_in_order_with_its_defaults() -> None:
    first, second = parse_faults(" drop_seq:every=500 ; ;hold:for=3 ")
    assert (first.name, first.values) == ("drop_seq", {"every": 500})
    assert (second.word("on"), second.whole("n"), second.seconds("for")) == ("create", 1, 3.0)
    assert parse_faults("") == ()


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz_:;,=.0123456789 \x00é", max_size=60) | st.sampled_from(list(KINDS)))
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_or_refused_as_a_specification(text: str) -> None:
    try:
        faults = parse_faults(text)
    except FaultSpecError:
        return
    assert all(fault.name in KINDS for fault in faults)
