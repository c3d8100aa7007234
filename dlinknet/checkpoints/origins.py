"""Whose weights a dict of tensors holds, and what they are called here. Pure NumPy.

    ours                    encoder.conv1.weight, centre.dilate.0.weight, decoder4.up.weight, head.conv2.bias
    the original D-LinkNet  firstconv, encoder1.0.bn1, dblock.dilate1, decoder4.deconv2, finaldeconv1; PyTorch's names
    the reference           the same with bn1d, down_sample_layer and deconv3 (5-D); MindSpore's names
    ResNets                 conv1, layer1.0.bn1 (the model zoo's basic blocks: bn1d), and for the shortcut
                            down_sample_layer (the model zoo), down_sample (mindcv), downsample (torchvision)

In front of all these names may stand what wraps the network elsewhere: module., model., backbone., encoder. and the like.

PyTorch calls a BatchNorm's tensors weight, bias, running_mean, running_var; MindSpore gamma, beta, moving_mean, moving_variance.
The names inside decide, never the file's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from dlinknet.models.specs import encoder_name

ENCODER = "encoder."  # in front of the encoder's names inside a whole network
EPS_SHIFT = np.float32(
    1e-4 - 1e-5
)  # the model zoo divides by sqrt(var + 1e-4), ours by sqrt(var + 1e-5)
OPTIMIZER = re.compile(
    r"(moments?|moment1|moment2|mean_square|accum|stat|velocity)\.|(beta\d_power|global_step|learning_rate"
    r"|momentum|scale_value|counter|epoch_num|step_num|current_iterator_step|last_overflow_iterator_step|scale_sense)$"
)
STEM = re.compile(
    r"((?:[^.]+\.)*)(conv1|firstconv)\.weight"
)  # what an encoder begins with, and what stands before it
ZOO = re.compile(r"\.down_sample_layer\.|\.bn1d\.")
WHOLE = [
    (r"^firstconv\.", "encoder.conv1."),
    (r"^firstbn\.", "encoder.bn1."),
    (r"^encoder(\d)\.", r"encoder.layer\1."),
    (r"^(decoder\d)\.deconv[23]\.", r"\1.up."),
    (r"^finaldeconv1\.", "head.up."),
    (r"^finalconv2\.", "head.conv1."),
    (r"^finalconv3\.", "head.conv2."),
]


@dataclass(frozen=True)
class Weights:
    """Tensors under our names, and what they are."""

    kind: str  # whose they are, in words
    tensors: dict[str, np.ndarray]  # as in a whole network: the encoder's begin with 'encoder.'
    whole: bool  # a whole network, not an encoder alone
    padding: str  # what the encoder was trained with: one of specs.PADDINGS
    left: list[str] = field(default_factory=list)  # names in the file that are no weights of ours

    @property
    def depth(self) -> str:
        """The encoder's, as in '34'; the blocks of its stages where it is an unusual one."""
        blocks = tuple(
            len(
                {
                    name.split(".")[2]
                    for name in self.tensors
                    if name.startswith(f"encoder.layer{stage}.")
                }
            )
            for stage in (1, 2, 3, 4)
        )
        bottleneck = "encoder.layer1.0.conv3.weight" in self.tensors
        name = encoder_name(bottleneck, blocks)
        kind = "bottlenecks" if bottleneck else "basic blocks"
        return name[len("resnet") :] if name else f" with {blocks} {kind}"

    @property
    def decoder(self) -> str:
        """How the decoder doubles, one of specs.DECODERS. Of a whole network only."""
        shape = (
            self.tensors["decoder4.up.weight"].shape if "decoder4.up.weight" in self.tensors else ()
        )
        if len(shape) != 4 or shape[0] == shape[1]:
            return "full"
        return "depthwise" if shape[1] == 1 else "subpixel"

    @property
    def model(self) -> str:
        """The network they are of, as model_name calls it: 'dlinknet34'. Of a whole network only."""
        return ("dlinknet" if "centre.dilate.0.weight" in self.tensors else "linknet") + self.depth


