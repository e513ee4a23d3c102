"""What the knobs cost and give: PSNR over gray against colorfulness, over vividness × temperature.

python benchmarks/knobs.py PHOTOS... [--model M] [--limit N] [--strip FILE.png] [--flip-average]

PHOTOS are colour photographs or folders of them; each is squashed to 256 × 256 and fed in as its
own lightness, as ``colorize eval`` does. Table on stderr, JSON on stdout, and with --strip a
picture: a row for each of the first photographs, a column for each setting.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from judged import arguments, colour_photographs

from colorcli.color.lab import join, neutral
from colorcli.colorizing.colorizer import Colorizer
from colorcli.evaluation.metrics import View, psnr
from colorcli.network.decoding import Knobs


def scores(truth: np.ndarray, shown: np.ndarray) -> list[float]:
    view = View(shown)
    return [psnr(truth, shown), view.cf, view.cf_abs]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--temperatures", type=float, nargs="+", default=[1.0, 0.8, 0.6, 0.4])
    parser.add_argument(
        "--vividness", type=float, nargs="+", default=[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    )
    parser.add_argument("--flip-average", action="store_true")
    parser.add_argument("--strip", type=Path)
    parser.add_argument("--strip-rows", type=int, default=6)
    options = parser.parse_args()

    truths = colour_photographs(options.photos, options.limit)
    grays = [neutral(truth) for truth in truths]
    none = np.zeros((1, 1, 2), np.float32)
    plain = [join(gray, none, np.uint8) for gray in grays]
    gray = np.mean([scores(t, p) for t, p in zip(truths, plain, strict=True)], axis=0)
    truth_cf = np.mean([scores(t, t)[1:] for t in truths], axis=0)

    table, columns = [], [plain]
    print(
        f"{len(truths)} photographs; gray {gray[0]:.2f} dB; truth cf {truth_cf[0]:.1f}, "
        f"cf_abs {truth_cf[1]:.1f}\n\nvividness  temperature  gain dB     cf  cf_abs",
        file=sys.stderr,
    )
    for vividness in options.vividness:
        for temperature in options.temperatures:
            colorizer = Colorizer(
                options.model,
                Knobs(
                    temperature=temperature,
                    vividness=vividness,
                    flip_average=options.flip_average,
                ),
            )
            shown = list(colorizer.map(grays))
            shown = [cv2.convertScaleAbs(image, alpha=1 / 257) for image in shown]
            psnr, cf, cf_abs = np.mean(
                [scores(t, s) for t, s in zip(truths, shown, strict=True)], axis=0
            )
            row = {
                "vividness": vividness, "temperature": temperature,
                "gain": round(float(psnr - gray[0]), 3), "cf": round(float(cf), 2),
                "cf_abs": round(float(cf_abs), 2),
            }  # fmt: skip
            table.append(row)
            columns.append(shown[: options.strip_rows])
            print(
                f"{vividness:9.2f}  {temperature:11.2f}  {row['gain']:+7.2f}  {row['cf']:5.1f}"
                f"  {row['cf_abs']:6.1f}", file=sys.stderr, flush=True,
            )  # fmt: skip
    if options.strip:
        columns.append(truths)
        rows = [
            np.hstack([c[i] for c in columns]) for i in range(min(options.strip_rows, len(truths)))
        ]
        cv2.imwrite(str(options.strip), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    print(json.dumps({
        "model": options.model, "photographs": len(truths), "flip_average": options.flip_average,
        "gray_psnr": round(float(gray[0]), 3), "truth_cf": round(float(truth_cf[0]), 2),
        "truth_cf_abs": round(float(truth_cf[1]), 2), "table": table,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
