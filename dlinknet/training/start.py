"""What a training starts from: random weights, a pretrained encoder, or a whole network that is fine-tuned."""

from __future__ import annotations

from dataclasses import replace

from mindspore import nn

from dlinknet.checkpoints.load import load_trained, set_value, start_network
from dlinknet.checkpoints.model_card import ModelCard
from dlinknet.config import Config
from dlinknet.data.classes import Classes
from dlinknet.data.preprocess import of_settings
from dlinknet.errors import UserError, name_some
from dlinknet.models.linknet import BUILDERS

KEY = "trained_ckpt"
LAST_LAYER = "head.conv2."  # gives a map of logits for each class


def starting_network(
    settings: Config, classes: Classes, resumed: ModelCard | None = None
) -> tuple[nn.Cell, str]:
    """Return the network to train, and a line that says what its weights are.

    Args:
        classes: what the network is to learn.
        resumed: the card of a run that goes on; its weights are loaded later.

    Raises:
        UserError: a checkpoint that the settings name cannot be used, or is that of another network than the settings ask for.
    """
    if resumed is not None:
        return start_network(
            settings.model_name, "", resumed.padding, classes.outputs, settings.decoder
        )
    if KEY not in settings.given:
        return start_network(
            settings.model_name,
            settings.pretrained_ckpt,
            settings.encoder_padding,
            classes.outputs,
            settings.decoder,
        )
    _, source, card = load_trained(settings.trained_ckpt, KEY, settings.model_name)
    _refuse_another_network(card, settings)
    padding = card.padding if settings.encoder_padding == "auto" else settings.encoder_padding
    network = BUILDERS[card.model](classes.outputs, padding, card.decoder)
    trained = card.known_classes(settings.trained_ckpt, KEY)
    same = trained.names == classes.names
    values = {p.name: p for p in source.get_parameters()}
    targets = [p for p in network.get_parameters() if same or not p.name.startswith(LAST_LAYER)]
    for parameter in targets:
        set_value(parameter, values[parameter.name].asnumpy())
    line = f"encoder, decoder and head: {len(targets)} of {len(values)} tensors from {settings.trained_ckpt} ({card.model})"
    if not same:
        line += f"; its last layer starts from random weights, for its classes were {_named(trained)} and are {_named(classes)}"
    return network, line


def _refuse_another_network(card: ModelCard, settings: Config) -> None:
    """Raise UserError if the settings ask for another network than the checkpoint's."""
    asked = of_settings(settings)
    for key, found, value in (
        ("model_name", card.model, settings.model_name),
        ("decoder", card.decoder, settings.decoder),
    ):
        if found != value:
            raise UserError(
                f"{KEY}: {settings.trained_ckpt} has {key} {found}, not {value}; fine-tune it with --{key}={found}"
            )
    if replace(card.preprocessing, resize=None) != replace(asked, resize=None):
        raise UserError(
            f"{KEY}: {settings.trained_ckpt} was trained with another preprocessing than {settings.preprocessing}; fine-tune it with "
            "the one that it was trained with (--preprocessing)"
        )


def _named(classes: Classes) -> str:
    names = ["road"] if classes.road else list(classes.names)
    return f"{len(names)} ({name_some(names, 3)})"
