"""One tree of errors: what every answer proves about whether anything was done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chimera.kalshi import failures
from chimera.kalshi.failures import AuthError, DefinitelyNotExecuted, DefinitelyRejected, KalshiError, OutcomeUnknown, RateLimited

BRANCHES = (DefinitelyRejected, DefinitelyNotExecuted, OutcomeUnknown)

ERROR_FORMS = [
    (
        b'{"error":{"code":"authentication_error","message":"authentication_error","details":"NOT_FOUND"}}',
        ("authentication_error", "authentication_error", "NOT_FOUND"),
    ),
    (b'{"error":{"code":"not_found","message":"not found","service":"exchange"}}', ("not_found", "not found", "")),
    (b'{"code":"bad_request","message":"bad request","details":"json: x"}', ("bad_request", "bad request", "json: x")),
    (b'{"code":"bad_request","details":{"field":"count"}}', ("bad_request", "", "{'field': 'count'}")),
    (b'{"msg":"Parameter validation failed"}', ("", "Parameter validation failed", "")),
    (b'{"error":"too many requests"}', ("", "too many requests", "")),
    (b"<html>502 Bad Gateway</html>", ("", "<html>502 Bad Gateway</html>", "")),
    (b"", ("", "", "")),
    (b"[1,2]", ("", "[1,2]", "")),
    (b'{"error":null,"code":null}', ("", "", "")),
]


@pytest.mark.parametrize(("body", "expected"), ERROR_FORMS)
def test_each_form_of_error_body_is_read(body: bytes, expected: tuple[str, str, str]) -> None:
    assert failures.error_body(body) == expected


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error":{"code":"invalid_order","message":"invalid order","details":"post only cross"}}', DefinitelyRejected),
        (400, b'{"msg":"Parameter validation failed"}', DefinitelyRejected),
        (404, b'{"error":{"code":"a_code_nobody_has_seen"}}', DefinitelyRejected),
        (409, b'{"error":{"code":"fill_or_kill_insufficient_resting_volume"}}', DefinitelyRejected),
        (410, b'{"error":{"code":"deprecated_v1_order_endpoint"}}', DefinitelyRejected),
        (401, b"Unauthorized", AuthError),
        (403, b"", AuthError),
        (429, b'{"error":"too many requests"}', RateLimited),
        (429, b"<html>slow down</html>", RateLimited),
        (404, b"<html>not found</html>", OutcomeUnknown),
        (400, b"", OutcomeUnknown),
        (408, b'{"code":"timeout","message":"timeout"}', OutcomeUnknown),
        (499, b'{"code":"x","message":"x"}', OutcomeUnknown),
        (409, b'{"error":{"code":"exchange_unavailable"}}', OutcomeUnknown),
        (500, b'{"code":"internal_error"}', OutcomeUnknown),
        (503, b'{"code":"service_unavailable"}', OutcomeUnknown),
        (302, b"", OutcomeUnknown),
    ],
)
def test_an_answer_proves_no_more_than_it_says(status: int, body: bytes, kind: type[KalshiError]) -> None:
    error = failures.from_answer("POST /x", status, body)
    assert isinstance(error, kind)
    assert (error.status, error.call) == (status, "POST /x")


@given(st.integers(300, 599), st.binary(max_size=60) | st.sampled_from([body for body, _ in ERROR_FORMS]))
def test_every_answer_is_of_exactly_one_branch_and_nothing_above_499_is_ever_definite(status: int, body: bytes) -> None:
    error = failures.from_answer("POST /x", status, body)
    assert sum(isinstance(error, branch) for branch in BRANCHES) == 1
    if not 400 <= status < 500:
        assert isinstance(error, OutcomeUnknown)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("insufficient_balance", "", DefinitelyRejected),
        ("", "market closed", DefinitelyRejected),
        ("exchange_unavailable", "", OutcomeUnknown),
        ("INTERNAL_ERROR", "", OutcomeUnknown),
        ("", "", OutcomeUnknown),
    ],
)
def test_an_item_of_a_batch_is_judged_by_its_words(code: str, message: str, kind: type[KalshiError]) -> None:
    assert type(failures.from_item("POST /batched", 201, code, message, "")) is kind


@pytest.mark.data
def test_every_recorded_refusal_is_definite_and_names_its_code(shared_data: Path) -> None:
    folder = shared_data / "kalshi/demo_rest_ws"
    seen = set()
    for path in sorted(folder.glob("*.meta.json")):
        meta = json.loads(path.read_bytes())
        if meta.get("status", meta.get("http_status")) < 400:
            continue
        error = failures.from_answer(path.name, meta["status"], (folder / path.name.replace(".meta", "")).read_bytes())
        assert isinstance(error, DefinitelyRejected), path.name
        assert isinstance(error, AuthError) == (meta["status"] == 401)
        seen.add(error.code)
    assert {"", "not_found", "order_already_exists", "invalid_order", "invalid_price", "insufficient_balance"} <= seen
