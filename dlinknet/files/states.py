"""The state of a file, by which a change of its content shows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class FileState(NamedTuple):
    """The state of a file: bytes, the time of the last change in ns, and the inode."""

    size: int
    changed: int
    inode: int


def state_of(file: Path) -> FileState:
    """Return the present state of a file; of its target, if it is a symbolic link.

    Raises:
        OSError: the file is missing or cannot be looked at.
    """
    found = os.stat(file)
    return FileState(found.st_size, found.st_mtime_ns, found.st_ino)
