"""A socket of this machine, and uvicorn behind it: until a signal says stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from colorcli.system.errors import UsageError, reason

HEADERS = 10.0  # seconds in which the head of a request must have come
CONNECTIONS = 256
LOOK = 0.2  # seconds between two looks whether to stop


class Impatient(H11Protocol):
    """Hangs up on those who take too long over the head of a request, which uvicorn waits for."""

    seconds = HEADERS

    def connection_made(self, transport: Any) -> None:
        """Begin to count."""
        super().connection_made(transport)
        self._timer: asyncio.TimerHandle | None = None
        self._count()

    def _waiting(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _count(self) -> None:
        if self._waiting() and self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._late)
        elif not self._waiting() and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self._waiting():
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Count where a head is not whole yet."""
        super().data_received(data)
        self._count()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)


class _Server(uvicorn.Server):
    """Leaves signals to who started it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None of them."""
        yield


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens; raises ``UsageError`` where it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # who is told the address may ask at once
    except OSError as error:
        raise UsageError(f"{host} port {port}: {reason(error)}; choose another --port") from None
    return listening


def serve(app: Any, listening: socket.socket, stop: threading.Event) -> None:
    """Answer until ``stop`` is set; what was begun is answered first."""
    server = _Server(
        uvicorn.Config(
            app, http=Impatient, ws="none", lifespan="off", log_level="warning", access_log=False,
            timeout_keep_alive=5, limit_concurrency=CONNECTIONS, timeout_graceful_shutdown=30,
            server_header=False,
        )
    )  # fmt: skip

    async def run() -> None:
        async def look() -> None:
            while not stop.is_set():
                await asyncio.sleep(LOOK)
            server.should_exit = True

        looking = asyncio.create_task(look())
        await server.serve(sockets=[listening])
        looking.cancel()

    asyncio.run(run())
