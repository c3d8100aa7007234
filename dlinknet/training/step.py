"""One training step, the same on every device: scale, differentiate, unscale, update or skip, adjust the scale."""

from __future__ import annotations

from typing import Callable

import mindspore as ms
from mindspore import Tensor, amp, nn, ops


def row_sums(gradient: Tensor) -> Tensor:
    """Sums over all axes but the first: finite where the gradient is."""
    # amp.all_finite on whole gradients takes five times as long on a CPU.
    return gradient.reshape(gradient.shape[0], -1).sum(1)


def make_step(
    network: nn.Cell,
    loss_function: nn.Cell,
    optimizer: nn.Optimizer,
    scaler: amp.DynamicLossScaler,
    processes: int = 1,
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Returns step(images, truth) -> (loss, finite), compiled once for each shape.

    images: N x 3 x H x W float32; truth: N x C x H x W float32. loss: float32 scalar, not scaled. finite: bool scalar; where
    it is False the gradients overflowed and no weight was changed.

    Args:
        processes: how many take this step together, each with its part of the batch. Gradients and loss are then the mean
            over them, and where one overflowed, all of them leave their weights as they are.
    """

    def scaled_loss(images, truth):
        logits = network(images)
        loss = loss_function(ops.cast(logits, ms.float32), truth)
        return scaler.scale(loss), loss

    each = ops.HyperMap()
    differentiate = ms.value_and_grad(scaled_loss, None, optimizer.parameters, has_aux=True)
    together = processes > 1
    mean_of_all = (
        nn.DistributedGradReducer(optimizer.parameters, True, processes)
        if together
        else nn.Identity()
    )
    total = ops.AllReduce() if together else nn.Identity()

    @ms.jit
    def step(images, truth):
        (_, loss), gradients = differentiate(images, truth)
        gradients = scaler.unscale(mean_of_all(gradients))
        finite = amp.all_finite(each(row_sums, gradients))
        if together:
            # Where an overflow saturates (Ascend 910A), the mean of the gradients does not show the others'.
            agreed = total(ops.stack([loss, ops.cast(finite, ms.float32)]))
            loss, finite = agreed[0] / processes, agreed[1] > processes - 0.5
        if finite:
            loss = ops.depend(loss, optimizer(gradients))
        scaler.adjust(finite)
        return loss, finite

    return step
