"""Recognise whose weights a dict of tensors holds, and rename them to dlinknet's names. Pure NumPy.

    dlinknet                encoder.conv1.weight, centre.dilate.0.weight, decoder4.up.weight,
                            head.conv2.bias; MindSpore's names of BatchNorm
    the original D-LinkNet  firstconv, encoder1.0.bn1, dblock.dilate1, decoder4.deconv2,
                            finaldeconv1; PyTorch's names of BatchNorm
    the model zoo's         the same with bn1d, down_sample_layer and deconv3 (5-D); MindSpore's
      D-LinkNet             names of BatchNorm
    ResNets                 conv1, layer1.0.bn1 (bn1d in the basic blocks of the model zoo); the
                            shortcut is down_sample_layer (the model zoo), down_sample (mindcv) or
                            downsample (torchvision)

A prefix may precede all these names, from a wrapper around the network in another program: module.,
model., backbone., encoder. and others.

PyTorch names a BatchNorm's tensors weight, bias, running_mean, running_var; MindSpore names them
gamma, beta, moving_mean, moving_variance. Only the names of tensors decide, not the file's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from dlinknet.models.specs import encoder_name

ENCODER = "encoder."  # prefix of the encoder's tensors in a whole network
# The model zoo's ResNets divide by sqrt(var + 1e-4), dlinknet's networks by sqrt(var + 1e-5).
EPS_SHIFT = np.float32(1e-4 - 1e-5)
OPTIMIZER = re.compile(
    r"(moments?|moment1|moment2|mean_square|accum|stat|velocity)\.|(beta\d_power|global_step"
    r"|learning_rate|momentum|scale_value|counter|epoch_num|step_num|current_iterator_step"
    r"|last_overflow_iterator_step|scale_sense)$"
)
STEM = re.compile(r"((?:[^.]+\.)*)(conv1|firstconv)\.weight")  # a prefix and the first layer
ZOO = re.compile(r"\.down_sample_layer\.|\.bn1d\.")  # in the names of the model zoo alone
WHOLE = [
    (r"^firstconv\.", "encoder.conv1."),
    (r"^firstbn\.", "encoder.bn1."),
    (r"^encoder(\d)\.", r"encoder.layer\1."),
    (r"^(decoder\d)\.deconv[23]\.", r"\1.up."),
    (r"^finaldeconv1\.", "head.up."),
    (r"^finalconv2\.", "head.conv1."),
    (r"^finalconv3\.", "head.conv2."),
]
TO_MINDSPORE = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


@dataclass(frozen=True)
class Weights:
    """The recognised tensors of a file.

    kind: the program and network that they come from, for messages. tensors: by their names in a
    whole network of dlinknet, so that an encoder's names begin with 'encoder.'. whole: True for a
    whole network, False for an encoder. padding: how the encoder padded in its training, a key of
    specs.PADDINGS. unused: the names of other tensors in the file.
    """

    kind: str
    tensors: dict[str, np.ndarray]
    whole: bool
    padding: str
    unused: list[str] = field(default_factory=list)

    @property
    def depth(self) -> str:
        """The encoder's depth, for example '34'; its blocks if specs.py has no such encoder."""
        blocks = tuple(len(self._blocks(stage)) for stage in (1, 2, 3, 4))
        bottleneck = "encoder.layer1.0.conv3.weight" in self.tensors
        name = encoder_name(bottleneck, blocks)
        kind = "bottlenecks" if bottleneck else "basic blocks"
        return name[len("resnet") :] if name else f" with {blocks} {kind}"

    def _blocks(self, stage: int) -> set[str]:
        start = f"encoder.layer{stage}."
        return {name.split(".")[2] for name in self.tensors if name.startswith(start)}

    @property
    def decoder(self) -> str:
        """How the decoder of a whole network upsamples, one of specs.DECODERS."""
        if "decoder4.up.weight" not in self.tensors:
            return "full"
        shape = self.tensors["decoder4.up.weight"].shape
        if len(shape) != 4 or shape[0] == shape[1]:
            return "full"
        return "depthwise" if shape[1] == 1 else "subpixel"

    @property
    def model(self) -> str:
        """The name of a whole network, for example 'dlinknet34'."""
        return ("dlinknet" if "centre.dilate.0.weight" in self.tensors else "linknet") + self.depth


def recognise(tensors: dict[str, np.ndarray]) -> Weights | None:
    """Return the tensors of a file under dlinknet's names, or None if they are of an unknown kind.

    Tensors of an optimizer are ignored. A common prefix of a network's or an encoder's names is
    removed: 'module.', 'model.', 'backbone.', 'encoder.', also several of them. Tensors without the
    prefix are listed as unused.
    """
    tensors = {name: value for name, value in tensors.items() if not OPTIMIZER.match(name)}
    prefix = _prefix(tensors)
    if prefix is None:
        return None
    beside = [name for name in tensors if not name.startswith(prefix)]
    tensors = {
        name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
    }
    if "encoder.conv1.weight" in tensors:
        whole = "head.conv2.weight" in tensors
        return Weights("dlinknet's own", tensors, whole, "explicit", beside)
    kind, renamed = _rename(tensors)
    known = {
        name: value
        for name, value in renamed.items()
        if re.match(r"(encoder|centre|decoder\d|head)\.", name)
    }
    bottleneck = _has_bottlenecks(tensors)
    if kind.startswith("the model zoo's"):
        _shift_eps(known, bottleneck)
        padding = "same" if bottleneck else "explicit"
    else:
        padding = "same_pool" if kind == "mindcv's ResNet" else "explicit"
    unused = sorted({*beside, *(renamed.keys() - known.keys())})
    return Weights(kind, known, "head.conv2.weight" in known, padding, unused)


