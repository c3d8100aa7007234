"""Files that are whole or not there: written under a temporary name, then renamed. Locks, and records for later commands."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from dlinknet import signals

STEM_BYTES = 100  # of a name that is kept whole in its temporary name


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
    except OSError as error:  # it may name the temporary file
        # NumPy counts what it could not write, and does not say why.
        number = (
            errno.ENOSPC
            if error.errno is None and "requested and" in str(error)
            else error.errno or errno.EIO
        )
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
    if len(os.fsencode(suffix)) > 20:  # it is no type: a long name with a dot in it
        stem, suffix = path.name, ""
    name = os.fsencode(stem)
    if len(name) > STEM_BYTES:
        start = name[: STEM_BYTES - 20].decode(errors="ignore")
        stem = f"{start}~{hashlib.sha256(name).hexdigest()[:12]}"
    return f".{stem}.", suffix


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file at once."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def digest(file: Path, kind: str) -> str:
    """Of a file's bytes, in hexadecimal digits; `kind` is hashlib's name, as 'sha256'."""
    value = hashlib.new(kind)
    with open(file, "rb") as data:
        while block := data.read(1 << 22):
            value.update(block)
    return value.hexdigest()
