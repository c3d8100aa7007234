"""Files that are whole or not there: written under a temporary name, then renamed. Folders that are only ours to empty."""
from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from dlinknet.errors import UserError, name_some

MANIFEST = ".dlinknet_output.json"      # lists, in a folder of results, what a command wrote there
STAGE = ".dlinknet_unfinished"          # where the results lie until all of them are written


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, with its suffix, that takes its place when the block ends without an error."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a whole text file at once."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def make_folder(path: Path, key: str) -> None:
    """Makes a folder for results and proves that it can be written to.

    Raises:
        UserError: it names `key`, the setting that chose the folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{key}: cannot write to {path}: {error.strerror}; name another folder with --{key}=FOLDER") \
            from None


def refuse_foreign(folder: Path, key: str) -> None:
    """Checks that everything in `folder` was written by an earlier run of ours, so that it may be replaced.

    Raises:
        UserError: there is anything else, or `folder` is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{key}: {folder} is a file; name a folder")
    ours = set(_written(folder))
    foreign = [name for name in _contents(folder) if name not in ours]
    if foreign:
        raise UserError(f"{key}: {folder} holds {len(foreign)} files that no earlier run wrote ({name_some(foreign)}); "
                        "name an empty or new folder")


@contextmanager
def replacing_results(folder: Path) -> Iterator[Path]:
    """Yields an empty folder for results; they take the place of an earlier run's when the block ends without an error.

    Call refuse_foreign first. After a failure `folder` is as it was.
    """
    stage = folder / STAGE
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    try:
        yield stage
        old, new = _written(folder), _contents(stage)
        # Both lists stand in the manifest while files move: a run killed here leaves nothing that looks foreign.
        write_text(folder / MANIFEST, json.dumps(sorted({*old, *new}), indent=0))
        for name in old:
            (folder / name).unlink(missing_ok=True)
        for name in new:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(stage / name, folder / name)
        write_text(folder / MANIFEST, json.dumps(new, indent=0))
    finally:
        shutil.rmtree(stage, ignore_errors=True)


@contextmanager
def new_folders(parent: Path, names: list[str], key: str) -> Iterator[Path]:
    """Yields a folder in which to fill the folders `names`; they appear below `parent` when the block ends without an error.

    Raises:
        UserError: one of them is there already and not empty; it names `key`, the setting that chose `parent`.
    """
    make_folder(parent, key)
    filled = [name for name in names if (parent / name).exists() and any((parent / name).iterdir())]
    if filled:
        raise UserError(f"{key}: {parent} has {name_some(filled)} already; name another folder")
    stage = parent / STAGE
    shutil.rmtree(stage, ignore_errors=True)
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


def _written(folder: Path) -> list[str]:
    try:
        names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [name for name in names if isinstance(name, str) and ".." not in Path(name).parts]


def _contents(folder: Path) -> list[str]:
    """The files below `folder`, relative to it and sorted, without our own bookkeeping."""
    found = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir() or path.is_symlink())
    return [str(path) for path in found if path.parts[0] not in (MANIFEST, STAGE)]
