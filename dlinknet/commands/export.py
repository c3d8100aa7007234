"""Export a trained network as MINDIR, AIR or ONNX, and compare it with the checkpoint."""

import os
from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.devices import runtime
from dlinknet.errors import UserError, naming
from dlinknet.files.places import need_file, need_writable_folder
from dlinknet.files.shipped import checkout
from dlinknet.inference.description import SUFFIXES, Shape


def main(arguments: list[str]) -> None:
    settings = config.load(arguments, __doc__, command="export")
    console.start_log()
    formats = settings.file_format.split(",")
    with naming("trained_ckpt"):
        need_file(settings.trained_ckpt)
    if settings.sample_image:
        with naming("sample_image"):
            need_file(settings.sample_image)
    if settings.num_channels != 3:
        raise UserError(
            f"num_channels: the networks accept 3 channels, not {settings.num_channels}"
        )
    # As in the model zoo: beside export.py, unless file_name has a folder.
    name = Path(settings.file_name)
    if os.sep not in settings.file_name:
        name = (checkout() or Path.cwd()) / name
    if os.path.basename(settings.file_name) in ("", ".", ".."):
        raise UserError(f"file_name must name a file, not '{settings.file_name}'")
    if name.suffix.lower() in SUFFIXES.values():
        name = name.with_suffix("")
    with naming("file_name"):
        need_writable_folder(str(name.parent))
    targets = {each: name.with_name(name.name + SUFFIXES[each]) for each in formats}
    taken = [str(target) for target in targets.values() if target.is_dir()]
    if taken:
        raise UserError(f"file_name: {taken[0]} is a folder")

    # A graph is the same for all devices; an Ascend's AIR is written by a process of its own.
    device = runtime.start("CPU", 0, settings.seed)
    _refuse_impossible(formats, settings.dynamic)
    from dlinknet.checkpoints.load import load_trained
    from dlinknet.export.exporter import Export, Source

    shape = Shape(
        settings.batch_size,
        (settings.height, settings.width),
        settings.dynamic,
        settings.pixel_input,
    )
    console.LOG.info("%s", device)
    source = Source(
        settings.trained_ckpt, lambda: load_trained(settings.trained_ckpt, settings.model_name)
    )
    with naming("trained_ckpt"):
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
    for each, target in targets.items():
        export.write(each, target)
        console.LOG.info("%s and %s.json are written", target, target.name)


def _refuse_impossible(formats: list[str], dynamic: bool) -> None:
    """Raise UserError if one of the formats cannot be written here."""
    if "AIR" in formats:
        if dynamic:
            raise UserError("dynamic: AIR has one size; export it by itself")
        with naming("file_format"):
            runtime.need_ascend("AIR")
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
    inputs=("trained_ckpt", "sample_image"),
    output="file_name",
)
