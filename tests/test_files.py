"""Files whole or not there; folders emptied only where they are ours."""
import errno
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from dlinknet.errors import UserError, name_some
from dlinknet.files import (LOCK, MANIFEST, adding_results, locked, need_file, need_place, new_folders, refuse_foreign, replacing,
                            replacing_results, write_image, write_text)


def names(folder: Path):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "a.txt"
    write_text(file, "one")
    with pytest.raises(OSError):
        with replacing(file) as temporary:
            temporary.write_text("tw")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert file.read_text() == "one" and names(tmp_path) == ["a.txt"]
    write_text(file, "two")
    assert file.read_text() == "two"


def write_results(folder, *files):
    with replacing_results(folder, "predict_path") as stage:
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
    with pytest.raises(UserError, match="predict_path: .*out holds 1 files that no earlier run wrote .thesis.txt."):
        write_results(folder, "b_mask.png")
    assert names(folder) == [MANIFEST, "a_mask.png", "thesis.txt"]


def test_a_failed_run_leaves_the_earlier_results(tmp_path):
    write_results(tmp_path, "a_mask.png")
    with pytest.raises(RuntimeError):
        with replacing_results(tmp_path, "predict_path") as stage:
            (stage / "b_mask.png").write_text("b")
            raise RuntimeError
    assert names(tmp_path) == [MANIFEST, "a_mask.png"]
    refuse_foreign(tmp_path, "predict_path")


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
    with pytest.raises(UserError, match="predict_path: .*/f is a file; name a folder"):
        need_place(str(tmp_path / "f"), "predict_path")
    with pytest.raises(UserError, match="output_path: .*/f is a file"):
        need_place(str(tmp_path / "f" / "g"), "output_path")
    with pytest.raises(UserError, match="output_path is empty"):
        need_place("", "output_path")
    need_place(str(tmp_path / "a" / "b"), "output_path")
    assert not (tmp_path / "a").exists()
    with pytest.raises(UserError, match="k: there is no file .*none"):
        need_file(str(tmp_path / "none"), "k")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(UserError, match="cannot write to"):
        need_place(str(tmp_path / "a"), "output_path")


def test_a_folder_has_one_writer_at_a_time(tmp_path):
    for write in (lambda: write_results(tmp_path, "b_mask.png"), lambda: new_folders(tmp_path, ["train"], "k").__enter__()):
        with locked(tmp_path / LOCK, "k"):
            with pytest.raises(UserError, match="another run is writing to"):
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
    with adding_results(folder, "predict_path", planned, written):
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
    assert names(tmp_path) == [MANIFEST, "a.txt", "d.txt", "sub/b.txt"], "a run that fails takes nothing away"
    add_results(tmp_path, ["a.txt", "d.txt"], "d.txt")
    assert names(tmp_path) == [MANIFEST, "d.txt"], "a.txt was planned and not written: the old one is stale"


def test_a_file_that_the_user_adds_meanwhile_is_never_taken_for_ours(tmp_path):
    written = []
    with adding_results(tmp_path, "predict_path", ["a.txt"], written):
        (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="thesis.txt"):
        add_results(tmp_path, ["b.txt"], "b.txt")
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_what_a_killed_process_left_half_written_is_no_obstacle(tmp_path):
    add_results(tmp_path, ["a_mask.png", "sub/b.jpg"], "a_mask.png")
    for name in (".a_mask.4711.png", "sub/.b.4711.jpg", "..dlinknet_output.4711.json"):
        (tmp_path / name).write_text("half")
    with pytest.raises(UserError, match="1 files .*b.4711.jpg"):
        refuse_foreign(tmp_path, "predict_path")        # sub/b.jpg was not written, so this may be anybody's
    (tmp_path / "sub" / ".b.4711.jpg").unlink()
    add_results(tmp_path, ["a_mask.png"], "a_mask.png")
    assert names(tmp_path) == [MANIFEST, "a_mask.png"]
    (tmp_path / ".other.4711.png").write_text("not a name of ours")
    with pytest.raises(UserError, match=".other.4711.png"):
        refuse_foreign(tmp_path, "predict_path")


def test_a_picture_that_is_too_long_for_its_format(tmp_path):
    write_image(tmp_path / "long.jpg", np.full((20, 70_000, 3), 90, np.uint8))
    assert cv2.imread(str(tmp_path / "long.jpg")).shape == (19, 65_500, 3)
    with pytest.raises(OSError, match="1200000x1 pixels are too many for .png"):
        write_image(tmp_path / "long.png", np.zeros((1, 1_200_000), np.uint8))


def test_an_error_without_a_name_gets_the_files(tmp_path):
    with pytest.raises(OSError) as error:
        with replacing(tmp_path / "p.npy"):
            raise OSError("9000000 requested and 24968 written")
    assert error.value.filename == str(tmp_path / "p.npy") and "24968 written" in error.value.strerror
