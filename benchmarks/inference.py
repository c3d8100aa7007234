"""Inference with D-LinkNet34, ours beside PyTorch eager: time and memory. python benchmarks/inference.py"""
import argparse
import tempfile
from pathlib import Path

import measure
import sides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="side of the image in pixels")
    parser.add_argument("--calls", type=int, default=8, help="calls measured in each round, after one that is not")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        infer = {"mindspore": sides.mindspore_inference, "pytorch": sides.pytorch_inference}[options.side](
            options.size, options.size, Path(options.weights))
        measure.answer(seconds=measure.repeated(infer, options.calls), check=float(infer().mean()))
        return
    sides.need_torch()
    with tempfile.TemporaryDirectory() as folder:
        results = measure.in_turn(__file__, ["mindspore", "pytorch"], options.rounds, f"--size={options.size}",
                                  f"--calls={options.calls}", f"--weights={folder}/weights.npz")
    ratios = measure.compare(results, "mindspore", "pytorch")
    print(f"inference, {options.size}x{options.size}: {ratios['seconds_ratio']:.2f} of PyTorch's time, "
          f"{ratios['peak_gb_ratio']:.2f} of its memory")
    measure.keep("inference", {"size": options.size, **results, **ratios})


if __name__ == "__main__":
    main()
