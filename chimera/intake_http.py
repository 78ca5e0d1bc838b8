"""One HTTP request at a time out of a pool of warm connections: bytes out, status and bytes in, or one FeedError.

Everything that arrives has a limit, packed and unpacked. A request that changes something is followed on its way: where it fails before
its first byte has left, that is `NotSent`, and the caller knows that nothing was done.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Mapping

import attrs
import httpx
import trio

from chimera.errors import FeedError
from chimera.intake import NotSent

USER_AGENT = "chimera/4"

_CONNECT_SHARE = 0.45
"""Of the time for a request, what TCP may take and again what TLS may."""


@attrs.define(slots=True)
class Request:
    """What is asked for. `body` is JSON, or nothing. `left` is set once any of it may have left this machine."""

    method: str
    url: str
    headers: Mapping[str, str] | None = None
    body: bytes = b""
    left: bool = False

    async def trace(self, step: str, _: Mapping[str, object]) -> None:
        """httpcore's word on each of its steps; making a connection, and waiting for one, come before this."""
        if step == "http11.send_request_headers.started":
            self.left = True


@attrs.frozen(slots=True)
class Answer:
    """A complete answer, unpacked. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpPool:
    """Up to `connections` connections, kept for `idle` seconds when not in use. `largest`: the most bytes of a body that are borne."""

    def __init__(self, context: ssl.SSLContext, *, connections: int, idle: float, largest: int) -> None:
        self._largest = largest
        # Environment variables are left out of it: what is talked to, and through what, is settled by the settings.
        self._client = httpx.AsyncClient(
            verify=context,
            http1=True,
            http2=False,
            trust_env=False,
            follow_redirects=False,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=idle),
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def exchange(self, stream: str, request: Request, timeout: float, deadline: float) -> Answer:
        """The answer, within `deadline` seconds of trio's clock. NotSent where nothing left, FeedError where no answer came whole."""
        kind: type[FeedError]
        try:
            with trio.fail_after(deadline):
                return await self._fetch(stream, request, timeout)
        except (trio.TooSlowError, httpx.TimeoutException) as error:
            kind = FeedError if request.left else NotSent
            raise kind(f"{stream}: no complete answer within {timeout:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            kind = FeedError if request.left else NotSent
            raise kind(f"{stream}: {type(error).__name__}: {reason(error)}") from error

    async def _fetch(self, stream: str, request: Request, timeout: float) -> Answer:
        headers = dict(request.headers or {})
        if request.body:
            headers["Content-Type"] = "application/json"
        asked = self._client.build_request(
            request.method,
            request.url,
            headers=headers,
            content=request.body or None,
            # A handshake that our own deadline cut short would leave its socket to the garbage collector; httpx's closes it.
            timeout=httpx.Timeout(timeout, connect=_CONNECT_SHARE * timeout),
            extensions={"trace": request.trace},
        )
        response = await self._client.send(asked, stream=True)
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        if len(body) > self._largest:
            raise self._oversize(stream)
        return Answer(response.status_code, response.headers, self._unpacked(stream, response.headers, body))

    async def _read(self, response: httpx.Response) -> bytes:
        """The raw body, or as much of it as shows that it is too large."""
        body = bytearray()
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > self._largest:
                    # Leaving the loop would abandon httpx's generators half way; closing under them ends each in good order.
                    await response.aclose()
        except (httpx.HTTPError, httpx.StreamError):
            if len(body) <= self._largest:
                raise
        return bytes(body)

    def _unpacked(self, stream: str, headers: Mapping[str, str], body: bytes) -> bytes:
        """The body without its compression. Done here, not by httpx, because a small answer may unpack to one without end."""
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity" or not body:
            return body
        if encoding not in ("gzip", "x-gzip"):
            raise FeedError(f"{stream}: answered with content encoding {encoding!r}, which was not asked for")
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            plain = unpacker.decompress(body, self._largest + 1)
        except zlib.error as error:
            raise FeedError(f"{stream}: the answer is damaged: {error}") from error
        if len(plain) > self._largest:
            raise self._oversize(stream)
        if not unpacker.eof or unpacker.unused_data:
            raise FeedError(f"{stream}: the answer is damaged: it is not one whole gzip stream")
        return plain

    def _oversize(self, stream: str) -> FeedError:
        return FeedError(f"{stream}: the answer is larger than {self._largest} bytes and was refused")


def reason(error: BaseException) -> str:
    """The text of an error, or of the first behind it that has one: libraries wrap a telling error in two mute ones."""
    link: BaseException | None = error
    while link is not None:
        if text := str(link):
            return text
        link = link.__cause__ or link.__context__
    return type(error).__name__
