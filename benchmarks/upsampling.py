"""Measure the layers that double the size of a feature map in a decoder.

Run: python benchmarks/upsampling.py

They are 3x3 and 4x4 transposed convolutions, the notebook's depth-wise convolution and the
sub-pixel convolution. Each is measured alone, in inference and with its gradient. --batch,
--channels and --size describe the input. Each round measures --steps calls.
"""

import argparse

import measure

KINDS = ("transposed 3x3", "transposed 4x4", "depth-wise 4x4", "sub-pixel")
WAYS = ("inference", "training")


def parser() -> argparse.ArgumentParser:
    """Return the options."""
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in (("channels", 64), ("size", 64), ("batch", 4), ("steps", 20), ("rounds", 3)):
        found.add_argument(f"--{name}", type=int, default=value)
    found.add_argument("--side", default="")
    return found


def block(options: argparse.Namespace):
    """Return the call to measure: one of KINDS, in one of WAYS."""
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, 1)
    import mindspore as ms
    import numpy as np

    from dlinknet.models.blocks import SubPixel, double_depthwise, double_transposed, up_conv

    kind, way = options.side.split(", ")
    channels = options.channels
    cell = {
        "transposed 3x3": lambda: double_transposed(channels, channels),
        "transposed 4x4": lambda: up_conv(channels, channels, 4, 1),
        "depth-wise 4x4": lambda: double_depthwise(channels),
        "sub-pixel": lambda: SubPixel(channels, channels),
    }[kind]()
    rng = np.random.default_rng(0)
    image = ms.Tensor(
        rng.normal(size=(options.batch, channels, options.size, options.size)).astype(np.float32)
    )
    if way == "inference":
        compute = ms.jit(cell)
        return lambda: compute(image).asnumpy()

    def loss(x):
        return (cell(x) ** 2).mean()

    compute = ms.jit(ms.value_and_grad(loss, 0, cell.trainable_params()))
    return lambda: compute(image)[0].asnumpy()


def main() -> None:
    """Measure all layers in turn and keep the figures."""
    options = parser().parse_args()
    if options.side:
        return measure.answer(seconds=measure.repeated(block(options), options.steps))
    words = [
        f"--{name}={getattr(options, name)}" for name in ("channels", "size", "batch", "steps")
    ]
    results = measure.in_turn(
        __file__, [f"{kind}, {way}" for kind in KINDS for way in WAYS], options.rounds, *words
    )
    sizes = {
        name: getattr(options, name) for name in ("channels", "size", "batch", "steps", "rounds")
    }
    measure.keep("upsampling", {**sizes, "sides": results})


if __name__ == "__main__":
    main()
