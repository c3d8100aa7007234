"""The model card: the facts that a trained network carries with it. Pure Python.

Checkpoints hold it, and so does the JSON beside an exported model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dlinknet.data.class_table import ClassTable, table_of
from dlinknet.data.classes import Classes
from dlinknet.data.preprocess import DLINKNET, INPUT, Preprocessing
from dlinknet.data.read_table import MOST, parse_classes
from dlinknet.data.roads import ROADS
from dlinknet.errors import InputError, shown
from dlinknet.files.fields import BadFields, Fields
from dlinknet.models.specs import DECODERS, NETWORKS, PADDINGS

MAPS = MOST + 1  # most maps of logits: those of the largest class table whose void is a class
SIDE = 1 << 20  # pixels: the longest side of an image


@dataclass(frozen=True)
class ModelCard:
    """The facts that are needed to build, feed and read a trained network.

    model: its name, a key of specs.NETWORKS. classes: the number of maps of logits; 1 for roads.
    class_table: the meaning of these maps; None for roads, and for weights of other programs, which
    do not say. padding: how the encoder pads, a key of specs.PADDINGS. decoder: how the decoder
    upsamples, one of specs.DECODERS. preprocessing: how pixels become the network's input. augment:
    how its training augmented images, a level of data/augment.py; '' if unknown. ground_resolution:
    metres on the ground per pixel of its training images; None if unknown.
    """

    model: str
    classes: int = 1
    class_table: ClassTable | None = None
    padding: str = "explicit"
    decoder: str = "full"
    preprocessing: Preprocessing = DLINKNET
    augment: str = ""
    ground_resolution: float | None = None

    @classmethod
    def for_classes(
        cls,
        model: str,
        classes: Classes,
        *,
        padding: str = "explicit",
        decoder: str = "full",
        preprocessing: Preprocessing = DLINKNET,
        augment: str = "",
    ) -> ModelCard:
        """Return the card of a network with the outputs that `classes` need."""
        return cls(
            model,
            classes.outputs,
            table_of(classes),
            padding=padding,
            decoder=decoder,
            preprocessing=preprocessing,
            augment=augment,
        )

    @classmethod
    def from_dict(cls, values: Any) -> ModelCard:
        """Return the card in a dict that `to_dict` made.

        Other keys of the dict are ignored. All fields but `model` may be missing, as in early
        checkpoints.

        Raises:
            BadFields: `values` is not a dict, has no model, or holds a value of a wrong type or out
                of range.
        """
        fields = Fields(values)
        classes = fields.whole("classes", 1, least=1, most=MAPS)
        preprocessing = (
            _preprocessing(fields.inner("preprocessing")) if "preprocessing" in values else DLINKNET
        )
        resolution = (
            fields.number("ground_resolution", above=0) if "ground_resolution" in fields else None
        )
        return cls(
            fields.text("model", most=60),
            classes,
            _class_table(fields, classes),
            padding=fields.text("padding", "explicit", 60),
            decoder=fields.text("decoder", "full", 60),
            preprocessing=preprocessing,
            augment=fields.text("augment", "", 60),
            ground_resolution=resolution,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the card as a dict for JSON: plain dicts, lists, texts and numbers."""
        return {
            "model": self.model,
            "classes": self.classes,
            "padding": self.padding,
            "decoder": self.decoder,
            "preprocessing": {**INPUT, **self.preprocessing.to_dict()},
            **({"class_table": self.class_table.to_dict()} if self.class_table else {}),
            **({"augment": self.augment} if self.augment else {}),
            **({"ground_resolution": self.ground_resolution} if self.ground_resolution else {}),
        }

    def known_classes(self, file: object) -> Classes:
        """Return the classes that the network was trained for.

        Args:
            file: the checkpoint or export that holds the card; errors name it.

        Raises:
            InputError: the network has several maps and no class table, or this dlinknet does not
                support the card's preprocessing.
        """
        if not self.preprocessing.is_supported:
            raise InputError(
                file,
                "was trained with a preprocessing that this dlinknet does not know; "
                "it may be from a later dlinknet",
            )
        if self.classes > 1 and self.class_table is None:
            raise InputError(
                file,
                f"has {self.classes} maps and does not say which classes they are; "
                "checkpoints of dlinknet say so",
            )
        return self.class_table or ROADS


def _class_table(fields: Fields, classes: int) -> ClassTable | None:
    """Return the class table of a card.

    Raises:
        BadFields: it is none, or it does not have as many outputs as the network has maps.
    """
    if "class_table" not in fields:
        return None
    try:
        table = parse_classes(fields.value("class_table"))
    except (LookupError, TypeError, ValueError) as error:
        raise BadFields(f"class_table: {error}") from None
    if table.outputs != classes:
        raise BadFields(f"classes is {classes}, and class_table has {table.outputs} classes")
    return table


def _preprocessing(fields: Fields) -> Preprocessing:
    """Return the preprocessing of a card.

    Raises:
        BadFields: a value is missing, of a wrong type or out of range, or the network's input has
            another layout, order of channels or type.
    """
    for name, value in INPUT.items():
        if fields.value(name, value) != value:
            raise fields.wrong(
                f"has another {name} than {value}; the file may be from a later dlinknet"
            )
    shift = fields.value("shift")
    shifts = Fields(
        (
            dict(zip(("blue", "green", "red"), shift))
            if isinstance(shift, list) and len(shift) == 3
            else dict.fromkeys(("blue", "green", "red"), shift)
        ),
        "preprocessing.shift",
    )
    resize = fields.wholes("resize", 2, 1, SIDE) if "resize" in fields else None
    blue, green, red = (shifts.number(name) for name in ("blue", "green", "red"))
    return Preprocessing(
        fields.number("scale"), (blue, green, red), (resize[0], resize[1]) if resize else None
    )


def parse_card(values: dict[str, Any], file: str) -> ModelCard:
    """Return the model card of a checkpoint.

    Args:
        values: the dict in the checkpoint's text. The caller may have added facts that it found in
            the tensors.
        file: the checkpoint; errors name it.

    Raises:
        InputError: the dict holds no card, or this dlinknet cannot build the card's network.
    """
    later = "the checkpoint may be damaged or from a later dlinknet"
    try:
        card = ModelCard.from_dict(values)
    except BadFields as error:
        raise InputError(
            file, f"describes a network that this dlinknet does not know ({error}); {later}"
        ) from None
    if card.model not in NETWORKS or card.decoder not in DECODERS or card.padding not in PADDINGS:
        raise InputError(
            file,
            f"is a {shown(card.model, 30)} with decoder {shown(card.decoder, 30)} and padding "
            f"{shown(card.padding, 30)}, which this dlinknet does not know; {later}",
        )
    return card
