"""Score the results of the Ascend 310 program.

python postprocess.py RESULT_FILES LABEL_PATH. RESULT_FILES (or --predict_path) holds ID_sat.bin,
LABEL_PATH (or --label_path) ID_mask.png, of any size each. The masks of other data sets are found
as eval.py finds them. MindSpore is not required.
"""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.commands.data_sets import classes_of, evaluation_set
from dlinknet.data.layouts import TABLES_OF_PARTS
from dlinknet.data.pairs import find_masks
from dlinknet.errors import UserError, name_some, naming
from dlinknet.evaluation.judging import judge_of
from dlinknet.evaluation.metrics import confusion
from dlinknet.evaluation.results_310 import ENDING, read_binary
from dlinknet.evaluation.tables import tally_of
from dlinknet.inference.predictor import labels_of


def main(arguments: list[str]) -> None:
    places = [word for word in arguments if not word.startswith("--")]
    settings = config.load(
        [
            *(word for word in arguments if word.startswith("--")),
            *(f"--{key}={place}" for key, place in zip(("predict_path", "label_path"), places)),
        ],
        __doc__,
        command="postprocess",
    )
    if len(places) > 2:
        raise UserError(
            f"'{places[2]}' is one too many: python postprocess.py RESULT_FILES LABEL_PATH"
        )
    named = len(places) == 2 or any(word.split("=")[0] == "--label_path" for word in arguments)
    if named and settings.data_layout in TABLES_OF_PARTS:
        raise UserError(
            f"label_path: {settings.data_layout} has its masks in data_path; for masks in a folder of theirs give "
            "--data_layout=folder --class_table=TABLE"
        )
    folder, classes = Path(settings.predict_path), classes_of(settings)
    if settings.data_layout == "deepglobe":  # images are not required
        with naming("label_path"):
            masks = find_masks(settings.label_path)
    else:
        masks = {pair.id: pair.mask for pair in evaluation_set(settings)[1]}
    missing = [f"{id}{ENDING}" for id in masks if not (folder / f"{id}{ENDING}").is_file()]
    if missing:
        raise UserError(
            f"predict_path: {folder} lacks {len(missing)} of {len(masks)} files ({name_some(missing)})"
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


COMMAND = Command(main)
