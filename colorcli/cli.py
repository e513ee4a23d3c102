"""The ``colorize`` command: options, help, and the one place where errors become exit codes.

A command imports its core function late, builds the config, calls it and reports.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import typer
from typer.core import TyperGroup

from colorcli import __version__, report, settings
from colorcli.config import (
    EXPORT_FORMATS,
    IMAGE_FORMATS,
    PRESETS,
    EvalConfig,
    Knobs,
    PrepareConfig,
    TrainConfig,
)
from colorcli.errors import ColorizeError, DataError, ExitCode, UsageError

# ruff: noqa: UP045 - Typer reads annotations at run time, on Python 3.10 too


class Commands(TyperGroup):
    """Turns the core's errors into one stderr line and an exit code, for every command."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command; bugs keep their traceback."""
        try:
            return super().invoke(ctx)
        except ColorizeError as error:
            report.say(f"colorize: {error}")
            raise typer.Exit(error.exit_code) from None
        except BrokenPipeError:
            # The reader has gone: be quiet, and leave nothing for the interpreter to flush.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(128 + 13) from None
        except KeyboardInterrupt:
            report.say("colorize: interrupted; finished files are kept")
            raise typer.Exit(ExitCode.INTERRUPTED) from None


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
        typer.echo(f"colorize {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Colorize grayscale photographs; train, judge and export colorizers."""


def _models(incomplete: str) -> Iterable[str]:
    root = Path(__file__).parent / "models"
    return sorted(p.name for p in root.glob(f"{incomplete}*") if p.is_dir())


Model = Annotated[
    str,
    typer.Option(
        "--model", "-m", envvar="COLORIZE_MODEL", autocompletion=_models,
        help="Bundled model name, model folder or training run.",
    ),
]  # fmt: skip
Temperature = Annotated[
    float,
    typer.Option(envvar="COLORIZE_TEMPERATURE", help="Annealed mean: 1 mean, lower more decided."),
]
Vividness = Annotated[
    float,
    typer.Option(envvar="COLORIZE_VIVIDNESS", help="Prior correction: 0 off, about 0.3 vivid."),
]
Saturation = Annotated[
    float, typer.Option(envvar="COLORIZE_SATURATION", help="Factor on the predicted chroma.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Look into sub-folders too.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]


def _listed(files_from: Optional[str], nul: bool) -> list[str]:
    if files_from is None:
        return []
    try:
        data = sys.stdin.buffer.read() if files_from == "-" else Path(files_from).read_bytes()
    except OSError as error:
        raise UsageError(f"{files_from}: {error.strerror}; --files-from needs a list") from None
    return [os.fsdecode(name) for name in data.split(b"\0" if nul else b"\n") if name]


@app.command()
def predict(
    inputs: Annotated[
        Optional[list[str]],
        typer.Argument(help="Photographs, folders, globs, or - for stdin.", show_default=False),
    ] = None,
    output: Annotated[
        Optional[str],
        typer.Option(
            "--output",
            "-o",
            help="Folder, file, or - for stdout. [default: NAME-color.EXT beside each photograph]",
        ),
    ] = None,
    recursive: Recursive = False,
    files_from: Annotated[
        Optional[str], typer.Option(help="Read names from this file, or - for stdin.")
    ] = None,
    nul: Annotated[bool, typer.Option("--null", "-0", help="Those names end in NUL.")] = False,
    model: Model = "default",
    temperature: Temperature = Knobs.temperature,
    vividness: Vividness = Knobs.vividness,
    saturation: Saturation = Knobs.saturation,
    format: Annotated[
        Optional[Literal[IMAGE_FORMATS]],  # type: ignore[valid-type]
        typer.Option(help="Format of the outputs. [default: by suffix]", show_default=False),
    ] = None,
    quality: Annotated[
        Optional[int], typer.Option(min=1, max=100, help="Of lossy formats.")
    ] = None,
    overwrite: Overwrite = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave existing outputs; resumes a run.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=0, envvar="COLORIZE_WORKERS", help="Threads; 0: one for each core.")
    ] = 0,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = 512,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Colour photographs at full resolution."""
    names = [*(inputs or []), *_listed(files_from, nul)]
    if not names:
        raise UsageError("no photographs given; name files, folders or globs, or - for stdin")
    if overwrite and skip_existing:
        raise UsageError("--overwrite and --skip-existing contradict each other")
    from colorcli import images
    from colorcli.colorizer import Colorizer
    from colorcli.files import find, plan
    from colorcli.predict import Output, Result, suffix_for
    from colorcli.predict import predict as run

    knobs = Knobs(temperature, vividness, saturation)
    options = Output(format, quality, max_megapixels * 1_000_000)
    if "-" in names or output == "-":
        _pipe(names, output, Colorizer(model, knobs), options, json)
        return
    found = find(names, images.READABLE, recursive=recursive)
    jobs, skipped = plan(
        found.sources, output, suffix=suffix_for(format), file_suffixes=images.SUFFIXES,
        overwrite=overwrite, skip_existing=skip_existing,
    )  # fmt: skip
    for job in jobs:
        if format is None:
            images.format_of(job.target)
    done = failed = 0

    def tell(result: Result) -> None:
        nonlocal done, failed
        done += result.status == "done"
        failed += result.status == "failed"
        if json:
            report.emit(result)
        if result.error:
            report.say(f"colorize: {result.error}")

    for name, message in found.failures:
        tell(Result(name, None, "failed", error=f"{name}: {message}"))
    for job in skipped:
        tell(Result(str(job.source.path), str(job.target), "skipped"))
    if dry_run:
        for job in jobs:
            if json:
                report.emit(Result(str(job.source.path), str(job.target), "planned"))
            else:
                typer.echo(f"{job.source.path} -> {job.target}")
    elif jobs:
        colorizer = Colorizer(model, knobs)
        with report.progress("colouring", quiet) as bar:
            for result in run(jobs, colorizer, options, workers=workers, progress=bar):
                tell(result)
    if not quiet and not dry_run and (len(jobs) != 1 or failed):
        report.say(f"colorize: {done} coloured, {len(skipped)} skipped, {failed} failed")
    if failed:
        raise typer.Exit(ExitCode.PARTIAL if done or skipped else ExitCode.DATA)


def _pipe(
    names: list[str], output: Optional[str], colorizer: Any, options: Any, json: bool
) -> None:
    """One photograph through stdin or to stdout."""
    from colorcli import images
    from colorcli.files import write_atomic
    from colorcli.predict import colorize_bytes

    if len(names) != 1:
        raise UsageError("- takes one photograph in one call; give the others separately")
    to_stdout = output in (None, "-")
    if json and to_stdout:
        raise UsageError("--json and a picture cannot share stdout; give -o FILE")
    if names[0] == "-":
        data = sys.stdin.buffer.read()
    else:
        try:
            data = Path(names[0]).read_bytes()
        except OSError as error:
            raise DataError(f"{names[0]}: {error.strerror}; check the path") from None
    # PNG to a pipe unless asked otherwise: lossless, and every reader knows it.
    format = options.format or ("png" if to_stdout else images.format_of(output))
    if not to_stdout and Path(output).is_dir():
        raise UsageError(f"{output}: is a folder; stdin needs a file name, or - for stdout")
    encoded, result = colorize_bytes(data, names[0], colorizer, format, options)
    if to_stdout:
        sys.stdout.buffer.write(encoded)
        sys.stdout.buffer.flush()
        return
    write_atomic(output, encoded)
    if json:
        report.emit(dataclasses.replace(result, output=output))


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
Size = Annotated[int, typer.Option(min=32, help="Short side of the stored pictures, in pixels.")]
MinSide = Annotated[int, typer.Option(min=1, help="Leave out pictures with a shorter side.")]
MinChroma = Annotated[float, typer.Option(min=0, help="Mean chroma below which one is gray.")]
MinSpread = Annotated[
    float,
    typer.Option(min=0, help="Spread of colours below which one of a single hue is toned (sepia)."),
]
Distance = Annotated[
    int,
    typer.Option(
        "--duplicate-distance", min=-1, max=16,
        help="Bits of 64 in which copies may differ; -1: only equal files are copies.",
    ),
]  # fmt: skip
ValFraction = Annotated[float, typer.Option(min=0, max=1, help="Share kept for validation.")]
Limit = Annotated[int, typer.Option(min=0, help="At most this many, by chance; 0: all.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same result.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0: one for each core.")]


def _drawn(paths: list[str], limit: int, seed: int) -> list[str]:
    import random

    return paths if not limit or limit >= len(paths) else random.Random(seed).sample(paths, limit)


@prepare_app.command("folder")
def prepare_folder(
    output: Output,
    inputs: Annotated[
        Optional[list[str]],
        typer.Argument(help="Photographs, folders or globs.", show_default=False),
    ] = None,
    recursive: Recursive = False,
    files_from: Annotated[
        Optional[str], typer.Option(help="Read names from this file, or - for stdin.")
    ] = None,
    nul: Annotated[bool, typer.Option("--null", "-0", help="Those names end in NUL.")] = False,
    size: Size = PrepareConfig.size,
    min_side: MinSide = PrepareConfig.min_side,
    min_chroma: MinChroma = PrepareConfig.min_chroma,
    min_spread: MinSpread = PrepareConfig.min_spread,
    duplicate_distance: Distance = PrepareConfig.duplicate_distance,
    val_fraction: ValFraction = PrepareConfig.val_fraction,
    limit: Limit = PrepareConfig.limit,
    seed: Seed = PrepareConfig.seed,
    workers: Workers = PrepareConfig.workers,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Any photographs: files, folders, globs. The same command resumes."""
    if not inputs and files_from is None:
        raise UsageError("no photographs given; name files, folders or globs, or --files-from")
    from itertools import chain

    from colorcli import images
    from colorcli.files import stream
    from colorcli.listing import read_names

    failures = 0

    def names() -> Iterable[str]:
        nonlocal failures
        given = chain(inputs or [], read_names(files_from, nul) if files_from is not None else ())
        for path, message in stream(given, images.READABLE, recursive=recursive):
            if message:
                failures += 1
                report.say(f"colorize: {path}: {message}")
            else:
                yield path

    config = PrepareConfig(
        size=size, min_side=min_side, min_chroma=min_chroma, min_spread=min_spread,
        duplicate_distance=duplicate_distance, val_fraction=val_fraction, limit=limit, seed=seed,
        workers=workers,
    )  # fmt: skip
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
    size: Size = PrepareConfig.size,
    min_side: MinSide = PrepareConfig.min_side,
    min_chroma: MinChroma = PrepareConfig.min_chroma,
    min_spread: MinSpread = PrepareConfig.min_spread,
    duplicate_distance: Distance = PrepareConfig.duplicate_distance,
    val_fraction: ValFraction = PrepareConfig.val_fraction,
    limit: Limit = PrepareConfig.limit,
    seed: Seed = PrepareConfig.seed,
    workers: Workers = PrepareConfig.workers,
    json: Json = False,
    quiet: Quiet = False,
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
    config = PrepareConfig(
        size=size, min_side=min_side, min_chroma=min_chroma, min_spread=min_spread,
        duplicate_distance=duplicate_distance, val_fraction=val_fraction, limit=limit, seed=seed,
        workers=workers,
    )  # fmt: skip
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
        bounds = {"min": limits.get("least"), "max": limits.get("most")} if kind is not str else {}
        if "choices" in limits:
            kind = Literal[tuple(limits["choices"])]
        about = typer.Option(help=limits["help"], show_default=False, **bounds)
        return inspect.Parameter(
            setting.name, inspect.Parameter.KEYWORD_ONLY, default=None,
            annotation=Annotated[Optional[kind], about],
        )  # fmt: skip

    def decorate(command: Any) -> Any:
        known = settings.settings(config)

        @functools.wraps(command)
        def run(**arguments: Any) -> None:
            given = {name: arguments.pop(name) for name in known}
            command(**arguments, values={k: v for k, v in given.items() if v is not None})

        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for name, parameter in inspect.signature(command, eval_str=True).parameters.items()
            if name != "values"
        ]
        options = [option(setting) for setting in known.values()]
        run.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in (*own, *options)}
        return run

    return decorate


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """The signals that came meanwhile; the first SIGINT or SIGTERM asks, the second kills."""
    came: list[int] = []

    def note(number: int, frame: Any) -> None:
        came.append(number)
        signal.signal(number, before[number])
        report.say("colorize: stopping after this step; once more to stop at once")

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@app.command()
@_configurable(TrainConfig)
def train(
    data: Annotated[
        Optional[str], typer.Argument(help="Prepared folder.", show_default=False)
    ] = None,
    output: Annotated[
        Optional[str],
        typer.Option("--output", "-o", help="Run folder; resumes what it holds."),
    ] = None,
    preset: Annotated[
        Literal[tuple(PRESETS)],  # type: ignore[valid-type]
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
    known, chosen = settings.settings(TrainConfig), PRESETS[preset]
    if config is not None:
        chosen = settings.read(config, chosen)
    for name, text in values.items():
        value = settings.parse(known[name], text) if isinstance(text, str) else text
        flag = f"--{name.replace('_', '-')}"
        chosen = settings.overridden(chosen, {name: value}, flag)
    if print_config:
        typer.echo(settings.write(chosen), nl=False)
        return
    if data is None or output is None:
        raise UsageError("train needs a prepared folder and -o RUN; see colorize train --help")
    from colorcli import dataset, native

    loaded = dataset.load(data)
    judges = dataset.load(validation) if validation else None
    with native.quiet():
        from colorcli import devices

        strategy = devices.strategy()
    from colorcli.train import train as run

    with _stop_signals() as came, report.progress("training", quiet) as bar:
        result = run(
            loaded, output, chosen, validation=judges, strategy=strategy,
            stop=lambda: bool(came), progress=None if quiet else _shown(bar),
        )  # fmt: skip
    if json:
        report.emit(result)
    elif not quiet and not came:
        report.say(
            f"colorize: {result.folder}: {result.steps} steps, {result.minutes:.1f} minutes, "
            f"{result.images_per_second:.0f} images/s, {result.gain:+.2f} dB over gray on validation"
        )
    if result.stopped == "interrupted":
        report.say(
            f"colorize: {output}: stopped at step {result.steps}, saved; "
            "repeat the command to go on"
        )
        raise typer.Exit(128 + (came[0] if came else signal.SIGINT))


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
        list[str], typer.Argument(help="Colour photographs, folders, globs, or a prepared folder.")
    ],
    recursive: Recursive = False,
    model: Model = "default",
    temperature: Temperature = Knobs.temperature,
    vividness: Vividness = Knobs.vividness,
    saturation: Saturation = Knobs.saturation,
    size: Annotated[int, typer.Option(min=32, help="Side of the judged square.")] = EvalConfig.size,
    limit: Limit = 0,
    seed: Seed = 0,
    panels: Annotated[
        Optional[Path], typer.Option(help="Folder for gray, predicted, truth side by side.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Judge a model: PSNR, SSIM and colorfulness, beside doing nothing."""
    from colorcli import dataset, images, native
    from colorcli.colorizer import Colorizer
    from colorcli.evaluate import evaluate as run
    from colorcli.evaluate import from_files
    from colorcli.files import find

    broken: list[dict[str, str]] = []
    colorizer = Colorizer(model, Knobs(temperature, vividness, saturation))
    if len(inputs) == 1 and (Path(inputs[0]) / dataset.INDEX).is_file():
        native.tensorflow()
        data = dataset.load(inputs[0])
        total = min(limit or data.counts["val"], data.counts["val"])
        pictures = ((f"{i:06d}", p) for i, p in enumerate(dataset.photographs(data, "val", total)))
    else:
        found = find(inputs, images.READABLE, recursive=recursive)
        broken += [
            {"path": name, "reason": f"{name}: {message}"} for name, message in found.failures
        ]
        paths = _drawn([str(source.path) for source in found.sources], limit, seed)
        total, pictures = len(paths), from_files(paths, broken)
    with report.progress("judging", quiet) as bar:
        result = run(
            pictures,
            colorizer,
            EvalConfig(size),
            broken=broken,
            panels=panels,
            total=total,
            progress=bar,
        )
    for entry in result.broken:
        report.say(f"colorize: {entry['reason']}")
    if json:
        report.emit(result)
    elif not quiet:
        names = list(result.metrics["model"])
        rows = [
            [row, *(f"{values[n]:.4g}" if n in values else "–" for n in names)]
            for row, values in result.metrics.items()
        ]
        report.table(
            f"{result.model} · {result.judged} photographs · {result.protocol} · {result.gray} · "
            f"{result.gain:+.2f} dB over gray", ["", *names], rows,
        )  # fmt: skip
    if result.broken:
        raise typer.Exit(ExitCode.PARTIAL)


@app.command()
def export(
    output: Annotated[str, typer.Option("--output", "-o", help="File or folder to write.")],
    format: Annotated[Literal[EXPORT_FORMATS], typer.Option(help="What to write.")] = "litert",  # type: ignore[valid-type]
    model: Model = "default",
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the model in another format, checked against the network."""
    from colorcli import native

    native.tensorflow()
    from colorcli.export import export as run

    result = run(model, format, output, overwrite=overwrite)
    if json:
        report.emit(result)
    elif not quiet:
        report.say(
            f"colorize: {result.path}: {result.bytes / 1e6:.1f} MB, largest difference "
            f"{result.largest_difference:.3f} ab units"
        )


@app.command()
def models(json: Json = False) -> None:
    """List the bundled models."""
    from colorcli import model_dir

    for name in model_dir.bundled():
        folder = model_dir.load(name)
        entry = {
            "name": name,
            "path": str(folder.path),
            "backbone": folder.config.backbone,
            "loss": folder.config.loss,
            "size": folder.config.size,
        }
        if json:
            report.emit(entry)
        else:
            typer.echo("\t".join(str(value) for value in entry.values()))


def main() -> None:
    """Entry point of the console script."""
    app(prog_name="colorize")
