"""Tables and pictures for people."""
from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from dlinknet.data.classes import ROADS, Classes
from dlinknet.data.images import ImageFile
from dlinknet.errors import UserError, clipped
from dlinknet.evaluation.metrics import FIGURES, Tally, class_figures, figures, image_dice, set_figures
from dlinknet.evaluation.pictures import class_overlay, class_picture, draw_confusion
from dlinknet.evaluation.prediction import Predicted
from dlinknet.evaluation.scoring import Scored
from dlinknet.files import replacing, write_image
from dlinknet.places import misnamed

# BGR; teal, red and yellow stay apart for colour-blind eyes and on green land.
TRUE, MISSED, FALSE = (190, 230, 0), (48, 59, 255), (10, 214, 255)
CAPTION = 26                    # height in pixels of the strip below an overlay


def overlay(scored: Scored) -> np.ndarray:
    """The image beside itself with the roads in three colours, and a caption: (H + 26) x about 2W x 3 uint8 BGR.

    True road (found) is teal, missed road red, false road yellow.
    """
    truth, prediction = scored.truth > 0, scored.prediction > 0
    painted = scored.image.copy()
    for where, colour in ((truth & prediction, TRUE), (truth & ~prediction, MISSED), (~truth & prediction, FALSE)):
        _paint(painted, where, colour)
    gap = np.full((len(painted), 4, 3), 255, np.uint8)
    picture = np.hstack([scored.image, gap, painted])
    return np.vstack([picture, _caption(scored, picture.shape[1])])


