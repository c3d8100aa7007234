"""What a training starts from: random weights, a pretrained encoder, or a whole trained network."""

from __future__ import annotations

from dataclasses import replace

from dlinknet.checkpoints.load import load_trained, set_value
from dlinknet.checkpoints.model_card import ModelCard
from dlinknet.data.classes import Classes
from dlinknet.data.preprocess import Preprocessing
from dlinknet.errors import InputError, name_some
from dlinknet.models import build
from dlinknet.models.linknet import LinkNet

LAST_LAYER = "head.conv2."  # gives a map of logits for each class


def fine_tuned(file: str, wanted: ModelCard, classes: Classes) -> tuple[LinkNet, str]:
    """Return a trained network to train further, and a line that says what its weights are.

    If its classes are others than `classes`, its last layer starts from random weights.

    Args:
        file: the checkpoint.
        wanted: model, decoder and preprocessing that the training asks for, and the padding; 'auto'
            keeps the checkpoint's.

    Raises:
        InputError: the checkpoint cannot be used, or has another network than `wanted`.
    """
    source, card = load_trained(file, wanted.model)
    _refuse_another_network(file, card, wanted)
    padding = card.padding if wanted.padding == "auto" else wanted.padding
    network = build(card.model, classes.outputs, padding=padding, decoder=card.decoder)
    trained = card.known_classes(file)
    same = trained.names == classes.names
    values = {p.name: p for p in source.get_parameters()}
    targets = [p for p in network.get_parameters() if same or not p.name.startswith(LAST_LAYER)]
    for parameter in targets:
        set_value(parameter, values[parameter.name].asnumpy())
    line = (
        f"encoder, decoder and head: {len(targets)} of {len(values)} tensors from {file} "
        f"({card.model})"
    )
    if not same:
        line += (
            "; its last layer starts from random weights, for its classes were "
            f"{_named(trained)} and are {_named(classes)}"
        )
    return network, line


def _refuse_another_network(file: str, card: ModelCard, wanted: ModelCard) -> None:
    """Raise InputError if the checkpoint has another network than the training asks for."""
    for name, found, value in (
        ("model_name", card.model, wanted.model),
        ("decoder", card.decoder, wanted.decoder),
    ):
        if found != value:
            raise InputError(
                file, f"has {name} {found}, not {value}; fine-tune it with --{name}={found}"
            )
    if _values(card.preprocessing) != _values(wanted.preprocessing):
        raise InputError(
            file,
            "was trained with another preprocessing; fine-tune it with the one that it was trained "
            "with (--preprocessing)",
        )


def _values(preprocessing: Preprocessing) -> Preprocessing:
    """Return what becomes of the values of pixels, whatever their image's size."""
    return replace(preprocessing, resize=None)


def _named(classes: Classes) -> str:
    return f"{classes.outputs} ({name_some(list(classes.map_names), 3)})"
