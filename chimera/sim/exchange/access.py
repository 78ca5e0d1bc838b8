"""Who may come in: API keys, signatures and clock skew, checked as Kalshi checks them and refused in its recorded words."""

from __future__ import annotations

from collections.abc import Mapping

from chimera.kalshi.auth import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, PublicKey, verify
from chimera.sim.server import Request, Response

OLDEST_SECONDS = 20.0
NEWEST_SECONDS = 60.0
"""How far a timestamp may be behind and ahead of the exchange: 5 s passed and 30 s behind failed on the wire; the rest is a choice."""

MISSING_SIGNATURE = b'{"error":{"code":"signature_is_missing_from_headers","message":"signature is missing from headers"}}'
EXPIRED = b'{"error":{"code":"header_timestamp_expired","message":"header timestamp expired"}}'
BAD_SIGNATURE = (
    b'{"error":{"code":"authentication_error","message":"authentication_error","details":"INCORRECT_API_KEY_SIGNATURE"}}'
)
UNKNOWN_KEY = b'{"error":{"code":"authentication_error","message":"authentication_error","details":"NOT_FOUND"}}'


class Access:
    """The keys of the one account."""

    def __init__(self, keys: Mapping[str, PublicKey]) -> None:
        self._keys = dict(keys)
        self.refusals = 0

    def refuse(self, request: Request, now: float) -> Response | None:
        """Why this request is not the account's, as a 401; None where it is. `now` is the exchange's time, unix seconds."""
        fault = self._fault(request, now)
        if fault is None:
            return None
        self.refusals += 1
        return Response(401, fault)

    def _fault(self, request: Request, now: float) -> bytes | None:
        signature = request.headers.get(SIGNATURE_HEADER.lower())
        timestamp = request.headers.get(TIMESTAMP_HEADER.lower(), "")
        if not signature:
            return MISSING_SIGNATURE
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 20):
            return EXPIRED
        age = now - int(timestamp) / 1000
        if not -NEWEST_SECONDS <= age <= OLDEST_SECONDS:
            return EXPIRED
        key = self._keys.get(request.headers.get(KEY_HEADER.lower(), ""))
        if key is None:
            return UNKNOWN_KEY
        if not verify(key, timestamp=timestamp, method=request.method, path=request.path, signature=signature):
            return BAD_SIGNATURE
        return None