def _paint(image: np.ndarray, where: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Lays a colour over the pixels of an image where `where`, H x W bool, is true."""
    # By a table, because arithmetic on half of a large image's pixels takes gigabytes.
    blend = (0.35 * np.arange(256)[:, None] + 0.65 * np.array(colour)).astype(np.uint8)
    cv2.copyTo(cv2.LUT(image, blend[None]), where.view(np.uint8), image)


def _caption(scored: Scored, width: int) -> np.ndarray:
    strip = np.full((CAPTION, width, 3), 255, np.uint8)
    x = 6
    for word, colour in (("true", TRUE), ("missed", MISSED), ("false", FALSE)):
        cv2.rectangle(strip, (x, 8), (x + 10, 18), colour, -1)
        cv2.putText(strip, word, (x + 14, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        x += 30 + 8 * len(word)
    iou = figures(scored.counts)["road_iou"]
    text = f"{scored.pair.id}: " + ("no road" if math.isnan(iou) else f"road IoU {iou:.3f}")
    cv2.putText(strip, text, (x + 8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def picture(scored: Scored, classes: Classes) -> np.ndarray:
    """What eval.py shows of an image: the overlay of its roads, or image, truth and prediction in the classes' colours."""
    return overlay(scored) if classes.road else class_picture(scored, classes)


def write_image_csv(rows: list[tuple[str, np.ndarray]], path: Path, classes: Classes = ROADS) -> None:
    """One line an image: ID, counts of true, false and missed road pixels, every figure; undefined ones empty.

    Of several classes there are no counts in it.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for number, (id, counts) in enumerate(rows):
            values = figures(counts) if classes.road else class_figures(counts, classes.names, image_dice(counts))
            if not number:
                writer.writerow(["id", *(["true_road", "false_road", "missed_road"] if classes.road else []), *values])
            writer.writerow([id, *([counts[1, 1], counts[0, 1], counts[1, 0]] if classes.road else []),
                             *("" if math.isnan(value) else f"{value:.6f}" for value in values.values())])


def evaluated(rows: list[tuple[str, np.ndarray]], classes: Classes) -> tuple[dict[str, float], np.ndarray]:
    """(figures, counts) of a whole set out of its images' counts."""
    tally = Tally.of(classes)
    for _, counts in rows:
        tally.add(counts)
    return set_figures(tally, classes), tally.counts


def write_evaluation(rows: list[tuple[str, np.ndarray]], classes: Classes, folder: Path) -> list[str]:
    """Writes images.csv, figures.json (undefined figures are null) and, of several classes, confusion.png; returns the lines to print."""
    values, counts = evaluated(rows, classes)
    write_image_csv(rows, folder / "images.csv", classes)
    named = {name: None if math.isnan(value) else value for name, value in values.items()}
    of = {} if classes.road else {"classes": list(classes.names)}
    (folder / "figures.json").write_text(json.dumps({"images": len(rows), **named, **of, "counts": counts.tolist()}, indent=1),
                                         encoding="utf-8")
    if not classes.road:
        draw_confusion(counts, classes.names, folder / "confusion.png")
    return figure_lines(counts) if classes.road else class_lines(values)


def class_lines(values: dict[str, float]) -> list[str]:
    """'mean_iou: 0.4512' and so on."""
    return [f"{name}: {value:.4f}" for name, value in values.items()]


def figure_lines(counts: np.ndarray) -> list[str]:
    """'road_iou: 0.6512' and so on, ending in the three lines that the reference prints."""
    values = figures(counts)
    return [*(f"{name}: {values[name]:.4f}" for name in FIGURES),
            f"iou: {values['background_iou']:.4f} (the background's, as the reference prints it; the road's is road_iou)"]


def seed_lines(counts: np.ndarray) -> list[str]:
    """The three lines with which the reference ends its acc.log, in its form; its iou is the background's."""
    values = figures(counts)
    return [f"acc:   {values['acc']}", f"acc cls:   {values['acc_cls']}", f"iou:   {values['background_iou']}"]


def written_mask(labels: np.ndarray, classes: Classes) -> np.ndarray:
    """H x W uint8 labels as ID_mask.png holds them: roads 0 and 255, of several classes their values in the data set's masks."""
    return labels * 255 if classes.road else classes.index_mask(labels)


def _with_fault(image: ImageFile, faults: list[str]) -> ImageFile:
    if image.fault or not faults:
        return image
    return replace(image, fault=f"{clipped(image.file.name, 60)}: a result would have {faults[0]}; "
                                "rename the image")


class PredictionFiles:
    """What predict.py leaves for each image: ID_mask.png and, as asked for, probabilities and an overlay; and one table.

    Args:
        folder: where to; it exists, and `overlays` in it.
        probabilities: 'none', 'png' for ID_probability.png or 'npy' for ID_probability.npy.
        overlays: write overlays/ID_overlay.jpg, the image with its roads in teal, or with its classes in their colours.
        classes: what the model knows. Of several, masks hold the classes' values, and probabilities are C x H x W (npy only).
    """

    TABLE = "predictions.csv"

    def __init__(self, folder: Path, probabilities: str, overlays: bool, classes: Classes = ROADS):
        self.folder, self.probabilities, self.overlays, self.classes = folder, probabilities, overlays, classes
        if probabilities == "png" and not classes.road:
            raise UserError("probabilities: a PNG has room for one class, this model has several; ask for npy")
        self.rows: list[list] = []
        self.written: list[str] = []            # relative to the folder

    def names(self, image: ImageFile) -> list[str]:
        """The files of one image, relative to the folder."""
        return [f"{image.id}_mask.png",
                *([] if self.probabilities == "none" else [f"{image.id}_probability.{self.probabilities}"]),
                *([f"overlays/{image.id}_overlay.jpg"] if self.overlays else [])]

    def checked(self, images: list[ImageFile]) -> list[ImageFile]:
        """Return the images; one whose results would have names that are too long gets a fault."""
        faults = misnamed(self.folder, (name for image in images for name in self.names(image)))
        return [_with_fault(image, [faults[name] for name in self.names(image) if name in faults])
                for image in images]

    def write(self, predicted: Predicted) -> None:
        """Writes the files of one image and notes its row of the table; of one that has a fault, the row only."""
        source, (height, width) = predicted.source, predicted.mask.shape
        self.rows.append([source.id, source.file.name, width or "", height or "",
                          *self._shares(predicted), predicted.fault])
        if predicted.fault:
            return
        for name in self.names(source):
            with replacing(self.folder / name) as file:
                if name.endswith("_mask.png"):
                    write_image(file, written_mask(predicted.mask, self.classes))
                elif name.endswith(".jpg"):
                    write_image(file, self._painted(predicted))
                elif name.endswith(".png"):
                    write_image(file, predicted.probability)
                else:
                    np.save(file, predicted.probability)
            self.written.append(name)

    def _painted(self, predicted: Predicted) -> np.ndarray:
        if not self.classes.road:
            return class_overlay(predicted.image, predicted.mask, self.classes)
        painted = predicted.image.copy()
        _paint(painted, predicted.mask > 0, TRUE)
        return painted

    def _shares(self, predicted: Predicted) -> list[str]:
        """The share of an image's pixels that are road, or of each class; empty where it has a fault."""
        labels = [1] if self.classes.road else range(len(self.classes.known))
        return ["" if predicted.fault else f"{np.mean(predicted.mask == label):.6f}" for label in labels]

    def write_table(self) -> None:
        """Writes predictions.csv: ID, file, size, the share of its pixels that are road (or of each class), what was wrong with it."""
        with replacing(self.folder / self.TABLE) as file, open(file, "w", newline="", encoding="utf-8") as text:
            writer = csv.writer(text)
            names = ("road",) if self.classes.road else self.classes.names
            writer.writerow(["id", "file", "width", "height", *(f"{name}_share" for name in names), "fault"])
            writer.writerows(self.rows)
        self.written.append(self.TABLE)
