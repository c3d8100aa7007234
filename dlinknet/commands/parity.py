"""Compare exported models or results of the C++ program with their checkpoint.

The images are those of a folder with masks. For each model the command prints the largest
difference in probability, the number of pixels whose class changes, and the scores. The results of
the C++ program are folders of ID_sat.bin.
"""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.commands.data_sets import evaluation_set
from dlinknet.config import Config
from dlinknet.errors import UserError, naming
from dlinknet.files.places import need_file


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="parity")
    if not settings.as_json:  # the log would be on stdout too
        console.start_log()
    files = _model_files(settings)
    named = {file: "exports" if number else "trained_ckpt" for number, file in enumerate(files)}
    # A folder holds the results of the C++ program, except for the first: the checkpoint.
    opens = [file for file in files if file == files[0] or not Path(file).is_dir()]
    for file in opens:
        with naming(named[file]):
            need_file(file)
    classes, pairs = evaluation_set(settings)

    # The import of MindSpore needs seconds, and so the checks come first.
    from dlinknet.commands.prediction import open_trained, tiling_of
    from dlinknet.evaluation.parity import as_json, as_table, compare

    opened = {}
    for file in opens:
        opened[file] = open_trained(settings, file, named[file])
        with naming(named[file]):
            opened[file].need_classes(classes, file)
    for device in dict.fromkeys(model.device for model in opened.values()):
        there = [
            f"{file} ({model.card.model})"
            for file, model in opened.items()
            if model.device == device
        ]
        console.LOG.info("%s: %s", device, ", ".join(there))
    models = {file: opened[file].engine if file in opened else Path(file) for file in files}
    tiling = tiling_of(settings, opened[files[0]])
    with naming("exports"):
        rows = compare(pairs, models, tiling, settings.threshold, classes)
    console.show(as_json(rows) if settings.as_json else as_table(rows))


def _model_files(settings: Config) -> list[str]:
    """Return the checkpoint and the models or folders to compare with it.

    Raises:
        UserError: there is nothing to compare, or a model is named twice.
    """
    exports = [
        str(Path(file.strip()).expanduser()) for file in settings.exports.split(",") if file.strip()
    ]
    if not exports:
        raise UserError("exports is empty: name exported models with --exports=a.mindir,b.onnx")
    files = [settings.trained_ckpt, *exports]
    if len(set(files)) < len(files):
        raise UserError("exports: a model is named twice")
    return files


COMMAND = Command(main, memory="--tile_size")
