"""Scores what the Ascend 310 program wrote: python postprocess.py RESULT_FILES LABEL_PATH. MindSpore is not needed.

RESULT_FILES (or --predict_path) holds ID_sat.bin, LABEL_PATH (or --label_path) ID_mask.png, of any size each."""
from pathlib import Path

import numpy as np

from dlinknet import config
from dlinknet.data.pairs import find_masks
from dlinknet.data.preprocess import read_mask
from dlinknet.errors import UserError, name_some, run_command
from dlinknet.evaluation.binaries import ENDING, read_binary
from dlinknet.evaluation.metrics import confusion
from dlinknet.evaluation.report import figure_lines, seed_lines


def main(arguments: list) -> None:
    places = [word for word in arguments if not word.startswith("--")]
    settings = config.load([*(word for word in arguments if word.startswith("--")),
                            *(f"--{key}={place}" for key, place in zip(("predict_path", "label_path"), places))], __doc__)
    if len(places) > 2:
        raise UserError(f"'{places[2]}' is one too many: python postprocess.py RESULT_FILES LABEL_PATH")
    folder, masks = Path(settings.predict_path), find_masks(settings.label_path, "label_path")
    missing = [f"{id}{ENDING}" for id in masks if not (folder / f"{id}{ENDING}").is_file()]
    if missing:
        raise UserError(f"predict_path: {folder} lacks {len(missing)} of {len(masks)} files ({name_some(missing)})")
    counts = np.zeros((2, 2), np.int64)
    for id, mask in masks.items():
        truth = read_mask(mask)
        probability = read_binary(folder / f"{id}{ENDING}", *truth.shape, "predict_path")
        counts += confusion(truth, (probability > settings.threshold).astype(np.uint8))
    print(f"{len(masks)} images, road above {settings.threshold}")
    print("\n".join([*figure_lines(counts), "", "as the reference prints them, its iou being the background's:", *seed_lines(counts)]))


if __name__ == "__main__":
    run_command(main)
