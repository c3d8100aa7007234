"""The kinds of decoder: compared with PyTorch on equal weights, and with equivalent kinds."""

import mindspore
import numpy as np
import pytest

from dlinknet.checkpoints.load import set_value
from dlinknet.checkpoints.origins import recognise
from dlinknet.models.blocks import SubPixel, double_transposed, up_conv
from dlinknet.training.losses import CrossEntropyLoss
from tests.models.test_linknet import batch, distance, reference, weights_of  # noqa: F401  (a fixture among them)

KINDS = ["full", "depthwise", "subpixel"]


@pytest.mark.parametrize(
    "model, kind",
    [
        *(("linknet18", kind) for kind in KINDS),
        pytest.param("dlinknet34", "subpixel", marks=pytest.mark.slow),
    ],
)
def test_logits_of_several_classes_equal_pytorch(networks, reference, model, kind):  # noqa: F811
    import torch

    network = networks(model, 3, kind).set_train(False)
    images, _ = batch((64, 96))
    weights = {name: torch.tensor(value) for name, value in weights_of(network).items()}
    with torch.no_grad():
        expected = (
            reference.Reference(weights, model, training=False)
            .forward(torch.tensor(images))
            .numpy()
        )
    assert expected.shape == (2, 3, 64, 96)
    assert distance(network(mindspore.Tensor(images)).asnumpy(), expected) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_receives_pytorchs_gradient(networks, reference, kind):  # noqa: F811
    import torch

    network = networks("linknet18", 3, kind).set_train(False)
    loss = CrossEntropyLoss(np.array([1.0, 2.0, 4.0]))

    def forward(images, truth):
        return loss(network(images), truth)

    images, truth = batch((64, 64))
    truth = truth + (batch((64, 64), seed=4)[1] > 0)
    function = mindspore.jit(mindspore.value_and_grad(forward, None, network.trainable_params()))
    value, found = function(mindspore.Tensor(images), mindspore.Tensor(truth.astype(np.float32)))
    tensors = {
        name: torch.tensor(v, dtype=torch.float64) for name, v in weights_of(network).items()
    }
    learnt = {p.name: tensors[p.name].requires_grad_() for p in network.trainable_params()}
    logits = reference.Reference(tensors, "linknet18", False).forward(
        torch.tensor(images, dtype=torch.float64)
    )
    expected = torch.nn.functional.cross_entropy(
        logits, torch.tensor(truth[:, 0]).long(), torch.tensor([1.0, 2.0, 4.0]).double()
    )
    assert float(value.asnumpy()) == pytest.approx(expected.item(), rel=1e-4)
    for (name, tensor), gradient in zip(learnt.items(), found):
        exact = torch.autograd.grad(expected, tensor, retain_graph=True)[0].numpy()
        assert np.abs(exact).max() > 0 and distance(gradient.asnumpy(), exact) < 1e-2, name


def as_sub_pixel(weight, bias):
    """Return a sub-pixel convolution's weight and bias for a transposed one's, in x out x k x k.

    The transposed convolution has stride 2 and padding 1.
    In the sub-pixel one, the output at 2y + i reads the input at y + d with the tap i + 1 - 2d, if
    that tap exists.
    """
    inputs, outputs, side, _ = weight.shape
    found = np.zeros((4 * outputs, inputs, 3, 3), np.float32)
    for i, j, down, across in np.ndindex(2, 2, 3, 3):
        row, column = i + 1 - 2 * (down - 1), j + 1 - 2 * (across - 1)
        if 0 <= row < side and 0 <= column < side:
            found[(2 * i + j) * outputs : (2 * i + j + 1) * outputs, :, down, across] = weight[
                :, :, row, column
            ].T
    return found, np.tile(bias, 4)


@pytest.mark.parametrize("side", [3, 4])
def test_a_sub_pixel_convolution_is_a_transposed_one(side):
    """Use equal weights for two equivalent layers; they agree to rounding.

    The layers are the decoder's 3x3 and the head's 4x4 up-convolution.
    """

    rng = np.random.default_rng(side)
    transposed = double_transposed(5, 3) if side == 3 else up_conv(5, 3, 4, 1)
    assert transposed.weight.shape == (5, 3, side, side)
    sub = SubPixel(5, 3)
    weight, bias = as_sub_pixel(transposed.weight.asnumpy(), transposed.bias.asnumpy())
    set_value(sub.weight, weight)
    set_value(sub.bias, bias)
    image = mindspore.Tensor(rng.normal(size=(2, 5, 7, 9)).astype(np.float32))
    ours, theirs = sub(image).asnumpy(), transposed(image).asnumpy()
    assert ours.shape == theirs.shape == (2, 3, 14, 18)
    assert np.abs(ours - theirs).max() < 1e-6 and np.abs(theirs).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_bare_files_tensors_say_which_kind_it_is(networks, kind):
    found = recognise(weights_of(networks("linknet18", 3, kind)))
    assert (found.model, found.decoder, len(found.tensors["head.conv2.weight"])) == (
        "linknet18",
        kind,
        3,
    )
