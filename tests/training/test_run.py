"""The files of one run; the choice of the run to resume, and the changes that it rejects."""

import dataclasses
import json
import os

import pytest

from dlinknet import config
from dlinknet.commands.resuming import (
    FIXED,
    find_run,
    fixed_settings,
    refuse_changes,
    resume_settings,
)
from dlinknet.commands.train import first_texts
from dlinknet.data.class_table import ClassTable
from dlinknet.data.classes import Class
from dlinknet.data.pairs import read_pairs
from dlinknet.errors import UserError
from dlinknet.files.atomic import replacing
from dlinknet.training.identity import data_identity
from dlinknet.training.progress import SavedRun, State
from dlinknet.training.run import RunFiles
from dlinknet.training.schedules import PlateauRule


def settings(*arguments):
    return config.load(list(arguments), "")


@pytest.fixture
def pairs(stripe_data):
    return read_pairs(str(stripe_data), str(stripe_data))


def saved(identity, **settings):
    """Return a run of these settings and data before its first step, as a checkpoint's text."""
    text = {
        **State().to_dict(),
        "epoch": 0,
        "seed": 1,
        "learning_rate": 2e-4,
        "loss_scale": 1.0,
        "plateau": PlateauRule(2e-4).to_dict(),
        "settings": settings,
        "data": identity.to_dict(),
    }
    return SavedRun.from_dict(json.loads(json.dumps(text)))


def texts(*arguments):
    return first_texts(settings(*arguments), [], [])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_earlier_run_is_moved_aside(tmp_path, pairs):
    files = RunFiles(tmp_path / "out", "w")
    files.folder.mkdir()
    files.best.write_text("precious")
    files.folder.joinpath("w_other_best.ckpt").write_text("another run's")
    files.folder.joinpath(".w_last.4711.ckpt").write_text("half of a checkpoint, of a killed run")
    files.folder.joinpath(".w_other_last.4711.ckpt").write_text("being written")
    first = files.reserved(first_texts(settings(), pairs[:4], pairs[4:]))
    with first, pytest.raises(UserError, match="another run is writing"):
        files.reserved({}).__enter__()
    assert not files.folder.joinpath(".w_last.4711.ckpt").exists()
    assert files.folder.joinpath(".w_other_last.4711.ckpt").exists()
    (aside,) = (p for p in files.folder.iterdir() if p.is_dir())
    assert (aside / "w_best.ckpt").read_text() == "precious" and aside.name.startswith("w_before_")
    assert (files.folder / "w_other_best.ckpt").exists()
    assert json.loads(files.path("split.json").read_text()) == {
        "train": ["r0", "r1", "r2", "r3"],
        "valid": ["r4", "r5"],
    }


@pytest.fixture
def runs(tmp_path):
    """Make two runs in one folder, each with last and previous.

    b is newer than a and ran with batch_size 7.
    """
    for age, name in enumerate(["b_last", "b_previous", "a_last", "a_previous"]):
        path = tmp_path / f"{name}.ckpt"
        path.write_text(name)
        os.utime(path, (1e9 - age, 1e9 - age))
    (tmp_path / "b_config.yaml").write_text(
        settings("--batch_size=7", "--output_path=gone", "--resume=x").as_yaml()
    )
    return tmp_path


def test_the_newest_run_of_a_folder_is_found_with_its_settings(runs):
    arguments = ["--resume", f"--output_path={runs}", "--epoch_num=9"]
    found, again = resume_settings(settings(*arguments), arguments, "")
    assert found.files == RunFiles(runs, "b") and found.checkpoints == [
        runs / "b_last.ckpt",
        runs / "b_previous.ckpt",
    ]
    assert (again.batch_size, again.epoch_num, again.log_name, again.output_path) == (
        7,
        9,
        "b",
        str(runs),
    )
    # Killed between the two renames of a save: the last one is gone, the one before it is there.
    (runs / "b_last.ckpt").unlink()
    assert find_run(settings("--resume", f"--output_path={runs}"), "*").checkpoints == [
        runs / "b_previous.ckpt"
    ]


