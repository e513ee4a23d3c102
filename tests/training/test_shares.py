"""Weights of folders and sets, as words and as tables."""

import pytest

from colorcli.config import settings
from colorcli.config.training import TrainConfig
from colorcli.system.errors import UsageError
from colorcli.training.feed import shares
from colorcli.training.feed.shares import Mixture, Share, parse


@pytest.mark.parametrize(
    ("text", "name", "weight"),
    [
        ("data", "data", 1), ("data/:3", "data/", 3), ("data:3", "data", 3),
        ("data:0.5", "data", 0.5), ("data:.5", "data", 0.5), ("data:1e-1", "data", 0.1),
        ("odd:3/", "odd:3/", 1), ("odd:3:2", "odd:3", 2), ("odd:3/:2", "odd:3/", 2),
        ("C:\\data", "C:\\data", 1), ("data:nan", "data:nan", 1), ("data:x", "data:x", 1),
        (":3", ":3", 1), ("data:", "data:", 1), ("a:b:2", "a:b", 2),
    ],
)  # fmt: skip
def test_a_number_after_the_last_colon_is_a_weight(text, name, weight):
    assert parse([text], [], []).data == (Share(name, weight),)


@pytest.mark.parametrize("text", ["odd:3", "odd/:3"])
def test_a_folder_whose_name_ends_so_needs_its_slash(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / text).mkdir(parents=True)
    with pytest.raises(UsageError, match=rf"^{text}: :3 at the end is a weight.*write {text}/ for"):
        parse([text], [], [])
    with pytest.raises(UsageError, match="write"):
        parse([], [text], [])
    assert parse([f"{text}/"], [], []).data == (Share(f"{text}/", 1.0),)
    assert parse([f"{text}:2"], [], []).data == (Share(text, 2.0),)


def test_a_folder_named_twice_counts_twice():
    assert parse(["a", "b:0.5", "a", "b"], [], []).data == (Share("a", 2), Share("b", 1.5))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((["a:0"], [], []), "weight of a must be above 0, not 0"),
        ((["a:-1"], [], []), "weight of a must be above 0, not -1"),
        (([], ["a:-1"], []), "weight of a must be 0 or more"),
        (([], ["a:0", "b:0"], []), "--val: every weight is 0"),
        (([], [], ["food"]), "--set food: needs the name of a set and a weight"),
        (([], [], ["food:-2"]), "weight of food must be 0 or more"),
        ((["a:1e999"], [], []), "above 0, not inf"),
    ],
)
def test_words_that_make_no_sense(words, message):
    with pytest.raises(UsageError, match=message) as caught:
        parse(*words)
    assert "\n" not in str(caught.value)


def test_tables_are_taken_out_and_written_back(tmp_path):
    path, config = tmp_path / "run.toml", TrainConfig(batch=8)
    mixture = Mixture(
        (Share("photos/", 1.0), Share('od"d:3', 2.5)), (Share("osie", 1.0), Share("mine", 0.0)),
        (Share("food", 0.5),),
    )  # fmt: skip
    path.write_text(
        settings.write(config, {t: getattr(mixture, t) for t in shares.TABLES}), "utf-8"
    )
    document = settings.document(path)
    assert shares.taken(document, str(path)) == mixture
    assert settings.applied(document, TrainConfig(), str(path)) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data = 3", r"data must be a table of names and weights: \[data\]"),
        ("[data]\na = 'much'", "data.a must be a number, not 'much'"),
        ("[data]\na = true", "data.a must be a number"),
        ("[data]\na = 0", "the weight of a must be above 0"),
        ("[sets]\na = nan", "the weight of a must be 0 or more"),
        ("[val]\na = 0", "val: every weight is 0"),
    ],
)
def test_bad_tables_name_their_file(text, message, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        shares.taken(settings.document(path), str(path))
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_the_command_line_comes_before_the_file():
    file = parse(["a"], ["v"], ["food:2", "cars:3"])
    assert parse(["b:2"], [], ["food:0"]).over(file) == Mixture(
        (Share("b", 2.0),), (Share("v", 1.0),), (Share("food", 0.0), Share("cars", 3.0))
    )
    assert Mixture().over(file) == file
