"""train.py and eval.py as a user runs them: one real run, then evaluations of what it left."""

import csv
import json
import shutil

import cv2
import mindspore
import numpy as np
import pytest

from dlinknet.files.results import MANIFEST
from tests.conftest import call, command, refused, stripes, write_pair


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Make training and validation images of several sizes, none a multiple of 32."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    for number in range(6):
        write_pair(folder / "data" / "train", f"t{number}", *stripes(number, 60 + number % 3, 64))
    for number in range(3):
        write_pair(
            folder / "data" / "valid",
            f"v{number}",
            *stripes(20 + number, 50 + number, 60),
            folder / "data" / "valid_mask",
        )
    return folder


TRAIN = [
    "--data_path=data/train",
    "--val_path=data/valid",
    "--val_label_path=data/valid_mask",
    "--output_path=output",
    "--device_target=CPU",
    "--model_name=linknet18",
    "--batch_size=4",
    "--epoch_num=3",
    "--learning_rate=0.001",
]


def compiled(folder):
    """How many graphs MindSpore compiled in a run that saved its graphs here."""
    return len(list(folder.glob("*_validate_*.ir")))


@pytest.fixture(scope="module")
def trained(work, tmp_path_factory):
    """The finished training: (working folder, result, number of graphs compiled)."""
    graphs = tmp_path_factory.mktemp("graphs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MS_DEV_SAVE_GRAPHS", "1")
        patch.setenv("MS_DEV_SAVE_GRAPHS_PATH", str(graphs))
        result = command("train.py", *TRAIN, cwd=work)
    assert result.returncode == 0, result.stderr
    return work, result, compiled(graphs)


def test_training_writes_its_files_and_nothing_else_where_the_user_stands(trained):
    work, result, _ = trained
    names = sorted(p.name for p in (work / "output").iterdir())
    assert names == sorted(
        f"weight01_dink34_{ending}"
        for ending in (
            "best.ckpt",
            "last.ckpt",
            "previous.ckpt",
            "plateau.ckpt",
            "config.yaml",
            "curves.png",
            "epochs.csv",
            "split.json",
            "checked.json",
            "train.log",
        )
    )
    assert sorted(p.name for p in work.iterdir() if p.name not in ("predictions",)) == [
        "data",
        "output",
    ]
    assert result.stderr == "", "no warning lines that mean nothing"
    assert cv2.imread(str(work / "output" / "weight01_dink34_curves.png")) is not None


def test_the_log_says_what_ran_and_how_it_went(trained):
    work, result, _ = trained
    for words in (
        "device: CPU (MindSpore",
        "encoder: random weights",
        "6 images to train on, 3 to validate on",
        "batches of 4 x 64 x 64",
        "epoch 3/3: loss",
        "road_iou",
        "images/s",
        "best: road_iou",
    ):
        assert words in result.stdout, result.stdout
    log = (work / "output" / "weight01_dink34_train.log").read_text()
    assert "epoch 3/3: loss" in log and "python " in log


