"""What turns gradients into steps. The numbers are PyTorch's defaults."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Parameter, nn, ops

from dlinknet.training.recipe import Recipe

NOT_DECAYED = (
    "gamma",
    "beta",
)  # BatchNorm's: MindSpore's own optimizers leave these out by name, and so do we


class AdamW(nn.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): w <- w - rate * decay * w, then Adam's step.

    MindSpore's AdamWeightDecay leaves Adam's bias correction out, and experimental optimizers are not in 2.0.
    """

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
    """RMSprop (Hinton's lecture 6e): v <- 0.99 v + 0.01 g^2, from 0; w <- w - rate * g / (sqrt(v) + 1e-8).

    MindSpore's own starts v from 1, keeps its eps within the root, and on the CPU now and then makes a NaN of a gradient of 0
    (2.10.0, one start in thirty).
    """

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
    mean = 0.99 * mean_square + 0.01 * gradient * gradient
    step = rate * gradient / (ops.sqrt(mean) + 1e-8)
    return ops.assign(mean_square, mean), ops.assign(parameter, parameter - step)


def make_optimizer(recipe: Recipe, parameters: list[Parameter]) -> nn.Optimizer:
    """Return the recipe's optimizer; its learning_rate is a parameter, which the schedule sets.

    adam      betas 0.9 and 0.999, eps 1e-8; weight decay is added to the gradient, as it is in the next two
    rmsprop   decay 0.99, eps 1e-8 beside the root
    sgd       v <- momentum * v + gradient; w <- w - rate * v
    adamw     adam with decoupled weight decay
    """
    rate, decay = recipe.learning_rate, recipe.weight_decay
    kinds: dict[str, Any] = {
        "adam": lambda: nn.Adam(parameters, rate, weight_decay=decay),
        "adamw": lambda: AdamW(parameters, rate, decay),
        "rmsprop": lambda: RMSProp(parameters, rate, decay),
        "sgd": lambda: nn.Momentum(parameters, rate, recipe.momentum, weight_decay=decay),
    }
    return kinds[recipe.optimizer]()
