"""Lock files. One process at a time holds a lock."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlinknet.errors import InputError

WAIT_SECONDS = 0.1


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Hold a lock during the block. The folder of the lock is made if it is missing.

    Only the process that holds the lock removes the file.

    Raises:
        InputError: another process holds the lock.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = open_locked(lock)
    if held is None:
        raise InputError(
            lock.parent, "is in use: another run is writing to it; name another folder or wait"
        )
    try:
        yield
    finally:
        if _is_at(held, lock):
            lock.unlink()
        os.close(held)


@contextmanager
def wait_locked(lock: Path) -> Iterator[None]:
    """Hold a lock during the block. Wait first while another process holds it.

    Raises:
        OSError: the lock file cannot be made.
    """
    while (held := open_locked(lock)) is None:
        time.sleep(WAIT_SECONDS)
    try:
        yield
    finally:
        os.close(held)


def open_locked(lock: Path) -> int | None:
    """Open and lock a lock file. Return its descriptor, or None if another process holds the lock.

    The lock ends when this process and all that inherit the descriptor have closed it.
    """
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # A file system without locks gives another error; the run goes on without a lock.
            if error.errno in (errno.EAGAIN, errno.EACCES):
                os.close(file)
                return None
            return file
        # Its holder may have removed the file after it was opened here. Another process would then
        # lock a new file of this name.
        if _is_at(file, lock):
            return file
        os.close(file)


def _is_at(file: int, path: Path) -> bool:
    """Return whether a path names an open file."""
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except FileNotFoundError:
        return False
