"""Fine-tuning: a training that starts from a whole trained network."""

from __future__ import annotations

from dataclasses import replace

from dlinknet.checkpoints.load import load_trained, set_value
from dlinknet.checkpoints.model_card import ModelCard
from dlinknet.data.classes import Classes
from dlinknet.data.preprocess import Preprocessing
from dlinknet.errors import InputError, name_some
from dlinknet.models import build
from dlinknet.models.linknet import LinkNet

LAST_LAYER = "head.conv2."  # prefix of its tensors; it gives one map of logits per class


def load_for_fine_tuning(file: str, wanted: ModelCard, classes: Classes) -> tuple[LinkNet, str]:
    """Return a trained network to train further, and a line for the log about its weights.

    If its classes differ from `classes`, its last layer starts from random weights.

    Args:
        file: the checkpoint.
        wanted: the model, decoder, preprocessing and padding that the training requires; the
            padding 'auto' keeps that of the checkpoint.
        classes: the classes of the training.

    Raises:
        InputError: the checkpoint cannot be used, or its network is not the wanted one.
        RunFailed: the machine cannot read the file.
    """
    source, card = load_trained(file, wanted.model)
    _reject_another_network(file, card, wanted)
    padding = card.padding if wanted.padding == "auto" else wanted.padding
    network = build(card.model, classes.outputs, padding=padding, decoder=card.decoder)
    trained = card.known_classes(file)
    # By the maps' names: a road network has one map, a table of background and road has two.
    same = trained.map_names == classes.map_names
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
            f"{_describe(trained)} and are {_describe(classes)}"
        )
    return network, line


def _reject_another_network(file: str, card: ModelCard, wanted: ModelCard) -> None:
    """Raise InputError if the checkpoint's network is not the wanted one."""
    for name, found, value in (
        ("model", card.model, wanted.model),
        ("decoder", card.decoder, wanted.decoder),
    ):
        if found != value:
            raise InputError(
                file, f"has the {name} {found}, not {value}; fine-tune it with {name} {found}"
            )
    if _without_resize(card.preprocessing) != _without_resize(wanted.preprocessing):
        raise InputError(
            file,
            "was trained with another preprocessing; fine-tune it with its own preprocessing",
        )


def _without_resize(preprocessing: Preprocessing) -> Preprocessing:
    """Return a preprocessing of pixel values only: the size of images may change."""
    return replace(preprocessing, resize=None)


def _describe(classes: Classes) -> str:
    """Return the number of maps and the first names, for example '3 (sky, wood, road)'."""
    return f"{classes.outputs} ({name_some(list(classes.map_names), 3)})"
