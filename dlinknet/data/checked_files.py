"""The pairs that an earlier start of a training has checked. A restart then begins at once."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dlinknet import __version__
from dlinknet.data.class_table import table_of
from dlinknet.data.classes import Classes
from dlinknet.data.masks import Marks
from dlinknet.data.pairs import Pair
from dlinknet.files.fields import BadFields, Fields
from dlinknet.files.locks import wait_locked
from dlinknet.files.states import FileState, state_of
from dlinknet.files.texts import BadText, read_json
from dlinknet.images.decode import DECODER

LARGEST = 2**31  # more than the pixels of any image that is read


class CheckedFiles:
    """Checked pairs, by their files and the state of these files.

    A file has changed if its state has changed.

    Args:
        entries: image -> the fields that `to_text` writes.
    """

    def __init__(self, entries: dict[str, Fields] | None = None):
        self.entries = entries or {}

    @classmethod
    def read(cls, files: Iterable[Path], classes: Classes) -> CheckedFiles:
        """Return the pairs that `to_text` has written to some files. A later file overrides others.

        A file counts for nothing if it is missing, damaged, or written for other classes or by
        other versions of the programs that check.
        """
        entries: dict[str, Fields] = {}
        for file in files:
            with suppress(OSError, BadText, BadFields):  # every file is checked again
                fields = Fields(read_json(file))
                if fields.value("checked_by") == _checked_by(classes):
                    pairs = fields.inners("pairs")
                    entries.update({pair.text("image", most=4096): pair for pair in pairs})
        return cls(entries)

    def find(self, pair: Pair) -> Pair | None:
        """Return a pair with its size and marks; None if it was not checked or has changed."""
        entry = self.entries.get(str(pair.image.absolute()))
        if entry is None:
            return None
        try:
            if entry.value("mask") != str(pair.mask.absolute()):
                return None
            states = (state_of(pair.image), state_of(pair.mask))
            if [entry.value("image_state"), entry.value("mask_state")] != [*map(list, states)]:
                return None
            return replace(_restored(pair, entry), states=states)
        except (OSError, BadFields):
            return None


@contextmanager
def check_once(folders: Iterable[str]) -> Iterator[Path | None]:
    """Let the processes of this machine check the same folders one after another.

    Yield the file by which the first one tells the others what it has checked; None if there is no
    place for it, and each process has to check.

    Args:
        folders: the folders of images and masks.
    """
    place = Path(tempfile.gettempdir(), f"dlinknet_checked_{os.getuid()}")
    paths = "\n".join(os.path.abspath(folder) for folder in folders if folder)
    name = hashlib.sha256(os.fsencode(paths)).hexdigest()[:16]
    shared: Path | None = place / f"{name}.json"
    with ExitStack() as stack:
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            # Another user could have made the folder, to have damaged files taken for checked.
            if place.lstat().st_uid != os.getuid():
                raise PermissionError
            stack.enter_context(wait_locked(place / f"{name}.lock"))
        except OSError:
            shared = None
        yield shared


def to_text(pairs: Iterable[Pair], classes: Classes) -> str:
    """Return checked pairs as the text of a file for CheckedFiles.read."""
    entries = [
        _entry(pair, pair.marks, pair.states)
        for pair in pairs
        if pair.marks is not None and pair.states is not None
    ]
    return json.dumps({"checked_by": _checked_by(classes), "pairs": entries}, indent=0) + "\n"


def _checked_by(classes: Classes) -> list[Any]:
    """Return what a check depends on, besides the files: versions and classes."""
    table = table_of(classes)
    return [__version__, DECODER, table.to_dict() if table else "road"]


def _entry(pair: Pair, marks: Marks, states: tuple[FileState, FileState]) -> dict[str, Any]:
    image_state, mask_state = states
    return {
        "image": str(pair.image.absolute()),
        "mask": str(pair.mask.absolute()),
        "image_state": image_state,
        "mask_state": mask_state,
        "size": [pair.height, pair.width],
        "labels": {str(label): int(marks.labels[label]) for label in marks.labels.nonzero()[0]},
        "unknown": marks.unknown,
        "largest": marks.largest,
        "alpha": marks.alpha,
    }


def _restored(pair: Pair, entry: Fields) -> Pair:
    """Return a pair with the size and the marks of an entry.

    Raises:
        BadFields: the entry is damaged.
    """
    height, width = entry.wholes("size", 2, 1, LARGEST)
    counts, labels = entry.inner("labels"), np.zeros(256, np.int64)
    for name in counts.names():
        if not name.isdecimal() or int(name) > 255:
            raise counts.wrong("holds no label")
        labels[int(name)] = counts.whole(name, most=LARGEST)
    marks = Marks(
        labels,
        entry.whole("unknown", most=LARGEST),
        entry.whole("largest", most=255),
        entry.value("alpha") is True,
    )
    return replace(pair, height=height, width=width, marks=marks)
