"""Unpack .zip and .tar.

Nothing is written outside of the folder, and nothing but files and folders is written.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import itertools
import lzma
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Callable, cast

from dlinknet.cloud.names import need_inside
from dlinknet.errors import InputError, clipped, first_line
from dlinknet.files.foreign import foreign_file
from dlinknet.files.places import quoted, refuse_misnamed

ZIPS = (".zip",)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
STREAMS: dict[str, Callable[[Path], Any]] = {
    "tar": partial(open, mode="rb"),
    "gz": gzip.open,
    "tgz": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
}
IGNORED = "__MACOSX"  # macOS puts it beside the files
LINK = 0o120000  # in the file type of a .zip's member
# zipfile decompresses the other methods without a bound: 1 kB of BZIP2 may hold 1 GB.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
MEMBERS = 200_000  # of a .tar: each needs about 1 kB of memory and 0.1 ms
BLOCK = 1 << 20  # bytes: copied at once; the most in the headers of one file of a .tar
PADDING = 64 << 20  # bytes behind the end mark of a .tar
END = bytes(512)  # the end mark
# zipfile, tarfile and the decompressors raise these for bytes that they do not understand. zipfile
# raises RuntimeError also for a password.
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
# Errors of the system whose cause is a name or a place in the archive; gzip and bzip2 raise OSError
# without a number. The disk causes all others.
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
    """A file in an archive: its path, its size in bytes, and a function that opens it."""

    name: str
    size: int
    open: Callable[[], BinaryIO]


def is_archive(name: str) -> bool:
    """Return whether a file's name has the ending of an archive."""
    return name.lower().endswith(ZIPS + TARS)


def unpack(archive: Path, folder: Path, source: str) -> None:
    """Unpack an archive into an empty folder.

    Args:
        source: the archive's URL or path as the user wrote it, for the error's line.

    Raises:
        InputError: the archive is damaged, or the disk is too small. Or the archive holds a link, a
            device, a sparse file, a path out of the folder, or a path that no file can have. The
            files that were unpacked before the error stay in the folder.
        OSError: the disk is full or broken.
    """
    source = clipped(source, 100)
    if fault := foreign_file(archive):
        raise InputError(source, fault)
    try:
        if archive.name.lower().endswith(ZIPS):
            with zipfile.ZipFile(archive) as opened:
                _write(_zip_members(opened, source), folder, source)
        else:
            with _tar_stream(archive) as stream, _open_tar(stream) as opened:
                _write(_tar_members(opened, stream, source), folder, source)
    except DAMAGES as error:
        raise _damaged(source, error) from None
    except OSError as error:
        if error.errno not in CAUSED:
            raise
        raise _damaged(source, error) from None


def _damaged(source: str, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or first_line(error)
    if isinstance(error, UnicodeError):
        reason = "a name is not UTF-8"
    return InputError(source, f"cannot be unpacked: {clipped(reason, 150)}")


def _zip_members(opened: zipfile.ZipFile, source: str) -> Iterator[Member]:
    for member in opened.infolist():
        if member.external_attr >> 16 & 0o170000 == LINK:
            raise InputError(source, f"holds a link, {quoted(member.filename)}; pack files only")
        if member.compress_type not in METHODS:
            raise InputError(
                source,
                f"holds {quoted(member.filename)}, compressed by method {member.compress_type}; "
                "pack it with Deflate, the usual one",
            )
        if not member.filename.endswith("/"):
            content = cast("Callable[[], BinaryIO]", partial(opened.open, member))
            yield Member(member.filename, member.file_size, content)


class _Stream:
    """The bytes of a .tar for tarfile, which alone would read a header of any size that it claims.

    left: bytes that may be read until the caller sets it again.
    """

    def __init__(self, content: BinaryIO):
        self.content, self.left = content, BLOCK
        self.seek, self.tell = content.seek, content.tell

    def read(self, size: int) -> bytes:
        """Return `size` bytes. ValueError if they are more than `left`."""
        if not 0 <= size <= self.left:
            raise ValueError(f"a header is longer than {BLOCK >> 20} MB, or has a negative length")
        self.left -= size
        return self.content.read(size)

    def seekable(self) -> bool:
        """Return True, as tarfile requires."""
        return True


@contextmanager
def _tar_stream(archive: Path) -> Iterator[_Stream]:
    """Yield the bytes of a .tar, decompressed as its name says."""
    with STREAMS[archive.name.lower().rpartition(".")[2]](archive) as content:
        yield _Stream(content)


def _open_tar(stream: _Stream) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast("BinaryIO", stream), mode="r:")


def _tar_members(opened: tarfile.TarFile, stream: _Stream, source: str) -> Iterator[Member]:
    for number in itertools.count(1):
        stream.left = BLOCK
        member = opened.next()
        if member is None:
            break
        if number > MEMBERS:
            raise InputError(
                source, f"holds more than {MEMBERS} files; pack it as several archives"
            )
        if member.size < 0:
            raise ValueError("a file has a negative size")
        if member.sparse is not None:
            raise InputError(
                source, f"holds a sparse file, {quoted(member.name)}; pack it without --sparse"
            )
        if not (member.isreg() or member.isdir()):
            raise InputError(
                source, f"holds a link or a device, {quoted(member.name)}; pack files only"
            )
        member.pax_headers = {}  # up to 1 MB each
        if member.isreg():
            yield Member(member.name, member.size, partial(_tar_file, opened, stream, member))
    _check_end(opened, stream)


def _tar_file(opened: tarfile.TarFile, stream: _Stream, member: tarfile.TarInfo) -> Any:
    stream.left = member.size
    return opened.extractfile(member)


def _check_end(opened: tarfile.TarFile, stream: _Stream) -> None:
    """Read a .tar to its end, because the checksum of a compressed stream is there.

    Raises:
        ValueError: the end has no mark, as after a damaged header, at which tarfile stops too; or
            too many bytes follow the mark.
    """
    stream.seek(opened.offset)
    if stream.content.read(len(END)) != END:
        raise ValueError("a header is damaged, or the end is missing")
    for _ in range(PADDING // BLOCK):
        if not stream.content.read(BLOCK):
            return
    raise ValueError(f"more than {PADDING >> 20} MB stand behind its end")


def _write(found: Iterable[Member], folder: Path, source: str) -> None:
    """Check all names and sizes of an archive, then write its files."""
    members: dict[Path, Member] = {}  # of several files with one name, the last counts, as in tar
    total, free = 0, shutil.disk_usage(folder).free
    for member in found:
        if IGNORED in Path(member.name).parts:
            continue
        members[Path(member.name)] = member
        total += member.size
        if total > free:
            raise InputError(
                source,
                f"unpacks to {total / 1e9:.1f} GB or more, and {folder} has {free / 1e9:.1f} GB",
            )
    names = [member.name for member in members.values()]
    refuse_misnamed(folder, names, f"{source} holds", "rename it and pack it again")
    need_inside(names, source, "pack it again")
    for member in members.values():
        file = folder / member.name
        file.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as content, open(file, "wb") as target:
            shutil.copyfileobj(content, target, BLOCK)
