"""Settings: the defaults, a user's file, the command line. Every mistake is one line."""

import re

import pytest
import yaml

from dlinknet import config
from dlinknet.commands.command import FILES
from dlinknet.errors import UserError
from dlinknet.models.specs import NETWORKS

# The settings of the model zoo's D-LinkNet, without the three whose defaults differ here.
MODEL_ZOO = {
    "data_url": "",
    "train_url": "",
    "data_path": "/cache/data",
    "output_path": "/cache/train",
    "epoch_num": 300,
    "run_distribute": False,
    "distribute_epoch_num": 1200,
    "log_name": "weight01_dink34",
    "batch_size": 4,
    "learning_rate": 0.0002,
    "model_name": "dlinknet34",
    "scale_factor": 2,
    "scale_window": 1000,
    "init_loss_scale": 16777216,
    "label_path": "./",
    "predict_path": "./",
    "num_channels": 3,
    "width": 1024,
    "height": 1024,
    "file_name": "dinknet34",
    "file_format": "MINDIR",
}


def load(*arguments):
    return config.load(list(arguments), "A test.")


def mistake(*arguments):
    with pytest.raises(UserError) as error:
        load(*arguments)
    assert "\n" not in str(error.value) and len(str(error.value)) <= 300
    return str(error.value)


def test_defaults_are_those_of_the_model_zoo_except_for_three():
    settings = load()
    assert {key: getattr(settings, key) for key in MODEL_ZOO} == MODEL_ZOO
    assert (settings.enable_modelarts, settings.pretrained_ckpt, settings.device_target) == (
        False,
        "",
        "auto",
    )
    assert settings.trained_ckpt.endswith("/dinknet34.ckpt") and "~" not in settings.trained_ckpt


def test_every_key_has_a_type_a_default_and_a_text():
    values, texts, limits, commands, headings = yaml.safe_load_all(config.DEFAULT_FILE.read_text())
    assert values.keys() == texts.keys() == config.TYPES.keys()
    assert limits.keys() <= values.keys() == commands.keys()
    assert all(used and set(used) <= FILES.keys() for used in commands.values()), (
        "every key is some command's"
    )
    assert sorted(key for keys in headings.values() for key in keys) == sorted(values), (
        "under one heading each"
    )


def test_every_number_has_an_upper_limit_or_is_below_one():
    limits = list(yaml.safe_load_all(config.DEFAULT_FILE.read_text()))[2]
    for key, kind in config.TYPES.items():
        assert kind not in (int, float) or limits[key].keys() & {"max", "below"}, key


def test_help_shows_every_key_with_text_default_and_choices(capsys):
    with pytest.raises(SystemExit) as end:
        load("--help")
    assert end.value.code == 0
    shown = "".join(capsys.readouterr().out.split())  # lines also end at hyphens
    values, texts, *_ = yaml.safe_load_all(config.DEFAULT_FILE.read_text())
    for key, value in values.items():
        text = f"{texts[key]} (default: {'empty' if value == '' else value}"
        assert f"--{key}" in shown and "".join(text.split()) in shown, key
    assert "oneofauto,Ascend,GPU,CPU" in shown and "--config_pathFILE" in shown


@pytest.mark.parametrize("command", FILES)
def test_help_of_a_command_shows_its_settings_alone(command, capsys):
    with pytest.raises(SystemExit):
        config.load(["--help"], "", command=command)
    shown = set(re.findall(r"^  --(\w+)", capsys.readouterr().out, re.M))
    assert shown == {"config_path", *(key for key in config.TYPES if config.uses(command, key))}


def test_the_command_line_beats_the_users_file_beats_the_defaults(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        "batch_size: 8\nepoch_num: 5\nlearning_rate: 1e-3\n---\nbatch_size: help text\n",
        encoding="utf-8",
    )
    settings = load(f"--config_path={file}", "--epoch_num=7", "--tta", "--data_path", "~/roads")
    assert (settings.batch_size, settings.epoch_num, settings.learning_rate, settings.tta) == (
        8,
        7,
        0.001,
        True,
    )
    assert settings.data_path.startswith("/") and settings.data_path.endswith("/roads")
    assert settings.init_loss_scale == 16777216


def test_the_spellings_of_the_model_zoo_are_accepted(tmp_path):
    file = tmp_path / "model_zoo.yaml"
    file.write_text(
        'run_distribute: "False"\nmodel_name: "dinknet50"\ndevice_target: "cpu"\npretrained_ckpt:\n'
        'checkpoint_url: ""\ndevice_id: 0\n'
    )
    settings = load(f"--config_path={file}")
    assert (settings.run_distribute, settings.model_name, settings.device_target) == (
        False,
        "dlinknet50",
        "CPU",
    )
    assert settings.pretrained_ckpt == ""
    assert (
        load("--run_distribute=false").run_distribute
        is load("--run_distribute=False").run_distribute
        is False
    )


def test_resolved_settings_read_back_as_the_same(tmp_path):
    settings = load("--batch_size=2", "--data_path=/道路/data", "--tta=True", "--seed=5")
    (tmp_path / "saved.yaml").write_text(settings.as_yaml(), encoding="utf-8")
    assert load(f"--config_path={tmp_path / 'saved.yaml'}") == settings


