"""One file from the network, resumed where it broke off and checked before it gets its name.

The standard library's client (proxies from the environment, redirects, ``file:`` URLs) with what
it leaves out: ranges (RFC 9110, section 14) guarded by a validator, retries, size and checksum.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from colorcli import __version__
from colorcli.system import disk
from colorcli.system.errors import DataError, reason
from colorcli.system.lock import alone

Progress = Callable[..., None]
BLOCK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 5  # in a row that bring nothing new
PAUSE = 1.0  # seconds before the first retry, doubling
LONGEST_PAUSE = 60.0
PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP states that a later try may not meet


class _Broken(Exception):
    """The transfer stopped early; worth another try."""


class _Changed(Exception):
    """The bytes at hand belong to another version of the file; start over."""


def fetch(
    url: str,
    target: Path | str,
    *,
    sha256: str | None = None,
    md5: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
    pause: float | None = None,
) -> Path:
    """The file at ``url`` (http, https, file) as ``target``, whole and checked, or not at all.

    Bytes go to ``target.part``, which a later call resumes if the server's file has not changed.
    A ``target`` that has the size and checksum asked for is left alone; one that has not is
    replaced. ``md5`` is for publishers that give nothing better. ``progress`` is called with
    bytes. ``pause``: seconds before the first retry. Raises ``DataError`` with the URL and what to do.
    """
    target = Path(target)
    if not url.startswith(("http://", "https://", "file:")):
        raise DataError(f"{url}: not an http, https or file address")
    wait = PAUSE if pause is None else pause
    job = _Job(url, target, {"sha256": sha256, "md5": md5}, size)
    try:
        if target.is_dir():
            raise DataError(f"{target}: a folder is in the way of {url}; remove it")
        if target.is_file() and not job.fault(target):
            return target
        key = target.with_name(target.name + ".part.lock")
        with alone(key, target, "download", "wait for it, and repeat the command"):
            _obtain(job, progress, wait)
    except OSError as error:
        remedy = disk.remedy(error)
        raise DataError(f"{target}: cannot be written: {reason(error)}; {remedy}") from None
    return target


def _obtain(job: _Job, progress: Progress | None, wait: float) -> None:
    """Download, check, rename."""
    resumed = _download(job, progress, wait)
    fault = job.fault(job.part)
    if fault and resumed:  # two halves that do not fit: fetch it in one piece
        job.forget()
        _download(job, progress, wait)
        fault = job.fault(job.part)
    if fault:
        job.forget()
        raise DataError(f"{job.url}: {fault}; try again later, or {job.by_hand()}")
    with job.part.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(job.part, job.target)
    job.forget()


class _Job:
    """What is asked for, and the files that hold it meanwhile."""

    def __init__(
        self, url: str, target: Path, sums: dict[str, str | None], size: int | None
    ) -> None:
        self.url, self.target, self.size = url, target, size
        self.sums = {name: value.lower() for name, value in sums.items() if value}
        self.part = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")

    def fault(self, path: Path) -> str:
        """Why ``path`` is not the file asked for; empty when it is."""
        got = path.stat().st_size
        if self.size is not None and got != self.size:
            return f"has {got} bytes, not {self.size}"
        for algorithm, value in self.sums.items():
            if disk.digest(path, algorithm) != value:
                return f"has another {algorithm} checksum than {value}"
        return ""

    def by_hand(self) -> str:
        facts = [f"{self.size} bytes"] if self.size is not None else []
        facts += [f"{name} {value}" for name, value in self.sums.items()]
        told = f" ({', '.join(facts)})" if facts else ""
        return f"download it by hand and save it as {self.target}{told}"

    def begun(self) -> tuple[int, str]:
        """Bytes at hand, and the validator (ETag or date) of the file they belong to."""
        try:
            note = json.loads(self.note.read_text("utf-8"))
            if note["url"] == self.url:
                return self.part.stat().st_size, str(note["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        # Bytes of unknown origin are only trusted where a checksum will judge the whole.
        if self.sums and self.part.is_file():
            return self.part.stat().st_size, ""
        return 0, ""

    def remember(self, validator: str) -> None:
        self.note.write_text(json.dumps({"url": self.url, "validator": validator}), "utf-8")

    def forget(self) -> None:
        for path in (self.part, self.note):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _download(job: _Job, progress: Progress | None, pause: float) -> bool:
    """Fill ``job.part``, over as many connections as it takes; whether some of it was there."""
    failures, most = 0, 0
    while True:
        start, validator = job.begun()
        if start and start == job.size:
            return True
        if job.size is not None and start > job.size:
            job.forget()
            continue
        try:
            _transfer(job, start, validator, progress)
            return start > 0
        except _Changed:
            job.forget()
            failures += 1
            cause, wait = "the file changes while it is being read", 0.0
        except (_Broken, OSError, http.client.HTTPException) as error:
            wait = _judge(error, job)
            cause = reason(getattr(error, "reason", error) or error)
            reached = job.part.stat().st_size if job.part.is_file() else 0
            failures, most = (1 if reached > most else failures + 1), max(reached, most)
        if failures >= ATTEMPTS:
            raise DataError(
                f"{job.url}: {cause}; check the network and try again to resume, or {job.by_hand()}"
            )
        time.sleep(min(LONGEST_PAUSE, max(wait, pause * 2 ** (failures - 1))))


def _judge(error: Exception, job: _Job) -> float:
    """Seconds the server asks to wait; raises when another try cannot help."""
    if isinstance(error, urllib.error.HTTPError):
        if error.code not in PASSING:
            raise DataError(
                f"{job.url}: the server says {error.code} {error.reason}; check the address, or "
                f"{job.by_hand()}"
            ) from None
        asked = error.headers.get("Retry-After", "")
        return float(asked) if asked.isdecimal() else 0.0
    cause = getattr(error, "reason", error)
    final = isinstance(cause, ssl.SSLCertVerificationError) or job.url.startswith("file:")
    if final and not isinstance(error, _Broken):
        raise DataError(f"{job.url}: {reason(_plain(cause))}; {job.by_hand()}") from None
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
        raise error  # a local trouble, told by fetch()
    return 0.0


def _plain(cause: Any) -> BaseException:
    return cause if isinstance(cause, BaseException) else Exception(str(cause))


def _transfer(job: _Job, start: int, validator: str, progress: Progress | None) -> None:
    """One connection: append to the part file, or begin it anew if the server sends all of it."""
    request = urllib.request.Request(job.url, headers={
        "User-Agent": f"colorcli/{__version__}", "Accept-Encoding": "identity",
    })  # fmt: skip
    if start:
        request.add_header("Range", f"bytes={start}-")
        if validator:
            request.add_header("If-Range", validator)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if error.headers.get("Content-Range") == f"bytes */{start}":
            return  # all of it had come
        raise _Changed from None
    with response:
        partial = getattr(response, "status", None) == 206
        if partial and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise _Changed
        start = start if partial else 0
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        if job.size is not None and total is not None and total != job.size:
            if partial:
                raise _Changed
            raise DataError(
                f"{job.url}: the server offers {total} bytes, not {job.size}; check the address, "
                f"or {job.by_hand()}"
            )
        total = job.size if total is None else total
        disk.require_room(
            job.target.parent, (total or 0) - start, job.target.name,
            "free some space or choose another place",
        )  # fmt: skip
        etag = response.headers.get("ETag", "")
        strong = etag if etag and not etag.startswith("W/") else ""
        job.remember(strong or response.headers.get("Last-Modified", ""))
        with job.part.open("ab" if partial else "wb") as file:
            done = start
            if progress:
                progress(done, total or 0)
            while block := _read(response):
                file.write(block)
                done += len(block)
                if progress:
                    progress(done, total or 0)
                if job.size is not None and done > job.size:
                    raise DataError(
                        f"{job.url}: sends more than the {job.size} bytes it should have; check "
                        f"the address, or {job.by_hand()}"
                    )
    if total is not None and done < total:
        raise _Broken(f"broke off after {done} of {total} bytes")


def _read(response: Any) -> bytes:
    # read1 hands over what has arrived, so that a connection that breaks loses nothing.
    read = getattr(response, "read1", response.read)
    try:
        return read(BLOCK)
    except http.client.IncompleteRead as error:
        raise _Broken("broke off") from error
    except (TimeoutError, ConnectionError) as error:
        raise _Broken(f"broke off ({reason(error)})") from error
