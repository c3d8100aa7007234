"""One training step, the same on every device.

Scale the loss, differentiate, unscale the gradients, update the weights or skip the update, and
adjust the loss scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Callable

import mindspore as ms
from mindspore import Tensor, amp, nn, ops

from dlinknet.data.preprocess import Preprocessing
from dlinknet.devices import runtime
from dlinknet.models.from_pixels import FromPixels


def row_sums(gradient: Tensor) -> Tensor:
    """Return the sums over all axes but the first.

    If a value of the gradient is not finite, its sum is not finite.
    """
    return gradient.reshape(gradient.shape[0], -1).sum(1)


def finiteness_check(on_cpu: bool) -> Callable[[tuple[Tensor, ...]], Tensor]:
    """Return the function that says whether all values of some gradients are finite.

    Its result is a bool scalar.
    """
    if not on_cpu:
        return amp.all_finite
    each = ops.HyperMap()

    # On a CPU, amp.all_finite needs five times as long for whole gradients. On other devices the
    # sums would be two further kernels for each gradient.
    def all_finite(gradients):
        return amp.all_finite(each(row_sums, gradients))

    return all_finite


def forget_overflow() -> None:
    """Clear the overflow that an earlier computation has left on an Ascend 910A.

    There, amp.all_finite reads a status register, which a validation sets too, and clears it.
    """
    if runtime.computes_on("Ascend"):
        _compiled_all_finite()((Tensor([0.0], ms.float32),))


@cache
def _compiled_all_finite() -> Callable[[tuple[Tensor, ...]], Tensor]:
    """Return amp.all_finite as one function, so that it is compiled once."""
    return ms.jit(amp.all_finite)


def one_behind(outcomes: Iterator[Tensor], must_wait: Callable[[], bool]) -> Iterator[Tensor]:
    """Yield each step's outcome after the next step has been given to the device.

    The device then need not wait until this process has read the outcome.

    Args:
        outcomes: takes a step each time.
        must_wait: returns whether the step that was taken last has to end before the next one, in
            order that its weights can be saved.
    """
    unread: Tensor | None = None
    for outcome in outcomes:
        if unread is not None:
            yield unread
        unread = outcome
        if must_wait():
            yield unread
            unread = None
    if unread is not None:
        yield unread


def make_step(
    network: nn.Cell,
    loss_function: nn.Cell,
    optimizer: nn.Optimizer,
    scaler: amp.DynamicLossScaler,
    processes: int = 1,
    pixels: Preprocessing | None = None,
) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function step(images, truth) -> outcome, compiled once per shape.

    images: N x 3 x H x W float32, or pixels N x H x W x 3 uint8 BGR. truth: N x 1 x H x W float32
    or uint8. outcome: three float32 numbers: the loss, without the loss scale; 1, or 0 if gradients
    overflowed and no weight was changed; the loss scale of the next step. One tensor is one copy
    from the device.

    Args:
        processes: the number of processes that take this step together, each with its part of the
            batch. Loss and gradients are then means over them. An overflow in one process skips the
            update in all of them.
        pixels: the preprocessing of images that are pixels; None for float32 images.
    """
    graph = network if pixels is None else FromPixels(network, pixels.scale, pixels.shift)

    def scaled_loss(images, truth):
        logits = graph(images)  # N x C x H x W, float16 in mixed precision
        loss = loss_function(ops.cast(logits, ms.float32), ops.cast(truth, ms.float32))
        return scaler.scale(loss), loss

    all_finite = finiteness_check(runtime.computes_on("CPU"))
    differentiate = ms.value_and_grad(scaled_loss, None, optimizer.parameters, has_aux=True)
    average = _gradient_average(optimizer, processes)
    together = processes > 1
    add = ops.AllReduce() if together else nn.Identity()

    @ms.jit
    def step(images, truth):
        (_, loss), gradients = differentiate(images, truth)
        gradients = scaler.unscale(average(gradients))
        finite = all_finite(gradients)
        if together:
            # Ascend 910A saturates on overflow: the averaged gradients then look finite elsewhere.
            sums = add(ops.stack([loss, ops.cast(finite, ms.float32)]))
            loss, finite = sums[0] / processes, sums[1] > processes - 0.5
        if finite:
            loss = ops.depend(loss, optimizer(gradients))
        scaler.adjust(finite)
        return ops.stack([loss, ops.cast(finite, ms.float32), scaler.scale_value])

    return step


def _gradient_average(optimizer: nn.Optimizer, processes: int) -> nn.Cell:
    """Return a cell that averages gradients over all processes."""
    if processes == 1:
        return nn.Identity()
    return nn.DistributedGradReducer(optimizer.parameters, True, processes)