@pytest.mark.parametrize(
    "argument, words",
    [
        ("--bach_size=3", "unknown key '--bach_size'; did you mean '--batch_size'?"),
        ("--data-path=x", "did you mean '--data_path'?"),
        ("data", "'data' is not a setting"),
        ("--batch_size=two", "batch_size must be a whole number, not 'two'"),
        ("--batch_size=2.5", "batch_size must be a whole number"),
        ("--batch_size=0", "batch_size must be at least 1 and at most 65536, not 0"),
        ("--learning_rate=fast", "learning_rate must be a number"),
        ("--learning_rate=0", "learning_rate must be above 0"),
        ("--learning_rate=nan", "learning_rate must be a number"),
        ("--val_split=1", "val_split must be at least 0 and below 1"),
        (
            "--train_size=100",
            "train_size must be at least 0 and at most 65536 and a multiple of 32",
        ),
        ("--train_size=1000000000", "train_size must be at least 0 and at most 65536"),
        ("--batch_size=1e12", "batch_size must be at least 1 and at most 65536"),
        ("--epoch_num=1e18", "epoch_num must be at least 1 and at most 1000000"),
        ("--scene_size=1e9", "scene_size must be at least 64 and at most 16384"),
        ("--learning_rate=1e400", "learning_rate must be a number"),
        ("--learning_rate=" + "1" * 400, "learning_rate must be a number, not '111"),
        ("--data_path=" + "x" * 5000, "data_path must be a text of at most 4096 letters, not 'xxx"),
        ("--" + "x" * 5000, "unknown key '--xxx"),
        ("x" * 5000, "is not a setting"),
        ("--batch_size=\x1b[31m", "not '\\x1b[31m'"),
        ("--tta=perhaps", "tta must be True or False"),
        ("--model_name=dlinket34", "did you mean 'dlinknet34'?"),
        ("--device_target=TPU", "device_target must be one of auto, Ascend, GPU, CPU"),
        ("--log_name=a/b", "log_name must be a plain file name"),
        ("--scale_factor=1", "scale_factor must be at least 2"),
        ("--init_loss_scale=1e39", "init_loss_scale must be at least 1 and at most 3e+38"),
        ("--seed=4294967296", "seed must be at least 0 and at most 4294967295"),
        ("--config=x", "did you mean '--config_path'?"),
        ("--data_path", "expected one argument"),
        ("--config_path=/no/such.yaml", "cannot read /no/such.yaml"),
        ("--resize_width=64", "resize_width and resize_height belong together"),
        ("--train_height=64", "train_height is the height of crops whose width is train_size"),
        ("--amp_level=O4", "amp_level must be one of O0, O1, O2, O3, BF16, not 'O4'"),
    ],
)
def test_mistakes_on_the_command_line(argument, words):
    assert words in mistake(argument)


@pytest.mark.parametrize(
    "text, words",
    [
        ("bach_size: 3", "mine.yaml: unknown key 'bach_size'; did you mean 'batch_size'?"),
        ("batch_size: [4]", "mine.yaml: batch_size must be a whole number, not [4]"),
        ("batch_size: true", "batch_size must be a whole number, not True"),
        ("batch_size:", "batch_size must be a whole number, not None"),
        ("data_path: {a: b}", "data_path must be text"),
        ("a: b: c", "mine.yaml: line 1: not YAML"),
        ("batch_size: 010", "'010' has a leading 0"),
        ("log_name: !!binary aGk=", "a tag"),
        ("data_path: [&a [x], *a]", "an alias"),
        ("log_name: !!timestamp x", "a tag"),
        ("seed: " + "[" * 500, "levels"),
        ("batch_size: 4\nbatch_size: 8", "twice"),
        ('output_path: "a\\0b"', "NUL byte"),
        ("learning_rate: " + "1" * 400, "digits"),
        ("batch_size: 1:30", "batch_size must be a whole number, not '1:30'"),
        ("x" * 1000 + ": 1", "unknown key 'xxx"),
        ("data_path: " + "x" * 5000, "at most 4096 letters"),
        ("batch_size: [" + "1, " * 5000 + "]", "must be a whole number"),
        ("- batch_size", "must hold lines of the form 'key: value'"),
        ("7: 3", "unknown key '7'"),
        ("\xff\xfe", "not a UTF-8 text"),
    ],
)
def test_mistakes_in_a_file(tmp_path, text, words):
    (tmp_path / "mine.yaml").write_bytes(text.encode("latin-1"))
    assert words in mistake(f"--config_path={tmp_path / 'mine.yaml'}")


def test_the_command_line_names_only_settings_that_the_command_uses(tmp_path):
    with pytest.raises(
        UserError, match="--probabilities: train does not use this setting; it is of predict"
    ):
        config.load(["--probabilities=png"], "", command="train")
    (tmp_path / "all.yaml").write_text(load("--probabilities=png").as_yaml(), encoding="utf-8")
    settings = config.load(
        [f"--config_path={tmp_path / 'all.yaml'}", "--batch_size=3"], "", command="train"
    )
    assert settings.probabilities == "png" and settings.given == {"batch_size"}, (
        "a file may hold all of them"
    )


@pytest.mark.parametrize(
    "text, value",
    [("log_name: 2026-11-31", "2026-11-31"), ("log_name: '010'", "010"), ("log_name: 1e5", "1e5")],
)
def test_a_text_stays_as_it_is_written(tmp_path, text, value):
    (tmp_path / "mine.yaml").write_text(text)
    assert load(f"--config_path={tmp_path / 'mine.yaml'}").log_name == value


def test_models_that_can_be_chosen_are_those_that_can_be_built():
    choices = list(yaml.safe_load_all(config.DEFAULT_FILE.read_text()))[2]["model_name"]
    assert {load(f"--model_name={name}").model_name for name in choices} == set(NETWORKS)
    assert all(re.fullmatch(r"d?linknet\d+", name) for name in NETWORKS)
