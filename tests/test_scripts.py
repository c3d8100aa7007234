"""The shell scripts: a mistake gives one line, and the quick start trains on a user's folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import stripes, write_pair

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "scripts").glob("*.sh"))


def bash(script, *arguments, **kwargs):
    return subprocess.run(
        ["bash", str(ROOT / "scripts" / script), *arguments],
        capture_output=True,
        text=True,
        **kwargs,
    )


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--data"], "--data needs a folder"),
        (["--data", "/no/such"], "--data: there is no folder /no/such"),
        (["epochs"], "'epochs' is not understood"),
        (["--log_name=x"], "'--log_name' is set by this script"),
    ],
)
def test_mistakes_of_the_quick_start_are_one_line(arguments, words):
    result = bash("quickstart.sh", *arguments)
    assert (
        result.returncode == 2 and words in result.stderr and len(result.stderr.splitlines()) == 1
    )
    assert result.stdout == ""


def test_without_a_fitting_python_it_says_which(tmp_path):
    """Use a PATH with the few tools that the script requires and a Python that is too new."""
    for tool in ("bash", "dirname", "basename", "cmp", "cat"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    (tmp_path / "python3").write_text("#!/bin/bash\nexit 1\n")
    (tmp_path / "python3").chmod(0o755)
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "scripts", clone / "scripts")
    shutil.copy(ROOT / "requirements.txt", clone)
    result = subprocess.run(
        [str(tmp_path / "bash"), str(clone / "scripts" / "run_tests.sh")],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": str(tmp_path), "PYENV_ROOT": str(tmp_path)},
    )
    assert result.returncode == 2 and "no Python 3.10, 3.11 or 3.12 on PATH" in result.stderr, (
        result.stderr
    )


@pytest.mark.skipif(
    not shutil.which("shellcheck"), reason="shellcheck is not installed: apt-get install shellcheck"
)
@pytest.mark.parametrize(
    "script",
    [*SCRIPTS, ROOT / ".ci" / "run", ROOT / "ascend310_infer" / "build.sh"],
    ids=lambda p: p.name,
)
def test_shellcheck_finds_nothing(script):
    result = subprocess.run(
        ["shellcheck", "-x", str(script)], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stdout


def test_a_mindspore_that_is_not_tested_is_refused():
    result = bash("run_tests.sh", "--mindspore=1.9")
    assert result.returncode == 2 and "'--mindspore=1.9' is not understood" in result.stderr


@pytest.mark.long
@pytest.mark.skipif(
    not (ROOT / ".venv" / "requirements.installed").exists(),
    reason="the quick start needs .venv, which scripts/run_tests.sh makes",
)
def test_the_quick_start_trains_once_on_a_users_folder(tmp_path):
    data = tmp_path / "my roads"
    for number in range(10):
        write_pair(data, f"u{number}", *stripes(number, 70, 64))
    arguments = [
        "--data",
        str(data),
        "--model_name=linknet18",
        "--train_size=32",
        "--epoch_num=1",
        "--device_target=CPU",
    ]
    try:
        first = bash("quickstart.sh", *arguments, cwd=tmp_path)
        assert first.returncode == 0, first.stderr
        assert (
            "road_iou: " in first.stdout
            and "epoch 1/1" in first.stdout
            and "Open these pictures" in first.stdout
        )
        (made,) = (ROOT / "quickstart").glob("my roads-*")
        assert len(list((made / "predictions" / "overlays").iterdir())) == 1
        second = bash("quickstart.sh", *arguments, cwd=tmp_path)
        assert (
            second.returncode == 0
            and "using the network of an earlier call" in second.stdout
            and "epoch 1/1" not in second.stdout
        )
        # As a kill leaves it between the two renames of a save in the last epoch.
        output = made / "output"
        (output / "quickstart.trained").rename(output / "quickstart.begun")
        (output / "quickstart_last.ckpt").rename(output / "quickstart_previous.ckpt")
        third = bash("quickstart.sh", *arguments, cwd=tmp_path)
        assert third.returncode == 0 and "resume" in third.stdout, third.stdout + third.stderr
        assert "epoch 1/1" not in third.stdout and "Open these pictures" in third.stdout
    finally:
        for folder in (ROOT / "quickstart").glob("my roads-*"):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    "file, status",
    [("run_last.ckpt", 0), ("run_previous.ckpt", 0), ("other_last.ckpt", 1), ("run_best.ckpt", 1)],
)
def test_a_training_that_a_kill_interrupted_has_a_checkpoint(tmp_path, file, status):
    (tmp_path / file).touch()
    command = f'. "{ROOT}/scripts/environment.sh"; has_checkpoint "{tmp_path}" run'
    assert subprocess.run(["bash", "-c", command]).returncode == status


def test_a_command_in_the_foreground_gets_an_interrupt_itself(tmp_path):
    """Check that a command that a script waits for does not ignore SIGINT.

    Bash makes background commands ignore it.
    """
    script = tmp_path / "s.sh"
    script.write_text(
        f". {ROOT}/scripts/environment.sh\nforeground {sys.executable} "
        '-c "import signal; print(signal.getsignal(signal.SIGINT))"\n'
    )
    told = subprocess.run(["bash", str(script)], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0 and "default_int_handler" in told.stdout, told.stdout + told.stderr
