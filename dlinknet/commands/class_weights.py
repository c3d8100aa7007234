"""Count the classes in the training masks, and print their shares and weights.

A class with share p has the weight 1 / ln(p + 1.02). train.py --class_weights=log uses these
weights in the cross-entropy. It reads the counts in --output_path, where this command writes them.
"""

from dataclasses import replace
from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.commands.data_sets import training_sets
from dlinknet.data.class_weights import FILE, frequencies
from dlinknet.data.pairs import mask_lines
from dlinknet.errors import naming
from dlinknet.files.places import need_writable_folder


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="class-weights")
    console.start_log()
    with naming("output_path"):
        need_writable_folder(settings.output_path)
    classes, training, _ = training_sets(replace(settings, class_weights="log"))
    folder = Path(settings.output_path)
    with naming("class_weights"):
        found = frequencies(training, classes, folder)
    for line in mask_lines(training, classes, "training masks"):
        console.LOG.info("%s", line)
    console.LOG.info(
        "%.2f %% of all pixels are void and do not count; pixels and weights of %d masks are in %s",
        100 * found.void / (found.void + found.pixels.sum()),
        len(training),
        folder / FILE,
    )
    console.show(
        console.columns(
            [
                ["class", "share", "weight"],
                *(
                    [name, f"{share:.4f}", f"{weight:.4f}"]
                    for name, share, weight in zip(found.names, found.shares, found.weights)
                ),
            ],
            right=2,
        )
    )


COMMAND = Command(main)
