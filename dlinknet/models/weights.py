"""Checkpoints in: reads a .ckpt, says what it is, and puts its weights into a network, all of them or none."""
from __future__ import annotations

import json
import logging
import re
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator

import mindspore as ms
import numpy as np
from mindspore import nn

from dlinknet.errors import UserError, name_some
from dlinknet.files import need_file
from dlinknet.models.linknet import BUILDERS

META = "dlinknet_meta"          # the tensor of our checkpoints that holds a JSON text as uint8
FORMAT = 1                      # of that text; a reader refuses a later one
ENCODER = "encoder."            # in front of the encoder's names inside a whole network
EPS_SHIFT = 1e-4 - 1e-5         # the model zoo's blocks divide by sqrt(var + 1e-4), ours by sqrt(var + 1e-5)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it lies on disk: tensors by name, and what our training wrote about them (empty in others' files)."""

    file: Path
    tensors: dict[str, np.ndarray]
    meta: dict[str, Any]


def read_checkpoint(file: str, key: str) -> Checkpoint:
    """Reads a MindSpore checkpoint.

    Args:
        file: its path.
        key: the setting that named it, for the error's line.

    Raises:
        UserError: it is missing or no whole MindSpore checkpoint.
    """
    need_file(file, key)
    path = Path(file)
    try:
        with quiet():
            tensors = {name: value.asnumpy() for name, value in ms.load_checkpoint(str(path)).items()}
        meta = json.loads(bytes(tensors.pop(META))) if META in tensors else {}
        written = meta.pop("crc32", None)
    except Exception:  # noqa: BLE001  (MindSpore and protobuf raise many kinds on a damaged file)
        raise UserError(f"{key}: {path} is not a whole MindSpore checkpoint") from None
    if written is not None and written != checksum(tensors, meta):
        raise UserError(f"{key}: {path} is damaged: it does not hold what was written")
    if meta.get("format", FORMAT) > FORMAT:
        raise UserError(f"{key}: {path} is from a later dlinknet, which this one does not know")
    return Checkpoint(path, tensors, meta)


def checksum(tensors: dict[str, np.ndarray], meta: dict[str, Any]) -> int:
    """CRC-32 of a checkpoint: what it says of itself, as JSON, then names and values in the order of the names."""
    value = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
    for name in sorted(tensors):
        value = zlib.crc32(np.ascontiguousarray(tensors[name]), zlib.crc32(name.encode(), value))
    return value


