"""Options made of config fields: names, defaults, limits, choices and variables say the same."""

import importlib
from dataclasses import dataclass, fields
from pathlib import Path
from pkgutil import iter_modules

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from colorcli import config
from colorcli.cli import app
from colorcli.cli.options import configured
from colorcli.config import settings
from colorcli.config.calls import BatchConfig, EngineConfig, NamesConfig
from colorcli.config.evaluation import EvalConfig, VerdictConfig
from colorcli.config.exporting import ExportConfig
from colorcli.config.model import ModelConfig
from colorcli.config.predict import FilmConfig, HandConfig, PredictConfig, ScansConfig, WatchConfig
from colorcli.config.prepare import PrepareConfig
from colorcli.config.serving import ServeConfig
from colorcli.config.settings import value
from colorcli.config.training import TrainConfig, UprightConfig
from colorcli.data.sources.coco import Coco

COMMANDS = {name: late.command for name, late in get_command(app).commands.items()}
COMMANDS |= COMMANDS["prepare"].commands | COMMANDS["models"].commands
OF = {
    "predict": (
        NamesConfig,
        PredictConfig,
        BatchConfig,
        EngineConfig,
        ScansConfig,
        FilmConfig,
        WatchConfig,
        HandConfig,
    ),  # fmt: skip
    "folder": (NamesConfig, PrepareConfig, EngineConfig),
    "coco": (Coco, PrepareConfig, EngineConfig),
    "eval": (NamesConfig, EvalConfig, VerdictConfig),
    "export": (ExportConfig,),
    "serve": (ServeConfig,),
    "train": (TrainConfig,),
    "upright": (UprightConfig,),
}
RECORDS = [(command, record) for command, records in OF.items() for record in records]
IDS = [f"{command}-{record.__name__}" for command, record in RECORDS]


@pytest.mark.parametrize(("command", "record"), RECORDS, ids=IDS)
def test_every_field_is_an_option_that_says_what_it_may_be(command, record):
    context = COMMANDS[command].make_context(command, [], resilient_parsing=True)
    options = {option.name: option for option in COMMANDS[command].params}
    known = settings.settings(record)
    assert known
    for name, setting in known.items():
        option, limits = options[name], setting.limits
        assert option.help == limits["help"] and option.envvar == limits.get("environment")
        flag = "--" + limits.get("flag", name).replace("_", "-")
        assert {flag, limits.get("short")} - {None} == {*option.opts}
        if setting.type in (int, float) and "words" not in limits:
            assert (option.min, option.max) == (limits.get("least"), limits.get("most"))
        if "choices" in limits:
            assert "|".join(limits["choices"]) in option.get_help_record(context)[0]
        if command != "train" and isinstance(setting.default, int | float):
            assert option.default == setting.default


MODULES = [
    importlib.import_module(m.name) for m in iter_modules(config.__path__, "colorcli.config.")
]
EVERY = {
    r for module in MODULES for name, r in vars(module).items()
    if isinstance(r, type) and name.endswith("Config")
}  # fmt: skip


@pytest.mark.parametrize("record", sorted(EVERY, key=lambda record: record.__name__))
def test_every_config_of_the_command_line_is_some_commands(record):
    assert record in {r for records in OF.values() for r in records} | {ModelConfig}


@dataclass(frozen=True)
class Odd:
    """One field of each kind."""

    flag: bool = value(False, "F.", short="-f")
    count: int = value(3, "C.", least=1, most=9, environment="ODD_COUNT")
    share: float | None = value(None, "S.")
    side: int | None = value(None, "N.", words={"any": 0}, least=0, most=99)
    kind: str = value("a", "K. [default: whatever]", choices=("a", "b"))
    several: tuple[str, ...] = value((), "M.", flag="with", choices=("x", "y"))
    pair: tuple[Path, Path] | None = value(None, "P.", metavar="A B")
    hidden: int = 7


def given(*arguments: str, **environment: str):
    """What a command gets as its config, or its exception."""
    seen = []
    odd = typer.Typer()

    @odd.command()
    @configured(Odd, "odd")
    def _(odd: Odd) -> None:
        seen.append(odd)

    done = CliRunner().invoke(odd, arguments, env=environment)
    return seen[0] if seen else done


def test_nothing_given_is_the_config_as_it_stands():
    assert given() == Odd()


def test_each_kind_of_field_comes_as_its_type():
    got = given(
        "-f", "--share", "0.5", "--side", "64", "--kind", "b", "--with", "y", "--with", "x",
        "--pair", "a", "b", ODD_COUNT="5",
    )  # fmt: skip
    assert got == Odd(True, 5, 0.5, 64, "b", ("y", "x"), (Path("a"), Path("b")))
    assert all(type(getattr(got, f.name)) is not list for f in fields(Odd))
    assert given("--side", "any").side == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--side", "small"], "--side small: give a number, or any"),
        (["--side", "-3"], "--side -3: side must be at least 0 and at most 99, not -3"),
        (["--share", "inf"], "--share inf: give a finite number"),
        (["--share", "nan"], "--share nan: give a finite number"),
        (["--with", "z"], "--with z: unknown; known: x, y"),
    ],
)
def test_what_typer_cannot_check_is_refused_by_name(arguments, says):
    assert str(given(*arguments).exception) == says


@pytest.mark.parametrize(
    "arguments", [["--count", "10"], ["--kind", "c"], ["--hidden", "1"], ["--pair", "a"]]
)
def test_the_rest_is_the_parsers(arguments):
    assert given(*arguments).exit_code == 2


def test_a_suffix_taken_for_a_format_becomes_its_name():
    assert PredictConfig(format="jpg").format == "jpeg"
    assert PredictConfig(format="png").format == "png"
    assert PredictConfig().format is None


# --- values without pydantic ---------------------------------------------------------------------

GIVEN = (None, "", "x", "7", "-3", "0.5", "1e3", "07", "1_000", " 7", "7.0", "nan", 7, 0.5, True, "default",
         "auto", ("a", "b"), [], "jpeg", "150", "999999999999999999")  # fmt: skip


def said(way, option, value, context):
    """What a value becomes, with its type, or the words of the refusal."""
    try:
        made = way.coerce(value, param=option, ctx=context)
    except typer.BadParameter as error:
        return error.format_message()
    return type(made), repr(made)


@pytest.mark.parametrize("command", COMMANDS)
def test_values_are_taken_as_typer_takes_them(command):
    context = COMMANDS[command].make_context(command, [], resilient_parsing=True)
    for option in COMMANDS[command].get_params(context):
        ours, theirs = option.get_runtime_param(), type(option).get_runtime_param(option)
        for given in GIVEN:
            many = option.multiple or option.nargs == -1
            if isinstance(given, tuple | list) == many or given is None:
                wanted = said(theirs, option, given, context)
                assert said(ours, option, given, context) == wanted, (option.name, given)
