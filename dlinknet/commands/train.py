"""Train D-LinkNet or LinkNet on images and their masks.

Roads: a folder of ID_sat.jpg and ID_mask.png. Several classes: --data_layout and --class_table.
"""

from __future__ import annotations

import dataclasses
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.commands.data_sets import training_sets
from dlinknet.commands.resuming import refuse_changes, resume_settings, starts_from
from dlinknet.commands.training import loader_of, recipe_of, starting_network, validate
from dlinknet.config import Config
from dlinknet.config.values import ResumePoint
from dlinknet.data import checked_files
from dlinknet.data.classes import Classes
from dlinknet.data.pairs import Pair, mask_lines
from dlinknet.devices import runtime
from dlinknet.devices.context import ComputeOptions
from dlinknet.devices.launcher import find_launch, reject_unlaunched_rank
from dlinknet.devices.ranks import Ranks
from dlinknet.errors import naming
from dlinknet.files.atomic import write_text
from dlinknet.files.places import need_file, need_writable_folder
from dlinknet.training.identity import DataIdentity, data_identity
from dlinknet.training.run import ResumedRun, RunFiles

if TYPE_CHECKING:
    from dlinknet.data.loader import TrainingLoader
    from dlinknet.models.linknet import LinkNet
    from dlinknet.training.loop import Trainer
    from dlinknet.training.stopped import StoppedRun


class _Data(NamedTuple):
    """The data of a run.

    identity: tells the data set from another. checked: the text of the file that remembers what was
    checked.
    """

    classes: Classes
    training: list[Pair]
    validation: list[Pair]
    identity: DataIdentity
    checked: str


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    console.start_log()
    settings, resumed = _read_settings(arguments)
    _refuse_early(settings, resumed)
    data = _read_data(settings)

    # MindSpore reads its environment when it is imported, and so runtime must set the environment
    # first. The import needs seconds, and so the checks of settings and data come first too.
    device = _start_device(settings)
    ranks = Ranks(device.rank, device.size)
    start = _read_checkpoint(resumed, settings, data.identity) if resumed else None
    network, weights_line = starting_network(settings, data.classes, start.card if start else None)
    trainer = _make_trainer(settings, data, network, ranks)
    if resumed and start:
        _restore(trainer, start, resumed.files)
    with naming("run_distribute"):
        trainer.check_ranks_agree()

    lines = [
        "python train.py " + console.command_line(arguments),
        str(device),
        *([] if resumed else [weights_line]),
        *_data_lines(settings, data, trainer.loader),
    ]
    if ranks.first:
        texts = {
            **first_texts(settings, data.training, data.validation),
            "checked.json": data.checked,
        }
        checkpoint = start.file if start else None
        with naming("output_path"), trainer.files.reserved(texts, resumed, checkpoint):
            _train(trainer, lines)
    else:
        _train(trainer, lines)


def _read_settings(arguments: list[str]) -> tuple[Config, ResumedRun | None]:
    """Return the settings, and the run to resume if --resume asks for one."""
    settings = config.load(arguments, __doc__, command="train")
    if not settings.resume:
        return settings, None
    resumed, settings = resume_settings(settings, arguments, __doc__)
    return settings, resumed


def _refuse_early(settings: Config, resumed: ResumedRun | None) -> None:
    """Raise UserError for mistakes that are visible before any data is read."""
    with naming("run_distribute"):
        reject_unlaunched_rank(settings.run_distribute)
    with naming("output_path"):
        need_writable_folder(settings.output_path)
    for key in starts_from(settings, bool(resumed)):
        with naming(key):
            need_file(getattr(settings, key))


def _read_data(settings: Config) -> _Data:
    """Return the data that the settings name, checked."""
    own = RunFiles(Path(settings.output_path), settings.log_name).path("checked.json")
    if not settings.run_distribute:
        return _check_data(settings, [own])
    with checked_files.check_once(_folders(settings)) as shared:
        if shared is None:
            return _check_data(settings, [own])
        data = _check_data(settings, [own, shared])
        with suppress(OSError):
            write_text(shared, data.checked)
    return data


def _folders(settings: Config) -> tuple[str, ...]:
    """Return the folders of images and masks that the settings may name."""
    return settings.data_path, settings.label_path, settings.val_path, settings.val_label_path


def _check_data(settings: Config, checked: list[Path]) -> _Data:
    """Return the data that the settings name. Files that `checked` remembers are not decoded."""
    classes, training, validation = training_sets(settings, checked)
    identity = data_identity(training, validation, classes)
    text = checked_files.to_text([*training, *validation], classes)
    return _Data(classes, training, validation, identity, text)


def _start_device(settings: Config) -> runtime.Device:
    """Start MindSpore on the device that the settings name.

    Raises:
        UserError: the device cannot be used, no launcher started this process, or the device has
            no bfloat16 and the settings require it.
        RunFailed: the other processes of the training did not start.
    """
    with naming("run_distribute"):
        launch = find_launch() if settings.run_distribute else None
    with naming("device_target"):
        device = runtime.start(
            settings.device_target,
            settings.device_id,
            settings.seed,
            ComputeOptions(settings.tf32, settings.jit_level),
            launch,
        )
    if settings.amp_level == "BF16":
        with naming("amp_level"):
            runtime.need_bfloat16(settings.amp_level)
    return device


def _read_checkpoint(resumed: ResumedRun, settings: Config, identity: DataIdentity) -> StoppedRun:
    """Return the newest undamaged checkpoint of the run to resume.

    Raises:
        UserError: all checkpoints are damaged, or settings or data differ from those of the run.
    """
    from dlinknet.training.stopped import read_newest

    with naming("resume"):
        start = read_newest(resumed.checkpoints)
    refuse_changes(start.saved, settings, identity, start.file)
    return start


def _make_trainer(settings: Config, data: _Data, network: LinkNet, ranks: Ranks) -> Trainer:
    """Return the trainer of this process."""
    from dlinknet.training.loop import Trainer

    loader = loader_of(settings, data.training, data.classes, ranks)
    files = RunFiles(Path(settings.output_path), settings.log_name)
    # Only rank 0 writes files.
    folder = files.folder if ranks.first else None
    recipe = recipe_of(settings, data.training, data.classes, folder)
    trainer = Trainer(recipe, network, loader, files, data.identity, ranks)
    if data.validation:
        validate(trainer, settings, data.validation)
    return trainer


def _restore(trainer: Trainer, start: StoppedRun, files: RunFiles) -> None:
    """Give a trainer the state of the checkpoint `start`, one of `files`."""
    from dlinknet.training.resume import resume

    with naming("resume"):
        resume(trainer, start, files)


def _data_lines(settings: Config, data: _Data, loader: TrainingLoader) -> list[str]:
    """Return the lines of the log about the data."""
    return [
        *mask_lines(data.training, data.classes, "training masks"),
        *mask_lines(data.validation, data.classes, "validation masks"),
        f"{settings.model_name}: {len(data.training)} images to train on, {len(data.validation)} "
        f"to validate on, batches of {loader.step_images} x {loader.height} x {loader.width}",
    ]


def first_texts(settings: Config, training: list[Pair], validation: list[Pair]) -> dict[str, str]:
    """Return the files that a run writes at its start: the settings, and the IDs of both parts."""
    split = {"train": [pair.id for pair in training], "valid": [pair.id for pair in validation]}
    return {
        "config.yaml": dataclasses.replace(settings, resume=ResumePoint("")).as_yaml(),
        "split.json": json.dumps(split, indent=1),
    }


def _train(trainer: Trainer, lines: list[str]) -> None:
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
