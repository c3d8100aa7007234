"""Several classes, as a user has them: a tiny CamVid trained, scored, exported and predicted."""

import csv
import importlib.util
import json

import cv2
import numpy as np
import pytest

from dlinknet.checkpoints.read import read_checkpoint
from tests.conftest import call, refused

HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
DATA = ["--data_layout=camvid", "--data_path=streets", "--class_table=table.yaml"]
TABLE = """classes:
  - {name: sky, colour: [10, 10, 200], values: [0]}
  - {name: a wood, colour: [10, 200, 10], values: [1]}
  - {name: road, colour: [200, 10, 10], values: [4]}
void: {name: void, colour: [0, 0, 0], values: [11]}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Train two epochs on six images of 60 x 90: sky above wood above road, void on the left."""
    folder, rng = tmp_path_factory.mktemp("streets of classes"), np.random.default_rng(0)
    (folder / "table.yaml").write_text(TABLE)
    for part, count in (("train", 6), ("val", 2), ("test", 2)):
        for number in range(count):
            mask = np.repeat(np.array([0, 1, 4], np.uint8), 20)[:, None].repeat(90, 1)
            mask[:, : 5 + number] = 11
            colours = np.zeros((12, 3))
            colours[[0, 1, 4]] = [[200, 60, 60], [60, 200, 60], [60, 60, 200]]
            image = np.clip(colours[mask] + rng.normal(0, 10, (60, 90, 3)), 0, 255).astype(np.uint8)
            for name, pixels in ((part, image), (f"{part}annot", mask)):
                (folder / "streets" / name).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / "streets" / name / f"{part}{number}.png"), pixels)
    result = call(
        "train.py",
        *DATA,
        "--output_path=out",
        "--model_name=linknet18",
        "--decoder=subpixel",
        "--train_size=64",
        "--train_height=32",
        "--epoch_num=2",
        "--batch_size=2",
        "--schedule=one_cycle",
        "--optimizer=adamw",
        "--class_weights=log",
        "--preprocessing=imagenet_mean",
        "--augment=street",
        "--device_target=CPU",
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    return folder, result.stdout


def test_a_training_says_and_keeps_what_it_did(work):
    folder, said = work
    assert (
        "6 images to train on, 2 to validate on, batches of 2 x 32 x 64" in said
        and "mean_iou" in said
        and "best: mean_iou" in said
    )
    with open(folder / "out" / "weight01_dink34_epochs.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {
        "mean_iou",
        "mean_class_recall",
        "mean_image_dice",
        "pixel_accuracy",
        "iou_sky",
        "iou_a_wood",
        "iou_road",
    } <= rows[0].keys()
    assert not (folder / "out" / "weight01_dink34_plateau.ckpt").exists()
    assert json.loads((folder / "out" / "class_weights.json").read_text())["classes"] == [
        "sky",
        "a wood",
        "road",
    ]
    meta = read_checkpoint(str(folder / "out" / "weight01_dink34_best.ckpt")).meta
    assert (meta["classes"], meta["decoder"], meta["preprocessing"]["shift"]) == (
        3,
        "subpixel",
        [-0.406, -0.456, -0.485],
    )
    assert [each["name"] for each in meta["class_table"]["classes"]] == ["sky", "a wood", "road"]


@pytest.fixture(scope="module")
def evaluated(work):
    folder, _ = work
    result = call(
        "eval.py",
        *DATA,
        "--trained_ckpt=out/weight01_dink34_best.ckpt",
        "--predict_path=scored",
        "--device_target=CPU",
        cwd=folder,
    )
    assert result.returncode == 0 and result.stderr == "", result.stderr
    return folder, dict(
        line.split(": ") for line in result.stdout.splitlines() if line.split(":")[0].isidentifier()
    )


def test_the_figures_are_those_of_the_masks_on_disk(evaluated):
    """Compute each class's IoU from the files alone, without the library's metrics.

    Masks hold the data set's values.
    """
    folder, printed = evaluated
    read = {
        place: np.stack([cv2.imread(str(folder / place.format(n)), -1) for n in range(2)])
        for place in ("streets/testannot/test{}.png", "scored/test{}_mask.png")
    }
    truth, found = read.values()
    known, ious = truth != 11, []
    for name, value in (("sky", 0), ("a_wood", 1), ("road", 4)):
        both, either = (
            ((truth == value) & (found == value))[known].sum(),
            ((truth == value) | (found == value))[known].sum(),
        )
        assert float(printed[f"iou_{name}"]) == pytest.approx(both / either, abs=6e-5)
        ious.append(both / either)
    assert float(printed["mean_iou"]) == pytest.approx(np.mean(ious), abs=6e-5) and set(
        np.unique(found)
    ) <= {0, 1, 4}
    assert float(printed["pixel_accuracy"]) == pytest.approx(
        (truth == found)[known].mean(), abs=6e-5
    )
    saved = json.loads((folder / "scored" / "figures.json").read_text())
    assert (
        saved["images"] == 2
        and np.sum(saved["counts"]) == known.sum()
        and saved["classes"] == ["sky", "a wood", "road"]
    )
    assert cv2.imread(str(folder / "scored" / "confusion.png")) is not None
    assert (
        cv2.imread(str(folder / "scored" / "overlays" / "test0_overlay.jpg")).shape[1] == 3 * 90 + 8
    )
    with open(folder / "scored" / "images.csv", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 2


@pytest.mark.skipif(not HAS_ONNX, reason="pip install -r requirements-onnx.txt")
def test_an_export_computes_the_same_and_predicts_without_masks(evaluated):
    folder, printed = evaluated
    result = call(
        "export.py",
        "--trained_ckpt=out/weight01_dink34_best.ckpt",
        "--file_name=./net",
        "--file_format=ONNX",
        "--pixel_input",
        "--dynamic",
        "--batch_size=1",
        "--width=96",
        "--height=64",
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    result = call(
        "parity",
        *DATA,
        "--trained_ckpt=out/weight01_dink34_best.ckpt",
        "--exports=net.onnx",
        "--as_json",
        "--device_target=CPU",
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    rows = json.loads(result.stdout)
    assert rows[1]["largest_difference"] < 1e-5 and rows[0]["mean_iou"] == pytest.approx(
        float(printed["mean_iou"]), abs=6e-5
    )
    result = call(
        "predict.py",
        "--data_path=streets/test",
        "--trained_ckpt=net.onnx",
        "--predict_path=found",
        "--probabilities=npy",
        cwd=folder,
    )
    assert result.returncode == 0, result.stderr
    with open(folder / "found" / "predictions.csv", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    for number in range(2):
        probability = np.load(folder / "found" / f"test{number}_probability.npy")
        mask = cv2.imread(str(folder / "found" / f"test{number}_mask.png"), -1)
        assert probability.shape == (3, 60, 90) and np.array_equal(
            mask, np.array([0, 1, 4])[probability.argmax(0)]
        )
        assert float(table[number]["a wood_share"]) == pytest.approx((mask == 1).mean(), abs=1e-6)
    refused(
        call(
            "predict.py",
            "--data_path=streets/test",
            "--trained_ckpt=net.onnx",
            "--predict_path=other",
            "--probabilities=png",
            cwd=folder,
        ),
        "probabilities: a PNG has room for the probability of one class",
    )


def test_a_report_on_several_classes(evaluated):
    folder, printed = evaluated
    result = call("report", "--output_path=out", "--predict_path=scored", cwd=folder)
    assert result.returncode == 0, result.stderr
    report = folder / "out" / "weight01_dink34_report"
    text = (report / "report.md").read_text()
    for words in (
        "linknet18 on streets",
        "64x32 crops, batches of 2, adamw",
        "schedule 'one_cycle'",
        "Mean IoU in validation: **",
        "## Evaluation of 2 images",
        f"| iou_a_wood | {printed['iou_a_wood']} |",
        "![confusion](confusion.png)",
        "image, truth and prediction:",
        "| epoch | train_loss | mean_iou | mean_class_recall "
        "| mean_image_dice | pixel_accuracy | learning_rate | seconds |",
    ):
        assert words in text, text
    assert {path.name for path in report.iterdir()} >= {
        "report.md",
        "curves.png",
        "confusion.png",
        "best.jpg",
        "worst.jpg",
    }


def test_masks_of_other_classes_are_refused(work):
    folder, _ = work
    refused(
        call(
            "eval.py",
            *DATA,
            "--ignore_index=none",
            "--trained_ckpt=out/weight01_dink34_best.ckpt",
            "--predict_path=wrong",
            "--device_target=CPU",
            cwd=folder,
        ),
        "trained_ckpt: ",
        "the classes differ (void only in the masks)",
    )


def test_class_weights_are_printed(work):
    folder, _ = work
    result = call("class-weights", *DATA, "--output_path=counted", cwd=folder)
    # A third of the pixels each: 1 / ln(1/3 + 1.02)
    assert result.returncode == 0, result.stderr
    assert [line.split() for line in result.stdout.splitlines()[-4:]][2] == [
        "a",
        "wood",
        "0.3333",
        "3.3050",
    ]
    # 5 to 10 of the 90 columns are void.
    assert "8.33 % of all pixels are void and do not count" in result.stdout + result.stderr
    refused(
        call("class-weights", "--data_path=streets", "--output_path=counted", cwd=folder),
        "masks know road alone",
    )
