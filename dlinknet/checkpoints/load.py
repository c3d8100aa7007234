"""Checkpoints in: reads a file of any kind, says what it is, and puts its weights into a network, all of them or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Iterable, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import nn

from dlinknet.checkpoints.ckpt_files import TYPES
from dlinknet.checkpoints.model_card import ModelCard
from dlinknet.checkpoints.origins import ENCODER, Weights, recognise
from dlinknet.checkpoints.read import Checkpoint, read_checkpoint
from dlinknet.errors import UserError, name_some, shown
from dlinknet.files.fields import BadFields, Fields
from dlinknet.models.blocks import UPS
from dlinknet.models.encoders.resnet import PADDINGS
from dlinknet.models.linknet import BUILDERS


class Trained(NamedTuple):
    """A trained network, its name, and what its checkpoint says of itself."""

    model: str
    network: nn.Cell
    card: ModelCard


def load_trained(file: str, key: str, model: str) -> Trained:
    """The network with its weights of a trained checkpoint of any kind that formats.py knows.

    Args:
        model: which network it is where neither the checkpoint's text nor its tensors say so.

    Raises:
        UserError: it is damaged, of a kind or network that is not known here, or does not fit it.
    """
    checkpoint = read_checkpoint(file, key)
    known_card(
        {"model": model, **checkpoint.meta}, file, key
    )  # of a later dlinknet: said before its names are looked at
    found = _recognised(checkpoint, key)
    if not found.whole:
        raise UserError(
            f"{key}: {file} is an encoder alone ({found.kind}); --pretrained_ckpt={file} starts a training from it"
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
        key,
    )
    network = BUILDERS[card.model](card.classes, card.padding, card.decoder)
    load_network(replace(checkpoint, tensors=found.tensors), network, key)
    return Trained(card.model, network, card)


def known_card(values: dict[str, Any], file: str, key: str) -> ModelCard:
    """Return the model card in a checkpoint's text.

    Args:
        values: the text, with what is known of the network otherwise.
        file, key: the checkpoint, and the setting that named it, for the error's line.

    Raises:
        UserError: the text holds no card, or that of a network that cannot be built here.
    """
    later = "the checkpoint may be damaged or from a later dlinknet"
    try:
        card = ModelCard.from_dict(values)
    except BadFields as error:
        raise UserError(
            f"{key}: {file} says of its network what is not known here ({error}); {later}"
        ) from None
    if card.model not in BUILDERS or card.decoder not in UPS or card.padding not in PADDINGS:
        raise UserError(
            f"{key}: {file} is a {shown(card.model, 30)} with decoder {shown(card.decoder, 30)} and padding "
            f"{shown(card.padding, 30)}, which this dlinknet does not know; {later}"
        )
    return card


def load_network(checkpoint: Checkpoint, network: nn.Cell, key: str) -> None:
    """Puts a checkpoint's weights into a whole network; optimizer state in it is passed over.

    Raises:
        UserError: a weight of the network is missing or has another shape. The network is then unchanged.
    """
    _assign(checkpoint.tensors, {p.name: p for p in network.get_parameters()}, checkpoint.file, key)


def load_state(checkpoint: Checkpoint, parameters: Iterable[ms.Parameter], key: str) -> None:
    """Gives optimizer and loss scaler the values that they had.

    Raises:
        UserError: one of them is missing in the checkpoint or has another shape. Nothing is changed then.
    """
    _assign(checkpoint.tensors, {p.name: p for p in parameters}, checkpoint.file, key)


def start_network(
    model: str, file: str, padding: str, classes: int = 1, decoder: str = "full"
) -> tuple[nn.Cell, str]:
    """A network to train, and a line that says what its encoder starts from.

    Args:
        model: its name.
        file: the setting pretrained_ckpt; empty for random weights.
        padding: the setting encoder_padding; 'auto' for what the file was trained with.
        classes, decoder: as BUILDERS takes them.

    Raises:
        UserError: what read_checkpoint and load_encoder raise.
    """
    if not file:
        network = BUILDERS[model](classes, "explicit" if padding == "auto" else padding, decoder)
        return network, "encoder: random weights; --pretrained_ckpt=FILE starts from trained ones"
    checkpoint = read_checkpoint(file, "pretrained_ckpt")
    found = _recognised(checkpoint, "pretrained_ckpt")
    depth = model[len(model.rstrip("0123456789")) :]
    if found.depth != depth:
        raise UserError(
            f"pretrained_ckpt: {file} is a ResNet{found.depth} ({found.kind}); {model} takes a ResNet{depth}"
        )
    network = BUILDERS[model](classes, found.padding if padding == "auto" else padding, decoder)
    return network, _load_encoder(found, network.encoder, checkpoint.file, "pretrained_ckpt")


def load_encoder(checkpoint: Checkpoint, encoder: nn.Cell, key: str) -> str:
    """Puts the encoder's weights into `encoder` and returns a line that says what was taken.

    Raises:
        UserError: the file is of no kind that formats.py knows, or a weight of the encoder is missing or has another shape. The
            encoder is then unchanged.
    """
    return _load_encoder(_recognised(checkpoint, key), encoder, checkpoint.file, key)


def _load_encoder(found: Weights, encoder: nn.Cell, file: Path, key: str) -> str:
    targets = {
        p.name if p.name.startswith(ENCODER) else ENCODER + p.name: p
        for p in encoder.get_parameters()
    }
    _assign(found.tensors, targets, file, key)
    left = sorted({*found.left, *(found.tensors.keys() - targets)})
    padding = "" if found.padding == "explicit" else f", which pads as {found.padding} does"
    return (
        f"encoder: {len(targets)} of {len(targets)} tensors from {file} ({found.kind}{padding})"
        + (f"; not needed: {_some(left)}" if left else "")
    )


def _recognised(checkpoint: Checkpoint, key: str) -> Weights:
    """A checkpoint's tensors under our names; its padding is what it says of itself, else what its kind has."""
    found = recognise(checkpoint.tensors)
    if found is None:
        raise UserError(
            f"{key}: {checkpoint.file} holds no weights that are known here: a ResNet of the model zoo, mindcv or "
            "torchvision, the original or the reference D-LinkNet, or ours; it has "
            f"{_some(sorted(checkpoint.tensors), 3) or 'no tensors'}"
        )
    try:
        padding = Fields(checkpoint.meta).text("padding", found.padding, 60)
    except BadFields as error:
        raise UserError(f"{key}: {checkpoint.file} is damaged: {error}") from None
    if padding not in PADDINGS:
        raise UserError(
            f"{key}: {checkpoint.file} pads as {shown(padding)}, which this dlinknet does not know"
        )
    return replace(found, padding=padding)


