"""Compare the inference of D-LinkNet34's exports, its checkpoint and PyTorch eager on the CPU.

Run: python benchmarks/exports.py

It measures time and memory. --size is the side of the image in pixels. Each round measures --calls
calls, after one call that does not count. It also measures the time of as many multiply-adds as the
network has, at the speed of this machine's matrix product. That is a lower bound of the time in
float32.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import measure
import numpy as np
import sides

NAMES = {
    "pytorch": "PyTorch eager",
    "mindspore": "checkpoint",
    "mindir": "MINDIR, BatchNorm folded",
    "onnx": "ONNX Runtime",
}
SIDE = 2048  # side of the matrices, which fit the cache well


def write_models(folder: Path, size: int) -> None:
    """Write random weights as arrays for PyTorch, and as checkpoint, MINDIR and ONNX."""
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, sides.SEED)
    from dlinknet.checkpoints.save import save
    from dlinknet.models import build

    network = build("dlinknet34", 1)
    np.savez(folder / "weights.npz", **{p.name: p.asnumpy() for p in network.get_parameters()})
    save(folder / "model.ckpt", network.get_parameters(), {"model": "dlinknet34", "classes": 1})
    subprocess.run(
        [
            sys.executable,
            str(measure.ROOT / "export.py"),
            f"--trained_ckpt={folder / 'model.ckpt'}",
            f"--file_name={folder / 'model'}",
            "--file_format=MINDIR,ONNX",
            "--batch_size=1",
            f"--width={size}",
            f"--height={size}",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def exported_inference(name: str, folder: Path, size: int):
    """Return a call that computes the probabilities of the image of the other sides."""
    from dlinknet.devices import runtime
    from dlinknet.inference.open_model import open_model

    file = str(folder / f"model.{name}")
    engine = open_model(file, lambda: str(runtime.start("CPU", 0, sides.SEED))).engine
    images = sides.batch(1, size)[0]
    return lambda: engine(images)


def measure_product(options) -> None:
    """Measure the seconds of the network's number of multiply-adds in NumPy's matrix product."""
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, sides.SEED)
    runtime.run_eagerly()
    from dlinknet.models import build
    from dlinknet.models.profile import layers, totals

    work = totals(layers(build("dlinknet34", 1), options.size, options.size))["multiply_adds"]
    matrix = np.random.default_rng(sides.SEED).normal(size=(SIDE, SIDE)).astype(np.float32)
    share = work / SIDE**3
    measure.answer(
        seconds=[seconds * share for seconds in measure.repeated(lambda: matrix @ matrix, 10, 2)],
        check=float(work),
    )


def measure_side(options) -> None:
    """Measure one side in this process."""
    folder = Path(options.weights)
    if options.side == "write":
        write_models(folder, options.size)
        return measure.answer(seconds=[0.0])
    if options.side == "product":
        return measure_product(options)
    if options.side == "pytorch":
        infer = sides.pytorch_inference(options.size, options.size, folder / "weights.npz")
    elif options.side == "mindspore":
        infer = sides.mindspore_inference(options.size, options.size, folder / "same_weights.npz")
    else:
        infer = exported_inference(options.side, folder, options.size)
    measure.answer(seconds=measure.repeated(infer, options.calls), check=float(infer().mean()))


def main() -> None:
    """Measure all sides in turn, print the ratios and keep the figures."""
    options = sides.parser(__doc__, size=1024, calls=8).parse_args()
    if options.side:
        return measure_side(options)
    sides.need_torch()
    with tempfile.TemporaryDirectory() as folder:
        sizes = [f"--weights={folder}", f"--size={options.size}", f"--calls={options.calls}"]
        measure.side(__file__, "write", *sizes)
        results = measure.in_turn(__file__, [*NAMES, "product"], options.rounds, *sizes)
    ratios = {}
    for name, text in NAMES.items():
        if name != "pytorch":
            ratios[name] = measure.compare(results, name, "pytorch")
            print(
                f"{text}, {options.size}x{options.size}: {ratios[name]['seconds_ratio']:.2f} of "
                f"PyTorch's time, {ratios[name]['peak_gb_ratio']:.2f} of its memory"
            )
    product = results["product"]["seconds"] / results["pytorch"]["seconds"]
    print(f"the same multiply-adds as a product of matrices: {product:.2f} of PyTorch's time")
    measure.keep(
        "exports",
        {
            "size": options.size,
            "calls": options.calls,
            **results,
            "ratios": ratios,
            "product_ratio": product,
        },
    )


if __name__ == "__main__":
    main()
