"""What ``predict`` tells of its results: lines, JSON, a log, and one line of all."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from colorcli.cli import terminal

if TYPE_CHECKING:
    from colorcli.colorizing.result import Result
    from colorcli.system.files.inputs import Found
    from colorcli.system.files.journal import Journal

NAMED = 20  # results that an interrupted run names


def _now() -> str:
    """The time as logs have it."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")


class Told:
    """What the user is told of each result, and what of all."""

    def __init__(self, found: Found, json: bool, quiet: bool, verbose: bool) -> None:
        self.json, self.quiet, self.verbose = json, quiet, verbose
        self.counts: dict[str, int] = {}
        self.log: Journal | None = None
        self._first: list[str] = []  # results to name; there may be a million
        self._others = found.others
        for path in found.results:
            self._left(path)

    def _count(self, status: str) -> None:
        self.counts[status] = self.counts.get(status, 0) + 1

    @property
    def tried(self) -> int:
        """Photographs that were worked on."""
        return sum(self.counts.get(status, 0) for status in ("done", "kept", "failed"))

    @property
    def _finished(self) -> int:
        return self.counts.get("done", 0) + self.counts.get("kept", 0)

    def _left(self, path: str) -> None:
        self._count("result")
        if self.verbose:
            terminal.say(f"colorize: {path}: left out, the result of an earlier run")

    def __call__(self, result: Result) -> None:
        """Tell of one."""
        if result.status == "result":
            self._left(result.input)
            return
        self._count(result.status)
        if result.error and result.status != "failed":
            self._count("short")
        finished = result.output is not None and result.status in ("done", "kept")
        if finished and len(self._first) < NAMED:
            self._first.append(result.output or "")
        if self.log:
            self.log.add(terminal.document({**terminal.plain(result), "time": _now()}))
        if self.json:
            terminal.emit(result)
        elif result.status == "planned":
            terminal.show(f"{result.input} -> {result.output}")
        for note in () if self.quiet else result.notes:
            terminal.say(f"colorize: {result.input}: {note}")
        if result.error:
            terminal.say(f"colorize: {result.error}")
        elif self.verbose:
            spent = "  ".join(f"{stage} {ms:.0f}" for stage, ms in result.milliseconds.items())
            terminal.say(
                f"colorize: {result.status}: {result.input} -> {result.output}"
                + (f"  {result.width} × {result.height}  ms: {spent}" if spent else "")
            )

    def kept(self, todo: int | None) -> str:
        """What an interrupted run leaves, by name."""
        names = ", ".join(self._first) + (", …" if self._finished > NAMED else "")
        of = "" if todo is None else f" of {todo}"
        count = f"{self._finished}{of} are finished and kept"
        return f"{count}: {names}" if names else count

    def summary(self, seconds: float) -> str | None:
        """One line; where there was one photograph, where it went. None where all is said."""
        counts, others = self.counts, self._others
        if counts == {"failed": 1}:
            return None
        if counts == {"done": 1} and not others:
            return self._first[0]
        parts = [f"{counts.get('done', 0)} coloured"]
        parts += [f"{counts[s]} {s}" for s in ("kept", "skipped", "failed") if counts.get(s)]
        if short := counts.get("short"):
            parts.append(f"{short} of them without all that was asked for beside")
        if results := counts.get("result"):
            parts.append(f"{results} earlier results left out (--again colours them)")
        if others:
            what = "file with another suffix" if others == 1 else "files with other suffixes"
            parts.append(f"{others} {what} left alone")
        count = self._finished
        rate = f", {count / seconds:.1f}/s" if count > 1 else ""
        return f"{', '.join(parts)} in {seconds:.1f} s{rate}"
