"""One training step, the same on every device: scale, differentiate, unscale, update or skip, adjust the scale."""
from __future__ import annotations

from typing import Callable

import mindspore as ms
from mindspore import Tensor, amp, nn, ops


def row_sums(gradient: Tensor) -> Tensor:
    """Sums over all axes but the first: finite where the gradient is."""
    # amp.all_finite on whole gradients takes five times as long on a CPU.
    return gradient.reshape(gradient.shape[0], -1).sum(1)


def make_step(network: nn.Cell, loss_function: nn.Cell, optimizer: nn.Optimizer,
              scaler: amp.DynamicLossScaler) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Returns step(images, truth) -> (loss, finite), compiled once for each shape.

    images: N x 3 x H x W float32; truth: N x C x H x W float32. loss: float32 scalar, not scaled. finite: bool scalar; where
    it is False the gradients overflowed and no weight was changed.
    """
    def scaled_loss(images, truth):
        logits = network(images)
        loss = loss_function(ops.cast(logits, ms.float32), truth)
        return scaler.scale(loss), loss

    each = ops.HyperMap()
    differentiate = ms.value_and_grad(scaled_loss, None, optimizer.parameters, has_aux=True)

    @ms.jit
    def step(images, truth):
        (_, loss), gradients = differentiate(images, truth)
        gradients = scaler.unscale(gradients)
        finite = amp.all_finite(each(row_sums, gradients))
        if finite:
            loss = ops.depend(loss, optimizer(gradients))
        scaler.adjust(finite)
        return loss, finite

    return step