def _prefix(tensors: dict[str, np.ndarray]) -> str | None:
    """Return the prefix of all names of a network or encoder; None if there is neither.

    If there are several networks, the one with the shortest prefix counts: beside 'model.' a file
    may hold a moving average of the weights, 'ema_model.'.
    """
    stems = [
        match[1]
        for match in map(STEM.fullmatch, tensors)
        if match and (match[2] == "firstconv" or f"{match[1]}layer1.0.conv1.weight" in tensors)
    ]
    prefix = min(stems, key=lambda stem: (len(stem), stem), default=None)
    if prefix is None or not re.search(r"(^|\.)encoder\.$", prefix):
        return prefix
    # 'encoder.' belongs to the names of dlinknet's own encoders, which have MindSpore's names of
    # BatchNorm and 'downsample'. In front of other names it is a wrapper of a ResNet.
    own = f"{prefix}bn1.running_mean" not in tensors and not any(
        name.startswith(prefix) and (ZOO.search(name) or ".down_sample." in name)
        for name in tensors
    )
    return prefix[: -len(ENCODER)] if own else prefix


def _has_bottlenecks(tensors: dict[str, np.ndarray]) -> bool:
    """Return whether an encoder under names of another program has bottleneck blocks."""
    return any(
        ".0.conv3.weight" in name and "layer" in name or re.match(r"encoder\d\.0\.conv3\.", name)
        for name in tensors
    )


def _rename(tensors: dict[str, np.ndarray]) -> tuple[str, dict[str, np.ndarray]]:
    """Return (kind, tensors under dlinknet's names), as Weights has them, for another program."""
    pytorch = any(name.endswith(".running_mean") for name in tensors)
    if "firstconv.weight" in tensors:
        kind = "the original D-LinkNet" if pytorch else "the model zoo's D-LinkNet"
        renamed = _rename_whole(tensors)
    else:
        kind = _resnet_kind(tensors, pytorch)
        renamed = {
            ENCODER + name if re.match(r"(conv1|bn1|layer\d)\.", name) else name: value
            for name, value in tensors.items()
        }
    renamed = {_rename_in_block(name): value for name, value in renamed.items()}
    return kind, _rename_norms(renamed) if pytorch else renamed


def _resnet_kind(tensors: dict[str, np.ndarray], pytorch: bool) -> str:
    """Return the kind of a ResNet. `pytorch`: BatchNorm's tensors have PyTorch's names."""
    if any(ZOO.search(name) for name in tensors):
        return "the model zoo's ResNet"
    if any(".down_sample." in name for name in tensors):
        return "mindcv's ResNet"
    return "torchvision's ResNet" if pytorch else "a ResNet"


def _rename_whole(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename a whole network's tensors from the original's or the model zoo's names."""
    renamed = {}
    for name, value in tensors.items():
        for pattern, own in WHOLE:
            name = re.sub(pattern, own, name)
        name = re.sub(
            r"^dblock\.dilate(\d)\.", lambda match: f"centre.dilate.{int(match[1]) - 1}.", name
        )
        # The model zoo's D-LinkNet upsamples with a 3-D operator, whose kernel has a depth of 1.
        renamed[name] = value[:, :, 0] if value.ndim == 5 and value.shape[2] == 1 else value
    for name in [name for name in renamed if re.match(r"centre\.dilate\.\d\.weight", name)]:
        # The model zoo's dinknet50 has no bias in its last dilated convolution.
        renamed.setdefault(
            name.replace("weight", "bias"), np.zeros(renamed[name].shape[:1], renamed[name].dtype)
        )
    return renamed


def _rename_in_block(name: str) -> str:
    """Rename the shortcut and the norms of an encoder's block to torchvision's names."""
    name = re.sub(r"\.(down_sample_layer|down_sample)\.", ".downsample.", name)
    return re.sub(r"\.bn(\d)d\.", r".bn\1.", name)


def _rename_norms(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename the tensors of BatchNorm from PyTorch's to MindSpore's names."""
    renamed = {}
    for name, value in tensors.items():
        owner, _, last = name.rpartition(".")
        if last == "num_batches_tracked":
            continue
        if f"{owner}.running_mean" in tensors:
            name = f"{owner}.{TO_MINDSPORE.get(last, last)}"
        renamed[name] = value
    return renamed


def _shift_eps(tensors: dict[str, np.ndarray], bottleneck: bool) -> None:
    """Add EPS_SHIFT to the variances that were trained with eps 1e-4, in place.

    A BatchNorm divides by sqrt(variance + eps), so the network with eps 1e-5 computes the same.
    """
    # Basic blocks have 1e-4, their encoder's stem and shortcuts 1e-5. Encoders of bottlenecks have
    # 1e-4 throughout.
    which = (
        r"encoder\..*moving_variance"
        if bottleneck
        else r"encoder\.layer\d\.\d+\.bn\d\.moving_variance"
    )
    for name in tensors:
        if re.fullmatch(which, name) and tensors[name].dtype.kind == "f":
            tensors[name] = tensors[name] + EPS_SHIFT
