"""Both losses against numbers worked out by hand and against NumPy in float64."""

import math

import mindspore
import numpy as np
import pytest

from dlinknet.training.losses import CrossEntropyLoss, DiceBCELoss


@pytest.fixture(scope="module")
def loss():
    """Return compute(logits, truth) -> (loss, its gradient by the logits), compiled per shape."""

    function = mindspore.jit(mindspore.value_and_grad(DiceBCELoss(), 0))

    def compute(logits, truth):
        value, gradient = function(
            mindspore.Tensor(np.float32(logits)), mindspore.Tensor(np.float32(truth))
        )
        return float(value.asnumpy()), gradient.asnumpy()

    return compute


def image(*values):
    return np.array(values, np.float64).reshape(1, 1, 2, 2)


def in_numpy(logits, truth):
    p = 1 / (1 + np.exp(-logits))
    bce = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean()
    return bce + 1 - (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1)


def test_by_hand(loss):
    # p = 1/2 everywhere, 2 of 4 pixels road: BCE = ln 2, Dice = (2 * 1 + 1) / (2 + 2 + 1) = 3/5
    value, _ = loss(image(0, 0, 0, 0), image(1, 1, 0, 0))
    assert value == pytest.approx(math.log(2) + 0.4, abs=1e-6)
    # p = 3/4 at one road pixel, 1/4 elsewhere:
    # BCE = ln 4/3, Dice = (2 * 3/4 + 1) / (3/2 + 1 + 1) = 5/7
    k = math.log(3)
    value, _ = loss(image(k, -k, -k, -k), image(1, 0, 0, 0))
    assert value == pytest.approx(math.log(4 / 3) + 2 / 7, abs=1e-6)


def test_sums_run_over_the_batch(loss):
    rng = np.random.default_rng(0)
    logits, truth = rng.normal(0, 3, (3, 1, 8, 8)), rng.random((3, 1, 8, 8)) < 0.3
    assert loss(logits, truth)[0] == pytest.approx(in_numpy(logits, truth), rel=1e-5)


def test_gradient_is_the_slope(loss):
    rng = np.random.default_rng(1)
    logits, truth = rng.normal(0, 2, (3, 1, 8, 8)), (rng.random((3, 1, 8, 8)) < 0.3).astype(float)
    logits[0, 0, 0, :2] = 0  # where a careless formula has a kink
    _, gradient = loss(logits, truth)
    for place in [(0, 0, 0, 0), (0, 0, 0, 1), (1, 0, 4, 4), (2, 0, 7, 7)]:
        step = np.zeros_like(logits)
        step[place] = 1e-4
        slope = (in_numpy(logits + step, truth) - in_numpy(logits - step, truth)) / 2e-4
        assert gradient[place] == pytest.approx(slope, rel=1e-3, abs=1e-7)


def test_an_empty_batch_is_finite_and_false_roads_in_it_cost(loss):
    nothing, everywhere = (
        loss(image(-200, -200, -200, -200), image(0, 0, 0, 0)),
        loss(image(9, 9, 9, 9), image(0, 0, 0, 0)),
    )
    assert nothing[0] == pytest.approx(0, abs=1e-6) and np.isfinite(nothing[1]).all()
    assert everywhere[0] > 9 and (everywhere[1] > 0).all()
    # Dice's part alone: 1 - 1 / (4 + 1)
    assert everywhere[0] - 9 == pytest.approx(0.8, abs=1e-2)


def test_huge_logits_are_finite(loss):
    value, gradient = loss(image(1e4, -1e4, 1e4, -1e4), image(0, 1, 1, 0))
    assert math.isfinite(value) and value > 1000 and np.isfinite(gradient).all()


@pytest.fixture(scope="module")
def cross_entropy():
    """Return compute(logits, truth) -> (loss, its gradient by the logits) for three classes."""

    function = mindspore.jit(
        mindspore.value_and_grad(CrossEntropyLoss(np.array([1.0, 2.0, 5.0])), 0)
    )

    def compute(logits, truth):
        value, gradient = function(
            mindspore.Tensor(np.float32(logits)), mindspore.Tensor(np.float32(truth))
        )
        return float(value.asnumpy()), gradient.asnumpy()

    return compute


def test_cross_entropy_by_hand(cross_entropy):
    # Even logits: -ln(1/3) at each pixel, whatever the weights. 255 does not count.
    truth = np.array([0, 1, 2, 255]).reshape(1, 1, 2, 2)
    value, gradient = cross_entropy(np.zeros((1, 3, 2, 2)), truth)
    assert value == pytest.approx(math.log(3), abs=1e-5)
    # The slope is w * (p - 1 or 0) / sum(w) = 1 * (1/3 - 1) / 8 at the first pixel.
    # It is 0 at the pixel that does not count.
    assert (
        gradient[0, :, 0, 0] == pytest.approx([-2 / 24, 1 / 24, 1 / 24], abs=1e-6)
        and not gradient[0, :, 1, 1].any()
    )
    # Twice the odds for class 0: p = 1/2, 1/4, 1/4, so ln 2 weighs 1 and ln 4 weighs 5.
    logits = np.zeros((1, 3, 1, 2))
    logits[:, 0] = math.log(2)
    assert cross_entropy(logits, np.array([0, 2]).reshape(1, 1, 1, 2))[0] == pytest.approx(
        11 * math.log(2) / 6, abs=1e-5
    )


def test_cross_entropy_is_numpys(cross_entropy):
    rng = np.random.default_rng(3)
    logits, truth = rng.normal(0, 4, (2, 3, 8, 8)), rng.choice([0, 1, 2, 255], (2, 1, 8, 8))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    weights = np.array([1.0, 2.0, 5.0])
    own = [
        (weights[t], -np.log(p[n, t, y, x]))
        for (n, _, y, x), t in np.ndenumerate(truth)
        if t != 255
    ]
    assert cross_entropy(logits, truth)[0] == pytest.approx(
        sum(w * v for w, v in own) / sum(w for w, _ in own), rel=1e-5
    )


def test_a_batch_of_nothing_but_void_costs_nothing(cross_entropy):
    value, gradient = cross_entropy(np.full((1, 3, 2, 2), 1e4), np.full((1, 1, 2, 2), 255))
    assert value == 0 and not gradient.any()
    value, gradient = cross_entropy(
        np.array([1e4, -1e4, 0]).reshape(1, 3, 1, 1), np.ones((1, 1, 1, 1))
    )
    assert value == pytest.approx(2e4) and np.isfinite(gradient).all()
