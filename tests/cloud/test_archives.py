"""Archives made on the spot, good and evil."""

import bz2
import errno
import gzip
import io
import lzma
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from dlinknet.cloud import archives
from dlinknet.cloud.archives import is_archive, unpack
from dlinknet.errors import InputError
from tests.conftest import ROOT

FILES = {"train/a_sat.jpg": b"image", "train/deep/中.png": b"mask", "top.txt": b""}


def make_zip(file, files=FILES):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def make_tar(file, files=FILES, **member):
    mode = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(
        file.name.rpartition(".")[2], "w"
    )
    with tarfile.open(file, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in member.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))


def unpacked(archive, tmp_path):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    unpack(archive, folder, "obs://b/a.zip")
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize(
    "name", ["a.zip", "A.ZIP", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"]
)
def test_every_kind(tmp_path, name):
    assert is_archive(name)
    (make_zip if name.lower().endswith("zip") else make_tar)(tmp_path / name)
    assert unpacked(tmp_path / name, tmp_path) == FILES


def test_names_that_are_no_archives_and_what_macos_adds(tmp_path):
    assert not is_archive("a.ckpt") and not is_archive("zip") and not is_archive("a.gz")
    make_zip(tmp_path / "a.zip", {**FILES, "__MACOSX/train/._a_sat.jpg": b"x", "train/": b""})
    assert unpacked(tmp_path / "a.zip", tmp_path) == FILES


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/evil.txt", "train/../../evil.txt", "..\\evil.txt"]
)
@pytest.mark.parametrize("make, ending", [(make_zip, ".zip"), (make_tar, ".tar")])
def test_a_path_that_leaves_the_folder(tmp_path, make, ending, name):
    make(tmp_path / f"a{ending}", {"good.txt": b"x", name: b"evil"})
    with pytest.raises(
        InputError, match=r"obs://b/a.zip holds .*leads out of its folder; pack it again"
    ):
        unpacked(tmp_path / f"a{ending}", tmp_path)
    assert not list(tmp_path.rglob("evil.txt")) and not list((tmp_path / "unpacked").iterdir())


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar(tmp_path, kind):
    make_tar(tmp_path / "a.tar", {"x": b""}, type=kind, linkname="/etc/passwd")
    with pytest.raises(InputError, match="holds a link or a device, 'x'"):
        unpacked(tmp_path / "a.tar", tmp_path)


def test_a_link_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="holds a link, 'x'"):
        unpacked(tmp_path / "a.zip", tmp_path)


