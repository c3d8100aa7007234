"""Weights that users bring, under every origin's own names: made here, loaded, computed with."""

import re

import mindspore
import numpy as np
import pytest
from mindspore import nn

from dlinknet.checkpoints.load import load_trained, start_network
from dlinknet.checkpoints.origins import recognise
from dlinknet.errors import UserError
from dlinknet.models.encoders import resnet
from dlinknet.models.specs import PADDINGS
from tests.checkpoints.test_load import save

SLOW = pytest.mark.slow
MODELS = [
    "dlinknet34",
    pytest.param("linknet34", marks=SLOW),
    pytest.param("dlinknet50", marks=SLOW),
    pytest.param("dlinknet101", marks=SLOW),
]


def encoder_names(name, shortcut, bottleneck, zoo):
    name = name.replace(".downsample.", f".{shortcut}.")
    return re.sub(r"(layer\d\.\d+\.bn\d)\.", r"\1d.", name) if zoo and not bottleneck else name


def pytorch_norms(tensors):
    """Rename BatchNorm's tensors to PyTorch's names, and add the count that PyTorch keeps."""
    words = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    found = {}
    for name, value in tensors.items():
        owner, _, last = name.rpartition(".")
        found[f"{owner}.{words.get(last, last)}"] = value
        if last == "moving_mean":
            found[f"{owner}.num_batches_tracked"] = np.array(7)
    return found


def whole_names(tensors, up, shortcut, zoo, deep):
    """Rename a whole network's tensors as D-LinkNet's authors, or the model zoo, name them."""
    bottleneck, found = "encoder.layer1.0.conv3.weight" in tensors, {}
    for name, value in tensors.items():
        name = re.sub(r"^encoder\.layer(\d)", r"encoder\1", name)
        name = (
            re.sub(r"^encoder\.(conv1|bn1)", r"first\1", name)
            .replace("firstconv1", "firstconv")
            .replace("firstbn1", "firstbn")
        )
        name = re.sub(r"^centre\.dilate\.(\d)", lambda m: f"dblock.dilate{int(m[1]) + 1}", name)
        name = re.sub(r"^(decoder\d)\.up", rf"\1.{up}", name)
        for ours, theirs in (
            ("head.up", "finaldeconv1"),
            ("head.conv1", "finalconv2"),
            ("head.conv2", "finalconv3"),
        ):
            name = name.replace(ours, theirs)
        name = name.replace(".downsample.", f".{shortcut}.")
        name = (
            re.sub(r"(encoder\d\.\d+\.bn\d)\.", r"\1d.", name) if zoo and not bottleneck else name
        )
        found[name] = value[:, :, None] if deep and name.endswith("deconv3.weight") else value
    return found


def wider_eps(tensors, everywhere):
    """Return tensors as if trained with eps 1e-4 in the blocks, or everywhere in the encoder."""

    def is_wider(name):
        part, *path, last = name.split(".")
        in_block = len(path) == 3 and path[2].startswith("bn")  # layer1, 0, bn1; no shortcut
        return part == "encoder" and last == "moving_variance" and (everywhere or in_block)

    return {
        name: value - np.float32(9e-5) if is_wider(name) else value
        for name, value in tensors.items()
    }


@pytest.fixture(params=MODELS)
def trained(request, networks):
    """Return (name, tensors under dlinknet's names) of a network with random values."""
    network = networks(request.param)
    return request.param, {p.name: p.asnumpy() for p in network.get_parameters()}


def close(found, expected):
    assert found.keys() == expected.keys()
    assert all(np.allclose(found[name], expected[name], rtol=0, atol=1e-7) for name in expected)


