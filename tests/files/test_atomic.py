"""Files are complete or absent. Folders lose only files that a command wrote."""

import errno
import fcntl
import json
import multiprocessing
import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from dlinknet.errors import UserError, name_some
from dlinknet.files.atomic import replacing, temporary_files, write_text
from dlinknet.files.locks import locked
from dlinknet.files.places import misnamed, need_file, need_writable_folder
from dlinknet.files.results import (
    LOCK,
    MANIFEST,
    STAGE,
    adding_results,
    need_results_folder,
    new_folders,
    refuse_foreign,
    replacing_results,
)
from dlinknet.images.write import write_image


def names(folder: Path):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "one")
    with pytest.raises(OSError), replacing(file) as temporary:
        temporary.write_text("tw")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert file.read_text() == "one" and names(tmp_path) == ["a.txt"]
    write_text(file, "two")
    assert file.read_text() == "two"


def write_results(folder, *files):
    with replacing_results(folder) as stage:
        for name in files:
            (stage / name).parent.mkdir(exist_ok=True)
            (stage / name).write_text(name)


def test_results_replace_an_earlier_runs(tmp_path):
    folder = tmp_path / "out"
    write_results(folder, "a_mask.png", "sub/a.jpg")
    write_results(folder, "b_mask.png")
    assert names(folder) == [MANIFEST, "b_mask.png"]


def test_a_foreign_file_is_never_lost(tmp_path):
    folder = tmp_path / "out"
    write_results(folder, "a_mask.png")
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(
        UserError, match=".*out holds 1 files that no earlier run wrote .thesis.txt."
    ):
        write_results(folder, "b_mask.png")
    assert names(folder) == [MANIFEST, "a_mask.png", "thesis.txt"]


def test_a_failed_run_leaves_the_earlier_results(tmp_path):
    write_results(tmp_path, "a_mask.png")
    with pytest.raises(RuntimeError), replacing_results(tmp_path) as stage:
        (stage / "b_mask.png").write_text("b")
        raise RuntimeError
    assert names(tmp_path) == [MANIFEST, "a_mask.png"]
    refuse_foreign(tmp_path)


def test_a_manifest_cannot_name_files_elsewhere(tmp_path):
    (tmp_path / "keep.txt").write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    for manifest in ('["../keep.txt", 7]', json.dumps([str(tmp_path / "keep.txt")]), "7", "{", ""):
        (folder / MANIFEST).write_text(manifest)
        write_results(folder, "a_mask.png")
        assert (tmp_path / "keep.txt").exists()
        (folder / "a_mask.png").unlink()


