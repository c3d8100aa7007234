"""The files of one run. Pure Python."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Iterator

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
    "train.log",
    "damaged.ckpt",
    "report",
)
BEFORE, MOMENT = "before_", "%Y%m%d-%H%M%S"  # the folder of an earlier run of this name


@dataclass(frozen=True)
class RunFiles:
    """The files of one run in `folder`, all named after `log_name`."""

    folder: Path
    log_name: str

    def path(self, ending: str) -> Path:
        """LOG_NAME_ending, for instance weight01_dink34_best.ckpt; `ending` is one of ENDINGS."""
        return self.folder / f"{self.log_name}_{ending}"

    @property
    def best(self) -> Path:
        return self.path("best.ckpt")

    @property
    def last(self) -> Path:
        return self.path(LAST)

    @property
    def previous(self) -> Path:
        """The checkpoint that `last` replaced."""
        return self.path(PREVIOUS)

    @property
    def plateau(self) -> Path:
        return self.path("plateau.ckpt")

    @contextmanager
    def held(
        self, texts: dict[str, str], resumed: Resumed | None = None, taken: Path | None = None
    ) -> Iterator[None]:
        """Keep these files for one run while the block lasts.

        Move an earlier run's aside, unless it is the run that goes on, and write `texts`; the log
        follows.

        Args:
            texts: what is known at the start: ending -> text, as for 'config.yaml'.
            resumed: the run to go on with. If its files are elsewhere, those that are still needed
                are copied.
            taken: the checkpoint to resume from. If a newer one exists, it is damaged and is renamed.

        Raises:
            InputError: another process trains under this name in this folder, or the name is too
                long.
        """
        names = [self.path(ending).name for ending in (*ENDINGS, BEFORE + time.strftime(MOMENT))]
        refuse_misnamed(self.folder, names, "log_name makes", "choose a shorter log_name")
        with locked(self.folder / f".{self.log_name}.lock"):
            for ending in ENDINGS:  # what a killed run left half written
                for unfinished in temporary_files(self.path(ending)):
                    unfinished.unlink()
            in_place = resumed is not None and self.same_as(resumed.files)
            aside = None if in_place else self._move_earlier_aside()
            log_to_file(self.path("train.log"))
            if aside:
                LOG.info("an earlier run of this name was moved to %s", aside)
            if in_place and resumed is not None and taken != resumed.checkpoints[0]:
                os.replace(self.last, self.path("damaged.ckpt"))
            elif resumed is not None and not in_place:
                for ending in ("best.ckpt", "plateau.ckpt"):
                    if resumed.files.path(ending).exists():
                        with replacing(self.path(ending)) as copy:
                            shutil.copyfile(resumed.files.path(ending), copy)
            for ending, text in texts.items():
                write_text(self.path(ending), text)
            yield

    def same_as(self, other: RunFiles) -> bool:
        """Whether both name the same files."""
        return (self.folder.resolve(), self.log_name) == (other.folder.resolve(), other.log_name)

    def _move_earlier_aside(self) -> Path | None:
        """The new folder of their own that holds them now; None where there were none."""
        earlier = [self.path(ending) for ending in ENDINGS if self.path(ending).exists()]
        if not earlier:
            return None
        moment = BEFORE + time.strftime(MOMENT)
        endings = (
            moment if number == 1 else f"{moment}-{number}" for number in count(1)
        )  # two runs in a second
        aside = next(path for path in map(self.path, endings) if not path.exists())
        aside.mkdir()
        for path in earlier:
            path.rename(aside / path.name)
        return aside


@dataclass(frozen=True)
class Resumed:
    """A run to go on with."""

    files: RunFiles
    checkpoints: list[Path]  # to go on from, newest first: one that is damaged is passed over
    settings: dict[str, Any]  # what it ran with, unchecked
