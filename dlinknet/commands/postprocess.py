"""Score the results of the C++ program.

Usage: python postprocess.py RESULT_FILES LABEL_PATH. The folder RESULT_FILES (or --predict_path)
holds ID_sat.bin. The folder LABEL_PATH (or --label_path) holds ID_mask.png. Images may have any
size. The command finds the masks of other data sets as eval.py does. It does not require MindSpore.
"""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.commands.data_sets import classes_of, evaluation_set
from dlinknet.config import Config
from dlinknet.data.layouts import TABLES_OF_PARTS
from dlinknet.data.pairs import find_masks
from dlinknet.errors import UserError, name_some, naming
from dlinknet.evaluation.judging import judge_of
from dlinknet.evaluation.metrics import confusion
from dlinknet.evaluation.results_310 import ENDING, read_binary
from dlinknet.evaluation.tables import tally_of
from dlinknet.inference.predictor import labels_of


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = _read_settings(arguments)
    folder, classes = Path(settings.predict_path), classes_of(settings)
    masks = _find_masks(settings)
    missing = [f"{id}{ENDING}" for id in masks if not (folder / f"{id}{ENDING}").is_file()]
    if missing:
        raise UserError(
            f"predict_path: {folder} lacks {len(missing)} of {len(masks)} files "
            f"({name_some(missing)})"
        )
    rows = []
    for id, mask in masks.items():
        with naming("label_path"):
            truth = classes.read(mask)
        with naming("predict_path"):
            height, width = truth.shape
            file = folder / f"{id}{ENDING}"
            probability = read_binary(file, height, width, classes.outputs)
        rows.append(
            (id, confusion(truth, labels_of(probability, settings.threshold), len(classes.known)))
        )
    judge, tally = judge_of(classes), tally_of(rows, classes)
    lines = [judge.heading(len(masks), settings.threshold), *judge.lines(tally)]
    if reference := judge.reference_lines(tally):
        said = "as the model zoo's D-LinkNet prints them; its iou is the background's:"
        lines += ["", said, *reference]
    console.show("\n".join(lines))


def _read_settings(arguments: list[str]) -> Config:
    """Return the settings of a command line that may begin with RESULT_FILES and LABEL_PATH.

    Raises:
        UserError: what config.load raises, a third word, or a label_path that the layout excludes.
    """
    places = [word for word in arguments if not word.startswith("--")]
    options = [word for word in arguments if word.startswith("--")]
    named = [f"--{key}={place}" for key, place in zip(("predict_path", "label_path"), places)]
    settings = config.load([*options, *named], __doc__, command="postprocess")
    if len(places) > 2:
        raise UserError(
            f"'{places[2]}' is one too many: python postprocess.py RESULT_FILES LABEL_PATH"
        )
    if "label_path" in settings.given and settings.data_layout in TABLES_OF_PARTS:
        raise UserError(
            f"label_path: {settings.data_layout} has its masks in data_path; for masks in a folder "
            "of their own give --data_layout=folder --class_table=TABLE"
        )
    return settings


def _find_masks(settings: Config) -> dict[str, Path]:
    """Return ID -> file of the true masks. Road masks do not require their images.

    Raises:
        UserError: files are missing or bad.
    """
    if settings.data_layout == "deepglobe":
        with naming("label_path"):
            return find_masks(settings.label_path)
    return {pair.id: pair.mask for pair in evaluation_set(settings)[1]}


COMMAND = Command(main)
