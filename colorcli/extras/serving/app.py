"""The service: who may ask, how much at a time, and what is answered."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.encoded.photograph import colorize_bytes
from colorcli.config.predict import PredictConfig
from colorcli.extras.serving.description import asked, openapi
from colorcli.imaging import reading
from colorcli.system.errors import ColorizeError, ImageError, UsageError, reason
from colorcli.system.parallel import Budget, available_memory, cores

PAGE = Path(__file__).with_name("upload.html")
TYPES = {
    "jpeg": "image/jpeg", "png": "image/png", "tiff": "image/tiff", "webp": "image/webp",
    "avif": "image/avif", "gif": "image/gif", "bmp": "image/bmp", "jp2": "image/jp2",
    "ppm": "image/x-portable-pixmap", "heic": "image/heic",
}  # fmt: skip
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# A page of ours runs what is written in it and asks nobody but us.
POLICY = (
    "default-src 'self' blob: data: 'unsafe-inline' 'wasm-unsafe-eval'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one asks for at most. ``upload``: bytes; ``seconds``: in which a picture must have come.

    ``workers`` photographs are coloured at once (0: one for each core), ``waiting`` more may wait.
    """

    upload: int = 64_000_000
    seconds: float = 30.0
    workers: int = 0
    waiting: int = 64


@dataclass
class _Service:
    """What all requests share."""

    colorizer: Colorizer
    config: PredictConfig
    limits: Limits
    token: str | None
    page: Path
    hosts: tuple[str, ...]
    waiting: int = 0
    budget: Budget = field(default_factory=lambda: Budget(available_memory() // 2))
    limiter: anyio.CapacityLimiter | None = None

    # --- who may ask ---------------------------------------------------------------------------

    def admit(self, request: Request) -> None:
        """Raise ``HTTPException`` for one who may not ask."""
        host = request.url.hostname or ""
        if self.token is None and host not in self.hosts:  # another name for us: DNS rebinding
            raise HTTPException(403, f"this service does not answer to the name {host}")
        origin = request.headers.get("origin")
        if (
            origin not in (None, "null")
            and origin != f"{request.url.scheme}://{request.url.netloc}"
        ):
            raise HTTPException(403, "pages of other sites may not ask")
        if self.token is not None:
            given = request.headers.get("authorization", "")
            wanted = f"Bearer {self.token}"
            if not hmac.compare_digest(given.encode(), wanted.encode()):
                raise HTTPException(
                    401, "give the token: Authorization: Bearer …", {"WWW-Authenticate": "Bearer"}
                )

    # --- what comes ----------------------------------------------------------------------------

    async def picture(self, request: Request) -> bytes:
        """The bytes of the picture. Raises ``HTTPException``."""
        kind = request.headers.get("content-type", "application/octet-stream").partition(";")[0]
        kind = kind.strip().lower()
        form = kind == "multipart/form-data"
        if not (form or kind.startswith("image/") or kind == "application/octet-stream"):
            raise HTTPException(415, f"{kind} is no picture; send image/… or a form with one")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self.limits.upload:
            raise self._too_large()
        try:
            body = await asyncio.wait_for(self._body(request), self.limits.seconds)
        except asyncio.TimeoutError:
            raise HTTPException(408, "the picture came too slowly") from None
        return await self._of_form(request, body) if form else body

    def _too_large(self) -> HTTPException:
        most = self.limits.upload / 1e6
        return HTTPException(413, f"larger than the {most:g} MB that this service takes")

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self.limits.upload:
                raise self._too_large()
        return bytes(body)

    async def _of_form(self, request: Request, body: bytes) -> bytes:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        again = Request(request.scope, receive)
        async with again.form(max_files=1, max_fields=20) as form:
            for value in form.values():
                if not isinstance(value, str):
                    return await value.read()
        raise HTTPException(400, "the form has no picture; send it as its field picture")

    # --- what goes -----------------------------------------------------------------------------

    def colour(self, data: bytes, query: dict[str, str]) -> tuple[bytes, str]:
        """The coloured file and its type; raises ``ColorizeError``. For a thread of its own."""
        wanted = asked(query, self.config, self.colorizer.knobs)
        colorizer = self.colorizer.steered(wanted.knobs) if wanted.steered else self.colorizer
        header = reading.peek(data)
        format = wanted.config.format or (header.format if header else None)
        with self.budget(header.need if header else 0):
            made, _ = colorize_bytes(data, "picture", colorizer, format, wanted.config)
        return made, TYPES[format] if format else "application/octet-stream"

    async def colorize(self, request: Request) -> Response:
        """``POST /colorize``."""
        self.admit(request)
        if self.limiter is None:
            self.limiter = anyio.CapacityLimiter(self.limits.workers or cores())
        if self.waiting >= self.limits.waiting + self.limiter.total_tokens:
            raise HTTPException(503, "busy; try again", {"Retry-After": "2"})
        self.waiting += 1
        try:
            data = await self.picture(request)
            work = partial(self.colour, data, dict(request.query_params))
            del data
            made, kind = await to_thread.run_sync(work, limiter=self.limiter)
        except UsageError as error:
            raise HTTPException(400, str(error)) from None
        except (ColorizeError, MemoryError) as error:
            told = str(error) if isinstance(error, ImageError) else reason(error)
            raise HTTPException(422, told or "not enough memory for this picture") from None
        finally:
            self.waiting -= 1
        return Response(made, media_type=kind, headers={"X-Content-Type-Options": "nosniff"})

    async def index(self, request: Request) -> Response:
        """``GET /``: the page."""
        return HTMLResponse(
            self.page.read_text("utf-8"), headers={"Content-Security-Policy": POLICY}
        )

    async def describe(self, request: Request) -> Response:
        """``GET /openapi.json``."""
        return JSONResponse(openapi(self.colorizer.knobs, self.token is not None))

    async def health(self, request: Request) -> Response:
        """``GET /health``: whether it answers, and with which model."""
        origin = self.colorizer.origin
        return JSONResponse({"status": "ok", "model": origin.model, "model_sha256": origin.digest})


async def _told(request: Request, error: Exception) -> Response:
    """An error as JSON."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, dict(error.headers or {}))


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody hears it


async def _bug(request: Request, error: Exception) -> Response:
    kind = type(error).__name__
    return JSONResponse({"error": f"unexpected {kind} ({reason(error)}); please report it"}, 500)


def make(
    colorizer: Colorizer,
    config: PredictConfig = PredictConfig(),
    *,
    limits: Limits = Limits(),
    token: str | None = None,
    page: Path | None = None,
    hosts: tuple[str, ...] = (),
) -> Starlette:
    """The service as an ASGI application. ``hosts``: names beside this machine's that it answers to.

    Raises ``UsageError`` for a ``page`` that cannot be read.
    """
    page = page or PAGE
    try:
        page.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{page}: {reason(error)}; give --page an HTML file") from None
    service = _Service(colorizer, config, limits, token=token, page=page, hosts=(*LOOPBACK, *hosts))
    return Starlette(
        routes=[
            Route("/colorize", service.colorize, methods=["POST"]),
            Route("/", service.index, methods=["GET"]),
            Route("/openapi.json", service.describe, methods=["GET"]),
            Route("/health", service.health, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _told, ClientDisconnect: _gone, Exception: _bug},
    )