def test_the_loss_falls_and_every_epoch_is_in_the_table(trained):
    with open(trained[0] / "output" / "weight01_dink34_epochs.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["train_loss"]) for row in rows]
    assert len(losses) == 3 and losses[2] < losses[0]
    assert {
        "road_iou",
        "precision",
        "recall",
        "f1",
        "learning_rate",
        "loss_scale",
        "images_per_second",
    } <= rows[0].keys()


def test_training_with_validation_compiles_two_graphs(trained):
    """One step and one inference, though images have six sizes.

    The network changes its mode every epoch.
    """
    assert trained[2] == 2


def test_the_split_and_the_resolved_settings_are_kept(trained):
    output = trained[0] / "output"
    split = json.loads((output / "weight01_dink34_split.json").read_text())
    assert split == {"train": [f"t{n}" for n in range(6)], "valid": ["v0", "v1", "v2"]}
    text = (output / "weight01_dink34_config.yaml").read_text()
    assert (
        "model_name: linknet18" in text and "epoch_num: 3" in text and "scale_window: 1000" in text
    )


def evaluate(work, *arguments, run=call):
    return run(
        "eval.py",
        "--data_path=data/valid",
        "--label_path=data/valid_mask",
        "--device_target=CPU",
        "--trained_ckpt=output/weight01_dink34_best.ckpt",
        *arguments,
        cwd=work,
    )


@pytest.fixture(scope="module")
def evaluated(trained, tmp_path_factory):
    work = trained[0]
    graphs = tmp_path_factory.mktemp("graphs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MS_DEV_SAVE_GRAPHS", "1")
        patch.setenv("MS_DEV_SAVE_GRAPHS_PATH", str(graphs))
        result = evaluate(work, "--predict_path=predictions", run=command)
    assert result.returncode == 0, result.stderr
    assert compiled(graphs) == 1
    return work, result


def test_evaluation_writes_masks_overlays_and_figures(evaluated):
    work, result = evaluated
    folder = work / "predictions"
    assert sorted(p.name for p in folder.iterdir()) == [
        MANIFEST,
        "figures.json",
        "images.csv",
        "overlays",
        "v0_mask.png",
        "v1_mask.png",
        "v2_mask.png",
    ]
    assert [p.name for p in sorted((folder / "overlays").iterdir())] == [
        f"v{n}_overlay.jpg" for n in range(3)
    ]
    for number in range(3):
        mask = cv2.imread(str(folder / f"v{number}_mask.png"), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (50 + number, 60) and set(np.unique(mask)) <= {0, 255}
    assert result.stderr == ""


def test_the_figures_are_those_of_the_masks_on_disk(evaluated):
    """Every printed figure again, from the files alone and without our metrics."""
    work, result = evaluated
    tp = fp = fn = tn = 0
    for number in range(3):
        truth = cv2.imread(str(work / "data" / "valid_mask" / f"v{number}_mask.png"), 0) >= 128
        found = cv2.imread(str(work / "predictions" / f"v{number}_mask.png"), 0) >= 128
        tp, fp = tp + (truth & found).sum(), fp + (~truth & found).sum()
        fn, tn = fn + (truth & ~found).sum(), tn + (~truth & ~found).sum()
    printed = dict(
        line.split(": ", 1)
        for line in result.stdout.splitlines()
        if line.split(":")[0].isidentifier()
    )
    expected = {
        "road_iou": tp / (tp + fp + fn),
        "background_iou": tn / (tn + fp + fn),
        "acc": (tp + tn) / (tp + fp + fn + tn),
        "recall": tp / (tp + fn),
        "acc_cls": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "f1": 2 * tp / (2 * tp + fp + fn),
    }
    for name, value in expected.items():
        assert float(printed[name]) == pytest.approx(value, abs=6e-5), name
    assert printed["iou"].startswith(f"{expected['background_iou']:.4f} (the background's")
    saved = json.loads((work / "predictions" / "figures.json").read_text())
    assert saved["images"] == 3 and saved["road_iou"] == pytest.approx(expected["road_iou"])
    # The training validated on the same images with the same weights.
    with open(work / "output" / "weight01_dink34_epochs.csv", encoding="utf-8") as file:
        best = max(float(row["road_iou"]) for row in csv.DictReader(file))
    assert saved["road_iou"] == pytest.approx(best, abs=1e-9)


def test_evaluation_replaces_its_own_results_and_nothing_else(evaluated, tmp_path):
    work, _ = evaluated
    folder = tmp_path / "predictions"
    shutil.copytree(work / "predictions", folder)
    (folder / "notes.txt").write_text("mine")
    line = refused(evaluate(work, f"--predict_path={folder}"), "predict_path", "notes.txt")
    assert "1 files" in line and (folder / "v0_mask.png").exists()
    (folder / "notes.txt").unlink()
    result = evaluate(work, f"--predict_path={folder}", "--tta", "--threshold=0.3")
    assert result.returncode == 0, result.stderr
    assert len(list(folder.glob("*_mask.png"))) == 3


def test_a_checkpoint_says_which_network_it_is(trained):
    """Also one that only holds tensors: their names do. model_name is not asked."""
    work = trained[0]

    bare = work / "output" / "bare.ckpt"
    tensors = mindspore.load_checkpoint(str(work / "output" / "weight01_dink34_best.ckpt"))
    mindspore.save_checkpoint(
        [{"name": n, "data": v} for n, v in tensors.items() if n != "dlinknet_meta"], str(bare)
    )
    try:
        result = evaluate(
            work, f"--trained_ckpt={bare}", "--model_name=dlinknet34", "--predict_path=other"
        )
        assert (
            result.returncode == 0
            and "linknet18 from" in result.stdout
            and "dlinknet34 from" not in result.stdout
        ), result.stderr
        mindspore.save_checkpoint(
            [
                {"name": n, "data": v}
                for n, v in tensors.items()
                if n not in ("dlinknet_meta", "head.up.bias")
            ],
            str(bare),
        )
        refused(
            evaluate(work, f"--trained_ckpt={bare}", "--predict_path=third"),
            "trained_ckpt",
            "lacks 1 of",
            "head.up.bias (32,)",
        )
        assert not (work / "third").exists()
    finally:
        bare.unlink()


@pytest.mark.slow  # training/test_run.py moves them without a training
def test_a_second_run_moves_the_first_aside(trained, tmp_path):
    work = trained[0]
    shutil.copytree(work / "output", tmp_path / "output")
    result = call(
        "train.py",
        *TRAIN,
        "--epoch_num=1",
        f"--output_path={tmp_path / 'output'}",
        "--val_path=",
        "--val_label_path=",
        "--val_split=0.3",
        f"--pretrained_ckpt={tmp_path / 'output' / 'weight01_dink34_best.ckpt'}",
        cwd=work,
    )
    assert result.returncode == 0, result.stderr
    (aside,) = (tmp_path / "output").glob("weight01_dink34_before_*")
    assert (aside / "weight01_dink34_best.ckpt").read_bytes() == (
        work / "output" / "weight01_dink34_best.ckpt"
    ).read_bytes()
    assert "an earlier run of this name was moved to" in result.stdout
    assert "tensors from" in result.stdout and "(dlinknet's own)" in result.stdout
    split = json.loads((tmp_path / "output" / "weight01_dink34_split.json").read_text())
    assert len(split["train"]) == 4 and len(split["valid"]) == 2


@pytest.mark.slow  # training/test_loop.py has it without a process of its own
def test_a_loss_that_is_not_a_number_is_one_line_and_keeps_what_was_saved(trained, tmp_path):
    work = trained[0]
    result = call("train.py", *TRAIN, f"--output_path={tmp_path}", "--learning_rate=1e30", cwd=work)
    refused(
        result,
        "the loss is",
        "in epoch",
        "weight01_dink34_last.ckpt is whole (epoch",
        "start a new run with a lower learning rate",
        status=1,
    )
    assert (tmp_path / "weight01_dink34_last.ckpt").exists()


def test_commands_find_their_defaults_from_any_folder(tmp_path):
    result = command(
        "draw-scenes",
        "--output_path=scenes",
        "--scene_num=4",
        "--scene_size=64",
        "--val_split=0.5",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert sorted(p.name for p in (tmp_path / "scenes").iterdir()) == [
        "train",
        "valid",
        "valid_mask",
    ]
    result = call(
        "split-data",
        "--data_path=scenes/train",
        "--output_path=split",
        "--val_split=0.5",
        "--split_files=copy",
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "split" / "train").iterdir())) == 2
    assert (
        len(list((tmp_path / "split" / "valid").iterdir()))
        == len(list((tmp_path / "split" / "valid_mask").iterdir()))
        == 1
    )
