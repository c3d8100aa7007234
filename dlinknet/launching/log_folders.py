"""Logs and LOG folders of the scripts, in the current folder."""

from __future__ import annotations

import os
import re
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

from dlinknet.errors import UserError
from dlinknet.files.atomic import temporary_files_in
from dlinknet.files.locks import open_locked


def here() -> Path:
    """Return the current folder, by the name that the user's shell has for it."""
    named = os.environ.get("PWD", "")
    try:
        if os.path.isabs(named) and os.path.samefile(named, "."):
            return Path(named)
    except OSError:
        pass
    return Path.cwd()


def log_of_rank(rank: int) -> Path:
    """Return the log of a rank of a training that was started here."""
    return here() / f"LOG{rank}" / "log.log"


def now() -> str:
    """Return date and time for the name of a file."""
    return time.strftime("%Y%m%d-%H%M%S")


def hold(name: str, work: str) -> int:
    """Lock the current folder for one kind of work, and return the lock's descriptor.

    The lock holds on this machine until this process, and all processes that inherit the
    descriptor, have ended.

    Args:
        name: the kind of work, in the lock's file name.
        work: the kind of work, in the error's line.

    Raises:
        UserError: an earlier start still runs.
    """
    folder = here()
    place = zlib.crc32(os.fsencode(folder))
    temporary = os.environ.get("TMPDIR") or "/tmp"
    lock = open_locked(Path(f"{temporary}/dlinknet_{os.getuid()}_{name}_{place}.lock"))
    if lock is None:
        raise UserError(
            f"{work} that was started in {folder} is still running: "
            "wait, stop it, or call this in another folder"
        )
    return lock


def move_aside(file: Path, stamp: str = "") -> None:
    """Rename a file of an earlier start, NAME.log to NAME_before_STAMP.log, if there is one.

    Args:
        stamp: date and time in the new name; '' for the current time.
    """
    if os.path.lexists(file):
        stamp = stamp or f"{now()}-{os.getpid()}"
        os.rename(file, file.with_name(f"{file.stem}_before_{stamp}{file.suffix}"))


def make_rank_folders(ranks: Sequence[int], size: int, resumes: bool) -> None:
    """Make LOG[i] of the ranks on this machine.

    Folders of an earlier training are moved into another one, unless it is resumed.

    Args:
        size: the number of ranks on all machines.
    """
    names = [f"LOG{rank}" for rank in ranks]
    if not resumes:
        old = {name for name in names if os.path.lexists(name)}
        if size == len(ranks):  # an earlier training may have had more ranks
            old |= {name for name in os.listdir() if re.fullmatch("LOG[0-9]+", name)}
        if old:
            _move_folders(sorted(old))
    for name in names:
        os.makedirs(name, exist_ok=True)


def _move_folders(names: Sequence[str]) -> None:
    for name in names:
        # A process that was killed may have left a checkpoint half written.
        for unfinished in temporary_files_in(Path(name, "output")):
            unfinished.unlink()
    aside = f"LOG_before_{now()}"
    if os.path.lexists(aside):
        aside += f"-{os.getpid()}"
    os.mkdir(aside)
    for name in names:
        os.rename(name, f"{aside}/{name}")
    print(f"the logs and checkpoints of an earlier training are now in {aside}", flush=True)