def test_places_are_checked_without_making_them(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(UserError, match=".*/f is a file; name a folder"):
        need_writable_folder(str(tmp_path / "f"))
    with pytest.raises(UserError, match=".*/f is a file"):
        need_writable_folder(str(tmp_path / "f" / "g"))
    with pytest.raises(UserError, match="is empty: name a folder"):
        need_writable_folder("")
    need_writable_folder(str(tmp_path / "a" / "b"))
    assert not (tmp_path / "a").exists()
    with pytest.raises(UserError, match="there is no file .*none"):
        need_file(str(tmp_path / "none"))


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(UserError, match="cannot write to"):
        need_writable_folder(str(tmp_path / "a"))


def test_a_folder_has_one_writer_at_a_time(tmp_path):
    for write in (
        lambda: write_results(tmp_path, "b_mask.png"),
        lambda: new_folders(tmp_path, ["train"]).__enter__(),
    ):
        refused = pytest.raises(UserError, match="another run is writing to")
        with locked(tmp_path / LOCK), refused:
            write()
    write_results(tmp_path, "a_mask.png")
    assert names(tmp_path) == [MANIFEST, "a_mask.png"]


def test_an_image_that_cannot_be_written_is_an_error(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    write_image(tmp_path / "a.png", pixels)
    assert np.array_equal(cv2.imread(str(tmp_path / "a.png")), pixels)
    with pytest.raises(OSError) as error:
        write_image(tmp_path / "none" / "a.png", pixels)
    assert error.value.filename.endswith("none/a.png")


def test_long_lists_are_cut():
    assert name_some(["a", "b"]) == "a, b"
    assert name_some(list("abcdefg")) == "a, b, c, d, e and 2 more"


def add_results(folder, planned, *files, fail=False):
    written = []
    with adding_results(folder, planned, written):
        for name in files:
            write_text(folder / name, name)
            written.append(name)
        if fail:
            raise RuntimeError


def test_results_that_are_added_replace_what_an_earlier_run_left(tmp_path):
    add_results(tmp_path, ["a.txt", "sub/b.txt", "c.txt"], "a.txt", "sub/b.txt")
    assert names(tmp_path) == [MANIFEST, "a.txt", "sub/b.txt"]
    with pytest.raises(RuntimeError):
        add_results(tmp_path, ["a.txt", "d.txt"], "d.txt", fail=True)
    assert names(tmp_path) == [MANIFEST, "a.txt", "d.txt", "sub/b.txt"], (
        "a run that fails removes nothing"
    )
    add_results(tmp_path, ["a.txt", "d.txt"], "d.txt")
    assert names(tmp_path) == [MANIFEST, "d.txt"], (
        "a.txt was planned and not written: the old one is stale"
    )


def test_a_file_that_the_user_adds_meanwhile_is_never_removed(tmp_path):
    written = []
    with adding_results(tmp_path, ["a.txt"], written):
        (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="thesis.txt"):
        add_results(tmp_path, ["b.txt"], "b.txt")
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_what_a_killed_process_left_half_written_is_no_obstacle(tmp_path):
    add_results(tmp_path, ["a_mask.png", "sub/b.jpg"], "a_mask.png")
    for name in (".a_mask.4711.png", "sub/.b.4711.jpg", "..dlinknet_output.4711.json"):
        (tmp_path / name).write_text("half")
    with pytest.raises(UserError, match="1 files .*b.4711.jpg"):
        refuse_foreign(tmp_path)  # no run wrote sub/b.jpg, so this file may be anybody's
    (tmp_path / "sub" / ".b.4711.jpg").unlink()
    add_results(tmp_path, ["a_mask.png"], "a_mask.png")
    assert names(tmp_path) == [MANIFEST, "a_mask.png"]
    (tmp_path / ".other.4711.png").write_text("a name that dlinknet does not use")
    with pytest.raises(UserError, match=".other.4711.png"):
        refuse_foreign(tmp_path)


def test_a_picture_that_is_too_long_for_its_format(tmp_path):
    write_image(tmp_path / "long.jpg", np.full((20, 70_000, 3), 90, np.uint8))
    assert cv2.imread(str(tmp_path / "long.jpg")).shape == (19, 65_500, 3)
    with pytest.raises(OSError, match="1200000x1 pixels are too many for .png"):
        write_image(tmp_path / "long.png", np.zeros((1, 1_200_000), np.uint8))


def test_an_error_without_a_name_gets_the_files(tmp_path):
    with pytest.raises(OSError) as error, replacing(tmp_path / "p.npy"):
        raise OSError("9000000 requested and 24968 written")
    assert (
        error.value.filename == str(tmp_path / "p.npy")
        and error.value.strerror == "No space left on device"
    )


@pytest.mark.parametrize("stem", ["m" * 251, "路" * 83, "ä" * 125, "m" * 100, "m.n" * 50])
def test_a_temporary_name_is_short_whatever_the_final_name(tmp_path, stem):
    """Use names of 251 + 4, 249 + 4 and 250 + 4 bytes, the longest that a file can have."""
    file = tmp_path / f"{stem}.png"
    with replacing(file) as temporary:
        temporary.write_text("x")
        assert len(os.fsencode(temporary.name)) < 150 and temporary.suffix == ".png"
        assert temporary_files(file) == [temporary]
        with replacing(tmp_path / f"{stem[:-1]}z.png") as other:
            assert other != temporary, "names that differ in their last letter"
            other.write_text("y")
    assert file.read_text() == "x" and len(list(tmp_path.iterdir())) == 2


def test_a_long_ending_is_no_type(tmp_path):
    file = tmp_path / f"table.{'x' * 249}"
    write_text(file, "x")
    assert file.read_text() == "x" and len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_process_left_of_a_long_name_is_removed(tmp_path):
    name = f"{'路' * 80}_mask.png"
    add_results(tmp_path, [name], name)
    with replacing(tmp_path / name) as temporary:
        temporary.write_text("half")
        left = temporary.with_name(temporary.name.replace(f".{os.getpid()}.", ".4711."))
        left.write_text("half")
    add_results(tmp_path, [name], name)
    assert names(tmp_path) == [MANIFEST, name]


def test_which_names_no_file_can_have(tmp_path):
    fine = ["n" * 255, "路" * 85, "/".join(["d" * 39] * 90), "a b\\c"]
    assert not misnamed(tmp_path, fine)
    bad = [
        "n" * 256,
        "路" * 86,
        "a\0b",
        "\udcff",
        ".",
        "d/" * 100 + "x",
        ("d" * 200 + "/") * 20 + "x",
        "a/b",
        "a//b/c",
    ]
    assert misnamed(tmp_path, [*fine, *bad]) == {
        "n" * 256: "a name of more than 255 bytes",
        "路" * 86: "a name of more than 255 bytes",
        "a\0b": "a NUL byte in its name",
        "\udcff": "a name that is not UTF-8",
        ".": "no name",
        "d/" * 100 + "x": "more than 100 folders in its path",
        ("d" * 200 + "/") * 20 + "x": "a path of more than 4000 bytes",
        "a/b": "the same name as a folder",
    }


@pytest.fixture
def odd(tmp_path):
    """Return a folder with a file, a pipe, a broken link, a loop of links and a link to a file."""
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to(tmp_path / "none" / "x")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "linked").symlink_to("file")
    return tmp_path


@pytest.mark.parametrize(
    "name, words",
    [
        (
            "broken",
            "cannot follow the link .*/broken .No such file or directory.; name another folder",
        ),
        ("broken/x", "cannot follow the link .*/broken "),
        ("loop", "cannot follow the link .*/loop .Too many levels"),
        ("loop/x/y", "cannot follow the link .*/loop "),
        ("linked", "/linked is a file; name a folder"),
        ("linked/x", "/linked is a file"),
        ("pipe", "/pipe is no folder"),
        ("n" * 256, "has a name of more than 255 bytes"),
        ("路" * 86, "has a name of more than 255 bytes"),
        ("d/" * 2100, "has a path of more than 4000 bytes"),
        ("a\nb", "the name '.* has a line break"),
        ("/proc", "cannot write to /proc "),
        ("/proc/self/x", "cannot write to /proc/self "),
        ("/dev/null/x", "/dev/null is no folder"),
    ],
)
def test_places_for_which_there_is_no_folder(odd, name, words):
    before = sorted(odd.iterdir())
    with pytest.raises(UserError, match=words) as error:
        need_writable_folder(str(odd / name))
    assert len(str(error.value)) <= 300 and "\n" not in str(error.value)
    assert sorted(odd.iterdir()) == before


def test_a_place_is_tried_and_nothing_left(tmp_path, monkeypatch):
    """Check a read-only mount. os.access() says that root may write to it."""
    need_writable_folder(str(tmp_path / "a" / "b"))
    assert not list(tmp_path.iterdir())

    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    with pytest.raises(UserError, match="cannot write to .* .Read-only file system.; name"):
        need_writable_folder(str(tmp_path / "a" / "b"))


@pytest.mark.parametrize(
    "name, words",
    [
        ("", " is a folder; name a file"),
        ("pipe", "/pipe is a pipe or a device"),
        ("/dev/zero", "is a pipe or a device"),
        ("loop", "cannot read .*/loop: Too many levels"),
        ("broken", "there is no file .*/broken"),
        ("file/x", "there is no file"),
        ("n" * 256, "cannot read .*: File name too long"),
        ("a\0b", "cannot read"),
    ],
)
def test_files_that_are_none(odd, name, words):
    need_file(str(odd / "linked"))
    with pytest.raises(UserError, match=f"^.*{words}") as error:
        need_file(str(odd / name))
    assert len(str(error.value)) <= 300


def test_a_disk_of_foreign_files_is_not_searched_to_its_end(tmp_path):
    for number in range(40):
        (tmp_path / str(number)).mkdir()
        for name in range(50):
            (tmp_path / str(number) / f"{name}.txt").touch()
    words = r"holds more than 1000 files that no earlier run wrote \(.*txt, \.\.\.\)"
    with pytest.raises(UserError, match=words):
        need_results_folder(str(tmp_path))
    start = time.monotonic()
    with pytest.raises(UserError, match="/usr holds more than 1000 files|cannot write to /usr"):
        need_results_folder("/usr")
    assert time.monotonic() - start < 1


def test_a_manifest_cannot_name_what_lies_behind_a_link(tmp_path):
    mine, folder = tmp_path / "mine", tmp_path / "out"
    for place in (mine, folder / "sub"):
        place.mkdir(parents=True)
        (place / "x.txt").write_text("mine")
    (folder / "link").symlink_to(mine)
    for listed, foreign in (
        (["link", "link/x.txt"], "2 files .*link, sub/x.txt"),
        (["link", "sub", "sub/x.txt/y"], "1 files .*sub/x.txt"),
        (["sub/x.txt", "link/x.txt", "sub/../link"], "1 files .*link"),
    ):
        (folder / MANIFEST).write_text(json.dumps(listed))
        for write in (lambda: write_results(folder, "a"), lambda: add_results(folder, ["a"])):
            with pytest.raises(UserError, match=foreign):
                write()
    (folder / "link").unlink()
    (folder / STAGE).symlink_to(mine)
    (folder / MANIFEST).write_text(json.dumps(["sub/x.txt", f"{STAGE}/x.txt"]))
    add_results(folder, ["a_mask.png"], "a_mask.png")
    assert (mine / "x.txt").read_text() == "mine" and not (folder / "sub" / "x.txt").exists()


@pytest.mark.parametrize(
    "content",
    [
        "[" * 50_000,
        '["a_mask.png", "\\ud800"]',
        '["a\\u0000b"]',
        "1" * 5000,
        "[1e400]",
        '[["a_mask.png"]]',
        '{"a_mask.png": 1}',
        '["' + "n" * 300 + '", "", ".", 7, true, null]',
        "version https://git-lfs",
        "\xff",
    ],
)
def test_a_manifest_that_is_broken_counts_as_none(tmp_path, content):
    (tmp_path / MANIFEST).write_bytes(content.encode("latin1"))
    write_results(tmp_path, "a_mask.png")
    assert json.loads((tmp_path / MANIFEST).read_text()) == ["a_mask.png"]
    (tmp_path / MANIFEST).write_bytes(content.encode("latin1"))
    with pytest.raises(UserError, match="1 files that no earlier run wrote .a_mask.png."):
        write_results(tmp_path, "b_mask.png")


def test_a_manifest_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / MANIFEST)
    write_results(tmp_path, "a_mask.png")
    assert names(tmp_path) == [MANIFEST, "a_mask.png"]