def recognise(tensors: dict[str, np.ndarray]) -> Weights | None:
    """The tensors of a file under our names; None where they are none of those above.

    Tensors of an optimizer are passed over. Whatever stands in front of all names of a network or an encoder is taken away:
    'module.', 'model.', 'backbone.', 'encoder.', and several of these; tensors beside it are listed as left.
    """
    tensors = {name: value for name, value in tensors.items() if not OPTIMIZER.match(name)}
    prefix = _prefix(tensors)
    if prefix is None:
        return None
    beside = [name for name in tensors if not name.startswith(prefix)]
    tensors = {
        name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
    }
    names = tensors.keys()
    if "encoder.conv1.weight" in names:
        return Weights("one of ours", tensors, "head.conv2.weight" in names, "explicit", beside)
    bottleneck = any(
        ".0.conv3.weight" in name and "layer" in name or re.match(r"encoder\d\.0\.conv3\.", name)
        for name in names
    )
    pytorch = any(name.endswith(".running_mean") for name in names)
    if "firstconv.weight" in names:
        kind = "the original D-LinkNet" if pytorch else "the reference D-LinkNet"
        found = _whole(tensors)
    else:
        if any(ZOO.search(name) for name in names):
            kind = "the model zoo's ResNet"
        elif any(".down_sample." in name for name in names):
            kind = "mindcv's ResNet"
        else:
            kind = "torchvision's ResNet" if pytorch else "a ResNet"
        found = {
            ENCODER + name if re.match(r"(conv1|bn1|layer\d)\.", name) else name: value
            for name, value in tensors.items()
        }
    found = {_shortcut_and_norms(name): value for name, value in found.items()}
    if pytorch:
        found = _mindspore_norms(found)
    zoo = kind in ("the model zoo's ResNet", "the reference D-LinkNet")
    if zoo:
        _shift_eps(found, bottleneck)
    ours = {
        name: value
        for name, value in found.items()
        if re.match(r"(encoder|centre|decoder\d|head)\.", name)
    }
    padding = (
        "same" if zoo and bottleneck else "same_pool" if kind == "mindcv's ResNet" else "explicit"
    )
    return Weights(
        kind,
        ours,
        "head.conv2.weight" in ours,
        padding,
        sorted({*beside, *(found.keys() - ours.keys())}),
    )


def _prefix(tensors: dict[str, np.ndarray]) -> str | None:
    """What stands in front of the names of the network or encoder in a file; None if there is neither.

    Of several networks the one with the shortest prefix is meant: a copy for averaging, 'ema_model.', stands beside 'model.'.
    """
    stems = [
        match[1]
        for match in map(STEM.fullmatch, tensors)
        if match and (match[2] == "firstconv" or f"{match[1]}layer1.0.conv1.weight" in tensors)
    ]
    prefix = min(stems, key=lambda stem: (len(stem), stem), default=None)
    if prefix is None or not re.search(r"(^|\.)encoder\.$", prefix):
        return prefix
    # Our own encoders are called so, and have MindSpore's norms and 'downsample'; other trainers' encoder.* are ResNets.
    own = f"{prefix}bn1.running_mean" not in tensors and not any(
        name.startswith(prefix) and (ZOO.search(name) or ".down_sample." in name)
        for name in tensors
    )
    return prefix[: -len(ENCODER)] if own else prefix


def _whole(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The original's and the reference's names for a whole network turned into ours."""
    found = {}
    for name, value in tensors.items():
        for pattern, ours in WHOLE:
            name = re.sub(pattern, ours, name)
        name = re.sub(
            r"^dblock\.dilate(\d)\.", lambda match: f"centre.dilate.{int(match[1]) - 1}.", name
        )
        # The reference up-convolves with a 3-D operator, whose kernel has a depth of 1.
        found[name] = value[:, :, 0] if value.ndim == 5 and value.shape[2] == 1 else value
    for name in [name for name in found if re.match(r"centre\.dilate\.\d\.weight", name)]:
        # The reference's dinknet50 has no bias in its last dilated convolution.
        found.setdefault(
            name.replace("weight", "bias"), np.zeros(found[name].shape[:1], found[name].dtype)
        )
    return found


def _shortcut_and_norms(name: str) -> str:
    name = re.sub(r"\.(down_sample_layer|down_sample)\.", ".downsample.", name)
    return re.sub(r"\.bn(\d)d\.", r".bn\1.", name)


def _mindspore_norms(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """PyTorch's names for BatchNorm turned into MindSpore's."""
    words = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    found = {}
    for name, value in tensors.items():
        owner, _, last = name.rpartition(".")
        if last == "num_batches_tracked":
            continue
        if f"{owner}.running_mean" in tensors:
            name = f"{owner}.{words.get(last, last)}"
        found[name] = value
    return found


def _shift_eps(tensors: dict[str, np.ndarray], bottleneck: bool) -> None:
    """Moves variances that were trained with eps 1e-4 to our 1e-5, which is exact: var + eps is what a BatchNorm divides by."""
    # Basic blocks have 1e-4 inside, 1e-5 in stem and shortcut; bottleneck encoders have 1e-4 throughout.
    which = (
        r"encoder\..*moving_variance"
        if bottleneck
        else r"encoder\.layer\d\.\d+\.bn\d\.moving_variance"
    )
    for name in tensors:
        if re.fullmatch(which, name) and tensors[name].dtype.kind == "f":
            tensors[name] = tensors[name] + EPS_SHIFT
