"""Files that are whole or not there: written under a temporary name, then renamed. Locks, and records for later commands."""
from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import cv2
import numpy as np

from dlinknet import signals
from dlinknet.errors import UserError
from dlinknet.texts import BadText, read_json

JPEG_SIDE = 65500                       # pixels, the longest that OpenCV writes
STEM_BYTES = 100                        # of a name that is kept whole in its temporary name


@contextmanager
def replacing(path: Path, previous: Path | None = None) -> Iterator[Path]:
    """Yields a temporary path beside `path`, with its suffix, that takes its place when the block ends without an error.

    The file that was there is lost, or kept as `previous`.
    """
    temporary = beside(path, str(os.getpid()))
    signals.add_unfinished(temporary)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            os.replace(path, previous)
        os.replace(temporary, path)
    except OSError as error:        # it may name the temporary file
        # NumPy counts what it could not write, and does not say why.
        number = errno.ENOSPC if error.errno is None and "requested and" in str(error) else error.errno or errno.EIO
        raise OSError(number, error.strerror or os.strerror(number), str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)
        signals.remove_unfinished(temporary)


def beside(path: Path, word: str) -> Path:
    """Return the path of a hidden file in the same folder, with the same suffix: .STEM.WORD.SUFFIX.

    A long stem is cut, and a hash of it follows, so that the name fits wherever `path` fits.
    """
    start, suffix = temporary_parts(path)
    return path.with_name(f"{start}{word}{suffix}")


def left_beside(path: Path) -> list[Path]:
    """Return what processes that were killed left of `path` under temporary names."""
    start, _ = temporary_parts(path)
    return list(path.parent.glob(glob.escape(start) + "[0-9]*"))


def temporary_parts(path: Path) -> tuple[str, str]:
    """Return the start of a path's temporary names, which ends with a dot, and their suffix."""
    stem, suffix = path.stem, path.suffix
    if len(os.fsencode(suffix)) > 20:       # it is no type: a long name with a dot in it
        stem, suffix = path.name, ""
    name = os.fsencode(stem)
    if len(name) > STEM_BYTES:
        start = name[:STEM_BYTES - 20].decode(errors="ignore")
        stem = f"{start}~{hashlib.sha256(name).hexdigest()[:12]}"
    return f".{stem}.", suffix


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file at once."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_image(path: Path, pixels: np.ndarray) -> None:
    """Writes H x W (x 3, BGR) uint8 or uint16 in the format of the path's suffix. OSError names the file.

    A JPEG has quality 92 and is made smaller where a side is longer than the format allows.
    """
    longest = max(pixels.shape[:2])
    if path.suffix == ".jpg" and longest > JPEG_SIDE:
        pixels = cv2.resize(pixels, None, fx=JPEG_SIDE / longest, fy=JPEG_SIDE / longest, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(path.suffix, pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not done:
        raise OSError(errno.EFBIG, f"{pixels.shape[1]}x{pixels.shape[0]} pixels are too many for {path.suffix}", str(path))
    try:
        path.write_bytes(data.tobytes())      # cv2.imwrite would only return False where the disk is full
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def digest(file: Path, kind: str) -> str:
    """Of a file's bytes, in hexadecimal digits; `kind` is hashlib's name, as 'sha256'."""
    value = hashlib.new(kind)
    with open(file, "rb") as data:
        while block := data.read(1 << 22):
            value.update(block)
    return value.hexdigest()


@contextmanager
def locked(lock: Path, key: str) -> Iterator[None]:
    """Make the lock's folder and hold the lock while the block runs.

    The file is removed only by the process that holds it.

    Raises:
        UserError: another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = _take(lock, key)
    try:
        yield
    finally:
        if _is_at(held, lock):
            lock.unlink()
        os.close(held)


def _take(lock: Path, key: str) -> int:
    """Return the descriptor of a lock's file, locked; the file is the one that the path names."""
    while True:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # A file system without locks is no reason not to work.
            if error.errno in (errno.EAGAIN, errno.EACCES):
                os.close(file)
                raise UserError(f"{key}: another run is writing to {lock.parent}; name another folder or wait") from None
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


def read_record(file: Path) -> Any:
    """Return the JSON value of a file that a command wrote for a later one.

    It is None if the file is missing or broken: then it is made again.
    """
    try:
        return read_json(file) if file.is_file() else None      # a pipe would never end
    except (OSError, BadText):
        return None
