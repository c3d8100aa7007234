"""What turns gradients into steps: the setting `optimizer`. The numbers are PyTorch's defaults."""
from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops

from dlinknet.config import Config
from dlinknet.models.weights import set_value

NOT_DECAYED = ("gamma", "beta")         # BatchNorm's: MindSpore's own optimizers leave these out by name, and so do we


class AdamW(nn.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): w <- w - rate * decay * w, then Adam's step.

    MindSpore's AdamWeightDecay leaves Adam's bias correction out, and experimental optimizers are not in 2.0.
    """

    def __init__(self, params: list[Parameter], learning_rate: float, weight_decay: float):
        super().__init__(params, learning_rate)
        self.decay = weight_decay
        self.decayed = ms.ParameterTuple([p for p in self.parameters if not p.name.endswith(NOT_DECAYED)])

    def construct(self, gradients):
        kept = 1 - self.learning_rate * self.decay
        for parameter in self.decayed:
            gradients = ops.depend(gradients, ops.assign(parameter, parameter * kept))
        return super().construct(gradients)


def make_optimizer(config: Config, parameters: list[Parameter]) -> nn.Optimizer:
    """The optimizer that the settings ask for; its learning_rate is a parameter, which the schedule sets.

        adam      betas 0.9 and 0.999, eps 1e-8; weight decay is added to the gradient, as it is in the next two
        rmsprop   decay 0.99, eps 1e-8 beside the root (written as its square within it)
        sgd       v <- momentum * v + gradient; w <- w - rate * v
        adamw     adam with decoupled weight decay
    """
    rate, decay = config.learning_rate, config.weight_decay
    kinds: dict[str, Any] = {
        "adam": lambda: nn.Adam(parameters, rate, weight_decay=decay),
        "adamw": lambda: AdamW(parameters, rate, decay),
        "rmsprop": lambda: _rmsprop(parameters, rate, decay),
        "sgd": lambda: nn.Momentum(parameters, rate, config.momentum, weight_decay=decay),
    }
    return kinds[config.optimizer]()


def _rmsprop(parameters: list[Parameter], rate: float, decay: float) -> nn.RMSProp:
    optimizer = nn.RMSProp(parameters, rate, decay=0.99, epsilon=1e-16, weight_decay=decay)
    for mean_square in optimizer.ms:
        set_value(mean_square, np.zeros(mean_square.shape, np.float32))       # MindSpore starts from 1
    return optimizer
