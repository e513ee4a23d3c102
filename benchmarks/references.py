"""What a reference gives: the true colours of another picture, carried over, over colouring alone.

python benchmarks/references.py PHOTOS... [--model M] [--limit N] [--strength S...] [--set NAME=N]

PHOTOS are colour photographs or folders of them. Judged at 256 × 256 is what each gains, in dB, by
right: itself, mirrored (an upper bound);
beside: of a half of it the other half, as one view of a place tells of another;
like: of all others the nearest, as a folder of references gives it;
wrong: another one by chance.
--set changes a width of the kernel, to choose them on other photographs than those reported.
"""

import contextlib
import json
import sys
import time
from collections.abc import Iterator

import cv2
import numpy as np
from judged import arguments, colour_photographs, tune

from colorcli.color.lab import join, neutral
from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.hand import likeness
from colorcli.colorizing.hand.reference import References
from colorcli.config.evaluation import JUDGED_SIDE
from colorcli.config.predict import ScansConfig
from colorcli.evaluation.metrics import psnr
from colorcli.evaluation.protocols import squash
from colorcli.system.errors import UsageError

KINDS = ("right", "beside", "like", "wrong")


def halves(photo: np.ndarray) -> list[np.ndarray]:
    """Its left and its right half, squashed."""
    middle = photo.shape[1] // 2
    parts = photo[:, :middle], photo[:, middle:]
    return [squash(np.ascontiguousarray(part), JUDGED_SIDE) for part in parts]


class Judge:
    """A model that colours pictures by references, and photographs to choose these from."""

    def __init__(self, model: str, photos: list[np.ndarray]) -> None:
        self.colorizer = Colorizer(model, scans=ScansConfig(regions="none"))
        self.photos = photos
        self.known = [self.colorizer.reference(photo) for photo in photos]
        self.features = np.stack([known.taught[""].feature for known in self.known])

    def pairs(self, number: int) -> Iterator[tuple[str, np.ndarray, References]]:
        """A kind, the truth to be met, and the reference."""
        photo, see = self.photos[number], self.colorizer.reference
        yield "right", photo, see(np.ascontiguousarray(photo[:, ::-1]))
        left, right = halves(photo)
        with contextlib.suppress(UsageError):  # a half without colours teaches none
            reference = see(right)
            yield "beside", left, reference
        alike = self.features @ self.features[number]
        alike[number] = -1
        yield "like", photo, self.known[int(alike.argmax())]
        other = np.random.default_rng(number).integers(len(self.photos) - 1)
        yield "wrong", photo, self.known[(number + 1 + other) % len(self.photos)]

    def gains(
        self, number: int, strengths: list[float]
    ) -> Iterator[tuple[str, list[float], float]]:
        """A kind, dB gained by each strength, and the milliseconds that a reference takes."""
        for kind, truth, reference in self.pairs(number):
            gray = neutral(truth)
            view = self.colorizer.view(gray)
            clock = [time.perf_counter()]
            scores = []
            for strength in (0.0, *strengths):
                lent = self.colorizer._lent(view, reference, strength) if strength else view
                ab = self.colorizer.ab_of(lent)
                clock.append(time.perf_counter())
                scores.append(psnr(truth, join(gray, ab, np.uint8)))
            alone, *others = np.diff(clock)
            yield kind, [score - scores[0] for score in scores[1:]], 1000 * (others[0] - alone)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--strength", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=NUMBER")
    options = parser.parse_args()
    tune(likeness, options.set)
    cv2.setNumThreads(1)
    judge = Judge(options.model, colour_photographs(options.photos, options.limit))
    rows: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    spent = []
    for number in range(len(judge.photos)):
        for kind, gains, milliseconds in judge.gains(number, options.strength):
            rows[kind].append(gains)
            spent.append(milliseconds)
    table = {
        kind: {
            f"{strength:g}": {
                "dB": round(float(np.mean(column)), 2),
                "tenth": round(float(np.quantile(column, 0.1)), 2),
            }
            for strength, column in zip(options.strength, zip(*found, strict=True), strict=True)
        }
        for kind, found in rows.items()
    }
    result = {
        "model": options.model, "photographs": len(judge.photos), "table": table,
        "milliseconds": round(float(np.median(spent)), 1),
    }  # fmt: skip
    for kind, cells in table.items():
        shown = "  ".join(f"{s}: {c['dB']:+.2f} ({c['tenth']:+.2f})" for s, c in cells.items())
        print(f"{kind:<8}{shown}", file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
