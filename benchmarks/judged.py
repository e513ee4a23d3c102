"""Colour photographs that benchmarks judge by; those that several of them take are taken alike."""

import argparse
import random
from types import ModuleType

import numpy as np

from colorcli.color.tone import Colours
from colorcli.config.evaluation import JUDGED_SIDE, EvalConfig
from colorcli.evaluation.protocols import squash
from colorcli.imaging import reading, writing
from colorcli.system.files.inputs import find


def arguments(description: str | None) -> argparse.ArgumentParser:
    """What all of them are told: photographs, how many of them, and a model."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--model", default="default")
    parser.add_argument("--limit", type=int, default=300)
    return parser


def tune(module: ModuleType, settings: list[str]) -> None:
    """Give constants of a module other values, as ``NAME=NUMBER``."""
    for text in settings:
        name, _, number = text.partition("=")
        if not hasattr(module, name):
            known = module.__name__.rpartition(".")[2]
            raise SystemExit(f"--set {name}: {known}.py has no such constant")
        setattr(module, name, float(number))


def colour_photographs(photos: list[str], limit: int) -> list[np.ndarray]:
    """Colour photographs (256, 256, 3) uint8, at most ``limit``, chosen by chance."""
    paths = [s.path for s in find(photos, writing.READABLE, recursive=True).sources]
    random.Random(0).shuffle(paths)
    found: list[np.ndarray] = []
    for path in paths:
        picture = reading.read(path)
        if picture.rgb is None:
            continue
        truth = squash(picture.rgb, JUDGED_SIDE)
        if Colours.of(truth).chroma >= EvalConfig.min_chroma:
            found.append(truth)
        if len(found) == limit:
            break
    if not found:
        raise SystemExit("no colour photograph among them")
    return found
