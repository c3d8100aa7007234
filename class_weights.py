"""Counts how often each class is in the training masks and prints the weights that the cross-entropy takes with
--class_weights=log, 1 / ln(p + 1.02). Both are kept in output_path, where train.py finds them."""
from pathlib import Path

from dlinknet import config, console
from dlinknet.data.frequencies import FILE, class_weights
from dlinknet.data.layouts import training_sets
from dlinknet.errors import UserError, run_command
from dlinknet.files import need_place


def main(arguments: list) -> None:
    settings = config.load(arguments, __doc__)
    console.start_log()
    need_place(settings.output_path, "output_path")
    classes, training, _ = training_sets(settings)
    if classes.road:
        raise UserError("data_layout: DeepGlobe's masks know road alone, whose loss takes no weights")
    folder = Path(settings.output_path)
    for name, weight in zip(classes.names, class_weights(training, classes, folder)):
        print(f"{name}: {weight:.4f}")
    console.LOG.info("pixels and weights of %d masks are in %s", len(training), folder / FILE)


if __name__ == "__main__":
    run_command(main)
