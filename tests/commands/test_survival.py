"""A training is killed at the worst moments and resumed each time.

It ends with the weights of an undisturbed training.
"""

import csv
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from dlinknet.checkpoints.read import read_checkpoint
from tests.conftest import ROOT, call, command, refused, stripes, write_pair

# test_resume.py has the parts of this in the default suite, without processes.

TRAIN = [
    "--data_path=data/train",
    "--val_path=data/valid",
    "--device_target=CPU",
    "--model_name=linknet18",
    "--batch_size=2",
    "--epoch_num=3",
    "--learning_rate=0.001",
    "--save_steps=2",
]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Make six training images (three steps an epoch) and two for validation.

    `whole` holds an undisturbed run.
    """
    folder = tmp_path_factory.mktemp("survival")
    for number in range(6):
        write_pair(folder / "data" / "train", f"t{number}", *stripes(number))
    for number in range(2):
        write_pair(folder / "data" / "valid", f"v{number}", *stripes(20 + number))
    result = command("train.py", *TRAIN, "--output_path=whole", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder


def killed(work, moment, number, *arguments):
    """Runs train.py until the moment; asserts that it was killed and returns what it had logged."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "tests/commands/killed.py"), moment, str(number), *arguments],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == -signal.SIGKILL, result.stdout + result.stderr
    return result.stdout


def table(folder):
    with open(folder / "weight01_dink34_epochs.csv", encoding="utf-8") as file:
        return [
            {
                key: value
                for key, value in row.items()
                if key not in ("seconds", "images_per_second")
            }
            for row in csv.DictReader(file)
        ]


@pytest.mark.slow  # .ci/run has the campaign of kills, which strikes at random moments
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_were_not(work):
    out, resume = work / "killed", ["--output_path=killed", "--resume"]
    last, previous = (out / f"weight01_dink34_{ending}.ckpt" for ending in ("last", "previous"))

    killed(work, "step", 1, *TRAIN, "--output_path=killed")
    assert read_checkpoint(str(last)).meta["step"] == 0, (
        "before its first step a run can be resumed already"
    )
    killed(work, "saving", 1, *resume)
    assert (
        list(out.glob(".weight01_dink34_last.*")) and read_checkpoint(str(last)).meta["step"] == 0
    )
    killed(work, "step", 5, *resume)
    assert not list(out.glob(".weight01_dink34_last.*")), "what the killed save left is gone"
    assert read_checkpoint(str(last)).meta["position"] | {"loss_sum": 0, "seconds": 0} == {
        "epoch": 2,
        "images": 2,
        "loss_sum": 0,
        "skipped": 0,
        "seconds": 0,
    }
    killed(work, "validation", 1, *resume)
    assert read_checkpoint(str(last)).meta["step"] == 6, (
        "saved by save_steps, with the validation still to come"
    )
    log = killed(work, "renaming", 1, *resume)
    assert "epoch 2, 6 of its 6 images are done" in log and not last.exists() and previous.exists()
    last.write_bytes(previous.read_bytes()[:100_000])  # and now a damaged file as well
    result = command("train.py", *resume, cwd=work)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert "going on from the one before it" in result.stdout

    for ending in ("last", "best", "plateau"):
        ours, theirs = (
            read_checkpoint(str(folder / f"weight01_dink34_{ending}.ckpt"))
            for folder in (out, work / "whole")
        )
        assert ours.tensors.keys() == theirs.tensors.keys()
        assert all(
            np.array_equal(ours.tensors[name], theirs.tensors[name]) for name in theirs.tensors
        ), ending
        assert (
            ours.meta["best"] == theirs.meta["best"]
            and ours.meta["plateau"] == theirs.meta["plateau"]
        )
    assert len(table(out)) == 3 and table(out) == table(work / "whole")


@pytest.mark.long
def test_another_model_or_data_set_is_refused_and_nothing_lost(work):
    before = {path.name: path.stat().st_mtime_ns for path in (work / "whole").iterdir()}
    resume = ["--output_path=whole", "--resume"]
    refused(
        call("train.py", *resume, "--model_name=dlinknet34", cwd=work),
        "resume: whole/weight01_dink34_last.ckpt is of another run: "
        "model_name was linknet18, is dlinknet34",
    )
    refused(
        call("train.py", *resume, "--data_path=data/valid", cwd=work),
        "6 training images are missing (t0, t1, t2 and 3 more)",
        "2 training images are new (v0, v1)",
    )
    refused(
        call("train.py", "--output_path=none", "--resume", cwd=work),
        "resume: none holds no LOG_NAME_last.ckpt",
    )
    refused(
        call("train.py", "--resume=whole/weight01_dink34_best.ckpt", cwd=work),
        "is not a LOG_NAME_last.ckpt",
    )
    assert {path.name: path.stat().st_mtime_ns for path in (work / "whole").iterdir()} == before
    result = call("train.py", *resume, cwd=work)
    assert result.returncode == 0 and "nothing is left to train: 3 epochs are done" in result.stdout


@pytest.mark.long
def test_a_full_disk_ends_the_run_with_one_line_and_the_checkpoint_whole(work):
    """Files of more than 1 MB cannot be written."""
    last = work / "whole" / "weight01_dink34_last.ckpt"
    before = last.read_bytes()
    result = subprocess.run(
        [
            sys.executable,
            str(ROOT / "train.py"),
            "--output_path=whole",
            "--resume",
            "--epoch_num=4",
        ],
        cwd=work,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    refused(
        result,
        "train.py: error: cannot write whole/weight01_dink34_",
        "File too large",
        "weight01_dink34_last.ckpt is whole (epoch 3, step 9); --resume goes on from it",
        status=1,
    )
    assert last.read_bytes() == before and not list((work / "whole").glob(".weight01*.ckpt"))