def test_a_folder_with_a_results_name_is_named_before_anything_is_lost(tmp_path):
    write_results(tmp_path, "b_mask.png")
    (tmp_path / "a_mask.png").mkdir()
    words = "holds a folder with the name of a result, 'a_mask.png'; remove or rename it"
    for write in (
        lambda: write_results(tmp_path, "a_mask.png"),
        lambda: add_results(tmp_path, ["a_mask.png"]),
    ):
        with pytest.raises(UserError, match=words):
            write()
    assert names(tmp_path) == [MANIFEST, "b_mask.png"]


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("mine"),
        lambda path: path.symlink_to("/tmp"),
        lambda path: path.symlink_to("none"),
    ],
)
def test_new_folders_do_not_take_the_place_of_files_and_links(tmp_path, make):
    make(tmp_path / "train")
    with pytest.raises(UserError, match=".* has train already; name another folder"):
        new_folders(tmp_path, ["train"]).__enter__()
    assert (tmp_path / "train").is_symlink() or (tmp_path / "train").read_text() == "mine"


def test_a_lock_that_its_holder_has_removed_is_not_held(tmp_path, monkeypatch):
    """Let a process open the lock file before its holder removes it and a third makes a new one."""
    flock, lock, calls = fcntl.flock, tmp_path / LOCK, []

    def late(file, how):
        if not calls:
            calls.append(lock.unlink())
            third = os.open(lock, os.O_RDWR | os.O_CREAT)
            flock(third, fcntl.LOCK_EX)
            calls.append(third)
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(UserError, match="another run is writing"), locked(lock):
        pytest.fail("two hold it")
    assert lock.exists(), "it is the third's"
    os.close(calls[1])
    with locked(lock):
        assert lock.exists()
    assert not lock.exists()


def test_a_lock_of_another_process_is_not_removed(tmp_path):
    with locked(tmp_path / LOCK):
        (tmp_path / LOCK).rename(tmp_path / "moved")
        (tmp_path / LOCK).write_text("another's")
    assert (tmp_path / LOCK).read_text() == "another's"


def hold(folder, seconds, found):
    end, held, overlaps = time.monotonic() + seconds, 0, 0
    while time.monotonic() < end:
        try:
            with locked(folder / LOCK):
                held += 1
                try:
                    os.close(os.open(folder / "inside", os.O_CREAT | os.O_EXCL))
                    os.unlink(folder / "inside")
                except (FileExistsError, FileNotFoundError):
                    overlaps += 1
        except UserError:
            continue
    found.put((held, overlaps))


def test_no_two_processes_hold_a_lock(tmp_path):
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    processes = [context.Process(target=hold, args=(tmp_path, 2, found)) for _ in range(4)]
    for process in processes:
        process.start()
    counts = [found.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert sum(held for held, _ in counts) > 100 and sum(overlaps for _, overlaps in counts) == 0
