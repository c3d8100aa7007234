"""Optimizers, with the constants of PyTorch's defaults."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Parameter, nn, ops

from dlinknet.training.recipe import Recipe

# BatchNorm's parameters get no weight decay, as in MindSpore's optimizers, which go by name too.
NOT_DECAYED = ("gamma", "beta")


class AdamW(nn.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019).

    w <- w - rate * decay * w, then Adam's step.
    """

    # MindSpore's AdamWeightDecay lacks Adam's bias correction; 2.0 has no experimental AdamW.

    def __init__(self, params: list[Parameter], learning_rate: float, weight_decay: float):
        super().__init__(params, learning_rate)
        self.decay = weight_decay
        self.decayed = ms.ParameterTuple(
            [p for p in self.parameters if not p.name.endswith(NOT_DECAYED)]
        )

    def construct(self, gradients):
        kept = 1 - self.learning_rate * self.decay
        for parameter in self.decayed:
            gradients = ops.depend(gradients, ops.assign(parameter, parameter * kept))
        return super().construct(gradients)


class RMSProp(nn.Optimizer):
    """RMSprop (Hinton's lecture 6e).

    v <- 0.99 * v + 0.01 * g^2, starting at 0; w <- w - rate * g / (sqrt(v) + 1e-8).
    """

    # MindSpore's RMSProp starts v at 1 and adds eps inside the root. On a CPU it sometimes turns a
    # gradient of 0 into NaN (2.10.0, in one of thirty starts).

    def __init__(self, params: list[Parameter], learning_rate: float, weight_decay: float):
        super().__init__(learning_rate, params, weight_decay=weight_decay)
        self.mean_square = self._parameters.clone(prefix="mean_square", init="zeros")

    def construct(self, gradients):
        gradients = self.scale_grad(self.gradients_centralization(self.decay_weight(gradients)))
        rate = self.get_lr()
        self.assignadd(self.global_step, self.global_step_increase_tensor)
        return self.hyper_map(
            ops.partial(_rmsprop_step, rate), self._parameters, self.mean_square, gradients
        )


def _rmsprop_step(rate, parameter, mean_square, gradient):
    """Update one parameter and its v, in place."""
    mean = 0.99 * mean_square + 0.01 * gradient * gradient
    step = rate * gradient / (ops.sqrt(mean) + 1e-8)
    return ops.assign(mean_square, mean), ops.assign(parameter, parameter - step)


def make_optimizer(recipe: Recipe, parameters: list[Parameter]) -> nn.Optimizer:
    """Return the recipe's optimizer. Its `learning_rate` is a parameter that the schedule sets.

    adam      betas 0.9 and 0.999, eps 1e-8
    rmsprop   decay 0.99, eps 1e-8 outside the root
    sgd       v <- momentum * v + g; w <- w - rate * v
    adamw     adam with decoupled weight decay

    In the first three, weight decay is added to the gradient: g <- g + decay * w.
    """
    rate, decay = recipe.learning_rate, recipe.weight_decay
    kinds: dict[str, Any] = {
        "adam": lambda: nn.Adam(parameters, rate, weight_decay=decay),
        "adamw": lambda: AdamW(parameters, rate, decay),
        "rmsprop": lambda: RMSProp(parameters, rate, decay),
        "sgd": lambda: nn.Momentum(parameters, rate, recipe.momentum, weight_decay=decay),
    }
    return kinds[recipe.optimizer]()
