"""The tables of a run: read, and rejected in one line if a cell or a column is damaged."""

import json

import cv2
import numpy as np
import pytest

from dlinknet.errors import InputError
from dlinknet.evaluation.run_report import write_report
from dlinknet.evaluation.run_tables import read_run

EPOCHS = "epoch,train_loss,road_iou,seconds\n1,0.5,,60\n2,0.25,0.75,30\n"
IMAGES = "id,true_road,false_road,missed_road,road_iou\na,1,1,1,0.333333\nb,0,4,0,\n"


@pytest.fixture
def read(tmp_path):
    """Return read(epochs, images), which writes the tables of a run of roads and reads them."""

    def read(epochs=EPOCHS, images=IMAGES):
        (tmp_path / "w_epochs.csv").write_text(epochs)
        (tmp_path / "w_split.json").write_text('{"train": ["x", "y"], "valid": ["z"]}')
        (tmp_path / "images.csv").write_text(images)
        figures = {"images": 2, "road_iou": 0.25, "f1": None}
        (tmp_path / "figures.json").write_text(json.dumps(figures))
        return read_run(tmp_path, "w", tmp_path, "roads", "course")

    return read


def test_a_report_holds_the_numbers_of_the_tables(read, tmp_path):
    write_report(read(), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "2 images to train on, 1 to validate on. 2 epochs of course. Training took 1.5" in text
    assert "| road_iou | 0.2500 |\n| f1 | - |" in text
    assert "1 of the images have no road; false road was found in 1 of them, 4 pixels" in text
    assert "| 1 | 0.5000 | - | 60 |\n| 2 | 0.2500 | 0.7500 | 30 |" in text


def test_a_very_wide_picture_keeps_a_row_in_a_report(read, tmp_path):
    (tmp_path / "overlays").mkdir()
    cv2.imwrite(str(tmp_path / "overlays" / "a_overlay.jpg"), np.zeros((20, 60_000, 3), np.uint8))
    write_report(read(), tmp_path)
    assert cv2.imread(str(tmp_path / "best.jpg")).shape == (1, 1200, 3)


@pytest.mark.parametrize(
    "tables, words",
    [
        ({"epochs": EPOCHS.replace(",60", ",")}, "could not convert string to float"),
        ({"epochs": EPOCHS.replace("seconds", "hours")}, "one of the columns seconds, epoch"),
        ({"epochs": EPOCHS.replace("\n2,", "\n2.5,")}, "w_epochs.csv, line 3: 'epoch' is '2.5'"),
        (
            {"images": IMAGES.replace("id", "f1").replace("a,", "1,").replace("b,", "0,")},
            "id, road",
        ),
        ({"images": IMAGES.replace("0.333333", "inf")}, "images.csv, line 2: 'road_iou' is 'inf'"),
        ({"images": IMAGES.split("\n")[0]}, "images.csv lacks a row"),
    ],
)
def test_a_damaged_table_is_one_line(read, tables, words):
    with pytest.raises(InputError, match="is damaged .*; run eval.py again") as error:
        read(**tables)
    assert words in str(error.value) and "\n" not in str(error.value)
