"""Train D-LinkNet or LinkNet on images and their masks.

Roads: a folder of ID_sat.jpg and ID_mask.png. Several classes: --data_layout and --class_table.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.commands.data_sets import training_sets
from dlinknet.commands.resuming import refuse_changes, resume_settings, starts_from
from dlinknet.commands.training import loader_of, recipe_of, starting_network, validate
from dlinknet.config import Config
from dlinknet.config.values import Resume
from dlinknet.data.pairs import Pair, mask_lines
from dlinknet.devices import runtime
from dlinknet.devices.ranks import Ranks
from dlinknet.errors import naming
from dlinknet.files.places import need_file, need_place
from dlinknet.training.identity import data_identity
from dlinknet.training.run import ResumedRun, RunFiles

if TYPE_CHECKING:
    from dlinknet.training.loop import Trainer


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    console.start_log()
    settings, resumed = config.load(arguments, __doc__, command="train"), None
    if settings.resume:
        resumed, settings = resume_settings(settings, arguments, __doc__)
    _refuse_early(settings, resumed)
    classes, training, validation = training_sets(settings)
    identity = data_identity(training, validation, classes)
    # MindSpore takes seconds to import and reads its environment then: after the checks, and after
    # runtime has set it.
    with naming("device_target"):
        device = runtime.start(
            settings.device_target,
            settings.device_id,
            settings.seed,
            settings.tf32,
            settings.run_distribute,
        )
    from dlinknet.training.loop import Trainer
    from dlinknet.training.resume import resume
    from dlinknet.training.stopped import read_newest

    start = None
    if resumed:
        with naming("resume"):
            start = read_newest(resumed.checkpoints)
        refuse_changes(start.saved, settings, identity, start.file)
    network, weights_line = starting_network(settings, classes, start.card if start else None)
    ranks = Ranks(device.rank, device.size)
    loader = loader_of(settings, training, classes, ranks)
    files = RunFiles(Path(settings.output_path), settings.log_name)
    recipe = recipe_of(settings, training, classes, files.folder if ranks.first else None)
    trainer = Trainer(recipe, network, loader, files, identity, ranks)
    if validation:
        validate(trainer, settings, validation)
    if resumed and start:
        with naming("resume"):
            resume(trainer, start, resumed.files)
    with naming("run_distribute"):
        trainer.check_ranks_agree()
    lines = [
        "python train.py " + console.command_line(arguments),
        str(device),
        *([] if resumed else [weights_line]),
        *mask_lines(training, classes, "training masks"),
        *mask_lines(validation, classes, "validation masks"),
        f"{settings.model_name}: {len(training)} images to train on, {len(validation)} to validate "
        f"on, batches of {loader.step_images} x {loader.height} x {loader.width}",
    ]
    if ranks.first:
        texts = _texts(settings, training, validation)
        with naming("output_path"), files.reserved(texts, resumed, start.file if start else None):
            _run(trainer, lines)
    else:
        _run(trainer, lines)


def _refuse_early(settings: Config, resumed: ResumedRun | None) -> None:
    """Raise UserError for what can be seen before any data is read."""
    runtime.refuse_lonely(settings.run_distribute)
    with naming("output_path"):
        need_place(settings.output_path)
    for key in starts_from(settings, bool(resumed)):
        with naming(key):
            need_file(getattr(settings, key))


def _texts(settings: Config, training: list[Pair], validation: list[Pair]) -> dict[str, str]:
    """Return the files that a run writes at its start: the settings, and the IDs of both parts."""
    split = {"train": [pair.id for pair in training], "valid": [pair.id for pair in validation]}
    return {
        "config.yaml": dataclasses.replace(settings, resume=Resume("")).as_yaml(),
        "split.json": json.dumps(split, indent=1),
    }


def _run(trainer: Trainer, lines: list[str]) -> None:
    """Write `lines` to the log, then train."""
    for line in lines:
        console.LOG.info("%s", line)
    with naming("data_path"):
        trainer.run()


COMMAND = Command(
    main,
    inputs=(
        "data_path",
        "label_path",
        "val_path",
        "val_label_path",
        "class_table",
        "pretrained_ckpt",
        "trained_ckpt",
    ),
    output="output_path",
)
