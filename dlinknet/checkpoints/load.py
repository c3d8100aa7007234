"""Load the weights of a checkpoint file of any known kind into a network: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import mindspore as ms
import numpy as np
from mindspore import nn

from dlinknet.checkpoints.ckpt_files import TYPES
from dlinknet.checkpoints.model_card import ModelCard, parse_card
from dlinknet.checkpoints.origins import ENCODER, Weights, recognise
from dlinknet.checkpoints.read import Checkpoint, read_checkpoint
from dlinknet.errors import InputError, name_some, shown
from dlinknet.files.fields import BadFields, Fields
from dlinknet.models import build
from dlinknet.models.linknet import LinkNet
from dlinknet.models.specs import NETWORKS, PADDINGS


class TrainedNetwork(NamedTuple):
    """A network with its trained weights, and its model card."""

    network: LinkNet
    card: ModelCard


def load_trained(file: str, model: str) -> TrainedNetwork:
    """Build the network of a trained checkpoint and load its weights.

    Args:
        file: a checkpoint of any kind that origins.py knows.
        model: any known network's name. It completes the text of a checkpoint that names no
            network, so that the text can be checked. The tensors then tell which network it is.

    Raises:
        InputError: the file is missing, damaged, of an unknown kind, or an encoder only; or its
            network is unknown or does not fit its tensors.
        RunFailed: the machine cannot read the file.
    """
    checkpoint = read_checkpoint(file)
    # A later dlinknet may have renamed its tensors: its card is checked before the names are.
    parse_card({"model": model, **checkpoint.meta}, file)
    found = _recognise(checkpoint)
    if not found.whole:
        raise InputError(
            file,
            f"is an encoder alone ({found.kind}); a training can start from it",
        )
    # In a damaged file the weight may be a single number, without any axis.
    maps = (*found.tensors["head.conv2.weight"].shape, 0)[0]
    card = parse_card(
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
    return TrainedNetwork(network, card)


def load_network(checkpoint: Checkpoint, network: nn.Cell) -> None:
    """Load a checkpoint's weights into a whole network; its optimizer state is ignored.

    Raises:
        InputError: a weight is missing or has a wrong shape, type or value. The network is then
            unchanged.
    """
    _assign(checkpoint.tensors, {p.name: p for p in network.get_parameters()}, checkpoint.file)


def load_state(checkpoint: Checkpoint, parameters: Iterable[ms.Parameter]) -> None:
    """Restore the parameters of optimizer and loss scaler from a checkpoint.

    Raises:
        InputError: a parameter is missing or has a wrong shape, type or value. None is changed.
    """
    _assign(checkpoint.tensors, {p.name: p for p in parameters}, checkpoint.file)


def start_network(
    model: str, file: str, padding: str, classes: int = 1, decoder: str = "full"
) -> tuple[LinkNet, str]:
    """Return a network to train, and a line for the log about its encoder's weights.

    Args:
        model: the network's name.
        file: a checkpoint of an encoder or of a whole network; empty for random weights.
        padding: how the encoder pads, a key of specs.PADDINGS; 'auto' keeps the padding with which
            the file was trained.
        classes, decoder: see models.build.

    Raises:
        InputError: the file is missing, damaged or of an unknown kind, or its encoder is not the
            network's.
        RunFailed: the machine cannot read the file.
    """
    if not file:
        padding = "explicit" if padding == "auto" else padding
        network = build(model, classes, padding=padding, decoder=decoder)
        return network, "encoder: random weights; a training can also start from those of a file"
    checkpoint = read_checkpoint(file)
    found = _recognise(checkpoint)
    wanted = NETWORKS[model].encoder[len("resnet") :]
    if found.depth != wanted:
        raise InputError(
            file, f"is a ResNet{found.depth} ({found.kind}); {model} requires a ResNet{wanted}"
        )
    padding = found.padding if padding == "auto" else padding
    network = build(model, classes, padding=padding, decoder=decoder)
    return network, load_encoder(checkpoint, network.encoder)


def load_encoder(checkpoint: Checkpoint, encoder: nn.Cell) -> str:
    """Load the encoder's weights into `encoder`, and return a line for the log about them.

    Raises:
        InputError: the file is of an unknown kind, or a weight of the encoder is missing or has a
            wrong shape, type or value. The encoder is then unchanged.
    """
    found = _recognise(checkpoint)
    # The parameters of an encoder inside a network have the prefix ENCODER already.
    targets = {
        p.name if p.name.startswith(ENCODER) else ENCODER + p.name: p
        for p in encoder.get_parameters()
    }
    _assign(found.tensors, targets, checkpoint.file)
    unused = sorted({*found.unused, *(found.tensors.keys() - targets)})
    padding = "" if found.padding == "explicit" else f", which pads as {found.padding} does"
    return (
        f"encoder: {len(targets)} of {len(targets)} tensors from {checkpoint.file} "
        f"({found.kind}{padding})" + (f"; not needed: {_name_tensors(unused)}" if unused else "")
    )


def _recognise(checkpoint: Checkpoint) -> Weights:
    """Return a checkpoint's tensors under dlinknet's names.

    The checkpoint's text decides the padding. If the text names none, the kind of the file decides.

    Raises:
        InputError: the checkpoint is of an unknown kind or padding.
    """
    found = recognise(checkpoint.tensors)
    if found is None:
        raise InputError(
            checkpoint.file,
            "holds no weights that dlinknet knows: a ResNet of the model zoo, mindcv or "
            "torchvision, the original or the model zoo's D-LinkNet, or its own; it has "
            f"{_name_tensors(sorted(checkpoint.tensors), 3) or 'no tensors'}",
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


def _name_tensors(names: list[str], most: int = 5) -> str:
    """Return the first few names of tensors for an error's line; a file's names have any length."""
    return name_some(
        [name if name.isprintable() and len(name) <= 60 else shown(name) for name in names[:most]]
        + names[most:],
        most,
    )


def _assign(tensors: dict[str, np.ndarray], targets: dict[str, ms.Parameter], file: Path) -> None:
    """Set every parameter of `targets` from the tensor of its name, if all of them fit.

    Raises:
        InputError: a tensor is missing, has a wrong shape or type, holds NaN or infinity, or is a
            BatchNorm's variance below 0, from which the network would compute NaN.
    """
    _reject_misfits(tensors, targets, file)
    values: dict[str, np.ndarray] = {}
    wrong_types = []
    for name, p in targets.items():
        value = _converted(tensors[name], np.dtype(TYPES[str(p.dtype)]))
        if value is None:
            wrong_types.append(f"{name} {tensors[name].dtype}")
        else:
            values[name] = value
    if wrong_types:
        raise InputError(
            file,
            f"has {len(wrong_types)} tensors of a type that is not accepted "
            f"({name_some(wrong_types, 3)})",
        )
    _reject_impossible(values, file)
    for name, parameter in targets.items():
        set_value(parameter, values[name])


def _reject_misfits(
    tensors: dict[str, np.ndarray], targets: dict[str, ms.Parameter], file: Path
) -> None:
    """Raise InputError if a parameter's tensor is missing or has another shape."""
    missing = [f"{name} {p.shape}" for name, p in targets.items() if name not in tensors]
    if missing:
        raise InputError(
            file,
            f"lacks {len(missing)} of the network's {len(targets)} tensors "
            f"({name_some(missing)}); is it a checkpoint of another model?",
        )
    wrong_shapes = [
        f"{name} {tensors[name].shape} for {p.shape}"
        for name, p in targets.items()
        if tensors[name].shape != p.shape
    ]
    if wrong_shapes:
        raise InputError(
            file,
            f"has {len(wrong_shapes)} tensors of another shape ({name_some(wrong_shapes, 3)}); "
            "is it a checkpoint of another model?",
        )


