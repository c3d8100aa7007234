"""Folders of results. A command replaces only files that an earlier run wrote.

A command that fails leaves the earlier results as they were.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from dlinknet import signals
from dlinknet.errors import InputError, clipped, name_some
from dlinknet.files.atomic import temporary_parts, write_text
from dlinknet.files.locks import locked
from dlinknet.files.places import misnamed, need_writable_folder, quoted
from dlinknet.files.texts import read_record

MANIFEST = ".dlinknet_output.json"  # lists the files that a command wrote in a folder of results
STAGE = ".dlinknet_unfinished"  # the folder of the results until all of them are written
LOCK = ".dlinknet_lock"  # held while a command writes to a folder
OWN = (MANIFEST, STAGE, LOCK)
FOREIGN = 1000  # the search ends after so many files that no run wrote
HALF_WRITTEN = re.compile(r"(\..+\.)[0-9]+(\.\w+)")


def need_results_folder(path: str) -> None:
    """Check that `path` can receive results.

    Raises:
        InputError: `path` is empty, cannot be written to, or holds files that no earlier run wrote.
    """
    if Path(path) == Path("."):
        raise InputError("", "is required: name a folder for the results")
    need_writable_folder(path)
    refuse_foreign(Path(path))


def refuse_foreign(folder: Path) -> None:
    """Check that earlier runs wrote all files in `folder`, so that they may be replaced.

    Raises:
        InputError: there are other files, or the folder cannot be read.
    """
    names = _names_in_manifest(folder)
    written, starts = set(names), _temporaries(names)
    try:
        foreign = list(
            islice(
                (
                    name
                    for name in _contents(folder)
                    if name not in written and not _is_half_written(name, starts)
                ),
                FOREIGN + 1,
            )
        )
    except OSError as error:
        raise InputError(
            clipped(str(folder), 120),
            f"({error.strerror}); name another folder",
            before="cannot read",
        ) from None
    if foreign:
        names = [clipped(name, 40) for name in sorted(foreign)]
        number, some = str(len(names)), name_some(names, 3)
        if len(names) > FOREIGN:
            number, some = f"more than {FOREIGN}", ", ".join([*names[:3], "..."])
        raise InputError(
            clipped(str(folder), 120),
            f"holds {number} files that no earlier run wrote ({some}); name an empty or new folder",
        )


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Lock a folder of results during the block, after half-written files are removed.

    Raises:
        InputError: `folder` holds files that no run wrote, or another run is writing to it.
    """
    with locked(folder / LOCK):
        refuse_foreign(folder)
        starts = _temporaries(_names_in_manifest(folder))
        for name in [name for name in _contents(folder) if _is_half_written(name, starts)]:
            (folder / name).unlink(missing_ok=True)
        yield


@contextmanager
def replacing_results(folder: Path) -> Iterator[Path]:
    """Yield an empty folder for the results.

    When the block ends without an error, these results replace those of earlier runs in `folder`.
    When the block fails, the earlier results stay as they were.

    Raises:
        InputError: `folder` holds files that no run wrote or a folder with the name of a result, or
            another run is writing to it.
    """
    with _held(folder):
        stage = folder / STAGE
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        signals.add_unfinished(stage)
        try:
            yield stage
            old, new = _names_in_manifest(folder), sorted(_contents(stage))
            _refuse_folders(folder, new)
            # The manifest has both lists while files move. If the run is killed here, all files
            # are known.
            write_text(folder / MANIFEST, json.dumps(sorted({*old, *new}), indent=0))
            for name in old:
                (folder / name).unlink(missing_ok=True)
            for name in new:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(stage / name, folder / name)
            write_text(folder / MANIFEST, json.dumps(new, indent=0))
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            signals.remove_unfinished(stage)


