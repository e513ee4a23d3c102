import pytest

from colorcli.colorizing.tolerance import Tolerance
from colorcli.system.errors import UsageError


@pytest.mark.parametrize(
    ("text", "failed", "tried", "exceeded"),
    [
        ("0", 0, 5, False), ("0", 1, 5, True), ("3", 3, 3, False), ("3", 4, 9, True),
        ("5%", 5, 99, False),  # too few to say
        ("5%", 5, 100, False), ("5%", 6, 100, True), ("0.5%", 6, 1000, True), ("100%", 500, 500, False),
    ],
)  # fmt: skip
def test_how_many_may_fail(text, failed, tried, exceeded):
    assert Tolerance.parse(text).exceeded(failed, tried) is exceeded


@pytest.mark.parametrize("text", ["", "-1", "5 %", "101%", "%", "1e3", "nan%"])
def test_what_is_no_tolerance_is_refused(text):
    with pytest.raises(UsageError, match="--max-errors"):
        Tolerance.parse(text)
