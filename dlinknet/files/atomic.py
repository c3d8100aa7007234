"""Files that are complete or absent: each is written under a temporary name, then renamed."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlinknet import signals

STEM_BYTES = 100  # a temporary name holds a stem of at most this length unchanged


@contextmanager
def replacing(path: Path, previous: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`, with the same suffix.

    When the block ends without an error, the temporary file replaces `path`. When the block fails,
    the temporary file is removed.

    Args:
        path: the file to write.
        previous: the new name of the file that is replaced; None drops that file.

    Raises:
        OSError: the file cannot be written. It names `path`.
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
    except OSError as error:
        # The error may name the temporary file. NumPy's error says how many bytes it could not
        # write, but has no errno.
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

    A long stem is cut and followed by its hash, so that the name is not too long if that of `path`
    is not.
    """
    start, suffix = temporary_parts(path)
    return path.with_name(f"{start}{word}{suffix}")


def temporary_files(path: Path) -> list[Path]:
    """Return the temporary files of `path` that killed processes left behind."""
    start, _ = temporary_parts(path)
    return list(path.parent.glob(glob.escape(start) + "[0-9]*"))


def temporary_files_in(folder: Path) -> list[Path]:
    """Return the temporary files of any path that killed processes left behind in a folder."""
    return list(folder.glob(".*.[0-9]*"))


def temporary_parts(path: Path) -> tuple[str, str]:
    """Return (start, suffix) of the temporary names of a path. The start ends with a dot."""
    stem, suffix = path.stem, path.suffix
    if len(os.fsencode(suffix)) > 20:  # not a file type, but the end of a long name with a dot
        stem, suffix = path.name, ""
    name = os.fsencode(stem)
    if len(name) > STEM_BYTES:
        start = name[: STEM_BYTES - 20].decode(errors="ignore")
        stem = f"{start}~{hashlib.sha256(name).hexdigest()[:12]}"
    return f".{stem}.", suffix


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8) under a temporary name, then rename it.

    Raises:
        OSError: the file cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def digest(file: Path, kind: str) -> str:
    """Return the hash of a file's bytes in hexadecimal digits.

    Args:
        kind: the name of the hash in hashlib, as in 'sha256'.

    Raises:
        OSError: the file cannot be read.
    """
    value = hashlib.new(kind)
    with open(file, "rb") as data:
        while block := data.read(1 << 22):
            value.update(block)
    return value.hexdigest()
