"""Signatures and skew, with the bodies Kalshi answered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chimera.kalshi.auth import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER

BALANCE = "/trade-api/v2/portfolio/balance"


@pytest.mark.parametrize("skew", [0.0, -5.0, 5.0, -19.0, 59.0])
async def test_a_signed_request_within_the_window_is_answered(sim, skew: float) -> None:
    for signer in (sim.signer, sim.rsa_signer):
        sim.pass_time(1.0)
        answer = await sim.get(BALANCE, sim.headers(BALANCE, skew=skew, signer=signer))
        assert answer.status_code == 200
        assert answer.json()["balance_dollars"] == "10000.0000"


async def test_the_query_is_not_signed(sim) -> None:
    answer = await sim.get(BALANCE, sim.headers(BALANCE), subaccount=0)
    assert answer.status_code == 200


@pytest.mark.data
@pytest.mark.parametrize(
    ("change", "recorded"),
    [
        ({SIGNATURE_HEADER: None}, "missing_signature_header"),
        ({SIGNATURE_HEADER: "AAAA"}, "bad_signature"),
        ({SIGNATURE_HEADER: "not base64!"}, "bad_signature"),
        ({KEY_HEADER: "00000000-0000-0000-0000-000000000000"}, "unknown_key_id"),
        ({TIMESTAMP_HEADER: "soon"}, "skew_minus5min"),
        (-300.0, "skew_minus5min"),
        (-21.0, "skew_minus5min"),
        (300.0, "skew_plus5min"),
    ],
)
async def test_a_refusal_is_worded_as_recorded(sim, shared_data: Path, change: object, recorded: str) -> None:
    headers = sim.headers(BALANCE, skew=change if isinstance(change, float) else 0.0)
    if isinstance(change, dict):
        headers = {name: value for name, value in (headers | change).items() if value is not None}
    answer = await sim.get(BALANCE, headers)
    case = shared_data / "kalshi" / "demo_rest_ws" / f"auth__{recorded}.json"
    meta = json.loads(case.with_suffix("").with_suffix(".meta.json").read_text())
    assert (answer.status_code, answer.json()) == (meta["status"], json.loads(case.read_text()))


async def test_a_signature_over_another_path_is_refused(sim) -> None:
    answer = await sim.get(BALANCE, sim.headers("/trade-api/v2/account/limits"))
    assert answer.json()["error"]["details"] == "INCORRECT_API_KEY_SIGNATURE"


async def test_the_stream_needs_a_signature_too(sim) -> None:
    upgrade = {"upgrade": "websocket", "connection": "Upgrade"}
    answer = await sim.get("/trade-api/ws/v2", upgrade)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "signature_is_missing_from_headers"