@pytest.mark.parametrize(
    "make, name", [(make_zip, "a.zip"), (make_tar, "a.tar"), (make_tar, "a.tar.gz")]
)
@pytest.mark.parametrize("share", [0, 0.5])
def test_damaged(tmp_path, make, name, share):
    make(tmp_path / name, {f"{number}.bin": bytes(range(256)) * 64 for number in range(4)})
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * share)] or b"no archive")
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpacked(tmp_path / name, tmp_path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_of_a_zip_that_is_damaged(tmp_path, kind):
    content = np.random.default_rng(1).integers(0, 200, 100_000, np.uint8).tobytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w", kind) as archive:
        archive.writestr("x.bin", content)
    damage(tmp_path / "a.zip")
    with pytest.raises(InputError, match="^obs://b/a.zip cannot be unpacked: [^\\n]*$"):
        unpacked(tmp_path / "a.zip", tmp_path)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_a_compressed_tar_that_is_damaged(tmp_path, name):
    """Also if all its blocks can be read, because the checksum at the end is wrong."""
    make_tar(
        tmp_path / name,
        {"x.bin": np.random.default_rng(1).integers(0, 200, 100_000, np.uint8).tobytes()},
    )
    damage(tmp_path / name)
    with pytest.raises(InputError, match="^obs://b/a.zip cannot be unpacked: [^\\n]*$"):
        unpacked(tmp_path / name, tmp_path)


def damage(file):
    content = bytearray(file.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 50):
        content[place] ^= 0xFF
    file.write_bytes(content)


def test_one_name_for_a_file_and_a_folder(tmp_path):
    make_zip(tmp_path / "a.zip", {"a": b"x", "a/b": b"y"})
    with pytest.raises(
        InputError,
        match="^obs://b/a.zip holds 'a', which has the same name as a folder; rename it",
    ):
        unpacked(tmp_path / "a.zip", tmp_path)


def test_too_large_for_the_disk(tmp_path, monkeypatch):
    make_zip(tmp_path / "a.zip", {"x": b"x" * 2000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1999))
    with pytest.raises(InputError, match="unpacks to 0.0 GB or more, and .* has 0.0 GB"):
        unpacked(tmp_path / "a.zip", tmp_path)


END = bytes(10240)


def header(name="x", size=0, kind=b"0", size_field=b""):
    """Return a header block of a .tar; `size_field` replaces the size."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124 : 124 + len(size_field)] = size_field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def refusal(tmp_path, name, content):
    """Return the line that rejects an archive of these bytes, without its start."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        unpacked(tmp_path / name, tmp_path)
    assert len(str(error.value)) <= 300 and "\n" not in str(error.value)
    return str(error.value).removeprefix("obs://b/a.zip ")


@pytest.mark.parametrize(
    "name, words",
    [
        (
            "n" * 300,
            "holds 'n{57}...', which has a name of more than 255 bytes; rename it and pack it",
        ),
        ("路" * 86, "which has a name of more than 255 bytes"),
        ("a/" * 101 + "x", "which has more than 100 folders in its path"),
        ("d/" * 2100 + "x", "which has a path of more than 4000 bytes"),
        ("x\n" * 150, "holds 'x x .*', which has a name of more than 255 bytes"),
        (".", "holds '.', which has no name"),
    ],
)
@pytest.mark.parametrize("make, ending", [(make_zip, ".zip"), (make_tar, ".tar")])
def test_names_that_no_file_can_have(tmp_path, make, ending, name, words):
    make(tmp_path / f"b{ending}", {"good.txt": b"x", name: b"y"})
    line = refusal(tmp_path, f"a{ending}", (tmp_path / f"b{ending}").read_bytes())
    assert re.match(words if words.startswith("holds") else f"holds .*{words}", line), line
    assert not list((tmp_path / "unpacked").iterdir()), "names are judged before any is written"


def test_names_that_differ_in_capitals_only_are_two_files(tmp_path):
    make_zip(tmp_path / "a.zip", {"a.png": b"1", "A.png": b"2"})
    assert unpacked(tmp_path / "a.zip", tmp_path) == {"a.png": b"1", "A.png": b"2"}


def test_a_zip_whose_names_are_said_to_be_utf8_and_are_not(tmp_path):
    make_zip(tmp_path / "b.zip", {"中.png": b"x"})
    content = (tmp_path / "b.zip").read_bytes().replace("中".encode(), b"\xff\xfe\xfd")
    assert refusal(tmp_path, "a.zip", content) == "cannot be unpacked: a name is not UTF-8"


def test_a_tar_with_a_name_that_is_not_utf8(tmp_path):
    line = refusal(tmp_path, "a.tar", header("\udcff") + END)
    assert "which has a name that is not UTF-8" in line


def test_an_empty_name_in_a_zip(tmp_path):
    make_zip(tmp_path / "b.zip", {"x": b""})
    content = (tmp_path / "b.zip").read_bytes()
    for start, length, name in ((content.index(b"PK\1\2"), 28, 46), (0, 26, 30)):
        kept, rest = content[start + length + 2 : start + name], content[start + name + 1 :]
        content = content[: start + length] + b"\0\0" + kept + rest
    end, table = content.index(b"PK\5\6"), content.index(b"PK\1\2")
    content = content[: end + 12] + struct.pack("<II", 46, table) + content[end + 20 :]
    line = refusal(tmp_path, "a.zip", content)
    assert line == "holds '', which has no name; rename it and pack it again"


@pytest.mark.parametrize(
    "size, words",
    [
        (b"\xff" * 12, "negative"),
        (b"\x80" + b"\0" * 3 + b"\x10" + b"\0" * 7, "unpacks to .* GB or more, and .* has"),
        (b"x" * 12, "cannot be unpacked"),
    ],
)
@pytest.mark.parametrize("kind", [b"0", b"L", b"x", b"S"])
def test_sizes_that_no_file_has(tmp_path, size, words, kind):
    """-1 byte, 2^60 bytes, no number; of a file, a long name, a pax header, a sparse file."""
    line = refusal(tmp_path, "a.tar", header(size_field=size, kind=kind) + END)
    assert re.search(words if kind == b"0" else "cannot be unpacked|sparse", line), line


def test_sparse_files_are_refused_good_or_bad(tmp_path):
    info = tarfile.TarInfo("s")
    info.size = 1024
    for number, table in enumerate((b"1\n0\n5\n", b"a\n", b"900000000\n" + b"1\n" * 200)):
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": "s",
            "GNU.sparse.realsize": "5",
        }
        data = table.ljust(512, b"\0") + b"hello".ljust(512, b"\0")
        content = info.tobuf(tarfile.PAX_FORMAT) + data + END
        folder = tmp_path / str(number)
        folder.mkdir()
        line = refusal(folder, "a.tar", content)
        good = "holds a sparse file, 's'; pack it without --sparse"
        assert ("cannot be unpacked" if number else good) in line, line


