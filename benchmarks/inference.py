"""Inference with D-LinkNet34, ours beside PyTorch eager: time and memory. python benchmarks/inference.py

--size is the image's side in pixels; --calls are measured in each round, after one that is not.
"""

from pathlib import Path

import measure
import sides


def main() -> None:
    options = sides.parser(__doc__, size=1024, calls=8).parse_args()
    if not options.side:
        return sides.versus(
            __file__, "inference", f"inference, {options.size}x{options.size}", options
        )
    infer = {"mindspore": sides.mindspore_inference, "pytorch": sides.pytorch_inference}[
        options.side
    ](options.size, options.size, Path(options.weights))
    measure.answer(seconds=measure.repeated(infer, options.calls), check=float(infer().mean()))


if __name__ == "__main__":
    main()