@contextmanager
def adding_results(folder: Path, names: list[str], written: list[str]) -> Iterator[None]:
    """Prepare `folder` for a block that writes results one by one, each complete.

    The folders of the results are made. When the block ends without an error, files of earlier runs
    that the block did not replace are removed. When the block fails, all files stay.

    Args:
        names: all files that the block may write, relative to `folder`.
        written: the files that the block has written. The block appends to this list.

    Raises:
        InputError: `folder` holds files that no run wrote or a folder with the name of a result, or
            another run is writing to it.
    """
    with _held(folder):
        old = _names_in_manifest(folder)
        _refuse_folders(folder, names)
        write_text(folder / MANIFEST, json.dumps(sorted({*old, *names}), indent=0))
        for place in {(folder / name).parent for name in names}:
            place.mkdir(parents=True, exist_ok=True)
        yield
        for name in set(old) - set(written):
            (folder / name).unlink(missing_ok=True)
        write_text(folder / MANIFEST, json.dumps(sorted(written), indent=0))


@contextmanager
def new_folders(parent: Path, names: list[str]) -> Iterator[Path]:
    """Yield a folder that holds the empty folders `names`, for the block to fill.

    When the block ends without an error, the folders move to `parent`.

    Raises:
        InputError: `parent` has one of them already and it is not empty, or another run is writing
            to `parent`.
    """
    filled = [
        name
        for name in names
        if os.path.lexists(parent / name) and not _is_empty_folder(parent / name)
    ]
    if filled:
        raise InputError(parent, f"has {name_some(filled)} already; name another folder")
    with locked(parent / LOCK):
        stage = parent / STAGE
        shutil.rmtree(stage, ignore_errors=True)
        signals.add_unfinished(stage)
        try:
            for name in names:
                (stage / name).mkdir(parents=True)
            yield stage
            for name in names:
                if (parent / name).is_dir():
                    (parent / name).rmdir()
                os.replace(stage / name, parent / name)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            signals.remove_unfinished(stage)


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder and not a link to a folder."""
    return path.is_dir() and not path.is_symlink()


def _is_empty_folder(path: Path) -> bool:
    return _is_folder(path) and not any(path.iterdir())


def _refuse_folders(folder: Path, names: list[str]) -> None:
    """Raise InputError if a folder has the name of a result. Call this before files move."""
    taken = [name for name in names if _is_folder(folder / name)]
    if taken:
        raise InputError(
            clipped(str(folder), 120),
            f"holds a folder with the name of a result, {quoted(taken[0])}; remove or rename it",
        )


def _names_in_manifest(folder: Path) -> list[str]:
    """Return the names of the files that earlier runs wrote, according to the manifest.

    A manifest may come from elsewhere. Names outside of the folder, names of folders and names that
    a file cannot have are left out.
    """
    record = read_record(folder / MANIFEST)
    listed = [name for name in record if isinstance(name, str)] if isinstance(record, list) else []
    paths = list(dict.fromkeys(Path(name) for name in listed))
    names = [str(path) for path in paths if not path.is_absolute() and ".." not in path.parts]
    unfit = misnamed(folder, names)
    return [
        name
        for name in names
        if name not in unfit and not _is_folder(folder / name) and Path(name).parts[0] not in OWN
    ]


def _temporaries(written: list[str]) -> set[tuple[str, str, str]]:
    """Return (folder, start, suffix) of the temporary names of the results and the manifest."""
    paths = [Path(name) for name in (*written, MANIFEST)]
    return {(str(path.parent), *temporary_parts(path)) for path in paths}


def _is_half_written(name: str, starts: set[tuple[str, str, str]]) -> bool:
    """Return whether a file is a temporary file of a killed process.

    Args:
        name: the file's name, relative to the folder of results.
        starts: the temporary names, as `_temporaries` returns them.
    """
    match = HALF_WRITTEN.fullmatch(Path(name).name)
    return match is not None and (str(Path(name).parent), match[1], match[2]) in starts


def _contents(folder: Path) -> Iterator[str]:
    """Yield the files and links below `folder`, relative to it and in no order.

    The files of OWN are left out. Folders below `folder` that cannot be read count as empty.

    Raises:
        OSError: `folder` itself cannot be read.
    """
    if not os.path.lexists(folder):
        return
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    name = os.path.join(below, entry.name)
                    if name in OWN:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(name)
                    else:
                        yield name
        except OSError:
            if not below:
                raise
