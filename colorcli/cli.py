"""The ``colorize`` command: options, help, and the one place where errors become exit codes.

A command imports its core function late, builds the config, calls it and reports.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import inspect
import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer
from typer.core import TyperGroup

from colorcli import __version__, interrupt, native, report, settings
from colorcli.config import (
    CONTINUING,
    DEVICES,
    EXPORT_FORMATS,
    EXPORT_PRECISIONS,
    EXPORT_SIGNATURES,
    GRAYS,
    IMAGE_FORMATS,
    PERCEPTUAL_METRICS,
    PRESETS,
    VIVID,
    EvalConfig,
    ExportConfig,
    Knobs,
    PrepareConfig,
    TrainConfig,
)
from colorcli.errors import ColorizeError, ExitCode, ModelError, UsageError

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too

if TYPE_CHECKING:  # a checker cannot read choices from a table
    ImageFormat = str
    Device = str
    Gray = str
    Preset = str
    ExportFormat = str
    ExportPrecision = str
    ExportSignature = str
else:
    ImageFormat = Literal[IMAGE_FORMATS]
    Device = Literal[DEVICES]
    Gray = Literal[GRAYS]
    Preset = Literal[tuple(PRESETS)]
    ExportFormat = Literal[EXPORT_FORMATS]
    ExportPrecision = Literal[EXPORT_PRECISIONS]
    ExportSignature = Literal[EXPORT_SIGNATURES]


class Commands(TyperGroup):
    """Turns the core's errors into one stderr line and an exit code, for every command."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the help: what most come for, then as work goes."""
        first = ("predict", "prepare")  # Typer puts groups last
        return [*first, *(name for name in super().list_commands(ctx) if name not in first)]

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; bugs keep their traceback."""
        try:
            with interrupt.watch() as ctx.obj:
                return super().invoke(ctx)
        except ColorizeError as error:
            report.say(f"colorize: {error}")
            _abandon_stdout()
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:  # the reader has gone: be quiet
            _abandon_stdout()
            raise typer.Exit(128 + 13) from None
        except KeyboardInterrupt as error:
            report.say("colorize: interrupted; finished files are kept")
            raise typer.Exit(getattr(error, "exit_code", ExitCode.INTERRUPTED)) from None


def _abandon_stdout() -> None:
    """Leave nothing that could not be written for the interpreter to flush at its end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=True, rich_markup_mode=None,
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip
prepare_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Turn photographs into training shards."
)
app.add_typer(prepare_app, name="prepare")


def _version(wanted: bool) -> None:
    if wanted:
        from colorcli import runtimes

        typer.echo(f"colorize {__version__}")
        for name, version in runtimes.versions().items():
            typer.echo(f"{name} {version or 'not installed'}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the versions.")
    ] = False,
) -> None:
    """Colorize grayscale photographs; train, judge and export colorizers."""


