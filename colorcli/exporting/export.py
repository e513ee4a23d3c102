"""``colorize export``: the network in other tools' formats, each checked before it is called done.

What is written is run back in its own runtime on real photographs and compared with the network;
only then do the file, its card, its metadata and its example appear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from colorcli.config.exporting import ExportConfig
from colorcli.exporting import card, photographs, signatures
from colorcli.exporting.check import Bench, Check, Exported, excess
from colorcli.exporting.formats.common import Order
from colorcli.exporting.plan import Plan, check_free, companions, place, planned
from colorcli.network import model_folder
from colorcli.network.decoding import Knobs
from colorcli.system import disk
from colorcli.system.atomic import put, scratch
from colorcli.system.errors import DataError, ModelError, reason

CALIBRATE_AT_MOST, CHECK_AT_MOST = 200, 50  # photographs
STEPS = 3  # told as progress: written, checked, there


def export(
    model: str | Path,
    target: Path | str,
    config: ExportConfig = ExportConfig(),
    *,
    knobs: Knobs = Knobs(),
    overwrite: bool = False,
    progress: Callable[..., None] | None = None,
) -> Exported:
    """Write the model to ``target``, run it back on photographs and compare with the network.

    ``place`` says what a ``target`` that is a folder means. ``knobs`` go into a graph of signature
    ``image``. A card, metadata and an example are written
    beside a file or into a folder. Raises ``UsageError`` for a combination the format does not
    have, a missing runtime or an existing target, ``ModelError`` when the export differs by more
    than its tolerance (nothing is left then), ``DataError`` when it cannot be written.
    """
    placed, name = place(str(target), config.format, model)
    target, config = Path(placed), replace(config, format=name)
    known = model_folder.load(model, needs=(model_folder.WEIGHTS, model_folder.LITERT))
    plan = planned(config, knobs, known.config)
    check_free(target, plan.format, overwrite=overwrite)
    plan.format.check_runtime(config.runtime)
    network, folder = model_folder.load_network(model)
    bench = Bench(network, folder, plan)
    graph = signatures.build(
        plan.signature, network, folder.config, folder.prior,
        size=plan.size or None, values=plan.knobs.decoding,
    )  # fmt: skip
    tell = progress or (lambda *_, **__: None)
    checked = _pictures(config.verify, CHECK_AT_MOST)
    order = _order(graph, folder, bench, config)
    try:
        with scratch(target.parent) as aside:
            written = aside / f"model{plan.format.suffix}"
            tell(0, STEPS)
            plan.format.write(order, written)
            tell(1, STEPS)
            views = list(photographs.views(checked))
            check = bench.check(plan.format.run_back(written), views, len(checked))
            tell(2, STEPS, lost=check.psnr_lost)
            if wrong := excess(check, plan.tolerance, image=plan.image):
                hint = _hint(plan, check, config.calibrate)
                raise ModelError(
                    f"{target}: the {plan.format.name} export {wrong}; not written{hint}"
                )
            result = _exported(plan, target, written, check)
            digest = disk.digest(written) if written.is_file() else None
            texts = card.texts(result, graph, folder, digest=digest, file=target.name)
            _appear(written, target, dict(zip(result.companions, texts, strict=True)))
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written: {reason(error)}; {disk.remedy(error)}"
        ) from None
    tell(STEPS, STEPS, lost=check.psnr_lost)
    return result


def _pictures(names: Sequence[str], limit: int) -> list[np.ndarray]:
    return photographs.given(names, limit) if names else photographs.bundled()


def _order(
    graph: signatures.Graph, folder: model_folder.ModelFolder, bench: Bench, config: ExportConfig
) -> Order:
    plan = bench.plan
    watched = _pictures(config.calibrate, CALIBRATE_AT_MOST) if plan.calibrated else []
    return Order(
        graph=graph,
        folder=folder,
        runtime=config.runtime,
        precision=plan.precision,
        calibration=bench.calibration(list(photographs.views(watched, mirrored=True))),
        properties={"signature": plan.signature, "size": str(plan.size or bench.side)},
    )


def _exported(plan: Plan, target: Path, written: Path, check: Check) -> Exported:
    parts = [p for p in written.rglob("*") if p.is_file()] if written.is_dir() else [written]
    return Exported(
        format=plan.format.name,
        precision=plan.precision,
        signature=plan.signature,
        size=plan.size,
        path=str(target),
        companions=[str(path) for path in companions(target, plan.format.name).values()],
        bytes=sum(p.stat().st_size for p in parts),
        check=check,
        tolerance=plan.tolerance,
    )


def _hint(plan: Plan, check: Check, calibrate: Sequence[str]) -> str:
    if not plan.calibrated or not math.isfinite(check.psnr_lost):
        return ""
    more = "other photographs" if calibrate else "photographs of your own"
    return f"; calibrate with {more} (--calibrate), use float16, or allow it with --max-loss"


def _appear(written: Path, target: Path, texts: dict[str, str]) -> None:
    """Rename everything to its place, the model last: where it is, the rest is."""
    inside = written.is_dir()
    for name, text in texts.items():
        part = (written if inside else written.parent) / Path(name).name
        part.write_text(text, "utf-8")
        if not inside:
            put(part, Path(name))
    put(written, target)
