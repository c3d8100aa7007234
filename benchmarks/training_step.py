"""Compare a training step of D-LinkNet34 in MindSpore and in PyTorch eager: time and memory.

Run: python benchmarks/training_step.py

--size is the side of the images in pixels, --batch their number. Each round measures --steps steps,
after two steps that do not count.
"""

from pathlib import Path

import measure
import sides


def main() -> None:
    """Measure both sides in turn, or one side in this process."""
    options = sides.parser(__doc__, size=512, batch=2, steps=6).parse_args()
    if not options.side:
        return sides.versus(
            __file__,
            "training_step",
            f"training step, {options.size}x{options.size}, batch {options.batch}",
            options,
        )
    step = {"mindspore": sides.mindspore_training, "pytorch": sides.pytorch_training}[options.side](
        options.batch, options.size, Path(options.weights)
    )
    first = step()
    measure.answer(seconds=measure.repeated(step, options.steps), check=first)


if __name__ == "__main__":
    main()
