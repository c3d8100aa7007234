"""A LOG_NAME_last.ckpt, read for a resume: the network's card, its tensors, and where its training stood."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dlinknet.checkpoints.model_card import ModelCard, parse_card
from dlinknet.checkpoints.read import Checkpoint, read_checkpoint
from dlinknet.console import LOG
from dlinknet.errors import InputError, UserError
from dlinknet.files.fields import BadFields
from dlinknet.training.progress import SavedRun


class Stopped(NamedTuple):
    """A LOG_NAME_last.ckpt: its tensors, the card of its network, and where its training stood."""

    checkpoint: Checkpoint
    card: ModelCard
    saved: SavedRun

    @property
    def file(self) -> Path:
        """The checkpoint's path."""
        return self.checkpoint.file


def read_stopped(file: Path) -> Stopped:
    """Read a LOG_NAME_last.ckpt.

    Raises:
        UserError: the file is missing or damaged, or its text lacks what a resume needs or has it in another form.
        RunFailed: the machine could not read it.
    """
    checkpoint = read_checkpoint(str(file))
    try:
        saved = SavedRun.from_dict(checkpoint.meta)
    except BadFields as error:
        raise InputError(file, f"does not say where its training stood ({error})") from None
    return Stopped(checkpoint, parse_card(checkpoint.meta, str(file)), saved)


def read_newest(files: list[Path]) -> Stopped:
    """The first of these checkpoints, newest first, that is whole; damaged ones are named in the log.

    Raises:
        UserError: none of them is, or one of them may not be read.
    """
    faults = []
    for file in files:
        try:
            open(file, "rb").close()
        except OSError as error:  # it may be whole: the one before it would lose what came between
            raise InputError(file, f": {error.strerror}", before="cannot read") from None
        try:
            return read_stopped(file)
        except UserError as error:
            faults.append(str(error))
            if file != files[-1]:
                LOG.info("%s; going on from the one before it", error)
    raise UserError("; ".join(faults))
