"""Bad archives, and the raw probabilities of the Ascend 310 program."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from pathlib import Path
from random import Random

import numpy as np

from tests.campaigns.damage import damaged
from tests.campaigns.forks import Case, Disagrees, Kind

NAMES = (
    "data/a_sat.jpg",
    "../up",
    "/tmp/absolute",
    "a/../../up",
    "a\0b",
    "C:\\x",
    "..\\up",
    "x" * 300,
    "d/" * 400 + "f",
    "",
    ".",
    "a",
    "a/b",
    "a/b/c",
    "é" * 200,
    "\udcff",
    "\x1b[31m",
    "a\nb",
    "con",
    "__MACOSX/x",
    ".dlinknet_job.json",
    "~/x",
    "./../data/../../up",
    "data/",
)
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MOST = 64 << 20  # the most bytes that an archive may write here


def _content(rng: Random) -> bytes:
    return rng.choice((b"", b"x", rng.randbytes(2000), bytes(100_000)))


def _zip(rng: Random) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(
        content,
        "w",
        rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
    ) as archive:
        for place in range(rng.choice((1, 2, 4))):
            member = zipfile.ZipInfo("placeholder" if rng.random() < 0.1 else f"data/f{place}")
            if rng.random() < 0.4:
                member.filename = rng.choice(NAMES).encode("utf-8", "replace").decode()
            if rng.random() < 0.15:
                member.external_attr = (
                    rng.choice(
                        (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR, stat.S_IFREG)
                    )
                    << 16
                )
            member.compress_type = archive.compression
            archive.writestr(member, _content(rng))
    return content.getvalue()


def _zip_operated(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Return (the ZIP with a field of a header changed, how)."""
    headers = [
        at
        for mark in (b"PK\1\2", b"PK\3\4")
        for at in range(len(data))
        if data[at : at + 4] == mark
    ]
    if not headers:
        return data, "as it is"
    at, changed = rng.choice(headers), bytearray(data)
    central = data[at : at + 4] == b"PK\1\2"
    field = rng.choice(
        (
            ("flags", 8, 2),
            ("method", 10, 2),
            ("crc", 16, 4),
            ("packed size", 20, 4),
            ("size", 24, 4),
            ("name length", 28, 2),
            ("extra length", 30, 2),
            ("offset", 42, 4),
        )
        if central
        else (
            ("flags", 6, 2),
            ("method", 8, 2),
            ("crc", 14, 4),
            ("packed size", 18, 4),
            ("size", 22, 4),
            ("name length", 26, 2),
        )
    )
    value = rng.choice((0, 1, 8, 99, 0x800, 0xFFFF, 2**31, 2**32 - 1)) % 2 ** (8 * field[2])
    changed[at + field[1] : at + field[1] + field[2]] = value.to_bytes(field[2], "little")
    if (
        field[0] == "flags" and rng.random() < 0.7
    ):  # a name that is marked as UTF-8 and is not UTF-8
        name = at + (46 if central else 30)
        changed[at + field[1] : at + field[1] + 2] = struct.pack("<H", 0x800)
        changed[name : name + 1] = b"\xff"
    return bytes(changed), f"{field[0]} {value}"


def _tar(rng: Random) -> bytes:
    content = io.BytesIO()
    form = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=content, mode="w", format=form) as archive:
        for place in range(rng.choice((1, 2, 4))):
            member, data = tarfile.TarInfo(f"data/f{place}"), _content(rng)
            member.size = len(data)
            if rng.random() < 0.4:
                member.name = rng.choice(NAMES)
            if rng.random() < 0.2:
                member.type = rng.choice(
                    (
                        tarfile.SYMTYPE,
                        tarfile.LNKTYPE,
                        tarfile.FIFOTYPE,
                        tarfile.CHRTYPE,
                        tarfile.DIRTYPE,
                        tarfile.CONTTYPE,
                        tarfile.GNUTYPE_SPARSE,
                        b"Z",
                        b"\0",
                    )
                )
                member.linkname = rng.choice(("data/f0", "../up", "/etc/passwd", ""))
            if form == tarfile.PAX_FORMAT and rng.random() < 0.3:
                member.pax_headers = rng.choice(
                    (
                        {"size": "99999999999"},
                        {"size": "-1"},
                        {"size": "x"},
                        {"path": "../up"},
                        {"mtime": "nan"},
                        {"path": "x" * 5000},
                        {"uid": "x"},
                        {"GNU.sparse.map": "0,1,5"},
                        {"GNU.sparse.map": "0,99999999999999"},
                        {"GNU.sparse.size": "99999999999999"},
                        {
                            "GNU.sparse.major": "1",
                            "GNU.sparse.minor": "0",
                            "GNU.sparse.realsize": "99999999999",
                        },
                        {"hdrcharset": "BINARY"},
                        {"GNU.sparse.name": "../up"},
                        {"linkpath": "../up"},
                        {"a": "\x1b[31m"},
                    )
                )
            try:
                archive.addfile(member, io.BytesIO(data))
            except (ValueError, UnicodeError):  # this format cannot hold the name
                member.name = "short"
                archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


