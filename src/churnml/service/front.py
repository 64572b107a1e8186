"""The front door: what holds for every request, whatever it asks."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from churnml.service.logs import event
from churnml.service.problems import Refused, bad_request, not_found, too_large, unavailable
from churnml.service.running import Running
from churnml.state.keys import Key

OPEN = frozenset({"/livez", "/readyz", "/metrics"})
WITH_KEY = ("/v1/", "/openapi.json")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_JSON = re.compile(rb'application/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?', re.IGNORECASE)
_MIB = 1024 * 1024
_DRAINED = 4  # times the limit that is read and thrown away, so that a client hears why
_BUFFERED = 8  # times the limit that all requests together may hold in memory
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


@dataclass
class Exchange:
    """A request on its way.

    Attributes
    ----------
    request_id : str
        Its number.
    key : Key or None
        Who asks.
    content : bytes
        The body.
    status : int
        Of the answer; 0 before it begins, 499 where the client left.
    read : bool
        Whether nothing of a body is left to read.
    """

    request_id: str
    key: Key | None = None
    content: bytes = b""
    status: int = 0
    read: bool = True


class _Left(Exception):  # noqa: N818 - nobody is there to hear of an error
    """The client has gone."""


class Front:
    """Number, key, limits, time, log and figures of every request; the last to answer.

    Parameters
    ----------
    app : ASGI application
        What answers.
    running : Running
        What it answers from.
    with_body : collection of tuple of str
        Methods and paths to which something is sent.
    """

    def __init__(self, app: ASGIApp, running: Running, with_body: Collection[tuple[str, str]]) -> None:
        settings = running.config.service
        self._app, self._running, self._with_body = app, running, frozenset(with_body)
        self._limit = settings.max_body_mib * _MIB
        self._seconds, self._most = settings.timeout_seconds, settings.max_concurrency
        self._trusts = settings.trust_proxy
        self._at_work = self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        headers = _headers(scope)
        given = headers.get(b"x-request-id", [b""])[0].decode("latin-1")
        bodiless = b"transfer-encoding" not in headers and headers.get(b"content-length", [b"0"]) == [b"0"]
        exchange = Exchange(given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16), read=bodiless)
        marks = [*_HEADERS, (b"x-request-id", exchange.request_id.encode())]

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                last = [] if exchange.read else [(b"connection", b"close")]
                message["headers"] = [*message.get("headers", ()), *marks, *last]
            await send(message)

        if not scope["path"].startswith("/"):
            scope["path"] = _path_of(scope["path"])
        scope["app"], scope["churnml"] = self, exchange
        try:
            async with asyncio.timeout(self._seconds) as limit:
                await self._answered(scope, headers, receive, answer, exchange)
        except _Left:
            exchange.status = 499
        except TimeoutError:
            await self._late(scope, receive, answer, exchange, expired=limit.expired())
        finally:
            self._tell(scope, exchange, time.perf_counter() - started)

    async def _answered(
        self, scope: Scope, headers: dict[bytes, list[bytes]], receive: Receive, answer: Send, exchange: Exchange
    ) -> None:
        try:
            await self._let_in(scope, headers, receive, answer, exchange)
            return
        except (_Left, TimeoutError):
            raise
        except Refused as refused:
            response = refused.response()
        except HTTPException as error:
            response = _from_router(error).response()
        except Exception as error:
            _note(error, exchange)
            if exchange.status:
                raise _Left from None  # half an answer cannot be taken back: close the connection
            response = Refused(500, "internal", "this is a fault of the service; it is in its log").response()
        await response(scope, receive, answer)

    async def _let_in(
        self, scope: Scope, headers: dict[bytes, list[bytes]], receive: Receive, answer: Send, exchange: Exchange
    ) -> None:
        path, wants_body = scope["path"], self._wants_body(scope)
        if b"transfer-encoding" in headers and b"content-length" in headers:  # RFC 9112, section 6.1
            raise bad_request("send a Content-Length or a Transfer-Encoding, not both")
        if path in OPEN:
            await self._app(scope, receive, answer)
            return
        if not path.startswith(WITH_KEY):
            raise not_found("route")
        refusal: Refused | None = None
        try:
            exchange.key = self._running.access.caller(headers.get(b"authorization", []), self._address(scope, headers))
        except Refused as refused:
            if not wants_body:
                raise
            refusal = refused
        held = 0
        try:
            if wants_body:
                held = await self._read(headers, receive, exchange, refusal)
            if self._at_work >= self._most:
                raise unavailable("too many requests are being answered; try again", code="overloaded")
            self._at_work += 1
            try:
                await self._app(scope, receive, answer)
            finally:
                self._at_work -= 1
        finally:
            self._buffered -= held

    async def _read(
        self, headers: dict[bytes, list[bytes]], receive: Receive, exchange: Exchange, refusal: Refused | None
    ) -> int:
        """Read the body, and return how many bytes it holds of what all bodies may; one that is refused is not kept."""
        refusal = refusal or _unreadable(headers)
        parts: list[bytes] = []
        size = 0
        try:
            async for part in _parts(receive):
                size += len(part)
                if refusal is None and size > self._limit:
                    refusal = too_large(f"the body is over {self._limit // _MIB} MiB", limit=self._limit)
                if refusal is None and self._buffered + len(part) > _BUFFERED * self._limit:
                    refusal = unavailable("too many bodies are being read; try again", code="overloaded")
                if size > _DRAINED * self._limit:
                    break
                if refusal is None:
                    self._buffered += len(part)
                    parts.append(part)
            else:
                exchange.read = True
            if refusal is not None:
                raise refusal
        except BaseException:
            self._buffered -= sum(map(len, parts))
            raise
        exchange.content = parts[0] if len(parts) == 1 else b"".join(parts)
        return len(exchange.content)

    async def _late(self, scope: Scope, receive: Receive, answer: Send, exchange: Exchange, *, expired: bool) -> None:
        if not exchange.status:
            refused = unavailable("this took too long; ask for less, or try again", code="timeout")
            if expired and not exchange.read and self._wants_body(scope):
                message = f"the body was not there within {self._seconds:g} seconds; send it again"
                refused = Refused(408, "timeout", message)
            await refused.response()(scope, receive, answer)

    def _wants_body(self, scope: Scope) -> bool:
        return (scope["method"], scope["path"]) in self._with_body

    def _address(self, scope: Scope, headers: dict[bytes, list[bytes]]) -> str:
        if self._trusts and b"x-forwarded-for" in headers:
            return headers[b"x-forwarded-for"][-1].rpartition(b",")[2].strip().decode("latin-1")[:64]
        return str((scope.get("client") or ("", 0))[0])

    def _tell(self, scope: Scope, exchange: Exchange, seconds: float) -> None:
        if scope["path"] in OPEN and exchange.status == 200:
            return  # asked every few seconds
        route = getattr(scope.get("route"), "name", "other")
        method = scope["method"] if scope["method"] in ("GET", "POST") else "other"
        self._running.figures.request(route, method, exchange.status, seconds)
        event(
            "request",
            request_id=exchange.request_id,
            route=route,
            method=method,
            status=exchange.status,
            ms=round(seconds * 1000, 2),
            key=exchange.key.name if exchange.key else None,
        )


def _path_of(target: str) -> str:
    """Return the path of an address that was sent whole, as to a proxy (RFC 9112, section 3.2.2)."""
    return re.sub(r"^https?://[^/]*", "", target, flags=re.IGNORECASE) or "/"


def _unreadable(headers: dict[bytes, list[bytes]]) -> Refused | None:
    """Return the refusal of a body whose headers say that it is not what can be read."""
    kinds = headers.get(b"content-type", [])
    if len(kinds) != 1 or not _JSON.fullmatch(kinds[0].strip()):
        return bad_request("send JSON with one header Content-Type: application/json")
    if headers.get(b"content-encoding", [b"identity"]) != [b"identity"]:
        return bad_request("send the body as it is, without a Content-Encoding")
    return None


def _headers(scope: Scope) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name, []).append(value)
    return found


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Left
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _from_router(error: HTTPException) -> Refused:
    if error.status_code == 405:
        return Refused(405, "method_not_allowed", "this route does not know the method", {}, dict(error.headers or {}))
    return not_found("route")


def _note(error: Exception, exchange: Exchange) -> None:
    """Log where the service failed, without the error's text: it may hold what was sent."""
    frames = traceback.extract_tb(error.__traceback__)[-5:]
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames]
    event("fault", request_id=exchange.request_id, error=type(error).__name__, where=where)
