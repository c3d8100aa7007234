"""Unpacks .zip and .tar: nothing gets out of the folder, and nothing but files and folders gets in."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import shutil
import struct
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterable, Iterator

from dlinknet.cloud.transfer import is_inside
from dlinknet.errors import UserError, clipped, first_line
from dlinknet.files.foreign import foreign_file
from dlinknet.files.places import quoted, refuse_misnamed

ZIPS = (".zip",)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
STREAMS: dict[str, Callable[[Path], Any]] = {
    "tar": lambda file: open(file, "rb"),
    "gz": gzip.open,
    "tgz": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
}
IGNORED = "__MACOSX"  # what macOS puts beside the files
LINK = 0o120000  # in the file type of a .zip's member
# zipfile decompresses the other methods without a bound: 1 kB of BZIP2 may hold 1 GB.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MEMBERS = 200_000  # of a .tar: each needs about 1 kB of memory and 0.1 ms
BLOCK = 1 << 20  # bytes: copied at once; the most in the headers of one file of a .tar
PADDING = 64 << 20  # bytes behind the end mark of a .tar
END = bytes(512)  # the end mark
# What zipfile, tarfile and the decompressors raise for bytes that they do not understand, and
# RuntimeError also for a password.
DAMAGES = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    MemoryError,
)
# Errors of the system that names and places in an archive cause; None is gzip's and bzip2's own.
# Others are the disk's.
CAUSED = (
    None,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EILSEQ,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ELOOP,
    errno.EOVERFLOW,
)


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path, how many bytes it has, and what opens it."""

    name: str
    size: int
    open: Callable[[], BinaryIO]


def is_archive(name: str) -> bool:
    """Return whether a file's name says that it is an archive."""
    return name.lower().endswith(ZIPS + TARS)


def unpack(archive: Path, folder: Path, key: str, source: str) -> None:
    """Unpack an archive into an empty folder.

    Args:
        key, source: the setting that named the archive, and what it said, for the error's line.

    Raises:
        UserError: it is damaged, it holds a link, a device, a sparse file, or a path that leads out
            of the folder or that no file can have, or the disk is too small. What was unpacked by
            then stays in the folder.
        OSError: the disk is full or broken.
    """
    said = f"{key}: {clipped(source, 100)}"
    if what := foreign_file(archive):
        raise UserError(f"{said} {what}")
    try:
        if archive.name.lower().endswith(ZIPS):
            with zipfile.ZipFile(archive) as opened:
                _write(_zip_members(opened, said), folder, said)
        else:
            with _tar_stream(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as opened:
                _write(_tar_members(opened, stream, said), folder, said)
    except DAMAGES as error:
        raise _damaged(said, error) from None
    except OSError as error:
        if error.errno not in CAUSED:
            raise
        raise _damaged(said, error) from None


def _damaged(said: str, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or first_line(error)
    if isinstance(error, UnicodeError):
        reason = "a name is not UTF-8"
    return UserError(f"{said} cannot be unpacked: {clipped(reason, 150)}")


def _zip_members(opened: zipfile.ZipFile, said: str) -> Iterator[Member]:
    for member in opened.infolist():
        if member.external_attr >> 16 & 0o170000 == LINK:
            raise UserError(f"{said} holds a link, {quoted(member.filename)}; pack files only")
        if member.compress_type not in METHODS:
            raise UserError(
                f"{said} holds {quoted(member.filename)}, compressed by method "
                f"{member.compress_type}; pack it with Deflate, the usual one"
            )
        if not member.filename.endswith("/"):
            yield Member(member.filename, member.file_size, partial(opened.open, member))


class _Stream:
    """The bytes of a .tar for tarfile, which would read a header of any size that it claims.

    left: how many bytes may be read until this is set again.
    """

    def __init__(self, content: BinaryIO):
        self.content, self.left = content, BLOCK
        self.seek, self.tell = content.seek, content.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.left:
            raise ValueError(f"a header is longer than {BLOCK >> 20} MB, or has a negative length")
        self.left -= size
        return self.content.read(size)

    def seekable(self) -> bool:
        return True


@contextmanager
def _tar_stream(archive: Path) -> Iterator[_Stream]:
    """Yield the bytes of a .tar, decompressed as its name says."""
    with STREAMS[archive.name.lower().rpartition(".")[2]](archive) as content:
        yield _Stream(content)


def _tar_members(opened: tarfile.TarFile, stream: _Stream, said: str) -> Iterator[Member]:
    while True:
        stream.left = BLOCK
        member = opened.next()
        if member is None:
            break
        if len(opened.members) > MEMBERS:
            raise UserError(f"{said} holds more than {MEMBERS} files; pack it as several archives")
        if member.size < 0:
            raise ValueError("a file has a negative size")
        if member.sparse is not None:
            raise UserError(
                f"{said} holds a sparse file, {quoted(member.name)}; pack it without --sparse"
            )
        if not (member.isreg() or member.isdir()):
            raise UserError(
                f"{said} holds a link or a device, {quoted(member.name)}; pack files only"
            )
        member.pax_headers = {}  # up to 1 MB each
        if member.isreg():
            yield Member(member.name, member.size, partial(_tar_file, opened, stream, member))
    _check_end(opened, stream)


def _tar_file(opened: tarfile.TarFile, stream: _Stream, member: tarfile.TarInfo) -> Any:
    stream.left = member.size
    return opened.extractfile(member)


def _check_end(opened: tarfile.TarFile, stream: _Stream) -> None:
    """Read a .tar to its end, where a compressed stream has its checksum.

    Raises:
        ValueError: tarfile took a damaged header, or an end without its mark, for the end.
    """
    stream.seek(opened.offset)
    if stream.content.read(len(END)) != END:
        raise ValueError("a header is damaged, or the end is missing")
    for _ in range(PADDING // BLOCK):
        if not stream.content.read(BLOCK):
            return
    raise ValueError(f"more than {PADDING >> 20} MB stand behind its end")


def _write(found: Iterable[Member], folder: Path, said: str) -> None:
    members: dict[Path, Member] = {}  # of files with one name the last remains, as in tar
    total, free = 0, shutil.disk_usage(folder).free
    for member in found:
        if IGNORED in Path(member.name).parts:
            continue
        members[Path(member.name)] = member
        total += member.size
        if total > free:
            raise UserError(
                f"{said} unpacks to {total / 1e9:.1f} GB or more, and {folder} has "
                f"{free / 1e9:.1f} GB"
            )
    names = [member.name for member in members.values()]
    refuse_misnamed(folder, names, f"{said} holds", "rename it and pack it again")
    for member in members.values():
        if not is_inside(member.name):
            raise UserError(
                f"{said} holds {quoted(member.name)}, which leads out of its folder; pack it again"
            )
    for member in members.values():
        file = folder / member.name
        file.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as content, open(file, "wb") as target:
            shutil.copyfileobj(content, target, BLOCK)