def test_whole_networks_of_others(trained):
    model, ours = trained
    bottleneck = not model.endswith("34")
    original = {
        f"module.{name}": value
        for name, value in pytorch_norms(
            whole_names(ours, "deconv2", "downsample", False, False)
        ).items()
    }
    found = recognise({**original, "module.extra.weight": np.ones(1)})
    assert (found.kind, found.model, found.whole, found.padding) == (
        "the original D-LinkNet",
        model,
        True,
        "explicit",
    )
    assert found.unused == ["extra.weight"]
    close(found.tensors, ours)

    reference = whole_names(wider_eps(ours, bottleneck), "deconv3", "down_sample_layer", True, True)
    moments = {f"moments.{name}": value for name, value in list(reference.items())[:3]}
    if model.startswith("dlinknet") and bottleneck:
        ours = {**ours, "centre.dilate.4.bias": np.zeros_like(ours["centre.dilate.4.bias"])}
        del reference["dblock.dilate5.bias"]
    found = recognise({**reference, **moments, "global_step": np.array([3])})
    assert (found.kind, found.model, found.whole) == (
        "the model zoo's D-LinkNet",
        model,
        True,
    ) and found.unused == []
    assert found.padding == ("same" if bottleneck else "explicit")
    close(found.tensors, ours)


def test_encoders_of_others(trained):
    model, ours = trained
    encoder = {name: value for name, value in ours.items() if name.startswith("encoder.")}
    bare = {name[len("encoder.") :]: value for name, value in encoder.items()}
    bottleneck = not model.endswith("34")
    torchvision = pytorch_norms(bare)
    mindcv = {name.replace(".downsample.", ".down_sample."): value for name, value in bare.items()}
    zoo = {
        encoder_names(name[len("encoder.") :], "down_sample_layer", bottleneck, True): value
        for name, value in wider_eps(encoder, bottleneck).items()
    }
    for tensors, kind, last, padding in (
        (torchvision, "torchvision's ResNet", "fc", "explicit"),
        (mindcv, "mindcv's ResNet", "classifier", "same_pool"),
        (zoo, "the model zoo's ResNet", "end_point", "same" if bottleneck else "explicit"),
    ):
        found = recognise({**tensors, f"{last}.weight": np.ones(1), f"{last}.bias": np.ones(1)})
        assert (found.kind, found.whole, found.padding, found.depth) == (
            kind,
            False,
            padding,
            model[-2:] if model[-3] != "1" else "101",
        )
        assert found.unused == [f"{last}.bias", f"{last}.weight"]
        close(found.tensors, encoder)


BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def torch_resnet(depth=18):
    """Return tensors under the names of torchvision's ResNet, each with another number."""
    names = ["conv1.weight"]
    norms = ["bn1"]
    for stage, blocks in enumerate(BLOCKS[depth], 1):
        for block in range(blocks):
            names += [f"layer{stage}.{block}.conv{n}.weight" for n in (1, 2)]
            norms += [f"layer{stage}.{block}.bn{n}" for n in (1, 2)]
            if stage > 1 and block == 0:
                names.append(f"layer{stage}.0.downsample.0.weight")
                norms.append(f"layer{stage}.0.downsample.1")
    names += [
        f"{norm}.{word}"
        for norm in norms
        for word in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    ]
    return {name: np.array([number], np.float32) for number, name in enumerate(names)}


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "model.",
        "net.",
        "backbone.",
        "encoder.",
        "model.encoder.",
        "encoder.module.",
        "encoder.model.",
        "module.model.encoder.",
        "student.backbone.body.",
        "_network.0.",
    ],
)
def test_whatever_stands_in_front_of_a_resnet_is_taken_away(prefix):
    theirs, plain = torch_resnet(), recognise(torch_resnet())
    beside = {
        "decoder.blocks.0.conv1.0.weight": np.ones(1),
        "head.conv2.weight": np.ones(1),
        "segmentation_head.0.bias": np.ones(1),
    }
    found = recognise(
        {
            **{prefix + name: value for name, value in theirs.items()},
            **beside,
            prefix + "fc.weight": np.ones(1),
        }
    )
    assert (found.kind, found.whole, found.depth, found.padding) == (
        "torchvision's ResNet",
        False,
        "18",
        "explicit",
    )
    assert found.unused == sorted(["fc.weight", *beside])
    # 20 convolutions, and 20 norms of 4 tensors; each has its value from the file without a prefix.
    assert len(found.tensors) == 100 and found.tensors == plain.tensors
    assert (
        found.tensors["encoder.layer2.0.downsample.1.moving_variance"]
        == theirs["layer2.0.downsample.1.running_var"]
    )


