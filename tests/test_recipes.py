"""The recipes in configs/: few lines that the settings accept, with the values of their source."""

import pytest
import yaml

from dlinknet import config
from dlinknet.commands.data_sets import classes_of, preprocessing_of
from dlinknet.data.preprocess import CHOICES
from tests.conftest import ROOT

RECIPES = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_is_a_few_lines_that_the_settings_accept(file):
    settings = config.load([f"--config_path={file}"], "")
    values = yaml.safe_load(file.read_text(encoding="utf-8"))
    defaults = config.read_values(config.DEFAULT_FILE)
    assert all(defaults[key] != value for key, value in values.items()), (
        "only what differs from the defaults"
    )
    assert classes_of(settings).outputs > 1 and preprocessing_of(settings).is_supported
    assert f"configs/{file.name}" in (ROOT / "docs" / "classes.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "name, expected",
    [
        (
            "camvid",
            {
                "outputs": 11,
                "resize": (576, 768),
                "epoch_num": 100,
                "class_weights": "log",
                "decoder": "full",
                "optimizer": "rmsprop",
                "learning_rate": 5e-4,
                "batch_size": 10,
                "augment": "none",
            },
        ),
        (
            "camvid_modified",
            {
                "outputs": 11,
                "resize": (576, 768),
                "class_weights": "log",
                "optimizer": "adamw",
                "schedule": "one_cycle",
                "decoder": "subpixel",
                "epoch_num": 100,
            },
        ),
        ("cityscapes", {"outputs": 34, "resize": (512, 1024), "epoch_num": 20}),
        *(
            (
                f"camvid_blog_{width}x{height}",
                {
                    "outputs": 12,
                    "optimizer": "rmsprop",
                    "learning_rate": 5e-4,
                    "batch_size": 16,
                    "augment": "mirror",
                    "train_size": width,
                    "train_height": height,
                    "epoch_num": 800,
                    "resize": None,
                },
            )
            for width, height in ((128, 128), (480, 320), (512, 512))
        ),
        ("notebook", {"outputs": 5, "decoder": "depthwise", "model_name": "linknet18"}),
    ],
)
def test_a_recipe_has_the_values_of_its_source(name, expected):
    settings = config.load([f"--config_path={ROOT / 'configs' / name}.yaml"], "")
    found = {"outputs": classes_of(settings).outputs, "resize": preprocessing_of(settings).resize}
    assert {key: found.get(key, getattr(settings, key, None)) for key in expected} == expected
    if name != "notebook":
        assert preprocessing_of(settings).shift == CHOICES["imagenet_mean"].shift
