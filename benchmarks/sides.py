"""The two sides of a comparison: D-LinkNet34 in MindSpore and in PyTorch eager, with equal weights.

The network in PyTorch is tests/models/torch_reference.py. The tests check that it equals the one in
MindSpore. To install PyTorch for the CPU:
pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

import measure
import numpy as np

SEED = 1


def parser(text: str, **sizes: int) -> argparse.ArgumentParser:
    """Return the options of a comparison.

    Args:
        text: the description for --help.
        sizes: option -> default.
    """
    options = argparse.ArgumentParser(description=text)
    for name, default in {**sizes, "rounds": 3}.items():
        options.add_argument(f"--{name}", type=int, default=default)
    for hidden in ("--weights", "--side"):
        options.add_argument(hidden, help=argparse.SUPPRESS)
    return options


def versus(script: str, name: str, text: str, options: argparse.Namespace) -> None:
    """Measure MindSpore and PyTorch in turn, with equal weights; print and keep time and memory.

    Args:
        script: the file of the benchmark.
        name: the name of the results.
        text: the start of the line to print.
    """
    need_torch()
    sizes: dict[str, Any] = {
        key: value
        for key, value in vars(options).items()
        if key not in ("rounds", "weights", "side")
    }
    with tempfile.TemporaryDirectory() as folder:
        results = measure.in_turn(
            script,
            ["mindspore", "pytorch"],
            options.rounds,
            f"--weights={folder}/weights.npz",
            *(f"--{key}={value}" for key, value in sizes.items()),
        )
    ratios = measure.compare(results, "mindspore", "pytorch")
    print(
        f"{text}: {ratios['seconds_ratio']:.2f} of PyTorch's time, "
        f"{ratios['peak_gb_ratio']:.2f} of its memory"
    )
    measure.keep(name, {**sizes, **results, **ratios})


def batch(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (images, masks) of random values.

    The images are N x 3 x S x S float32, -1.6 to 1.6. The masks are N x 1 x S x S float32, 0 or 1,
    and a tenth of the pixels is road.
    """
    rng = np.random.default_rng(SEED)
    images = rng.uniform(-1.6, 1.6, (count, 3, size, size)).astype(np.float32)
    return images, (rng.random((count, 1, size, size)) < 0.1).astype(np.float32)


def training_step(
    target: str = "CPU", precision: str = "float32"
) -> tuple[Any, Callable[..., Any]]:
    """Return (D-LinkNet34, its training step as in train.py).

    Args:
        target: 'CPU', 'GPU' or 'Ascend'.
        precision: 'float32', 'tf32' or an amp_level.
    """
    from dlinknet.devices import runtime
    from dlinknet.devices.context import ComputeOptions

    runtime.start(target, 0, SEED, ComputeOptions(precision != "float32"))
    from mindspore import amp, nn

    from dlinknet.models import build
    from dlinknet.models.precision import set_precision
    from dlinknet.training.losses import DiceBCELoss
    from dlinknet.training.step import make_step

    network = set_precision(
        build("dlinknet34", 1).set_train(True), precision if precision.startswith("O") else "O0"
    )
    return network, make_step(
        network,
        DiceBCELoss(),
        nn.Adam(network.trainable_params(), learning_rate=2e-4),
        amp.DynamicLossScaler(2**24, 2, 1000),
    )


def mindspore_training(
    count: int, size: int, weights: Path, target: str = "CPU", precision: str = "float32"
) -> Callable[[], float]:
    """Return a call that trains one step and returns the loss; write the start weights."""
    network, step = training_step(target, precision)
    from mindspore import Tensor

    np.savez(weights, **{p.name: p.asnumpy() for p in network.get_parameters()})
    images, masks = (Tensor(array) for array in batch(count, size))
    return lambda: float(step(images, masks)[0].asnumpy())


def pytorch_training(
    count: int, size: int, weights: Path, target: str = "CPU", precision: str = "float32"
) -> Callable[[], float]:
    """Return the same call in PyTorch, from the weights of the file.

    The precision 'mixed' means autocast: to float16 with a gradient scaler on a GPU, to bfloat16 on
    a CPU.
    """
    torch = need_torch()
    from tests.models.torch_reference import Reference, dice_bce

    device = "cuda" if target == "GPU" else "cpu"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    torch.backends.cudnn.benchmark = True
    mixed, low = precision == "mixed", torch.float16 if device == "cuda" else torch.bfloat16
    scaler = torch.amp.GradScaler(device, enabled=mixed and device == "cuda")
    tensors = {name: torch.tensor(value, device=device) for name, value in np.load(weights).items()}
    learnt = [tensor.requires_grad_() for name, tensor in tensors.items() if "moving_" not in name]
    network, optimizer = (
        Reference(tensors, "dlinknet34", training=True),
        torch.optim.Adam(learnt, lr=2e-4),
    )
    images, masks = (torch.tensor(array, device=device) for array in batch(count, size))

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast(device, low, enabled=mixed):
            logits = network.forward(images)
        loss = dice_bce(logits.float(), masks)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.item()

    return step


def mindspore_inference(
    height: int, width: int, weights: Path, target: str = "CPU", tf32: bool = True
) -> Callable[[], np.ndarray]:
    """Return a call that computes the probabilities of one image; write the weights."""
    from dlinknet.devices import runtime
    from dlinknet.devices.context import ComputeOptions

    runtime.start(target, 0, SEED, ComputeOptions(tf32))
    from mindspore import Tensor

    from dlinknet.models import build
    from dlinknet.models.probability import Probability

    network = build("dlinknet34", 1)
    np.savez(weights, **{p.name: p.asnumpy() for p in network.get_parameters()})
    graph = Probability(network).set_train(False)
    images = batch(1, max(height, width))[0][:, :, :height, :width].copy()
    return lambda: graph(Tensor(images)).asnumpy()


def pytorch_inference(height: int, width: int, weights: Path) -> Callable[[], np.ndarray]:
    """Return the same call in PyTorch, with the weights of the file."""
    torch = need_torch()
    from tests.models.torch_reference import Reference

    network = Reference(
        {name: torch.tensor(value) for name, value in np.load(weights).items()},
        "dlinknet34",
        training=False,
    )
    images = batch(1, max(height, width))[0][:, :, :height, :width].copy()

    def infer() -> np.ndarray:
        with torch.inference_mode():
            return torch.sigmoid(network.forward(torch.tensor(images))).numpy()

    return infer


def need_torch():
    """Return the module torch. Exit if PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        sys.exit(
            "PyTorch is missing: pip install torch==2.13.0 "
            "--index-url https://download.pytorch.org/whl/cpu"
        )
    return torch
