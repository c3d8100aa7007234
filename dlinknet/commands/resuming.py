"""Which run --resume means, and whether the settings would go on as the same run."""

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
    """The run that the setting `resume` means, and its settings with what the command line says of them.

    Args:
        settings: as config.load gives them without a run; arguments, description: what it was given.

    Raises:
        UserError: what find_run and config.load raise.
    """
    found = find_run(settings, "*")
    resolved = load(arguments, description, found.settings)
    if (
        resolved.resume == NEWEST and resolved.log_name != found.files.log_name
    ):  # the user has named another one
        found = find_run(settings, resolved.log_name)
        resolved = load(arguments, description, found.settings)
    return found, resolved


def find_run(settings: Config, log_name: str) -> ResumedRun:
    """The run that the setting `resume` means.

    Args:
        log_name: of a run that is looked for; '*' for any.

    Raises:
        UserError: there is none, or the file is not named as a run's checkpoint is.
    """
    if settings.resume == NEWEST:
        name = log_name if log_name == "*" else glob.escape(log_name)
        found = [
            path
            for ending in (LAST, PREVIOUS)
            for path in Path(settings.output_path).glob(f"{name}_{ending}")
        ]
        if not found:
            raise UserError(
                f"resume: {settings.output_path} holds no {log_name.replace('*', 'LOG_NAME')}_{LAST} to go on from; "
                "start without --resume, or name a file with --resume=FILE"
            )
        file = max(found, key=lambda path: (path.stat().st_mtime_ns, path.name))
    else:
        file = Path(settings.resume)
        if not file.is_file():
            raise UserError(f"resume: there is no file {file}")
    ending = next((ending for ending in (LAST, PREVIOUS) if file.name.endswith(f"_{ending}")), None)
    if ending is None:
        raise UserError(
            f"resume: {file} is not a LOG_NAME_{LAST}, which holds what a run needs to go on; "
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


def refuse_changes(saved: SavedRun, settings: Config, identity: DataIdentity, file: Path) -> None:
    """Checks that a checkpoint's run would go on as the same run.

    Args:
        saved: what the checkpoint says of its run.
        identity: the data_identity of the data set that is there now.
        file: the checkpoint's, for the error's line.

    Raises:
        UserError: a setting of FIXED or the data set differs; the line says what.
    """
    said = {"epochs": f"the planned number of epochs ({settings.epochs_key})"}
    unlike = [
        f"{said.get(key, clipped(key, 60))} was {clipped(str(value), 60)}, is {getattr(settings, key, 'not known here')}"
        for key, value in saved.settings.items()
        if not hasattr(settings, key) or not _equal(value, getattr(settings, key))
    ]
    unlike += data_differences(saved.data, identity)
    if unlike:
        raise UserError(
            f"resume: {file} is of another run: {clipped('; '.join(unlike), 180)}; to train anew, name "
            "another log_name or another folder for the results"
        )


def _equal(saved: Any, now: Any) -> bool:
    """Whether two values of a setting are equal; in JSON true is not 1."""
    return saved == now and isinstance(saved, bool) == isinstance(now, bool)


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
    """The settings that a resumed run cannot change and still be the same run."""
    planned = (
        ("epochs",) if settings.schedule in PLANNED else ()
    )  # alone and together have settings of their own for it
    return {key: getattr(settings, key) for key in (*FIXED, *planned)}


def starts_from(settings: Config, resumes: bool) -> list[str]:
    """Return the settings that name files with the weights to start from; none of a run that goes on.

    The trained_ckpt that the command line names is fine-tuned. One in a YAML file alone, which often serves evaluation and export too, is
    passed over, and the log says so.

    Raises:
        UserError: the command line names a network to fine-tune beside an encoder, or for a run that goes on.
    """
    tunes = "trained_ckpt" in settings.given
    if tunes and resumes:
        raise UserError(
            "trained_ckpt: a run that goes on has its own weights; leave trained_ckpt or resume out"
        )
    if tunes and "pretrained_ckpt" in settings.given:
        raise UserError(
            "trained_ckpt and pretrained_ckpt both name weights to start from: give the whole network or the encoder"
        )
    if resumes:
        return []
    if not tunes and settings.trained_ckpt != default("trained_ckpt"):
        LOG.info(
            "trained_ckpt stands in the settings' file alone and is not used; --trained_ckpt=FILE on the command line fine-tunes that network"
        )
    return ["trained_ckpt"] if tunes else ["pretrained_ckpt"] if settings.pretrained_ckpt else []
