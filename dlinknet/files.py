"""Files that are whole or not there: written under a temporary name, then renamed. Folders that are only ours to empty."""
from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Iterable, Iterator

import cv2
import numpy as np

from dlinknet import signals
from dlinknet.errors import UserError, clipped, name_some, shown
from dlinknet.texts import BadText, read_json

MANIFEST = ".dlinknet_output.json"      # lists, in a folder of results, what a command wrote there
STAGE = ".dlinknet_unfinished"          # where the results lie until all of them are written
LOCK = ".dlinknet_lock"                 # held while a command writes to a folder
OWN = (MANIFEST, STAGE, LOCK)
JPEG_SIDE = 65500                       # pixels, the longest that OpenCV writes
NAME_BYTES = 255                        # of one name, where a file system does not say its limit
PATH_BYTES = 4000                       # Linux accepts 4095; the rest is for temporary names
LEVELS = 100                            # folders in a path: Python walks into them by recursion
STEM_BYTES = 100                        # of a name that is kept whole in its temporary name
FOREIGN = 1000                          # files of others that are counted before the search ends
HALF_WRITTEN = re.compile(r"(\..+\.)[0-9]+(\.\w+)")


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
    except OSError as error:        # it may name the temporary file, or none (numpy.save on a full disk)
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)
        signals.remove_unfinished(temporary)


def beside(path: Path, word: str) -> Path:
    """Return the path of a hidden file in the same folder, with the same suffix: .STEM.WORD.SUFFIX.

    A long stem is cut, and a hash of it follows, so that the name fits wherever `path` fits.
    """
    start, suffix = _temporary_parts(path)
    return path.with_name(f"{start}{word}{suffix}")


def left_beside(path: Path) -> list[Path]:
    """Return what processes that were killed left of `path` under temporary names."""
    start, _ = _temporary_parts(path)
    return list(path.parent.glob(glob.escape(start) + "[0-9]*"))


def _temporary_parts(path: Path) -> tuple[str, str]:
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


def need_file(path: str, key: str) -> None:
    """Check that the setting `key` names a file that can be read.

    Raises:
        UserError: there is none, or it is a folder, a pipe or a device.
    """
    if not path:
        raise UserError(f"{key} is empty: name a file with --{key}=FILE")
    place = clipped(path, 120)
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISREG(kind):
            open(path, "rb").close()
            return
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{key}: there is no file {place}") from None
    except (OSError, ValueError) as error:          # ValueError: a NUL byte
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{key}: cannot read {place}: {reason}") from None
    what = "a folder" if stat.S_ISDIR(kind) else "a pipe or a device"
    raise UserError(f"{key}: {place} is {what}; name a file")


def need_place(path: str, key: str) -> None:
    """Check that files can be made in the folder that the setting `key` names for results.

    A file without a name is made in the nearest folder that exists: permissions say too little of
    /proc, of quotas, of mounts that are read only, and of what root may do. Nothing is left behind.

    Raises:
        UserError: they cannot; the line says why.
    """
    if not path:
        raise UserError(f"{key} is empty: name a folder with --{key}=FOLDER")
    remedy = f"name another folder with --{key}=FOLDER"
    if "\n" in path or "\r" in path:
        raise UserError(f"{key}: the name {shown(path)} has a line break; {remedy}")
    wanted = Path(path).absolute()
    nearest = _nearest(wanted)
    if fault := _name_fault(str(wanted), _longest_name(nearest), PATH_BYTES):
        raise UserError(f"{key}: {clipped(path, 120)} has {fault}; {remedy}")
    try:
        if not stat.S_ISDIR(os.stat(nearest).st_mode):
            what = "a file" if nearest.is_file() else "no folder"
            raise UserError(f"{key}: {clipped(str(nearest), 120)} is {what}; name a folder")
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        what = "follow the link" if nearest.is_symlink() and not nearest.exists() else "write to"
        raise UserError(f"{key}: cannot {what} {clipped(str(nearest), 120)} ({error.strerror}); "
                        f"{remedy}") from None


