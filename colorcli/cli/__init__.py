"""The ``colorize`` command: options, help, and the one place where errors become exit codes.

A command's module is imported when it is called. It imports its core function late, builds the
config, calls it and reports.
"""

from __future__ import annotations

import functools
import gc
import importlib
import io
import os
import sys
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from colorcli import __version__
from colorcli.cli import parsing, terminal
from colorcli.config.choices import SUMMARIES
from colorcli.system import native, signals
from colorcli.system.errors import ColorizeError, ExitCode, reason

# Modules that requirements-small.txt leaves out, and what brings them.
LARGE_PARTS = {"tensorflow": "tensorflow", "keras": "keras", "skimage": "scikit-image"}


# Which module's what makes each command: a function, or a Typer with commands of its own. In the
# order of the help: what most come for, then as work goes.
COMMANDS = {
    "predict": "predict:predict",
    "prepare": "prepare:app",
    "train": "train:train",
    "eval": "evaluate:evaluate",
    "export": "export:export",
    "serve": "serve:serve",
    "models": "models:app",
}


class Late(TyperCommand):
    """A command that is imported once it is called; its line in the help is known before."""

    def __init__(self, name: str) -> None:
        super().__init__(name, help=dict(SUMMARIES).get(name))

    @functools.cached_property
    def command(self) -> Any:
        """The command itself, with its options."""
        module, _, attribute = COMMANDS[str(self.name)].partition(":")
        found = getattr(importlib.import_module(f"colorcli.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            return get_command(found)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(self.name, cls=parsing.Command)(found)
        return get_command(alone)

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        """Parse for the command itself, which is the context's command."""
        return self.command.make_context(*arguments, **settings)


class Commands(TyperGroup):
    """Turns the core's errors into one stderr line and an exit code, for every command."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"commands": {name: Late(name) for name in COMMANDS}})

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, that of the help among them."""
        return parsing.plainly(super().get_params(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; bugs keep their traceback."""
        try:
            with signals.watch() as ctx.obj:
                return super().invoke(ctx)
        except ColorizeError as error:
            terminal.say(f"colorize: {error}")
            _abandon(sys.stdout)
            raise typer.Exit(error.exit_code) from None
        except ModuleNotFoundError as error:
            module = (error.name or "").partition(".")[0]
            if module not in LARGE_PARTS:
                raise
            terminal.say(
                f"colorize: {module} is not installed, and this needs it: a small installation colours "
                f"and judges only; pip install {' '.join(LARGE_PARTS.values())}"
            )
            raise typer.Exit(ExitCode.USAGE) from None
        except BrokenPipeError:  # the reader has gone: be quiet
            _abandon(sys.stdout)
            raise typer.Exit(128 + 13) from None
        except KeyboardInterrupt as error:
            terminal.say("colorize: interrupted; finished files are kept")
            raise typer.Exit(getattr(error, "exit_code", ExitCode.INTERRUPTED)) from None


def _refuse(error: typer.TyperException) -> None:
    """Say what is wrong with the command line and where help is; the help where there is none."""
    context, message = getattr(error, "ctx", None), error.format_message()
    if context is not None and message == context.get_help():
        typer.echo(message, err=True)
        return
    message = message.replace("Value error, ", "").rstrip(".")  # of the validator behind Typer
    command = "colorize" if context is None else context.command_path
    terminal.say(f"colorize: {message[0].lower()}{message[1:]}; see {command} --help")


def _abandon(stream: TextIO | None) -> None:
    """Leave nothing that could not be written for the interpreter to flush at its end."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=True, rich_markup_mode=None,
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _version(wanted: bool) -> None:
    if wanted:
        from colorcli.system import versions

        typer.echo(f"colorize {__version__}")
        for name, version in versions.versions().items():
            typer.echo(f"{name} {version or 'not installed'}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the versions.")
    ] = False,
) -> None:
    """Colorize grayscale photographs; train, judge and export colorizers."""


def main() -> None:
    """Run the command line of this process, and exit."""
    # Workers are ours to start; NumPy's own threads would stand in their way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for descriptor in (0, 1, 2):  # one closed by the caller must not become some file's
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    native.own_stderr()
    if isinstance(sys.stdout, io.TextIOWrapper):  # None where the caller closed it
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        sys.exit(app(prog_name="colorize", standalone_mode=False))
    except typer.TyperException as error:  # the parser's
        _refuse(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.filename is not None:
            raise
        # Help and versions are written by the parser; all else names what it could not write.
        terminal.say(f"colorize: stdout cannot be written: {reason(error)}")
        _abandon(sys.stdout)
        sys.exit(ExitCode.DATA)
    finally:
        _abandon(sys.stderr)
        gc.freeze()  # the interpreter's last look for garbage takes 0.1 s to find what ends anyway
