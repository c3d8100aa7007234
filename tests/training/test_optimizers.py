"""Optimizers against their formulas, written out in NumPy."""

import mindspore
import numpy as np
import pytest
from mindspore import Parameter, Tensor, ops

from dlinknet.training.optimizers import make_optimizer
from dlinknet.training.recipe import Recipe

RATE, STEPS = 0.01, 6


def gradients():
    return np.random.default_rng(1).normal(size=(STEPS, 4, 3))


def start():
    return np.random.default_rng(0).normal(size=(4, 3))


def adam(decay, decoupled):
    w, m, v = start(), 0, 0
    for t, g in enumerate(gradients(), 1):
        w = w - RATE * decay * w if decoupled else w
        g = g if decoupled else g + decay * w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


def rmsprop(decay):
    w, v = start(), 0
    for g in gradients():
        g = g + decay * w
        v = 0.99 * v + 0.01 * g**2
        w = w - RATE * g / (np.sqrt(v) + 1e-8)
    return w


def sgd(decay):
    w, v = start(), 0
    for g in gradients():
        v = 0.9 * v + g + decay * w
        w = w - RATE * v
    return w


@pytest.mark.parametrize(
    "name, decay, expected",
    [
        ("adam", 0.0, adam(0, False)),
        ("adam", 0.1, adam(0.1, False)),
        ("adamw", 0.1, adam(0.1, True)),
        ("rmsprop", 0.0, rmsprop(0)),
        ("rmsprop", 0.1, rmsprop(0.1)),
        ("sgd", 0.1, sgd(0.1)),
    ],
)
def test_steps_are_those_of_the_formula(name, decay, expected):
    weight, gamma = (
        Parameter(Tensor(start().astype(np.float32)), name="weight"),
        Parameter(Tensor(np.ones(2, np.float32)), name="gamma"),
    )
    recipe = Recipe("linknet18", 1, RATE, name, weight_decay=decay)
    optimizer = make_optimizer(recipe, [weight, gamma])

    @mindspore.jit
    def step(gradient, none):
        return ops.depend(gradient, optimizer((gradient, none)))

    for gradient in gradients():
        step(Tensor(gradient.astype(np.float32)), Tensor(np.zeros(2, np.float32)))
    assert np.allclose(weight.asnumpy(), expected, rtol=0, atol=2e-6)
    assert gamma.asnumpy().tolist() == [1, 1], "BatchNorm's parameters do not decay"
    assert float(optimizer.learning_rate.asnumpy()) == pytest.approx(RATE), (
        "a parameter, which the schedule sets"
    )
