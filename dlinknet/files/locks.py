"""A lock file, held by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from dlinknet.errors import InputError


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Make the lock's folder and hold the lock while the block runs.

    The file is removed only by the process that holds it.

    Raises:
        InputError: another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = _take(lock)
    try:
        yield
    finally:
        if _is_at(held, lock):
            lock.unlink()
        os.close(held)


def _take(lock: Path) -> int:
    """Return the descriptor of a lock's file, locked; the file is the one that the path names."""
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # A file system without locks is no reason not to work.
            if error.errno in (errno.EAGAIN, errno.EACCES):
                os.close(file)
                raise InputError(
                    lock.parent,
                    "is in use: another run is writing to it; name another folder or wait",
                ) from None
            return file
        # Its holder may have removed it after it was opened here: then another process locks a new
        # file of this name.
        if _is_at(file, lock):
            return file
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Return whether an open file is the one that a path names."""
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except FileNotFoundError:
        return False
