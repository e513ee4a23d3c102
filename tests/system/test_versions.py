import importlib
import re

import pytest

from colorcli.system import versions


def test_versions_are_those_of_the_modules():
    found = versions.versions()
    for label, module in (("numpy", "numpy"), ("pillow", "PIL")):
        assert found[label] == importlib.import_module(module).__version__
    assert list(found) == ["python", *versions.DISTRIBUTIONS]


@pytest.mark.parametrize("label", versions.DISTRIBUTIONS)
def test_what_is_absent_is_none(label, monkeypatch):
    monkeypatch.setitem(versions.DISTRIBUTIONS, label, ("no-such-distribution", "nor-this"))
    assert versions.versions()[label] is None


def test_version_names_the_program_first(colorize):
    first, *rest = colorize("--version").stdout.decode().splitlines()
    assert re.fullmatch(r"colorize \d+\.\d+\.\d+", first)
    assert [line.split()[0] for line in rest] == ["python", *versions.DISTRIBUTIONS]
