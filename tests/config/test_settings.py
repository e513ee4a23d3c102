import dataclasses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from colorcli.config import settings
from colorcli.config.training import PRESETS, TrainConfig
from colorcli.system.errors import UsageError

KNOWN = settings.settings(TrainConfig)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_written_is_read_back(preset, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(settings.write(PRESETS[preset]), "utf-8")
    for base in PRESETS.values():
        assert settings.read(path, base) == PRESETS[preset]


@given(
    st.text(st.characters(codec="utf-8")),
    st.floats(0, 1e9),
    st.lists(st.integers(1, 999), min_size=1),
)
@example("\x7f", 0.0, [1])
def test_any_value_survives_the_file(tmp_path_factory, text, number, widths):
    config = settings.overridden(
        TrainConfig(), {"init": text, "minutes": number, "decoder": widths}, "test"
    )
    path = tmp_path_factory.mktemp("c") / "c.toml"
    path.write_text(settings.write(config), "utf-8")
    assert settings.read(path, TrainConfig()) == config


def test_every_setting_has_help_and_a_default_that_passes():
    for setting in KNOWN.values():
        assert setting.limits["help"].endswith((".", "."))
        assert settings.checked(setting, setting.default, "default") == setting.default


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bach = 3", ("unknown key bach", "batch")),
        ("loss = 'mse'", ("unknown key loss", "model.loss")),
        ("[model]\nlos = 'mse'", ("unknown key model.los", "model.loss")),
        ("[weihgts]\nregression = 1", ("unknown key weihgts", "weights")),
        ("xyzzy = 1", ("unknown key xyzzy", "--print-config")),
        ("batch = 'many'", ("batch must be a whole number", "many")),
        ("batch = true", ("batch must be a whole number",)),
        ("batch = 0", ("at least 1",)),
        ("crop = 2.0", ("at most 1",)),
        ("rate = nan", ("rate must be a number",)),
        ("stages = [128]", ("pairs of side and share",)),
        ("[model]\nloss = 'msee'", ("did you mean mse",)),
        ("[model]\ndecoder = []", ("list of whole numbers",)),
        ("model = 3", ("unknown key model",)),
        ("batch = = 3", ("not TOML",)),
    ],
)  # fmt: skip
def test_bad_files_are_refused_in_one_line(text, words, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        settings.read(path, TrainConfig())
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert all(word in message for word in words), message


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match="--config needs a TOML file"):
        settings.read(tmp_path / "none.toml", TrainConfig())


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("batch", "8", 8),
        ("rate", "1e-3", 1e-3),
        ("init", "none", "none"),
        ("decoder", "64, 32", (64, 32)),
        ("stages", "128:0.7,192:0.3", ((128, 0.7), (192, 0.3))),
        ("stages", "96", ((96, 1.0),)),
    ],
)
def test_flags_are_parsed(name, text, value):
    setting = KNOWN[name]
    assert settings.checked(setting, settings.parse(setting, text), "flag") == value


@pytest.mark.parametrize(("name", "text"), [("decoder", "a"), ("stages", "128:x"), ("stages", "")])
def test_flags_that_make_no_sense(name, text):
    setting = KNOWN[name]
    with pytest.raises(UsageError):
        settings.checked(setting, settings.parse(setting, text), "--flag")


def test_overriding_reaches_nested_configs_and_leaves_the_rest():
    config = settings.overridden(TrainConfig(), {"loss": "mse", "rebalance": 0.5, "batch": 8}, "x")
    assert (config.model.loss, config.weights.rebalance, config.batch) == ("mse", 0.5, 8)
    assert (
        dataclasses.replace(
            config, model=TrainConfig().model, weights=TrainConfig().weights, batch=32
        )
        == TrainConfig()
    )
