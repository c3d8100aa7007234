"""Layers in which MindSpore differs from PyTorch, checked with NumPy. No test needs PyTorch."""

import mindspore
import numpy as np
import pytest

from dlinknet.checkpoints.load import set_value
from dlinknet.devices import runtime
from dlinknet.models.blocks import DilatedCentre, Head, ToOneMap, double_transposed
from dlinknet.models.encoders.resnet import BasicBlock, ResNet, batch_norm, pad_for_pool
from dlinknet.models.linknet import LinkNet


def conv_transpose(x, weight, stride, padding, output_padding=0):
    """Compute the transposed convolution by its definition, from C x H x W to O x ...

    Each input pixel adds its kernel to the output.
    """
    channels, outputs, kernel, _ = weight.shape
    height, width = ((side - 1) * stride + kernel + output_padding for side in x.shape[1:])
    full = np.zeros((outputs, height, width))
    for c in range(channels):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                full[:, i * stride : i * stride + kernel, j * stride : j * stride + kernel] += (
                    x[c, i, j] * weight[c]
                )
    return full[:, padding : height - padding, padding : width - padding]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def test_doubling_computes_the_last_row_and_column():
    layer, x, weight = double_transposed(3, 2), numbers(1, 3, 4, 5), numbers(3, 2, 3, 3, seed=1)
    set_value(layer.weight, weight)
    set_value(layer.bias, np.array([0.5, -1]))
    expected = conv_transpose(x[0], weight, 2, 1, output_padding=1) + np.array([0.5, -1]).reshape(
        2, 1, 1
    )
    found = layer(mindspore.Tensor(x)).asnumpy()[0]
    assert found.shape == (2, 8, 10) and np.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("form, kernel, padding", [("dlinknet", 4, 1), ("linknet", 3, 0)])
def test_the_heads_doubling(form, kernel, padding):
    head, x, weight = Head(3, 2, form), numbers(1, 3, 4, 6), numbers(3, 32, kernel, kernel, seed=1)
    set_value(head.up.weight, weight)
    set_value(head.up.bias, np.zeros(32))
    expected = conv_transpose(x[0], weight, 2, padding)
    assert np.allclose(head.up(mindspore.Tensor(x)).asnumpy()[0], expected, atol=1e-5)
    assert head(mindspore.Tensor(x)).shape == (1, 2, 8, 12)


def test_the_encoders_pooling_takes_each_window_of_three():
    encoder, x = ResNet(BasicBlock, (1, 1, 1, 1)), np.abs(numbers(1, 2, 6, 8))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = [
        [padded[0, :, i : i + 3, j : j + 3].max((1, 2)) for j in range(0, 8, 2)]
        for i in range(0, 6, 2)
    ]
    found = encoder.maxpool(pad_for_pool(mindspore.Tensor(x), False)).asnumpy()[0]
    assert np.array_equal(found, np.array(expected).transpose(2, 0, 1))


def test_batch_norm_keeps_nine_tenths_and_counts_the_variance_unbiased():
    layer, x = batch_norm(3).set_train(True), numbers(2, 3, 4, 4) * 3 + 1
    found = layer(mindspore.Tensor(x)).asnumpy()
    pixels = x.transpose(1, 0, 2, 3).reshape(3, -1).astype(np.float64)
    mean, variance = pixels.mean(1), pixels.var(1)
    assert np.allclose(
        found, (x - mean.reshape(3, 1, 1)) / np.sqrt(variance.reshape(3, 1, 1) + 1e-5), atol=1e-4
    )
    assert np.allclose(layer.moving_mean.asnumpy(), 0.1 * mean, atol=1e-5)
    # MindSpore 2.0 divides by n where later versions and PyTorch divide by n - 1.
    ddof = 0 if mindspore.__version__.startswith("2.0") else 1
    assert np.allclose(
        layer.moving_variance.asnumpy(), 0.9 + 0.1 * pixels.var(1, ddof=ddof), atol=1e-4
    )


def test_the_centre_adds_what_each_dilation_sees():
    centre = DilatedCentre(1, (1, 2))
    for layer in centre.dilate:  # each passes on the pixel to its left, at its dilation
        kernel = np.zeros((1, 1, 3, 3))
        kernel[0, 0, 1, 0] = 1
        set_value(layer.weight, kernel)
        set_value(layer.bias, np.zeros(1))
    x = np.zeros((1, 1, 8, 8), np.float32)
    x[0, 0, 4, 2] = 1
    expected = x.copy()
    expected[0, 0, 4, 3] = expected[0, 0, 4, 5] = 1  # one to the right, then two more
    assert np.array_equal(centre(mindspore.Tensor(x)).asnumpy(), expected)


def test_every_parameter_receives_a_gradient():
    network = LinkNet(ResNet(BasicBlock, (1, 1, 1, 1)), dilations=(1, 2)).set_train(False)
    parameters = network.trainable_params()

    def total(x):
        return network(x).sum()

    differentiate = mindspore.jit(mindspore.value_and_grad(total, None, parameters))
    _, gradients = differentiate(mindspore.Tensor(numbers(1, 3, 64, 64)))
    assert all(np.abs(g.asnumpy()).max() > 0 for g in gradients), [
        p.name for p, g in zip(parameters, gradients) if not np.abs(g.asnumpy()).max() > 0
    ]


@pytest.mark.parametrize("on_cpu", [True, False])
def test_the_last_convolution_tap_by_tap_is_the_plain_one(monkeypatch, on_cpu):
    monkeypatch.setattr(runtime, "computes_on", lambda target: on_cpu)
    layer, x = ToOneMap(4), numbers(2, 4, 5, 7)
    assert layer.by_taps == on_cpu
    weight, bias = layer.weight.asnumpy()[0], layer.bias.asnumpy()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = [
        [
            [(padded[n, :, i : i + 3, j : j + 3] * weight).sum() + bias[0] for j in range(7)]
            for i in range(5)
        ]
        for n in range(2)
    ]
    assert bias[0] != 0
    for training in (True, False):
        found = layer.set_train(training)(mindspore.Tensor(x)).asnumpy()
        assert np.allclose(found[:, 0], expected, atol=1e-5)
