"""Ways in which ``predict`` comes by results: here, as they arrive, or frames of a pipe."""

from __future__ import annotations

import contextlib
import gc
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

import typer

from colorcli.cli import terminal
from colorcli.system.errors import DataError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from threading import Event

    from colorcli.cli.running.telling import Told
    from colorcli.colorizing.colorizer import Colorizer
    from colorcli.colorizing.intake import Request
    from colorcli.colorizing.result import Result
    from colorcli.colorizing.tolerance import Tolerance
    from colorcli.config.predict import FilmConfig, PredictConfig
    from colorcli.extras.video.ways import Way
    from colorcli.system.files.outputs import Job

    Progress = Callable[..., None] | None


def raw(
    context: typer.Context, output: str, film: FilmConfig, config: PredictConfig,
    model: Callable[[], Colorizer],
) -> None:  # fmt: skip
    """Colour raw frames of stdin, as they come, into stdout or a file."""
    from colorcli.extras.video import raw
    from colorcli.extras.video.colouring import Means
    from colorcli.system.files.delivery import delivered, to_stdout
    from colorcli.system.parallel import Stopped, cores

    frames = raw.parsed(film.raw or "")
    if sys.stdin is None:
        raise DataError("-: stdin is closed; give raw frames")
    colorizer = model()
    _begin()
    with contextlib.suppress(Stopped), context.obj.deferred() as stop:
        means = Means(colorizer, film.steady, config.workers or cores(), stop)
        coloured = raw.Coloured(frames, sys.stdin.buffer, means, film.fps)
        if output == "-":
            to_stdout(coloured)
            return
        with delivered(output) as file:
            for data in coloured:
                file.write(data)


def _begin() -> None:
    """Collect garbage as usual from here on: what was loaded is none, what damaged files leave is."""
    gc.freeze()
    gc.set_threshold(2_000)


def _journal(path: str | None) -> Any:
    from colorcli.system.files.journal import journal

    return journal(path)


class Run(Protocol):
    """Photographs to colour. ``todo``: how many, as far as anybody knows."""

    todo: int | None
    piped: bool  # a picture goes down stdout
    slow: bool  # even of a single job there is progress to tell
    remark: str | None  # what else is to be said of a run, at its end
    endless: bool  # so that a signal is its good end

    @property
    def whole(self) -> bool:
        """Whether hours of work may be lost with a single job that is stopped."""

    def __call__(
        self, *, progress: Progress = None, stop: Event | None = None, drop: Event | None = None
    ) -> Iterator[Result]:
        """Colour them; see ``colorizing.predict.predict``."""


class Here:
    """Photographs coloured by this process; ``model`` is opened where there is something to do."""

    endless = False

    def __init__(
        self, jobs: Sequence[Job], way: Way, config: PredictConfig,
        model: Callable[[], Colorizer],
    ) -> None:  # fmt: skip
        self.todo: int | None = sum(job.todo for job in jobs)
        self.piped = any(job.target == "-" for job in jobs)
        self.remark: str | None = None
        self._jobs, self._config, self._model, self._way = jobs, config, model, way
        self.slow = self.todo == 1 and self.whole

    @property
    def whole(self) -> bool:
        """See ``Run``."""
        return any(self._way.is_long(job) for job in self._jobs)

    def __call__(
        self, *, progress: Progress = None, stop: Event | None = None, drop: Event | None = None
    ) -> Iterator[Result]:
        """See ``Run``."""
        model = self._model() if self.todo else None
        run = self._way.run(self._config)
        return run(self._jobs, model, progress=progress, stop=stop, drop=drop)


class Watched:
    """Photographs that arrive in folders, until a signal says stop."""

    endless, piped, slow, whole = True, False, False, False
    todo: int | None = None
    remark: str | None = None

    def __init__(
        self, request: Request, way: Way, config: PredictConfig, model: Callable[[], Colorizer],
        settle: float,
    ) -> None:  # fmt: skip
        self._request, self._config, self._model = request, config, model
        self._kinds, self._settle = way.kinds, settle

    def __call__(
        self, *, progress: Progress = None, stop: Event | None = None, drop: Event | None = None
    ) -> Iterator[Result]:
        """See ``Run``."""
        from colorcli.colorizing.watch import watch

        assert stop is not None
        return watch(
            self._request, self._model, self._config,
            kinds=self._kinds, stop=stop, settle=self._settle,
        )  # fmt: skip


def colour(
    context: typer.Context, run: Run, told: Told, log: str | None, tolerance: Tolerance | None
) -> None:
    """Colour, and tell of each and of all."""
    # A live line only where it cannot tear JSON on the same terminal.
    live = (
        (run.todo != 1 or run.slow)
        and not run.endless
        and not (told.json and sys.stdout is not None and sys.stdout.isatty())
    )
    began = time.monotonic()
    _begin()
    if run.endless and not told.quiet:
        terminal.say("colorize: watching; Ctrl-C ends it")
    try:
        with (
            _journal(log) as told.log,
            terminal.progress("colouring", told.quiet or not live) as bar,
            context.obj.deferred() as stop,
        ):
            for result in run(progress=bar, stop=stop, drop=context.obj.drop):
                told(result)
                if tolerance and tolerance.exceeded(told.counts.get("failed", 0), told.tried):
                    stop.set()
    except KeyboardInterrupt as error:
        if run.endless:
            _summed(told, began)
            raise typer.Exit from None
        anew = ", and begins a film anew" if run.whole else ""
        terminal.say(
            f"colorize: interrupted; {told.kept(run.todo)}; --skip-existing goes on from there{anew}"
        )
        raise typer.Exit(getattr(error, "exit_code", ExitCode.INTERRUPTED)) from None
    if run.remark and not told.quiet:
        terminal.say(f"colorize: {run.remark}")
    if not run.piped:
        _summed(told, began)
    if tolerance and tolerance.exceeded(told.counts.get("failed", 0), told.tried):
        terminal.say(
            f"colorize: stopped: more failed than --max-errors {tolerance.text}; "
            "--skip-existing goes on from there"
        )


def _summed(told: Told, began: float) -> None:
    """The line at the end of a run."""
    if not told.quiet and (line := told.summary(time.monotonic() - began)):
        terminal.say(f"colorize: {line}")
