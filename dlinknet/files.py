"""Files that are whole or not there: written under a temporary name, then renamed. Folders that are only ours to empty."""
from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import cv2
import numpy as np

from dlinknet import signals
from dlinknet.errors import UserError, name_some

MANIFEST = ".dlinknet_output.json"      # lists, in a folder of results, what a command wrote there
STAGE = ".dlinknet_unfinished"          # where the results lie until all of them are written
LOCK = ".dlinknet_lock"                 # held while a command writes to a folder
JPEG_SIDE = 65500                       # pixels, the longest that OpenCV writes


@contextmanager
def replacing(path: Path, previous: Path | None = None) -> Iterator[Path]:
    """Yields a temporary path beside `path`, with its suffix, that takes its place when the block ends without an error.

    The file that was there is lost, or kept as `previous`.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    signals.add_unfinished(temporary)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            os.replace(path, previous)
        os.replace(temporary, path)
    except OSError as error:        # it may name the temporary file, or none (numpy.save on a full disk)
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)
        signals.remove_unfinished(temporary)


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


def need_file(path: str, key: str) -> None:
    """UserError where the setting `key` names no file."""
    if not Path(path).is_file():
        raise UserError(f"{key}: there is no file {path}" if path else f"{key} is empty: name a file with --{key}=FILE")


def need_place(path: str, key: str) -> None:
    """UserError where the folder for results that the setting `key` names cannot be made or written to. Makes nothing."""
    if not path:
        raise UserError(f"{key} is empty: name a folder with --{key}=FOLDER")
    nearest = next(place for place in (Path(path), *Path(path).absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise UserError(f"{key}: {nearest} is a file; name a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{key}: cannot write to {nearest}; name another folder with --{key}=FOLDER")


def need_results_place(path: str, key: str) -> None:
    """UserError where `path` is not named, cannot be written to, or holds files that no earlier run of ours wrote."""
    if Path(path) == Path("."):
        raise UserError(f"{key} is required: name a folder for the results with --{key}=FOLDER")
    need_place(path, key)
    refuse_foreign(Path(path), key)


@contextmanager
def locked(lock: Path, key: str) -> Iterator[None]:
    """Makes the lock's folder and holds it while the block runs; UserError where another process holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            # A file system without locks is no reason not to work.
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise UserError(f"{key}: another run is writing to {lock.parent}; name another folder or wait") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def refuse_foreign(folder: Path, key: str) -> None:
    """Checks that everything in `folder` was written by an earlier run of ours, so that it may be replaced.

    Raises:
        UserError: there is anything else.
    """
    ours = {*_written(folder), *_half_written(folder)}
    foreign = [name for name in _contents(folder) if name not in ours]
    if foreign:
        raise UserError(f"{key}: {folder} holds {len(foreign)} files that no earlier run wrote ({name_some(foreign)}); "
                        "name an empty or new folder")


@contextmanager
def _taken_over(folder: Path, key: str) -> Iterator[None]:
    """Holds a folder of results for one command, without what a killed one left half written."""
    with locked(folder / LOCK, key):
        refuse_foreign(folder, key)
        for name in _half_written(folder):
            (folder / name).unlink(missing_ok=True)
        yield


@contextmanager
def replacing_results(folder: Path, key: str) -> Iterator[Path]:
    """Yields an empty folder for results; they take the place of an earlier run's when the block ends without an error.

    Where the block fails, the earlier results stay as they were.

    Raises:
        UserError: `folder` holds files of others, or another run is writing to it.
    """
    with _taken_over(folder, key):
        stage = folder / STAGE
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        signals.add_unfinished(stage)
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
            signals.remove_unfinished(stage)


@contextmanager
def adding_results(folder: Path, key: str, names: list[str], written: list[str]) -> Iterator[None]:
    """Lets the block write files one by one, each whole; their folders are made.

    When it ends without an error, what an earlier run left and the block did not write is removed. Where it fails, what it has
    written stays, and so does the rest.

    Args:
        names: all that the block may write, relative to `folder`.
        written: what it has written; the block adds to it.

    Raises:
        UserError: `folder` holds files of others, or another run is writing to it.
    """
    with _taken_over(folder, key):
        old = _written(folder)
        write_text(folder / MANIFEST, json.dumps(sorted({*old, *names}), indent=0))
        for place in {(folder / name).parent for name in names}:
            place.mkdir(parents=True, exist_ok=True)
        yield
        for name in set(old) - set(written):
            (folder / name).unlink(missing_ok=True)
        write_text(folder / MANIFEST, json.dumps(sorted(written), indent=0))


@contextmanager
def new_folders(parent: Path, names: list[str], key: str) -> Iterator[Path]:
    """Yields a folder in which to fill the folders `names`; they appear below `parent` when the block ends without an error.

    Raises:
        UserError: one of them is there already and not empty, or another run is writing to `parent`.
    """
    filled = [name for name in names if (parent / name).exists() and any((parent / name).iterdir())]
    if filled:
        raise UserError(f"{key}: {parent} has {name_some(filled)} already; name another folder")
    with locked(parent / LOCK, key):
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


def _written(folder: Path) -> list[str]:
    """What the manifest says that we wrote; only names below the folder are believed."""
    try:
        names = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    paths = [Path(name) for name in names if isinstance(name, str)] if isinstance(names, list) else []
    return [str(path) for path in paths if not path.is_absolute() and ".." not in path.parts]


def _half_written(folder: Path) -> list[str]:
    """What replacing() of a killed process left of files that are ours: .NAME.PID.TYPE for NAME.TYPE."""
    ours, found = {*_written(folder), MANIFEST}, []
    for name in _contents(folder):
        match = re.fullmatch(r"\.(.+)\.\d+(\.\w+)", Path(name).name)
        if match and str(Path(name).with_name(match[1] + match[2])) in ours:
            found.append(name)
    return found


def _contents(folder: Path) -> list[str]:
    """The files below `folder`, relative to it and sorted, without our own bookkeeping."""
    found = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir() or path.is_symlink())
    return [str(path) for path in found if path.parts[0] not in (MANIFEST, STAGE, LOCK)]