@pytest.mark.parametrize("prefix", ["net.", "model.network."])
def test_whatever_stands_in_front_of_a_whole_network_is_taken_away(networks, prefix):
    ours = {p.name: p.asnumpy() for p in networks("linknet18").get_parameters()}
    original = pytorch_norms(whole_names(ours, "deconv2", "downsample", False, False))
    for tensors, kind in ((ours, "dlinknet's own"), (original, "the original D-LinkNet")):
        found = recognise(
            {**{prefix + name: value for name, value in tensors.items()}, "loss.weight": np.ones(1)}
        )
        assert (found.kind, found.whole, found.model, found.unused) == (
            kind,
            True,
            "linknet18",
            ["loss.weight"],
        )
        close(found.tensors, ours)


def test_a_mindspore_resnet_behind_encoder_is_ours_only_by_our_names(networks):
    ours = {
        p.name: p.asnumpy()
        for p in networks("linknet18").get_parameters()
        if p.name.startswith("encoder.")
    }
    assert recognise(ours).kind == "dlinknet's own"
    mindcv = {name.replace(".downsample.", ".down_sample."): value for name, value in ours.items()}
    found = recognise(mindcv)
    assert (found.kind, found.padding) == ("mindcv's ResNet", "same_pool")
    close(found.tensors, ours)


def test_of_two_networks_the_one_with_the_shorter_name_is_meant():
    theirs = torch_resnet()
    both = {
        **{f"ema_model.encoder.{name}": value + 1 for name, value in theirs.items()},
        **{f"model.encoder.{name}": value for name, value in theirs.items()},
    }
    found = recognise(both)
    assert (
        found.tensors["encoder.conv1.weight"] == theirs["conv1.weight"]
        and "ema_model.encoder.conv1.weight" in found.unused
    )


@pytest.mark.parametrize(
    "value",
    [
        np.array(1),
        np.array(True),
        np.zeros((0, 0)),
        np.zeros((1,) * 16),
        np.zeros(3, complex),
        np.zeros(2, np.int8),
    ],
)
def test_absurd_tensors_are_recognised_without_a_fault(value):
    """The error comes later, when a network loads them."""
    whole = {
        "firstconv.weight": 1,
        "encoder1.0.bn1d.moving_variance": 1,
        "dblock.dilate1.weight": 1,
        "decoder4.deconv3.weight": 1,
        "finalconv3.weight": 1,
    }
    found = recognise(dict.fromkeys(whole, value))
    assert (
        found.whole
        and found.model.startswith("dlinknet")
        and found.decoder in ("full", "depthwise", "subpixel")
    )
    assert recognise(dict.fromkeys(torch_resnet(), value)).depth == "18"


def test_others_are_not_known():
    assert recognise({"backbone.conv.weight": np.ones(1)}) is None and recognise({}) is None
    assert recognise({"moments.conv1.weight": np.ones(1)}) is None