def _reject_impossible(values: dict[str, np.ndarray], file: Path) -> None:
    """Raise InputError if a tensor holds values that no sound training writes."""
    not_finite = [name for name, value in values.items() if not np.isfinite(value).all()]
    if not_finite:
        raise InputError(
            file,
            f"has NaN or infinity in {len(not_finite)} of {len(values)} tensors "
            f"({name_some(not_finite, 3)}): the training that wrote it had failed; name an earlier "
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
    """Return a tensor in a parameter's type, or None if the types do not fit.

    A float becomes any type of floats. A number becomes a whole number only if it is one.
    """
    if value.dtype == wanted:
        return value
    # A float that becomes infinite is rejected later, with its name.
    with np.errstate(over="ignore", invalid="ignore"):
        converted = value.astype(wanted)
    if wanted.kind == "f":
        return converted if value.dtype.kind == "f" else None
    return converted if value.dtype.kind in "iuf" and np.array_equal(converted, value) else None


def set_value(parameter: ms.Parameter, value: np.ndarray | float) -> None:
    """Set a parameter to a new value, also for functions that are compiled already."""
    # After Parameter.set_data (and load_param_into_net) a function that ms.jit has compiled still
    # uses the old tensor on the device, while the parameter shows the new one. Training would go on
    # from the old weights, and nothing would show it (2.10.0).
    ms.ops.assign(parameter, ms.Tensor(value, parameter.dtype))
