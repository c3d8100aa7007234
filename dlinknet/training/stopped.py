"""Read the LOG_NAME_last.ckpt of a stopped run: tensors, model card, and state of the training."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dlinknet.checkpoints.model_card import ModelCard, parse_card
from dlinknet.checkpoints.read import Checkpoint, read_checkpoint
from dlinknet.console import LOG
from dlinknet.errors import InputError, UserError
from dlinknet.files.fields import BadFields
from dlinknet.training.progress import SavedRun


class StoppedRun(NamedTuple):
    """A run that can be resumed: its checkpoint, model card, and state."""

    checkpoint: Checkpoint
    card: ModelCard
    saved: SavedRun

    @property
    def file(self) -> Path:
        """The checkpoint's path."""
        return self.checkpoint.file


def read_stopped(file: Path) -> StoppedRun:
    """Read a LOG_NAME_last.ckpt.

    Raises:
        InputError: the file is missing or damaged, or its text lacks a value that a resume needs.
        RunFailed: the machine cannot read the file.
    """
    checkpoint = read_checkpoint(str(file))
    try:
        saved = SavedRun.from_dict(checkpoint.meta)
    except BadFields as error:
        raise InputError(file, f"does not say where its training stood ({error})") from None
    return StoppedRun(checkpoint, parse_card(checkpoint.meta, str(file)), saved)


def read_newest(files: list[Path]) -> StoppedRun:
    """Read the first whole checkpoint of a list, and name the damaged ones before it in the log.

    Args:
        files: the checkpoints of one run, newest first.

    Raises:
        UserError: none of them is whole, or the system does not let one be read.
        RunFailed: the machine cannot read a file.
    """
    faults = []
    for file in files:
        try:
            open(file, "rb").close()
        except OSError as error:
            # The file may be whole. An older one would lose the steps between them.
            raise InputError(file, f": {error.strerror}", before="cannot read") from None
        try:
            return read_stopped(file)
        except UserError as error:
            faults.append(str(error))
            if file != files[-1]:
                LOG.info("%s; going on from the one before it", error)
    raise UserError("; ".join(faults))
