"""Check paths from archives and stores: they must stay below a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from dlinknet.errors import InputError, clipped
from dlinknet.files.places import quoted


def is_inside(name: str) -> bool:
    """Return whether a path with '/' between its parts stays below the folder it starts from."""
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
        InputError: a path leads out.
    """
    for name in names:
        if not is_inside(name):
            reason = f"holds {quoted(name)}, which leads out of its folder; {remedy}"
            raise InputError(clipped(source, 100), reason)
