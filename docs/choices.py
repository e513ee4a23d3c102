"""Print colorcli/config/choices.py: the names in the project's tables, for a command line that loads none."""

import sys
from types import ModuleType

# The tables' modules read the choices in passing: with none here, whatever the file holds at
# present (half a merge, nothing) does not count.
blank = ModuleType("colorcli.config.choices")
vars(blank)["__getattr__"] = lambda name: ()
sys.modules[blank.__name__] = blank

from colorcli import cli  # noqa: E402
from colorcli.evaluation import metrics, protocols  # noqa: E402
from colorcli.exporting import formats, signatures  # noqa: E402
from colorcli.exporting.formats.table import FORMATS, MODULES  # noqa: E402
from colorcli.imaging import writing  # noqa: E402
from colorcli.network import backbones, losses, runtimes  # noqa: E402
from colorcli.training import step  # noqa: E402

HEAD = '"""What options may be. Made by `make docs` from the tables that hold it: edit those."""\n'
WIDTH = 100

CHOICES = {
    "BACKBONE_NAMES": backbones.BACKBONES,
    "LOSS_NAMES": losses.LOSSES,
    "OPTIMIZER_NAMES": step.OPTIMIZERS,
    "DEVICES": runtimes.ENGINES,
    "IMAGE_FORMATS": writing.FORMATS,
    "GRAYS": protocols.GRAYS,
    "PERCEPTUAL_METRICS": metrics.OPTIONAL,
    "EXPORT_FORMATS": FORMATS,
    "EXPORT_SIGNATURES": signatures.SIGNATURES,
    "EXPORT_PRECISIONS": [p for f in FORMATS.values() for p in f.precisions],
}
# Suffixes that many take for a format's name, with that name.
ALIASES = {
    suffix: name
    for name, format in writing.FORMATS.items()
    if (suffix := format.suffixes[0].removeprefix(".")) != name
}

# What opens exported models that colour pictures, by suffix.
EXPORTED = {f.suffix: f"{formats.__name__}.{m}" for m, f in MODULES.items() if f.engine}
# What the help says of each command in a line.
SUMMARIES = {name: cli.Late(name).command.get_short_help_str(limit=WIDTH) for name in cli.COMMANDS}


def quoted(text: str) -> str:
    """A name as the style of the project spells it."""
    assert text.isprintable() and not {'"', "\\"} & {*text}
    return f'"{text}"'


def assigned(name: str, items: list[str], brackets: str) -> str:
    """An assignment, on one line where it fits."""
    comma = "," if brackets == "()" and len(items) == 1 else ""
    line = f"{name} = {brackets[0]}{', '.join(items)}{comma}{brackets[1]}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name} = {brackets[0]}", *(f"    {item}," for item in items), brackets[1]])


if __name__ == "__main__":
    print(HEAD)
    for name, table in CHOICES.items():
        print(assigned(name, [quoted(key) for key in dict.fromkeys(table)], "()"))
    for name, table in {
        "FORMAT_ALIASES": ALIASES,
        "EXPORTED": EXPORTED,
        "SUMMARIES": SUMMARIES,
    }.items():
        pairs = [f"{quoted(key)}: {quoted(value)}" for key, value in table.items()]
        print(assigned(name, pairs, "{}"))
