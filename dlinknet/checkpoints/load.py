"""Checkpoints in: reads a file of any kind, says what it is, and puts its weights into a network, all of them or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Iterable, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import nn

from dlinknet.checkpoints.ckpt_files import TYPES
from dlinknet.checkpoints.model_card import ModelCard, known_card
from dlinknet.checkpoints.origins import ENCODER, Weights, recognise
from dlinknet.checkpoints.read import Checkpoint, read_checkpoint
from dlinknet.errors import InputError, name_some, shown
from dlinknet.files.fields import BadFields, Fields
from dlinknet.models import build
from dlinknet.models.linknet import LinkNet
from dlinknet.models.specs import NETWORKS, PADDINGS


class Trained(NamedTuple):
    """A trained network, and what its checkpoint says of itself."""

    network: LinkNet
    card: ModelCard


def load_trained(file: str, model: str) -> Trained:
    """The network with its weights of a trained checkpoint of any kind that origins.py knows.

    Args:
        model: which network it is where neither the checkpoint's text nor its tensors say so.

    Raises:
        UserError: it is damaged, of a kind or network that is not known here, or does not fit it.
    """
    checkpoint = read_checkpoint(file)
    known_card(
        {"model": model, **checkpoint.meta}, file
    )  # of a later dlinknet: said before its names are looked at
    found = _recognised(checkpoint)
    if not found.whole:
        raise InputError(
            file,
            f"is an encoder alone ({found.kind}); a training can start from it (--pretrained_ckpt)",
        )
    maps = (*found.tensors["head.conv2.weight"].shape, 0)[0]
    card = known_card(
        {
            "model": found.model,
            "classes": maps,
            "padding": found.padding,
            "decoder": found.decoder,
            **checkpoint.meta,
        },
        file,
    )
    network = build(card.model, card.classes, padding=card.padding, decoder=card.decoder)
    load_network(replace(checkpoint, tensors=found.tensors), network)
    return Trained(network, card)


def load_network(checkpoint: Checkpoint, network: nn.Cell) -> None:
    """Puts a checkpoint's weights into a whole network; optimizer state in it is passed over.

    Raises:
        UserError: a weight of the network is missing or has another shape. The network is then unchanged.
    """
    _assign(checkpoint.tensors, {p.name: p for p in network.get_parameters()}, checkpoint.file)


def load_state(checkpoint: Checkpoint, parameters: Iterable[ms.Parameter]) -> None:
    """Gives optimizer and loss scaler the values that they had.

    Raises:
        UserError: one of them is missing in the checkpoint or has another shape. Nothing is changed then.
    """
    _assign(checkpoint.tensors, {p.name: p for p in parameters}, checkpoint.file)


def start_network(
    model: str, file: str, padding: str, classes: int = 1, decoder: str = "full"
) -> tuple[LinkNet, str]:
    """Return a network to train, and a line that says what its encoder starts from.

    Args:
        model: its name.
        file: weights of an encoder, or of a whole network with one; empty for random weights.
        padding: how the encoder pads, one of specs.PADDINGS; 'auto' for what the file was trained
            with.
        classes, decoder: as models.build accepts them.

    Raises:
        InputError: what read_checkpoint and load_encoder raise, or the file has another encoder.
    """
    if not file:
        padding = "explicit" if padding == "auto" else padding
        network = build(model, classes, padding=padding, decoder=decoder)
        return network, "encoder: random weights; --pretrained_ckpt=FILE starts from trained ones"
    checkpoint = read_checkpoint(file)
    found = _recognised(checkpoint)
    wanted = NETWORKS[model].encoder[len("resnet") :]
    if found.depth != wanted:
        raise InputError(
            file, f"is a ResNet{found.depth} ({found.kind}); {model} requires a ResNet{wanted}"
        )
    padding = found.padding if padding == "auto" else padding
    network = build(model, classes, padding=padding, decoder=decoder)
    return network, _load_encoder(found, network.encoder, checkpoint.file)


def load_encoder(checkpoint: Checkpoint, encoder: nn.Cell) -> str:
    """Puts the encoder's weights into `encoder` and returns a line that says what was taken.

    Raises:
        UserError: the file is of no kind that origins.py knows, or a weight of the encoder is missing or has another shape. The
            encoder is then unchanged.
    """
    return _load_encoder(_recognised(checkpoint), encoder, checkpoint.file)


def _load_encoder(found: Weights, encoder: nn.Cell, file: Path) -> str:
    targets = {
        p.name if p.name.startswith(ENCODER) else ENCODER + p.name: p
        for p in encoder.get_parameters()
    }
    _assign(found.tensors, targets, file)
    left = sorted({*found.left, *(found.tensors.keys() - targets)})
    padding = "" if found.padding == "explicit" else f", which pads as {found.padding} does"
    return (
        f"encoder: {len(targets)} of {len(targets)} tensors from {file} ({found.kind}{padding})"
        + (f"; not needed: {_some(left)}" if left else "")
    )


def _recognised(checkpoint: Checkpoint) -> Weights:
    """A checkpoint's tensors under our names; its padding is what it says of itself, else what its kind has."""
    found = recognise(checkpoint.tensors)
    if found is None:
        raise InputError(
            checkpoint.file,
            f"holds no weights that are known here: a ResNet of the model zoo, mindcv or "
            "torchvision, the original or the reference D-LinkNet, or ours; it has "
            f"{_some(sorted(checkpoint.tensors), 3) or 'no tensors'}",
        )
    try:
        padding = Fields(checkpoint.meta).text("padding", found.padding, 60)
    except BadFields as error:
        raise InputError(checkpoint.file, f"is damaged: {error}") from None
    if padding not in PADDINGS:
        raise InputError(
            checkpoint.file, f"pads as {shown(padding)}, which this dlinknet does not know"
        )
    return replace(found, padding=padding)


