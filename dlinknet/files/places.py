"""Checks before a run: can files and folders be read, made and written to."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from dlinknet.errors import InputError, clipped, shown

NAME_BYTES = 255  # the longest name, if a file system does not report its limit
PATH_BYTES = 4000  # Linux accepts 4095 bytes; the rest is for temporary names
LEVELS = 100  # the most folders in a path: Python walks through them by recursion


def need_file(path: str) -> None:
    """Check that a path names a file that can be read.

    Raises:
        InputError: the path is empty, the file is missing or cannot be read, or the path names a
            folder, a pipe or a device.
    """
    if not path:
        raise InputError("", "is empty: name a file")
    place = clipped(path, 120)
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISREG(kind):
            open(path, "rb").close()
            return
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(place, "", "there is no file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL byte
        reason = getattr(error, "strerror", None) or error
        raise InputError(place, f": {reason}", before="cannot read") from None
    what = "a folder" if stat.S_ISDIR(kind) else "a pipe or a device"
    raise InputError(place, f"is {what}; name a file")


def need_writable_folder(path: str) -> None:
    """Check that files can be made in a folder. The folder may be missing.

    The check makes a file without a name in the nearest folder that exists. Permissions alone do
    not tell about /proc, quotas, read-only mounts and root. No file remains.

    Raises:
        InputError: the path is empty or too long, or files cannot be made there.
    """
    if not path:
        raise InputError("", "is empty: name a folder")
    remedy = "name another folder"
    if "\n" in path or "\r" in path:
        raise InputError(f"the name {shown(path)}", f"has a line break; {remedy}")
    wanted = Path(path).absolute()
    nearest = _nearest(wanted)
    if fault := _name_fault(str(wanted), _longest_name(nearest), PATH_BYTES):
        raise InputError(clipped(path, 120), f"has {fault}; {remedy}")
    try:
        if not stat.S_ISDIR(os.stat(nearest).st_mode):
            what = "a file" if nearest.is_file() else "no folder"
            raise InputError(clipped(str(nearest), 120), f"is {what}; name a folder")
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        what = "follow the link" if nearest.is_symlink() and not nearest.exists() else "write to"
        reason = f"({error.strerror}); {remedy}"
        raise InputError(clipped(str(nearest), 120), reason, f"cannot {what}") from None


def misnamed(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return name -> fault for the names that files below `folder` cannot have.

    The fault is in words that follow "has": 'a name of more than 255 bytes'.
    """
    most = _longest_name(_nearest(folder.absolute()))
    room = PATH_BYTES - len(os.fsencode(folder.absolute()))
    faults = {name: _name_fault(name, most, room) for name in names}
    folders = {parent for name in faults if not faults[name] for parent in Path(name).parents}
    return {
        name: fault or "the same name as a folder"
        for name, fault in faults.items()
        if fault or Path(name) in folders
    }


def refuse_misnamed(folder: Path, names: Iterable[str], what: str, remedy: str) -> None:
    """Check that files below `folder` can have these names.

    Args:
        what: the words before the name in the error's line, as in "a result would be".
        remedy: the end of the line.

    Raises:
        InputError: a file cannot have its name.
    """
    for name, fault in misnamed(folder, names).items():
        raise InputError(quoted(name), f", which has {fault}; {remedy}", before=what)


def quoted(name: str) -> str:
    """Return a file's name in quotes for an error's line, cut to 60 letters."""
    return f"'{clipped(name[:61].encode(errors='backslashreplace').decode(), 60)}'"


def _nearest(path: Path) -> Path:
    """Return the longest part of an absolute path that exists. It may be a broken link."""
    return next(place for place in (path, *path.parents) if os.path.lexists(place))


def _longest_name(folder: Path) -> int:
    """Return the most bytes of a name in a folder."""
    try:
        most = os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):
        return NAME_BYTES
    return most if most > 0 else NAME_BYTES


def _name_fault(name: str, most: int, room: int) -> str:
    """Return the fault of a path that no file can have, in words that follow "has"; '' if none.

    Args:
        most: the most bytes of each name in the path.
        room: the most bytes of the whole path.
    """
    try:
        parts = [part.encode() for part in Path(name).parts]
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    if not parts:
        return "no name"
    if "\0" in name:
        return "a NUL byte in its name"
    if any(len(part) > most for part in parts):
        return f"a name of more than {most} bytes"
    if sum(len(part) + 1 for part in parts) > room:
        return f"a path of more than {PATH_BYTES} bytes"
    return f"more than {LEVELS} folders in its path" if len(parts) > LEVELS else ""
