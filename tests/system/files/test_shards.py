"""Shares of the work: every photograph in one of them, the same one on every machine."""

import os

import pytest
from conftest import make

from colorcli.system.errors import UsageError
from colorcli.system.files.inputs import find
from colorcli.system.files.outputs import Names, plan_part
from colorcli.system.files.shards import Shard

SUFFIXES = {".jpg": ".jpg", ".png": ".png"}


@pytest.mark.parametrize("text", ["", "0/4", "5/4", "1/0", "1-4", "-1/4", "1/4/2", "a/b", "1.5/2"])
def test_what_is_no_share_is_refused_with_the_rule(text):
    with pytest.raises(UsageError, match=r"--shard .*I/N with I from 1 to N"):
        Shard.parse(text)


@pytest.mark.parametrize("of", [1, 2, 7, 64])
def test_each_name_is_in_one_share_and_shares_are_alike(of):
    names = [f"box {i // 100}/scan-{i}.tif" for i in range(3000)]
    held = [[name for name in names if Shard(i, of).holds(name)] for i in range(1, of + 1)]
    assert sorted(name for share in held for name in share) == sorted(names)
    assert all(abs(len(share) - 3000 / of) < 5 * (3000 / of) ** 0.5 for share in held)


def test_the_share_of_a_name_is_for_ever():
    held = [next(i for i in range(1, 65) if Shard(i, 64).holds(n)) for n in ("a.jpg", "b/é.png")]
    assert held == [10, 27]  # another hash would colour an archive twice that is half done
    assert Shard(10, 64).holds("A.JPG")  # where case is ignored they would be one result


def jobs(tree, output, of=3, recursive=True, **options):
    found = find([str(tree)], SUFFIXES, recursive=recursive)
    names = Names(output, None, SUFFIXES)
    return [
        plan_part(found.entries, names, shard=Shard(i, of), **options) for i in range(1, of + 1)
    ]


@pytest.fixture
def many(tmp_path):
    names = [f"{i % 5}/{i}.jpg" for i in range(60)]
    make(tmp_path / "in", *names)
    return tmp_path / "in"


@pytest.mark.parametrize("output", [None, "out", "out/{dir}/{stem}.png"])
def test_shares_part_a_tree_and_stay_when_it_grows(many, tmp_path, output):
    output = output and str(tmp_path / output)
    before = [{job.source.relative for job in share} for share in jobs(many, output)]
    assert sum(map(len, before)) == 60 == len(set().union(*before)) and all(before)
    make(many, *(f"new/{i}.jpg" for i in range(40)))
    after = [{job.source.relative for job in share} for share in jobs(many, output)]
    assert all(old <= new for old, new in zip(before, after, strict=True))
    assert sum(map(len, after)) == 100


def test_what_would_share_a_name_is_in_one_share_that_says_so(tmp_path):
    make(tmp_path / "in", "a/x.jpg", "b/x.jpg")
    refused = 0
    for i in range(1, 5):
        found = find([str(tmp_path / "in")], SUFFIXES, recursive=True)
        try:
            names = Names(str(tmp_path / "out" / "{stem}.jpg"), None, SUFFIXES)
            assert plan_part(found.entries, names, shard=Shard(i, 4)) == []
        except UsageError as error:
            refused += "both" in str(error)
    assert refused == 1


def test_results_of_another_share_are_not_in_the_way(many, tmp_path):
    out = tmp_path / "out"
    first, *_ = jobs(many, str(out))
    for job in first:
        make(out, os.path.relpath(job.target, out))
    _, second, third = (share for share in _later(many, out))
    assert len(second) + len(third) == 60 - len(first)


def _later(many, out):
    yield None
    found = find([str(many)], SUFFIXES, recursive=True)
    for i in (2, 3):
        yield plan_part(found.entries, Names(str(out), None, SUFFIXES), shard=Shard(i, 3))


def test_a_source_of_another_share_is_safe(tmp_path):
    make(tmp_path, "a.jpg", "b.jpg")
    found = find([str(tmp_path)], SUFFIXES)
    names = Names(str(tmp_path / "{stem}{stem}.jpg"), None, SUFFIXES)
    make(tmp_path, "aa.jpg")
    found = find([str(tmp_path)], SUFFIXES)
    told = []
    for i in range(1, 9):
        try:
            plan_part(found.entries, names, shard=Shard(i, 8), existing="replace")
        except UsageError as error:
            told.append(str(error))
    assert len(told) == 1 and "would replace a source" in told[0]


def test_a_count_over_all_is_no_name_for_a_share(many):
    with pytest.raises(UsageError, match=r"\{index\} counts"):
        jobs(many, "out/{index:05d}.png")
