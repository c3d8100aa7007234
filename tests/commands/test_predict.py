"""predict.py as a user runs it, and report.py on what a training left."""

import csv
import json

import cv2
import numpy as np
import pytest

from dlinknet.files.results import MANIFEST
from dlinknet.inference.pictures import TRUE
from tests.conftest import call, refused, stripes, write_pair


@pytest.fixture(scope="module")
def weights(spread_checkpoint):
    return spread_checkpoint("linknet18")


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Make images of several sizes with masks, and files that are no image or are damaged."""
    folder = tmp_path_factory.mktemp("a folder with spaces")
    for number, size in enumerate([(60, 64), (64, 50), (150, 200)]):
        write_pair(folder / "data", f"m{number}", *stripes(number, *size), folder / "masks")
    cv2.imwrite(str(folder / "data" / "other.png"), stripes(9)[0])
    cv2.imwrite(str(folder / "data" / "m0_mask.png"), stripes(0)[1])
    return folder


def predict(weights, work, *arguments):
    return call(
        "predict.py",
        "--data_path=data",
        f"--trained_ckpt={weights}",
        "--device_target=CPU",
        "--tile_size=96",
        "--tile_overlap=32",
        *arguments,
        cwd=work,
    )


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_image_gets_a_mask_and_a_bad_one_is_named_at_the_end(weights, work):
    half = work / "data" / "half_sat.jpg"
    half.write_bytes((work / "data" / "m2_sat.jpg").read_bytes()[:-700])
    (work / "data" / "text_sat.jpg").write_text("not an image")
    result = predict(weights, work, "--predict_path=out", "--probabilities=png")
    refused(
        result,
        "predict.py: error: 2 of 6 images could not be predicted "
        "(half_sat.jpg: truncated, text_sat.jpg: is no image)",
        status=1,
    )
    assert "left out half_sat.jpg: truncated" in result.stdout and "linknet18 from" in result.stdout
    good = ["m0", "m1", "m2", "other"]
    assert names(work / "out") == sorted(
        [
            MANIFEST,
            "predictions.csv",
            *(f"{id}_mask.png" for id in good),
            *(f"{id}_probability.png" for id in good),
            *(f"overlays/{id}_overlay.jpg" for id in good),
        ]
    )
    with open(work / "out" / "predictions.csv", encoding="utf-8") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert (
        list(rows) == ["half", *good, "text"] and rows["half"]["fault"] == "half_sat.jpg: truncated"
    )
    for id in good:
        mask, deep = (
            cv2.imread(str(work / "out" / f"{id}_{what}.png"), cv2.IMREAD_UNCHANGED)
            for what in ("mask", "probability")
        )
        assert (
            deep.dtype == np.uint16
            and set(np.unique(mask)) == {0, 255}
            and mask.shape == deep.shape
        )
        # 65535 / 2 lies between two values.
        assert np.array_equal(mask > 0, deep > 32767)
        assert (rows[id]["height"], rows[id]["width"]) == tuple(map(str, mask.shape))
        assert float(rows[id]["road_share"]) == pytest.approx((mask > 0).mean(), abs=1e-6)
        image = cv2.imread(str(work / "data" / (f"{id}_sat.jpg" if id != "other" else "other.png")))
        overlay = cv2.imread(str(work / "out" / "overlays" / f"{id}_overlay.jpg"))
        painted = image.astype(float)
        painted[mask > 0] = 0.35 * painted[mask > 0] + 0.65 * np.array(TRUE)
        # JPEG keeps the mean colour of speckles, not each of them.
        assert np.allclose(overlay.mean((0, 1)), painted.mean((0, 1)), atol=4)
        assert not np.allclose(overlay.mean((0, 1)), image.mean((0, 1)), atol=15)

    # A second run replaces the first one's files and takes away those that it does not write again.
    half.unlink()
    (work / "data" / "text_sat.jpg").unlink()
    result = predict(
        weights,
        work,
        "--predict_path=out",
        "--probabilities=npy",
        "--overlays=False",
        "--threshold=0.4",
    )
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert names(work / "out") == sorted(
        [
            MANIFEST,
            "predictions.csv",
            *(f"{id}_mask.png" for id in good),
            *(f"{id}_probability.npy" for id in good),
        ]
    )
    exact = np.load(work / "out" / "m2_probability.npy")
    assert exact.dtype == np.float32 and exact.shape == (150, 200)
    assert np.array_equal(cv2.imread(str(work / "out" / "m2_mask.png"), 0) > 0, exact > 0.4)


def test_one_image_gets_the_mask_that_evaluation_makes(weights, work):
    call(
        "eval.py",
        "--data_path=data",
        "--label_path=masks",
        f"--trained_ckpt={weights}",
        "--predict_path=scored",
        "--device_target=CPU",
        "--tile_size=96",
        "--tile_overlap=32",
        "--tta",
        cwd=work,
    )
    masks = [cv2.imread(str(work / "scored" / "m2_mask.png"), 0)]
    for arguments in (["--tta"], []):
        result = predict(
            weights, work, "--data_path=data/m2_sat.jpg", "--predict_path=one", *arguments
        )
        assert result.returncode == 0, result.stderr
        assert names(work / "one") == [
            MANIFEST,
            "m2_mask.png",
            "overlays/m2_overlay.jpg",
            "predictions.csv",
        ]
        masks.append(cv2.imread(str(work / "one" / "m2_mask.png"), 0))
    assert np.array_equal(masks[0], masks[1]) and not np.array_equal(masks[1], masks[2])


def test_a_long_name_costs_one_image_at_most(weights, tmp_path):
    """Of 242 bytes an overlay's name has 254, of 244 it would have 256."""
    fine, long = ["a", "m" * 242, "路" * 80, "z"], "n" * 244
    for id in (*fine, long):
        cv2.imwrite(str(tmp_path / "a.png"), stripes(1)[0])
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "a.png").rename(tmp_path / "data" / f"{id}.png")
    for _ in range(2):
        line = refused(
            predict(weights, tmp_path, "--predict_path=out"),
            "1 of 5 images could not be predicted (nnn",
            "a result would have a name of more than 255 bytes; rename the image",
            status=1,
        )
        assert len(line) < 320
        assert names(tmp_path / "out") == sorted(
            [
                MANIFEST,
                "predictions.csv",
                *(f"{id}_mask.png" for id in fine),
                *(f"overlays/{id}_overlay.jpg" for id in fine),
            ]
        )
    with open(tmp_path / "out" / "predictions.csv", encoding="utf-8", newline="") as file:
        faults = {row["id"]: row["fault"] for row in csv.DictReader(file)}
    assert set(faults) == {*fine, long} and [id for id in faults if faults[id]] == [long]


