"""The run that --resume means, and the check that it would continue as the same run."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

from dlinknet.config import Config, default, load, read_values
from dlinknet.config.values import NEWEST
from dlinknet.console import LOG
from dlinknet.errors import UserError, clipped
from dlinknet.training.identity import DataIdentity, data_differences
from dlinknet.training.progress import SavedRun
from dlinknet.training.recipe import PLANNED
from dlinknet.training.run import LAST, PREVIOUS, ResumedRun, RunFiles


def resume_settings(
    settings: Config, arguments: list[str], description: str
) -> tuple[ResumedRun, Config]:
    """Return the run that the setting `resume` means, and the settings to continue with.

    These are the settings of the run, as far as the command line does not override them.

    Args:
        settings: the result of config.load(arguments, description).

    Raises:
        UserError: what `find_run` and config.load raise.
    """
    found = find_run(settings, "*")
    resolved = load(arguments, description, found.settings)
    # The command line may name another run than the newest one.
    if resolved.resume == NEWEST and resolved.log_name != found.files.log_name:
        found = find_run(settings, resolved.log_name)
        resolved = load(arguments, description, found.settings)
    return found, resolved


def find_run(settings: Config, log_name: str) -> ResumedRun:
    """Return the run that the setting `resume` means.

    Args:
        log_name: the name of the run if `resume` is NEWEST; '*' for any name.

    Raises:
        UserError: there is no such run, or the file does not have the name of a run's checkpoint.
    """
    if settings.resume == NEWEST:
        file = _newest_checkpoint(settings.output_path, log_name)
    else:
        file = Path(settings.resume)
        if not file.is_file():
            raise UserError(f"resume: there is no file {file}")
    ending = next((ending for ending in (LAST, PREVIOUS) if file.name.endswith(f"_{ending}")), None)
    if ending is None:
        raise UserError(
            f"resume: {file} is not a LOG_NAME_{LAST}, which a run requires to go on; "
            "--pretrained_ckpt=FILE starts a new run from the encoder's weights in it"
        )
    files = RunFiles(file.parent, file.name[: -len(f"_{ending}")])
    checkpoints = [path for path in (files.last, files.previous) if path.exists()]
    if settings.resume != NEWEST and ending == PREVIOUS:
        checkpoints = [file]
    own = read_values(files.path("config.yaml")) if files.path("config.yaml").exists() else {}
    return ResumedRun(
        files, checkpoints, {**own, "output_path": str(files.folder), "log_name": files.log_name}
    )


def _newest_checkpoint(folder: str, log_name: str) -> Path:
    """Return the newest checkpoint in a folder that a run can continue from.

    Args:
        log_name: the name of the run; '*' for any name.

    Raises:
        UserError: there is none.
    """
    name = log_name if log_name == "*" else glob.escape(log_name)
    found = [path for ending in (LAST, PREVIOUS) for path in Path(folder).glob(f"{name}_{ending}")]
    if not found:
        raise UserError(
            f"resume: {folder} holds no {log_name.replace('*', 'LOG_NAME')}_{LAST} to go on from; "
            "start without --resume, or name a file with --resume=FILE"
        )
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def refuse_changes(saved: SavedRun, settings: Config, identity: DataIdentity, file: Path) -> None:
    """Check that a resumed run would continue as the same run.

    Args:
        saved: the run, as its checkpoint describes it.
        settings: the settings to continue with.
        identity: the identity of the present data set.
        file: the checkpoint, for the error's line.

    Raises:
        UserError: a setting of FIXED or the data set differs. The line lists the differences.
    """
    names = {"epochs": f"the planned number of epochs ({settings.epochs_key})"}
    unlike = []
    for key, value in saved.settings.items():
        if not hasattr(settings, key) or not _equal(value, getattr(settings, key)):
            name, now = names.get(key, clipped(key, 60)), getattr(settings, key, "not known here")
            unlike.append(f"{name} was {clipped(str(value), 60)}, is {now}")
    unlike += data_differences(saved.data, identity)
    if unlike:
        raise UserError(
            f"resume: {file} is of another run: {clipped('; '.join(unlike), 180)}; to start a new "
            "training, name another log_name or another folder for the results"
        )


def _equal(saved: Any, now: Any) -> bool:
    """Return whether two values of a setting are equal. In JSON true is not 1."""
    return saved == now and isinstance(saved, bool) == isinstance(now, bool)


# The settings that a resumed run cannot change.
FIXED = (
    "model_name",
    "pretrained_ckpt",
    "train_size",
    "augment",
    "batch_size",
    "learning_rate",
    "init_loss_scale",
    "scale_factor",
    "scale_window",
    "seed",
    "threshold",
    "tile_size",
    "tile_overlap",
    "amp_level",
    "tf32",
    "data_layout",
    "ignore_index",
    "train_height",
    "resize_width",
    "resize_height",
    "preprocessing",
    "decoder",
    "optimizer",
    "momentum",
    "weight_decay",
    "schedule",
    "schedule_epochs",
    "schedule_factor",
    "class_weights",
)


def fixed_settings(settings: Config) -> dict[str, Any]:
    """Return the settings that a resumed run cannot change, with their values.

    The key 'epochs' stands for epoch_num, or for distribute_epoch_num if run_distribute is set.
    """
    planned = ("epochs",) if settings.schedule in PLANNED else ()
    return {key: getattr(settings, key) for key in (*FIXED, *planned)}


def starts_from(settings: Config, resumes: bool) -> list[str]:
    """Return the settings that name files with start weights; none for a resumed run.

    A trained_ckpt on the command line is the network to fine-tune. A trained_ckpt in a YAML file is
    not used, because such files often serve evaluation and export too. The log says so.

    Args:
        resumes: whether a run is resumed.

    Raises:
        UserError: the command line names a network to fine-tune for a resumed run, or together with
            an encoder.
    """
    tunes = "trained_ckpt" in settings.given
    if tunes and resumes:
        raise UserError(
            "trained_ckpt: a run that goes on has its own weights; leave trained_ckpt or resume out"
        )
    if tunes and "pretrained_ckpt" in settings.given:
        raise UserError(
            "trained_ckpt and pretrained_ckpt both name weights to start from: give the whole "
            "network or the encoder"
        )
    if resumes:
        return []
    if not tunes and settings.trained_ckpt != default("trained_ckpt"):
        LOG.info(
            "trained_ckpt is only in the settings' file and is not used; --trained_ckpt=FILE "
            "on the command line fine-tunes that network"
        )
    return ["trained_ckpt"] if tunes else ["pretrained_ckpt"] if settings.pretrained_ckpt else []
