"""Print the manual page, from the program itself: the source of docs/colorize.1."""

from typing import Any

from commands import tree
from typer.main import get_command

from colorcli import __version__
from colorcli.cli import app
from colorcli.system.errors import ExitCode

ABOUT = """\
A compact network sees the lightness of a photograph and predicts its colours; the photograph keeps
its own lightness, at full resolution. A trained model is inside the package: no download, no GPU.

Only data goes to standard output: pictures, or JSON with --json. Messages and progress go to
standard error, progress only to a terminal. An output is whole or absent, and a file that cannot be
coloured costs no other file its result. Flags win over the environment, which wins over defaults."""

MEANINGS = {
    ExitCode.OK: "All done.",
    ExitCode.BUG: "A bug; please report it.",
    ExitCode.USAGE: "Usage: options or outputs that cannot be.",
    ExitCode.DATA: "Data: no input could be used, or a data set is damaged.",
    ExitCode.MODEL: "The model is missing or damaged.",
    ExitCode.PARTIAL: "Some files failed, or a bar of eval was missed; the rest is done.",
    ExitCode.INTERRUPTED: "Interrupted; finished files are kept and named.",
    141: "The reader of standard output or error has gone.",
    143: "Terminated; finished files are kept and named.",
}

HELP = "Of the program, or after the name of a command, of that command."

VARIABLES = {
    "COLORIZE_NATIVE_STDERR": "When set, native libraries may write to standard error themselves.",
    "NO_COLOR": "When set, no colours in the terminal.",
}

EXAMPLES = {
    "Colour every JPEG of a folder into another.": "colorize predict photos/*.jpg -o out/ --skip-existing",
    "In a pipe.": "cat old.jpg | colorize predict - > colour.png",
    "What find(1) finds, with a record of each result for jq(1).":
        "find . -name '*.jpg' -print0 | colorize predict --files-from - -0 -o out/ --skip-existing --json"
        " | jq -r .status",
    "Go on where an earlier run stopped.": "colorize predict scans/ -r -o out/ --skip-existing",
    "Train on photographs of your own; the same commands resume.":
        "colorize prepare folder photos/ -r -o data/ && colorize train data/ -o run/ --minutes 10",
    "Judge that model, and write it for a phone or a browser.":
        "colorize eval data/ -m run/ && colorize export -m run/ -o mine.tflite",
}  # fmt: skip


def escaped(text: str) -> str:
    """Text that roff prints as it is, in ASCII."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    text = "".join(c if ord(c) < 128 else f"\\[u{ord(c):04X}]" for c in text)
    return f"\\&{text}" if text.startswith(".") else text


def paragraphs(text: str) -> list[str]:
    """Lines of running text, a macro between paragraphs."""
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    return "\n.PP\n".join(map(escaped, parts)).split("\n")


def tagged(tag: str, text: str) -> list[str]:
    """A tagged paragraph; ``tag`` is roff already."""
    return [".TP", tag, escaped(" ".join(text.split()))]


def names(record: str) -> str:
    """The left half of a help record: names bold, what they take in italics."""
    flags, _, value = record.partition(" <")
    bold = ", ".join(f"\\fB{escaped(flag)}\\fR" for flag in flags.split(", "))
    return f"{bold} \\fI{escaped(value.rstrip('>'))}\\fR" if value else bold


def options(command: Any, context: Any) -> list[str]:
    """Arguments and options of a command, --help left out."""
    lines = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record and "--help" not in parameter.opts:
            lines += tagged(names(record[0]), record[1])
    return lines


def section(path: tuple[str, ...], command: Any) -> list[str]:
    """One command: how it is called, what it does, its arguments and options."""
    context = command.make_context(path[-1], [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f'.SS "colorize {" ".join(path)}"']
    lines += [f"\\fBcolorize {' '.join(path)}\\fR {escaped(usage)}", ".PP"]
    return lines + paragraphs(command.help) + options(command, context)


def variables() -> dict[str, str]:
    """What the environment sets: the options that read it, and a few more."""
    found: dict[str, str] = {}
    for _, command in tree():
        for parameter in command.params:
            if parameter.envvar:
                found[parameter.envvar] = f"Default of {parameter.opts[0]}."
    return found | VARIABLES


def page() -> str:
    """The whole page."""
    root = get_command(app)
    brief = root.help.rstrip(".")
    context = root.make_context("colorize", [], resilient_parsing=True)
    lines = [
        '.\\" Made by `make docs` from the program itself.',
        f'.TH COLORIZE 1 "" "colorcli {__version__}" "User Commands"',
        ".nh", ".ad l",
        ".SH NAME", f"colorize \\- {escaped(brief[0].lower() + brief[1:])}",
        ".SH SYNOPSIS", "\\fBcolorize\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]",
        ".PP", "\\fBcolorize\\fR [\\fB\\-\\-version\\fR] [\\fB\\-\\-help\\fR]",
        ".SH DESCRIPTION", *paragraphs(ABOUT),
        ".SH OPTIONS", *options(root, context), *tagged("\\fB\\-h\\fR, \\fB\\-\\-help\\fR", HELP),
        ".SH COMMANDS",
    ]  # fmt: skip
    for path, command in tree():
        lines += section(path, command)
    lines.append(".SH EXIT STATUS")
    for code in sorted({*ExitCode, *MEANINGS}):
        lines += tagged(f"\\fB{int(code)}\\fR", MEANINGS[code])
    lines.append(".SH ENVIRONMENT")
    for name, meaning in variables().items():
        lines += tagged(f"\\fB{name}\\fR", meaning)
    lines.append(".SH EXAMPLES")
    for title, example in EXAMPLES.items():
        lines += [".PP", escaped(title), ".PP", ".in +4n", ".EX", escaped(example), ".EE", ".in"]
    lines += [".SH SEE ALSO", ".BR exiftool (1),", ".BR find (1),", ".BR jq (1)"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
