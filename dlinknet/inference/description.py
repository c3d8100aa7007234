"""The JSON beside an exported model, FILE.json: all that a program needs to feed it. Pure Python.

format                              version of this text: 1
file, file_format, sha256           the model's file name; MINDIR, AIR, ONNX or OM; its checksum
model, classes, padding, decoder    the network's name, number of maps, padding and decoder
class_table                         names, colours and mask values of the classes, as read_table.py
                                    accepts them; missing for roads
input                               name, type (float32 or uint8), layout (NCHW or NHWC), channels
                                    (BGR), shape. A null in the shape stands for any number; for
                                    height and width, for any multiple of 32.
preprocessing                       where ('host': the caller turns pixels into pixel / 255 * scale
                                    + shift; 'graph': the model does, and accepts the pixels),
                                    scale, shift (one number, or blue's, green's and red's), resize
                                    (optional: the height and width to which the caller resizes
                                    images first), pad ('reflect_101': at the bottom and the right,
                                    mirrored at the last pixel, which is not repeated)
output                              name, type, layout, shape: probabilities, 0 to 1. Those of
                                    several classes sum to 1.
threshold                           probability above which other programs call a pixel road;
                                    dlinknet's commands use their own setting
mindspore, mindir or opset          the MindSpore that wrote the file; the version of its format
soc_version, om_precision           of an OM file: the chip; atc's precision_mode_v2
quantized                           of an int8 file: type, figure, images, before, after, and
                                    float_layers, the convolutions that stay float32
batch_norm                          'folded' into the convolutions, or 'kept'
checkpoint, compared                the checkpoint's name; each engine's largest difference from it
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from dlinknet.checkpoints.model_card import SIDE, ModelCard
from dlinknet.data.preprocess import DLINKNET, INPUT, STRIDE, Preprocessing
from dlinknet.errors import InputError
from dlinknet.files.atomic import digest, write_text
from dlinknet.files.fields import BadFields, Fields
from dlinknet.files.foreign import foreign_file
from dlinknet.files.places import need_file
from dlinknet.files.texts import BadText, read_json

FORMAT = 1
BATCH = 65536  # most inputs per call in a JSON; exports themselves have a lower limit
SUFFIXES = {"MINDIR": ".mindir", "AIR": ".air", "ONNX": ".onnx"}


@dataclass(frozen=True)
class Shape:
    """The input that an exported model accepts.

    batch: inputs per call. size: their (height, width), multiples of 32. dynamic: the model accepts
    any number of inputs of any size; batch and size are then those of the comparison. pixels: the
    model accepts uint8 pixels N x H x W x 3, BGR; otherwise float32 N x 3 x H x W.
    """

    batch: int
    size: tuple[int, int]
    dynamic: bool = False
    pixels: bool = False

    def _sides(self) -> tuple[int | None, int | None, int | None]:
        """Return (batch, height, width) of input and output; None stands for any number."""
        return (None, None, None) if self.dynamic else (self.batch, *self.size)

    def of_input(self) -> list[int | None]:
        """Return the input's shape; None stands for any number."""
        batch, height, width = self._sides()
        return [batch, height, width, 3] if self.pixels else [batch, 3, height, width]

    def to_dict(self, classes: int, preprocessing: Preprocessing = DLINKNET) -> dict[str, Any]:
        """Return the parts of the JSON that the shape decides."""
        batch, height, width = self._sides()
        return {
            "input": {
                "name": "image",
                "type": "uint8" if self.pixels else "float32",
                "layout": "NHWC" if self.pixels else "NCHW",
                "channels": INPUT["channels"],
                "shape": self.of_input(),
            },
            "preprocessing": {
                "where": "graph" if self.pixels else "host",
                **preprocessing.to_dict(),
                "pad": "reflect_101",
            },
            "output": {
                "name": "probability",
                "type": "float32",
                "layout": "NCHW",
                "shape": [batch, classes, height, width],
            },
        }


def path_of(model: Path) -> Path:
    """Return the path of the JSON beside an exported model."""
    return model.with_name(model.name + ".json")


def sha256(file: Path) -> str:
    """Return the SHA-256 checksum of a file, in hexadecimal digits."""
    return digest(file, "sha256")


def write(model: Path, values: dict[str, Any]) -> None:
    """Write the JSON beside a model."""
    write_text(path_of(model), json.dumps({"format": FORMAT, **values}, indent=1) + "\n")


class Exported(NamedTuple):
    """The content of the JSON: the network's card, the model's input, the writing MindSpore."""

    card: ModelCard
    shape: Shape
    mindspore: str


def read(file: str) -> Exported:
    """Read and check the JSON beside an exported model.

    Raises:
        InputError: the model or its JSON is missing, the JSON is damaged or from a later dlinknet,
            or the model is not the file that the JSON describes.
    """
    need_file(file)
    model, beside = Path(file), path_of(Path(file))
    try:
        if fault := foreign_file(model):
            raise InputError(model, fault)
        if not beside.is_file():
            raise InputError(
                beside,
                "is missing, which export.py writes beside a model to describe its input",
            )
        values = read_json(beside)
        fields = Fields(values)
        if fields.whole("format", least=1) > FORMAT:
            raise InputError(beside, "is from a later dlinknet, which this one does not know")
        card, shape = ModelCard.from_dict(values), _shape(fields.inner("input"))
        found = Exported(card, shape, fields.text("mindspore", "an unknown version", 60))
        known = card.preprocessing.is_supported and _agrees(
            values, shape.to_dict(card.classes, card.preprocessing)
        )
        written = fields.text("sha256", "")
    except OSError as error:
        raise InputError(
            error.filename or beside, f": {error.strerror or error}", before="cannot read"
        ) from None
    except (BadText, BadFields) as error:
        raise InputError(beside, f"is not what export.py writes beside a model: {error}") from None
    if not known:
        raise InputError(beside, "is of a kind that this dlinknet does not know")
    if written != sha256(model):
        raise InputError(
            model,
            f"is not the file that {beside} was written for: it is damaged, was replaced, or was "
            "converted for the C++ program",
        )
    return found


def _shape(fields: Fields) -> Shape:
    """Return the shape in the JSON's `input`."""
    pixels, sides = fields.text("layout") == "NHWC", fields.sequence("shape")
    if len(sides) != 4:
        raise BadFields(f"input.shape has {len(sides)} numbers, not 4")
    if sides[0] is None:
        return Shape(1, (STRIDE, STRIDE), True, pixels)
    numbers = Fields(
        dict(
            zip(
                ("batch", "height", "width")
                if pixels
                else ("batch", "channels", "height", "width"),
                sides,
            )
        ),
        "input.shape",
    )
    height, width = (numbers.whole(side, least=STRIDE, most=SIDE) for side in ("height", "width"))
    if height % STRIDE or width % STRIDE:
        raise BadFields(f"input.shape is {height} x {width}, and sides are multiples of {STRIDE}")
    return Shape(numbers.whole("batch", least=1, most=BATCH), (height, width), False, pixels)


def _agrees(values: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Return whether input, preprocessing and output hold all expected values.

    They may hold further keys.
    """
    return all(
        isinstance(values.get(part), dict) and {**values[part], **expected[part]} == values[part]
        for part in expected
    )