def misnamed(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the names that files below `folder` cannot have, each with what is wrong with it.

    It is said in words that follow "has": 'a name of more than 255 bytes'.
    """
    most = _longest_name(_nearest(folder.absolute()))
    room = PATH_BYTES - len(os.fsencode(folder.absolute()))
    faults = {name: _name_fault(name, most, room) for name in names}
    folders = {parent for name in faults if not faults[name] for parent in Path(name).parents}
    return {name: fault or "the same name as a folder" for name, fault in faults.items()
            if fault or Path(name) in folders}


def refuse_misnamed(folder: Path, names: Iterable[str], said: str, remedy: str) -> None:
    """Check that files below `folder` can have these names.

    Args:
        said, remedy: the start and the end of the error's line.

    Raises:
        UserError: one of them cannot.
    """
    for name, fault in misnamed(folder, names).items():
        raise UserError(f"{said} {quoted(name)}, which has {fault}; {remedy}")


def quoted(name: str) -> str:
    """Return a file's name as an error's line quotes it: at most 60 letters in one line."""
    return f"'{clipped(name[:61].encode(errors='backslashreplace').decode(), 60)}'"


def _nearest(path: Path) -> Path:
    """Return the longest part of an absolute path that exists; it may be a broken link."""
    return next(place for place in (path, *path.parents) if os.path.lexists(place))


def _longest_name(folder: Path) -> int:
    """Return how many bytes a name may have in a folder."""
    try:
        most = os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError):
        return NAME_BYTES
    return most if most > 0 else NAME_BYTES


def _name_fault(name: str, most: int, room: int) -> str:
    """Return what a path has that no file's may have; empty if there is nothing.

    Args:
        most: bytes of each name.
        room: bytes of all of it.
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


def need_results_place(path: str, key: str) -> None:
    """UserError where `path` is not named, cannot be written to, or holds files that no earlier run of ours wrote."""
    if Path(path) == Path("."):
        raise UserError(f"{key} is required: name a folder for the results with --{key}=FOLDER")
    need_place(path, key)
    refuse_foreign(Path(path), key)


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


def refuse_foreign(folder: Path, key: str) -> None:
    """Check that everything in `folder` was written by an earlier run, so that it may be replaced.

    Raises:
        UserError: there is anything else.
    """
    ours = _written(folder)
    written, starts = set(ours), _temporaries(ours)
    try:
        foreign = list(islice((name for name in _contents(folder) if name not in written
                               and not _is_half_written(name, starts)), FOREIGN + 1))
    except OSError as error:
        raise UserError(f"{key}: cannot read {clipped(str(folder), 120)} ({error.strerror}); "
                        "name another folder") from None
    if foreign:
        names = [clipped(name, 40) for name in sorted(foreign)]
        number, some = str(len(names)), name_some(names, 3)
        if len(names) > FOREIGN:
            number, some = f"more than {FOREIGN}", ", ".join([*names[:3], "..."])
        raise UserError(f"{key}: {clipped(str(folder), 120)} holds {number} files that no earlier "
                        f"run wrote ({some}); name an empty or new folder")


@contextmanager
def _taken_over(folder: Path, key: str) -> Iterator[None]:
    """Holds a folder of results for one command, without what a killed one left half written."""
    with locked(folder / LOCK, key):
        refuse_foreign(folder, key)
        starts = _temporaries(_written(folder))
        for name in [name for name in _contents(folder) if _is_half_written(name, starts)]:
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
            old, new = _written(folder), sorted(_contents(stage))
            _refuse_folders(folder, new, key)
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
        _refuse_folders(folder, names, key)
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
    filled = [name for name in names
              if os.path.lexists(parent / name) and not _is_empty_folder(parent / name)]
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


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder and no link to one."""
    return path.is_dir() and not path.is_symlink()


def _is_empty_folder(path: Path) -> bool:
    return _is_folder(path) and not any(path.iterdir())


def _refuse_folders(folder: Path, names: list[str], key: str) -> None:
    """UserError where a folder has the name of a result: nothing has been moved or removed then."""
    taken = [name for name in names if _is_folder(folder / name)]
    if taken:
        raise UserError(f"{key}: {clipped(str(folder), 120)} holds a folder with the name of a "
                        f"result, {quoted(taken[0])}; remove or rename it")


def read_record(file: Path) -> Any:
    """Return the JSON value of a file that a command wrote for a later one.

    It is None if the file is missing or broken: then it is made again.
    """
    try:
        return read_json(file) if file.is_file() else None      # a pipe would never end
    except (OSError, BadText):
        return None


def _written(folder: Path) -> list[str]:
    """Return what the manifest says that earlier runs wrote.

    Only names of files and links below the folder are believed, and none that a file cannot have. A
    name behind a link is none of them: the link itself is a file then that no run wrote.
    """
    record = read_record(folder / MANIFEST)
    listed = [name for name in record if isinstance(name, str)] if isinstance(record, list) else []
    paths = list(dict.fromkeys(Path(name) for name in listed))
    names = [str(path) for path in paths if not path.is_absolute() and ".." not in path.parts]
    unfit = misnamed(folder, names)
    return [name for name in names if name not in unfit and not _is_folder(folder / name)
            and Path(name).parts[0] not in OWN]


def _temporaries(written: list[str]) -> set[tuple[str, str, str]]:
    """Return (folder, start, suffix) of the temporary names of results and of the manifest."""
    paths = [Path(name) for name in (*written, MANIFEST)]
    return {(str(path.parent), *_temporary_parts(path)) for path in paths}


def _is_half_written(name: str, starts: set[tuple[str, str, str]]) -> bool:
    """Return whether replacing() of a killed process left a file.

    Its name is one of `starts` with a number in it.
    """
    match = HALF_WRITTEN.fullmatch(Path(name).name)
    return match is not None and (str(Path(name).parent), match[1], match[2]) in starts


def _contents(folder: Path) -> Iterator[str]:
    """Yield the files and links below `folder`, relative to it and in no order.

    The commands' own bookkeeping is left out.
    Folders below it that cannot be read count as empty.

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
