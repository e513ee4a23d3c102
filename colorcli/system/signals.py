"""Ctrl-C and its kin: stop in good order the first time, at once the second."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

from colorcli.system.atomic import discard_parts

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to stop; ``exit_code`` is the shell's 128 + number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class Interrupts:
    """What arrived. ``stop`` is set by the first signal, ``drop`` too unless it is SIGTERM.

    Schedulers send that one: they mean work to end in good order, what is in hand finished.
    Outside ``deferred()`` the signal also raises ``Interrupted`` in the main thread; inside, the
    code looks at both itself, so that it can finish and name what it has begun.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.drop = threading.Event()
        self.number: int | None = None
        self._deferring = False

    def _arrived(self, number: int, frame: Any) -> None:
        if self.number is not None:  # the second one: the user means now
            discard_parts()
            os._exit(128 + number)
        self.number = number
        if number != signal.SIGTERM:
            self.drop.set()
        self.stop.set()
        if not self._deferring:
            raise Interrupted(number)

    @contextlib.contextmanager
    def deferred(self) -> Iterator[threading.Event]:
        """Meanwhile a signal only sets the event; at the end ``Interrupted`` is raised for it."""
        self._deferring = True
        try:
            yield self.stop
        finally:
            self._deferring = False
        if self.number is not None:
            raise Interrupted(self.number)


@contextlib.contextmanager
def watch() -> Iterator[Interrupts]:
    """Handle the signals meanwhile; those that the parent had ignored (nohup, &) stay ignored."""
    interrupts = Interrupts()
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                previous[number] = signal.signal(number, interrupts._arrived)
    try:
        yield interrupts
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
