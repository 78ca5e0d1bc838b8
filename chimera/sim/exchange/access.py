"""Who may come in: API keys, signatures and clock skew, checked as Kalshi checks them and refused in its recorded words."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from chimera.kalshi.auth import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, PublicKey, verify
from chimera.sim.exchange.rules import Rules
from chimera.sim.server import Request, Response

MISSING_SIGNATURE = b'{"error":{"code":"signature_is_missing_from_headers","message":"signature is missing from headers"}}'
EXPIRED = b'{"error":{"code":"header_timestamp_expired","message":"header timestamp expired"}}'
BAD_SIGNATURE = (
    b'{"error":{"code":"authentication_error","message":"authentication_error","details":"INCORRECT_API_KEY_SIGNATURE"}}'
)
UNKNOWN_KEY = b'{"error":{"code":"authentication_error","message":"authentication_error","details":"NOT_FOUND"}}'
NO_SCOPE = b'{"error":{"code":"insufficient_scope","message":"insufficient scope","service":"exchange"}}'


@attrs.frozen(slots=True)
class ApiKey:
    """A key as the exchange knows it. `write` implies every kind of writing."""

    public: PublicKey
    name: str = "key"
    scopes: tuple[str, ...] = ("read", "write")

    def may(self, scope: str) -> bool:
        """Whether it may `read` or trade (`write::trade`); a parent scope implies its children."""
        return any(scope == held or scope.startswith(f"{held}::") for held in self.scopes)


class Access:
    """The keys of the one account, by id."""

    def __init__(self, keys: Mapping[str, ApiKey]) -> None:
        self.keys = dict(keys)
        self.refusals = 0

    def refuse(self, request: Request, now: float, rules: Rules | None = None, *, scope: str = "read") -> Response | None:
        """Why this request is not the account's (401) or not allowed to its key (403); None where it is.

        `now` is the exchange's time, unix seconds.
        """
        status, fault = self._fault(request, now, rules or Rules(), scope)
        if fault is None:
            return None
        self.refusals += 1
        return Response(status, fault)

    def known(self, request: Request, now: float, rules: Rules) -> bool:
        """Whether a request that need not be signed is the account's nevertheless."""
        return SIGNATURE_HEADER.lower() in request.headers and self._fault(request, now, rules, "read")[1] is None

    def _fault(self, request: Request, now: float, rules: Rules, scope: str) -> tuple[int, bytes | None]:
        signature = request.headers.get(SIGNATURE_HEADER.lower())
        timestamp = request.headers.get(TIMESTAMP_HEADER.lower(), "")
        if not signature:
            return 401, MISSING_SIGNATURE
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20):
            return 401, EXPIRED
        age = now - int(timestamp) / 1000
        if not -rules.skew_future <= age <= rules.skew_past:
            return 401, EXPIRED
        key = self.keys.get(request.headers.get(KEY_HEADER.lower(), ""))
        if key is None:
            return 401, UNKNOWN_KEY
        if not verify(key.public, timestamp=timestamp, method=request.method, path=request.path, signature=signature):
            return 401, BAD_SIGNATURE
        return (200, None) if key.may(scope) else (403, NO_SCOPE)
