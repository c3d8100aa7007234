"""postprocess.py as a user runs it, on a host without MindSpore."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT, call, refused


def on_a_bare_host(*arguments, cwd):
    """Run postprocess.py in a Python that cannot import MindSpore."""
    code = (
        "import sys; sys.modules['mindspore'] = None; sys.path.insert(0, sys.argv.pop(1)); "
        "sys.argv[0] = 'postprocess.py'; from dlinknet.__main__ import run; run('postprocess')"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(ROOT), *arguments], capture_output=True, text=True, cwd=cwd
    )


@pytest.fixture
def place(tmp_path):
    """Make two images of two sizes: 6 pixels of road found, 2 false, 4 missed, 18 background."""
    for id, truth, found in [
        ("a", [[1, 1, 1], [0, 0, 0]], [[1, 1, 0], [1, 0, 0]]),
        (
            "b",
            [[1, 1, 1, 1, 1, 1, 1, 0]] + 2 * [[0] * 8],
            [[1, 1, 1, 1, 0, 0, 0, 1]] + 2 * [[0] * 8],
        ),
    ]:
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "result_Files").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "labels" / f"{id}_mask.png"), np.array(truth, np.uint8) * 255)
        (np.array(found, np.float32) * 0.4 + 0.3).tofile(
            tmp_path / "result_Files" / f"{id}_sat.bin"
        )
    return tmp_path


def test_figures_and_the_references_three_lines(place):
    result = on_a_bare_host("result_Files", "labels", cwd=place)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "2 images, road above 0.5" and f"road_iou: {6 / 12:.4f}" in lines
    assert lines[-3:] == [
        f"acc:   {24 / 30}",
        f"acc cls:   {(6 / 10 + 18 / 20) / 2}",
        f"iou:   {18 / 24}",
    ]
    assert (
        call(
            "postprocess.py", "--predict_path=result_Files", "--label_path=labels", cwd=place
        ).stdout
        == result.stdout
    )
    lower = call("postprocess.py", "result_Files", "labels", "--threshold=0.2", cwd=place)
    assert f"recall: {1:.4f}" in lower.stdout


@pytest.mark.parametrize(
    "damage, words",
    [
        (
            lambda place: (place / "result_Files" / "b_sat.bin").unlink(),
            "lacks 1 of 2 files (b_sat.bin)",
        ),
        (
            lambda place: (place / "result_Files" / "b_sat.bin").write_bytes(b"x" * 95),
            "b_sat.bin has 95 bytes, and its image 8x3 pixels",
        ),
        (
            lambda place: np.full(24, np.nan, np.float32).tofile(
                place / "result_Files" / "b_sat.bin"
            ),
            "no probabilities",
        ),
        (
            lambda place: [file.unlink() for file in (place / "labels").iterdir()],
            "label_path: labels holds no file named ID_mask",
        ),
    ],
)
def test_mistakes_are_one_line(place, damage, words):
    damage(place)
    refused(call("postprocess.py", "result_Files", "labels", cwd=place), words)


def test_a_word_too_many(place):
    refused(
        call("postprocess.py", "result_Files", "labels", "more", cwd=place),
        "'more' is one too many",
    )


def test_several_classes(tmp_path):
    """2 x 3 pixels of sky (value 4), land (7) and void (9): four of the five counted are right."""
    (tmp_path / "table.yaml").write_text(
        "classes:\n- {name: sky, colour: [0, 0, 1], values: [4]}\n"
        "- {name: land, colour: [0, 1, 0], values: [7]}\n"
        "void: {name: void, colour: [0, 0, 0], values: [9]}\n"
    )
    for folder in ("images", "labels", "result_Files"):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.zeros((2, 3, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "labels" / "a_L.png"), np.array([[4, 4, 9], [7, 7, 7]], np.uint8))
    land = np.array([[0.1, 0.8, 0.9], [0.7, 0.7, 0.7]], np.float32)
    np.stack([1 - land, land]).tofile(tmp_path / "result_Files" / "a_sat.bin")
    words = ["--class_table=table.yaml", "--data_layout=folder", "--data_path=images"]
    result = call("postprocess.py", "result_Files", "labels", *words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = dict(line.split(": ") for line in result.stdout.splitlines()[1:])
    assert (lines["pixel_accuracy"], lines["iou_sky"], lines["iou_land"]) == (
        f"{4 / 5:.4f}",
        f"{1 / 2:.4f}",
        f"{3 / 4:.4f}",
    )
    for words in (["labels"], ["--label_path=labels"]):
        refused(
            call("postprocess.py", "result_Files", *words, "--data_layout=camvid", cwd=tmp_path),
            "label_path: camvid has its masks in data_path",
        )
