"""Images of any size through a network; test-time augmentation; scoring; pictures."""
import csv

import cv2
import numpy as np
import pytest

from dlinknet.data.pairs import read_pairs
from dlinknet.data.preprocess import pad, to_input
from dlinknet.evaluation.metrics import confusion
from tests.conftest import stripes, write_pair


@pytest.fixture(scope="module")
def brightness(mindspore):
    """A network whose logit is the blue channel of the pixel to the left: cheap, exact, and not symmetric."""
    from mindspore import nn

    class Left(nn.Cell):
        def __init__(self):
            super().__init__()
            kernel = np.zeros((1, 3, 3, 3), np.float32)
            kernel[0, 0, 1, 0] = 2.0
            self.conv = nn.Conv2d(3, 1, 3, pad_mode="pad", padding=1, weight_init=mindspore.Tensor(kernel))

        def construct(self, x):
            return self.conv(x)

    return Left()


def sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def by_hand(image):
    """The probability map of the network above, in NumPy."""
    blue = to_input(image)[0]
    return sigmoid(2 * np.pad(blue, ((0, 0), (1, 0)))[:, :-1])


def test_odd_sizes_are_padded_and_cropped_back(brightness):
    from dlinknet.evaluation.predictor import Predictor
    image = np.random.default_rng(0).integers(0, 256, (45, 70, 3), dtype=np.uint8)
    predictor = Predictor(brightness)
    probability = predictor.probability(image)
    assert probability.shape == (45, 70) and probability.dtype == np.float32
    assert np.allclose(probability, by_hand(image), atol=1e-6)
    assert np.allclose(predictor.probability(image, (96, 96)), probability, atol=1e-6)


def test_wrapping_does_not_rename_parameters(brightness):
    from dlinknet.evaluation.predictor import Predictor
    Predictor(brightness)
    assert [p.name for p in brightness.get_parameters()] == ["conv.weight"]


@pytest.mark.parametrize("size", [(64, 64), (45, 70)])
def test_tta_is_the_mean_of_the_eight_views_turned_back(brightness, size):
    from dlinknet.evaluation.predictor import Predictor
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    padded = pad(image, -(-size[0] // 32) * 32, -(-size[1] // 32) * 32)
    total = 0
    for turns in range(4):
        for mirror in (False, True):
            view = np.rot90(padded[:, ::-1] if mirror else padded, turns)
            back = np.rot90(by_hand(np.ascontiguousarray(view)), -turns)
            total = total + (back[:, ::-1] if mirror else back)
    expected = total[:size[0], :size[1]] / 8
    found = Predictor(brightness, tta=True).probability(image)
    assert np.allclose(found, expected, atol=1e-6)
    # The network looks to one side, so the views differ and the mean is not one of them.
    assert not np.allclose(found, by_hand(image), atol=1e-2)


def test_a_set_is_scored_image_by_image(brightness, tmp_path):
    from dlinknet.evaluation import report
    from dlinknet.evaluation.metrics import figures
    from dlinknet.evaluation.predictor import Predictor
    from dlinknet.evaluation.scoring import score, score_all
    for number, size in enumerate([(40, 64), (64, 33), (64, 64)]):
        write_pair(tmp_path, f"m{number}", *stripes(number, *size))
    pairs = read_pairs(str(tmp_path), str(tmp_path), "data_path", "label_path")
    predictor = Predictor(brightness)
    scored = list(score(pairs, predictor, 0.6, "test"))
    assert [s.pair.id for s in scored] == ["m0", "m1", "m2"]
    for s in scored:
        image, truth = cv2.imread(str(s.pair.image)), cv2.imread(str(s.pair.mask), 0) >= 128
        assert np.array_equal(s.image, image) and np.array_equal(s.truth, truth)
        assert np.array_equal(s.prediction, by_hand(image) > 0.6)
        assert np.array_equal(s.counts, confusion(truth, s.prediction))
    total = sum(s.counts for s in scored)
    assert total.sum() == 40 * 64 + 64 * 33 + 64 * 64
    assert score_all(pairs, predictor, 0.6, "test") == figures(total)

    report.write_image_csv([(s.pair.id, s.counts) for s in scored], tmp_path / "images.csv")
    rows = list(csv.DictReader(open(tmp_path / "images.csv", encoding="utf-8")))
    assert [row["id"] for row in rows] == ["m0", "m1", "m2"]
    assert float(rows[0]["road_iou"]) == pytest.approx(figures(scored[0].counts)["road_iou"], abs=1e-6)
    assert int(rows[1]["true_road"]) == scored[1].counts[1, 1] and int(rows[1]["missed_road"]) == scored[1].counts[1, 0]


def test_an_overlay_shows_true_missed_and_false_road_in_three_colours():
    from dlinknet.evaluation import report
    from dlinknet.evaluation.scoring import Scored
    from dlinknet.data.pairs import Pair
    image = np.full((40, 60, 3), 100, np.uint8)
    truth, prediction = np.zeros((2, 40, 60), np.uint8)
    truth[:20], prediction[10:30] = 1, 1
    picture = report.overlay(Scored(Pair("x", None, None), image, truth, prediction, confusion(truth, prediction)))
    assert picture.shape == (40 + report.CAPTION, 124, 3)
    assert np.array_equal(picture[:40, :60], image)

    def blend(colour):
        return (0.35 * 100 + 0.65 * np.array(colour)).astype(np.uint8)

    assert np.array_equal(picture[5, 80], blend(report.MISSED)) and np.array_equal(picture[15, 80], blend(report.TRUE))
    assert np.array_equal(picture[25, 80], blend(report.FALSE)) and np.array_equal(picture[35, 80], [100, 100, 100])


def test_the_references_three_lines_are_there_and_say_whose_iou_it_is():
    from dlinknet.evaluation import report
    lines = report.figure_lines(np.array([[90, 2], [3, 5]]))
    assert "road_iou: 0.5000" in lines and "acc: 0.9500" in lines and "acc_cls: 0.8016" in lines
    assert lines[-1].startswith("iou: 0.9474 (the background's")
