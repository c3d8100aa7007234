"""Read the plateau checkpoint: the weights of the lowest training loss."""

from __future__ import annotations

from pathlib import Path

from dlinknet.checkpoints.read import Checkpoint, read_checkpoint
from dlinknet.errors import InputError
from dlinknet.files.fields import BadFields
from dlinknet.training.schedules import PlateauRule, Schedule, schedule_from_dict


def read_plateau(file: Path, schedule: Schedule) -> Checkpoint:
    """Return the checkpoint whose weights had the lowest training loss so far.

    Args:
        file: LOG_NAME_plateau.ckpt.
        schedule: the plateau rule that restores these weights.

    Raises:
        InputError: the file is missing, not whole, or holds the weights of another loss.
        RunFailed: the machine cannot read the file.
    """
    assert isinstance(schedule, PlateauRule)
    checkpoint = read_checkpoint(str(file))
    try:
        rule = schedule_from_dict(checkpoint.meta.get("plateau"))
    except BadFields as error:
        raise InputError(file, f"does not name the loss of its weights ({error})") from None
    if not isinstance(rule, PlateauRule) or rule.lowest_loss != schedule.lowest_loss:
        # The file may be of a later epoch: the process was killed after it had written the file,
        # `last` was damaged, and the run continued from an earlier checkpoint.
        raise InputError(
            file,
            f"does not hold the weights of loss {schedule.lowest_loss:.4f}, to which the training "
            "has to return",
        )
    return checkpoint
