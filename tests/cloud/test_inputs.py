"""The inputs of a job: files, folders and archives, on this machine and in a store."""

import json
import zipfile

import pytest

from dlinknet.cloud.inputs import Inputs, choose_checkpoint, choose_yaml, data_root
from dlinknet.cloud.node import CacheError, Node
from dlinknet.errors import InputError


@pytest.fixture
def inputs(remote, tmp_path):
    """new() -> Inputs as another job on the same machine has them."""
    return lambda: Inputs(Node(tmp_path / "cache"), lambda: remote.store)


def files(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def zipped(*names):
    import io

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return content.getvalue()


def test_a_folder_is_brought_once_and_again_when_it_has_changed(inputs, remote, tmp_path):
    remote.put("in/a_sat.jpg", b"one")
    remote.put("in/deep/b.txt", b"two")
    path = inputs().path(remote.url("in"), "data", unpacks=True)
    assert path == tmp_path / "cache" / "data" and files(path) == {
        "a_sat.jpg": b"one",
        "deep/b.txt": b"two",
    }
    was = (path / "a_sat.jpg").stat().st_ino
    assert inputs().path(remote.url("in"), "data", unpacks=True) == path
    assert (path / "a_sat.jpg").stat().st_ino == was, "nothing had changed"
    (path / "a_sat.jpg").write_bytes(b"damaged")
    inputs().path(remote.url("in"), "data", unpacks=True)
    assert files(path) == {"a_sat.jpg": b"one", "deep/b.txt": b"two"}
    remote.put("other/c.txt", b"three")
    inputs().path(remote.url("other/"), "data", unpacks=True)
    assert files(path) == {"c.txt": b"three"}
    assert [
        file.name
        for file in (tmp_path / "cache").iterdir()
        if file.name not in (".dlinknet_job.json", ".dlinknet_job.lock")
    ] == ["data"]


def test_a_file_and_what_lies_beside_an_export(inputs, remote, tmp_path):
    remote.put("nets/a.ckpt", b"weights")
    remote.put("nets/b.onnx", b"graph")
    remote.put("nets/b.onnx.json", b"{}")
    assert inputs().path(remote.url("nets/a.ckpt"), "trained_ckpt").read_bytes() == b"weights"
    path = inputs().path(remote.url("nets/b.onnx"), "trained_ckpt")
    assert files(path.parent) == {"b.onnx": b"graph", "b.onnx.json": b"{}"}
    remote.put("nets/C.ONNX", b"graph")
    remote.put("nets/C.ONNX.json", b"{}")
    path = inputs().path(remote.url("nets/C.ONNX"), "trained_ckpt")
    assert files(path.parent) == {"C.ONNX": b"graph", "C.ONNX.json": b"{}"}


@pytest.mark.parametrize("url", ["in/roads.zip", "in", "in/"])
def test_an_archive_is_unpacked_by_itself_or_alone_in_its_folder(inputs, remote, tmp_path, url):
    remote.put("in/roads.zip", zipped("roads/a_sat.jpg", "roads/a_mask.png"))
    path = inputs().path(remote.url(url), "data", unpacks=True)
    assert (
        sorted(files(path)) == ["roads/a_mask.png", "roads/a_sat.jpg"]
        and data_root(path) == path / "roads"
    )
    was = (path / "roads").stat().st_ino
    inputs().path(remote.url(url), "data", unpacks=True)
    assert (path / "roads").stat().st_ino == was


def test_an_evil_archive_leaves_nothing(inputs, remote, tmp_path):
    remote.put("evil.zip", zipped("a.txt", "../../evil.txt"))
    with pytest.raises(
        InputError,
        match=r"evil.zip holds '../../evil.txt', which leads out of its folder",
    ):
        inputs().path(remote.url("evil.zip"), "data", unpacks=True)
    assert not list(tmp_path.glob("**/evil.txt")) and not list((tmp_path / "cache").glob("*data*"))


def test_local_paths_are_used_in_place_and_archives_unpacked(tmp_path):
    inputs = Inputs(Node(tmp_path / "cache"), lambda: pytest.fail("a store was opened"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.zip").write_bytes(zipped("x.txt"))
    assert inputs.path(str(tmp_path / "in"), "data") == tmp_path / "in"
    for source in ("in", "in/a.zip"):
        path = inputs.path(str(tmp_path / source), "data", unpacks=True)
        assert files(path) == {"x.txt": b"x.txt"} and (tmp_path / "in" / "a.zip").exists()
    with pytest.raises(
        InputError,
        match=r"^there is no .*nowhere; a place in OBS is written obs://BUCKET/PATH",
    ):
        inputs.path(str(tmp_path / "nowhere"), "label_path")


def test_what_is_not_there_and_what_is_not_ours(inputs, remote, tmp_path):
    with pytest.raises(InputError, match="^there is nothing at .*none"):
        inputs().path(remote.url("none"), "data")
    (tmp_path / "cache" / "train_set").mkdir()
    (tmp_path / "cache" / "train_set" / "thesis.txt").write_text("precious")
    remote.put("in/a", b"x")
    with pytest.raises(
        CacheError,
        match="train_set holds files that no job downloaded, or its "
        "record is broken; remove it, or name another folder$",
    ):
        inputs().path(remote.url("in"), "train_set")
    assert (tmp_path / "cache" / "train_set" / "thesis.txt").read_text() == "precious"
    assert (
        json.loads((tmp_path / "cache" / ".dlinknet_job.json").read_text())["data"]["error"]
        == "InputError"
    )


def test_the_file_that_a_folder_stands_for():
    def chosen(*names):
        return choose_checkpoint("obs://b/run", list(names))

    assert chosen("a_best.ckpt", "a_last.ckpt", "a_plateau.ckpt", "notes.txt") == "a_best.ckpt"
    assert chosen("resnet34.pth", "notes.txt", ".hidden.ckpt") == "resnet34.pth"
    with pytest.raises(
        InputError,
        match=r"obs://b/run holds 2 files to choose from "
        r"\(a_best.ckpt, b_best.ckpt\); name the file",
    ):
        chosen("b_best.ckpt", "a_best.ckpt", "c.ckpt")
    with pytest.raises(InputError, match="holds no file that ends with .ckpt, .th"):
        chosen("notes.txt")
    assert choose_yaml("x", ["a.txt", "My.YAML"]) == "My.YAML"
    with pytest.raises(InputError, match="^x holds 2 files"):
        choose_yaml("x", ["a.yml", "b.yaml"])


def test_only_the_chosen_file_of_a_folder_is_brought(inputs, remote, tmp_path):
    for name in ("run/w_best.ckpt", "run/w_last.ckpt", "run/masks/w_best.ckpt"):
        remote.put(name, name.encode())
    path = inputs().path(remote.url("run"), "trained_ckpt", choose=choose_checkpoint)
    assert files(path.parent) == {"w_best.ckpt": b"run/w_best.ckpt"}
    local = tmp_path / "local"
    local.mkdir()
    (local / "x.ckpt").touch()
    assert inputs().path(str(local), "trained_ckpt", choose=choose_checkpoint) == local / "x.ckpt"


def test_a_record_whose_value_is_broken_is_made_again(tmp_path):
    """The archive has not changed, but the record of the unpacked folder has."""
    (tmp_path / "a.zip").write_bytes(zipped("x.txt"))
    record = tmp_path / "cache" / ".dlinknet_job.json"
    for value in (None, {}, 7, {"state": 7}, {"state": {}, "source": "", "sizes": {}, "file": 7}):
        inputs = Inputs(Node(tmp_path / "cache"), lambda: pytest.fail("a store was opened"))
        path = inputs.path(str(tmp_path / "a.zip"), "data", unpacks=True)
        assert files(path) == {"x.txt": b"x.txt"}
        content = json.loads(record.read_text())
        content["data"]["value"] = value
        record.write_text(json.dumps(content))


def test_paths_that_cannot_be(tmp_path):
    inputs = Inputs(Node(tmp_path / "cache"), lambda: pytest.fail("a store was opened"))
    (tmp_path / "loop").symlink_to("loop")
    for source in ("n" * 300, str(tmp_path / "loop"), "~nobody-of-this-name/x", "d/" * 3000):
        with pytest.raises(InputError, match="^there is no "):
            inputs.path(source, "data")


def test_an_object_with_the_longest_name_of_a_file(inputs, remote):
    remote.put(f"in/{'n' * 251}.png", b"y")
    assert files(inputs().path(remote.url("in"), "data")) == {f"{'n' * 251}.png": b"y"}


@pytest.mark.parametrize("remote", ["obs"], indirect=True)
def test_objects_that_cannot_be_files(inputs, remote):
    """In a store 'a' may be beside 'a/b'."""
    remote.put("in/a", b"x")
    remote.put("in/a/b", b"z")
    with pytest.raises(
        InputError,
        match="holds 'a', which has the same name as a folder; rename or remove it",
    ):
        inputs().path(remote.url("in"), "data")
