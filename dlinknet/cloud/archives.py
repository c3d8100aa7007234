"""Unpacks .zip and .tar: nothing gets out of the folder, and nothing but files and folders gets in."""
from __future__ import annotations

import lzma
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Callable, Iterator

from dlinknet.cloud.transfer import is_inside
from dlinknet.errors import UserError, first_line

ZIPS = (".zip",)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
IGNORED = "__MACOSX"        # what macOS puts beside the files
# RuntimeError: a password; the last two: one name is a file's and a folder's.
DAMAGES = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError, NotImplementedError,
           FileExistsError, NotADirectoryError)
LINK = 0o120000             # in the file type of a .zip's member


def is_archive(name: str) -> bool:
    """Whether a file's name says that it is one."""
    return name.lower().endswith(ZIPS + TARS)


def unpack(archive: Path, folder: Path, key: str, source: str) -> None:
    """Unpacks an archive into an empty folder.

    Args:
        key, source: the setting that named the archive, and what it said, for the error's line.

    Raises:
        UserError: it is damaged, it holds a link, a device or a path that leads out of the folder, or the disk is too small.
            What was unpacked by then stays in the folder.
    """
    try:
        if archive.name.lower().endswith(ZIPS):
            with zipfile.ZipFile(archive) as opened:
                _write(_zip_members(opened, f"{key}: {source}"), folder, f"{key}: {source}")
        else:
            with tarfile.open(archive) as opened:
                _write(_tar_members(opened, f"{key}: {source}"), folder, f"{key}: {source}")
    except DAMAGES as error:
        raise UserError(f"{key}: {source} cannot be unpacked: {first_line(error)}") from None
    except OSError as error:
        if error.errno is not None:         # of the disk, not of gzip or bzip2
            raise
        raise UserError(f"{key}: {source} cannot be unpacked: {first_line(error)}") from None


Members = Iterator[tuple[str, int, Callable[[], BinaryIO]]]     # path, bytes, opens it


def _zip_members(opened: zipfile.ZipFile, said: str) -> Members:
    for member in opened.infolist():
        if member.external_attr >> 16 & 0o170000 == LINK:
            raise UserError(f"{said} holds a link, '{member.filename}'; pack files only")
        if not member.is_dir():
            yield member.filename, member.file_size, lambda member=member: opened.open(member)


def _tar_members(opened: tarfile.TarFile, said: str) -> Members:
    members = opened.getmembers()
    while opened.fileobj.read(1 << 20):         # to the end, where a compressed stream's checksum is
        pass
    for member in members:
        if not (member.isreg() or member.isdir()):
            raise UserError(f"{said} holds a link or a device, '{member.name}'; pack files only")
        if member.isreg():
            yield member.name, member.size, lambda member=member: opened.extractfile(member)


def _write(found: Members, folder: Path, said: str) -> None:
    members = list(found)
    for name, _, _ in members:
        if not is_inside(name):
            raise UserError(f"{said} holds '{name}', which leads out of its folder; pack it anew")
    total, free = sum(size for _, size, _ in members), shutil.disk_usage(folder).free
    if total > free:
        raise UserError(f"{said} unpacks to {total / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB")
    for name, _, open_member in members:
        if IGNORED in Path(name).parts:
            continue
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with open_member() as content, open(file, "wb") as target:
            shutil.copyfileobj(content, target, 1 << 20)
