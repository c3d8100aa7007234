"""Models held against each other, with engines in NumPy whose answers are known."""

import json

import numpy as np
import pytest

from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Class
from dlinknet.data.pairs import Pair, read_pairs
from dlinknet.data.roads import ROADS
from dlinknet.errors import UserError
from dlinknet.evaluation import parity
from dlinknet.images.read import read_image
from dlinknet.inference.predictor import views_of
from dlinknet.inference.tiles import Tiling
from tests.conftest import stripes, write_pair


class Grey:
    """Probability: the blue value / 256 plus `more`."""

    batch = 1

    def __init__(self, more=0.0, size=None):
        self.more, self.size, self.sides = more, size, set()

    def prepare(self, pixels):
        return pixels

    def __call__(self, inputs):
        self.sides.add(inputs.shape[1:3])
        return (inputs[..., 0] / 256 + self.more).astype(np.float32)


@pytest.fixture
def pairs(tmp_path):
    for number, size in enumerate([(40, 64), (64, 64)]):
        write_pair(tmp_path, f"m{number}", *stripes(number, *size))
    return read_pairs(str(tmp_path), str(tmp_path))


def test_differences_changes_and_figures(pairs):
    blue = np.concatenate([read_image(pair.image)[..., 0].ravel() for pair in pairs]).astype(int)
    truth = np.concatenate([ROADS.read(pair.mask).ravel() for pair in pairs])
    same, more, broken = parity.compare(
        pairs, {"a": Grey(), "b": Grey(1 / 8), "c": Grey(float("nan"))}, Tiling(96, 32), 0.5
    )[0:3]
    assert (
        (same.difference, same.changed) == (0, 0)
        and more.difference == 0.125
        and broken.difference == float("inf")
    )
    assert more.changed == np.count_nonzero((blue > 96) & (blue <= 128)) > 0
    for row, road in ((same, blue > 128), (more, blue > 96), (broken, blue > 999)):
        assert row.counts.tolist() == [
            [np.count_nonzero((truth == t) & (road == p)) for p in (0, 1)] for t in (0, 1)
        ]
    table, values = parity.as_table([same, more]), json.loads(parity.as_json([same, more, broken]))
    assert (
        table.splitlines()[0].split()[:3] == ["model", "largest", "difference"]
        and len(table.splitlines()) == 3
    )
    assert f"{more.changed} of {len(blue)}" in table
    tp, fp, fn = (
        np.count_nonzero(x)
        for x in (
            (blue > 128) & (truth > 0),
            (blue > 128) & (truth == 0),
            (blue <= 128) & (truth > 0),
        )
    )
    assert (
        values[0]["road_iou"] == pytest.approx(tp / (tp + fp + fn))
        and values[2]["precision"] is None
    )
    assert values[1]["pixels"] == len(blue) and set(values[0]) >= {
        "model",
        "largest_difference",
        "acc_cls",
        "background_iou",
    }


def test_a_folder_of_results_goes_with_the_model_that_it_is_of(pairs, tmp_path):
    folder, free, fixed = tmp_path / "r", Grey(), Grey(size=(96, 96))
    folder.mkdir()
    for pair in pairs:
        (read_image(pair.image)[..., 0] / 256 + 0.25).clip(0, 1).astype(np.float32).tofile(
            folder / f"{pair.id}_sat.bin"
        )
    rows = parity.compare(pairs, {"a": free, "b": fixed, "r": folder}, Tiling(1536, 256), 0.5)
    assert rows[2].name == "r" and rows[2].difference == 0.25 and rows[2].changed > 0
    for models, tta in (
        ({"a": free, "r": folder}, False),
        ({"a": free, "b": fixed, "r": folder}, True),
    ):
        with pytest.raises(UserError, match="a folder of results was computed in one view"):
            parity.compare(pairs, models, Tiling(1536, 256, views_of(tta, "full")), 0.5)
    (folder / "m1_sat.bin").unlink()
    with pytest.raises(UserError, match="cannot read .*m1_sat.bin"):
        parity.compare(pairs, {"a": free, "b": fixed, "r": folder}, Tiling(1536, 256), 0.5)


def test_all_see_what_the_one_of_a_fixed_size_sees(pairs):
    free, fixed = Grey(), Grey(size=(96, 96))
    parity.compare(pairs, {"a": free, "b": fixed}, Tiling(1536, 256), 0.5)
    assert free.sides == fixed.sides == {(96, 96)}
    with pytest.raises(UserError, match="b requires 96x96, c requires 64x32"):
        parity.compare(
            pairs, {"a": free, "b": fixed, "c": Grey(size=(32, 64))}, Tiling(1536, 256), 0.5
        )


def test_models_of_several_classes_are_compared_by_their_labels(tmp_path):
    import cv2

    classes = ClassTable(
        tuple(Class(name, (n, n, n), (n,)) for n, name in enumerate(["blue", "green", "red"])),
        Class("void", (9, 9, 9), (9,)),
    )
    image = np.random.default_rng(2).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    truth = image.argmax(-1).astype(np.uint8)
    truth[0] = 9
    cv2.imwrite(str(tmp_path / "m.png"), truth)

    class Shares(Grey):
        def __call__(self, inputs):
            values = inputs.astype(np.float32) + np.array([self.more, 0, 0], np.float32)
            return (values / 1024).transpose(0, 3, 1, 2)

    pairs = [Pair("a", tmp_path / "a.png", tmp_path / "m.png", 40, 64)]
    folder = tmp_path / "r"
    folder.mkdir()
    (image / np.float32(1024)).astype(np.float32).transpose(2, 0, 1).tofile(folder / "a_sat.bin")
    same, more, filed = parity.compare(
        pairs,
        {"a": Shares(size=(64, 64)), "b": Shares(64.0), "r": folder},
        Tiling(96, 32),
        0.5,
        classes,
    )
    assert (
        same.figures()["mean_iou"] == same.figures()["pixel_accuracy"] == 1
        and filed.difference == 0 == filed.changed
    )
    changed = (image + np.array([64, 0, 0])).argmax(-1) != image.argmax(-1)
    assert more.difference == 64 / 1024 and more.changed == changed.sum() > 0
    assert more.figures()["pixel_accuracy"] == pytest.approx(1 - changed[1:].mean())
    assert more.pixels == 40 * 64 and more.counts.sum() == 39 * 64, (
        "what changed is counted in void too"
    )
    assert (
        "mean_class_recall" in parity.as_table([same, more])
        and json.loads(parity.as_json([more]))[0]["iou_red"] < 1
    )