@pytest.mark.parametrize("padding", ["explicit", "same", "same_pool"])
@pytest.mark.parametrize("block", ["BasicBlock", "Bottleneck"])
def test_where_an_encoder_pads(padding, block):
    """Compare with an encoder of equal weights and the same padding.

    One encoder uses MindSpore's own 'same' layers, the other PyTorch's explicit padding.
    """

    encoder = resnet.ResNet(getattr(resnet, block), (1, 1, 1, 1), padding).set_train(False)
    convolutions, pool = PADDINGS[padding]
    x = np.random.default_rng(2).uniform(-1.6, 1.6, (1, 3, 64, 96)).astype(np.float32)
    ours = [feature.asnumpy() for feature in encoder(mindspore.Tensor(x))]

    if convolutions:
        for _, cell in encoder.cells_and_names():
            for name, layer in list(cell.name_cells().items()):
                if isinstance(layer, nn.Conv2d) and layer.stride in (2, (2, 2)):
                    same = nn.Conv2d(
                        layer.in_channels, layer.out_channels, layer.kernel_size, 2, pad_mode="same"
                    )
                    same.weight.set_data(layer.weight)
                    if name.isdigit():
                        cell[int(name)] = same
                    else:
                        setattr(cell, name, same)
    features = encoder.relu(encoder.bn1(encoder.conv1(mindspore.Tensor(x))))
    theirs = [features]
    if pool:
        features = nn.MaxPool2d(3, 2, pad_mode="same")(features)
    else:
        around = np.pad(features.asnumpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
        features = nn.MaxPool2d(3, 2, pad_mode="valid")(mindspore.Tensor(around))
    for stage in (encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4):
        features = stage(features)
        theirs.append(features)
    assert [feature.shape for feature in ours] == [feature.shape for feature in theirs]
    assert all(np.allclose(a, b.asnumpy(), atol=1e-5) for a, b in zip(ours, theirs))


@pytest.fixture(scope="module")
def logits(networks):
    """Return (an input, the logits of networks('linknet34') for it, its tensors)."""
    network = networks("linknet34").set_train(False)
    x = mindspore.Tensor(
        np.random.default_rng(4).uniform(-1.6, 1.6, (1, 3, 64, 64)).astype(np.float32)
    )
    return x, network(x).asnumpy(), {p.name: p.asnumpy() for p in network.get_parameters()}


def test_a_pytorch_file_computes_what_it_did(logits, tmp_path):
    torch = pytest.importorskip(
        "torch", reason="PyTorch is not installed: pip install torch==2.13.0"
    )

    x, expected, ours = logits
    state = {
        f"module.{name}": torch.tensor(value)
        for name, value in pytorch_norms(
            whole_names(ours, "deconv2", "downsample", False, False)
        ).items()
    }
    torch.save(state, tmp_path / "dink.th", _use_new_zipfile_serialization=False)
    network, card = load_trained(str(tmp_path / "dink.th"), "dlinknet34")
    assert card.model == "linknet34" and np.allclose(
        network.set_train(False)(x).asnumpy(), expected, atol=1e-4
    )


def test_a_reference_checkpoint_computes_what_it_did(logits, tmp_path):
    x, expected, ours = logits
    theirs = whole_names(wider_eps(ours, False), "deconv3", "down_sample_layer", True, True)
    file = save(
        tmp_path / "dinknet34.ckpt",
        {**theirs, "moment1.finalconv3.bias": np.ones(1, np.float32)},
    )
    network, card = load_trained(file, "dlinknet34")
    assert card.model == "linknet34" and np.allclose(
        network.set_train(False)(x).asnumpy(), expected, atol=1e-4
    )


def test_safetensors(logits, tmp_path):
    numpy_format = pytest.importorskip(
        "safetensors.numpy", reason="safetensors is not installed: pip install safetensors"
    )

    ours = logits[2]
    bare = {
        name[len("encoder.") :]: np.ascontiguousarray(value)
        for name, value in ours.items()
        if name.startswith("encoder.")
    }
    file = tmp_path / "resnet34.safetensors"
    numpy_format.save_file({**pytorch_norms(bare), "fc.bias": np.ones(3, np.float32)}, file)
    network, line = start_network("linknet34", str(file), "auto")
    assert "(torchvision's ResNet); not needed: fc.bias" in line
    assert all(np.array_equal(p.asnumpy(), ours[p.name]) for p in network.encoder.get_parameters())
    with pytest.raises(
        UserError, match="is a ResNet34 .torchvision's ResNet.; dlinknet50 requires a ResNet50"
    ):
        start_network("dlinknet50", str(file), "auto")
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(UserError, match="is not a whole safetensors file"):
        start_network("linknet34", str(file), "auto")


def test_mistakes_in_a_whole_network_list_names_and_shapes(logits, tmp_path):
    theirs = whole_names(wider_eps(logits[2], False), "deconv3", "down_sample_layer", True, True)
    lacking = {name: value for name, value in theirs.items() if name != "finalconv3.bias"}
    cases = (
        (lacking, r"lacks 1 of the network's \d+ tensors \(head.conv2.bias \(1,\)\)"),
        (
            {**theirs, "decoder4.conv1.weight": np.ones((2, 2, 1, 1), np.float32)},
            r"decoder4.conv1.weight \(2, 2, 1, 1\) for \(128, 512, 1, 1\)",
        ),
        (
            {
                name: value
                for name, value in theirs.items()
                if name.startswith(("first", "encoder"))
            },
            "is an encoder alone",
        ),
        ({"a": np.ones(1, np.float32)}, "holds no weights that dlinknet knows"),
    )
    for tensors, words in cases:
        file = tmp_path / "n.ckpt"
        file.unlink(missing_ok=True)
        with pytest.raises(UserError, match=words):
            load_trained(save(file, tensors), "dlinknet34")
