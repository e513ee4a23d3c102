"""JPEG to JPEG by luma and by Lab, on colour photographs turned gray: table on stdout.

python benchmarks/luma.py PHOTOS [--limit N] [--model NAME]

Each photograph is saved as a gray JPEG of quality 92, coloured both ways, and compared: PSNR against
its true colours, size, luma's error against the gray JPEG, chroma's distance between the ways.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from colorcli.colorizing.colorizer import Colorizer
from colorcli.colorizing.encoded.luma import colorize_luma
from colorcli.colorizing.encoded.photograph import colorize_bytes
from colorcli.config.predict import PredictConfig


def planes(data: bytes) -> np.ndarray:
    """Y, Cb, Cr as they are stored, chroma interpolated."""
    image = Image.open(io.BytesIO(data))
    image.draft("YCbCr", image.size)
    return np.asarray(image.convert("YCbCr")).astype(float)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    colorizer = Colorizer(options.model)
    every = sorted(p for p in options.photographs.rglob("*") if p.is_file())
    rows: dict[str, list[tuple[float, ...]]] = {"luma": [], "lab": [], "lab, same size": []}
    distances = []
    for path in every[:: max(1, len(every) // options.limit)][: options.limit]:
        truth = Image.open(path).convert("RGB")
        buffer = io.BytesIO()
        truth.convert("L").save(buffer, "JPEG", quality=92)
        gray = buffer.getvalue()
        done = colorize_luma(gray, str(path), colorizer)
        assert done is not None, path
        results = {"luma": done[0]}
        results["lab"], _ = colorize_bytes(gray, str(path), colorizer)
        for quality in range(95, 60, -1):
            config = PredictConfig(quality=quality)
            same, _ = colorize_bytes(gray, str(path), colorizer, None, config)
            results["lab, same size"] = same
            if len(same) <= len(results["luma"]):
                break
        light = planes(gray)[..., 0]
        for name, data in results.items():
            rgb = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(float)
            error = np.mean((rgb - np.asarray(truth)) ** 2)
            luma = np.abs(planes(data)[..., 0] - light)
            rows[name].append((10 * np.log10(255**2 / error), len(data) / 1000, luma.mean()))
        distances.append(np.abs(planes(results["luma"]) - planes(results["lab"])).mean(axis=(0, 1)))
    for name, figures in rows.items():
        psnr, size, error = np.mean(figures, axis=0)
        print(f"{name:15} PSNR {psnr:.3f} dB  {size:.1f} kB  luma's error {error:.3f}")
    luma, blue, red = np.mean(distances, axis=0)
    print(f"between the ways, levels: luma {luma:.2f}  Cb {blue:.2f}  Cr {red:.2f}")


if __name__ == "__main__":
    main()