def _tar_operated(rng: Random, data: bytes) -> tuple[bytes, str]:
    """Return (the tar with a field of a header changed and its checksum repaired, how)."""
    at, changed = 512 * rng.randrange(max(1, len(data) // 512 - 2)), bytearray(data)
    field = rng.choice(
        (
            ("name", 0, 100),
            ("mode", 100, 8),
            ("size", 124, 12),
            ("mtime", 136, 12),
            ("type", 156, 1),
            ("link", 157, 100),
            ("magic", 257, 8),
            ("sparse", 386, 96),
            ("real size", 483, 12),
        )
    )
    value = rng.choice(
        (
            b"77777777777\0",
            b"-1\0",
            b"\xff" * 12,
            b"\x80" + b"\xff" * 11,
            b"\x80" + bytes(7) + b"\1\0\0\0",
            b"S",
            b"x",
            b"g",
            b"L",
            b"../up\0",
            b"00000000000\0" * 2 + b"77777777777\0" * 2,
            b"\0",
        )
    )[: field[2]]
    changed[at + field[1] : at + field[1] + len(value)] = value
    if field[0] == "sparse":
        changed[at + 156 : at + 157] = b"S"
    block = changed[at : at + 148] + b" " * 8 + changed[at + 156 : at + 512]
    changed[at + 148 : at + 156] = b"%06o\0 " % sum(block)
    return bytes(changed), f"{field[0]} {value!r}"


def _pack(rng: Random, data: bytes, suffix: str) -> bytes:
    if suffix in (".tar.gz", ".tgz"):
        return gzip.compress(data, 1)
    if suffix == ".tar.bz2":
        import bz2

        return bz2.compress(data, 1)
    if suffix == ".tar.xz":
        import lzma

        return lzma.compress(data, rng.choice((lzma.FORMAT_XZ, lzma.FORMAT_ALONE)), preset=0)
    return data


def make_archive(rng: Random) -> Case:
    """Make an archive, for unpack().

    It may write only files and folders, and only into its folder.
    """
    suffix, said = rng.choice(SUFFIXES), "whole"
    data = _zip(rng) if suffix == ".zip" else _tar(rng)
    if rng.random() < 0.4:
        data, said = (_zip_operated if suffix == ".zip" else _tar_operated)(rng, data)
    data = _pack(rng, data, suffix)
    if rng.random() < 0.4:
        data, said = damaged(rng, data)
    if rng.random() < 0.05:
        suffix = rng.choice(SUFFIXES)
    archive = Path(f"roads{suffix}")
    archive.write_bytes(data)
    Path("inner/data").mkdir(parents=True)

    def run() -> str:
        from dlinknet.cloud.archives import unpack

        before = _listing()
        try:
            unpack(archive, Path("inner/data"), archive.name)
        finally:
            _look_around(before)
        return f"{sum(len(files) for _, _, files in os.walk('inner/data'))} files"

    return Case(f"{suffix}: {said}", run)


def _listing() -> dict[str, int]:
    """Return the sizes of the files outside of the archive's folder, without the trial's output."""
    return {
        str(path): path.lstat().st_size
        for path in Path(".").rglob("*")
        if not str(path).startswith("inner/data") and path.is_file() and path.name != "said"
    }


def _look_around(before: dict[str, int]) -> None:
    if _listing() != before or Path("../up").exists() or Path("/tmp/absolute").exists():
        raise Disagrees("an archive wrote outside of its folder")
    size = 0
    for place, folders, files in os.walk("inner/data"):
        for name in folders + files:
            state = os.lstat(os.path.join(place, name))
            if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
                raise Disagrees(f"an archive made something that is no file: {name[:40]!a}")
            size += state.st_blocks * 512
    if size > MOST:
        raise Disagrees(f"an archive of some kB wrote {size} bytes")


def make_binary(rng: Random) -> Case:
    """Make an ID_sat.bin, for read_binary()."""
    maps, height, width = rng.choice((1, 1, 3)), 8, 16
    values = np.random.default_rng(rng.getrandbits(64)).random((maps, height, width), np.float32)
    said = "whole"
    if rng.random() < 0.4:
        values.flat[rng.randrange(values.size)] = value = rng.choice(
            (np.nan, np.inf, -np.inf, -1e-30, -0.0, 1.0001, 1.1, 1e-45, 3e38)
        )
        said = f"holds {value}"
    data = values.tobytes()
    if rng.random() < 0.6:
        data, said = damaged(rng, data)
    Path("a_sat.bin").write_bytes(data)

    def run() -> None:
        from dlinknet.evaluation.results_310 import read_binary

        found = read_binary(Path("a_sat.bin"), height, width, maps)
        if (
            found.shape != ((height, width) if maps == 1 else (maps, height, width))
            or not np.isfinite(found).all()
        ):
            raise Disagrees(f"{found.shape}, from {found.min()} to {found.max()}")

    return Case(said, run)


def _warm() -> None:
    import dlinknet.cloud.archives  # noqa: F401
    import dlinknet.evaluation.results_310  # noqa: F401
    import dlinknet.images.files  # noqa: F401


KINDS = (Kind("archive", 65, make_archive, _warm), Kind("binary", 15, make_binary, _warm))
