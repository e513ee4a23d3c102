import json

import pytest

from colorcli.coco import select
from colorcli.errors import DataError


@pytest.fixture
def split(tmp_path):
    images = [
        {"id": i, "file_name": f"{i:012d}.jpg", "width": 9, "height": 9, "license": 1}
        for i in range(5)
    ]
    annotation = {"area": 1, "bbox": [0, 0, 1, 1], "segmentation": [], "iscrowd": 0}
    pairs = [(0, 1), (1, 18), (1, 1), (4, 18)]
    document = {
        "images": images,
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
        "annotations": [
            {**annotation, "id": n, "image_id": i, "category_id": c}
            for n, (i, c) in enumerate(pairs)
        ],
        "licenses": [{"id": 1, "name": "CC", "url": ""}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(document))
    for i in range(4):  # the fifth is missing on disk
        (tmp_path / f"{i:012d}.jpg").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("categories", "present", "missing"),
    [
        ([], [0, 1, 2, 3], [4]),
        (["dog"], [1], [4]),
        (["1"], [0, 1], []),
        (["person", "dog"], [0, 1], [4]),
    ],
)
def test_categories_choose_photographs(split, categories, present, missing, capsys):
    chosen = select(split / "instances.json", split, categories)
    assert [int(p[-16:-4]) for p in chosen.paths] == present
    assert [int(p[-16:-4]) for p in chosen.missing] == missing
    assert capsys.readouterr().out == ""


def test_bad_annotations(split, tmp_path):
    with pytest.raises(DataError, match="no category 'cat'"):
        select(split / "instances.json", split, ["cat"])
    with pytest.raises(DataError, match=r"none\.json"):
        select(tmp_path / "none.json", split)
    (tmp_path / "text.json").write_text("hello")
    with pytest.raises(DataError, match="not a COCO annotation"):
        select(tmp_path / "text.json", split)
