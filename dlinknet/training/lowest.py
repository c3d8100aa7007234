"""The weights of the lowest training loss, to which the plateau rule goes back."""

from __future__ import annotations

from pathlib import Path

from dlinknet.checkpoints.read import Checkpoint, read_checkpoint
from dlinknet.errors import InputError
from dlinknet.files.fields import BadFields
from dlinknet.training.schedules import PlateauRule, Schedule, schedule_from_dict


def read_lowest(file: Path, schedule: Schedule) -> Checkpoint:
    """Return the checkpoint with the weights of a plateau rule's lowest loss.

    Raises:
        InputError: the file is not whole, or has the weights of another loss.
    """
    assert isinstance(schedule, PlateauRule)
    checkpoint = read_checkpoint(str(file))
    try:
        rule = schedule_from_dict(checkpoint.meta.get("plateau"))
    except BadFields as error:
        raise InputError(file, f"does not say of which loss it is ({error})") from None
    if not isinstance(rule, PlateauRule) or rule.lowest_loss != schedule.lowest_loss:
        # Of a later epoch: a kill after it was written, then a damaged `last`, and the run goes on
        # from before that epoch.
        raise InputError(
            file,
            f"does not hold the weights of loss {schedule.lowest_loss:.4f}, to which the training "
            "has to go back",
        )
    return checkpoint