def _models(incomplete: str) -> Iterable[str]:
    root = Path(__file__).parent / "models"
    return sorted(p.name for p in root.iterdir() if p.is_dir() and p.name.startswith(incomplete))


Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", envvar="COLORIZE_MODEL", autocompletion=_models,
        help="Bundled model name, model folder, training run or exported file.",
    ),
]  # fmt: skip
Temperature = Annotated[
    Optional[float],
    typer.Option(
        envvar="COLORIZE_TEMPERATURE", show_default=False,
        help=f"Annealed mean: 1 mean, lower more decided. [default: {VIVID[0]}]",
    ),
]  # fmt: skip
Vividness = Annotated[
    Optional[float],
    typer.Option(
        envvar="COLORIZE_VIVIDNESS", show_default=False,
        help=f"Prior correction: 0 off, 0.45 vivid. [default: {VIVID[1]}]",
    ),
]  # fmt: skip
Saturation = Annotated[
    float, typer.Option(envvar="COLORIZE_SATURATION", help="Factor on the predicted chroma.")
]
FlipAverage = Annotated[
    bool,
    typer.Option(
        "--flip-average", envvar="COLORIZE_FLIP_AVERAGE",
        help="Average with the mirrored picture's colours; twice the network's time.",
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Look into sub-folders too.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
FilesFrom = Annotated[
    Optional[str], typer.Option(help="Read names from this file, or - for stdin.")
]
Nul = Annotated[bool, typer.Option("--null", "-0", help="Those names end in NUL.")]


def _listed(files_from: Optional[str], nul: bool) -> Iterable[str]:
    """Names of ``--files-from``, as they come."""
    if files_from is None:
        return ()
    from colorcli.listing import read_names

    return read_names(files_from, nul)


@app.command()
def predict(
    context: typer.Context,
    inputs: Annotated[
        Optional[list[str]],
        typer.Argument(
            help="Photographs, folders, quoted globs (** too), or - for stdin.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Optional[str],
        typer.Option(
            "--output",
            "-o",
            help="Folder, file, - for stdout, or a name with {stem} {ext} {dir} {model} {index}. "
            "[default: NAME-color.EXT beside each photograph]",
        ),
    ] = None,
    recursive: Recursive = False,
    files_from: FilesFrom = None,
    nul: Nul = False,
    model: Model = "default",
    temperature: Temperature = Knobs.temperature,
    vividness: Vividness = Knobs.vividness,
    saturation: Saturation = Knobs.saturation,
    flip_average: FlipAverage = Knobs.flip_average,
    keep_color: Annotated[
        bool, typer.Option("--keep-color", help="Pass on what is in colour already, unchanged.")
    ] = False,
    format: Annotated[
        Optional[ImageFormat],
        typer.Option(help="Format of the outputs. [default: by suffix]", show_default=False),
    ] = None,
    quality: Annotated[
        Optional[int], typer.Option(min=1, max=100, help="Of lossy formats.")
    ] = None,
    strip: Annotated[
        bool, typer.Option("--strip", help="Leave EXIF, XMP, IPTC and DPI out.")
    ] = False,
    overwrite: Overwrite = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave existing outputs; resumes a run.")
    ] = False,
    workers: Annotated[
        int,
        typer.Option(
            min=0, envvar="COLORIZE_WORKERS", help="Photographs at once; 0: one for each core."
        ),
    ] = 0,
    device: Annotated[
        Device,
        typer.Option(envvar="COLORIZE_DEVICE", help="What runs the network."),
    ] = "auto",
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = 512,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name each result.")] = False,
) -> None:
    """Colour photographs at full resolution."""
    if not inputs and files_from is None:
        raise UsageError("no photographs given; name files, folders or globs, or - for stdin")
    if overwrite and skip_existing:
        raise UsageError("--overwrite and --skip-existing contradict each other")
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other")
    if files_from == "-" and "-" in (inputs or []):
        raise UsageError("stdin cannot be both a photograph and the list of --files-from")
    from colorcli import images
    from colorcli.files import STREAM, find, is_special, output_folder, plan
    from colorcli.predict import Output, Result, suffix_for
    from colorcli.predict import predict as run

    found = find(
        inputs or [], images.READABLE, listed=_listed(files_from, nul), recursive=recursive,
        leave_out=output_folder(output),
    )  # fmt: skip
    jobs = plan(
        found.entries, output, suffix=suffix_for(format), copies=images.READABLE,
        model=Path(model).name, overwrite=overwrite, skip_existing=skip_existing,
    )  # fmt: skip
    if format is not None:
        images.format_of(f"--format {suffix_for(format)}")
    else:
        for job in jobs:
            unknown = job.todo and os.path.splitext(job.target)[1].lower() not in images.SUFFIXES
            if unknown and job.target != STREAM and not is_special(job.target):
                images.format_of(job.target)  # raises, with what is known
    piped = any(job.target == STREAM for job in jobs)
    if piped and json:
        raise UsageError("--json and a picture cannot share stdout; give -o FILE")
    todo = sum(job.todo for job in jobs)
    counts: dict[str, int] = {}
    finished: list[str] = []

    def tell(result: Result) -> None:
        counts[result.status] = counts.get(result.status, 0) + 1
        if result.output is not None and result.status in ("done", "kept"):
            finished.append(result.output)
        if json:
            report.emit(result)
        elif result.status == "planned":
            report.show(f"{result.input} -> {result.output}")
        if result.error:
            report.say(f"colorize: {result.error}")
        elif verbose:
            spent = "  ".join(f"{stage} {ms:.0f}" for stage, ms in result.milliseconds.items())
            report.say(
                f"colorize: {result.status}: {result.input} -> {result.output}"
                + (f"  {result.width} × {result.height}  ms: {spent}" if spent else "")
            )

    for path in found.results if verbose else ():
        report.say(f"colorize: {path}: left out, the result of an earlier run")
    if dry_run:
        for job in jobs:
            source, target = job.source, job.target
            if source.error:
                tell(Result(source.path, None, "failed", error=f"{source.path}: {source.error}"))
            else:
                tell(Result(source.path, target, "skipped" if job.skip else "planned"))
    else:
        colorizer = None
        if todo:
            from colorcli.colorizer import Colorizer

            knobs = Knobs(temperature, vividness, saturation, flip_average)
            colorizer = Colorizer(model, knobs, device=device)
        options = Output(format, quality, max_megapixels * 1_000_000, strip, keep_color)
        # A live line only where it cannot tear JSON on the same terminal.
        live = todo > 1 and not (json and sys.stdout is not None and sys.stdout.isatty())
        began = time.monotonic()
        try:
            with (
                report.progress("colouring", quiet or not live) as bar,
                context.obj.deferred() as stop,
            ):
                for result in run(
                    jobs, colorizer, options, workers=workers, progress=bar, stop=stop
                ):
                    tell(result)
        except KeyboardInterrupt as error:
            names = ", ".join(finished[:20]) + (", …" if len(finished) > 20 else "")
            report.say(
                f"colorize: interrupted; {len(finished)} of {todo} are finished and kept"
                + (f": {names}" if names else "")
                + "; --skip-existing goes on from there"
            )
            raise typer.Exit(getattr(error, "exit_code", ExitCode.INTERRUPTED)) from None
        if not quiet and not piped:
            _summary(counts, finished, len(found.results), time.monotonic() - began)
    if counts.get("failed"):
        others = sum(counts.values()) - counts["failed"]
        raise typer.Exit(ExitCode.PARTIAL if others else ExitCode.DATA)


def _summary(counts: dict[str, int], finished: list[str], results: int, seconds: float) -> None:
    """One line on stderr; where there was one photograph, where it went."""
    if counts == {"failed": 1}:  # said already
        return
    if counts == {"done": 1}:
        report.say(f"colorize: {finished[0]}")
        return
    parts = [f"{counts.get('done', 0)} coloured"]
    parts += [f"{counts[s]} {s}" for s in ("kept", "skipped", "failed") if counts.get(s)]
    if results:
        parts.append(f"{results} earlier results left out")
    rate = f", {len(finished) / seconds:.1f}/s" if len(finished) > 1 else ""
    report.say(f"colorize: {', '.join(parts)} in {seconds:.1f} s{rate}")


def _prepare(
    paths: Iterable[str],
    output: str,
    config: PrepareConfig,
    source: dict[str, Any],
    json: bool,
    quiet: bool,
    missing: tuple[str, ...] = (),
) -> None:
    from colorcli.prepare import prepare

    with report.progress("preparing", quiet) as bar:
        result = prepare(paths, output, config, source=source, missing=missing, progress=bar)
    for entry in result.broken:
        report.say(f"colorize: {entry['path']}: left out: {entry['reason']}")
    if json:
        report.emit(result)
    elif not quiet:
        if config.val_fraction and not result.counts["val"]:
            report.say(f"colorize: {output}: no photograph fell to validation; try --val-fraction")
        dropped = "".join(f", {count} {why}" for why, count in result.dropped.items())
        resumed = f" ({result.resumed} of them done before)" if result.resumed else ""
        report.say(
            f"colorize: {output}: {result.counts['train']} to train, {result.counts['val']} to "
            f"validate{dropped}{resumed}; {result.bytes / 1e6:.0f} MB; left out: {result.report}"
        )


Output = Annotated[str, typer.Option("--output", "-o", help="Folder to make.", show_default=False)]
Limit = Annotated[int, typer.Option(min=0, help="At most this many, by chance; 0: all.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]


def _extended(
    command: Any,
    options: list[inspect.Parameter],
    name: str,
    build: Callable[[dict[str, Any]], Any],
) -> Any:
    """A command with more options, whose values ``build`` makes into its argument ``name``."""

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        values = {option.name: arguments.pop(option.name) for option in options}
        command(**arguments, **{name: build(values)})

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != name
    ]
    signature = inspect.Signature([*own, *options])
    vars(run).update(__signature__=signature)
    run.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
    return run


def _preparing(command: Any) -> Any:
    """Decorator: a command with the options of preparation, given as ``config``."""
    options = {
        "size": Annotated[
            int, typer.Option(min=32, help="Short side of the stored pictures, in pixels.")
        ],
        "min_side": Annotated[
            int, typer.Option(min=1, help="Leave out pictures with a shorter side.")
        ],
        "min_chroma": Annotated[
            float, typer.Option(min=0, help="Mean chroma below which one is gray.")
        ],
        "min_spread": Annotated[
            float,
            typer.Option(
                min=0, help="Spread of colours below which one of a single hue is toned (sepia)."
            ),
        ],
        "duplicate_distance": Annotated[
            int,
            typer.Option(
                min=-1, max=16,
                help="Bits of 64 in which copies may differ; -1: only equal files are copies.",
            ),
        ],
        "val_fraction": Annotated[
            float, typer.Option(min=0, max=1, help="Share kept for validation.")
        ],
        "limit": Limit,
        "seed": Seed,
        "workers": Annotated[int, typer.Option(min=0, help="Processes; 0: one for each core.")],
    }  # fmt: skip
    parameters = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation,
            default=getattr(PrepareConfig, name),
        )
        for name, annotation in options.items()
    ]  # fmt: skip
    return _extended(command, parameters, "config", lambda values: PrepareConfig(**values))


@prepare_app.command("folder")
@_preparing
def prepare_folder(
    output: Output,
    inputs: Annotated[
        Optional[list[str]],
        typer.Argument(help="Photographs, folders or globs.", show_default=False),
    ] = None,
    recursive: Recursive = False,
    files_from: FilesFrom = None,
    nul: Nul = False,
    json: Json = False,
    quiet: Quiet = False,
    *,
    config: PrepareConfig,
) -> None:
    """Any photographs: files, folders, globs. The same command resumes."""
    if not inputs and files_from is None:
        raise UsageError("no photographs given; name files, folders or globs, or --files-from")
    from colorcli import images
    from colorcli.files import stream

    failures = 0

    def names() -> Iterable[str]:
        nonlocal failures
        listed = _listed(files_from, nul)
        for source in stream(inputs or [], images.READABLE, listed=listed, recursive=recursive):
            if source.error:
                failures += 1
                report.say(f"colorize: {source.path}: {source.error}")
            else:
                yield source.path

    source = {"kind": "folder", "inputs": inputs or [], "files_from": files_from}
    _prepare(names(), output, config, source, json, quiet)
    if failures:
        raise typer.Exit(ExitCode.PARTIAL)


@contextlib.contextmanager
def _bytes_bar(label: str, quiet: bool) -> Iterator[Any]:
    """A progress bar in megabytes for a core function that counts bytes."""
    with report.progress(f"{label} (MB)", quiet) as bar:
        yield bar and (lambda done, total: bar(round(done / 1e6), round(total / 1e6)))


@prepare_app.command("coco")
@_preparing
def prepare_coco(
    output: Output,
    root: Annotated[str, typer.Option(help="Holds SPLIT/ and annotations/.")] = ".",
    split: Annotated[
        str, typer.Option(help="Folder of photographs below the root: train2017, val2017, yours.")
    ] = "train2017",
    annotations: Annotated[
        Optional[str], typer.Option(help="[default: ROOT/annotations/instances_SPLIT.json]")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch and unpack what the root lacks; resumes.")
    ] = False,
    remove_archives: Annotated[
        bool, typer.Option("--remove-archives", help="Delete each archive once it is unpacked.")
    ] = False,
    base_url: Annotated[
        Optional[str],
        typer.Option(envvar="COLORIZE_COCO_URL", help="Mirror with zips/ and annotations/."),
    ] = None,
    category: Annotated[str, typer.Option(help="Only these, by name or id: person,dog")] = "",
    match: Annotated[
        Literal["any", "all"], typer.Option(help="Show any, or all, of those categories.")
    ] = "any",
    ignore_crowds: Annotated[
        bool, typer.Option("--ignore-crowds", help="A crowd (iscrowd) shows no category.")
    ] = False,
    license: Annotated[
        str, typer.Option(help="Only photographs under these licence ids: 4,5")
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
    *,
    config: PrepareConfig,
) -> None:
    """COCO: photographs that an annotation file names. The same command resumes."""
    licenses = _items(license)
    if not all(item.isdecimal() for item in licenses):
        raise UsageError(f"--license {license}: licences are named by their ids, such as 4,5")
    from colorcli import coco

    if download:
        coco.obtain(
            root, split, base_url=base_url or coco.BASE_URL, keep=not remove_archives,
            progress=lambda label: _bytes_bar(label, quiet),
        )  # fmt: skip
    chosen = coco.select(
        annotations or f"{root}/annotations/instances_{split}.json", Path(root) / split,
        coco.Filter(_items(category), match, not ignore_crowds, tuple(map(int, licenses))),
    )  # fmt: skip
    if chosen.missing:
        report.say(
            f"colorize: {len(chosen.missing)} photographs are not on disk, e.g. {chosen.missing[0]}"
        )
    source = {
        "kind": "coco", "split": split, "category": category, "match": match,
        "ignore_crowds": ignore_crowds, "license": license,
    }  # fmt: skip
    _prepare(chosen.paths, output, config, source, json, quiet, chosen.missing)


def _items(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())


def _configurable(config: type) -> Any:
    """Decorator: a command with an option for each setting of ``config``, given as ``values``.

    ``values`` holds what the user gave, by name, as text or number for ``settings.parse``.
    """

    def option(setting: settings.Setting) -> inspect.Parameter:
        limits, kind = setting.limits, setting.type if setting.type in (int, float) else str
        bounds: dict[str, Any] = {}
        if kind is not str:
            bounds = {"min": limits.get("least"), "max": limits.get("most")}
        if "choices" in limits:
            kind = Literal[tuple(limits["choices"])]
        about = typer.Option(help=limits["help"], show_default=False, **bounds)
        return inspect.Parameter(
            setting.name, inspect.Parameter.KEYWORD_ONLY, default=None,
            annotation=Annotated[Optional[kind], about],
        )  # fmt: skip

    options = [option(setting) for setting in settings.settings(config).values()]

    def given(values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value is not None}

    return lambda command: _extended(command, options, "values", given)


def _layered(preset: TrainConfig, file: Optional[str], values: dict[str, Any]) -> TrainConfig:
    """The preset, over it a file's values, over them the flags'."""
    known, chosen = settings.settings(TrainConfig), preset
    if file is not None:
        chosen = settings.read(file, chosen)
    for name, text in values.items():
        value = settings.parse(known[name], text) if isinstance(text, str) else text
        flag = f"--{name.replace('_', '-')}"
        chosen = settings.overridden(chosen, {name: value}, flag)
    return chosen


@app.command()
@_configurable(TrainConfig)
def train(
    context: typer.Context,
    data: Annotated[
        Optional[str], typer.Argument(help="Prepared folder.", show_default=False)
    ] = None,
    output: Annotated[
        Optional[str],
        typer.Option("--output", "-o", help="Run folder; resumes what it holds."),
    ] = None,
    preset: Annotated[
        Preset,
        typer.Option(help="Where values not given come from."),
    ] = "default",
    config: Annotated[
        Optional[str], typer.Option(help="TOML file of values; flags come before it.")
    ] = None,
    validation: Annotated[
        Optional[str], typer.Option("--val", help="Prepared folder whose val split judges.")
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print all values as TOML and stop.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    *,
    values: dict[str, Any],
) -> None:
    """Train a model on a prepared data set; the same command resumes."""
    chosen = _layered(PRESETS[preset], config, values)
    if preset in CONTINUING:
        from colorcli.model_dir import architecture

        model = architecture(chosen.init) or chosen.model
        chosen = _layered(dataclasses.replace(PRESETS[preset], model=model), config, values)
    if print_config:
        typer.echo(settings.write(chosen), nl=False)
        return
    if data is None or output is None:
        raise UsageError("train needs a prepared folder and -o RUN; see colorize train --help")
    from colorcli import dataset

    loaded = dataset.load(data)
    judges = dataset.load(validation) if validation else None
    native.tensorflow()
    from colorcli import devices

    strategy = devices.strategy()
    from colorcli.train import train as run

    try:
        with context.obj.deferred() as stop, report.progress("training", quiet) as bar:
            result = run(
                loaded, output, chosen, validation=judges, strategy=strategy,
                stop=stop.is_set, progress=None if quiet else _shown(bar),
            )  # fmt: skip
    except KeyboardInterrupt as error:
        if json:
            report.emit(result)
        report.say(
            f"colorize: {output}: stopped at step {result.steps}, saved; "
            "repeat the command to go on"
        )
        raise typer.Exit(getattr(error, "exit_code", ExitCode.INTERRUPTED)) from None
    if json:
        report.emit(result)
    elif not quiet:
        report.say(
            f"colorize: {result.folder}: {result.steps} steps, {result.minutes:.1f} minutes, "
            f"{result.images_per_second:.0f} images/s, {result.gain:+.2f} dB over gray on validation"
        )


def _shown(bar: Optional[report.Progress]) -> report.Progress:
    """How a run reports: into the live display, or, where there is none, a line a judgement."""

    def tell(done: int, total: int, step: int = 0, judged: bool = False, **values: float) -> None:
        if bar:
            bar(
                done,
                total,
                **{k.replace("images_per_second", "images/s"): v for k, v in values.items()},
            )
        elif judged:
            text = "".join(f", {name} {value:.4g}" for name, value in values.items())
            report.say(f"colorize: step {step} ({done} of {total}){text}")

    return tell


@app.command("eval")
def evaluate(
    inputs: Annotated[
        Optional[list[str]],
        typer.Argument(
            help="Colour photographs, folders, globs, or a prepared folder.", show_default=False
        ),
    ] = None,
    recursive: Recursive = False,
    files_from: FilesFrom = None,
    nul: Nul = False,
    coco: Annotated[
        Optional[Path], typer.Option(help="COCO folder: holds SPLIT/ and annotations/.")
    ] = None,
    split: Annotated[
        Optional[str],
        typer.Option(help="Of COCO or a prepared folder. [default: val2017, val]"),
    ] = None,
    annotations: Annotated[
        Optional[str], typer.Option(help="[default: COCO/annotations/instances_SPLIT.json]")
    ] = None,
    category: Annotated[str, typer.Option(help="COCO: only these, by name or id: person,dog")] = "",
    pairs: Annotated[
        Optional[tuple[Path, Path]],
        typer.Option(
            metavar="TRUTH COLOURED",
            show_default=False,
            help="Judge another tool's output: two folders with the same names.",
        ),
    ] = None,
    model: Annotated[
        Optional[list[str]],
        typer.Option(
            "--model",
            "-m",
            autocompletion=_models,
            show_default=False,
            help="Model name, folder, run or exported file; repeat to compare. "
            "[default: COLORIZE_MODEL, default]",
        ),
    ] = None,
    temperature: Temperature = Knobs.temperature,
    vividness: Vividness = Knobs.vividness,
    saturation: Saturation = Knobs.saturation,
    flip_average: FlipAverage = Knobs.flip_average,
    protocol: Annotated[
        Optional[str],
        typer.Option(
            help=f"squash-SIZE, crop-SIZE or native. [default: {EvalConfig.protocol}-{EvalConfig.size}]",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        Optional[int],
        typer.Option(min=32, help="Side of the judged square.", show_default=False),
    ] = None,
    gray: Annotated[
        Gray,
        typer.Option(help="Gray that is coloured: L of Lab, or BT.601 luma."),
    ] = EvalConfig.gray,
    perceptual: Annotated[
        Optional[list[str]],  # Typer knows no list of choices
        typer.Option(
            "--with",
            autocompletion=lambda incomplete: [
                name for name in PERCEPTUAL_METRICS if name.startswith(incomplete)
            ],
            metavar=f"[{'|'.join(PERCEPTUAL_METRICS)}]",
            show_default=False,
            help="Judge by this too; needs colorcli[perceptual].",
        ),
    ] = None,
    limit: Limit = 0,
    seed: Seed = EvalConfig.seed,
    workers: Annotated[
        int, typer.Option(min=0, envvar="COLORIZE_WORKERS", help="Threads; 0: one for each core.")
    ] = EvalConfig.workers,
    per_image: Annotated[
        Optional[Path], typer.Option(help="Every picture's figures: FILE.csv or FILE.jsonl.")
    ] = None,
    panels: Annotated[
        Optional[Path], typer.Option(help="Folder for gray, predicted, truth side by side.")
    ] = None,
    report_page: Annotated[
        Optional[Path], typer.Option("--report", help="One HTML page with everything.")
    ] = None,
    fail_under: Annotated[
        Optional[list[str]],
        typer.Option(metavar="METRIC=VALUE", help="Exit 5 below it.", show_default=False),
    ] = None,
    fail_over: Annotated[
        Optional[list[str]],
        typer.Option(metavar="METRIC=VALUE", help="Exit 5 above it.", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge models on colour photographs, beside doing nothing."""
    from colorcli import evaluate as judging
    from colorcli import page, protocols, records
    from colorcli.files import write_atomic
    from colorcli.perceptual import PERCEPTUAL

    name = protocols.named(protocol or EvalConfig.protocol, size).name
    config = EvalConfig(name, gray=gray, seed=seed, workers=workers)
    for unknown in set(perceptual or ()) - set(PERCEPTUAL):
        raise UsageError(f"--with {unknown}: unknown metric; known: {', '.join(PERCEPTUAL)}")
    known = judging.metrics_with(dict.fromkeys(perceptual or ()))
    gates = [judging.gate(text, known, under=True) for text in fail_under or ()]
    gates += [judging.gate(text, known, under=False) for text in fail_over or ()]
    records.check_writable([per_image, report_page], panels, overwrite=overwrite)
    if per_image:
        records.check(per_image)
    chosen, coloured = _chosen(
        inputs or [],
        list(_listed(files_from, nul)),
        recursive,
        coco,
        split,
        annotations,
        category,
        pairs,
        limit,
        seed,
    )
    knobs = Knobs(temperature, vividness, saturation, flip_average)
    contenders = _contenders(model, knobs, coloured, pairs)
    networks = {name: PERCEPTUAL[name]() for name in perceptual or ()}
    for line in (
        *(entry["reason"] for entry in chosen.broken),
        *(f"{path}: missing; left out" for path in chosen.missing),
        *(f"{path}: no true picture has this name; left out" for path in chosen.extra),
    ):
        report.say(f"colorize: {line}")
    with contextlib.ExitStack() as stack:
        each = None
        if per_image:
            columns = ["picture", "row", *(name for name in known if name != "fid")]
            write = stack.enter_context(records.writer(per_image, columns))
            each = lambda picture, row, figures: write(  # noqa: E731
                {"picture": picture, "row": row, **figures}
            )
        bar = stack.enter_context(report.progress("judging", quiet))
        result = judging.evaluate(
            chosen.source, contenders, config, perceptual=networks, broken=chosen.broken,
            missing=chosen.missing, extra=chosen.extra, panels=panels, each=each, progress=bar,
        )  # fmt: skip
    summary = result.summary
    for entry in summary.broken[len(chosen.broken) :]:
        report.say(f"colorize: {entry['reason']}")
    if report_page:
        pictures = page.examples(result, chosen.source, contenders, config)
        text = page.render(result, pictures)
        write_atomic(report_page, text.encode("utf-8", "backslashreplace"))
    if json:
        report.emit(summary)
    elif not quiet:
        _show(summary, known)
    short = [line for gate in gates for line in gate.failures(summary)]
    for line in short:
        report.say(f"colorize: {line}")
    if short or summary.broken or summary.missing or summary.extra:
        raise typer.Exit(ExitCode.PARTIAL)


def _chosen(
    names: list[str], listed: list[str], recursive: bool, coco: Optional[Path], split: Optional[str],
    annotations: Optional[str], category: str, pairs: Optional[tuple[Path, Path]],
    limit: int, seed: int,
) -> tuple[Any, Any]:  # fmt: skip
    """The pictures to judge, and another tool's colours of them by key (None: there are none)."""
    from colorcli import dataset, sources

    ways = [
        way
        for way, given in (("pictures", names or listed), ("--coco", coco), ("--pairs", pairs))
        if given
    ]
    if len(ways) != 1:
        given = f"not {' and '.join(ways)}" if ways else "none was given"
        raise UsageError(f"give either pictures, --coco or --pairs; {given}")
    if (annotations or category) and not coco:
        raise UsageError("--annotations and --category belong to --coco")
    draw: dict[str, Any] = {"limit": limit, "seed": seed}
    prepared = [name for name in names if (Path(name) / dataset.INDEX).is_file()]
    if prepared and len(names) + len(listed) > 1:
        raise UsageError(f"{prepared[0]}: a prepared data set is judged alone")
    if split and not (coco or prepared):
        raise UsageError("--split belongs to --coco or a prepared data set")
    if coco:
        chosen = sources.from_coco(
            coco, split or "val2017", annotations=annotations, categories=_items(category), **draw
        )
        return chosen, None
    if pairs:
        return sources.from_pairs(*pairs, **draw)
    if prepared:
        return sources.from_prepared(prepared[0], split or "val", **draw), None
    return sources.from_names(names, listed=listed, recursive=recursive, **draw), None


def _contenders(
    models: Optional[list[str]], knobs: Knobs, coloured: Any, pairs: Optional[tuple[Path, Path]]
) -> list[Any]:
    """Models by name, and another tool's colours; without any of both, the default model."""
    from colorcli.colorizer import Colorizer
    from colorcli.evaluate import Model, Pictures, distinct

    if not models and coloured is None:
        models = [os.environ.get("COLORIZE_MODEL") or "default"]
    made: list[Any] = [
        Model(name, Colorizer(model, knobs))
        for name, model in zip(distinct(models or ()), models or (), strict=True)
    ]
    if coloured is not None and pairs:
        made.append(Pictures(str(pairs[1]), coloured))
    return made


def _show(summary: Any, known: Any) -> None:
    """The table of an evaluation on stderr."""

    def cell(stat: Any, digits: int) -> str:
        if stat is None:
            return "–"
        if stat.low is None:
            return f"{stat.mean:.{digits}f}"
        return (
            f"{stat.mean:.{digits}f}\n{stat.low:.{digits}f} … {stat.high:.{digits}f}\n"
            f"median {stat.median:.{digits}f}"
        )

    rows = [*summary.models, summary.gray]
    fed = {"lab": "Lab L", "bt601": "BT.601"}[summary.fed]
    lines = []
    for name, metric in known.items():
        title = f"{name} {({'higher': '↑', 'lower': '↓'}).get(metric.better, '')}"
        stats = [row.metrics.get(name) for row in rows] + [summary.truth.get(name)]
        lines.append([title, *(cell(stat, metric.digits) for stat in stats)])
    report.table(
        f"{summary.judged} photographs · {summary.protocol} · fed {fed} · "
        f"{summary.gray_originals} gray originals left out · mean, 95 % interval, median",
        ["", *(row.name for row in rows), "truth"], lines,
    )  # fmt: skip


@app.command()
def export(
    output: Annotated[str, typer.Option("--output", "-o", help="File or folder to write.")],
    format: Annotated[
        Optional[ExportFormat],
        typer.Option(help="What to write. [default: by suffix, or litert]", show_default=False),
    ] = None,
    precision: Annotated[
        Optional[ExportPrecision],
        typer.Option(
            help="Of the weights. [default: float16 for litert, else float32]", show_default=False
        ),
    ] = None,
    signature: Annotated[
        ExportSignature,
        typer.Option(help="ab: L in, chroma out. image: picture in, coloured picture out."),
    ] = ExportConfig.signature,
    size: Annotated[
        Optional[str],
        typer.Option(
            metavar="N|any",
            show_default=False,
            help="Side of L (ab) or of the picture (image). [default: the model's; image: any]",
        ),
    ] = None,
    model: Model = "default",
    temperature: Annotated[
        Optional[float],
        typer.Option(help=f"Inside an image export: annealed mean. [default: {VIVID[0]}]"),
    ] = Knobs.temperature,
    vividness: Annotated[
        Optional[float],
        typer.Option(help=f"Inside an image export: prior correction. [default: {VIVID[1]}]"),
    ] = Knobs.vividness,
    saturation: Annotated[
        float, typer.Option(help="Inside an image export: factor on chroma.")
    ] = Knobs.saturation,
    calibrate: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="FOLDER|GLOB",
            show_default=False,
            help="Photographs that set int8's ranges. [default: scikit-image's]",
        ),
    ] = None,
    verify: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="FOLDER|GLOB",
            show_default=False,
            help="Colour photographs to check with. [default: scikit-image's]",
        ),
    ] = None,
    max_loss: Annotated[
        Optional[float],
        typer.Option(help="PSNR in dB it may lose. [default: by precision]", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the model in another format, checked against the network on photographs."""
    native.tensorflow()
    from colorcli import formats
    from colorcli.export import export as run

    meant = formats.of(output)
    if format and meant and format != meant:
        raise UsageError(f"{output}: its suffix means {meant}, not {format}; change one of them")
    if size is not None and size != "any" and not (size.isascii() and size.isdigit()):
        raise UsageError(f"--size {size}: give a number of pixels, or any")
    config = ExportConfig(
        format or meant or ExportConfig.format, precision, signature,
        None if size is None else 0 if size == "any" else int(size),
        Knobs(temperature, vividness, saturation), max_loss,
    )  # fmt: skip
    with report.progress("exporting", quiet) as bar:
        result = run(
            model, output, config, calibrate=calibrate or (), verify=verify or (),
            overwrite=overwrite, progress=bar,
        )  # fmt: skip
    if json:
        report.emit(result)
    elif not quiet:
        check = result.check
        report.say(
            f"colorize: {result.path}: {result.bytes / 1e6:.1f} MB, {result.precision}; on "
            f"{check.photographs} photographs {check.psnr_lost:.3f} dB lost, RGB off by "
            f"{check.rgb_mean:.2f} levels in the mean, {check.rgb_largest} at most"
        )


@app.command()
def models(
    names: Annotated[
        Optional[list[str]],
        typer.Argument(
            metavar="[MODEL]...",
            autocompletion=_models,
            show_default=False,
            help="Model names, folders or training runs. [default: the bundled models]",
        ),
    ] = None,
    path: Annotated[bool, typer.Option("--path", help="Print only where each is.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check every file's sha256; exit 4 if one differs.")
    ] = False,
    json: Json = False,
) -> None:
    """List the bundled models, say where they are, check their files."""
    if path and json:
        raise UsageError("--path and --json contradict each other; --json says the path too")
    from colorcli import model_dir

    damaged = False
    for name in names or model_dir.bundled():
        try:
            folder = model_dir.load(name, needs=())
            states = model_dir.verify(folder) if verify else {}
        except ModelError as error:
            report.say(f"colorize: {error}")
            damaged = True
            continue
        for fault in filter(None, states.values()):
            report.say(f"colorize: {fault}")
        whole = not any(states.values())
        damaged |= not whole
        entry = {
            "name": name,
            "path": str(folder.path),
            "backbone": folder.config.backbone,
            "loss": folder.config.loss,
            "size": folder.config.size,
        }
        if json:
            checked = {"whole": whole, "files": {k: v or "ok" for k, v in states.items()}}
            report.emit({**entry, **(checked if verify else {})})
        elif path:
            report.show(str(folder.path))
        else:
            state = ("whole" if whole else "damaged",) if verify else ()
            report.show(*map(str, entry.values()), *state)
    if damaged:
        raise typer.Exit(ExitCode.MODEL)


def main() -> None:
    """Entry point of the console script."""
    # Workers are ours to start; NumPy's own threads would stand in their way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(50_000)  # importing makes many objects and no garbage
    for descriptor in (0, 1, 2):  # one closed by the caller must not become some file's
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    native.own_stderr()
    if isinstance(sys.stdout, io.TextIOWrapper):  # None where the caller closed it
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    app(prog_name="colorize")
