"""Archives made on the spot, good and evil."""
import io
import shutil
import tarfile
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from dlinknet.cloud.archives import is_archive, unpack
from dlinknet.errors import UserError

FILES = {"train/a_sat.jpg": b"image", "train/deep/中.png": b"mask", "top.txt": b""}


def make_zip(file, files=FILES):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def make_tar(file, files=FILES, **member):
    mode = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(file.name.rpartition(".")[2], "w")
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
    unpack(archive, folder, "data_url", "obs://b/a.zip")
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", ["a.zip", "A.ZIP", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_every_kind(tmp_path, name):
    assert is_archive(name)
    (make_zip if name.lower().endswith("zip") else make_tar)(tmp_path / name)
    assert unpacked(tmp_path / name, tmp_path) == FILES


def test_names_that_are_no_archives_and_what_macos_adds(tmp_path):
    assert not is_archive("a.ckpt") and not is_archive("zip") and not is_archive("a.gz")
    make_zip(tmp_path / "a.zip", {**FILES, "__MACOSX/train/._a_sat.jpg": b"x", "train/": b""})
    assert unpacked(tmp_path / "a.zip", tmp_path) == FILES


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "train/../../evil.txt", "..\\evil.txt"])
@pytest.mark.parametrize("make, ending", [(make_zip, ".zip"), (make_tar, ".tar")])
def test_a_path_that_leaves_the_folder(tmp_path, make, ending, name):
    make(tmp_path / f"a{ending}", {"good.txt": b"x", name: b"evil"})
    with pytest.raises(UserError, match=r"data_url: .*leads out of its folder; pack it again"):
        unpacked(tmp_path / f"a{ending}", tmp_path)
    assert not list(tmp_path.rglob("evil.txt")) and not list((tmp_path / "unpacked").iterdir())


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar(tmp_path, kind):
    make_tar(tmp_path / "a.tar", {"x": b""}, type=kind, linkname="/etc/passwd")
    with pytest.raises(UserError, match="holds a link or a device, 'x'"):
        unpacked(tmp_path / "a.tar", tmp_path)


def test_a_link_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(UserError, match="holds a link, 'x'"):
        unpacked(tmp_path / "a.zip", tmp_path)


@pytest.mark.parametrize("make, name", [(make_zip, "a.zip"), (make_tar, "a.tar"), (make_tar, "a.tar.gz")])
@pytest.mark.parametrize("share", [0, 0.5])
def test_damaged(tmp_path, make, name, share):
    make(tmp_path / name, {f"{number}.bin": bytes(range(256)) * 64 for number in range(4)})
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[:int(len(content) * share)] or b"no archive")
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpacked(tmp_path / name, tmp_path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_of_a_zip_that_is_damaged(tmp_path, kind):
    content = np.random.default_rng(1).integers(0, 200, 100_000, np.uint8).tobytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w", kind) as archive:
        archive.writestr("x.bin", content)
    damage(tmp_path / "a.zip")
    with pytest.raises(UserError, match="^data_url: obs://b/a.zip cannot be unpacked: [^\\n]*$"):
        unpacked(tmp_path / "a.zip", tmp_path)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_a_compressed_tar_that_is_damaged(tmp_path, name):
    """Also where its blocks can be read: the checksum at the end says it."""
    make_tar(tmp_path / name, {"x.bin": np.random.default_rng(1).integers(0, 200, 100_000, np.uint8).tobytes()})
    damage(tmp_path / name)
    with pytest.raises(UserError, match="^data_url: obs://b/a.zip cannot be unpacked: [^\\n]*$"):
        unpacked(tmp_path / name, tmp_path)


def damage(file):
    content = bytearray(file.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 50):
        content[place] ^= 0xff
    file.write_bytes(content)


def test_one_name_for_a_file_and_a_folder(tmp_path):
    make_zip(tmp_path / "a.zip", {"a": b"x", "a/b": b"y"})
    with pytest.raises(UserError, match="^data_url: obs://b/a.zip holds 'a', which has the same name "
                                        "as a folder; rename it"):
        unpacked(tmp_path / "a.zip", tmp_path)


def test_too_large_for_the_disk(tmp_path, monkeypatch):
    make_zip(tmp_path / "a.zip", {"x": b"x" * 2000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1999))
    with pytest.raises(UserError, match="unpacks to 0.0 GB or more, and .* has 0.0 GB"):
        unpacked(tmp_path / "a.zip", tmp_path)
