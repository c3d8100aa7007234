"""What predict.py writes of each image: masks, probabilities, overlays and one table."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlinknet.data.classes import ROADS, Classes
from dlinknet.errors import InputError, clipped
from dlinknet.files.atomic import replacing
from dlinknet.files.places import misnamed
from dlinknet.images.files import ImageFile
from dlinknet.images.write import write_image
from dlinknet.inference.pictures import TRUE, class_overlay, paint
from dlinknet.inference.predict_images import Predicted


def written_mask(labels: np.ndarray, classes: Classes) -> np.ndarray:
    """H x W uint8 labels as ID_mask.png holds them: roads 0 and 255, of several classes their values in the data set's masks."""
    return labels * 255 if classes.road else classes.index_mask(labels)


def _with_fault(image: ImageFile, faults: list[str]) -> ImageFile:
    if image.fault or not faults:
        return image
    return replace(
        image,
        fault=f"{clipped(image.file.name, 60)}: a result would have {faults[0]}; rename the image",
    )


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
        self.folder, self.probabilities, self.overlays, self.classes = (
            folder,
            probabilities,
            overlays,
            classes,
        )
        if probabilities == "png" and not classes.road:
            raise InputError(
                "a PNG",
                "has room for the probability of one class, this model has several; ask for npy",
            )
        self.rows: list[list] = []
        self.written: list[str] = []  # relative to the folder

    def names(self, image: ImageFile) -> list[str]:
        """The files of one image, relative to the folder."""
        return [
            f"{image.id}_mask.png",
            *(
                []
                if self.probabilities == "none"
                else [f"{image.id}_probability.{self.probabilities}"]
            ),
            *([f"overlays/{image.id}_overlay.jpg"] if self.overlays else []),
        ]

    def checked(self, images: list[ImageFile]) -> list[ImageFile]:
        """Return the images; one whose results would have names that are too long gets a fault."""
        faults = misnamed(self.folder, (name for image in images for name in self.names(image)))
        return [
            _with_fault(image, [faults[name] for name in self.names(image) if name in faults])
            for image in images
        ]

    def write(self, predicted: Predicted) -> None:
        """Writes the files of one image and notes its row of the table; of one that has a fault, the row only."""
        source, (height, width) = predicted.source, predicted.mask.shape
        self.rows.append(
            [
                source.id,
                source.file.name,
                width or "",
                height or "",
                *self._shares(predicted),
                predicted.fault,
            ]
        )
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
        paint(painted, predicted.mask > 0, TRUE)
        return painted

    def _shares(self, predicted: Predicted) -> list[str]:
        """The share of an image's pixels that are road, or of each class; empty where it has a fault."""
        labels = [1] if self.classes.road else range(len(self.classes.known))
        return [
            "" if predicted.fault else f"{np.mean(predicted.mask == label):.6f}" for label in labels
        ]

    def write_table(self) -> None:
        """Writes predictions.csv: ID, file, size, the share of its pixels that are road (or of each class), what was wrong with it."""
        with (
            replacing(self.folder / self.TABLE) as file,
            open(file, "w", newline="", encoding="utf-8") as text,
        ):
            writer = csv.writer(text)
            names = ("road",) if self.classes.road else self.classes.names
            writer.writerow(
                ["id", "file", "width", "height", *(f"{name}_share" for name in names), "fault"]
            )
            writer.writerows(self.rows)
        self.written.append(self.TABLE)
