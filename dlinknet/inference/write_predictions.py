"""The files that predict.py writes: masks, probabilities, overlays and one table."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlinknet.data.classes import Classes
from dlinknet.data.roads import ROADS
from dlinknet.errors import InputError, clipped
from dlinknet.files.atomic import replacing
from dlinknet.files.places import misnamed
from dlinknet.images.files import ImageFile
from dlinknet.images.write import write_image
from dlinknet.inference.pictures import overlay
from dlinknet.inference.predict_images import Predicted


def _with_fault(image: ImageFile, faults: list[str]) -> ImageFile:
    if image.fault or not faults:
        return image
    return replace(
        image,
        fault=f"{clipped(image.file.name, 60)}: a result would have {faults[0]}; rename the image",
    )


class PredictionFiles:
    """Write the results of each image (a mask, and optional files), and a table of all images.

    Args:
        folder: receives the files. It exists, and so does its folder `overlays` if it is needed.
        probabilities: 'none', 'png' for ID_probability.png or 'npy' for ID_probability.npy.
        overlays: write overlays/ID_overlay.jpg, the image with its prediction laid over it.
        classes: the model's classes. If there are several, masks hold the classes' values, and
            probabilities are C x H x W (npy only).

    Attributes:
        written: the files that are whole, relative to `folder`.

    Raises:
        InputError: `probabilities` is 'png', and the model has several maps.
    """

    TABLE = "predictions.csv"

    def __init__(self, folder: Path, probabilities: str, overlays: bool, classes: Classes = ROADS):
        self.folder, self.probabilities = folder, probabilities
        self.overlays, self.classes = overlays, classes
        if probabilities == "png" and classes.outputs > 1:
            raise InputError(
                "a PNG",
                "has room for the probability of one class, this model has several; ask for npy",
            )
        self.rows: list[list] = []
        self.written: list[str] = []

    def names(self, image: ImageFile) -> list[str]:
        """Return the files of one image, relative to the folder."""
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
        """Return the images, with a fault if the names of their results would be too long."""
        faults = misnamed(self.folder, (name for image in images for name in self.names(image)))
        return [
            _with_fault(image, [faults[name] for name in self.names(image) if name in faults])
            for image in images
        ]

    def write(self, predicted: Predicted) -> None:
        """Write the files of one image and add its row to the table.

        An image with a fault has a row and no files.
        """
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
                    write_image(file, self.classes.written_mask(predicted.mask))
                elif name.endswith(".jpg"):
                    write_image(file, overlay(predicted.image, predicted.mask, self.classes))
                elif predicted.probability is not None:
                    keep = write_image if name.endswith(".png") else np.save
                    keep(file, predicted.probability)
            self.written.append(name)

    def _shares(self, predicted: Predicted) -> list[str]:
        """Return the share of pixels that are road, or of each class; empty for a fault."""
        return [
            "" if predicted.fault else f"{np.mean(predicted.mask == label):.6f}"
            for label in self.classes.mapped
        ]

    def write_table(self) -> None:
        """Write predictions.csv: of each image ID, file, size, shares of pixels, and fault."""
        with (
            replacing(self.folder / self.TABLE) as file,
            open(file, "w", newline="", encoding="utf-8") as text,
        ):
            writer = csv.writer(text)
            shares = (f"{name}_share" for name in self.classes.map_names)
            writer.writerow(["id", "file", "width", "height", *shares, "fault"])
            writer.writerows(self.rows)
        self.written.append(self.TABLE)