@contextmanager
def quiet() -> Iterator[None]:
    """Silences MindSpore's log, which reports a failure in lines of its own before it raises the error that we report."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def load_trained(file: str, key: str, model: str) -> tuple[str, nn.Cell]:
    """(model name, network with its weights) of a trained one-class checkpoint.

    Args:
        model: which network it is where the checkpoint does not say.

    Raises:
        UserError: it is damaged, names a network that is not known here, or does not fit it.
    """
    checkpoint = read_checkpoint(file, key)
    model, classes = checkpoint.meta.get("model", model), checkpoint.meta.get("classes", 1)
    if model not in BUILDERS or classes != 1:
        raise UserError(f"{key}: {file} is a {model} of {classes} classes from a later dlinknet, which this one does not know")
    network = BUILDERS[model](1)
    load_network(checkpoint, network, key)
    return model, network


def load_network(checkpoint: Checkpoint, network: nn.Cell, key: str) -> None:
    """Puts a checkpoint's weights into a whole network; optimizer state in it is passed over.

    Raises:
        UserError: a weight of the network is missing or has another shape. The network is then unchanged.
    """
    _assign(checkpoint.tensors, network.get_parameters(), checkpoint.file, key)


def load_state(checkpoint: Checkpoint, parameters: Iterable[ms.Parameter], key: str) -> None:
    """Gives optimizer and loss scaler the values that they had.

    Raises:
        UserError: one of them is missing in the checkpoint or has another shape. Nothing is changed then.
    """
    _assign(checkpoint.tensors, parameters, checkpoint.file, key)


def start_encoder(network: nn.Cell, file: str) -> str:
    """Gives a network its encoder to start from, and returns a line that says which.

    Args:
        file: the setting pretrained_ckpt; empty for the random weights that it has.

    Raises:
        UserError: what read_checkpoint and load_encoder raise.
    """
    if not file:
        return "encoder: random weights; --pretrained_ckpt=FILE starts from trained ones"
    return load_encoder(read_checkpoint(file, "pretrained_ckpt"), network.encoder, "pretrained_ckpt")


def load_encoder(checkpoint: Checkpoint, encoder: nn.Cell, key: str) -> str:
    """Puts the encoder's weights into `encoder` and returns a line that says what was taken.

    Takes our own checkpoints and the model zoo's ResNets of basic blocks (layer1.0.bn1d, down_sample_layer, end_point).

    Raises:
        UserError: it is neither, or a weight of the encoder is missing or has another shape. The encoder is then unchanged.
    """
    tensors = checkpoint.tensors
    if any(name.startswith(ENCODER) for name in tensors):
        kind = "one of ours"
        tensors = {name[len(ENCODER):]: value for name, value in tensors.items() if name.startswith(ENCODER)}
    elif any(".bn1d." in name for name in tensors):
        kind = "the model zoo's ResNet"
        tensors = _from_zoo(tensors)
    elif any(".down_sample_layer." in name for name in tensors):
        raise UserError(f"{key}: {checkpoint.file} is a bottleneck ResNet of the model zoo, which pads its convolutions "
                        "otherwise than D-LinkNet's encoder; it cannot be taken yet")
    else:
        raise UserError(f"{key}: {checkpoint.file} is neither a ResNet of the model zoo nor a checkpoint of ours")
    wanted = _assign(tensors, encoder.get_parameters(), checkpoint.file, key, prefix=ENCODER)
    left = sorted(name for name in tensors.keys() - wanted if not name.startswith(("moments.", "moment1.", "moment2.")))
    return (f"encoder: {len(wanted)} of {len(wanted)} tensors from {checkpoint.file} ({kind})"
            + (f"; not needed: {name_some(left)}" if left else ""))


def _from_zoo(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The model zoo's names and BatchNorm eps turned into ours."""
    renamed = {}
    for name, value in tensors.items():
        ours = re.sub(r"\.bn(\d)d\.", r".bn\1.", name).replace(".down_sample_layer.", ".downsample.")
        if re.match(r"layer\d\.\d+\.bn\d\.moving_variance", ours):
            # Equal to the letter: var + eps is what a BatchNorm divides by.
            value = value + np.float32(EPS_SHIFT)
        renamed[ours] = value
    return renamed


def _assign(tensors: dict[str, np.ndarray], targets: Iterable[ms.Parameter], file: Path, key: str,
            prefix: str = "") -> set[str]:
    """Sets every one of `targets` from the tensor of its name without `prefix`; returns those names."""
    parameters = {p.name[len(prefix):] if p.name.startswith(prefix) else p.name: p for p in targets}
    missing = [name for name in parameters if name not in tensors]
    if missing:
        raise UserError(f"{key}: {file} lacks {len(missing)} of the network's {len(parameters)} tensors "
                        f"({name_some(missing, 3)}); is it a checkpoint of another model_name?")
    unlike = [f"{name} {tensors[name].shape} for {p.shape}" for name, p in parameters.items()
              if tensors[name].shape != p.shape]
    if unlike:
        raise UserError(f"{key}: {file} has {len(unlike)} tensors of another shape ({name_some(unlike, 3)})")
    for name, parameter in parameters.items():
        set_value(parameter, tensors[name])
    return set(parameters)


def set_value(parameter: ms.Parameter, value: np.ndarray | float) -> None:
    """Gives a parameter a new value that compiled functions see as well."""
    # After Parameter.set_data (and load_param_into_net) a function compiled by ms.jit goes on with the old tensor on the
    # device, while the parameter shows the new one: training would run on, unseen, from the weights it had (2.10.0).
    ms.ops.assign(parameter, ms.Tensor(value, parameter.dtype))
