"""run_infer_310.sh on the CPU.

A checkpoint is exported, the C++ program runs it, and it is scored without MindSpore.
"""

import importlib.util
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests.ascend310_infer import build
from tests.conftest import ROOT, call

needs_all = [
    pytest.mark.skipif(bool(build.lacking()), reason=build.lacking() or "all is there"),
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
        reason="pip install -r requirements-onnx.txt",
    ),
]


def infer(*arguments, cwd, build_folder=None):
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = {
        **os.environ,
        "PATH": path,
        **({"BUILD_DIR": str(build_folder)} if build_folder else {}),
    }
    return subprocess.run(
        ["bash", str(ROOT / "scripts" / "run_infer_310.sh"), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment,
    )


@pytest.fixture(scope="module")
def build_folder(tmp_path_factory):
    """Return the folder where the script builds, once for all of these tests."""
    return tmp_path_factory.mktemp("cpp") / "b"


@pytest.fixture(scope="module")
def scored(spread_checkpoint, tmp_path_factory):
    """Return drawn scenes, a random LinkNet18's ONNX file for 160 x 160, and its eval scores."""
    folder, weights = (
        tmp_path_factory.mktemp("way around"),
        f"--trained_ckpt={spread_checkpoint('linknet18')}",
    )
    steps = [
        (
            "draw-scenes",
            "--output_path=data",
            "--scene_num=12",
            "--scene_size=150",
            "--val_split=0.5",
        ),
        (
            "export.py",
            weights,
            "--file_name=./net",
            "--file_format=ONNX",
            "--batch_size=1",
            "--width=160",
            "--height=160",
        ),
        (
            "eval.py",
            weights,
            "--data_path=data/valid",
            "--label_path=data/valid_mask",
            "--predict_path=scored",
            "--device_target=CPU",
        ),
    ]
    for name, *arguments in steps:
        result = call(name, *arguments, cwd=folder)
        assert result.returncode == 0, result.stderr
    return folder


class TestTheWayAround:
    pytestmark = [*needs_all, pytest.mark.long]

    def test_masks_and_figures_are_those_of_evaluation(
        self, scored, spread_checkpoint, build_folder
    ):
        result = infer(
            "data/valid", "data/valid_mask", "net.onnx", cwd=scored, build_folder=build_folder
        )
        assert result.returncode == 0, result.stderr + result.stdout
        said = (scored / "acc.log").read_text()
        assert said in result.stdout and "6 images, road above 0.5" in said
        figures = json.loads((scored / "scored" / "figures.json").read_text())
        last = dict(line.split(":   ") for line in said.splitlines()[-3:])
        assert list(last) == ["acc", "acc cls", "iou"]
        assert [float(value) for value in last.values()] == pytest.approx(
            [figures[name] for name in ("acc", "acc_cls", "background_iou")], abs=1e-3
        )
        named = dict(
            line.split(": ")[:2] for line in said.splitlines() if line.startswith("road_iou")
        )
        assert float(named["road_iou"]) == pytest.approx(figures["road_iou"], abs=1e-3)
        differ = total = 0
        highest, lowest = 0.0, 1.0
        for file in sorted((scored / "scored").glob("*_mask.png")):
            mask = cv2.imread(str(file), 0) > 0
            found = np.fromfile(
                scored / "result_Files" / f"{file.stem[:-5]}_sat.bin", np.float32
            ).reshape(mask.shape)
            highest, lowest = max(highest, found.max()), min(lowest, found.min())
            differ, total = differ + np.count_nonzero(mask != (found > 0.5)), total + mask.size
        assert total == 6 * 150 * 150 and differ <= total / 10_000
        assert highest > 0.9 and lowest < 0.1
        rows = json.loads(
            call(
                "parity",
                "--data_path=data/valid",
                "--label_path=data/valid_mask",
                "--device_target=CPU",
                f"--trained_ckpt={spread_checkpoint('linknet18')}",
                "--exports=net.onnx,result_Files",
                "--as_json",
                cwd=scored,
            ).stdout
        )
        assert [row["model"] for row in rows[1:]] == ["net.onnx", "result_Files"]
        assert (
            max(row["largest_difference"] for row in rows) < 1e-3
            and (scored / "time_Result" / "times.txt").is_file()
        )


@pytest.fixture
def place(tmp_path):
    for name in ("data", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "a.onnx").write_bytes(b"x")
    (tmp_path / "a.ckpt").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            ["data", "labels"],
            "usage: bash scripts/run_infer_310.sh DATA_PATH LABEL_PATH MINDIR_PATH [DEVICE_ID]",
        ),
        (["none", "labels", "a.onnx"], "DATA_PATH: there is no folder none"),
        (["data", "none", "a.onnx"], "LABEL_PATH: there is no folder none"),
        (["data", "labels", "b.onnx"], "MINDIR_PATH: there is no file b.onnx"),
        (
            ["data", "labels", "a.ckpt"],
            "MINDIR_PATH must end in .mindir or .om (Ascend)",
        ),
        (["data", "labels", "a.onnx", "x"], "DEVICE_ID must be a whole number"),
        (["data", "labels", "a.onnx", "--device_id=1"], "'--device_id' is set by the script"),
        (
            ["data", "labels", "a.onnx", "--tile_size=64"],
            "'--tile_size=64' is no setting of this script",
        ),
    ],
)
def test_mistakes_are_one_line(place, arguments, words):
    result = infer(*arguments, cwd=place)
    assert (
        result.returncode == 2 and words in result.stderr and len(result.stderr.splitlines()) == 1
    ), result.stderr
    assert result.stdout == "" and sorted(path.name for path in place.iterdir()) == [
        "a.ckpt",
        "a.onnx",
        "data",
        "labels",
    ]


@pytest.mark.long
@pytest.mark.skipif(bool(build.lacking()), reason=build.lacking() or "all is there")
def test_a_step_that_fails_ends_the_script(place, build_folder):
    result = infer(
        "data", "labels", "a.onnx", "--tile_overlap=32", cwd=place, build_folder=build_folder
    )
    assert (
        result.returncode == 2
        and "a.onnx.json is missing" in result.stderr
        and not (place / "acc.log").exists()
    )
