"""Compare exported models or results of the Ascend 310 program with their checkpoint.

For each it prints the largest difference in probability over a folder of images with masks, the
pixels whose class changes, and the scores. Results are folders of ID_sat.bin.
"""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.data.layouts import evaluation_set
from dlinknet.errors import UserError
from dlinknet.files.places import need_file


def main(arguments: list[str]) -> None:
    settings = config.load(arguments, __doc__, command="parity")
    if not settings.as_json:  # the log is on stdout too
        console.start_log()
    exports = [
        str(Path(file.strip()).expanduser()) for file in settings.exports.split(",") if file.strip()
    ]
    files = [settings.trained_ckpt, *exports]
    if len(files) == 1:
        raise UserError("exports is empty: name exported models with --exports=a.mindir,b.onnx")
    if len(set(files)) < len(files):
        raise UserError("exports: a model is named twice")
    for number, file in enumerate(files):
        if not number or not Path(file).is_dir():
            need_file(file, "exports" if number else "trained_ckpt")
    classes, pairs = evaluation_set(settings)

    # What computes takes seconds to import: after the checks.
    from dlinknet.evaluation.parity import as_json, as_table, compare
    from dlinknet.inference.open_model import open_model
    from dlinknet.inference.predictor import views_of

    opened = {}
    for number, file in enumerate(files):
        if not number or not Path(file).is_dir():
            opened[file] = open_model(file, "exports" if number else "trained_ckpt", settings)
            opened[file].need_classes(classes, file, "exports" if number else "trained_ckpt")
    for device in dict.fromkeys(model.device for model in opened.values()):
        console.LOG.info(
            "%s: %s",
            device,
            ", ".join(
                f"{file} ({model.model})"
                for file, model in opened.items()
                if model.device == device
            ),
        )
    models = {file: opened[file].engine if file in opened else Path(file) for file in files}
    rows = compare(
        pairs,
        models,
        settings.tile_size,
        settings.tile_overlap,
        views_of(settings.tta, settings.augment),
        settings.threshold,
        classes,
        opened[files[0]].preprocessing.resize,
    )
    console.show(as_json(rows) if settings.as_json else as_table(rows))


COMMAND = Command(main, memory="--tile_size")
