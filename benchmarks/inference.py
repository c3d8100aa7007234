"""Compare the inference of D-LinkNet34 in MindSpore and in PyTorch eager: time and memory.

Run: python benchmarks/inference.py

--size is the side of the image in pixels. Each round measures --calls calls, after one call that
does not count.
"""

from pathlib import Path

import measure
import sides


def main() -> None:
    """Measure both sides in turn, or one side in this process."""
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
