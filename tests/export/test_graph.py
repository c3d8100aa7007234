"""What is exported of a network: BatchNorm folded, preprocessing in front."""

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from dlinknet.checkpoints.load import load_trained, set_value
from dlinknet.data.preprocess import CHOICES, to_input
from dlinknet.export.graph import exported_graph, fold_batch_norm
from dlinknet.models.from_pixels import FromPixels


@pytest.mark.parametrize("transposed", [False, True])
def test_a_folded_pair_by_hand(transposed):
    kind = nn.Conv2dTranspose if transposed else nn.Conv2d
    pair = nn.SequentialCell(
        [kind(1, 2, 1, has_bias=transposed), nn.BatchNorm2d(2, eps=0.75), nn.ReLU()]
    )
    conv, norm = pair[0], pair[1]
    set_value(conv.weight, np.array([3.0, 5.0], np.float32).reshape(conv.weight.shape))
    if transposed:
        set_value(conv.bias, np.array([1.0, 2.0], np.float32))
    for name, values in (
        ("gamma", [2, 4]),
        ("beta", [10, 20]),
        ("moving_mean", [7, 9]),
        ("moving_variance", [0.25, 3.25]),
    ):
        set_value(getattr(norm, name), np.array(values, np.float32))
    fold_batch_norm(pair)
    # sqrt(0.25 + 0.75) = 1 and sqrt(3.25 + 0.75) = 2: factors 2 and 2
    assert conv.weight.asnumpy().ravel().tolist() == [6, 10]
    assert conv.bias.asnumpy().tolist() == (
        [(1 - 7) * 2 + 10, (2 - 9) * 2 + 20] if transposed else [-4, 2]
    )
    assert (
        conv.has_bias
        and isinstance(conv.bias, Parameter)
        and [type(cell).__name__ for cell in pair] == [kind.__name__, "Identity", "ReLU"]
    )
    assert pair.set_train(False)(
        Tensor(np.full((1, 1, 1, 1), 2, np.float32))
    ).asnumpy().ravel().tolist() == ([10, 26] if transposed else [8, 22])


@pytest.mark.parametrize(
    "model", ["linknet18", "dlinknet34", pytest.param("dlinknet50", marks=pytest.mark.slow)]
)
def test_a_whole_network_without_its_norms(spread_checkpoint, model):
    image = Tensor(np.random.default_rng(0).uniform(-1.6, 1.6, (1, 3, 64, 96)).astype(np.float32))
    network = load_trained(str(spread_checkpoint(model)), model).network
    before = exported_graph(network, False)(image).asnumpy()
    count = len(network.trainable_params())
    norms = [cell for _, cell in network.cells_and_names() if isinstance(cell, nn.BatchNorm2d)]
    fold_batch_norm(network)
    assert not any(isinstance(cell, nn.BatchNorm2d) for _, cell in network.cells_and_names())
    names = [p.name for p in network.get_parameters()]
    assert len(set(names)) == len(names) and "encoder.conv1.bias" in names
    # Each norm had two trained tensors.
    # The encoder's convolutions have a bias now; the decoder's had one before.
    encoders = sum(1 for norm in norms if norm.gamma.name.startswith("encoder."))
    assert len(network.trainable_params()) == count - 2 * len(norms) + encoders
    after = exported_graph(network, False)(image).asnumpy()
    assert np.ptp(before) > 0.5 and np.abs(after - before).max() < 1e-5


def test_pixels_in_are_what_the_host_would_make_of_them():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    planes = FromPixels(nn.Identity(), 3.2, (-1.6, -1.6, -1.6))(Tensor(pixels)).asnumpy()
    assert planes.dtype == np.float32
    assert np.abs(planes - np.stack([to_input(image) for image in pixels])).max() < 5e-7


def test_pixels_in_with_a_shift_for_each_channel():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    mean = CHOICES["imagenet_mean"]
    planes = FromPixels(nn.Identity(), mean.scale, mean.shift)(Tensor(pixels)).asnumpy()
    assert (
        np.abs(
            planes
            - np.stack(
                [to_input(image, preprocessing=CHOICES["imagenet_mean"]) for image in pixels]
            )
        ).max()
        < 5e-7
    )
