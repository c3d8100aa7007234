"""Files whole or not there; folders emptied only where they are ours."""
import errno
from pathlib import Path

import pytest

from dlinknet.errors import UserError, name_some
from dlinknet.files import MANIFEST, make_folder, refuse_foreign, replacing, replacing_results, write_text


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
    refuse_foreign(folder, "predict_path")
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
    with pytest.raises(UserError, match="predict_path: .*out holds 1 files that no earlier run wrote .thesis.txt."):
        write_results(folder, "b_mask.png")
    assert names(folder) == [MANIFEST, "a_mask.png", "thesis.txt"]


def test_a_failed_run_leaves_the_earlier_results(tmp_path):
    write_results(tmp_path, "a_mask.png")
    with pytest.raises(RuntimeError):
        with replacing_results(tmp_path) as stage:
            (stage / "b_mask.png").write_text("b")
            raise RuntimeError
    assert names(tmp_path) == [MANIFEST, "a_mask.png"]
    refuse_foreign(tmp_path, "predict_path")


def test_a_manifest_cannot_name_files_elsewhere(tmp_path):
    (tmp_path / "keep.txt").write_text("mine")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / MANIFEST).write_text('["../keep.txt", 7]')
    write_results(folder, "a_mask.png")
    assert (tmp_path / "keep.txt").exists()


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    (tmp_path / "f").write_text("")
    with pytest.raises(UserError, match="is a file"):
        refuse_foreign(tmp_path / "f", "predict_path")
    with pytest.raises(UserError, match="output_path: cannot write to .*f/g: Not a directory"):
        make_folder(tmp_path / "f" / "g", "output_path")


def test_long_lists_are_cut():
    assert name_some(["a", "b"]) == "a, b"
    assert name_some(list("abcdefg")) == "a, b, c, d, e and 2 more"
