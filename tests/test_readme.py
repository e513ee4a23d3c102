"""The shell commands of README and docs, copied as they stand, in a folder with a few photographs.

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
PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
TEXT = {page: page.read_text("utf-8") for page in PAGES}
BLOCKS = [block for text in TEXT.values() for block in BLOCK.findall(text)]
RUN = list(dict.fromkeys(commands for reason, commands in BLOCKS if not reason))
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
        assert f"colorize {command} " in text, f"no page shows a colorize {command} that is tested"


def anchors(page):
    """What links to a heading of a page say, after GitHub's manner."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page):
    """Where a page's links lead inside the checkout: files, each with an anchor or nothing."""
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXT[page]):
        path, _, anchor = link.partition("#")
        if not link.startswith("https://"):
            yield (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for path, anchor in links(page):
        assert path.exists(), path
        assert not anchor or anchor in anchors(path), (path, anchor)


def test_readme_is_short_and_leads_to_every_page():
    assert TEXT[PAGES[0]].count("\n") <= 350
    assert {*PAGES[1:]} <= {path for path, _ in links(PAGES[0])}


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
