"""README's shell commands, copied as they stand, in a folder with a few photographs.

A comment before a block says why it is not run here: ``<!-- no-test: needs COCO -->``.
"""

import random
import re
import shutil
import subprocess

import pytest
from conftest import REPO
from PIL import Image

from colorcli.exporting import photographs

BLOCK = re.compile(r"(?:<!-- no-test: (.+?) -->\s*)?```sh\n(.*?)```", re.DOTALL)
BLOCKS = BLOCK.findall((REPO / "README.md").read_text("utf-8"))
RUN = [commands for reason, commands in BLOCKS if not reason]
# Two dozen photographs, two steps: the commands are tested, not what comes of ten minutes.
SHORTER = {
    r" --val-fraction [\d.]+": "",
    r"(colorize prepare folder\b)": r"\1 --val-fraction 0.3",
    r"--minutes \d+": "--steps 2 --batch 4",
}
LONG = ("colorize train", "colorize export")


def marked(commands: str):
    marks = [pytest.mark.slow] if any(command in commands for command in LONG) else []
    return pytest.param(commands, marks=marks, id=commands.splitlines()[0][:40].strip())


@pytest.fixture
def folder(tmp_path):
    """``photo.jpg``, ``photos/`` and ``scans/`` with crops of scikit-image's photographs."""
    place = tmp_path / "work"
    for name in ("photos", "scans"):
        (place / name).mkdir(parents=True)
    for i, pixels in enumerate(photographs.bundled()):
        image = Image.fromarray(pixels)
        for j in range(6):
            left, top = (
                j * 37 * k % (side - 160) for k, side in zip((1, 2), image.size, strict=True)
            )
            image.crop((left, top, left + 160, top + 160)).save(place / "photos" / f"{i}{j}.jpg")
    for i in range(2):
        with Image.open(place / "photos" / f"{i}0.jpg") as image:
            image.convert("L").save(place / "scans" / f"old{i}.jpg")
    shutil.copy(place / "scans" / "old0.jpg", place / "photo.jpg")
    return place


def test_blocks_are_found():
    assert len(RUN) >= 3
    text = "".join(RUN)
    for command in ("predict", "prepare", "train", "eval", "export"):
        assert f"colorize {command} " in text, f"README shows no colorize {command} that is tested"


def test_links_lead_somewhere():
    text = (REPO / "README.md").read_text("utf-8")
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(links) > 20
    for link in links:
        path, _, anchor = link.partition("#")
        assert link.startswith("https://") or not path or (REPO / path).exists(), link
        assert path or anchor in anchors, link


@pytest.mark.skipif(not shutil.which("jq"), reason="needs jq")
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_lines_that_colour_work_in_any_order_twice(seed, folder, in_path):
    lines = [line for block in RUN for line in block.splitlines() if "colorize predict" in line]
    assert len(lines) >= 5 and sum("find" in line for line in lines) == 2
    random.Random(seed).shuffle(lines)
    for _ in range(2):
        for line in lines:
            done = subprocess.run(
                ["bash", "-eu", "-o", "pipefail", "-c", line],
                cwd=folder,
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, (line, done.stderr[-3000:])
    made = sorted(p.name for p in (folder / "out").iterdir())
    names = {p.name for place in ("photos", "scans") for p in (folder / place).iterdir()}
    assert set(made) <= names | {"photo.jpg"}  # nothing twice, nothing of results


@pytest.mark.parametrize("commands", [marked(commands) for commands in RUN])
def test_commands_work(commands, folder, in_path):
    if "jq " in commands and not shutil.which("jq"):
        pytest.skip("jq is not installed")
    script = commands
    for pattern, shorter in SHORTER.items():
        script = re.sub(pattern, shorter, script)
    done = subprocess.run(
        ["bash", "-eux", "-o", "pipefail", "-c", script], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    for output in re.findall(r"(?: -o| >) ([\w./-]+)", commands):
        made = folder / output
        assert any(made.iterdir()) if made.is_dir() else made.stat().st_size, output
