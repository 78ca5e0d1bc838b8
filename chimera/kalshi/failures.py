"""What can be known when a call to Kalshi fails: one tree, whose three branches say whether anything was done.

    DefinitelyRejected      the exchange refused it in its own words (4xx): it had no effect
    DefinitelyNotExecuted   it never reached the exchange's engine: not sent, refused by our limiter, or 429
    OutcomeUnknown          it left, and nobody can say: a timeout, a cut connection, 5xx, an answer that cannot be read

A 4xx without Kalshi's own words is some machine between us and the exchange speaking, and is an unknown outcome; so is any code that says
of itself that the exchange could not be reached. For a read the branches mean the same and matter less.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chimera.errors import VenueError


class KalshiError(VenueError):
    """A call that failed. `status` is HTTP's, 0 where there was no answer; `code`, `message`, `details` are Kalshi's words, or ""."""

    def __init__(self, call: str, status: int, code: str = "", message: str = "", details: str = "") -> None:
        words = ", ".join(dict.fromkeys(word for word in (code, message, details) if word))
        told = f"HTTP {status}" + (f" ({words})" if words else "")
        super().__init__(f"{call}: {told if status >= 300 else words}")
        self.call, self.status, self.code, self.message, self.details = call, status, code, message, details


class DefinitelyRejected(KalshiError):
    """The exchange understood the request and refused it: it had no effect."""


class AuthError(DefinitelyRejected):
    """401 or 403: the key, the signature, its time, or what the key may do."""


class DefinitelyNotExecuted(KalshiError):
    """The request never got as far as the exchange's engine: it had no effect, and may be made again."""


class RateLimited(DefinitelyNotExecuted):
    """429: the bucket was empty. There is no Retry-After and no penalty."""


class Throttled(DefinitelyNotExecuted):
    """Our own limiter held it back. `wait` is in seconds: after that the tokens are there, if nobody else takes them."""

    def __init__(self, call: str, wait: float) -> None:
        super().__init__(call, 0, "", f"not sent: the tokens for it are there in {wait:.2f} s at the earliest")
        self.wait = wait


class OutcomeUnknown(KalshiError):
    """Nobody can say whether the request had an effect: only the exchange's lists and streams can prove it."""


EXPIRED: Final = "header_timestamp_expired"
"""The signature's time was off: the next has a fresh one and the offset the refusal taught. It never means bad credentials."""

_BY_STATUS: Final[dict[int, type[KalshiError]]] = {401: AuthError, 403: AuthError, 429: RateLimited}
"""Whoever says one of these, in whatever words, stands before the exchange's engine."""
_UNKNOWN_STATUS: Final = frozenset({408, 499})
"""A timeout told as a 4xx: by then the request may have been passed on."""
_UNKNOWN_CODES: Final = frozenset(
    {"exchange_unavailable", "service_unavailable", "internal_error", "internal_server_error", "timeout", "gateway_timeout"}
)
"""Codes that say that the exchange's own outcome is not known, wherever they stand: in a batch they come inside a 2xx."""


def from_answer(call: str, status: int, body: bytes) -> KalshiError:
    """The error that an answer of this status means, whichever of Kalshi's four forms its body has."""
    code, message, details, spoken = _words(body)
    return _kind(status, code, spoken)(call, status, code, message, details)


def from_item(call: str, status: int, code: str, message: str, details: str) -> KalshiError:
    """The error of one item of a batch, whose answer as a whole had `status` 2xx."""
    kind = OutcomeUnknown if code.lower() in _UNKNOWN_CODES or not (code or message or details) else DefinitelyRejected
    return kind(call, status, code, message, details)


def error_body(body: bytes) -> tuple[str, str, str]:
    """(code, message, details) of an error, from any of the four forms Kalshi sends.

    Nested `{"error": {"code", "message", "details"}}`, flat `{"code", "message", "details"}`, bare `{"msg"}`, and the rate
    limit's `{"error": "too many requests"}`. Where it is none of them, the text itself is the message.
    """
    return _words(body)[:3]


def _kind(status: int, code: str, spoken: bool) -> type[KalshiError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if not 400 <= status < 500 or status in _UNKNOWN_STATUS or not spoken or code.lower() in _UNKNOWN_CODES:
        return OutcomeUnknown
    return DefinitelyRejected


class _Body(msgspec.Struct, gc=False):
    code: str | None = None
    message: str | None = None
    details: object = None


class _Error(_Body, gc=False):
    error: _Body | str | None = None
    msg: str | None = None


_decode = msgspec.json.Decoder(_Error).decode


def _words(body: bytes) -> tuple[str, str, str, bool]:
    """Code, message, details, and whether they are the exchange's own."""
    try:
        wire = _decode(body)
    except (msgspec.MsgspecError, ValueError):
        return "", body[:200].decode("utf-8", "replace").strip(), "", False
    inner = wire.error
    if isinstance(inner, _Body):
        words = inner.code or "", inner.message or "", str(inner.details or "")
    else:
        words = wire.code or "", wire.message or inner or wire.msg or "", str(wire.details or "")
    return *words, any(words)
