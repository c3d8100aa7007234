"""The training step on a small layer: gradients that are not finite, and what devices differ in."""

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, amp, nn

from dlinknet.devices import runtime
from dlinknet.training import step as steps
from dlinknet.training.step import finiteness_check, forget_overflow, make_step


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("value, finite", [(1e30, True), (np.inf, False), (np.nan, False)])
def test_one_value_decides_whether_gradients_are_finite(on_cpu, value, finite):
    gradients = [np.ones((2, 3, 1, 1), np.float32), np.ones(4, np.float32)]
    gradients[0][1, 2] = value
    check = mindspore.jit(finiteness_check(on_cpu))
    assert bool(check(tuple(map(Tensor, gradients))).asnumpy()) == finite


def mean_of_product(logits, truth):
    return (logits * truth).mean()


def trained(monkeypatch, on_cpu, truths):
    """Return (the weights after a step for each truth, which steps were finite, the loss scale)."""
    monkeypatch.setattr(runtime, "computes_on", lambda target: on_cpu)
    network = nn.Dense(2, 1, weight_init="ones", bias_init="zeros")
    optimizer = nn.SGD(network.trainable_params(), 0.5)
    scaler = amp.DynamicLossScaler(8, 2, 100)
    step = make_step(network, mean_of_product, optimizer, scaler)
    images = Tensor([[1.0, 2.0]], mindspore.float32)
    finite = [bool(step(images, Tensor([[truth]], mindspore.float32))[1]) for truth in truths]
    return network.weight.asnumpy()[0], finite, float(scaler.scale_value.asnumpy())


@pytest.mark.parametrize("on_cpu", [True, False])
def test_an_overflow_skips_the_update_on_every_device(monkeypatch, on_cpu):
    """The gradient of the weight is truth * image. 1e38 * 8 * 2 is not finite in float32."""
    weights, finite, scale = trained(monkeypatch, on_cpu, [1.0, 1e38, -0.5])
    assert finite == [True, False, True] and scale == 4
    # 1 - 0.5 * image * 1, then + 0.5 * image * 0.5
    assert np.allclose(weights, [1 - 0.5 + 0.25, 1 - 1.0 + 0.5])


def test_an_ascend_forgets_the_overflow_of_a_validation(monkeypatch):
    """On an Ascend, amp.all_finite reads and clears the register. Here it is a stand-in."""
    asked = []
    monkeypatch.setattr(steps.ms, "jit", lambda function: function)
    monkeypatch.setattr(amp, "all_finite", asked.append)
    forget_overflow()
    assert not asked
    monkeypatch.setattr(runtime, "computes_on", lambda target: target == "Ascend")
    forget_overflow()
    assert len(asked) == 1
