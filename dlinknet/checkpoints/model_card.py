"""The model card: what a trained network says of itself. Pure Python.

It stands in checkpoints and in the JSON beside exported models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Union

from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Classes
from dlinknet.data.preprocess import DLINKNET, INPUT, Preprocessing
from dlinknet.data.read_table import MOST, parse_classes
from dlinknet.data.roads import ROADS
from dlinknet.errors import InputError, shown
from dlinknet.files.fields import BadFields, Fields
from dlinknet.models.specs import DECODERS, NETWORKS, PADDINGS

MAPS = MOST + 1  # maps of logits of the largest class table, whose void counts as a class
SIDE = 1 << 20  # pixels: the longest side of an image that any part of dlinknet is asked for


@dataclass(frozen=True)
class ModelCard:
    """What a trained network is and how it is fed.

    model: as the setting model_name calls it ('dlinknet34'). classes: how many maps of logits the
    network has; 1 for road. class_table: what these maps mean; None for roads, and if the file does
    not say, as in networks of other trainers. padding: how the encoder pads, one of
    specs.PADDINGS. decoder: how the decoder doubles, one of specs.DECODERS. augment: how its
    training augmented images, a level of data/augment.py; '' if that is not known.
    ground_resolution: metres on the ground along a pixel of its training images; None if that is not
    known.
    """

    model: str
    classes: int = 1
    class_table: Optional[ClassTable] = None
    padding: str = "explicit"
    decoder: str = "full"
    preprocessing: Preprocessing = DLINKNET
    augment: str = ""
    ground_resolution: Optional[float] = None

    @classmethod
    def of(
        cls,
        model: str,
        classes: Classes,
        *,
        padding: str = "explicit",
        decoder: str = "full",
        preprocessing: Preprocessing = DLINKNET,
        augment: str = "",
    ) -> ModelCard:
        """Return the card of a network that was trained for `classes`."""
        return cls(model, classes.outputs, classes.table, padding, decoder, preprocessing, augment)

    @classmethod
    def from_dict(cls, values: Any) -> ModelCard:
        """Return the card that `to_dict` turned into `values`.

        Other keys in `values` are passed over. The fields except `model` may be missing, as in
        early checkpoints.

        Raises:
            BadFields: `values` is not a dict, has no model, or holds a value of another type or out
                of range.
        """
        fields = Fields(values)
        classes = fields.whole("classes", 1, least=1, most=MAPS)
        preprocessing = (
            _preprocessing(fields.inner("preprocessing")) if "preprocessing" in values else DLINKNET
        )
        return cls(
            fields.text("model", most=60),
            classes,
            _class_table(fields, classes),
            fields.text("padding", "explicit", 60),
            fields.text("decoder", "full", 60),
            preprocessing,
            fields.text("augment", "", 60),
            fields.number("ground_resolution", above=0) if "ground_resolution" in fields else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the card as JSON holds it: plain dicts, lists, texts and numbers."""
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

    def known_classes(self, file: Union[str, object]) -> Classes:
        """Return the classes that the network was trained for.

        Args:
            file: where the card stands, for the error's line.

        Raises:
            UserError: the network has several maps and the card does not say what they are, or the
                card's preprocessing is none of the setting's choices.
        """
        if not self.preprocessing.is_supported:
            raise InputError(
                file,
                "was trained with a preprocessing that this dlinknet does not know; "
                "it may be from a later one",
            )
        if self.classes > 1 and self.class_table is None:
            raise InputError(
                file,
                f"has {self.classes} maps and does not say which classes they are, "
                "as train.py's checkpoints do",
            )
        return self.class_table or ROADS


def _class_table(fields: Fields, classes: int) -> ClassTable | None:
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


def known_card(values: dict[str, Any], file: str) -> ModelCard:
    """Return the model card in a checkpoint's text.

    Args:
        values: the text, with what is known of the network otherwise.
        file: the checkpoint, for the error's line.

    Raises:
        UserError: the text holds no card, or that of a network that cannot be built here.
    """
    later = "the checkpoint may be damaged or from a later dlinknet"
    try:
        card = ModelCard.from_dict(values)
    except BadFields as error:
        raise InputError(
            file, f"says of its network what is not known here ({error}); {later}"
        ) from None
    if card.model not in NETWORKS or card.decoder not in DECODERS or card.padding not in PADDINGS:
        raise InputError(
            file,
            f"is a {shown(card.model, 30)} with decoder {shown(card.decoder, 30)} and padding "
            f"{shown(card.padding, 30)}, which this dlinknet does not know; {later}",
        )
    return card