def test_mistakes_are_one_line_and_write_nothing(weights, work):
    (work / "kept").mkdir(exist_ok=True)
    (work / "kept" / "thesis.txt").write_text("mine")
    refused(
        predict(weights, work, "--predict_path=kept"),
        "predict_path",
        "1 files that no earlier run wrote (thesis.txt)",
    )
    refused(predict(weights, work, "--predict_path=./"), "predict_path is required")
    refused(
        predict(weights, work, "--predict_path=new", "--data_path=gone"),
        "data_path: cannot read gone",
    )
    refused(
        predict(weights, work, "--predict_path=new", "--tile_overlap=96"),
        "tile_overlap must be at most tile_size - 32 = 64",
    )
    assert not (work / "new").exists() and names(work / "kept") == ["thesis.txt"]


def test_a_report_on_a_run(weights, work):
    run, scored = work / "run", work / "scored for a report"
    result = call(
        "eval.py",
        "--data_path=data",
        "--label_path=masks",
        f"--trained_ckpt={weights}",
        f"--predict_path={scored}",
        "--device_target=CPU",
        cwd=work,
    )
    assert result.returncode == 0, result.stderr
    run.mkdir(exist_ok=True)
    (run / "w_config.yaml").write_text(
        "model_name: linknet18\ndata_path: data\ntrain_size: 0\n"
        "batch_size: 4\nlearning_rate: 0.0002\n"
        "augment: flips\npretrained_ckpt: ''\nseed: 1\noptimizer: adamw\nschedule: cosine\n"
    )
    report = ["--output_path=run", "--log_name=w", f"--predict_path={scored}"]
    refused(
        call("report", *report, cwd=work),
        "output_path or predict_path: run/w_epochs.csv is missing",
    )
    (run / "w_epochs.csv").write_text(
        "epoch,train_loss,road_iou,seconds\n1,0.9,0.5,61.0\n2,0.8,,59.0\n"
    )
    (run / "w_split.json").write_text(
        json.dumps({"train": ["a", "b"], "valid": ["m0", "m1", "m2"]})
    )
    result = call("report", *report, cwd=work)
    assert result.returncode == 0, result.stderr
    text = (run / "w_report" / "report.md").read_text()
    figures = json.loads((scored / "figures.json").read_text())
    for words in (
        "linknet18 on data",
        "2 images to train on, 3 to validate on. 2 epochs of whole images",
        "adamw from 0.0002, schedule 'cosine', augmentation 'flips'",
        "took 2.0 minutes",
        "**- in the last epoch** (2)",
        "0.5000 in the best (1)",
        f"| road_iou | {figures['road_iou']:.4f} |",
        "| 2 | 0.8000 | - | 59.0 |",
        "![worst](worst.jpg)",
    ):
        assert words in text, text
    assert cv2.imread(str(run / "w_report" / "best.jpg")).shape[1] == 1200
    for file in (scored / "overlays").iterdir():
        file.unlink()
    (scored / "images.csv").write_text((scored / "images.csv").read_text().replace("m2,", "m9,"))
    result = call("report", *report, cwd=work)
    assert result.returncode == 0 and result.stderr == "", "a report without pictures"
    (scored / "figures.json").write_text("{")
    refused(call("report", *report, cwd=work), "is damaged (")
