"""The JSON beside an exported model, FILE.json: all that a program needs to feed it. Pure Python.

    format, file, file_format, sha256   of this text (1); the model's name; MINDIR, AIR or ONNX; its bytes
    model, classes, padding, decoder    which network it is, and how many maps it gives
    class_table                         names, colours and mask values of its classes, as data/classes.py has them; not of roads
    input                               name, type (float32 or uint8), layout (NCHW or NHWC), channels (BGR), shape; a null in the
                                        shape may be any number, for height and width any multiple of 32
    preprocessing                       where ('host': the caller turns pixels into pixel / 255 * scale + shift; 'graph': the model
                                        does and takes the pixels), scale, shift (one number, or blue's, green's and red's), resize
                                        (height and width to which the caller resizes images first, where it is there), pad
                                        ('reflect_101': at the bottom and the right, mirrored at the last pixel, which is not repeated)
    output                              name, type, layout, shape: the probabilities, 0 to 1; those of several classes sum to 1
    threshold                           road is above it, for programs; our commands go by their setting
    mindspore, mindir or opset          what wrote it, and the version of its format
    batch_norm                          'folded' into the convolutions, or 'kept'
    checkpoint, compared                what it was made of; the largest difference found in each engine that was tried
"""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlinknet.data.classes import stored_classes
from dlinknet.data.preprocess import DLINKNET, INPUT, Preprocessing, parse_preprocessing
from dlinknet.errors import UserError
from dlinknet.files import digest, need_file, write_text

FORMAT = 1
SUFFIXES = {"MINDIR": ".mindir", "AIR": ".air", "ONNX": ".onnx"}


@dataclass(frozen=True)
class Shape:
    """What an exported model takes.

    batch: inputs in a call. size: their (height, width), multiples of 32. dynamic: any number of any size instead; batch and size
    are then those of the comparison. pixels: it takes uint8 N x H x W x 3 as they are, else float32 N x 3 x H x W.
    """

    batch: int
    size: tuple[int, int]
    dynamic: bool = False
    pixels: bool = False

    def _sides(self) -> tuple[int | None, int | None, int | None]:
        """(batch, height, width), of the input as of the output; None is any."""
        return (None, None, None) if self.dynamic else (self.batch, *self.size)

    def of_input(self) -> list[int | None]:
        """The input's shape; None is any."""
        batch, height, width = self._sides()
        return [batch, height, width, 3] if self.pixels else [batch, 3, height, width]

    def described(self, classes: int, preprocessing: Preprocessing = DLINKNET) -> dict[str, Any]:
        """The parts of the JSON that the shape decides."""
        batch, height, width = self._sides()
        return {
            "input": {"name": "image", "type": "uint8" if self.pixels else "float32", "layout": "NHWC" if self.pixels else "NCHW",
                      "channels": INPUT["channels"], "shape": self.of_input()},
            "preprocessing": {"where": "graph" if self.pixels else "host", **preprocessing.described(),
                              "pad": "reflect_101"},
            "output": {"name": "probability", "type": "float32", "layout": "NCHW", "shape": [batch, classes, height, width]}}


def path_of(model: Path) -> Path:
    """Where the JSON of an exported model lies."""
    return model.with_name(model.name + ".json")


def sha256(file: Path) -> str:
    """Of a file's bytes, in hexadecimal digits."""
    return digest(file, "sha256")


def write(model: Path, values: dict[str, Any]) -> None:
    """Writes the JSON beside a model."""
    write_text(path_of(model), json.dumps({"format": FORMAT, **values}, indent=1) + "\n")


def read(file: str, key: str) -> tuple[dict[str, Any], Shape]:
    """(the JSON beside an exported model, the model's shape).

    Args:
        key: the setting that named the model, for the error's line.

    Raises:
        UserError: model or JSON is missing, the JSON is none of ours, or it is that of another file.
    """
    need_file(file, key)
    model, beside = Path(file), path_of(Path(file))
    if not beside.is_file():
        raise UserError(f"{key}: {beside} is missing, which export.py writes beside a model and which says what it takes")
    try:
        values = json.loads(beside.read_text(encoding="utf-8"))
        if values["format"] > FORMAT:
            raise UserError(f"{key}: {beside} is from a later dlinknet, which this one does not know")
        sides = values["input"]["shape"]
        pixels = values["input"]["layout"] == "NHWC"
        batch, height, width = sides[0], *(sides[1:3] if pixels else sides[2:4])
        dynamic = batch is None
        shape = Shape(1 if dynamic else int(batch), (32, 32) if dynamic else (int(height), int(width)), dynamic, pixels)
        preprocessing = parse_preprocessing(values["preprocessing"])
        expected = shape.described(values["classes"], preprocessing)
        same = all({**values[part], **expected[part]} == values[part] for part in ("input", "preprocessing", "output"))
        known = isinstance(values["model"], str) and min(shape.batch, *shape.size) > 0 and same and preprocessing.known
        if known:
            stored_classes(values)
    except (OSError, ValueError, TypeError, LookupError):
        raise UserError(f"{key}: {beside} is not what export.py writes beside a model") from None
    if not known:
        raise UserError(f"{key}: {beside} is of a kind that this dlinknet does not know")
    if values.get("sha256") != sha256(model):
        raise UserError(f"{key}: {model} is not the file that {beside} was written for: it is damaged or was replaced")
    return values, shape
