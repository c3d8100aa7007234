"""The folders to which the scripts write, and the files of earlier starts in them."""

import os
import subprocess

import pytest

from dlinknet.errors import UserError
from dlinknet.launching.log_folders import here, hold, log_of_rank, make_rank_folders, move_aside


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the current folder, a new one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_the_folder_has_the_name_that_the_shell_knows(folder, monkeypatch):
    (folder / "other").mkdir()
    (folder / "link").symlink_to("other")
    os.chdir("link")
    monkeypatch.setenv("PWD", str(folder / "link"))
    assert here() == folder / "link" and log_of_rank(3) == folder / "link" / "LOG3" / "log.log"
    for wrong in (str(folder), "link", "", str(folder / "none")):
        monkeypatch.setenv("PWD", wrong)
        assert here() == folder / "other"


def test_a_lock_holds_as_long_as_a_process_has_it(folder):
    lock = hold("work", "the work")
    other = hold("something else", "other work")
    with pytest.raises(UserError, match="the work that was started in .* is still running"):
        hold("work", "the work")
    child = subprocess.Popen(["sleep", "50"], pass_fds=(lock,))
    os.close(lock)
    os.close(other)
    try:
        with pytest.raises(UserError):
            hold("work", "the work")
    finally:
        child.kill()
        child.wait()
    os.close(hold("work", "the work"))


def test_a_lock_is_one_folders(folder, monkeypatch):
    lock = hold("work", "the work")
    (folder / "other").mkdir()
    os.chdir("other")
    monkeypatch.setenv("PWD", str(folder / "other"))
    os.close(hold("work", "the work"))
    os.close(lock)


def test_a_log_is_moved_aside(folder):
    move_aside(folder / "train.log")
    (folder / "train.log").write_text("old")
    move_aside(folder / "train.log")
    (aside,) = folder.iterdir()
    assert aside.name.startswith("train_before_") and aside.suffix == ".log"
    (folder / "results").mkdir()
    move_aside(folder / "results", "now")
    assert (folder / "results_before_now").is_dir()


def test_all_folders_of_an_earlier_training_are_moved(folder, capsys):
    """The earlier training had more ranks. LOG_old belongs to no training."""
    for name in ("LOG0", "LOG1", "LOG7", "LOG_old", "LOG1x"):
        (folder / name).mkdir()
    (folder / "LOG7" / "log.log").write_text("precious")
    output = folder / "LOG0" / "output"
    output.mkdir()
    for name in ("roads_last.ckpt", ".roads_last.4711.ckpt", ".roads.lock"):
        (output / name).write_text("x")
    make_rank_folders([0, 1], 2, resumes=False)
    (aside,) = folder.glob("LOG_before_*")
    assert {path.name for path in aside.iterdir()} == {"LOG0", "LOG1", "LOG7"}
    assert (aside / "LOG7" / "log.log").read_text() == "precious"
    # The killed process 4711 had begun to write the other one.
    kept = {path.name for path in (aside / "LOG0" / "output").iterdir()}
    assert kept == {"roads_last.ckpt", ".roads.lock"}
    assert {path.name for path in folder.iterdir()} == {
        *("LOG0", "LOG1", "LOG_old", "LOG1x", aside.name)
    }
    assert aside.name in capsys.readouterr().out
    make_rank_folders([0, 1], 2, resumes=False)  # within the same second
    assert len(list(folder.glob("LOG_before_*"))) == 2


def test_folders_of_other_machines_and_of_a_resumed_training_stay(folder):
    for name in ("LOG0", "LOG2"):
        (folder / name).mkdir()
    make_rank_folders([2, 3], 4, resumes=False)
    assert (folder / "LOG0").is_dir() and len(list(folder.glob("LOG_before_*/*"))) == 1
    (folder / "LOG2" / "log.log").write_text("goes on")
    make_rank_folders([0, 1, 2], 3, resumes=True)
    assert (folder / "LOG2" / "log.log").read_text() == "goes on"
    assert (folder / "LOG1").is_dir()
