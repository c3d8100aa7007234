"""The training step on a small layer: gradients that are not finite, and what devices differ in."""

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, amp, nn

from dlinknet.data.preprocess import DLINKNET, to_input
from dlinknet.devices import runtime
from dlinknet.training import step as steps
from dlinknet.training.step import finiteness_check, forget_overflow, make_step, one_behind
from tests.training.register import Register


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
    """Return (the weights after a step for each truth, the outcomes of the steps)."""
    monkeypatch.setattr(runtime, "computes_on", lambda target: on_cpu)
    network = nn.Dense(2, 1, weight_init="ones", has_bias=False)
    optimizer = nn.SGD(network.trainable_params(), 0.5)
    scaler = amp.DynamicLossScaler(8, 2, 100)
    step = make_step(network, mean_of_product, optimizer, scaler)
    images = Tensor([[1.0, 2.0]], mindspore.float32)
    outcomes = [
        step(images, Tensor([[truth]], mindspore.float32)).asnumpy().tolist() for truth in truths
    ]
    return network.weight.asnumpy()[0], outcomes


@pytest.mark.parametrize("on_cpu", [True, False])
def test_an_overflow_skips_the_update_on_every_device(monkeypatch, on_cpu):
    """The gradient of the weight is truth * image. 1e38 * 8 * 2 is not finite in float32."""
    weights, outcomes = trained(monkeypatch, on_cpu, [1.0, 1e38, -0.5])
    # The logit is image * weight: 3, then 0.5 for the weights 0.5 and 0.
    assert outcomes[0] == [3, 1, 8] and outcomes[1][1:] == [0, 4] and outcomes[2] == [-0.25, 1, 4]
    # 1 - 0.5 * image * 1, then + 0.5 * image * 0.5
    assert np.allclose(weights, [1 - 0.5 + 0.25, 1 - 1.0 + 0.5])


def test_the_register_of_an_ascend_decides(monkeypatch):
    answers = [1, 0, 1, 0, 0, 1]
    register = Register(answers)
    monkeypatch.setattr(steps, "finiteness_check", lambda on_cpu: register)
    network = nn.Dense(2, 1, weight_init="ones", has_bias=False)
    scaler = amp.DynamicLossScaler(8, 2, 100)
    optimizer = nn.SGD(network.trainable_params(), 0.5)
    step = make_step(network, mean_of_product, optimizer, scaler)
    images, truth = Tensor([[1.0, 2.0]], mindspore.float32), Tensor([[0.25]], mindspore.float32)
    found, weights = [], []
    for _ in answers:
        found.append(step(images, truth).asnumpy().tolist())
        weights.append(network.weight.asnumpy()[0].tolist())
    assert [finite for _, finite, _ in found] == answers
    assert [scale for _, _, scale in found] == [8, 4, 4, 2, 1, 1]
    # Each update subtracts 0.5 * 0.25 * image.
    updates = np.cumsum(answers)[:, None] * np.array([0.125, 0.25])
    assert np.allclose(weights, 1 - updates)


def test_a_step_on_pixels_is_the_step_on_their_numbers():
    """The graph turns pixels and labels into numbers, and the weights become the same."""
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (2, 5, 6, 3), dtype=np.uint8)
    labels = rng.integers(0, 2, (2, 1, 5, 6), dtype=np.uint8)
    planes = np.stack([to_input(image) for image in pixels])
    found = []
    for preprocessing, batch in ((DLINKNET, (pixels, labels)), (None, (planes, labels * 1.0))):
        network = nn.Conv2d(3, 1, 3, weight_init="ones")
        step = make_step(
            network,
            mean_of_product,
            nn.SGD(network.trainable_params(), 0.5),
            amp.DynamicLossScaler(8, 2, 100),
            pixels=preprocessing,
        )
        images, truth = batch
        outcome = step(Tensor(images), Tensor(truth if preprocessing else truth.astype("f4")))
        found.append((outcome.asnumpy(), network.weight.asnumpy()))
    assert np.ptp(found[0][1]) > 0.1
    assert np.allclose(found[0][0], found[1][0], atol=1e-4)
    assert np.allclose(found[0][1], found[1][1], atol=1e-5)


def test_an_ascend_forgets_the_overflow_of_a_validation(monkeypatch):
    """On an Ascend, amp.all_finite reads and clears the register. Here it is a stand-in."""
    asked = []
    monkeypatch.setattr(steps, "_compiled_all_finite", lambda: amp.all_finite)
    monkeypatch.setattr(amp, "all_finite", asked.append)
    forget_overflow()
    assert not asked
    monkeypatch.setattr(runtime, "computes_on", lambda target: target == "Ascend")
    forget_overflow()
    assert len(asked) == 1


def test_an_outcome_is_read_when_the_next_step_runs_or_must_wait():
    events, done = [], []

    def steps():
        for number in range(1, 6):
            events.append(f"step {number}")
            yield number

    for outcome in one_behind(steps(), lambda: (len(done) + 1) % 3 == 0):
        done.append(outcome)
        events.append(f"read {outcome}")
    assert done == [1, 2, 3, 4, 5]
    assert events == [
        *("step 1", "step 2", "read 1", "step 3", "read 2", "read 3"),
        *("step 4", "step 5", "read 4", "read 5"),
    ]