def _some(names: list[str], most: int = 5) -> str:
    """The first few names of tensors for an error's line; those in a file can be of any length."""
    return name_some(
        [name if name.isprintable() and len(name) <= 60 else shown(name) for name in names[:most]]
        + names[most:],
        most,
    )


def _assign(tensors: dict[str, np.ndarray], targets: dict[str, ms.Parameter], file: Path) -> None:
    """Sets every parameter of `targets` from the tensor of its name, if all of them fit.

    Raises:
        UserError: one is missing, has another shape or a type that is no weight's, holds NaN or infinity, or is a BatchNorm's
            variance below 0, of which the network would compute NaN.
    """
    missing = [f"{name} {p.shape}" for name, p in targets.items() if name not in tensors]
    if missing:
        raise InputError(
            file,
            f"lacks {len(missing)} of the network's {len(targets)} tensors "
            f"({name_some(missing)}); is it a checkpoint of another model_name?",
        )
    unlike = [
        f"{name} {tensors[name].shape} for {p.shape}"
        for name, p in targets.items()
        if tensors[name].shape != p.shape
    ]
    if unlike:
        raise InputError(
            file,
            f"has {len(unlike)} tensors of another shape ({name_some(unlike, 3)}); is it a checkpoint of "
            "another model_name?",
        )
    values: dict[str, np.ndarray] = {}
    odd = []
    for name, p in targets.items():
        value = _converted(tensors[name], np.dtype(TYPES[str(p.dtype)]))
        if value is None:
            odd.append(f"{name} {tensors[name].dtype}")
        else:
            values[name] = value
    if odd:
        raise InputError(
            file, f"has {len(odd)} tensors of a type that is not accepted ({name_some(odd, 3)})"
        )
    _refuse_impossible(values, file)
    for name, parameter in targets.items():
        set_value(parameter, values[name])


def _refuse_impossible(values: dict[str, np.ndarray], file: Path) -> None:
    """Raise InputError for values that no sound training writes."""
    failed = [name for name, value in values.items() if not np.isfinite(value).all()]
    if failed:
        raise InputError(
            file,
            f"has NaN or infinity in {len(failed)} of {len(values)} tensors "
            f"({name_some(failed, 3)}): the training that wrote it had failed; name an earlier "
            "checkpoint",
        )
    below = [
        name
        for name, value in values.items()
        if name.endswith("moving_variance") and (value < 0).any()
    ]
    if below:
        raise InputError(
            file,
            f"has variances below 0 in {len(below)} tensors ({name_some(below, 3)}): it is damaged",
        )


def _converted(value: np.ndarray, wanted: np.dtype) -> np.ndarray | None:
    """A tensor in a parameter's type: floats in any type of floats, whole numbers where they stay the same; else None."""
    if value.dtype == wanted:
        return value
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what becomes infinite is said by the caller
        found = value.astype(wanted)
    if wanted.kind == "f":
        return found if value.dtype.kind == "f" else None
    return found if value.dtype.kind in "iuf" and np.array_equal(found, value) else None


def set_value(parameter: ms.Parameter, value: np.ndarray | float) -> None:
    """Gives a parameter a new value that compiled functions see as well."""
    # After Parameter.set_data (and load_param_into_net) a function compiled by ms.jit goes on with the old tensor on the
    # device, while the parameter shows the new one: training would run on, unseen, from the weights it had (2.10.0).
    ms.ops.assign(parameter, ms.Tensor(value, parameter.dtype))
