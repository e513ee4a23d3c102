"""Errors a user can meet, and the exit codes they become.

The core raises these with the path and the remedy in one line; the command line prints that line
on stderr. Anything else that escapes is a bug and keeps its traceback.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes of every ``colorize`` command."""

    OK = 0
    BUG = 1
    USAGE = 2
    DATA = 3
    MODEL = 4
    PARTIAL = 5
    INTERRUPTED = 130


class ColorizeError(Exception):
    """One line for the user: what is wrong, with which file, and what to do."""

    exit_code = ExitCode.BUG


class UsageError(ColorizeError):
    """The options contradict each other or the outputs they ask for cannot be had."""

    exit_code = ExitCode.USAGE


class DataError(ColorizeError):
    """A picture, an annotation file or a prepared data set cannot be read or written."""

    exit_code = ExitCode.DATA


class ImageError(DataError):
    """One picture cannot be read; other pictures are not affected."""


class ModelError(ColorizeError):
    """A model folder is missing, damaged or does not fit."""

    exit_code = ExitCode.MODEL


_HELD = (32, 33)  # Windows: sharing and lock violation


def reason(error: BaseException) -> str:
    """The plain one-line cause of ``error``, without its file name or errno number."""
    if getattr(error, "winerror", None) in _HELD:
        return "another program holds it open; close it there"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
