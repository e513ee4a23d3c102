"""Draw the documents' pictures from photographs that come with scikit-image.

python docs/pictures.py [--model M]   writes before-after.jpg, knobs.jpg, failures.jpg and
hints.jpg into docs/
"""

import argparse
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageColor
from skimage import data

from colorcli.color.lab import join, neutral
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.hand import hint
from colorcli.network.decoding import NEUTRAL, Knobs

NAMES = ("astronaut", "chelsea", "coffee", "rocket")
HINTED = "coffee"
HINTS = ("0.1,0.6,#b72f11", "0.42,0.42,#eb9436", "0.8,0.8,#b72f11")  # saucer, coffee, saucer
FAILURES = ("chelsea", "rocket", "stereo_motorcycle")  # fur, a night sky, paint
SIDE, LINE = 240, 6
HERE = Path(__file__).parent
SETTINGS = tuple(
    (name, knobs.suiting(distribution=True))
    for name, knobs in (
        ("mean", Knobs(**NEUTRAL)), ("default", Knobs()),
        ("vivid", Knobs(vividness=0.55)), ("very vivid", Knobs(vividness=0.7)),
    )
)  # fmt: skip


def square(photo: np.ndarray) -> np.ndarray:
    side = min(photo.shape[:2])
    top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
    middle = photo[top : top + side, left : left + side]
    return cv2.resize(middle, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def grid(rows: list[list[np.ndarray]], labels: list[str]) -> np.ndarray:
    """Pictures in rows, white lines between them, a line of words below each column."""
    line = np.full((SIDE, LINE, 3), 255, np.uint8)
    lines = []
    for row in rows:
        parts = [part for picture in row for part in (picture, line)][:-1]
        lines += [np.hstack(parts), np.full((LINE, SIDE * len(row) + LINE * (len(row) - 1), 3), 255, np.uint8)]  # fmt: skip
    words = np.full((26, lines[0].shape[1], 3), 255, np.uint8)
    for i, label in enumerate(labels):
        at = (i * (SIDE + LINE) + 2, 18)
        cv2.putText(words, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (60,) * 3, 1, cv2.LINE_AA)
    return np.vstack([*lines, words])


def write(name: str, picture: np.ndarray) -> None:
    cv2.imwrite(str(HERE / name), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])  # fmt: skip


def marked(picture: np.ndarray, hints: tuple[str, ...]) -> np.ndarray:
    """A picture with a ring, filled with the colour asked for, where each hint lies."""
    picture = picture.copy()
    for known in hint.placed(hints, (SIDE, SIDE)):
        at = round(known.x), round(known.y)
        colour = (
            (128, 128, 128) if known.colour == hint.NEUTRAL else ImageColor.getrgb(known.colour)
        )
        cv2.circle(picture, at, 7, colour, -1, cv2.LINE_AA)
        cv2.circle(picture, at, 8, (255, 255, 255), 2, cv2.LINE_AA)
    return picture


def session(model: str) -> None:
    """hints.jpg: gray with the hints, automatic, with two, with the third, true."""
    truth = square(getattr(data, HINTED)())
    gray, colorizer = neutral(truth), Colorizer(model)
    with_hints = [
        colorizer.colorize(gray, np.uint8, partial(hint.placed, HINTS[:count]))
        for count in (0, 2, 3)
    ]
    shown = marked(join(gray, np.zeros((1, 1, 2), np.float32), np.uint8), HINTS)
    words = ["gray, three hints", "automatic", "two hints", "a third", "the photograph"]
    write("hints.jpg", grid([[shown, *with_hints, truth]], words))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="default")
    model = parser.parse_args().model
    none = np.zeros((1, 1, 2), np.float32)
    colorizers = [Colorizer(model, knobs) for _, knobs in SETTINGS]

    def drawn(names: tuple[str, ...]) -> tuple[list, list[list], list]:
        """Gray, coloured with each of the settings, and true."""
        photos = [getattr(data, name)() for name in names]
        truths = [square(p[0] if isinstance(p, tuple) else p) for p in photos]
        grays = [neutral(truth) for truth in truths]
        coloured = [[c.colorize(gray, np.uint8) for gray in grays] for c in colorizers]
        return [join(gray, none, np.uint8) for gray in grays], coloured, truths

    before, columns, truths = drawn(NAMES)
    write("before-after.jpg", grid([before, columns[1]], ["gray in, colour out, default knobs"]))
    rows = [list(row) for row in zip(before, *columns, truths, strict=True)]
    words = [f"{name}: T {k.temperature:g}, lambda {k.vividness:g}" for name, k in SETTINGS]
    write("knobs.jpg", grid(rows, ["gray", *words, "the photograph"]))
    before, columns, truths = drawn(FAILURES)
    rows = [list(row) for row in zip(before, columns[1], truths, strict=True)]
    write("failures.jpg", grid(rows, ["gray", "default knobs", "the photograph"]))
    session(model)


if __name__ == "__main__":
    main()
