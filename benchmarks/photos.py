"""Write redistributable sample photographs, from scikit-image's own, into a folder.

python benchmarks/photos.py FOLDER [--megapixels N] [--count N] [--colour]
"""

import argparse
from pathlib import Path

from PIL import Image
from skimage import data

NAMES = ("astronaut", "chelsea", "coffee", "rocket", "camera")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megapixels", type=float, help="scale each to this size")
    parser.add_argument("--count", type=int, default=len(NAMES), help="how many, repeating")
    parser.add_argument("--colour", action="store_true", help="as they are, not in gray")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for i in range(options.count):
        name = NAMES[i % len(NAMES)]
        photo = Image.fromarray(getattr(data, name)()).convert("RGB" if options.colour else "L")
        if options.megapixels:
            scale = (options.megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
            photo = photo.resize((round(photo.width * scale), round(photo.height * scale)))
        turn = "" if i < len(NAMES) else f"-{i}"
        photo.save(options.folder / f"{name}{turn}.jpg", quality=92)


if __name__ == "__main__":
    main()
