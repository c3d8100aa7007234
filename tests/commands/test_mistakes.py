"""Mistakes of users: status 2, one line, no traceback, and no file is written or overwritten."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from dlinknet.devices.available import is_plugged_in
from tests.conftest import ROOT, call, refused


def snapshot(folder: Path) -> dict:
    """Return path -> bytes of every file below `folder`, and path -> None of every folder."""
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in sorted(folder.rglob("*"))
    }


@pytest.fixture
def run(stripe_data, tmp_path):
    """Return run(name, *arguments, words), which runs a command and returns its line.

    Data and folders are given unless the arguments name them.
    """
    (tmp_path / "w.ckpt").write_text(
        "stands for a checkpoint: the mistakes are found before it is read"
    )
    before, allowed = snapshot(tmp_path), set()

    def execute(name, *arguments, words=(), folder=stripe_data):
        given = {
            "train.py": [f"--data_path={folder}", f"--output_path={tmp_path / 'out'}"],
            "eval.py": [
                f"--data_path={folder}",
                f"--label_path={folder}",
                f"--predict_path={tmp_path / 'pred'}",
                f"--trained_ckpt={tmp_path / 'w.ckpt'}",
            ],
            "split-data": [f"--data_path={folder}", f"--output_path={tmp_path / 'out'}"],
            "predict.py": [
                f"--data_path={folder}",
                f"--predict_path={tmp_path / 'pred'}",
                f"--trained_ckpt={tmp_path / 'w.ckpt'}",
            ],
            "report": [f"--output_path={tmp_path / 'out'}", f"--predict_path={tmp_path / 'pred'}"],
            "draw-scenes": [f"--output_path={tmp_path / 'out'}"],
        }[name]
        device = ["--device_target=CPU"] if name in ("train.py", "eval.py", "predict.py") else []
        return refused(call(name, *device, *given, *arguments, cwd=tmp_path), *words)

    execute.allow = allowed.update  # what the test itself makes, relative to its folder
    yield execute
    after = snapshot(tmp_path)
    assert {name: after.get(name) for name in before} == before
    assert after.keys() <= before.keys() | allowed, "a refused command wrote files"


@pytest.mark.parametrize(
    "name", ["train.py", "eval.py", "predict.py", "report", "split-data", "draw-scenes"]
)
def test_settings(run, tmp_path, name):
    run(name, "--bach_size=3", words=[name, "--bach_size", "did you mean '--batch_size'?"])
    run(
        name,
        "--height=64",
        words=[
            "--height: "
            + name.removesuffix(".py")
            + " does not use this setting; it is of export, profile"
        ],
    )
    run(name, f"--config_path={tmp_path}/none.yaml", words=["cannot read", "none.yaml"])
    (tmp_path / "mine.yaml").write_text("epoch_nums: 3\n")
    run.allow({"mine.yaml"})
    run(
        name,
        f"--config_path={tmp_path}/mine.yaml",
        words=["mine.yaml: unknown key 'epoch_nums'; did you mean 'epoch_num'?"],
    )
    (tmp_path / "mine.yaml").write_text("epoch_num: [3]\n")
    run(
        name,
        f"--config_path={tmp_path}/mine.yaml",
        words=["mine.yaml: epoch_num must be a whole number, not [3]"],
    )
    for text, line in (
        ("batch_size: many", "batch_size must be a whole number, not 'many'"),
        ("learning_rate: -1", "learning_rate must be above 0"),
        ("model_name: unet", "model_name must be one of dlinknet34"),
    ):
        (tmp_path / "mine.yaml").write_text(text)
        run(name, f"--config_path={tmp_path}/mine.yaml", words=[line])


@pytest.fixture(
    params=[
        "deep mask",
        "lost mask",
        "lost image",
        "truncated image",
        "text image",
        "truncated mask",
        "other size",
    ]
)
def spoiled(request, stripe_data):
    """Put one fault into the folder, and return the words that must name it."""
    sat, mask = stripe_data / "r2_sat.jpg", stripe_data / "r2_mask.png"
    if request.param == "deep mask":
        cv2.imwrite(str(mask), np.full((64, 64), 255, np.uint16))
        return ["1 bad file (r2_mask.png: not 8 bits a channel"]
    if request.param == "lost mask":
        mask.unlink()
        return ["1 image without a mask (r2_sat.jpg)"]
    if request.param == "lost image":
        sat.unlink()
        return ["1 mask without an image (r2_mask.png)"]
    if request.param == "text image":
        sat.write_text("text")
        return ["1 bad file (r2_sat.jpg: is no image)"]
    if request.param == "other size":
        cv2.imwrite(str(mask), np.zeros((32, 64), np.uint8))
        return ["1 bad file (r2_mask.png: 64x32, its image 64x64)"]
    file = sat if request.param == "truncated image" else mask
    file.write_bytes(file.read_bytes()[:-60])
    return [f"1 bad file ({file.name}: truncated)"]


@pytest.mark.parametrize(
    "name, arguments", [("train.py", []), ("eval.py", []), ("split-data", ["--val_split=0.5"])]
)
def test_data(spoiled, run, name, arguments):
    run(name, *arguments, words=["data_path", "stripe data", *spoiled])


def test_folders(run, tmp_path, stripe_data):
    (tmp_path / "empty").mkdir()
    run.allow({"empty"})
    for name in ("train.py", "eval.py"):
        run(name, words=["data_path", "no file named ID_sat.jpg"], folder=tmp_path / "empty")
        run(name, words=["data_path", "No such file"], folder=tmp_path / "nowhere")
    run(
        "train.py",
        f"--val_path={tmp_path / 'empty'}",
        words=["val_path", "no file named ID_sat.jpg"],
    )
    run(
        "train.py",
        "--val_split=0.1",
        f"--val_path={tmp_path / 'empty'}",
        words=["val_split and val_path both"],
    )
    run("train.py", "--val_split=0.99", words=["val_split: 0.99 of 6 images leaves none"])
    run("split-data", words=["val_split is 0", "--val_split=0.1"])
    run(
        "train.py",
        f"--val_label_path={tmp_path / 'empty'}",
        words=["val_label_path names masks without images"],
    )
    run(
        "train.py",
        f"--val_path={stripe_data}",
        f"--val_label_path={tmp_path / 'empty'}",
        words=["val_label_path", "no file named ID_mask.png"],
    )
    run("draw-scenes", "--scene_num=2", "--val_split=0.9", words=["leaves none to train on"])


def test_places_that_cannot_be_written(run, tmp_path, stripe_data):
    run(
        "train.py",
        f"--output_path={stripe_data / 'r0_sat.jpg' / 'out'}",
        words=["output_path:", "r0_sat.jpg is a file"],
    )
    run("train.py", "--output_path=", words=["output_path is empty: name a folder"])
    run("eval.py", "--predict_path=./", words=["predict_path is required"])
    run(
        "eval.py",
        f"--predict_path={stripe_data}",
        words=["predict_path", "12 files that no earlier run wrote"],
    )
    run("eval.py", "--predict_path=/proc", words=["predict_path: cannot write to /proc"])
    run("predict.py", "--predict_path=/", words=["predict_path: / holds more than 1000 files"])


@pytest.fixture
def long_name(stripe_data):
    for ending in ("sat.jpg", "mask.png"):
        (stripe_data / f"r0_{ending}").rename(stripe_data / f"{'n' * 244}_{ending}")


def test_a_name_that_its_results_cannot_have(long_name, run):
    """Use an ID of 244 letters: with _overlay.jpg it has 256 bytes. eval.py then writes no file."""
    run(
        "eval.py",
        words=[
            "predict_path: a result would be 'overlays/nnn",
            "has a name of more than 255 bytes; rename",
        ],
    )


def test_a_split_is_not_written_over_another(run, stripe_data, tmp_path):
    # The data folder's parent has a folder called train already.
    (tmp_path / "have" / "train").mkdir(parents=True)
    (tmp_path / "have" / "train" / "x.txt").write_text("mine")
    run.allow({"have", "have/train", "have/train/x.txt"})
    for name in ("split-data", "draw-scenes"):
        run(
            name,
            "--val_split=0.5",
            f"--output_path={tmp_path / 'have'}",
            words=["has train already"],
        )
    assert (tmp_path / "have" / "train" / "x.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "key, name",
    [("pretrained_ckpt", "train.py"), ("trained_ckpt", "eval.py"), ("trained_ckpt", "predict.py")],
)
def test_checkpoints(run, tmp_path, key, name):
    run(name, f"--{key}={tmp_path / 'none.ckpt'}", words=[f"{key}: there is no file", "none.ckpt"])
    run(
        name,
        f"--{key}={ROOT / 'README.md'}",
        words=[f"{key}:", "README.md is not a whole MindSpore checkpoint"],
    )


def test_devices(run):
    for target in ("Ascend", "GPU"):
        if is_plugged_in(target):
            pytest.skip("this machine has a device")
        run(
            "train.py",
            f"--device_target={target}",
            words=[f"device_target: no {target} can be used: none is plugged in"],
        )


def test_several_processes_take_a_launcher(run):
    run(
        "train.py",
        "--run_distribute=True",
        words=["run_distribute: no launcher started this process"],
    )


def test_a_bare_word_is_refused(run, stripe_data):
    run("train.py", str(stripe_data), words=["is not a setting: write --key=value"])
