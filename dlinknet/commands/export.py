"""Export a trained network as MINDIR, AIR or ONNX, and compare it with the checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.commands.data_sets import calibration_set
from dlinknet.config import Config
from dlinknet.data.classes import Classes, names_unlike
from dlinknet.data.pairs import Pair, marks_of
from dlinknet.data.roads import ROADS
from dlinknet.devices import runtime
from dlinknet.errors import UserError, naming
from dlinknet.files.places import need_file, need_writable_folder
from dlinknet.files.shipped import checkout
from dlinknet.inference.description import SUFFIXES, Shape

if TYPE_CHECKING:
    from dlinknet.checkpoints.load import TrainedNetwork
    from dlinknet.checkpoints.model_card import ModelCard
    from dlinknet.export.quantize import Quantizing
    from dlinknet.inference.engines import Engine


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="export")
    console.start_log()
    _check_inputs(settings)
    targets = _target_files(settings)
    classes, pairs = _calibration(settings)

    # A graph is the same for all devices. Another process writes the AIR file, on the Ascend.
    device = runtime.start("CPU", 0, settings.seed)
    _refuse_impossible(list(targets), settings.dynamic)
    from dlinknet.export.exporter import Export, Source

    console.LOG.info("%s", device)
    size = (settings.height, settings.width)
    shape = Shape(settings.batch_size, size, settings.dynamic, settings.pixel_input)
    source = Source(settings.trained_ckpt, lambda: _load(settings))
    with naming("sample_image"):
        export = Export(
            source, shape, settings.threshold, settings.sample_image, settings.device_id
        )
    console.LOG.info(
        "%s from %s, input %s, BatchNorm %s",
        export.card.model,
        settings.trained_ckpt,
        " x ".join("any" if side is None else str(side) for side in shape.of_input()),
        export.batch_norm,
    )
    quantizing = _quantizing(settings, export.card, classes, pairs) if pairs else None
    for each, target in targets.items():
        export.write(each, target, quantizing if each == "ONNX" else None)
        console.LOG.info("%s and %s.json are written", target, target.name)


def _check_inputs(settings: Config) -> None:
    """Raise UserError if a file is missing or the number of channels is not possible."""
    with naming("trained_ckpt"):
        need_file(settings.trained_ckpt)
    if settings.sample_image:
        with naming("sample_image"):
            need_file(settings.sample_image)
    if settings.num_channels != 3:
        raise UserError(
            f"num_channels: the networks accept 3 channels, not {settings.num_channels}"
        )


def _calibration(settings: Config) -> tuple[Classes, list[Pair]]:
    """Return (classes, pairs) of the images for quantize; no pairs if nothing is quantized.

    Raises:
        UserError: the settings contradict each other, NNCF is missing, or files are missing or bad.
    """
    if settings.quantize == "none":
        return ROADS, []
    if "ONNX" not in settings.file_format.split(","):
        raise UserError(f"quantize: int8 requires --file_format=ONNX, not {settings.file_format}")
    if not settings.calibration_path:
        raise UserError("calibration_path is empty: quantize requires a folder of images and masks")
    from dlinknet.export.quantize import LEAST, MOST, need_nncf

    with naming("quantize"):
        need_nncf()
    classes, pairs = calibration_set(settings)
    if len(pairs) < LEAST:
        raise UserError(
            f"calibration_path: {settings.calibration_path} has {len(pairs)} images with masks; "
            f"quantize requires at least {LEAST}"
        )
    with naming("calibration_path"):
        classes.refuse_untrainable(marks_of(pairs), settings.calibration_path)
    return classes, pairs[:: -(-len(pairs) // MOST)]


def _quantizing(
    settings: Config, card: ModelCard, classes: Classes, pairs: list[Pair]
) -> Quantizing:
    """Return how the quantization of the network `card` is measured, on these images.

    Raises:
        UserError: the network has other classes than the masks.
    """
    from dlinknet.evaluation.judging import judge_of
    from dlinknet.evaluation.scoring import score_all
    from dlinknet.export.quantize import Quantizing
    from dlinknet.inference.predictor import Predictor
    from dlinknet.inference.tiles import Tiling

    own = card.known_classes(settings.trained_ckpt)
    if unlike := names_unlike(own.names, classes.names, "model"):
        raise UserError(f"calibration_path: the masks do not fit the network: {unlike}")
    figure, tiling = judge_of(classes).main_figures[0], Tiling(resize=card.preprocessing.resize)

    def score(engine: Engine) -> float:
        predictor = Predictor(engine, tiling)
        return score_all(pairs, predictor, settings.threshold, "scoring", classes=classes)[figure]

    def calls(engine: Engine) -> int:
        predictor = Predictor(engine, tiling)
        tiles = (predictor.tiles(pair.height, pair.width) for pair in pairs)
        return sum(-(-count // engine.batch) for count in tiles)

    return Quantizing(score, calls, figure, len(pairs), settings.quantize_tolerance)


def _target_files(settings: Config) -> dict[str, Path]:
    """Return format -> file to write, for all formats of file_format.

    Raises:
        UserError: file_name names no file, or files cannot be written there.
    """
    name = Path(settings.file_name)
    # The model zoo writes beside export.py if file_name has no folder.
    if os.sep not in settings.file_name:
        name = (checkout() or Path.cwd()) / name
    if os.path.basename(settings.file_name) in ("", ".", ".."):
        raise UserError(f"file_name must name a file, not '{settings.file_name}'")
    if name.suffix.lower() in SUFFIXES.values():
        name = name.with_suffix("")
    with naming("file_name"):
        need_writable_folder(str(name.parent))
    formats = settings.file_format.split(",")
    targets = {each: name.with_name(name.name + SUFFIXES[each]) for each in formats}
    taken = [str(target) for target in targets.values() if target.is_dir()]
    if taken:
        raise UserError(f"file_name: {taken[0]} is a folder")
    return targets


def _load(settings: Config) -> TrainedNetwork:
    """Load the trained network. Each call returns a new one.

    Raises:
        UserError: the checkpoint or its class table cannot be used.
    """
    from dlinknet.checkpoints.load import load_trained

    with naming("trained_ckpt"):
        trained = load_trained(settings.trained_ckpt, settings.model_name)
        trained.card.known_classes(settings.trained_ckpt)
    return trained


def _refuse_impossible(formats: list[str], dynamic: bool) -> None:
    """Raise UserError if a format cannot be written on this machine."""
    if "AIR" in formats:
        if dynamic:
            raise UserError("dynamic: AIR has one size; export it by itself")
        with naming("file_format"):
            runtime.need_ascend("AIR")
        console.LOG.info("MindSpore will remove AIR; an ONNX file and CANN's ATC replace it")
    if dynamic and "MINDIR" in formats:
        with naming("dynamic"):
            runtime.need_dynamic_shapes()
    if "ONNX" in formats:
        from dlinknet.export.onnx import need_onnx

        with naming("file_format"):
            need_onnx()


COMMAND = Command(
    main,
    memory="--batch_size, --width or --height",
    inputs=("trained_ckpt", "sample_image", "calibration_path", "calibration_label_path"),
    output="file_name",
)
