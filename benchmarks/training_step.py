"""One training step of D-LinkNet34, ours beside PyTorch eager: time and memory. python benchmarks/training_step.py"""
import argparse
import tempfile
from pathlib import Path

import measure
import sides


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6, help="steps measured in each round, after two that are not")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        step = {"mindspore": sides.mindspore_training, "pytorch": sides.pytorch_training}[options.side](
            options.batch, options.size, Path(options.weights))
        first = step()
        measure.answer(seconds=measure.repeated(step, options.steps), check=first)
        return
    sides.need_torch()
    with tempfile.TemporaryDirectory() as folder:
        results = measure.in_turn(__file__, ["mindspore", "pytorch"], options.rounds, f"--size={options.size}",
                                  f"--batch={options.batch}", f"--steps={options.steps}", f"--weights={folder}/weights.npz")
    ratios = measure.compare(results, "mindspore", "pytorch")
    print(f"training step, {options.size}x{options.size}, batch {options.batch}: {ratios['seconds_ratio']:.2f} of PyTorch's "
          f"time, {ratios['peak_gb_ratio']:.2f} of its memory")
    measure.keep("training_step", {"size": options.size, "batch": options.batch, **results, **ratios})


if __name__ == "__main__":
    main()
