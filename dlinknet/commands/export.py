"""Export a trained network as MINDIR, AIR or ONNX, and compare it with the checkpoint."""

import os
from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.devices import runtime
from dlinknet.errors import UserError
from dlinknet.files.places import need_file, need_place
from dlinknet.files.shipped import checkout
from dlinknet.inference.description import SUFFIXES, Shape


def main(arguments: list[str]) -> None:
    settings = config.load(arguments, __doc__, command="export")
    console.start_log()
    formats = settings.file_format.split(",")
    need_file(settings.trained_ckpt, "trained_ckpt")
    if settings.sample_image:
        need_file(settings.sample_image, "sample_image")
    if settings.num_channels != 3:
        raise UserError(f"num_channels: the networks take 3 channels, not {settings.num_channels}")
    # As in the model zoo: beside export.py, unless file_name has a folder.
    name = Path(settings.file_name)
    if os.sep not in settings.file_name:
        name = (checkout() or Path.cwd()) / name
    if os.path.basename(settings.file_name) in ("", ".", ".."):
        raise UserError(f"file_name must name a file, not '{settings.file_name}'")
    if name.suffix.lower() in SUFFIXES.values():
        name = name.with_suffix("")
    need_place(str(name.parent), "file_name")
    targets = {each: name.with_name(name.name + SUFFIXES[each]) for each in formats}
    taken = [str(target) for target in targets.values() if target.is_dir()]
    if taken:
        raise UserError(f"file_name: {taken[0]} is a folder")

    device = runtime.start(
        "CPU", 0, settings.seed
    )  # a graph is the same for all; an Ascend's AIR has its own process
    if "AIR" in formats:
        if settings.dynamic:
            raise UserError("dynamic: AIR takes one size; export it by itself")
        runtime.need_ascend("file_format", "AIR is written with an Ascend only")
    if settings.dynamic and "MINDIR" in formats:
        runtime.need_dynamic_shapes("dynamic")
    from dlinknet.checkpoints.load import load_trained
    from dlinknet.export.exporter import Export
    from dlinknet.export.onnx import need_onnx

    if "ONNX" in formats:
        need_onnx("file_format")
    shape = Shape(
        settings.batch_size,
        (settings.height, settings.width),
        settings.dynamic,
        settings.pixel_input,
    )
    console.LOG.info("%s", device)
    export = Export(
        lambda: load_trained(settings.trained_ckpt, "trained_ckpt", settings.model_name),
        settings.trained_ckpt,
        shape,
        settings.threshold,
        settings.sample_image,
        settings.device_id,
    )
    console.LOG.info(
        "%s from %s, input %s, BatchNorm %s",
        export.model,
        settings.trained_ckpt,
        " x ".join("any" if side is None else str(side) for side in shape.of_input()),
        export.batch_norm,
    )
    for each, target in targets.items():
        export.write(each, target)
        console.LOG.info("%s and %s.json are written", target, target.name)


COMMAND = Command(
    main,
    memory="--batch_size, --width or --height",
    inputs=("trained_ckpt", "sample_image"),
    output="file_name",
)
