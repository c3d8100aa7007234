"""The files of one run. Pure Python."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from dlinknet.console import LOG, log_to_file
from dlinknet.files.atomic import replacing, temporary_files, write_text
from dlinknet.files.locks import locked
from dlinknet.files.places import refuse_misnamed

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
ENDINGS = (
    "best.ckpt",
    LAST,
    PREVIOUS,
    "plateau.ckpt",
    "epochs.csv",
    "curves.png",
    "config.yaml",
    "split.json",
    "checked.json",
    "train.log",
    "damaged.ckpt",
    "report",
)
# An earlier run of the same name is moved to the folder LOG_NAME_before_TIME.
EARLIER, TIME = "before_", "%Y%m%d-%H%M%S"


@dataclass(frozen=True)
class RunFiles:
    """The files of one run in `folder`; their names begin with `log_name`."""

    folder: Path
    log_name: str

    def path(self, ending: str) -> Path:
        """Return FOLDER/LOG_NAME_ENDING, for example weight01_dink34_best.ckpt.

        Args:
            ending: one of ENDINGS.
        """
        return self.folder / f"{self.log_name}_{ending}"

    @property
    def best(self) -> Path:
        """The checkpoint with the weights of the best epoch."""
        return self.path("best.ckpt")

    @property
    def last(self) -> Path:
        """The newest checkpoint, from which a run is resumed."""
        return self.path(LAST)

    @property
    def previous(self) -> Path:
        """The checkpoint before `last`."""
        return self.path(PREVIOUS)

    @property
    def plateau(self) -> Path:
        """The checkpoint with the weights of the lowest training loss."""
        return self.path("plateau.ckpt")

    @contextmanager
    def reserved(
        self,
        texts: dict[str, str],
        resumed: ResumedRun | None = None,
        checkpoint: Path | None = None,
    ) -> Iterator[None]:
        """Reserve these files for one run while the block lasts.

        Move the files of an earlier run aside, unless that run continues. Write `texts`. Add the
        log file to the log.

        Args:
            texts: texts to write, ending -> text, for example for 'config.yaml'.
            resumed: the run that continues. If its files are elsewhere, the needed ones are copied.
            checkpoint: the checkpoint from which it continues. If a newer one exists, it is damaged
                and is renamed.

        Raises:
            InputError: another process trains under this name in this folder, or the name is too
                long.
        """
        names = [self.path(ending).name for ending in (*ENDINGS, EARLIER + time.strftime(TIME))]
        refuse_misnamed(self.folder, names, "log_name makes", "choose a shorter log_name")
        with locked(self.folder / f".{self.log_name}.lock"):
            self._remove_unfinished()
            in_place = resumed is not None and self.same_as(resumed.files)
            aside = None if in_place else self._move_earlier_aside()
            log_to_file(self.path("train.log"))
            if aside:
                LOG.info("an earlier run of this name was moved to %s", aside)
            if in_place and resumed is not None and checkpoint != resumed.checkpoints[0]:
                os.replace(self.last, self.path("damaged.ckpt"))
            elif resumed is not None and not in_place:
                self._copy_weights(resumed.files)
            for ending, text in texts.items():
                write_text(self.path(ending), text)
            yield

    def _remove_unfinished(self) -> None:
        """Remove the half-written files of a process that was killed."""
        for ending in ENDINGS:
            for unfinished in temporary_files(self.path(ending)):
                unfinished.unlink()

    def _copy_weights(self, source: RunFiles) -> None:
        """Copy the checkpoints of the best epoch and the lowest loss, which training may read."""
        for ending in ("best.ckpt", "plateau.ckpt"):
            if source.path(ending).exists():
                with replacing(self.path(ending)) as copy:
                    shutil.copyfile(source.path(ending), copy)

    def same_as(self, other: RunFiles) -> bool:
        """Return whether both name the same files."""
        return (self.folder.resolve(), self.log_name) == (other.folder.resolve(), other.log_name)

    def _move_earlier_aside(self) -> Path | None:
        """Move an earlier run's files to a new folder and return it; None if there are no files."""
        earlier = [self.path(ending) for ending in ENDINGS if self.path(ending).exists()]
        if not earlier:
            return None
        ending = EARLIER + time.strftime(TIME)
        # Two runs may be moved within one second: the second folder's name ends with -2.
        endings = (ending if number == 1 else f"{ending}-{number}" for number in count(1))
        aside = next(path for path in map(self.path, endings) if not path.exists())
        aside.mkdir()
        for path in earlier:
            path.rename(aside / path.name)
        return aside


@dataclass(frozen=True)
class ResumedRun:
    """A run that continues.

    files: its files. checkpoints: the checkpoints to continue from, newest first; damaged ones are
    skipped. settings: its settings, name -> value, unchecked.
    """

    files: RunFiles
    checkpoints: list[Path]
    settings: dict[str, Any]
