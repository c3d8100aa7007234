"""Pictures of truth and prediction, of roads and of several classes."""

import cv2
import numpy as np

from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Class
from dlinknet.data.pairs import Pair
from dlinknet.evaluation.metrics import confusion
from dlinknet.evaluation.overlays import CAPTION, class_picture, draw_confusion, road_picture
from dlinknet.evaluation.scored import Scored
from dlinknet.inference.pictures import FALSE, MISSED, TRUE, class_overlay, legend


def test_true_missed_and_false_road_have_three_colours():
    image = np.full((40, 60, 3), 100, np.uint8)
    truth, prediction = np.zeros((2, 40, 60), np.uint8)
    truth[:20], prediction[10:30] = 1, 1
    picture = road_picture(
        Scored(Pair("x", None, None), image, truth, prediction, confusion(truth, prediction))
    )
    assert picture.shape == (40 + CAPTION, 124, 3)
    assert np.array_equal(picture[:40, :60], image)
    for row, colour in ((5, MISSED), (15, TRUE), (25, FALSE), (35, (100, 100, 100))):
        painted = 0.35 * 100 + 0.65 * np.array(colour)
        assert np.abs(picture[row, 80] - painted).max() < 1.01


def test_pictures_of_classes_have_their_colours_and_a_legend():
    classes = ClassTable(
        (Class("sky", (250, 10, 20)), Class("a long name", (0, 200, 0))), Class("void", (7, 8, 9))
    )
    truth, prediction = (
        np.array([[0, 1], [1, 255]], np.uint8).repeat(40, 1),
        np.array([[0, 0], [1, 1]], np.uint8).repeat(40, 1),
    )
    picture = class_picture(
        Scored(Pair("x", None, None), np.full((2, 80, 3), 90, np.uint8), truth, prediction, None),
        classes,
    )
    assert picture[0, 0].tolist() == [90, 90, 90] and picture.shape[1] == 3 * 80 + 2 * 4
    assert picture[0, 84].tolist() == [20, 10, 250] and picture[1, 84 + 79].tolist() == [
        9,
        8,
        7,
    ]  # BGR
    assert picture[1, 168].tolist() == [0, 200, 0]
    strip = legend(classes, 100)
    for each in classes.known:
        assert (strip == each.colour[::-1]).all(-1).sum() >= 100, each.name
    assert len(strip) > len(legend(classes, 400)), "names that do not fit go to the next line"
    assert class_overlay(np.zeros((2, 80, 3), np.uint8), prediction, classes)[0, 0].tolist() == [
        12,
        6,
        150,
    ]


def test_the_confusion_matrix_is_drawn(tmp_path, monkeypatch):
    """Rows are true classes: of the 10 pixels of a 9 were found; of b there are none."""
    from matplotlib.figure import Figure

    drawn, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, *args, **kwargs: drawn.append(figure) or save(figure, *args, **kwargs),
    )
    draw_confusion(np.array([[9, 1], [0, 0]]), ("a", "b"), tmp_path / "confusion.png")
    axes = drawn[0].axes[0]
    assert axes.images[0].get_array().tolist() == [[90, 10], [0, 0]]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert [
        [label.get_text() for label in labels]
        for labels in (axes.get_yticklabels(), axes.get_xticklabels())
    ] == [["a", "b"]] * 2
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((0, 0), "90"),
        ((1, 0), "10"),
    }
    draw_confusion(np.array([[9, 1], [0, 0]]), ("$\\frac$", "$x$"), tmp_path / "confusion.png")
    assert [label.get_text() for label in drawn[1].axes[0].get_yticklabels()] == [
        r"\$\frac\$",
        r"\$x\$",
    ], "a dollar sign begins no formula"
    picture = cv2.imread(str(tmp_path / "confusion.png"))
    assert picture is not None and len(np.unique(picture.reshape(-1, 3), axis=0)) > 10