def test_a_name_that_is_given_is_the_runs(runs):
    arguments = ["--resume", f"--output_path={runs}", "--log_name=a"]
    found, again = resume_settings(settings(*arguments), arguments, "")
    assert (found.files.log_name, again.log_name, again.batch_size) == ("a", "a", 4)
    arguments[-1] = "--log_name=c"
    with pytest.raises(UserError, match="holds no c_last.ckpt"):
        resume_settings(settings(*arguments), arguments, "")
    arguments = [f"--resume={runs / 'a_last.ckpt'}", "--log_name=c"]
    assert resume_settings(settings(*arguments), arguments, "")[1].log_name == "c", (
        "a copy of it goes on under a new name"
    )


def test_a_named_file_is_resumed(runs):
    found = find_run(settings(f"--resume={runs / 'a_last.ckpt'}"), "*")
    assert found.files.log_name == "a" and [p.name for p in found.checkpoints] == [
        "a_last.ckpt",
        "a_previous.ckpt",
    ]
    assert found.settings == {"output_path": str(runs), "log_name": "a"}
    assert find_run(settings(f"--resume={runs / 'a_previous.ckpt'}"), "*").checkpoints == [
        runs / "a_previous.ckpt"
    ]


def test_a_run_that_cannot_be_resumed_is_named(runs, tmp_path):
    (runs / "a_best.ckpt").write_text("weights")
    for arguments, words in (
        [[f"--resume={runs / 'a_best.ckpt'}"], "a_best.ckpt is not a LOG_NAME_last.ckpt"],
        [[f"--resume={runs / 'c_last.ckpt'}"], "there is no file .*c_last.ckpt"],
        [["--resume", f"--output_path={runs / 'empty'}"], "empty holds no LOG_NAME_last.ckpt"],
    ):
        with pytest.raises(UserError, match=f".*{words}"):
            find_run(settings(*arguments), "*")
    assert (
        settings("--resume=False").resume == settings().resume == ""
        and settings("--resume=True").resume == "newest"
    )


def test_a_run_that_continues_keeps_its_files_and_moves_a_damaged_one_aside(runs, pairs):
    files = RunFiles(runs, "b")
    resumed = find_run(settings("--resume", f"--output_path={runs}"), "*")
    with files.reserved(texts("--resume", "--log_name=b"), resumed, files.last):
        assert files.last.read_text() == "b_last" and files.previous.read_text() == "b_previous"
    assert config.read_values(files.path("config.yaml"))["resume"] == ""
    with files.reserved(texts(), resumed, files.previous):
        assert (
            files.path("damaged.ckpt").read_text() == "b_last"
            and files.previous.read_text() == "b_previous"
        )
        assert not files.last.exists()


def test_a_run_that_continues_elsewhere_copies_its_weights(runs, pairs, tmp_path):
    resumed = find_run(settings(f"--resume={runs / 'a_last.ckpt'}"), "*")
    for ending in ("best", "plateau"):
        (runs / f"a_{ending}.ckpt").write_text(ending)
    files = RunFiles(tmp_path / "new", "c")
    with files.reserved(texts(), resumed, resumed.files.last):
        assert (
            files.best.read_text() == "best"
            and files.plateau.read_text() == "plateau"
            and not files.last.exists()
        )
    assert (runs / "a_best.ckpt").exists()