def _some(names: list[str], most: int = 5) -> str:
    """The first few names of tensors for an error's line; those in a file can be of any length."""
    return name_some(
        [name if name.isprintable() and len(name) <= 60 else shown(name) for name in names[:most]]
        + names[most:],
        most,
    )


def _assign(
    tensors: dict[str, np.ndarray], targets: dict[str, ms.Parameter], file: Path, key: str
) -> None:
    """Sets every parameter of `targets` from the tensor of its name, if all of them fit.

    Raises:
        UserError: one is missing, has another shape or a type that is no weight's, holds NaN or infinity, or is a BatchNorm's
            variance below 0, of which the network would compute NaN.
    """
    missing = [f"{name} {p.shape}" for name, p in targets.items() if name not in tensors]
    if missing:
        raise UserError(
            f"{key}: {file} lacks {len(missing)} of the network's {len(targets)} tensors "
            f"({name_some(missing)}); is it a checkpoint of another model_name?"
        )
    unlike = [
        f"{name} {tensors[name].shape} for {p.shape}"
        for name, p in targets.items()
        if tensors[name].shape != p.shape
    ]
    if unlike:
        raise UserError(
            f"{key}: {file} has {len(unlike)} tensors of another shape ({name_some(unlike, 3)}); is it a checkpoint of "
            "another model_name?"
        )
    values = {
        name: _converted(tensors[name], np.dtype(TYPES[str(p.dtype)]))
        for name, p in targets.items()
    }
    odd = [f"{name} {tensors[name].dtype}" for name, value in values.items() if value is None]
    if odd:
        raise UserError(
            f"{key}: {file} has {len(odd)} tensors of a type that cannot be taken ({name_some(odd, 3)})"
        )
    failed = [name for name, value in values.items() if not np.isfinite(value).all()]
    if failed:
        raise UserError(
            f"{key}: {file} has NaN or infinity in {len(failed)} of {len(values)} tensors ({name_some(failed, 3)}): the "
            "training that wrote it had failed; name an earlier checkpoint"
        )
    below = [
        name
        for name, value in values.items()
        if name.endswith("moving_variance") and (value < 0).any()
    ]
    if below:
        raise UserError(
            f"{key}: {file} has variances below 0 in {len(below)} tensors ({name_some(below, 3)}): it is damaged"
        )
    for name, parameter in targets.items():
        set_value(parameter, values[name])


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
