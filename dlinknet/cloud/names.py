"""Names of files that come from outside: which of them may appear below a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from dlinknet.errors import InputError, clipped
from dlinknet.files.places import misnamed, quoted


def is_inside(name: str) -> bool:
    """Return whether a path with '/' between its parts stays below its start."""
    path = PurePosixPath(name)
    return not (
        path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or not path.parts
    )


def need_inside(names: Iterable[str], source: str, remedy: str) -> None:
    """Check that no path leads out of its folder.

    Args:
        names: paths with '/' between their parts.
        source: the URL or archive that holds them.
        remedy: the end of the error's line.

    Raises:
        InputError: a path does.
    """
    for name in names:
        if not is_inside(name):
            reason = f"holds {quoted(name)}, which leads out of its folder; {remedy}"
            raise InputError(clipped(source, 100), reason)


def need_possible(names: Iterable[str], folder: Path, source: str, remedy: str) -> None:
    """Check that files below `folder` can have these names.

    Raises:
        InputError: a file cannot; `source` and `remedy` are as in need_inside().
    """
    for name, fault in misnamed(folder, names).items():
        raise InputError(clipped(source, 100), f"holds {quoted(name)}, which has {fault}; {remedy}")