def test_a_changed_setting_or_data_set_is_refused_with_what_differs(pairs, tmp_path):
    file, now = tmp_path / "w_last.ckpt", settings()
    identity = data_identity(pairs[:4], pairs[4:])
    meta = saved(identity, **{key: getattr(now, key) for key in FIXED})
    refuse_changes(
        meta,
        dataclasses.replace(now, epoch_num=9, data_path="moved", num_workers=1),
        identity,
        file,
    )

    def differs(words, settings=now, identity=identity):
        with pytest.raises(UserError) as error:
            refuse_changes(meta, settings, identity, file)
        assert (
            "w_last.ckpt is of another run: "
            + words
            + "; to start a new training, name another log_name or another folder"
            in str(error.value)
        )

    differs(
        "model_name was dlinknet34, is linknet34; batch_size was 4, is 8",
        dataclasses.replace(now, batch_size=8, model_name="linknet34"),
    )
    differs(
        "1 training images are missing (r3); 1 validation images are new (r3)",
        identity=data_identity(pairs[:3], pairs[3:]),
    )
    with open(pairs[0].mask, "ab") as other:
        other.write(b" ")
    differs(
        "the images have their old IDs, but the files have other sizes",
        identity=data_identity(pairs[:4], pairs[4:]),
    )


def test_a_schedule_that_was_planned_to_an_end_keeps_its_epochs(pairs, tmp_path):
    for schedule, refuses in (
        ("cosine", True),
        ("one_cycle", True),
        ("plateau", False),
        ("step", False),
    ):
        now = settings(f"--schedule={schedule}", "--epoch_num=7")
        identity = data_identity(pairs, [])
        meta = saved(identity, **fixed_settings(now))
        longer = dataclasses.replace(now, epoch_num=9)
        if refuses:
            with pytest.raises(
                UserError, match=r"the planned number of epochs \(epoch_num\) was 7, is 9"
            ):
                refuse_changes(meta, longer, identity, tmp_path / "a_last.ckpt")
            together = dataclasses.replace(now, run_distribute=True, distribute_epoch_num=30)
            with pytest.raises(
                UserError,
                match=r"the planned number of epochs \(distribute_epoch_num\) was 7, is 30",
            ):
                refuse_changes(meta, together, identity, tmp_path / "a_last.ckpt")
            refuse_changes(
                meta,
                dataclasses.replace(together, distribute_epoch_num=7),
                identity,
                tmp_path / "a_last.ckpt",
            )
        else:
            refuse_changes(meta, longer, identity, tmp_path / "a_last.ckpt")


def test_other_classes_are_another_data_set(pairs, tmp_path):
    one, other = (
        ClassTable((Class("a", (0, 0, 0)), Class(name, (1, 0, 0), (1,)))) for name in "bc"
    )
    moved = ClassTable((one.listed[0], dataclasses.replace(one.listed[1], values=(2,))))
    meta = saved(data_identity(pairs, [], one))
    refuse_changes(meta, settings(), data_identity(pairs, [], one), tmp_path / "a_last.ckpt")
    with pytest.raises(
        UserError, match=r"the classes differ \(b only in the run, c only in the masks\)"
    ):
        refuse_changes(meta, settings(), data_identity(pairs, [], other), tmp_path / "a_last.ckpt")
    with pytest.raises(
        UserError, match=r"the classes differ \(a, b only in the run, road only in the masks\)"
    ):
        refuse_changes(meta, settings(), data_identity(pairs, []), tmp_path / "a_last.ckpt")
    with pytest.raises(UserError, match="the class table has other values"):
        refuse_changes(meta, settings(), data_identity(pairs, [], moved), tmp_path / "a_last.ckpt")


@pytest.mark.parametrize("name", ["m" * 232, "路" * 77])
def test_a_long_name_of_a_run(tmp_path, pairs, name):
    """The folder of an earlier run adds 23 bytes to the name: 232 bytes are the most.

    The half-written file of a killed run is removed under such a name too.
    """
    files = RunFiles(tmp_path / "out", name)
    with files.reserved(texts(f"--log_name={name}")), replacing(files.last) as temporary:
        temporary.write_text("whole")
        left = temporary.with_name(temporary.name.replace(f".{os.getpid()}.", ".4711."))
        left.write_text("half")
    with files.reserved(texts(f"--log_name={name}")):
        assert not left.exists()
    with pytest.raises(
        UserError,
        match="^log_name makes '.*', which has a name of more than 255 bytes; "
        "choose a shorter log_name",
    ):
        RunFiles(tmp_path / "new", name + "xyz").reserved({}).__enter__()
    assert not (tmp_path / "new").exists()