def test_a_tar_that_ends_too_early_or_too_late(tmp_path):
    """tarfile regards a damaged header, and an end between two files, as the end."""
    good = header("a.txt", 1) + b"a".ljust(512, b"\0")
    for number, (content, words) in enumerate(
        (
            (good, "a header is damaged, or the end is missing"),
            (good + b"\1" * 512 + END, "a header is damaged"),
            (good + header("b.txt")[:100], "a header is damaged"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert words in refusal(folder, "a.tar", content)
    line = refusal(tmp_path, "a.tar.bz2", bz2.compress(good + bytes(80 << 20)))
    assert "more than 64 MB stand behind its end" in line


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_zipfile_reads_without_a_bound(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", method) as archive:
        archive.writestr("x.bin", b"x")
    line = refusal(tmp_path, "a.zip", (tmp_path / "b.zip").read_bytes())
    assert line == (
        f"holds 'x.bin', compressed by method {method}; pack it with Deflate, the usual one"
    )


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer.*pull"),
        (b"<!DOCTYPE html><html>Not found</html>", "is a web page, not the file itself"),
    ],
)
@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_what_a_failed_download_leaves_is_called_by_its_name(tmp_path, name, content, words):
    assert re.match(words, refusal(tmp_path, name, content))


def test_the_disks_errors_are_not_the_archives(tmp_path, monkeypatch):
    make_zip(tmp_path / "a.zip")
    for number, fault in (
        (errno.ENOSPC, OSError),
        (errno.EROFS, OSError),
        (errno.EACCES, OSError),
        (errno.ELOOP, InputError),
        (errno.EILSEQ, InputError),
        (errno.EINVAL, InputError),
    ):

        def fail(*_, number=number):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(shutil, "copyfileobj", fail)
        shutil.rmtree(tmp_path / "unpacked", ignore_errors=True)
        with pytest.raises(fault, match=os.strerror(number)):
            unpacked(tmp_path / "a.zip", tmp_path)


BOMB = """
import sys, resource
resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))
from pathlib import Path
from dlinknet.cloud.archives import unpack
from dlinknet.errors import InputError
try:
    unpack(Path(sys.argv[1]), Path(sys.argv[2]), "s")
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "name, pack",
    [("a.tar.gz", gzip.compress), ("a.tar.bz2", bz2.compress), ("a.tar.xz", lzma.compress)],
)
@pytest.mark.parametrize("kind", [b"L", b"x"])
def test_a_header_that_claims_a_gigabyte(tmp_path, name, pack, kind):
    (tmp_path / name).write_bytes(pack(header(size=1 << 30, kind=kind) + bytes(4 << 20)))
    said = subprocess.run(
        [sys.executable, "-c", BOMB, str(tmp_path / name), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert said.stdout == (
        "s cannot be unpacked: a header is longer than 1 MB, or has a negative length\n"
    ), said


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_archives_with_damages_anywhere(tmp_path, name):
    """An archive with one to three damages is unpacked or rejected in one line, 60 times."""
    refused = 0
    for number in range(60):
        folder, rng = tmp_path / str(number), np.random.default_rng(number)
        folder.mkdir()
        (make_zip if name.endswith("zip") else make_tar)(folder / name)
        content = bytearray((folder / name).read_bytes())
        for _ in range(rng.integers(1, 4)):
            place, length = rng.integers(0, len(content)), rng.integers(1, 9)
            instead = rng.integers(0, 256, rng.integers(0, 9), np.uint8).tobytes()
            content[place : place + length] = instead
        (folder / name).write_bytes(content)
        try:
            unpacked(folder / name, folder)
        except InputError as error:
            refused += 1
            assert len(str(error)) <= 300 and "\n" not in str(error)
        assert sorted(path.name for path in folder.iterdir()) == [name, "unpacked"]
    assert refused > 20


def test_a_name_that_stands_there_often_is_written_once(tmp_path, monkeypatch):
    """The last file counts, as in tar: 3 kB of bzip2 may name one file 300,000 times."""
    members = [header("x", 2) + str(number).encode().ljust(512, b"\0") for number in range(10, 100)]
    (tmp_path / "a.tar").write_bytes(b"".join(members) + END)
    copies, copy = [], shutil.copyfileobj
    monkeypatch.setattr(shutil, "copyfileobj", lambda *files: copies.append(copy(*files)))
    assert unpacked(tmp_path / "a.tar", tmp_path) == {"x": b"99"} and len(copies) == 1


def test_a_tar_with_more_members_than_memory_is_for(tmp_path, monkeypatch):
    """Folders and files of one name count, too."""
    monkeypatch.setattr(archives, "MEMBERS", 3)
    for number, names in enumerate((["x"] * 4, ["a", "b", "c", "d"], ["x"] * 3)):
        content = b"".join(header(name) for name in names) + header("d", kind=b"5") + END
        folder = tmp_path / str(number)
        folder.mkdir()
        line = refusal(folder, "a.tar", content)
        assert line == "holds more than 3 files; pack it as several archives"
